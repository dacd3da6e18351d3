//! QMP, QEMU's monitor protocol, on tokio.
//!
//! The command types are `qapi`'s; the transport is ours because the crate's own (0.15) aborts the process when a call is cancelled,
//! gives every command the same id, and ends its stream for good at the first event it does not know. Here one task reads lines as plain
//! JSON: what has an `event` is handed on, what has an `id` answers that call, and everything else, a late answer to a
//! cancelled call included, is dropped. Wire format: QEMU's docs/interop/qmp-spec.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qapi::{Command, Execute};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Bytes of one message that are read; the longest QEMU sends, `query-qmp-schema`, has about 200 KiB.
const MESSAGE_BYTES: usize = 4 << 20;

/// An event as QEMU sent it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RawEvent {
    /// Its name: `SHUTDOWN`.
    #[serde(rename = "event")]
    pub name: String,
    /// Its data; null when there is none.
    #[serde(default)]
    pub data: Value,
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QmpError {
    /// QEMU refused it.
    #[error("QEMU refused `{command}`: {reason}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's words.
        reason: String,
    },
    /// QEMU's answer does not fit its schema.
    #[error("QEMU's answer to `{command}` is not understood: {reason}")]
    Answer {
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer came in time.
    #[error("QEMU did not answer `{command}` within {} s", limit.as_secs_f32())]
    Late {
        /// The command; `greeting` before the first one.
        command: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection is gone, and QEMU most likely with it.
    #[error("QEMU hung up before it answered `{command}`")]
    Closed {
        /// The command.
        command: &'static str,
    },
}

/// The calls that wait for an answer; nothing once the connection is closed.
type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;

/// A negotiated connection.
#[derive(Debug)]
pub struct Qmp {
    to_writer: mpsc::UnboundedSender<Vec<u8>>,
    pending: Pending,
    next_id: u64,
    tasks: [JoinHandle<()>; 2],
}

impl Qmp {
    /// Read the greeting and leave negotiation mode, all within `limit`. Events that `interesting` names come out of the receiver; it ends when
    /// QEMU hangs up.
    ///
    /// # Errors
    /// No greeting, or a refusal, or silence.
    pub async fn connect<S>(
        stream: S,
        interesting: &'static [&'static str],
        limit: Duration,
    ) -> Result<(Self, mpsc::UnboundedReceiver<RawEvent>), QmpError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let mut lines = Messages::new(reader);
        let greeting = async {
            while let Some(message) = lines.next().await {
                if message.get("QMP").is_some() {
                    return Ok(());
                }
            }
            Err(QmpError::Closed { command: "greeting" })
        };
        within("greeting", limit, greeting).await?;
        // Unbounded, but it stays small: only few kinds of events are let through, and QEMU limits the rate of those a guest can cause.
        let (events, receiver) = mpsc::unbounded_channel();
        let (to_writer, writes) = mpsc::unbounded_channel();
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let tasks = [
            tokio::spawn(read(lines, Arc::clone(&pending), events, interesting)),
            tokio::spawn(write(writer, writes, Arc::clone(&pending))),
        ];
        let mut qmp = Self { to_writer, pending, next_id: 0, tasks };
        qmp.execute(&qapi::qmp::qmp_capabilities { enable: None }, limit).await?;
        Ok((qmp, receiver))
    }

    /// Run a command. Cancelling it is safe: the message goes out whole or not at all, and its answer is then dropped.
    ///
    /// # Errors
    /// A refusal, an answer that is not understood, silence for `limit`, a connection that ended.
    pub async fn execute<C: Command>(&mut self, command: &C, limit: Duration) -> Result<C::Ok, QmpError> {
        self.next_id += 1;
        let id = self.next_id;
        let closed = QmpError::Closed { command: C::NAME };
        let mut line = serde_json::to_vec(&Execute::with_id(command, id))
            .map_err(|error| QmpError::Answer { command: C::NAME, reason: error.to_string() })?;
        line.push(b'\n');
        let (sender, answer) = oneshot::channel();
        match &mut *lock(&self.pending) {
            Some(calls) => {
                calls.retain(|_, waiting| !waiting.is_closed());
                calls.insert(id, sender);
            }
            None => return Err(closed),
        }
        self.to_writer.send(line).map_err(|_| closed.clone())?;
        let mut answer = within(C::NAME, limit, async { answer.await.map_err(|_| closed) }).await?;
        if let Some(error) = answer.get("error") {
            let words = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
            return Err(QmpError::Refused { command: C::NAME, reason: words.to_owned() });
        }
        let value = answer.get_mut("return").map(Value::take).unwrap_or_default();
        serde_json::from_value(value).map_err(|error| QmpError::Answer { command: C::NAME, reason: error.to_string() })
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn within<T>(command: &'static str, limit: Duration, work: impl Future<Output = Result<T, QmpError>>) -> Result<T, QmpError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(QmpError::Late { command, limit }))
}

fn lock(pending: &Pending) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Value>>>> {
    // Nothing panics while it is held; if something did, the map would still be whole.
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read<R: AsyncRead + Unpin>(
    mut messages: Messages<R>,
    pending: Pending,
    events: mpsc::UnboundedSender<RawEvent>,
    interesting: &'static [&'static str],
) {
    while let Some(message) = messages.next().await {
        if let Some(id) = message.get("id").and_then(Value::as_u64) {
            let caller = lock(&pending).as_mut().and_then(|calls| calls.remove(&id));
            if let Some(caller) = caller {
                // A caller that gave up is no longer interested.
                let _ = caller.send(message);
            }
        } else if message.get("event").and_then(Value::as_str).is_some_and(|name| interesting.contains(&name))
            && let Ok(event) = serde_json::from_value(message)
        {
            // This fails while the machine is being dropped: the receiver is gone.
            let _ = events.send(event);
        }
    }
    // Dropping the senders tells every waiting call.
    *lock(&pending) = None;
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut messages: mpsc::UnboundedReceiver<Vec<u8>>, pending: Pending) {
    while let Some(message) = messages.recv().await {
        if writer.write_all(&message).await.is_err() || writer.flush().await.is_err() {
            *lock(&pending) = None;
            return;
        }
    }
}

/// JSON objects, one a line. What is not JSON, or longer than [`MESSAGE_BYTES`], is skipped.
struct Messages<R> {
    reader: BufReader<R>,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader) }
    }

    /// The next message; `None` when the peer hung up. Not safe to cancel: only one task calls it, in a loop.
    async fn next(&mut self) -> Option<Value> {
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.line(&mut line).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            if let Ok(message @ Value::Object(_)) = serde_json::from_slice(&line) {
                return Some(message);
            }
        }
    }

    async fn line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        let limit = MESSAGE_BYTES as u64;
        let mut total = (&mut self.reader).take(limit).read_until(b'\n', line).await?;
        while total > 0 && line.last() != Some(&b'\n') {
            line.clear();
            match (&mut self.reader).take(limit).read_until(b'\n', line).await? {
                0 => return Ok(0),
                more => total = total.saturating_add(more),
            }
            if line.last() == Some(&b'\n') {
                // This is the rest of a line that was too long, not a message.
                line.clear();
                break;
            }
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::DuplexStream;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\n";

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// QEMU's end: answers each command by what `answer` makes of its name and id; an empty text hangs up.
    fn qemu(stream: DuplexStream, before: Vec<u8>, answer: impl Fn(&str, u64) -> Vec<u8> + Send + 'static) {
        tokio::spawn(async move {
            let (reader, mut writer) = tokio::io::split(stream);
            writer.write_all(&before).await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let command: Value = serde_json::from_str(&line).unwrap();
                let bytes = answer(command["execute"].as_str().unwrap(), command["id"].as_u64().unwrap());
                if bytes.is_empty() {
                    return;
                }
                writer.write_all(&bytes).await.unwrap();
            }
        });
    }

    fn ok(id: u64) -> Vec<u8> {
        format!("{{\"return\": {{}}, \"id\": {id}}}\n").into_bytes()
    }

    async fn connect(
        before: &[u8],
        answer: impl Fn(&str, u64) -> Vec<u8> + Send + 'static,
    ) -> Result<(Qmp, mpsc::UnboundedReceiver<RawEvent>), QmpError> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        qemu(theirs, before.to_vec(), answer);
        Qmp::connect(ours, &["SHUTDOWN"], SOON).await
    }

    #[test]
    fn noise_unknown_events_and_endless_lines_are_survived() {
        on_runtime(async {
            let mut noise =
                b"\n{}\n[1]\n{\"event\n\xff\xfe\x00garbage\n{\"id\":99,\"return\":{}}\n{\"id\":\"x\"}\n{\"event\":7}\n".to_vec();
            noise.extend(b"{\"event\": \"FROM_THE_FUTURE\", \"data\": {\"x\": []}, \"timestamp\": {}}\n");
            noise.extend(std::iter::repeat_n(b'{', 2 * MESSAGE_BYTES + 17));
            noise.extend(b"\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
            let before = [&noise[..], GREETING.as_bytes()].concat();
            let (mut qmp, mut events) = connect(&before, move |_, id| [&noise[..], &ok(id)].concat()).await.unwrap();
            qmp.execute(&qapi::qmp::cont {}, SOON).await.unwrap();
            for _ in 0..2 {
                let event = events.recv().await.unwrap();
                assert_eq!((event.name.as_str(), &event.data["guest"]), ("SHUTDOWN", &Value::Bool(true)));
            }
            assert!(events.try_recv().is_err());
        });
    }

    proptest! {
        #[test]
        fn whatever_comes_before_it_a_message_is_found(noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8)) {
            on_runtime(async {
                let bytes = [&noise.join(&b'\n')[..], b"\n{\"mark\": 1}\n{\"cut off"].concat();
                let mut messages = Messages::new(&bytes[..]);
                let mut last = None;
                while let Some(message) = messages.next().await {
                    last = Some(message);
                }
                assert_eq!(last, Some(serde_json::json!({"mark": 1})));
            });
        }
    }

    #[test]
    fn a_late_answer_to_a_cancelled_call_is_not_taken_for_the_next() {
        on_runtime(async {
            let (mut qmp, _events) = connect(GREETING.as_bytes(), |name, id| match name {
                "stop" => b"\n".to_vec(),
                // The answer to `stop`, the call before, comes first.
                "query-status" => format!(
                    "{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"late\"}}, \"id\": {}}}\n{{\"return\": {{\"running\": true, \"status\": \"running\"}}, \"id\": {id}}}\n",
                    id - 1
                )
                .into_bytes(),
                _ => ok(id),
            })
            .await
            .unwrap();
            let late = qmp.execute(&qapi::qmp::stop {}, Duration::from_millis(1)).await.unwrap_err();
            assert!(matches!(late, QmpError::Late { command: "stop", .. }), "{late}");
            assert!(qmp.execute(&qapi::qmp::query_status {}, SOON).await.unwrap().running);
            assert!(lock(&qmp.pending).as_ref().unwrap().is_empty());
        });
    }

    #[test]
    fn every_bad_end_has_its_error() {
        on_runtime(async {
            let refuse = |_: &str, id: u64| format!("{{\"error\": {{\"class\": \"X\", \"desc\": \"no\"}}, \"id\": {id}}}\n").into_bytes();
            let refused = connect(GREETING.as_bytes(), refuse).await.unwrap_err();
            assert_eq!(refused.to_string(), "QEMU refused `qmp_capabilities`: no");

            let (mut qmp, mut events) =
                connect(GREETING.as_bytes(), |name, id| if name == "cont" { Vec::new() } else { ok(id) }).await.unwrap();
            let closed = qmp.execute(&qapi::qmp::cont {}, SOON).await.unwrap_err();
            assert_eq!(closed, QmpError::Closed { command: "cont" });
            assert_eq!(qmp.execute(&qapi::qmp::stop {}, SOON).await.unwrap_err(), QmpError::Closed { command: "stop" });
            assert_eq!(events.recv().await, None);

            let wrong = |_: &str, id: u64| format!("{{\"return\": {{\"running\": 3}}, \"id\": {id}}}\n").into_bytes();
            let (mut qmp, _events) =
                connect(GREETING.as_bytes(), move |name, id| if name == "query-status" { wrong(name, id) } else { ok(id) }).await.unwrap();
            let answer = qmp.execute(&qapi::qmp::query_status {}, SOON).await.unwrap_err();
            assert!(matches!(answer, QmpError::Answer { command: "query-status", .. }), "{answer}");

            let (ours, theirs) = tokio::io::duplex(64);
            let silent = Qmp::connect(ours, &[], Duration::from_millis(1)).await.unwrap_err();
            assert!(matches!(silent, QmpError::Late { command: "greeting", .. }), "{silent}");
            drop(theirs);
        });
    }
}

//! An output of a session as the host reads it, to its end or to the reason why there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::marked::Marked;

/// Bytes that are taken from the guest at a time.
const PIECE: usize = 64 << 10;
/// The time in which the guest must begin a command, and the time in which the next bytes of an output come that is whole in the guest. An idle
/// guest takes a tenth of a second, one that is emulated on a busy host a few seconds; a runner that was killed never does it.
const COMES: Duration = Duration::from_secs(120);
/// The same for the output of a command that the guest gave up: its end may have got lost.
const COMES_STILL: Duration = Duration::from_secs(1);

/// One of a session's two outputs.
#[derive(Debug)]
pub struct Output {
    stream: UnixStream,
    marked: Marked,
    begins_by: Instant,
    /// Whether the guest has reported the end of the command. It writes the end marks after the host has received that.
    ended: Arc<AtomicBool>,
    /// Whether the guest has given the session up. If the command has ended, the whole output is on its way then.
    freed: watch::Receiver<bool>,
}

/// Why a command has no exit status.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The guest did not open the session's ports.
    #[error("the guest did not begin the command: a process that an earlier one left behind holds its place; try again")]
    Held,
    /// The guest did not answer.
    #[error("the guest did not begin the command in {} s", COMES.as_secs())]
    Late,
    /// The session was ended in the guest.
    #[error("the guest's runner stopped before the command ended, as it does when the system goes down")]
    GivenUp,
    /// The command has ended, and its output does not.
    #[error("the rest of its output did not arrive in {} s", COMES.as_secs())]
    Rest,
    /// QEMU is gone.
    #[error("the machine ended before the command did")]
    Gone,
}

impl Output {
    /// The output of a command that has just been given to the guest.
    pub(super) fn new(stream: UnixStream, marked: Marked, ended: Arc<AtomicBool>, freed: watch::Receiver<bool>) -> Self {
        Self { stream, marked, begins_by: Instant::now() + COMES, ended, freed }
    }

    /// When the next bytes are no longer waited for, and what that means. While the command runs, they may come at any time.
    fn patience(&self, freed: bool) -> Option<(Instant, Lost)> {
        let soon = |limit| Instant::now() + limit;
        match (freed, self.marked.has_begun()) {
            (false, false) => Some((self.begins_by, Lost::Late)),
            (false, true) => None,
            (true, _) if self.ended.load(Ordering::SeqCst) => Some((soon(COMES), Lost::Rest)),
            (true, false) => Some((soon(COMES_STILL), Lost::Held)),
            (true, true) => Some((soon(COMES_STILL), Lost::GivenUp)),
        }
    }

    /// Add the next bytes to `output`, and return the exit status of the command when there are no more. Safe to cancel.
    ///
    /// # Errors
    /// There will be no exit status.
    pub async fn read(&mut self, output: &mut Vec<u8>) -> Result<Option<i32>, Lost> {
        let mut buffer = vec![0; PIECE];
        let count = loop {
            // When nobody can say any more that it is freed, it is.
            let freed = *self.freed.borrow() || self.freed.has_changed().is_err();
            let patience = self.patience(freed);
            let late = async {
                match patience {
                    Some((at, lost)) => {
                        tokio::time::sleep_until(at).await;
                        lost
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                count = self.stream.read(&mut buffer) => break count.unwrap_or(0),
                _ = self.freed.wait_for(|freed| *freed), if !freed => {}
                lost = late => return Err(lost),
            }
        };
        match count {
            0 => Err(Lost::Gone),
            count => Ok(self.marked.take(&buffer[..count], self.ended.load(Ordering::SeqCst), output)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// An output of session 7, QEMU's end of it, and who says that it has ended and is free.
    fn output() -> (Output, UnixStream, Arc<AtomicBool>, watch::Sender<bool>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (ended, (free, freed)) = (Arc::new(AtomicBool::new(false)), watch::channel(false));
        (Output::new(ours, Marked::new("n0", 7), Arc::clone(&ended), freed), theirs, ended, free)
    }

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
    }

    async fn read_to_end(output: &mut Output) -> (Vec<u8>, Result<i32, Lost>) {
        let mut bytes = Vec::new();
        loop {
            match output.read(&mut bytes).await {
                Ok(Some(status)) => return (bytes, Ok(status)),
                Ok(None) => {}
                Err(lost) => return (bytes, Err(lost)),
            }
        }
    }

    const BEGIN: &[u8] = b"\x1egoldsmith n0 begin 7\n";
    const END: &[u8] = b"\x1egoldsmith n0 end 7 3\n";

    #[test]
    fn what_is_on_its_way_when_the_slot_is_free_is_read_to_its_end() {
        on_runtime(async {
            let (mut output, mut qemu, ended, free) = output();
            qemu.write_all(BEGIN).await.unwrap();
            ended.store(true, Ordering::SeqCst);
            free.send_replace(true);
            let late = async {
                tokio::time::sleep(COMES - Duration::from_secs(1)).await;
                qemu.write_all(b"the rest").await.unwrap();
                tokio::time::sleep(COMES - Duration::from_secs(1)).await;
                qemu.write_all(END).await.unwrap();
            };
            let ((bytes, status), ()) = tokio::join!(read_to_end(&mut output), late);
            assert!(bytes == b"the rest" && matches!(status, Ok(3)), "{bytes:?} {status:?}");
        });
    }

    #[test]
    fn each_way_to_lose_a_command_has_its_end() {
        for (begun, has_ended, is_freed, closed, expected) in [
            (false, false, false, false, "did not begin the command in 120 s"),
            (false, false, true, false, "holds its place"),
            (true, false, true, false, "as it does when the system goes down"),
            (true, true, true, false, "the rest of its output did not arrive"),
            (true, false, false, true, "the machine ended before"),
        ] {
            on_runtime(async {
                let (mut output, mut qemu, ended, free) = output();
                if begun {
                    qemu.write_all(BEGIN).await.unwrap();
                    assert_eq!(output.read(&mut Vec::new()).await.unwrap(), None);
                }
                ended.store(has_ended, Ordering::SeqCst);
                free.send_replace(is_freed);
                let qemu = (!closed).then_some(qemu);
                let lost = read_to_end(&mut output).await.1.unwrap_err().to_string();
                assert!(lost.contains(expected), "{expected}: {lost}");
                drop((qemu, free));
            });
        }
        // A supervisor that has let go of the session.
        on_runtime(async {
            let (mut output, mut qemu, _, free) = output();
            qemu.write_all(BEGIN).await.unwrap();
            drop(free);
            assert!(matches!(read_to_end(&mut output).await.1, Err(Lost::GivenUp)));
        });
    }
}

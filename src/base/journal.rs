//! Events as JSON, one record per line: `--json` on standard output, and `build.ndjson`.
//!
//! Every record has `schema`, `time` (RFC 3339, UTC, milliseconds) and `elapsed` (seconds since the log began); the rest is the
//! [`Event`], or an error's record (see `cli::report`).

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::event::{Event, Listener, SCHEMA};

/// A log that takes events until it is closed. Several threads may write to it.
#[derive(Debug)]
pub struct JsonLog<W> {
    begun: Instant,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
enum State<W> {
    Open(W),
    /// Closed, or its reader went away: nothing more is written.
    Closed,
    Broken(io::Error),
}

impl<W: Write> JsonLog<W> {
    /// Begin a log; its clock starts now. Each record is one `write`.
    pub fn new(writer: W) -> Self {
        Self::since(Instant::now(), writer)
    }

    /// As [`Self::new`], with a clock that started when the run began.
    pub fn since(begun: Instant, writer: W) -> Self {
        Self { begun, state: Mutex::new(State::Open(writer)) }
    }

    /// Write one record of `body`, which must serialise as a map.
    pub fn record(&self, body: &impl Serialize) {
        let text = stamped(body, Timestamp::now(), self.begun.elapsed().as_secs_f64());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(writer) = &mut *state
            && let Err(error) = writer.write_all(text.as_bytes()).and_then(|()| writer.flush())
        {
            *state = if error.kind() == io::ErrorKind::BrokenPipe { State::Closed } else { State::Broken(error) };
        }
    }

    /// Write nothing more, and give the writer back; `None` when its reader went away or it was closed before.
    ///
    /// # Errors
    /// A record could not be written (a full disk); the log ends before it.
    pub fn close(&self) -> io::Result<Option<W>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Closed) {
            State::Open(writer) => Ok(Some(writer)),
            State::Closed => Ok(None),
            State::Broken(error) => Err(error),
        }
    }
}

impl<W: Write + Send> Listener for JsonLog<W> {
    fn hear(&self, event: &Event) {
        self.record(event);
    }
}

/// `body` as a record that stands alone, with its line end, `elapsed` after the run began.
pub fn line(body: &impl Serialize, elapsed: Duration) -> String {
    stamped(body, Timestamp::now(), elapsed.as_secs_f64())
}

fn stamped(body: &impl Serialize, time: Timestamp, elapsed: f64) -> String {
    #[derive(Serialize)]
    struct Record<'a, B> {
        schema: u32,
        time: String,
        elapsed: f64,
        #[serde(flatten)]
        body: &'a B,
    }
    let elapsed = (elapsed * 1000.0).round() / 1000.0;
    let record = Record { schema: SCHEMA, time: format!("{time:.3}"), elapsed, body };
    match serde_json::to_string(&record) {
        Ok(text) => text + "\n",
        // Only a body that is no map gets here. This is no panic: an error of the log must not end the run.
        Err(error) => format!("{{\"schema\":{SCHEMA},\"event\":\"unwritable\",\"text\":{:?}}}\n", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Outcome, Unit};

    #[test]
    fn a_record_is_one_line_with_its_time() {
        let time = Timestamp::from_millisecond(1_774_353_600_250).unwrap();
        for (event, expected) in [
            (
                Event::Begin { task: 1, title: "install".into() },
                r#"{"schema":1,"time":"2026-03-24T12:00:00.250Z","elapsed":1.235,"event":"begin","task":1,"title":"install"}"#,
            ),
            (
                Event::Progress { task: 1, step: "a\nb".into(), done: 2, total: None, unit: Unit::Bytes },
                r#"{"schema":1,"time":"2026-03-24T12:00:00.250Z","elapsed":1.235,"event":"progress","task":1,"step":"a\nb","done":2,"total":null,"unit":"bytes"}"#,
            ),
            (
                Event::End { task: 1, title: "install".into(), outcome: Outcome::Reused, seconds: 0.5 },
                r#"{"schema":1,"time":"2026-03-24T12:00:00.250Z","elapsed":1.235,"event":"end","task":1,"title":"install","outcome":"reused","seconds":0.5}"#,
            ),
        ] {
            assert_eq!(stamped(&event, time, 1.234_567), format!("{expected}\n"));
        }
    }

    /// Takes one record, then fails.
    struct Failing(io::ErrorKind, usize);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1 > 1 { Err(self.0.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is_one() {
        for (kind, expected) in [(io::ErrorKind::BrokenPipe, None), (io::ErrorKind::StorageFull, Some(io::ErrorKind::StorageFull))] {
            let log = JsonLog::new(Failing(kind, 0));
            (0..3).for_each(|_| log.hear(&Event::Note { text: "x".into() }));
            assert_eq!(log.close().err().map(|error| error.kind()), expected);
            assert!(log.close().unwrap().is_none());
        }
    }

    #[test]
    fn a_closed_log_is_given_back_whole() {
        let log = JsonLog::new(Vec::new());
        log.hear(&Event::Note { text: "one".into() });
        let bytes = log.close().unwrap().unwrap();
        log.hear(&Event::Note { text: "two".into() });
        assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), 1);
    }
}

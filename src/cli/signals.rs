//! SIGINT and SIGTERM: the first signal ends the run in order, the second ends it at once.
//!
//! To end in order, the work is dropped: every machine, child process and unfinished directory ends with its owner. That needs the thread
//! that does the work, and it may be inside a call that does not return: the read of a FIFO, a file system that does not answer, a drop. So
//! a watcher on another thread receives the signals too, and ends the process at a second one or after [`PATIENCE`]. Children then die by
//! their parent-death signal.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{exit, printer, report};
use crate::base::failure::{Class, Failure};

/// The longest time for an orderly end.
pub const PATIENCE: Duration = Duration::from_millis(2800);

/// Whether a signal has ended the run.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether a signal has ended the run. Work that fails from then on was interrupted.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// A signal ended the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", by.word(), if *resumes { "; run the same command to go on" } else { "" })]
pub struct Ended {
    by: By,
    /// Whether the same command would continue where this one ended.
    resumes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// SIGINT: ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Ended {
    /// An end by something that has the meaning of SIGTERM.
    pub const TERMINATED: Self = Self { by: By::Terminate, resumes: false };
}

impl By {
    fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        }
    }
}

impl Failure for Ended {
    fn class(&self) -> Class {
        match self.by {
            By::Interrupt => Class::Interrupted,
            By::Terminate => Class::Terminated,
        }
    }

    fn remedy(&self) -> Option<String> {
        None
    }
}

/// Do `work`. If a signal arrives first, drop it. `resumes` is whether the same command would continue from there.
///
/// # Errors
/// The signal.
pub async fn or_ended<T>(work: impl Future<Output = T>, resumes: bool) -> Result<T, Ended> {
    // When signals cannot be received, their default action still ends the process.
    let Ok(mut listening) = Listening::start() else { return Ok(work.await) };
    watch(resumes);
    tokio::select! {
        biased;
        by = listening.wait() => Err(Ended { by, resumes }),
        done = work => Ok(done),
    }
}

struct Listening {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Listening {
    fn start() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) -> By {
        let by = tokio::select! {
            _ = self.interrupt.recv() => By::Interrupt,
            _ = self.terminate.recv() => By::Terminate,
        };
        // This must be set before the work is dropped, because its tasks then report how they ended.
        ENDING.store(true, Ordering::Relaxed);
        by
    }
}

fn watch(resumes: bool) {
    let (listens, listening) = mpsc::channel();
    // Without the watcher the end is still orderly, but its time is not limited.
    let watcher = thread::Builder::new().name("end-watcher".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let ended = runtime.block_on(async {
            let mut listening = Listening::start().ok()?;
            drop(listens);
            let by = listening.wait().await;
            // After a second signal or the timeout, the process ends.
            let _ = tokio::time::timeout(PATIENCE, listening.wait()).await;
            Some(Ended { by, resumes })
        });
        if let Some(ended) = ended {
            printer::err(&report::text(&ended, false));
            std::process::exit(i32::from(exit::code(ended.class())));
        }
    });
    // Wait until the watcher listens before the work begins: only one of them would receive a signal in between. Nothing is ever sent; the
    // closed channel is the sign.
    if watcher.is_ok() {
        let _: Result<(), _> = listening.recv();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    const CHILD: &str = "GOLDSMITH_TEST_SIGNALS";
    /// Seconds that the work itself does not come back.
    const BLOCKED: u64 = 7200;

    /// Work that reports its start. Its drop takes the time that the variable gives.
    struct Slow(Duration);

    impl Drop for Slow {
        fn drop(&mut self) {
            crate::cli::printer::err("dropping\n");
            thread::sleep(self.0);
            crate::cli::printer::err("dropped\n");
        }
    }

    /// Not a test by itself: the test below starts it as its child.
    #[test]
    fn child() {
        let Some(seconds) = std::env::var(CHILD).ok().and_then(|text| text.parse().ok()) else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(or_ended(
            async {
                if seconds == BLOCKED {
                    crate::cli::printer::err("working\ndropping\n");
                    thread::sleep(Duration::from_secs(seconds));
                }
                let _slow = Slow(Duration::from_secs(seconds));
                // The timer fires only after the signal handlers are installed.
                tokio::time::sleep(Duration::from_millis(1)).await;
                crate::cli::printer::err("working\n");
                std::future::pending::<()>().await;
            },
            false,
        ));
        std::process::exit(i32::from(exit::code(result.unwrap_err().class())) - 100);
    }

    fn start(seconds: u64) -> (Child, impl Iterator<Item = String>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cli::signals::tests::child", "--nocapture"])
            .env(CHILD, seconds.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        (child, lines)
    }

    fn send(child: &Child, signal: Signal) {
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// `help exit-codes` says so.
    #[test]
    fn an_end_takes_three_seconds_at_most() {
        assert!(PATIENCE < Duration::from_secs(3));
    }

    #[test]
    fn the_first_signal_drops_the_work_the_second_or_time_ends_it() {
        // Seconds that the drop takes, first signal, second signal, exit status: minus 100 when the end was orderly.
        for (seconds, first, second, expected) in [
            (0, Signal::INT, None, 30),
            (0, Signal::TERM, None, 43),
            (3600, Signal::INT, Some(Signal::INT), 130),
            (3600, Signal::TERM, Some(Signal::INT), 143),
            (3600, Signal::TERM, None, 143),
            (BLOCKED, Signal::INT, None, 130),
            (BLOCKED, Signal::TERM, Some(Signal::TERM), 143),
        ] {
            let (mut child, mut lines) = start(seconds);
            assert!(lines.any(|line| line == "working"));
            send(&child, first);
            assert!(lines.any(|line| line == "dropping"));
            if let Some(second) = second {
                // The watcher waits for the second signal a moment after the drop began.
                thread::sleep(Duration::from_millis(200));
                send(&child, second);
            }
            // This is far more than it needs, so that a missing watcher fails the test instead of blocking it.
            let deadline = Instant::now() + Duration::from_secs(60);
            let status = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break status,
                    None if Instant::now() > deadline => child.kill().unwrap(),
                    None => thread::sleep(Duration::from_millis(5)),
                }
            };
            assert_eq!((status.code(), status.signal()), (Some(expected), None), "{seconds} {first:?} {second:?}");
        }
    }
}

//! Events, sent while work goes on: the only interface between the work and its display.
//!
//! Doers hold an [`Events`] and open [`Task`]s; bars, plain lines, `--json` and `build.ndjson` are listeners.
//! The words are generic on purpose: a task, its progress, a line of output, a note.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

/// Version of the event vocabulary; every record carries it.
pub const SCHEMA: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A task began.
    Begin {
        /// Names the task in later events of this run.
        task: u64,
        /// The title of the task, for people: `install`, `check docker`.
        title: String,
    },
    /// A task got further.
    Progress {
        /// The task.
        task: u64,
        /// What it is at, for people; may be empty.
        step: String,
        /// How far it is, in `unit`.
        done: u64,
        /// Where it ends, when that is known.
        total: Option<u64>,
        /// The unit of the count.
        unit: Unit,
    },
    /// A line of output of something the task runs, without its line end. Not ours, not trusted: show it through [`super::text::printable`].
    Line {
        /// The task.
        task: u64,
        /// The source of the line: `console`, `mmdebstrap`, `provision`.
        source: &'static str,
        /// The line.
        text: String,
    },
    /// A check of an image has its answer.
    Check {
        /// The promise, for people.
        name: String,
        /// How it ended, in one word.
        outcome: &'static str,
        /// The finding. It can hold text of a guest: show it through [`super::text::printable`].
        detail: String,
    },
    /// Something the user should know.
    Note {
        /// The sentence.
        text: String,
    },
    /// Something the user should act upon, though the run goes on.
    Warning {
        /// The sentence.
        text: String,
    },
    /// A guest's console takes the user's terminal, or gives it back: nothing else may be drawn there meanwhile.
    Console {
        /// Whether it takes it.
        taken: bool,
    },
    /// A task ended.
    End {
        /// The task.
        task: u64,
        /// Its title again, so that a line stands alone.
        title: String,
        /// How it ended.
        outcome: Outcome,
        /// How long it took, in seconds.
        seconds: f64,
    },
}

/// The unit of a progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Steps of equal worth.
    Steps,
    /// Hundredths of the whole.
    Percent,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it was to do.
    Done,
    /// There was nothing to do: the store has the result.
    Reused,
    /// It failed, or was dropped on the way out of a failure.
    Failed,
    /// The user ended the run.
    Interrupted,
}

/// A listener.
pub trait Listener: Send + Sync {
    /// Called for every event, in order, on the thread that caused it: be quick.
    fn hear(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Listener for F {
    fn hear(&self, event: &Event) {
        self(event);
    }
}

/// The speaking end. Clones speak to the same listeners.
#[derive(Clone)]
pub struct Events {
    listeners: Arc<[Box<dyn Listener>]>,
    next_task: Arc<AtomicU64>,
}

impl Events {
    /// Speak to `listeners`, in their order.
    pub fn new(listeners: Vec<Box<dyn Listener>>) -> Self {
        Self { listeners: listeners.into(), next_task: Arc::new(AtomicU64::new(1)) }
    }

    /// Speak to `listener` too.
    #[must_use]
    pub fn with(&self, listener: Box<dyn Listener>) -> Self {
        let first = self.listeners.clone();
        let both = move |event: &Event| {
            first.iter().for_each(|listener| listener.hear(event));
            listener.hear(event);
        };
        Self { listeners: Arc::new([Box::new(both)]), next_task: Arc::clone(&self.next_task) }
    }

    /// Without listeners.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Begin a task.
    pub fn task(&self, title: impl Into<String>) -> Task {
        let title = title.into();
        let id = self.next_task.fetch_add(1, Ordering::Relaxed);
        self.say(&Event::Begin { task: id, title: title.clone() });
        Task { events: self.clone(), id, title, begun: Instant::now(), ended: false }
    }

    /// Tell the user something.
    pub fn note(&self, text: impl Into<String>) {
        self.say(&Event::Note { text: text.into() });
    }

    /// Tell how a check of an image ended; `outcome` is one word.
    pub fn check(&self, name: &str, outcome: &'static str, detail: &str) {
        self.say(&Event::Check { name: name.to_owned(), outcome, detail: detail.to_owned() });
    }

    /// Warn the user of something.
    pub fn warn(&self, text: impl Into<String>) {
        self.say(&Event::Warning { text: text.into() });
    }

    /// A guest's console takes the user's terminal, or gives it back.
    pub fn console(&self, taken: bool) {
        self.say(&Event::Console { taken });
    }

    fn say(&self, event: &Event) {
        self.listeners.iter().for_each(|listener| listener.hear(event));
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("listeners", &self.listeners.len()).finish_non_exhaustive()
    }
}

/// A task under way. Dropped without an end, it ends as [`Outcome::Failed`].
#[derive(Debug)]
pub struct Task {
    events: Events,
    id: u64,
    title: String,
    begun: Instant,
    ended: bool,
}

impl Task {
    /// Say how far the task is.
    pub fn progress(&self, step: &str, done: u64, total: Option<u64>, unit: Unit) {
        self.events.say(&Event::Progress { task: self.id, step: step.to_owned(), done, total, unit });
    }

    /// Name the step the task is at, when nothing can be counted.
    pub fn step(&self, step: &str) {
        self.progress(step, 0, None, Unit::Steps);
    }

    /// Pass on a line of output.
    pub fn line(&self, source: &'static str, text: impl Into<String>) {
        self.events.say(&Event::Line { task: self.id, source, text: text.into() });
    }

    /// The speaking end the task belongs to.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The task did what it was to do. Gives its duration in seconds.
    pub fn done(self) -> f64 {
        self.end(Outcome::Done)
    }

    /// The store has the result.
    pub fn reused(self) -> f64 {
        self.end(Outcome::Reused)
    }

    fn end(mut self, outcome: Outcome) -> f64 {
        self.say_end(outcome)
    }

    fn say_end(&mut self, outcome: Outcome) -> f64 {
        self.ended = true;
        let seconds = self.begun.elapsed().as_secs_f64();
        self.events.say(&Event::End { task: self.id, title: self.title.clone(), outcome, seconds });
        seconds
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.ended {
            self.say_end(Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_task_ends_and_an_abandoned_one_has_failed() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let events = Events::new(vec![Box::new(move |event: &Event| {
            if let Event::End { title, outcome, .. } = event {
                ear.lock().unwrap().push((title.clone(), *outcome));
            }
        })]);
        events.task("a").done();
        events.task("b").reused();
        drop(events.task("c"));
        let expected = [("a", Outcome::Done), ("b", Outcome::Reused), ("c", Outcome::Failed)];
        assert_eq!(*heard.lock().unwrap(), expected.map(|(title, outcome)| (title.to_owned(), outcome)));
    }
}

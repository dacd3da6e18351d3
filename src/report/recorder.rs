//! Records the events of a run that a report shows: tasks, their steps, and warnings.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::base::event::{Event, Listener, Outcome};

/// Steps of one task that are kept, at most: a guest can name as many as it likes.
const STEPS: usize = 500;
/// Tasks and warnings that are kept, at most.
const ENTRIES: usize = 500;
/// Characters of a step's name that are kept.
const STEP_LENGTH: usize = 100;

/// A listener that records the events for a report. Clones share one record.
#[derive(Debug, Clone)]
pub struct Recorder {
    begun: Instant,
    recorded: Arc<Mutex<Recorded>>,
}

/// The recorded events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// Tasks in the order they began.
    pub tasks: Vec<RecordedTask>,
    /// Warnings in the order they came.
    pub warnings: Vec<String>,
}

/// A recorded task.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedTask {
    /// Its number among the events.
    pub task: u64,
    /// The title of the task.
    pub title: String,
    /// When it began, in seconds after the recorder was made.
    pub begun: f64,
    /// How it ended and how long it took, in seconds; none for a task that has not ended.
    pub ended: Option<(Outcome, f64)>,
    /// Its steps, and when each began, in seconds after the recorder was made.
    pub steps: Vec<(String, f64)>,
}

impl Recorder {
    /// Begin to record; time counts from now.
    pub fn new() -> Self {
        Self { begun: Instant::now(), recorded: Arc::default() }
    }

    /// The events so far.
    pub fn recorded(&self) -> Recorded {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener for Recorder {
    fn hear(&self, event: &Event) {
        let at = self.begun.elapsed().as_secs_f64();
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).hear(event, at);
    }
}

impl Recorded {
    /// Record `event`, which came `at` seconds after the begin, if a report shows it.
    fn hear(&mut self, event: &Event, at: f64) {
        match event {
            Event::Begin { task, title } if self.tasks.len() < ENTRIES => {
                self.tasks.push(RecordedTask { task: *task, title: title.clone(), begun: at, ended: None, steps: Vec::new() });
            }
            Event::Progress { task, step, .. } => {
                let step: String = step.chars().take(STEP_LENGTH).collect();
                if let Some(task) = self.task(*task)
                    && task.steps.len() < STEPS
                    && !step.is_empty()
                    && task.steps.last().is_none_or(|(last, _)| *last != step)
                {
                    task.steps.push((step, at));
                }
            }
            Event::End { task, outcome, seconds, .. } => {
                if let Some(task) = self.task(*task) {
                    task.ended = Some((*outcome, *seconds));
                }
            }
            Event::Warning { text } if self.warnings.len() < ENTRIES => self.warnings.push(text.clone()),
            Event::Begin { .. }
            | Event::Warning { .. }
            | Event::Line { .. }
            | Event::Check { .. }
            | Event::Note { .. }
            | Event::Console { .. } => {}
        }
    }

    fn task(&mut self, number: u64) -> Option<&mut RecordedTask> {
        self.tasks.iter_mut().rev().find(|task| task.task == number)
    }

    /// The same with every text changed by `change`.
    #[must_use]
    pub fn with_texts(mut self, change: impl Fn(&str) -> String) -> Self {
        for task in &mut self.tasks {
            task.title = change(&task.title);
            task.steps.iter_mut().for_each(|(step, _)| *step = change(step));
        }
        self.warnings.iter_mut().for_each(|warning| *warning = change(warning));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Events, Unit};

    #[test]
    fn steps_are_kept_once_and_a_guest_cannot_fill_the_memory() {
        let recorder = Recorder::new();
        let events = Events::new(vec![Box::new(recorder.clone())]);
        let (first, second) = (events.task("a"), events.task("b"));
        for step in ["x", "x", "", "y", "x"] {
            first.progress(step, 1, None, Unit::Steps);
        }
        first.line("guest", "no word of this");
        events.note("nor of this");
        events.warn("careful");
        first.done();
        for number in 0..2 * STEPS {
            second.step(&format!("{number} {}", "z".repeat(10 * STEP_LENGTH)));
            drop(events.task("c"));
        }
        let recorded = recorder.recorded();
        let steps: Vec<_> = recorded.tasks[0].steps.iter().map(|(step, _)| step.as_str()).collect();
        assert_eq!(steps, ["x", "y", "x"]);
        assert_eq!(recorded.tasks[0].ended.map(|(outcome, _)| outcome), Some(Outcome::Done));
        assert_eq!((recorded.tasks[1].ended, recorded.tasks[1].steps.len()), (None, STEPS));
        assert!(recorded.tasks[1].steps.iter().all(|(step, _)| step.len() == STEP_LENGTH));
        assert_eq!((recorded.tasks.len(), recorded.warnings), (ENTRIES, vec!["careful".to_owned()]));
    }
}

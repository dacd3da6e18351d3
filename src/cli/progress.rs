//! Progress for people, on standard error: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::{printer, signals};
use crate::base::event::{Event, Listener, Outcome, Unit};
use crate::base::size::rounded;
use crate::base::text::printable;

/// The least time between two plain lines of progress. Lines for the start and the end of a task are always written.
const PLAIN_PERIOD: Duration = Duration::from_secs(30);

/// The least time between two records of a task's progress.
const THIN_PERIOD: Duration = Duration::from_secs(1);

/// A listener for standard error: bars where they can be drawn, else plain lines. `verbose` also shows lines of output.
pub fn listener(bars: bool, verbose: bool) -> Box<dyn Listener> {
    if bars {
        Box::new(Bars::new(ProgressDrawTarget::stderr(), verbose))
    } else {
        Box::new(Lines { begun: Instant::now(), state: Mutex::new(Plain::new(verbose)) })
    }
}

/// Reports a task that failed after a signal as interrupted.
pub struct Told(pub Box<dyn Listener>);

impl Listener for Told {
    fn hear(&self, event: &Event) {
        match event {
            Event::End { task, title, outcome: Outcome::Failed, seconds } if signals::is_ending() => {
                self.0.hear(&Event::End { task: *task, title: title.clone(), outcome: Outcome::Interrupted, seconds: *seconds });
            }
            _ => self.0.hear(event),
        }
    }
}

/// Passes a task's progress on at most once in a period, because a download reports a thousand times in a second. All other events are
/// passed on.
pub struct Thinned<L> {
    to: L,
    said: Mutex<HashMap<u64, Instant>>,
}

impl<L> Thinned<L> {
    /// A listener that passes events to `to`.
    pub fn new(to: L) -> Self {
        Self { to, said: Mutex::new(HashMap::new()) }
    }
}

impl<L: Listener> Listener for Thinned<L> {
    fn hear(&self, event: &Event) {
        match event {
            // The last event of a count with a total is always passed on.
            Event::Progress { task, done, total, .. } if *total != Some(*done) => {
                let mut said = locked(&self.said);
                let last = said.get(task);
                if last.is_some_and(|last| last.elapsed() < THIN_PERIOD) {
                    return;
                }
                said.insert(*task, Instant::now());
            }
            Event::End { task, .. } => drop(locked(&self.said).remove(task)),
            _ => {}
        }
        self.to.hear(event);
    }
}

/// Plain lines, each with the time of day (UTC).
struct Lines {
    begun: Instant,
    state: Mutex<Plain>,
}

impl Listener for Lines {
    fn hear(&self, event: &Event) {
        if let Some(line) = locked(&self.state).line(event, self.begun.elapsed()) {
            printer::err(&format!("{} {line}\n", Timestamp::now().strftime("%H:%M:%SZ")));
        }
    }
}

/// The text of plain lines, as a function of events and time.
struct Plain {
    verbose: bool,
    titles: HashMap<u64, String>,
    last_progress: Duration,
}

impl Plain {
    fn new(verbose: bool) -> Self {
        Self { verbose, titles: HashMap::new(), last_progress: Duration::ZERO }
    }

    /// The line for `event`, which arrived `at` a time after the start.
    fn line(&mut self, event: &Event, at: Duration) -> Option<String> {
        match event {
            Event::Begin { task, title } => {
                self.titles.insert(*task, title.clone());
                Some(format!("{}: begun", printable(title)))
            }
            Event::Progress { task, step, done, total, unit } => {
                if at.saturating_sub(self.last_progress) < PLAIN_PERIOD {
                    return None;
                }
                self.last_progress = at;
                let words = [printable(step), amount(*done, *total, *unit)];
                let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
                Some(format!("{}: {}", self.title(*task), if words.is_empty() { "under way".into() } else { words.join(", ") }))
            }
            Event::Line { task, source, text } => self.verbose.then(|| format!("{}: {source}: {}", self.title(*task), printable(text))),
            // Failures are reported at the end, by the error.
            Event::Check { .. } | Event::Console { .. } => None,
            Event::Note { text } => Some(printable(text)),
            Event::Warning { text } => Some(format!("warning: {}", printable(text))),
            Event::End { task, title, outcome, seconds } => {
                self.titles.remove(task);
                Some(format!("{}: {}", printable(title), ending(*outcome, *seconds)))
            }
        }
    }

    fn title(&self, task: u64) -> String {
        self.titles.get(&task).map_or_else(|| format!("task {task}"), |title| printable(title))
    }
}

/// Bars, one for each running task. A finished task becomes a line above them.
struct Bars {
    multi: MultiProgress,
    verbose: bool,
    tasks: Mutex<HashMap<u64, (String, ProgressBar)>>,
}

impl Bars {
    fn new(target: ProgressDrawTarget, verbose: bool) -> Self {
        Self { multi: MultiProgress::with_draw_target(target), verbose, tasks: Mutex::new(HashMap::new()) }
    }

    fn say(&self, line: &str) {
        // `println` of indicatif is not used, because it leaves the last line without a line end when there is no bar below it.
        self.multi.suspend(|| printer::err(&format!("{line}\n")));
    }
}

impl Listener for Bars {
    fn hear(&self, event: &Event) {
        match event {
            Event::Begin { task, title } => {
                let bar = self.multi.add(ProgressBar::no_length().with_style(style(None)));
                bar.set_prefix(printable(title));
                bar.enable_steady_tick(Duration::from_millis(200));
                locked(&self.tasks).insert(*task, (printable(title), bar));
            }
            Event::Progress { task, step, done, total, unit } => {
                if let Some((_, bar)) = locked(&self.tasks).get(task) {
                    if bar.length() != *total {
                        bar.set_style(style(*total));
                        match total {
                            Some(total) => bar.set_length(*total),
                            None => bar.unset_length(),
                        }
                    }
                    bar.set_position(*done);
                    let words = [printable(step), amount(*done, *total, *unit)];
                    bar.set_message(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  "));
                }
            }
            Event::Line { task, source, text } => {
                if self.verbose {
                    let title = locked(&self.tasks).get(task).map(|(title, _)| title.clone()).unwrap_or_default();
                    self.say(&format!("{title}: {source}: {}", printable(text)));
                }
            }
            Event::Check { .. } => {}
            Event::Console { taken } => {
                // Otherwise the drawn bars would stay above the console.
                let _ = self.multi.clear();
                self.multi.set_draw_target(if *taken { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
            }
            Event::Note { text } => self.say(&printable(text)),
            Event::Warning { text } => self.say(&format!("warning: {}", printable(text))),
            Event::End { task, title, outcome, seconds } => {
                if let Some((_, bar)) = locked(&self.tasks).remove(task) {
                    bar.finish_and_clear();
                    self.multi.remove(&bar);
                }
                self.say(&format!("{}: {}", printable(title), ending(*outcome, *seconds)));
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for (_, bar) in locked(&self.tasks).values() {
            bar.finish_and_clear();
        }
    }
}

fn style(total: Option<u64>) -> ProgressStyle {
    let template = match total {
        Some(_) => "{spinner} {prefix}  {elapsed}  [{bar:24}]  {wide_msg}",
        None => "{spinner} {prefix}  {elapsed}  {wide_msg}",
    };
    // If the template did not parse, indicatif's default bar would be shown.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).tick_chars("|/-\\ ").progress_chars("=> ")
}

/// `12.0 MiB of 264 MiB`, `3 of 7`, `40 %`; empty when nothing is counted.
fn amount(done: u64, total: Option<u64>, unit: Unit) -> String {
    match (unit, total) {
        (Unit::Bytes, Some(total)) => format!("{} of {}", rounded(done), rounded(total)),
        (Unit::Bytes, None) => rounded(done),
        (Unit::Percent, _) => format!("{done} %"),
        (Unit::Steps, Some(total)) => format!("{done} of {total}"),
        (Unit::Steps, None) if done == 0 => String::new(),
        (Unit::Steps, None) => done.to_string(),
    }
}

fn ending(outcome: Outcome, seconds: f64) -> String {
    match outcome {
        Outcome::Done => format!("done in {}", duration(seconds)),
        Outcome::Reused => "cached".into(),
        Outcome::Failed => format!("failed after {}", duration(seconds)),
        Outcome::Interrupted => format!("interrupted after {}", duration(seconds)),
    }
}

/// `0.4 s`, `68 s`, `2 min 5 s`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..100 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(step: &str, done: u64, total: Option<u64>, unit: Unit) -> Event {
        Event::Progress { task: 1, step: step.into(), done, total, unit }
    }

    #[test]
    fn plain_lines_name_what_begins_and_ends_and_are_sparing_between() {
        let line = |text: &str| Event::Line { task: 1, source: "console", text: text.into() };
        let end = |outcome, seconds| Event::End { task: 1, title: "install".into(), outcome, seconds };
        let events = [
            (0, Event::Begin { task: 1, title: "inst\u{1b}[2Jall".into() }, Some("install: begun")),
            (1, progress("packages", 1, Some(4), Unit::Steps), None),
            (30, progress("packages", 2, Some(4), Unit::Steps), Some("install: packages, 2 of 4")),
            (59, progress("packages", 3, Some(4), Unit::Steps), None),
            (60, progress("", 1 << 20, Some(2 << 20), Unit::Bytes), Some("install: 1.00 MiB of 2.00 MiB")),
            (90, progress("", 0, None, Unit::Steps), Some("install: under way")),
            (120, progress("copy", 40, Some(100), Unit::Percent), Some("install: copy, 40 %")),
            (121, line("\u{1b}]0;title\u{7}hello"), Some("install: console: hello")),
            (122, Event::Note { text: "a\nb".into() }, Some("a\u{fffd}b")),
            (123, Event::Warning { text: "no KVM".into() }, Some("warning: no KVM")),
            (124, end(Outcome::Done, 124.4), Some("install: done in 2 min 4 s")),
            (124, end(Outcome::Reused, 0.0), Some("install: cached")),
            (124, end(Outcome::Failed, 9.44), Some("install: failed after 9.4 s")),
            (124, end(Outcome::Interrupted, 31.2), Some("install: interrupted after 31 s")),
            (200, progress("late", 0, None, Unit::Steps), Some("task 1: late")),
        ];
        let mut plain = Plain::new(true);
        for (at, event, expected) in &events {
            assert_eq!(plain.line(event, Duration::from_secs(*at)).as_deref(), *expected, "{event:?}");
        }
        assert_eq!(Plain::new(false).line(&line("x"), Duration::ZERO), None);
    }

    #[test]
    fn progress_is_thinned_and_nothing_else_is() {
        let heard = std::sync::Arc::new(Mutex::new(Vec::new()));
        let ear = std::sync::Arc::clone(&heard);
        let thinned = Thinned::new(move |event: &Event| locked(&ear).push(event.clone()));
        for done in 0..=1000 {
            thinned.hear(&progress("copy", done, Some(1000), Unit::Steps));
        }
        thinned.hear(&Event::Note { text: "a".into() });
        thinned.hear(&Event::Note { text: "b".into() });
        let heard = locked(&heard);
        assert_eq!(heard.first(), Some(&progress("copy", 0, Some(1000), Unit::Steps)));
        assert!(heard.contains(&progress("copy", 1000, Some(1000), Unit::Steps)), "the end is lost");
        let count = |wanted: fn(&Event) -> bool| heard.iter().filter(|event| wanted(event)).count();
        assert!(count(|event| matches!(event, Event::Progress { .. })) < 500, "{}", heard.len());
        assert_eq!(count(|event| matches!(event, Event::Note { .. })), 2);
    }

    #[test]
    fn bars_follow_a_task_and_are_gone_with_it() {
        let bars = Bars::new(ProgressDrawTarget::hidden(), true);
        bars.hear(&Event::Begin { task: 1, title: "install".into() });
        bars.hear(&progress("copy", 3, Some(7), Unit::Steps));
        {
            let tasks = locked(&bars.tasks);
            let bar = &tasks[&1].1;
            assert_eq!((bar.prefix().as_str(), bar.message().as_str()), ("install", "copy  3 of 7"));
            assert_eq!((bar.position(), bar.length()), (3, Some(7)));
        }
        bars.hear(&progress("boot", 0, None, Unit::Steps));
        assert_eq!(locked(&bars.tasks)[&1].1.length(), None);
        bars.hear(&Event::End { task: 1, title: "install".into(), outcome: Outcome::Done, seconds: 1.0 });
        assert!(locked(&bars.tasks).is_empty());
    }
}

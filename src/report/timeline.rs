//! The rows of the timeline, in the units of the page: hundredths of the whole run.

use serde::Serialize;

use super::recorder::{Recorded, RecordedTask};
use crate::base::event::Outcome;
use crate::base::text::printable;

/// Seconds; a part of a task that took less is not shown.
const SHORTEST: f64 = 1.0;

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    title: String,
    /// When it began: `1:52`.
    begun: String,
    /// How long it took: `11.4 s`.
    took: String,
    outcome: &'static str,
    bar: Bar,
    parts: Vec<Part>,
}

/// Where a bar begins and how long it is, in hundredths of the whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    from: String,
    width: String,
}

/// A step of a task that took a while.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Part {
    title: String,
    took: String,
    /// Whether a system was booted in a machine.
    is_boot: bool,
    bar: Bar,
}

/// The timeline of a run, and how long all of it took.
pub(super) fn rows(recorded: &Recorded) -> (Vec<Row>, String) {
    let end = |task: &RecordedTask| task.begun + seconds(task, task.begun);
    let heard = |task: &RecordedTask| task.steps.last().map_or(task.begun, |(_, at)| *at);
    let total = recorded.tasks.iter().map(|task| end(task).max(heard(task))).fold(0.0, f64::max);
    (recorded.tasks.iter().map(|task| row(task, total)).collect(), duration(total))
}

/// How long `task` took; one that has not ended lasts until `now`.
fn seconds(task: &RecordedTask, now: f64) -> f64 {
    task.ended.map_or((now - task.begun).max(0.0), |(_, seconds)| seconds)
}

fn row(task: &RecordedTask, total: f64) -> Row {
    let took = seconds(task, total);
    Row {
        title: printable(&task.title),
        begun: clock(task.begun),
        took: duration(took),
        outcome: match task.ended {
            Some((Outcome::Done, _)) => "done",
            Some((Outcome::Reused, _)) => "reused",
            Some((Outcome::Failed, _)) => "failed",
            Some((Outcome::Interrupted, _)) => "interrupted",
            None => "under way",
        },
        bar: bar(task.begun, took, total),
        parts: parts(task, task.begun + took, total),
    }
}

fn parts(task: &RecordedTask, end: f64, total: f64) -> Vec<Part> {
    let ends = task.steps.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let timed = task.steps.iter().zip(ends).map(|((step, at), end)| (step, *at, end - at));
    timed
        .filter(|(.., took)| *took >= SHORTEST)
        .map(|(step, at, took)| Part {
            title: printable(step),
            took: duration(took),
            is_boot: ["boot ", "booting"].iter().any(|boot| step.starts_with(boot)),
            bar: bar(at, took, total),
        })
        .collect()
}

fn bar(from: f64, took: f64, total: f64) -> Bar {
    let share = |seconds: f64| if total > 0.0 { format!("{:.2}", (seconds / total * 100.0).clamp(0.0, 100.0)) } else { "0".to_owned() };
    Bar { from: share(from), width: share(took) }
}

/// Seconds after the begin: `0:09`, `1:02:30`.
fn clock(seconds: f64) -> String {
    // A run of more than 2^32 seconds is shown as one of that length.
    let whole = seconds.clamp(0.0, f64::from(u32::MAX)) as u32;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `4.2 s`, `3 min 9 s`.
fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.min(f64::from(u32::MAX)) as u32;
    format!("{} min {} s", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_their_task_and_short_ones_are_left_out() {
        let task = |title: &str, begun, ended, steps: &[(&str, f64)]| RecordedTask {
            task: 1,
            title: title.to_owned(),
            begun,
            ended,
            steps: steps.iter().map(|(step, at)| ((*step).to_owned(), *at)).collect(),
        };
        let recorded = Recorded {
            tasks: vec![
                task("resolve", 0.0, Some((Outcome::Reused, 0.5)), &[]),
                task("install", 0.5, Some((Outcome::Done, 99.5)), &[("a", 1.0), ("b", 1.2), ("booting: kernel", 51.2)]),
                task("verify", 100.0, None, &[("booting by its boot loader: kernel", 150.0), ("checks", 200.0)]),
            ],
            warnings: Vec::new(),
        };
        let (rows, total) = rows(&recorded);
        assert_eq!(total, "3 min 20 s");
        assert_eq!((rows[0].outcome, rows[0].took.as_str(), rows[0].bar.width.as_str()), ("reused", "0.5 s", "0.25"));
        let parts: Vec<_> = rows[1].parts.iter().map(|part| (part.title.as_str(), part.took.as_str(), part.is_boot)).collect();
        assert_eq!(parts, [("b", "50.0 s", false), ("booting: kernel", "48.8 s", true)]);
        assert_eq!(rows[1].parts[1].bar, Bar { from: "25.60".to_owned(), width: "24.40".to_owned() });
        assert_eq!((rows[2].outcome, rows[2].took.as_str(), rows[2].begun.as_str()), ("under way", "1 min 40 s", "1:40"));
        assert_eq!(rows[2].parts.len(), 1);
        assert_eq!((clock(3723.9), duration(59.94)), ("1:02:03".to_owned(), "59.9 s".to_owned()));
    }
}

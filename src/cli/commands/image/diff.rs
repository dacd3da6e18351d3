//! `goldsmith image diff BEFORE AFTER`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::opened::disk;
use crate::base::aside::aside;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::base::text::printable;
use crate::cli::args::ImageDiff;
use crate::cli::{Context, printer};
use crate::compare::{Bytes, Change, Comparison, Fate, FileChange, compare};

/// Print the differences of the images.
///
/// # Errors
/// One of them cannot be read.
pub(super) async fn run(args: &ImageDiff, context: &Context) -> Result<(), AnyFailure> {
    let (before, after, with_text) = (disk(&args.before, context)?, disk(&args.after, context)?, args.text);
    let total = before.info().allocated_size.saturating_add(after.info().allocated_size);
    let events = Events::new(context.listeners());
    let task = events.task("compare");
    let found = aside(&task, "read the files", total, move |meter| compare(&before, &after, with_text, meter)).await?;
    task.done();
    let text = if context.json {
        let mut document = json!(found);
        document["event"] = json!("comparison");
        context.record(&document)
    } else {
        table(&found, args.files)
    };
    Ok(printer::out(&text)?)
}

/// Groups with a title each; a group without a change is left out.
fn table(found: &Comparison, every_file: bool) -> String {
    let mut text = String::new();
    let groups = [
        ("system", &found.system),
        ("packages", &found.packages),
        ("kernel arguments", &found.kernel_arguments),
        ("sysctls", &found.sysctls),
        ("units", &found.units),
        ("users and groups", &found.users),
    ];
    for (title, changes) in groups.into_iter().filter(|(_, changes)| !changes.is_empty()) {
        let _ = writeln!(text, "{title}");
        let names = changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
        for change in changes {
            let _ = writeln!(text, "  {}", printable(row(change, names).trim_end()));
        }
    }
    files(&mut text, found, every_file);
    if found.is_same() {
        let _ = writeln!(text, "nothing differs but times");
    }
    let sizes = [("disk", found.sizes.disk), ("image file", found.sizes.file), ("used", found.sizes.used)];
    for (name, Bytes { before, after }) in sizes {
        let (before, after) = (rounded(before), rounded(after));
        if before != after {
            let _ = writeln!(text, "{name}: {after}, was {before}");
        }
    }
    text
}

/// The sign of `diff -u`, the name, and the value before and after.
fn row(change: &Change, names: usize) -> String {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("~ {:names$}  {after}, was {before}", change.name),
        (None, after) => format!("+ {:names$}  {}", change.name, after.as_deref().unwrap_or_default()),
        (before, None) => format!("- {:names$}  {}", change.name, before.as_deref().unwrap_or_default()),
    }
}

fn files(text: &mut String, found: &Comparison, every_file: bool) {
    let listed: Vec<&FileChange> = if every_file { found.files.iter().collect() } else { found.own_files().collect() };
    if found.files.is_empty() {
        return;
    }
    let _ = writeln!(text, "files");
    // Files below an added or removed directory are counted with the directory.
    let mut whole: Option<(&Path, Fate, usize)> = None;
    for file in listed {
        if let Some((dir, fate, count)) = &mut whole
            && file.fate == *fate
            && file.path.starts_with(dir)
        {
            *count += 1;
            continue;
        }
        close(text, whole.take());
        let sign = match file.fate {
            Fate::Added => '+',
            Fate::Removed => '-',
            Fate::Changed => '~',
        };
        let because = file.because.as_ref().map(|because| format!(" ({because})")).unwrap_or_default();
        let what = if file.what.is_empty() { String::new() } else { format!("  {}", file.what.join("; ")) };
        let _ = writeln!(text, "  {sign} {}", printable(&format!("{}{what}{because}", file.path.to_string_lossy())));
        if file.fate != Fate::Changed {
            whole = Some((&file.path, file.fate, 0));
        }
        for line in file.text.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(text, "      {}", printable(line));
        }
    }
    close(text, whole);
    if !every_file {
        for (because, count) in reasons(found) {
            let _ = writeln!(text, "  {count} of {}", printable(because));
        }
    }
}

/// Add the number of files below an added or removed directory.
fn close(text: &mut String, whole: Option<(&Path, Fate, usize)>) {
    if let Some((dir, _, count)) = whole.filter(|(_, _, count)| *count > 0) {
        let _ = writeln!(text, "    and {count} below {}", printable(&dir.to_string_lossy()));
    }
}

/// How many files differ for each reason, in the order in which the reasons appear.
fn reasons(found: &Comparison) -> Vec<(&str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for because in found.files.iter().filter_map(|file| file.because.as_deref()) {
        match counts.iter_mut().find(|(known, _)| *known == because) {
            Some((_, count)) => *count += 1,
            None => counts.push((because, 1)),
        }
    }
    counts
}

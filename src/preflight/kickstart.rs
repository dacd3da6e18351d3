//! Checks the kickstart as the installer does, and reports goldsmith's additions to a kickstart of the user.

use super::report::{Area, Row};
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::installer::anaconda::{self, AnacondaError};
use crate::kickstart::{Diagnostic, Document, Severity, lint, parse};
use crate::recipe::{Media, Recipe};

/// The findings of the installer in its kickstart, as rows, and the kickstart if the installer accepts it. The installer has no other
/// files, so a `%pre` must make the included ones.
pub(super) fn look(recipe: &Recipe, rows: &mut Vec<Row>) -> Option<Document> {
    if !matches!(recipe.media, Media::Anaconda { .. }) {
        return None;
    }
    let row = |found: &Diagnostic| {
        let what = format!("line {}: {}", found.line, found.message);
        match found.severity {
            Severity::Error => Row::wrong(Area::Kickstart, what, found.help.clone()),
            Severity::Warning => Row::warning(Area::Kickstart, what, found.help.clone()),
        }
    };
    let document = match anaconda::kickstart(recipe) {
        Ok(text) => parse("kickstart", &String::from_utf8_lossy(&text), &|_: &str, _: &str| None),
        Err(AnacondaError::Own { findings, .. }) => {
            rows.extend(findings.iter().map(row));
            return None;
        }
        Err(error) => {
            rows.push(Row::failed(Area::Kickstart, &error.into()));
            return None;
        }
    };
    rows.extend(document.diagnostics().iter().map(row));
    let notes = anaconda::notes(recipe);
    rows.extend(notes.warnings.iter().map(row));
    rows.extend(notes.added.map(|added| Row::ok(Area::Kickstart, added)));
    rows.extend(lint(&document).into_iter().map(|found| {
        let line = found.place.map(|place| format!("line {}: ", place.line)).unwrap_or_default();
        Row::warning(Area::Kickstart, format!("{line}{} [{}]", found.message, found.lint.id), Some(found.lint.remedy.to_owned()))
    }));
    if !document.is_accepted() {
        return None;
    }
    rows.push(Row::ok(Area::Kickstart, "the parser of CentOS 7.5 accepts it"));
    Some(document)
}

/// Make sure that the recipe's installer will read its kickstart, when it has one.
///
/// # Errors
/// It cannot be made, or would be refused.
pub fn require_kickstart(recipe: &Recipe) -> Result<(), AnyFailure> {
    if matches!(recipe.media, Media::Anaconda { .. }) {
        anaconda::kickstart(recipe)?;
    }
    Ok(())
}

/// Report goldsmith's additions to a kickstart of the user, and the devices in that kickstart that the build machine does not have.
pub fn tell_kickstart(recipe: &Recipe, events: &Events) {
    let notes = anaconda::notes(recipe);
    for warning in &notes.warnings {
        events.warn(warning.to_string());
    }
    if let Some(added) = notes.added {
        events.note(format!("the kickstart: {added}"));
    }
}

//! Checks the kickstart as the installer does, and reports goldsmith's additions to a kickstart of the user.

use super::report::{Area, Row};
use crate::base::event::Events;
use crate::installer::Answers;
use crate::installer::anaconda::AnacondaError;
use crate::kickstart::{Diagnostic, Severity, lint};

/// What was found in the kickstart; nothing for the deploy installer, which reads none.
pub(super) fn rows(answers: &Answers<'_>) -> Vec<Row> {
    let Answers::Anaconda(answers) = answers else { return Vec::new() };
    let mut rows: Vec<Row> = answers.document.diagnostics().iter().chain(&answers.warnings).map(row).collect();
    rows.extend(answers.added.as_deref().map(|added| Row::ok(Area::Kickstart, added)));
    rows.extend(lint(&answers.document).into_iter().map(|found| {
        let line = found.place.map(|place| format!("line {}: ", place.line)).unwrap_or_default();
        Row::warning(Area::Kickstart, format!("{line}{} [{}]", found.message, found.lint.id), Some(found.lint.remedy.to_owned()))
    }));
    rows.push(Row::ok(Area::Kickstart, "the parser of CentOS 7.5 accepts it"));
    rows
}

/// Why there is no kickstart that the installer accepts.
pub(super) fn refused(error: AnacondaError) -> Vec<Row> {
    match error {
        // The lines are those of the user's file.
        AnacondaError::Own { findings, .. } => findings.iter().map(row).collect(),
        error => vec![Row::failed(Area::Kickstart, &error.into())],
    }
}

fn row(found: &Diagnostic) -> Row {
    let what = format!("line {}: {}", found.line, found.message);
    match found.severity {
        Severity::Error => Row::wrong(Area::Kickstart, what, found.help.clone()),
        Severity::Warning => Row::warning(Area::Kickstart, what, found.help.clone()),
    }
}

/// Report goldsmith's additions to a kickstart of the user, and the devices in that kickstart that the build machine does not have.
pub fn tell_kickstart(answers: &Answers<'_>, events: &Events) {
    let Answers::Anaconda(answers) = answers else { return };
    for warning in &answers.warnings {
        events.warn(warning.to_string());
    }
    if let Some(added) = &answers.added {
        events.note(format!("the kickstart: {added}"));
    }
}

//! Failures of the flow itself, and the evidence that a failed build leaves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::page;
use crate::artifact::{self, EVENTS_FILE};
use crate::base::failure::{AnyFailure, Class, Failure, Finding};
use crate::base::text::counted;
use crate::report::Recorder;
use crate::verify::{Outcome, Report};

/// Directory of the scratch directory in which machines leave their evidence.
pub(super) const EVIDENCE: &str = "evidence";
/// The file with the report of a verification that was not passed.
const REPORT_FILE: &str = "report.json";

/// A failed build: the failure, and the directory that keeps its evidence.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct BuildFailed {
    cause: AnyFailure,
    evidence: Option<PathBuf>,
}

impl BuildFailed {
    /// Move the evidence of the failed run from `scratch` to a directory beside `target`. A failure before any machine ran leaves nothing
    /// worth keeping. `name` and `recorder` are for its page.
    pub(super) fn keep(cause: AnyFailure, scratch: &Path, target: &Path, name: &str, recorder: &Recorder) -> Self {
        let worth = scratch.join(EVIDENCE).exists() || scratch.join(REPORT_FILE).exists();
        // A second failure, such as a disk that is still full, must not hide the first one.
        let evidence = if worth { artifact::evidence_dir(target).ok() } else { None };
        let evidence = evidence.filter(|dir| {
            let kept = copy_evidence(scratch, dir).is_ok();
            if kept {
                page::write_failed(dir, name, &cause, &dir.join(REPORT_FILE), recorder);
            } else {
                let _ = fs::remove_dir_all(dir);
            }
            kept
        });
        Self { cause, evidence }
    }
}

fn copy_evidence(scratch: &Path, dir: &Path) -> io::Result<()> {
    for name in [EVENTS_FILE, REPORT_FILE] {
        if scratch.join(name).exists() {
            fs::copy(scratch.join(name), dir.join(name))?;
        }
    }
    if scratch.join(EVIDENCE).exists() {
        copy_tree(&scratch.join(EVIDENCE), dir)?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl Failure for BuildFailed {
    fn class(&self) -> Class {
        self.cause.get().class()
    }

    fn remedy(&self) -> Option<String> {
        self.cause.get().remedy()
    }

    fn evidence(&self) -> Vec<String> {
        self.cause.get().evidence()
    }

    fn findings(&self) -> Vec<Finding> {
        self.cause.get().findings()
    }

    fn evidence_dir(&self) -> Option<PathBuf> {
        self.evidence.clone()
    }
}

/// The image did not keep its promises, or this could not be verified.
#[derive(Debug, thiserror::Error)]
#[error("the image is not published: {}", summary(report))]
pub struct Unproved {
    report: Box<Report>,
}

impl Unproved {
    /// Refuse a report that is not a pass, and leave it in `scratch` for the evidence.
    pub(super) fn refuse(report: &Report, scratch: &Path) -> Result<(), Self> {
        if report.verdict() == Outcome::Passed {
            return Ok(());
        }
        // The report is in the error too; a full disk must not hide it.
        let _ = serde_json::to_vec_pretty(report).map(|json| fs::write(scratch.join(REPORT_FILE), json));
        Err(Self { report: Box::new(report.clone()) })
    }
}

fn summary(report: &Report) -> String {
    match (report.count(Outcome::Failed), report.count(Outcome::CouldNotRun)) {
        (0, unknown) => format!("{} could not be run", counted(unknown, "check")),
        (failed, 0) => format!("{} failed", counted(failed, "check")),
        (failed, unknown) => format!("{} failed, {unknown} could not be run", counted(failed, "check")),
    }
}

impl Failure for Unproved {
    fn class(&self) -> Class {
        if self.report.verdict() == Outcome::Failed { Class::Image } else { Class::CannotCheck }
    }

    fn remedy(&self) -> Option<String> {
        let remedy = match self.class() {
            Class::Image => "correct the recipe, or the check that asks for something else than it makes",
            _ => "see what was in the way of the checks named above; `goldsmith doctor` tells what this host lacks",
        };
        Some(remedy.to_owned())
    }

    fn evidence(&self) -> Vec<String> {
        let told = self.report.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed | Outcome::CouldNotRun));
        told.map(|check| format!("{}: {}", check.name, check.detail)).collect()
    }
}

/// A file of the run could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub(super) struct Unwritable {
    path: PathBuf,
    source: io::Error,
}

pub(super) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Unwritable {
    let path = path.to_owned();
    move |source| Unwritable { path, source }
}

impl Failure for Unwritable {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("make room or give permission there".to_owned())
    }
}

//! The result of a verification. Passed, failed, could-not-run and skipped are four different outcomes.

use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The image keeps the promise.
    Passed,
    /// The image breaks the promise.
    Failed,
    /// The question could not be asked, so there is no answer.
    CouldNotRun,
    /// There was no point in asking.
    Skipped,
}

impl Outcome {
    /// The word that reports use, as serde writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::CouldNotRun => "could-not-run",
            Self::Skipped => "skipped",
        }
    }
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The promise, for people.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The finding; for a failed check also the expected result.
    pub detail: String,
}

impl CheckResult {
    /// The promise is kept; `found` says what was seen.
    pub fn passed(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Passed, detail: found.into() }
    }

    /// The promise is broken.
    pub fn failed(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Failed, detail: detail.into() }
    }

    /// The question could not be asked.
    pub fn could_not_run(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::CouldNotRun, detail: why.into() }
    }

    /// There was no point in asking.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Skipped, detail: why.into() }
    }

    /// Passed when `found` is `wanted`.
    pub fn equal(name: impl Into<String>, found: &str, wanted: &str) -> Self {
        if found == wanted { Self::passed(name, found) } else { Self::failed(name, format!("found `{found}`, wanted `{wanted}`")) }
    }
}

/// The verdict on an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Every check, in the order they were made.
    pub checks: Vec<CheckResult>,
    /// What `docker info --format '{{json .}}'` said in the booted image, when it was asked.
    pub docker_info: Option<serde_json::Value>,
}

impl Report {
    /// How many checks ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// The one word for all of it: failed if any failed, else could-not-run if any could not, else passed.
    pub fn verdict(&self) -> Outcome {
        [Outcome::Failed, Outcome::CouldNotRun].into_iter().find(|outcome| self.count(*outcome) > 0).unwrap_or(Outcome::Passed)
    }
}

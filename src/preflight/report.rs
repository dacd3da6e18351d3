//! The result of a preflight, row by row.

use serde::Serialize;

use crate::base::failure::{AnyFailure, Class, Failure, Finding};
use crate::base::text::counted;
use crate::closure::ForecastPackage;
use crate::recipe::Passage;

/// Version of the document that [`Preflight`] serialises to.
pub const SCHEMA: u32 = 1;

/// The result of checking a build before its first boot.
#[derive(Debug, Clone, Serialize)]
pub struct Preflight {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The recipe's name.
    pub recipe: String,
    /// All checks, in the order of a build.
    pub rows: Vec<Row>,
    /// The packages that will be installed; empty when that is not known.
    pub packages: Vec<ForecastPackage>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its area.
    pub area: Area,
    /// Its verdict.
    pub verdict: Verdict,
    /// The finding.
    pub what: String,
    /// Lines that show it.
    pub evidence: Vec<String>,
    /// The remedy.
    pub remedy: Option<String>,
    #[serde(skip)]
    class: Class,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// The area of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The settings of the system.
    Settings,
    /// The kickstart of the installer.
    Kickstart,
    /// Media, archives and package indexes.
    Sources,
    /// The packages to install.
    Packages,
    /// The image's disk.
    Disk,
    /// The recipe's promises.
    Checks,
    /// The machine goldsmith runs on.
    Host,
}

impl Area {
    /// The area's name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Kickstart => "kickstart",
            Self::Sources => "sources",
            Self::Packages => "packages",
            Self::Disk => "disk",
            Self::Checks => "checks",
            Self::Host => "host",
        }
    }
}

/// The verdict of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it must be.
    Ok,
    /// A build goes on, but may not do what was meant.
    Warning,
    /// A build cannot succeed.
    Wrong,
}

impl Row {
    /// It is as it must be.
    pub(super) fn ok(area: Area, what: impl Into<String>) -> Self {
        Self::new(area, Verdict::Ok, what, None, Class::Usage)
    }

    /// It may not be what was meant.
    pub(super) fn warning(area: Area, what: impl Into<String>, remedy: Option<String>) -> Self {
        Self::new(area, Verdict::Warning, what, remedy, Class::Usage)
    }

    /// The recipe asks for something impossible.
    pub(super) fn wrong(area: Area, what: impl Into<String>, remedy: Option<String>) -> Self {
        Self::new(area, Verdict::Wrong, what, remedy, Class::Usage)
    }

    /// The image would fail a check.
    pub(super) fn broken_promise(area: Area, what: impl Into<String>, remedy: Option<String>) -> Self {
        Self::new(area, Verdict::Wrong, what, remedy, Class::Image)
    }

    /// Something failed.
    pub(super) fn failed(area: Area, failure: &AnyFailure) -> Self {
        let failure = failure.get();
        let row = Self::new(area, Verdict::Wrong, failure.to_string(), failure.remedy(), failure.class());
        Self { evidence: failure.evidence(), findings: failure.findings(), ..row }
    }

    /// The row with the line of the recipe that it is about.
    pub(super) fn at(mut self, at: Option<&Passage>) -> Self {
        if let Some(at) = at {
            self.findings.push(at.finding(&self.what, self.remedy.clone()));
            self.evidence.extend(at.shown());
        }
        self
    }

    fn new(area: Area, verdict: Verdict, what: impl Into<String>, remedy: Option<String>, class: Class) -> Self {
        Self { area, verdict, what: what.into(), evidence: Vec::new(), remedy, class, findings: Vec::new() }
    }
}

impl Preflight {
    /// A preflight without rows.
    pub(super) fn of(recipe: &str) -> Self {
        Self { schema: SCHEMA, recipe: recipe.to_owned(), rows: Vec::new(), packages: Vec::new() }
    }

    /// How many rows are wrong.
    pub fn problems(&self) -> usize {
        self.rows.iter().filter(|row| row.verdict == Verdict::Wrong).count()
    }

    /// The failure that a check ends with, when something is wrong.
    ///
    /// # Errors
    /// Something is wrong.
    pub fn refuse(&self) -> Result<(), PreflightFailed> {
        let wrong: Vec<Row> = self.rows.iter().filter(|row| row.verdict == Verdict::Wrong).cloned().collect();
        if wrong.is_empty() { Ok(()) } else { Err(PreflightFailed::new(&self.recipe, wrong)) }
    }
}

/// A build of the recipe cannot succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.text())]
pub struct PreflightFailed {
    recipe: String,
    /// At least one.
    wrong: Vec<Row>,
}

impl PreflightFailed {
    /// A build of `recipe` cannot succeed because of the rows `wrong`; at least one.
    pub(super) fn new(recipe: &str, wrong: Vec<Row>) -> Self {
        Self { recipe: recipe.to_owned(), wrong }
    }

    fn text(&self) -> String {
        match &self.wrong[..] {
            [only] => only.what.clone(),
            rows => {
                let lines = |row: &Row| {
                    let first = format!("  {}: {}", row.area.name(), row.what);
                    let evidence = row.evidence.iter().map(|line| format!("    {line}"));
                    [first].into_iter().chain(evidence).collect::<Vec<_>>().join("\n")
                };
                let list: Vec<String> = rows.iter().map(lines).collect();
                format!("cannot build {}: {}\n{}", self.recipe, counted(rows.len(), "problem"), list.join("\n"))
            }
        }
    }
}

impl Failure for PreflightFailed {
    /// The user should first fix the recipe, then the inputs, then the host.
    fn class(&self) -> Class {
        let rank = |class: &Class| match class {
            Class::Bug => 0,
            Class::Usage => 1,
            Class::Input => 2,
            _ => 3,
        };
        self.wrong.iter().map(|row| row.class).min_by_key(rank).unwrap_or(Class::Bug)
    }

    fn remedy(&self) -> Option<String> {
        match &self.wrong[..] {
            [only] => only.remedy.clone(),
            rows => {
                let mut remedies: Vec<&str> = rows.iter().filter_map(|row| row.remedy.as_deref()).collect();
                remedies.dedup();
                (!remedies.is_empty()).then(|| remedies.join("; "))
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.wrong.iter().flat_map(|row| row.findings.clone()).collect()
    }

    fn evidence(&self) -> Vec<String> {
        match &self.wrong[..] {
            [only] => only.evidence.clone(),
            // They are in the text already.
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(rows: Vec<Row>) -> Preflight {
        Preflight { rows, ..Preflight::of("lab") }
    }

    #[test]
    fn one_thing_speaks_for_itself_and_several_are_listed() {
        let wrong = |what: &str, class| Row { class, ..Row::wrong(Area::Sources, what, Some(format!("mend {what}"))) };
        let fine = preflight(vec![Row::ok(Area::Host, "fine"), Row::warning(Area::Checks, "odd", None)]);
        assert!(fine.refuse().is_ok());
        let one = preflight(vec![wrong("a", Class::Input)]).refuse().unwrap_err();
        assert_eq!((one.to_string().as_str(), one.class(), one.remedy().as_deref()), ("a", Class::Input, Some("mend a")));
        let two = preflight(vec![wrong("a", Class::Host), wrong("b", Class::Input)]).refuse().unwrap_err();
        assert_eq!(two.to_string(), "cannot build lab: 2 problems\n  sources: a\n  sources: b");
        assert_eq!((two.class(), two.remedy().as_deref()), (Class::Input, Some("mend a; mend b")));
        let promise = Row::broken_promise(Area::Checks, "c", None);
        assert_eq!(preflight(vec![promise.clone()]).refuse().unwrap_err().class(), Class::Image);
        assert_eq!(preflight(vec![promise, wrong("a", Class::Usage)]).refuse().unwrap_err().class(), Class::Usage);
    }
}

//! The page: its values, and the template that turns them into HTML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::disk::{DiskMap, hundredths};
use super::recorder::Recorded;
use super::timeline;
use crate::base::failure::{Class, Failure};
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::verify::{CheckResult, Outcome};

const TEMPLATE: &str = include_str!("template.html");
/// The name ends with `.html`, so that minijinja escapes the values.
const NAME: &str = "report.html";
/// Packages that are listed one by one.
const PACKAGES: usize = 30;
/// How a PNG begins (RFC 2083, 3.1).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Bytes of a screen, at most; QEMU's largest text screen has 30 KiB.
const SCREEN_BYTES: usize = 4 << 20;

/// The page could not be made.
#[derive(Debug, thiserror::Error)]
#[error("report.html cannot be made: {0}")]
pub struct PageError(#[from] minijinja::Error);

impl Failure for PageError {
    fn class(&self) -> Class {
        Class::Bug
    }

    fn remedy(&self) -> Option<String> {
        None
    }
}

/// The differences from an earlier image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What the other image is: `the replaced image`.
    pub since: &'static str,
    /// A line for each kind of difference.
    pub lines: Vec<String>,
}

/// The content of a report.
#[derive(Debug, Default)]
pub struct Page {
    /// The recipe's name.
    pub name: String,
    /// How the build failed; none for one that did not.
    pub failed: Option<Failed>,
    /// Names and values, such as the image's digest.
    pub facts: Vec<(&'static str, String)>,
    /// Tasks and warnings.
    pub recorded: Recorded,
    /// The checks of the image, in the order they were made.
    pub checks: Vec<CheckResult>,
    /// The disk of the image.
    pub disk: Option<DiskMap>,
    /// The packages of the image.
    pub packages: Vec<PackageSize>,
    /// The differences from another image.
    pub changes: Changes,
    /// The files of a failed build.
    pub evidence: Evidence,
    /// The next steps with the image.
    pub commands: Vec<Command>,
}

/// A failure, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failed {
    /// The failure, its place and its reason.
    pub what: String,
    /// Its evidence, line by line.
    pub evidence: Vec<String>,
    /// The remedy.
    pub remedy: Option<String>,
}

/// The files of the machines of a failed build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Pictures.
    pub screens: Vec<Screen>,
    /// Texts.
    pub logs: Vec<Log>,
}

/// The screen of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Which machine's.
    pub machine: String,
    /// A PNG; another file is left out.
    pub png: Vec<u8>,
}

/// A text that a machine left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Which text of which machine.
    pub title: String,
    /// The text.
    pub text: String,
}

/// A package and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSize {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its size by its own data; 0 when that is missing.
    pub bytes: u64,
}

/// A command to paste.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Its purpose.
    pub purpose: &'static str,
    /// The line for a shell.
    pub line: String,
}

impl Page {
    /// The page as HTML.
    ///
    /// # Errors
    /// The template is wrong, which is a bug.
    pub fn render(&self) -> Result<String, PageError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template(NAME, TEMPLATE)?;
        Ok(environment.get_template(NAME)?.render(Serde(self.view()))?)
    }

    fn view(&self) -> View<'_> {
        let (timeline, took) = timeline::rows(&self.recorded);
        let (packages, other_packages) = packages(&self.packages);
        let total: u64 = self.packages.iter().map(|package| package.bytes).fold(0, u64::saturating_add);
        View {
            name: printable(&self.name),
            verdict: verdict(self.failed.is_some(), &self.checks),
            failed: self.failed.as_ref().map(FailedView::of),
            facts: self.facts.iter().map(|(name, value)| (*name, printable(value))).collect(),
            warnings: self.recorded.warnings.iter().map(|text| printable(text)).collect(),
            timeline,
            took,
            checks: checks(&self.checks),
            disk: self.disk.as_ref(),
            packages,
            other_packages,
            package_count: counted(self.packages.len(), "package"),
            package_bytes: rounded(total),
            changed_since: self.changes.since,
            changes: self.changes.lines.iter().map(|line| printable(line)).collect(),
            screens: self.evidence.screens.iter().filter_map(ScreenView::of).collect(),
            logs: self.evidence.logs.iter().map(LogView::of).collect(),
            commands: self.commands.iter().map(|command| Command { line: printable(&command.line), ..command.clone() }).collect(),
        }
    }
}

/// The values of the template.
#[derive(Serialize)]
struct View<'a> {
    name: String,
    verdict: String,
    failed: Option<FailedView>,
    facts: Vec<(&'static str, String)>,
    warnings: Vec<String>,
    timeline: Vec<timeline::Row>,
    took: String,
    checks: Vec<CheckView>,
    disk: Option<&'a DiskMap>,
    packages: Vec<PackageView>,
    other_packages: String,
    package_count: String,
    package_bytes: String,
    changed_since: &'static str,
    changes: Vec<String>,
    screens: Vec<ScreenView>,
    logs: Vec<LogView>,
    commands: Vec<Command>,
}

#[derive(Serialize)]
struct FailedView {
    what: Vec<String>,
    evidence: String,
    remedy: Option<String>,
}

impl FailedView {
    fn of(failed: &Failed) -> Self {
        Self {
            what: failed.what.lines().map(printable).collect(),
            evidence: failed.evidence.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n"),
            remedy: failed.remedy.as_deref().map(printable),
        }
    }
}

#[derive(Serialize)]
struct CheckView {
    name: String,
    outcome: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct PackageView {
    name: String,
    version: String,
    size: String,
    /// Hundredths of the largest one.
    share: String,
}

#[derive(Serialize)]
struct ScreenView {
    machine: String,
    png: String,
}

impl ScreenView {
    fn of(screen: &Screen) -> Option<Self> {
        let is_png = screen.png.starts_with(PNG) && screen.png.len() <= SCREEN_BYTES;
        is_png.then(|| Self { machine: printable(&screen.machine), png: STANDARD.encode(&screen.png) })
    }
}

#[derive(Serialize)]
struct LogView {
    title: String,
    text: String,
}

impl LogView {
    fn of(log: &Log) -> Self {
        Self { title: printable(&log.title), text: log.text.lines().map(printable).collect::<Vec<_>>().join("\n") }
    }
}

/// The verdict in a line.
fn verdict(failed: bool, checks: &[CheckResult]) -> String {
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let parts: Vec<String> = [
        (Outcome::Failed, "failed"),
        (Outcome::CouldNotRun, "could not be run"),
        (Outcome::Passed, "passed"),
        (Outcome::Skipped, "skipped"),
    ]
    .iter()
    .filter(|(outcome, _)| count(*outcome) > 0)
    .map(|(outcome, words)| format!("{} {words}", counted(count(*outcome), "check")))
    .collect();
    match (failed, parts.is_empty()) {
        (true, true) => "Failed before the image was checked".to_owned(),
        (true, false) => format!("Failed: {}", parts.join(", ")),
        (false, _) => format!("Proved: {}", parts.join(", ")),
    }
}

/// Those that did not pass come first: they are the reason to read the page.
fn checks(checks: &[CheckResult]) -> Vec<CheckView> {
    let rank = |outcome| [Outcome::Failed, Outcome::CouldNotRun, Outcome::Passed].iter().position(|known| *known == outcome).unwrap_or(3);
    let mut sorted: Vec<_> = checks.iter().collect();
    sorted.sort_by_key(|check| rank(check.outcome));
    let view =
        |check: &&CheckResult| CheckView { name: printable(&check.name), outcome: check.outcome.word(), detail: printable(&check.detail) };
    sorted.iter().map(view).collect()
}

/// The largest packages, and a summary of the others: `120 packages, 96.0 MiB`; empty without others.
fn packages(packages: &[PackageSize]) -> (Vec<PackageView>, String) {
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let largest = sorted.first().map_or(0, |package| package.bytes);
    let (shown, others) = sorted.split_at(sorted.len().min(PACKAGES));
    let view = |package: &&PackageSize| PackageView {
        name: printable(&package.name),
        version: printable(&package.version),
        size: rounded(package.bytes),
        share: hundredths(package.bytes, largest),
    };
    let bytes = others.iter().map(|package| package.bytes).fold(0, u64::saturating_add);
    let rest = if others.is_empty() { String::new() } else { format!("{}, {}", counted(others.len(), "package"), rounded(bytes)) };
    (shown.iter().map(view).collect(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Outcome as Ended;
    use crate::report::recorder::RecordedTask;

    /// Every text of the page, each of them hostile in its own way.
    fn hostile(text: &str) -> Page {
        let text = text.to_owned();
        let recorded = Recorded {
            tasks: vec![RecordedTask {
                task: 1,
                title: text.clone(),
                begun: 0.0,
                ended: Some((Ended::Failed, 5.0)),
                steps: vec![(text.clone(), 1.0)],
            }],
            warnings: vec![text.clone()],
        };
        Page {
            name: text.clone(),
            failed: Some(Failed { what: text.clone(), evidence: vec![text.clone()], remedy: Some(text.clone()) }),
            facts: vec![("fact", text.clone())],
            recorded,
            checks: vec![CheckResult::failed(text.clone(), text.clone())],
            disk: Some(DiskMap::default()),
            packages: vec![PackageSize { name: text.clone(), version: text.clone(), bytes: 1 }],
            changes: Changes { since: "the replaced image", lines: vec![text.clone()] },
            evidence: Evidence {
                screens: vec![
                    Screen { machine: text.clone(), png: PNG.to_vec() },
                    Screen { machine: "no".to_owned(), png: b"GIF".to_vec() },
                ],
                logs: vec![Log { title: text.clone(), text: text.clone() }],
            },
            commands: vec![Command { purpose: "run it", line: text }],
        }
    }

    #[test]
    fn nothing_of_a_guest_becomes_markup() {
        let plain = hostile("plain").render().unwrap();
        let tags = |page: &str| page.matches(['<', '>']).count();
        for text in [
            "<script>alert(1)</script>",
            "\"onload=\"alert(1)",
            "'><img src=x onerror=alert(1)>",
            "&lt;b&gt;",
            "{{ name }}{% raw %}",
            "\u{1b}[31mred\u{202e}",
            "</style></pre></textarea><!--",
        ] {
            let page = hostile(text).render().unwrap();
            assert_eq!(tags(&page), tags(&plain), "{text}");
            assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "{text}");
            assert!(!page.contains("<script") && !page.contains("\"onload") && !page.contains("<img src=x"), "{text}");
        }
    }

    #[test]
    fn a_page_needs_nothing_else_and_an_empty_one_is_made_too() {
        for page in [Page::default(), hostile("plain")] {
            let page = page.render().unwrap();
            assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{page}");
            for foreign in ["http:", "https:", "<script", "<link", "url(", "@import"] {
                assert!(!page.contains(foreign), "{foreign}: {page}");
            }
        }
        assert!(!hostile("plain").render().unwrap().contains("data:image/png;base64,R0lG"));
    }

    #[test]
    fn what_did_not_pass_stands_first_and_large_packages_do() {
        let made = [
            CheckResult::passed("a", ""),
            CheckResult::skipped("b", ""),
            CheckResult::could_not_run("c", ""),
            CheckResult::failed("d", ""),
        ];
        let names: Vec<_> = checks(&made).into_iter().map(|check| check.name).collect();
        assert_eq!(names, ["d", "c", "a", "b"]);
        assert_eq!(verdict(true, &made), "Failed: 1 check failed, 1 check could not be run, 1 check passed, 1 check skipped");
        assert_eq!(verdict(true, &[]), "Failed before the image was checked");
        let package = |number: u64| PackageSize { name: format!("p{number:02}"), version: String::new(), bytes: number << 20 };
        let (shown, others) = packages(&(0..33).map(package).collect::<Vec<_>>());
        assert_eq!((shown[0].name.as_str(), shown[0].share.as_str(), shown.len()), ("p32", "100.00", PACKAGES));
        assert_eq!(others, "3 packages, 3.00 MiB");
    }
}

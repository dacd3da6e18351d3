//! A kickstart of the user's own, with goldsmith's sections after it.
//!
//! The user's text comes first, byte for byte: the line numbers in the installer's messages are those of the user's file. What goldsmith
//! needs follows in marked sections, and nothing in the user's text is changed without a note:
//!
//! - `repo`, one for each of the recipe's repositories, on the volume;
//! - `%pre`: the nonce is there, the volume is mounted;
//! - `%post`, when repositories stay in the image: they are copied there, their `.repo` files written;
//! - the last `%post`: success, with the nonce;
//! - `poweroff`, when the kickstart ends otherwise: of several such commands the last one counts, and undoes the options of those before it.
//!
//! So the user's own `%pre` runs before the volume is mounted, and the user's own `%post` before the repositories are in the image; with
//! `--nochroot` it sees the volume.

mod machine;

use crate::kickstart::{Command, Diagnostic, Document, Included, Post, Script, Severity, lint, parse};
use crate::recipe::{Content, Recipe};

use super::error::AnacondaError;
use super::{repo::repo, scripts};

/// A kickstart as the installer reads it, and notes on a user's part of it.
#[derive(Debug)]
pub(super) struct Merged {
    /// The kickstart.
    pub text: Vec<u8>,
    /// goldsmith's change to it and the reason, in one sentence without a full stop.
    pub added: Option<String>,
    /// Devices that it asks for and the build machine does not have, by place.
    pub warnings: Vec<Diagnostic>,
}

impl Merged {
    /// A kickstart of goldsmith's, on which there are no notes.
    pub(super) fn unchanged(text: Vec<u8>) -> Self {
        Self { text, added: None, warnings: Vec::new() }
    }
}

/// `own` and goldsmith's sections for `recipe`.
///
/// # Errors
/// The installer would refuse `own`, or would not recognise goldsmith's sections.
pub(super) fn merged(recipe: &Recipe, own: &Content) -> Result<Merged, AnacondaError> {
    let (document, warnings) = refuse(recipe, own)?;
    let mut text = own.bytes().to_vec();
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    for (name, section) in sections(recipe, &document)? {
        text.extend_from_slice(format!("\n# goldsmith: begin {name}\n{section}# goldsmith: end {name}\n").as_bytes());
    }
    let added = ending(&document).map(|ending| format!("{}: goldsmith adds `poweroff`, and the last such command counts", ending.why()));
    Ok(Merged { text, added, warnings })
}

/// `own` is checked alone, before sections are added: an open section would swallow all that is added. Returns the devices that the build
/// machine does not have beside it.
fn refuse(recipe: &Recipe, own: &Content) -> Result<(Document, Vec<Diagnostic>), AnacondaError> {
    let name = match own {
        Content::File { path, .. } => path.display().to_string(),
        Content::Inline { .. } => "kickstart".to_owned(),
    };
    // It is the only kickstart in the initramfs, so files that it includes must be made by a `%pre`.
    let document = parse(&name, &String::from_utf8_lossy(own.bytes()), &|_: &str, _: &str| None);
    let mut findings = document.diagnostics().to_vec();
    findings.extend(clashes(recipe, &document));
    let mut devices = machine::findings(recipe, &document);
    devices.sort_by_key(|found| found.span);
    findings.extend_from_slice(&devices);
    // In `kickstart check` this is a warning, because the file may be for other uses. In a recipe the script will certainly fail.
    let broken = lint(&document).into_iter().filter(|found| found.lint.id == "crlf-in-scripts").filter_map(|found| found.place);
    findings.extend(broken.map(|found| Diagnostic { severity: Severity::Error, ..found }));
    findings.sort_by_key(|found| found.span);
    match findings.iter().any(|found| found.severity == Severity::Error) {
        true => Err(AnacondaError::Own { name, findings }),
        false => Ok((document, devices)),
    }
}

/// Repositories of the kickstart that are called like one of the recipe's. pykickstart only warns of a name that stands twice
/// (commands/repo.py), and to yum one name is one repository: packages of the other would be missing.
fn clashes(recipe: &Recipe, document: &Document) -> Vec<Diagnostic> {
    let names = document.commands_named("repo").filter_map(|repo| repo.option("name"));
    let taken = names.filter(|name| recipe.repositories.iter().any(|repository| Some(repository.id.as_str()) == name.text()));
    let clash = |name: &str| format!("the recipe has a repository `{name}` too, which goldsmith adds here");
    let help = || Some("rename it here, or change the repository's `id` in the recipe".to_owned());
    taken.map(|name| document.diagnostic(Severity::Error, name.span, clash(name.text().unwrap_or_default()), help())).collect()
}

/// Why `poweroff` is added at the end.
enum Ending<'a> {
    /// The last such command has another value.
    Other(&'a Command),
    /// There is none.
    Missing,
    /// There may be one in a file that is made during the installation.
    Unknown,
}

/// A machine that restarts cannot be told from one that crashed, and one that halts waits for the Return key. So the installation must end
/// with a power-off. The last of these commands wins, and `poweroff` takes `--eject` and `--kexec` of an earlier one back, since their
/// defaults are set again on each line (pykickstart 1.99.66.18, commands/reboot.py: `_setToSelf`).
fn ending(document: &Document) -> Option<Ending<'_>> {
    let is_complete = document.includes().all(|include| matches!(include.content, Included::Read { .. }));
    match document.command("reboot") {
        Some(end) if !matches!(&*end.name, "poweroff" | "shutdown") => Some(Ending::Other(end)),
        _ if !is_complete => Some(Ending::Unknown),
        Some(_) => None,
        None => Some(Ending::Missing),
    }
}

impl Ending<'_> {
    fn why(&self) -> String {
        match self {
            Self::Other(end) => format!("`{}` on line {} does not power the machine off", end.name, end.span.line),
            Self::Missing => "nothing powers the machine off after the installation".to_owned(),
            Self::Unknown => "an included file may say otherwise".to_owned(),
        }
    }

    /// The lines that are added.
    fn section(&self) -> String {
        format!("# {}; the last such command counts\npoweroff\n", self.why())
    }
}

/// The sections that are added: the words of their marks, and their lines.
fn sections(recipe: &Recipe, document: &Document) -> Result<Vec<(&'static str, String)>, AnacondaError> {
    let post = |chroot, script: Script| Post { chroot, error_on_fail: true, script }.to_string().trim_start().to_owned();
    let mut sections = Vec::new();
    if !recipe.repositories.is_empty() {
        let repos = recipe.repositories.iter().map(repo).collect::<Result<Vec<_>, _>>()?;
        sections.push(("repositories", repos.iter().map(ToString::to_string).collect()));
    }
    sections.push(("start", format!("%pre\n{}%end\n", scripts::pre(recipe)?.as_str())));
    if scripts::kept(recipe).next().is_some() {
        sections.push(("copy", post(false, scripts::copy(recipe)?)));
        sections.push(("repository files", post(true, scripts::announce(recipe)?)));
    }
    sections.extend(ending(document).map(|ending| ("end", ending.section())));
    sections.push(("signal", post(false, scripts::finish()?)));
    Ok(sections)
}

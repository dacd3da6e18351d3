//! Finds what an image should not give to everybody who starts it: identities, secrets, and traces of people and of the build.
//!
//! Rules are a table ([`rules`]). Each has an id, a reason and a remedy. A *fault* keeps a build from being published, unless the recipe
//! waives it with a reason; only `goldsmith image audit` tells a *notice*. What the 45 operations of virt-sysprep 1.52 touch has a rule
//! here, or a reason for none in `src/audit/rules.rs`.

mod accounts;
mod content;
mod owned;
mod paths;
mod rule;
mod rules;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::{Disk, FileKind, FreeSpace, ImageError, Metadata, Root};

pub use rule::{Allowed, Rule, Severity};
pub use rules::rules;

use rule::{Look, Places};

/// Bytes of the largest file whose content is looked at. Keys and tokens stand in small files.
const CONTENT_BYTES: u64 = 256 << 10;
/// Directories whose files are looked into: those that people and services write. What packages bring to /usr is in every copy of the package.
const WRITTEN: [&str; 7] = ["/etc", "/root", "/home", "/opt", "/srv", "/var", "/usr/local"];

/// Something that an image should not hold.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// Where it is.
    pub path: PathBuf,
    /// The details beside the path. May be empty, and never holds a secret.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

/// A finding that is meant to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The id of the rule.
    pub rule: String,
    /// The path it holds for; `*` is any text between two `/`. Every path when there is none.
    pub path: Option<String>,
    /// Why it is meant to be there.
    pub reason: String,
}

impl Waiver {
    /// Whether it allows `finding`.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule.id && self.path.as_ref().is_none_or(|pattern| paths::fits(pattern, &finding.path.to_string_lossy()))
    }
}

/// Look for everything, in the files and in the blocks that no file uses. Findings come in the order of the rules.
///
/// # Errors
/// The image is damaged, or holds no system.
pub fn audit(disk: &Disk, allowed: &Allowed) -> Result<Vec<Finding>, ImageError> {
    let root = Root::open(disk)?;
    let mut found = files(&root, allowed)?;
    // The record of free blocks is right once the journal is replayed.
    if let Some(rule) = rules().iter().find(|rule| matches!(rule.look, Look::FreeBlocks) && root.is_clean())
        && let Some(run) = FreeSpace::of(disk)?.first_leftover(disk)?
    {
        let detail = format!("bytes {} to {} of the disk are free and hold data", run.start, run.end);
        found.push(Finding { rule, path: "/".into(), detail });
    }
    Ok(found)
}

/// Look for everything in the files alone. Findings come in the order of the rules.
///
/// # Errors
/// The image is damaged.
pub fn files(root: &Root, allowed: &Allowed) -> Result<Vec<Finding>, ImageError> {
    let rules = rules();
    let mut found: Vec<Places> = Vec::new();
    for rule in rules {
        found.push(match rule.look {
            Look::Paths(patterns) => named(paths::matching(root, patterns)?),
            Look::Filled(patterns) => named(filled(root, paths::matching(root, patterns)?)?),
            Look::Accounts(look) => look(root, allowed)?,
            Look::Content(_) | Look::Inode(_) | Look::Packaged { .. } | Look::FreeBlocks => Vec::new(),
        });
    }
    let mut suspects: Vec<(PathBuf, Metadata)> = Vec::new();
    for file in root.walk("/")? {
        let (path, metadata) = file?;
        let text = small_text(root, &path, &metadata)?;
        for (rule, found) in rules.iter().zip(&mut found) {
            let detail = match (&rule.look, &text) {
                (Look::Inode(look), _) => look(&path, &metadata),
                (Look::Content(look), Some(text)) => look(&path, text),
                _ => None,
            };
            found.extend(detail.map(|detail| (path.clone(), detail)));
        }
        if rules.iter().any(|rule| matches!(rule.look, Look::Packaged { suspect, .. } if suspect(&path, &metadata))) {
            suspects.push((path, metadata));
        }
    }
    judge(root, &suspects, &mut found)?;
    let findings =
        rules.iter().zip(found).flat_map(|(rule, found)| found.into_iter().map(move |(path, detail)| Finding { rule, path, detail }));
    Ok(findings.collect())
}

/// Ask the package database about `suspects`, and add what each rule then finds to its places.
fn judge(root: &Root, suspects: &[(PathBuf, Metadata)], found: &mut [Places]) -> Result<(), ImageError> {
    if suspects.is_empty() {
        return Ok(());
    }
    let paths: Vec<PathBuf> = suspects.iter().map(|(path, _)| path.clone()).collect();
    for ((path, metadata), owner) in suspects.iter().zip(owned::owners(root, &paths)?) {
        for (rule, found) in rules().iter().zip(&mut *found) {
            if let Look::Packaged { suspect, judge } = rule.look
                && suspect(path, metadata)
            {
                found.extend(judge(path, metadata, &owner).map(|detail| (path.clone(), detail)));
            }
        }
    }
    Ok(())
}

/// What the rules would find of a file that is still to be put at `path`, owned by root, with the permission bits `mode`.
pub fn of_file(path: &Path, mode: u32, content: &[u8]) -> Vec<Finding> {
    let metadata = Metadata { kind: FileKind::File, mode, uid: 0, gid: 0, size: content.len() as u64, modified: 0 };
    let text = is_looked_into(path, &metadata).then(|| String::from_utf8_lossy(content));
    let fits =
        |patterns: &[&str]| path.ancestors().any(|path| patterns.iter().any(|pattern| paths::fits(pattern, &path.to_string_lossy())));
    let found = |rule: &'static Rule| {
        let detail = match (&rule.look, &text) {
            (Look::Paths(patterns), _) => fits(patterns).then(String::new),
            (Look::Filled(patterns), _) => (fits(patterns) && !content.is_empty()).then(String::new),
            (Look::Inode(look), _) => look(path, &metadata),
            (Look::Content(look), Some(text)) => look(path, text),
            (Look::Packaged { suspect, judge }, _) if suspect(path, &metadata) => judge(path, &metadata, &owned::Owner::Nobody),
            _ => None,
        };
        detail.map(|detail| Finding { rule, path: path.to_owned(), detail })
    };
    rules().iter().filter_map(found).collect()
}

fn named(paths: Vec<PathBuf>) -> Places {
    paths.into_iter().map(|path| (path, String::new())).collect()
}

/// Those of `paths` that hold something: files with a byte in them.
fn filled(root: &Root, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, ImageError> {
    let mut filled = Vec::new();
    for path in paths {
        let metadata = root.symlink_metadata(&path)?;
        if metadata.kind == FileKind::File && metadata.size > 0 {
            filled.push(path);
        }
    }
    Ok(filled)
}

/// The text of a file that people and services write, when it is small. Bytes that are not text do no harm, because only ASCII is searched.
fn small_text(root: &Root, path: &Path, metadata: &Metadata) -> Result<Option<String>, ImageError> {
    if !is_looked_into(path, metadata) {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&root.read(path, CONTENT_BYTES)?).into_owned()))
}

/// Whether rules read the file's content.
fn is_looked_into(path: &Path, metadata: &Metadata) -> bool {
    let is_small = metadata.kind == FileKind::File && (1..=CONTENT_BYTES).contains(&metadata.size);
    // The package database has the texts of packages, by the thousand.
    is_small && !path.starts_with("/var/lib/dpkg") && WRITTEN.iter().any(|dir| path.starts_with(dir))
}

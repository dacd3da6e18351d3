//! The parts of a comparison of two images.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// One thing that has a name, before and after; `None` where it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name: `docker-ce`, `vm.swappiness`.
    pub name: String,
    /// The old value.
    pub before: Option<String>,
    /// The new value.
    pub after: Option<String>,
}

/// Bytes before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// The old sum.
    pub before: u64,
    /// The new sum.
    pub after: u64,
}

/// How large two images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The disk, as a guest sees it.
    pub disk: Bytes,
    /// The image file, without what lies under it.
    pub file: Bytes,
    /// The space of the root filesystem's files.
    pub used: Bytes,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Fate {
    Added,
    Removed,
    Changed,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path. One that is not UTF-8 is shown with replacement characters in JSON.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// What happened to it.
    pub fate: Fate,
    /// What differs, of a changed one: `content`, `mode 644, was 600`.
    pub what: Vec<String>,
    /// Bytes of a regular file.
    pub size: Bytes,
    /// What the change belongs to, when that is known: `package docker-ce`, `sysctls`.
    pub because: Option<String>,
    /// How the text of a configuration file differs, as `diff -u` writes it; when it was asked for, and everyone may read the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The differences of two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Distribution, host name, kernels, root filesystem.
    pub system: Vec<Change>,
    /// Packages, with their versions.
    pub packages: Vec<Change>,
    /// Enabled units.
    pub units: Vec<Change>,
    /// Users and groups; names of groups begin with `group `.
    pub users: Vec<Change>,
    /// What the files of sysctl.d(5) set.
    pub sysctls: Vec<Change>,
    /// Arguments of the kernel that is booted by default.
    pub kernel_arguments: Vec<Change>,
    /// Files, in the order of their paths.
    pub files: Vec<FileChange>,
    /// Sizes, different or not.
    pub sizes: Sizes,
}

impl Comparison {
    /// Whether nothing differs but sizes.
    pub fn is_same(&self) -> bool {
        let changes = [&self.system, &self.packages, &self.units, &self.users, &self.sysctls, &self.kernel_arguments];
        changes.iter().all(|changes| changes.is_empty()) && self.files.is_empty()
    }

    /// The files whose change is not explained by another reported change.
    pub fn own_files(&self) -> impl Iterator<Item = &FileChange> {
        self.files.iter().filter(|file| file.because.is_none())
    }
}

fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.to_string_lossy())
}

//! The packages installed in a system, from the package database in its root. It is read on this host, without rpm or dpkg, and is not
//! trusted.
//!
//! ```text
//! /var/lib/dpkg/status, status.d/* ──────────────────────────────── dpkg ─┐
//! Packages       Berkeley DB: EL5 to EL8 ──┐                             ├→ Installation
//! rpmdb.sqlite   SQLite: EL9, Fedora ──────┼─ number, header of a package ─ rpm ┘
//! Packages.db    rpm's own: SUSE ──────────┘
//! ```
//!
//! Pure: the caller finds the files at [`RPM_PLACES`] and [`DPKG_STATUS`] and passes their bytes. The work for a database is bounded by its
//! size, which is bounded by [`DATABASE_BYTES`]; the memory by [`PACKAGES`] and [`TEXT_BYTES`]. Files of packages are not kept: they are
//! handed to the caller one by one.

mod bdb;
mod dpkg;
mod error;
mod ndb;
mod rpm;
mod sqlite;
mod wal;

pub use dpkg::{FileLists, dpkg, file_lists};
pub use error::{DatabaseError, Problem};
pub use rpm::{RpmDatabase, rpm};

use std::collections::HashSet;

use serde::Serialize;

use super::Scheme;
use error::Fault;

/// Bytes of a database that is read, at most. 2,000 packages of EL7 have 100 MiB, 2,500 of Fedora 200 MiB.
pub const DATABASE_BYTES: u64 = 512 << 20;
/// Packages of a database, at most. All of Debian 12 has 64,000.
pub const PACKAGES: usize = 100_000;
/// Bytes of all texts that are kept, at most. 1,000 packages have 200 KiB.
pub const TEXT_BYTES: usize = 64 << 20;
/// Bytes of one text, at most.
const ONE_TEXT_BYTES: usize = 64 << 10;
/// Files of all packages, at most. 2,500 packages of a desktop have 400,000.
pub const FILES: u64 = 10_000_000;
/// Bytes of a path, at most (limits.h, `PATH_MAX`).
const PATH_BYTES: usize = 4096;

/// Where a root has its RPM database, the likeliest first; the first that is there is the one in use. Fedora and SUSE moved it to
/// `/usr/lib/sysimage/rpm`, ostree keeps it in `/usr/share/rpm`. The format is detected by the content.
pub const RPM_PLACES: [&str; 9] = [
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/share/rpm/rpmdb.sqlite",
    "/usr/share/rpm/Packages.db",
    "/usr/share/rpm/Packages",
];
/// The suffixes that SQLite adds to the name of a database for its write-ahead log and its rollback journal. Both matter: see
/// [`RpmDatabase`].
pub const SQLITE_LOG: &str = "-wal";
/// As [`SQLITE_LOG`].
pub const SQLITE_JOURNAL: &str = "-journal";
/// Where a root has dpkg's database.
pub const DPKG_STATUS: &str = "/var/lib/dpkg/status";
/// A directory with a file for each package: what distroless images have instead. Those whose names end with `.md5sums` are no packages.
pub const DPKG_STATUS_DIRECTORY: &str = "/var/lib/dpkg/status.d";
/// Where dpkg keeps lists of files.
pub const DPKG_INFO: &str = "/var/lib/dpkg/info";

/// The packages installed in a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// How the database is kept.
    pub format: Format,
    /// The packages, by name, version and architecture.
    pub packages: Vec<Installed>,
    /// Packages that dpkg knows but has not, or not wholly, installed; in the same order.
    pub others: Vec<Installed>,
    /// Packages whose entries are damaged, each as an error of its own. rpm leaves them out, too, and warns.
    pub damaged: Vec<DatabaseError>,
}

/// How a database is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Format {
    Dpkg,
    BerkeleyDb,
    Sqlite,
    Ndb,
}

impl Format {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::BerkeleyDb => "rpm (Berkeley DB)",
            Self::Sqlite => "rpm (SQLite)",
            Self::Ndb => "rpm (ndb)",
        }
    }

    /// The order of the packages' versions.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Dpkg => Scheme::Debian,
            Self::BerkeleyDb | Self::Sqlite | Self::Ndb => Scheme::Rpm,
        }
    }
}

/// A package that is installed, or that dpkg knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// `[EPOCH:]VERSION[-RELEASE]`; an epoch of 0 is left out.
    pub version: String,
    /// Its architecture: `x86_64`, `amd64`, `noarch`, `all`. rpm's pseudo packages for keys have none.
    pub architecture: Option<String>,
    /// RPM: the file name of the source package. dpkg: the name of the source package. None for a pseudo package.
    pub source: Option<String>,
    /// dpkg: the version of the source package. RPM has it in its name.
    pub source_version: Option<String>,
    /// Its licence, as its maker wrote it. dpkg's database has none.
    pub license: Option<String>,
    /// Its distributor. dpkg's database has none.
    pub vendor: Option<String>,
    /// Its packager.
    pub maintainer: Option<String>,
    /// Its home page.
    pub url: Option<String>,
    /// Its summary, in one line.
    pub summary: Option<String>,
    /// Bytes it takes, by its own data; sizes of dpkg are in whole KiB.
    pub installed_size: Option<u64>,
    /// When it was installed, in seconds since 1970. dpkg does not keep it.
    pub installed_at: Option<u64>,
    /// How far it is installed.
    pub state: State,
    /// rpm's pseudo package for a key that it trusts (`gpg-pubkey`).
    pub is_key: bool,
    /// The id of the key that signed it: 16 hexadecimal digits. None without a signature, and in dpkg's database.
    pub signed_by: Option<String>,
}

/// How far a package is installed (dpkg-query(1), Status). All of rpm's are `Installed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are dpkg's own")]
pub enum State {
    #[default]
    Installed,
    NotInstalled,
    ConfigFiles,
    HalfInstalled,
    Unpacked,
    HalfConfigured,
    TriggersAwaited,
    TriggersPending,
}

impl State {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Installed, "installed"),
        (Self::NotInstalled, "not-installed"),
        (Self::ConfigFiles, "config-files"),
        (Self::HalfInstalled, "half-installed"),
        (Self::Unpacked, "unpacked"),
        (Self::HalfConfigured, "half-configured"),
        (Self::TriggersAwaited, "triggers-awaited"),
        (Self::TriggersPending, "triggers-pending"),
    ];

    /// As dpkg writes it.
    pub fn name(self) -> &'static str {
        // OK to default: every state is in the table.
        Self::ALL.iter().find(|(state, _)| *state == self).map(|(_, name)| *name).unwrap_or_default()
    }

    fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.as_bytes() == name).map(|(state, _)| *state)
    }
}

/// A file of a package, as the database has it. The file need not be there, and may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstalledFile<'a> {
    /// Its path from the root, absolute; it need not be UTF-8.
    pub path: &'a [u8],
    /// Type and permissions (inode(7)). dpkg's database has none.
    pub mode: Option<u32>,
    /// The names of owner and group. dpkg's database has none.
    pub owner: Option<(&'a [u8], &'a [u8])>,
    /// Bytes. dpkg's database has none.
    pub size: Option<u64>,
    /// The digest of a regular file's content.
    pub digest: Option<FileDigest<'a>>,
    /// Where a symbolic link leads.
    pub target: Option<&'a [u8]>,
    /// Capabilities, as cap_from_text(3) has them: `cap_net_raw=ep`.
    pub capabilities: Option<&'a [u8]>,
    /// What kind of file it is for the package manager.
    pub flags: FileFlags,
    /// Whether the package manager put it there.
    pub state: FileState,
}

/// The digest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest<'a> {
    /// `md5`, `sha1`, `ripemd160`, `sha224`, `sha256`, `sha384`, `sha512`, `sha3-256`, `sha3-512`.
    pub algorithm: &'static str,
    /// Hexadecimal digits, as many as the algorithm has.
    pub hex: &'a str,
}

impl<'a> FileDigest<'a> {
    /// The digest that `hex` is, when it has the algorithm's number of digits: `digits`.
    fn of(algorithm: &'static str, digits: usize, hex: &'a [u8]) -> Option<Self> {
        let hex = std::str::from_utf8(hex).ok().filter(|hex| hex.len() == digits && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        Some(Self { algorithm, hex })
    }
}

/// What kind of file it is for the package manager: a set (rpm 4.18, include/rpm/rpmfiles.h, `rpmfileAttrs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileFlags(pub u32);

impl FileFlags {
    /// Configuration, which an administrator may change.
    pub const CONFIG: Self = Self(1);
    /// Documentation.
    pub const DOC: Self = Self(1 << 1);
    /// The file may be missing.
    pub const MISSING_OK: Self = Self(1 << 3);
    /// The package owns the file, but the file is not in it.
    pub const GHOST: Self = Self(1 << 6);
    /// A licence.
    pub const LICENSE: Self = Self(1 << 7);

    /// Whether all of `flags` are among these.
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// Whether a package's file was put there (rpm 4.18, include/rpm/rpmfiles.h, `rpmfileState`). All of dpkg's are `Normal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileState {
    /// It was.
    #[default]
    Normal,
    /// Another package replaced it.
    Replaced,
    /// It was left out: documentation, another language, a path that was excluded.
    NotInstalled,
    /// It is on a shared network filesystem.
    NetShared,
    /// The same file of another architecture was preferred.
    WrongColor,
}

/// Called for each file of each package. Only name, version and architecture of the package are certainly set.
pub type EachFile<'a> = dyn FnMut(&Installed, &InstalledFile<'_>) + 'a;

/// Called for the header of each RPM package, with its number, the byte of the file where it is, and its bytes or what is wrong with them,
/// in words that fit after "the header of package 7".
type EachBlob<'a> = dyn FnMut(u32, u64, Result<&[u8], String>) -> Result<(), Fault> + 'a;

/// How much may still be kept.
struct Budget {
    packages: usize,
    text: usize,
    files: u64,
}

impl Budget {
    fn new() -> Self {
        Self { packages: PACKAGES, text: TEXT_BYTES, files: FILES }
    }

    fn package(&mut self) -> Result<(), Fault> {
        self.packages = self.packages.checked_sub(1).ok_or_else(|| Fault::too_much(format!("it has more than {PACKAGES} packages")))?;
        Ok(())
    }

    fn file(&mut self) -> Result<(), Fault> {
        self.files = self.files.checked_sub(1).ok_or_else(|| Fault::too_much(format!("its packages have more than {FILES} files")))?;
        Ok(())
    }

    /// Keep a text; bytes that are not UTF-8 become `\u{fffd}`, an overlong text is cut. None when it is empty.
    fn text(&mut self, text: &[u8]) -> Result<Option<String>, Fault> {
        let text = String::from_utf8_lossy(&text[..text.len().min(ONE_TEXT_BYTES)]);
        let limit = || Fault::too_much(format!("its packages have more than {} MiB of text", TEXT_BYTES >> 20));
        self.text = self.text.checked_sub(text.len()).ok_or_else(limit)?;
        Ok((!text.is_empty()).then(|| text.into_owned()))
    }
}

impl Installation {
    fn of(format: Format, packages: Vec<Installed>, damaged: Vec<DatabaseError>) -> Self {
        let (mut packages, mut others): (Vec<_>, Vec<_>) = packages.into_iter().partition(|package| package.state == State::Installed);
        for packages in [&mut packages, &mut others] {
            packages.sort_by(|a, b| {
                let versions = || format.scheme().compare(&a.version, &b.version).then_with(|| a.version.cmp(&b.version));
                a.name.cmp(&b.name).then_with(versions).then_with(|| a.architecture.cmp(&b.architecture))
            });
        }
        Self { format, packages, others, damaged }
    }

    /// The names of the installed packages, keys left out.
    pub fn names(&self) -> HashSet<&str> {
        self.packages.iter().filter(|package| !package.is_key).map(|package| package.name.as_str()).collect()
    }
}

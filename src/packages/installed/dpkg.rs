//! dpkg's database: paragraphs of text, and a list of files for each package.
//!
//! deb-control(5), dpkg-query(1), and lib/dpkg/parse.c and lib/dpkg/db-fsys-files.c of dpkg 1.21.

use std::collections::HashMap;

use super::error::Fault;
use super::{Budget, DatabaseError, EachFile, FileDigest, FileFlags, Format, Installation, Installed, InstalledFile, PATH_BYTES, State};
use crate::base::text::printable;
use crate::packages::debian::stanza::{Stanzas, fields};
use crate::packages::error::{Problem, malformed};
use crate::packages::input::Input;

/// Bytes of a status file, or of a list of files, at most. All of Debian 12 installed has 80 MiB.
const FILE_BYTES: u64 = 128 << 20;
/// Digits of MD5, the only digest dpkg keeps.
const MD5_DIGITS: usize = 32;

/// Read dpkg's database: the bytes of [`super::DPKG_STATUS`], or of each file in [`super::DPKG_STATUS_DIRECTORY`], each with its path.
/// `configuration` is called for each configuration file whose digest, as the package brought it, is in the database.
///
/// # Errors
/// A paragraph does not describe a package, or there are too many.
pub fn dpkg(files: &[(&str, &[u8])], mut configuration: Option<&mut EachFile<'_>>) -> Result<Installation, DatabaseError> {
    let (mut packages, mut budget) = (Vec::new(), Budget::new());
    for (path, bytes) in files {
        read(path, bytes, &mut budget, &mut packages, configuration.as_deref_mut()).map_err(|fault| fault.of(path))?;
    }
    Ok(Installation::of(Format::Dpkg, packages, Vec::new()))
}

fn read(
    path: &str,
    bytes: &[u8],
    budget: &mut Budget,
    packages: &mut Vec<Installed>,
    mut configuration: Option<&mut EachFile<'_>>,
) -> Result<(), Fault> {
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Fault::too_large(bytes.len() as u64, FILE_BYTES));
    }
    let mut stanzas = Stanzas::new(Input::new(path, bytes, None, FILE_BYTES)?);
    loop {
        let read = match stanzas.next() {
            Ok(Some(stanza)) => Record::of(stanza).map_err(|problem| (stanza_name(stanza), problem)),
            Ok(None) => return Ok(stanzas.finish()?),
            Err(problem) => Err((None, problem)),
        };
        match read {
            Ok(record) => {
                budget.package()?;
                let package = record.kept(budget)?;
                if let Some(each) = &mut configuration {
                    record.configuration(&package, budget, *each)?;
                }
                packages.push(package);
            }
            Err((name, problem)) => return Err(Fault::from(stanzas.error(name, problem))),
        }
    }
}

/// The name of a paragraph in errors.
fn stanza_name(stanza: &[u8]) -> Option<String> {
    fields(stanza).find(|(name, _)| *name == b"Package").map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

/// The fields of a paragraph that are kept; a missing one is empty.
#[derive(Default)]
struct Record<'a> {
    package: &'a [u8],
    version: &'a [u8],
    architecture: &'a [u8],
    source: &'a [u8],
    maintainer: &'a [u8],
    homepage: &'a [u8],
    description: &'a [u8],
    configuration_version: &'a [u8],
    conffiles: &'a [u8],
    /// Bytes it takes.
    installed_size: Option<u64>,
    state: State,
}

impl<'a> Record<'a> {
    fn of(stanza: &'a [u8]) -> Result<Self, Problem> {
        let mut record = Self::default();
        for (name, value) in fields(stanza) {
            let field = match name {
                b"" => return Err(malformed(format_args!("`{}` is no field", shown(value)))),
                _ if name.eq_ignore_ascii_case(b"Package") => &mut record.package,
                _ if name.eq_ignore_ascii_case(b"Version") => &mut record.version,
                _ if name.eq_ignore_ascii_case(b"Architecture") => &mut record.architecture,
                _ if name.eq_ignore_ascii_case(b"Source") => &mut record.source,
                _ if name.eq_ignore_ascii_case(b"Maintainer") => &mut record.maintainer,
                _ if name.eq_ignore_ascii_case(b"Homepage") => &mut record.homepage,
                _ if name.eq_ignore_ascii_case(b"Description") => &mut record.description,
                _ if name.eq_ignore_ascii_case(b"Config-Version") => &mut record.configuration_version,
                _ if name.eq_ignore_ascii_case(b"Conffiles") => &mut record.conffiles,
                _ if name.eq_ignore_ascii_case(b"Installed-Size") => {
                    // As in dpkg, a value that is no number counts as missing.
                    let kib = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
                    record.installed_size = kib.and_then(|kib| kib.checked_mul(1024));
                    continue;
                }
                _ if name.eq_ignore_ascii_case(b"Status") => {
                    record.state = state(value)?;
                    continue;
                }
                _ => continue,
            };
            *field = value;
        }
        if record.package.is_empty() {
            return Err(malformed("the field Package is missing"));
        }
        if record.state == State::Installed && record.version.is_empty() {
            return Err(malformed("the field Version is missing"));
        }
        Ok(record)
    }

    fn kept(&self, budget: &mut Budget) -> Result<Installed, Fault> {
        let (source, source_version) = source(self.source);
        let version = if self.version.is_empty() { self.configuration_version } else { self.version };
        let summary = self.description.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let [source, source_version] =
            [(source, self.package), (source_version, version)].map(|(own, other)| if own.is_empty() { other } else { own });
        Ok(Installed {
            // OK to default: the name is not empty; a package that is not installed may have no version.
            name: budget.text(self.package)?.unwrap_or_default(),
            version: budget.text(version)?.unwrap_or_default(),
            architecture: budget.text(self.architecture)?,
            source: budget.text(source)?,
            source_version: budget.text(source_version)?,
            maintainer: budget.text(self.maintainer)?,
            url: budget.text(self.homepage)?,
            summary: budget.text(summary.trim_ascii())?,
            installed_size: self.installed_size,
            state: self.state,
            ..Installed::default()
        })
    }

    /// Lines of a path, the digest of the file that the package brought, and maybe `obsolete` or `remove-on-upgrade`. A path can have
    /// spaces.
    fn configuration(&self, package: &Installed, budget: &mut Budget, each: &mut EachFile<'_>) -> Result<(), Fault> {
        for line in self.conffiles.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            budget.file()?;
            let mut words = line.rsplitn(3, |byte| *byte == b' ');
            let (last, before, rest) = (words.next(), words.next(), words.next());
            let marked = matches!(last, Some(b"obsolete" | b"remove-on-upgrade"));
            let hex = if marked { before } else { last }.unwrap_or_default();
            let end = if marked { rest.map_or(0, <[u8]>::len) } else { line.len().saturating_sub(hex.len() + 1) };
            // `newconffile` stands where a package is not configured yet.
            let digest = FileDigest::of("md5", MD5_DIGITS, hex);
            let path = &line[..end];
            if !path.is_empty() && path.len() <= PATH_BYTES {
                each(package, &InstalledFile { digest, ..plain(path, FileFlags::CONFIG) });
            }
        }
        Ok(())
    }
}

/// `want flag status` (dpkg-query(1)); the status is what counts.
fn state(value: &[u8]) -> Result<State, Problem> {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (state, more) = (words.nth(2), words.next());
    // post-inst-failed and removal-failed are old names for half-configured and half-installed (lib/dpkg/parsehelp.c).
    let state = match state {
        Some(b"post-inst-failed") => Some(State::HalfConfigured),
        Some(b"removal-failed") => Some(State::HalfInstalled),
        state => state.and_then(State::of),
    };
    state.filter(|_| more.is_none()).ok_or_else(|| malformed(format_args!("`{}` is no status", shown(value))))
}

/// `NAME (VERSION)`, where the version is missing when it is the package's own.
fn source(value: &[u8]) -> (&[u8], &[u8]) {
    let Some(open) = value.iter().position(|byte| *byte == b'(') else { return (value, b"") };
    let (name, version) = value.split_at(open);
    (name.trim_ascii(), version[1..].strip_suffix(b")").unwrap_or(&version[1..]).trim_ascii())
}

/// The lists of files of one package, below [`super::DPKG_INFO`]. A missing list is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileLists<'a> {
    /// `NAME.list`: a path a line, directories among them.
    pub list: &'a [u8],
    /// `NAME.md5sums`: a digest, two spaces and a path without its first slash a line. Configuration is not in it.
    pub md5sums: &'a [u8],
    /// `NAME.conffiles`: paths of configuration.
    pub conffiles: &'a [u8],
}

/// What the names of a package's lists can begin with, in the order to look for them: a package that can be installed for several architectures at once
/// has its own in the name (lib/dpkg/db-ctrl-access.c).
pub fn file_lists(package: &Installed) -> Vec<String> {
    let qualified = package.architecture.as_ref().map(|architecture| format!("{}:{architecture}", package.name));
    qualified.into_iter().chain([package.name.clone()]).filter(|name| !name.contains('/')).collect()
}

impl FileLists<'_> {
    /// Hand each path of the package to `each`, as [`InstalledFile`]s that know a digest and whether they are configuration, but neither mode nor size.
    /// Diversions are not followed.
    ///
    /// # Errors
    /// A list is larger than 128 MiB, or has a line that is no path. Errors call the list `name`.
    pub fn each(&self, name: &str, package: &Installed, each: &mut EachFile<'_>) -> Result<(), DatabaseError> {
        self.read(package, each).map_err(|fault| fault.of(name))
    }

    fn read(&self, package: &Installed, each: &mut EachFile<'_>) -> Result<(), Fault> {
        let Self { list, md5sums, conffiles } = self;
        if let Some(large) = [list, md5sums, conffiles].into_iter().find(|bytes| bytes.len() as u64 > FILE_BYTES) {
            return Err(Fault::too_large(large.len() as u64, FILE_BYTES));
        }
        let mut budget = Budget::new();
        let mut known: HashMap<&[u8], (Option<FileDigest<'_>>, FileFlags)> = HashMap::new();
        for line in lines(md5sums) {
            budget.file()?;
            if let Some((hex, path)) = line.split_at_checked(MD5_DIGITS)
                && let Some(path) = path.strip_prefix(b"  ")
            {
                known.entry(path).or_default().0 = FileDigest::of("md5", MD5_DIGITS, hex);
            }
        }
        for line in lines(conffiles) {
            budget.file()?;
            let path = line.strip_prefix(b"remove-on-upgrade ").unwrap_or(line);
            known.entry(path.strip_prefix(b"/").unwrap_or(path)).or_default().1 = FileFlags::CONFIG;
        }
        let mut at = 0;
        for line in list.split(|byte| *byte == b'\n') {
            let here = at;
            at += line.len() as u64 + 1;
            // The root itself is `/.`.
            if line.is_empty() || line == b"/." {
                continue;
            }
            budget.file()?;
            let path = line.strip_prefix(b"/").filter(|_| line.len() <= PATH_BYTES);
            let path = path.ok_or_else(|| Fault::corrupt(here, format!("`{}` is not the path of a file", shown(line))))?;
            let (digest, flags) = known.get(path).copied().unwrap_or_default();
            each(package, &InstalledFile { digest, ..plain(line, flags) });
        }
        Ok(())
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// A file of which only the path and its kind are known.
fn plain(path: &[u8], flags: FileFlags) -> InstalledFile<'_> {
    InstalledFile {
        path,
        mode: None,
        owner: None,
        size: None,
        digest: None,
        target: None,
        capabilities: None,
        flags,
        state: super::FileState::Normal,
    }
}

fn shown(value: &[u8]) -> String {
    printable(&String::from_utf8_lossy(&value[..value.len().min(80)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wholly_installed_is_told_apart() {
        let status = b"Package: a\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\nInstalled-Size: 7\nSource: s (2-3)\n\
            Description: first\n second\n\nPackage: b\nStatus: deinstall ok config-files\nConfig-Version: 9\n\n\
            Package: c\nStatus: purge ok not-installed\n\npackage: d\nVersion: 0\n";
        let read = dpkg(&[("status", status)], None).unwrap();
        let [a, d] = &read.packages[..] else { panic!("{:?}", read.packages) };
        assert_eq!(
            (a.name.as_str(), a.version.as_str(), a.installed_size, a.summary.as_deref()),
            ("a", "1:2-3", Some(7168), Some("first"))
        );
        assert_eq!((a.source.as_deref(), a.source_version.as_deref()), (Some("s"), Some("2-3")));
        // Distroless images have no field Status.
        assert_eq!((d.name.as_str(), d.source.as_deref(), d.source_version.as_deref()), ("d", Some("d"), Some("0")));
        let others: Vec<_> =
            read.others.iter().map(|package| (package.name.as_str(), package.version.as_str(), package.state.name())).collect();
        assert_eq!(others, [("b", "9", "config-files"), ("c", "", "not-installed")]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (status, expected) in [
            (&b"Package: a\nVersion: 1\n\nVersion: 1\n"[..], "status cannot be read at byte 23: the field Package is missing"),
            (b"Package: a\nnonsense\n", "status cannot be read at byte 0: `nonsense` is no field (package `a`)"),
            (b"Package: a\nStatus: install ok x\n", "status cannot be read at byte 0: `install ok x` is no status (package `a`)"),
            (b"Package: a\n", "status cannot be read at byte 0: the field Version is missing (package `a`)"),
        ] {
            assert_eq!(dpkg(&[("status", status)], None).unwrap_err().to_string(), expected);
        }
        let lists = FileLists { list: b"/.\n/usr\nu\x1b[2Jsr\n", ..FileLists::default() };
        let said = lists.each("a.list", &Installed::default(), &mut |_, _| {}).unwrap_err();
        assert_eq!(said.to_string(), "a.list cannot be read at byte 8: `usr` is not the path of a file");
    }

    #[test]
    fn configuration_has_the_digest_that_the_package_brought() {
        let hex = "0123456789abcdef0123456789abcdef";
        let status = format!("Package: a\nVersion: 1\nConffiles:\n /etc/a {hex}\n /etc/b c {hex} obsolete\n /etc/d newconffile\n");
        let mut found = Vec::new();
        let mut each = |package: &Installed, file: &InstalledFile<'_>| {
            let path = String::from_utf8(file.path.to_vec()).unwrap();
            found.push((package.name.clone(), path, file.digest.map(|digest| digest.hex.to_owned()), file.flags));
        };
        dpkg(&[("status", status.as_bytes())], Some(&mut each)).unwrap();
        let expected = [("/etc/a", Some(hex)), ("/etc/b c", Some(hex)), ("/etc/d", None)];
        assert_eq!(found, expected.map(|(path, hex)| ("a".into(), path.into(), hex.map(str::to_owned), FileFlags::CONFIG)));
    }
}

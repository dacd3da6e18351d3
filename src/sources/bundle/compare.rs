//! Compares a repository's metadata with the files that are there. Other modules parse the metadata; this one only gets places, sizes and
//! digests.

use std::collections::{HashMap, HashSet};

use super::listing::{FileRecord, is_package};
use super::names;
use super::problem::{Problem, Problems};

/// A file as metadata lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its path, seen from the directory that holds `repodata`: `location` of primary.xml or repomd.xml.
    pub location: &'a str,
    /// Its size in bytes. createrepo 0.9 gives none in repomd.xml.
    pub bytes: Option<u64>,
    /// The kind of its checksum: `sha256`.
    pub checksum_kind: &'a str,
    /// Its checksum, in hexadecimal digits.
    pub checksum: &'a str,
}

/// Deficiencies of metadata that are no errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Packages that are there and not listed: yum cannot see them.
    pub unlisted: Vec<String>,
    /// Files whose checksum is not sha256. Only their sizes were compared.
    pub unchecked: Vec<String>,
}

/// Compare `listed` with `files`. Errors call the metadata `by`.
///
/// # Errors
/// All mismatches.
pub(super) fn compare<'a>(files: &[FileRecord], by: &str, listed: impl IntoIterator<Item = Listed<'a>>) -> Result<Comparison, Problems> {
    let files: HashMap<&str, &FileRecord> = files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut problems = Problems::default();
    let mut seen = HashSet::new();
    let mut unchecked = Vec::new();
    for listed in listed {
        let what = match files.get(listed.location) {
            Some(file) => {
                seen.insert(file.path.as_str());
                if listed.checksum_kind != "sha256" {
                    unchecked.push(file.path.clone());
                }
                difference(file, by, &listed)
            }
            None if names::normal(listed.location.as_bytes()).as_deref() == Ok(listed.location) && !listed.location.is_empty() => {
                Some(format!("is named by {by} and is not in the bundle"))
            }
            None => Some(format!("is named by {by}, and is no path within the repository")),
        };
        if let Some(what) = what {
            problems.add(Problem::with(listed.location, what));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut unlisted: Vec<String> =
        files.keys().filter(|path| is_package(path) && !seen.contains(*path)).map(|path| (*path).to_owned()).collect();
    unlisted.sort();
    Ok(Comparison { unlisted, unchecked })
}

fn difference(file: &FileRecord, by: &str, listed: &Listed<'_>) -> Option<String> {
    if let Some(bytes) = listed.bytes.filter(|bytes| *bytes != file.bytes) {
        return Some(format!("has {} bytes, and {by} says {bytes}", file.bytes));
    }
    let differs = listed.checksum_kind == "sha256" && !listed.checksum.eq_ignore_ascii_case(&file.sha256.to_string());
    differs.then(|| format!("is another file than {by} says: it has sha256 {}", file.sha256.short()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Sha256Digest;

    #[test]
    fn a_list_of_files_is_held_against_the_files() {
        let record = |path: &str, content: &[u8]| FileRecord {
            path: path.to_owned(),
            bytes: content.len() as u64,
            sha256: Sha256Digest::of(content),
            package: None,
            link_to: None,
        };
        let files = [record("a.rpm", b"abc"), record("sub/b.rpm", b"b"), record("readme", b"r")];
        let abc = Sha256Digest::of(b"abc").to_string();
        let a = Listed { location: "a.rpm", bytes: Some(3), checksum_kind: "sha256", checksum: &abc };
        let verdict = |listed: &[Listed<'_>]| compare(&files, "primary.xml", listed.iter().copied());
        let fine = verdict(&[a, Listed { location: "sub/b.rpm", bytes: None, checksum_kind: "sha", checksum: "0" }]).unwrap();
        assert_eq!(fine, Comparison { unlisted: Vec::new(), unchecked: vec!["sub/b.rpm".into()] });
        let upper = abc.to_uppercase();
        assert_eq!(verdict(&[Listed { checksum: &upper, bytes: None, ..a }]).unwrap().unlisted, ["sub/b.rpm"]);
        for (listed, expected) in [
            (Listed { bytes: Some(4), ..a }, "`a.rpm` has 3 bytes, and primary.xml says 4"),
            (Listed { checksum: &abc[1..], ..a }, "`a.rpm` is another file than primary.xml says: it has sha256 ba7816bf"),
            (Listed { location: "c.rpm", ..a }, "`c.rpm` is named by primary.xml and is not in the bundle"),
            (Listed { location: "../a.rpm", ..a }, "`../a.rpm` is named by primary.xml, and is no path within the repository"),
            (Listed { location: "", ..a }, "`` is named by primary.xml, and is no path within the repository"),
        ] {
            let told = verdict(&[listed]).unwrap_err().lines();
            assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
        }
        assert_eq!(verdict(&[Listed { bytes: Some(4), ..a }, Listed { location: "c.rpm", ..a }]).unwrap_err().lines().len(), 2);
    }
}

//! `InRelease` and `Release`: which indexes a suite consists of, by digest.
//!
//! Debian repository format, wiki.debian.org/DebianRepository/Format, "Release" files. The signature is not looked at
//! here: apt has verified it before the file is read (src/sources/in_release.rs).

use std::collections::BTreeMap;
use std::io::Read;

use crate::base::digest::Sha256Digest;
use crate::packages::checksum::Checksum;
use crate::packages::error::{At, IndexError, Problem, malformed};
use crate::packages::input::{Listed, is_within};

/// Bytes a Release file may have; bookworm's has 150 KB.
const LIMIT: u64 = 8 << 20;

/// A suite, as its Release file describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// `Suite`: `oldstable`.
    pub suite: Option<String>,
    /// `Codename`: `bookworm`.
    pub codename: Option<String>,
    /// `Date`, when it was made, as it is written: `Sat, 16 May 2026 09:46:50 UTC`.
    pub date: Option<String>,
    /// `Valid-Until`, as it is written; most releases are valid for ever.
    pub valid_until: Option<String>,
    /// `Components`: `main`, `contrib`.
    pub components: Vec<String>,
    /// `Architectures`: `amd64`, `all`.
    pub architectures: Vec<String>,
    /// Files may be fetched by their digest, so that an update of the mirror between two fetches does no harm (`Acquire-By-Hash`).
    pub by_hash: bool,
    /// Digest and size in bytes of each file, by its path below the Release file's directory (`SHA256`).
    pub files: BTreeMap<String, (Sha256Digest, u64)>,
}

/// Where an index can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFile {
    /// Paths below the Release file's directory, the best first: `main/binary-amd64/by-hash/SHA256/…`.
    pub paths: Vec<String>,
    /// The file's digest.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl IndexFile {
    /// What [`crate::packages::Input`] must find.
    pub fn listed(&self) -> Listed {
        Listed { checksum: Checksum::Sha256(*self.sha256.as_bytes()), size: Some(self.size) }
    }
}

impl Release {
    /// Read an InRelease or Release file, which errors call `name`.
    ///
    /// # Errors
    /// It cannot be read, is too large, no text, or lists no files.
    pub fn read(name: &str, reader: impl Read) -> Result<Self, IndexError> {
        let mut bytes = Vec::new();
        reader.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| IndexError::whole(name, Problem::Unreadable(error)))?;
        if bytes.len() as u64 > LIMIT {
            return Err(IndexError::whole(name, Problem::TooLarge { limit: LIMIT }));
        }
        let text = String::from_utf8(bytes).map_err(|_| IndexError::whole(name, malformed("it is not UTF-8")))?;
        let (mut release, mut in_files) = (Self::default(), false);
        for (number, line) in signed_part(&text) {
            release.read_line(line, &mut in_files).map_err(|problem| {
                let at = At { line: number as u64 + 1, byte: (line.as_ptr().addr() - text.as_ptr().addr()) as u64 };
                IndexError { at: Some(at), ..IndexError::whole(name, problem) }
            })?;
        }
        if release.files.is_empty() {
            return Err(IndexError::whole(name, malformed("it lists no files by SHA256")));
        }
        Ok(release)
    }

    /// The uncompressed `Packages` index of a component and architecture: its digest names the content.
    pub fn packages(&self, component: &str, arch: &str) -> Option<IndexFile> {
        self.index(&format!("{component}/binary-{arch}/Packages"))
    }

    /// The same index as it is best fetched: xz is the smallest and what every Debian mirror has.
    pub fn compressed_packages(&self, component: &str, arch: &str) -> Option<IndexFile> {
        [".xz", ".gz", ""].iter().find_map(|extension| self.index(&format!("{component}/binary-{arch}/Packages{extension}")))
    }

    /// The list of the files of a component's packages, compressed, when the suite has one; `arch` is `all` for packages without architecture
    /// (Debian repository format, "Contents" indices).
    pub fn contents(&self, component: &str, arch: &str) -> Option<IndexFile> {
        [".xz", ".gz"].iter().find_map(|extension| self.index(&format!("{component}/Contents-{arch}{extension}")))
    }

    fn index(&self, path: &str) -> Option<IndexFile> {
        let (sha256, size) = *self.files.get(path)?;
        let mut paths = vec![path.to_owned()];
        if let (true, Some((directory, _))) = (self.by_hash, path.rsplit_once('/')) {
            paths.insert(0, format!("{directory}/by-hash/SHA256/{sha256}"));
        }
        Some(IndexFile { paths, sha256, size })
    }

    fn read_line(&mut self, line: &str, in_files: &mut bool) -> Result<(), Problem> {
        if line.starts_with([' ', '\t']) {
            if *in_files {
                let (path, file) = file(line).ok_or_else(|| malformed(format_args!("`{}` is no digest, size and path", shown(line))))?;
                self.files.insert(path.to_owned(), file);
            }
            return Ok(());
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        let (field, value) = line.split_once(':').ok_or_else(|| malformed(format_args!("`{}` is no field", shown(line))))?;
        let text = || Some(value.trim().to_owned());
        let words = || value.split_ascii_whitespace().map(str::to_owned).collect();
        *in_files = field.eq_ignore_ascii_case("SHA256");
        match field.to_ascii_lowercase().as_str() {
            "suite" => self.suite = text(),
            "codename" => self.codename = text(),
            "date" => self.date = text(),
            "valid-until" => self.valid_until = text(),
            "components" => self.components = words(),
            "architectures" => self.architectures = words(),
            "acquire-by-hash" => self.by_hash = value.trim().eq_ignore_ascii_case("yes"),
            _ => {}
        }
        Ok(())
    }
}

fn shown(line: &str) -> String {
    line.trim().chars().take(80).collect()
}

/// The lines of a text in the Cleartext Signature Framework that are signed (RFC 9580, section 7), or of a text that is not, numbered from 0.
fn signed_part(text: &str) -> impl Iterator<Item = (usize, &str)> {
    const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
    let signed = text.starts_with(BEGIN);
    // The armor's own header ends with an empty line.
    let header = if signed { text.lines().take_while(|line| !line.is_empty()).count() + 1 } else { 0 };
    text.lines()
        .enumerate()
        .skip(header)
        .take_while(move |(_, line)| !(signed && line.starts_with("-----BEGIN PGP SIGNATURE-----")))
        .map(move |(number, line)| (number, if signed { line.strip_prefix("- ").unwrap_or(line) } else { line }))
}

fn file(line: &str) -> Option<(&str, (Sha256Digest, u64))> {
    let mut words = line.split_ascii_whitespace();
    let (digest, size, path) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
    // Paths become parts of addresses.
    (words.next().is_none() && is_within(path)).then_some((path, (digest, size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn text() -> String {
        format!(
            "Origin: Debian\nSuite: oldstable\nCodename: bookworm\nDate: Sat, 16 May 2026 09:46:50 UTC\nValid-Until: never\n\
             Acquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main contrib\nMD5Sum:\n 0123 5 not/this\nSHA256:\n \
             {DIGEST}  50060337 main/binary-amd64/Packages\n {DIGEST} 9 main/binary-amd64/Packages.xz\n\
             {DIGEST} 1 contrib/binary-amd64/Packages\n"
        )
        .replace(&format!("\n{DIGEST}"), &format!("\n {DIGEST}"))
    }

    #[test]
    fn a_release_is_read_signed_or_not() {
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}-----BEGIN PGP SIGNATURE-----\n\niQ+: no field\n-----END PGP SIGNATURE-----\n",
            text().replace("\nSuite", "\n- Suite")
        );
        for text in [text(), signed] {
            let release = Release::read("Release", text.as_bytes()).unwrap();
            let is = |field: &Option<String>, value: &str| assert_eq!(field.as_deref(), Some(value));
            is(&release.suite, "oldstable");
            is(&release.codename, "bookworm");
            is(&release.date, "Sat, 16 May 2026 09:46:50 UTC");
            is(&release.valid_until, "never");
            assert_eq!(
                (&release.components[..], &release.architectures[..]),
                (&["main", "contrib"].map(String::from)[..], &["all", "amd64"].map(String::from)[..])
            );
            assert_eq!(release.files.len(), 3);
            let index = release.packages("main", "amd64").unwrap();
            assert_eq!(index.paths, [format!("main/binary-amd64/by-hash/SHA256/{DIGEST}"), "main/binary-amd64/Packages".to_owned()]);
            assert_eq!(index.listed().size, Some(50_060_337));
            assert_eq!(release.compressed_packages("main", "amd64").unwrap().size, 9);
            assert_eq!(release.compressed_packages("contrib", "amd64").unwrap().size, 1);
            assert_eq!(release.packages("main", "i386"), None);
        }
    }

    #[test]
    fn what_is_no_release_is_named() {
        for (text, words) in [
            ("", "Release cannot be used: it lists no files by SHA256"),
            ("Suite: x\n<html>\n", "line 2 (byte 9): `<html>` is no field"),
            ("SHA256:\n 01 2 main/x\n", "line 2 (byte 8): `01 2 main/x` is no digest, size and path"),
            (&text().replace("main/binary-amd64/Packages.xz", "../x"), "../x` is no digest"),
            (&text().replace(" 9 ", " -9 "), " is no digest"),
        ] {
            let error = Release::read("Release", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(Release::read("Release", &b"\xff"[..]).unwrap_err().to_string().ends_with("it is not UTF-8"));
        assert!(Release::read("Release", std::io::repeat(b'\n')).unwrap_err().to_string().ends_with("it expands to more than 8.00 MiB"));
    }
}

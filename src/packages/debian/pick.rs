//! Some packages of a `Packages` index, with the paragraphs that describe them. A repository of only these packages consists of both.

use std::fmt::Write as _;

use super::record::Record;
use super::stanza::{Stanzas, fields};
use crate::base::digest::Sha256Digest;
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::{Input, is_within};

/// A package of an index, and its data there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch when there is one.
    pub version: String,
    /// Its architecture: `amd64`, `all`.
    pub arch: String,
    /// Where the file is, relative to the repository's address: `pool/main/b/bash/bash_5.2.15-2+b7_amd64.deb`.
    pub path: String,
    /// The digest of the file.
    pub sha256: Sha256Digest,
    /// Bytes of the file.
    pub bytes: u64,
    /// The paragraph as it is in the index, except for `Filename`, which is [`Picked::file_name`].
    pub paragraph: String,
}

impl Picked {
    /// A name for the file that no other package has: `NAME_VERSION_ARCH.deb`, with the colon of an epoch escaped as apt escapes it.
    pub fn file_name(&self) -> String {
        file_name(&self.name, &self.version, &self.arch)
    }
}

fn file_name(name: &str, version: &str, arch: &str) -> String {
    format!("{name}_{}_{arch}.deb", version.replace(':', "%3a"))
}

/// The packages of the index whose name, version and architecture are `wanted`, in the order of the index.
///
/// # Errors
/// A paragraph is not that of a package, or a wanted one lacks the path, the size or the digest of its file.
pub fn pick(input: Input<'_>, wanted: &dyn Fn(&str, &str, &str) -> bool) -> Result<Vec<Picked>, IndexError> {
    let mut stanzas = Stanzas::new(input);
    let mut found = Vec::new();
    loop {
        let stanza = match stanzas.next() {
            Ok(Some(stanza)) => stanza,
            Ok(None) => {
                stanzas.finish()?;
                return Ok(found);
            }
            Err(problem) => return Err(stanzas.error(None, problem)),
        };
        let mut name = None;
        match picked(stanza, wanted, &mut name) {
            Ok(picked) => found.extend(picked),
            Err(problem) => return Err(stanzas.error(name, problem)),
        }
    }
}

/// The package of one paragraph, when it is wanted. `entry` is what errors call it.
fn picked(stanza: &[u8], wanted: &dyn Fn(&str, &str, &str) -> bool, entry: &mut Option<String>) -> Result<Option<Picked>, Problem> {
    let record = Record::of(stanza)?;
    if !wanted(record.package, record.version, record.architecture) {
        return Ok(None);
    }
    *entry = Some(format!("package {}", record.package));
    // The name becomes a file's, so all three parts are checked against what dpkg accepts (deb-control(5), Package and Version).
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.~:_".contains(&byte));
    for text in [record.package, record.version, record.architecture] {
        if !is_plain(text) || text.starts_with('.') {
            return Err(malformed(format_args!("`{text}` is no name, version or architecture of a package")));
        }
    }
    if !is_within(record.filename) {
        return Err(malformed(format_args!("the file `{}` is not below the repository", record.filename)));
    }
    let sha256 = record.sha256.parse().map_err(|_| malformed(format_args!("`{}` is no SHA-256 digest", record.sha256)))?;
    let file_name = file_name(record.package, record.version, record.architecture);
    let mut paragraph = String::with_capacity(stanza.len());
    for (name, value) in fields(stanza) {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"));
        let value = if name == b"Filename" { &*file_name } else { text(value)? };
        let _ = writeln!(paragraph, "{}: {value}", text(name)?);
    }
    Ok(Some(Picked {
        name: record.package.to_owned(),
        version: record.version.to_owned(),
        arch: record.architecture.to_owned(),
        path: record.filename.to_owned(),
        sha256,
        bytes: record.size,
        paragraph,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(text: &str) -> Result<Vec<Picked>, String> {
        let input = Input::new("Packages", text.as_bytes(), None, 1 << 20).unwrap();
        pick(input, &|name, version, arch| (name, version, arch) == ("b", "1:2", "amd64")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_wanted_package_is_found_with_its_paragraph() {
        let paragraph = |version: &str, arch: &str, file: &str| {
            format!(
                "Package: b\nVersion: {version}\nArchitecture: {arch}\nDepends: c,\n d\nFilename: {file}\nSize: 7\nSHA256: {DIGEST}\n\
                 Description: x\n .\n y\n"
            )
        };
        let text = [paragraph("1:2", "i386", "pool/i.deb"), paragraph("1:1", "amd64", "o.deb"), paragraph("1:2", "amd64", "pool/b.deb")];
        let found = read(&text.join("\n")).unwrap();
        assert_eq!(found.len(), 1);
        let package = &found[0];
        assert_eq!((package.path.as_str(), package.bytes, package.sha256.to_string().as_str()), ("pool/b.deb", 7, DIGEST));
        assert_eq!(package.file_name(), "b_1%3a2_amd64.deb");
        assert_eq!(package.paragraph, paragraph("1:2", "amd64", "b_1%3a2_amd64.deb"));
    }

    #[test]
    fn a_package_that_cannot_be_fetched_is_said() {
        let package = |fields: &str| format!("Package: b\nVersion: 1:2\nArchitecture: amd64\n{fields}");
        for (fields, words) in [
            (format!("Size: 7\nSHA256: {DIGEST}\n"), "package b: the file `` is not below the repository"),
            (format!("Filename: ../b.deb\nSize: 7\nSHA256: {DIGEST}\n"), "the file `../b.deb` is not below the repository"),
            ("Filename: b.deb\nSize: 7\nSHA256: 12\n".to_owned(), "`12` is no SHA-256 digest"),
            ("Filename: b.deb\nSize: x\n".to_owned(), "`x` is no size"),
        ] {
            let error = read(&package(&fields)).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        // A package that is not wanted may lack fields.
        assert_eq!(read("Package: a\nVersion: 1\nArchitecture: all\n").unwrap(), []);
    }
}

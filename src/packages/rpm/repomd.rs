//! `repodata/repomd.xml`: which files the repository's metadata consists of.
//!
//! createrepo_c 1.1, src/xml_dump_repomd.c; createrepo 0.9 writes the same elements and leaves the sizes out.

use std::io::Read;

use super::xml::{Event, Xml};
use crate::packages::checksum::Checksum;
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::{Input, Listed, is_within};

/// Bytes that repomd.xml may have.
const LIMIT: u64 = 4 << 20;
/// Files that a repository's metadata may consist of; Fedora's has 24.
const FILES: usize = 256;

/// The metadata files of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// What it calls its state, often the time it was made; empty when it says nothing.
    pub revision: String,
    /// Those files that are read here, in the order of repomd.xml. The same in SQLite (`primary_db`), in zchunk, and all others are not.
    pub entries: Vec<Entry>,
}

/// What a metadata file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The packages.
    Primary,
    /// All files of the packages.
    Filelists,
    /// Groups and environments. createrepo writes them plain as `group` and once more compressed as `group_gz` (createrepo_c: `group_xz`,
    /// `group_zst` and so on); one may be without the other.
    Groups,
}

/// One of the metadata files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// Where it is, relative to the directory that holds `repodata`: `repodata/…-primary.xml.gz`.
    pub href: String,
    /// What it must be.
    pub listed: Listed,
    /// Its size in bytes when it is expanded.
    pub open_size: Option<u64>,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "primary" => Some(Self::Primary),
            "filelists" => Some(Self::Filelists),
            "group" => Some(Self::Groups),
            _ if name.starts_with("group_") && !name.ends_with("_zck") => Some(Self::Groups),
            _ => None,
        }
    }
}

impl Entry {
    /// Read the file, whose bytes `reader` gives and which errors call `name`. Expanded, it may have `limit` bytes, or as many as repomd.xml
    /// says when those are fewer.
    ///
    /// # Errors
    /// Those of [`Input::new`].
    pub fn input<'a>(&self, name: &str, reader: impl Read + 'a, limit: u64) -> Result<Input<'a>, IndexError> {
        Input::new(name, reader, Some(self.listed), limit.min(self.open_size.unwrap_or(limit)))
    }
}

impl Repomd {
    /// Read repomd.xml, which errors call `name`.
    ///
    /// # Errors
    /// It is no repomd.xml; a file of it has no digest, or one that is not computed here, or lies outside the repository.
    pub fn read<'a>(name: &str, reader: impl Read + 'a) -> Result<Self, IndexError> {
        let mut xml = Xml::open(Input::new(name, reader, None, LIMIT)?, "repomd")?;
        match read(&mut xml) {
            Ok(repomd) => xml.finish().map(|()| repomd),
            Err(problem) => Err(xml.error(problem)),
        }
    }

    /// The file of this kind; of several the first.
    pub fn entry(&self, kind: Kind) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }
}

fn read(xml: &mut Xml<'_>) -> Result<Repomd, Problem> {
    let mut repomd = Repomd::default();
    loop {
        match xml.next()? {
            Event::Open(element) => match element.name() {
                "revision" => repomd.revision = xml.text()?.to_owned(),
                "data" => {
                    let name = element.required("type")?.into_owned();
                    match Kind::of(&name) {
                        Some(kind) => {
                            xml.entry = Some(name);
                            repomd.entries.push(entry(xml, kind)?);
                            xml.entry = None;
                        }
                        None => xml.skip()?,
                    }
                }
                _ => xml.skip()?,
            },
            Event::Close => {}
            Event::End => return Ok(repomd),
        }
        if repomd.entries.len() > FILES {
            return Err(malformed(format_args!("it lists more than {FILES} files")));
        }
    }
}

/// The file that a `<data>` describes.
fn entry(xml: &mut Xml<'_>, kind: Kind) -> Result<Entry, Problem> {
    let (mut checksum, mut href, mut size, mut open_size) = (None, None, None, None);
    while let Event::Open(element) = xml.next()? {
        match element.name() {
            "checksum" => {
                let digest = element.required("type")?.into_owned();
                checksum = Some(Checksum::parse(&digest, xml.text()?).map_err(malformed)?);
            }
            "location" => {
                if let Some(base) = element.attribute("base")? {
                    return Err(malformed(format_args!("the file is at another place: {base}")));
                }
                let path = element.required("href")?.into_owned();
                if !is_within(&path) {
                    return Err(malformed(format_args!("`{path}` is not a path within the repository")));
                }
                href = Some(path);
                xml.skip()?;
            }
            "size" => size = Some(number(xml)?),
            "open-size" => open_size = Some(number(xml)?),
            _ => xml.skip()?,
        }
    }
    let href = href.ok_or_else(|| malformed("it has no <location>"))?;
    let checksum = checksum.ok_or_else(|| malformed("it has no <checksum>"))?;
    Ok(Entry { kind, href, listed: Listed { checksum, size }, open_size })
}

fn number(xml: &mut Xml<'_>) -> Result<u64, Problem> {
    let text = xml.text()?;
    text.parse().map_err(|_| malformed(format_args!("`{text}` is not a size in bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    fn data(kind: &str, rest: &str) -> String {
        format!("<data type='{kind}'><checksum type='sha'>{SHA}</checksum><location href='repodata/{kind}.xml.gz'/>{rest}</data>")
    }

    fn read(content: &str) -> Result<Repomd, String> {
        let text = format!("<?xml version='1.0'?>\n<repomd xmlns='http://linux.duke.edu/metadata/repo'>{content}</repomd>");
        Repomd::read("repomd.xml", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_listed() {
        let others = data("primary_db", "") + &data("group_gz_zck", "") + "<data type='modules'><location href='../x'/></data>";
        let primary = data(
            "primary",
            "<open-checksum type='md5'>x</open-checksum><size> 5 </size><open-size>9</open-size><timestamp>1.5</timestamp>",
        );
        let content = format!("<revision>17</revision>{others}{primary}{}<tags><distro>x</distro></tags>", data("group_gz", ""));
        let repomd = read(&content).unwrap();
        let listed = |size| Listed { checksum: Checksum::parse("sha1", SHA).unwrap(), size };
        let entry = |kind, href: &str, size, open_size| Entry { kind, href: href.to_owned(), listed: listed(size), open_size };
        let primary = entry(Kind::Primary, "repodata/primary.xml.gz", Some(5), Some(9));
        let groups = entry(Kind::Groups, "repodata/group_gz.xml.gz", None, None);
        assert_eq!(repomd, Repomd { revision: "17".to_owned(), entries: vec![primary.clone(), groups] });
        assert_eq!((repomd.entry(Kind::Primary), repomd.entry(Kind::Filelists)), (Some(&primary), None));
        // Both sizes bound what is read.
        let error = primary.input("primary", &b"0123456789"[..], 100).map(Input::finish).unwrap().unwrap_err().to_string();
        assert!(error.ends_with("it is longer than the 5 bytes its list of files says"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (content, words) in [
            (data("primary", "<size>-1</size>"), "repomd.xml cannot be used, line 2 (byte 217), primary: `-1` is not a size in bytes"),
            (data("primary", "<location href='/x'/>"), "`/x` is not a path within the repository"),
            (data("primary", "<location href='a/../../x'/>"), "`a/../../x` is not a path within"),
            (data("primary", "<location href='ftp://x/y'/>"), "`ftp://x/y` is not a path within"),
            (data("primary", "<location href=''/>"), "`` is not a path within"),
            (data("primary", "<location xml:base='http://x/' href='y'/>"), "the file is at another place: http://x/"),
            (data("primary", "<checksum type='md5'>00</checksum>"), "checksums of type `md5` are not checked here"),
            ("<data type='primary'/>".to_owned(), "primary: it has no <location>"),
            ("<data type='primary'><location href='x'/></data>".to_owned(), "primary: it has no <checksum>"),
            ("<data/>".to_owned(), "<data> has no attribute `type`"),
            (data("group", "").repeat(FILES + 1), "it lists more than 256 files"),
        ] {
            let error = read(&content).unwrap_err();
            assert!(error.contains(words), "{content}: {error}");
        }
    }
}

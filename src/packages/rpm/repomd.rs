//! `repodata/repomd.xml`: which files the repository's metadata consists of.
//!
//! createrepo_c 1.1, src/xml_dump_repomd.c; createrepo 0.9 writes the same elements and leaves the sizes out.

use std::io::Read;

use super::href::{address, local_path};
use super::xml::{Event, Xml};
use crate::packages::checksum::Checksum;
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::{Input, Listed};

/// Bytes that repomd.xml may have.
const LIMIT: u64 = 4 << 20;
/// Files that a repository's metadata may consist of; Fedora's has 24.
const FILES: usize = 256;

/// The metadata files of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// Its revision, often the time it was made; empty when there is none.
    pub revision: String,
    /// The files that goldsmith reads, in the order of repomd.xml. The variants in SQLite (`primary_db`) and zchunk, and all other files,
    /// are not read.
    pub entries: Vec<Entry>,
    /// All files, of every type, in the order of repomd.xml and as they are written there.
    pub data: Vec<Data>,
}

/// The subject of a metadata file.
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

/// One of the metadata files that are read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its subject.
    pub kind: Kind,
    /// Its type in repomd.xml: `group_gz`.
    pub name: String,
    /// Where it is, below the directory that holds `repodata`: `repodata/…-primary.xml.gz`.
    pub href: String,
    /// Where a server has it: the same as an address relative to the repository's, with its escapes ([`address`]).
    pub address: String,
    /// The checksum and size that it must have.
    pub listed: Listed,
    /// Its size in bytes when it is expanded.
    pub open_size: Option<u64>,
}

/// A `<data>` of repomd.xml, as it is written. What is missing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// Its type: `primary_db`.
    pub name: String,
    /// Where it is, relative to the repository's address.
    pub href: String,
    /// Type of its checksum, and the checksum: `sha256` and hexadecimal digits.
    pub checksum: (String, String),
    /// The same of what it expands to.
    pub open_checksum: (String, String),
    /// Its size in bytes.
    pub size: String,
    /// The size in bytes when it is expanded.
    pub open_size: String,
    /// Version of a database's form.
    pub database_version: String,
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
        Self::read_with(name, reader, |xml, (data, problem)| {
            xml.entry = Some(data.name.clone());
            Err(problem)
        })
    }

    /// Read repomd.xml, which errors call `name`, without checking that its data of each file can be used: [`Repomd::entries`] has the
    /// files with usable data.
    ///
    /// # Errors
    /// It is no repomd.xml.
    pub fn read_as_written<'a>(name: &str, reader: impl Read + 'a) -> Result<Self, IndexError> {
        Self::read_with(name, reader, |_, _| Ok(()))
    }

    fn read_with<'a>(
        name: &str,
        reader: impl Read + 'a,
        unusable: fn(&mut Xml<'_>, (&Data, Problem)) -> Result<(), Problem>,
    ) -> Result<Self, IndexError> {
        let mut xml = Xml::open(Input::new(name, reader, None, LIMIT)?, "repomd")?;
        match read(&mut xml, unusable) {
            Ok(repomd) => xml.finish().map(|()| repomd),
            Err(problem) => Err(xml.error(problem)),
        }
    }

    /// The file of this kind that yum 3.4.3 would read: of groups `group_gz` rather than `group`, and of two that have one type the later one
    /// (yumRepo.py, `getGroups`; repoMDObject.py, `parse`). When there are only files that yum does not know, the first of those.
    pub fn entry(&self, kind: Kind) -> Option<&Entry> {
        let of = |name: &str| self.entries.iter().rfind(|entry| entry.kind == kind && entry.name == name);
        of("primary")
            .or_else(|| of("filelists"))
            .or_else(|| of("group_gz"))
            .or_else(|| of("group"))
            .or_else(|| self.entries.iter().find(|entry| entry.kind == kind))
    }

    /// The `<data>` that yum 3.4.3 takes for this type.
    pub fn data(&self, name: &str) -> Option<&Data> {
        self.data.iter().rfind(|data| data.name == name)
    }
}

fn read(xml: &mut Xml<'_>, unusable: fn(&mut Xml<'_>, (&Data, Problem)) -> Result<(), Problem>) -> Result<Repomd, Problem> {
    let mut repomd = Repomd::default();
    loop {
        match xml.next()? {
            Event::Open(element) => match element.name() {
                "revision" => repomd.revision = xml.text()?.to_owned(),
                "data" => {
                    let name = element.required("type")?.into_owned();
                    let data = data(xml, name)?;
                    if let Some(kind) = Kind::of(&data.name) {
                        match entry(&data, kind) {
                            Ok(entry) => repomd.entries.push(entry),
                            Err(problem) => unusable(xml, (&data, problem))?,
                        }
                    }
                    repomd.data.push(data);
                }
                _ => xml.skip()?,
            },
            Event::Close => {}
            Event::End => return Ok(repomd),
        }
        if repomd.data.len() > FILES {
            return Err(malformed(format_args!("it lists more than {FILES} files")));
        }
    }
}

/// The `<data>` that was just opened.
fn data(xml: &mut Xml<'_>, name: String) -> Result<Data, Problem> {
    let mut data = Data { name, ..Data::default() };
    while let Event::Open(element) = xml.next()? {
        match element.name() {
            "checksum" => {
                let kind = element.attribute("type")?.unwrap_or_default().into_owned();
                data.checksum = (kind, xml.text()?.to_owned());
            }
            "open-checksum" => {
                let kind = element.attribute("type")?.unwrap_or_default().into_owned();
                data.open_checksum = (kind, xml.text()?.to_owned());
            }
            // yum ignores its `xml:base`: metadata is fetched from the repository's own address (yumRepo.py, `_retrieveMD`).
            "location" => {
                data.href = element.attribute("href")?.unwrap_or_default().into_owned();
                xml.skip()?;
            }
            "size" => data.size = xml.text()?.to_owned(),
            "open-size" => data.open_size = xml.text()?.to_owned(),
            "database_version" => data.database_version = xml.text()?.to_owned(),
            _ => xml.skip()?,
        }
    }
    Ok(data)
}

/// The file that a `<data>` describes.
fn entry(data: &Data, kind: Kind) -> Result<Entry, Problem> {
    if data.href.is_empty() {
        return Err(malformed("it has no <location>"));
    }
    if data.checksum.1.is_empty() {
        return Err(malformed("it has no <checksum>"));
    }
    let href = local_path(&data.href).map_err(|why| malformed(format_args!("`{}` {why}", data.href)))?;
    let checksum = Checksum::parse(&data.checksum.0, &data.checksum.1).map_err(malformed)?;
    let (size, open_size) = (number(&data.size)?, number(&data.open_size)?);
    let address = address(&data.href);
    Ok(Entry { kind, name: data.name.clone(), href, address, listed: Listed { checksum, size }, open_size })
}

/// A number of bytes, when there is one.
fn number(text: &str) -> Result<Option<u64>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| malformed(format_args!("`{text}` is not a size in bytes")))
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
        let entry = |kind, name: &str, size, open_size| {
            let (name, href) = (name.to_owned(), format!("repodata/{name}.xml.gz"));
            Entry { kind, name, address: href.clone(), href, listed: listed(size), open_size }
        };
        let primary = entry(Kind::Primary, "primary", Some(5), Some(9));
        let groups = entry(Kind::Groups, "group_gz", None, None);
        assert_eq!((repomd.revision.as_str(), &repomd.entries), ("17", &vec![primary.clone(), groups]));
        let names: Vec<_> = repomd.data.iter().map(|data| data.name.as_str()).collect();
        assert_eq!(names, ["primary_db", "group_gz_zck", "modules", "primary", "group_gz"]);
        let modules = Data { name: "modules".into(), href: "../x".into(), ..Data::default() };
        assert_eq!(repomd.data("modules"), Some(&modules));
        assert_eq!((repomd.entry(Kind::Primary), repomd.entry(Kind::Filelists)), (Some(&primary), None));
        // Both sizes bound what is read.
        let error = primary.input("primary", &b"0123456789"[..], 100).map(Input::finish).unwrap().unwrap_err().to_string();
        assert!(error.ends_with("it is longer than the 5 bytes its list of files says"), "{error}");
    }

    /// yum's choice among several files, and the places as yum reads them.
    #[test]
    fn of_several_files_the_one_that_yum_takes() {
        let at = |kind: &str, href: &str| data(kind, "").replace(&format!("repodata/{kind}.xml.gz"), href);
        let base = at("filelists", "./repodata/f%2B.xml").replace("<location", "<location xml:base='http://elsewhere/'");
        let content = [at("primary", "a"), at("group", "g"), at("group_xz", "gx"), at("group_gz", "gz"), at("primary", "b"), base].concat();
        let repomd = read(&content).unwrap();
        let taken = [Kind::Primary, Kind::Filelists, Kind::Groups].map(|kind| repomd.entry(kind).unwrap().href.clone());
        assert_eq!(taken, ["b", "repodata/f+.xml", "gz"]);
        let filelists = repomd.entry(Kind::Filelists).unwrap();
        assert_eq!(filelists.address, "repodata/f%2B.xml");
        let plain = read(&(at("group_xz", "gx") + &at("group", "g"))).unwrap();
        let other = read(&at("group_xz", "gx")).unwrap();
        assert_eq!([plain, other].map(|repomd| repomd.entry(Kind::Groups).unwrap().href.clone()), ["g", "gx"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (content, words) in [
            (data("primary", "<size>-1</size>"), "primary: `-1` is not a size in bytes"),
            (data("primary", "<location href='a/../../x'/>"), "primary: `a/../../x` is no path within the repository"),
            (data("primary", "<location href='ftp://x/y'/>"), "`ftp://x/y` is a whole address"),
            (data("primary", "<location href=''/>"), "primary: it has no <location>"),
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

//! The content of an archive: the digest of each file, packed and unpacked, and its JSON documents.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::base::aside::Meter;
use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::base::size::rounded;
use crate::sources::bundle::{Found, Holds, Problem, Stop, allowance, cut_off, each_file, too_much};
use crate::sources::packing::{Unpacked, unpacked};

/// Bytes of one JSON document, at most: the OCI distribution specification lets registries refuse manifests of more than 4 MiB.
pub(super) const DOCUMENT_BYTES: usize = 4 << 20;
/// Bytes of all JSON documents together, at most.
const DOCUMENTS_BYTES: usize = 32 << 20;
/// Bytes read at a time.
const PIECE: usize = 256 << 10;
/// Links that are followed one after the other.
const LINKS: usize = 8;

/// The files of an archive, and where its links lead.
#[derive(Debug, Default)]
pub(super) struct Contents {
    files: BTreeMap<String, Member>,
    /// `docker save` writes a layer of two images once, and a link in the place of the second.
    links: BTreeMap<String, String>,
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its unpacked bytes, which for a plain file are the file itself; or why it cannot be unpacked.
    pub unpacked: Result<Whole, String>,
    /// Its text, when it begins like JSON and is not too long.
    pub text: Option<Vec<u8>>,
}

/// Unpacked bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    pub sha256: Sha256Digest,
    pub bytes: u64,
}

impl Contents {
    /// Read the archive at `path`, all of it.
    pub(super) fn of(path: &Path, meter: &Arc<Meter>) -> Result<Self, Stop> {
        let packed_bytes = std::fs::metadata(path).map_err(Stop::Unreadable)?.len();
        let mut contents = Self::default();
        let (mut total, mut documents) = (0_u64, 0);
        each_file(path, Holds::Images, meter, |found| {
            let (path, content) = match found {
                Found::Link { path, target } => {
                    contents.links.insert(path.to_owned(), target);
                    return Ok(());
                }
                Found::File { path, content, .. } => (path, content),
            };
            let left = allowance(packed_bytes).saturating_sub(total);
            let Some(member) = read(content, left).map_err(|error| cut_off(error, path))? else {
                return Err(too_much(path, total.saturating_add(left).saturating_add(1), packed_bytes).into());
            };
            total = total.saturating_add(member.unpacked.as_ref().map_or(0, |whole| whole.bytes));
            documents += member.text.as_ref().map_or(0, Vec::len);
            if documents > DOCUMENTS_BYTES {
                let most = rounded(DOCUMENTS_BYTES as u64);
                return Err(Problem::with(path, format!("brings the JSON in the archive to more than {most}")).into());
            }
            match contents.files.insert(path.to_owned(), member.clone()) {
                // Programs that read such archives do not agree which of the two counts.
                Some(other) if other != member => Err(Problem::with(path, "is there twice, with different contents").into()),
                _ => Ok(()),
            }
        })?;
        Ok(contents)
    }

    /// The file at `path`, and the path where it is when links lead to another.
    pub(super) fn get<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a Member)> {
        let mut at = path;
        for _ in 0..LINKS {
            if let Some(member) = self.files.get(at) {
                return Some((at, member));
            }
            at = self.links.get(at)?;
        }
        None
    }

    /// Whether a file is below one of the directories `tops`.
    pub(super) fn has_below(&self, tops: &[&str]) -> bool {
        self.files.keys().any(|path| path.split_once('/').is_some_and(|(top, _)| tops.contains(&top)))
    }

    #[cfg(test)]
    pub(super) fn with(files: &[(&str, &[u8])]) -> Self {
        let member = |bytes: &[u8]| read(&mut &*bytes, u64::MAX).unwrap().unwrap();
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), member(bytes))).collect();
        Self { files, links: BTreeMap::new() }
    }
}

/// A reader whose bytes are hashed on their way.
struct Hashed<'a> {
    reader: &'a mut dyn Read,
    hasher: HashingWriter<io::Sink>,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.hasher.write_all(&buf[..read])?;
        Ok(read)
    }
}

/// A file of an archive, or `None` when it unpacks to more than `most` bytes.
fn read(content: &mut dyn Read, most: u64) -> io::Result<Option<Member>> {
    let mut packed = Hashed { reader: content, hasher: HashingWriter::new(io::sink()) };
    let mut text = None;
    let whole = {
        let mut reader = unpacked(BufReader::with_capacity(PIECE, &mut packed))?;
        let is_plain = matches!(reader, Unpacked::Plain(_));
        match drain(&mut reader, most, is_plain.then_some(&mut text)) {
            Ok(None) => return Ok(None),
            Ok(Some(whole)) => Ok(whole),
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            Err(error) => Err(error.to_string()),
        }
    };
    // Read what follows a packed stream, or the rest of a damaged one. This also notices an archive that is cut short here.
    io::copy(&mut packed, &mut io::sink())?;
    Ok(Some(Member { sha256: packed.hasher.finish().1, unpacked: whole, text }))
}

/// Read to the end, and keep it in `text` when it begins as JSON does.
fn drain(reader: &mut impl Read, most: u64, text: Option<&mut Option<Vec<u8>>>) -> io::Result<Option<Whole>> {
    let (mut piece, mut hasher, mut bytes, mut kept) = (vec![0; PIECE], HashingWriter::new(io::sink()), 0_u64, None);
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = &piece[..read];
        if bytes == 0 && text.is_some() && matches!(piece.trim_ascii_start().first(), Some(b'{' | b'[')) {
            kept = Some(Vec::new());
        }
        bytes = bytes.saturating_add(read as u64);
        if bytes > most {
            return Ok(None);
        }
        kept = kept.filter(|kept| kept.len() + read <= DOCUMENT_BYTES);
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(piece);
        }
        hasher.write_all(piece)?;
    }
    if let Some(text) = text {
        *text = kept;
    }
    Ok(Some(Whole { sha256: hasher.finish().1, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A file with an archive of `files`, and `links` from path to target.
    fn archive(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.as_file());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        for (path, target) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, target).unwrap();
        }
        builder.finish().unwrap();
        drop(builder);
        file
    }

    fn told(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Result<Contents, String> {
        Contents::of(archive(files, links).path(), &Arc::default()).map_err(|stop| match stop {
            Stop::Packing(problems) => problems.to_string(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn files_are_hashed_packed_and_unpacked() {
        let layer = gzip(b"layer");
        let cut = &layer[..layer.len() - 1];
        let files: &[(&str, &[u8])] = &[("a.json", b" {}"), ("sha256:b", &layer), ("c", cut), ("d", b"x")];
        let contents = told(files, &[("one/link", "../two"), ("two", "sha256:b"), ("out", "nothing"), ("r", "r")]).unwrap();
        let of = |path: &'static str| contents.get(path).unwrap().1;
        assert_eq!((of("a.json").text.as_deref(), of("d").text.as_deref()), (Some(&b" {}"[..]), None));
        assert_eq!(of("sha256:b").unpacked, Ok(Whole { sha256: Sha256Digest::of(b"layer"), bytes: 5 }));
        assert_eq!((of("sha256:b").sha256, of("c").sha256), (Sha256Digest::of(&layer), Sha256Digest::of(cut)));
        assert!(of("c").unpacked.is_err() && of("c").text.is_none());
        assert_eq!(contents.get("one/link").unwrap().0, "sha256:b");
        assert!(contents.get("out").is_none() && contents.get("r").is_none());
        assert!(contents.files.len() == 4 && !contents.has_below(&["one", "a.json"]));
    }

    #[test]
    fn hostile_archives_are_refused() {
        let bomb = zstd::encode_all(io::repeat(0).take(300 << 20), 1).unwrap();
        let long: Vec<u8> = [b"[".to_vec(), vec![b' '; DOCUMENT_BYTES - 1]].concat();
        let many: Vec<(String, &[u8])> = (0..9).map(|number| (number.to_string(), &long[..])).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
        for (files, links, expected) in [
            (&[("bomb", &bomb[..])][..], &[][..], "`bomb` brings the files to "),
            (&[("a", b"1"), ("a", b"2")], &[], "`a` is there twice, with different contents"),
            (&[("a", b"1"), ("a", b"1")], &[], ""),
            (&many, &[], "`8` brings the JSON in the archive to more than 32.0 MiB"),
            (&[], &[("a", "/etc/passwd")], "`a` is a link to an absolute path"),
            (&[], &[("a", "../x")], "`a` is a link that leads out of the bundle"),
        ] {
            match told(files, links) {
                Ok(_) => assert_eq!(expected, ""),
                Err(said) => assert!(!expected.is_empty() && said.starts_with(expected), "{said}"),
            }
        }
        let longer = [&long[..], b"]"].concat();
        assert_eq!(told(&[("a", &longer)], &[]).unwrap().get("a").unwrap().1.text, None);
        let whole = archive(&[("a", b"1234567")], &[]);
        let bytes = std::fs::read(whole.path()).unwrap();
        for length in [513, 700, 1024] {
            std::fs::write(whole.path(), &bytes[..length]).unwrap();
            assert!(matches!(Contents::of(whole.path(), &Arc::default()), Err(Stop::Packing(_))), "{length}");
        }
    }
}

//! The files of a packed bundle, or of an archive of container images, one after the other.
//!
//! The `tar` crate only reads the headers: its own treatment of long names takes as much memory as an archive claims, its reader of PAX
//! records takes a line end in a value for the end of the record, and its unpacking obeys the archive. Entries are regular files,
//! directories, and links to regular files of the archive; everything else is refused, with its name.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use super::names;
use super::problem::{Problem, Problems, Stop};
use crate::base::aside::Meter;
use crate::base::size::rounded;
use crate::sources::packing::{self, unpacked};

/// Entries of an archive, at most. Docker with all it needs is some hundred packages.
pub(super) const ENTRIES: usize = 20_000;
/// Bytes of a file, at most: FAT32 has no larger ones.
pub(in crate::sources) const FILE_BYTES: u64 = u32::MAX as u64;
/// Bytes of all files together, at most.
pub(super) const TOTAL_BYTES: u64 = 64 << 30;
/// Bytes of an extension header (long names, PAX records), at most.
const EXTENSION_BYTES: u64 = 64 << 10;
/// How much larger than the archive its files may be. Packages are compressed already, so a real one is nearly as large as its files; only
/// metadata shrinks, by ten times.
const EXPANSION: u64 = 20;
/// The largest size that an archive may expand to.
const SLACK: u64 = 256 << 20;
/// Bytes of a block of tar's.
const BLOCK: u64 = 512;
/// Zeros that may follow the end of an archive: tar pads to a record of its blocking factor.
const PADDING: u64 = 16 << 20;

/// The purpose of an archive, which decides what files it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources) enum Holds {
    /// Packages: its files travel on a FAT32 volume.
    Packages,
    /// Container images: its files are written again, under names that goldsmith chooses.
    Images,
}

/// An entry that counts.
pub(in crate::sources) enum Found<'a> {
    /// A regular file.
    File {
        /// Its path, as [`names::normal`] writes it.
        path: &'a str,
        /// Its size.
        bytes: u64,
        /// Its content; it fails when it is shorter than that.
        content: &'a mut dyn Read,
    },
    /// A hard or symbolic link. Its target need not be a file.
    Link {
        /// Its path.
        path: &'a str,
        /// The path it leads to, seen from the same directory.
        target: String,
    },
}

/// The most bytes that an archive of `packed_bytes` may hold.
pub(in crate::sources) fn allowance(packed_bytes: u64) -> u64 {
    packed_bytes.saturating_mul(EXPANSION).saturating_add(SLACK).min(TOTAL_BYTES)
}

/// The problem of an archive that holds more, at the entry `path`.
pub(in crate::sources) fn too_much(path: &str, total: u64, packed_bytes: u64) -> Problem {
    let (total, packed, allowed) = (rounded(total), rounded(packed_bytes), rounded(allowance(packed_bytes)));
    Problem::with(path, format!("brings the files to {total}; an archive of {packed} is believed to hold {allowed} at most"))
}

/// Give every file and link of the archive at `path`, whose purpose is `holds`, to `take`.
///
/// # Errors
/// What is wrong with the archive, all of it as far as it can be read; or what `take` failed with.
pub(in crate::sources) fn each_file(
    path: &Path,
    holds: Holds,
    meter: &Arc<Meter>,
    mut take: impl FnMut(Found<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let file = File::open(path).map_err(Stop::Unreadable)?;
    let packed_bytes = file.metadata().map_err(Stop::Unreadable)?.len();
    let mut bytes = unpacked(BufReader::with_capacity(256 << 10, meter.measure(file))).map_err(|error| damaged(error, None))?;
    let head = packing::within(bytes.by_ref().take(BLOCK), BLOCK).map_err(|error| damaged(error, None))?.unwrap_or_default();
    if !is_header(&head) {
        return Err(Stop::NotAnArchive(head));
    }
    let mut archive = tar::Archive::new(Counted { reader: io::Cursor::new(head).chain(bytes), count: 0 });
    let mut problems = Problems::default();
    let mut next = Next::default();
    let (mut count, mut total, mut end, mut last) = (0, 0_u64, 0, None);
    for entry in archive.entries().map_err(|error| damaged(error, None))?.raw(true) {
        let mut entry = entry.map_err(|error| damaged(error, last.as_deref()))?;
        let bytes = entry.size();
        end = entry.raw_file_position().saturating_add(bytes).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
        count += 1;
        if next.extend(&mut entry).map_err(|error| damaged(error, last.as_deref()))? {
            continue;
        }
        let said = std::mem::take(&mut next);
        let raw = said.name.clone().unwrap_or_else(|| entry.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&raw).into_owned();
        total = total.saturating_add(bytes);
        if count > ENTRIES {
            return Err(Problem::with(shown, format!("is one of more than {ENTRIES} entries")).into());
        }
        if total > allowance(packed_bytes) {
            return Err(too_much(&shown, total, packed_bytes).into());
        }
        match judge(&raw, entry.header(), bytes, (said, holds)) {
            Ok(Kind::Directory) => {}
            Ok(Kind::Link { path, target }) => take(Found::Link { path: &path, target })?,
            Ok(Kind::File(path)) => {
                let mut content = entry.by_ref().take(bytes);
                take(Found::File { path: &path, bytes, content: &mut Whole { reader: &mut content, left: bytes } })?;
            }
            Err(what) => problems.add(Problem::with(&shown, what)),
        }
        last = Some(shown);
    }
    // A compressed archive has its checksum at its end.
    let mut reader = archive.into_inner();
    let rest = packing::within(&mut reader, PADDING).map_err(|error| damaged(error, last.as_deref()))?;
    if rest.is_none_or(|rest| rest.iter().any(|byte| *byte != 0)) {
        problems.add(Problem::whole("something follows the end of the archive"));
    } else if reader.count < end.saturating_add(BLOCK) {
        // If an archive is cut between two entries, only its end is missing: blocks of zeros (POSIX pax, "ustar Interchange Format").
        problems.add(Problem::whole("it is cut short: the mark at its end is missing"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Stop::Packing(problems)) }
}

/// Whether `head` is tar's first header: the checksum over it, taken with eight spaces in its place, fits (POSIX pax, "ustar Header Block").
fn is_header(head: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK as usize]>::try_from(head) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let sum = |range: &[u8]| range.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    header.cksum().is_ok_and(|checksum| checksum == sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' '))
}

/// The kinds of entries that are allowed.
enum Kind {
    Directory,
    File(String),
    Link { path: String, target: String },
}

fn judge(raw: &[u8], header: &tar::Header, bytes: u64, (said, holds): (Next, Holds)) -> Result<Kind, String> {
    let travels = holds == Holds::Packages;
    let named = if travels { names::normal } else { names::inside };
    let (path, kind) = (named(raw)?, header.entry_type());
    // Old archives have no type for directories; their names end with a slash.
    if kind.is_dir() || path.is_empty() || (kind.is_file() && raw.ends_with(b"/")) {
        return Ok(Kind::Directory);
    }
    if kind.is_symlink() || kind.is_hard_link() {
        let target = said.link.or_else(|| header.link_name_bytes().map(|target| target.into_owned())).unwrap_or_default();
        // A hard link leads to an earlier entry, a symbolic one is seen from where it is.
        let from = if kind.is_symlink() { names::parent(&path) } else { "" };
        return Ok(Kind::Link { target: names::resolved(from, &target, named)?, path });
    }
    if !kind.is_file() && !kind.is_contiguous() {
        let why = if travels { "cannot be on the volume it travels on" } else { "no archive of images has" };
        return Err(format!("is {}, which {why}", kind_words(kind)));
    }
    if said.sparse || said.bytes.is_some_and(|said| said != bytes) {
        return Err("is a sparse file, or has another size in its PAX header than in its own".to_owned());
    }
    if travels && bytes > FILE_BYTES {
        return Err(format!("has {}; FAT32, on which it travels, has no files of 4 GiB and more", rounded(bytes)));
    }
    Ok(Kind::File(path))
}

fn kind_words(kind: tar::EntryType) -> String {
    match kind {
        tar::EntryType::Char | tar::EntryType::Block => "a device".to_owned(),
        tar::EntryType::Fifo => "a named pipe".to_owned(),
        tar::EntryType::GNUSparse => "a sparse file".to_owned(),
        other => format!("an entry of type {:?}", char::from(other.as_byte())),
    }
}

/// The fields that extension headers give for the next entry.
#[derive(Debug, Default)]
struct Next {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    bytes: Option<u64>,
    sparse: bool,
}

impl Next {
    /// Read an extension header. Returns whether the entry was one (GNU tar manual, "Basic Tar Format"; POSIX pax, "pax Extended Header").
    fn extend<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> io::Result<bool> {
        let kind = entry.header().entry_type();
        let is_extension =
            kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions() || kind.is_pax_global_extensions();
        if !is_extension {
            return Ok(false);
        }
        let bytes = entry.size();
        let data = packing::within(entry, EXTENSION_BYTES)?.ok_or_else(|| invalid("an extension header has more than 64 KiB"))?;
        if data.len() as u64 != bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within an extension header"));
        }
        let text = || Some(data.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
        if kind.is_gnu_longname() {
            self.name = text();
        } else if kind.is_gnu_longlink() {
            self.link = text();
        } else if kind.is_pax_local_extensions() {
            for (key, value) in records(&data)? {
                match key {
                    b"path" => self.name = Some(value.to_vec()),
                    b"linkpath" => self.link = Some(value.to_vec()),
                    b"size" => self.bytes = Some(decimal(value).ok_or_else(|| invalid("a PAX header gives a size that is no number"))?),
                    key if key.starts_with(b"GNU.sparse") => self.sparse = true,
                    _ => {}
                }
            }
        }
        Ok(true)
    }
}

/// The records of a PAX header, each "LENGTH KEY=VALUE\n" with its own length in front.
fn records(mut data: &[u8]) -> io::Result<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let record = || {
            let space = data.iter().position(|byte| *byte == b' ')?;
            let length = usize::try_from(decimal(&data[..space])?).ok()?;
            let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            Some((length, (&record[..equals], &record[equals + 1..])))
        };
        let (length, pair) = record().ok_or_else(|| invalid("a PAX header is damaged"))?;
        records.push(pair);
        data = &data[length..];
    }
    Ok(records)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A reader that counts its bytes.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.count += read as u64;
        Ok(read)
    }
}

/// A reader that fails when it ends too early: the archive is cut short then.
struct Whole<'a> {
    reader: &'a mut dyn Read,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        if read == 0 && !buf.is_empty() && self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends within it"));
        }
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

/// An error of reading the archive: the disk's, or the archive's own.
fn damaged(error: io::Error, after: Option<&str>) -> Stop {
    match after {
        _ if is_hosts(&error) => Stop::Unreadable(error),
        Some(entry) => Problem::with(entry, format!("is followed by what cannot be read: {error}")).into(),
        None => Problem::whole(format!("it cannot be unpacked: {error}")).into(),
    }
}

/// As [`damaged`], while the content of `entry` was read.
pub(in crate::sources) fn cut_off(error: io::Error, entry: &str) -> Stop {
    if is_hosts(&error) { Stop::Unreadable(error) } else { Problem::with(entry, format!("cannot be read to its end: {error}")).into() }
}

/// Errors of decompressors and tar have no errno.
fn is_hosts(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_read_by_their_lengths() {
        assert_eq!(records(b"8 path=\n15 x=11 path=y\n").unwrap(), [(&b"path"[..], &b""[..]), (b"x", b"11 path=y")]);
        // A line break within a value does not end the record.
        assert_eq!(records(b"16 x=\n9 path=..\n").unwrap(), [(&b"x"[..], &b"\n9 path=.."[..])]);
        for damaged in
            [&b"9 path=\n"[..], b"7 path=\n", b"x path=y\n", b"6 path\n", b"0 \n", b"99999999999999999999 a=b\n", b"path", b"+8 a=b\n"]
        {
            assert!(records(damaged).is_err(), "{damaged:?}");
        }
    }

    /// A long name, a PAX record, a link and files.
    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in ["a.rpm".to_owned(), format!("long/{}", "n".repeat(120))] {
            let mut header = tar::Header::new_gnu();
            header.set_size(600);
            builder.append_pax_extensions([("path", &b"other.rpm"[..]), ("mtime", b"1")]).unwrap();
            builder.append_data(&mut header, name, &[b'x'; 600][..]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "dir/link", "../other.rpm").unwrap();
        builder.into_inner().unwrap()
    }

    proptest! {
        /// Reading ends whatever is changed in an archive, and gives no path that leads out.
        #[test]
        fn any_damage_ends_with_files_or_an_error(changes in prop::collection::vec((0..8000_usize, any::<u8>()), 0..20), cut in 0..8000_usize) {
            let mut bytes = archive();
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            // Checksums of headers are put right, so that what is in the headers is read.
            for block in bytes.chunks_exact_mut(512) {
                if &block[257..262] == b"ustar" {
                    let mut header = tar::Header::from_byte_slice(block).clone();
                    header.set_cksum();
                    block.copy_from_slice(header.as_bytes());
                }
            }
            bytes.truncate(bytes.len().saturating_sub(cut % 3000));
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let inside = |name: &str| name.split('/').all(|part| !matches!(part, "" | "." | ".."));
            let ended = each_file(file.path(), Holds::Packages, &Arc::default(), |found| match found {
                Found::File { path, bytes, content } => {
                    assert!(inside(path), "{path}");
                    let read = io::copy(content, &mut io::sink()).map_err(|error| cut_off(error, path))?;
                    assert_eq!(read, bytes, "{path}");
                    Ok(())
                }
                Found::Link { path, target } => {
                    assert!(inside(path) && (target.is_empty() || inside(&target)), "{path} {target}");
                    Ok(())
                }
            });
            if let Err(stop) = ended {
                prop_assert!(matches!(stop, Stop::Packing(_) | Stop::NotAnArchive(_)), "{:?}", stop);
            }
        }
    }
}

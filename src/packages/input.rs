//! The bytes of an index: checked against their listing, expanded, bounded, and with a place for every error.
//!
//! An index comes from outside, so it is not trusted: its compression is detected by its first bytes and not by its name, it expands to no
//! more than a limit, and its reader holds no more than one entry at a time.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use super::checksum::{Checksum, Hasher};
use super::error::{At, IndexError, Problem};
use crate::base::gzip::Gzip;

/// Bytes read or expanded at a time.
const PIECE: usize = 128 << 10;
/// Bytes an index may have, whatever its reader allows: names are kept in 32 bits' worth of text.
const LARGEST: u64 = 1 << 30;
/// Bytes the longest entry may have: the longest of Debian's stanzas has 60 KiB, the longest description in CentOS 7 has 20.
const ENTRY_LIMIT: u64 = 1 << 20;
/// Bytes of memory that expanding xz may take; `xz -9` asks for 65 MiB.
const XZ_MEMORY: u64 = 96 << 20;
/// log2 of the bytes of memory that expanding zstd may take; `zstd -19` asks for 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 26;
/// The number of bytes that are enough to recognise every format.
const LONGEST_MAGIC: u64 = 6;

/// The checksum and size that the list of files gives for an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Of the file as it is, before it is expanded.
    pub checksum: Checksum,
    /// Its size in bytes, when the list has it.
    pub size: Option<u64>,
}

/// An index that is being read. Its type does not depend on where the bytes come from, so that all of the reading is compiled once.
pub struct Input<'a> {
    name: String,
    format: &'static str,
    source: Source<'a>,
    limit: u64,
    piece: Box<[u8]>,
    /// The part of `piece` that is not consumed yet.
    start: usize,
    end: usize,
    /// Bytes before `piece`.
    before: u64,
    /// Line ends, counted as far as this many bytes of `piece`.
    lines: u64,
    counted: usize,
    /// Where the entry begins that is being read.
    entry: At,
    /// The problem behind an `io::Error` that a reader was given.
    problem: Option<Problem>,
}

/// How the bytes become text.
enum Source<'a> {
    Plain(BufReader<Raw<'a>>),
    Gzip(Gzip<BufReader<Raw<'a>>>),
    Xz(liblzma::bufread::XzDecoder<BufReader<Raw<'a>>>),
    Bzip2(bzip2::bufread::MultiBzDecoder<BufReader<Raw<'a>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Raw<'a>>>),
}

/// The bytes as they are, hashed and counted while they pass.
struct Raw<'a> {
    inner: Box<dyn Read + 'a>,
    listed: Option<Listed>,
    hasher: Option<Hasher>,
    count: u64,
    failed: bool,
}

impl Read for Raw<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf).inspect_err(|error| self.failed |= error.kind() != io::ErrorKind::Interrupted)?;
        self.count += read as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buf[..read]);
        }
        Ok(read)
    }
}

impl Raw<'_> {
    /// Read on to the end, or until there is too much, and return the fault of the whole file.
    fn verdict(&mut self) -> Result<(), Problem> {
        let Some(listed) = self.listed else { return Ok(()) };
        let expected = listed.size.unwrap_or(self.count.max(LARGEST));
        io::copy(&mut self.take((expected + 1).saturating_sub(self.count)), &mut io::sink()).map_err(Problem::Unreadable)?;
        if self.count > expected || listed.size.is_some_and(|size| size != self.count) {
            return Err(Problem::WrongSize { expected, found: self.count });
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != listed.checksum => Err(Problem::WrongDigest { expected: listed.checksum, found }),
            _ => Ok(()),
        }
    }
}

impl<'a> Source<'a> {
    fn open(mut reader: impl Read + 'a, listed: Option<Listed>) -> io::Result<(Self, &'static str)> {
        let mut head = Vec::new();
        reader.by_ref().take(LONGEST_MAGIC).read_to_end(&mut head)?;
        let starts = |magic: &[u8]| head.starts_with(magic);
        // RFC 1952, section 2.3.1; xz-file-format.txt, section 2.1.1.1; bzip2's manual, section 2.9; RFC 8878, section 3.1.1.
        let (gzip, xz, bzip2, zstd) = (starts(b"\x1f\x8b"), starts(b"\xfd7zXZ\0"), starts(b"BZh"), starts(b"\x28\xb5\x2f\xfd"));
        let hasher = listed.map(|listed| listed.checksum.hasher());
        let raw = Raw { inner: Box::new(Cursor::new(head).chain(reader)), listed, hasher, count: 0, failed: false };
        let raw = BufReader::with_capacity(PIECE, raw);
        Ok(if gzip {
            (Self::Gzip(Gzip::new(raw)), "gzip")
        } else if xz {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            (Self::Xz(liblzma::bufread::XzDecoder::new_stream(raw, stream)), "xz")
        } else if bzip2 {
            (Self::Bzip2(bzip2::bufread::MultiBzDecoder::new(raw)), "bzip2")
        } else if zstd {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            (Self::Zstd(decoder), "zstd")
        } else {
            (Self::Plain(raw), "plain")
        })
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buf),
            Self::Gzip(reader) => reader.read(buf),
            Self::Xz(reader) => reader.read(buf),
            Self::Bzip2(reader) => reader.read(buf),
            Self::Zstd(reader) => reader.read(buf),
        }
    }

    fn raw(&mut self) -> &mut Raw<'a> {
        match self {
            Self::Plain(reader) => reader.get_mut(),
            Self::Gzip(reader) => reader.get_mut().get_mut(),
            Self::Xz(reader) => reader.get_mut().get_mut(),
            Self::Bzip2(reader) => reader.get_mut().get_mut(),
            Self::Zstd(reader) => reader.get_mut().get_mut(),
        }
    }
}

impl<'a> Input<'a> {
    /// Read `reader`, whose name in errors is `name`. It must be as `listed` says, and expand to no more than `limit` bytes and 1 GiB.
    ///
    /// # Errors
    /// It cannot be read, or does not begin as its compression does.
    pub fn new(name: &str, reader: impl Read + 'a, listed: Option<Listed>, limit: u64) -> Result<Self, IndexError> {
        let (source, format) = Source::open(reader, listed).map_err(|error| IndexError::whole(name, Problem::Unreadable(error)))?;
        Ok(Self {
            name: name.to_owned(),
            format,
            source,
            limit: limit.min(LARGEST),
            piece: vec![0; PIECE].into_boxed_slice(),
            start: 0,
            end: 0,
            before: 0,
            lines: 0,
            counted: 0,
            entry: At { line: 1, byte: 0 },
            problem: None,
        })
    }

    /// A new entry begins here: errors name this place, and the limit of one entry counts from here.
    pub(super) fn begin_entry(&mut self) {
        self.count_lines();
        self.entry = At { line: self.lines + 1, byte: self.byte() };
    }

    /// Read to the end and compare the whole file with its listing.
    ///
    /// # Errors
    /// It is not as listed, or cannot be read to its end.
    pub(super) fn finish(self) -> Result<(), IndexError> {
        self.pieces(&mut |_| ())
    }

    /// Pass the expanded bytes to `each`, piece by piece to the end, and compare the whole file with its listing.
    ///
    /// # Errors
    /// It is not as listed, or cannot be read to its end.
    pub fn pieces(mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), IndexError> {
        loop {
            self.begin_entry();
            match self.fill_buf() {
                Ok([]) => break,
                Ok(piece) => {
                    each(piece);
                    let there = piece.len();
                    self.consume(there);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(None, Problem::Unreadable(error))),
            }
        }
        self.source.raw().verdict().map_err(|problem| IndexError::whole(&self.name, problem))
    }

    /// The error for `problem` of `package` in this entry. If the file is not the listed one at all, the error says that instead.
    pub(super) fn error(&mut self, package: Option<String>, problem: Problem) -> IndexError {
        let problem = self.problem.take().unwrap_or(problem);
        let readable = !matches!(problem, Problem::Unreadable(_));
        match readable.then(|| self.source.raw().verdict()) {
            Some(Err(listed)) => IndexError::whole(&self.name, listed),
            _ => IndexError { at: Some(self.entry), package, problem, index: self.name.clone() },
        }
    }

    fn byte(&self) -> u64 {
        self.before + self.start as u64
    }

    fn count_lines(&mut self) {
        self.lines += memchr::memchr_iter(b'\n', &self.piece[self.counted..self.start]).count() as u64;
        self.counted = self.start;
    }

    fn refill(&mut self) -> io::Result<()> {
        // A reader that fails once must not read on.
        if self.problem.is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.byte() - self.entry.byte > ENTRY_LIMIT {
            return Err(self.refuse(Problem::EntryTooLarge { limit: ENTRY_LIMIT }));
        }
        self.count_lines();
        self.before = self.byte();
        (self.start, self.end, self.counted) = (0, 0, 0);
        match self.source.read(&mut self.piece) {
            Ok(read) if self.before + read as u64 > self.limit => Err(self.refuse(Problem::TooLarge { limit: self.limit })),
            Ok(read) => {
                self.end = read;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if self.source.raw().failed => Err(self.refuse(Problem::Unreadable(error))),
            Err(error) => Err(self.refuse(Problem::Damaged { format: self.format, why: error.to_string() })),
        }
    }

    fn refuse(&mut self, problem: Problem) -> io::Error {
        self.problem = Some(problem);
        io::ErrorKind::InvalidData.into()
    }
}

/// Whether `path`, which an index gives, stays below the directory it is relative to. An address does not: it has two slashes in a row.
pub(super) fn is_within(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "..")) && !path.contains(['\0', '\\', '\n'])
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let taken = there.len().min(buf.len());
        buf[..taken].copy_from_slice(&there[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.refill()?;
        }
        Ok(&self.piece[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

#[cfg(test)]
mod tests;

//! The bytes on the connection: questions, answers, and what is wrong with them.
//!
//! Names and numbers are those of `doc/proto.md` ("Values"); all numbers are big-endian.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::error::NbdError;

/// `NBDMAGIC`, `IHAVEOPT`, and what answers and questions begin with.
const GREETING: u64 = 0x4e42_444d_4147_4943;
const OPTION: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const STRUCTURED_REPLY: u32 = 0x668e_33ef;
/// `NBD_FLAG_FIXED_NEWSTYLE` and `NBD_FLAG_NO_ZEROES`, which the client repeats.
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 1 << 1;
/// Options.
const OPT_GO: u32 = 7;
const OPT_STRUCTURED_REPLY: u32 = 8;
const OPT_SET_META_CONTEXT: u32 = 10;
/// Replies to options; those with the highest bit are errors.
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_META_CONTEXT: u32 = 4;
/// `NBD_INFO_EXPORT`: the disk's size follows.
const INFO_EXPORT: u16 = 0;
/// Commands.
const CMD_READ: u16 = 0;
const CMD_BLOCK_STATUS: u16 = 7;
/// Types of chunks; those with the highest bit are errors.
const CHUNK_NONE: u16 = 0;
const CHUNK_DATA: u16 = 1;
const CHUNK_HOLE: u16 = 2;
const CHUNK_STATUS: u16 = 5;
const CHUNK_ERROR: u16 = 1 << 15;
/// `NBD_REPLY_FLAG_DONE`: the last chunk.
const DONE: u16 = 1;
/// `NBD_STATE_ZERO` of `base:allocation`.
const STATE_ZERO: u32 = 1 << 1;
const CONTEXT: &[u8] = b"base:allocation";
/// Bytes of an answer that is no data: an option's, an error's ("strings … up to 4096 bytes"), a status of 2^17 runs, the most that QEMU sends.
const MAX_OPTION_BYTES: usize = 16 << 10;
const MAX_STATUS_BYTES: usize = 4 + (8 << 17);
/// Answers to one question that are not its last: with less than a byte each, no progress is made.
const MAX_CHUNKS: usize = 1 << 20;

pub(super) struct Wire {
    stream: UnixStream,
    patience: Duration,
    /// When the answer to the present question has to be there.
    until: Instant,
    /// The number of the last question.
    cookie: u64,
    /// Whether an answer was not read to its end: the bytes that follow cannot be understood.
    is_broken: bool,
}

impl Wire {
    pub(super) fn new(stream: UnixStream, patience: Duration) -> Result<Self, NbdError> {
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, patience, until: Instant::now() + patience, cookie: 0, is_broken: false })
    }

    /// Shake hands, and ask for the export without a name. Gives its size.
    pub(super) fn agree(&mut self) -> Result<u64, NbdError> {
        if (self.u64()?, self.u64()?) != (GREETING, OPTION) {
            return Err(NbdError::Foreign("it does not greet"));
        }
        if self.u16()? & FIXED_NEWSTYLE == 0 {
            return Err(NbdError::Foreign("its handshake is an old one"));
        }
        self.send(&u32::from(FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes())?;
        self.option(OPT_STRUCTURED_REPLY, &[], |_, _| {})?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        let asked = [&length(&[])[..], &1_u32.to_be_bytes(), &length(CONTEXT), CONTEXT].concat();
        let mut has_context = false;
        self.option(OPT_SET_META_CONTEXT, &asked, |kind, _| has_context |= kind == REP_META_CONTEXT)?;
        if !has_context {
            return Err(NbdError::Foreign("it does not know base:allocation"));
        }
        let mut size = None;
        // No name, no further information asked for.
        self.option(OPT_GO, &[0; 6], |kind, bytes| {
            if let (REP_INFO, Some((about, rest))) = (kind, bytes.split_first_chunk())
                && u16::from_be_bytes(*about) == INFO_EXPORT
            {
                size = rest.first_chunk().map(|size| u64::from_be_bytes(*size));
            }
        })?;
        // Offsets of files are signed (off_t).
        size.filter(|size| i64::try_from(*size).is_ok()).ok_or(NbdError::Foreign("it does not say how large the disk is"))
    }

    /// Negotiate `option` with `data`: `each` gets the type and bytes of every answer before the last.
    fn option(&mut self, option: u32, data: &[u8], mut each: impl FnMut(u32, &[u8])) -> Result<(), NbdError> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.send(&[&OPTION.to_be_bytes()[..], &option.to_be_bytes(), &length.to_be_bytes(), data].concat())?;
        // No server sends more, because an export has few properties.
        for _ in 0..64 {
            if (self.u64()?, self.u32()?) != (OPTION_REPLY, option) {
                return Err(NbdError::Foreign("it answers another option"));
            }
            let kind = self.u32()?;
            let bytes = self.bytes(MAX_OPTION_BYTES)?;
            match kind {
                REP_ACK => return Ok(()),
                _ if kind >> 31 == 1 => return Err(NbdError::Foreign("it refuses an option")),
                _ => each(kind, &bytes),
            }
        }
        Err(NbdError::Foreign("its answer has no end"))
    }

    /// Fill `buf` with the bytes from `offset` on.
    pub(super) fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), NbdError> {
        // Every server that sends parts sends them in order (QEMU 7.2, nbd/server.c, `nbd_co_send_sparse_read`), so one length says how
        // much is filled.
        let mut filled = 0;
        self.ask(CMD_READ, offset, buf.len() as u64, |wire, kind, length| {
            let from = wire.u64_of(length)?.checked_sub(offset).and_then(|from| usize::try_from(from).ok());
            let from = from.filter(|from| *from == filled).ok_or(NbdError::Foreign("it sends other bytes"))?;
            let count = match kind {
                CHUNK_DATA => *length,
                CHUNK_HOLE => usize::try_from(wire.u32_of(length)?).unwrap_or(usize::MAX),
                _ => return Err(NbdError::Foreign("it sends something else than data")),
            };
            let end = from.checked_add(count).filter(|end| count > 0 && *end <= buf.len());
            let part = &mut buf[from..end.ok_or(NbdError::Foreign("it sends more bytes"))?];
            match kind {
                CHUNK_DATA => wire.take(length, part)?,
                _ => part.fill(0),
            }
            filled += count;
            Ok(())
        })?;
        if filled == buf.len() { Ok(()) } else { Err(self.broken("it sends fewer bytes")) }
    }

    /// Runs from `offset` on, each with its length, and whether it is zeros. They may go beyond `length` bytes, or end before. There is at
    /// least one run, and none is empty.
    pub(super) fn status(&mut self, offset: u64, length: u64) -> Result<Vec<(u64, bool)>, NbdError> {
        let mut runs = Vec::new();
        self.ask(CMD_BLOCK_STATUS, offset, length, |wire, kind, length| {
            if kind != CHUNK_STATUS || *length > MAX_STATUS_BYTES || !runs.is_empty() {
                return Err(NbdError::Foreign("it sends something else than a status"));
            }
            // The context, of which there is one.
            wire.u32_of(length)?;
            let mut bytes = vec![0; *length];
            wire.take(length, &mut bytes)?;
            let words = |run: &[u8; 8]| (u64::from_be_bytes(*run) >> 32, u64::from_be_bytes(*run) & u64::from(STATE_ZERO) != 0);
            runs = bytes.as_chunks().0.iter().map(words).collect();
            Ok(())
        })?;
        if runs.is_empty() || runs.iter().any(|(length, _)| *length == 0) { Err(self.broken("its status ends nowhere")) } else { Ok(runs) }
    }

    /// Ask `command` of `length` bytes from `offset` on. `each` takes type and bytes of every chunk that is neither empty nor an error.
    fn ask(
        &mut self,
        command: u16,
        offset: u64,
        length: u64,
        mut each: impl FnMut(&mut Self, u16, &mut usize) -> Result<(), NbdError>,
    ) -> Result<(), NbdError> {
        if self.is_broken {
            return Err(NbdError::Ended);
        }
        // Until the last answer was read.
        self.is_broken = true;
        self.cookie += 1;
        let length = u32::try_from(length).map_err(|_| NbdError::Foreign("a question is too large"))?;
        let (flags, cookie) = (0_u16, self.cookie);
        let question = [&REQUEST.to_be_bytes()[..], &flags.to_be_bytes(), &command.to_be_bytes(), &cookie.to_be_bytes()];
        self.send(&[&question.concat()[..], &offset.to_be_bytes(), &length.to_be_bytes()].concat())?;
        let mut failed = None;
        for _ in 0..MAX_CHUNKS {
            if self.u32()? != STRUCTURED_REPLY {
                return Err(NbdError::Foreign("its answer is not structured"));
            }
            let (flags, kind) = (self.u16()?, self.u16()?);
            if self.u64()? != self.cookie {
                return Err(NbdError::Foreign("it answers another question"));
            }
            let mut left = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
            match kind {
                CHUNK_NONE => {}
                _ if kind & CHUNK_ERROR != 0 => failed = Some(self.error(&mut left)?),
                _ => each(self, kind, &mut left)?,
            }
            if left > 0 {
                return Err(NbdError::Foreign("a part of its answer is too long"));
            }
            if flags & DONE != 0 {
                self.is_broken = false;
                return failed.map_or(Ok(()), |source| Err(NbdError::Unreadable(source)));
            }
        }
        Err(NbdError::Foreign("its answer has no end"))
    }

    /// The error in a chunk: a number, which is also an errno of Linux ("Error values"), and a message for people.
    fn error(&mut self, left: &mut usize) -> Result<io::Error, NbdError> {
        let number = self.u32_of(left)?;
        if *left > MAX_OPTION_BYTES {
            return Err(NbdError::Foreign("its error is too long"));
        }
        let mut words = vec![0; *left];
        self.take(left, &mut words)?;
        Ok(i32::try_from(number).map_or_else(|_| io::ErrorKind::Other.into(), io::Error::from_raw_os_error))
    }

    /// The answer makes no sense, so nothing more is asked.
    fn broken(&mut self, what: &'static str) -> NbdError {
        self.is_broken = true;
        NbdError::Foreign(what)
    }

    /// A question: its answer has to be there in time.
    fn send(&mut self, bytes: &[u8]) -> Result<(), NbdError> {
        self.until = Instant::now() + self.patience;
        self.stream.write_all(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => NbdError::Ended,
            io::ErrorKind::WouldBlock => NbdError::Silent(self.patience),
            _ => NbdError::Io(error),
        })
    }

    fn receive(&mut self, buf: &mut [u8]) -> Result<(), NbdError> {
        let mut filled = 0;
        while filled < buf.len() {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NbdError::Silent(self.patience));
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buf[filled..]) {
                Ok(0) => return Err(NbdError::Ended),
                Ok(count) => filled += count,
                // The loop looks at the time.
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(NbdError::Ended),
                Err(error) => return Err(NbdError::Io(error)),
            }
        }
        Ok(())
    }

    /// Fill `buf` from a part of which `left` bytes have not come.
    fn take(&mut self, left: &mut usize, buf: &mut [u8]) -> Result<(), NbdError> {
        *left = left.checked_sub(buf.len()).ok_or(NbdError::Foreign("a part of its answer is too short"))?;
        self.receive(buf)
    }

    fn u32_of(&mut self, left: &mut usize) -> Result<u32, NbdError> {
        let mut bytes = [0; 4];
        self.take(left, &mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn u64_of(&mut self, left: &mut usize) -> Result<u64, NbdError> {
        let mut bytes = [0; 8];
        self.take(left, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn u16(&mut self) -> Result<u16, NbdError> {
        let mut bytes = [0; 2];
        self.receive(&mut bytes)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn u32(&mut self) -> Result<u32, NbdError> {
        self.u32_of(&mut 4)
    }

    fn u64(&mut self) -> Result<u64, NbdError> {
        self.u64_of(&mut 8)
    }

    /// Bytes behind their length, at most `most`.
    fn bytes(&mut self, most: usize) -> Result<Vec<u8>, NbdError> {
        let length = usize::try_from(self.u32()?).ok().filter(|length| *length <= most);
        let mut bytes = vec![0; length.ok_or(NbdError::Foreign("its answer is too long"))?];
        self.receive(&mut bytes)?;
        Ok(bytes)
    }
}

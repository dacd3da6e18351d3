//! Random access to bytes: what every reader of a foreign format needs.

use std::io::{self, SeekFrom};

/// Bytes that [`ReadAt::is_zero`] reads at once.
const ZERO_CHUNK_BYTES: usize = 64 << 10;

/// Where bytes are stored. Two ranges that begin in one place have the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Device and number of the file (stat(2)).
    pub file: (u64, u64),
    /// Byte of the file.
    pub offset: u64,
    /// Byte of what is unpacked from there; nothing when it is stored as it is.
    pub unpacked: Option<u64>,
}

/// Random access to bytes at rest: a disk, a medium. It has no position, so that readers can share it.
pub trait ReadAt: Send + Sync {
    /// Fill `buf` with the bytes that begin at byte `offset`.
    ///
    /// # Errors
    /// The bytes go past the end ([`io::ErrorKind::UnexpectedEof`]), or cannot be had.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Size in bytes.
    fn len(&self) -> u64;

    /// Whether the `len` bytes that begin at byte `offset` are all zeros. A source that knows its holes need not read them.
    ///
    /// # Errors
    /// As [`ReadAt::read_at`].
    fn is_zero(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut buf = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(ZERO_CHUNK_BYTES)];
        let mut at = offset;
        while at < end {
            let count = usize::try_from(end - at).unwrap_or(usize::MAX).min(buf.len());
            self.read_at(at, &mut buf[..count])?;
            if buf[..count].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += count as u64;
        }
        Ok(true)
    }

    /// Whether the `len` bytes that begin at byte `offset` are known to be zeros without reading them: nothing is stored there. `false`
    /// says nothing about the bytes.
    ///
    /// # Errors
    /// As [`ReadAt::read_at`].
    fn is_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        let _ = (offset, len);
        Ok(false)
    }

    /// Where the bytes from `offset` on are stored, when that is known, and for how many of them, at most `len`, it goes on.
    ///
    /// # Errors
    /// As [`ReadAt::read_at`].
    fn stored(&self, offset: u64, len: u64) -> io::Result<(u64, Option<Stored>)> {
        let _ = offset;
        Ok((len, None))
    }

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where `to` leads from `position` in `size` bytes; past the end is allowed, as in a file.
///
/// # Errors
/// Before the beginning, or further than can be counted ([`io::ErrorKind::InvalidInput`]).
pub fn sought(position: u64, size: u64, to: SeekFrom) -> io::Result<u64> {
    let position = match to {
        SeekFrom::Start(position) => Some(position),
        SeekFrom::End(delta) => size.checked_add_signed(delta),
        SeekFrom::Current(delta) => position.checked_add_signed(delta),
    };
    position.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let source = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buf.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(source);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_read_within_its_bounds() {
        let bytes: Vec<u8> = (0..10).collect();
        let mut two = [0; 2];
        bytes.read_at(8, &mut two).unwrap();
        assert_eq!(two, [8, 9]);
        for offset in [9, 10, u64::MAX] {
            assert_eq!(bytes.read_at(offset, &mut two).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{offset}");
        }
    }

    #[test]
    fn zeros_are_told_from_what_is_not() {
        let mut bytes = vec![0; 3 * ZERO_CHUNK_BYTES];
        bytes[2 * ZERO_CHUNK_BYTES] = 1;
        let one = 2 * ZERO_CHUNK_BYTES as u64;
        for (offset, len, expected) in [(0, one, true), (0, one + 1, false), (one, 1, false), (one + 1, 10, true), (5, 0, true)] {
            assert_eq!(bytes.is_zero(offset, len).unwrap(), expected, "{offset} {len}");
        }
        assert!(bytes.is_zero(one + 1, one).is_err() && bytes.is_zero(u64::MAX, 2).is_err());
    }
}

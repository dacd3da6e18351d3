//! A piece of an XFS in memory. An error of a value that is read from it tells its place.

use std::fmt::Display;

use crate::base::read_at::ReadAt;
use crate::image::crc32c::crc32c;
use crate::image::filesystem::FsError;

/// Most bytes that are read as one piece: a directory's block (`XFS_MAX_BLOCKSIZE`, libxfs/xfs_format.h).
pub(in crate::image) const MAX_BLOCK_BYTES: u64 = 64 << 10;
/// XFS counts places on the device in basic blocks of 512 bytes (`BBSHIFT`), whatever the device's sectors are.
pub(super) const BASIC_BLOCK_BYTES: u64 = 512;

/// A piece of metadata.
pub(in crate::image) struct Block {
    /// Byte of the filesystem at which it begins.
    place: u64,
    /// Its name in messages.
    what: &'static str,
    bytes: Vec<u8>,
}

impl Block {
    /// Read the `len` bytes at byte `place`.
    ///
    /// # Errors
    /// There are more than [`MAX_BLOCK_BYTES`], or they cannot be read.
    pub(in crate::image) fn read(bytes: &dyn ReadAt, what: &'static str, place: u64, len: u64) -> Result<Self, FsError> {
        let count = usize::try_from(len).ok().filter(|_| len <= MAX_BLOCK_BYTES);
        let count = count.ok_or_else(|| corrupt(place, format!("{what}: it has {len} bytes, {MAX_BLOCK_BYTES} at most are possible")))?;
        let mut block = Self { place, what, bytes: vec![0; count] };
        bytes.read_at(place, &mut block.bytes)?;
        Ok(block)
    }

    /// A piece of bytes that are in memory already.
    pub(super) fn new(what: &'static str, place: u64, bytes: Vec<u8>) -> Self {
        Self { place, what, bytes }
    }

    /// The `len` bytes from byte `at` on.
    pub(super) fn bytes(&self, at: usize, len: usize) -> Result<&[u8], FsError> {
        let found = at.checked_add(len).and_then(|end| self.bytes.get(at..end));
        found.ok_or_else(|| self.corrupt(at, "something goes past its end"))
    }

    /// A copy of the `len` bytes from byte `at` on, as a piece that is `what`.
    pub(super) fn part(&self, what: &'static str, at: usize, len: usize) -> Result<Self, FsError> {
        Ok(Self { place: self.place.saturating_add(at as u64), what, bytes: self.bytes(at, len)?.to_vec() })
    }

    /// Byte of the filesystem at which it begins.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(in crate::image) fn u8(&self, at: usize) -> Result<u8, FsError> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    pub(in crate::image) fn u16(&self, at: usize) -> Result<u16, FsError> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(in crate::image) fn u32(&self, at: usize) -> Result<u32, FsError> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(in crate::image) fn u64(&self, at: usize) -> Result<u64, FsError> {
        self.array(at).map(u64::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], FsError> {
        let bytes = self.bytes(at, N)?;
        bytes.try_into().map_err(|_| self.corrupt(at, "something goes past its end"))
    }

    /// An error of the value at byte `at`.
    pub(in crate::image) fn corrupt(&self, at: usize, what: impl Display) -> FsError {
        corrupt(self.place.saturating_add(at as u64), format!("{}: {what}", self.what))
    }

    /// Check the CRC-32C at byte `at`, little-endian, over all of the block with zeros in its own place
    /// (`xfs_verify_cksum`, libxfs/xfs_cksum.h).
    pub(super) fn check_sum(&self, at: usize) -> Result<(), FsError> {
        let expected = u32::from_le_bytes(self.array(at)?);
        let (before, rest) = (self.bytes(0, at)?, self.bytes.get(at + 4..).unwrap_or_default());
        let sum = [before, &[0; 4], rest].into_iter().fold(!0, crc32c);
        if !sum == expected { Ok(()) } else { Err(self.corrupt(at, "its checksum is wrong")) }
    }
}

/// An error at byte `place` of the filesystem.
pub(super) fn corrupt(place: u64, what: impl Into<String>) -> FsError {
    FsError::Corrupt { offset: Some(place), what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_past_the_end_is_an_error_at_its_place() {
        let bytes: Vec<u8> = (0..100).collect();
        let block = Block::read(&bytes, "block", 50, 20).unwrap();
        assert_eq!((block.u8(19).unwrap(), block.u16(18).unwrap(), block.u32(0).unwrap()), (69, 0x4445, 0x3233_3435));
        for (at, len) in [(19, 2), (20, 1), (usize::MAX, 2)] {
            let error = block.bytes(at, len).unwrap_err();
            let FsError::Corrupt { offset: Some(offset), what } = error else { panic!("{error}") };
            assert_eq!((offset, what.as_str()), (50u64.saturating_add(at as u64), "block: something goes past its end"));
        }
        assert!(matches!(Block::read(&bytes, "block", 90, 20), Err(FsError::Io(_))));
        assert!(matches!(Block::read(&bytes, "block", 0, MAX_BLOCK_BYTES + 1), Err(FsError::Corrupt { .. })));
    }
}

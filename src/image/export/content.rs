//! The content of a disk that is exported: its bytes with the free space as zeros, and where there may be data.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::base::read_at::ReadAt;
use crate::image::free::FreeSpace;

/// Bytes for which one question asks whether they are a hole, so that a sparse disk of terabytes is searched quickly.
const SPAN_BYTES: u64 = 1 << 30;
/// Bytes of which a part that is no hole counts as data: a cluster of most qcow2 files.
const GRAIN_BYTES: u64 = 64 << 10;

/// A disk whose free space reads as zeros.
pub(super) struct Content {
    disk: Arc<dyn ReadAt>,
    /// In rising order, not touching each other.
    free: Vec<Range<u64>>,
}

impl Content {
    /// `disk` without the bytes of `free`.
    pub(super) fn new(disk: Arc<dyn ReadAt>, free: FreeSpace) -> Self {
        Self { disk, free: free.runs }
    }

    /// The runs of free space that have a byte in `range`.
    fn free_in(&self, range: Range<u64>) -> &[Range<u64>] {
        let first = self.free.partition_point(|run| run.end <= range.start);
        let count = self.free[first..].partition_point(|run| run.start < range.end);
        &self.free[first..first + count]
    }

    /// The pieces of `size` bytes, by number, that are not wholly holes. The last piece may go past the end of the disk.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) fn pieces(&self, size: u64) -> io::Result<Pieces> {
        let mut found = Pieces { size, numbers: Vec::new(), bytes: 0 };
        let ranges = |whole: Range<u64>, step: u64| {
            let starts = (whole.start..whole.end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            starts.map(move |start| start..whole.end.min(start.saturating_add(step)))
        };
        // OK to divide: every caller's pieces are some MiB, a whole fraction of a span.
        for span in ranges(0..self.len(), SPAN_BYTES) {
            if self.is_hole(span.start, span.end - span.start)? {
                continue;
            }
            for piece in ranges(span, size) {
                let mut data = 0;
                for grain in ranges(piece.clone(), GRAIN_BYTES) {
                    let length = grain.end - grain.start;
                    data += if self.is_hole(grain.start, length)? { 0 } else { length };
                }
                if data > 0 {
                    found.numbers.push(piece.start / size);
                    found.bytes += data;
                }
            }
        }
        Ok(found)
    }

    /// Fill `buf` with the bytes that begin at `offset`; beyond the end there are zeros.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) fn read_padded(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        let (bytes, beyond) = buf.split_at_mut(there);
        beyond.fill(0);
        self.read_at(offset, bytes)
    }
}

impl ReadAt for Content {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        // Only what is not free is read: a cluster of a qcow2 that is free is not decompressed.
        let place = |at: u64| usize::try_from(at - offset).unwrap_or(usize::MAX);
        let mut at = offset;
        for run in self.free_in(offset..end) {
            let (start, stop) = (run.start.max(offset), run.end.min(end));
            self.disk.read_at(at, &mut buf[place(at)..place(start)])?;
            buf[place(start)..place(stop)].fill(0);
            at = stop;
        }
        self.disk.read_at(at, &mut buf[place(at)..])
    }

    fn is_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        for run in self.free_in(offset..end) {
            if run.start > at && !self.disk.is_hole(at, run.start - at)? {
                return Ok(false);
            }
            at = run.end.min(end);
        }
        Ok(at >= end || self.disk.is_hole(at, end - at)?)
    }

    fn len(&self) -> u64 {
        self.disk.len()
    }
}

/// Where a disk has data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    /// Bytes of a piece.
    pub(super) size: u64,
    /// Numbers of the pieces that have data, rising: piece `n` begins at byte `n * size`.
    pub(super) numbers: Vec<u64>,
    /// Bytes that may be data, counted in grains of 64 KiB: never more than are written uncompressed.
    pub(super) bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 256 KiB of ones, without holes.
    fn ones(free: &[(u64, u64)]) -> Content {
        let free = FreeSpace { runs: free.iter().map(|(start, end)| *start..*end).collect(), unread: Vec::new() };
        Content::new(Arc::new(vec![1; 256 << 10]), free)
    }

    #[test]
    fn free_bytes_are_zeros_and_all_others_stay() {
        for free in [&[][..], &[(0, 10)], &[(5, 10), (12, 13), (90, 100)], &[(0, 256 << 10)], &[(99, 200)]] {
            let content = ones(free);
            for (offset, length) in [(0, 100), (7, 5), (6, 1), (10, 2), (11, 100), (0, 0), (13, 1)] {
                let mut read = vec![9; length];
                content.read_at(offset, &mut read).unwrap();
                let expected = |at: &u64| u8::from(!free.iter().any(|(start, end)| (start..end).contains(&at)));
                let expected: Vec<u8> = (offset..offset + length as u64).collect::<Vec<_>>().iter().map(expected).collect();
                assert_eq!(read, expected, "{free:?} {offset} {length}");
                assert_eq!(content.is_hole(offset, length as u64).unwrap(), !expected.contains(&1), "{free:?} {offset} {length}");
            }
            assert!(content.read_at(256 << 10, &mut [0]).is_err() && content.is_hole(0, (256 << 10) + 1).is_err());
        }
    }

    #[test]
    fn pieces_with_data_are_listed_and_counted() {
        let kib = |number: u64| number << 10;
        for (free, numbers, bytes) in [
            (&[][..], &[0, 1][..], kib(256)),
            (&[(0, kib(128))], &[1], kib(128)),
            (&[(0, kib(128)), (kib(192), kib(256))], &[1], kib(64)),
            (&[(1, kib(256))], &[0], kib(64)),
            (&[(0, kib(256))], &[], 0),
        ] {
            assert_eq!(ones(free).pieces(kib(128)).unwrap(), Pieces { size: kib(128), numbers: numbers.to_vec(), bytes }, "{free:?}");
        }
        let empty = Content::new(Arc::new(Vec::new()), FreeSpace::default());
        assert_eq!(empty.pieces(1 << 20).unwrap().numbers, [0_u64; 0]);
    }

    #[test]
    fn beyond_the_end_are_zeros() {
        let mut buf = [9; 4];
        ones(&[]).read_padded((256 << 10) - 2, &mut buf).unwrap();
        assert_eq!(buf, [1, 1, 0, 0]);
    }
}

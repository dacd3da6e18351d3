//! The bytes of a logical volume, which lie in pieces on physical ones.

use std::io;
use std::ops::Range;

use crate::base::read_at::{ReadAt, Stored};
use crate::image::read_at::Slice;

/// A run of a logical volume's bytes.
#[derive(Debug)]
pub(super) struct Segment {
    /// Byte of the volume at which it begins.
    pub(super) start: u64,
    /// Bytes of it.
    pub(super) len: u64,
    /// Bytes that lie together before the segment goes on at the next place.
    pub(super) stripe: u64,
    /// Physical volumes, by number, and the bytes of them at which its parts begin.
    pub(super) places: Vec<(usize, u64)>,
}

/// A logical volume.
#[derive(Debug)]
pub(in crate::image) struct Mapped {
    segments: Vec<Segment>,
    physical: Vec<Slice>,
}

impl Mapped {
    /// The volume of `segments`. The error says what is wrong with them.
    pub(super) fn new(mut segments: Vec<Segment>, physical: &[Slice]) -> Result<Self, String> {
        segments.sort_by_key(|segment| segment.start);
        let mut end = 0;
        for segment in &segments {
            if segment.start != end {
                return Err("its segments do not follow each other".to_owned());
            }
            end = segment.start.checked_add(segment.len).ok_or("its segments are longer than can be")?;
            let part = segment.len / segment.places.len() as u64;
            let fits = |(index, place): &(usize, u64)| place.checked_add(part).is_some_and(|end| end <= physical[*index].len());
            if !segment.places.iter().all(fits) {
                return Err("a segment goes past the end of its physical volume".to_owned());
            }
        }
        if segments.is_empty() { Err("it has no segments".to_owned()) } else { Ok(Self { segments, physical: physical.to_vec() }) }
    }

    /// Where the bytes `run` of the volume are: which physical volume, and which of its bytes. Bytes beyond the volume's end are left out.
    pub(in crate::image) fn places(&self, run: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
        let mut at = run.start;
        std::iter::from_fn(move || {
            let (physical, place, left) = self.place(at).filter(|_| at < run.end)?;
            let count = left.min(run.end - at);
            at += count;
            Some((physical, place..place + count))
        })
    }

    /// The physical volume and its byte that hold the volume's byte `offset`, and how many bytes follow there.
    fn place(&self, offset: u64) -> Option<(usize, u64, u64)> {
        let index = self.segments.partition_point(|segment| segment.start <= offset).checked_sub(1)?;
        let segment = &self.segments[index];
        let within = offset - segment.start;
        if within >= segment.len {
            return None;
        }
        let count = segment.places.len() as u64;
        let (turn, inside) = (within / segment.stripe, within % segment.stripe);
        let (physical, start) = segment.places[usize::try_from(turn % count).ok()?];
        let left = (segment.stripe - inside).min(segment.len - within);
        Some((physical, start + turn / count * segment.stripe + inside, left))
    }
}

impl ReadAt for Mapped {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buf.len() {
            let at = offset.checked_add(filled as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            let (physical, place, left) = self.place(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len() - filled);
            self.physical[physical].read_at(place, &mut buf[filled..filled + count])?;
            filled += count;
        }
        Ok(())
    }

    fn stored(&self, offset: u64, len: u64) -> io::Result<(u64, Option<Stored>)> {
        let (physical, place, left) = self.place(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.physical[physical].stored(place, left.min(len))
    }

    fn len(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.start + segment.len)
    }
}

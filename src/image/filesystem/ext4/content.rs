//! The bytes of a file of ext4: of its blocks, or of the inode itself.

use super::super::{Content, FsError};
use super::entries::inline_content;
use super::geometry::Geometry;
use super::inodes::Inode;
use super::mapping::{Mapping, Run};
use crate::base::read_at::Stored;

/// The content of an inode.
pub(super) struct Bytes<'a> {
    size: u64,
    geometry: &'a Geometry,
    place: Place<'a>,
}

/// Where content is.
enum Place<'a> {
    /// In the inode, and in one of its attributes.
    Inline(Vec<u8>),
    /// In blocks; with the run that was read from last.
    Blocks(Mapping<'a>, Option<Run>),
}

impl<'a> Bytes<'a> {
    /// # Errors
    /// It is encrypted or damaged.
    pub(super) fn of(geometry: &'a Geometry, inode: &Inode) -> Result<Self, FsError> {
        if inode.is_encrypted() {
            return Err(FsError::Incompatible("it is encrypted".to_owned()));
        }
        let place =
            if inode.is_inline() { Place::Inline(inline_content(inode)?) } else { Place::Blocks(Mapping::new(geometry, inode), None) };
        Ok(Self { size: inode.metadata.size, geometry, place })
    }

    /// The whole of it.
    ///
    /// # Errors
    /// It has more than `most` bytes, or is damaged.
    pub(super) fn whole(mut self, inode: &Inode, most: u64) -> Result<Vec<u8>, FsError> {
        if self.size > most {
            return Err(inode.corrupt(format!("it has {} bytes, and {most} are possible", self.size)));
        }
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(filled as u64, &mut bytes[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(bytes)
    }
}

impl Content for Bytes<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, FsError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buf.len().min(left);
        if count == 0 {
            return Ok(0);
        }
        let (mapping, last) = match &mut self.place {
            Place::Inline(bytes) => {
                // After the stored bytes there are zeros.
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let there = count.min(bytes.len() - start);
                buf[..there].copy_from_slice(&bytes[start..start + there]);
                buf[there..count].fill(0);
                return Ok(count);
            }
            Place::Blocks(mapping, last) => (mapping, last),
        };
        let block = offset / self.geometry.block_bytes;
        let run = run_at(mapping, last, block)?;
        let within = offset % self.geometry.block_bytes;
        let there = (run.blocks.end - block).saturating_mul(self.geometry.block_bytes) - within;
        let count = count.min(usize::try_from(there).unwrap_or(usize::MAX));
        match run.start {
            Some(start) => self.geometry.read_blocks(start + (block - run.blocks.start), within, &mut buf[..count])?,
            None => buf[..count].fill(0),
        }
        *last = Some(run);
        Ok(count)
    }

    fn stored(&mut self, offset: u64) -> Result<(u64, Option<Stored>), FsError> {
        let left = self.size.saturating_sub(offset);
        let Place::Blocks(mapping, last) = &mut self.place else { return Ok((left, None)) };
        if left == 0 {
            return Ok((0, None));
        }
        let block = offset / self.geometry.block_bytes;
        let run = run_at(mapping, last, block)?;
        let within = offset % self.geometry.block_bytes;
        let left = ((run.blocks.end - block).saturating_mul(self.geometry.block_bytes) - within).min(left);
        let stored = match run.start {
            Some(start) => self.geometry.stored(start + (block - run.blocks.start), within, left)?,
            None => (left, None),
        };
        *last = Some(run);
        Ok(stored)
    }
}

/// The run that holds `block`; `last` is the one that was read from last, if that is it.
fn run_at(mapping: &mut Mapping<'_>, last: &mut Option<Run>, block: u64) -> Result<Run, FsError> {
    match last.take().filter(|run| run.blocks.contains(&block)) {
        Some(run) => Ok(run),
        None => mapping.run(block),
    }
}

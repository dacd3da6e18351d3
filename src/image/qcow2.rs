//! Reads qcow2: versions 2 and 3, plain, deflate and zstd clusters, zero clusters, subclusters, backing chains.
//!
//! Written from QEMU's `docs/interop/qcow2.txt`, because no crate reads zstd clusters (imago 0.2.6 refuses the feature bit). It does not
//! read internal snapshots, encryption or external data files, and it refuses files that were not closed cleanly.

mod header;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use self::header::{BackingFile, Compression};
use super::cache::Cache;
use super::error::{BACKING, ImageError};
use super::read_at::RawFile;
use crate::base::read_at::{ReadAt, Stored};
use crate::hardware::Format;

pub(crate) use self::header::{EXTENSION_BACKING_FORMAT, Header, MAGIC, MAX_BACKING_NAME_BYTES};

/// Longest backing chain that is followed; a loop ends here too.
const MAX_CHAIN: usize = 64;
/// Bits 9 to 55 of an L1 or L2 entry: a byte offset in the file.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 62 of an L2 entry.
const COMPRESSED: u64 = 1 << 62;
/// Bit 0 of an L2 entry (version 3): the cluster reads as zeros.
const ZERO: u64 = 1;

/// Parts of a cluster in an image with extended L2 entries.
const SUBCLUSTERS: u64 = 32;

/// Where the files under an overlay may lie.
#[derive(Debug, Clone)]
pub(crate) enum Reach {
    /// In these directories or below them, symbolic links resolved.
    Below(Arc<[PathBuf]>),
    /// Anywhere: goldsmith made the overlay.
    Anywhere,
}

impl Reach {
    /// What an image of unknown origin may reach: its own directory, and the store. An image may name any file as the one under it, and the
    /// content of that file would be shown as its disk.
    pub(crate) fn of_foreign(image: &Path, store: Option<&Path>) -> Result<Self, ImageError> {
        let real = fs::canonicalize(image).map_err(|source| ImageError::read(image, source))?;
        // A store that is not there has no files to reach.
        let store = store.and_then(|store| fs::canonicalize(store).ok());
        Ok(Self::Below(real.parent().map(Path::to_owned).into_iter().chain(store).collect()))
    }

    /// Whether the file at `path` may be read.
    fn allows(&self, path: &Path) -> io::Result<bool> {
        let Self::Below(dirs) = self else { return Ok(true) };
        let real = fs::canonicalize(path)?;
        Ok(dirs.iter().any(|dir| real.starts_with(dir)))
    }
}

/// A qcow2 file and everything under it.
pub struct Qcow2 {
    path: PathBuf,
    file: RawFile,
    header: Header,
    l1_table: Vec<u64>,
    backing: Option<Box<dyn ReadAt>>,
    backing_paths: Vec<PathBuf>,
    cache: Arc<Mutex<Cache>>,
    /// This file's place in the chain, 0 at the top; keys of the shared cache begin with it.
    depth: usize,
}

/// Whether QEMU takes what `name` begins with as a protocol: a colon comes before the first slash (`path_has_protocol`).
pub(crate) fn is_protocol(name: &str) -> bool {
    name.split('/').next().is_some_and(|first| first.contains(':'))
}

/// Where bytes of a cluster are.
#[derive(Debug, PartialEq, Eq)]
enum Cluster {
    /// In the backing file, or zeros without one.
    Unallocated,
    Zeros,
    /// As they are: `offset` is that of the byte that was asked for.
    Plain {
        offset: u64,
    },
    /// The cluster that has the byte is packed there.
    Compressed {
        offset: u64,
        length: usize,
    },
}

/// An entry of an L2 table.
struct Entry {
    /// What and where the cluster is.
    descriptor: u64,
    /// The bits of its subclusters, in an image with extended L2 entries.
    subclusters: Option<u64>,
}

impl Qcow2 {
    /// Open `path` and its backing files, which are within `reach`.
    ///
    /// # Errors
    /// A file of the chain cannot be read, is damaged, is out of reach, or uses what is not supported.
    pub fn open(path: &Path, reach: &Reach) -> Result<Self, ImageError> {
        Self::open_at(path, reach, 0, Arc::default())
    }

    /// The files under this one, nearest first.
    pub fn backing_paths(&self) -> &[PathBuf] {
        &self.backing_paths
    }

    /// How this file's own compressed clusters are compressed, if there are any.
    pub fn compression(&self) -> &'static str {
        match self.header.compression {
            Compression::Deflate => "zlib",
            Compression::Zstd => "zstd",
        }
    }

    fn open_at(path: &Path, reach: &Reach, depth: usize, cache: Arc<Mutex<Cache>>) -> Result<Self, ImageError> {
        let file = RawFile::open(path)?;
        let header = Header::read(&file, path)?;
        let mut bytes = vec![0; header.l1_entries * 8];
        file.read_at(header.l1_table_offset, &mut bytes).map_err(|source| ImageError::read(path, source))?;
        let l1_table = bytes.as_chunks().0.iter().map(|entry| u64::from_be_bytes(*entry)).collect();
        let mut qcow2 = Self { path: path.to_owned(), file, header, l1_table, backing: None, backing_paths: Vec::new(), cache, depth };
        if let Some(backing) = qcow2.header.backing.take() {
            qcow2.open_backing(&backing, reach)?;
        }
        Ok(qcow2)
    }

    fn open_backing(&mut self, backing: &BackingFile, reach: &Reach) -> Result<(), ImageError> {
        let refuse = |what: String| Err(ImageError::incompatible(&self.path, None, what));
        let refuse_file = |why: &str| Err(ImageError::not_followed(&self.path, BACKING, &backing.name, why));
        let name = &backing.name;
        if self.depth + 1 >= MAX_CHAIN {
            return refuse(format!("its backing chain is longer than {MAX_CHAIN} files, or a loop"));
        }
        if is_protocol(name) {
            return refuse_file("is not a local file");
        }
        // Guessing would let a guest that owns a raw disk name any file of the host as its backing file (CVE-2008-2004).
        let Some(format) = &backing.format else {
            return refuse(format!("it does not say which format its backing file `{name}` has; `qemu-img rebase -u -F …` does"));
        };
        // Joining an absolute name gives that name.
        let path = self.path.parent().unwrap_or(Path::new("")).join(name);
        if !reach.allows(&path).map_err(|source| ImageError::read(&path, source))? {
            return refuse_file("is neither in the directory of the image nor below it, nor in goldsmith's store");
        }
        self.backing_paths.push(path.clone());
        self.backing = Some(match Format::named(format) {
            Some(Format::Qcow2) => {
                let below = Self::open_at(&path, reach, self.depth + 1, Arc::clone(&self.cache))?;
                self.backing_paths.extend_from_slice(&below.backing_paths);
                Box::new(below)
            }
            Some(Format::Raw) => Box::new(RawFile::open(&path)?),
            None => return refuse(format!("its backing file `{name}` has the format `{format}`")),
        });
        Ok(())
    }

    fn cluster_size(&self) -> u64 {
        1 << self.header.cluster_bits
    }

    /// Where in its cluster the byte `at` of the disk is.
    fn inside(&self, at: u64) -> u64 {
        at & (self.cluster_size() - 1)
    }

    fn corrupt(&self, offset: u64, what: impl Into<String>) -> ImageError {
        ImageError::corrupt(&self.path, offset, what)
    }

    /// Find the byte `at` of the disk, which is inside the virtual size, and how many bytes follow it in the same way.
    fn locate(&self, at: u64) -> io::Result<(Cluster, u64)> {
        let inside = self.inside(at);
        let whole = self.cluster_size() - inside;
        let Some((entry, table_offset)) = self.l2_entry(at >> self.header.cluster_bits)? else {
            return Ok((Cluster::Unallocated, whole));
        };
        match self.decode(&entry, table_offset)? {
            compressed @ Cluster::Compressed { .. } => Ok((compressed, whole)),
            standard => {
                let (cluster, left) = match entry.subclusters {
                    Some(bitmap) => self.subclusters(bitmap, standard, inside, table_offset)?,
                    None => (standard, whole),
                };
                let cluster = match cluster {
                    Cluster::Plain { offset } => Cluster::Plain { offset: offset + inside },
                    other => other,
                };
                Ok((cluster, left))
            }
        }
    }

    /// The L2 entry of the cluster with the number `index`, and where its table is; nothing when there is no table.
    fn l2_entry(&self, index: u64) -> io::Result<Option<(Entry, u64)>> {
        let l2_bits = self.header.cluster_bits - if self.header.subclusters { 4 } else { 3 };
        let l1_index = usize::try_from(index >> l2_bits).unwrap_or(usize::MAX);
        let l1_entry = self.l1_table.get(l1_index).copied().unwrap_or_default();
        let table_offset = l1_entry & OFFSET_MASK;
        if table_offset == 0 {
            return Ok(None);
        }
        let table = self.l2_table(table_offset)?;
        let position = usize::try_from(index & ((1 << l2_bits) - 1)).unwrap_or(usize::MAX);
        let words = table.as_chunks().0;
        // OK to default: the table is a whole cluster, the position is masked to its length.
        let word = |at: usize| words.get(at).map(|word| u64::from_be_bytes(*word)).unwrap_or_default();
        let entry = match self.header.subclusters {
            true => Entry { descriptor: word(position * 2), subclusters: Some(word(position * 2 + 1)) },
            false => Entry { descriptor: word(position), subclusters: None },
        };
        Ok(Some((entry, table_offset)))
    }

    /// Where the cluster of `entry` begins, its subclusters aside.
    fn decode(&self, entry: &Entry, table_offset: u64) -> io::Result<Cluster> {
        let Entry { descriptor, subclusters } = *entry;
        if descriptor & COMPRESSED != 0 {
            if subclusters.is_some_and(|bitmap| bitmap != 0) {
                return Err(self.corrupt(table_offset, "a compressed cluster has subclusters").into());
            }
            // The low bits are a byte offset, the others up to bit 61 the number of further 512-byte sectors.
            let offset_bits = 62 - (self.header.cluster_bits - 8);
            let offset = descriptor & ((1 << offset_bits) - 1);
            let sectors = ((descriptor & (COMPRESSED - 1)) >> offset_bits) + 1;
            // The last sector may go past the end of the file.
            let end = ((offset & !511) + sectors * 512).min(self.file.len());
            let length = end.checked_sub(offset).filter(|length| *length > 0);
            let length = length.and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or_else(|| self.corrupt(offset, "a compressed cluster lies outside the file"))?;
            return Ok(Cluster::Compressed { offset, length });
        }
        // With subclusters each has a bit of its own for that.
        if self.header.version >= 3 && descriptor & ZERO != 0 && subclusters.is_none() {
            return Ok(Cluster::Zeros);
        }
        let offset = descriptor & OFFSET_MASK;
        if offset == 0 {
            return Ok(Cluster::Unallocated);
        }
        if !offset.is_multiple_of(self.cluster_size()) {
            return Err(self.corrupt(table_offset, format!("a cluster at {offset} does not begin on a cluster boundary")).into());
        }
        if offset >= self.file.len() {
            return Err(self.corrupt(offset, "a cluster lies outside the file; it may have been cut short").into());
        }
        Ok(Cluster::Plain { offset })
    }

    /// Where the byte `inside` of a cluster is that `bitmap` divides, and how far the subclusters after it are like its own. `whole` is where
    /// the cluster begins, if it has a place in the file.
    ///
    /// "Extended L2 Entries": bit n, the subcluster n is in the file; bit 32 + n, it reads as zeros; neither, it is the backing file's.
    fn subclusters(&self, bitmap: u64, whole: Cluster, inside: u64, table_offset: u64) -> io::Result<(Cluster, u64)> {
        let (stored, zeros) = (bitmap & u64::from(u32::MAX), bitmap >> 32);
        if stored & zeros != 0 {
            return Err(self.corrupt(table_offset, "a subcluster is marked as stored and as zeros").into());
        }
        if stored != 0 && whole == Cluster::Unallocated {
            return Err(self.corrupt(table_offset, "a subcluster is marked as stored, and its cluster has no place").into());
        }
        let size = self.cluster_size() / SUBCLUSTERS;
        let state = |number: u64| (stored >> number & 1, zeros >> number & 1);
        let first = inside / size;
        let end = (first..SUBCLUSTERS).find(|number| state(*number) != state(first)).unwrap_or(SUBCLUSTERS);
        let cluster = match state(first) {
            (1, _) => whole,
            (_, 1) => Cluster::Zeros,
            _ => Cluster::Unallocated,
        };
        Ok((cluster, end * size - inside))
    }

    fn l2_table(&self, offset: u64) -> io::Result<Arc<[u8]>> {
        let end = offset.checked_add(self.cluster_size());
        if !offset.is_multiple_of(self.cluster_size()) || end.is_none_or(|end| end > self.file.len()) {
            return Err(self.corrupt(offset, "an L2 table lies outside the file").into());
        }
        self.cached(offset, |table| self.file.read_at(offset, table))
    }

    /// Decompress the `length` bytes at `offset` of the file to `cluster`, which is as long as one.
    fn decompress(&self, offset: u64, length: usize, cluster: &mut [u8]) -> io::Result<()> {
        // At most 4 MiB: see `decode`, the number of sectors has `cluster_bits - 8` bits.
        let mut packed = vec![0; length];
        self.file.read_at(offset, &mut packed)?;
        match self.header.compression {
            Compression::Deflate => inflate(&packed, cluster),
            Compression::Zstd => unzstd(&packed, cluster),
        }
        .map_err(|why| self.corrupt(offset, format!("a cluster cannot be decompressed: {why}")).into())
    }

    /// The cluster or table at `offset`, from the cache or made by `fill`.
    fn cached(&self, offset: u64, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Arc<[u8]>> {
        let key = (self.depth, offset);
        // A panic elsewhere cannot leave the cache inconsistent: every entry is whole.
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = lock().get(key) {
            return Ok(bytes);
        }
        let mut bytes = vec![0; 1 << self.header.cluster_bits];
        fill(&mut bytes)?;
        let bytes: Arc<[u8]> = bytes.into();
        lock().put(key, Arc::clone(&bytes));
        Ok(bytes)
    }

    /// Whether `len` bytes from the disk's byte `offset` on are zeros, cluster by cluster: `backing` judges the bytes (offset, length) that the
    /// backing file shows, `stored` those that this file has.
    fn all_zero(
        &self,
        offset: u64,
        len: u64,
        backing: impl Fn(&dyn ReadAt, u64, u64) -> io::Result<bool>,
        mut stored: impl FnMut(u64, u64) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let end = offset.checked_add(len).filter(|end| *end <= self.header.size).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        while at < end {
            let (cluster, left) = self.locate(at)?;
            let count = left.min(end - at);
            let is_zero = match (cluster, &self.backing) {
                (Cluster::Zeros, _) | (Cluster::Unallocated, None) => true,
                // A backing file may be smaller than what lies over it.
                (Cluster::Unallocated, Some(below)) => {
                    let there = below.len().saturating_sub(at).min(count);
                    there == 0 || backing(&**below, at, there)?
                }
                (Cluster::Plain { .. } | Cluster::Compressed { .. }, _) => stored(at, count)?,
            };
            if !is_zero {
                return Ok(false);
            }
            at += count;
        }
        Ok(true)
    }

    /// Fill `buf` from the disk's byte `at` on. All of it is in `cluster`.
    fn read_part(&self, at: u64, cluster: Cluster, buf: &mut [u8]) -> io::Result<()> {
        match cluster {
            Cluster::Unallocated => match &self.backing {
                Some(backing) => read_or_zeros(&**backing, at, buf),
                None => {
                    buf.fill(0);
                    Ok(())
                }
            },
            Cluster::Zeros => {
                buf.fill(0);
                Ok(())
            }
            // The last cluster of a file need not be whole.
            Cluster::Plain { offset } => read_or_zeros(&self.file, offset, buf),
            // A reader of whole clusters goes on and does not come back: nothing is remembered.
            Cluster::Compressed { offset, length } if buf.len() == 1 << self.header.cluster_bits => self.decompress(offset, length, buf),
            Cluster::Compressed { offset, length } => {
                let cluster = self.cached(offset, |cluster| self.decompress(offset, length, cluster))?;
                // OK to truncate: a cluster has at most 2 MiB.
                let inside = self.inside(at) as usize;
                buf.copy_from_slice(&cluster[inside..inside + buf.len()]);
                Ok(())
            }
        }
    }
}

impl ReadAt for Qcow2 {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.header.size);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let (cluster, left) = self.locate(at)?;
            let (part, later) = rest.split_at_mut(usize::try_from(left).unwrap_or(usize::MAX).min(rest.len()));
            self.read_part(at, cluster, part)?;
            at += part.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Clusters that are not there, or marked as zeros, are not read.
    fn is_zero(&self, offset: u64, len: u64) -> io::Result<bool> {
        let mut buf = Vec::new();
        let stored = |at, count| {
            // OK to truncate: a cluster has at most 2 MiB.
            buf.resize(count as usize, 0);
            self.read_at(at, &mut buf)?;
            Ok(buf.iter().all(|byte| *byte == 0))
        };
        self.all_zero(offset, len, |backing, at, count| backing.is_zero(at, count), stored)
    }

    fn is_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.all_zero(offset, len, |backing, at, count| backing.is_hole(at, count), |_, _| Ok(false))
    }

    fn stored(&self, offset: u64, len: u64) -> io::Result<(u64, Option<Stored>)> {
        offset.checked_add(len).filter(|end| *end <= self.header.size).ok_or(io::ErrorKind::UnexpectedEof)?;
        let (cluster, left) = self.locate(offset)?;
        let count = left.min(len);
        match (cluster, &self.backing) {
            (Cluster::Plain { offset }, _) => self.file.stored(offset, count),
            (Cluster::Compressed { offset: packed, .. }, _) => {
                let (_, stored) = self.file.stored(packed, count)?;
                Ok((count, stored.map(|stored| Stored { unpacked: Some(self.inside(offset)), ..stored })))
            }
            (Cluster::Unallocated, Some(below)) if offset + count <= below.len() => below.stored(offset, count),
            (Cluster::Unallocated | Cluster::Zeros, _) => Ok((count, None)),
        }
    }

    fn len(&self) -> u64 {
        self.header.size
    }
}

/// Read the bytes that are there, and zeros beyond the end.
fn read_or_zeros(source: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    let there = usize::try_from(source.len().saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
    let (bytes, beyond) = buf.split_at_mut(there);
    beyond.fill(0);
    if bytes.is_empty() { Ok(()) } else { source.read_at(offset, bytes) }
}

fn inflate(packed: &[u8], cluster: &mut [u8]) -> Result<(), String> {
    let mut state = flate2::Decompress::new(false);
    state.decompress(packed, cluster, flate2::FlushDecompress::Finish).map_err(|error| error.to_string())?;
    let written = state.total_out();
    if written == cluster.len() as u64 { Ok(()) } else { Err(format!("it has {written} bytes")) }
}

/// QEMU writes one frame for a cluster and reads any number of them. Whole frames are decoded at once: a stream would allocate whatever
/// window the frame asks for.
fn unzstd(packed: &[u8], cluster: &mut [u8]) -> Result<(), String> {
    let mut decompressor = zstd::bulk::Decompressor::new().map_err(|error| error.to_string())?;
    let (mut packed, mut written) = (packed, 0);
    while written < cluster.len() {
        let length =
            zstd::zstd_safe::find_frame_compressed_size(packed).map_err(|_| format!("its zstd frame ends after {written} bytes"))?;
        let (frame, rest) = packed.split_at_checked(length).filter(|_| length > 0).ok_or("a zstd frame has no end")?;
        written += decompressor.decompress_to_buffer(frame, &mut cluster[written..]).map_err(|error| error.to_string())?;
        packed = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

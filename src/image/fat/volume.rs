//! A FAT32 volume of files, written once: every file and directory is one run of clusters, in the order of the paths.
//!
//! ```text
//! boot sectors, their copies ─ FAT ─ the same again ─ the volume's own directory ─ a ─ a/b ─ … ─ never used
//! ```
//!
//! Layout: Microsoft's FAT specification 1.03, whose names are used here.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::content::{self, Kind, Node};
use super::directory::{self, Entry, SLOT};
use crate::base::atomic::NewFile;
use crate::base::size::rounded;
use crate::image::create::{directory_of, require_space};
use crate::image::error::ImageError;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Bytes of a cluster; the smallest that fits is used. Linux reads pages of 4 KiB, and larger clusters keep the FAT of a large volume
/// small.
const CLUSTERS: [u64; 4] = [4 << 10, 8 << 10, 16 << 10, 32 << 10];
/// A volume with more clusters than this gets larger ones: 8 GiB of the smallest, as in Microsoft's table of volume sizes.
const ENOUGH: u64 = 2 << 20;
/// Fewer clusters make it FAT16, whatever its boot sector says ("FAT Type Determination", which advises to stay 16 away).
const CLUSTERS_MIN: u64 = 65_525 + 16;
/// The number of the first cluster, which is the volume's own directory; the two entries of the FAT before it mean something else.
const FIRST: u32 = 2;
/// The end of a chain, and the FAT's first two entries: the medium's kind (`0xf8`), and a volume that was unmounted without errors.
const END: u32 = 0x0fff_ffff;
const FAT_HEAD: [u32; 2] = [0x0fff_fff8, END];
/// `BPB_RsvdSecCnt` at least, and which of them are what.
const RESERVED: u64 = 32;
const FS_INFO: u64 = 1;
const BACKUP: u64 = 6;
/// `BS_VolID`: what `blkid` shows as the UUID. If it came from the time, the volumes of the same files would differ.
const SERIAL: u32 = 0x601d_5317;
/// Bytes copied at a time.
const PIECE: usize = 256 << 10;

/// A FAT32 volume of files that is to be written.
#[derive(Debug, Clone)]
pub struct Volume {
    label: [u8; 11],
    nodes: Vec<Node>,
    /// Where each node's content is.
    extents: Vec<Extent>,
    geometry: Geometry,
}

/// A run of clusters; an empty one has the number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    first: u32,
    count: u32,
}

/// Where things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    /// Bytes of a cluster.
    cluster: u64,
    /// Clusters, and how many of them are used.
    clusters: u64,
    used: u64,
    /// Sectors before the first FAT, so many that clusters begin at multiples of their size.
    reserved: u64,
    /// Sectors of one FAT.
    fat: u64,
}

impl Volume {
    /// Plan a volume called `label` (1 to 11 of `A-Z`, `0-9` and `_`) of everything in these directories of the host, each for a path in
    /// the volume: `("/tmp/x", "kubernetes")`. Nothing is written yet.
    ///
    /// # Errors
    /// All at once that FAT cannot hold: links and devices, names outside ASCII or with `:` and the like, names that differ only in case,
    /// files of 4 GiB. Or a directory cannot be read.
    pub fn plan(label: &str, directories: &[(&Path, &str)]) -> Result<Self, ImageError> {
        let unfit = |problem: String| ImageError::Unfit { label: label.to_owned(), problems: vec![problem] };
        let padded = padded(label).ok_or_else(|| unfit("its label must be 1 to 11 of A-Z, 0-9 and _".to_owned()))?;
        let nodes = content::walk(label, directories)?;
        let sizes: Vec<u64> = (0..nodes.len()).map(|number| size(&nodes, number)).collect();
        let geometry = Geometry::of(&sizes).ok_or_else(|| {
            let all = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
            unfit(format!("{} are more than a FAT volume holds", rounded(all)))
        })?;
        let mut next = FIRST;
        let extents = sizes.iter().map(|size| {
            // OK to cast: the geometry has that many clusters.
            let count = size.div_ceil(geometry.cluster) as u32;
            let extent = Extent { first: if count == 0 { 0 } else { next }, count };
            next += count;
            extent
        });
        Ok(Self { label: padded, extents: extents.collect(), nodes, geometry })
    }

    /// Bytes of the volume. Its file is sparse.
    pub fn bytes(&self) -> u64 {
        self.geometry.bytes()
    }

    /// Bytes that writing it takes of the host's disk.
    pub fn written_bytes(&self) -> u64 {
        self.geometry.data() + self.geometry.used * self.geometry.cluster
    }

    /// Write the volume to the new file `path`, which appears when it is complete. `on_progress` hears how many of how many bytes of
    /// content are written.
    ///
    /// # Errors
    /// There is no space, `path` is there already or cannot be written, or a file cannot be read or has changed since the plan.
    pub fn write(&self, path: &Path, mut on_progress: impl FnMut(u64, u64)) -> Result<(), ImageError> {
        require_space(directory_of(path), self.written_bytes())?;
        let failed = |source| ImageError::write(path, source);
        let new = NewFile::beside(path).map_err(failed)?;
        let file = new.file();
        file.set_len(self.bytes()).map_err(failed)?;
        self.write_boot_sectors(file).map_err(failed)?;
        for copy in 0..2 {
            self.write_fat(file, (self.geometry.reserved + copy * self.geometry.fat) * SECTOR).map_err(failed)?;
        }
        let total = self.nodes.iter().map(Node::bytes).sum();
        let mut done = 0;
        for (number, node) in self.nodes.iter().enumerate() {
            let offset = self.geometry.offset(self.extents[number].first);
            match &node.kind {
                Kind::Directory(inside) => file.write_all_at(&self.directory(number, inside), offset).map_err(failed)?,
                Kind::File(source, bytes) => {
                    let mut to = file;
                    to.seek(SeekFrom::Start(offset)).map_err(failed)?;
                    copy(source, *bytes, to, path, |piece| {
                        done += piece;
                        on_progress(done, total);
                    })?;
                }
            }
        }
        new.publish().map_err(failed)
    }

    /// The content of the directory that is `number`.
    fn directory(&self, number: usize, inside: &[usize]) -> Vec<u8> {
        let entry = |number: &usize| {
            let node = &self.nodes[*number];
            let file = match node.kind {
                // OK to cast: the plan has no larger ones.
                Kind::File(_, bytes) => Some(bytes as u32),
                Kind::Directory(_) => None,
            };
            Entry { name: node.name(), cluster: self.extents[*number].first, file }
        };
        let entries: Vec<Entry<'_>> = inside.iter().map(entry).collect();
        match number {
            0 => directory::root(self.label, &entries),
            _ => {
                let parent = self.nodes[number].parent;
                directory::inner(self.extents[number].first, if parent == 0 { 0 } else { self.extents[parent].first }, &entries)
            }
        }
    }

    fn write_boot_sectors(&self, file: &File) -> io::Result<()> {
        let Geometry { cluster, clusters, used, reserved, fat } = self.geometry;
        let mut boot = [0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| boot[at..at + bytes.len()].copy_from_slice(bytes);
        // OK to cast, all: the geometry was made so that they fit.
        put(0, b"\xeb\x58\x90MSWIN4.1");
        put(11, &(SECTOR as u16).to_le_bytes());
        put(13, &[(cluster / SECTOR) as u8]);
        put(14, &(reserved as u16).to_le_bytes());
        // BPB_NumFATs, BPB_Media (fixed), and a disk's usual BPB_SecPerTrk and BPB_NumHeads.
        put(16, &[2]);
        put(21, &[0xf8]);
        put(24, &[63, 0, 255, 0]);
        put(32, &((self.bytes() / SECTOR) as u32).to_le_bytes());
        put(36, &(fat as u32).to_le_bytes());
        put(44, &FIRST.to_le_bytes());
        put(48, &[FS_INFO as u8, 0, BACKUP as u8, 0]);
        // BS_DrvNum (a disk), BS_BootSig (the three that follow are there).
        put(64, &[0x80, 0, 0x29]);
        put(67, &SERIAL.to_le_bytes());
        put(71, &self.label);
        put(82, b"FAT32   ");
        put(510, &[0x55, 0xaa]);
        let mut info = [0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| info[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"RRaA");
        put(484, b"rrAa");
        put(488, &((clusters - used) as u32).to_le_bytes());
        put(492, &(used as u32 + FIRST).to_le_bytes());
        put(510, &[0x55, 0xaa]);
        let mut third = [0; SECTOR as usize];
        third[510..].copy_from_slice(&[0x55, 0xaa]);
        let sectors = [boot, info, third].concat();
        file.write_all_at(&sectors, 0)?;
        file.write_all_at(&sectors, BACKUP * SECTOR)
    }

    fn write_fat(&self, mut file: &File, offset: u64) -> io::Result<()> {
        file.seek(SeekFrom::Start(offset))?;
        let mut to = BufWriter::with_capacity(PIECE, file);
        for entry in FAT_HEAD {
            to.write_all(&entry.to_le_bytes())?;
        }
        for Extent { first, count } in &self.extents {
            for next in first + 1..first + count {
                to.write_all(&next.to_le_bytes())?;
            }
            if *count > 0 {
                to.write_all(&END.to_le_bytes())?;
            }
        }
        to.flush()
    }
}

impl Geometry {
    /// For content of these sizes; `None` when FAT32 cannot have it.
    fn of(sizes: &[u64]) -> Option<Self> {
        let used = |cluster: u64| sizes.iter().try_fold(0_u64, |sum, size| sum.checked_add(size.div_ceil(cluster)));
        let fitting = CLUSTERS.into_iter().find(|cluster| used(*cluster).is_some_and(|used| used <= ENOUGH));
        let cluster = fitting.unwrap_or(CLUSTERS[CLUSTERS.len() - 1]);
        let used = used(cluster)?;
        let clusters = used.max(CLUSTERS_MIN);
        let fat = clusters.checked_add(u64::from(FIRST))?.checked_mul(4)?.div_ceil(SECTOR);
        let per_cluster = cluster / SECTOR;
        let reserved = (RESERVED + 2 * fat).next_multiple_of(per_cluster) - 2 * fat;
        let geometry = Self { cluster, clusters, used, reserved, fat };
        // BPB_TotSec32; the last values of the FAT's 28 bits have other meanings.
        let fits = clusters < 0x0fff_fff0 && geometry.bytes() / SECTOR <= u32::MAX.into();
        fits.then_some(geometry)
    }

    /// Bytes before the first cluster.
    fn data(&self) -> u64 {
        (self.reserved + 2 * self.fat) * SECTOR
    }

    fn bytes(&self) -> u64 {
        self.data() + self.clusters * self.cluster
    }

    /// Where a cluster is, in bytes. For an empty run the result is not used: nothing is written.
    fn offset(&self, cluster: u32) -> u64 {
        self.data() + u64::from(cluster.saturating_sub(FIRST)) * self.cluster
    }
}

/// Bytes of a node's content.
fn size(nodes: &[Node], number: usize) -> u64 {
    match &nodes[number].kind {
        Kind::File(_, bytes) => *bytes,
        Kind::Directory(inside) => (directory::slots(number == 0, inside.iter().map(|inside| nodes[*inside].name())) * SLOT) as u64,
    }
}

/// A label as the volume has it.
fn padded(label: &str) -> Option<[u8; 11]> {
    let mut padded = [b' '; 11];
    let is_fine = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    padded.get_mut(..label.len()).filter(|_| !label.is_empty() && label.bytes().all(is_fine))?.copy_from_slice(label.as_bytes());
    Some(padded)
}

/// Copy exactly the `bytes` that `source` had to the place that `to` is at; it must have no more and no less. Its holes stay holes.
/// `path` is what is written.
fn copy(source: &Path, bytes: u64, mut to: &File, path: &Path, mut on_piece: impl FnMut(u64)) -> Result<(), ImageError> {
    let unread = |error| ImageError::read(source, error);
    let unwritten = |error| ImageError::write(path, error);
    let changed = || unread(io::Error::new(io::ErrorKind::ResourceBusy, "its size changed while it was read"));
    let mut from = File::open(source).map_err(unread)?;
    if from.metadata().map_err(unread)?.len() != bytes {
        return Err(changed());
    }
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let data = next_data(&from, at, bytes).map_err(unread)?;
        // OK to cast: not more than a file of FAT has.
        to.seek_relative((data - at) as i64).map_err(unwritten)?;
        let read = from.read(&mut piece).map_err(unread)?;
        on_piece(data - at + read as u64);
        at = data + read as u64;
        if at > bytes || (read == 0 && at < bytes) {
            return Err(changed());
        }
        if read == 0 {
            return Ok(());
        }
        to.write_all(&piece[..read]).map_err(unwritten)?;
    }
}

/// Where the next bytes after `at` are that are no hole, at most `end`; the file is positioned there.
fn next_data(mut file: &File, at: u64, end: u64) -> io::Result<u64> {
    let data = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => data.min(end),
        Err(rustix::io::Errno::NXIO) => end,
        // The file system does not report holes.
        Err(_) => at,
    };
    file.seek(SeekFrom::Start(data))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn clusters_grow_with_the_volume_and_end_with_fat32() {
        let gib = |count: u64| Geometry::of(&[count << 30]).unwrap();
        let of = |count| (gib(count).cluster, gib(count).clusters);
        assert_eq!(of(0), (4096, CLUSTERS_MIN));
        assert_eq!(of(1), (4096, 1 << 18));
        assert_eq!((of(8), of(9)), ((4096, ENOUGH), (8192, 9 << 17)));
        assert_eq!((of(16).0, of(32).0, of(64).0, of(1000).0), (8192, 16_384, 32_768, 32_768));
        // 2^32 sectors are 2 TiB, all included.
        assert!(Geometry::of(&[2047 << 30]).is_some() && Geometry::of(&[2048 << 30]).is_none());
        assert_eq!(Geometry::of(&[u64::MAX, u64::MAX]), None);
        // Clusters count, not bytes: each small file takes one.
        assert_eq!(Geometry::of(&vec![1; 70_000]).unwrap().clusters, 70_000);
        for count in [0, 1, 9, 17, 33, 1000] {
            let geometry = gib(count);
            let per_fat = geometry.fat * SECTOR / 4;
            assert!(geometry.data() % geometry.cluster == 0 && geometry.reserved >= RESERVED && per_fat >= geometry.clusters + 2);
            assert!(geometry.reserved <= RESERVED + 64 && geometry.bytes() % geometry.cluster == 0);
        }
    }

    #[test]
    fn a_label_is_what_every_tool_shows_alike() {
        assert_eq!(padded("GOLDSMITH"), Some(*b"GOLDSMITH  "));
        assert_eq!(padded("A_234567890"), Some(*b"A_234567890"));
        for label in ["", "lower", "A234567890_1", "A B", "Ü"] {
            assert!(Volume::plan(label, &[]).unwrap_err().to_string().ends_with("its label must be 1 to 11 of A-Z, 0-9 and _"));
        }
    }

    #[test]
    fn a_file_that_changes_is_noticed_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("repo");
        fs::create_dir(&source).unwrap();
        let path = dir.path().join("volume");
        for content in [Some("ab"), Some("abcd"), None] {
            fs::write(source.join("a"), "abc").unwrap();
            let volume = Volume::plan("X", &[(&source, "r")]).unwrap();
            match content {
                Some(content) => fs::write(source.join("a"), content).unwrap(),
                None => fs::remove_file(source.join("a")).unwrap(),
            }
            let error = volume.write(&path, |_, _| {}).unwrap_err().to_string();
            let why = if content.is_some() { "its size changed while it was read" } else { "No such file or directory (os error 2)" };
            assert_eq!(error, format!("cannot read {}: {why}", source.join("a").display()));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        fs::write(&path, "mine").unwrap();
        assert!(Volume::plan("X", &[]).unwrap().write(&path, |_, _| {}).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}

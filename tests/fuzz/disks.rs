//! The fuzz targets `ext4`, `fat`, `lvm`, `qcow2` and `foreign`: small disks that are damaged and then read completely.
//!
//! The filesystems in the corpus are `mke2fs -t ext4 -b 1024 -N 32 -d TREE` (and `-t ext2`) of 64 KiB with the features that they are named after,
//! and `mkfs.vfat -F 12 -s 1 -r 16` of 48 KiB; the group is what `lvm lvcreate` wrote, with smaller extents; the
//! qcow2 files are `qemu-img convert -o cluster_size=512` of them, and one of 64 KiB with subclusters, whose packed clusters lie in the cluster of
//! its L1 table: `qemu-img convert` shows the same filesystem in it. The images of other hypervisors are the parts that goldsmith reads of
//! the files of `qemu-img create`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use goldsmith::image::{Disk, Format, ImageFormat};

use crate::databases::expanded;
use crate::looked::all_over;
use crate::targets::own_words;

/// Bytes of the filesystem that is not damaged.
const ROOT_BYTES: usize = 64 << 10;
/// Bytes before the first partition.
const START: usize = 32 << 10;

/// Bytes of a qcow2 that are read at once, and the number of reads.
const PIECE_BYTES: usize = 4 << 10;
const PIECES: usize = 64;

/// A sound ext4, whose fstab mounts the filesystem `GOLD` on `/boot/efi`.
fn root() -> &'static [u8] {
    static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
    ROOT.get_or_init(|| expanded(include_bytes!("corpus/ext4/extents.xz")).remove(0))
}

/// A disk with a partition for each of `parts`: its type, and its bytes.
fn partitioned(parts: &[(u8, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; START];
    for (index, (kind, bytes)) in parts.iter().enumerate() {
        let (start, sectors) = (disk.len() / 512, bytes.len().div_ceil(512));
        let entry = 446 + index * 16;
        disk[entry + 4] = *kind;
        disk[entry + 8..entry + 12].copy_from_slice(&(start as u32).to_le_bytes());
        disk[entry + 12..entry + 16].copy_from_slice(&(sectors as u32).to_le_bytes());
        disk.extend_from_slice(bytes);
        disk.resize((start + sectors) * 512, 0);
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Read a disk that is one filesystem.
pub fn read_ext4(bytes: &[u8]) -> String {
    all_over(&Disk::in_memory("disk", bytes.to_vec()))
}

/// Read a FAT where the system mounts it.
pub fn read_fat(bytes: &[u8]) -> String {
    all_over(&Disk::in_memory("disk", partitioned(&[(0x83, root()), (0x0c, bytes)])))
}

/// Read a qcow2: every byte, then the files on the disk.
pub fn read_qcow2(bytes: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.qcow2", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let opened = Disk::open_as(&path, Format::Qcow2, None);
    fs::remove_file(&path).unwrap();
    let disk = match opened {
        Ok(disk) => disk,
        Err(error) => return own_words(&error.to_string()),
    };
    let size = disk.bytes().len();
    let mut piece = vec![0; PIECE_BYTES];
    let reads = (0..size).step_by(PIECE_BYTES).take(PIECES).map(|at| {
        let count = (size - at).min(PIECE_BYTES as u64);
        // Bytes that can be read have a known place of at least one byte in the file.
        let read = disk.bytes().read_at(at, &mut piece[..count as usize]);
        let stored = disk.bytes().stored(at, count);
        assert!(read.is_err() || stored.is_ok_and(|(there, _)| (1..=count).contains(&there)));
        read.map_err(|error| own_words(&error.to_string()))
    });
    let reads: BTreeSet<_> = reads.filter_map(Result::err).collect();
    format!("{reads:?} {}", all_over(&disk))
}

/// Where a VHDX has its region table and, here, its metadata.
const REGION_TABLE: usize = 192 << 10;
const METADATA: usize = 320 << 10;
/// Bytes of an input that are the beginning of the region table.
const REGION_BYTES: usize = 512;

/// Check an image of another hypervisor, as before it is passed to QEMU. Checksums are corrected: a VHD begins with its footer and may end
/// with one, and the input of a VHDX is the magic, the beginning of the region table and the metadata table.
pub fn look_at_foreign(bytes: &[u8]) -> String {
    let mut file = bytes.to_vec();
    if let Some(parts) = bytes.strip_prefix(b"vhdxfile") {
        let (regions, items) = parts.split_at(parts.len().min(REGION_BYTES));
        file.resize(METADATA, 0);
        file[8..].fill(0);
        file[REGION_TABLE..REGION_TABLE + regions.len()].copy_from_slice(regions);
        file[REGION_TABLE + 4..REGION_TABLE + 8].fill(0);
        let sum = !crc32c(&file[REGION_TABLE..REGION_TABLE + (64 << 10)]);
        file[REGION_TABLE + 4..REGION_TABLE + 8].copy_from_slice(&sum.to_le_bytes());
        file.extend_from_slice(items);
        file.resize(file.len().max(METADATA + (64 << 10)) + 4096, 0);
    }
    for at in [0, file.len().saturating_sub(512)] {
        let Some(footer) = file.get_mut(at..at + 512).filter(|footer| footer.starts_with(b"conectix")) else { continue };
        footer[64..68].fill(0);
        let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
        footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    }
    match ImageFormat::of(&file, Path::new("disk")) {
        Ok(format) => {
            // A file that is accepted must not name a parent.
            let seen = file.get(512..512 + (10 << 10)).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
            assert!(format != ImageFormat::Vmdk || !seen.windows(18).any(|words| words == b"parentFileNameHint"));
            format.name().to_owned()
        }
        Err(error) => own_words(&error.to_string()),
    }
}

/// The checksum of a VHDX's tables, without the final inversion.
fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
    let bit = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    let table = TABLE.get_or_init(|| (0..256).map(|byte| (0..8).fold(byte, |sum, _| bit(sum))).collect());
    bytes.iter().fold(!0, |sum: u32, byte| sum >> 8 ^ table[usize::from(*byte ^ sum as u8)])
}

/// Read a volume group on two physical volumes, of which `text` is the metadata.
pub fn read_lvm(text: &[u8]) -> String {
    // The ids in the corpus.
    let [first, second] = ["SdDylkpo0yvBDjj60fxsR220jBlK2wp6", "7MTJqgmgqYtkVU31FiEFckq0XvGs2zi3"].map(|id| physical(id, text));
    all_over(&Disk::in_memory("disk", partitioned(&[(0x8e, &first), (0x8e, &second)])))
}

/// A physical volume with correct checksums: label in sector 1, metadata from byte 4096 on, the root from 32 KiB on.
fn physical(id: &str, text: &[u8]) -> Vec<u8> {
    const AREA: usize = 4096;
    let text = &text[..text.len().min(START - AREA - 512)];
    let mut volume = vec![0; START];
    let mut put = |at: usize, bytes: &[u8]| volume[at..at + bytes.len()].copy_from_slice(bytes);
    put(512, b"LABELONE\x01\0\0\0\0\0\0\0");
    put(532, &32u32.to_le_bytes());
    put(536, b"LVM2 001");
    put(544, id.as_bytes());
    put(576, &(3 * START as u64).to_le_bytes());
    // The area of data, the end of its list, the area of metadata; the end of that list is zeros.
    put(584, &(START as u64).to_le_bytes());
    put(616, &(AREA as u64).to_le_bytes());
    put(624, &((START - AREA) as u64).to_le_bytes());
    put(AREA + 4, b"\x20LVM2\x20x[5A%r0N*>\x01\0\0\0");
    put(AREA + 24, &(AREA as u64).to_le_bytes());
    put(AREA + 32, &((START - AREA) as u64).to_le_bytes());
    put(AREA + 40, &512u64.to_le_bytes());
    put(AREA + 48, &(text.len() as u64).to_le_bytes());
    put(AREA + 56, &crc(text).to_le_bytes());
    put(AREA + 512, text);
    let sum = crc(&volume[AREA + 4..AREA + 512]);
    volume[AREA..AREA + 4].copy_from_slice(&sum.to_le_bytes());
    let sum = crc(&volume[532..1024]);
    volume[528..532].copy_from_slice(&sum.to_le_bytes());
    volume.extend_from_slice(root());
    volume.resize(START + ROOT_BYTES + (64 << 10), 0);
    volume
}

/// LVM's CRC-32: another start, and no inversion at the end (lvm2 2.03, lib/misc/crc.c).
fn crc(bytes: &[u8]) -> u32 {
    let bit = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    bytes.iter().fold(0xf597_a6cf, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}

//! Gives every inode of a fresh ext4 times that do not depend on when its tree was made or read.
//!
//! Layouts and names are the kernel's (`fs/ext4/ext4.h`). Only what [`super::Mke2fs`] makes is understood: 64-bit descriptors and
//! `metadata_csum`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::image::crc32c::crc32c;

/// Descriptor flag: no inode of the group was ever used, its table may hold anything.
const INODE_UNINIT: u16 = 1;
const DESCRIPTOR_BYTES: usize = 64;
/// The features of `s_feature_incompat` and `s_feature_ro_compat` that are required, and one that would change the checksum's seed.
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;

/// Set access and change times to `epoch` and let no modification or creation time be later, in the ext4 at byte `offset` of `disk`.
pub(super) fn settle(disk: &File, offset: u64, size: u64, epoch: u64) -> io::Result<()> {
    let mut superblock = [0; 1024];
    disk.read_exact_at(&mut superblock, offset + 1024)?;
    let (incompat, ro_compat) = (u32_at(&superblock, 0x60), u32_at(&superblock, 0x64));
    let expected = incompat & (INCOMPAT_64BIT | INCOMPAT_CSUM_SEED) == INCOMPAT_64BIT && ro_compat & RO_COMPAT_METADATA_CSUM != 0;
    let block_bytes = 1024u64 << u32_at(&superblock, 0x18).min(6);
    let (per_group, inode_bytes) = (u32_at(&superblock, 0x28), usize::from(u16_at(&superblock, 0x58)));
    let sane = u16_at(&superblock, 0x38) == 0xef53
        && u16_at(&superblock, 0xfe) as usize == DESCRIPTOR_BYTES
        && (0xa0..=1024).contains(&inode_bytes)
        && per_group > 0
        && u64::from(per_group) <= 8 * block_bytes;
    if !expected || !sane {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not the ext4 that was made"));
    }
    let seed = crc32c(!0, &superblock[0x68..0x78]);
    // Descriptors begin in the block after the superblock's.
    let first_block = u64::from(u32_at(&superblock, 0x14));
    for group in 0..u32_at(&superblock, 0).div_ceil(per_group) {
        let mut descriptor = [0; DESCRIPTOR_BYTES];
        disk.read_exact_at(&mut descriptor, offset + (first_block + 1) * block_bytes + u64::from(group) * DESCRIPTOR_BYTES as u64)?;
        if u16_at(&descriptor, 0x12) & INODE_UNINIT != 0 {
            continue;
        }
        let unused = u32::from(u16_at(&descriptor, 0x32)) << 16 | u32::from(u16_at(&descriptor, 0x1c));
        let table = u64::from(u32_at(&descriptor, 0x28)) << 32 | u64::from(u32_at(&descriptor, 0x8));
        let place = table.checked_mul(block_bytes).filter(|place| *place < size).ok_or(io::ErrorKind::InvalidData)?;
        let mut inodes = vec![0; per_group.saturating_sub(unused) as usize * inode_bytes];
        disk.read_exact_at(&mut inodes, offset + place)?;
        for (number, inode) in (group * per_group + 1..).zip(inodes.chunks_exact_mut(inode_bytes)) {
            settle_inode(inode, number, seed, epoch);
        }
        disk.write_all_at(&inodes, offset + place)?;
    }
    Ok(())
}

fn settle_inode(inode: &mut [u8], number: u32, seed: u32, epoch: u64) {
    // No mode: not in use.
    if u16_at(inode, 0) == 0 {
        return;
    }
    // The places of the seconds, and of the extra field that has their bits 32 and 33 beside the nanoseconds. Everything is within 128 +
    // i_extra_isize of mke2fs, 32.
    for (seconds, extra, always) in [(0x8, 0x8c, true), (0xc, 0x84, true), (0x10, 0x88, false), (0x90, 0x94, false)] {
        let time = i64::from(u32_at(inode, seconds).cast_signed()) + (i64::from(u32_at(inode, extra) & 3) << 32);
        if always || time > epoch.cast_signed() {
            // The low 32 bits are signed, so for values above 2^31 the extra bits are one higher.
            let high = (epoch.wrapping_add(1 << 31) >> 32) as u32 & 3;
            put(inode, seconds, &(epoch as u32).to_le_bytes());
            put(inode, extra, &high.to_le_bytes());
        }
    }
    put(inode, 0x7c, &[0; 2]);
    put(inode, 0x82, &[0; 2]);
    let generation: [u8; 4] = u32_at(inode, 0x64).to_le_bytes();
    let sum = [&number.to_le_bytes(), &generation, &*inode].into_iter().fold(seed, |sum: u32, bytes: &[u8]| crc32c(sum, bytes));
    let [low0, low1, high0, high1] = sum.to_le_bytes();
    put(inode, 0x7c, &[low0, low1]);
    put(inode, 0x82, &[high0, high1]);
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset + 2)) << 16 | u32::from(u16_at(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_settled_across_2038() {
        let old = 1_500_000_000u64;
        for epoch in [1_600_000_000, 3_000_000_000, 5_000_000_000u64] {
            let mut inode = [0; 256];
            put(&mut inode, 0, &[1, 0]);
            put(&mut inode, 0x10, &(old as u32).to_le_bytes());
            put(&mut inode, 0x8, &[0xff, 0xff, 0xff, 0x7f]);
            put(&mut inode, 0x90, &[0xff, 0xff, 0xff, 0x7f, 3, 0, 0, 0]);
            settle_inode(&mut inode, 12, 0, epoch);
            let time = |seconds, extra| i64::from(u32_at(&inode, seconds).cast_signed()) + (i64::from(u32_at(&inode, extra) & 3) << 32);
            let times = [time(0x8, 0x8c), time(0xc, 0x84), time(0x10, 0x88), time(0x90, 0x94)];
            assert_eq!(times.map(i64::cast_unsigned), [epoch, epoch, old, epoch]);
        }
    }
}

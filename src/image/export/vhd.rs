//! Writes the bytes of a disk as a fixed VHD, which Azure takes: the disk as it is, and a footer behind it.
//!
//! Layout and names are those of Microsoft's "Virtual Hard Disk Image Format Specification", version 1.0, "Hard Disk Footer Format". All
//! numbers are big-endian.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::identity::Identity;
use super::job::{Job, is_zero};
use super::pool;
use super::raw;
use crate::base::aside::Meter;
use crate::base::digest::Sha256Digest;
use crate::base::read_at::ReadAt;
use crate::base::uuid::Uuid;
use crate::image::error::ImageError;

/// Azure accepts only a disk of whole MiB ("Prepare a Windows VHD or VHDX to upload to Azure", "virtual size aligned to 1 MB").
const UNIT: u64 = 1 << 20;
const SECTOR: u64 = 512;
/// "Data Offset … For fixed disks, this field should be set to 0xFFFFFFFF", in all its 64 bits.
const NO_DATA_OFFSET: u64 = u64::MAX;
/// "Time Stamp" counts seconds from the year 2000. Zero, so that files of the same disk are the same.
const TIME_STAMP: u32 = 0;
/// Hyper-V. QEMU takes the size of the disk from the geometry, which cannot say every size, unless "Creator Application" is one of a few names,
/// of which this is one (block/vpc.c, `vpc_open`, "Known creator apps"). Azure and Hyper-V look at the size alone.
const CREATOR: &[u8; 4] = b"win ";
/// Version of that program: 6.2, which is Windows Server 2012. No reader is known to look at it.
const CREATOR_VERSION: u32 = 0x0006_0002;
/// "Wi2k": Windows. The other value is Macintosh.
const CREATOR_HOST: &[u8; 4] = b"Wi2k";
/// "Disk Type" of a fixed disk.
const FIXED: u32 = 2;
const FOOTER_BYTES: usize = 512;
/// Where the footer keeps its checksum.
const CHECKSUM: std::ops::Range<usize> = 64..68;

/// Write the disk to `file`, which is empty; zeros become holes.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, meter: &Meter) -> Result<(), ImageError> {
    let failed = |source| job.unwritable(source);
    let size = rounded(job.content.len());
    file.set_len(size + FOOTER_BYTES as u64).map_err(failed)?;
    let mut identity = Identity::new(job.content.len());
    let worker = || {
        |index: usize| {
            let number = job.pieces.numbers[index];
            let bytes = job.read(number, meter)?;
            if is_zero(&bytes) {
                return Ok::<_, ImageError>(None);
            }
            // Whole pieces of 1 MiB: what is behind the disk's end belongs to the file as well.
            raw::write_blocks(file, number * job.pieces.size, &bytes).map_err(failed)?;
            Ok(Some(Sha256Digest::of(&bytes)))
        }
    };
    let take = |index: usize, digest: Option<Sha256Digest>| {
        if let Some(digest) = digest {
            identity.add(job.pieces.numbers[index], &digest);
        }
        Ok(())
    };
    pool::in_order(job.pieces.numbers.len(), pool::threads(), worker, take)?;
    file.write_all_at(&footer(size, identity.finish()("vhd disk")), size).map_err(failed)
}

/// Bytes of the disk that a disk of `size` bytes becomes: whole MiB, at least one.
fn rounded(size: u64) -> u64 {
    size.max(1).div_ceil(UNIT).saturating_mul(UNIT)
}

/// The footer of a disk of `size` bytes.
fn footer(size: u64, id: Uuid) -> Vec<u8> {
    let (cylinders, heads, sectors) = geometry(size / SECTOR);
    let mut footer = b"conectix".to_vec();
    let mut put = |bytes: &[u8]| footer.extend_from_slice(bytes);
    // Features: the one bit that is always set.
    put(&2_u32.to_be_bytes());
    // File format version 1.0.
    put(&0x0001_0000_u32.to_be_bytes());
    put(&NO_DATA_OFFSET.to_be_bytes());
    put(&TIME_STAMP.to_be_bytes());
    put(CREATOR);
    put(&CREATOR_VERSION.to_be_bytes());
    put(CREATOR_HOST);
    // Original size, and the current one.
    put(&size.to_be_bytes());
    put(&size.to_be_bytes());
    put(&cylinders.to_be_bytes());
    put(&[heads, sectors]);
    put(&FIXED.to_be_bytes());
    put(&[0; 4]);
    put(&id.0);
    footer.resize(FOOTER_BYTES, 0);
    let sum = checksum(&footer);
    footer[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    footer
}

/// "A one's complement of the sum of all the bytes in the footer without the checksum field", which is zeros here.
fn checksum(footer: &[u8]) -> u32 {
    !footer.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

/// Cylinders, heads and sectors of a disk with `total` sectors (the specification's appendix "CHS Calculation").
fn geometry(total: u64) -> (u16, u8, u8) {
    let total = total.min(65535 * 16 * 255);
    let (heads, sectors) = if total >= 65535 * 16 * 63 {
        (16, 255)
    } else {
        let by = |sectors: u64| total / sectors;
        let heads = by(17).div_ceil(1024).max(4);
        if by(17) < heads * 1024 && heads <= 16 {
            (heads, 17)
        } else if by(31) < 16 * 1024 {
            (16, 31)
        } else {
            (16, 63)
        }
    };
    let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
    (u16::try_from(total / (heads * sectors)).unwrap_or(u16::MAX), small(heads), small(sectors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::OutputFormat;

    #[test]
    fn geometry_is_that_of_the_appendix() {
        // One for each branch of the calculation, done by hand.
        for (mib, expected) in
            [(1_u64, (30, 4, 17)), (64, (963, 8, 17)), (200, (825, 16, 31)), (300, (609, 16, 63)), (10_240, (20_805, 16, 63))]
        {
            assert_eq!(geometry(mib * 2048), expected, "{mib}");
        }
        assert_eq!(geometry(OutputFormat::Vhd.most_bytes() / SECTOR), (65535, 16, 255));
    }

    #[test]
    fn a_disk_is_whole_mib_and_at_least_one() {
        assert_eq!([0, 1, UNIT, UNIT + 1].map(rounded), [UNIT, UNIT, UNIT, 2 * UNIT]);
    }

    #[test]
    fn the_checksum_leaves_itself_out() {
        let footer = footer(UNIT, Uuid([7; 16]));
        let mut without = footer.clone();
        without[CHECKSUM].fill(0);
        assert_eq!(footer[CHECKSUM], checksum(&without).to_be_bytes());
        assert_eq!(footer.len(), FOOTER_BYTES);
    }
}

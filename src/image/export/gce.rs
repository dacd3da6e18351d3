//! Writes the bytes of a disk as Google Compute Engine imports them: `disk.raw`, whole GiB long, in a tar archive of the old GNU format, in gzip.
//!
//! Source: Google's documentation, "Manually import boot disks", "Create the compressed tar file": `tar --format=oldgnu -Sczf`. The sparse file
//! of that format is described in the GNU tar manual 1.34, "Storing Sparse Files", and in its `src/tar.h`: a map of the data, then the data.
//!
//! The map stands before the data, so the disk is read twice. The holes alone would need only one reading, but they depend on how the
//! source keeps the disk: the same disk would give different files.

use std::fs::File;
use std::io;
use std::ops::Range;

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::archive;
use super::gzip;
use super::job::{Job, is_zero};
use super::pool;
use crate::base::aside::Meter;
use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// The name that is asked for.
const NAME: &str = "disk.raw";
/// The size of a disk must be a multiple of it.
const GIB: u64 = 1 << 30;

/// Write the disk to `file`, which is empty.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, meter: &Meter) -> Result<(), ImageError> {
    let full = pieces_with_data(job, meter)?;
    let too_large = || job.unwritable(io::ErrorKind::FileTooLarge.into());
    let size = job.content.len().max(1).checked_next_multiple_of(GIB).ok_or_else(too_large)?;
    let head = head(&runs(&full, job.pieces.size), size).map_err(|source| job.unwritable(source))?;
    // The head, the pieces with data, the end. A piece is whole blocks of the archive.
    gzip::write(job, file, full.len() + 2, |index| match index.checked_sub(1) {
        None => Ok(head.clone()),
        Some(place) => full.get(place).map_or(Ok(archive::END.to_vec()), |number| job.read(*number, meter)),
    })
}

/// The numbers of the pieces that have more than zeros.
fn pieces_with_data(job: &Job, meter: &Meter) -> Result<Vec<u64>, ImageError> {
    let mut full = Vec::new();
    let worker = || |index: usize| Ok::<_, ImageError>(!is_zero(&job.read(job.pieces.numbers[index], meter)?));
    pool::in_order(job.pieces.numbers.len(), pool::threads(), worker, |index, has_data| {
        if has_data {
            full.push(job.pieces.numbers[index]);
        }
        Ok(())
    })?;
    Ok(full)
}

/// Where the pieces `numbers` are, of `size` bytes each; neighbours as one.
fn runs(numbers: &[u64], size: u64) -> Vec<Range<u64>> {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    runs.filter_map(|run| Some(run.first()? * size..(run.last()? + 1) * size)).collect()
}

/// The header of a sparse file of `size` bytes that has data in `runs`, with its map.
///
/// # Errors
/// The numbers have no room.
fn head(runs: &[Range<u64>], size: u64) -> io::Result<Vec<u8>> {
    // GNU tar takes the file's length from an empty run at its end.
    let mut map: Vec<(u64, u64)> = runs.iter().map(|run| (run.start, run.end - run.start)).collect();
    if runs.last().is_none_or(|run| run.end < size) {
        map.push((size, 0));
    }
    let stored = runs.iter().map(|run| run.end - run.start).sum();
    let mut header = archive::header(NAME, stored, 0o644, 0)?;
    header.set_entry_type(EntryType::GNUSparse);
    let gnu = header.as_gnu_mut().ok_or(io::ErrorKind::InvalidData)?;
    let mut entries = map.iter();
    fill(&mut gnu.sparse, &mut entries);
    gnu.isextended = [u8::from(entries.len() > 0)];
    gnu.realsize = number(size)?;
    header.set_cksum();
    let mut head = header.as_bytes().to_vec();
    while entries.len() > 0 {
        let mut more = GnuExtSparseHeader::new();
        fill(&mut more.sparse, &mut entries);
        more.isextended = [u8::from(entries.len() > 0)];
        head.extend_from_slice(more.as_bytes());
    }
    Ok(head)
}

/// Put the next `entries` into the places of a block.
fn fill<'a>(places: &mut [GnuSparseHeader], entries: &mut impl Iterator<Item = &'a (u64, u64)>) {
    for (place, (offset, length)) in places.iter_mut().zip(entries) {
        place.set_offset(*offset);
        place.set_length(*length);
    }
}

/// A number of 12 bytes, written as that of a header.
fn number(value: u64) -> io::Result<[u8; 12]> {
    let mut header = Header::new_gnu();
    header.set_size(value);
    Ok(header.as_gnu().ok_or(io::ErrorKind::InvalidData)?.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run() {
        assert_eq!(runs(&[0, 1, 2, 5, 7, 8], 10), [0..30, 50..60, 70..90]);
        assert!(runs(&[], 10).is_empty());
    }

    #[test]
    fn the_map_goes_on_in_blocks_of_21() {
        for (count, blocks) in [(0, 1), (3, 1), (4, 2), (24, 2), (25, 3), (100, 6)] {
            let all: Vec<_> = (0..count).map(|run| run * 20..run * 20 + 10).collect();
            let head = head(&all, GIB).unwrap();
            assert_eq!(head.len(), blocks * 512, "{count}");
            assert_eq!((head[156], &head[257..265]), (b'S', &b"ustar  \0"[..]));
            let extended = std::iter::once(head[482]).chain(head[512..].chunks(512).map(|block| block[504]));
            assert_eq!(extended.map(usize::from).sum::<usize>(), blocks - 1, "{count}");
        }
        // A disk that ends with data needs no empty run.
        let whole = 0..GIB;
        assert_eq!(head(std::slice::from_ref(&whole), GIB).unwrap()[410..434], [0; 24]);
    }
}

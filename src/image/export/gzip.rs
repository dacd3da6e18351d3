//! Writes gzip on all processors.
//!
//! The file has one member, as gzip(1) writes it. The threads compress blocks of it, each of which ends at a whole byte. A file of several
//! members would be simpler, but some readers stop after the first one.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use flate2::{Compress as Deflate, Compression, Crc, FlushCompress};

use super::job::Job;
use super::pool;
use crate::image::error::ImageError;

/// zlib's default is 6; see `pack.rs` for what each level costs with zlib-rs.
const LEVEL: u32 = 5;
/// RFC 1952, 2.3: the magic number, deflate, no flags, no time, no extra flags, Unix.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
/// RFC 1951, 3.2.6: a last block with fixed codes that holds its end only.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Bytes, compressed.
struct Packed {
    blocks: Vec<u8>,
    crc: Crc,
}

/// Write the pieces 0 to `count`-1, which `piece` makes on any thread, to `file`, which is empty, as one gzip file.
///
/// # Errors
/// That of a piece, or the file cannot be written.
pub(super) fn write(
    job: &Job,
    file: &File,
    count: usize,
    piece: impl Fn(usize) -> Result<Vec<u8>, ImageError> + Sync,
) -> Result<(), ImageError> {
    let piece = &piece;
    let worker = || {
        let mut deflate = Deflate::new(Compression::new(LEVEL), false);
        move |index: usize| pack(&piece(index)?, &mut deflate).map_err(|source| job.unwritable(source))
    };
    let unwritable = |source| job.unwritable(source);
    let (mut out, mut crc) = (BufWriter::new(file), Crc::new());
    out.write_all(&HEAD).map_err(unwritable)?;
    pool::in_order(count, pool::threads(), worker, |_, packed: Packed| {
        crc.combine(&packed.crc);
        out.write_all(&packed.blocks).map_err(unwritable)
    })?;
    let end = [&LAST_BLOCK[..], &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat();
    out.write_all(&end).and_then(|()| out.flush()).map_err(unwritable)
}

/// `bytes` as blocks, none of them marked as the last one, ended at a whole byte.
fn pack(bytes: &[u8], deflate: &mut Deflate) -> io::Result<Packed> {
    deflate.reset();
    let mut crc = Crc::new();
    crc.update(bytes);
    // Deflate adds some bytes to each block that it stores: a sixteenth is far more (RFC 1951, 3.2.4).
    let mut blocks = Vec::with_capacity(bytes.len() + bytes.len() / 16 + 64);
    loop {
        let done = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
        deflate.compress_vec(bytes.get(done..).unwrap_or_default(), &mut blocks, FlushCompress::Sync)?;
        // If there is room left, deflate holds back no output (zlib.h, `deflate`).
        if blocks.len() < blocks.capacity() {
            return Ok(Packed { blocks, crc });
        }
        blocks.reserve(bytes.len() / 16 + 64);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn blocks_that_were_packed_apart_are_one_member() {
        let noise: Vec<u8> = (0..70_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let pieces: [&[u8]; 5] = [b"", b"one", &noise, &[0; 100_000], b"two"];
        let mut deflate = Deflate::new(Compression::new(LEVEL), false);
        let (mut file, mut crc) = (HEAD.to_vec(), Crc::new());
        for piece in pieces {
            let packed = pack(piece, &mut deflate).unwrap();
            crc.combine(&packed.crc);
            file.extend(packed.blocks);
        }
        file.extend([&LAST_BLOCK[..], &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat());
        let mut read = Vec::new();
        // A decoder of one member.
        flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut read).unwrap();
        assert!(read == pieces.concat());
    }
}

//! Compresses clusters for qcow2.

use flate2::{Compress as Deflate, Compression, FlushCompress, Status};
use zstd::bulk::Compressor as Zstd;
use zstd::zstd_safe::compress_bound;

use crate::image::create::Compress;

/// Bytes of a cluster: QEMU's default.
pub(super) const CLUSTER_BYTES: usize = 64 << 10;
/// Deflate's window, as a power of two. QEMU inflates clusters with this one (block/qcow2-threads.c, `qcow2_zlib_decompress`), and so may every
/// reader: a match that reaches further back is an error to it.
pub(super) const WINDOW_BITS: u8 = 12;
/// zlib-rs takes half the time of zlib at its default level 6, which qemu-img uses, and its output is 2.5 % larger. Level 4 saves 3 % more time
/// for 0.9 % more bytes; 6 takes 13 % longer for 0.1 % less. Level 1 panics when its output has no room (zlib-rs 0.6.8, `deflate_quick`).
pub(super) const DEFLATE_LEVEL: u32 = 5;
/// zstd's default, and qemu-img's.
const ZSTD_LEVEL: i32 = 3;
/// The clusters of a Debian image, 668 MB, take 229 MB and 2.2 s of a processor at level 3, 218 MB and 7 s at 6, 216 MB and 10 s at 9, 206 MB and 64 s
/// at 15.
const SMALL_ZSTD_LEVEL: i32 = 6;

/// Compresses one cluster after the other with the same memory.
pub(super) struct Packer {
    codec: Codec,
    /// Has room for a cluster that does not shrink, so that no codec runs out of it.
    out: Vec<u8>,
}

enum Codec {
    Deflate(Deflate),
    Zstd(Zstd<'static>),
    None,
}

impl Packer {
    /// # Errors
    /// There is no memory.
    pub(super) fn new(compress: Compress) -> std::io::Result<Self> {
        let codec = match compress {
            Compress::Zlib => Codec::Deflate(Deflate::new_with_window_bits(Compression::new(DEFLATE_LEVEL), false, WINDOW_BITS)),
            Compress::Zstd => Codec::Zstd(Zstd::new(ZSTD_LEVEL)?),
            Compress::ZstdSmall => Codec::Zstd(Zstd::new(SMALL_ZSTD_LEVEL)?),
            Compress::Never => Codec::None,
        };
        // deflate adds some bytes to each block that it stores: a sixteenth is far more (RFC 1951, 3.2.4).
        Ok(Self { codec, out: vec![0; compress_bound(CLUSTER_BYTES).max(CLUSTER_BYTES + CLUSTER_BYTES / 16)] })
    }

    /// `cluster` compressed, if that is shorter. The same bytes give the same result, whatever was packed before.
    ///
    /// # Errors
    /// The codec failed. No input is known on which it does.
    pub(super) fn pack(&mut self, cluster: &[u8]) -> std::io::Result<Option<&[u8]>> {
        let length = match &mut self.codec {
            Codec::None => return Ok(None),
            Codec::Zstd(zstd) => zstd.compress_to_buffer(cluster, self.out.as_mut_slice())?,
            Codec::Deflate(deflate) => {
                deflate.reset();
                match deflate.compress(cluster, &mut self.out, FlushCompress::Finish)? {
                    Status::StreamEnd => usize::try_from(deflate.total_out()).unwrap_or(usize::MAX),
                    // This cannot happen. If it did, an uncompressed cluster would be right too.
                    Status::Ok | Status::BufError => return Ok(None),
                }
            }
        };
        Ok(self.out.get(..length).filter(|packed| packed.len() < cluster.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that do not compress (Marsaglia's xorshift).
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
    }

    /// A cluster whose every part repeats what stood `distance` bytes before: only a window that reaches so far compresses it.
    fn repeating(distance: usize) -> Vec<u8> {
        noise(distance).into_iter().cycle().take(CLUSTER_BYTES).collect()
    }

    /// zlib itself judges in tests/export_cases.rs: zlib-rs inflates with a window of 32 KiB, whatever size is requested.
    #[test]
    fn no_match_reaches_further_back_than_4_kib() {
        let mut packer = Packer::new(Compress::Zlib).unwrap();
        let mut shrinks = |distance| packer.pack(&repeating(distance)).unwrap().is_some_and(|packed| packed.len() < CLUSTER_BYTES / 2);
        assert!(shrinks(1) && shrinks(1000) && shrinks(3800));
        assert!(!shrinks(4097) && !shrinks(8000) && !shrinks(20_000) && !shrinks(32_768));
        let mut zstd = Packer::new(Compress::Zstd).unwrap();
        assert!(zstd.pack(&repeating(20_000)).unwrap().is_some());
    }

    #[test]
    fn what_does_not_shrink_is_left_alone_and_order_does_not_matter() {
        for compress in [Compress::Zlib, Compress::Zstd, Compress::Never] {
            let pack = |packer: &mut Packer, cluster: &[u8]| packer.pack(cluster).unwrap().map(<[u8]>::to_vec);
            let mut used = Packer::new(compress).unwrap();
            assert_eq!(pack(&mut used, &noise(CLUSTER_BYTES)), None);
            let half: Vec<u8> = [noise(CLUSTER_BYTES / 2), vec![1; CLUSTER_BYTES / 2]].concat();
            assert_eq!(pack(&mut used, &half), pack(&mut Packer::new(compress).unwrap(), &half));
            assert_eq!(pack(&mut used, &half).is_some(), compress != Compress::Never);
        }
    }
}

//! Detects the compression of a file by its first bytes, and unpacks it.

use std::io::{self, BufRead, Read};

use liblzma::stream::{CONCATENATED, Stream};

use crate::base::gzip::Gzip;

/// Memory an xz stream may ask for: `xz -9` takes 65 MiB. zstd has its own limit (128 MiB), and bzip2 always takes less than 8 MiB.
const XZ_MEMORY: u64 = 128 << 20;

/// The unpacked bytes of a compressed or plain file.
pub(super) enum Unpacked<R: BufRead> {
    Gzip(Gzip<R>),
    Xz(liblzma::bufread::XzDecoder<R>),
    Zstd(zstd::Decoder<'static, R>),
    Bzip2(bzip2::bufread::MultiBzDecoder<R>),
    Plain(R),
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(reader) => reader.read(buf),
            Self::Xz(reader) => reader.read(buf),
            Self::Zstd(reader) => reader.read(buf),
            Self::Bzip2(reader) => reader.read(buf),
            Self::Plain(reader) => reader.read(buf),
        }
    }
}

/// Unpack `packed`: gzip, xz, zstd and bzip2, also several streams one after the other; anything else is given as it is. The first bytes
/// decide: RFC 1952, section 2.3.1; xz-file-format.txt, section 2.1.1.1; RFC 8878, section 3.1.1; bzip2's manual, section 2.9.
///
/// # Errors
/// The first bytes cannot be read. Damage shows when the result is read.
pub(super) fn unpacked<R: BufRead>(mut packed: R) -> io::Result<Unpacked<R>> {
    let head = packed.fill_buf()?;
    Ok(if head.starts_with(b"\x1f\x8b") {
        Unpacked::Gzip(Gzip::new(packed))
    } else if head.starts_with(b"\xfd7zXZ\0") {
        let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::other)?;
        Unpacked::Xz(liblzma::bufread::XzDecoder::new_stream(packed, stream))
    } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
        Unpacked::Zstd(zstd::Decoder::with_buffer(packed)?)
    } else if head.starts_with(b"BZh") {
        Unpacked::Bzip2(bzip2::bufread::MultiBzDecoder::new(packed))
    } else {
        Unpacked::Plain(packed)
    })
}

/// Read what `reader` has, up to `limit` bytes; `None` when it has more.
///
/// # Errors
/// Those of reading.
pub(super) fn within(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn streams_are_unpacked_one_after_the_other() {
        let gzip = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let xz = |text: &str| {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let bzip2 = |text: &str| {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        let plain = |text: &str| text.as_bytes().to_vec();
        for packed in [gzip, xz, bzip2, zstd, plain].map(|pack: fn(&str) -> Vec<u8>| [pack("one"), pack("two")]) {
            let packed = packed.concat();
            let mut text = String::new();
            unpacked(&packed[..]).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "onetwo");
            if !packed.starts_with(b"one") {
                let cut = unpacked(&packed[..packed.len() - 3]).unwrap().read_to_end(&mut Vec::new());
                assert!(cut.is_err(), "a stream without its end was taken for whole: {packed:?}");
            }
        }
    }

    #[test]
    fn a_limit_is_a_limit() {
        assert_eq!(within(&b"abc"[..], 3).unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(within(&b"abc"[..], 2).unwrap(), None);
        assert_eq!(within(io::repeat(0), 100).unwrap(), None);
    }
}

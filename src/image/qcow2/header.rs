//! The qcow2 header. All of its values are checked before they are used.
//!
//! Field names and offsets are those of QEMU's `docs/interop/qcow2.txt`.

use std::path::Path;

use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// `QFI\xfb`.
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";
/// Header extension: the name of the backing file's format.
pub(crate) const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
/// Header extension: the name of the external data file.
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;
/// Incompatible feature: extended L2 entries.
const SUBCLUSTERS: u64 = 1 << 4;
/// Longest header with its extensions and backing file name that is read: they must lie in the first cluster, and the largest
/// cluster is 2 MiB; no known writer passes some kilobytes.
const MAX_HEADER_BYTES: u64 = 64 << 10;
/// Longest backing file name (the specification's limit).
pub(crate) const MAX_BACKING_NAME_BYTES: usize = 1023;
/// Largest L1 table that is read into memory. With 64 KiB clusters it describes 512 TiB.
const MAX_L1_BYTES: u64 = 8 << 20;

/// How compressed clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Raw deflate, no zlib header in spite of the name.
    Deflate,
    /// Zstandard frames.
    Zstd,
}

/// A file that lies under an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackingFile {
    /// Its name as written: relative names are relative to the overlay's directory.
    pub(crate) name: String,
    /// Its format as written; old files do not say.
    pub(crate) format: Option<String>,
}

/// A checked header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    /// Binary logarithm of the cluster size in bytes, 9 to 21.
    pub(crate) cluster_bits: u32,
    /// Virtual size in bytes.
    pub(crate) size: u64,
    /// Where the L1 table is in the file.
    pub(crate) l1_table_offset: u64,
    /// Entries of the L1 table that the virtual size needs.
    pub(crate) l1_entries: usize,
    pub(crate) compression: Compression,
    /// Whether it has extended L2 entries: each is twice as long and tells of the cluster's subclusters.
    pub(crate) subclusters: bool,
    pub(crate) backing: Option<BackingFile>,
}

impl Header {
    /// Read and check the header of `file`, which is called `path` in errors.
    pub(crate) fn read(file: &dyn ReadAt, path: &Path) -> Result<Self, ImageError> {
        let mut bytes = vec![0; usize::try_from(file.len().min(MAX_HEADER_BYTES)).unwrap_or_default()];
        file.read_at(0, &mut bytes).map_err(|source| ImageError::read(path, source))?;
        let raw = Raw { bytes: &bytes, path };
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(raw.corrupt(0, "it does not begin as a qcow2 file"));
        }
        let version = raw.u32(4)?;
        if !matches!(version, 2 | 3) {
            return Err(raw.incompatible(4, format!("qcow2 version {version}; 2 and 3 are known")));
        }
        if raw.u32(32)? != 0 {
            return Err(raw.incompatible(32, "it is encrypted"));
        }
        let cluster_bits = raw.u32(20)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(raw.corrupt(20, format!("a cluster size of 2^{cluster_bits} bytes is out of range (2^9 to 2^21)")));
        }
        let (header_length, compression) = if version == 3 { raw.version_3()? } else { (72, Compression::Deflate) };
        let subclusters = version == 3 && raw.u64(72)? & SUBCLUSTERS != 0;
        // Subclusters have at least 512 bytes (QEMU 7.2, block/qcow2.c, `qcow2_do_open`).
        if subclusters && cluster_bits < 14 {
            return Err(raw.corrupt(20, format!("a cluster of 2^{cluster_bits} bytes is too small for subclusters")));
        }
        let size = raw.u64(24)?;
        let l1_table_offset = raw.u64(40)?;
        // An L2 table is one cluster; each entry stands for one.
        let l2_bits = cluster_bits - if subclusters { 4 } else { 3 };
        let l1_entries = raw.l1_entries(size, cluster_bits, l2_bits, l1_table_offset, file.len())?;
        let backing = raw.backing_file(header_length)?;
        Ok(Self { version, cluster_bits, size, l1_table_offset, l1_entries, compression, subclusters, backing })
    }
}

/// The first bytes of the file, and the path for error messages.
struct Raw<'a> {
    bytes: &'a [u8],
    path: &'a Path,
}

impl Raw<'_> {
    fn slice(&self, offset: usize, length: usize) -> Result<&[u8], ImageError> {
        let end = offset.checked_add(length);
        end.and_then(|end| self.bytes.get(offset..end)).ok_or_else(|| self.corrupt(offset, "the header is cut short"))
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], ImageError> {
        // The slice has N bytes; the error cannot happen.
        self.slice(offset, N)?.try_into().map_err(|_| self.corrupt(offset, "the header is cut short"))
    }

    fn u32(&self, offset: usize) -> Result<u32, ImageError> {
        self.array(offset).map(u32::from_be_bytes)
    }

    fn u64(&self, offset: usize) -> Result<u64, ImageError> {
        self.array(offset).map(u64::from_be_bytes)
    }

    /// What version 3 added: header length and compression, after the incompatible features have been looked at.
    fn version_3(&self) -> Result<(usize, Compression), ImageError> {
        let features = self.u64(72)?;
        for (bit, what) in [
            (0, "it was not closed cleanly (the dirty bit is set); `qemu-img check -r all` mends that"),
            (1, "QEMU has marked it as corrupt"),
        ] {
            if features & (1 << bit) != 0 {
                return Err(self.incompatible(72, what));
            }
        }
        if features & (1 << 2) != 0 {
            return Err(self.external_data());
        }
        let unknown = features & !0b1_1111;
        if unknown != 0 {
            return Err(self.incompatible(72, format!("it uses unknown features ({unknown:#x})")));
        }
        let header_length = self.u32(100)?;
        if header_length < 104 || header_length % 8 != 0 {
            return Err(self.corrupt(100, format!("a header of {header_length} bytes is impossible")));
        }
        // Byte 104 exists only in longer headers; without the feature bit it must be 0, which is deflate.
        let type_byte = if header_length > 104 { self.array::<1>(104)?[0] } else { 0 };
        let compression = match (features & (1 << 3) != 0, type_byte) {
            (false, 0) => Compression::Deflate,
            (true, 1) => Compression::Zstd,
            (true, 0) | (false, _) => return Err(self.corrupt(104, "compression type and feature bit contradict each other")),
            (true, other) => return Err(self.incompatible(104, format!("compression type {other} is unknown"))),
        };
        Ok((usize::try_from(header_length).unwrap_or(usize::MAX), compression))
    }

    fn l1_entries(&self, size: u64, cluster_bits: u32, l2_bits: u32, offset: u64, file_len: u64) -> Result<usize, ImageError> {
        let needed = size.div_ceil(1 << (cluster_bits + l2_bits));
        let declared = u64::from(self.u32(36)?);
        if declared < needed {
            return Err(self.corrupt(36, format!("its L1 table has {declared} entries, {size} bytes need {needed}")));
        }
        let bytes = needed.saturating_mul(8);
        if bytes > MAX_L1_BYTES {
            return Err(self.incompatible(24, format!("a disk of {size} bytes with clusters of {} bytes", 1u64 << cluster_bits)));
        }
        if needed > 0 && !offset.is_multiple_of(1 << cluster_bits) {
            return Err(self.corrupt(40, "its L1 table does not begin with a cluster"));
        }
        if offset.checked_add(bytes).is_none_or(|end| needed > 0 && end > file_len) {
            return Err(self.corrupt(40, "its L1 table lies outside the file"));
        }
        usize::try_from(needed).map_err(|_| self.corrupt(36, "its L1 table is too large"))
    }

    fn backing_file(&self, header_length: usize) -> Result<Option<BackingFile>, ImageError> {
        let offset = usize::try_from(self.u64(8)?).unwrap_or(usize::MAX);
        let length = usize::try_from(self.u32(16)?).unwrap_or(usize::MAX);
        if offset == 0 || length == 0 {
            return Ok(None);
        }
        if length > MAX_BACKING_NAME_BYTES {
            return Err(self.corrupt(16, format!("a backing file name of {length} bytes is too long")));
        }
        let name = std::str::from_utf8(self.slice(offset, length)?);
        let name = name.map_err(|_| self.incompatible(offset, "the name of its backing file is not UTF-8"))?.to_owned();
        let format = self.extension(EXTENSION_BACKING_FORMAT, header_length, offset)?;
        Ok(Some(BackingFile { name, format }))
    }

    /// The text of the header extension `wanted`, of those from the byte `at` to `end`; the last one counts, as for QEMU.
    fn extension(&self, wanted: u32, mut at: usize, end: usize) -> Result<Option<String>, ImageError> {
        let mut found = None;
        // Each turn moves on by at least 8 bytes of a bounded buffer.
        while at < end {
            let (kind, length) = (self.u32(at)?, self.u32(at.saturating_add(4))?);
            if kind == 0 {
                break;
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let data = self.slice(at.saturating_add(8), length)?;
            if kind == wanted {
                found = Some(String::from_utf8_lossy(data).into_owned());
            }
            at = at.saturating_add(8).saturating_add(length.next_multiple_of(8));
        }
        Ok(found)
    }

    /// The image's data is in another file. QEMU would open it, whatever it is.
    fn external_data(&self) -> ImageError {
        let from = self.u32(100).map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
        match self.extension(EXTENSION_DATA_FILE, from, self.bytes.len()) {
            Ok(Some(name)) => ImageError::not_followed(self.path, "data file", &name, "holds its data (external data file)"),
            _ => self.incompatible(72, "its data is in another file (external data file)"),
        }
    }

    fn corrupt(&self, offset: usize, what: impl Into<String>) -> ImageError {
        ImageError::corrupt(self.path, offset as u64, what)
    }

    fn incompatible(&self, offset: usize, what: impl Into<String>) -> ImageError {
        ImageError::incompatible(self.path, offset as u64, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version 3 header of an empty disk of 1 MiB with 64 KiB clusters, and its L1 table in the second cluster.
    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 128 << 10];
        let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(4, &3u32.to_be_bytes());
        put(20, &16u32.to_be_bytes());
        put(24, &(1u64 << 20).to_be_bytes());
        put(36, &1u32.to_be_bytes());
        put(40, &(64u64 << 10).to_be_bytes());
        put(100, &112u32.to_be_bytes());
        bytes
    }

    /// Bytes to put at an offset.
    type Change = (usize, &'static [u8]);

    fn read_with(changes: &[Change]) -> Result<Header, String> {
        let mut bytes = header();
        for (offset, value) in changes {
            bytes[*offset..offset + value.len()].copy_from_slice(value);
        }
        Header::read(&bytes, Path::new("d")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_plain_header_is_read() {
        let header = read_with(&[]).unwrap();
        assert_eq!((header.version, header.size, header.cluster_bits, header.l1_entries), (3, 1 << 20, 16, 1));
        assert_eq!((header.compression, header.backing), (Compression::Deflate, None));
    }

    #[test]
    fn what_is_not_understood_or_impossible_is_refused_by_name() {
        let cases: &[(&[Change], &str)] = &[
            (&[(0, b"QFI ")], "d is damaged at byte 0: it does not begin as a qcow2 file"),
            (&[(7, &[4])], "cannot read d at byte 4: qcow2 version 4; 2 and 3 are known"),
            (&[(35, &[2])], "cannot read d at byte 32: it is encrypted"),
            (&[(23, &[8])], "d is damaged at byte 20: a cluster size of 2^8 bytes is out of range (2^9 to 2^21)"),
            (&[(23, &[22])], "d is damaged at byte 20: a cluster size of 2^22 bytes is out of range (2^9 to 2^21)"),
            (
                &[(79, &[1])],
                "cannot read d at byte 72: it was not closed cleanly (the dirty bit is set); `qemu-img check -r all` mends that",
            ),
            (&[(79, &[2])], "cannot read d at byte 72: QEMU has marked it as corrupt"),
            (&[(79, &[4])], "cannot read d at byte 72: its data is in another file (external data file)"),
            (&[(79, &[16]), (23, &[13])], "d is damaged at byte 20: a cluster of 2^13 bytes is too small for subclusters"),
            // Twice as many tables as without.
            (&[(79, &[16]), (24, &[0, 0, 0, 0, 0x20])], "d is damaged at byte 36: its L1 table has 1 entries, 537919488 bytes need 3"),
            (&[(79, &[32])], "cannot read d at byte 72: it uses unknown features (0x20)"),
            (&[(79, &[8]), (104, &[2])], "cannot read d at byte 104: compression type 2 is unknown"),
            (&[(79, &[8])], "d is damaged at byte 104: compression type and feature bit contradict each other"),
            (&[(103, &[96])], "d is damaged at byte 100: a header of 96 bytes is impossible"),
            (&[(39, &[0])], "d is damaged at byte 36: its L1 table has 0 entries, 1048576 bytes need 1"),
            (&[(40, &[1])], "d is damaged at byte 40: its L1 table lies outside the file"),
            (&[(47, &[1])], "d is damaged at byte 40: its L1 table does not begin with a cluster"),
            (
                &[(24, &[0, 0x1f, 0xff]), (36, &[0xff; 4])],
                "cannot read d at byte 24: a disk of 9006099744161792 bytes with clusters of 65536 bytes",
            ),
            (&[(8, &[0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16])], "d is damaged at byte 16: a backing file name of 4096 bytes is too long"),
        ];
        for (changes, text) in cases {
            assert_eq!(read_with(changes).unwrap_err(), *text);
        }
        for length in 0..105 {
            let error = Header::read(&header()[..length].to_vec(), Path::new("d")).unwrap_err();
            assert!(matches!(error, ImageError::Corrupt { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn the_backing_file_and_its_format_are_found() {
        let changes: &[(usize, &[u8])] =
            &[(8, &[0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8]), (112, &[0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 3]), (120, b"raw"), (256, b"../b.img")];
        let backing = read_with(changes).unwrap().backing;
        assert_eq!(backing, Some(BackingFile { name: "../b.img".into(), format: Some("raw".into()) }));
        // An extension longer than the header.
        assert!(read_with(&[changes[0], changes[3], (112, &[1, 1, 1, 1, 0xff, 0xff, 0xff, 0xff])]).is_err());
    }
}

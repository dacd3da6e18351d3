//! The data of a physical volume about itself: its label, and the place of its group's metadata (lvm2 2.03, lib/label/label.h,
//! lib/format_text/layout.h).

use crate::base::read_at::ReadAt;

/// Bytes of a sector; the label is in one of the first four.
const SECTOR: u64 = 512;
/// `INITIAL_CRC`.
const INITIAL_CRC: u32 = 0xf597_a6cf;
/// `FMTT_MAGIC`.
const MAGIC: &[u8] = b"\x20LVM2\x20x[5A%r0N*>";
/// `MDA_HEADER_SIZE`: the text is in a ring behind it.
const AREA_HEAD: u64 = 512;
/// `RAW_LOCN_IGNORED`.
const IGNORED: u32 = 1;
/// Bytes of metadata that are read; a group of 1000 volumes has 1 MiB.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// A physical volume.
#[derive(Debug)]
pub(super) struct Label {
    /// Its id, 32 characters.
    pub(super) id: String,
    /// The metadata of its group; `None` when it holds no copy.
    pub(super) text: Option<Vec<u8>>,
}

/// Read the physical volume that `bytes` holds. The error says what is wrong.
pub(super) fn read(bytes: &dyn ReadAt) -> Result<Label, String> {
    let sectors = (0..4).filter_map(|number| at(bytes, number * SECTOR, SECTOR).ok().map(|raw| (number, raw)));
    let found = sectors.into_iter().find(|(number, raw)| raw.starts_with(b"LABELONE") && u64_in(raw, 8) == *number);
    let (_, raw) = found.ok_or("it has no label")?;
    if crc(&raw[20..]) != u32_in(&raw, 16) {
        return Err("its label fails its checksum".to_owned());
    }
    // `pv_header`: id, size, then lists of areas, each ended by zeros: of data, of metadata.
    let header = raw.get(u32_in(&raw, 20) as usize..).filter(|header| header.len() >= 72).ok_or("its label is damaged")?;
    let areas: Vec<(u64, u64)> = header[40..].chunks_exact(16).map(|area| (u64_in(area, 0), u64_in(area, 8))).collect();
    let metadata = areas.iter().skip_while(|area| area.0 != 0).skip(1).take_while(|area| area.0 != 0);
    let mut text = None;
    for (start, size) in metadata {
        text = area(bytes, *start, *size)?;
        if text.is_some() {
            break;
        }
    }
    Ok(Label { id: String::from_utf8_lossy(&header[..32]).into_owned(), text })
}

/// The text in the metadata area of `size` bytes at byte `start`.
fn area(bytes: &dyn ReadAt, start: u64, size: u64) -> Result<Option<Vec<u8>>, String> {
    let raw = at(bytes, start, AREA_HEAD)?;
    if &raw[4..20] != MAGIC || u64_in(&raw, 24) != start || u64_in(&raw, 32) != size || size <= AREA_HEAD {
        return Err("the header of its metadata is damaged".to_owned());
    }
    if crc(&raw[4..]) != u32_in(&raw, 0) {
        return Err("the header of its metadata fails its checksum".to_owned());
    }
    let (offset, len, sum, flags) = (u64_in(&raw, 40), u64_in(&raw, 48), u32_in(&raw, 56), u32_in(&raw, 60));
    if offset == 0 || flags & IGNORED != 0 {
        return Ok(None);
    }
    if !(AREA_HEAD..size).contains(&offset) || len > (size - AREA_HEAD).min(MAX_TEXT_BYTES) {
        return Err("the header of its metadata is damaged".to_owned());
    }
    let first = len.min(size - offset);
    let mut text = at(bytes, start + offset, first)?;
    text.extend(at(bytes, start + AREA_HEAD, len - first)?);
    if crc(&text) != sum {
        return Err("its metadata fails its checksum".to_owned());
    }
    Ok(Some(text))
}

fn at(bytes: &dyn ReadAt, start: u64, len: u64) -> Result<Vec<u8>, String> {
    let mut buf = vec![0; usize::try_from(len).unwrap_or_default()];
    bytes.read_at(start, &mut buf).map_err(|error| format!("it cannot be read at byte {start}: {error}"))?;
    Ok(buf)
}

/// `calc_crc` (lib/misc/crc.c): CRC-32 with another start and without the final inversion.
fn crc(bytes: &[u8]) -> u32 {
    let bit = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    bytes.iter().fold(INITIAL_CRC, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}

fn u32_in(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_in(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_in(bytes, at + 4)) << 32 | u64::from(u32_in(bytes, at))
}

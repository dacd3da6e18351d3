//! Sections of a PE file (Microsoft, PE Format, "COFF File Header" and "Section Table"), which unified kernel images and boot loaders are.
//!
//! Only their names and places are of interest. `object` and `goblin` read all of the format, and would be the largest parts of this program
//! for 40 bytes a section.

use std::ops::Range;

/// Bytes from the beginning of the file in which the table of sections must lie. Linkers put it into the first 4 KiB.
pub(super) const HEAD_BYTES: u64 = 64 << 10;
/// Most sections of an image (PE Format, "COFF File Header").
const MAX_SECTIONS: u16 = 96;
/// Bytes of a section's header.
const HEADER_BYTES: usize = 40;

/// A section: its name, and its bytes in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) bytes: Range<u64>,
}

/// The sections of a PE file that begins with `head` and has `size` bytes, in the order of their table.
///
/// # Errors
/// It is no PE file, or a section is not in the file; a sentence says which.
pub(super) fn sections(head: &[u8], size: u64) -> Result<Vec<Section>, String> {
    if !head.starts_with(b"MZ") {
        return Err("it is no PE file".to_owned());
    }
    let u16_at = |at: usize| Some(u16::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let start = u32_at(0x3c).and_then(|start| usize::try_from(start).ok());
    let Some(start) = start.filter(|start| head.get(*start..).is_some_and(|rest| rest.starts_with(b"PE\0\0"))) else {
        return Err("it is no PE file: its header is not where it says".to_owned());
    };
    let table = || Some((u16_at(start + 6)?, (start + 24).checked_add(usize::from(u16_at(start + 20)?))?));
    let (count, table) = table().ok_or("its header is cut off")?;
    if count > MAX_SECTIONS {
        return Err(format!("its header claims {count} sections, {MAX_SECTIONS} at most are possible"));
    }
    let mut sections = Vec::new();
    for at in (0..usize::from(count)).map(|number| table + number * HEADER_BYTES) {
        let Some(header) = head.get(at..at + HEADER_BYTES) else {
            return Err(format!("its header claims {count} sections, and their table is cut off"));
        };
        let name = header[..8].split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let word = |offset: usize| u64::from(u32_at(at + offset).unwrap_or_default());
        let (memory, stored, offset) = (word(8), word(16), word(20));
        // The stored bytes are padded. A section with more bytes in memory than in the file ends in zeros, which no section of a kernel
        // image does.
        let bytes = if memory == 0 { stored } else { memory.min(stored) };
        let end = offset + bytes;
        // A section of the program that has no bytes in the file has no place there.
        if bytes > 0 && end > size {
            return Err(format!("its section {} ends at byte {end}, and it has {size}", name.escape_debug()));
        }
        sections.push(Section { name, bytes: offset..end });
    }
    Ok(sections)
}

/// The first two of `sections` that share bytes.
pub(super) fn overlap<'a>(sections: &[&'a Section]) -> Option<(&'a str, &'a str)> {
    let shared = |a: &Section, b: &Section| a.bytes.start.max(b.bytes.start) < a.bytes.end.min(b.bytes.end);
    let later = |at: usize| sections[at + 1..].iter();
    sections.iter().enumerate().find_map(|(at, a)| later(at).find(|b| shared(a, b)).map(|b| (a.name.as_str(), b.name.as_str())))
}

/// A PE file of `sections`, for tests: name and content, which follow each other from byte 4096 on.
#[cfg(test)]
pub(super) fn made(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 4096];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x80;
    file[0x80..0x84].copy_from_slice(b"PE\0\0");
    file[0x86] = sections.len() as u8;
    for (number, (name, content)) in sections.iter().enumerate() {
        let at = 0x80 + 24 + number * HEADER_BYTES;
        file[at..at + name.len()].copy_from_slice(name.as_bytes());
        let (size, offset) = (content.len() as u32, file.len() as u32);
        for (place, value) in [(8, size), (16, size.next_multiple_of(512)), (20, offset)] {
            file[at + place..at + place + 4].copy_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(content);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Result<Vec<Section>, String> {
        sections(file, file.len() as u64)
    }

    #[test]
    fn sections_are_where_their_table_says() {
        let file = made(&[(".osrel", b"ID=a"), (".linux", &[7; 600])]);
        let found = read(&file).unwrap();
        let shown: Vec<_> = found.iter().map(|section| (section.name.as_str(), section.bytes.clone())).collect();
        assert_eq!(shown, [(".osrel", 4096..4100), (".linux", 4608..5208)]);
        assert_eq!(overlap(&found.iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn what_is_no_sound_file_is_refused() {
        let file = made(&[(".osrel", b"ID=a"), (".linux", &[7; 600])]);
        let (first, second) = (0x80 + 24, 0x80 + 24 + HEADER_BYTES);
        for (at, bytes, complaint) in [
            (0, &b"ZM"[..], "it is no PE file"),
            (0x3c, &[0xff; 4], "it is no PE file: its header is not where it says"),
            (0x3c, &[0xff, 0x0f], "it is no PE file: its header is not where it says"),
            (0x86, &[97], "its header claims 97 sections, 96 at most are possible"),
            (0x86, &[0xff, 0xff], "its header claims 65535 sections, 96 at most are possible"),
            (0x94, &[0xff, 0xff], "its header claims 2 sections, and their table is cut off"),
            (second + 20, &[0xff; 4], "its section .linux ends at byte 4294967895, and it has 5632"),
            (second + 8, &[0xff; 8], ""),
            (second + 20, &[0, 0x10], ""),
        ] {
            let mut spoilt = file.clone();
            spoilt[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(read(&spoilt).err().unwrap_or_default(), complaint, "{at}");
        }
        let mut shared = file.clone();
        shared[second + 20..second + 22].copy_from_slice(&[0, 0x10]);
        let found = read(&shared).unwrap();
        assert_eq!(overlap(&found.iter().collect::<Vec<_>>()), Some((".osrel", ".linux")));
        for length in [0, 1, 2, 0x3e, 0x40, 0x83, 0x86, first + 3] {
            assert!(read(&file[..length]).is_err(), "{length}");
        }
    }
}

//! A directory of FAT32 as bytes.
//!
//! Layout: Microsoft's FAT specification 1.03, "FAT Directory Structure" and "FAT Long Directory Entries".

use std::collections::HashSet;

/// Bytes of a slot.
pub(super) const SLOT: usize = 32;
/// Slots of a directory, at most: 2 MiB.
pub(super) const SLOTS_MAX: usize = 65_536;
/// Characters of a long name that are in one slot, and where in it.
const CHARACTERS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// `DIR_Attr`.
const ATTR_VOLUME_ID: u8 = 0x08;
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_ARCHIVE: u8 = 0x20;
const ATTR_LONG_NAME: u8 = 0x0f;
/// `LAST_LONG_ENTRY`.
const LAST: u8 = 0x40;
/// 1980-01-01, the first day FAT has: the times of the host's files would make the volumes of the same files differ.
const DATE: u16 = 1 << 5 | 1;

/// The meaning of an entry of a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Its long name.
    pub name: &'a str,
    /// The first cluster of its content; 0 for none.
    pub cluster: u32,
    /// Bytes of a file; nothing for a directory.
    pub file: Option<u32>,
}

/// Slots of a directory that holds these names. The volume's own has the label, every other leads to itself and to the one around it.
pub(super) fn slots<'a>(is_root: bool, names: impl Iterator<Item = &'a str>) -> usize {
    let own = if is_root { 1 } else { 2 };
    own + names.map(|name| 1 + name.len().div_ceil(CHARACTERS.len())).sum::<usize>()
}

/// The volume's own directory.
pub(super) fn root(label: [u8; 11], entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = slot(label, ATTR_VOLUME_ID, 0, 0).to_vec();
    add(&mut bytes, entries);
    bytes
}

/// Another directory, at `cluster`; the one around it is at `parent`, which is 0 for the volume's own.
pub(super) fn inner(cluster: u32, parent: u32, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = slot(*b".          ", ATTR_DIRECTORY, cluster, 0).to_vec();
    bytes.extend(slot(*b"..         ", ATTR_DIRECTORY, parent, 0));
    add(&mut bytes, entries);
    bytes
}

/// Every entry has a long name, so that the short ones need only be unique.
fn add(bytes: &mut Vec<u8>, entries: &[Entry<'_>]) {
    let names: HashSet<String> = entries.iter().map(|entry| entry.name.to_ascii_uppercase()).collect();
    for (index, entry) in entries.iter().enumerate() {
        let short = short_name(entry.name, index, |short| names.contains(short));
        let sum = checksum(&short);
        let parts: Vec<&[u8]> = entry.name.as_bytes().chunks(CHARACTERS.len()).collect();
        for (number, part) in parts.iter().enumerate().rev() {
            // OK to cast: a name of 255 characters has 20 parts.
            let ordinal = number as u8 + 1;
            bytes.extend(long_slot(if ordinal as usize == parts.len() { LAST | ordinal } else { ordinal }, part, sum));
        }
        let attributes = if entry.file.is_some() { ATTR_ARCHIVE } else { ATTR_DIRECTORY };
        bytes.extend(slot(short, attributes, entry.cluster, entry.file.unwrap_or_default()));
    }
}

fn slot(name: [u8; 11], attributes: u8, cluster: u32, bytes: u32) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let [low, high] = [cluster & 0xffff, cluster >> 16].map(u32::to_le_bytes);
    slot[..11].copy_from_slice(&name);
    slot[11] = attributes;
    // DIR_CrtDate, DIR_LstAccDate, DIR_WrtDate; their times are midnight.
    for at in [16, 18, 24] {
        slot[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    slot[20..22].copy_from_slice(&high[..2]);
    slot[26..28].copy_from_slice(&low[..2]);
    slot[28..].copy_from_slice(&bytes.to_le_bytes());
    slot
}

/// `part` is ASCII; what is behind its end is padded as the specification says.
fn long_slot(ordinal: u8, part: &[u8], sum: u8) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[0] = ordinal;
    slot[11] = ATTR_LONG_NAME;
    slot[13] = sum;
    for (index, at) in CHARACTERS.into_iter().enumerate() {
        let unit = match part.get(index) {
            Some(byte) => u16::from(*byte),
            None if index == part.len() => 0,
            None => 0xffff,
        };
        slot[at..at + 2].copy_from_slice(&unit.to_le_bytes());
    }
    slot
}

/// The short name of the entry that is number `index` of its directory: two characters of its name, the number, `~` and a digit that
/// keeps it apart from the long names, and as much of the extension as FAT allows.
fn short_name(name: &str, index: usize, is_taken: impl Fn(&str) -> bool) -> [u8; 11] {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let (stem, mut extension) = (plain(stem), plain(extension));
    extension.truncate(3);
    let head = &format!("{stem}__")[..2];
    let mut short = [b' '; 11];
    for digit in 1..=9 {
        let base = format!("{head}{index:04X}~{digit}");
        let dot = if extension.is_empty() { "" } else { "." };
        if digit == 9 || !is_taken(&format!("{base}{dot}{extension}")) {
            short[..8].copy_from_slice(&base.as_bytes()[..8]);
            short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
            break;
        }
    }
    short
}

/// "FAT Long Directory Entries", `ChkSum`.
fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_unique_and_apart_from_long_ones() {
        let named = |name, index, taken: &str| String::from_utf8(short_name(name, index, |short| short == taken).to_vec()).unwrap();
        for (name, index, taken, expected) in [
            ("repomd.xml", 3, "", "RE0003~1XML"),
            ("a", 0xffff, "", "A_FFFF~1   "),
            (".hidden", 1, "", "__0001~1HID"),
            ("x.tar.gz", 1, "XT0001~1.GZ", "XT0001~2GZ "),
            ("noext", 1, "NO0001~1", "NO0001~2   "),
            ("+~^.~~", 0, "", "__0000~1   "),
        ] {
            assert_eq!(named(name, index, taken), expected, "{name}");
        }
    }

    #[test]
    fn a_name_takes_the_slots_it_is_counted_for() {
        for length in [1, 12, 13, 14, 26, 27, 255] {
            let name = "n".repeat(length);
            let entries = [Entry { name: &name, cluster: 3, file: Some(1) }];
            let names = || [name.as_str()].into_iter();
            assert_eq!(root(*b"LABEL      ", &entries).len(), SLOT * slots(true, names()), "{length}");
            assert_eq!(inner(3, 0, &entries).len(), SLOT * slots(false, names()), "{length}");
        }
    }
}

//! VMDK in one file with header, descriptor and data: whether it needs other files.
//!
//! After VMware's technical note "Virtual Disk Format 5.0". Header and places are those of "Hosted Sparse Extents", all numbers little-endian,
//! all places in sectors of 512 bytes; the descriptor is a text of lines ("The Descriptor File").

use std::path::Path;

use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// How a sparse extent begins that may have its descriptor within.
pub(super) const MAGIC: &[u8] = b"KDMV";
/// How an extent of an old ESX begins ("ESX Server Sparse Extents"), whose descriptor is in another file.
pub(super) const COWD: &[u8] = b"COWD";
/// The first bytes of a descriptor in a separate file.
pub(super) const TEXT: &[u8] = b"# Disk DescriptorFile";

const SECTOR: u64 = 512;
/// Bytes of the header.
const HEADER_BYTES: usize = 512;
/// Largest version that is known; 2 and 3 came with compressed grains and with change tracking (QEMU 7.2, block/vmdk.c, `vmdk_open_vmdk4`).
const MAX_VERSION: u32 = 3;
/// Where the descriptor is: QEMU looks for a parent there, whatever the header says (`desc_offset` in `vmdk_open`).
const DESCRIPTOR_SECTOR: u64 = 1;
/// Bytes in which QEMU looks for a parent (`DESC_SIZE`).
const QEMU_DESCRIPTOR_BYTES: u64 = 20 * SECTOR;
/// Longest descriptor that is read. Writers reserve 10 KiB and use less than one.
const MAX_DESCRIPTOR_BYTES: u64 = 1 << 20;
/// `gdOffset` of a file whose header is repeated in a footer (`GD_AT_END`).
const AT_END: u64 = u64::MAX;
/// Bytes from the footer's beginning to the end of the file: itself and the marker of the end.
const FOOTER_BYTES: u64 = 2 * SECTOR;

/// Entries of a grain table ("numGTEsPerGT … is 512"), and the most tables that are looked at: those of a disk of 4 TiB with grains of 64 KiB.
const TABLE_ENTRIES: u64 = 512;
const MAX_TABLES: u64 = 1 << 17;

/// Make sure that the VMDK `file` needs no other file, so that QEMU can be given it.
///
/// # Errors
/// It needs another file, is damaged, or is of a kind that is not supported.
pub(super) fn check(file: &dyn ReadAt, path: &Path) -> Result<(), ImageError> {
    let mut header = [0; HEADER_BYTES];
    let count = usize::try_from(file.len()).unwrap_or(usize::MAX).min(header.len());
    file.read_at(0, &mut header[..count]).map_err(|source| ImageError::read(path, source))?;
    if header.starts_with(TEXT) {
        return Err(ImageError::incompatible(path, 0, "it is the descriptor of a VMDK, whose disk is in other files"));
    }
    if header.starts_with(COWD) {
        return Err(ImageError::incompatible(path, 0, "it is an extent of a VMDK (COWD), whose descriptor is another file"));
    }
    if count < header.len() {
        return Err(ImageError::corrupt(path, count as u64, "its VMDK header is cut short"));
    }
    check_header(&header, 0, path)?;
    let mut believed = header;
    if number(&header, 56) == AT_END {
        // QEMU believes the footer instead, of which it reads the same fields.
        let place = (file.len() / SECTOR * SECTOR).checked_sub(FOOTER_BYTES);
        let place = place.ok_or_else(|| ImageError::corrupt(path, None, "its VMDK footer is cut short"))?;
        let mut footer = [0; HEADER_BYTES];
        file.read_at(place, &mut footer).map_err(|source| ImageError::read(path, source))?;
        if !footer.starts_with(MAGIC) {
            return Err(ImageError::corrupt(path, place, "there is no VMDK footer; it may have been cut short"));
        }
        check_header(&footer, place, path)?;
        believed = footer;
    }
    let sectors = number(&header, 36);
    if number(&header, 28) == 0 || sectors == 0 {
        return Err(ImageError::incompatible(path, 28, "it is an extent of a VMDK, whose descriptor is another file"));
    }
    if number(&header, 28) != DESCRIPTOR_SECTOR {
        return Err(ImageError::incompatible(path, 28, "its VMDK descriptor does not follow its header"));
    }
    let bytes = sectors.checked_mul(SECTOR).filter(|bytes| *bytes <= MAX_DESCRIPTOR_BYTES);
    let bytes = bytes.ok_or_else(|| ImageError::corrupt(path, 36, format!("a descriptor of {sectors} sectors is too long")))?;
    // Read all bytes that the header or QEMU takes for the descriptor.
    let start = DESCRIPTOR_SECTOR * SECTOR;
    let there = bytes.max(QEMU_DESCRIPTOR_BYTES).min(file.len().saturating_sub(start));
    if there < bytes {
        return Err(ImageError::corrupt(path, start, "its VMDK descriptor is cut short"));
    }
    // OK to truncate: at most 1 MiB.
    let mut text = vec![0; there as usize];
    file.read_at(start, &mut text).map_err(|source| ImageError::read(path, source))?;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    check_descriptor(&String::from_utf8_lossy(&text[..end]), path)?;
    check_grains(file, &believed, path)
}

/// Make sure that the grains which `header` leads to are in the file. QEMU shows zeros in place of what was cut off.
fn check_grains(file: &dyn ReadAt, header: &[u8; HEADER_BYTES], path: &Path) -> Result<(), ImageError> {
    let cut = |what: &str| ImageError::corrupt(path, file.len(), format!("{what} lies behind the end of the file, which was cut short"));
    let read = |place: u64, buf: &mut [u8]| file.read_at(place, buf).map_err(|source| ImageError::read(path, source));
    let (capacity, grain) = (number(header, 12), number(header, 20));
    if !grain.is_power_of_two() {
        return Err(ImageError::corrupt(path, 20, format!("a grain of {grain} sectors is impossible")));
    }
    let tables = capacity.div_ceil(grain.saturating_mul(TABLE_ENTRIES)).min(MAX_TABLES);
    let directory =
        number(header, 56).checked_mul(SECTOR).filter(|place| place.checked_add(tables * 4).is_some_and(|end| end <= file.len()));
    let directory = directory.ok_or_else(|| cut("its VMDK grain directory"))?;
    let (mut names, mut entries) = (vec![0; usize::try_from(tables * 4).unwrap_or_default()], vec![0; TABLE_ENTRIES as usize * 4]);
    read(directory, &mut names)?;
    for table in names.as_chunks().0.iter().map(|name| u64::from(u32::from_le_bytes(*name)) * SECTOR).filter(|table| *table != 0) {
        if table + entries.len() as u64 > file.len() {
            return Err(cut("a VMDK grain table"));
        }
        read(table, &mut entries)?;
        // 0 is no grain, 1 one of zeros; both lie before every end.
        let last = entries.as_chunks().0.iter().map(|entry| u32::from_le_bytes(*entry)).max().unwrap_or_default();
        if u64::from(last) * SECTOR >= file.len() {
            return Err(cut("a VMDK grain"));
        }
    }
    Ok(())
}

/// What the header says, or the footer, that begins at byte `place` of the file.
fn check_header(header: &[u8; HEADER_BYTES], place: u64, path: &Path) -> Result<(), ImageError> {
    // OK to truncate: four bytes of eight.
    let version = number(header, 4) as u32;
    if !(1..=MAX_VERSION).contains(&version) {
        return Err(ImageError::incompatible(path, place + 4, format!("VMDK version {version}; 1 to {MAX_VERSION} are known")));
    }
    // The same.
    let entries = number(header, 44) as u32;
    if u64::from(entries) != TABLE_ENTRIES {
        return Err(ImageError::incompatible(
            path,
            place + 44,
            format!("VMDK grain tables of {entries} entries; {TABLE_ENTRIES} are known"),
        ));
    }
    // QEMU takes the descriptor within such a file as a list of other files.
    if number(header, 12) == 0 {
        return Err(ImageError::corrupt(path, place + 12, "its VMDK header says that the disk has no bytes"));
    }
    Ok(())
}

fn number(header: &[u8; HEADER_BYTES], at: usize) -> u64 {
    header[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).unwrap_or_default()
}

/// Every line is checked, because of two that contradict each other a reader may use either.
fn check_descriptor(text: &str, path: &Path) -> Result<(), ImageError> {
    let (mut extents, mut types, mut parent) = (Vec::new(), Vec::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "createtype" => types.push(value),
                "parentcid" if !value.eq_ignore_ascii_case("ffffffff") => parent = Some(value),
                _ => {}
            }
        }
        if ["RW ", "RDONLY ", "NOACCESS "].iter().any(|access| line.starts_with(access)) {
            extents.push(line);
        }
    }
    // QEMU finds it anywhere, even in a comment (`vmdk_parent_open`).
    if let Some(at) = text.to_ascii_lowercase().find("parentfilenamehint") {
        let name = text[at..].split(['"', '\n']).nth(1).unwrap_or_default();
        return Err(ImageError::not_followed(path, "parent", name, "has the rest of its disk"));
    }
    if let Some(id) = parent {
        return Err(ImageError::incompatible(path, DESCRIPTOR_SECTOR * SECTOR, format!("it is over a parent disk (parentCID={id})")));
    }
    for kind in &types {
        if !["monolithicSparse", "streamOptimized"].contains(kind) {
            let what = format!("it is a VMDK of the type `{}`; monolithicSparse and streamOptimized are known", kind.escape_debug());
            return Err(ImageError::incompatible(path, DESCRIPTOR_SECTOR * SECTOR, what));
        }
    }
    let name = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    // The file may have been renamed since, and QEMU takes a plain name as the file itself; but a path means another file.
    let elsewhere = extents.iter().map(|line| name(line)).find(|name| name.contains(['/', '\\']));
    if let Some(name) = elsewhere.or_else(|| extents.get(1).map(|line| name(line))) {
        return Err(ImageError::not_followed(path, "extent", &name, "is another file"));
    }
    let damaged = |what: &str| Err(ImageError::corrupt(path, DESCRIPTOR_SECTOR * SECTOR, what));
    match extents.first() {
        _ if types.is_empty() => damaged("its VMDK descriptor names no type"),
        None => damaged("its VMDK descriptor names no extent"),
        Some(line) if line.split_whitespace().nth(2) != Some("SPARSE") => damaged("its VMDK descriptor names an extent that is not SPARSE"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: &str = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\n\
         # Extent description\nRW 2048 SPARSE \"disk.vmdk\"\n\nddb.adapterType = \"ide\"\n";

    /// A header that says where the descriptor is, the descriptor, and nothing else.
    fn vmdk(descriptor: &str) -> Vec<u8> {
        let mut bytes = vec![0; 64 << 10];
        bytes[..4].copy_from_slice(MAGIC);
        // The directory in sector 21, its only table from sector 22 on, with a grain that is the last sector of the file.
        for (at, value) in [(4, 1_u64), (12, 2048), (20, 128), (28, 1), (36, 20), (44, 512), (56, 21), (21 * 512, 22), (22 * 512 + 8, 127)]
        {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
        bytes
    }

    fn said(bytes: Vec<u8>) -> String {
        check(&bytes, Path::new("d")).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_descriptor_that_needs_other_files_is_refused() {
        let extent = "RW 2048 SPARSE \"disk.vmdk\"\n";
        for (from, to, expected) in [
            ("", "", ""),
            ("disk.vmdk", "another name.vmdk", ""),
            ("monolithicSparse", "streamOptimized", ""),
            ("\n", "\r\n", ""),
            ("disk.vmdk", "/etc/shadow", "d is not read: its extent `/etc/shadow` is another file"),
            ("disk.vmdk", "../x", "d is not read: its extent `../x` is another file"),
            ("disk.vmdk", "C:\\\\x", "d is not read: its extent `C:\\\\x` is another file"),
            (extent, "RW 2048 FLAT \"/dev/sda\" 0\n", "d is not read: its extent `/dev/sda` is another file"),
            (extent, "RW 1 SPARSE \"a\"\nRDONLY 1 FLAT \"b\" 0\n", "d is not read: its extent `b` is another file"),
            (extent, "RW 2048 ZERO\n", "d is damaged at byte 512: its VMDK descriptor names an extent that is not SPARSE"),
            (extent, "", "d is damaged at byte 512: its VMDK descriptor names no extent"),
            ("createType", "type", "d is damaged at byte 512: its VMDK descriptor names no type"),
            (
                "monolithicSparse",
                "twoGbMaxExtentSparse",
                "cannot read d at byte 512: it is a VMDK of the type `twoGbMaxExtentSparse`; monolithicSparse and streamOptimized are known",
            ),
            (
                "createType",
                "createType=\"custom\"\ncreateType",
                "cannot read d at byte 512: it is a VMDK of the type `custom`; monolithicSparse and streamOptimized are known",
            ),
            ("parentCID=ffffffff", "parentCID=00000001", "cannot read d at byte 512: it is over a parent disk (parentCID=00000001)"),
            ("version=1", "parentFileNameHint=\"/etc/shadow\"", "d is not read: its parent `/etc/shadow` has the rest of its disk"),
            ("# Extent", "# parentFileNameHint=\"x\" ", "d is not read: its parent `x` has the rest of its disk"),
            ("version=1", "PARENTFILENAMEHINT", "d is not read: its parent `CID=fffffffe` has the rest of its disk"),
        ] {
            assert_eq!(said(vmdk(&DESCRIPTOR.replacen(from, to, if from == "\n" { 100 } else { 1 }))), expected, "{from} {to}");
        }
        // Behind the descriptor's own end, where QEMU would look as well.
        let mut long = vmdk(&format!("{DESCRIPTOR}{}parentFileNameHint=\"/x\"\n", "#\n".repeat(400)));
        long[36] = 1;
        assert_eq!(said(long), "d is not read: its parent `/x` has the rest of its disk");
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        type Change = (usize, &'static [u8]);
        let cases: &[(Change, &str)] = &[
            ((4, &[4]), "cannot read d at byte 4: VMDK version 4; 1 to 3 are known"),
            ((4, &[0]), "cannot read d at byte 4: VMDK version 0; 1 to 3 are known"),
            ((13, &[0]), "d is damaged at byte 12: its VMDK header says that the disk has no bytes"),
            ((28, &[0]), "cannot read d at byte 28: it is an extent of a VMDK, whose descriptor is another file"),
            ((36, &[0]), "cannot read d at byte 28: it is an extent of a VMDK, whose descriptor is another file"),
            ((28, &[2]), "cannot read d at byte 28: its VMDK descriptor does not follow its header"),
            ((28, &[0xff; 8]), "cannot read d at byte 28: its VMDK descriptor does not follow its header"),
            ((36, &[0xff; 8]), "d is damaged at byte 36: a descriptor of 18446744073709551615 sectors is too long"),
            ((38, &[1]), "d is damaged at byte 36: a descriptor of 65556 sectors is too long"),
            ((37, &[1]), "d is damaged at byte 512: its VMDK descriptor is cut short"),
            ((56, &[0xff; 8]), "d is damaged at byte 64512: there is no VMDK footer; it may have been cut short"),
            ((44, &[1]), "cannot read d at byte 44: VMDK grain tables of 513 entries; 512 are known"),
            ((20, &[3]), "d is damaged at byte 20: a grain of 3 sectors is impossible"),
            ((20, &[0]), "d is damaged at byte 20: a grain of 0 sectors is impossible"),
            ((56, &[128]), "d is damaged at byte 65536: its VMDK grain directory lies behind the end of the file, which was cut short"),
            ((63, &[1]), "d is damaged at byte 65536: its VMDK grain directory lies behind the end of the file, which was cut short"),
            ((21 * 512, &[125]), "d is damaged at byte 65536: a VMDK grain table lies behind the end of the file, which was cut short"),
            ((22 * 512 + 8, &[128]), "d is damaged at byte 65536: a VMDK grain lies behind the end of the file, which was cut short"),
            ((0, b"COWD"), "cannot read d at byte 0: it is an extent of a VMDK (COWD), whose descriptor is another file"),
            ((0, TEXT), "cannot read d at byte 0: it is the descriptor of a VMDK, whose disk is in other files"),
        ];
        for ((at, value), expected) in cases {
            let mut bytes = vmdk(DESCRIPTOR);
            bytes[*at..at + value.len()].copy_from_slice(value);
            assert_eq!(said(bytes), *expected);
        }
        // The footer counts as the header does.
        let mut bytes = vmdk(DESCRIPTOR);
        bytes.copy_within(..512, (64 << 10) - 1024);
        bytes[56..64].fill(0xff);
        assert_eq!(said(bytes.clone()), "");
        bytes[(64 << 10) - 1024 + 13] = 0;
        assert_eq!(said(bytes), "d is damaged at byte 64524: its VMDK header says that the disk has no bytes");
        for length in [4, 511, 512, 600, 10_000] {
            let error = said(vmdk(DESCRIPTOR)[..length].to_vec());
            assert!(error.starts_with("d is damaged at byte ") && error.ends_with(" is cut short"), "{length}: {error}");
        }
    }
}

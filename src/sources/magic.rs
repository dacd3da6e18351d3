//! Identifies a file by its first bytes, for errors about a wrong file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::base::size::rounded;
use crate::base::text::counted;

/// Servers often send this instead of the file.
pub(super) const WEB_PAGE: &str = "a web page";

/// Bytes looked at: ISO 9660's first descriptor and ext4's superblock are within.
const HEAD: u64 = 40 << 10;

/// Bytes of a beginning that may be cut anywhere.
const CUT: usize = 512;

/// Offset, bytes, words. The first that fits wins, so certain signatures come before likely ones. They are from the specifications of the
/// formats, or from magic(5) where there is none.
const TABLE: &[(usize, &[u8], &str)] = &[
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (0, b"KDMV", "a VMware disk (VMDK)"),
    (0, b"# Disk DescriptorFile", "the descriptor of a VMware disk (VMDK)"),
    (0, b"vhdxfile", "a Hyper-V disk (VHDX)"),
    (0, b"conectix", "a Hyper-V disk (VHD)"),
    (0x40, b"\x7f\x10\xda\xbe", "a VirtualBox disk (VDI)"),
    (0, b"hsqs", "a squashfs image"),
    (32_769, b"CD001", "an ISO 9660 image"),
    (32_769, b"BEA01", "a UDF image"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\xfd7zXZ\0", "xz data"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data"),
    (0, b"BZh", "bzip2 data"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"PK\x03\x04", "a zip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"070701", "a cpio archive"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"!<arch>\ndebian", "a Debian package"),
    (0, b"!<arch>", "an ar archive"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"MZ", "a Windows program"),
    (0, b"%PDF", "a PDF document"),
    (0, b"d8:announce", "a BitTorrent file, which only tells where to find the data"),
    (0, b"-----BEGIN PGP SIGN", "an OpenPGP signature or signed text"),
    (0, b"#!", "a script"),
    (1080, b"\x53\xef", "an ext filesystem"),
    (510, b"\x55\xaa", "a disk or boot image"),
];

fn what(head: &[u8]) -> Option<&'static str> {
    let fits = |(at, magic, _): &&(usize, &[u8], &str)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    TABLE.iter().find(fits).map(|(_, _, words)| *words)
}

/// What the file at `path` is, in words that fit after "is".
///
/// # Errors
/// Those of opening and reading it.
pub(super) fn identify(path: &Path) -> io::Result<String> {
    // Opening a named pipe waits for its other end.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok("a directory".to_owned());
    }
    if !metadata.is_file() {
        return Ok("no regular file".to_owned());
    }
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(describe(&head, metadata.len()))
}

/// Describes a file of `bytes` bytes that begins with `head`.
fn describe(head: &[u8], bytes: u64) -> String {
    if bytes == 0 {
        return "an empty file".to_owned();
    }
    let size = if bytes < 1000 { counted(bytes as usize, "byte") } else { rounded(bytes) };
    format!("{} of {size}", kind_of(head))
}

/// The kind of a file that begins with `head`.
pub(super) fn kind_of(head: &[u8]) -> &'static str {
    what(head).or_else(|| markup(head)).unwrap_or_else(|| match std::str::from_utf8(head) {
        // A character may be cut in two at the end of what was read.
        Ok(text) if is_text(text) => "a text",
        Err(error) if error.error_len().is_none() && head.len() >= CUT => "a text",
        _ if head.iter().all(|byte| *byte == 0) => "a file that begins with zeros, as one that was never filled does,",
        _ => "a file of no known kind",
    })
}

fn is_text(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

/// Web pages, XML and JSON may begin with white space or a byte order mark.
fn markup(head: &[u8]) -> Option<&'static str> {
    let head = &head[..head.len().min(1024)];
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    if begins(&["<!doctype html", "<html", "<head", "<body"]) || (text.starts_with("<!--") && text.contains("<html")) {
        Some(WEB_PAGE)
    } else if begins(&["<?xml", "<metalink"]) {
        Some(if text.contains("<html") { WEB_PAGE } else { "an XML document" })
    } else if begins(&["{\"", "{\n", "[{"]) {
        Some("a JSON document")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_is_called_by_its_name() {
        let at = |offset: usize, bytes: &[u8]| [vec![b'.'; offset], bytes.to_vec()].concat();
        for (head, expected) in [
            (b"".to_vec(), "an empty file"),
            (b"a".to_vec(), "a text of 1 byte"),
            (b"<!DOCTYPE html>\n<html>".to_vec(), "a web page of 22 bytes"),
            (b"\xef\xbb\xbf \n<HTML>".to_vec(), "a web page of 11 bytes"),
            (b"<?xml version=\"1.0\"?><html>".to_vec(), "a web page of 27 bytes"),
            (b"<?xml version=\"1.0\"?><metalink>".to_vec(), "an XML document of 31 bytes"),
            (b"{\"error\":404}".to_vec(), "a JSON document of 13 bytes"),
            (b"QFI\xfb\0\0".to_vec(), "a qcow2 disk image of 6 bytes"),
            (b"\x1f\x8b\x08\0".to_vec(), "gzip data of 4 bytes"),
            (at(257, b"ustar\x0000"), "a tar archive of 265 bytes"),
            (at(510, b"\x55\xaa"), "a disk or boot image of 512 bytes"),
            (at(32_769, b"CD001"), "an ISO 9660 image of 32.0 KiB"),
            (vec![0; 2000], "a file that begins with zeros, as one that was never filled does, of 1.95 KiB"),
            (vec![1, 2, 3], "a file of no known kind of 3 bytes"),
            ("ä".as_bytes()[..1].to_vec(), "a file of no known kind of 1 byte"),
        ] {
            assert_eq!(describe(&head, head.len() as u64), expected);
        }
        let cut = [vec![b'x'; HEAD as usize - 1], "ä".as_bytes()[..1].to_vec()].concat();
        assert_eq!(describe(&cut, 1 << 20), "a text of 1.00 MiB");
    }
}

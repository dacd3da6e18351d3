//! A medium's label in the form of the installer's kernel argument.
//!
//! `inst.stage2=hd:LABEL=X` makes Anaconda's initramfs wait for the link `/dev/disk/by-label/X` (anaconda 21.48.22.134,
//! dracut/repo-genrules.sh and anaconda-lib.sh: `X` is copied into a udev rule as it is). The link's name is udev's `ID_FS_LABEL_ENC`
//! (systemd 219, 60-persistent-storage.rules), which is what `blkid_encode_string` of util-linux 2.23.2 (libblkid/src/encode.c) makes of the label.

/// Labels that belong to something else in the installation, and to what.
pub const TAKEN: [(&str, &str); 2] =
    [("GOLDSMITH", "the volume that brings the recipe's repositories"), ("OEMDRV", "a disk with drivers, which Anaconda loads")];

/// Why a medium cannot be named by its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The medium has no label.
    #[error("it has no label")]
    Empty,
    /// The argument's parts are separated by colons, and a colon cannot be escaped: `splitsep ":"` in dracut/repo-genrules.sh.
    #[error("its label has a colon, at which the installer would cut it")]
    Colon,
    /// udev makes no such link.
    #[error("its label is no name that a file can have")]
    NoName,
    /// Something else in the installation has that label.
    #[error("its label is that of {0}")]
    Taken(&'static str),
}

/// The text after `LABEL=` for the medium that libblkid calls `label`. It has no blanks and quotes, and a backslash only before `x`.
///
/// # Errors
/// The installer would not find the medium by that label.
pub fn device_label(label: &[u8]) -> Result<String, LabelError> {
    if label.is_empty() {
        return Err(LabelError::Empty);
    }
    if label.contains(&b':') {
        return Err(LabelError::Colon);
    }
    if matches!(label, b"." | b"..") {
        return Err(LabelError::NoName);
    }
    if let Some((_, what)) = TAKEN.iter().find(|(taken, _)| taken.as_bytes() == label) {
        return Err(LabelError::Taken(what));
    }
    Ok(encoded(label))
}

/// As `blkid_encode_string`: letters, digits, `#+-.:=@_` and characters outside ASCII stay, every other byte is `\x` and two hexadecimal digits.
fn encoded(label: &[u8]) -> String {
    let mut encoded = String::new();
    for chunk in label.utf8_chunks() {
        for char in chunk.valid().chars() {
            let stays = if char.is_ascii() { char.is_ascii_alphanumeric() || "#+-.:=@_".contains(char) } else { is_character(char) };
            match stays {
                true => encoded.push(char),
                false => char.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_hex(&mut encoded, byte)),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(&mut encoded, *byte));
    }
    encoded
}

/// `utf8_unichar_valid_range` of encode.c, for values that can be a `char`.
fn is_character(char: char) -> bool {
    !matches!(u32::from(char), 0xfdd0..=0xfdef) && u32::from(char) & 0xffff != 0xffff
}

fn push_hex(text: &mut String, byte: u8) {
    text.push_str(&format!("\\x{byte:02x}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_as_udev_writes_them() {
        for (label, expected) in [
            (&b"CentOS 7 x86_64"[..], r"CentOS\x207\x20x86_64"),
            (b"RHEL-7.5 Server.x86_64", r"RHEL-7.5\x20Server.x86_64"),
            (b"OL-7.9 Server.x86_64", r"OL-7.9\x20Server.x86_64"),
            (b"a/b", r"a\x2fb"),
            (b"it's \"7\"", r"it\x27s\x20\x227\x22"),
            (b"$(x);`y`&|<>", r"\x24\x28x\x29\x3b\x60y\x60\x26\x7c\x3c\x3e"),
            (b"a\\x20b*?[c]{d},~!%^", r"a\x5cx20b\x2a\x3f\x5bc\x5d\x7bd\x7d\x2c\x7e\x21\x25\x5e"),
            (b" lead\ting", r"\x20lead\x09ing"),
            (b"#+-.=@_LABEL=x", "#+-.=@_LABEL=x"),
            ("Größe-日本".as_bytes(), "Größe-日本"),
            // Not UTF-8, a half of a surrogate pair, and code points that are no characters.
            (b"\xff\xc3", r"\xff\xc3"),
            (b"\xed\xa0\xbd", r"\xed\xa0\xbd"),
            ("\u{fdd0}\u{ffff}".as_bytes(), r"\xef\xb7\x90\xef\xbf\xbf"),
            (b"...", "..."),
            (b"goldsmith", "goldsmith"),
        ] {
            assert_eq!(device_label(label).as_deref(), Ok(expected), "{}", String::from_utf8_lossy(label));
        }
    }

    #[test]
    fn labels_that_name_nothing_or_something_else_are_refused() {
        for (label, expected) in [
            ("", LabelError::Empty),
            ("a:b", LabelError::Colon),
            (":", LabelError::Colon),
            (".", LabelError::NoName),
            ("..", LabelError::NoName),
            ("GOLDSMITH", LabelError::Taken(TAKEN[0].1)),
            ("OEMDRV", LabelError::Taken(TAKEN[1].1)),
        ] {
            assert_eq!(device_label(label.as_bytes()), Err(expected), "{label}");
        }
    }
}

//! ASCII armor: binary data as text (RFC 4880, section 6).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The initial value and the generator of the checksum (section 6.1).
const CRC_INIT: u32 = 0x00b7_04ce;
const CRC_POLYNOMIAL: u32 = 0x0186_4cfb;

/// How a text in UTF-8 may begin (The Unicode Standard, section 23.8). Some editors write it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The OpenPGP data of a file: the file itself, or the data of all its blocks that are headed by `-----BEGIN PGP KIND-----`; none when it is a
/// text without such a block. `judge` sees the text first.
///
/// # Errors
/// A block is damaged, or `judge` refuses the text; in words that fit after the file's name.
pub(super) fn data(bytes: &[u8], kind: &str, judge: impl FnOnce(&str) -> Result<(), String>) -> Result<Option<Vec<u8>>, String> {
    // A packet that begins like the mark has tag 47, which no key and no signature has.
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK.encode_utf8(&mut [0; 3]).as_bytes()).unwrap_or(bytes);
    // Every packet begins with this bit (section 4.2), and no character of ASCII has it.
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(Some(bytes.to_vec()));
    }
    let text = String::from_utf8_lossy(bytes);
    judge(&text)?;
    unpacked(&text, kind)
}

/// The data of all blocks in `text` that are headed by `-----BEGIN PGP KIND-----`; none when there is no such block.
///
/// # Errors
/// A block is damaged, in words that fit after the file's name.
fn unpacked(text: &str, kind: &str) -> Result<Option<Vec<u8>>, String> {
    let begin = format!("-----BEGIN PGP {kind}-----");
    // Where files were joined, a mark is in the middle.
    let mut lines = text.lines().map(|line| line.trim_end().trim_start_matches(BYTE_ORDER_MARK));
    let mut data = None;
    while lines.any(|line| line == begin) {
        data.get_or_insert_with(Vec::new).extend(block(&mut lines)?);
    }
    Ok(data)
}

/// The data of a block whose first line was read.
fn block<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<u8>, String> {
    let (mut digits, mut checksum) = (String::new(), None);
    for line in lines {
        if line.starts_with("-----END PGP ") {
            let data = decoded(&digits).ok_or("is damaged: its armor is not valid base64")?;
            let given = checksum.map(|text| decoded(text).ok_or("is damaged: the checksum of its armor cannot be read")).transpose()?;
            // The checksum may be left out.
            if given.is_some_and(|given| given != crc(&data).to_be_bytes()[1..]) {
                return Err("is damaged: the checksum of its armor does not fit".to_owned());
            }
            return Ok(data);
        }
        match line.strip_prefix('=') {
            Some(text) => checksum = Some(text),
            // Every line with a colon is a header.
            None if !line.contains(':') => digits.push_str(line.trim_start()),
            None => {}
        }
    }
    Err("is cut short: the end of its armor is missing".to_owned())
}

fn crc(data: &[u8]) -> u32 {
    data.iter().fold(CRC_INIT, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 16, |crc, _| {
            let crc = crc << 1;
            if crc & 0x0100_0000 == 0 { crc } else { crc ^ CRC_POLYNOMIAL }
        })
    })
}

/// Decode base64 (section 6.3). As in GnuPG, padding may be missing, and bits after the last byte are ignored.
fn decoded(digits: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
    );
    LENIENT.decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4880, section 6.6.
    const MESSAGE: &str = "Hello\r\n-----BEGIN PGP MESSAGE-----\r\nVersion: OpenPrivacy 0.99\r\n\r\n\
        yDgBO22WxBHv7O8X7O/jygAEzol56iUKiXmV+XmpCtmpqQUKiQrFqclFqUDBovzS\r\nvBSFjNSiVHsuAA==\r\n=njUN\r\n-----END PGP MESSAGE-----\r\n";

    #[test]
    fn armor_is_taken_off_and_what_is_damaged_is_told() {
        let data = unpacked(MESSAGE, "MESSAGE").unwrap().unwrap();
        assert_eq!((data.len(), data[0], data[data.len() - 1]), (58, 0xc8, 0x00));
        assert_eq!(unpacked(&format!("{MESSAGE}\n{MESSAGE}"), "MESSAGE").unwrap().unwrap(), [&data[..], &data].concat());
        assert_eq!(unpacked(&MESSAGE.replace("=njUN\r\n", ""), "MESSAGE").unwrap().unwrap(), data);
        assert_eq!(unpacked(MESSAGE, "PUBLIC KEY BLOCK").unwrap(), None);
        for (text, expected) in [
            (MESSAGE.replace("=njUN", "=njUM"), "is damaged: the checksum of its armor does not fit"),
            (MESSAGE.replace("yDgB", "yDgC"), "is damaged: the checksum of its armor does not fit"),
            (MESSAGE.replace("=njUN", "=n*UN"), "is damaged: the checksum of its armor cannot be read"),
            (MESSAGE.replace("yDgB", "yD*B"), "is damaged: its armor is not valid base64"),
            (MESSAGE.replace("-----END", "----END"), "is cut short: the end of its armor is missing"),
        ] {
            assert_eq!(unpacked(&text, "MESSAGE").unwrap_err(), expected);
        }
    }

    #[test]
    fn base64_is_read_in_groups_of_four() {
        for (digits, expected) in
            [("", Some("")), ("TQ==", Some("M")), ("TWE=", Some("Ma")), ("TWFu", Some("Man")), ("TWFuT", None), ("T W=", None)]
        {
            assert_eq!(decoded(digits), expected.map(|text| text.as_bytes().to_vec()), "{digits}");
        }
    }
}

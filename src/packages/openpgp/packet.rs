//! Packets: what all OpenPGP data consists of (RFC 4880, section 4).

/// A signature (section 4.3).
pub(super) const SIGNATURE: u8 = 2;
/// A secret key, and one below it.
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const SECRET_SUBKEY: u8 = 7;
/// A public key, and one below it.
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const PUBLIC_SUBKEY: u8 = 14;
/// The owner of a key: a text, or something else.
pub(super) const USER_ID: u8 = 13;
pub(super) const USER_ATTRIBUTE: u8 = 17;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Its type.
    pub tag: u8,
    /// All of it.
    pub whole: &'a [u8],
    /// What follows its header.
    pub body: &'a [u8],
}

/// The packets of `bytes`, which have nothing else.
///
/// # Errors
/// They are not OpenPGP data, in words that fit after the file's name.
pub(super) fn packets(bytes: &[u8]) -> Result<Vec<Packet<'_>>, String> {
    let mut packets = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let packet = first(rest).ok_or("is damaged: it is not OpenPGP data")?;
        rest = &rest[packet.whole.len()..];
        packets.push(packet);
    }
    Ok(packets)
}

/// The packet that `bytes` begin with. Only messages and their data have lengths that are not in the header; none of those are read.
fn first(bytes: &[u8]) -> Option<Packet<'_>> {
    let head = *bytes.first()?;
    let number = |from: usize, to: usize| Some(bytes.get(from..to)?.iter().fold(0, |number: usize, byte| number << 8 | usize::from(*byte)));
    let (tag, start, length) = match (head & 0x80, head & 0x40) {
        (0, _) => return None,
        // The old format (section 4.2.1).
        (_, 0) => {
            let start = match head & 3 {
                0 => 2,
                1 => 3,
                2 => 5,
                _ => return None,
            };
            (head >> 2 & 0xf, start, number(1, start)?)
        }
        // The new format (section 4.2.2).
        _ => match number(1, 2)? {
            one @ 0..192 => (head & 0x3f, 2, one),
            one @ 192..224 => (head & 0x3f, 3, ((one - 192) << 8) + number(2, 3)? + 192),
            255 => (head & 0x3f, 6, number(2, 6)?),
            _ => return None,
        },
    };
    let end = start.checked_add(length)?;
    Some(Packet { tag, whole: bytes.get(..end)?, body: &bytes[start..end] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_both_formats_and_all_lengths_are_told_apart() {
        let long = vec![7; 300];
        let old: [&[u8]; 3] = [&[0x88, 1, 7], &[&[0x89, 1, 44][..], &long].concat(), &[&[0x9a, 0, 0, 1, 44][..], &long].concat()];
        let new: [&[u8]; 3] = [&[0xc2, 1, 7], &[&[0xc6, 192, 108][..], &long].concat(), &[&[0xce, 255, 0, 0, 1, 44][..], &long].concat()];
        for (pieces, tags) in [(old, [SIGNATURE, SIGNATURE, PUBLIC_KEY]), (new, [SIGNATURE, PUBLIC_KEY, PUBLIC_SUBKEY])] {
            let bytes = pieces.concat();
            let found = packets(&bytes).unwrap();
            assert_eq!(found.iter().map(|packet| packet.tag).collect::<Vec<_>>(), tags);
            assert_eq!(found.iter().map(|packet| packet.body.len()).collect::<Vec<_>>(), [1, 300, 300]);
            assert_eq!(found.iter().map(|packet| packet.whole).collect::<Vec<_>>().concat(), bytes);
        }
        for wrong in
            [&[0x00][..], &[0x88], &[0x88, 2, 7], &[0x8b, 1, 7], &[0xc2, 224, 7], &[0xc2, 255, 0xff, 0xff, 0xff, 0xff], &[0xc2, 192]]
        {
            assert!(packets(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(packets(&[]).unwrap(), []);
    }
}

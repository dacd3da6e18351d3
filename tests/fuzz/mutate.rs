//! Damages text. The formats consist of lines, words and numbers, so these are exchanged, and bytes too.

/// Numbers that depend only on a seed (Numerical Recipes, section 7.1, the 64-bit generator of Knuth).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// Words that are difficult for any reader.
const ODD: &[&str] = &[
    "",
    "0",
    "-1",
    "1",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551616",
    "99999999999999999999999999",
    "0x10",
    "1e9",
    "\0",
    "\r\n",
    "\n\n",
    "\t",
    "\u{feff}",
    "é",
    "\u{1b}[2J",
    "%s%n",
    "../",
    "'",
    "\"",
    "\\",
    "\\\n",
    "~",
    ":",
    "-",
];

/// One of `pool`, damaged in one to eight ways. `words` are words of the format.
pub fn mutated(dice: &mut Dice, pool: &[Vec<u8>], words: &[&str], longest: usize) -> Vec<u8> {
    let mut bytes = pool[dice.roll(pool.len())].clone();
    for _ in 0..1 + dice.roll(8) {
        let at = dice.roll(bytes.len() + 1);
        let until = (at + 1 + spread(dice)).min(bytes.len());
        match dice.roll(15) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            1 if at < bytes.len() => bytes[at] = dice.roll(256) as u8,
            2 if at < until => drop(bytes.drain(at..until)),
            3 if at < until => {
                let again = bytes[at..until].repeat(1 + dice.roll(20));
                insert(&mut bytes, at, &again);
            }
            4 => insert(&mut bytes, at, dice.pick(ODD).as_bytes()),
            5 | 6 => insert(&mut bytes, at, dice.pick(words).as_bytes()),
            7 => replace_word(dice, &mut bytes, at, words),
            8 | 9 => exchange_lines(dice, &mut bytes),
            10 => overwrite(&mut bytes, at, &number(dice)),
            11 => {
                // In a binary format the other bytes must stay at their places.
                let from = dice.roll(bytes.len() + 1);
                let piece = bytes[from..(from + 1 + spread(dice)).min(bytes.len())].to_vec();
                overwrite(&mut bytes, at, &piece);
            }
            12 => overwrite(&mut bytes, at, &vec![0; until - at.min(until)]),
            13 => {
                // The end of another text.
                let other = &pool[dice.roll(pool.len())];
                let from = dice.roll(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                // A piece of another text.
                let other = &pool[dice.roll(pool.len())];
                let from = dice.roll(other.len() + 1);
                let to = (from + 1 + spread(dice)).min(other.len());
                insert(&mut bytes, at, &other[from..to]);
            }
        }
        bytes.truncate(longest);
    }
    bytes
}

/// A number that is often small and seldom large.
fn spread(dice: &mut Dice) -> usize {
    let bits = dice.roll(10);
    dice.roll(1 << bits)
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn overwrite(bytes: &mut [u8], at: usize, piece: &[u8]) {
    bytes[at..].iter_mut().zip(piece).for_each(|(to, byte)| *to = *byte);
}

/// A number of 16 or 32 bits in either byte order, most often a small one.
fn number(dice: &mut Dice) -> Vec<u8> {
    let number = match dice.roll(4) {
        0 => u32::MAX - dice.roll(4) as u32,
        1 => 1 << dice.roll(32),
        _ => dice.roll(40) as u32,
    };
    match dice.roll(4) {
        0 => number.to_le_bytes().to_vec(),
        1 => number.to_be_bytes().to_vec(),
        2 => (number as u16).to_le_bytes().to_vec(),
        _ => (number as u16).to_be_bytes().to_vec(),
    }
}

/// Replace the word or number at `at` by another.
fn replace_word(dice: &mut Dice, bytes: &mut Vec<u8>, at: usize, words: &[&str]) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric();
    let end = at + bytes[at..].iter().take_while(|byte| is_word(byte)).count();
    let start = at - bytes[..at].iter().rev().take_while(|byte| is_word(byte)).count();
    let word = if dice.roll(2) == 0 { dice.pick(ODD) } else { dice.pick(words) };
    bytes.splice(start..end, word.bytes());
}

/// Drop, double or swap lines.
fn exchange_lines(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.is_empty() {
        return;
    }
    let (one, other) = (dice.roll(lines.len()), dice.roll(lines.len()));
    match dice.roll(3) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one]),
        _ => lines.swap(one, other),
    }
    *bytes = lines.concat();
}

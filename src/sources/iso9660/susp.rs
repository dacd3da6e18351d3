//! System use areas (SUSP) and their Rock Ridge entries (RRIP).

use super::error::{IsoError, Problem};
use super::extent::{BLOCK, Extent};
use super::record::Record;
use crate::base::read_at::ReadAt;

/// Continuation areas that one record may have: a name and a link of 255 bytes take two.
const CONTINUATIONS: usize = 8;
/// Bytes of a continuation area: it is within one block (SUSP 5.1).
const CONTINUATION_BYTES: u32 = BLOCK as u32;
/// Longest name, as Linux has them (NAME_MAX).
const NAME_BYTES: usize = 255;
/// Flags of an `NM` entry: it goes on in the next one; it stands for `.` or `..` (RRIP 4.1.4).
const NM_CONTINUE: u8 = 1;
const NM_SELF_OR_PARENT: u8 = 2 | 4;
/// The file type in a POSIX mode, and two of its values (sys/stat.h).
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;

/// The Rock Ridge properties of an entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RockRidge {
    /// Its name.
    pub name: Option<Vec<u8>>,
    /// It is neither a file nor a directory.
    pub special: bool,
    /// It is a directory that was moved away from the record that has a `CL` entry for it.
    pub relocated: bool,
    /// It stands for the directory at this block.
    pub child: Option<u32>,
}

impl RockRidge {
    /// Read a system use area.
    pub(super) fn read(bytes: &dyn ReadAt, area: &[u8]) -> Result<Self, Problem> {
        let mut found = Self::default();
        let mut name_ended = false;
        each(bytes, area, |signature, data| {
            match (signature, data) {
                // An `NM` entry with this flag is for `.` or `..` and has no name.
                (b"NM", [flags, part @ ..]) if !name_ended && flags & NM_SELF_OR_PARENT == 0 => {
                    name_ended = flags & NM_CONTINUE == 0;
                    let name = found.name.get_or_insert_default();
                    name.extend_from_slice(part);
                    if name.len() > NAME_BYTES {
                        return Err(Problem::What("a name in it is longer than 255 bytes"));
                    }
                }
                (b"PX", [a, b, c, d, ..]) => found.special |= !matches!(u32::from_le_bytes([*a, *b, *c, *d]) & S_IFMT, S_IFREG | S_IFDIR),
                (b"SL", _) => found.special = true,
                (b"RE", _) => found.relocated = true,
                (b"CL", [a, b, c, d, ..]) => found.child = Some(u32::from_le_bytes([*a, *b, *c, *d])),
                _ => {}
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// How many bytes of each system use area are not SUSP's, when the image has Rock Ridge. The root's own record says so, in an `SP` entry
/// at its beginning and in `ER`, `RR` or `PX` entries after it.
pub(super) fn rock_ridge(bytes: &dyn ReadAt, root: Extent) -> Result<Option<usize>, IsoError> {
    let corrupt = |what| IsoError::Corrupt { at: "directory /".to_owned(), what };
    let mut sector = [0; BLOCK as usize];
    bytes.read_at(root.start, &mut sector).map_err(|error| Problem::Io(error).at(&corrupt))?;
    let record = sector.get(..usize::from(sector[0])).ok_or_else(|| corrupt("it has no record"))?;
    let area = Record::parse(record).map_err(corrupt)?.system_use;
    let [b'S', b'P', 7, _, 0xbe, 0xef, skip, ..] = area else { return Ok(None) };
    let mut has_rock_ridge = false;
    each(bytes, area, |signature, _| {
        has_rock_ridge |= matches!(signature, b"ER" | b"RR" | b"PX");
        Ok(())
    })
    .map_err(|problem| problem.at(&corrupt))?;
    Ok(has_rock_ridge.then_some(usize::from(*skip)))
}

/// Give the signature and data of each entry of `area` and its continuations to `take`. An entry that is cut off ends its area, as
/// padding does.
fn each(bytes: &dyn ReadAt, area: &[u8], mut take: impl FnMut(&[u8; 2], &[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut area = area.to_vec();
    for _ in 0..=CONTINUATIONS {
        let mut next = None;
        let mut rest = &area[..];
        while let [a, b, length, _version, ..] = rest {
            let length = usize::from(*length);
            let Some(data) = rest.get(4..length) else { break };
            match (&[*a, *b], data) {
                (b"ST", _) => break,
                (b"CE", data) if data.len() >= 24 => next = Some([0, 8, 16].map(|at| word(data, at))),
                (signature, data) => take(signature, data)?,
            }
            rest = &rest[length..];
        }
        let Some([block, offset, length]) = next else { return Ok(()) };
        if length > CONTINUATION_BYTES {
            return Err(Problem::What("a continuation area in it is larger than a block"));
        }
        area.resize(length as usize, 0);
        // OK to add and multiply: 32-bit numbers.
        bytes.read_at(u64::from(block) * BLOCK + u64::from(offset), &mut area)?;
    }
    Err(Problem::What("its continuation areas have no end"))
}

fn word(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

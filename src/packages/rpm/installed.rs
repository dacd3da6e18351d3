//! What RPM's database says is installed: a header for each package.

use std::io::Read;

use super::berkeley;
use super::header::{INT32, INT64, STRING, Section};
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::installed::Installed;

/// Tags (rpm 4.18, include/rpm/rpmtag.h).
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const SUMMARY: u32 = 1004;
const SIZE: u32 = 1009;
const ARCH: u32 = 1022;
const SOURCE_RPM: u32 = 1044;
const LONG_SIZE: u32 = 5009;
/// A text with translations, the untranslated one first (`RPM_I18NSTRING_TYPE`).
const I18N: u32 = 9;
/// What a header in the database begins with less than one in a package: magic and four reserved bytes.
const INTRO: &[u8] = b"\x8e\xad\xe8\x01\0\0\0\0";

/// The installed packages of a database that is kept in Berkeley DB, by name. `name` is what errors call it. Keys that were imported to verify
/// packages are among them, as `gpg-pubkey`.
///
/// # Errors
/// The database or a header in it is damaged.
pub fn installed(name: &str, database: &[u8]) -> Result<Vec<Installed>, IndexError> {
    let whole = |problem: Problem| IndexError::whole(name, problem);
    let mut found = Vec::new();
    for (key, value) in berkeley::items(database).map_err(|why| whole(malformed(why)))? {
        // The number of the next package stands under the number 0 (rpm 4.11, lib/rpmdb.c).
        if key != [0; 4] {
            found.push(package(&value).map_err(|why| whole(malformed(why)))?);
        }
    }
    found.sort_by(|a, b| (&a.name, &a.version, &a.architecture).cmp(&(&b.name, &b.version, &b.architecture)));
    Ok(found)
}

fn package(header: &[u8]) -> Result<Installed, String> {
    let section = match Section::read(&mut INTRO.chain(header)) {
        Ok(section) => section.map_err(|why| format!("a package {why}"))?,
        // OK: memory can always be read.
        Err(error) => return Err(error.to_string()),
    };
    let text = |tag, kind| section.text(tag, kind).map(str::to_owned);
    let name = text(NAME, STRING).ok_or("a header has no name")?;
    let (version, release) = (text(VERSION, STRING), text(RELEASE, STRING));
    let (version, release) = version.zip(release).ok_or_else(|| format!("the header of {name} has no version or release"))?;
    let epoch = section.number(EPOCH, INT32).map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let source = text(SOURCE_RPM, STRING);
    Ok(Installed {
        version: format!("{epoch}{version}-{release}"),
        architecture: text(ARCH, STRING).unwrap_or_default(),
        // NAME-VERSION-RELEASE.src.rpm; a key has none.
        source: source.and_then(|file| file.rsplitn(3, '-').nth(2).map(str::to_owned)).unwrap_or_else(|| name.clone()),
        bytes: section.number(LONG_SIZE, INT64).or_else(|| section.number(SIZE, INT32)),
        summary: text(SUMMARY, I18N).unwrap_or_default(),
        name,
    })
}

//! Reads the first bytes of an RPM package.
//!
//! Tags are those of rpm 4.11's lib/rpmtag.h. Only the fields are read that reveal a package in the wrong place.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::packages::rpm::header::{Header, INT32, INT64, LEAD_BYTES, LEAD_MAGIC, STRING, Section};
use crate::sources::magic;

/// Bytes by which a file is identified that is no package.
const HEAD_BYTES: u64 = 1024;

/// The texts and numbers that are read: tag and type.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCH: u32 = 1022;
const SOURCE_RPM: u32 = 1044;
const COMPRESSOR: u32 = 1125;
/// Tags of the signature: bytes of header and payload.
const SIZE: u32 = 1000;
const LONG_SIZE: u32 = 270;

/// An RPM package, as its header has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageHeader {
    /// `docker-ce`.
    pub name: String,
    /// Absent is 0 to rpm.
    pub epoch: Option<u32>,
    /// `18.09.6`.
    pub version: String,
    /// `3.el7`.
    pub release: String,
    /// `x86_64`, `noarch`; of a source package the one it was made on.
    pub arch: String,
    /// It holds sources, and nothing to install.
    pub is_source: bool,
    /// How its files are compressed: `gzip`, `xz`, `zstd`.
    pub compressor: String,
}

impl fmt::Display for PackageHeader {
    /// As yum writes it: `docker-ce-3:18.09.6-3.el7.x86_64`, without an epoch of 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.name)?;
        if let Some(epoch) = self.epoch.filter(|epoch| *epoch > 0) {
            write!(f, "{epoch}:")?;
        }
        let arch = if self.is_source { "src" } else { &self.arch };
        write!(f, "{}-{}.{arch}", self.version, self.release)
    }
}

/// Read the header of a package of `bytes` bytes. The inner error is in words that fit after its name.
///
/// # Errors
/// Those of reading.
pub(super) fn read(reader: &mut dyn Read, bytes: u64) -> io::Result<Result<PackageHeader, String>> {
    let mut head = Vec::new();
    reader.take(HEAD_BYTES).read_to_end(&mut head)?;
    if !head.starts_with(LEAD_MAGIC) {
        let is = if head.is_empty() { "an empty file" } else { magic::kind_of(&head).trim_end_matches(',') };
        return Ok(Err(format!("is {is}, and not the RPM package it is called")));
    }
    let mut rest = head.get(LEAD_BYTES..).unwrap_or_default().chain(reader);
    let signature = match Section::read(&mut rest)? {
        Ok(signature) => signature,
        Err(what) => return Ok(Err(what)),
    };
    let padding = signature.padding();
    io::copy(&mut rest.by_ref().take(padding as u64), &mut io::sink())?;
    let before = (LEAD_BYTES + signature.bytes() + padding) as u64;
    let entries = signature.entries();
    let size = entries.number(SIZE, INT32).or_else(|| entries.number(LONG_SIZE, INT64));
    if let Some(whole) = size.map(|size| size.saturating_add(before)).filter(|whole| *whole > bytes) {
        return Ok(Err(format!("is cut short: it has {bytes} of {whole} bytes")));
    }
    Ok(Section::read(&mut rest)?.and_then(|header| package(header.entries())))
}

fn package(header: Header<'_>) -> Result<PackageHeader, String> {
    let text = |tag, name| header.text(tag, STRING).map(str::to_owned).ok_or_else(|| format!("is damaged: its header has no {name}"));
    Ok(PackageHeader {
        name: text(NAME, "name")?,
        epoch: header.number(EPOCH, INT32).and_then(|epoch| epoch.try_into().ok()),
        version: text(VERSION, "version")?,
        release: text(RELEASE, "release")?,
        arch: text(ARCH, "architecture")?,
        // A package without the name of its source package is itself one (rpm 4.11, lib/headerutil.c, `headerIsSource`).
        is_source: header.text(SOURCE_RPM, STRING).is_none(),
        // Without a name it is gzip (rpm 4.11, lib/psm.c).
        compressor: header.text(COMPRESSOR, STRING).unwrap_or("gzip").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entry<'a> = (u32, u32, &'a [u8]);

    fn section(entries: &[Entry<'_>]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, content) in entries {
            let words = [*tag, *kind, data.len() as u32, 1];
            index.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            data.extend_from_slice(content);
        }
        let sizes = [entries.len() as u32, data.len() as u32].map(u32::to_be_bytes).concat();
        [b"\x8e\xad\xe8\x01", &[0; 4][..], &sizes, &index, &data].concat()
    }

    fn package(signature: &[Entry<'_>], header: &[Entry<'_>]) -> Vec<u8> {
        let mut bytes = [LEAD_MAGIC, &[0; LEAD_BYTES - 4], &section(signature)].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(section(header));
        bytes
    }

    fn verdict(bytes: &[u8]) -> Result<PackageHeader, String> {
        read(&mut &*bytes, bytes.len() as u64).unwrap()
    }

    const DOCKER: &[Entry<'_>] = &[
        (NAME, STRING, b"docker-ce\0"),
        (VERSION, STRING, b"18.09.6\0"),
        (RELEASE, STRING, b"3.el7\0"),
        (EPOCH, INT32, b"\0\0\0\x03"),
        (ARCH, STRING, b"x86_64\0"),
        (SOURCE_RPM, STRING, b"docker-ce-18.09.6-3.el7.src.rpm\0"),
        (COMPRESSOR, STRING, b"xz\0"),
    ];

    #[test]
    fn a_package_says_what_it_is() {
        let docker = verdict(&package(&[(SIZE, INT32, &[0, 0, 0, 16])], DOCKER)).unwrap();
        assert_eq!((docker.to_string().as_str(), docker.is_source), ("docker-ce-3:18.09.6-3.el7.x86_64", false));
        let source = verdict(&package(&[], &DOCKER[..5])).unwrap();
        assert_eq!((source.to_string().as_str(), source.compressor.as_str()), ("docker-ce-3:18.09.6-3.el7.src", "gzip"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let whole = package(&[], DOCKER);
        let size = |bytes: u32| package(&[(SIZE, INT32, &bytes.to_be_bytes())], DOCKER);
        let wrong = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        };
        let far = [DOCKER, &[(1, 1, b"")]].concat();
        let mut far = package(&[], &far);
        far[LEAD_BYTES + 16 + 16 + 8..][..4].fill(0xff);
        for (bytes, expected) in [
            (b"<html><body>404".to_vec(), "is a web page, and not the RPM package it is called"),
            (vec![0; 9], "is a file that begins with zeros, as one that was never filled does, and not the RPM package it is called"),
            ([vec![b'x'; 1023], "ä".as_bytes().to_vec()].concat(), "is a text, and not the RPM package it is called"),
            (Vec::new(), "is an empty file, and not the RPM package it is called"),
            (b"PK\x03\x04".to_vec(), "is a zip archive, and not the RPM package it is called"),
            (whole[..50].to_vec(), "is cut short: it ends within its header"),
            (whole[..LEAD_BYTES + 20].to_vec(), "is cut short: it ends within its header"),
            (whole[..whole.len() - 1].to_vec(), "is cut short: it ends within its header"),
            (size(100_000), "is cut short: it has 334 of 100136 bytes"),
            (wrong(LEAD_BYTES, 0), "is damaged: its header does not begin as one does"),
            (wrong(LEAD_BYTES + 16 + 8, 1), "is damaged: a header of 16777223 entries and 70 B is more than rpm takes"),
            (wrong(LEAD_BYTES + 16 + 12, 1), "is damaged: a header of 7 entries and 16.0 MiB is more than rpm takes"),
            (far, "is damaged: its header has no name"),
            (package(&[], &DOCKER[1..]), "is damaged: its header has no name"),
            (package(&[], &[(NAME, STRING, &[b'a'; 300])]), "is damaged: its header has no name"),
        ] {
            assert_eq!(verdict(&bytes).unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(changes in prop::collection::vec((0..340_usize, any::<u8>()), 0..20), cut in 0..400_usize) {
            let mut bytes = package(&[(LONG_SIZE, INT64, &[0; 8])], DOCKER);
            for (at, byte) in changes {
                let length = bytes.len();
                bytes[at % length] = byte;
            }
            bytes.truncate(cut);
            let _ = verdict(&bytes);
        }
    }
}

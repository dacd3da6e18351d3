//! Databases of installed packages: the inputs of their readers, and the conditions that must hold.

use std::io::Read;

use goldsmith::packages::installed::{self, DatabaseError, FileLists, Installation, Installed, InstalledFile, RpmDatabase};

/// The first bytes of a write-ahead log of SQLite, in either byte order of its checksums. An input is a log from there on.
const LOGS: [&[u8]; 2] = [b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"];

/// A seed, with xz unpacked.
pub fn expanded(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    liblzma::read::XzDecoder::new(seed).read_to_end(&mut bytes).unwrap();
    vec![bytes]
}

/// Read an RPM database with and without its files.
pub fn read_rpm(bytes: &[u8]) -> String {
    let log = (0..bytes.len()).find(|at| LOGS.iter().any(|magic| bytes[*at..].starts_with(magic))).unwrap_or(bytes.len());
    let (bytes, log) = bytes.split_at(log);
    let database = RpmDatabase { name: "database", bytes, log, journal: &[] };
    let (mut files, mut paths, mut told) = (0_u64, 0, [0_u64; 5]);
    let mut each = |package: &Installed, file: &InstalledFile<'_>| {
        assert!(!package.name.is_empty() && file.path.len() <= 4096);
        (files, paths) = (files + 1, paths + file.path.len());
        let there = [file.mode.is_some(), file.owner.is_some(), file.size.is_some(), file.digest.is_some(), file.target.is_some()];
        told.iter_mut().zip(there).for_each(|(count, there)| *count += u64::from(there));
    };
    let with = installed::rpm(&database, Some(&mut each));
    let without = installed::rpm(&database, None);
    // The list of files can be damaged when the package is not.
    assert!(with.is_err() || without.is_ok(), "{with:?} {without:?}");
    if let (Ok(with), Ok(without)) = (&with, &without) {
        assert!(with.packages.iter().all(|package| without.packages.contains(package)));
        assert!(with.damaged.len() >= without.damaged.len());
    }
    // A header has at least a byte for each file.
    assert!(files as usize <= bytes.len() + log.len(), "{files} files");
    let told = told.map(|count| count.cmp(&files));
    format!("{} {} {} {told:?}", shape(with), super::targets::about(files as usize), super::targets::about(paths / 64))
}

/// Read a status file of dpkg, and its paragraphs as lists of files.
pub fn read_dpkg(bytes: &[u8]) -> String {
    let mut configuration = 0;
    let mut each = |package: &Installed, file: &InstalledFile<'_>| {
        assert!(!package.name.is_empty() && !file.path.is_empty());
        configuration += 1;
    };
    let read = installed::dpkg(&[("status", bytes)], Some(&mut each));
    let half = bytes.split_at(bytes.len() / 2);
    let lists = FileLists { list: half.0, md5sums: half.1, conffiles: half.1 };
    let mut files = 0;
    let listed = lists.each("list", &Installed::default(), &mut |_, file| {
        assert!(file.path.starts_with(b"/") && file.path.len() <= 4096);
        files += 1;
    });
    let listed = listed.map_err(said);
    format!("{} {} {} {listed:?}", shape(read), super::targets::about(configuration), super::targets::about(files))
}

/// The part of an answer that distinguishes readings.
fn shape(read: Result<Installation, DatabaseError>) -> String {
    match read {
        Ok(read) => {
            let all = || read.packages.iter().chain(&read.others);
            assert!(all().all(|package| !package.name.is_empty()));
            let there = all().next().map(|package| {
                [&package.architecture, &package.source, &package.license, &package.vendor, &package.summary, &package.signed_by]
                    .map(Option::is_some)
            });
            let damaged: std::collections::BTreeSet<_> = read.damaged.into_iter().map(said).collect();
            format!("{:?} {} {} {there:?} {damaged:?}", read.format, read.packages.len().min(9), read.others.len().min(9))
        }
        Err(error) => said(error),
    }
}

fn said(error: DatabaseError) -> String {
    let text = error.to_string();
    assert!(text.len() < 1_000 && !text.contains(|c: char| c.is_control() && c != '\t'), "not fit to print: {text:?}");
    super::targets::own_words(&error.problem.to_string())
}

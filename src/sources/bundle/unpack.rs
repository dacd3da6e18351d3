//! Writes a bundle's files into a directory. Only files that were inspected are written, under the paths they were found to have.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::archive::{Found, Holds};
use super::listing::FileRecord;
use super::problem::{Problem, Stop};
use super::{archive, names};
use crate::base::aside::Meter;
use crate::base::digest::HashingWriter;

/// The time of every file: the first that FAT has, 1980-01-01. With the times of the archives, the same inputs would give different disks.
pub(in crate::sources) const TIME: Duration = Duration::from_secs(315_532_800);
/// Bytes copied at a time.
const PIECE: usize = 256 << 10;

/// Unpack `files`, whose paths are seen from the directory `top` of the archive at `path`.
pub(super) fn from_archive(path: &Path, top: &str, files: &[FileRecord], dest: &Path, meter: &Arc<Meter>) -> Result<(), Stop> {
    let (links, files): (Vec<&FileRecord>, Vec<&FileRecord>) = files.iter().partition(|file| file.link_to.is_some());
    let mut left: HashMap<&str, &FileRecord> = files.into_iter().map(|file| (file.path.as_str(), file)).collect();
    archive::each_file(path, Holds::Packages, meter, |found| match found {
        Found::File { path, content, .. } => match names::below(path, top).and_then(|name| left.remove(name)) {
            Some(file) => write(dest, file, content, |error| archive::cut_off(error, path)),
            None => Ok(()),
        },
        Found::Link { .. } => Ok(()),
    })?;
    if let Some(missing) = left.keys().min() {
        return Err(Problem::with(*missing, "is gone since the archive was inspected").into());
    }
    links.into_iter().try_for_each(|link| copy(dest, link, dest))
}

/// Copy `files`, whose paths are seen from the directory `root`.
pub(super) fn from_directory(root: &Path, files: &[FileRecord], dest: &Path, meter: &Arc<Meter>) -> Result<(), Stop> {
    for file in files.iter().filter(|file| file.link_to.is_none()) {
        let unreadable = |error: io::Error| Stop::Unreadable(io::Error::new(error.kind(), format!("`{}`: {error}", file.path)));
        let mut content = meter.measure(File::open(root.join(&file.path)).map_err(unreadable)?);
        write(dest, file, &mut content, unreadable)?;
    }
    files.iter().filter(|file| file.link_to.is_some()).try_for_each(|link| copy(dest, link, dest))
}

/// Write `files`, path to content.
pub(super) fn write_files(dest: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Stop> {
    files.iter().try_for_each(|(name, content)| {
        let target = dest.join(name);
        let written = create(&target).and_then(|mut file| file.write_all(content).and_then(|()| date(&file)));
        written.map_err(|source| Stop::Unwritable { path: target, source })
    })
}

/// Put a file in the place of a link, whose target is in `from`.
fn copy(from: &Path, link: &FileRecord, dest: &Path) -> Result<(), Stop> {
    let target = from.join(link.link_to.as_deref().unwrap_or_default());
    let failed = |source| Stop::Unwritable { path: target.clone(), source };
    let mut content = File::open(&target).map_err(failed)?;
    write(dest, link, &mut content, failed)
}

/// Write one file and compare it with what was inspected. `unreadable` converts the errors of its reader.
fn write(dest: &Path, file: &FileRecord, content: &mut dyn Read, unreadable: impl Fn(io::Error) -> Stop) -> Result<(), Stop> {
    let target = dest.join(&file.path);
    let unwritable = |source| Stop::Unwritable { path: target.clone(), source };
    let mut hasher = HashingWriter::new(create(&target).map_err(unwritable)?);
    let mut piece = vec![0; PIECE];
    let mut left = file.bytes;
    loop {
        let read = content.read(&mut piece).map_err(&unreadable)?;
        // Never write more than was inspected, even if the file has grown.
        left = match left.checked_sub(read as u64) {
            Some(left) if read > 0 => left,
            _ => break,
        };
        hasher.write_all(&piece[..read]).map_err(unwritable)?;
    }
    let (written, sha256) = hasher.finish();
    if sha256 != file.sha256 {
        return Err(Problem::with(&file.path, "was changed since it was inspected").into());
    }
    date(&written).map_err(unwritable)
}

/// A new file; its directories are made.
fn create(target: &Path) -> io::Result<File> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create_new(target)
}

fn date(file: &File) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + TIME))
}

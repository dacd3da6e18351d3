//! The content of a bundle: its files by digest, its packages by their headers, and its repository's metadata unchanged.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive::{self, ENTRIES, FILE_BYTES, Found, Holds, TOTAL_BYTES};
use super::header::{self, PackageHeader};
use super::names::{self, Seen};
use super::problem::{Problem, Problems, Stop};
use crate::base::aside::Meter;
use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::base::size::rounded;
use crate::base::text::counted;

/// The directory of a repository's metadata.
pub(super) const REPODATA: &str = "repodata";
/// The file that names the others.
pub(super) const REPOMD: &str = "repomd.xml";
/// Bytes of metadata that are kept in memory. Those of the DVD's four thousand packages are 12 MiB.
const REPODATA_BYTES: u64 = 64 << 20;
/// Links that are followed one after the other.
const HOPS: usize = 8;
/// Repositories that are named when there are several.
const NAMED: usize = 5;

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path: parts separated by `/`, seen from the directory that holds `repodata`.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its header, when it is a package.
    pub package: Option<PackageHeader>,
    /// The file that it is a link to: there is its content.
    pub(super) link_to: Option<String>,
}

/// The files of a bundle, as they come.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order of their paths, after [`Listing::rooted`].
    pub files: Vec<FileRecord>,
    /// Files in `repodata` directories, by path.
    pub repodata: BTreeMap<String, Vec<u8>>,
    /// SQLite files in `repodata`, by path: as many as there is room for. They are only needed to judge the metadata.
    pub databases: BTreeMap<String, Vec<u8>>,
    /// Files of other directories that may be metadata, by path, as many as there is room for: a link may call such a directory `repodata`.
    aside: BTreeMap<String, Vec<u8>>,
    kept_aside: u64,
    /// The directory that paths are seen from; empty for the bundle's own.
    pub top: String,
    /// Path and target.
    links: Vec<(String, String)>,
    kept: u64,
    kept_of_databases: u64,
    seen: Seen,
    problems: Problems,
}

impl Listing {
    /// List an archive.
    pub(super) fn of_archive(path: &Path, meter: &Arc<Meter>) -> Result<Self, Stop> {
        let mut listing = Self::default();
        match archive::each_file(path, Holds::Packages, meter, |found| listing.add(found)) {
            Err(Stop::Packing(problems)) => {
                listing.problems.extend(problems);
                return Err(Stop::Packing(listing.problems));
            }
            read => read?,
        }
        let packed_bytes = fs::metadata(path).map_err(Stop::Unreadable)?.len();
        listing.follow(archive::allowance(packed_bytes), |path, total| archive::too_much(path, total, packed_bytes))?;
        listing.rooted()
    }

    /// List a directory, of which these are the files and links. All are hashed.
    pub(super) fn of_directory(root: &Path, walked: &Walked, meter: &Arc<Meter>) -> Result<Self, Stop> {
        let mut listing = Self::default();
        for (path, bytes) in &walked.files {
            let file = File::open(root.join(path)).map_err(|error| unreadable(&error, path))?;
            let mut content = meter.measure(file.take(bytes.saturating_add(1)));
            listing.add(Found::File { path, bytes: *bytes, content: &mut content })?;
        }
        for (path, target) in &walked.links {
            listing.add(Found::Link { path, target: target.clone() })?;
        }
        listing.follow(TOTAL_BYTES, |path, total| Problem::with(path, format!("brings the files to {}", rounded(total))))?;
        listing.rooted()
    }

    fn add(&mut self, found: Found<'_>) -> Result<(), Stop> {
        let (Found::File { path, .. } | Found::Link { path, .. }) = found;
        if is_junk(path) {
            return Ok(());
        }
        if let Err(before) = self.seen.add(path) {
            let what = match before == path {
                true => "is there twice".to_owned(),
                false => format!("is in the way of `{before}`: names on FAT32, on which both travel, ignore case"),
            };
            self.problems.add(Problem::with(path, what));
            return Ok(());
        }
        match found {
            Found::File { path, bytes, content } => self.add_file(path, bytes, content)?,
            Found::Link { path, target } => self.links.push((path.to_owned(), target)),
        }
        Ok(())
    }

    fn add_file(&mut self, path: &str, bytes: u64, content: &mut dyn Read) -> Result<(), Stop> {
        let keep = self.keeps(path, bytes)?;
        let is_database = is_database(path);
        let may_be_metadata = !keep && !is_database && (path.contains(".xml") || path.contains(".sqlite"));
        let keep_aside = may_be_metadata && self.kept_aside.saturating_add(bytes) <= REPODATA_BYTES;
        let keep_database = is_database && self.kept_of_databases.saturating_add(bytes) <= REPODATA_BYTES;
        let mut content = Hashed { reader: content, hasher: HashingWriter::new(io::sink()), count: 0 };
        let mut metadata = Vec::new();
        let mut read = || -> io::Result<Option<Result<PackageHeader, String>>> {
            let package = if is_package(path) { Some(header::read(&mut content, bytes)?) } else { None };
            match keep || keep_database || keep_aside {
                true => content.read_to_end(&mut metadata)?,
                false => io::copy(&mut content, &mut io::sink())? as usize,
            };
            Ok(package)
        };
        let package = read().map_err(|error| archive::cut_off(error, path))?;
        if content.count != bytes {
            return Err(Problem::with(path, "was changed while it was read").into());
        }
        if keep {
            self.repodata.insert(path.to_owned(), metadata);
        } else if keep_database {
            self.kept_of_databases += bytes;
            self.databases.insert(path.to_owned(), metadata);
        } else if keep_aside {
            self.kept_aside += bytes;
            self.aside.insert(path.to_owned(), metadata);
        }
        let sha256 = content.hasher.finish().1;
        match package.transpose() {
            Ok(package) => self.files.push(FileRecord { path: path.to_owned(), bytes, sha256, package, link_to: None }),
            Err(what) => self.problems.add(Problem::with(path, what)),
        }
        Ok(())
    }

    /// Whether the content of the file `path` is metadata, for which there must be room.
    fn keeps(&mut self, path: &str, bytes: u64) -> Result<bool, Stop> {
        let keep = names::last(names::parent(path)) == REPODATA && !path.contains(".sqlite");
        self.kept = self.kept.saturating_add(if keep { bytes } else { 0 });
        match self.kept > REPODATA_BYTES {
            true => Err(Problem::with(path, format!("brings the metadata to {}", rounded(self.kept))).into()),
            false => Ok(keep),
        }
    }

    /// Put files in the places of links, which FAT32 does not have. Together they may have `allowed` bytes.
    fn follow(&mut self, allowed: u64, too_much: impl Fn(&str, u64) -> Problem) -> Result<(), Stop> {
        let mut total = self.files.iter().fold(0, |total: u64, file| total.saturating_add(file.bytes));
        let links: HashMap<&str, &str> = self.links.iter().map(|(path, target)| (path.as_str(), target.as_str())).collect();
        let files: BTreeMap<&str, &FileRecord> = self.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let mut found = Vec::new();
        for (path, target) in &self.links {
            let end = (0..HOPS).fold(target.as_str(), |at, _| links.get(at).copied().unwrap_or(at));
            let stands_for = stands_for(path, end, &files);
            if stands_for.is_empty() {
                self.problems.add(Problem::with(path, format!("is a link to `{target}`, and no file of the bundle is there")));
            }
            for link in stands_for {
                total = total.saturating_add(link.bytes);
                if total > allowed {
                    return Err(too_much(path, total).into());
                }
                if files.len() + found.len() >= ENTRIES {
                    return Err(Problem::with(path, format!("brings the bundle to more than {ENTRIES} files")).into());
                }
                match names::normal(link.path.as_bytes()) {
                    Ok(_) => found.push(link),
                    Err(what) => self.problems.add(Problem::with(link.path, what)),
                }
            }
        }
        for link in found {
            let target = link.link_to.as_deref().unwrap_or_default();
            let content = self.repodata.get(target).or_else(|| self.databases.get(target)).or_else(|| self.aside.get(target)).cloned();
            match (self.keeps(&link.path, link.bytes)?, content) {
                (true, Some(content)) => drop(self.repodata.insert(link.path.clone(), content)),
                (true, None) => return Err(Problem::with(&link.path, "is a link to metadata that is not called .xml or .sqlite").into()),
                (false, Some(content)) if is_database(&link.path) => drop(self.databases.insert(link.path.clone(), content)),
                (false, _) => {}
            }
            self.files.push(link);
        }
        Ok(())
    }

    /// The listing as seen from the directory that holds the repository: the one around `repodata`, or else around all packages.
    fn rooted(mut self) -> Result<Self, Stop> {
        if !self.problems.is_empty() {
            return Err(Stop::Packing(self.problems));
        }
        self.top = self.top()?;
        let under = |path: &str| names::below(path, &self.top).map(str::to_owned);
        let mut files = Vec::new();
        for file in std::mem::take(&mut self.files) {
            let Some(path) = under(&file.path) else { continue };
            let link_to = file.link_to.as_deref().map(under);
            if link_to == Some(None) {
                self.problems.add(Problem::with(&file.path, "is a link that leads out of the repository"));
            }
            files.push(FileRecord { path, link_to: link_to.flatten(), ..file });
        }
        for (path, what) in names::misfits(files.iter().map(|file| file.path.as_str())) {
            self.problems.add(Problem::with(path, what));
        }
        if !self.problems.is_empty() {
            return Err(Stop::Packing(self.problems));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let repodata = std::mem::take(&mut self.repodata);
        self.repodata = repodata.into_iter().filter_map(|(path, bytes)| Some((under(&path)?, bytes))).collect();
        self.repodata.retain(|path, _| names::parent(path) == REPODATA);
        let databases = std::mem::take(&mut self.databases);
        self.databases = databases.into_iter().filter_map(|(path, bytes)| Some((under(&path)?, bytes))).collect();
        self.files = files;
        Ok(self)
    }

    fn top(&self) -> Result<String, Problem> {
        let ends = format!("{REPODATA}/{REPOMD}");
        let around = |path: &str| match path.strip_suffix(&ends) {
            Some("") => Some(String::new()),
            Some(top) => top.strip_suffix('/').map(str::to_owned),
            None => None,
        };
        let mut tops: Vec<String> = self.repodata.keys().filter_map(|path| around(path)).collect();
        tops.sort_by_key(String::len);
        if let Some((first, rest)) = tops.split_first() {
            // A repository within another one is a part of it.
            if rest.iter().all(|other| names::below(other, first).is_some()) {
                return Ok(first.clone());
            }
            let named: Vec<String> = tops.iter().take(NAMED).map(|top| format!("`{top}`")).collect();
            let (several, named) = (counted(tops.len(), "repository").replace("ys", "ies"), named.join(", "));
            return Err(Problem::whole(format!("it holds {several}, and a recipe's repository is one: {named}")));
        }
        let mut packages = self.files.iter().map(|file| file.path.as_str()).filter(|path| is_package(path)).map(names::parent);
        let first =
            packages.next().ok_or_else(|| Problem::whole("it holds neither packages (*.rpm) nor their metadata (repodata/repomd.xml)"))?;
        Ok(packages.fold(first, common).to_owned())
    }
}

/// The files in the place of a link at `path` that leads to `end`: a file, or the files below a directory. A directory that holds the link
/// itself gives none, because it would have no end.
fn stands_for(path: &str, end: &str, files: &BTreeMap<&str, &FileRecord>) -> Vec<FileRecord> {
    let link = |path: String, file: &FileRecord| FileRecord { path, link_to: Some(file.path.clone()), ..file.clone() };
    if let Some(file) = files.get(end) {
        return vec![link(path.to_owned(), file)];
    }
    if end.is_empty() || names::below(path, end).is_some() {
        return Vec::new();
    }
    let inside = format!("{end}/");
    let below = files.range(inside.as_str()..).map_while(|(name, file)| Some((name.strip_prefix(&inside)?, *file)));
    below.map(|(rest, file)| link(format!("{path}/{rest}"), file)).collect()
}

/// Whether the path is that of a SQLite file of a repository's metadata.
fn is_database(path: &str) -> bool {
    names::last(names::parent(path)) == REPODATA && path.contains(".sqlite")
}

/// Whether the name is a package's.
pub(super) fn is_package(path: &str) -> bool {
    path.ends_with(".rpm")
}

/// Files that macOS adds to archives and directories.
fn is_junk(path: &str) -> bool {
    let name = names::last(path);
    name == ".DS_Store" || name.starts_with("._") || path.split('/').any(|part| part == "__MACOSX")
}

/// The innermost directory that holds both, or is both.
fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let mut dir = a;
    while dir != b && names::below(b, dir).is_none() {
        dir = names::parent(dir);
    }
    dir
}

/// A reader that hashes and counts what is read.
struct Hashed<'a> {
    reader: &'a mut dyn Read,
    hasher: HashingWriter<io::Sink>,
    count: u64,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.hasher.write_all(&buf[..read])?;
        self.count += read as u64;
        Ok(read)
    }
}

/// The files below a directory, in the order of the paths.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Regular files and their sizes.
    pub files: Vec<(String, u64)>,
    /// Symbolic links and the paths they lead to.
    pub links: Vec<(String, String)>,
}

impl Walked {
    /// Bytes of the files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |total, (_, bytes)| total.saturating_add(*bytes))
    }
}

/// The files and links below `root`. All of them are listed before any is read.
pub(super) fn walk(root: &Path) -> Result<Walked, Stop> {
    let mut walked = Walked::default();
    let mut problems = Problems::default();
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    let mut count = 0;
    while let Some(dir) = pending.pop() {
        let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        for entry in fs::read_dir(&dir).map_err(|error| unreadable(&error, &shown(&dir)))? {
            let entry = entry.map_err(|error| unreadable(&error, &shown(&dir)))?;
            let (path, shown) = (entry.path(), shown(&entry.path()));
            count += 1;
            if count > ENTRIES {
                return Err(Problem::with(shown, format!("is one of more than {ENTRIES} files")).into());
            }
            let metadata = entry.metadata().map_err(|error| unreadable(&error, &shown))?;
            let name = match names::normal(path.strip_prefix(root).unwrap_or(&path).as_os_str().as_encoded_bytes()) {
                Ok(name) => name,
                Err(what) => {
                    problems.add(Problem::with(shown, what));
                    continue;
                }
            };
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| unreadable(&error, &shown))?;
                match names::resolved(names::parent(&name), target.as_os_str().as_encoded_bytes(), names::normal) {
                    Ok(target) => walked.links.push((name, target)),
                    Err(what) => problems.add(Problem::with(shown, what)),
                }
            } else if !metadata.is_file() {
                problems.add(Problem::with(shown, "is neither a file nor a directory, and cannot be on the volume it travels on"));
            } else if metadata.len() > FILE_BYTES {
                problems.add(Problem::with(shown, "has 4 GiB or more, which FAT32, on which it travels, does not have"));
            } else {
                walked.files.push((name, metadata.len()));
            }
        }
    }
    if walked.bytes() > TOTAL_BYTES {
        problems.add(Problem::whole(format!("its files have {}, and {} is the most", rounded(walked.bytes()), rounded(TOTAL_BYTES))));
    }
    walked.files.sort();
    walked.links.sort();
    if problems.is_empty() { Ok(walked) } else { Err(Stop::Packing(problems)) }
}

fn unreadable(error: &io::Error, entry: &str) -> Stop {
    Stop::Unreadable(io::Error::new(error.kind(), format!("`{entry}`: {error}")))
}

/// The digest of a directory: of its files' digests, sizes and paths, in the order of the paths.
pub(super) fn digest(files: &[FileRecord]) -> Sha256Digest {
    digest_of(files.iter().map(|file| (file.sha256, file.bytes, file.path.as_str())))
}

/// The digest of a list of files: their digests, sizes and paths.
pub(in crate::sources) fn digest_of<'a>(files: impl Iterator<Item = (Sha256Digest, u64, &'a str)>) -> Sha256Digest {
    let mut hasher = HashingWriter::new(io::sink());
    for (sha256, bytes, path) in files {
        // OK to ignore: neither hashing nor a sink fails.
        let _ = writeln!(hasher, "{sha256} {bytes} {path}");
    }
    hasher.finish().1
}

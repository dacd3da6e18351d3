//! The Debian packages of a deploy installation: pinned as one index of the chosen packages, fetched by digest, and laid out as a
//! repository.
//!
//! ```text
//! signed Packages ─picked→ DebianChoice (paragraphs of the chosen alone: the pin) ─apt-helper→ store ─links→ DebianRepository
//! ```
//!
//! The repository that mmdebstrap is given has no signature: every package in it hashes to what an index says that apt has verified on this
//! host (`in_release.rs`). So a finished set of packages stays usable when a mirror has changed, and without a network.

pub(super) mod choice;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apt::AptSource;
use super::fetch::{Awaited, require_room};
use super::host::Host;
use super::resolved::{Choice, Chosen};
use super::verified::stored;
use super::{Pin, SourceError, Suite};
use crate::base::aside::beside;
use crate::base::digest::Sha256Digest;
use crate::base::event::{Task, Unit};
use crate::base::process::{Invocation, Tool};
use crate::base::text::counted;
use crate::cache::FileLookup;

pub use choice::{DebianChoice, DebianPackage};

/// Packages that one run of apt's downloader fetches. More than one, since it then keeps its connections; not all, so that fetched packages
/// get into the store from time to time.
const AT_A_TIME: usize = 64;
/// For [`AT_A_TIME`] packages; apt itself gives up on a silent mirror before.
const FETCH_TIME: Duration = Duration::from_secs(3600);
/// What ar(5) files begin with, and bytes of a member's header after it; deb(5).
const AR_MAGIC: &[u8; 8] = b"!<arch>\n";
const AR_HEADER_BYTES: usize = 60;
/// Where a member's header has its time, in decimal seconds since 1970.
const AR_TIME: std::ops::Range<usize> = 16..28;

/// A directory with the packages of an installation, which apt can use as a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianRepository {
    /// The directory: `Release`, `Packages`, and a link for each package.
    pub dir: PathBuf,
    /// How many packages there are.
    pub packages: u64,
    /// When the newest of the packages was built, in seconds since 1970. It follows from the packages alone.
    pub epoch: u64,
}

impl Choice {
    /// The packages that were chosen from the suites of the release `suite`. They are pinned.
    pub fn debian(suite: &str, mut debian: DebianChoice, host: Host<'_>) -> Self {
        let sha256 = Sha256Digest::of(debian.index.as_bytes());
        let pins = vec![Pin { name: format!("packages of {suite}"), sha256, urls: Vec::new() }];
        let missing: Vec<_> = debian.packages.iter().filter(|package| host.store.peek_file(&package.sha256).is_none()).collect();
        let bytes = bytes_of(&missing);
        let awaited = || Awaited { host: "the package sources".to_owned(), bytes: Some(bytes) };
        debian.awaited = (!missing.is_empty()).then(awaited);
        Self { debian, pins, ..Self::default() }
    }
}

/// Fetch the packages that were chosen from the suites of the release `suite`, and make a repository of them.
///
/// # Errors
/// A package cannot be fetched or is not what its index says, or there is no room.
pub async fn gather_debian(chosen: &Chosen, suite: &str, host: Host<'_>, task: &Task) -> Result<DebianRepository, SourceError> {
    let choice = &chosen.choice().debian;
    let mut missing = Vec::new();
    for package in &choice.packages {
        if stored(&package.file_name, package.sha256, host.store, task).await?.is_none() {
            missing.push(package);
        }
    }
    fetch(&missing, &chosen.found().apt, host, task).await?;
    let file = |package: &DebianPackage| {
        let lost = || SourceError::Unreadable {
            what: format!("the package {}", package.file_name),
            path: host.store.root().to_owned(),
            source: io::ErrorKind::NotFound.into(),
        };
        Ok::<_, SourceError>((package.file_name.clone(), host.store.peek_file(&package.sha256).ok_or_else(lost)?))
    };
    let files = choice.packages.iter().map(file).collect::<Result<Vec<_>, _>>()?;
    let (dir, suite, index) = (host.scratch.join("debian"), suite.to_owned(), choice.index.clone());
    beside(move |_| lay_out(&dir, &suite, &index, &files)).await
}

fn bytes_of(packages: &[&DebianPackage]) -> u64 {
    packages.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes))
}

/// Fetch the packages that the store does not have.
async fn fetch(missing: &[&DebianPackage], suites: &[Suite], host: Host<'_>, task: &Task) -> Result<(), SourceError> {
    require_room(&counted(missing.len(), "package"), host.store, bytes_of(missing))?;
    let sources: Vec<&AptSource> = suites.iter().map(|suite| &suite.source).collect();
    let dir = host.scratch.join("debs");
    let step = format!("fetch {}", counted(missing.len(), "package"));
    let mut done = 0;
    for some in missing.chunks(AT_A_TIME) {
        fs::create_dir_all(&dir).map_err(SourceError::unwritable(&dir))?;
        let told = |more: u64| task.progress(&step, done + more, Some(missing.len() as u64), Unit::Steps);
        told(0);
        download(some, &sources, &dir, told).await?;
        for package in some {
            keep(package, &dir.join(&package.file_name), host, task).await?;
        }
        done += some.len() as u64;
    }
    Ok(())
}

/// Have apt's downloader fetch `packages` to `dir`. `told` is called with the number of started downloads.
async fn download(packages: &[&DebianPackage], sources: &[&AptSource], dir: &Path, told: impl Fn(u64)) -> Result<(), SourceError> {
    let url = |package: &DebianPackage| sources.get(package.suite).map(|source| (*source, source.within(&package.path)));
    let mut invocation = Invocation::new(Tool::AptHelper).arg("download-file");
    for package in packages {
        let Some((source, url)) = url(package) else { continue };
        let digest = format!("SHA256:{}", package.sha256);
        invocation = invocation.arg(source.for_apt(&url).reveal()).arg(dir.join(&package.file_name)).arg(digest);
    }
    let mut begun = 0;
    let ended = invocation.within(FETCH_TIME).run_with(|line| {
        if line.starts_with("Get:") {
            begun += 1;
            told(begun);
        }
    });
    ended.await.map_err(|error| {
        // One of several: the downloader's own line names it.
        let first = packages.iter().find(|package| !dir.join(&package.file_name).exists()).or(packages.first());
        let named = first.and_then(|package| url(package));
        let error = sources.iter().fold(error, |error, source| source.masked_error(error));
        SourceError::Unreachable { url: named.map(|(_, url)| url).unwrap_or_default(), source: error }
    })
}

/// Put a fetched package into the store, if it has the right digest.
async fn keep(package: &DebianPackage, fetched: &Path, host: Host<'_>, task: &Task) -> Result<(), SourceError> {
    let waiting = || task.step(&format!("another goldsmith fetches {}; waiting for it", package.file_name));
    let FileLookup::Miss(vacancy) = host.store.lookup_file(&package.sha256, waiting).await? else { return Ok(()) };
    let path = fetched.to_owned();
    let (sha256, bytes) =
        beside(move |_| File::open(path).and_then(Sha256Digest::of_reader)).await.map_err(SourceError::unwritable(fetched))?;
    if sha256 != package.sha256 || bytes != package.bytes {
        let expected = package.sha256;
        return Err(SourceError::WrongDigest { what: package.file_name.clone(), path: fetched.to_owned(), found: sha256, expected });
    }
    fs::rename(fetched, vacancy.part()).map_err(SourceError::unwritable(fetched))?;
    vacancy.keep()?;
    Ok(())
}

/// Make the repository in `dir`. For apt it is the release `suite` (Debian repository format, "Flat Repository Format").
fn lay_out(dir: &Path, suite: &str, index: &str, files: &[(String, PathBuf)]) -> Result<DebianRepository, SourceError> {
    fs::create_dir_all(dir).map_err(SourceError::unwritable(dir))?;
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).map_err(SourceError::unwritable(&dir.join(name)));
    write("Packages", index)?;
    let mut release = format!("Suite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n");
    let _ = writeln!(release, "SHA256:\n {} {} Packages", Sha256Digest::of(index.as_bytes()), index.len());
    write("Release", &release)?;
    let mut epoch = 0;
    for (name, file) in files {
        let unfit = |source: io::Error| SourceError::Unreadable { what: format!("the package {name}"), path: file.clone(), source };
        epoch = epoch.max(built_at(&mut File::open(file).map_err(unfit)?).map_err(unfit)?);
        // The link has apt's name of the file, because the names in the store are digests.
        symlink(file, dir.join(name)).map_err(SourceError::unwritable(&dir.join(name)))?;
    }
    Ok(DebianRepository { dir: dir.to_owned(), packages: files.len() as u64, epoch })
}

/// When a package was built, in seconds since 1970: the time of its first member (deb(5), ar(5)), which dpkg-deb takes of `SOURCE_DATE_EPOCH`.
fn built_at(package: &mut impl Read) -> io::Result<u64> {
    let mut head = [0; AR_MAGIC.len() + AR_HEADER_BYTES];
    package.read_exact(&mut head)?;
    let (magic, header) = head.split_at(AR_MAGIC.len());
    let time = std::str::from_utf8(&header[AR_TIME]).ok().and_then(|text| text.trim_end().parse().ok());
    time.filter(|_| magic == AR_MAGIC)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it does not begin as a Debian package does"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::debian::Picked;

    fn picked(name: &str, version: &str, paragraph: &str) -> Picked {
        Picked {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "all".to_owned(),
            path: format!("pool/{name}.deb"),
            sha256: Sha256Digest::of(name.as_bytes()),
            bytes: 7,
            paragraph: paragraph.to_owned(),
        }
    }

    #[test]
    fn the_index_of_a_choice_does_not_depend_on_where_the_packages_were_found() {
        let [a, b] = [picked("a", "1:2", "Package: a\n"), picked("b", "1", "Package: b\n")];
        let choice = DebianChoice::of([(1, b.clone()), (0, a.clone()), (2, a.clone())]);
        assert_eq!(choice.index, "Package: a\n\nPackage: b\n");
        let names: Vec<_> = choice.packages.iter().map(|package| (package.file_name.as_str(), package.suite)).collect();
        assert_eq!(names, [("a_1%3a2_all.deb", 0), ("b_1_all.deb", 1)]);
        assert_eq!(DebianChoice::of([(7, a), (3, b)]).index, choice.index);
    }

    #[test]
    fn a_package_tells_when_it_was_built() {
        let header = |time: &str| format!("!<arch>\ndebian-binary   {time:<12}0     0     100644  4         `\n2.0\n");
        assert_eq!(built_at(&mut header("1752311225").as_bytes()).unwrap(), 1_752_311_225);
        for text in [header("now"), header("1").replace("!<arch>", "!<ARCH>"), header("1")[..50].to_owned()] {
            built_at(&mut text.as_bytes()).unwrap_err();
        }
    }
}

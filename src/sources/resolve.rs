//! From a recipe to its pins.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apt::{self, AptSource};
use super::bundle::Bundle;
use super::medium::{self, Medium};
use super::{Pin, Pins, SourceError, Unresolved, VerifiedFile};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::process::{Invocation, Tool};
use crate::cache::Store;
use crate::packages::debian::Release;
use crate::recipe::{FileSource, Media, Recipe, Repository};

/// For an index of some hundred kilobytes; apt itself gives up on a silent mirror before.
const FETCH_TIME: Duration = Duration::from_secs(120);

/// What the host brings to the resolution.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// The directory of apt's configuration: `/etc/apt`.
    pub apt: &'a Path,
    /// A directory for scratch files.
    pub scratch: &'a Path,
    /// Where is kept what was found out before.
    pub store: &'a Store,
}

/// A recipe's inputs, found.
#[derive(Debug)]
pub struct Resolved {
    /// Every input by digest.
    pub pins: Pins,
    /// The installation medium.
    pub iso: Option<VerifiedFile>,
    /// The same, open: it is one that can install.
    pub medium: Option<Medium>,
    /// The bundles of the recipe's repositories, in order.
    pub bundles: Vec<Bundle>,
    /// When the newest of the package indexes was made, in seconds since 1970: no package is younger.
    pub epoch: u64,
    /// Where packages come from; empty when the installer's medium has them.
    pub apt: Vec<Suite>,
}

/// A suite that packages come from.
#[derive(Debug)]
pub struct Suite {
    /// Where it is.
    pub source: AptSource,
    /// What it consists of.
    pub release: Release,
}

/// Find and pin every input of `recipe`.
///
/// # Errors
/// All inputs that are missing or are not what the recipe pins, and the first package repository that cannot be reached.
pub async fn resolve(recipe: &Recipe, host: Host<'_>, task: &Task) -> Result<Resolved, Unresolved> {
    let mut found = Resolved { pins: Pins::default(), iso: None, medium: None, bundles: Vec::new(), epoch: 0, apt: Vec::new() };
    let mut errors = Vec::new();
    if let Media::Anaconda { iso, .. } = &recipe.media {
        match medium(iso, host.store, task).await {
            Ok((file, medium)) => {
                found.pins.0.push(Pin { name: "iso".to_owned(), sha256: file.sha256(), urls: iso.urls.clone() });
                found.iso = Some(file);
                found.medium = Some(medium);
            }
            Err(error) => errors.push(error),
        }
    }
    for (index, repository) in recipe.repositories.iter().enumerate() {
        match bundle(index, repository, host, task).await {
            Ok(bundle) => {
                let urls = repository.archive.urls.clone();
                found.pins.0.push(Pin { name: format!("archive {}", repository.id), sha256: bundle.sha256(), urls });
                found.bundles.push(bundle);
            }
            Err(error) => errors.push(error),
        }
    }
    if let Media::Deploy { suite, .. } = &recipe.media {
        errors.extend(suites(suite, host, &mut found, task).await.err());
    }
    if errors.is_empty() { Ok(found) } else { Err(Unresolved { pins: found.pins, errors }) }
}

async fn bundle(index: usize, repository: &Repository, host: Host<'_>, task: &Task) -> Result<Bundle, SourceError> {
    let what = format!("the archive of repository {}", repository.id);
    let source = &repository.archive;
    let path = local_path(&what, &format!("repository.{index}.archive.path"), source)?;
    Bundle::open(&what, &path, source.sha256, host.store, host.scratch, task).await
}

async fn suites(suite: &str, host: Host<'_>, found: &mut Resolved, task: &Task) -> Result<(), SourceError> {
    let sources = match host_sources(host.apt, suite) {
        sources if sources.is_empty() => default_sources(suite, host.scratch).await?,
        sources => sources,
    };
    for (index, source) in sources.into_iter().enumerate() {
        task.step(&format!("pin {}", source.suite));
        let (sha256, release) = in_release(&source, &host.scratch.join(format!("InRelease-{index}"))).await?;
        found.epoch = found.epoch.max(release.date.as_deref().and_then(seconds).unwrap_or_default());
        found.pins.0.push(Pin { name: format!("debian {}", source.suite), sha256, urls: Vec::new() });
        found.apt.push(Suite { source, release });
    }
    Ok(())
}

/// The installation medium, open and verified. What it is is looked at first: that takes no time, and hashing does.
async fn medium(iso: &FileSource, store: &Store, task: &Task) -> Result<(VerifiedFile, Medium), SourceError> {
    let key = "media.iso.path";
    let path = local_path(medium::WHAT, key, iso)?;
    let medium = Medium::open(&path)?;
    let pinned = iso.sha256.and_then(medium::known_as);
    if let Some((edition, _)) = pinned.filter(|(_, bytes)| *bytes != medium.volume_bytes()) {
        return Err(SourceError::WrongMedium { path, kind: medium.kind().to_string(), pinned: format!("CentOS 7.5.1804 {edition}") });
    }
    medium.refuse_unfit()?;
    Ok((local_file(medium::WHAT, key, iso, store, task).await?, medium))
}

/// Where the local copy of an input is; whether it is one that can be used shows later.
fn local_path(what: &str, key: &str, source: &FileSource) -> Result<PathBuf, SourceError> {
    let is_there = |path: &PathBuf| !fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    source.path.clone().filter(is_there).ok_or_else(|| SourceError::Missing {
        what: what.to_owned(),
        key: key.to_owned(),
        path: source.path.clone(),
        urls: source.urls.clone(),
        sha256: source.sha256,
    })
}

async fn local_file(what: &str, key: &str, source: &FileSource, store: &Store, task: &Task) -> Result<VerifiedFile, SourceError> {
    VerifiedFile::of(what, &local_path(what, key, source)?, source.sha256, store, task).await
}

/// Debian's entries for `suite` among the host's; a file that cannot be read has none for us.
fn host_sources(apt: &Path, suite: &str) -> Vec<AptSource> {
    let parts = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut parts: Vec<PathBuf> = parts.filter(|path| path.extension().is_some_and(|ext| ext == "list" || ext == "sources")).collect();
    parts.sort();
    let texts: Vec<(String, String)> = [apt.join("sources.list")]
        .into_iter()
        .chain(parts)
        .filter_map(|path| Some((path.to_string_lossy().into_owned(), fs::read_to_string(&path).ok()?)))
        .collect();
    apt::debian_sources(suite, texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

/// What mmdebstrap would use by itself: it writes its list before the first hook, and the hook stops it there.
async fn default_sources(suite: &str, scratch: &Path) -> Result<Vec<AptSource>, SourceError> {
    let list = scratch.join("sources.list");
    let hook = format!("cp \"$1/etc/apt/sources.list\" {}", crate::base::text::shell_quote(&list.to_string_lossy()));
    let result = Invocation::new(Tool::Mmdebstrap)
        .args(["--variant=apt", "--setup-hook", &hook, "--setup-hook", "exit 1", suite])
        .arg(scratch.join("sources-tree"))
        .env("TMPDIR", scratch)
        .contained()
        .within(FETCH_TIME)
        .output()
        .await;
    match (fs::read_to_string(&list), result) {
        (Ok(text), _) => Ok(apt::parse_lines(&text)),
        (Err(_), Err(error)) => Err(error.into()),
        (Err(source), Ok(_)) => Err(SourceError::Scratch { path: list, source }),
    }
}

async fn in_release(source: &AptSource, path: &Path) -> Result<(Sha256Digest, Release), SourceError> {
    let url = source.in_release();
    Invocation::new(Tool::AptHelper)
        .arg("download-file")
        .arg(&url)
        .arg(path)
        .within(FETCH_TIME)
        .output()
        .await
        .map_err(|source| SourceError::Unreachable { url: url.clone(), source })?;
    let text = fs::read(path).map_err(|source| SourceError::Scratch { path: path.to_owned(), source })?;
    Ok((Sha256Digest::of(&text), Release::read(&url, &text[..])?))
}

/// The `Date` field of a Release file in seconds since 1970 (RFC 2822, which does not know the zone `UTC` that Debian writes).
fn seconds(date: &str) -> Option<u64> {
    let time = jiff::fmt::rfc2822::parse(&date.replace("UTC", "+0000")).ok()?;
    time.timestamp().as_second().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Events;

    #[test]
    fn an_input_is_the_pinned_file_or_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Docker.tar.gz");
        fs::write(&path, b"abc").unwrap();
        let pinned = |sha256: Option<Sha256Digest>, path: &Path| FileSource { path: Some(path.to_owned()), urls: vec!["u".into()], sha256 };
        let task = Events::none().task("t");
        let store = Store::open(&dir.path().join("store")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let get = |source: FileSource| runtime.block_on(local_file("the archive", "k", &source, &store, &task));
        assert_eq!(get(pinned(Some(Sha256Digest::of(b"abc")), &path)).unwrap().path(), path);
        assert!(matches!(get(pinned(Some(Sha256Digest::of(b"x")), &path)), Err(SourceError::WrongDigest { .. })));
        assert!(matches!(get(pinned(None, &dir.path().join("none"))), Err(SourceError::Missing { .. })));
        assert!(matches!(get(pinned(None, dir.path())), Err(SourceError::WrongKind { .. })));
        let remedy = crate::base::failure::Failure::remedy(
            &get(FileSource { path: None, urls: vec!["http://x".into()], sha256: None }).unwrap_err(),
        );
        assert_eq!(remedy.unwrap(), "download http://x, then say where it is: --set k='\"FILE\"'");
    }

    #[test]
    fn a_release_tells_its_date() {
        assert_eq!((seconds("Sat, 12 Jul 2025 09:07:05 UTC"), seconds("today")), (Some(1_752_311_225), None));
    }
}

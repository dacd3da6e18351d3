//! Resolves a recipe to its pins.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

use super::apt::{self, AptSource};
use super::bundle::Bundle;
use super::containers::{self, ContainerArchive};
use super::fetch::{Awaited, Fetch, Remote, fetch, look};
use super::host::Host;
use super::in_release::{self, Signed};
use super::medium::{self, Medium};
use super::resolved::{Resolved, VerifiedMedium};
use super::signatures::{self, Keyring, Proof};
use super::upstream::{self};
use super::verified::stored;
use super::{SourceError, Unresolved, VerifiedFile};
use crate::base::event::Task;
use crate::base::process::{Invocation, Tool};
use crate::recipe::{AptRepository, ContainerImage, FileSource, Media, Passage, Recipe, Repository, Supply};

/// For an index of some hundred kilobytes; apt itself gives up on a silent mirror before.
const FETCH_TIME: Duration = Duration::from_secs(120);

/// Find and pin every input of `recipe`.
///
/// # Errors
/// All inputs that are missing or are not what the recipe pins, and the first package repository that cannot be reached.
pub async fn resolve(recipe: &Recipe, host: Host<'_>, task: &Task) -> Result<Resolved, Unresolved> {
    let mut found = Resolved::default();
    let mut errors = Vec::new();
    let unreached = upstreams(recipe, host, &mut found, task).await;
    // If another file is missing, gigabytes need not be fetched.
    let lacks_image = recipe.container_images.iter().any(|image| !is_there(&image.path));
    let lacks = sources(recipe).any(is_nowhere) || lacks_image || !unreached.is_empty();
    let host = if lacks { Host { fetch: Fetch::Look, ..host } } else { host };
    if let Media::Anaconda { iso, .. } = &recipe.media {
        errors.extend(medium(iso, host, &mut found, task).await.err());
    }
    for (index, repository) in recipe.repositories.iter().enumerate() {
        errors.extend(bundle(index, repository, host, &mut found, task).await.err());
        errors.extend(signed(index, repository, host, &mut found, task).await.err());
    }
    if let Media::Deploy { suite, .. } = &recipe.media {
        let failed = suites(suite, host, &mut found, task).await.err();
        errors.extend(failed.map(|error| of_the_recipe(error, suite, recipe.suite_at.as_ref())));
        for repository in &recipe.apt_repositories {
            errors.extend(apt_repository(repository, host, &mut found, task).await.err());
        }
    }
    let (containers, refused) = container_archives(recipe, host, task).await;
    found.containers = containers;
    errors.extend(refused);
    errors.extend(unreached);
    if errors.is_empty() { Ok(found) } else { Err(Unresolved { found: Box::new(found), errors }) }
}

async fn bundle(index: usize, repository: &Repository, host: Host<'_>, found: &mut Resolved, task: &Task) -> Result<(), SourceError> {
    let what = format!("the archive of repository {}", repository.id);
    let name = format!("archive {}", repository.id);
    let Supply::Archive(source) = &repository.supply else { return Ok(()) };
    let path = match find(&what, &format!("repository.{index}.archive.path"), source, host, task).await? {
        Place::Here(path) => path,
        Place::There(awaited) => {
            found.await_one(&name, awaited, source);
            return Ok(());
        }
    };
    let bundle = Bundle::open(&what, &path, source.sha256, host.store, host.scratch, task).await?;
    found.pin(&name, bundle.sha256(), source);
    found.bundles.insert(repository.id.clone(), bundle);
    Ok(())
}

/// The archives of container images that a recipe names, and the errors of those that cannot be used.
async fn container_archives(recipe: &Recipe, host: Host<'_>, task: &Task) -> (Vec<ContainerArchive>, Vec<SourceError>) {
    let (mut archives, mut errors) = (Vec::new(), Vec::new());
    for (index, image) in recipe.container_images.iter().enumerate() {
        match container_archive(index, image, host, task).await {
            Ok(archive) => archives.push(archive),
            Err(error) => errors.push(containers::placed(error, image.at.as_ref())),
        }
    }
    errors.extend(containers::clashes(&archives));
    (archives, errors)
}

/// The archives of container images that a recipe names, whatever else it names.
///
/// # Errors
/// Why some cannot be used.
pub async fn resolve_containers(recipe: &Recipe, host: Host<'_>, task: &Task) -> Result<Vec<ContainerArchive>, Unresolved> {
    let (containers, errors) = container_archives(recipe, host, task).await;
    if errors.is_empty() { Ok(containers) } else { Err(Unresolved { found: Box::default(), errors }) }
}

/// An archive of container images, which is on this host.
async fn container_archive(index: usize, image: &ContainerImage, host: Host<'_>, task: &Task) -> Result<ContainerArchive, SourceError> {
    let path = &image.path;
    let what = format!("the image archive {}", path.file_name().unwrap_or_default().to_string_lossy());
    if !is_there(path) {
        let key = format!("container_image.{index}.archive");
        return Err(SourceError::Missing { what, key, path: Some(path.clone()), sha256: image.sha256 });
    }
    ContainerArchive::open(&what, path, image, host, task).await
}

/// Verify the packages of a bundle, when its repository has keys. Keys that cannot be used are reported even without a bundle.
async fn signed(index: usize, repository: &Repository, host: Host<'_>, found: &mut Resolved, task: &Task) -> Result<(), SourceError> {
    let Supply::Archive(_) = &repository.supply else { return Ok(()) };
    let what = format!("repository {}", repository.id);
    let keyring = Keyring::of(&what, &format!("repository.{index}.gpg_keys"), &repository.gpg_keys, host, task).await?;
    if let (Some(keyring), Some(bundle)) = (keyring, found.bundles.get(&repository.id)) {
        let signers = signatures::of_bundle(bundle, &keyring, host, task).await?;
        found.proofs.push(Proof { repository: repository.id.to_string(), upstream: None, signers });
    }
    Ok(())
}

/// Open the online repositories, all at the same time, because most of it is waiting for answers. Returns the errors.
async fn upstreams(recipe: &Recipe, host: Host<'_>, found: &mut Resolved, task: &Task) -> Vec<SourceError> {
    let wanted = recipe.repositories.iter().enumerate().flat_map(|(index, repository)| {
        let upstreams = match &repository.supply {
            Supply::Upstream(upstreams) => &upstreams[..],
            Supply::Archive(_) => &[],
        };
        upstreams.iter().enumerate().map(move |(nth, wanted)| (repository, format!("repository.{index}.upstream.{nth}"), wanted))
    });
    let opened = wanted.map(|(repository, key, wanted)| async move { upstream::open(&repository.id, &key, wanted, host, task).await });
    let mut errors = Vec::new();
    for opened in join_all(opened).await {
        match opened {
            Ok(upstream) => found.upstreams.push(upstream),
            Err(several) => errors.extend(several),
        }
    }
    errors
}

/// The error. If a mirror does not have the suite that the recipe names (not one of its updates), the error is about the recipe.
fn of_the_recipe(error: SourceError, wanted: &str, written: Option<&Passage>) -> SourceError {
    match error {
        SourceError::NoSuite { suite, mirror, .. } if suite == wanted => {
            SourceError::NoSuite { suite, mirror, at: written.cloned().map(Box::new) }
        }
        error => error,
    }
}

async fn suites(suite: &str, host: Host<'_>, found: &mut Resolved, task: &Task) -> Result<(), SourceError> {
    let sources = match host_sources(host.apt, suite) {
        sources if sources.is_empty() => default_sources(suite, host.scratch).await?,
        sources => sources,
    };
    task.step(&format!("fetch the signed index of {suite}"));
    let asked = sources.into_iter().enumerate().map(|(index, source)| async move {
        let dir = host.scratch.join(format!("apt-{index}"));
        in_release::suite(source, None, &dir, host, task).await
    });
    for suite in join_all(asked).await {
        found.apt.push(suite?);
    }
    Ok(())
}

/// The suite of a recipe's repository, whose index is signed with one of its keys.
async fn apt_repository(repository: &AptRepository, host: Host<'_>, found: &mut Resolved, task: &Task) -> Result<(), SourceError> {
    let (what, key) = (format!("repository {}", repository.id), format!("{}.gpg_keys", repository.key));
    // A recipe that names no key was refused.
    let Some(keyring) = Keyring::of(&what, &key, &repository.gpg_keys, host, task).await? else { return Ok(()) };
    task.step(&format!("fetch the signed index of {what}"));
    let dir = host.scratch.join(format!("apt-{}", repository.key));
    let signed = Signed { repository, keyring: &keyring };
    found.apt.push(in_release::suite(AptSource::of_recipe(repository), Some(signed), &dir, host, task).await?);
    Ok(())
}

/// The installation medium, open and verified. Its kind is checked before it is hashed, because hashing takes time.
async fn medium(iso: &FileSource, host: Host<'_>, found: &mut Resolved, task: &Task) -> Result<(), SourceError> {
    let path = match find(medium::WHAT, "media.iso.path", iso, host, task).await? {
        Place::Here(path) => path,
        Place::There(awaited) => {
            found.await_one("iso", awaited, iso);
            return Ok(());
        }
    };
    let medium = Medium::open(&path)?;
    let pinned = iso.sha256.and_then(medium::known_as);
    if let Some(pinned) = pinned.filter(|pinned| pinned.volume_bytes().is_some_and(|bytes| bytes != medium.volume_bytes())) {
        return Err(SourceError::WrongMedium { path, kind: medium.kind().to_string(), pinned: pinned.to_string() });
    }
    medium.refuse_unfit()?;
    let file = VerifiedFile::of(medium::WHAT, &path, iso.sha256, host.store, task).await?;
    found.pin("iso", file.sha256(), iso);
    found.medium = Some(VerifiedMedium { file, medium });
    Ok(())
}

/// Where an input is.
enum Place {
    /// On this host. Whether it can be used is checked later.
    Here(PathBuf),
    /// On the network.
    There(Awaited),
}

/// The files a recipe names.
fn sources(recipe: &Recipe) -> impl Iterator<Item = &FileSource> {
    let iso = match &recipe.media {
        Media::Anaconda { iso, .. } => Some(iso),
        Media::Deploy { .. } => None,
    };
    let archives = recipe.repositories.iter().filter_map(|repository| match &repository.supply {
        Supply::Archive(source) => Some(source),
        Supply::Upstream(_) => None,
    });
    iso.into_iter().chain(archives)
}

/// The local copy of an input, when something is there.
fn local(source: &FileSource) -> Option<&PathBuf> {
    source.path.as_ref().filter(|path| is_there(path))
}

fn is_there(path: &Path) -> bool {
    !fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether an input has no local copy and cannot be fetched.
fn is_nowhere(source: &FileSource) -> bool {
    local(source).is_none() && (source.urls.is_empty() || source.sha256.is_none())
}

/// Find an input: its local copy, else a file that was fetched before, else on the network.
async fn find(what: &str, key: &str, source: &FileSource, host: Host<'_>, task: &Task) -> Result<Place, SourceError> {
    if let Some(path) = local(source) {
        return Ok(Place::Here(path.clone()));
    }
    let urls = &source.urls;
    let Some(sha256) = source.sha256.filter(|_| !urls.is_empty()) else {
        let (what, key, path) = (what.to_owned(), key.to_owned(), source.path.clone());
        return Err(SourceError::Missing { what, key, path, sha256: source.sha256 });
    };
    if let Some(path) = stored(what, sha256, host.store, task).await? {
        return Ok(Place::Here(path));
    }
    let remote = Remote::pinned(what, key, urls, sha256);
    match host.fetch {
        Fetch::Now => Ok(Place::Here(fetch(remote, host.store, host.web, task).await?)),
        Fetch::Look => Ok(Place::There(look(remote, host.store, host.web, task).await?)),
    }
}

/// Debian's entries for `suite` among the host's; a file that cannot be read is skipped.
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

/// The sources that mmdebstrap would use on its own. It writes its list before the first hook, and our hook stops it there.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Sha256Digest;
    use crate::base::event::Events;
    use crate::cache::Store;
    use crate::sources::Web;

    #[test]
    fn an_input_is_the_local_file_or_what_was_fetched_or_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Docker.tar.gz");
        fs::write(&path, b"abc").unwrap();
        let task = Events::none().task("t");
        let store = Store::open(&dir.path().join("store")).unwrap();
        let web = Web { silence: Duration::from_secs(1), pauses: Vec::new(), ..Web::through(Default::default()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let abc = Sha256Digest::of(b"abc");
        let get = |path: &Path, urls: &[&str], sha256: Option<Sha256Digest>| {
            let source = FileSource { path: Some(path.to_owned()), urls: urls.iter().map(|url| (*url).to_owned()).collect(), sha256 };
            let host = Host { apt: dir.path(), scratch: dir.path(), store: &store, web: &web, fetch: Fetch::Now };
            match runtime.block_on(find("the archive", "k", &source, host, &task)) {
                Ok(Place::Here(path)) => Ok(path),
                Ok(Place::There(awaited)) => panic!("{awaited}"),
                Err(error) => Err(error),
            }
        };
        // Port 9 of this host discards, or is closed: nothing is fetched from there.
        let nowhere = &["http://127.0.0.1:9/x"][..];
        let none = dir.path().join("none");
        assert_eq!(get(&path, nowhere, Some(abc)).unwrap(), path);
        assert!(matches!(get(&none, &[], Some(abc)), Err(SourceError::Missing { .. })));
        let missing = get(&none, &[], None).unwrap_err();
        assert_eq!(crate::base::failure::Failure::remedy(&missing).unwrap(), "say where it is: --set k='\"FILE\"'");
        assert!(matches!(get(&none, nowhere, Some(abc)), Err(SourceError::Unfetched { .. })));
        // A file in the store is hashed before it is used.
        let stored = dir.path().join("store/v1/files").join(abc.to_string());
        fs::write(&stored, "abc").unwrap();
        assert_eq!(fs::canonicalize(get(&none, nowhere, Some(abc)).unwrap()).unwrap(), fs::canonicalize(&stored).unwrap());
        fs::write(&stored, "damaged").unwrap();
        assert!(matches!(get(&none, nowhere, Some(abc)), Err(SourceError::Unfetched { .. })) && !stored.exists());
    }
}

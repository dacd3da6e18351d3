//! The packages that Anaconda will install: those of the kickstart and those that it adds, from the medium's and the bundles' repositories.

use std::collections::{BTreeMap, BTreeSet};

use super::forecast::{Forecast, Upgrading, found_before, remembered};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::installer::anaconda::Upgrade;
use crate::installer::anaconda::selection::Selection;
use crate::kickstart::{PackageEntry, PackageKind};
use crate::packages::rpm::{Entry, Kind, Repomd, add_comps, add_filelists, add_primary};
use crate::packages::{
    Asked, Brought, Checksum, IndexError, Input, PackageFile, PackageId, Question, Scheme, Universe, What, missing_files,
};
use crate::sources::bundle::Bundle;
use crate::sources::medium::Medium;
use crate::sources::{Choice, Host, RemotePackage, Resolved, SourceError, Upstream};

/// Bytes that repomd.xml may have.
const REPOMD_BYTES: u64 = 4 << 20;
/// Bytes that an expanded index may have; the filelists of CentOS 7 with all updates have 90 MiB.
const INDEX_BYTES: u64 = 512 << 20;
/// Packages that come in for a file may need more files; real repositories take one round.
const ROUNDS: usize = 4;
/// yum's name for the repository on the medium (pyanaconda/packaging/__init__.py, `BASE_REPO_NAME`).
const BASE: &str = "anaconda";
/// yum's cost of a repository that gives none (yum.conf(5), cost).
const BASE_COST: u32 = 1000;

/// Where the files of a repository are.
enum Place<'a> {
    Medium(&'a Medium),
    Bundle(&'a Bundle),
    /// Online. If packages are named, only these are on the volume.
    World(&'a Upstream, Option<&'a [RemotePackage]>),
}

/// A repository that the installation will use.
pub(super) struct Repo<'a> {
    id: String,
    cost: u32,
    place: Place<'a>,
    /// Empty for online repositories, which have their own.
    repomd: Repomd,
    /// The digest of its repomd.xml, which has the digests of all the rest.
    sha256: Sha256Digest,
}

/// All packages, and for the online ones their addresses and digests.
pub(super) struct Offers<'a> {
    pub(super) universe: Universe,
    pub(super) remote: BTreeMap<PackageId, (&'a Upstream, Offer)>,
}

/// The data of a package's file in primary.xml.
pub(super) struct Offer {
    pub(super) href: String,
    /// The address that it is relative to, when that is not the repository's.
    pub(super) base: Option<String>,
    pub(super) checksum: Option<Checksum>,
}

/// The packages of `selection`; `None` when they depend on something that is not known yet. The installer sees only the chosen packages of
/// online repositories, so before the choice there is no forecast.
pub(super) async fn forecast(
    selection: &Selection,
    upgrade: Option<&Upgrade<'_>>,
    (resolved, choice): (&Resolved, Option<&Choice>),
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Forecast>, AnyFailure> {
    let Some(medium) = resolved.medium().filter(|_| selection.unseen.is_empty()) else { return Ok(None) };
    if choice.is_none() && !resolved.upstreams.is_empty() {
        return Ok(None);
    }
    let (repos, digests) = visible(selection, medium, (resolved, choice))?;
    let question = question(selection);
    task.step("work out the packages");
    let universe = async { Ok(universe(&repos, &question, host, task).await?.universe) };
    let upgrading = upgrade.map(|upgrade| Upgrading {
        repositories: (0..)
            .zip(&repos)
            .filter(|(_, repo)| upgrade.repositories.contains(&repo.of_the_recipe()))
            .map(|(number, _)| number)
            .collect(),
        packages: upgrade.packages.iter().map(|package| (*package).to_owned()).collect(),
    });
    remembered(host.store, &digests, &question, upgrading.as_ref(), universe).await.map(Some)
}

/// The repositories that the installer sees, and the digests of these and of the chosen packages.
fn visible<'a>(
    selection: &Selection,
    medium: &'a Medium,
    (resolved, choice): (&'a Resolved, Option<&'a Choice>),
) -> Result<(Vec<Repo<'a>>, Vec<Sha256Digest>), SourceError> {
    let mut repos = vec![Repo::open(BASE, BASE_COST, Place::Medium(medium))?];
    let mut digests = Vec::new();
    for (id, cost) in &selection.repositories {
        if let Some(bundle) = resolved.bundles.get(id.as_str()) {
            repos.push(Repo::open(id, *cost, Place::Bundle(bundle))?);
        } else if let Some(chosen) = choice.and_then(|choice| choice.online.get(id)) {
            let own = resolved.upstreams.iter().filter(|upstream| upstream.repository() == id);
            repos.extend(own.map(|upstream| Repo::of_the_world(upstream, *cost, Some(&chosen.packages))));
            digests.extend(chosen.packages.iter().map(|package| package.sha256));
        }
    }
    digests.extend(repos.iter().flat_map(Repo::identity));
    Ok((repos, digests))
}

/// The kind of memory for names that packages bring. The number is the version of [`Brought`] and of the rules that lead to it.
const BROUGHT: &str = "brought-2";

/// The names that the packages of `forecast` bring, by the repositories' lists of files; `None` when a repository has no such list, or the
/// packages are not known.
pub(super) async fn brought(
    selection: &Selection,
    (resolved, choice): (&Resolved, Option<&Choice>),
    forecast: &Forecast,
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Brought>, AnyFailure> {
    let Some(medium) = resolved.medium() else { return Ok(None) };
    let (repos, digests) = visible(selection, medium, (resolved, choice))?;
    let packages: BTreeSet<_> = forecast.packages.iter().map(|package| (&*package.name, &*package.version, &*package.arch)).collect();
    if repos.iter().any(|repo| !repo.lists_files()) {
        return Ok(None);
    }
    task.step("look through the lists of files");
    let find = async {
        let mut universe = universe(&repos, &question(selection), host, task).await?.universe;
        let counts = |file: &str| Brought::counts(file.trim_start_matches('/'));
        for (repo, number) in repos.iter().zip(0..) {
            repo.each(Kind::Filelists, host, task, |input| add_filelists(&mut universe, number, input, &counts)).await?;
        }
        let mut brought = Brought::default();
        for package in &universe.packages {
            let [name, version, arch] = [package.name, package.version, package.arch].map(|text| universe.text(text));
            let files = package.provides.iter().map(|provided| universe.text(provided.name));
            if packages.contains(&(name, version, arch)) {
                files.for_each(|file| brought.add(file));
            } else {
                files.for_each(|file| brought.add_elsewhere(file, name));
            }
        }
        Ok(brought)
    };
    found_before(BROUGHT, host.store, &digests, &packages, find).await.map(Some)
}

/// The repositories from which packages can be chosen, complete: the medium, the bundles, and online ones. Packages of the medium need not
/// be fetched, so online repositories have the highest costs, and among them the recipe's first upstream the lowest.
pub(super) fn choosable<'a>(selection: &Selection, medium: &'a Medium, resolved: &'a Resolved) -> Result<Vec<Repo<'a>>, SourceError> {
    let mut repos = vec![Repo::open(BASE, BASE_COST, Place::Medium(medium))?];
    for (id, cost) in &selection.repositories {
        if let Some(bundle) = resolved.bundles.get(id.as_str()) {
            repos.push(Repo::open(id, *cost, Place::Bundle(bundle))?);
        }
    }
    repos.extend(resolved.upstreams.iter().zip(2 * BASE_COST..).map(|(upstream, cost)| Repo::of_the_world(upstream, cost, None)));
    Ok(repos)
}

/// Anaconda's order (anaconda 21.48.22.134, pyanaconda/packaging/yumpayload.py, `_applyYumSelections`): core, the environment, groups,
/// packages; then excluded packages are taken out, and those that Anaconda needs are put in.
pub(super) fn question(selection: &Selection) -> Question {
    let asked = |what| Asked { what, by: "the kickstart".to_owned() };
    let what = |entry: &PackageEntry| match entry.kind {
        PackageKind::Package => What::Package(entry.name.clone()),
        PackageKind::Group { nodefaults, optional } => What::Group { id: entry.name.clone(), plain: nodefaults, all: optional },
        PackageKind::Environment => What::Environment(entry.name.clone()),
    };
    let entries = |excluded: bool, of: fn(PackageKind) -> bool| {
        selection.entries.iter().filter(move |entry| entry.excluded == excluded && of(entry.kind)).map(what)
    };
    let is_group = |kind| matches!(kind, PackageKind::Group { .. });
    let is_package = |kind| kind == PackageKind::Package;
    let mut wanted = Vec::new();
    if selection.core {
        wanted.push(What::Group { id: "core".to_owned(), plain: false, all: false });
    }
    wanted.extend(entries(false, |kind| kind == PackageKind::Environment).next_back());
    wanted.extend(entries(false, is_group));
    wanted.extend(entries(false, is_package));
    let required = selection.required.iter();
    Question {
        asked: wanted.into_iter().map(asked).collect(),
        deselected: entries(true, is_package).chain(entries(true, is_group)).collect(),
        required: required
            .map(|(package, reason)| Asked { what: What::Package(package.clone()), by: format!("Anaconda, for {reason},") })
            .collect(),
        forbidden: Vec::new(),
        ignore_missing: selection.ignore_missing,
    }
}

/// The packages of all repositories together.
pub(super) async fn universe<'a>(repos: &[Repo<'a>], question: &Question, host: Host<'_>, task: &Task) -> Result<Offers<'a>, SourceError> {
    let mut universe = Universe::new(Scheme::Rpm);
    let mut remote = BTreeMap::new();
    let mut numbers = Vec::new();
    for repo in repos {
        let number = universe.repository(&repo.id, repo.cost);
        universe.repositories[usize::from(number)].is_own = matches!(repo.place, Place::Bundle(_));
        numbers.push(number);
        match repo.place {
            Place::World(upstream, only) => remote.extend(add_upstream(&mut universe, number, upstream, only, host, task).await?),
            Place::Medium(_) | Place::Bundle(_) => {
                repo.each(Kind::Primary, host, task, |input| add_primary(&mut universe, number, input, &mut |_, _| ())).await?;
                repo.each(Kind::Groups, host, task, |input| add_comps(&mut universe, input)).await?;
            }
        }
    }
    for _ in 0..ROUNDS {
        let files = missing_files(&universe, question);
        if files.is_empty() {
            break;
        }
        let before: usize = universe.packages.iter().map(|package| package.provides.len()).sum();
        for (repo, number) in repos.iter().zip(&numbers) {
            let wanted = |file: &str| files.binary_search_by(|known| known.as_str().cmp(file)).is_ok();
            repo.each(Kind::Filelists, host, task, |input| add_filelists(&mut universe, *number, input, &wanted)).await?;
        }
        if universe.packages.iter().map(|package| package.provides.len()).sum::<usize>() == before {
            break;
        }
    }
    Ok(Offers { universe, remote })
}

/// Add the packages of an online repository, or `only` some of them, with their addresses.
async fn add_upstream<'a>(
    universe: &mut Universe,
    number: u16,
    upstream: &'a Upstream,
    only: Option<&[RemotePackage]>,
    host: Host<'_>,
    task: &Task,
) -> Result<Vec<(PackageId, (&'a Upstream, Offer))>, SourceError> {
    let first = universe.packages.len();
    let mut offers = Vec::new();
    let mut each = |_, file: &PackageFile<'_>| {
        let (href, base) = (file.href().to_owned(), file.base().map(str::to_owned));
        offers.push(Offer { href, base, checksum: file.checksum().ok() });
    };
    upstream.index(Kind::Primary, host, task, |input| add_primary(universe, number, input, &mut each)).await?;
    let digests: Option<BTreeSet<Sha256Digest>> = only.map(|only| only.iter().map(|package| package.sha256).collect());
    let is_there = |offer: &Offer| {
        let sha256 = offer.checksum.and_then(|checksum| checksum.sha256());
        digests.as_ref().is_none_or(|digests| sha256.is_some_and(|sha256| digests.contains(&sha256)))
    };
    let mut found = Vec::new();
    // Nothing refers to them yet.
    for (package, offer) in universe.packages.split_off(first).into_iter().zip(offers) {
        if is_there(&offer) {
            found.push((universe.add(package), (upstream, offer)));
        }
    }
    Ok(found)
}

impl<'a> Repo<'a> {
    fn open(id: &str, cost: u32, place: Place<'a>) -> Result<Self, SourceError> {
        let path = "repodata/repomd.xml";
        let bytes = match &place {
            Place::Medium(medium) => medium.read(path, REPOMD_BYTES)?,
            Place::Bundle(bundle) => bundle.repodata().get(path).cloned().unwrap_or_default(),
            Place::World(upstream, only) => return Ok(Self::of_the_world(upstream, cost, *only)),
        };
        let repomd = Repomd::read(&format!("{path} of repository {id}"), &bytes[..])?;
        Ok(Self { id: id.to_owned(), cost, place, repomd, sha256: Sha256Digest::of(&bytes) })
    }

    fn of_the_world(upstream: &'a Upstream, cost: u32, only: Option<&'a [RemotePackage]>) -> Self {
        let (id, sha256) = (upstream.name().to_owned(), upstream.sha256());
        Self { id, cost, place: Place::World(upstream, only), repomd: Repomd::default(), sha256 }
    }

    /// The id of the recipe's repository that it belongs to.
    fn of_the_recipe(&self) -> &str {
        match self.place {
            Place::World(upstream, _) => upstream.repository(),
            Place::Medium(_) | Place::Bundle(_) => &self.id,
        }
    }

    /// Its identity: the digests of its name and of its repomd.xml.
    pub(super) fn identity(&self) -> [Sha256Digest; 2] {
        [Sha256Digest::of(self.id.as_bytes()), self.sha256]
    }

    /// Whether all files of its packages can be known.
    fn lists_files(&self) -> bool {
        match self.place {
            Place::World(upstream, _) => upstream.has(Kind::Filelists),
            Place::Medium(_) | Place::Bundle(_) => self.repomd.entry(Kind::Filelists).is_some(),
        }
    }

    /// Hand the index of a kind to `read`, when the repository has one.
    async fn each(
        &self,
        kind: Kind,
        host: Host<'_>,
        task: &Task,
        read: impl FnOnce(Input<'_>) -> Result<(), IndexError>,
    ) -> Result<(), SourceError> {
        let entry = self.repomd.entry(kind);
        let name = |entry: &Entry| format!("{} of repository {}", entry.href, self.id);
        match (&self.place, entry) {
            (Place::World(upstream, _), _) => upstream.index(kind, host, task, read).await,
            (Place::Medium(medium), Some(entry)) => Ok(read(entry.input(&name(entry), medium.open_file(&entry.href)?, INDEX_BYTES)?)?),
            (Place::Bundle(bundle), Some(entry)) => {
                let bytes = bundle.repodata().get(&entry.href).map(Vec::as_slice).unwrap_or_default();
                Ok(read(entry.input(&name(entry), bytes, INDEX_BYTES)?)?)
            }
            (_, None) => Ok(()),
        }
    }
}

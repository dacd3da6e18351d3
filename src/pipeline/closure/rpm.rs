//! What Anaconda will install: what its kickstart asks for and it adds, out of the medium's and the bundles' repositories.

use std::io::Read;

use super::{Forecast, remembered};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::cache::Store;
use crate::installer::anaconda::selection::Selection;
use crate::kickstart::{PackageEntry, PackageKind};
use crate::packages::rpm::{Entry, Kind, Repomd, add_comps, add_filelists, add_primary};
use crate::packages::{Asked, Question, Scheme, Universe, What, missing_files};
use crate::sources::bundle::Bundle;
use crate::sources::medium::Medium;
use crate::sources::{Resolved, SourceError};

/// Bytes that repomd.xml may have.
const REPOMD_BYTES: u64 = 4 << 20;
/// Bytes that an expanded index may have; the filelists of CentOS 7 with all updates have 90 MiB.
const INDEX_BYTES: u64 = 512 << 20;
/// Packages that come in for a file may need more files; real repositories take one round.
const ROUNDS: usize = 4;
/// yum's name for the repository on the medium (pyanaconda/packaging/__init__.py, `BASE_REPO_NAME`).
const BASE: &str = "anaconda";

/// Where the files of a repository are.
enum Place<'a> {
    Medium(&'a Medium),
    Bundle(&'a Bundle),
}

/// A repository that the installation will use.
struct Repo<'a> {
    id: String,
    cost: u32,
    place: Place<'a>,
    repomd: Repomd,
    /// What its repomd.xml hashes to: that has the digests of all the rest.
    sha256: Sha256Digest,
}

/// The packages that `selection` leads to; nothing when it depends on what cannot be seen.
pub(super) fn forecast(selection: &Selection, resolved: &Resolved, store: &Store, task: &Task) -> Result<Option<Forecast>, AnyFailure> {
    let Some(medium) = resolved.medium.as_ref().filter(|_| selection.unseen.is_empty()) else { return Ok(None) };
    let mut repos = vec![Repo::open(BASE, 1000, Place::Medium(medium))?];
    for (id, cost) in &selection.repositories {
        if let Some(bundle) = resolved.bundles.get(id) {
            repos.push(Repo::open(id, *cost, Place::Bundle(bundle))?);
        }
    }
    let digests: Vec<Sha256Digest> = repos.iter().map(|repo| repo.sha256).collect();
    let question = question(selection);
    task.step("work out the packages");
    remembered(store, &digests, &question, || universe(&repos, &question)).map(Some)
}

/// Anaconda's order (pyanaconda/packaging/yumpayload.py, `_applyYumSelections`): core, the environment, packages, groups; then what is
/// excluded is taken out, and what Anaconda needs is put in.
fn question(selection: &Selection) -> Question {
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
    wanted.extend(entries(false, is_package));
    wanted.extend(entries(false, is_group));
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

fn universe(repos: &[Repo<'_>], question: &Question) -> Result<Universe, AnyFailure> {
    let mut universe = Universe::new(Scheme::Rpm);
    let mut numbers = Vec::new();
    for repo in repos {
        let number = universe.repository(&repo.id, repo.cost);
        numbers.push(number);
        repo.each(Kind::Primary, |input| add_primary(&mut universe, number, input, &mut |_, _| ()))?;
        repo.each(Kind::Groups, |input| add_comps(&mut universe, input))?;
    }
    for _ in 0..ROUNDS {
        let files = missing_files(&universe, question);
        if files.is_empty() {
            break;
        }
        let before: usize = universe.packages.iter().map(|package| package.provides.len()).sum();
        for (repo, number) in repos.iter().zip(&numbers) {
            let wanted = |file: &str| files.binary_search_by(|known| known.as_str().cmp(file)).is_ok();
            repo.each(Kind::Filelists, |input| add_filelists(&mut universe, *number, input, &wanted))?;
        }
        if universe.packages.iter().map(|package| package.provides.len()).sum::<usize>() == before {
            break;
        }
    }
    Ok(universe)
}

impl<'a> Repo<'a> {
    fn open(id: &str, cost: u32, place: Place<'a>) -> Result<Self, SourceError> {
        let path = "repodata/repomd.xml";
        let bytes = match &place {
            Place::Medium(medium) => medium.read(path, REPOMD_BYTES)?,
            Place::Bundle(bundle) => bundle.repodata().get(path).cloned().unwrap_or_default(),
        };
        let repomd = Repomd::read(&format!("{path} of repository {id}"), &bytes[..])?;
        Ok(Self { id: id.to_owned(), cost, place, repomd, sha256: Sha256Digest::of(&bytes) })
    }

    /// Hand the index of a kind to `read`, when the repository has one.
    fn each(
        &self,
        kind: Kind,
        read: impl FnOnce(crate::packages::Input<'_>) -> Result<(), crate::packages::IndexError>,
    ) -> Result<(), SourceError> {
        let Some(entry) = self.repomd.entry(kind) else { return Ok(()) };
        let name = format!("{} of repository {}", entry.href, self.id);
        let reader = self.reader(entry)?;
        Ok(read(entry.input(&name, reader, INDEX_BYTES)?)?)
    }

    fn reader(&self, entry: &Entry) -> Result<Box<dyn Read + '_>, SourceError> {
        Ok(match &self.place {
            Place::Medium(medium) => Box::new(medium.open_file(&entry.href)?),
            Place::Bundle(bundle) => Box::new(bundle.repodata().get(&entry.href).map(Vec::as_slice).unwrap_or_default()),
        })
    }
}

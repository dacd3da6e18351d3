//! The inputs of a recipe, phase by phase.
//!
//! ```text
//! Resolved ─Choice→ Chosen ─prove→ Proved ─gather→ Gathered
//! found    which packages   who signed them        here, for the installer
//! ```
//!
//! A plan is made from the chosen inputs, since then all packages are pinned. An installation reads the gathered ones.

use std::collections::BTreeMap;

use super::apt::AptSource;
use super::bundle::Bundle;
use super::containers::ContainerArchive;
use super::debian::choice::DebianChoice;
use super::fetch::{Awaited, shown};
use super::medium::Medium;
use super::signatures::Proof;
use super::upstream::{OnlinePackages, Upstream};
use super::{Pin, Pins, VerifiedFile};
use crate::base::digest::Sha256Digest;
use crate::base::repository_id::RepositoryId;
use crate::packages::debian::Release;
use crate::recipe::FileSource;

/// A recipe's inputs, found.
#[derive(Debug, Default)]
pub struct Resolved {
    /// Every input of the installation by digest.
    pub pins: Pins,
    /// Files that are still to be fetched, by the names of their pins. They are not among the files below. Only with [`Fetch::Look`].
    pub awaited: Vec<(String, Awaited)>,
    /// The installation medium; `None` when the recipe has none, or it is still to be fetched.
    pub medium: Option<VerifiedMedium>,
    /// The bundles of the recipe's repositories, by their id.
    pub bundles: BTreeMap<RepositoryId, Bundle>,
    /// The archives of container images, in the order of the recipe.
    pub containers: Vec<ContainerArchive>,
    /// The online repositories that packages may be chosen from, in the order of the recipe.
    pub upstreams: Vec<Upstream>,
    /// The signers of the packages of bundles whose repositories have keys.
    pub proofs: Vec<Proof>,
    /// Debian's suites; empty when the installer's medium has the packages.
    pub apt: Vec<Suite>,
}

/// The installation medium. It has been checked that its bytes are the pinned ones, and that it can install.
#[derive(Debug)]
pub struct VerifiedMedium {
    /// The file.
    pub file: VerifiedFile,
    /// The medium, open.
    pub medium: Medium,
}

/// The packages that an installation takes from online repositories; none when the medium and the bundles have all.
#[derive(Debug, Default)]
pub struct Choice {
    /// Those of RPM repositories, by the id of the recipe's repository.
    pub online: BTreeMap<String, OnlinePackages>,
    /// Those of Debian's suites.
    pub debian: DebianChoice,
    pub(super) pins: Vec<Pin>,
}

/// A recipe's inputs with chosen packages. All of them are pinned.
#[derive(Debug, Default)]
pub struct Chosen {
    found: Resolved,
    choice: Choice,
}

/// Chosen inputs whose packages are signed as the recipe asks.
#[derive(Debug)]
pub struct Proved {
    /// The inputs.
    pub chosen: Chosen,
    /// The signers of the packages of every repository that has keys.
    pub proofs: Vec<Proof>,
}

/// The inputs that Anaconda reads. All of them are on this host.
#[derive(Debug)]
pub struct Gathered<'a> {
    /// The installation medium.
    pub medium: &'a VerifiedMedium,
    /// The bundles with the ids of their repositories, in the order of the recipe.
    pub bundles: Vec<(RepositoryId, Bundle)>,
}

/// A suite that packages come from.
#[derive(Debug)]
pub struct Suite {
    /// The recipe's repository that it is; none for the distribution's own.
    pub repository: Option<String>,
    /// Where it is.
    pub source: AptSource,
    /// Its Release file, which apt has verified.
    pub release: Release,
    /// The digest of its signed index.
    pub sha256: Sha256Digest,
}

impl Suite {
    /// Its name for people.
    pub fn name(&self) -> String {
        match &self.repository {
            Some(id) => format!("repository {id}, {}", self.source.suite),
            None => format!("debian {}", self.source.suite),
        }
    }
}

impl Chosen {
    /// The inputs that were `found`, with the choice from their repositories.
    pub fn new(mut found: Resolved, mut choice: Choice) -> Self {
        found.pins.0.append(&mut choice.pins);
        Self { found, choice }
    }

    /// The inputs that were found. The pins include those of the chosen packages.
    pub fn found(&self) -> &Resolved {
        &self.found
    }

    /// The choice.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }
}

impl Resolved {
    /// The installation medium, open.
    pub fn medium(&self) -> Option<&Medium> {
        self.medium.as_ref().map(|verified| &verified.medium)
    }

    /// Every input by digest: what the installation reads, then what is loaded later.
    pub fn inputs(&self) -> Vec<Pin> {
        self.pins.0.iter().cloned().chain(self.containers.iter().map(ContainerArchive::pin)).collect()
    }

    pub(super) fn pin(&mut self, name: &str, sha256: Sha256Digest, source: &FileSource) {
        self.pins.0.push(Pin { name: name.to_owned(), sha256, urls: source.urls.iter().map(|url| shown(url)).collect() });
    }

    pub(super) fn await_one(&mut self, name: &str, awaited: Awaited, source: &FileSource) {
        // Only pinned files are fetched, so there is a digest.
        if let Some(sha256) = source.sha256 {
            self.pin(name, sha256, source);
        }
        self.awaited.push((name.to_owned(), awaited));
    }
}

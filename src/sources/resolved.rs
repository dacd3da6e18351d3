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
use super::debian::DebianChoice;
use super::fetch::{Awaited, shown};
use super::medium::Medium;
use super::signatures::Proof;
use super::upstream::{Chosen, Upstream};
use super::{Pin, Pins, VerifiedFile};
use crate::base::digest::Sha256Digest;
use crate::packages::debian::Release;
use crate::recipe::FileSource;

/// A recipe's inputs, found.
#[derive(Debug, Default)]
pub struct Resolved {
    /// Every input of the installation by digest.
    pub pins: Pins,
    /// Files that are still to be fetched, by the names of their pins. They are not among the files below. Only with [`Fetch::Look`].
    pub awaited: Vec<(String, Awaited)>,
    /// The installation medium.
    pub iso: Option<VerifiedFile>,
    /// The same, open: it is one that can install.
    pub medium: Option<Medium>,
    /// The bundles of the recipe's repositories, by their id.
    pub bundles: BTreeMap<String, Bundle>,
    /// The archives of container images, in the order of the recipe.
    pub containers: Vec<ContainerArchive>,
    /// The online repositories that packages may be chosen from, in the order of the recipe.
    pub upstreams: Vec<Upstream>,
    /// What was chosen of them, by the id of the recipe's repository; nothing while it is not known.
    pub chosen: Option<BTreeMap<String, Chosen>>,
    /// Who signed the packages of repositories that have keys; those of online ones once [`super::prove`] was asked.
    pub proofs: Vec<Proof>,
    /// Debian's suites; empty when the installer's medium has the packages.
    pub apt: Vec<Suite>,
    /// What was chosen of them; nothing while it is not known.
    pub debian: Option<DebianChoice>,
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

impl Resolved {
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

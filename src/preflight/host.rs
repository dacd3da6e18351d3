//! Finds out whether this host has everything for a build: tools, memory, space, and a place for the artifact.

use std::path::Path;

use crate::artifact::{Draft, Place};
use crate::base::failure::AnyFailure;
use crate::base::host::TooLittleMemory;
use crate::base::namespaces::NoNamespaces;
use crate::base::process::Tool;
use crate::cache::Store;
use crate::image;
use crate::machine::firmware::find_uefi;
use crate::plan::{Plan, StepWork};
use crate::recipe::{Firmware, Media, Recipe, Supply};
use crate::sources::{Resolved, image_bytes};
use crate::stages;

/// The setting for a smaller machine.
pub const SMALLER: &str = "--set build.memory='\"1G\"'";
/// The tools of every build.
const TOOLS: [Tool; 2] = [Tool::QemuSystem, Tool::QemuImg];
/// The least space that an image takes where it is published: the smallest known ones have some 200 MiB.
const OUTPUT_BYTES: u64 = 256 << 20;

/// The parts of a build that are still to be done and need space or tools.
#[derive(Debug, Clone, Copy)]
pub struct Ahead {
    /// The installation.
    pub installs: bool,
    /// The loading of container images.
    pub loads: bool,
}

impl Ahead {
    /// Everything: nothing is known of finished layers.
    pub const ALL: Self = Self { installs: true, loads: true };

    /// What `plan` has ahead, whose jobs before the one with this index need not be run.
    pub fn of(plan: &Plan, first: usize) -> Self {
        // The steps follow the installation.
        let loads = plan.steps.iter().position(|step| matches!(step.work, StepWork::Load(_)));
        Self { installs: first == 0, loads: loads.is_some_and(|step| first <= step + 1) }
    }
}

/// Make sure of the tools, of the place of the artifact, and of space there and in the store, for what is `ahead`.
///
/// # Errors
/// One of them is missing.
pub fn require(recipe: &Recipe, resolved: &Resolved, store: &Store, target: &Path, ahead: Ahead) -> Result<(), AnyFailure> {
    // Trying is the proof. What is dropped here was really made, and goes with the directories that were made for it.
    drop(Draft::begin(target)?);
    lacks(recipe, Some(resolved), store, target, ahead).into_iter().next().map_or(Ok(()), Err)
}

/// Everything that the host lacks for what is `ahead` of a build of `recipe`, found without writing anything. Inputs that were not
/// `resolved` are not counted.
pub(super) fn lacks(recipe: &Recipe, resolved: Option<&Resolved>, store: &Store, target: &Path, ahead: Ahead) -> Vec<AnyFailure> {
    let mut lacks = Vec::new();
    let Ahead { installs, loads } = ahead;
    let mut look = |found: Result<(), AnyFailure>| lacks.extend(found.err());
    // Anaconda brings its own tools.
    let deploys = installs && matches!(recipe.media, Media::Deploy { .. });
    let installing: &[Tool] = if deploys { &stages::INSTALL_TOOLS } else { &[] };
    // Packages from online repositories need metadata of their own.
    let gathers = installs && recipe.repositories.iter().any(|repository| matches!(repository.supply, Supply::Upstream(_)));
    let gathering: &[Tool] = if gathers { &[Tool::CreaterepoC] } else { &[] };
    let signed = recipe.repositories.iter().any(|repository| match &repository.supply {
        Supply::Archive(_) => !repository.gpg_keys.is_empty(),
        Supply::Upstream(upstreams) => upstreams.iter().any(|upstream| !upstream.gpg_keys.is_empty()),
    });
    let verifying: &[Tool] = if signed { &[Tool::Gpgv] } else { &[] };
    for tool in TOOLS.iter().chain(installing).chain(gathering).chain(verifying) {
        look(tool.find().map(drop).map_err(Into::into));
    }
    if deploys {
        look(NoNamespaces::refuse().map_err(Into::into));
    }
    if recipe.disk.firmware == Firmware::Uefi {
        look(find_uefi().map(drop).map_err(Into::into));
    }
    look(TooLittleMemory::refuse(recipe.build.memory, SMALLER).map_err(Into::into));
    let place = Place::require_writable(target).map_err(AnyFailure::from);
    look(place.and_then(|nearest| Ok(image::require_space(&nearest, OUTPUT_BYTES)?)));
    // They are counted twice: for the new archive, and for the layer.
    let images = resolved.filter(|_| loads).map_or(0, |resolved| image_bytes(&resolved.containers).saturating_mul(2));
    let installation = match &recipe.media {
        _ if !installs => 0,
        Media::Deploy { .. } => stages::INSTALL_BYTES,
        Media::Anaconda { .. } => {
            let bundles = resolved.into_iter().flat_map(|resolved| resolved.bundles.values());
            stages::anaconda_bytes(recipe.disk.size.bytes(), bundles)
        }
    };
    if installs || images > 0 {
        look(image::require_space(store.root(), installation.saturating_add(images)).map_err(Into::into));
    }
    lacks
}

//! What would fail after the work is refused before it.

use crate::artifact::Draft;
use crate::base::failure::AnyFailure;
use crate::base::process::Tool;
use crate::cache::Store;
use crate::image;
use crate::machine::firmware::find_uefi;
use crate::plan::Plan;
use crate::recipe::Firmware;
use crate::stages;

use super::Request;

/// What every build runs.
const TOOLS: [Tool; 2] = [Tool::QemuSystem, Tool::QemuImg];
/// What an image takes at the least where it is published: the smallest that were made have some 200 MiB.
const OUTPUT_BYTES: u64 = 256 << 20;

/// Make sure of the tools, of the place of the artifact, and of space there and in the store.
///
/// # Errors
/// One of them is missing.
pub(super) fn require(request: &Request<'_>, plan: &Plan) -> Result<(), AnyFailure> {
    let installs = first_to_run(request.store, plan) == 0;
    let tools: &[Tool] = if installs { &stages::INSTALL_TOOLS } else { &[] };
    for tool in TOOLS.iter().chain(tools) {
        tool.find()?;
    }
    if request.recipe.disk.firmware == Firmware::Uefi {
        find_uefi()?;
    }
    // What is dropped at the end of this line is a directory that was really made.
    let place = Draft::begin(request.target)?.path().parent().map(ToOwned::to_owned);
    if let Some(place) = place {
        image::require_space(&place, OUTPUT_BYTES)?;
    }
    if installs {
        image::require_space(request.store.root(), stages::INSTALL_BYTES)?;
    }
    Ok(())
}

/// The index of the first stage whose layer is to be made: a later layer stands for all below it.
pub fn first_to_run(store: &Store, plan: &Plan) -> usize {
    plan.stages.iter().rposition(|stage| store.peek(&stage.id).is_some()).map_or(0, |last| last + 1)
}

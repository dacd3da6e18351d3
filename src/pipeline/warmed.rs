//! Publishes the state of the booted system with the image, for `up --warm`.

use std::path::Path;

use super::failure::{self, Unproved};
use super::proof::{clones_differ, tell};
use crate::artifact::StateRecord;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::cache::Store;
use crate::machine::spec::Equipment;
use crate::run;
use crate::verify::Report;

/// Save the state of the proved qcow2 `image` for the machines that are given `given`, if there are such, beside the image and under the artifact's
/// `name`. If `clones` were to differ, so are clones that go on from the state, and `report` has that proof, too.
///
/// # Errors
/// The system can have no state, or its clones share what must be their own; the host cannot start or save machines.
pub(super) async fn write(
    (image, name): (&Path, &str),
    given: Option<&Equipment>,
    (clones, report): (bool, &mut Report),
    (store, scratch): (&Store, &Path),
    events: &Events,
) -> Result<Option<StateRecord>, AnyFailure> {
    let Some(given) = given else { return Ok(None) };
    let target = image.with_file_name(format!("{name}{}", run::STATE_SUFFIX));
    let record = run::write_state(image, given, (&target, scratch), (store, &scratch.join(failure::EVIDENCE)), events).await?;
    if clones {
        let task = events.task("compare two clones that go on from the state");
        let compared = run::compare(image, given, (scratch, Some(store.root())), Some(store), &task).await?;
        let checks: Vec<_> = compared.iter().map(|own| clones_differ("warm clones", own)).collect();
        tell(&checks, events);
        report.checks.extend(checks);
        Unproved::refuse(report, scratch)?;
        task.done();
    }
    Ok(Some(record))
}

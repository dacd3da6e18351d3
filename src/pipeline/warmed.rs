//! Publishes the state of the booted system with the image, for `up --warm`.

use std::path::Path;

use super::failure::{self, Unproved};
use super::proof::{clones_differ, tell};
use crate::artifact::StateRecord;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cache::Store;
use crate::machine::spec::Equipment;
use crate::run::{self, RunError};
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
    let written = run::write_state(image, given, (&target, scratch), (store, &scratch.join(failure::EVIDENCE)), events).await;
    let record = written.map_err(Stateless::of)?;
    if clones {
        let task = events.task("compare two clones that go on from the state");
        let compared = run::compare(image, given, (scratch, Some(store.root())), Some(store), &task).await.map_err(Stateless::of)?;
        let checks: Vec<_> = compared.iter().map(|own| clones_differ("warm clones", own)).collect();
        tell(&checks, events);
        report.checks.extend(checks);
        Unproved::refuse(report, scratch)?;
        task.done();
    }
    Ok(Some(record))
}

/// The system of the image cannot have the state that its recipe promises.
#[derive(Debug, thiserror::Error)]
#[error("no machine can go on from a state of this image: {why}")]
struct Stateless {
    why: String,
}

impl Stateless {
    fn of(error: RunError) -> AnyFailure {
        match error {
            RunError::NoSavedState { why } => Self { why }.into(),
            RunError::Clone(error) if matches!(*error, RunError::NoSavedState { .. }) => Self::of(*error),
            error => error.into(),
        }
    }
}

impl Failure for Stateless {
    fn class(&self) -> Class {
        Class::Image
    }

    fn remedy(&self) -> Option<String> {
        Some("remove `warm` from the recipe's `[output]`".to_owned())
    }
}

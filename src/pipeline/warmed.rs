//! Publishes the state of the booted system with the image, for `up --warm`.

use std::path::Path;

use super::failure::{self, Unproved};
use super::proof::{clones_differ, tell};
use crate::artifact::StateRecord;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::host::TooLittleMemory;
use crate::base::size::ByteSize;
use crate::cache::Store;
use crate::image::require_space;
use crate::machine::spec::Equipment;
use crate::run::{self, RunError, WarmFrom};
use crate::verify::Report;

/// The machines that are started from the state before it is published.
const MACHINES: u64 = 2;

/// Save the state of the proved qcow2 `image` for the machines that are given `given`, if there are such, beside the image and under the artifact's
/// `name`. Two machines go on from that file, and what must be their own has to differ: `report` has that proof then.
///
/// # Errors
/// The system can have no state, or its clones share what must be their own; the host cannot start or save machines.
pub(super) async fn write(
    (image, name): (&Path, &str),
    given: Option<&Equipment>,
    report: &mut Report,
    (store, scratch): (&Store, &Path),
    events: &Events,
) -> Result<Option<StateRecord>, AnyFailure> {
    let Some(given) = given else { return Ok(None) };
    // The disk of a machine lies over that of the image, which may be larger than the recipe's by now.
    let given = &Equipment { disk: None, ..given.clone() };
    let target = image.with_file_name(format!("{name}{}", run::STATE_SUFFIX));
    let written = run::write_state(image, given, (&target, scratch), (store, &scratch.join(failure::EVIDENCE)), events).await;
    let packed = written.map_err(Stateless::of)?;
    let task = events.task("compare two clones that go on from the state");
    let compared = run::compare(image, given, (scratch, Some(store.root())), Some(WarmFrom::File(&packed)), &task).await?;
    let checks: Vec<_> = compared.iter().map(|own| clones_differ("warm clones", own)).collect();
    tell(&checks, events);
    report.checks.extend(checks);
    Unproved::refuse(report, scratch)?;
    task.done();
    Ok(Some(packed.record))
}

/// Refuse a host that cannot do at the end of a build what [`write`] does.
///
/// # Errors
/// It has too little memory, or too little room in the store.
pub(super) fn require(given: &Equipment, store: &Store) -> Result<(), AnyFailure> {
    let memory = given.memory();
    TooLittleMemory::refuse(
        ByteSize(memory.bytes().saturating_mul(MACHINES)),
        "say less `memory` in the recipe's `[run]`, or remove `warm`",
    )?;
    Ok(require_space(store.root(), memory.bytes())?)
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

//! One run of the flow: its scratch directory and its journals, from the first event to the artifact or to the evidence of a failure.

use std::fs::{self, File};
use std::path::Path;

use super::failure::{self, BuildFailed};
use super::page;
use super::published::{HostPaths, PublicLog};
use crate::artifact::{Artifact, Draft, EVENTS_FILE, Manifest, Overwrite};
use crate::base::aside::aside;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::base::journal::JsonLog;
use crate::cache::{Scratch, Store};
use crate::report::{Changes, Recorder};

/// The published part of a run's journal, in its scratch directory.
const PUBLIC_EVENTS: &str = "published.ndjson";

/// A run that has begun.
pub(super) struct Run {
    pub(super) scratch: Scratch,
    pub(super) events: Events,
    recorder: Recorder,
    private_paths: HostPaths,
}

impl Run {
    /// Begin a run that tells `events`. What it publishes does not name `private_paths`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(super) fn begin(store: &Store, private_paths: HostPaths, events: &Events) -> Result<Self, AnyFailure> {
        let scratch = store.scratch()?;
        let create = |name| File::create(scratch.path().join(name)).map_err(failure::unwritable(scratch.path()));
        // The whole journal, for the layers in the store and for the evidence of a failure; and the part that may be published.
        let events = events.with(Box::new(JsonLog::new(create(EVENTS_FILE)?)));
        let events = events.with(Box::new(PublicLog::new(create(PUBLIC_EVENTS)?, private_paths.clone())));
        let recorder = Recorder::new();
        let events = events.with(Box::new(recorder.clone()));
        Ok(Self { scratch, events, recorder, private_paths })
    }

    /// The failure of the run, whose evidence is moved beside `target`. `name` is for its page.
    pub(super) fn failed(&self, cause: AnyFailure, target: &Path, name: &str) -> BuildFailed {
        BuildFailed::keep(cause, self.scratch.path(), target, name, &self.recorder)
    }

    /// Write the page and the journal into `draft`, which has the files of `manifest`, and publish it. `changes` are for the page.
    ///
    /// # Errors
    /// A file cannot be written, or [`Draft::publish`] refuses.
    pub(super) async fn publish(
        &self,
        draft: Draft,
        manifest: Manifest,
        changes: Changes,
        overwrite: Overwrite,
        task: &Task,
    ) -> Result<Artifact, AnyFailure> {
        let page = page::write(draft.path(), &manifest, &self.recorder, changes, &self.private_paths, &self.events);
        page.map_err(failure::unwritable(draft.path()))?;
        let journal = fs::copy(self.scratch.path().join(PUBLIC_EVENTS), draft.path().join(EVENTS_FILE));
        journal.map_err(failure::unwritable(draft.path()))?;
        Ok(aside(task, "check the files", manifest.bytes(), move |meter| draft.publish(&manifest, overwrite, meter)).await?)
    }
}

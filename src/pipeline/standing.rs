//! What the store has of a plan's stages.

use crate::base::event::Events;
use crate::cache::Store;
use crate::plan::Plan;
use crate::stages::Layer;

/// What the store has of one stage.
#[derive(Debug)]
pub enum Standing {
    /// Its layer, which can be used.
    Usable(Layer),
    /// Its layer, which cannot be used, and why.
    Unusable(String),
    /// Nothing.
    Missing,
}

/// What the store has of each stage of `plan`.
pub fn standing(store: &Store, plan: &Plan) -> Vec<Standing> {
    let look = |id| match store.peek(id).map(|dir| Layer::open(&dir)) {
        Some(Ok(layer)) => Standing::Usable(layer),
        Some(Err(unusable)) => Standing::Unusable(unusable.to_string()),
        None => Standing::Missing,
    };
    plan.jobs().map(|job| look(&job.id)).collect()
}

/// The last layer of a plan that can be used: it stands for all below it.
#[derive(Debug)]
pub(super) struct Finished {
    /// How many of the plan's jobs it stands for.
    pub(super) jobs: usize,
    /// The layer.
    pub(super) layer: Layer,
}

/// What a build of `plan` begins with; nothing when the installation has to be run.
pub(super) fn start(store: &Store, plan: &Plan) -> Option<Finished> {
    let usable = |(index, standing)| match standing {
        Standing::Usable(layer) => Some(Finished { jobs: index + 1, layer }),
        _ => None,
    };
    standing(store, plan).into_iter().enumerate().filter_map(usable).next_back()
}

/// Tell which layers are made again although the store has them.
pub(super) fn tell_unusable(store: &Store, plan: &Plan, events: &Events) {
    for (job, standing) in plan.jobs().zip(standing(store, plan)) {
        if let Standing::Unusable(why) = standing {
            events.warn(format!("{}: its layer in the store cannot be used and is made again: {why}", job.stage));
        }
    }
}

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
    plan.stages.iter().map(|stage| look(&stage.id)).collect()
}

/// The index of the first stage whose layer is to be made: a later layer that can be used stands for all below it.
pub fn first_to_run(store: &Store, plan: &Plan) -> usize {
    standing(store, plan).iter().rposition(|standing| matches!(standing, Standing::Usable(_))).map_or(0, |last| last + 1)
}

/// Tell which layers are made again although the store has them.
pub(super) fn tell_unusable(store: &Store, plan: &Plan, events: &Events) {
    for (stage, standing) in plan.stages.iter().zip(standing(store, plan)) {
        if let Standing::Unusable(why) = standing {
            events.warn(format!("{}: its layer in the store cannot be used and is made again: {why}", stage.name));
        }
    }
}

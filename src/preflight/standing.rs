//! Tells which layers of a plan the store has.

use crate::base::event::Events;
use crate::cache::Store;
use crate::plan::Plan;
use crate::stages::Layer;

/// The state of one stage in the store.
#[derive(Debug)]
pub enum Standing {
    /// Its layer, which can be used.
    Usable(Layer),
    /// Its layer, which cannot be used, and why.
    Unusable(String),
    /// Nothing.
    Missing,
}

/// The state of each stage of `plan` in the store.
pub fn standing(store: &Store, plan: &Plan) -> Vec<Standing> {
    let look = |id| match store.peek(id).map(|dir| Layer::open(&dir)) {
        Some(Ok(layer)) => Standing::Usable(layer),
        Some(Err(unusable)) => Standing::Unusable(unusable.to_string()),
        None => Standing::Missing,
    };
    plan.jobs().map(|job| look(&job.id)).collect()
}

/// The last usable layer of a plan. The layers below it are not needed.
#[derive(Debug)]
pub struct Finished {
    /// How many of the plan's jobs it stands for.
    pub jobs: usize,
    /// The layer.
    pub layer: Layer,
}

/// How many jobs of a plan, from its beginning, need not be run: with a later usable layer, those below it are not needed.
pub fn first_to_run(standings: &[Standing]) -> usize {
    standings.iter().rposition(|standing| matches!(standing, Standing::Usable(_))).map_or(0, |last| last + 1)
}

/// The layer that a build begins with; `None` when the installation must be run.
pub fn start(mut standings: Vec<Standing>) -> Option<Finished> {
    let jobs = first_to_run(&standings);
    standings.truncate(jobs);
    match standings.pop() {
        Some(Standing::Usable(layer)) => Some(Finished { jobs, layer }),
        _ => None,
    }
}

/// Tell which layers are made again although the store has them.
pub fn tell_unusable(plan: &Plan, standings: &[Standing], events: &Events) {
    for (job, standing) in plan.jobs().zip(standings) {
        if let Standing::Unusable(why) = standing {
            events.warn(format!("{}: its layer in the store cannot be used and is made again: {why}", job.stage));
        }
    }
}

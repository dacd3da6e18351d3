//! `goldsmith publish NAME`.

use std::path::PathBuf;

use crate::artifact::Overwrite;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::cli::args::Publish;
use crate::cli::commands::build;
use crate::cli::{Context, host};
use crate::pipeline::{self, HostPaths, MachineRequest};

/// Seal a machine that is off, prove it, and publish it; end with the path of the image.
///
/// # Errors
/// There is no such machine, it runs or cannot be sealed, or it breaks a promise of the artifact that it was made from.
pub async fn publish(args: &Publish, context: &Context) -> Result<(), AnyFailure> {
    let machine = super::place(&args.machine, context)?;
    let store = host::store(args.store.store.as_deref(), context)?;
    let name = args.name.as_ref().unwrap_or(&args.machine);
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    let request = MachineRequest {
        machine: &machine,
        name,
        store: &store,
        target: &target,
        overwrite: if args.force { Overwrite::Force } else { Overwrite::Refuse },
        host_paths: &HostPaths::new(host::own_paths(context)),
    };
    let events = Events::new(context.listeners());
    build::tell(pipeline::publish(&request, &events).await?, context)
}

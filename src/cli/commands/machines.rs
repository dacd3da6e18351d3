//! The commands of local machines that have names.

mod clone;
mod command;
mod cp;
mod end;
mod inspect;
mod list;
mod logs;
mod publish;
mod screenshot;
mod snapshot;
mod ssh;
mod up;
mod wait;

use crate::base::failure::AnyFailure;
use crate::cli::{Context, printer};
use crate::run::{Machines, Name, Place};

pub use clone::clone;
pub use command::{console, exec, shell};
pub use cp::cp;
pub use end::{restart, rm, stop};
pub use inspect::{inspect, port};
pub use list::ps;
pub use logs::logs;
pub use publish::publish;
pub use screenshot::screenshot;
pub use snapshot::snapshot;
pub use ssh::{ssh, ssh_config};
pub use up::{start, supervise, up};
pub use wait::wait;

fn machines(context: &Context) -> Result<Machines, AnyFailure> {
    Ok(Machines::below(&context.environment.state_dir()?))
}

fn place(name: &Name, context: &Context) -> Result<Place, AnyFailure> {
    Ok(machines(context)?.find(name)?)
}

/// The places of all machines. An error when one of them does not exist.
fn places(names: &[Name], context: &Context) -> Result<Vec<Place>, AnyFailure> {
    names.iter().map(|name| place(name, context)).collect()
}

/// Print the result for a machine.
fn say(place: &Place, what: &str, context: &Context) -> Result<(), AnyFailure> {
    if context.json {
        let record = serde_json::json!({ "event": "machine", "name": place.name(), "what": what });
        return Ok(printer::out(&context.record(&record))?);
    }
    printer::err(&format!("{} {what}\n", place.name()));
    Ok(())
}

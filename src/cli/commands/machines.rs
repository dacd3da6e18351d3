//! The commands of local machines that have names.

mod command;
mod cp;
mod end;
mod list;
mod logs;
mod ssh;
mod up;

use crate::base::failure::AnyFailure;
use crate::cli::Context;
use crate::run::{Machines, Name, Place};

pub use command::{exec, shell};
pub use cp::cp;
pub use end::{restart, rm, stop};
pub use list::ps;
pub use logs::logs;
pub use ssh::{ssh, ssh_config};
pub use up::{start, supervise, up};

fn machines(context: &Context) -> Result<Machines, AnyFailure> {
    Ok(Machines::below(&context.environment.state_dir()?))
}

fn place(name: &Name, context: &Context) -> Result<Place, AnyFailure> {
    Ok(machines(context)?.find(name)?)
}

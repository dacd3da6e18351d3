//! A visit: after a guest has failed, the user gets its console on the terminal, until he leaves.
//!
//! A visit does not change the failure, and the machine ends after it.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::event::MachineEvent;
use super::seat::{Console, Left, Size, Streams};
use super::vm::Machine;
use crate::base::event::Task;
use crate::base::failure::Failure;

/// For the console's last bytes.
const LAST_BYTES: Duration = Duration::from_millis(300);

/// A user who may visit a guest that failed.
pub trait Visitor: fmt::Debug + Sync {
    /// The size of the terminal.
    fn size(&self) -> Size;

    /// Tell `failure` and `how` to look and to leave, and take the terminal. `None` when there is no terminal; the user has then been told.
    fn enter(&self, failure: &dyn Failure, how: &str) -> Option<Visit>;
}

/// A terminal that was taken for a visit.
pub struct Visit {
    /// Its keys and its screen.
    pub streams: Streams,
    /// When this is dropped, the terminal is as it was before.
    pub terminal: Box<dyn Any + Send>,
}

/// Hand the console of `machine`, which failed with `failure`, to `visitor`. `over` begins once the terminal is taken. The visit lasts
/// until it ends, the visitor types ctrl-], or the machine ends.
pub async fn visit(
    machine: &mut Machine,
    visitor: &dyn Visitor,
    (failure, how): (&dyn Failure, &str),
    task: &Task,
    over: impl AsyncFnOnce(),
) {
    let Some(console) = machine.take_console() else { return };
    task.events().console(true);
    if let Some(mut visit) = visitor.enter(failure, how) {
        let mut console = Console::new(console);
        let ended = async {
            loop {
                match machine.next().await {
                    MachineEvent::Shutdown(_) | MachineEvent::GuestPanicked | MachineEvent::Stopped | MachineEvent::Exited(_) => return,
                    _ => {}
                }
            }
        };
        let left = tokio::select! {
            left = console.copy(&mut visit.streams) => Some(left),
            () = over() => None,
            () = ended => None,
        };
        if left.is_none() {
            // An escape has no effect any more.
            let last = async { while console.copy(&mut visit.streams).await == Left::Escaped {} };
            let _ = timeout(LAST_BYTES, last).await;
        }
    }
    task.events().console(false);
}

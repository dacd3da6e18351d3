//! A visit: after its failure, a guest's console is handed to whoever sits at a terminal, until he leaves.
//!
//! What happens in a visit changes nothing of the failure, and the machine ends with it.

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

/// Whoever may visit a guest that failed.
pub trait Visitor: fmt::Debug + Sync {
    /// The size of the terminal.
    fn size(&self) -> Size;

    /// Tell `failure` and `how` to look and to leave, and take the terminal. Nothing when there is none; that has been told then.
    fn enter(&self, failure: &dyn Failure, how: &str) -> Option<Visit>;
}

/// A terminal that was taken for a visit.
pub struct Visit {
    /// Its keys and its screen.
    pub streams: Streams,
    /// Dropped, the terminal is as it was.
    pub terminal: Box<dyn Any + Send>,
}

/// Hand the console of `machine` to `visitor`, whose failure is `failure`. `over` begins once the terminal is taken. The visit lasts until it
/// ends, the visitor types ctrl-], or the machine ends.
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
            // An escape means nothing now.
            let last = async { while console.copy(&mut visit.streams).await == Left::Escaped {} };
            let _ = timeout(LAST_BYTES, last).await;
        }
    }
    task.events().console(false);
}

//! The other machines of a machine's network, as they come and go.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::net::UnixDatagram;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::error::RunError;
use super::name::Name;
use super::network::{Membership, Neighbour};
use super::record::{Machines, Place};
use super::switch::Port;

/// The time between two reads of the directory of machines.
const LOOK: Duration = Duration::from_secs(1);
/// For this time after a change, another change may have the same time stamp: file systems have clocks of a few milliseconds, FAT of two
/// seconds.
const FRESH: Duration = Duration::from_secs(5);

/// The machines of a network, and one machine's port to the others.
#[derive(Debug)]
pub(super) struct Neighbours {
    own: Name,
    place: Membership,
    machines: Machines,
    port: Option<Port>,
    known: Vec<Neighbour>,
    seen: Option<SystemTime>,
    looks: Interval,
}

impl Neighbours {
    /// The neighbours of the machine at `own`, which has this place.
    ///
    /// # Errors
    /// The directory of machines cannot be read.
    pub(super) fn of(own: &Place, place: Membership) -> Result<Self, RunError> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut neighbours =
            Self { own: own.name().clone(), place, machines: own.machines(), port: None, known: Vec::new(), seen: None, looks };
        neighbours.look()?;
        Ok(neighbours)
    }

    /// All machines of the network.
    pub(super) fn known(&self) -> &[Neighbour] {
        &self.known
    }

    /// Connect the machine's `cable` to the network; the others reach it at `socket`.
    ///
    /// # Errors
    /// The socket cannot be made, or the directory of machines cannot be read.
    pub(super) fn connect(&mut self, cable: UnixDatagram, socket: &Path) -> Result<(), RunError> {
        let port = Port::open(cable, socket).map_err(|source| RunError::State { path: socket.to_owned(), source })?;
        self.port = Some(port);
        self.look().map(|_| ())
    }

    /// Wait until machines have come or gone. Safe to cancel: the time of the next look does not change.
    pub(super) async fn changed(&mut self) {
        loop {
            self.looks.tick().await;
            let changed = self.machines.changed();
            let fresh = changed.is_none_or(|at| at.elapsed().map_or(true, |since| since < FRESH));
            // A directory that cannot be read now may be readable at the next look.
            if (fresh || changed != self.seen) && self.look().unwrap_or(false) {
                return;
            }
        }
    }

    /// Read which machines are on the network. Returns whether that has changed.
    fn look(&mut self) -> Result<bool, RunError> {
        self.seen = self.machines.changed();
        let found = self.machines.on(&self.place.name)?;
        if let Some(port) = &self.port {
            let others = found.iter().filter(|(place, _)| *place.name() != self.own);
            port.reach(others.map(|(place, other)| (other.place.mac(), place.segment())));
        }
        let found: Vec<Neighbour> = found.into_iter().map(|(_, neighbour)| neighbour).collect();
        let changed = found != self.known;
        self.known = found;
        Ok(changed)
    }
}

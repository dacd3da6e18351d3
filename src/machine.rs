//! One QEMU, from launch to exit, and all communication with it.
//!
//! A [`MachineSpec`] becomes arguments (`args`, pure), a running [`Machine`] (`vm`), [`MachineEvent`]s, and in the end an exit or a
//! [`MachineError`] with [`Evidence`]. This module does not depend on recipes, distributions or Docker, and does not decide what success
//! means: a power-off is an event, not a verdict.

pub mod args;
pub mod booting;
mod commands;
mod console;
pub mod error;
pub mod event;
pub mod evidence;
pub mod firmware;
pub mod probe;
pub mod qmp;
pub mod runner;
pub mod seat;
mod sockets;
pub mod spec;
mod state;
pub mod visit;
mod vm;
mod volumes;
pub mod watch;

pub use commands::{DiskNumbers, DiskStats, RunStatus};
pub use error::{Cause, MachineError};
pub use event::{MachineEvent, ShutdownReason};
pub use evidence::Evidence;
pub use spec::MachineSpec;
pub use vm::{Machine, Onlooker};

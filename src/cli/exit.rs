//! Exit codes: stable, one per class of cause. `goldsmith help exit-codes` explains them.

use crate::base::failure::Class;

/// Success, also when there was nothing to do.
pub const DONE: u8 = 0;
/// A bug of goldsmith, panics included.
pub const BUG: u8 = 1;
/// The command line, a recipe or a kickstart is wrong.
pub const USAGE: u8 = 2;
/// An input file is missing or wrong; a source or the network failed.
pub const INPUT: u8 = 3;
/// The machine, the installation or a provision step failed.
pub const MACHINE: u8 = 4;
/// The image failed a check.
pub const IMAGE: u8 = 5;
/// A check could not be run.
pub const CANNOT_CHECK: u8 = 6;
/// The host lacks a tool, space, memory or a permission.
pub const HOST: u8 = 7;
/// Interrupted: 128 + SIGINT, as in shells.
pub const INTERRUPTED: u8 = 130;
/// Terminated: 128 + SIGTERM.
pub const TERMINATED: u8 = 143;

/// All of them.
pub const ALL: [u8; 10] = [DONE, BUG, USAGE, INPUT, MACHINE, IMAGE, CANNOT_CHECK, HOST, INTERRUPTED, TERMINATED];

/// The exit code for a failure's class.
pub const fn code(class: Class) -> u8 {
    match class {
        Class::Bug => BUG,
        Class::Usage => USAGE,
        Class::Input => INPUT,
        Class::Machine => MACHINE,
        Class::Image => IMAGE,
        Class::CannotCheck => CANNOT_CHECK,
        Class::Host => HOST,
        Class::Interrupted => INTERRUPTED,
        Class::Terminated => TERMINATED,
    }
}

/// The class's name in JSON records.
pub const fn name(class: Class) -> &'static str {
    match class {
        Class::Bug => "bug",
        Class::Usage => "usage",
        Class::Input => "input",
        Class::Machine => "machine",
        Class::Image => "image",
        Class::CannotCheck => "cannot-check",
        Class::Host => "host",
        Class::Interrupted => "interrupted",
        Class::Terminated => "terminated",
    }
}

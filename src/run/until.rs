//! The state of a machine that is waited for.

/// The state that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The system is up.
    Up,
    /// The machine does not run.
    Off,
}

//! What a machine is waited for to be.

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The system is up.
    Up,
    /// The machine does not run.
    Off,
}

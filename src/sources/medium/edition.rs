//! The editions of a release of CentOS 7.

use std::fmt;

/// The edition of a medium, as the distribution calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// The packages of a minimal installation.
    Minimal,
    /// Those of every common installation.
    Dvd,
    /// The installer alone: packages come over the network.
    NetInstall,
    /// Everything there is.
    Everything,
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minimal => "Minimal",
            Self::Dvd => "DVD",
            Self::NetInstall => "NetInstall",
            Self::Everything => "Everything",
        })
    }
}

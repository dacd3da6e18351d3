//! The errors of a server of disks.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why a server did not give what was asked for.
#[derive(Debug)]
pub(in crate::image) enum NbdError {
    /// It closed the connection.
    Ended,
    /// It was silent for too long.
    Silent(Duration),
    /// It does not speak the protocol.
    Foreign(&'static str),
    /// The connection failed.
    Io(io::Error),
    /// It cannot read what was asked for. The next question may be answered.
    Unreadable(io::Error),
}

impl fmt::Display for NbdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("it ended"),
            Self::Silent(patience) => write!(f, "it has not answered for {} s", patience.as_secs()),
            Self::Foreign(what) => write!(f, "it does not speak NBD: {what}"),
            Self::Io(source) | Self::Unreadable(source) => write!(f, "{source}"),
        }
    }
}

impl From<io::Error> for NbdError {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

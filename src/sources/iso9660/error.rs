//! Why an image cannot be read.

use std::io;

/// Why an image cannot be read. The words fit after the file's name and "is" or "cannot be read:".
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// There is no primary volume descriptor.
    #[error("it is no ISO 9660 image")]
    NotAnImage,
    /// It ends before its volume or a file in it does.
    #[error("it is cut short: it has {has} of {needs} bytes")]
    Truncated {
        /// Bytes that are there.
        has: u64,
        /// Bytes that must be there at least.
        needs: u64,
    },
    /// A structure in it is not as the specification says.
    #[error("it is damaged at {at}: {what}")]
    Corrupt {
        /// Which structure.
        at: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a record cannot be understood. The caller adds the directory.
#[derive(Debug)]
pub(super) enum Problem {
    What(&'static str),
    Io(io::Error),
}

impl Problem {
    /// The error, with its place.
    pub(super) fn at(self, corrupt: &impl Fn(&'static str) -> IsoError) -> IsoError {
        match self {
            Self::What(what) => corrupt(what),
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => corrupt("it points past the end of the image"),
            Self::Io(error) => error.into(),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

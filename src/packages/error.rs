//! Why an index of packages cannot be used.

use std::fmt;
use std::io;

use super::checksum::Checksum;
use crate::base::failure::{Class, Failure};
use crate::base::size::rounded;
use crate::base::text::printable;

/// Why an index of packages cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{index} cannot be used{}: {problem}", place(.at, .package))]
pub struct IndexError {
    /// The caller's name for the index: `primary.xml.gz of repository kubernetes`.
    pub index: String,
    /// Where in the expanded text, when that is known.
    pub at: Option<At>,
    /// The package or group that was being read.
    pub package: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// A place in an expanded index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The line, from 1.
    pub line: u64,
    /// The byte, from 0.
    pub byte: u64,
}

/// The fault of an index.
#[derive(Debug)]
pub enum Problem {
    /// Its bytes cannot be read.
    Unreadable(io::Error),
    /// It has another size than the list of files says.
    WrongSize {
        /// What the list says.
        expected: u64,
        /// The actual length; a lower limit if it is more.
        found: u64,
    },
    /// It is not the file that the list of files names.
    WrongDigest {
        /// What the list says.
        expected: Checksum,
        /// The actual checksum.
        found: Checksum,
    },
    /// It cannot be expanded.
    Damaged {
        /// How it is compressed: `gzip`.
        format: &'static str,
        /// The message of the expander.
        why: String,
    },
    /// Expanded, it is larger than it may be.
    TooLarge {
        /// Bytes it may have.
        limit: u64,
    },
    /// One entry is larger than any can be, in bytes.
    EntryTooLarge {
        /// Bytes an entry may have.
        limit: u64,
    },
    /// Its content is wrong; the text says how, and follows a colon.
    Malformed(String),
}

/// A problem in words.
pub(super) fn malformed(what: impl fmt::Display) -> Problem {
    Problem::Malformed(tamed(&what.to_string(), 300))
}

/// At most `limit` characters of `text`, which may come from a file and be as long as an entry. Each control character is replaced, so that
/// an escape sequence cannot hide the words after it.
fn tamed(text: &str, limit: usize) -> String {
    let mut tamed: String = text.chars().take(limit).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(limit).is_some() {
        tamed.push('…');
    }
    tamed
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "{error}"),
            Self::WrongSize { expected, found } if found > expected => {
                write!(f, "it is longer than the {expected} bytes its list of files says")
            }
            Self::WrongSize { expected, found } => write!(f, "it has {found} bytes, its list of files says {expected}"),
            Self::WrongDigest { expected, found } => {
                write!(f, "its {} is {found}, its list of files says {expected}", expected.kind())
            }
            Self::Damaged { format, why } => write!(f, "its {format} data cannot be expanded: {}", printable(why)),
            Self::TooLarge { limit } => write!(f, "it expands to more than {}", rounded(*limit)),
            Self::EntryTooLarge { limit } => write!(f, "an entry of it is longer than {}", rounded(*limit)),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

fn place(at: &Option<At>, package: &Option<String>) -> String {
    let mut words = String::new();
    if let Some(At { line, byte }) = at {
        words.push_str(&format!(", line {line} (byte {byte})"));
    }
    if let Some(package) = package {
        words.push_str(&format!(", {}", tamed(package, 80)));
    }
    words
}

impl IndexError {
    /// An error of an index as a whole.
    pub(super) fn whole(index: &str, problem: Problem) -> Self {
        Self { index: index.to_owned(), at: None, package: None, problem }
    }
}

impl Failure for IndexError {
    fn class(&self) -> Class {
        match &self.problem {
            Problem::Unreadable(error) if error.kind() == io::ErrorKind::OutOfMemory => Class::Host,
            _ => Class::Input,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(
            match &self.problem {
                Problem::Unreadable(_) => "make it readable, or get the repository again",
                Problem::WrongSize { .. } | Problem::WrongDigest { .. } => {
                    "get the repository again, whole; after a change to it, its index must be made anew (createrepo, apt-ftparchive)"
                }
                Problem::Damaged { .. } => "get the repository again: the file was cut short or altered on its way",
                Problem::TooLarge { .. } | Problem::EntryTooLarge { .. } => "do not use this repository: no honest index is like that",
                Problem::Malformed(_) => "make the repository's index anew (createrepo, apt-ftparchive)",
            }
            .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_shown_tamed_and_short() {
        let problem = malformed(format_args!("`{}` is no field", "\u{1b}]0;a\nb\u{1b}"));
        let error =
            IndexError { at: Some(At { line: 1, byte: 0 }), package: Some("x".repeat(90)), ..IndexError::whole("Packages", problem) };
        let name = format!("{}…", "x".repeat(80));
        let said = "`\u{fffd}]0;a\u{fffd}b\u{fffd}` is no field";
        assert_eq!(error.to_string(), format!("Packages cannot be used, line 1 (byte 0), {name}: {said}"));
        let long = malformed("é".repeat(301)).to_string();
        assert_eq!(long, format!("{}…", "é".repeat(300)));
    }
}

//! The error for a file that a command could not write.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::failure::{Class, Failure};

/// A file could not be written. The command supplies the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
    class: Class,
    remedy: &'static str,
}

impl FileError {
    /// An error of the class for the host.
    pub fn new(path: &Path, source: io::Error, remedy: &'static str) -> Self {
        Self { path: path.to_owned(), source, class: Class::Host, remedy }
    }

    /// The same error with another class.
    pub fn of_class(self, class: Class) -> Self {
        Self { class, ..self }
    }
}

impl Failure for FileError {
    fn class(&self) -> Class {
        self.class
    }

    fn remedy(&self) -> Option<String> {
        Some(self.remedy.to_owned())
    }
}

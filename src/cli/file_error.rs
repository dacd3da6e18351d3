//! A file that a command was to write, and could not.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::failure::{Class, Failure};

/// It could not be written. What to do about it is the command's to say.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
    class: Class,
    remedy: &'static str,
}

impl FileError {
    /// The host's fault.
    pub fn new(path: &Path, source: io::Error, remedy: &'static str) -> Self {
        Self { path: path.to_owned(), source, class: Class::Host, remedy }
    }

    /// The same, of another class.
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

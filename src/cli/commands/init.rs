//! `goldsmith init [FILE]`.

use std::io;
use std::path::PathBuf;

use crate::base::atomic;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::shell_line;
use crate::cli::args::Init;
use crate::cli::printer;

/// Write the `starter` recipe to a file that is not there yet, and say what comes next.
///
/// # Errors
/// The file is there, or cannot be written.
pub fn run(args: &Init, starter: &str) -> Result<(), AnyFailure> {
    write(args, starter)?;
    let path = args.file.display().to_string();
    Ok(printer::out(&format!("{path} written; edit it, then run: {}\n", shell_line(["goldsmith", "build", &path])))?)
}

fn write(args: &Init, starter: &str) -> Result<(), InitError> {
    atomic::write_new(&args.file, starter.as_bytes()).map_err(|source| InitError { path: args.file.clone(), source })
}

/// The starter could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
struct InitError {
    path: PathBuf,
    source: io::Error,
}

impl Failure for InitError {
    fn class(&self) -> Class {
        match self.source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Class::Usage,
            _ => Class::Host,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::AlreadyExists => "give another name: goldsmith init FILE".into(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "make the directory first".into(),
            io::ErrorKind::StorageFull => "free some space".into(),
            _ => "choose a directory you may write to".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_written_once_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| Init { file: dir.path().join(name) };
        write(&at("recipe.toml"), "one").unwrap();
        for (name, class) in [("recipe.toml", Class::Usage), ("absent/recipe.toml", Class::Usage), ("recipe.toml/x", Class::Usage)] {
            let failure = write(&at(name), "two").unwrap_err();
            assert_eq!((failure.class(), failure.remedy().is_some()), (class, true), "{failure}");
        }
        assert_eq!(std::fs::read(dir.path().join("recipe.toml")).unwrap(), b"one");
    }
}

//! `goldsmith init [FILE]`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::atomic;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::shell_line;
use crate::cli::args::Init;
use crate::cli::printer;

/// Write the `starter` recipe to a file that is not there yet, and say what comes next; `-` is standard output.
///
/// # Errors
/// The file is there, or cannot be written.
pub fn run(args: &Init, starter: &str) -> Result<(), AnyFailure> {
    if args.file == Path::new("-") {
        return Ok(printer::out(starter)?);
    }
    write(args, starter)?;
    let path = args.file.display().to_string();
    Ok(printer::out(&format!("{path} written; edit it, then run: {}\n", shell_line(["goldsmith", "build", &path])))?)
}

fn write(args: &Init, starter: &str) -> Result<(), InitError> {
    let failed = |source| InitError { path: args.file.clone(), source };
    // An empty parent is the working directory.
    if let Some(parent) = args.file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    atomic::write_new(&args.file, starter.as_bytes()).map_err(failed)
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
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => Class::Usage,
            _ => Class::Host,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::AlreadyExists => "give another name: goldsmith init FILE".into(),
            io::ErrorKind::NotADirectory => "give another name: a file stands where its directory would be".into(),
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
        for name in ["recipe.toml", "recipe.toml/x", "recipe.toml/x/y"] {
            let failure = write(&at(name), "two").unwrap_err();
            assert_eq!((failure.class(), failure.remedy().is_some()), (Class::Usage, true), "{failure}");
        }
        write(&at("new/deep/recipe.toml"), "three").unwrap();
        assert_eq!(std::fs::read(dir.path().join("new/deep/recipe.toml")).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "a file was left behind");
        assert_eq!(std::fs::read(dir.path().join("recipe.toml")).unwrap(), b"one");
    }
}

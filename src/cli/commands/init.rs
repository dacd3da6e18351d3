//! `goldsmith init [FILE]`.

use std::fs;
use std::io;
use std::path::Path;

use crate::base::atomic;
use crate::base::failure::{AnyFailure, Class};
use crate::base::text::shell_line;
use crate::cli::args::Init;
use crate::cli::file_error::FileError;
use crate::cli::printer;

/// Write the `starter` recipe to a new file, and print the next steps; `-` is standard output.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn run(args: &Init, starter: &str) -> Result<(), AnyFailure> {
    if args.file == Path::new("-") {
        return Ok(printer::out(starter)?);
    }
    write(args, starter)?;
    let path = args.file.display().to_string();
    Ok(printer::out(&format!("{path} written; edit it, then run: {}\n", shell_line(["goldsmith", "build", &path])))?)
}

fn write(args: &Init, starter: &str) -> Result<(), FileError> {
    let failed = |source: io::Error| {
        let (class, remedy) = match source.kind() {
            io::ErrorKind::AlreadyExists => (Class::Usage, "give another name: goldsmith init FILE"),
            io::ErrorKind::NotADirectory => (Class::Usage, "give another name: a file stands where its directory would be"),
            io::ErrorKind::StorageFull => (Class::Host, "free some space"),
            _ => (Class::Host, "choose a directory you may write to"),
        };
        FileError::new(&args.file, source, remedy).of_class(class)
    };
    // An empty parent is the working directory.
    if let Some(parent) = args.file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    atomic::write_new(&args.file, starter.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure::Failure as _;

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

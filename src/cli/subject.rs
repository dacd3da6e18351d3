//! Recognises the name of a recipe, or a recipe file, where a command expects an image or a kickstart.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::host;
use crate::base::failure::{Class, Failure};
use crate::base::text::shell_line;
use crate::recipe;

/// The largest file that may be a recipe, in bytes (`recipe::load` reads no more).
const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// The named path is not an image, and it is known what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// The name of a recipe whose image is not here.
    #[error("there is no image {}: the recipe `{recipe}` is not built in this directory", path.display())]
    NotBuilt {
        /// The path that the user gave.
        path: PathBuf,
        /// The recipe, as `goldsmith build` takes it.
        recipe: String,
    },
    /// A recipe file.
    #[error("{} is a recipe, not an image", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
    },
}

impl Failure for NotAnImage {
    fn class(&self) -> Class {
        match self {
            Self::NotBuilt { .. } => Class::Input,
            Self::Recipe { .. } => Class::Usage,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NotBuilt { recipe, .. } => {
                format!("build it with `{}`, or give the path of an image", shell_line(["goldsmith", "build", recipe]))
            }
            Self::Recipe { path } => {
                let build = shell_line(["goldsmith", "build", &path.to_string_lossy()]);
                format!("build it with `{build}`, then give the directory which that made")
            }
        })
    }
}

/// Refuse `path` where an image is expected, if it is known to be something else. An unknown file is left to the code that opens it.
///
/// # Errors
/// See [`NotAnImage`].
pub fn require_image(path: &Path) -> Result<(), NotAnImage> {
    if path.exists() {
        return if is_recipe_file(path) { Err(NotAnImage::Recipe { path: path.to_owned() }) } else { Ok(()) };
    }
    // `debian-12-docker`, and the image that a build makes of it: `debian-12-docker/debian-12-docker.qcow2`.
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let name = name.strip_suffix(".qcow2").unwrap_or(name);
    let file = format!("{name}.toml");
    let recipe = if recipe::builtin(name).is_some() {
        name.to_owned()
    } else if Path::new(&file).is_file() {
        file
    } else {
        return Ok(());
    };
    Err(NotAnImage::NotBuilt { path: path.to_owned(), recipe })
}

/// Whether the content of the file at `path` looks like a recipe. Pipes and devices are not read.
pub fn is_recipe_file(path: &Path) -> bool {
    let is_small = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_RECIPE_BYTES);
    let bytes = || host::read_at_most(File::open(path).ok()?, MAX_RECIPE_BYTES).ok();
    is_small && bytes().is_some_and(|bytes| std::str::from_utf8(&bytes).is_ok_and(recipe::reads_as_recipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_told_from_images() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes, expected) in [
            ("a.toml", &b"schema = 1\nname = \"a\"\n"[..], true),
            ("no-suffix", b"# mine\nextends = \"debian-12-docker\"\n", true),
            // This TOML has an error, but it is still clear that it was meant as a recipe.
            ("broken.toml", b"schema = 1\nname = a\n", true),
            ("other.toml", b"[package]\nname = \"a\"\n", false),
            ("empty", b"", false),
            ("disk.raw", &[0; 512], false),
            ("a.ks", b"install\nlang en_US.UTF-8\n", false),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(is_recipe_file(&path), expected, "{name}");
            assert_eq!(require_image(&path).is_err(), expected, "{name}");
        }
        assert!(!is_recipe_file(dir.path()) && require_image(dir.path()).is_ok());
    }

    #[test]
    fn a_recipe_that_is_not_built_names_the_build() {
        for (path, recipe) in [
            ("debian-12-docker", Some("debian-12-docker")),
            ("debian-12-docker/", Some("debian-12-docker")),
            ("out/centos-7.5-docker.qcow2", Some("centos-7.5-docker")),
            ("debian-12-dokcer", None),
            ("/", None),
            ("..", None),
        ] {
            let found = require_image(Path::new(path));
            let expected = recipe.map_or(Ok(()), |recipe| Err(NotAnImage::NotBuilt { path: path.into(), recipe: recipe.into() }));
            assert_eq!(found, expected, "{path}");
        }
    }
}

//! The access of a recipe to the machine it is loaded on.

use std::io;
use std::path::{Path, PathBuf};

/// The access of a recipe to the machine it is loaded on.
pub trait RecipeHost {
    /// All bytes of a file; `path` is absolute or relative to the working directory.
    ///
    /// # Errors
    /// Those of reading; [`io::ErrorKind::FileTooLarge`] when there are more than `limit` bytes, before more than that are in memory.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// The absolute path of `path` after all symbolic links are followed; an empty `path` is the working directory. A host without links
    /// may keep this default, which is `path` itself.
    ///
    /// # Errors
    /// Those of following it, such as that there is no such file.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// The value of an environment variable, when it is set and UTF-8.
    fn env(&self, name: &str) -> Option<String>;
}

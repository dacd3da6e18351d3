//! The files and variables of this host that a recipe may read, and the directories of a build.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Context;
use super::args::RecipeArgs;
use super::environment::Environment;
use crate::base::failure::AnyFailure;
use crate::cache::Store;
use crate::pipeline::HostPaths;
use crate::recipe::{self, Recipe, RecipeHost};
use crate::sources::Web;

/// Files and environment variables of this host, for recipes.
struct ThisHost;

impl RecipeHost for ThisHost {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        read_at_most(File::open(path)?, limit)
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path })
    }

    fn env(&self, name: &str) -> Option<String> {
        Environment::variable(name)
    }
}

/// All bytes that come from `source`.
///
/// # Errors
/// Errors of reading, or [`io::ErrorKind::FileTooLarge`] when there are more than `limit` bytes. No more than that are ever in memory.
pub fn read_at_most(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Load the recipe that a command names.
///
/// # Errors
/// All of the recipe's errors at once.
pub fn recipe(args: &RecipeArgs) -> Result<Recipe, AnyFailure> {
    load(&args.recipe, &args.set)
}

/// As [`recipe`], from its parts.
///
/// # Errors
/// All of the recipe's errors at once.
pub fn load(reference: &str, overrides: &[String]) -> Result<Recipe, AnyFailure> {
    Ok(recipe::load(reference, overrides, &ThisHost)?)
}

/// Open the store that a command names, or the default store.
///
/// # Errors
/// Its directory is not known, or cannot be made.
pub fn store(flag: Option<&Path>, context: &Context) -> Result<Store, AnyFailure> {
    Ok(Store::open(&context.environment.store_dir(flag)?)?)
}

/// The directory of the default store, if it is known. It need not exist.
pub fn store_place(context: &Context) -> Option<PathBuf> {
    context.environment.store_dir(None).ok()
}

/// The access of this host to the network.
pub fn web(context: &Context) -> Web {
    Web::through(context.environment.proxies.clone())
}

/// The directories of this host that published files must not name. `reference` is that of the recipe.
pub fn paths(reference: &str, context: &Context) -> HostPaths {
    let recipe = Path::new(reference).parent().and_then(|dir| ThisHost.real_path(dir).ok());
    HostPaths::new(recipe.map(|recipe| (recipe, "RECIPE")).into_iter().chain(own_paths(context)))
}

/// As [`paths`], when there is no recipe.
pub fn own_paths(context: &Context) -> impl Iterator<Item = (PathBuf, &'static str)> {
    let working = std::env::current_dir().ok();
    let known = [(working, "."), (Some(std::env::temp_dir()), "TMP"), (context.environment.home.clone(), "~")];
    known.into_iter().filter_map(|(path, word)| Some((path?, word)))
}

/// The directory in which an artifact is published.
pub fn target(output: Option<&Path>, recipe: &Recipe) -> PathBuf {
    output.map_or_else(|| PathBuf::from(&recipe.name), Path::to_owned)
}

//! Turns a TOML file into a checked description of the wanted image, with errors that point at the line.
//!
//! ```text
//! file, parents, --set ─tree→ one tree of placed values ─shape→ fits the schema ─resolve→ Recipe
//! ```
//!
//! Every step goes on after an error, so that one run tells all errors. A value that an error has spoiled is not judged again.
//!
//! **Layers.** `extends = "base.toml"` (relative to the file it stands in, or the name of a compiled-in recipe) puts a recipe on top of another:
//! tables merge key by key, lists grow, and entries of one name merge. `extends = { recipe = "base.toml", replace = ["check"] }` removes a
//! list or a table of the lower recipe. `system.root` counts as one value, so that a recipe which locks root is not asked about its
//! parent's password. `--set path.to.key=value` is laid on top of all files and replaces what stands at the path.
//!
//! **Places.** A relative path leads from the directory of the file it is written in; in a compiled-in recipe and in `--set`, from the working directory.
//!
//! This module does no I/O: files and environment variables come through [`RecipeHost`].

mod audit_rules;
mod builtin;
mod containers;
mod diagnostics;
mod keys;
mod known;
mod layers;
mod host;
mod interface;
mod load;
mod mask;
mod promise;
mod release;
mod resolve;
mod resolved;
mod shape;
mod shown;
mod syntax;
mod tree;
mod written;

pub use builtin::{builtin, builtin_names, reads_as_recipe, starter};
pub use containers::{ContainerImage, ContainerRun, DOCKER_ENGINES, DockerImage};
pub use diagnostics::{Diagnostics, Passage};
pub use host::RecipeHost;
use interface::all_interfaces;
pub use interface::{BondMode, FIRST_CARD, Interface, InterfaceKind, MAX_CARDS, Network, USUAL_MTU, card_number, further_cards};
pub use keys::GpgKey;
pub use known::{Doubt, doubts, is_same_keyboard, likely_suite};
pub use load::load;
pub use promise::{Check, CheckKind, DockerSettings, Protocol};
pub use release::{Chrony, EL7, Release};
pub use resolved::*;
pub use shape::schema;

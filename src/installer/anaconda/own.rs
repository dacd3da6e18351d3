//! A kickstart of the user's own, with goldsmith's sections after it.
//!
//! The user's text comes first, byte for byte: the line numbers in the installer's messages are those of the user's file. What goldsmith
//! needs follows in marked sections, and nothing of the user's is changed in silence:
//!
//! - `repo`, one for each of the recipe's repositories, on the volume;
//! - `%pre`: the nonce is there, the volume is mounted;
//! - `%post`, when there are repositories: they are copied into the image, their `.repo` files written;
//! - the last `%post`: success, with the nonce.
//!
//! So the user's own `%pre` runs before the volume is mounted, and the user's own `%post` before the repositories are in the image; with
//! `--nochroot` it sees the volume.

use crate::kickstart::{Post, Script};
use crate::recipe::Recipe;

use super::{AnacondaError, repo, scripts};

/// `own` and goldsmith's sections for `recipe`.
pub(super) fn merged(recipe: &Recipe, own: &[u8]) -> Result<Vec<u8>, AnacondaError> {
    let mut text = own.to_vec();
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    for (name, section) in sections(recipe)? {
        text.extend_from_slice(format!("\n# goldsmith: begin {name}\n{section}# goldsmith: end {name}\n").as_bytes());
    }
    Ok(text)
}

/// What is added: the marks' words, and lines.
fn sections(recipe: &Recipe) -> Result<Vec<(&'static str, String)>, AnacondaError> {
    let post = |chroot, script: Script| Post { chroot, error_on_fail: true, script }.to_string().trim_start().to_owned();
    let mut sections = Vec::new();
    let repositories = !recipe.repositories.is_empty();
    if repositories {
        let repos = recipe.repositories.iter().map(repo).collect::<Result<Vec<_>, _>>()?;
        sections.push(("repositories", repos.iter().map(ToString::to_string).collect()));
    }
    sections.push(("start", format!("%pre\n{}%end\n", scripts::pre(recipe)?.as_str())));
    if repositories {
        sections.push(("copy", post(false, scripts::copy(recipe)?)));
        sections.push(("repository files", post(true, scripts::announce(recipe)?)));
    }
    sections.push(("signal", post(false, scripts::finish()?)));
    Ok(sections)
}

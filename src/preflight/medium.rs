//! Names the installation medium, and whether goldsmith was tested with it.

use super::report::{Area, Row};
use crate::recipe::{Media, Recipe};
use crate::sources::Resolved;
use crate::sources::medium::{KnownMedium, known_as};

/// A row about the medium, when the recipe has one. A medium that is still to be fetched is recognised by its digest.
pub(super) fn row(recipe: &Recipe, resolved: &Resolved) -> Option<Row> {
    let Media::Anaconda { iso, .. } = &recipe.media else { return None };
    let (name, known) = match resolved.medium() {
        Some(medium) => (medium.kind().to_string(), medium.kind().known),
        None => iso.sha256.and_then(known_as).map(|known| (known.to_string(), Some(known)))?,
    };
    Some(familiarity(&name, known))
}

fn familiarity(name: &str, known: Option<&KnownMedium>) -> Row {
    let never = "goldsmith was never tried with this medium";
    let what = match known {
        Some(known) if known.installer_was_read() => {
            let what = format!("the medium is {name}; {never}; the sources of its installer were read and run");
            return Row::ok(Area::Sources, what);
        }
        Some(_) => format!("the medium is {name}; {never}; only the installer of CentOS 7.5 is known"),
        None => {
            format!("the medium is {name}; it is not one of the known ISOs of CentOS 7; {never}; only the installer of CentOS 7.5 is known")
        }
    };
    let remedy = "build with it, and read what the installer says if it fails; an image is published only when it was proved";
    Row::warning(Area::Sources, what, Some(remedy.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_medium_that_was_never_seen_is_marked() {
        let known = |sha256: &str| known_as(sha256.parse().unwrap());
        for (known, verdict, ending) in [
            (
                known("506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345"),
                Verdict::Ok,
                "; goldsmith was never tried with this medium; the sources of its installer were read and run",
            ),
            (
                known("e33d7b1ea7a9e2f38c8f693215dd85254c3a4fe446f93f563279715b68d07987"),
                Verdict::Warning,
                "; goldsmith was never tried with this medium; only the installer of CentOS 7.5 is known",
            ),
            (
                None,
                Verdict::Warning,
                "; it is not one of the known ISOs of CentOS 7; goldsmith was never tried with this medium; only the installer of CentOS 7.5 is known",
            ),
        ] {
            let row = familiarity("X", known);
            assert_eq!((row.verdict, row.what), (verdict, format!("the medium is X{ending}")));
        }
    }
}

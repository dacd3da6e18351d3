//! Packages that provision steps install with the system's own tool.

use super::report::{Area, Row};
use crate::base::event::Task;
use crate::closure::unlisted;
use crate::recipe::{Media, Recipe};
use crate::sources::{Host, Resolved};

/// Rows for the packages of steps that no repository of the recipe has, as far as these are apt's. A step before may add a repository, so it is a
/// warning.
pub(super) async fn rows(recipe: &Recipe, resolved: Option<&Resolved>, host: Host<'_>, task: &Task) -> Vec<Row> {
    let asked: Vec<(&str, &str)> =
        recipe.provision.iter().flat_map(|step| step.packages.iter().map(|package| (step.name.as_str(), name(package)))).collect();
    let (Media::Deploy { .. }, Some(resolved), false) = (&recipe.media, resolved, asked.is_empty()) else { return Vec::new() };
    let names: Vec<&str> = asked.iter().map(|(_, name)| *name).collect();
    match unlisted(&names, resolved, host, task).await {
        Ok(unlisted) => {
            let row = |(step, name): &(&str, &str)| {
                let what =
                    format!("the provision step `{step}` installs {name}, and no repository of the recipe has a package of that name");
                Row::warning(Area::Packages, what, Some("correct the name, unless a step before adds its repository".to_owned()))
            };
            asked.iter().filter(|(_, name)| unlisted.contains(name)).map(row).collect()
        }
        Err(failure) => {
            let what = format!("whether there are the packages of provision steps is not known: {failure}");
            vec![Row::warning(Area::Packages, what, failure.get().remedy())]
        }
    }
}

/// The name in what apt-get takes: `name=version`, `name/suite`, `name:architecture` (apt-get(8)).
fn name(package: &str) -> &str {
    package.split(['=', '/', ':']).next().unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_stands_before_a_version_a_suite_or_an_architecture() {
        for text in ["curl", "curl=7.88.1-10", "curl/bookworm-backports", "curl:amd64", "curl:amd64=7.88.1-10"] {
            assert_eq!(name(text), "curl", "{text}");
        }
    }
}

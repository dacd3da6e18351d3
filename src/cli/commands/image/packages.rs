//! `goldsmith image packages IMAGE`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::opened::root;
use crate::base::event::SCHEMA;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::base::text::printable;
use crate::cli::{Context, printer};
use crate::image::Root;
use crate::inventory;
use crate::packages::installed::{DPKG_STATUS, Installation, Installed};

/// The image has no package database.
#[derive(Debug, thiserror::Error)]
#[error("{} has no package database: neither {DPKG_STATUS} nor one of RPM", .0.display())]
struct NoDatabase(PathBuf);

impl Failure for NoDatabase {
    fn class(&self) -> Class {
        Class::Input
    }

    fn remedy(&self) -> Option<String> {
        None
    }
}

/// The packages installed in the system of `root`, which is in `image`. Each damaged entry of its database causes a warning.
///
/// # Errors
/// There is no package database, or it cannot be read.
pub(super) fn installation(image: &Path, root: &Root) -> Result<Installation, AnyFailure> {
    let found = inventory::installation(root)?.ok_or_else(|| NoDatabase(image.to_owned()))?;
    for damage in &found.damaged {
        printer::err(&format!("warning: {damage}\n"));
    }
    Ok(found)
}

/// List the installed packages.
///
/// # Errors
/// The image cannot be read, or has no package database that can be.
pub(super) fn run(image: &Path, context: &Context) -> Result<(), AnyFailure> {
    let found = installation(image, &root(image, context)?)?;
    let text = if context.json {
        let damaged: Vec<String> = found.damaged.iter().map(ToString::to_string).collect();
        let record = json!({
            "schema": SCHEMA, "database": found.format.name(), "packages": found.packages, "others": found.others, "damaged": damaged,
        });
        format!("{record:#}\n")
    } else {
        table(&found.packages)
    };
    Ok(printer::out(&text)?)
}

fn table(packages: &[Installed]) -> String {
    let width = |of: fn(&Installed) -> &str| packages.iter().map(|package| of(package).len()).max().unwrap_or_default();
    let (names, versions) = (width(|package| &package.name), width(|package| &package.version));
    let mut text = String::new();
    for package in packages {
        let line = format!(
            "{:names$}  {:versions$}  {:<7}  {:>9}  {}",
            package.name,
            package.version,
            package.architecture.as_deref().unwrap_or_default(),
            package.installed_size.map(rounded).unwrap_or_default(),
            package.summary.as_deref().unwrap_or_default()
        );
        let _ = writeln!(text, "{}", printable(line.trim_end()));
    }
    text
}

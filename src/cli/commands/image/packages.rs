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
use crate::packages::{Input, Installed, debian, rpm};

/// dpkg's database.
const DPKG: &str = "/var/lib/dpkg/status";
/// Bytes of it that are read: 300,000 packages have fewer.
const DPKG_BYTES: u64 = 256 << 20;
/// RPM's database in Berkeley DB, which it was until 4.15, and bytes of it that are read: a full desktop has 200 MB.
const BERKELEY: &str = "/var/lib/rpm/Packages";
const BERKELEY_BYTES: u64 = 1 << 30;
/// RPM's later databases: SQLite, and SUSE's own format (rpm 4.18, lib/backend).
const LATER: [&str; 4] =
    ["/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/Packages.db"];

/// Why no package can be listed.
#[derive(Debug, thiserror::Error)]
enum NoDatabase {
    #[error("the packages of {} are in RPM's database {database}, which is not read yet", image.display())]
    Rpm { image: PathBuf, database: &'static str },
    #[error("{} has no package database: neither {DPKG} nor one of RPM", .0.display())]
    None(PathBuf),
}

impl Failure for NoDatabase {
    fn class(&self) -> Class {
        Class::Input
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Rpm { database, .. } => Some(format!(
                "copy the database out with `goldsmith image cp IMAGE {} DIR`, and ask `rpm --dbpath DIR/rpm -qa`",
                Path::new(database).parent().unwrap_or(Path::new("/")).display()
            )),
            Self::None(_) => None,
        }
    }
}

/// List the installed packages.
///
/// # Errors
/// The image cannot be read, or has no package database that can be.
pub(super) fn run(image: &Path, context: &Context) -> Result<(), AnyFailure> {
    let packages = installed(&root(image, context)?, image)?;
    let text = if context.json { format!("{:#}\n", json!({"schema": SCHEMA, "packages": packages})) } else { table(&packages) };
    Ok(printer::out(&text)?)
}

/// What the first database says that is there.
fn installed(root: &Root, image: &Path) -> Result<Vec<Installed>, AnyFailure> {
    if let Some(status) = root.read_if_there(DPKG, DPKG_BYTES)? {
        return Ok(debian::installed(Input::new(DPKG, &status[..], None, DPKG_BYTES)?)?);
    }
    if let Some(database) = root.read_if_there(BERKELEY, BERKELEY_BYTES)? {
        return Ok(rpm::installed(BERKELEY, &database)?);
    }
    for database in LATER {
        if root.exists(database)? {
            return Err(NoDatabase::Rpm { image: image.to_owned(), database }.into());
        }
    }
    Err(NoDatabase::None(image.to_owned()).into())
}

fn table(packages: &[Installed]) -> String {
    let width = |of: fn(&Installed) -> &str| packages.iter().map(|package| of(package).len()).max().unwrap_or_default();
    let (names, versions) = (width(|package| &package.name), width(|package| &package.version));
    let mut text = String::new();
    for package in packages {
        let line = format!(
            "{:names$}  {:versions$}  {:<6}  {:>9}  {}",
            package.name,
            package.version,
            package.architecture,
            package.bytes.map(rounded).unwrap_or_default(),
            package.summary
        );
        let _ = writeln!(text, "{}", printable(&line));
    }
    text
}

//! Fetches the packages that were chosen and makes repositories of them.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::transfer::fetch_all;
use super::{Chosen, RemotePackage, prove};
use crate::base::aside::aside;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::sources::bundle::{self, Bundle};
use crate::sources::host::Host;
use crate::sources::{Resolved, SourceError};

/// Gather the recipe's `repositories`: fetch the packages that were chosen from online ones, and make a bundle for each.
///
/// # Errors
/// Those of [`prove`]; a package cannot be had or is not what its index says, there is no room, or the metadata cannot be made.
pub async fn gather(resolved: &mut Resolved, host: Host<'_>, task: &Task) -> Result<(), SourceError> {
    prove(resolved, host, task).await?;
    let Some(chosen) = &resolved.chosen else { return Ok(()) };
    let packages: Vec<&RemotePackage> = chosen.values().flat_map(|chosen| &chosen.packages).collect();
    let files = fetch_all(&resolved.upstreams, &packages, host, task).await?;
    for (id, chosen) in chosen {
        let bundle = assemble(id, chosen, &files, host, task).await?;
        resolved.bundles.insert(id.clone(), bundle);
    }
    Ok(())
}

/// The packages of one repository in a directory of the scratch directory, with metadata.
async fn assemble(
    id: &str,
    chosen: &Chosen,
    files: &BTreeMap<Sha256Digest, PathBuf>,
    host: Host<'_>,
    task: &Task,
) -> Result<Bundle, SourceError> {
    let what = format!("the repository {id}");
    let dir = host.scratch.join("upstream").join(id);
    fs::create_dir_all(&dir).map_err(SourceError::unwritable(&dir))?;
    let copies: Vec<(PathBuf, PathBuf)> =
        chosen.packages.iter().filter_map(|package| Some((files.get(&package.sha256)?.clone(), dir.join(&package.file_name)))).collect();
    let total = chosen.packages.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
    let step = format!("put {what} together");
    let copied = aside(task, &step, total, move |meter| {
        copies.iter().try_for_each(|(from, to)| {
            let copied = File::open(from).and_then(|from| copy(&mut meter.measure(from), to));
            copied.map_err(SourceError::unwritable(to))
        })
    });
    copied.await?;
    task.step(&format!("make the metadata of {what}"));
    bundle::repodata(&dir, None).await?;
    Bundle::open(&what, &dir, None, host.store, host.scratch, task).await
}

/// Write a new file with this content. Like all files of a bundle it gets FAT's first day as its time.
fn copy(from: &mut impl io::Read, to: &Path) -> io::Result<()> {
    let mut file = File::create_new(to)?;
    io::copy(from, &mut file)?;
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + bundle::TIME))
}

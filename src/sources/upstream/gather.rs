//! Fetches the packages that were chosen and makes repositories of them.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::transfer::fetch_all;
use super::{OnlinePackages, RemotePackage};
use crate::base::aside::aside;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::repository_id::RepositoryId;
use crate::sources::bundle::{self, Bundle};
use crate::sources::host::Host;
use crate::sources::{Gathered, Proved, SourceError, medium};

/// Gather the recipe's `repositories`: fetch the packages that were chosen from online ones, and make a bundle for each.
///
/// # Errors
/// The medium or an archive is not on this host, a package cannot be fetched or is not what its index says, there is no room, or the
/// metadata cannot be made.
pub async fn gather<'a>(
    proved: &'a Proved,
    repositories: &[RepositoryId],
    host: Host<'_>,
    task: &Task,
) -> Result<Gathered<'a>, SourceError> {
    let (found, online) = (proved.chosen.found(), &proved.chosen.choice().online);
    let missing = |what: String, key: String| SourceError::Missing { what, key, path: None, sha256: None };
    let medium = found.medium.as_ref().ok_or_else(|| missing(medium::WHAT.to_owned(), "media.iso.path".to_owned()))?;
    let packages: Vec<&RemotePackage> = online.values().flat_map(|online| &online.packages).collect();
    let files = fetch_all(&found.upstreams, &packages, host, task).await?;
    let mut bundles = Vec::new();
    for (index, id) in repositories.iter().enumerate() {
        let bundle = match (found.bundles.get(id), online.get(id.as_str())) {
            (Some(bundle), _) => bundle.clone(),
            (None, Some(online)) => assemble(id, online, &files, host, task).await?,
            (None, None) => return Err(missing(format!("the archive of repository {id}"), format!("repository.{index}.archive.path"))),
        };
        bundles.push((id.clone(), bundle));
    }
    Ok(Gathered { medium, bundles })
}

/// The packages of one repository in a directory of the scratch directory, with metadata.
async fn assemble(
    id: &str,
    online: &OnlinePackages,
    files: &BTreeMap<Sha256Digest, PathBuf>,
    host: Host<'_>,
    task: &Task,
) -> Result<Bundle, SourceError> {
    let what = format!("the repository {id}");
    let dir = host.scratch.join("upstream").join(id);
    fs::create_dir_all(&dir).map_err(SourceError::unwritable(&dir))?;
    let copies: Vec<(PathBuf, PathBuf)> =
        online.packages.iter().filter_map(|package| Some((files.get(&package.sha256)?.clone(), dir.join(&package.file_name)))).collect();
    let total = online.packages.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
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

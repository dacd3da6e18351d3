//! Makes the metadata of a repository that has none, or none that yum of EL 7 can use.
//!
//! The usual tool, createrepo_c, makes it, so that yum reads metadata of the kind it was tested with. The crates `rpm` and
//! `rpmrepo_metadata` could do it in-process: but they are 42 more crates for the rare bundle without metadata, and a hostile header makes
//! them panic (`super::header` says where).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::listing::REPODATA;
use crate::base::process::{Invocation, Tool};
use crate::sources::{SourceError, packing};

/// The time limit. A thousand packages take some seconds.
const TIME: Duration = Duration::from_secs(600);
/// Bytes of one file that are read at most.
const BYTES: u64 = 64 << 20;

/// The metadata of the packages below `dir`, with the groups of the file `comps`, path to content, as yum 3.4 of EL7 reads it: gzip, no SQLite.
/// The same packages give the same bytes: revision and times are fixed.
pub(in crate::sources) async fn repodata(dir: &Path, comps: Option<&Path>) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    let mut invocation = Invocation::new(Tool::CreaterepoC)
        .args(["--quiet", "--no-database", "--general-compress-type=gz", "--simple-md-filenames"])
        .args(["--revision=1", "--set-timestamp-to-revision"]);
    if let Some(comps) = comps {
        invocation = invocation.arg("--groupfile").arg(comps);
    }
    invocation.arg(dir).within(TIME).output().await?;
    let made = dir.join(REPODATA);
    let read = || -> std::io::Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&made)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| std::io::ErrorKind::InvalidFilename)?;
            let bytes = packing::within(File::open(entry.path())?, BYTES)?.ok_or(std::io::ErrorKind::FileTooLarge)?;
            files.insert(format!("{REPODATA}/{name}"), bytes);
        }
        Ok(files)
    };
    read().map_err(|source| SourceError::Scratch { path: made.clone(), source })
}

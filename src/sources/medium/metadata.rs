//! Whether yum 3.4.3, the one of Anaconda in EL 7, can use the repodata of a medium. A medium that was made anew may have metadata of a
//! newer createrepo_c: zstd, or groups under a name that yum does not know. Unlike a bundle's, a medium's metadata cannot be made anew
//! here.

use std::io::{Read, Seek, SeekFrom};

use super::{Medium, REPOMD, REPOMD_BYTES, WHAT};
use crate::packages::Checksum;
use crate::packages::rpm::{Data, Repomd, local_path};
use crate::sources::SourceError;
use crate::sources::bundle::yum::{DATABASE_VERSION, GROUPS, groups_of, misread};

/// Bytes by which a compression is detected.
const HEAD_BYTES: u64 = 8;

/// Problems at which yum stops, or by which it loses groups, a line each. A repomd.xml that cannot be read is an error where the packages
/// are read.
///
/// # Errors
/// The medium cannot be read or is damaged.
pub(super) fn unusable(medium: &Medium) -> Result<Vec<String>, SourceError> {
    let bytes = medium.read(REPOMD, REPOMD_BYTES)?;
    let Ok(repomd) = Repomd::read_as_written(REPOMD, &bytes[..]) else { return Ok(Vec::new()) };
    let mut problems = Vec::new();
    for name in ["primary", "filelists"] {
        if let Some(data) = repomd.data(name) {
            problems.extend(problem(medium, data)?);
        }
        if let Some(data) = repomd.data(&format!("{name}_db")).filter(|data| data.database_version == DATABASE_VERSION) {
            problems.extend(problem(medium, data)?.map(|what| format!("{what}; yum prefers it to {name}.xml, and stops")));
        }
    }
    if let Some(data) = groups_of(&repomd) {
        match GROUPS.contains(&data.name.as_str()) {
            true => problems.extend(problem(medium, data)?),
            false => problems.push(format!("`{}` has groups as {}, a type that yum does not know", data.href, data.name)),
        }
    }
    Ok(problems)
}

/// What is wrong with the file of a `<data>`: it is missing, yum cannot expand it, or it is not the listed one.
fn problem(medium: &Medium, data: &Data) -> Result<Option<String>, SourceError> {
    let path = match local_path(&data.href) {
        Ok(path) => path,
        Err(why) => return Ok(Some(format!("`{}` {why}", data.href))),
    };
    if medium.find(&path)?.is_none() {
        return Ok(Some(format!("`{path}` is named by repomd.xml ({}) and is not on the medium", data.name)));
    }
    let unreadable = |source| SourceError::Unreadable { what: WHAT.to_owned(), path: medium.path.clone(), source };
    let mut file = medium.open_file(&path)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(unreadable)?;
    if let Some(why) = misread(&path, &head) {
        return Ok(Some(format!("`{path}` {why}")));
    }
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let is_other_size = data.size.parse().is_ok_and(|size: u64| size != file.size());
    // yum supports more kinds of checksums than goldsmith; files with those are not compared.
    let is_other = is_other_size
        || match Checksum::parse(&data.checksum.0, &data.checksum.1) {
            Ok(checksum) => !checksum.fits(&mut file).map_err(unreadable)?,
            Err(_) => false,
        };
    Ok(is_other.then(|| format!("`{path}` is not what repomd.xml says ({})", data.name)))
}

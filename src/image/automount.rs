//! What systemd mounts though `/etc/fstab` does not say so: the partitions that boot the machine (systemd-gpt-auto-generator(8)).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::ImageError;
use super::partition::gpt_type;
use super::volume::Volume;

/// The generator, and where it is. In Debian 12, `/lib` may be a directory of its own.
const GENERATOR: &str = "systemd-gpt-auto-generator";
const GENERATORS: [&str; 2] = ["/usr/lib/systemd/system-generators", "/lib/systemd/system-generators"];

/// The entries of a directory; `None` when there is no directory.
type Names<'a> = dyn Fn(&Path) -> Result<Option<Vec<OsString>>, ImageError> + 'a;

/// Those of `volumes` that are mounted when a machine boots through UEFI, each with its place: the XBOOTLDR partition on `/boot`, the ESP on
/// `/efi` when that is there, else on `/boot`. Nothing is mounted on what holds files, or where something is mounted already. `seen` are the
/// filesystems that are mounted, each with the byte of the disk where it begins; `names` is asked what a directory holds.
///
/// # Errors
/// A directory cannot be read.
pub(super) fn mounts<'a, 'd>(
    volumes: &'a [Volume<'d>],
    seen: &[(PathBuf, u64)],
    names: &Names<'_>,
) -> Result<Vec<(PathBuf, &'a Volume<'d>)>, ImageError> {
    let mut found = Vec::new();
    let mut does = false;
    for dir in GENERATORS {
        does = does || names(Path::new(dir))?.is_some_and(|names| names.iter().any(|name| name == GENERATOR));
    }
    if !does {
        return Ok(found);
    }
    let unseen =
        |kind: &str| volumes.iter().find(|volume| volume.type_id() == kind && !seen.iter().any(|(_, start)| *start == volume.start()));
    let is_free = |place: &Path| -> Result<bool, ImageError> {
        Ok(!seen.iter().any(|(point, _)| point.starts_with(place)) && names(place)?.is_none_or(|names| names.is_empty()))
    };
    let (boot, efi) = (Path::new("/boot"), Path::new("/efi"));
    if let Some(volume) = unseen(gpt_type::XBOOTLDR)
        && is_free(boot)?
    {
        found.push((boot.to_owned(), volume));
    }
    if let Some(volume) = unseen(gpt_type::ESP) {
        let place = if names(efi)?.is_some() { efi } else { boot };
        if is_free(place)? && !found.iter().any(|(taken, _)| taken == place) {
            found.push((place.to_owned(), volume));
        }
    }
    Ok(found)
}

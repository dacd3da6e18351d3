//! The mounts of a system: `/etc/fstab` (fstab(5)).

use std::path::PathBuf;

/// A device that is mounted on a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its name there: `UUID=…`, `/dev/vda1`.
    pub(super) source: String,
    /// The directory.
    pub(super) point: PathBuf,
    /// It is mounted only on demand.
    pub(super) is_manual: bool,
}

/// The devices that `text` mounts on other directories than `/`. Swap, network filesystems and those without a device are left out.
pub(super) fn mounts(text: &str) -> Vec<Mount> {
    // A line that begins with `#` is a comment. Debian's installer writes `# /boot was on /dev/vda1 during installation`.
    let entries = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let mount = |line: &str| {
        let mut words = line.split_whitespace();
        let (source, point) = (unescaped(words.next()?).replace('"', ""), unescaped(words.next()?));
        let options = words.nth(1).unwrap_or_default();
        let is_device =
            source.starts_with("/dev/") || ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="].iter().any(|tag| source.starts_with(tag));
        let point = PathBuf::from(point).components().collect::<PathBuf>();
        let is_mount = is_device && point.is_absolute() && point.parent().is_some();
        is_mount.then(|| Mount { source, point, is_manual: options.split(',').any(|option| option == "noauto") })
    };
    entries.filter_map(mount).collect()
}

/// A field as it is meant: `\040` stands for a space, and so on (getmntent(3)).
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |field, (code, character)| field.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_on_directories_are_found() {
        let text = "# /boot was on /dev/vda1\n\nUUID=1 / ext4 defaults 0 1\n  LABEL=\"b\"\t/boot/ xfs noatime,noauto 0 2\n/dev/sr0 /media/cd\\040rom auto\n\
                    tmpfs /tmp tmpfs\nUUID=3 none swap sw 0 0\nserver:/x /x nfs\n/srv /bind none bind\nUUID=9\n";
        let mount = |source: &str, point: &str, is_manual| Mount { source: source.to_owned(), point: point.into(), is_manual };
        assert_eq!(mounts(text), [mount("LABEL=b", "/boot", true), mount("/dev/sr0", "/media/cd rom", false)]);
    }
}

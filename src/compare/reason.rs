//! The reasons why files differ: another change that is already reported.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::difference::Comparison;

/// The records of package managers: they differ when packages do.
const RECORDS: [&str; 9] = [
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/lib/rpm",
    "/usr/lib/sysimage/rpm",
    "/var/lib/yum",
    "/var/lib/dnf",
    "/var/cache",
    "/var/log",
    "/etc/ld.so.cache",
];
/// What accounts are kept in; names with `-` are backups (shadow(5)).
const ACCOUNTS: [&str; 6] = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
/// The files that determine how a system is booted.
const BOOT: [&str; 6] = ["/boot/grub", "/boot/grub2", "/boot/loader", "/etc/default/grub", "/etc/default/grub.d", "/etc/kernel/cmdline"];

/// Give each file the reason of its change, if another difference explains it. `packaged` are the files of packages that differ.
pub(super) fn explain(found: &mut Comparison, packaged: &HashMap<PathBuf, String>) {
    let (packages, units, users, sysctls, arguments) = (
        !found.packages.is_empty(),
        !found.units.is_empty(),
        !found.users.is_empty(),
        !found.sysctls.is_empty(),
        !found.kernel_arguments.is_empty(),
    );
    for file in &mut found.files {
        let path = file.path.as_path();
        let below = |dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(dir));
        file.because = if let Some(package) = packaged.get(path) {
            Some(format!("package {package}"))
        } else if packages && below(&RECORDS) {
            Some("records of packages".to_owned())
        } else if users && is_account_file(path) {
            Some("users".to_owned())
        } else if sysctls && is_sysctl_file(path) {
            Some("sysctls".to_owned())
        } else if units && below(&["/etc/systemd/system"]) {
            Some("units".to_owned())
        } else if arguments && below(&BOOT) {
            Some("kernel arguments".to_owned())
        } else if packages && is_initramfs(path) {
            Some("made of packages".to_owned())
        } else {
            None
        };
    }
}

fn is_account_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.parent() == Some(Path::new("/etc")) && ACCOUNTS.contains(&name.trim_end_matches('-'))
}

fn is_sysctl_file(path: &Path) -> bool {
    path == Path::new("/etc/sysctl.conf") || path.parent().is_some_and(|dir| dir.ends_with("sysctl.d"))
}

/// Debian's initrd.img-VERSION, Enterprise Linux's initramfs-VERSION.img.
fn is_initramfs(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.parent() == Some(Path::new("/boot")) && (name.starts_with("initrd.img-") || name.starts_with("initramfs-"))
}

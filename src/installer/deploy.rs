//! The deploy installer: a Debian tree from the distribution's signed packages, and the settings of the recipe in it. Pure.
//!
//! It decides *what*: packages, files, a script for a chroot of the tree, and the runner's work once the tree is a disk. The stages decide
//! how a tree and a disk are made.

use std::fmt::Write as _;

use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::image_path::ImagePath;
use crate::base::public_key::PublicKey;
use crate::base::text::{shell_line, shell_quote};
use crate::base::uuid::Uuid;
use crate::recipe::{Account, Content, FileEntry, Firmware, InterfaceKind, Media, Recipe, StockRepositories, TableKind, Toggle};

use super::accounts::group_words;
use super::address::INTERFACES;
use super::hostname::{UNNAMED, hosts};
use super::{ADD_GROUP, MAKE_DIRECTORY, language};

/// Everything that makes the tree, apart from the packages' bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Packages for mmdebstrap's `--include`: [`packages`].
    pub packages: Vec<String>,
    /// Files the script puts in place; it finds their bytes as `/goldsmith/files/0`, `/1`, ….
    pub files: Vec<FileEntry>,
    /// Run by `/bin/sh` in a chroot of the tree after the packages are installed.
    pub script: String,
}

/// Names of the filesystems, known before they are made so that `/etc/fstab` can be written into the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesystemIds {
    /// The partition table's identifiers are derived from it too.
    pub seed: Sha256Digest,
    /// UUID of the root filesystem.
    pub root: Uuid,
    /// Volume serial number of the EFI system partition.
    pub esp: u32,
    /// UUID of the swap space.
    pub swap: Uuid,
}

impl FilesystemIds {
    /// The same ids for the same seed, which is the id of the installation: two that differ in anything differ in their ids.
    pub fn derive(seed: Sha256Digest) -> Self {
        let uuid = |what: &str| Uuid::derived(&seed, what);
        Self { seed, root: uuid("filesystem root"), esp: uuid("filesystem esp").short(), swap: uuid("filesystem swap") }
    }
}

/// Packages that turn an `--variant=apt` tree into a machine: init, devices, network, log-in. Kernel and boot loader come on top.
const BASE_PACKAGES: &[&str] = &[
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "udev",
    "kmod",
    "procps",
    "e2fsprogs",
    "zstd",
    "login",
    "passwd",
    "tzdata",
    TIME_CLIENT,
    "iproute2",
    "iputils-ping",
    "ifupdown",
    "isc-dhcp-client",
    "openssh-server",
    "ca-certificates",
];

/// What asks time servers, unless the recipe names another.
const TIME_CLIENT: &str = "systemd-timesyncd";
/// Others: each conflicts with every package that provides `time-daemon`, as all of them do.
const TIME_CLIENTS: [&str; 4] = ["chrony", "ntpsec", "openntpd", "ntp"];

/// Debian's kernel for virtual machines: a third of the modules of `linux-image-amd64`.
/// A recipe that names any `linux-image…` gets that one alone.
const KERNEL_PACKAGE: &str = "linux-image-cloud-amd64";

/// What makes ifupdown understand bonds. VLANs need no package: ifupdown 0.8.41 has them itself. Both kernels of Debian have the modules
/// `8021q` and `bonding` (linux-image-6.1.0-57-cloud-amd64).
const BONDS: &str = "ifenslave";

/// The suites whose systemd-repart(8) comes with `systemd`; Debian's 256.1-1 moved it into a package of its own (changelog of systemd).
const REPART_IN_SYSTEMD: [&str; 2] = ["bullseye", "bookworm"];

/// Suites in which `/bin`, `/sbin` and `/lib` become links to those below `/usr` by a package, whose script brings all of Perl, 48 MB: there
/// `init-system-helpers` needs `usrmerge | usr-is-merged`. The second only requires that they are links. debootstrap makes the links first
/// and takes the second (scripts/debian-common, `MERGED_USR`), and so do we.
const MERGED_BY_PACKAGE: [&str; 1] = ["bookworm"];

/// The package that requires the links.
pub const IS_MERGED: &str = "usr-is-merged";
/// The package that makes the links.
pub const MERGES: &str = "usrmerge";

/// Locales of Debian's C library itself; others are made by locale-gen(8).
const BUILT_IN_LOCALES: [&str; 3] = ["C", "POSIX", "C.UTF-8"];

/// Kernel arguments every image has: the serial console last, so that systemd's status lines and the log-in prompt reach it;
/// the interface is `eth0` whatever slot it sits in.
const KERNEL_ARGUMENTS: &str = "console=tty0 console=ttyS0,115200 net.ifnames=0 biosdevname=0";

/// The tree of a recipe.
pub fn tree(recipe: &Recipe, ids: &FilesystemIds) -> Tree {
    let files = files(recipe, ids);
    let script = script(recipe, &files);
    Tree { packages: packages(recipe), files, script }
}

/// The packages that are asked for beside the essential ones: our own, then the recipe's.
pub fn packages(recipe: &Recipe) -> Vec<String> {
    let wanted = &recipe.packages.install;
    let replaced =
        |name: &&&str| **name == TIME_CLIENT && wanted.iter().any(|wanted| TIME_CLIENTS.iter().any(|client| wanted.asks_for(client)));
    let mut packages: Vec<String> = BASE_PACKAGES.iter().filter(|name| !replaced(name)).map(|name| (*name).to_owned()).collect();
    if !wanted.iter().any(|name| name.starts_with("linux-image")) {
        packages.push(KERNEL_PACKAGE.to_owned());
    }
    // Debian's own; a recipe that names dracut gets dracut instead, because the two exclude each other.
    if !wanted.iter().any(|name| name == "dracut") {
        packages.push("initramfs-tools".to_owned());
    }
    packages.extend(match recipe.disk.firmware {
        Firmware::Bios => ["grub-pc-bin", "grub2-common"].map(str::to_owned),
        Firmware::Uefi => ["grub-efi-amd64-bin", "grub2-common"].map(str::to_owned),
    });
    if !BUILT_IN_LOCALES.contains(&recipe.system.locale.as_str()) {
        packages.push("locales".to_owned());
    }
    if recipe.system.keyboard != "us" {
        packages.extend(["keyboard-configuration", "console-setup"].map(str::to_owned));
    }
    if recipe.users.iter().any(|user| user.sudo) {
        packages.push("sudo".to_owned());
    }
    if recipe.interfaces.iter().any(|interface| matches!(interface.kind, InterfaceKind::Bond { .. })) {
        packages.push(BONDS.to_owned());
    }
    if let Media::Deploy { suite, .. } = &recipe.media {
        if recipe.disk.grow && !REPART_IN_SYSTEMD.contains(&suite.as_str()) {
            packages.push("systemd-repart".to_owned());
        }
        if MERGED_BY_PACKAGE.contains(&suite.as_str()) && !wanted.iter().any(|name| *name == MERGES) {
            packages.push(IS_MERGED.to_owned());
        }
    }
    for name in wanted {
        if packages.iter().all(|other| name != other.as_str()) {
            packages.push(name.to_string());
        }
    }
    packages
}

fn files(recipe: &Recipe, ids: &FilesystemIds) -> Vec<FileEntry> {
    let system = &recipe.system;
    let mut files = vec![
        // Sealing puts the recipe's host name there.
        text("/etc/hostname", format!("{UNNAMED}\n")),
        text("/etc/hosts", hosts(UNNAMED)),
        text("/etc/timezone", format!("{}\n", system.timezone)),
        text("/etc/default/locale", format!("LANG={}\n", system.locale)),
        text("/etc/fstab", fstab(recipe, ids)),
        // Sealing puts the recipe's address there.
        text("/etc/network/interfaces", INTERFACES.to_owned()),
        text("/etc/default/grub", grub_defaults(recipe)),
        // Debian makes host keys when the package is installed and never again; a sealed image has none.
        text(
            "/etc/systemd/system/ssh.service.d/host-keys.conf",
            "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n".to_owned(),
        ),
    ];
    if system.keyboard != "us" {
        files.push(text("/etc/default/keyboard", format!("XKBMODEL=\"pc105\"\nXKBLAYOUT=\"{}\"\n", system.keyboard)));
    }
    if recipe.disk.grow {
        // systemd-repart(8) grows the partition, x-systemd.growfs of fstab the filesystem.
        files.push(text("/etc/repart.d/50-root.conf", "[Partition]\nType=root\n".to_owned()));
    }
    if !recipe.kernel.modules.is_empty() {
        files.push(text("/etc/modules-load.d/goldsmith.conf", recipe.kernel.modules.iter().map(|module| format!("{module}\n")).collect()));
    }
    if !recipe.kernel.sysctl.is_empty() {
        // After 99-sysctl.conf, which is a link to /etc/sysctl.conf: of two files the later name wins (sysctl.d(5)).
        let lines = recipe.kernel.sysctl.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        files.push(text("/etc/sysctl.d/99-zz-goldsmith.conf", lines));
    }
    if recipe.packages.stock_repositories == StockRepositories::Disable {
        files.push(text("/etc/apt/sources.list", "# The image has no package sources: its recipe disabled them.\n".to_owned()));
    }
    if !recipe.packages.docs {
        files.push(text("/etc/dpkg/dpkg.cfg.d/no-documentation", without_docs(language(&recipe.system.locale))));
    }
    for user in recipe.users.iter().filter(|user| user.sudo) {
        files.push(FileEntry {
            mode: 0o440,
            ..text(&format!("/etc/sudoers.d/{}", user.name), format!("{} ALL=(ALL) NOPASSWD: ALL\n", user.name))
        });
    }
    files.extend(recipe.files.iter().cloned());
    files
}

/// Files that dpkg(1) leaves out of packages that are installed later; the last option that fits a path counts. Directories stay: a package
/// may put links into those of manual pages. So do copyright files, which licences ask for.
fn without_docs(language: &str) -> String {
    format!(
        "path-exclude=/usr/share/doc/*/*\npath-include=/usr/share/doc/*/copyright\npath-exclude=/usr/share/man/*/*\n\
         path-exclude=/usr/share/info/*\npath-exclude=/usr/share/lintian/*\npath-exclude=/usr/share/locale/*/*\n\
         path-include=/usr/share/locale/{language}/*\npath-include=/usr/share/locale/{language}[_@]*/*\n"
    )
}

fn text(path: &str, text: String) -> FileEntry {
    FileEntry { path: ImagePath::made(path), mode: 0o644, owner: Owner::root(), content: Content::Inline { text } }
}

fn fstab(recipe: &Recipe, ids: &FilesystemIds) -> String {
    let grow = if recipe.disk.grow { ",x-systemd.growfs" } else { "" };
    let mut fstab = format!("UUID={} / ext4 errors=remount-ro{grow} 0 1\n", ids.root);
    if recipe.disk.firmware == Firmware::Uefi {
        let _ = writeln!(fstab, "UUID={:04X}-{:04X} /boot/efi vfat umask=0077 0 1", ids.esp >> 16, ids.esp & 0xffff);
    }
    if recipe.disk.swap.bytes() > 0 {
        let _ = writeln!(fstab, "UUID={} none swap sw 0 0", ids.swap);
    }
    fstab
}

fn grub_defaults(recipe: &Recipe) -> String {
    let arguments: String = recipe.kernel.arguments.iter().map(|argument| format!(" {argument}")).collect();
    format!(
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=\"\"\nGRUB_CMDLINE_LINUX={}\n\
         GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\nGRUB_DISABLE_OS_PROBER=true\n",
        shell_quote(&format!("{KERNEL_ARGUMENTS}{arguments}"))
    )
}

/// The functions of a tree's script; it reports a failure in a line that begins with [`FAILED`].
const APPLY: &str = include_str!("apply.sh");
/// One more, for recipes with certificate authorities alone: the script of others stays as it is, and with it their layers.
const TRUST: &str = include_str!("trust.sh");
/// Begins the line in which a tree's script reports a failure: `WHAT: WHY`.
pub const FAILED: &str = "goldsmith: fail ";

/// Files come before everything that may read them, owners after the accounts they name.
fn script(recipe: &Recipe, files: &[FileEntry]) -> String {
    let system = &recipe.system;
    let trust = if recipe.authorities.is_empty() { "" } else { TRUST };
    let groups = if recipe.groups.is_empty() { "" } else { ADD_GROUP };
    let mut script = format!("{APPLY}{MAKE_DIRECTORY}{trust}{groups}");
    let mut line = |words: &[&str]| {
        script.push_str(&shell_line(words.iter().copied()));
        script.push('\n');
    };
    let put = |line: &mut dyn FnMut(&[&str]), in_homes: bool| {
        for (index, file) in files.iter().enumerate().filter(|(_, file)| file.path.starts_with("/home/") == in_homes) {
            line(&["put", &index.to_string(), &format!("{:04o}", file.mode), &file.path]);
        }
    };
    put(&mut line, false);
    if !recipe.authorities.is_empty() {
        line(&["trust_authorities"]);
    }
    if !recipe.packages.docs {
        line(&["drop_docs", language(&system.locale)]);
    }
    line(&["time_zone", &system.timezone]);
    if !BUILT_IN_LOCALES.contains(&system.locale.as_str()) {
        line(&["make_locale", &system.locale, &system.locale.replace('.', "\\.")]);
    }
    for group in &recipe.groups {
        let words = group_words(group);
        line(&std::iter::once("add_group").chain(words.iter().map(String::as_str)).collect::<Vec<_>>());
    }
    for user in &recipe.users {
        let uid = user.uid.map(|uid| uid.to_string());
        let mut words = vec!["add_user", &user.name, &user.shell];
        if let Some(uid) = &uid {
            words.extend(["--uid", uid]);
        }
        let groups = user.groups.join(",");
        if !groups.is_empty() {
            words.extend(["--groups", &groups]);
        }
        line(&words);
    }
    // If the home were there already, it would neither be filled from /etc/skel nor given to its user.
    put(&mut line, true);
    let root = std::iter::once(("root", "/root".to_owned(), &system.root));
    let users = recipe.users.iter().map(|user| (user.name.as_str(), format!("/home/{}", user.name), &user.account));
    for (name, home, account) in root.chain(users) {
        log_in(&mut line, name, &home, account);
    }
    for file in files.iter().filter(|file| file.owner != Owner::root()) {
        line(&["give", &file.owner.to_string(), &format!("{:04o}", file.mode), &file.path]);
    }
    for unit in &recipe.services.enable {
        line(&["enable", unit]);
    }
    for unit in &recipe.services.disable {
        line(&["disable", unit]);
    }
    if system.firewall == Toggle::Disabled {
        line(&["disable_firewall"]);
    }
    script
}

/// The account has no valid password; sealing sets one. Its keys work before: for sshd an account is only locked if the field begins with
/// `!` (sshd(8)).
fn log_in(line: &mut impl FnMut(&[&str]), name: &str, home: &str, account: &Account) {
    line(&["no_password", name]);
    if !account.ssh_keys.is_empty() {
        let keys = account.ssh_keys.iter().map(PublicKey::as_str);
        line(&["ssh_keys", name, home].into_iter().chain(keys).collect::<Vec<_>>());
    }
}

/// The script that the runner runs in a chroot of the new disk: it makes the swap space and installs the boot loader.
pub fn boot_loader(recipe: &Recipe, ids: &FilesystemIds) -> String {
    let mut script = String::from("#!/bin/sh\nset -eu\n");
    if recipe.disk.swap.bytes() > 0 {
        // The partition where `image::Layout` puts swap: after the boot partition, which only a GPT has.
        let device = match recipe.disk.table {
            TableKind::Gpt => "/dev/vda2",
            TableKind::Mbr => "/dev/vda1",
        };
        let _ = writeln!(script, "mkswap --uuid {} {device}", ids.swap);
    }
    script.push_str(match recipe.disk.firmware {
        Firmware::Bios => "grub-install --target=i386-pc /dev/vda\nupdate-grub\n",
        // Load the modules here: the kernel itself would look for them in the root of the initramfs, not in this chroot. --removable: the
        // image travels without the firmware's variables, so it must boot from the fallback path (UEFI 2.10, 3.5.1.1).
        Firmware::Uefi => {
            "modprobe -a vfat nls_cp437 nls_ascii\nmkdir -p /boot/efi\nmount /boot/efi\n\
             grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram\nupdate-grub\numount /boot/efi\n"
        }
    });
    script
}

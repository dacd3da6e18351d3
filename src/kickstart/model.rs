//! The commands and sections of a kickstart that goldsmith writes, one type each, under pykickstart's names.
//!
//! The behaviour of each command in 7.5 was read from pykickstart 1.99.66.18 (commands/*.py) and Anaconda 21.48.22.134
//! (pyanaconda/kickstart.py). The comments name only what is not obvious.

use std::net::Ipv4Addr;

use super::value::{GroupId, KernelArgument, PackagePattern, Script, Url, ValueError, Word};

/// A kickstart file for an unattended installation: command-line mode, without the first boot dialogue and X, and with a power-off at the
/// end.
///
/// These are not choices: in text mode a missing answer becomes a prompt, and without `poweroff`, `reboot` or `shutdown` *every* mode
/// ends in "Installation complete. Press return to quit" (pyanaconda/ui/tui/spokes/progress.py). `reboot` would look like a reset by the
/// guest.
#[derive(Debug, Clone, PartialEq)]
pub struct Kickstart {
    /// Lines of comment at the start of the file. Line ends in them are folded.
    pub comment: Vec<String>,
    /// Where the distribution's packages are.
    pub source: Source,
    /// Further repositories, for the installation only.
    pub repos: Vec<Repo>,
    /// `lang`: the locale.
    pub lang: Word,
    /// `keyboard`: console and X keymap.
    pub keyboard: Word,
    /// `timezone`, with the hardware clock in UTC (else /etc/adjtime has LOCAL) and without chrony, which it would add to the packages.
    pub timezone: Word,
    /// `user`, one each.
    pub users: Vec<User>,
    /// `selinux`: the mode in /etc/selinux/config.
    pub selinux: SelinuxMode,
    /// `firewall`.
    pub firewall: Firewall,
    /// `network`: the first and only interface.
    pub network: Network,
    /// `services`, when a list is not empty.
    pub services: Services,
    /// The disk. It is the only one that is changed.
    pub storage: Storage,
    /// `bootloader`.
    pub bootloader: Bootloader,
    /// `%addon com_redhat_kdump`. It must be disabled when kexec-tools is excluded. When enabled, it reserves memory on the kernel line.
    pub kdump: bool,
    /// `%packages`. Always written: the software selection is a mandatory question.
    pub packages: Packages,
    /// `%pre` sections. They never have `--erroronfail`: in 7.5 a failing `%pre` kills Anaconda before it can power off.
    pub pre: Vec<Script>,
    /// `%post` sections, run in this order.
    pub post: Vec<Post>,
}

/// Where the distribution's packages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `cdrom`: the medium that the initramfs mounted at /run/install/repo, a CD or a disk that holds the ISO.
    Cdrom,
    /// `url --url=`: an installation tree.
    Url(Url),
}

/// `repo --name= --baseurl=`: a repository for the installation; `file://` means the *installer's* root. Signatures of its packages are not
/// checked. A repository with unreadable metadata is left out, and the symptom is a missing package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// Its id.
    pub name: Word,
    /// Where it is.
    pub baseurl: Url,
    /// yum's cost: of equal packages the cheaper is taken; 1000 is the default.
    pub cost: Option<u32>,
}

/// `user`, locked: sealing sets the password. Its ssh keys are not here, because today's validator refuses `sshkey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `--name`.
    pub name: Word,
    /// `--groups`: supplementary groups.
    pub groups: Vec<Word>,
    /// `--shell`.
    pub shell: Word,
    /// `--uid`.
    pub uid: Option<u32>,
}

/// `selinux`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum SelinuxMode {
    Enforcing,
    Permissive,
    Disabled,
}

/// `firewall`. Either way firewalld is installed unless it is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firewall {
    /// `--enabled`, with these services allowed.
    Enabled {
        /// `--service`.
        services: Vec<Word>,
    },
    /// `--disabled`.
    Disabled,
}

/// `network`, brought up at once and at boot, with the host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `--device`: a kernel name. It is written as `DEVICE=`, so it must be the same during and after the installation.
    pub device: Word,
    /// `--hostname`.
    pub hostname: Word,
    /// Where the address comes from.
    pub address: Address,
}

/// Where an interface's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `--bootproto=dhcp`.
    Dhcp,
    /// `--noipv4 --noipv6`: the card is brought up, and that is all.
    None,
    /// `--bootproto=static`, without IPv6: there is no IPv6 router, and waiting for one delays network-online.target.
    ///
    /// The parser takes a static line without `--netmask`; Anaconda needs it, so it is always written.
    Static {
        /// `--ip`.
        ip: Ipv4Addr,
        /// `--netmask`.
        netmask: Ipv4Addr,
        /// `--gateway`.
        gateway: Option<Ipv4Addr>,
        /// `--nameserver`.
        nameservers: Vec<Ipv4Addr>,
    },
}

/// `services`. It runs before `%post`, and its errors are ignored. `.service` is added to any name that lacks it, so `docker.socket` cannot
/// be named here (pyanaconda/kickstart.py:1762). First the disabled services, then the enabled ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// `--disabled`.
    pub disabled: Vec<Word>,
    /// `--enabled`.
    pub enabled: Vec<Word>,
}

/// `ignoredisk --only-use`, `zerombr`, `clearpart` and the partitions: one disk, wiped, with a new label and new partitions.
///
/// A missing disk is an error of Anaconda only, and Anaconda hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The disk's kernel name: `vda`.
    pub disk: Word,
    /// `--disklabel`.
    pub label: DiskLabel,
    /// `part`, in this order.
    pub parts: Vec<Part>,
    /// `volgroup` and its `logvol`s.
    pub groups: Vec<VolumeGroup>,
}

/// Partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskLabel {
    /// GPT.
    Gpt,
    /// MBR, as parted calls it.
    Msdos,
}

/// `part`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is for.
    pub purpose: Purpose,
    /// `--size` in MiB.
    pub size_mib: u32,
    /// `--grow`: the rest of the disk.
    pub grow: bool,
}

/// The purpose of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// GRUB's own partition on a GPT disk that a BIOS boots; 1 MiB (512 KiB to 2 MiB are accepted).
    BiosBoot,
    /// The EFI system partition; at least 50 MiB.
    EfiSystem,
    /// Swap space.
    Swap,
    /// A filesystem.
    Filesystem(Filesystem),
    /// A physical volume, named `pv.NN`.
    PhysicalVolume(u8),
}

/// A filesystem and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// The mount point.
    pub mountpoint: Word,
    /// `--fstype`.
    pub kind: FsType,
    /// `--label`.
    pub label: Option<Word>,
}

/// Filesystem type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum FsType {
    Ext4,
    Xfs,
}

/// `volgroup` on the physical volumes of the same file, and its logical volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Its name.
    pub name: Word,
    /// The numbers of its [`Purpose::PhysicalVolume`]s.
    pub physical: Vec<u8>,
    /// `logvol`, in this order.
    pub volumes: Vec<LogicalVolume>,
}

/// `logvol`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// `--name`.
    pub name: Word,
    /// A filesystem, or swap space.
    pub filesystem: Option<Filesystem>,
    /// `--size` in MiB.
    pub size_mib: u32,
    /// `--grow`: the rest of the group.
    pub grow: bool,
}

/// `bootloader --location=mbr`, which on UEFI means the EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootloader {
    /// `--timeout` in seconds.
    pub timeout: u32,
    /// `--append`.
    pub append: Vec<KernelArgument>,
}

/// `%packages`: groups, packages and excluded packages, without repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages {
    groups: Vec<GroupId>,
    packages: Vec<PackagePattern>,
    excluded: Vec<PackagePattern>,
    /// `--excludedocs`: files that packages mark as documentation are left out.
    pub exclude_docs: bool,
    /// `--instLangs`: the languages with installed translations; `None` for all.
    pub languages: Option<Word>,
}

impl Packages {
    /// Nothing but the mandatory core, which needs no line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add a group.
    pub fn group(&mut self, group: GroupId) {
        add(&mut self.groups, group);
    }

    /// Add a package.
    ///
    /// # Errors
    /// It is excluded already. In the parser the later line would win without a message.
    pub fn install(&mut self, package: PackagePattern) -> Result<(), ValueError> {
        if self.excluded.contains(&package) {
            return Err(both(&package));
        }
        add(&mut self.packages, package);
        Ok(())
    }

    /// Exclude a package.
    ///
    /// # Errors
    /// It is already to be installed.
    pub fn exclude(&mut self, package: PackagePattern) -> Result<(), ValueError> {
        if self.packages.contains(&package) {
            return Err(both(&package));
        }
        add(&mut self.excluded, package);
        Ok(())
    }

    /// The groups.
    pub fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    /// The packages to be installed.
    pub fn packages(&self) -> &[PackagePattern] {
        &self.packages
    }

    /// The excluded packages.
    pub fn excluded(&self) -> &[PackagePattern] {
        &self.excluded
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn both(package: &PackagePattern) -> ValueError {
    ValueError::Meaning { text: package.as_str().to_owned(), why: "it is both installed and excluded" }
}

/// `%post`. Its output goes to the installer's log when it ends. With `--log` it would stay in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// In the installed system, or (`--nochroot`) in the installer with the system below `$ANA_INSTALL_PATH`.
    pub chroot: bool,
    /// `--erroronfail`: a failure ends the installation with the power-off of the kickstart, and no later `%post` runs.
    pub error_on_fail: bool,
    /// The script, for /bin/sh.
    pub script: Script,
}

//! A resolved recipe. Its values have been checked.
//!
//! Everything here has been checked, also for contradictions; later modules need not check again. A [`Recipe`] is serialised for the
//! manifest (see `shown`), and its parts for stage keys. Passwords are absent from both, see [`Password`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, ContainerImage, GpgKey, Interface, Network, Passage, all_interfaces};
use crate::base::account::{GroupName, Owner, UserName};
use crate::base::digest::Sha256Digest;
use crate::base::host_name::HostName;
use crate::base::image_path::ImagePath;
use crate::base::kernel::{KernelArgument, ModuleName, SysctlKey};
use crate::base::package::PackageName;
use crate::base::password_hash::PasswordHash;
use crate::base::public_key::PublicKey;
use crate::base::region::{Keymap, Locale, TimeZone};
use crate::base::repository_id::RepositoryId;
use crate::base::secret::Secret;
use crate::base::size::ByteSize;
use crate::base::unit::UnitName;
use crate::base::word::Line;
pub use crate::hardware::{Equipment, Firmware, OutputFormat, TableKind};

/// The wanted image.
///
/// Beside a kickstart of the user's own ([`Recipe::own_kickstart`]), the settings that the kickstart makes are defaults without a meaning,
/// and are absent when serialised: `interfaces`, `kernel`, `packages`, `services`, `groups`, `users`, `files`, `authorities`, all of `system` but `network`, all of `disk` but
/// `size` and `firmware`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// File name stem of the artifact: letters, digits, `.`, `-`, `_`; starts with a letter or digit.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// What the image is made from.
    pub media: Media,
    /// Package repositories that serve the installation.
    pub repositories: Vec<Repository>,
    /// Repositories of Debian packages, beside the distribution's own.
    pub apt_repositories: Vec<AptRepository>,
    /// Identity, accounts, network.
    pub system: System,
    /// Network interfaces beside `eth0`. See [`Recipe::all_interfaces`].
    pub interfaces: Vec<Interface>,
    /// Modules, sysctls, kernel arguments.
    pub kernel: Kernel,
    /// What is installed.
    pub packages: Packages,
    /// What starts at boot.
    pub services: Services,
    /// Groups beside those that packages make.
    pub groups: Vec<Group>,
    /// Accounts beside root.
    pub users: Vec<User>,
    /// Files put into the image.
    pub files: Vec<FileEntry>,
    /// Authorities that the system trusts; the file of each is among `files`.
    pub authorities: Vec<Authority>,
    /// The disk's layout.
    pub disk: Disk,
    /// The build machine.
    pub build: Build,
    /// Steps run in the booted system after the installation, in order; a layer each.
    pub provision: Vec<ProvisionStep>,
    /// Images of containers that Docker is to have.
    pub container_images: Vec<ContainerImage>,
    /// Promises verified on the finished image.
    pub checks: Vec<Check>,
    /// Findings that the audit would refuse but that are meant to be in the image.
    pub waivers: Vec<Waiver>,
    /// Whether two copies of the finished image are booted and compared.
    pub clones: bool,
    /// The deliverable.
    pub output: Output,
    /// What a local machine of the image is given when its user says nothing.
    pub run: Equipment,
    /// The lists of the recipe that this one extends, which it adds to. For people: their items are in the fields above.
    pub inherited: Vec<Inherited>,
    /// The place where it names the suite, if it does. For errors: only the mirror can tell whether it has the suite.
    pub suite_at: Option<Passage>,
}

/// A list that a recipe inherits from the one it extends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// Its dotted path: `packages.install`.
    pub list: String,
    /// The labels of its items.
    pub items: Vec<String>,
}

impl Recipe {
    /// The user's own kickstart, when there is one.
    pub fn own_kickstart(&self) -> Option<&Content> {
        match &self.media {
            Media::Anaconda { kickstart, .. } => kickstart.as_ref(),
            Media::Deploy { .. } => None,
        }
    }

    /// All network interfaces, `eth0` first, in an order in which each comes after those that it needs. Nothing when there is none beside
    /// `eth0`.
    pub fn all_interfaces(&self) -> Vec<Interface> {
        if self.interfaces.is_empty() { Vec::new() } else { all_interfaces(&self.system.network, &self.interfaces) }
    }

    /// The name servers of all fixed addresses, each once, those of `eth0` first.
    pub fn name_servers(&self) -> Vec<Ipv4Addr> {
        let mut servers = Vec::new();
        for network in std::iter::once(&self.system.network).chain(self.interfaces.iter().map(|interface| &interface.network)) {
            if let Network::Static { dns, .. } = network {
                servers.extend(dns.iter().filter(|server| !servers.contains(*server)).copied().collect::<Vec<_>>());
            }
        }
        servers
    }

    /// Whether a file of the recipe's own or of a provision step has one of these paths.
    pub fn writes(&self, paths: &[&str]) -> bool {
        let steps = self.provision.iter().flat_map(|step| &step.files);
        self.files.iter().chain(steps).any(|file| paths.contains(&file.path.as_str()))
    }
}

/// What the image is made from, and by which installer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "installer", rename_all = "kebab-case")]
pub enum Media {
    /// The RHEL 7 installer, booted from its ISO.
    Anaconda {
        /// The installation medium.
        iso: FileSource,
        /// The kickstart, when it is the user's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        kickstart: Option<Content>,
    },
    /// goldsmith's own: a tree from the distribution's signed packages.
    Deploy {
        /// Whose packages.
        distribution: Distribution,
        /// The release's code name: `bookworm`.
        suite: String,
    },
}

/// A distribution the deploy installer can assemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Debian.
    Debian,
}

/// A file on the host or on the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileSource {
    /// Where it is on the host: absolute, or relative to the working directory. Not part of any key.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// Where it can be fetched, in order of preference.
    pub urls: Vec<String>,
    /// What it must hash to, when the recipe pins it.
    pub sha256: Option<Sha256Digest>,
}

/// A package repository that serves the installation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repository {
    /// The repository's id: `kubernetes`.
    pub id: RepositoryId,
    /// Where its packages come from.
    #[serde(flatten)]
    pub supply: Supply,
    /// How it stays in the image, when it does.
    #[serde(flatten)]
    pub kept: Option<Kept>,
    /// Keys that the packages of its archive must be signed with; empty when they need no signature. Its upstreams have their own keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpg_keys: Vec<GpgKey>,
}

/// An online repository of Debian packages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AptRepository {
    /// Its name for people: `docker`.
    pub id: RepositoryId,
    /// Its place among the recipe's repositories: `repository.0`.
    #[serde(skip)]
    pub key: String,
    /// Where the directory is that holds `dists`, without a `/` at its end. It may be http, because its content is signed.
    pub url: String,
    /// The suite below `dists`.
    pub suite: String,
    /// Components of the suite; at least one.
    pub components: Vec<String>,
    /// Keys that its index must be signed with; at least one.
    pub gpg_keys: Vec<GpgKey>,
}

/// Where a repository's packages come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supply {
    /// The archive that holds packages and metadata.
    Archive(FileSource),
    /// online RPM repositories, of which the packages are fetched that the installation takes. At least one.
    Upstream(Vec<Upstream>),
}

/// An online RPM repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Upstream {
    /// Its name for people, unique in the recipe: `extras`.
    pub name: RepositoryId,
    /// Where the directory is that holds its `repodata`, each with a `/` at its end: mirrors of each other, in order of preference. Unless
    /// it is pinned, these URLs are trustworthy: their content cannot be changed on the way.
    pub urls: Vec<String>,
    /// What its `repodata/repomd.xml` must hash to, when the recipe pins it.
    pub repomd_sha256: Option<Sha256Digest>,
    /// Keys that its packages must be signed with; empty when they need no signature.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpg_keys: Vec<GpgKey>,
}

/// A repository in the image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// File name below `/etc/yum.repos.d`: `local.repo`.
    pub file: String,
    /// Directory in the image that holds its packages and metadata.
    pub unpack_to: ImagePath,
    /// Whether the package manager checks signatures.
    pub gpgcheck: bool,
}

/// Identity, accounts, network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct System {
    /// Host name (RFC 1123 labels, at most 64 bytes as sethostname(2) takes), which sealing sets.
    pub hostname: HostName,
    /// Time zone of the tz database: `Asia/Shanghai`.
    pub timezone: TimeZone,
    /// Locale: `en_US.UTF-8`.
    pub locale: Locale,
    /// Console keymap: `us`.
    pub keyboard: Keymap,
    /// SELinux mode.
    pub selinux: Selinux,
    /// The distribution's host firewall.
    pub firewall: Toggle,
    /// The root account.
    pub root: Account,
    /// The first network interface, `eth0`.
    pub network: Network,
    /// Time servers; the file that says them is among the recipe's files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<String>,
    /// The proxy of the system's programs; the files that tell it are among the recipe's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// A proxy for HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// URL of the proxy for `http://`; none when these servers are reached directly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// URL of the proxy for `https://`.
    pub https: String,
    /// Hosts, domains, addresses and networks that are reached directly, beside the machine itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_proxy: Vec<String>,
}

/// SELinux mode as `/etc/selinux/config` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Selinux {
    Enforcing,
    Permissive,
    Disabled,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "nothing to add")]
pub enum Toggle {
    Enabled,
    Disabled,
}

/// How one logs in to an account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Its password.
    pub password: Password,
    /// Lines of `authorized_keys`.
    pub ssh_keys: Vec<PublicKey>,
}

/// An account's password. When serialised, it only tells where the password came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Password {
    /// No password is accepted.
    Locked,
    /// Taken from an environment variable of the host.
    Env {
        /// The variable's name.
        name: String,
        /// Its value.
        #[serde(skip)]
        value: Secret,
    },
    /// Given by its hash.
    Hash {
        /// The hash.
        #[serde(skip)]
        hash: PasswordHash,
    },
}

/// Modules, sysctls, kernel arguments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kernel {
    /// Modules loaded at boot (modules-load.d(5)).
    pub modules: Vec<ModuleName>,
    /// Kernel parameters (sysctl.d(5)) and their values.
    pub sysctl: BTreeMap<SysctlKey, Line>,
    /// Words added to the kernel command line.
    pub arguments: Vec<KernelArgument>,
}

/// What is installed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Packages {
    /// Update everything to the newest version the repositories have.
    pub upgrade: bool,
    /// What becomes of the distribution's own repository files.
    pub stock_repositories: StockRepositories,
    /// Package names as the distribution's tool takes them; `name-version` for RPM, `name=version` for Debian.
    pub install: Vec<PackageName>,
    /// Packages kept out (RPM only).
    pub exclude: Vec<PackageName>,
    /// Whether documentation and translations are kept.
    pub docs: bool,
}

/// What becomes of the repository files the distribution ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StockRepositories {
    /// They stay as they are.
    Keep,
    /// They are switched off.
    Disable,
    /// They point at the archive of past releases (CentOS only).
    Vault,
}

/// What starts at boot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Services {
    /// Units to enable.
    pub enable: Vec<UnitName>,
    /// Units to disable.
    pub disable: Vec<UnitName>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Group id, when fixed.
    pub gid: Option<u32>,
    /// Gets an id below 1000 when none is fixed.
    pub system: bool,
}

/// An account beside root.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct User {
    /// Login name.
    pub name: UserName,
    /// Supplementary groups.
    pub groups: Vec<GroupName>,
    /// Login shell.
    pub shell: ImagePath,
    /// The place where the recipe names the shell, if it does. For errors: only the repositories can tell what brings it.
    #[serde(skip)]
    pub shell_at: Option<Passage>,
    /// User id, when fixed.
    pub uid: Option<u32>,
    /// May become root with sudo, without a password.
    pub sudo: bool,
    /// How one logs in.
    pub account: Account,
}

/// A file put into the image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileEntry {
    /// Where it is put.
    pub path: ImagePath,
    /// Permission bits.
    pub mode: u32,
    /// Whose it is.
    pub owner: Owner,
    /// What it holds.
    pub content: Content,
}

/// An authority whose certificates the system trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// What the recipe calls it.
    pub name: String,
    /// Whose certificate it is (RFC 4514): `CN=Lab CA,O=Lab`.
    pub subject: String,
    /// Who signed it: its subject itself, when it is a root. For people: nothing depends on it.
    #[serde(skip)]
    pub issuer: String,
    /// Of the certificate's DER.
    pub sha256: Sha256Digest,
    /// When the certificate begins to be valid, in seconds since 1970. For people: nothing depends on it.
    #[serde(skip)]
    pub not_before: u64,
    /// When it ends to be valid, in seconds since 1970.
    #[serde(skip)]
    pub not_after: u64,
}

/// Bytes written in the recipe or read from a file beside it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Content {
    /// In the recipe.
    Inline {
        /// The text.
        text: String,
    },
    /// In a file that was read when the recipe was.
    File {
        /// Where it was read. Not part of any key.
        #[serde(skip)]
        path: PathBuf,
        /// What was read.
        #[serde(skip)]
        bytes: Vec<u8>,
        /// Its digest, which stands for it in keys.
        sha256: Sha256Digest,
    },
}

impl Content {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline { text } => text.as_bytes(),
            Self::File { bytes, .. } => bytes,
        }
    }
}

/// The disk's layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Virtual size.
    pub size: ByteSize,
    /// Partition table.
    pub table: TableKind,
    /// What boots it.
    pub firmware: Firmware,
    /// Filesystem of `/`.
    pub filesystem: FilesystemKind,
    /// `/` and swap on LVM (Anaconda only).
    pub lvm: bool,
    /// Size of a filesystem of its own for `/boot` (Anaconda only); LVM has one without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<ByteSize>,
    /// Swap space; zero bytes means none.
    pub swap: ByteSize,
    /// `/` grows to a larger disk at the first boot (deploy with a GPT only).
    pub grow: bool,
}

/// Filesystem of `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum FilesystemKind {
    Ext4,
    Xfs,
}

/// The build machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory of the build and verify machines.
    pub memory: ByteSize,
    /// Limit of one stage under KVM; without KVM it is stretched.
    pub deadline: Duration,
    /// Whether provision steps reach the network through the host.
    pub network: BuildNetwork,
}

/// The build machine's way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuildNetwork {
    /// None.
    Closed,
    /// QEMU's user network: the guest reaches the internet and the host's loopback.
    Open,
}

/// A step run in the booted system; a layer each. Files are put in place, then packages installed, then the script is run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvisionStep {
    /// Unique, for people and evidence.
    pub name: String,
    /// Files to put in place first.
    pub files: Vec<FileEntry>,
    /// Packages to install with the guest's own tool; needs [`BuildNetwork::Open`].
    pub packages: Vec<PackageName>,
    /// A script run as root: its `#!` line is obeyed, else `/bin/sh`.
    pub script: Option<Content>,
}

/// A finding that the audit would refuse but that is meant to be in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiver {
    /// The id of the rule.
    pub rule: String,
    /// The path that may be there; `*` is any text between two `/`. Every path when there is none.
    pub path: Option<String>,
    /// Why it is meant to be there.
    pub reason: String,
}

/// The deliverable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// How the image is compressed.
    pub compress: Compression,
    /// Formats in which the image is published beside the qcow2: each once, in a fixed order. Absent when there are none, so that a recipe
    /// without them keeps the id that it had before formats were introduced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<OutputFormat>,
    /// Whether the state of the booted system is published with it. Absent when it is not, for the same reason.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub warm: bool,
}

/// What compresses the clusters of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Every program that knows qcow2 reads it.
    Zlib,
    /// A tenth smaller; QEMU before 5.1 (EL7's), UTM and others do not read it.
    Zstd,
    /// Not at all: larger, and quicker to make.
    None,
}

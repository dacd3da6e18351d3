//! A recipe as written: what serde reads and what `goldsmith schema` describes. No value is judged here beyond its type.
//!
//! The doc comments are the descriptions of the JSON Schema, so they speak to the writer of a recipe. Integers all have a range: it is what
//! keeps the schema, which the walker in `shape.rs` reads, and the Rust types in step.

mod authority;
mod check;
mod container;
mod docker;
mod group;
mod interface;
mod proxy;
mod unit;
mod run;
mod value;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use authority::CertificateAuthority;
pub(super) use check::{
    CHECK_KINDS, Check, CommandCheck, DockerCheck, FileCheck, HttpCheck, PackageCheck, PortCheck, ServiceCheck, SysctlCheck,
};
pub(super) use container::ContainerImage;
pub(super) use docker::{CgroupDriver, Docker, LogDriver, StorageDriver};
pub(super) use group::Group;
pub(super) use interface::{Interface, Vlan};
pub(super) use proxy::Proxy;
pub(super) use run::Run;
pub(super) use unit::Unit;
pub(super) use value::SysctlValue;

use super::resolved::{
    BuildNetwork, Compression, Distribution, FilesystemKind, Firmware, OutputFormat, Selinux, StockRepositories, TableKind, Toggle,
};

use value::yes;

/// One golden VM image: what it is made from, what is in it, and what is checked before it is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// Version of the recipe format.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// Another recipe that this one is laid on top of. Tables merge, lists grow, and entries of one name (`id` of a repository, `path` of a
    /// file) merge. `urls`, `dns` and `ntp` are replaced, and so is `system.root`.
    pub extends: Option<Extends>,
    /// Name of the image and of its files: letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// One line for people. Default: the name.
    pub summary: Option<String>,
    /// What the image is made from.
    pub media: Media,
    /// Package repositories that serve the installation and may stay in the image (anaconda only).
    #[serde(default)]
    pub repository: Vec<Repository>,
    /// Identity, accounts, network.
    #[serde(default)]
    pub system: System,
    /// Network interfaces beside `eth0`: other cards, VLANs, bonds.
    #[serde(default)]
    pub interface: Vec<Interface>,
    /// Modules, sysctls, kernel arguments.
    #[serde(default)]
    pub kernel: Kernel,
    /// What is installed.
    #[serde(default)]
    pub packages: Packages,
    /// What starts at boot.
    #[serde(default)]
    pub services: Services,
    /// Groups beside those that packages make.
    #[serde(default)]
    pub group: Vec<Group>,
    /// Accounts beside root.
    #[serde(default)]
    pub user: Vec<User>,
    /// Files put into the image.
    #[serde(default)]
    pub file: Vec<File>,
    /// Units of systemd that the recipe brings.
    #[serde(default)]
    pub unit: Vec<Unit>,
    /// Authorities whose certificates the system trusts, beside those that the distribution brings.
    #[serde(default)]
    pub certificate_authority: Vec<CertificateAuthority>,
    /// The disk's layout.
    #[serde(default)]
    pub disk: Disk,
    /// The build machine.
    #[serde(default)]
    pub build: Build,
    /// Steps run in the booted system after the installation, in order; a layer each.
    #[serde(default)]
    pub provision: Vec<Provision>,
    /// Images of containers that Docker has at hand, loaded after the last provision step, without a network.
    #[serde(default)]
    pub container_image: Vec<ContainerImage>,
    /// Settings of Docker's daemon.
    pub docker: Option<Docker>,
    /// Promises verified on the finished image.
    #[serde(default)]
    pub check: Vec<Check>,
    /// What the audit would refuse and is meant to be in the image.
    #[serde(default)]
    pub waiver: Vec<Waiver>,
    /// How the finished image is proved, beside its checks.
    #[serde(default)]
    pub verify: Verify,
    /// The deliverable.
    #[serde(default)]
    pub output: Output,
    /// What `goldsmith up` and `goldsmith run` give a machine of the image when nothing else is said. No part of the image.
    #[serde(default)]
    pub run: Run,
}

/// Something that the audit would refuse and is meant to be in the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiver {
    /// The id of the rule, such as "private-keys"; `goldsmith image audit --rules` lists them.
    pub rule: String,
    /// The path that may be there; `*` is any text between two `/`. Default: every path.
    pub path: Option<String>,
    /// Why it is meant to be there, in one line. It is published with the image.
    pub reason: String,
}

/// Another recipe: a path relative to this file, or the name of a compiled-in recipe; or a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Extends {
    /// The other recipe.
    Recipe(String),
    /// The other recipe, less something.
    Less(ExtendsLess),
}

/// Another recipe, less some of its lists and tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendsLess {
    /// A path relative to this file, or the name of a compiled-in recipe.
    pub recipe: String,
    /// Dotted paths of lists and tables that are not inherited, such as "check" or "packages.install".
    #[serde(default)]
    pub replace: Vec<String>,
}

/// What the image is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Media {
    /// Who installs.
    pub installer: Installer,
    /// The installation medium; its sha256 must be given (anaconda only).
    pub iso: Option<FileSource>,
    /// A kickstart of your own (anaconda only): a file, relative to the recipe. It is used as it is, and goldsmith's sections follow it.
    /// What a kickstart says is said there alone: of `system`, `kernel`, `packages`, `services`, `user`, `file` and `disk` the recipe may
    /// then say no more than `disk.size` and `disk.firmware`, which are the machine's, and `system.network`, which tells goldsmith the
    /// address that the kickstart gives the image. The system disk is `vda`, the network card `eth0`; each `repository` is at
    /// `/run/goldsmith/volume/ID` in the installer (not in a chroot `%post`).
    pub kickstart: Option<String>,
    /// What becomes of `%include` lines of that kickstart that name a file beside it, which the installer does not have: "merge" puts the
    /// file's text in the place of the line. Without it such a line is an error.
    pub kickstart_includes: Option<KickstartIncludes>,
    /// Whose packages (deploy only).
    pub distribution: Option<Distribution>,
    /// The release's code name, such as "bookworm" (deploy only).
    pub suite: Option<String>,
}

/// What becomes of the files that a kickstart of one's own includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KickstartIncludes {
    /// Their text takes the place of the `%include` line.
    Merge,
}

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Installer {
    /// The RHEL 7 installer, booted from its ISO.
    Anaconda,
    /// goldsmith itself, from the distribution's signed packages.
    Deploy,
}

/// A file on this machine or on the network: a path, URLs, or both (the path is tried first).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSource {
    /// Where it is: relative to the recipe, or absolute.
    pub path: Option<String>,
    /// Where it can be fetched (http or https), in order of preference.
    #[serde(default)]
    pub urls: Vec<String>,
    /// What it must hash to: 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// A package repository that serves the installation, and stays in the image when `unpack_to` says where. With anaconda it has an `archive` or
/// an `upstream`, with deploy it is an `apt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Repository {
    /// The repository's id.
    pub id: String,
    /// File name below /etc/yum.repos.d; only with `unpack_to`. Default: the id with `.repo`.
    pub file: Option<String>,
    /// A tar archive (plain, gzip, xz, zstd or bzip2) of packages, or their directory; their metadata is made when there is none.
    pub archive: Option<FileSource>,
    /// In place of `archive`: online RPM repositories. goldsmith fetches what the installation takes of them, on this machine. Groups
    /// (`@name`) are those of the medium.
    #[serde(default)]
    pub upstream: Vec<Upstream>,
    /// With deploy, in place of `archive`: an online repository of Debian packages, whose index is signed with one of `gpg_keys`. It serves the
    /// installation alone; the image knows nothing of it.
    pub apt: Option<Apt>,
    /// Absolute directory in the image that its packages and metadata are put into. Without it the image knows nothing of the repository.
    pub unpack_to: Option<String>,
    /// Whether the image's package manager checks signatures; only with `unpack_to`.
    #[serde(default = "yes")]
    pub gpgcheck: bool,
    /// Keys that its packages must be signed with: each package is verified on this machine before a build uses it. Without keys no signature
    /// is verified. Of an `upstream` that has `gpg_keys` of its own, those count instead.
    #[serde(default)]
    pub gpg_keys: Vec<GpgKey>,
}

/// An online repository of Debian packages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Apt {
    /// Where the directory is that holds `dists`.
    pub url: String,
    /// The suite below `dists`. Default: the distribution's.
    pub suite: Option<String>,
    /// Components of the suite.
    #[serde(default = "main")]
    pub components: Vec<String>,
}

/// An OpenPGP key that packages may be signed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GpgKey {
    /// A file that holds it, armored or not: relative to the recipe, or absolute. Of several keys in it all count, unless `fingerprint` names
    /// one.
    pub file: Option<String>,
    /// In place of `file`: where it can be fetched (http or https). `fingerprint` then says which key it must be.
    pub url: Option<String>,
    /// The fingerprint of the primary key: 40 hexadecimal digits; spaces are allowed.
    pub fingerprint: Option<String>,
}

/// An online RPM repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// What people call it: letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// Where the directory is that holds its `repodata`: mirrors of each other, in order of preference. Without `repomd_sha256` only https,
    /// and http on this machine (localhost), are trusted.
    pub urls: Vec<String>,
    /// What its repodata/repomd.xml must hash to: 64 hexadecimal digits. It pins the whole repository.
    pub repomd_sha256: Option<String>,
    /// Keys that its packages must be signed with, in place of those of the repository; `[]` for none.
    pub gpg_keys: Option<Vec<GpgKey>>,
}

/// Identity, accounts, network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct System {
    /// Host name. It is set when the image is sealed: until then, in provision steps too, the system is called "unnamed-image".
    pub hostname: String,
    /// Time zone, such as "Asia/Shanghai".
    pub timezone: String,
    /// Locale.
    pub locale: String,
    /// The keyboard: a keymap of the console in CentOS, a layout of XKB in Debian.
    pub keyboard: String,
    /// SELinux mode. Default: enforcing with anaconda; deploy knows only disabled.
    pub selinux: Option<Selinux>,
    /// The distribution's host firewall. Default: enabled with anaconda; deploy knows only disabled.
    pub firewall: Option<Toggle>,
    /// How root logs in: "locked", or a table. There is no default; only a kickstart of your own says it in its place.
    pub root: Option<Root>,
    /// The first network interface, `eth0`.
    pub network: Network,
    /// Time servers, as names or addresses, that replace the distribution's. They are asked by systemd-timesyncd of Debian, or by chrony where that is
    /// installed.
    pub ntp: Vec<String>,
    /// The proxy of log-ins, of apt, and of Docker where `packages.install` names it. No default.
    pub proxy: Option<Proxy>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            timezone: "UTC".into(),
            locale: "en_US.UTF-8".into(),
            keyboard: "us".into(),
            selinux: None,
            firewall: None,
            root: None,
            network: Network::default(),
            ntp: Vec::new(),
            proxy: None,
        }
    }
}

/// How root logs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Root {
    /// Not at all.
    Locked(Locked),
    /// By password or key.
    Account(Account),
}

/// The word "locked".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Locked {
    /// No login.
    Locked,
}

/// How one logs in. Without a password, only keys log in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    /// Name of the environment variable that holds the password at build time.
    pub password_env: Option<String>,
    /// A crypt(5) hash that starts with $6$ or $5$.
    pub password_hash: Option<String>,
    /// Lines of authorized_keys.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// Files of such lines, relative to the recipe.
    #[serde(default)]
    pub ssh_key_files: Vec<String>,
}

/// The first network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Network {
    /// "dhcp", "none", or an IPv4 address with its prefix length, such as "192.0.2.10/24". A fixed address is set when the image is sealed: until then,
    /// in provision steps too, the system has one that DHCP gives.
    pub address: String,
    /// Default gateway of a fixed address; none unless given.
    pub gateway: Option<String>,
    /// Name servers of a fixed address; none unless given.
    pub dns: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { address: "dhcp".into(), gateway: None, dns: Vec::new() }
    }
}

/// Modules, sysctls, kernel arguments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kernel {
    /// Modules loaded at boot.
    pub modules: Vec<String>,
    /// Kernel parameters that every boot sets: quote the dotted key.
    pub sysctl: BTreeMap<String, SysctlValue>,
    /// Words added to the kernel command line.
    pub arguments: Vec<String>,
}

/// What is installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Packages {
    /// Update everything to the newest version the repositories have.
    pub upgrade: bool,
    /// What becomes of the repository files the distribution ships.
    pub stock_repositories: StockRepositories,
    /// Packages; with a version as `name-version` (RPM) or `name=version` (Debian). anaconda also takes `@group`.
    pub install: Vec<String>,
    /// Packages kept out (anaconda only).
    pub exclude: Vec<String>,
    /// Keep documentation, and translations into other languages than that of `system.locale`. Without them, packages that are
    /// installed later come without them, too; licences stay.
    pub docs: bool,
}

impl Default for Packages {
    fn default() -> Self {
        Self { upgrade: false, stock_repositories: StockRepositories::Keep, install: Vec::new(), exclude: Vec::new(), docs: true }
    }
}

/// What starts at boot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Services {
    /// Units to enable, with or without `.service`.
    pub enable: Vec<String>,
    /// Units to disable.
    pub disable: Vec<String>,
}

/// An account beside root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    /// Login name.
    pub name: String,
    /// Supplementary groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Login shell.
    #[serde(default = "bash")]
    pub shell: String,
    /// User id, to fix it.
    #[schemars(range(min = 1000, max = 60000))]
    pub uid: Option<u32>,
    /// May become root with sudo, without a password.
    #[serde(default)]
    pub sudo: bool,
    /// Name of the environment variable that holds the password at build time.
    pub password_env: Option<String>,
    /// A crypt(5) hash that starts with $6$ or $5$.
    pub password_hash: Option<String>,
    /// Lines of authorized_keys.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// Files of such lines, relative to the recipe.
    #[serde(default)]
    pub ssh_key_files: Vec<String>,
}

/// A file put into the image: with `content`, or with what `source` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Absolute path in the image.
    pub path: String,
    /// Permission bits, octal, as text.
    #[serde(default = "mode_0644")]
    pub mode: String,
    /// Its owner, as `user:group`.
    #[serde(default = "root_root")]
    pub owner: String,
    /// What it holds, as text.
    pub content: Option<String>,
    /// The file it is a copy of, relative to the recipe; at most 64 MiB.
    pub source: Option<String>,
}

/// The disk's layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Disk {
    /// Virtual size, at least "2G".
    pub size: String,
    /// Partition table.
    pub table: TableKind,
    /// What boots it.
    pub firmware: Firmware,
    /// Filesystem of `/`; deploy makes only ext4.
    pub filesystem: FilesystemKind,
    /// `/` and swap on LVM (anaconda only).
    pub lvm: bool,
    /// Size of a filesystem of its own for `/boot`, at least "256M" (anaconda only). With LVM there is one of "1G" without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Swap space; "0" means none.
    pub swap: String,
    /// `/` grows to a larger disk at the first boot: deploy with a GPT only, where it is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grow: Option<bool>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            size: "8G".into(),
            table: TableKind::Gpt,
            firmware: Firmware::Bios,
            filesystem: FilesystemKind::Ext4,
            lvm: false,
            boot: None,
            swap: "0".into(),
            grow: None,
        }
    }
}

/// The build machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Build {
    /// Virtual CPUs.
    #[schemars(range(min = 1, max = 64))]
    pub cpus: u32,
    /// Memory: at least "1G", with anaconda "2G".
    pub memory: String,
    /// Limit of one stage under KVM, such as "30m"; without KVM it is stretched.
    pub deadline: String,
    /// Whether provision steps reach the network through this machine.
    pub network: BuildNetwork,
}

impl Default for Build {
    fn default() -> Self {
        Self { cpus: 2, memory: "2G".into(), deadline: "30m".into(), network: BuildNetwork::Closed }
    }
}

/// A step run in the booted system: files are put in place, then packages installed, then the script is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Provision {
    /// Unique: letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// A script run as root; its `#!` line is obeyed, else /bin/sh.
    pub script: Option<String>,
    /// The file that holds the script, relative to the recipe.
    pub script_file: Option<String>,
    /// Files to put in place first.
    #[serde(default)]
    pub files: Vec<File>,
    /// Packages to install with the system's own tool; needs `build.network = "open"`.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// How the finished image is proved, beside its checks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Verify {
    /// Machines that are booted from copies of the image and compared: what must be each one's own, such as ssh host keys, has to differ.
    /// None, or two.
    #[schemars(range(min = 0, max = 2))]
    pub clones: u32,
}

/// The deliverable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Output {
    /// How the image is compressed.
    pub compress: Compress,
    /// What the image is published as beside the qcow2, which is always there.
    pub formats: Vec<OutputFormat>,
    /// Whether the state of the booted system is published with the image, so that `up --warm` need not boot it first. Two machines that go on
    /// from it are compared before.
    pub warm: bool,
}

/// A codec, or whether there is one: `true` is "zlib", `false` is "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Compress {
    /// The codec.
    Codec(Compression),
    /// Whether there is one.
    Switch(bool),
}

impl Default for Output {
    fn default() -> Self {
        Self { compress: Compress::Codec(Compression::Zlib), formats: Vec::new(), warm: false }
    }
}

fn main() -> Vec<String> {
    vec!["main".into()]
}

fn bash() -> String {
    "/bin/bash".into()
}

fn mode_0644() -> String {
    "0644".into()
}

fn root_root() -> String {
    "root:root".into()
}

//! The commands of local machines that have names.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueHint;
use clap::builder::RangedU64ValueParser;

use super::memory::vm_memory;
use super::store::StoreArgs;
use crate::base::host_name::HostName;
use crate::base::size::ByteSize;
use crate::cli::examples;
use crate::machine::spec::{Equipment, Forward, MAX_CPUS};
use crate::run::{Address, Name, Volume};

/// What a VM is given. What is not said is as the `[run]` table of its image's recipe says.
#[derive(Debug, clap::Args)]
pub struct VmArgs {
    /// Let nothing out of the VM's network
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub isolated: Option<bool>,
    /// Memory of the VM [default: what the recipe says, or 2G]
    #[arg(long, value_name = "SIZE", value_parser = vm_memory)]
    pub memory: Option<ByteSize>,
    /// Processors of the VM [default: what the recipe says, or 2, or 1 when emulated]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPUS)))]
    pub cpus: Option<u32>,
}

impl VmArgs {
    /// What it says.
    pub fn equipment(&self) -> Equipment {
        Equipment { cpus: self.cpus, memory: self.memory, isolated: self.isolated, ..Equipment::default() }
    }
}

/// `up`.
#[derive(Debug, clap::Args)]
pub struct Up {
    /// An image, an artifact's directory, or a recipe, which is built first
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The machine's name [default: that of the artifact or image]
    #[arg(long)]
    pub name: Option<Name>,
    /// Size of its disk, at least that of the image [default: what the recipe says, or that of the image]
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<ByteSize>,
    /// Let a port of 127.0.0.1 lead to one of the VM: 8080:80, or 80 for 80:80; `none` closes those of the recipe
    #[arg(long, value_name = "HOST:GUEST")]
    pub forward: Vec<Port>,
    /// Make so many VMs, with numbers after the name: lab-1, lab-2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=999), conflicts_with = "forward")]
    pub count: Option<u32>,
    /// Put it on a private network, where VMs reach each other by name
    #[arg(long, value_name = "NAME")]
    pub network: Option<Name>,
    /// Its address there, and that of the first with --count [default: the lowest that is free]
    #[arg(long, value_name = "ADDRESS[/PREFIX]", requires = "network")]
    pub address: Option<Address>,
    /// Its host name [default: on a network its own name, else that of the image]
    #[arg(long, value_name = "NAME", conflicts_with = "count")]
    pub hostname: Option<HostName>,
    /// Let the owner of an ssh key log in as root: a .pub file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ssh_key: Vec<PathBuf>,
    /// Let its consoles be root's without a log-in: `goldsmith console`
    #[arg(long)]
    pub autologin: bool,
    /// Let it have a directory of this host: DIR:PATH, or DIR:PATH:ro to be read only
    #[arg(long, value_name = "DIR:PATH[:ro]", conflicts_with = "warm")]
    pub volume: Vec<Volume>,
    /// Go on from the saved state of a system that has booted, instead of booting; it is saved at the first time
    #[arg(long, conflicts_with = "disk")]
    pub warm: bool,
    /// Make the VMs of a table: name, address, hostname, key of each
    #[arg(
        long,
        value_name = "FILE.csv",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["name", "count", "hostname", "address", "forward"]
    )]
    pub from: Option<PathBuf>,
    /// The VM.
    #[command(flatten)]
    pub vm: VmArgs,
}

impl Up {
    /// The ports that it names; nothing when it leaves them to the recipe.
    pub fn forwards(&self) -> Option<Vec<Forward>> {
        let ports = self.forward.iter().filter_map(|Port(forward)| *forward).collect();
        (!self.forward.is_empty()).then_some(ports)
    }
}

/// A port that leads into a VM, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(Option<Forward>);

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|forward| Self(Some(forward))) }
    }
}

/// `clone`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("purpose").required(true).args(["output", "prove"])))]
pub struct Clones {
    /// An image, an artifact's directory, or a recipe, which is built first
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// Make this directory, with a small disk for each clone and the image under them
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Make the clones of a table: name, address, hostname, key of each
    #[arg(long, value_name = "FILE.csv", value_hint = ValueHint::FilePath, conflicts_with_all = ["prove", "name", "count", "address"])]
    pub from: Option<PathBuf>,
    /// Make so many, with numbers after the name: lab-1, lab-2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=999), conflicts_with = "prove")]
    pub count: Option<u32>,
    /// Their name, which is the host name too [default: that of the artifact or image]
    #[arg(long, conflicts_with = "prove")]
    pub name: Option<Name>,
    /// The fixed address of eth0, with --count that of the first [default: by DHCP]
    #[arg(long, value_name = "ADDRESS[/PREFIX]", conflicts_with = "prove")]
    pub address: Option<Address>,
    /// The router of clones that have addresses
    #[arg(long, value_name = "ADDRESS", conflicts_with = "prove")]
    pub gateway: Option<Ipv4Addr>,
    /// A name server of clones that have addresses
    #[arg(long, value_name = "ADDRESS", conflicts_with = "prove")]
    pub dns: Vec<Ipv4Addr>,
    /// Let the owner of an ssh key log in as root: a .pub file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "prove")]
    pub ssh_key: Vec<PathBuf>,
    /// Size of each disk, at least that of the image [default: that of the image]
    #[arg(long, value_name = "SIZE", conflicts_with = "prove")]
    pub disk: Option<ByteSize>,
    /// Write whole disks, which clouds take; add command lines for Proxmox and OpenStack
    #[arg(long, conflicts_with = "prove")]
    pub full: bool,
    /// Boot two clones and compare their identities
    #[arg(long)]
    pub prove: bool,
    /// Compare two that go on from a saved state, as those of `up --warm`
    #[arg(long, requires = "prove")]
    pub warm: bool,
    /// Memory of each VM [default: 2G, or 1G with --prove]
    #[arg(long, value_name = "SIZE", value_parser = vm_memory)]
    pub memory: Option<ByteSize>,
}

/// `stop` and `restart`.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<Name>,
    /// Seconds after which the power is cut
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = seconds())]
    pub within: u64,
}

/// `wait`.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<Name>,
    /// Wait until they are off, not until they are up
    #[arg(long)]
    pub off: bool,
    /// Seconds after which it is an error
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds())]
    pub within: u64,
}

/// `screenshot`.
#[derive(Debug, clap::Args)]
pub struct Screenshot {
    /// The machine
    pub name: Name,
    /// The file to write; one that is there is replaced [default: NAME.png]
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// `snapshot …`.
#[derive(Debug, clap::Subcommand)]
pub enum Snapshot {
    /// Keep the disk as it is now; the VM may run
    #[command(after_help = examples::SNAPSHOT_SAVE)]
    Save(OfSnapshot),
    /// List what is kept
    #[command(after_help = examples::SNAPSHOT_LIST)]
    List(OfMachine),
    /// Go back to a state; the VM must be off
    #[command(after_help = examples::SNAPSHOT_RESTORE)]
    Restore(OfSnapshot),
    /// Remove a state that is kept; the disk stays as it is
    #[command(after_help = examples::SNAPSHOT_REMOVE)]
    Remove(OfSnapshot),
}

/// A command about a snapshot of a machine.
#[derive(Debug, clap::Args)]
pub struct OfSnapshot {
    /// The machine
    pub name: Name,
    /// The name of the state
    pub snapshot: Name,
}

/// `publish`.
#[derive(Debug, clap::Args)]
pub struct Publish {
    /// The machine
    #[arg(value_name = "NAME")]
    pub machine: Name,
    /// Publish the artifact as this directory [default: ./NAME]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// The artifact's name [default: that of the machine]
    #[arg(long, value_name = "NEW")]
    pub name: Option<Name>,
    /// Replace an artifact of another content that is there
    #[arg(long)]
    pub force: bool,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `rm`.
#[derive(Debug, clap::Args)]
pub struct Rm {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<Name>,
    /// Cut the power of those that run
    #[arg(long)]
    pub force: bool,
}

/// `exec`.
#[derive(Debug, clap::Args)]
pub struct Exec {
    /// Give the command a terminal
    #[arg(short, long)]
    pub terminal: bool,
    /// The machine
    pub name: Name,
    /// The command and its arguments; no shell expands them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
}

/// `ssh`.
#[derive(Debug, clap::Args)]
pub struct Ssh {
    /// The machine
    pub name: Name,
    /// Options and command for ssh(1)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SSH ARGUMENTS")]
    pub rest: Vec<String>,
}

/// `cp`.
#[derive(Debug, clap::Args)]
pub struct Cp {
    /// What is copied, and at the end where to: files of this host, or NAME:PATH for those of a VM
    #[arg(required = true, num_args = 2.., value_name = "PATH|NAME:PATH", value_parser = location, value_hint = ValueHint::AnyPath)]
    pub words: Vec<Location>,
}

/// A file of this host or of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Of this host.
    Here(PathBuf),
    /// Of a machine. A relative path begins at root's home.
    There(Name, String),
}

/// A command about one machine.
#[derive(Debug, clap::Args)]
pub struct OfMachine {
    /// The machine
    pub name: Name,
}

/// `logs`.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The machine
    pub name: Name,
    /// Go on with what the console says, until the machine ends
    #[arg(short, long)]
    pub follow: bool,
}

/// The process that a machine lives in: `up` and `start` start it.
#[derive(Debug, clap::Args)]
pub struct Supervise {
    /// The machine.
    pub name: Name,
    /// The state directory.
    #[arg(long)]
    pub state: PathBuf,
    /// The store.
    #[arg(long)]
    pub store: Option<PathBuf>,
}

/// Seconds of a deadline, a year at most.
fn seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(..=31_536_000)
}

/// As scp(1): what stands before the first colon is a machine, unless a slash comes earlier.
fn location(text: &str) -> Result<Location, String> {
    match text.split_once(':') {
        Some((name, path)) if !name.contains('/') => {
            let name = name.parse().map_err(|error| format!("{error}; a file of this host whose name has a colon is ./{text}"))?;
            Ok(Location::There(name, if path.is_empty() { ".".to_owned() } else { path.to_owned() }))
        }
        _ => Ok(Location::Here(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_left_to_the_recipe_named_or_none() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            up: Up,
        }
        let port = |host| Forward { host, guest: host };
        for (words, expected) in [
            (&["up", "image"][..], None),
            (&["up", "image", "--forward", "none"], Some(vec![])),
            (&["up", "image", "--forward", "80", "--forward", "81"], Some(vec![port(80), port(81)])),
        ] {
            assert_eq!(<Line as clap::Parser>::parse_from(words).up.forwards(), expected, "{words:?}");
        }
    }

    #[test]
    fn a_location_is_here_or_in_a_machine() {
        let there = |path: &str| Some(Location::There("web".parse().unwrap(), path.to_owned()));
        let here = |path: &str| Some(Location::Here(path.into()));
        for (text, expected) in [
            ("web:/etc/hosts", there("/etc/hosts")),
            ("web:", there(".")),
            ("web:a:b", there("a:b")),
            ("./web:a", here("./web:a")),
            ("/tmp/a:b", here("/tmp/a:b")),
            ("web", here("web")),
            (":a", None),
            ("a b:c", None),
        ] {
            assert_eq!(location(text).ok(), expected, "{text}");
        }
    }
}

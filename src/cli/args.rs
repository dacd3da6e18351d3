//! The command line: help, completions and manual pages all come from here.

mod image;
mod machines;
mod memory;
mod store;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueHint};

pub use image::{
    ClusterCompression, DescribeFor, DomainType, ExportKind, Image, ImageDescribe, ImageDiff, ImageExport, ImageFind, ImageLs, SbomFormat,
};

pub use machines::{
    Clones, Cp, Exec, Location, Logs, OfMachine, Publish, Rm, Screenshot, Snapshot, Ssh, Stop, Supervise, Up, VmArgs, Wait,
};
pub use store::StoreArgs;

use super::examples;
use crate::kickstart::Lint;

const TOPICS: &str = "\
Topics of `goldsmith help TOPIC`:
  recipe, stages, kickstart, packages, artifact, machines, store, output,
  environment, exit-codes

Examples:
  goldsmith doctor
  goldsmith check debian-12-docker
  goldsmith build debian-12-docker";

const RUN: &str = "\
Start a local VM from an image, on its serial console

The image is not written: what the VM changes is thrown away when it ends, or
kept with --keep. The VM reaches what this host reaches, and nothing reaches the
VM; --isolated lets nothing out, and --ssh lets ssh in.

The console is on this terminal until the guest powers off; ctrl-] ends the VM
before that. With --keep, ctrl-] presses the power button, and a second one cuts
the power. Without a terminal, standard input goes to the console as it is, and
its end does not end the VM.";

const UP: &str = "\
Make a named local VM from an image and start it in the background

The VM outlives this command and the terminal. The image is not written: what
the VM changes stays with the VM until `goldsmith rm`. When there is a VM of
that name from the same image already, it is started, if it is off.

The VM reaches what this host reaches, and nothing reaches the VM but what
--forward leads in. `goldsmith exec`, `shell` and `ssh` need no network, no
password and no agent in the image.";

const EXEC: &str = "\
Run a command as root in a local VM

What the command reads and writes goes through as it is, in binary too. The
exit status is that of the command; a failure of goldsmith's own says `error:`
and has a code of `goldsmith help exit-codes`. ctrl-C hangs the command up.";

const CP: &str = "\
Copy files and directories between this host and a local VM

One of the words names a VM: the last one to copy into it, or the others to copy
out of it. Several files, and those that go to a directory that is there, keep
their names. In the VM they are root's, with mode and time of the originals, and
replace what has their names. On this host they are the user's, and replace
nothing. Links in a directory stay links. Devices, pipes and sockets are left
out.";

const PUBLISH: &str = "\
Make a new artifact of a local VM that was changed

The VM must have been made from an artifact, and be off. It stays as it is: a
copy of its disk is sealed as that of a build is, and what `up` gave the VM is
taken out. Then everything that the artifact promised is checked again, on
throw-away copies that boot; a broken promise is exit code 5. The new manifest
names the artifact as its parent, and says that the image was changed by hand.";

/// Turns one recipe into a golden VM image, proved by booting it
#[derive(Debug, Parser)]
#[command(name = "goldsmith", version, max_term_width = 80, help_expected = true, disable_help_subcommand = true, after_help = TOPICS)]
pub struct Args {
    /// Write JSON to standard output: one event per line, or one document
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Also show what the tools and the guest print
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order a user meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented starter recipe
    #[command(after_help = examples::INIT)]
    Init(Init),
    /// Build, prove and publish the image of a recipe
    #[command(after_help = examples::BUILD)]
    Build(Build),
    /// Check whether a recipe can be built
    #[command(after_help = examples::CHECK)]
    Check(Check),
    /// Show what a build would do, and why
    #[command(after_help = examples::PLAN)]
    Plan(Plan),
    /// Work with kickstarts
    #[command(subcommand)]
    #[command(after_help = examples::KICKSTART)]
    Kickstart(Kickstart),
    /// Check an image against its promises, on throw-away copies
    #[command(after_help = examples::VERIFY)]
    Verify(Verify),
    /// Work with images
    #[command(subcommand)]
    #[command(after_help = examples::IMAGE)]
    Image(Image),
    /// Start a local VM from an image, on its serial console
    #[command(long_about = RUN, after_help = examples::RUN)]
    Run(Run),
    /// Make a named local VM from an image and start it in the background
    #[command(long_about = UP, after_help = examples::UP)]
    Up(Up),
    /// Make disks of an image, each with its own identity, or compare two VMs
    ///
    /// With --output, a directory gets a small disk for each clone, which has its
    /// host name, address and ssh key written into it, and a document for libvirt.
    ///
    /// With --prove, two VMs are booted as `up` boots them and are gone afterwards.
    /// Compared are machine-id, boot id, host name, ssh host keys, Docker's engine
    /// id, the addresses of network cards, random seed, DHCP client id, iSCSI and
    /// NVMe names. One that is equal, or that one of them lacks, is exit code 5.
    #[command(after_help = examples::CLONE)]
    Clone(Clones),
    /// List the local VMs and how they are
    #[command(after_help = examples::PS)]
    Ps,
    /// Run a command as root in a local VM
    #[command(long_about = EXEC, after_help = examples::EXEC)]
    Exec(Exec),
    /// Copy files between this host and a local VM
    #[command(long_about = CP, after_help = examples::CP)]
    Cp(Cp),
    /// Open a root shell in a local VM, on this terminal
    ///
    /// `exit` or ctrl-D ends the shell; ctrl-] leaves it, too, if the VM hangs.
    #[command(after_help = examples::SHELL)]
    Shell(OfMachine),
    /// Sit at the serial console of a local VM, on this terminal
    ///
    /// ctrl-] leaves it; the VM runs on. Several can sit there at once.
    #[command(after_help = examples::CONSOLE)]
    Console(OfMachine),
    /// Log in to a local VM by ssh, without a port, password or key of the image
    ///
    /// The VM needs an ssh server installed, not running: one is started for
    /// this connection, and takes a key that goldsmith made for the VM.
    #[command(after_help = examples::SSH)]
    Ssh(Ssh),
    /// Print an ssh configuration that reaches a local VM
    #[command(after_help = examples::SSH_CONFIG)]
    SshConfig(OfMachine),
    /// Show a local VM: state, image, disk, ports, files
    #[command(after_help = examples::INSPECT)]
    Inspect(OfMachine),
    /// List the ports of this host that lead into a local VM
    #[command(after_help = examples::PORT)]
    Port(OfMachine),
    /// Write a picture of the screen of a local VM
    #[command(after_help = examples::SCREENSHOT)]
    Screenshot(Screenshot),
    /// Keep states of the disk of a local VM, and go back to them
    ///
    /// A state is kept in the disk itself, without the memory. Of a VM that runs
    /// it is the state after a power cut, with all data written.
    #[command(subcommand)]
    #[command(after_help = examples::SNAPSHOT)]
    Snapshot(Snapshot),
    /// Make a new artifact of a local VM that was changed
    #[command(long_about = PUBLISH, after_help = examples::PUBLISH)]
    Publish(Publish),
    /// Wait until local VMs are up, or off
    #[command(after_help = examples::WAIT)]
    Wait(Wait),
    /// Print what the console of a local VM has said since its last boot
    #[command(after_help = examples::LOGS)]
    Logs(Logs),
    /// Shut local VMs down
    #[command(after_help = examples::STOP)]
    Stop(Stop),
    /// Start a local VM that was stopped
    #[command(after_help = examples::START)]
    Start(OfMachine),
    /// Shut local VMs down and start them again
    #[command(after_help = examples::RESTART)]
    Restart(Stop),
    /// Remove local VMs, with all that they have changed
    #[command(after_help = examples::RM)]
    Rm(Rm),
    /// Be the process that a local VM lives in
    #[command(hide = true)]
    Supervise(Supervise),
    /// See and remove what the store keeps
    #[command(subcommand)]
    #[command(after_help = examples::CACHE)]
    Cache(Cache),
    /// Check whether this host can build, and say how to fix it
    #[command(after_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Print the JSON Schema of recipes
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Print or write the manual pages
    #[command(after_help = examples::MAN)]
    Man(Man),
    /// Print the help of a command, or a topic of the reference
    #[command(after_help = examples::HELP)]
    Help(Help),
}

/// `help`.
#[derive(Debug, clap::Args)]
pub struct Help {
    /// A topic (recipe, stages, kickstart, packages, artifact, machines, store, output, environment, exit-codes), or a command
    #[arg(value_name = "TOPIC|COMMAND")]
    pub words: Vec<String>,
}

/// `init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The file to write, `-` for standard output; an existing file is left alone
    #[arg(default_value = "recipe.toml", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// A recipe and what is changed of it for one run.
#[derive(Debug, clap::Args)]
pub struct RecipeArgs {
    /// A recipe file, or the name of a built-in recipe
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipe: String,
    /// Override a field for this run: path.to.key=value; text needs no quotes, else as in TOML
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `build`.
#[derive(Debug, clap::Args)]
pub struct Build {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Publish the artifact as this directory [default: ./NAME]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Replace an artifact of another content that is there
    #[arg(long)]
    pub force: bool,
    /// After a failure, offer a root shell in the machine, on a terminal
    #[arg(long)]
    pub keep_on_failure: bool,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// The directory the artifact would be [default: ./NAME]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Check for a build with --force, which replaces an artifact of another content
    #[arg(long)]
    pub force: bool,
    /// List the packages that will be installed, each with its repository, its size on the disk and what brings it in
    #[arg(long)]
    pub packages: bool,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `plan`.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `kickstart …`.
#[derive(Debug, Subcommand)]
pub enum Kickstart {
    /// Print the kickstart of a recipe
    #[command(after_help = examples::KICKSTART_RENDER)]
    Render(RecipeArgs),
    /// Tell whether the installer of CentOS 7.5 would accept files
    #[command(after_help = examples::KICKSTART_CHECK)]
    Check(KickstartCheck),
    /// List what `kickstart check` warns of: why, what to do, who says so
    #[command(after_help = examples::KICKSTART_LINTS)]
    Lints(KickstartLints),
}

/// `kickstart check`.
#[derive(Debug, clap::Args)]
pub struct KickstartCheck {
    /// Kickstart files; `-` is standard input
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Fail when a lint finds something
    #[arg(long)]
    pub deny_lints: bool,
    /// Leave a lint out; `goldsmith kickstart lints` has the names
    #[arg(long, value_name = "LINT", value_parser = lint_names(), hide_possible_values = true)]
    pub allow: Vec<String>,
    /// Write SARIF 2.1.0 to standard output, for code scanning
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
}

/// `kickstart lints`.
#[derive(Debug, clap::Args)]
pub struct KickstartLints {
    /// Show only these
    #[arg(value_name = "LINT", value_parser = lint_names(), hide_possible_values = true)]
    pub lints: Vec<String>,
}

fn lint_names() -> PossibleValuesParser {
    Lint::all().map(|lint| lint.id).collect::<Vec<_>>().into()
}

/// `verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// An image, or an artifact's directory
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The recipe whose promises to check, a file or a built-in name
    #[arg(long)]
    pub recipe: Option<String>,
    /// Override a field of the recipe: path.to.key=value
    #[arg(long, value_name = "KEY=VALUE", requires = "recipe")]
    pub set: Vec<String>,
}

/// `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// An image, an artifact's directory, or a recipe, which is built first
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// Keep what the VM changes in NAME.run.qcow2 beside the image, and continue
    /// with it the next time
    #[arg(long)]
    pub keep: bool,
    /// Let its consoles be root's without a log-in, which is not in the image
    #[arg(long)]
    pub autologin: bool,
    /// Let this port of 127.0.0.1 lead to the VM's ssh
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ssh: Option<u16>,
    /// The VM.
    #[command(flatten)]
    pub vm: VmArgs,
}

/// `cache …`.
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// List layers, files, beginnings of files, and what is remembered
    #[command(after_help = examples::CACHE_LIST)]
    List {
        /// The store.
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove some of it, but nothing that a running goldsmith uses
    ///
    /// With a layer goes every layer that was made on it. What killed runs left
    /// behind is removed in any case.
    #[command(override_usage = "goldsmith cache remove <ID>...
       goldsmith cache remove [--layers] [--files] [--unused-for <DAYS>]
       goldsmith cache remove --all")]
    #[command(after_help = examples::CACHE_REMOVE)]
    Remove(CacheRemove),
}

/// `cache remove`.
#[derive(Debug, clap::Args)]
#[group(id = "what", required = true, multiple = true, args = ["ids", "layers", "files", "unused_for", "all"])]
pub struct CacheRemove {
    /// What `cache list` shows as ID, or its beginning
    #[arg(value_name = "ID", conflicts_with_all = ["layers", "files", "unused_for", "all"])]
    pub ids: Vec<String>,
    /// Remove layers: the next build makes them anew
    #[arg(long)]
    pub layers: bool,
    /// Remove fetched files, copies of images, and beginnings of both
    #[arg(long)]
    pub files: bool,
    /// Remove only what was not used for so many days
    #[arg(long, value_name = "DAYS")]
    pub unused_for: Option<u32>,
    /// Remove everything, also what is remembered
    #[arg(long, conflicts_with_all = ["layers", "files", "unused_for"])]
    pub all: bool,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `doctor`.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Judge the space where artifacts will be published
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".")]
    pub output: PathBuf,
}

/// `completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Write a page for every command into this directory
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}

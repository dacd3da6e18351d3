//! Why a local machine could not be started, or failed.

use std::io;
use std::path::PathBuf;

use super::control::State;
use super::name::Name;
use super::network::{Membership, NoPlace};
use super::told::Told;
use super::until::Until;
use crate::artifact::ArtifactError;
use crate::base::failure::{Class, Failure};
use crate::base::host::TooLittleMemory;
use crate::base::size::ByteSize;
use crate::base::text::shell_line;
use crate::cache::CacheError;
use crate::image::ImageError;
use crate::machine::runner::RunnerError;
use crate::machine::{Cause, MachineError};

/// Why a local machine could not be started, or failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The named path is not an artifact, or the artifact is damaged.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The image, or a file under it, cannot be read; or the overlay cannot be made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store, where saved states are, cannot be used.
    #[error(transparent)]
    Store(#[from] CacheError),
    /// The host has too little memory.
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
    /// The machine did not start, or failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// It is readable, and no disk that boots.
    #[error("{} is not a bootable disk: it has neither a boot sector nor an EFI system partition", path.display())]
    NotBootable {
        /// The image.
        path: PathBuf,
    },
    /// QEMU takes its paths as JSON, which is UTF-8.
    #[error("{} cannot be given to QEMU: its name is not UTF-8", path.display())]
    NotUtf8 {
        /// The image.
        path: PathBuf,
    },
    /// A port that is to lead into the machine cannot be listened on.
    #[error("port {port} of 127.0.0.1 cannot be used: {source}")]
    Port {
        /// The port.
        port: u16,
        /// Who says that it is to.
        of: PortOf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
        /// Whether it was to lie beside the image (`--keep`).
        kept: bool,
    },
    /// Another machine runs on the kept overlay.
    #[error("{} is in use by another machine", overlay.display())]
    InUse {
        /// The overlay.
        overlay: PathBuf,
    },
    /// Another process met it.
    #[error(transparent)]
    Told(#[from] Told),
    /// The machine's kernel or initramfs could not be had, or its runner broke off.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// A file of the state directory cannot be read or written.
    #[error("the state of local machines cannot be used: {}: {source}", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A file of the state directory is not this goldsmith's.
    #[error("{} cannot be understood: {why}", path.display())]
    ForeignState {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// There is no such machine.
    #[error("there is no machine `{name}`")]
    NoMachine {
        /// The name.
        name: Name,
        /// A name that is there, and was perhaps meant.
        like: Option<String>,
    },
    /// There is a machine of that name, of something else.
    #[error("there is a machine `{name}` already, made from {}", source_of.display())]
    NameTaken {
        /// The name.
        name: Name,
        /// What it was made from.
        source_of: PathBuf,
    },
    /// The machine runs.
    #[error("the machine `{name}` is running")]
    Runs {
        /// Its name.
        name: Name,
    },
    /// The machine does not run.
    #[error("the machine `{name}` is not running{}", how.as_ref().map(|how| format!(": {how}")).unwrap_or_default())]
    Off {
        /// Its name.
        name: Name,
        /// How its last run ended.
        how: Option<String>,
    },
    /// The machine runs, and a command cannot be run in it now.
    #[error("the command cannot be run in `{name}`: {why}")]
    Refused {
        /// Its name.
        name: Name,
        /// Why not.
        why: String,
    },
    /// The machine's supervisor or its guest does not answer.
    #[error("the machine `{name}` does not answer: {why}")]
    Mute {
        /// The machine's name.
        name: Name,
        /// The symptom.
        why: String,
    },
    /// The machine is not yet what it was waited for to be.
    #[error("the machine `{name}` is {} after {seconds} s, and not {}", state.name(), match until { Until::Up => "up", Until::Off => "off" })]
    Late {
        /// Its name.
        name: Name,
        /// The state that was waited for.
        until: Until,
        /// Its state.
        state: State,
        /// The time that was waited.
        seconds: u64,
    },
    /// A table of machines has faults.
    #[error("the table {} cannot be used: {}", path.display(), crate::base::text::counted(faults.len(), "fault"))]
    Table {
        /// The file.
        path: PathBuf,
        /// All of them, with their lines.
        faults: Vec<String>,
    },
    /// There is no such place on a private network.
    #[error("the machine cannot be put on the network `{network}`{}", faults.first().map(|fault| format!(": {}", fault.why)).unwrap_or_default())]
    NoPlace {
        /// The network.
        network: Name,
        /// Why not; of several machines, what is wrong with each.
        faults: Vec<NoPlace>,
    },
    /// The machine was made with another network, or with none.
    #[error("the machine `{name}` was made {}", was.as_ref().map_or_else(|| "without a network".to_owned(), |was| format!("with {was}")))]
    Elsewhere {
        /// Its name.
        name: Name,
        /// Where it is.
        was: Option<Membership>,
    },
    /// The machine is there, with another value of an option.
    #[error("the machine `{name}` is there already, and was not made with this `{option}`")]
    Otherwise {
        /// Its name.
        name: Name,
        /// The option: `--memory`.
        option: &'static str,
    },
    /// A directory of the host cannot be in a machine.
    #[error("the volume {volume}: {why}")]
    BadVolume {
        /// As its user named it.
        volume: String,
        /// Why.
        why: String,
    },
    /// The system of the image cannot mount directories of the host.
    #[error("{} cannot have volumes: {} has no virtiofs, which came with Linux 5.4", image.display(), kernels.join(", "))]
    NoVirtiofs {
        /// The image.
        image: PathBuf,
        /// Its kernels.
        kernels: Vec<String>,
    },
    /// The machine could not be given its host name, its keys and its place on its network.
    #[error("the machine `{name}` could not be given its own identity: {why}")]
    Impersonal {
        /// Its name.
        name: Name,
        /// The failure.
        why: String,
    },
    /// The runner cannot be brought into a machine whose consoles were to be opened.
    #[error("the consoles of {name} cannot be opened without a log-in: {why}")]
    NoAutologin {
        /// The image's name.
        name: String,
        /// Why.
        why: String,
    },
    /// The machine was made to go on from a saved state, and was never started.
    #[error("the machine `{name}` was never started, so that there is nothing to keep")]
    NotBegun {
        /// Its name.
        name: Name,
    },
    /// The image was replaced while a machine was made of it.
    #[error("{} was replaced while its state was saved", image.display())]
    Replaced {
        /// The image.
        image: PathBuf,
    },
    /// No machine of the image can go on from a saved state.
    #[error("a machine of this image cannot go on from a saved state: {why}")]
    NoSavedState {
        /// Why.
        why: String,
    },
    /// There is a snapshot of that name.
    #[error("the machine `{name}` has a snapshot `{snapshot}` already")]
    SnapshotThere {
        /// The machine's name.
        name: Name,
        /// The snapshot's.
        snapshot: Name,
    },
    /// There is no such snapshot.
    #[error("the machine `{name}` has no snapshot `{snapshot}`")]
    NoSnapshot {
        /// The machine's name.
        name: Name,
        /// The snapshot's.
        snapshot: Name,
        /// A name that is there, and was perhaps meant.
        like: Option<String>,
    },
    /// A disk cannot be made smaller than its image.
    #[error("a disk of {wanted} is too small: the image has one of {least}")]
    SmallDisk {
        /// The wanted size.
        wanted: ByteSize,
        /// The size of the image.
        least: ByteSize,
    },
    /// Copies of an image cannot be made as they are wanted.
    #[error("the clones cannot be made: {why}")]
    NoClones {
        /// Why not.
        why: String,
        /// The remedy.
        help: &'static str,
    },
    /// A clone that was to be compared with another failed. It is gone, with its files.
    #[error("a clone of the image failed: {0}")]
    Clone(Box<RunError>),
    /// Several files are to go to what is no directory of the machine.
    #[error("`{target}` is no directory of `{name}`, so it cannot take several files")]
    NoDirectory {
        /// The machine's name.
        name: Name,
        /// The path in the machine.
        target: String,
    },
    /// A file of the host could not be copied into a machine or made from one.
    #[error("{} cannot be copied: {source}", path.display())]
    Transfer {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The guest could not pack or unpack files.
    #[error("files cannot be copied in the machine `{name}`: {why}")]
    Guest {
        /// The machine's name.
        name: Name,
        /// The message of its tar or shell.
        why: String,
    },
    /// The image under a machine's disk is another one now, so that what the disk shows would be garbage.
    #[error("the machine `{name}` cannot be used: {why}")]
    Changed {
        /// Its name.
        name: Name,
        /// The change.
        why: String,
    },
    /// A filesystem of the disk of a machine that is off waits for its journal to be replayed.
    #[error("the disk of the machine `{name}` is as after a power cut: {} was not unmounted", what.join(", "))]
    Unclean {
        /// Its name.
        name: Name,
        /// The filesystems: `/ (ext4)`.
        what: Vec<String>,
    },
    /// The kept overlay does not fit the image any more, so that what it shows would be garbage.
    #[error("{} cannot be continued: {why}", overlay.display())]
    Stale {
        /// The overlay.
        overlay: PathBuf,
        /// Why not.
        why: String,
        /// The files that would have to go for a new beginning.
        files: Vec<PathBuf>,
    },
}

/// Who says that a port is to lead into a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortOf {
    /// The user.
    User,
    /// The `[run]` table of the image's recipe.
    Recipe,
    /// The machine of this name, which was made with it.
    Machine(Name),
}

impl Failure for RunError {
    fn class(&self) -> Class {
        match self {
            Self::Artifact(error) => error.class(),
            Self::Image(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Memory(error) => error.class(),
            Self::Machine(error) => error.class(),
            Self::Told(told) => told.class(),
            Self::Runner(error) => error.class(),
            Self::Clone(error) => error.class(),
            Self::NotUtf8 { .. }
            | Self::NoMachine { .. }
            | Self::NameTaken { .. }
            | Self::Runs { .. }
            | Self::NoPlace { .. }
            | Self::NoClones { .. }
            | Self::SmallDisk { .. }
            | Self::NotBegun { .. }
            | Self::SnapshotThere { .. }
            | Self::NoSnapshot { .. }
            | Self::Elsewhere { .. }
            | Self::Otherwise { .. }
            | Self::BadVolume { .. }
            | Self::NoDirectory { .. } => Class::Usage,
            Self::Replaced { .. }
            | Self::NoVirtiofs { .. }
            | Self::Table { .. }
            | Self::NotBootable { .. }
            | Self::Stale { .. }
            | Self::Changed { .. }
            | Self::Unclean { .. } => Class::Input,
            Self::Impersonal { .. }
            | Self::NoAutologin { .. }
            | Self::NoSavedState { .. }
            | Self::Off { .. }
            | Self::Mute { .. }
            | Self::Late { .. }
            | Self::Refused { .. }
            | Self::Guest { .. } => Class::Machine,
            Self::State { .. }
            | Self::ForeignState { .. }
            | Self::Port { .. }
            | Self::Unwritable { .. }
            | Self::InUse { .. }
            | Self::Transfer { .. } => Class::Host,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Artifact(error) => return error.remedy(),
            Self::Image(error) => return error.remedy(),
            Self::Store(error) => return error.remedy(),
            Self::Memory(error) => return error.remedy(),
            Self::Machine(MachineError::Failed { cause, .. }) => of_a_failed_machine(cause).to_owned(),
            // The files it names are gone with the machine: its command line would not run again.
            Self::Machine(MachineError::CannotStart { reason, .. }) if reason.contains("lock") => {
                "end the program that has the image open for writing".to_owned()
            }
            Self::Machine(MachineError::CannotStart { .. }) => "see what `goldsmith doctor` says of QEMU".to_owned(),
            Self::Machine(error) => return error.remedy(),
            Self::Told(told) => return told.remedy(),
            Self::Runner(error) => return error.remedy(),
            Self::State { .. } => "see whether you may write there; XDG_STATE_HOME names another place".to_owned(),
            Self::ForeignState { path, .. } => format!(
                "use the goldsmith that made the machine, or remove it with all that it has changed: rm -r {}",
                crate::base::text::shell_quote(&path.parent().unwrap_or(path).to_string_lossy())
            ),
            Self::NoMachine { like: Some(like), .. } => format!("did you mean `{like}`? `goldsmith ps` lists them"),
            Self::NoMachine { .. } => "`goldsmith ps` lists the machines, and `goldsmith up` makes one".to_owned(),
            Self::NameTaken { name, .. } => format!("choose another name with --name, or remove that one: goldsmith rm {name}"),
            Self::Runs { name } => format!("stop it first: goldsmith stop {name}"),
            Self::Off { name, .. } | Self::NotBegun { name } => format!("start it: goldsmith start {name}"),
            Self::Refused { .. } => "see how it is, and try again then: goldsmith ps".to_owned(),
            Self::Mute { name, .. } | Self::Late { name, .. } => format!("see what its console says: goldsmith logs {name}"),
            Self::NoPlace { faults, .. } => return faults.first().map(|fault| fault.help.to_owned()),
            Self::SnapshotThere { name, snapshot } => {
                format!("choose another name, or remove that one: goldsmith snapshot remove {name} {snapshot}")
            }
            Self::NoSnapshot { name, like: Some(like), .. } => {
                format!("did you mean `{like}`? `goldsmith snapshot list {name}` lists them")
            }
            Self::NoSnapshot { name, .. } => format!("see which it has: goldsmith snapshot list {name}"),
            Self::SmallDisk { least, .. } => format!("leave --disk out, or give {least} or more"),
            Self::NoClones { help, .. } => (*help).to_owned(),
            Self::Table { .. } => "correct the lines; `goldsmith help machines` says what a table has".to_owned(),
            Self::Elsewhere { name, .. } => format!("choose another name with --name, or remove that one: goldsmith rm {name}"),
            Self::Otherwise { name, .. } => format!("leave it out, or remove the machine and make it anew: goldsmith rm {name}"),
            Self::Impersonal { name, .. } => {
                format!("see what its console says, goldsmith logs {name}; or make it without --network, --hostname and --ssh-key")
            }
            Self::BadVolume { .. } => "name directories of this host, each with a place of its own: --volume DIR:PATH".to_owned(),
            Self::NoVirtiofs { .. } => "leave --volume out, and copy files instead: goldsmith cp".to_owned(),
            Self::NoAutologin { .. } => "leave --autologin out, and log in as an account of the image".to_owned(),
            Self::Replaced { .. } => "run the command again".to_owned(),
            Self::NoSavedState { .. } => "leave --warm out: machines that boot can be made of it".to_owned(),
            Self::Clone(_) => "see how a machine of the image comes up: goldsmith up IMAGE".to_owned(),
            Self::NoDirectory { name, target } => {
                format!("make the directory first: {}", shell_line(["goldsmith", "exec", name.as_str(), "--", "mkdir", "-p", target]))
            }
            Self::Transfer { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "choose another name, or remove what has this one".to_owned()
            }
            Self::Transfer { .. } => "see whether it is there, and may be read or written".to_owned(),
            Self::Guest { name, .. } => format!("see what is there: goldsmith shell {name}"),
            Self::Changed { name, .. } => {
                format!("bring the image back as it was, or remove the machine with all that it has changed: goldsmith rm {name}")
            }
            Self::Unclean { name, .. } => {
                format!("boot it once and shut it down: goldsmith start {name} && goldsmith stop {name}")
            }
            Self::NotBootable { .. } => "give a raw or qcow2 disk image, or the directory that `goldsmith build` made".to_owned(),
            Self::NotUtf8 { .. } => "rename it, or the directory it is in".to_owned(),
            Self::Port { of: PortOf::Machine(name), .. } => {
                format!(
                    "end the program that listens there (`ss -ltnp` names it), or make the machine anew with another: goldsmith rm {name}"
                )
            }
            Self::Port { source, of, .. } => {
                let choose = match source.kind() {
                    io::ErrorKind::PermissionDenied => "choose a port of 1024 or above",
                    _ => "choose another port, or end the program that listens there (`ss -ltnp` names it)",
                };
                match of {
                    PortOf::Recipe => format!("{choose}; it is of the recipe's `[run]`, and --forward says others, or `none`"),
                    _ => choose.to_owned(),
                }
            }
            Self::Unwritable { kept: true, .. } => "copy the image to a directory you may write to, or run it without --keep".to_owned(),
            Self::Unwritable { .. } => "free some space there, or set TMPDIR to another directory".to_owned(),
            Self::InUse { .. } => "end that machine, or run this one without --keep".to_owned(),
            Self::Stale { files, .. } => {
                let files: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
                let line = shell_line(["rm", "-f"].into_iter().chain(files.iter().map(AsRef::as_ref)));
                format!("bring the image back as it was, or begin afresh: {line}")
            }
        })
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Artifact(error) => error.evidence(),
            Self::Image(error) => error.evidence(),
            Self::Machine(error) => error.evidence(),
            Self::Runner(error) => error.evidence(),
            Self::Told(told) => told.evidence(),
            Self::Clone(error) => error.evidence(),
            Self::Table { faults, .. } => faults.clone(),
            _ => Vec::new(),
        }
    }

    // What a machine of `run` leaves goes with it, and its console was on the user's terminal.
    fn evidence_dir(&self) -> Option<PathBuf> {
        match self {
            Self::Told(told) => told.evidence_dir(),
            Self::Runner(error) => error.evidence_dir(),
            _ => None,
        }
    }
}

fn of_a_failed_machine(cause: &Cause) -> &'static str {
    use std::os::unix::process::ExitStatusExt;
    match cause {
        Cause::Died(Some(status)) if status.signal() == Some(9) => {
            "see `dmesg` for the kernel's out-of-memory killer; give the machine less: --memory 1G"
        }
        Cause::Died(_) => "see `dmesg`; a crash of QEMU is a bug of QEMU or of the host",
        Cause::Disk { no_space: true, .. } => "free space where the overlay is: beside the image with --keep, else in TMPDIR or /tmp",
        Cause::Disk { .. } => "check the host's disk (`dmesg`)",
        _ => "read what the console said last",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_class_and_a_remedy_that_helps() {
        let port_of = |of: PortOf, kind: io::ErrorKind| RunError::Port { port: 22, of, source: kind.into() };
        let port = |kind| port_of(PortOf::User, kind);
        let stale = RunError::Stale { overlay: "d.run.qcow2".into(), why: "w".into(), files: vec!["d.run.qcow2".into(), "a b".into()] };
        for (error, class, remedy) in [
            (port(io::ErrorKind::PermissionDenied), Class::Host, "choose a port of 1024"),
            (port(io::ErrorKind::AddrInUse), Class::Host, "choose another port"),
            (port_of(PortOf::Recipe, io::ErrorKind::AddrInUse), Class::Host, "recipe's `[run]`, and --forward says others, or `none`"),
            (port_of(PortOf::Machine("web".parse().unwrap()), io::ErrorKind::AddrInUse), Class::Host, "goldsmith rm web"),
            (stale, Class::Input, "begin afresh: rm -f d.run.qcow2 'a b'"),
            (
                RunError::Unwritable { path: "x".into(), source: io::ErrorKind::PermissionDenied.into(), kept: true },
                Class::Host,
                "without --keep",
            ),
            (RunError::Unwritable { path: "x".into(), source: io::ErrorKind::StorageFull.into(), kept: false }, Class::Host, "TMPDIR"),
            (RunError::NotBootable { path: "x".into() }, Class::Input, "goldsmith build"),
            (
                RunError::Unclean { name: "web".parse().unwrap(), what: vec!["/ (ext4)".to_owned()] },
                Class::Input,
                "goldsmith start web && goldsmith stop web",
            ),
        ] {
            assert_eq!(error.class(), class, "{error}");
            assert!(error.remedy().unwrap().contains(remedy), "{error}: {:?}", error.remedy());
        }
    }
}

//! The data with which the stages of a plan are executed.

use crate::base::repository_id::RepositoryId;
use crate::base::secret::Secret;
use crate::installer::deploy::{FilesystemIds, Tree};
use crate::recipe::{Disk, DockerImage, ProvisionStep};

/// It is raised when goldsmith's own code (the parameters of mke2fs, the layout of a disk, the runner's files) makes a different result
/// from the same inputs. A test of the stages compares the files that they run with `tests/golden/engine.txt`, which names this number.
pub const ENGINE: u32 = 3;

/// How a system is installed on an empty disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Install {
    /// Make a tree, make a disk from it, and install the boot loader.
    Deploy(Box<DeployWork>),
    /// Have Anaconda install.
    Anaconda(Box<AnacondaWork>),
}

/// An installation by the deploy installer.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployWork {
    /// The suite.
    pub suite: String,
    /// The data of the tree.
    pub tree: Tree,
    /// Names of its filesystems.
    pub ids: FilesystemIds,
    /// The disk's layout.
    pub disk: Disk,
    /// The script that installs the boot loader.
    pub boot_loader: String,
}

/// An installation by Anaconda.
#[derive(Debug, Clone, PartialEq)]
pub struct AnacondaWork {
    /// The whole kickstart; a secret, since the user's own may hold password hashes.
    pub kickstart: Vec<u8>,
    /// Where on the installed system its scripts leave what they print; evidence of an installation that fails.
    pub script_logs: Vec<String>,
    /// Arguments of the installer's kernel.
    pub arguments: &'static str,
    /// Ids of the recipe's repositories, in order: the directories of the volume.
    pub repositories: Vec<RepositoryId>,
    /// The disk's layout.
    pub disk: Disk,
    /// The kickstart is the user's own: it may lay out the disk otherwise.
    pub own_kickstart: bool,
}

/// A step in the booted system; each has its own layer.
#[derive(Debug, Clone, PartialEq)]
pub enum StepWork {
    /// A provision step of the recipe.
    Provision(ProvisionStep),
    /// Docker loads these images.
    Load(Vec<DockerImage>),
}

/// The settings that sealing puts into the image.
#[derive(Debug, Clone, PartialEq)]
pub struct SealWork {
    /// The host name and its entry in hosts(5), as [`names`](crate::installer::hostname::names) writes them; none when the kickstart sets
    /// it.
    pub names: Option<String>,
    /// The address of `eth0`, as [`lines`](crate::installer::address::lines) writes it; none when it stays as it was installed.
    pub address: Option<String>,
    /// Commands that write the interfaces beside `eth0`, as [`script`](crate::installer::interfaces::script) makes them; none when there are
    /// none.
    pub interfaces: Option<String>,
    /// The content of `/etc/resolv.conf`; without one the file is emptied.
    pub resolv_conf: Option<String>,
    /// The passwords, as [`Accounts::lines`] writes them.
    pub passwords: Option<Secret>,
}

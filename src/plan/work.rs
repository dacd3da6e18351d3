//! What the stages of a plan are to do.

use crate::base::secret::Secret;
use crate::installer::deploy::{FilesystemIds, Tree};
use crate::recipe::{Disk, DockerImage, ProvisionStep};

/// Raised when goldsmith's own code (the parameters of mke2fs, the layout of a disk, what the runner brings) makes another result out of the
/// same inputs. A test of the stages holds what they run against `tests/golden/engine.txt`, which names this number.
pub const ENGINE: u32 = 3;

/// How a system comes onto an empty disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Install {
    /// Make a tree, a disk of it, and install the boot loader.
    Deploy(Box<DeployWork>),
    /// Have Anaconda install.
    Anaconda(Box<AnacondaWork>),
}

/// An installation by the deploy installer.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployWork {
    /// The suite.
    pub suite: String,
    /// What makes the tree.
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
    /// What the installer's kernel is told.
    pub arguments: &'static str,
    /// Ids of the recipe's repositories, in order: the directories of the volume.
    pub repositories: Vec<String>,
    /// The disk's layout.
    pub disk: Disk,
    /// The kickstart is the user's own: it may lay out the disk otherwise.
    pub own_kickstart: bool,
}

/// What is done in the booted system, a layer each.
#[derive(Debug, Clone, PartialEq)]
pub enum StepWork {
    /// A provision step of the recipe.
    Provision(ProvisionStep),
    /// Docker loads these images.
    Load(Vec<DockerImage>),
}

/// What sealing puts into the image.
#[derive(Debug, Clone, PartialEq)]
pub struct SealWork {
    /// The host name and what it is called in hosts(5), as [`names`](crate::installer::hostname::names) writes them; none when the kickstart says it.
    pub names: Option<String>,
    /// The address of `eth0`, as [`lines`](crate::installer::address::lines) writes it; none when it stays as it was installed.
    pub address: Option<String>,
    /// What `/etc/resolv.conf` is to say; else it is emptied.
    pub resolv_conf: Option<String>,
    /// The passwords, as [`Accounts::lines`] writes them.
    pub passwords: Option<Secret>,
}

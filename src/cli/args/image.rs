//! `goldsmith image …`: its commands and their options.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Subcommand, ValueHint};

use super::memory::vm_memory;
use crate::base::size::ByteSize;
use crate::cli::examples;
use crate::image::{FileKind, OutputFormat};

/// `image …`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Show format, partitions and file systems, without mounting
    #[command(after_help = examples::IMAGE_INSPECT)]
    Inspect {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
    },
    /// List what a directory of the image holds
    #[command(after_help = examples::IMAGE_LS)]
    Ls(ImageLs),
    /// Write files of the image to standard output
    #[command(after_help = examples::IMAGE_CAT)]
    Cat {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// Files of the image; links are followed inside it
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Show the files of the image in a directory, read-only
    ///
    /// The directory shows them until it is unmounted, or until ctrl-C. Nothing in
    /// it can be run. The kernel follows links: an absolute one leads to files of
    /// this host.
    #[command(after_help = examples::IMAGE_MOUNT)]
    Mount {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// The directory
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Copy files and directories out of the image
    ///
    /// The last word is where they go: a directory that is there, or the new name
    /// of one file or directory. What is copied belongs to you; permission bits
    /// are kept, without set-uid, set-gid and sticky. Nothing is overwritten.
    #[command(after_help = examples::IMAGE_CP, override_usage = "goldsmith image cp [OPTIONS] <IMAGE> <PATH>... <TARGET>")]
    Cp {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// Files and directories of the image, then where they go
        #[arg(required = true, num_args = 2..,  value_name = "PATH", value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
    },
    /// Find files of the image
    #[command(after_help = examples::IMAGE_FIND)]
    Find(ImageFind),
    /// List the packages that the image has installed
    ///
    /// The databases of dpkg and of RPM are read, RPM's as Berkeley DB (EL 5 to 8),
    /// SQLite (EL 9, Fedora) and ndb (SUSE). --json has licence, vendor and key, too.
    #[command(after_help = examples::IMAGE_PACKAGES)]
    Packages {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
    },
    /// Write a software bill of materials, for other tools
    ///
    /// It has the installed packages. The same image gives the same bytes: the time
    /// in them is SOURCE_DATE_EPOCH, or else that of the newest package; dpkg does not
    /// know that, and then it is the time of its database.
    #[command(after_help = examples::IMAGE_SBOM)]
    Sbom {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// Write SPDX 2.3 or CycloneDX 1.6, as JSON
        #[arg(long, value_enum, default_value_t)]
        format: SbomFormat,
    },
    /// Look for identities, secrets and traces that copies should not share
    ///
    /// A fault keeps a build from being published, unless a `[[waiver]]` of the
    /// recipe allows it with a reason; the command ends with 5 then. A notice is
    /// worth a look. An artifact's own waivers and accounts are known; of another
    /// image every password and key is a fault.
    #[command(after_help = examples::IMAGE_AUDIT)]
    Audit {
        /// An image, or an artifact's directory
        #[arg(value_hint = ValueHint::AnyPath, required_unless_present = "rules")]
        image: Option<PathBuf>,
        /// List what is looked for, and why
        #[arg(long, conflicts_with = "image")]
        rules: bool,
    },
    /// Tell what two images differ in
    ///
    /// Packages, settings, users and files: content, mode, owner, SELinux label and
    /// capabilities. Files of packages that differ are counted with these.
    #[command(after_help = examples::IMAGE_DIFF)]
    Diff(ImageDiff),
    /// Write the image in a format that others use
    ///
    /// Blocks that the filesystems do not use become zeros. The same image gives the
    /// same file. TARGET must not be there yet.
    #[command(after_help = examples::IMAGE_EXPORT)]
    Export(ImageExport),
    /// Write down how libvirt, OpenStack or Proxmox runs the image
    ///
    /// The text on standard output is XML for `virsh define`, or lines for a shell.
    /// It names the image as it is: a machine of libvirt writes to it.
    #[command(after_help = examples::IMAGE_DESCRIBE)]
    Describe(ImageDescribe),
}

/// What `image sbom` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum SbomFormat {
    /// SPDX 2.3.
    #[default]
    Spdx,
    /// CycloneDX 1.6.
    #[value(name = "cyclonedx")]
    CycloneDx,
}

/// `image diff`.
#[derive(Debug, clap::Args)]
pub struct ImageDiff {
    /// An image, or an artifact's directory
    #[arg(value_hint = ValueHint::AnyPath)]
    pub before: PathBuf,
    /// The image to compare with it
    #[arg(value_hint = ValueHint::AnyPath)]
    pub after: PathBuf,
    /// List every file, those of packages and settings that differ, too
    #[arg(long)]
    pub files: bool,
    /// Show how the text of configuration differs, as far as everybody may read it
    #[arg(long)]
    pub text: bool,
}

/// `image export`.
#[derive(Debug, clap::Args)]
pub struct ImageExport {
    /// An image, or an artifact's directory
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The file to write
    #[arg(value_hint = ValueHint::FilePath)]
    pub target: PathBuf,
    /// The format [default: by the end of the target's name]
    #[arg(short, long)]
    pub format: Option<ExportKind>,
    /// What compresses the clusters of qcow2 [default: zlib, which every QEMU reads; zstd needs 5.1]
    #[arg(short, long, value_name = "HOW")]
    pub compression: Option<ClusterCompression>,
    /// Enter the Vagrant box as this version into the catalogue NAME.json beside it,
    /// which `vagrant box add` reads
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Where the catalogue says the box is [default: the file that is written]
    #[arg(long, value_name = "URL", requires = "version")]
    pub url: Option<String>,
}

/// `image describe`.
#[derive(Debug, clap::Args)]
pub struct ImageDescribe {
    /// An image, or an artifact's directory
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The program or platform that will run it
    #[arg(long = "for", value_name = "RECEIVER")]
    pub receiver: DescribeFor,
    /// What the machine is called [default: as the image]
    #[arg(long)]
    pub name: Option<String>,
    /// Memory of the machine
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = vm_memory)]
    pub memory: ByteSize,
    /// Processors of the machine [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: Option<u32>,
    /// What executes the guest under libvirt [default: kvm if it works here]
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<DomainType>,
}

/// The program or platform that will run an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DescribeFor {
    /// XML of a domain, for `virsh define`
    Libvirt,
    /// The command that uploads the image, with its properties
    #[value(name = "openstack")]
    OpenStack,
    /// Lines for a shell of the host
    Proxmox,
}

/// What executes the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DomainType {
    /// The processor
    Kvm,
    /// Emulation, several times slower
    Qemu,
}

/// The formats of `image export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportKind {
    /// For QEMU, libvirt, Proxmox and OpenStack (.qcow2)
    Qcow2,
    /// The bytes of the disk, with holes (.raw, .img)
    Raw,
    /// The bytes of the disk, compressed; zstd -d unpacks it (.raw.zst, .img.zst)
    #[value(name = "raw.zst")]
    RawZst,
    /// For Google Compute Engine: disk.raw in a tar archive (.tar.gz)
    Gce,
    /// For Vagrant and libvirt (.box)
    Vagrant,
    /// For KubeVirt: an OCI image, `skopeo copy oci-archive:` takes it (.oci.tar)
    #[value(name = "containerdisk")]
    ContainerDisk,
    /// For VMware and VirtualBox, stream-optimized (.vmdk)
    Vmdk,
    /// For Azure: fixed, whole MiB, with holes (.vhd)
    Vhd,
    /// For Hyper-V, dynamic (.vhdx)
    Vhdx,
    /// A machine for VMware and VirtualBox: 2 CPUs, 2 GiB of memory and the disk (.ova)
    Ova,
}

impl ExportKind {
    /// The format that this is, which is none of those beside qcow2 if it is qcow2 itself.
    pub fn output(self) -> Option<OutputFormat> {
        Some(match self {
            Self::Qcow2 => return None,
            Self::Raw => OutputFormat::Raw,
            Self::RawZst => OutputFormat::RawZst,
            Self::Gce => OutputFormat::Gce,
            Self::Vagrant => OutputFormat::Vagrant,
            Self::ContainerDisk => OutputFormat::ContainerDisk,
            Self::Vmdk => OutputFormat::Vmdk,
            Self::Vhd => OutputFormat::Vhd,
            Self::Vhdx => OutputFormat::Vhdx,
            Self::Ova => OutputFormat::Ova,
        })
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.output().map_or("qcow2", OutputFormat::name)
    }
}

/// What compresses the clusters of qcow2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ClusterCompression {
    /// Deflate
    Zlib,
    /// Zstandard: smaller, and quicker to read
    Zstd,
    /// Nothing
    None,
}

/// `image ls`.
#[derive(Debug, clap::Args)]
pub struct ImageLs {
    /// An image, or an artifact's directory
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// A directory or file of the image
    #[arg(default_value = "/")]
    pub path: PathBuf,
    /// Show mode, owner, group and size, too
    #[arg(short, long)]
    pub long: bool,
}

/// `image find`.
#[derive(Debug, clap::Args)]
pub struct ImageFind {
    /// An image, or an artifact's directory
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The directory of the image to begin at
    #[arg(default_value = "/")]
    pub path: PathBuf,
    /// Only files whose name fits this pattern: `*` any text, `?` any character,
    /// `[ab]` one of these
    #[arg(short, long, value_name = "PATTERN")]
    pub name: Option<glob::Pattern>,
    /// Only files of this kind
    #[arg(short, long, value_name = "KIND", value_parser = file_kind())]
    pub kind: Option<FileKind>,
    /// Only files of at least this size
    #[arg(long, value_name = "SIZE")]
    pub at_least: Option<ByteSize>,
    /// Only files with one of these mode bits: 6000 for set-uid or set-gid
    #[arg(long, value_name = "OCTAL", value_parser = mode_bits)]
    pub mode: Option<u32>,
    /// Show mode, owner, group and size, too
    #[arg(short, long)]
    pub long: bool,
}

const FILE_KINDS: [FileKind; 6] =
    [FileKind::File, FileKind::Directory, FileKind::Symlink, FileKind::Device, FileKind::Pipe, FileKind::Socket];

fn file_kind() -> impl TypedValueParser<Value = FileKind> {
    let names = PossibleValuesParser::new(FILE_KINDS.map(FileKind::name));
    names.try_map(|name| FILE_KINDS.into_iter().find(|kind| kind.name() == name).ok_or("no kind of file"))
}

fn mode_bits(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|bits| (1..=0o7777).contains(bits))
        .ok_or_else(|| "not an octal mode from 1 to 7777".to_owned())
}

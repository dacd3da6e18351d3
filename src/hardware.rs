//! Words for a machine's hardware and for files that carry its disk, which mean the same in a recipe, on a disk and to QEMU.

mod equipment;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use equipment::{Equipment, Forward, LEAST_MEMORY, MAX_CPUS};

/// What boots the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Firmware {
    Bios,
    Uefi,
}

/// Partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "PartitionTable")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum TableKind {
    Gpt,
    Mbr,
}

/// How an image file keeps a disk: its bytes as they are, or QEMU's copy-on-write format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Format {
    Raw,
    Qcow2,
}

impl Format {
    /// QEMU's name of it, as `qemu-img -f` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }

    /// The format with that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2].into_iter().find(|format| format.name() == name)
    }
}

/// A kind of file that an image is handed over as, beside the qcow2 that goldsmith builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// The bytes of the disk; zeros are holes of the file.
    Raw,
    /// The bytes of the disk, compressed: `zstd -d` unpacks it.
    #[serde(rename = "raw.zst")]
    RawZst,
    /// For VMware and VirtualBox, stream-optimized.
    Vmdk,
    /// For Azure, fixed.
    Vhd,
    /// For Hyper-V, dynamic.
    Vhdx,
    /// A machine for VMware and VirtualBox.
    Ova,
    /// For Google Compute Engine.
    Gce,
    /// A box for Vagrant with libvirt.
    Vagrant,
    /// An OCI image for KubeVirt.
    #[serde(rename = "containerdisk")]
    ContainerDisk,
}

impl OutputFormat {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Raw, Self::RawZst, Self::Vmdk, Self::Vhd, Self::Vhdx, Self::Ova, Self::Gce, Self::Vagrant, Self::ContainerDisk];

    /// Its name in recipes, in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawZst => "raw.zst",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Ova => "ova",
            Self::Gce => "gce",
            Self::Vagrant => "vagrant",
            Self::ContainerDisk => "containerdisk",
        }
    }

    /// Bytes of the largest disk that it holds.
    pub const fn most_bytes(self) -> u64 {
        match self {
            // Tables name places in the file with 32 bits, in sectors (VMware, "Virtual Disk Format 5.0", "Grain Table Entry"): 2 TiB. A
            // grain of 64 KiB of that is left for other parts of the file. If no data shrinks, the file can still grow beyond the limit,
            // which is an error while it is written.
            Self::Vmdk | Self::Ova => (2 << 40) - (64 << 10),
            // Hyper-V's limit, which QEMU follows (block/vpc.c, `VHD_MAX_SECTORS`).
            Self::Vhd => 2040 << 30,
            // MS-VHDX, 2.6.2.2: "at most 64 TB".
            Self::Vhdx => 64 << 40,
            Self::Raw | Self::RawZst | Self::Gce | Self::Vagrant | Self::ContainerDisk => u64::MAX,
        }
    }

    /// How the name of such a file ends, with the dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Raw => ".raw",
            Self::RawZst => ".raw.zst",
            Self::Vmdk => ".vmdk",
            Self::Vhd => ".vhd",
            Self::Vhdx => ".vhdx",
            Self::Ova => ".ova",
            Self::Gce => ".tar.gz",
            Self::Vagrant => ".box",
            Self::ContainerDisk => ".oci.tar",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_one_name_everywhere() {
        for format in OutputFormat::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        }
    }
}

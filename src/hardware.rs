//! Words for a machine's hardware that mean the same in a recipe, on a disk and to QEMU.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

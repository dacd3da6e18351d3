//! The saved state of a system, in the store.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::error::RunError;
use super::super::record::{Place, Record};
use super::super::source::Source;
use super::needs::Needs;
use crate::artifact::{FileRecord, StateRecord};
use crate::base::digest::Sha256Digest;
use crate::hardware::Equipment;
use crate::image;
use crate::machine::probe::qemu_version;
use crate::machine::spec::{Accelerator, Begins, Boot, FirmwareFiles};

/// Version of `warm.json`.
pub(super) const SCHEMA: u32 = 2;
/// The state's files.
pub(super) const ABOUT: &str = "warm.json";
pub(super) const MEMORY: &str = "memory";
pub(super) const STATE: &str = "state";
pub(super) const DISK: &str = "disk.qcow2";
/// The kernel, and the initramfs with the runner.
pub(super) const KERNEL: &str = "kernel";
pub(super) const INITRD: &str = "initrd-with-runner";

/// The saved state of a system, in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    dir: PathBuf,
    about: About,
}

/// What `warm.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) schema: u32,
    pub(super) needs: Needs,
    /// The image under the state's disk, as that names it.
    pub(super) backing: PathBuf,
    /// The versioned name of the machine's type.
    pub(super) machine_type: String,
    /// The arguments of its kernel. QEMU gives a machine that goes on the same kernel and initramfs, because it has the same devices.
    pub(super) command_line: String,
    /// That of its runner: machines of one state share it.
    pub(super) nonce: String,
    /// Whether it was emulated although there was a `/dev/kvm` that could be opened.
    pub(super) despite_kvm: bool,
}

impl About {
    /// Read `warm.json`; `None` when another version of goldsmith wrote it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes).ok().filter(|about: &Self| about.schema == SCHEMA))
    }

    /// Write it into the directory of its state.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        fs::write(dir.join(ABOUT), format!("{:#}\n", serde_json::json!(self)))
    }

    /// Why a machine that needs `now` cannot go on from its state; `None` when it can.
    pub(super) fn unfit(&self, now: &Needs) -> Option<String> {
        self.needs.difference(now)
    }

    /// The manifest's record of it, in `file`.
    pub(super) fn record(&self, file: FileRecord) -> StateRecord {
        let (cpus, memory) = self.needs.size();
        let (qemu, processor) = self.needs.host();
        StateRecord {
            file,
            qemu: qemu.to_owned(),
            machine: self.machine_type.clone(),
            processor: processor.map(str::to_owned),
            cpus,
            memory,
        }
    }
}

impl Saved {
    /// The state in `dir`; `None` when there is none that this goldsmith knows.
    pub(in crate::run) fn open(dir: &Path) -> Option<Self> {
        let about = About::read(&mut File::open(dir.join(ABOUT)).ok()?).ok()??;
        Some(Self { dir: dir.to_owned(), about })
    }

    /// What `warm.json` says.
    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// Where it is.
    pub(in crate::run) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Virtual CPUs of a machine that goes on from it.
    pub(in crate::run) fn cpus(&self) -> u32 {
        self.about.needs.size().0
    }

    /// Whether it was emulated although there was a `/dev/kvm` that could be opened.
    pub(in crate::run) fn despite_kvm(&self) -> bool {
        self.about.despite_kvm
    }

    /// A digest that no other state has.
    pub(super) fn mark(&self) -> Sha256Digest {
        Sha256Digest::of(self.about.nonce.as_bytes())
    }

    /// Why a machine of `record`, which was made of the state's image, cannot go on from it on this host; `None` when it can.
    ///
    /// # Errors
    /// QEMU cannot be used.
    pub(in crate::run) async fn unfit(&self, record: &Record) -> Result<Option<String>, RunError> {
        let given = Equipment { cpus: record.cpus.or(Some(self.cpus())), memory: Some(record.memory), ..Equipment::default() };
        let now = self.about.needs.of_the_same(&given, qemu_version().await?);
        Ok(self.about.unfit(&now))
    }

    /// Make the disk of the machine at `place`: a copy of what the boot wrote, over the image of `source`. An earlier disk is replaced, because it
    /// does not belong to the state of the memory.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub(in crate::run) async fn lay(&self, place: &Place, source: &Source) -> Result<(), RunError> {
        // A few megabytes. As a layer of its own it would be under the disk for good, for whatever copies or publishes that.
        let copied = fs::copy(self.dir.join(DISK), place.disk());
        copied.map_err(|source| RunError::State { path: place.disk(), source })?;
        // It was saved over a copy of the image elsewhere.
        if self.about.backing != source.image {
            image::rebase_unchecked(&place.disk(), &source.image, source.format).await?;
        }
        Ok(())
    }

    /// How QEMU goes on from it.
    pub(in crate::run) fn begins(&self) -> (Boot, Begins) {
        let boot = Boot::Kernel {
            kernel: self.dir.join(KERNEL),
            initrd: self.dir.join(INITRD),
            command_line: self.about.command_line.clone(),
            firmware: FirmwareFiles::Bios,
        };
        let (memory, state) = (self.dir.join(MEMORY), self.dir.join(STATE));
        (boot, Begins::Saved { memory, state, machine_type: self.about.machine_type.clone() })
    }

    /// The nonce of its runner.
    pub(in crate::run) fn nonce(&self) -> String {
        self.about.nonce.clone()
    }

    /// What executed the guest, and must again.
    pub(in crate::run) fn accelerator(&self) -> Accelerator {
        self.about.needs.accelerator()
    }
}

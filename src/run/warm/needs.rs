//! What a saved state and a machine that goes on from it must have in common. Pure, but for what it asks of the host.

use std::fs;

use serde::{Deserialize, Serialize};

use super::super::personal;
use super::super::vm::CPUS;
use crate::base::digest::Sha256Digest;
use crate::base::size::ByteSize;
use crate::hardware::{Equipment, Format};
use crate::machine::probe::QemuVersion;
use crate::machine::runner::gate_version;
use crate::machine::spec::Accelerator;

/// Why a state does not fit that another goldsmith saved.
pub(super) const ANOTHER: &str = "its state was saved by another version of goldsmith";

/// What a state was saved with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Needs {
    /// Digest of the image under the disk, wherever that is.
    image: Sha256Digest,
    /// How the image is read: the same bytes may be said to be raw.
    format: String,
    /// The guest's end of the runner, which is in the state.
    runner: Sha256Digest,
    /// Another QEMU may have other devices in a machine, or another `max` processor.
    qemu: String,
    emulated: bool,
    /// The host's processor, when the guest runs on it.
    processor: Option<String>,
    cpus: u32,
    memory: ByteSize,
}

impl Needs {
    /// Those of a machine of the image with this digest, read as `format`, that is given `given`, on this host, whose QEMU is `qemu`.
    pub(super) fn of((image, format): (Sha256Digest, Format), given: &Equipment, accelerator: Accelerator, qemu: QemuVersion) -> Self {
        Self {
            image,
            format: format.name().to_owned(),
            runner: gate_version(&[personal::blank()]),
            qemu: qemu.to_string(),
            emulated: accelerator == Accelerator::Tcg,
            processor: (accelerator == Accelerator::Kvm).then(processor),
            cpus: given.cpus.unwrap_or_else(|| cpus(accelerator)),
            memory: given.memory(),
        }
    }

    /// The id of the state in the store.
    pub(super) fn id(&self) -> Sha256Digest {
        Sha256Digest::of(serde_json::json!(self).to_string().as_bytes())
    }

    /// The id in the store of a state of these needs that is expanded from the file with this digest: it serves machines of the artifact that
    /// has this file, and no others.
    pub(super) fn id_from(&self, packed: &Sha256Digest) -> Sha256Digest {
        Sha256Digest::of(format!("{} {packed}", self.id()).as_bytes())
    }

    /// Those of a machine of the same image that is given `given`, on this host, whose QEMU is `qemu`.
    pub(super) fn of_the_same(&self, given: &Equipment, qemu: QemuVersion) -> Self {
        Self { image: self.image, format: self.format.clone(), ..Self::of((self.image, Format::Raw), given, self.accelerator(), qemu) }
    }

    /// What executes the guest.
    pub(super) fn accelerator(&self) -> Accelerator {
        if self.emulated { Accelerator::Tcg } else { Accelerator::Kvm }
    }

    /// Processors and memory of the machine.
    pub(super) fn size(&self) -> (u32, ByteSize) {
        (self.cpus, self.memory)
    }

    /// The version of QEMU, and the host's processor when the guest runs on it.
    pub(super) fn host(&self) -> (&str, Option<&str>) {
        (&self.qemu, self.processor.as_deref())
    }

    /// Why a machine that needs `now` cannot go on from what was saved with this; `None` when it can.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        let differs = |what: &str, then: &dyn ToString, now: &dyn ToString| {
            let (then, now) = (then.to_string(), now.to_string());
            (then != now).then(|| format!("its state was saved with {what} {then}, and now it is {now}"))
        };
        let other = |is: bool, why: &str| is.then(|| why.to_owned());
        differs("QEMU", &self.qemu, &now.qemu)
            .or_else(|| other(self.processor != now.processor, "its state was saved on another processor"))
            .or_else(|| other(self.runner != now.runner, ANOTHER))
            .or_else(|| differs("a number of processors of", &self.cpus, &now.cpus))
            .or_else(|| differs("memory of", &self.memory, &now.memory))
            .or_else(|| other(self != now, "its state was saved with another image"))
    }
}

/// Virtual CPUs when their number is not given. Two also when emulated, if the host has two: its services then start in 11 s where one CPU takes 16.
/// A second CPU that is emulated may keep a kernel from booting (`Bench::cpus`), but the state is that of one which has booted.
fn cpus(accelerator: Accelerator) -> u32 {
    let of_host = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if accelerator == Accelerator::Kvm || of_host >= CPUS as usize { CPUS } else { 1 }
}

/// The processor of this host with its features, as `/proc/cpuinfo` has them (proc(5)).
fn processor() -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = told.split("\n\n").next().unwrap_or_default();
    let value = |key: &str| {
        let line = first.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim() == key);
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let features = Sha256Digest::of(value("flags").as_bytes());
    format!("{}, microcode {}, features {}", value("model name"), value("microcode"), features.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_and_makes_another_state() {
        let image = Sha256Digest::of(b"image");
        let given = |cpus, memory| Equipment { cpus, memory: Some(ByteSize::mib(memory)), ..Equipment::default() };
        let qemu = QemuVersion { major: 7, minor: 2, micro: 19 };
        let needs = |given: &Equipment, accelerator, qemu| Needs::of((image, Format::Qcow2), given, accelerator, qemu);
        let saved = needs(&given(Some(1), 512), Accelerator::Tcg, qemu);
        assert_eq!(saved.difference(&needs(&given(Some(1), 512), Accelerator::Tcg, qemu)), None);
        let rebuilt = Needs { image: Sha256Digest::of(b"other"), ..saved.clone() };
        let raw = Needs { format: "raw".to_owned(), ..saved.clone() };
        let anew = Needs { runner: Sha256Digest::of(b"another"), ..saved.clone() };
        for (now, why) in [
            (
                needs(&given(Some(1), 512), Accelerator::Tcg, QemuVersion { micro: 20, ..qemu }),
                "saved with QEMU 7.2.19, and now it is 7.2.20",
            ),
            (needs(&given(Some(2), 512), Accelerator::Tcg, qemu), "a number of processors of 1, and now it is 2"),
            (needs(&given(Some(1), 1024), Accelerator::Tcg, qemu), "memory of 512M, and now it is 1G"),
            (needs(&given(Some(1), 512), Accelerator::Kvm, qemu), "on another processor"),
            (rebuilt, "with another image"),
            (raw, "with another image"),
            (anew, "by another version of goldsmith"),
        ] {
            assert!(saved.difference(&now).is_some_and(|told| told.ends_with(why)), "{why}: {:?}", saved.difference(&now));
            assert_ne!(saved.id(), now.id(), "{why}");
        }
    }
}

//! Warm machines: each goes on from the saved state of a system that had booted as far as its services, instead of booting.
//!
//! ```text
//!   image ── a boot to the gate ── in the store:  memory, state, disk.qcow2 (what that boot wrote), kernel, initrd, warm.json
//!                                    │
//!   up --warm ── a copy of disk.qcow2 ── QEMU goes on from memory ── an identity of its own ── cards ── services
//! ```
//!
//! The gate is behind PID 1, before the services. In a boot of 38 s when emulated, PID 1 comes after 7 s: a gate before PID 1 would save only these.
//!
//! A state fits one image, one QEMU, one processor, one memory. A machine whose state does not fit any more when it is started, or is gone, boots
//! like any other, and its status says why. The later starts of a machine are boots.

mod make;
mod needs;
mod packed;
mod saved;

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::error::RunError;
use super::record::{Place, Record};
use super::source::Source;
use crate::artifact::StateRecord;
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::cache::{Lookup, Store};
use crate::hardware::Equipment;
use crate::image::{self, Disk, ImageError};
use crate::machine::probe::{kvm_opens, probe, qemu_version};
use crate::machine::spec::Accelerator;

use needs::Needs;

pub use packed::SUFFIX;
pub use saved::Saved;

/// The kind of memory with the reason why an image has no state.
const NONE: &str = "cold-1";

/// How the reason of a guest begins whose kernel cannot renew its random generator (`gate.sh`).
const KERNEL: &str = "its kernel ";

/// How new machines begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warmth {
    /// With this state.
    Warm(Box<Saved>),
    /// With a boot, for this reason.
    Cold(String),
}

/// The state for machines of `source` that are given `given`: it is in `store`, or it is made now, which takes as long as a boot.
///
/// # Errors
/// The system does not boot, and a directory in `evidence` has what is known about that; or the store or QEMU cannot be used.
pub(super) async fn state(
    source: &Source,
    given: &Equipment,
    (store, evidence): (&Store, &Path),
    events: &Events,
) -> Result<Warmth, RunError> {
    if source.disk_size(given.disk)?.is_some_and(|size| size != source.size) {
        return Ok(Warmth::Cold("its disk is larger than that of the image, and the saved system knows the image's size".to_owned()));
    }
    let (image, qemu) = (digest(source, store, events).await?, qemu_version().await?);
    let saved = |accelerator| store.peek(&Needs::of(image, given, accelerator, qemu).id()).and_then(|dir| Saved::open(&dir));
    // To try KVM takes a second where it does not work. A state that was saved although there was a /dev/kvm tells that it does not.
    let has_kvm = kvm_opens();
    let of_kvm = if has_kvm { saved(Accelerator::Kvm) } else { None };
    if let Some(state) = of_kvm.or_else(|| saved(Accelerator::Tcg).filter(|state| !has_kvm || state.despite_kvm())) {
        return Ok(Warmth::Warm(Box::new(state)));
    }
    let accelerator = probe().await?.accelerator;
    let needs = Needs::of(image, given, accelerator, qemu);
    let id = needs.id();
    if let Some(why) = store.recall(NONE, &id) {
        return Ok(Warmth::Cold(String::from_utf8_lossy(&why).into_owned()));
    }
    let waiting = || events.note("another goldsmith saves the same state; this one waits for it");
    let vacancy = match store.lookup(&id, Saved::open, waiting).await? {
        Lookup::Hit(state) => return Ok(Warmth::Warm(Box::new(state))),
        Lookup::Miss(vacancy) => vacancy,
    };
    if !expanded(source, &needs, vacancy.path(), events).await? {
        let task = events.task(format!("save a booted {}", source.name));
        // Another command may save the state of another image meanwhile.
        let evidence = evidence.join(id.short());
        if let Some(why) = make::state(source, needs, (vacancy.path(), &evidence), &task).await? {
            // Other reasons are quick to find, or may pass.
            if why.starts_with(KERNEL) {
                store.remember(NONE, &id, why.as_bytes());
            }
            return Ok(Warmth::Cold(why));
        }
        task.done();
    }
    let dir = vacancy.keep()?;
    store.describe(&id, &format!("memory of {}, for `up --warm`", source.name));
    Saved::open(&dir).map(|state| Warmth::Warm(Box::new(state))).ok_or_else(|| RunError::State {
        path: dir,
        source: io::Error::new(io::ErrorKind::InvalidData, "the state that was just saved cannot be read"),
    })
}

/// Expand the state that was published with the image into `dir`. False when there is none, or none that can be used, and then it is told why.
///
/// # Errors
/// `dir` cannot be written.
async fn expanded(source: &Source, needs: &Needs, dir: &Path, events: &Events) -> Result<bool, RunError> {
    let Some(packed) = &source.packed else { return Ok(false) };
    let told = |why: &dyn Display| events.note(format!("{} is not used: {why}; the state is saved here", packed.record.file.file));
    let task = match packed::unfit(packed, needs) {
        Ok(None) => events.task(format!("expand the saved state of {}", source.name)),
        Ok(Some(why)) => {
            told(&why);
            return Ok(false);
        }
        Err(error) => {
            told(&error);
            return Ok(false);
        }
    };
    match packed::expand(packed, source, needs.clone(), dir, &task).await {
        Ok(()) => {
            task.done();
            Ok(true)
        }
        Err(error @ RunError::Artifact(_)) => {
            told(&error);
            packed::remove(dir)?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Save the state of the image at `path`, unless `store` has it, and write it to the file `target` for those who get the image. It is for machines
/// that are given `given`.
///
/// # Errors
/// As of [`state`]; the image can have no state, or a file cannot be written.
pub async fn write(
    path: &Path,
    given: &Equipment,
    (target, scratch): (&Path, &Path),
    (store, evidence): (&Store, &Path),
    events: &Events,
) -> Result<StateRecord, RunError> {
    let source = Source::find(path, Some(store.root()))?;
    let saved = match state(&source, given, (store, evidence), events).await? {
        Warmth::Warm(saved) => saved,
        Warmth::Cold(why) => return Err(RunError::NoSavedState { why }),
    };
    let task = events.task("write the saved state");
    let record = packed::pack(&saved, &source, (target, scratch), &task).await?;
    task.done();
    Ok(record)
}

/// The digest of the image of `source` with the files under it. It is read, unless the store remembers it: what is in the file decides, not what a
/// manifest says of it.
async fn digest(source: &Source, store: &Store, events: &Events) -> Result<Sha256Digest, RunError> {
    let below = Disk::open_as(&source.image, source.format, Some(store.root()))?.info().backing.clone();
    let mut task = None;
    let mut digests = Vec::new();
    for path in std::iter::once(&source.image).chain(&below) {
        let digest = match store.known_digest(path) {
            Some(digest) => digest,
            None => {
                let task = task.get_or_insert_with(|| events.task(format!("read {}", source.name)));
                store.digest(path, &source.name, task).await.map_err(|error| ImageError::read(path, error))?
            }
        };
        digests.push(digest);
    }
    task.map(Task::done);
    Ok(match digests[..] {
        [one] => one,
        _ => Sha256Digest::of(serde_json::json!(digests).to_string().as_bytes()),
    })
}

/// Keep the state in `dir` from being removed from `store` as long as the result lives.
pub(super) fn hold(dir: &Path, store: Option<&Path>) -> Option<Store> {
    let store = Store::open(store?).ok()?;
    store.peek(&dir.file_name()?.to_str()?.parse().ok()?).is_some().then_some(store)
}

/// Make the machine at `place`, which has not begun yet, one that boots: its disk lies over the image again.
///
/// # Errors
/// The disk or the record cannot be written.
pub(super) async fn forget(place: &Place, record: &mut Record, source: &Source) -> Result<(), RunError> {
    image::create_overlay(&source.image, source.format, &place.disk()).await?;
    settle(place, record)
}

/// The machine at `place` has an identity of its own: from now on it boots.
///
/// # Errors
/// The record cannot be written.
pub(super) fn settle(place: &Place, record: &mut Record) -> Result<(), RunError> {
    record.warm = None;
    place.write_record(record).map_err(|source| RunError::State { path: place.record_file(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::super::record::Machines;
    use super::super::source::tests::artifact;
    use super::super::up::{Wanted, make};
    use super::super::wanted::{Many, Personal};
    use super::saved::{ABOUT, About, DISK, SCHEMA};
    use super::*;
    use crate::base::size::ByteSize;
    use crate::image::Format;
    use crate::machine::probe::QemuVersion;

    /// A state of `source` in `dir`, to whose disk a snapshot was added.
    fn saved(dir: &Path, source: &Source, runtime: &tokio::runtime::Runtime) -> Saved {
        fs::create_dir(dir).unwrap();
        runtime.block_on(image::create_overlay(&source.image, source.format, &dir.join(DISK))).unwrap();
        let snapshot = Command::new("qemu-img").args(["snapshot", "-c", "boot"]).arg(dir.join(DISK)).status();
        assert!(snapshot.unwrap().success());
        let given = Equipment { memory: Some(ByteSize::mib(64)), ..Equipment::default() };
        let needs = Needs::of(source.sha256.unwrap(), &given, Accelerator::Tcg, QemuVersion { major: 1, minor: 0, micro: 0 });
        let about = About {
            schema: SCHEMA,
            needs,
            backing: source.image.clone(),
            machine_type: "pc-i440fx-1.0".to_owned(),
            command_line: "root=/dev/vda1".to_owned(),
            nonce: "00".to_owned(),
            despite_kvm: false,
        };
        fs::write(dir.join(ABOUT), serde_json::json!(about).to_string()).unwrap();
        Saved::open(dir).unwrap()
    }

    #[test]
    fn a_machine_has_the_disk_of_its_state_until_it_cannot_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = artifact(dir.path(), &serde_json::json!({}), &[1; 4096]);
        let source = Source::find(&path, None).unwrap();
        let state = saved(&dir.path().join("state"), &source, &runtime);
        let machines = Machines::below(&dir.path().join("home"));
        let wanted = Wanted {
            name: Some("web".parse().unwrap()),
            given: Equipment { memory: Some(ByteSize::mib(64)), ..Equipment::default() },
            network: None,
            personal: Personal::default(),
            autologin: false,
            warm: Some(state.clone()),
            many: Many::One,
        };
        let place = runtime.block_on(make(&machines, &path, &wanted, None)).unwrap().remove(0);
        let content = || fs::read(place.disk()).unwrap();
        let of_state = fs::read(state.dir().join(DISK)).unwrap();
        assert!(content() == of_state);
        let mut record = place.record().unwrap();
        assert_eq!((record.warm.as_deref(), record.cpus), (Some(state.dir()), None));
        // What an earlier start wrote is not in the disk of the next one.
        fs::write(place.disk(), b"the disk of a start that was cut short").unwrap();
        runtime.block_on(state.lay(&place, &source)).unwrap();
        assert!(content() == of_state);
        // The same image elsewhere has the same state.
        fs::create_dir(dir.path().join("copy")).unwrap();
        let copy = Source::find(&artifact(&dir.path().join("copy"), &serde_json::json!({}), &[1; 4096]), None).unwrap();
        runtime.block_on(state.lay(&place, &copy)).unwrap();
        assert_eq!(Disk::open_own(&place.disk(), Format::Qcow2).unwrap().info().backing, std::slice::from_ref(&copy.image));
        let store = Store::open(&dir.path().join("store")).unwrap();
        let digest_of = |source: &Source| runtime.block_on(digest(source, &store, &Events::none())).unwrap();
        assert_eq!((digest_of(&source), digest_of(&copy)), (Sha256Digest::of(&[1; 4096]), Sha256Digest::of(&[1; 4096])));
        // An image that was changed after its manifest has another one.
        fs::write(&copy.image, [2; 4096]).unwrap();
        assert_eq!((copy.sha256, digest_of(&copy)), (source.sha256, Sha256Digest::of(&[2; 4096])));
        // This host has no QEMU 1.0.
        let unfit = runtime.block_on(state.unfit(&record)).unwrap().unwrap();
        assert!(unfit.starts_with("its state was saved with QEMU 1.0.0, and now it is "), "{unfit}");
        runtime.block_on(forget(&place, &mut record, &source)).unwrap();
        let disk = Disk::open_own(&place.disk(), Format::Qcow2).unwrap();
        assert_eq!((&disk.info().backing, place.record().unwrap().warm), (&vec![source.image.clone()], None));
        assert!(content() != of_state);
        // What is damaged, or of another goldsmith, is no state.
        for text in ["", "{}", &fs::read_to_string(state.dir().join(ABOUT)).unwrap().replace("\"schema\":2", "\"schema\":1")] {
            fs::write(state.dir().join(ABOUT), text).unwrap();
            assert_eq!(Saved::open(state.dir()), None, "{text}");
        }
    }
}

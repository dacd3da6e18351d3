//! Warm machines: each goes on from the saved state of a system that had booted as far as its services, instead of booting.
//!
//! ```text
//!   image ── a boot to the gate ──┬─ in the store:  memory, state, disk.qcow2 (what that boot wrote), kernel, initrd, warm.json
//!   a file beside the image ──────┘  │
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
use std::fs;
use std::io;
use std::path::Path;

use super::disk::Base;
use super::error::RunError;
use super::record::{Place, Record};
use super::source::{Packed, Source};
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::cache::{Lookup, Store, Vacancy};
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

/// The kind of memory with what was wrong with a state that QEMU could not go on from.
const UNUSABLE: &str = "unusable-1";

/// How new machines begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warmth {
    /// With this state.
    Warm(Box<Warm>),
    /// With a boot, for this reason.
    Cold(String),
}

/// The state that machines begin with, and the image that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warm {
    state: Saved,
    base: Base,
}

impl Warm {
    /// The state, for machines of `source`.
    ///
    /// # Errors
    /// The image was replaced since the state was found for it, or cannot be read.
    pub(super) fn of(&self, source: &Source) -> Result<&Saved, RunError> {
        require(&self.base, source)?;
        Ok(&self.state)
    }
}

/// Make sure that the image of `source` is still `base`.
fn require(base: &Base, source: &Source) -> Result<(), RunError> {
    if Base::of(source)? == *base { Ok(()) } else { Err(RunError::Replaced { image: source.image.clone() }) }
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
    // What is saved for minutes must be of the image that was there before.
    let base = Base::of(source)?;
    let warm = |state| Ok(Warmth::Warm(Box::new(Warm { state, base: base.clone() })));
    let (image, qemu) = ((digest(source, store, events).await?, source.format), qemu_version().await?);
    let open = |dir: &Path| Saved::open(dir).filter(|state| store.recall(UNUSABLE, &state.mark()).is_none());
    let known = |accelerator| {
        let needs = Needs::of(image, given, accelerator, qemu);
        let expanded = source.packed.as_ref().map(|packed| needs.id_from(&packed.record.file.sha256));
        [Some(needs.id()), expanded].into_iter().flatten().find_map(|id| open(&store.peek(&id)?))
    };
    // To try KVM takes a second where it does not work. A state that was saved although there was a /dev/kvm tells that it does not.
    let has_kvm = kvm_opens();
    let of_kvm = if has_kvm { known(Accelerator::Kvm) } else { None };
    if let Some(state) = of_kvm.or_else(|| known(Accelerator::Tcg).filter(|state| !has_kvm || state.despite_kvm())) {
        return warm(state);
    }
    let needs = Needs::of(image, given, probe().await?.accelerator, qemu);
    if let Some(packed) = &source.packed
        && let Some(state) = expanded(source, packed, &needs, (store, &base), events).await?.filter(|state| open(state.dir()).is_some())
    {
        return warm(state);
    }
    let id = needs.id();
    if let Some(why) = store.recall(NONE, &id) {
        return Ok(Warmth::Cold(String::from_utf8_lossy(&why).into_owned()));
    }
    let waiting = || events.note("another goldsmith saves the same state; this one waits for it");
    let vacancy = match store.lookup(&id, open, waiting).await? {
        Lookup::Hit(state) => return warm(state),
        Lookup::Miss(vacancy) => vacancy,
    };
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
    let state = kept(vacancy, &id, source, (store, &base))?;
    task.done();
    warm(state)
}

/// The state in `vacancy`, in its place in `store`.
fn kept(vacancy: Vacancy, id: &Sha256Digest, source: &Source, (store, base): (&Store, &Base)) -> Result<Saved, RunError> {
    require(base, source)?;
    let dir = vacancy.keep()?;
    store.describe(id, &format!("memory of {}, for `up --warm`", source.name));
    Saved::open(&dir).ok_or_else(|| RunError::State {
        path: dir,
        source: io::Error::new(io::ErrorKind::InvalidData, "the state that was just saved cannot be read"),
    })
}

/// Expand the state that was published with the image into `store`. `None` when it cannot be used, and then it is told why.
///
/// # Errors
/// The store cannot be written.
async fn expanded(
    source: &Source,
    packed: &Packed,
    needs: &Needs,
    (store, base): (&Store, &Base),
    events: &Events,
) -> Result<Option<Saved>, RunError> {
    let told = |why: &dyn Display| events.note(format!("{} is not used: {why}; the state is saved here", packed.record.file.file));
    match packed::unfit(packed, needs) {
        Ok(None) => {}
        Ok(Some(why)) => {
            told(&why);
            return Ok(None);
        }
        Err(error) => {
            told(&error);
            return Ok(None);
        }
    }
    let id = needs.id_from(&packed.record.file.sha256);
    let waiting = || events.note("another goldsmith expands the same state; this one waits for it");
    let vacancy = match store.lookup(&id, Saved::open, waiting).await? {
        Lookup::Hit(state) => return Ok(Some(state)),
        Lookup::Miss(vacancy) => vacancy,
    };
    let task = events.task(format!("expand the saved state of {}", source.name));
    match packed::expand(packed, source, needs, vacancy.path(), &task).await {
        Ok(()) => {
            task.done();
            kept(vacancy, &id, source, (store, base)).map(Some)
        }
        Err(error @ RunError::Artifact(_)) => {
            told(&error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The state of `packed` in the new directory `dir`, for machines of the image of `source`, with which it was just published.
///
/// # Errors
/// It is damaged, or cannot be written.
pub(super) async fn unpacked(packed: &Packed, source: &Source, dir: &Path, task: &Task) -> Result<Warm, RunError> {
    fs::create_dir(dir).map_err(|source| RunError::State { path: dir.to_owned(), source })?;
    packed::expand(packed, source, &packed::needs(packed)?, dir, task).await?;
    let failed = || io::Error::new(io::ErrorKind::InvalidData, "the state that was just expanded cannot be read");
    let state = Saved::open(dir).ok_or_else(|| RunError::State { path: dir.to_owned(), source: failed() })?;
    Ok(Warm { state, base: Base::of(source)? })
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
) -> Result<Packed, RunError> {
    let source = Source::find(path, Some(store.root()))?;
    let warm = match state(&source, given, (store, evidence), events).await? {
        Warmth::Warm(warm) => warm,
        Warmth::Cold(why) => return Err(RunError::NoSavedState { why }),
    };
    let task = events.task("write the saved state");
    let record = packed::pack(&warm.state, &source, (target, scratch), &task).await?;
    task.done();
    Ok(Packed { path: target.to_owned(), record })
}

/// Remember that this host's QEMU could not go on from `state`, and why, so that it is not tried again.
pub(super) fn give_up(state: &Saved, store: Option<&Path>, why: &str) {
    // If the store cannot be used, the next machine tries it in vain, too.
    if let Some(Ok(store)) = store.map(Store::open) {
        store.remember(UNUSABLE, &state.mark(), why.as_bytes());
    }
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
        let needs =
            Needs::of((source.sha256.unwrap(), source.format), &given, Accelerator::Tcg, QemuVersion { major: 1, minor: 0, micro: 0 });
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
            volumes: Vec::new(),
            warm: Some(Warm { state: state.clone(), base: Base::of(&source).unwrap() }),
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
        // An image that was replaced since the state was found is told.
        let warm = Warm { state: state.clone(), base: Base::of(&source).unwrap() };
        assert!(warm.of(&source).is_ok());
        fs::write(&source.image, [1; 8192]).unwrap();
        assert!(matches!(warm.of(&source), Err(RunError::Replaced { .. })));
        // What is damaged, or of another goldsmith, is no state.
        for text in ["", "{}", &fs::read_to_string(state.dir().join(ABOUT)).unwrap().replace("\"schema\":2", "\"schema\":1")] {
            fs::write(state.dir().join(ABOUT), text).unwrap();
            assert_eq!(Saved::open(state.dir()), None, "{text}");
        }
    }
}

//! Checks that two machines made from one image are distinct: everything that must be a machine's own differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{self, LOOK, mute};
use super::control::{State, Status};
use super::error::RunError;
use super::finished::{begin, hear};
use super::name::Name;
use super::record::{Machines, Place};
use super::source::{Packed, Source};
use super::supervisor::supervise;
use super::up::{WARM, Wanted, make_of, warm_of};
use super::wanted::{Individual, Many, Personal, Table};
use super::warm::{self, Warmth};
use crate::base::claim::{self, ClaimedDir};
use crate::base::event::Task;
use crate::base::text::printable;
use crate::cache::Store;
use crate::hardware::Equipment;
use crate::machine::probe::probe;
use crate::machine::runner::boot_limit;

/// Prints what must be a machine's own.
const IDENTITY: &str = include_str!("identity.sh");
/// Bytes of what it prints: more than any system has.
const PRINTED_BYTES: usize = 1 << 20;
/// The prefix of the directory of such machines, below the state directory.
const PREFIX: &str = "clones-";
/// Attempts to remove the directory, with [`LOOK`] between them.
const REMOVALS: usize = 200;
/// Their names, and so their host names.
const NAMES: [&str; 2] = ["clone-1", "clone-2"];

/// The identity of one machine. A name without a value is something that is missing.
type Identity = BTreeMap<String, Option<String>>;

/// One thing that must be a machine's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its name: `machine id`.
    pub name: String,
    /// The value of each machine; `None` when it has none.
    pub values: [Option<String>; 2],
}

/// How the two values of something that must be a machine's own compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness<'a> {
    /// Each machine has one of its own.
    Differ,
    /// Both have this one.
    Shared(&'a str),
    /// So many of the two have none.
    Missing(usize),
}

impl Own {
    /// How the values compare.
    pub fn likeness(&self) -> Likeness<'_> {
        match &self.values {
            [Some(one), Some(other)] if one == other => Likeness::Shared(one),
            [Some(_), Some(_)] => Likeness::Differ,
            values => Likeness::Missing(values.iter().filter(|value| value.is_none()).count()),
        }
    }

    /// Whether each machine has one of its own.
    pub fn differs(&self) -> bool {
        self.likeness() == Likeness::Differ
    }
}

/// The saved state that two machines go on from.
#[derive(Debug)]
pub enum WarmFrom<'a> {
    /// The one in this store, or that is saved into it.
    Store(&'a Store),
    /// The one in this file, which was just published with the image.
    File(&'a Packed),
}

/// Boot two machines from the image or artifact at `path`, with processors and memory as `given` says, and read what must be their own. They are made as `up`
/// makes machines, with host names, and without a way to the network. They go on from the saved state `warm`, if there is
/// one. They live below the state directory `state` and are removed afterwards, also when this future is dropped. The next run removes what a
/// killed process left behind.
///
/// # Errors
/// They do not come up, do not answer, or the runner cannot be brought into the image's initramfs.
pub async fn compare(
    path: &Path,
    given: &Equipment,
    (state, store): (&Path, Option<&Path>),
    warm: Option<WarmFrom<'_>>,
    task: &Task,
) -> Result<Vec<Own>, RunError> {
    let failed = |source| RunError::State { path: state.to_owned(), source };
    fs::create_dir_all(state).map_err(failed)?;
    claim::sweep(state, PREFIX);
    let dir = ClaimedDir::new(state, PREFIX, 0o700).map_err(failed)?;
    // What is known of a system that does not boot outlives the machines.
    let evidence = state.join(WARM);
    let places = pair(path, given, &Machines::below(dir.path()), store, warm.as_ref().map(|from| (from, &*evidence, task))).await?;
    let [one, other] = &places[..] else { unreachable!("two were wanted") };
    // Twice the time of a boot: a machine that is paused, or that hangs when it is up, is not waited for longer.
    let limit = boot_limit(probe().await?.accelerator) * 2;
    let answers = answers((one, other), store, limit, task).await;
    // A thread that copies the kernel of a clone that was cut off may still write.
    for _ in 0..REMOVALS {
        if fs::remove_dir_all(dir.path()).is_ok() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let (one, other) = answers.map_err(|error| RunError::Clone(Box::new(error)))?;
    Ok(side_by_side(one, other))
}

/// Make the two machines. The image decides what is compared, and so what its recipe gives machines, such as a larger disk, is left out.
async fn pair(
    path: &Path,
    given: &Equipment,
    below: &Machines,
    store: Option<&Path>,
    warm: Option<(&WarmFrom<'_>, &Path, &Task)>,
) -> Result<Vec<Place>, RunError> {
    let source = Source { usual: Equipment::default(), ..Source::find(path, store)? };
    let machines = NAMES.map(Name::after).map(|name| {
        let personal = Personal { hostname: name.host_name(), ..Personal::default() };
        Individual { name, personal, line: None }
    });
    let mut wanted = Wanted {
        name: None,
        given: Equipment { cpus: given.cpus, memory: Some(given.memory()), isolated: Some(true), ..Equipment::default() },
        network: None,
        personal: Personal::default(),
        autologin: false,
        volumes: Vec::new(),
        warm: None,
        many: Many::Table(Table { path: PathBuf::new(), machines: machines.to_vec() }),
    };
    wanted.warm = match warm {
        None => None,
        Some((WarmFrom::File(packed), _, task)) => Some(warm::unpacked(packed, &source, &below.dir().with_file_name("state"), task).await?),
        Some((WarmFrom::Store(store), evidence, task)) => match warm_of(&source, &wanted, (store, evidence), task.events()).await? {
            Warmth::Warm(warm) => Some(*warm),
            Warmth::Cold(why) => return Err(RunError::NoSavedState { why }),
        },
    };
    make_of(below, path, &source, &wanted).await
}

/// Let the two machines run until both have sent their identities.
async fn answers(
    (one, other): (&Place, &Place),
    store: Option<&Path>,
    limit: Duration,
    task: &Task,
) -> Result<(Identity, Identity), RunError> {
    let lives = async { tokio::try_join!(supervise(one, store), supervise(other, store)) };
    let answer = async |place| match tokio::time::timeout(limit, identity(place, task)).await {
        Ok(answer) => answer,
        Err(_) => Err(mute(place, format!("it has not reported its identity in {} s", limit.as_secs()))),
    };
    let answers = async { tokio::try_join!(answer(one), answer(other)) };
    tokio::select! {
        biased;
        answers = answers => answers,
        ended = lives => Err(ended.err().unwrap_or_else(|| client::off(one))),
    }
}

/// The identity of the machine, once it has booted.
async fn identity(place: &Place, task: &Task) -> Result<Identity, RunError> {
    let mut last = String::new();
    loop {
        match client::status(place).await? {
            // It was to be compared as a machine that goes on from a saved state.
            Some(Status { cold: Some(why), .. }) => return Err(RunError::NoSavedState { why }),
            Some(status) if status.state == State::Silent => {
                return Err(mute(place, "it has not come up in the time that a boot may take".to_owned()));
            }
            Some(status) if status.state == State::Starting && status.detail != last => {
                last = status.detail;
                task.step(&format!("{}: {}", place.name(), printable(&last)));
            }
            Some(status) if status.state == State::Up && !status.services_start => break,
            // Its supervisor has not started yet, or the machine is paused.
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
    }
    task.step(&format!("{}: reading its identity", place.name()));
    let (_feed, hearing) = begin(place, &["sh", "-c", IDENTITY]).await?;
    let mut printed = Vec::new();
    let ended = hear(place, hearing, async |bytes: Vec<u8>| printed.extend(bytes.into_iter().take(PRINTED_BYTES - printed.len()))).await?;
    if ended.status == 0 { Ok(values(&String::from_utf8_lossy(&printed))) } else { Err(ended.failure(place, "sh")) }
}

/// Parse lines of a name, a tab and a value. An empty value counts as missing.
fn values(printed: &str) -> Identity {
    let pairs = printed.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(name, value)| (name.to_owned(), Some(value.trim().to_owned()).filter(|value| !value.is_empty()))).collect()
}

fn side_by_side(mut one: Identity, mut other: Identity) -> Vec<Own> {
    let names: BTreeSet<String> = one.keys().chain(other.keys()).cloned().collect();
    names.into_iter().map(|name| Own { values: [&mut one, &mut other].map(|of| of.remove(&name).flatten()), name }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::artifact;
    use super::*;
    use crate::base::size::ByteSize;

    #[test]
    fn what_the_recipe_gives_machines_is_no_matter_of_a_comparison() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let run = serde_json::json!({"cpus": 8, "memory": "900T", "disk": "1T", "forward": [{"host": 1, "guest": 1}], "isolated": false});
        let artifact = artifact(dir.path(), &run, &[1; 4096]);
        let given = Equipment { memory: Some(ByteSize::mib(64)), ..Equipment::default() };
        let places = runtime.block_on(pair(&artifact, &given, &Machines::below(&dir.path().join("state")), None, None)).unwrap();
        for (place, name) in places.iter().zip(NAMES) {
            let record = place.record().unwrap();
            assert_eq!(record.name.as_str(), name);
            assert_eq!((record.cpus, record.memory, record.forwards, record.isolated), (None, ByteSize::mib(64), Vec::new(), true));
            let disk = crate::image::Disk::open_as(&place.disk(), crate::image::Format::Qcow2, Some(dir.path())).unwrap();
            assert_eq!(disk.info().virtual_size, 4096);
        }
    }

    #[test]
    fn what_is_equal_or_missing_is_no_machines_own() {
        let one = values("machine id\ta \nhost name\tclone-1\nhost id\t\nssh host key, ed25519\tAAAA\nno value\n");
        let other = values("machine id\ta\nhost name\tclone-2\nhost id\t\n");
        let compared = side_by_side(one, other);
        let told: Vec<_> = compared.iter().map(|own| (own.name.as_str(), own.differs())).collect();
        assert_eq!(told, [("host id", false), ("host name", true), ("machine id", false), ("ssh host key, ed25519", false)]);
    }
}

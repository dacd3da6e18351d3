//! Makes named machines and starts them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::client::{self, LOOK, mute};
use super::control::{State, Status};
use super::disk::Base;
use super::error::{PortOf, RunError};
use super::name::Name;
use super::network::{self, Address, Membership, Neighbour, Newcomer};
use super::record::{Ended, Machines, Place, Record, SCHEMA};
use super::source::Source;
use super::vm::free;
use super::volume::{self, Volume};
use super::wanted::{Individual, Many, Personal};
use super::warm::{self, Saved, Warm, Warmth};
use crate::base::atomic::{Existing, NewDir};
use crate::base::event::Events;
use crate::base::host::TooLittleMemory;
use crate::base::host_name::HostName;
use crate::base::process::Detached;
use crate::base::size::ByteSize;
use crate::cache::Store;
use crate::hardware::{Equipment, Forward};
use crate::image::{self, Disk, Format};
use crate::machine::spec::Mac;

/// For a new supervisor to take the machine's lock.
const TAKES: Duration = Duration::from_secs(10);

/// In the state directory: the evidence of a boot whose state was to be saved.
pub(super) const WARM: &str = "warm";

/// The options of a machine that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name; else that of the artifact or image.
    pub name: Option<Name>,
    /// What it is given; else what the recipe of its image says, and else what is usual.
    pub given: Equipment,
    /// The private network it is on.
    pub network: Option<Name>,
    /// Its own settings.
    pub personal: Personal,
    /// Whether its consoles are root's without a log-in.
    pub autologin: bool,
    /// Directories of the host in it.
    pub volumes: Vec<Volume>,
    /// The state that it begins with, instead of booting.
    pub warm: Option<Warm>,
    /// How many are wanted.
    pub many: Many,
}

/// A machine's host name, and its place on its network.
type Own = (Option<HostName>, Option<Membership>);

/// Make the machines that are wanted from the image or artifact at `path`. A machine that is there already, from the same image and with the
/// options that are given, is returned unchanged.
///
/// # Errors
/// The image is missing or no disk. A name is that of another machine, or of one with other options. The host has too little memory for those
/// that do not run yet, a machine cannot have its address, or the state cannot be written.
pub async fn make(machines: &Machines, path: &Path, wanted: &Wanted, store: Option<&Path>) -> Result<Vec<Place>, RunError> {
    make_of(machines, path, &Source::find(path, store)?, wanted).await
}

/// The saved state with which the machines can begin that are wanted from the image or artifact at `path`. When there is none in `store`, it is made,
/// which takes as long as a boot. Machines that are there have begun, and need none.
///
/// # Errors
/// The image is missing or no disk; its system does not boot; QEMU or the store cannot be used.
pub async fn warm(machines: &Machines, path: &Path, wanted: &Wanted, store: &Store, events: &Events) -> Result<Warmth, RunError> {
    let source = Source::find(path, Some(store.root()))?;
    if individuals(wanted, &source).iter().all(|individual| machines.place(&individual.name).exists()) {
        let why = if wanted.many == Many::One { "the machine is there already" } else { "the machines are there already" };
        return Ok(Warmth::Cold(why.to_owned()));
    }
    warm_of(&source, wanted, (store, &machines.dir().with_file_name(WARM)), events).await
}

/// The machines of `source` that are wanted, with their names.
fn individuals(wanted: &Wanted, source: &Source) -> Vec<Individual> {
    let name = wanted.name.clone().unwrap_or_else(|| Name::after(&source.name));
    wanted.many.individuals(name, &wanted.personal)
}

/// As [`warm`], of `source`. What is known of a system that does not boot is left below `evidence`.
///
/// # Errors
/// As of [`warm`].
pub(super) async fn warm_of(
    source: &Source,
    wanted: &Wanted,
    (store, evidence): (&Store, &Path),
    events: &Events,
) -> Result<Warmth, RunError> {
    warm::state(source, &given(wanted, source), (store, evidence), events).await
}

/// As [`make`], from `source`, which was found at `path`.
///
/// # Errors
/// As of [`make`].
pub(super) async fn make_of(machines: &Machines, path: &Path, source: &Source, wanted: &Wanted) -> Result<Vec<Place>, RunError> {
    let ports_of = if wanted.given.forward.is_some() { PortOf::User } else { PortOf::Recipe };
    let (asked, wanted) = (wanted, &Wanted { given: given(wanted, source), ..wanted.clone() });
    source.disk_size(wanted.given.disk)?;
    let from = path.canonicalize().map_err(|error| image::ImageError::read(path, error))?;
    let individuals = individuals(wanted, source);
    let failed = |source| RunError::State { path: machines.dir().to_owned(), source };
    private_dirs(machines.dir()).map_err(failed)?;
    let state = wanted.warm.as_ref().map(|warm| warm.of(source)).transpose()?;
    // Two commands at once must not give one address twice, nor make one machine with other options.
    let _lock = machines.lock().await?;
    let (mut places, mut new, mut starting) = (Vec::new(), Vec::new(), Vec::new());
    for individual in individuals {
        let place = machines.place(&individual.name);
        if place.exists() {
            let record = same(&place, &from, wanted)?;
            refuse_other(&place, &record, source, asked, &individual.personal)?;
            // It has the memory that it was made with.
            starting.extend((!place.runs()?).then_some(record.memory));
        } else {
            starting.push(wanted.given.memory());
            new.push(individual);
        }
        places.push(place);
    }
    let smaller = match (&wanted.many, new.is_empty()) {
        (_, true) => "remove it, and make it anew with --memory 1G",
        (Many::One, false) => "--memory 1G",
        (_, false) => "--memory 1G, or make fewer machines",
    };
    let memory = starting.into_iter().fold(0, |sum: u64, memory| sum.saturating_add(memory.bytes()));
    TooLittleMemory::refuse(ByteSize(memory), smaller)?;
    let records = records(machines, new, source, (&from, state), wanted)?;
    for Forward { host, .. } in records.iter().flat_map(|record| &record.forwards) {
        free(*host, ports_of.clone())?;
    }
    for record in records {
        make_one(&machines.place(&record.name), source, record, (wanted, state)).await?;
    }
    Ok(places)
}

/// What each of the machines is given.
fn given(wanted: &Wanted, source: &Source) -> Equipment {
    let given = wanted.given.or(&source.usual);
    // A port of the host leads to one machine.
    if wanted.many == Many::One { given } else { Equipment { forward: wanted.given.forward.clone(), ..given } }
}

/// The records of these new machines.
fn records(
    machines: &Machines,
    new: Vec<Individual>,
    source: &Source,
    (from, state): (&Path, Option<&Saved>),
    wanted: &Wanted,
) -> Result<Vec<Record>, RunError> {
    let (base, volumes) = (Base::of(source)?, volume::found(&wanted.volumes)?);
    if !volumes.is_empty() && !new.is_empty() {
        volume::refuse_unfit(source)?;
    }
    let places = places(machines, &new, source, wanted)?;
    let record = |(Individual { name, personal, .. }, (hostname, network)): (Individual, Own)| Record {
        schema: SCHEMA,
        name,
        source: from.to_owned(),
        base: base.clone(),
        memory: wanted.given.memory(),
        cpus: wanted.given.cpus,
        forwards: wanted.given.forwards().to_vec(),
        isolated: wanted.given.isolated(),
        hostname,
        mac: Some(Mac::random()),
        network,
        keys: personal.keys,
        autologin: wanted.autologin,
        volumes: volumes.clone(),
        warm: state.map(|state| state.dir().to_owned()),
        created: Timestamp::now().to_string(),
    };
    Ok(new.into_iter().zip(places).map(record).collect())
}

/// The host name of each new machine, if it is not to have its image's, and its place on its network.
fn places(machines: &Machines, new: &[Individual], source: &Source, wanted: &Wanted) -> Result<Vec<Own>, RunError> {
    let hostnames = || new.iter().map(|individual| individual.personal.hostname.clone());
    let Some(network) = &wanted.network else {
        let lost = |individual: &Individual| individual.personal.address.and(individual.line);
        let told = |line| format!("line {line}: an address is one of a private network: --network NAME");
        let faults: Vec<String> = new.iter().filter_map(lost).map(told).collect();
        return match &wanted.many {
            Many::Table(table) if !faults.is_empty() => Err(RunError::Table { path: table.path.clone(), faults }),
            _ => Ok(hostnames().map(|hostname| (hostname, None)).collect()),
        };
    };
    let taken: Vec<Neighbour> = machines.on(network)?.into_iter().map(|(_, neighbour)| neighbour).collect();
    let hostnames: Vec<_> = hostnames().zip(new).map(|(given, individual)| given.or_else(|| individual.name.host_name())).collect();
    let newcomers: Vec<Newcomer<'_>> = new
        .iter()
        .zip(&hostnames)
        .map(|(Individual { name, personal, .. }, hostname)| Newcomer { name, hostname: hostname.as_ref(), address: personal.address })
        .collect();
    match network::assign(network, &newcomers, &taken, source.subnet) {
        Ok(places) => Ok(hostnames.into_iter().zip(places.into_iter().map(Some)).collect()),
        Err(faults) => {
            let of_table = wanted.many.faults_of_table(&faults, new);
            Err(of_table.unwrap_or_else(|| RunError::NoPlace { network: network.clone(), faults }))
        }
    }
}

/// The lock of the machines is held, so no other process makes it meanwhile.
async fn make_one(place: &Place, source: &Source, record: Record, (wanted, state): (&Wanted, Option<&Saved>)) -> Result<(), RunError> {
    let failed = |source| RunError::State { path: place.dir().to_owned(), source };
    let new = NewDir::beside(place.dir()).map_err(failed)?;
    let draft = place.at(new.path());
    match state {
        Some(state) => state.lay(&draft, source).await?,
        None => {
            let size = source.disk_size(wanted.given.disk)?;
            image::create_overlay_of(&source.image, source.format, size, &draft.disk()).await?;
        }
    }
    draft.write_record(&record).map_err(failed)?;
    new.publish(Existing::Keep).map_err(failed)
}

/// The record of the machine at `place`, which must have been made from `from`, and on the network that is wanted.
fn same(place: &Place, from: &Path, wanted: &Wanted) -> Result<Record, RunError> {
    let record = place.record()?;
    if record.source != from {
        return Err(RunError::NameTaken { name: record.name, source_of: record.source });
    }
    if record.network.as_ref().map(|network| &network.name) == wanted.network.as_ref() {
        Ok(record)
    } else {
        Err(RunError::Elsewhere { name: record.name, was: record.network })
    }
}

/// Refuse an option that was given and that the machine at `place` was not made with. It would have no effect.
fn refuse_other(place: &Place, record: &Record, source: &Source, asked: &Wanted, personal: &Personal) -> Result<(), RunError> {
    let Equipment { cpus, memory, disk, forward, isolated } = &asked.given;
    let has_size = |size: u64| Ok::<_, RunError>(Disk::open_own(&place.disk(), Format::Qcow2)?.info().virtual_size == size);
    let has_address = |address: Address| record.network.as_ref().is_some_and(|network| address.is(network.address));
    let others = [
        ("--cpus", cpus.is_some() && *cpus != record.cpus),
        ("--memory", memory.is_some_and(|memory| memory != record.memory)),
        ("--disk", source.disk_size(*disk)?.map(has_size).transpose()?.is_some_and(|has| !has)),
        ("--forward", forward.as_ref().is_some_and(|forward| *forward != record.forwards)),
        ("--isolated", isolated.is_some_and(|isolated| isolated != record.isolated)),
        ("--autologin", asked.autologin && !record.autologin),
        ("--hostname", personal.hostname.is_some() && personal.hostname != record.hostname),
        ("--address", personal.address.is_some_and(|address| !has_address(address))),
        ("--volume", !asked.volumes.is_empty() && volume::found(&asked.volumes)? != record.volumes),
        ("--ssh-key", !personal.keys.is_empty() && personal.keys != record.keys),
    ];
    match others.into_iter().find(|(_, is_other)| *is_other) {
        Some((option, _)) => Err(RunError::Otherwise { name: record.name.clone(), option }),
        None => Ok(()),
    }
}

/// Make directories that only this user may enter.
fn private_dirs(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A supervisor that was started.
#[derive(Debug)]
pub struct Supervisor {
    place: Place,
    /// Nothing when the machine ran already.
    process: Option<Detached>,
}

/// Start the machine at `place` with a supervisor of its own, which is this program with `args`; nothing is done when it runs.
///
/// # Errors
/// The image under the machine has changed, a port of it is taken, or the supervisor cannot be started.
pub async fn begin(place: &Place, args: &[OsString], store: Option<&Path>) -> Result<Supervisor, RunError> {
    if place.runs()? {
        return Ok(Supervisor { place: place.clone(), process: None });
    }
    // The supervisor checks the same, but its error would come later.
    let (record, _) = place.fitting_record(store).await?;
    record.forwards.iter().try_for_each(|forward| free(forward.host, PortOf::Machine(record.name.clone())))?;
    let path = place.log();
    let started = place.forget_end().and_then(|()| File::create(&path)).and_then(|log| Detached::start(args, log));
    let process = started.map_err(|source| RunError::State { path, source })?;
    Ok(Supervisor { place: place.clone(), process: Some(process) })
}

impl Supervisor {
    /// Whether the machine ran already.
    pub fn ran(&self) -> bool {
        self.process.is_none()
    }

    /// Wait until the system is up, and report its status meanwhile.
    ///
    /// # Errors
    /// The machine failed, ended, or does not come up in the time that a boot may take.
    pub async fn wait(mut self, mut on_status: impl FnMut(&Status)) -> Result<Status, RunError> {
        let takes = Instant::now() + TAKES;
        loop {
            match client::status(&self.place).await? {
                Some(status) if status.state == State::Starting => on_status(&status),
                Some(status) if status.state == State::Silent => {
                    let why = "it has not come up in the time that a boot may take; it runs on".to_owned();
                    return Err(mute(&self.place, why));
                }
                Some(status) => return Ok(status),
                None => {
                    let ended = self.place.ended();
                    let over = ended.is_some() || self.process.as_mut().is_none_or(Detached::has_ended) || Instant::now() > takes;
                    if over {
                        return Err(self.why_not(ended));
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn why_not(&self, ended: Option<Ended>) -> RunError {
        match ended {
            Some(Ended { failure: Some(told), .. }) => told.into(),
            Some(ended) => RunError::Off { name: self.place.name().clone(), how: Some(ended.how) },
            None => {
                // The supervisor could not even write how it ended.
                let said = fs::read_to_string(self.place.log()).unwrap_or_default();
                let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its supervisor was killed");
                RunError::Off { name: self.place.name().clone(), how: Some(last.to_owned()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::source::tests::artifact;
    use super::*;

    #[test]
    fn a_machine_that_is_there_needs_the_memory_it_was_made_with() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::below(&dir.path().join("state"));
        let with = |run: &serde_json::Value, given: Equipment, many: Many| {
            let path = artifact(dir.path(), run, &[1; 4096]);
            let name = Some("web".parse().unwrap());
            let wanted = Wanted {
                name,
                given,
                network: None,
                personal: Personal::default(),
                autologin: false,
                volumes: Vec::new(),
                warm: None,
                many,
            };
            runtime.block_on(make(&machines, &path, &wanted, None))
        };
        let up = |run: &serde_json::Value, many: Many| with(run, Equipment::default(), many);
        let small = json!({"memory": "64M"});
        let made = up(&small, Many::One).unwrap();
        // The recipe says more now, of machines that are made from now on.
        let large = json!({"memory": "900T"});
        assert_eq!(up(&large, Many::One).unwrap(), made);
        assert_eq!(made[0].record().unwrap().memory, ByteSize::mib(64));
        assert!(matches!(up(&large, Many::Count(1)), Err(RunError::Memory(_))));
        // What the command says, it has or it is refused.
        let none = Equipment::default();
        let forward = |host| Some(vec![Forward { host, guest: 80 }]);
        for (given, other) in [
            (Equipment { memory: Some(ByteSize::mib(64)), disk: Some(ByteSize(4096)), isolated: Some(false), ..none.clone() }, None),
            (Equipment { memory: Some(ByteSize::mib(128)), ..none.clone() }, Some("--memory")),
            (Equipment { cpus: Some(3), ..none.clone() }, Some("--cpus")),
            (Equipment { disk: Some(ByteSize(8192)), ..none.clone() }, Some("--disk")),
            (Equipment { forward: forward(8080), ..none.clone() }, Some("--forward")),
            (Equipment { isolated: Some(true), ..none.clone() }, Some("--isolated")),
        ] {
            let refused = with(&small, given, Many::One).err().map(|error| error.to_string());
            let told = other.map(|option| format!("the machine `web` is there already, and was not made with this `{option}`"));
            assert_eq!(refused, told);
        }
        let record = Record { memory: ByteSize::gib(900 << 10), ..made[0].record().unwrap() };
        made[0].write_record(&record).unwrap();
        assert!(matches!(up(&small, Many::One), Err(RunError::Memory(_))));
    }
}

//! The process that a named machine lives in: it starts QEMU, serves the machine's control socket, and ends with the machine.
//!
//! ```text
//!   take the lock ── boot ─┬─ serve: events of the machine, orders of clients ──┬─ reboot: boot anew, from what the disk has now
//!                          └────────────────────────────────────────────────────┴─ end: ended.json, socket gone, lock given up
//! ```
//!
//! Killed, it takes QEMU with it (see [`crate::base::process`]), and the lock is free.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use super::control::{Change, State};
use super::disk;
use super::error::RunError;
use super::host_keys;
use super::neighbours::Neighbours;
use super::network::Membership;
use super::personal;
use super::record::{Place, Record};
use super::service::{Order, Shared, serve};
use super::socket;
use super::source::Source;
use super::told::Told;
use super::vm::usual_cpus;
use super::volume;
use super::warm;
use crate::base::atomic;
use crate::base::event::{Event, Events, Task};
use crate::base::host::TooLittleMemory;
use crate::image::{BootFiles, Format};
use crate::machine::booting::Booting;
use crate::machine::evidence::SCREEN;
use crate::machine::probe::{Probe, probe};
use crate::machine::runner::resident::{self, Happened, Resident, Session};
use crate::machine::runner::{Mode, RunnerTask, boot_limit, direct_boot, nonce};
use crate::machine::spec::{Accelerator, Begins, Boot, Drive, Durability, MachineSpec, NetworkSpec};
use crate::machine::{Cause, MachineEvent, ShutdownReason};

/// The name of the machine's disk in QEMU.
const DISK: &str = "disk";
/// The services of a machine that goes on from a saved state start this long after it answers: a command that comes at once need not share an
/// emulated processor with them, and is answered in two thirds of the time.
const GAP: Duration = Duration::from_millis(300);
/// A machine that goes on answers in this part of the time that a boot may take, or it is booted.
const ANSWERS: u32 = 10;
/// For the keys of sshd, which take a third of a second.
const KEYS: Duration = Duration::from_secs(10);
/// Between two tries to let a guest go on whose disk was full.
const RETRY: Duration = Duration::from_secs(3);

/// How a boot ended.
enum After {
    /// The machine is off; how, in a few words.
    Off(String),
    /// The guest rebooted.
    Again,
}

/// Be the supervisor of the machine at `place` until it ends. Files under its image may lie in `store`.
///
/// # Errors
/// The machine could not be started, or failed. It is also in `ended.json`.
pub async fn supervise(place: &Place, store: Option<&Path>) -> Result<(), RunError> {
    let Some(_lock) = place.take_soon().await? else { return Err(RunError::Runs { name: place.name().clone() }) };
    let failed = |path| move |source| RunError::State { path, source };
    place.forget_end().map_err(failed(place.dir().to_owned()))?;
    // A socket that is there is left over from a supervisor that was killed, because we hold the lock.
    let path = place.socket();
    atomic::remove(&path).map_err(failed(path.clone()))?;
    let listener = socket::bind(&path).map_err(failed(path.clone()))?;
    let (orders, received) = unbounded_channel();
    let shared = Arc::new(Shared::new(orders));
    let service = tokio::spawn(serve(listener, Arc::clone(&shared)));
    let ended = live(place, store, &shared, received).await;
    service.abort();
    let (how, failure) = match &ended {
        Ok(how) => (how.clone(), None),
        Err(error) => (format!("failed: {error}"), Some(Told::of(error, place.boot()))),
    };
    place.write_ended(how, failure).map_err(failed(place.dir().to_owned()))?;
    // If this fails it does no harm: clients wait for the lock, not for the socket.
    let _ = fs::remove_file(&path);
    ended.map(|_| ())
}

/// Boot the machine, and again for each reboot, until it is off.
async fn live(place: &Place, store: Option<&Path>, shared: &Arc<Shared>, mut orders: UnboundedReceiver<Order>) -> Result<String, RunError> {
    let (mut record, source) = place.fitting_record(store).await?;
    TooLittleMemory::refuse(record.memory, "--memory 1G")?;
    if let Some(dir) = record.warm.clone() {
        match go_on(place, (&dir, &mut record, &source), store, shared, &mut orders).await? {
            Went::On(After::Off(how)) => return Ok(how),
            Went::On(After::Again) => {}
            Went::Not(why) => {
                warm::forget(place, &mut record, &source).await?;
                shared.change(|status| status.cold = Some(why));
            }
        }
    }
    let probe = probe().await?;
    loop {
        match boot_once(place, (&record, &source), &probe, shared, &mut orders).await? {
            After::Off(how) => return Ok(how),
            After::Again => {}
        }
    }
}

/// Whether a machine went on from its saved state.
enum Went {
    /// It did, and ended so.
    On(After),
    /// It did not come so far that it has an identity of its own, for this reason. Its disk belongs to the saved state.
    Not(String),
}

/// Let a machine go on from the saved state in `dir`, to its end.
async fn go_on(
    place: &Place,
    (dir, record, source): (&Path, &mut Record, &Source),
    store: Option<&Path>,
    shared: &Arc<Shared>,
    orders: &mut UnboundedReceiver<Order>,
) -> Result<Went, RunError> {
    // Nothing may remove it, or save it anew, before QEMU has opened it.
    let _held = warm::hold(dir, store);
    let Some(state) = warm::Saved::open(dir) else { return Ok(Went::Not("its saved state is not in the store any more".to_owned())) };
    if let Some(why) = state.unfit(record).await? {
        return Ok(Went::Not(why));
    }
    shared.enter(State::Starting, "reading its saved state");
    // Always: an earlier start may have written to the disk, or the state may have been saved anew since the machine was made.
    if let Err(error) = state.lay(place, source).await {
        return Ok(Went::Not(error.to_string()));
    }
    let boot = boot_dir(place)?;
    let (neighbours, personal) = own(place, record)?;
    let spec = MachineSpec { cpus: state.cpus(), ..spec(place, (record, source), state.accelerator(), state.begins()) };
    // They are made while the machine gets its identity.
    let keys = tokio::spawn(host_keys::new(place.dir().to_owned()));
    let launched = match Resident::launch(&spec, &boot, state.nonce()).await {
        Ok(launched) => launched,
        Err(error) => {
            let why = format!("QEMU cannot go on from its saved state: {error}");
            warm::give_up(&state, store, &why);
            return Ok(Went::Not(why));
        }
    };
    let cards = 1 + spec.cards + usize::from(spec.segment.is_some());
    launched.own(&personal.map(|task| task.files).unwrap_or_default());
    let task = phases(place, shared);
    let mut guest = Living::of(place, launched, shared, state.accelerator(), neighbours, &task)?;
    guest.up_by = Instant::now() + boot_limit(state.accelerator()) / ANSWERS;
    guest.unsettled = Some((&mut *record, Services { at: Instant::now(), cards, keys }));
    let ended = guest.live(orders, &task).await;
    match ended {
        Ok(After::Again) if record.warm.is_some() => Ok(Went::Not("the guest began anew before it answered".to_owned())),
        Err(error) if record.warm.is_some() => Ok(Went::Not(error.to_string())),
        ended => ended.map(Went::On),
    }
}

/// One boot, to its end.
async fn boot_once(
    place: &Place,
    machine: (&Record, &Source),
    probe: &Probe,
    shared: &Arc<Shared>,
    orders: &mut UnboundedReceiver<Order>,
) -> Result<After, RunError> {
    shared.enter(State::Starting, "reading its kernel");
    let task = phases(place, shared);
    let boot = boot_dir(place)?;
    let (neighbours, personal) = own(place, machine.0)?;
    let (spec, nonce) = booting(place, machine, probe, personal, shared).await?;
    let launched = Resident::launch(&spec, &boot, nonce).await?;
    Living::of(place, launched, shared, probe.accelerator, neighbours, &task)?.live(orders, &task).await
}

/// A task whose steps are the details of the machine's status.
fn phases(place: &Place, shared: &Arc<Shared>) -> Task {
    let status = Arc::clone(shared);
    let listener = move |event: &Event| {
        if let Event::Progress { step, .. } = event {
            status.change(|status| status.detail = step.strip_prefix("booting: ").unwrap_or(step).to_owned());
        }
    };
    Events::new(vec![Box::new(listener)]).task(place.name().as_str())
}

fn boot_dir(place: &Place) -> Result<PathBuf, RunError> {
    let boot = place.boot();
    fs::create_dir_all(&boot).map_err(|source| RunError::State { path: boot.clone(), source })?;
    Ok(boot)
}

/// The other machines of the network of `record`, and what makes its machine one of its own.
fn own(place: &Place, record: &Record) -> Result<(Option<Neighbours>, Option<RunnerTask>), RunError> {
    let neighbours = record.network.clone().map(|network| Neighbours::of(place, network)).transpose()?;
    let personal = personal::task(record, neighbours.as_ref().map_or(&[], Neighbours::known));
    Ok((neighbours, personal))
}

/// The spec of a machine that boots, and the nonce of its runner.
async fn booting(
    place: &Place,
    (record, source): (&Record, &Source),
    probe: &Probe,
    personal: Option<RunnerTask>,
    shared: &Shared,
) -> Result<(MachineSpec, String), RunError> {
    let (disk, boot_dir, nonce) = (place.disk(), place.boot(), nonce());
    let direct = async {
        let files = BootFiles::extract(&disk, Format::Qcow2, &boot_dir).await.map_err(|error| error.to_string())?;
        direct_boot(files.parts(), &boot_dir.join("initrd-with-runner"), Mode::Resident, &nonce, personal.as_slice())
            .map_err(|error| error.to_string())
    };
    // This is decided again at each boot: changes in the guest may let the runner in or keep it out.
    let direct = direct.await;
    shared.change(|status| status.unreachable = direct.as_ref().err().cloned());
    let boot = match direct {
        Ok(boot) => boot,
        Err(why) if personal.is_some() => return Err(RunError::Impersonal { name: record.name.clone(), why }),
        // Its firmware and boot loader may still boot it, without the runner.
        Err(_) => Boot::Disk(disk::firmware(source.firmware, true, |format| place.dir().join(format!("vars.{format}")))?),
    };
    Ok((spec(place, (record, source), probe.accelerator, (boot, Begins::Booting)), nonce))
}

/// The machine's spec.
fn spec(place: &Place, (record, source): (&Record, &Source), accelerator: Accelerator, (boot, begins): (Boot, Begins)) -> MachineSpec {
    MachineSpec {
        name: record.name.to_string(),
        accelerator,
        cpus: record.cpus.unwrap_or_else(|| usual_cpus(accelerator)),
        memory: record.memory,
        drives: vec![Drive { durability: Durability::Flushed, ..Drive::scratch(place.disk(), Format::Qcow2, DISK) }],
        boot,
        begins,
        ports: resident::ports(),
        network: NetworkSpec::User { outside: !record.isolated, subnet: source.subnet, forwards: record.forwards.clone(), mac: record.mac },
        cards: source.cards,
        segment: record.network.as_ref().map(Membership::mac),
        volumes: volume::devices(&record.volumes),
        // A reboot is a new boot of whatever kernel the disk has by then.
        reboots: false,
    }
}

/// Wait until machines have come to this network or left it; for ever when there is no network.
async fn changed(neighbours: &mut Option<Neighbours>) {
    match neighbours {
        Some(neighbours) => neighbours.changed().await,
        None => std::future::pending().await,
    }
}

/// A machine that runs, and its deadlines.
struct Living<'a> {
    place: Place,
    resident: Resident,
    shared: &'a Shared,
    /// The time after which a boot is no longer waited for.
    up_by: Instant,
    /// When the power is cut.
    cut_at: Option<Instant>,
    /// For a guest that stopped because the host's disk was full: when to let it go on, and its state before.
    paused: Option<(Instant, State)>,
    /// The other machines of its network.
    neighbours: Option<Neighbours>,
    booting: Booting,
    /// The record of a machine that goes on from a saved state, until it has an identity of its own.
    unsettled: Option<(&'a mut Record, Services)>,
    /// Services that such a machine has not started.
    services: Option<Services>,
}

/// What the services need of a machine that goes on from a saved state.
struct Services {
    /// When they are to start.
    at: Instant,
    /// So many network cards.
    cards: usize,
    /// Host keys of sshd.
    keys: JoinHandle<Vec<(String, Vec<u8>)>>,
}

impl<'a> Living<'a> {
    /// The machine that `resident` is, connected to the other machines of its network.
    fn of(
        place: &Place,
        mut resident: Resident,
        shared: &'a Shared,
        accelerator: Accelerator,
        mut neighbours: Option<Neighbours>,
        task: &Task,
    ) -> Result<Self, RunError> {
        if let (Some(neighbours), Some(cable)) = (&mut neighbours, resident.machine().take_segment()) {
            neighbours.connect(cable, &place.segment())?;
        }
        Ok(Self {
            place: place.clone(),
            resident,
            shared,
            up_by: Instant::now() + boot_limit(accelerator),
            cut_at: None,
            paused: None,
            neighbours,
            booting: Booting::begin("booting", task),
            unsettled: None,
            services: None,
        })
    }

    /// To the end of the machine.
    async fn live(mut self, orders: &mut UnboundedReceiver<Order>, task: &Task) -> Result<After, RunError> {
        self.shared.change(|status| status.qemu = self.resident.machine().id());
        let ended = self.until_the_end(orders, task).await;
        self.shared.change(|status| (status.qemu, status.services_start) = (None, false));
        self.resident.quit().await;
        ended
    }

    async fn until_the_end(&mut self, orders: &mut UnboundedReceiver<Order>, task: &Task) -> Result<After, RunError> {
        loop {
            let up_by = Some(self.up_by).filter(|_| self.is_booting());
            let services_at = self.services.as_ref().map(|services| services.at);
            let deadline = [up_by, self.cut_at, self.paused.map(|(at, _)| at), services_at].into_iter().flatten().min();
            let late = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                happened = self.resident.next() => {
                    if let Some(after) = self.react(happened, task).await? {
                        return Ok(after);
                    }
                }
                Some(order) = orders.recv() => self.obey(order).await,
                () = changed(&mut self.neighbours) => self.name_neighbours(),
                () = late => {
                    if let Some(after) = self.pass(Instant::now()).await? {
                        return Ok(after);
                    }
                }
            }
        }
    }

    /// Tell the guest which machines are on its network. A guest that still boots gets it when it is up.
    fn name_neighbours(&self) {
        if let (Some(neighbours), State::Up) = (&self.neighbours, self.shared.state()) {
            self.resident.name(&personal::names(neighbours.known()));
        }
    }

    fn is_booting(&self) -> bool {
        self.shared.state() == State::Starting
    }

    async fn react(&mut self, happened: Happened, task: &Task) -> Result<Option<After>, RunError> {
        let event = match happened {
            Happened::Up => {
                if let Some((record, services)) = self.unsettled.take() {
                    warm::settle(&self.place, record)?;
                    self.services = Some(Services { at: Instant::now() + GAP, ..services });
                    self.shared.change(|status| status.services_start = true);
                }
                if self.shared.state() == State::Stopping {
                    // The machine was asked to end while it booted, and may have missed the power button.
                    self.resident.power_off();
                } else {
                    self.resident.prepare().await;
                    self.shared.enter(State::Up, if self.services.is_some() { "its services are starting" } else { "" });
                    self.name_neighbours();
                }
                return Ok(None);
            }
            Happened::Started => {
                self.shared.change(|status| status.services_start = false);
                if self.shared.state() == State::Up {
                    self.shared.enter(State::Up, "");
                }
                return Ok(None);
            }
            Happened::Failed(why) => return Err(RunError::Impersonal { name: self.place.name().clone(), why }),
            Happened::Freed(slot) => {
                self.resident.freed(slot).await;
                return Ok(None);
            }
            Happened::Machine(event) => event,
        };
        match event {
            MachineEvent::ConsoleLine(line) | MachineEvent::ConsolePrompt(line) => {
                if self.is_booting() {
                    self.booting.hear(&line, task);
                    // Without the runner only the log-in prompt tells that the system is up.
                    if self.shared.status().unreachable.is_some() && line.contains("login: ") {
                        self.shared.enter(State::Up, "");
                    }
                }
            }
            MachineEvent::Shutdown(ShutdownReason::PowerOff) => return Ok(Some(After::Off("powered off".to_owned()))),
            MachineEvent::Shutdown(ShutdownReason::Reset) => return Ok(Some(After::Again)),
            MachineEvent::IoError { no_space: true, .. } => {
                let was = self.paused.map_or_else(|| self.shared.state(), |(_, was)| was);
                self.paused = Some((Instant::now() + RETRY, was));
                self.shared.enter(State::Paused, "the host's disk is full; it goes on when there is room");
            }
            // Other failures of the disk are passed to the guest, which decides what to do.
            MachineEvent::IoError { .. } | MachineEvent::Port { .. } | MachineEvent::Reset => {}
            MachineEvent::Stopped => self.shared.enter(State::Paused, "QEMU paused it"),
            MachineEvent::Shutdown(reason) => return Err(self.resident.machine().fail(Cause::Ended(reason)).await.into()),
            event @ (MachineEvent::GuestPanicked | MachineEvent::Exited(_)) => {
                if let Some(cause) = Cause::of(event) {
                    return Err(self.resident.machine().fail(cause).await.into());
                }
            }
        }
        Ok(None)
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Open { words, size, reply } => {
                let status = self.shared.status();
                let answer = match (status.state, status.unreachable) {
                    (State::Up, None) => match self.resident.open(&words, size).await {
                        Some(session) => Ok(session),
                        None => {
                            Err(format!("{} commands run in it, or have output that was not read yet, and no more fit", resident::SLOTS))
                        }
                    },
                    (_, Some(why)) => Err(format!("it has no runner of goldsmith's ({why})")),
                    (state, None) => Err(format!(
                        "it is {}{}",
                        state.name(),
                        if status.detail.is_empty() { String::new() } else { format!(" ({})", status.detail) }
                    )),
                };
                // If the client has gone, its session comes back and is closed.
                if let Err(Ok(Session { slot, number, .. })) = reply.send(answer) {
                    self.resident.close(slot, number).await;
                }
            }
            Order::EndInput { slot, number } => self.resident.end_input(slot, number),
            Order::Resize { slot, size } => self.resident.resize(slot, size),
            Order::Close { slot, number } => self.resident.close(slot, number).await,
            // A client that has gone needs none.
            Order::Console { reply } => drop(reply.send(self.resident.machine().look_on())),
            Order::Screen { reply } => {
                let path = self.resident.machine().dir().join(SCREEN);
                let picture = self.resident.machine().screenshot(&path).await.map_err(|error| error.to_string());
                // A client that has gone needs none.
                let _ = reply.send(picture);
            }
            Order::Snapshot { reply, .. } if self.unsettled.is_some() => {
                // A client that has gone needs none.
                let _ = reply.send(Err("it has no identity of its own yet".to_owned()));
            }
            Order::Snapshot { change, name, reply } => {
                // Other orders wait until the snapshot is done, and `status` tells why.
                let before = self.shared.status();
                self.shared.enter(State::Paused, "a snapshot of its disk is written");
                let machine = self.resident.machine();
                let changed = match change {
                    Change::Save => machine.save_snapshot(DISK, name.as_str()).await,
                    Change::Remove => machine.remove_snapshot(DISK, name.as_str()).await,
                };
                self.shared.enter(before.state, before.detail);
                // A client that has gone needs none.
                let _ = reply.send(changed.map_err(|error| error.to_string()));
            }
            Order::Stop { within } => {
                let status = self.shared.status();
                if status.state == State::Up && status.unreachable.is_none() {
                    self.resident.power_off();
                } else {
                    // A guest that still boots gets the button when it is up. If QEMU is gone, its end is another event.
                    let _ = self.resident.machine().powerdown().await;
                }
                self.cut_at = Some(Instant::now() + within);
                self.shared.enter(State::Stopping, "");
            }
        }
    }

    /// Act on a deadline that has passed.
    async fn pass(&mut self, now: Instant) -> Result<Option<After>, RunError> {
        if self.cut_at.is_some_and(|at| at <= now) {
            return Ok(Some(After::Off("its power was cut".to_owned())));
        }
        if let Some(Services { cards, keys, .. }) = self.services.take_if(|services| services.at <= now) {
            self.resident.machine().plug_cards().await?;
            // Without keys of the host the guest makes its own.
            let keys = tokio::time::timeout(KEYS, keys).await.ok().and_then(Result::ok);
            self.resident.start_services(cards, &keys.unwrap_or_default());
        }
        if let Some((at, was)) = self.paused
            && at <= now
        {
            self.paused = None;
            // If there is still no room, the next write says so again.
            if self.resident.machine().go_on().await.is_ok() {
                self.shared.enter(was, "");
            }
        }
        if self.is_booting() && self.up_by <= now {
            if self.unsettled.is_some() {
                let why = "it did not answer when it went on from its saved state".to_owned();
                return Err(RunError::Mute { name: self.place.name().clone(), why });
            }
            self.shared.change(|status| status.state = State::Silent);
        }
        Ok(None)
    }
}

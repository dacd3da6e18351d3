//! `goldsmith up IMAGE` and `goldsmith start NAME`.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::event::{Events, Task};
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::fault::Fault;
use crate::base::public_key::PublicKey;
use crate::base::text::{printable, shell_line};
use crate::cache::Store;
use crate::cli::args::{OfMachine, Supervise, Up};
use crate::cli::commands::build;
use crate::cli::{Context, host, printer};
use crate::machine::spec::Equipment;
use crate::run::{self, Machines, Many, Personal, Place, RunError, Status, Supervisor, Table, Wanted, Warmth};

/// At most this many bytes of a `.pub` file are read. RSA of 16384 bits has 2800 in base 64.
const KEY_BYTES: u64 = 16 << 10;

/// Make a machine, unless it is there, start it, unless it runs, and wait until its system is up.
///
/// # Errors
/// Whatever kept it from coming up.
pub async fn up(args: &Up, context: &Context) -> Result<(), AnyFailure> {
    let keys = args.ssh_key.iter().map(|path| public_key(path)).collect::<Result<_, _>>()?;
    let mut wanted = Wanted {
        name: args.name.clone(),
        given: Equipment { disk: args.disk, forward: args.forwards(), ..args.vm.equipment() },
        autologin: args.autologin,
        volumes: args.volume.clone(),
        warm: None,
        network: args.network.clone(),
        personal: Personal { hostname: args.hostname.clone(), address: args.address, keys },
        many: many(args.from.as_deref(), args.count)?,
    };
    // This is done last, because building the image may take minutes.
    let image = build::image_of(&args.image, context).await?;
    let (machines, store) = (super::machines(context)?, host::store_place(context));
    if args.warm {
        warm(&machines, &image, &mut wanted, context).await?;
    }
    let places = run::make(&machines, &image, &wanted, store.as_deref()).await?;
    begin(&places, context).await
}

/// Let the machines that are wanted begin with a saved state. Where they cannot, tell why.
async fn warm(machines: &Machines, image: &Path, wanted: &mut Wanted, context: &Context) -> Result<(), AnyFailure> {
    let store = Store::open(&context.environment.store_dir(None)?)?;
    let events = Events::new(context.listeners());
    match run::warm(machines, image, wanted, &store, &events).await? {
        Warmth::Warm(saved) => wanted.warm = Some(*saved),
        Warmth::Cold(why) => events.note(format!("without a saved state: {why}")),
    }
    Ok(())
}

/// The number of machines of `--count`, or the machines of `--from`.
pub(super) fn many(from: Option<&Path>, count: Option<u32>) -> Result<Many, RunError> {
    Ok(match (from, count) {
        (Some(path), _) => Many::Table(Table::read(path)?),
        (None, Some(count)) => Many::Count(count),
        (None, None) => Many::One,
    })
}

/// The key in a `.pub` file.
pub(super) fn public_key(path: &Path) -> Result<PublicKey, BadKey> {
    let bad = |why: String, help: String| BadKey { path: path.to_owned(), why, help };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(KEY_BYTES).read_to_string(&mut text));
    read.map_err(|error| bad(error.to_string(), "name the `.pub` file of an ssh key".to_owned()))?;
    text.trim().parse().map_err(|Fault { what, help }| bad(what, help))
}

#[derive(Debug, thiserror::Error)]
#[error("{} has no ssh key: {why}", path.display())]
pub(super) struct BadKey {
    path: PathBuf,
    why: String,
    help: String,
}

impl Failure for BadKey {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some(self.help.clone())
    }
}

/// Start a machine that was stopped.
///
/// # Errors
/// Whatever kept it from coming up.
pub async fn start(args: &OfMachine, context: &Context) -> Result<(), AnyFailure> {
    begin(&[super::place(&args.name, context)?], context).await
}

/// Run the supervisor of a machine, in this process.
///
/// # Errors
/// The machine failed.
pub async fn supervise(args: &Supervise) -> Result<(), AnyFailure> {
    let place = Machines::below(&args.state).find(&args.name)?;
    Ok(run::supervise(&place, args.store.as_deref()).await?)
}

/// Start machines and wait until all of them are up.
///
/// # Errors
/// One did not come up. This is the first failure, returned after waiting for the others.
pub(super) async fn begin(places: &[Place], context: &Context) -> Result<(), AnyFailure> {
    let mut supervisors = Vec::new();
    for place in places {
        supervisors.push((place, supervisor(place, context).await));
    }
    let events = Events::new(context.listeners());
    let mut failed: Option<AnyFailure> = None;
    for (place, supervisor) in supervisors {
        let came = match supervisor {
            Ok(supervisor) => come_up(place, supervisor, &events, context).await,
            Err(error) => Err(error),
        };
        if let Err(error) = came {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn supervisor(place: &Place, context: &Context) -> Result<Supervisor, AnyFailure> {
    let (state, store) = (context.environment.state_dir()?, host::store_place(context));
    let mut args: Vec<OsString> = ["supervise", place.name().as_str(), "--state"].map(OsString::from).to_vec();
    args.push(state.into());
    if let Some(store) = &store {
        args.extend(["--store".into(), std::path::absolute(store).unwrap_or_else(|_| store.clone()).into()]);
    }
    Ok(run::begin(place, &args, store.as_deref()).await?)
}

async fn come_up(place: &Place, supervisor: Supervisor, events: &Events, context: &Context) -> Result<(), AnyFailure> {
    let ran = supervisor.ran();
    let task = events.task(format!("start {}", place.name()));
    let mut last = String::new();
    let waited = supervisor.wait(|status| tell(status, &mut last, &task)).await;
    let status = match waited {
        Ok(status) => status,
        Err(error) => {
            drop(task);
            return Err(error.into());
        }
    };
    task.done();
    if context.json {
        let record = json!({
            "event": "up",
            "name": place.name(),
            "state": status.state,
            "ran_already": ran,
            "unreachable": status.unreachable,
            "services_start": status.services_start,
            "cold": status.cold,
        });
        return Ok(printer::out(&context.record(&record))?);
    }
    printer::err(&words(place, &status, ran));
    Ok(())
}

/// Report each phase of the boot once.
fn tell(status: &Status, last: &mut String, task: &Task) {
    if status.detail != *last {
        last.clone_from(&status.detail);
        task.step(&printable(last));
    }
}

fn words(place: &Place, status: &Status, ran: bool) -> String {
    let name = place.name().as_str();
    let state = match (ran, status.state) {
        (true, run::State::Up) => "is up already".to_owned(),
        (_, state) => format!("is {}", state.name()),
    };
    match &status.unreachable {
        Some(why) => format!(
            "{name} {state}; commands cannot be run in it, since its initramfs cannot take goldsmith's runner: {}\nwhat its console says: {}\n",
            printable(why),
            shell_line(["goldsmith", "logs", "-f", name])
        ),
        None => {
            let cold = status.cold.as_ref().map(|why| format!("; it was booted: {}", printable(why))).unwrap_or_default();
            let services = if status.services_start {
                format!("its services are starting; to wait for them: {}\n", shell_line(["goldsmith", "wait", name]))
            } else {
                String::new()
            };
            format!(
                "{name} {state}{cold}\n{services}a shell in it: {}\na command:     {}\n",
                shell_line(["goldsmith", "shell", name]),
                shell_line(["goldsmith", "exec", name, "--", "uname", "-a"])
            )
        }
    }
}

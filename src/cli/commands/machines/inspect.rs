//! `goldsmith inspect NAME` and `goldsmith port NAME`.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::list::{Row, row};
use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::base::text::printable;
use crate::cli::args::OfMachine;
use crate::cli::{Context, printer};
use crate::machine::evidence::CONSOLE_LOG;
use crate::machine::spec::{Forward, Mac};
use crate::run::Volume;

/// A machine, with all facts about it.
#[derive(Debug, Serialize)]
struct Machine {
    schema: u32,
    #[serde(flatten)]
    row: Row,
    /// Virtual CPUs; `None` for the default number.
    cpus: Option<u32>,
    /// Whether nothing leaves its network.
    isolated: bool,
    /// Its host name, when it differs from that of its image.
    hostname: Option<String>,
    /// Directories of this host in it.
    volumes: Vec<Volume>,
    /// The address of its first network card, when it has a fixed one.
    mac: Option<Mac>,
    /// The directory with its files.
    directory: String,
    /// The disk with its changes to the image.
    disk: String,
    /// The output of its console since its last boot.
    console_log: String,
}

/// Show one machine.
///
/// # Errors
/// There is no such machine, or its state cannot be read.
pub async fn inspect(args: &OfMachine, context: &Context) -> Result<(), AnyFailure> {
    let place = super::place(&args.name, context)?;
    let record = place.record()?;
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let machine = Machine {
        schema: SCHEMA,
        row: row(&place).await,
        cpus: record.cpus,
        isolated: record.isolated,
        hostname: record.hostname.map(|name| name.to_string()),
        volumes: record.volumes,
        mac: record.mac,
        directory: text(place.dir()),
        disk: text(&place.disk()),
        console_log: text(&place.boot().join(CONSOLE_LOG)),
    };
    let text = if context.json { format!("{:#}\n", json!(machine)) } else { lines(&machine) };
    Ok(printer::out(&text)?)
}

fn lines(machine: &Machine) -> String {
    let Machine { row, .. } = machine;
    let detail = row.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let ports: Vec<String> = row.forwards.iter().map(words).collect();
    let volumes: Vec<String> = machine.volumes.iter().map(ToString::to_string).collect();
    let network = if machine.isolated { "isolated" } else { "reaches what this host reaches" };
    let rows = [
        ("name", Some(row.name.clone())),
        ("state", Some(format!("{}{detail}", row.state))),
        ("image", row.image.clone()),
        ("created", row.created.clone()),
        ("memory", row.memory.map(|memory| memory.to_string())),
        ("processors", Some(machine.cpus.map_or_else(|| "the usual number".to_owned(), |cpus| cpus.to_string()))),
        ("host name", machine.hostname.clone()),
        ("address", row.network.as_ref().map(ToString::to_string)),
        ("network", Some(network.to_owned())),
        ("volumes", Some(volumes.join(", ")).filter(|volumes| !volumes.is_empty())),
        ("card", machine.mac.map(|mac| mac.to_string())),
        ("ports", Some(ports.join(", ")).filter(|ports| !ports.is_empty())),
        ("QEMU", row.qemu.map(|id| format!("process {id}"))),
        ("directory", Some(machine.directory.clone())),
        ("disk", Some(machine.disk.clone())),
        ("console", Some(machine.console_log.clone())),
    ];
    let mut text = String::new();
    for (key, value) in rows {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key:10}  {}", printable(&value));
        }
    }
    text
}

/// List the ports that lead into a machine.
///
/// # Errors
/// There is no such machine, or its state cannot be read.
pub fn port(args: &OfMachine, context: &Context) -> Result<(), AnyFailure> {
    let forwards = super::place(&args.name, context)?.record()?.forwards;
    let text = if context.json {
        format!("{}\n", json!({ "schema": SCHEMA, "name": args.name, "forwards": forwards }))
    } else {
        forwards.iter().map(|forward| format!("{}\n", words(forward))).collect()
    };
    Ok(printer::out(&text)?)
}

fn words(Forward { host, guest }: &Forward) -> String {
    format!("127.0.0.1:{host} -> {guest}")
}

//! `goldsmith ps`.

use serde::Serialize;

use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::base::size::ByteSize;
use crate::base::text::printable;
use crate::cli::{Context, printer};
use crate::machine::spec::Forward;
use crate::run::{self, Membership, Place, Status};

/// The row of one machine.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// `up`, `starting`, …; `off` when it does not run, `unknown` when the state cannot be read.
    pub(super) state: &'static str,
    /// More about the state.
    pub(super) detail: Option<String>,
    pub(super) image: Option<String>,
    pub(super) memory: Option<ByteSize>,
    pub(super) forwards: Vec<Forward>,
    /// Its place on a private network.
    pub(super) network: Option<Membership>,
    /// Process id of QEMU.
    pub(super) qemu: Option<u32>,
    pub(super) created: Option<String>,
}

/// List the machines and their states.
///
/// # Errors
/// The state directory cannot be read.
pub async fn ps(context: &Context) -> Result<(), AnyFailure> {
    let mut rows = Vec::new();
    for place in super::machines(context)?.all()? {
        rows.push(row(&place).await);
    }
    if context.json {
        let record = serde_json::json!({ "schema": SCHEMA, "machines": rows });
        return Ok(printer::out(&format!("{record}\n"))?);
    }
    Ok(printer::out(&table(&rows))?)
}

/// The row of the machine at `place`.
pub(super) async fn row(place: &Place) -> Row {
    let (state, detail, qemu) = match run::status(place).await {
        Ok(Some(Status { state, detail, qemu, unreachable, .. })) => {
            let unreachable = unreachable.map(|why| format!("no commands: {why}"));
            (state.name(), Some(detail).filter(|detail| !detail.is_empty()).or(unreachable), qemu)
        }
        Ok(None) => {
            ("off", Some(place.ended().map_or_else(|| "its supervisor was killed, or it never ran".to_owned(), |ended| ended.how)), None)
        }
        Err(error) => ("unknown", Some(error.to_string()), None),
    };
    let (record, detail) = match place.record() {
        Ok(record) => (Some(record), detail),
        Err(error) => (None, Some(error.to_string())),
    };
    Row {
        name: place.name().to_string(),
        state,
        detail,
        image: record.as_ref().map(|record| record.source.to_string_lossy().into_owned()),
        memory: record.as_ref().map(|record| record.memory),
        forwards: record.as_ref().map(|record| record.forwards.clone()).unwrap_or_default(),
        network: record.as_ref().and_then(|record| record.network.clone()),
        qemu,
        created: record.map(|record| record.created),
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no machines; `goldsmith up IMAGE` makes one\n".to_owned();
    }
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let ports: Vec<String> = row.forwards.iter().map(|Forward { host, guest }| format!("{host}:{guest}")).collect();
            let state = row.detail.as_ref().map_or_else(|| row.state.to_owned(), |detail| format!("{} ({})", row.state, printable(detail)));
            let address = row.network.as_ref().map(|place| format!("{} ({})", place.address, place.name)).unwrap_or_default();
            [row.name.clone(), address, ports.join(","), row.image.as_deref().map(printable).unwrap_or_default(), state]
        })
        .collect();
    let head = ["NAME", "ADDRESS", "PORTS", "IMAGE", "STATE"].map(str::to_owned);
    let all = || std::iter::once(&head).chain(&cells);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
    // An empty column is left out.
    let widths: Vec<usize> = (0..4).map(width).collect();
    let is_shown = |column: usize| cells.iter().any(|row| !row[column].is_empty());
    let line = |row: &[String; 5]| {
        let columns = (0..4).filter(|column| is_shown(*column)).map(|column| format!("{:1$}  ", row[column], widths[column]));
        format!("{}{}\n", columns.collect::<String>(), row[4])
    };
    all().map(line).collect()
}

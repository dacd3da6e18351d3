//! `goldsmith image inspect IMAGE`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::opened::file;
use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::base::text::{printable, wrapped};
use crate::cli::{Context, host, printer};
use crate::image::inspect::{Inspection, MachineId, System, inspect};

/// Show what the image is.
///
/// # Errors
/// The image cannot be read.
pub(super) fn run(image: &Path, context: &Context) -> Result<(), AnyFailure> {
    let inspection = inspect(&file(image)?, host::store_place(context).as_deref())?;
    let text = if context.json { format!("{:#}\n", document(&inspection)) } else { table(&inspection, printer::stdout_columns()) };
    Ok(printer::out(&text)?)
}

/// For machines: one document. A pair of the library becomes an object with names.
fn document(inspection: &Inspection) -> Value {
    let mut document = json!(inspection);
    document["schema"] = json!(SCHEMA);
    let filesystem = |(partition, kind): &(u32, Option<_>)| json!({"partition": partition, "filesystem": kind});
    document["filesystems"] = inspection.filesystems.iter().map(filesystem).collect();
    document
}

/// Columns of the names.
const NAMES: usize = 15;

/// For people: a name and a value in each row; on a terminal, which has `columns`, broken between words.
fn table(inspection: &Inspection, columns: Option<usize>) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let value = printable(value);
        let mut lines = match columns {
            Some(columns) => wrapped(&value, columns.saturating_sub(NAMES).max(NAMES)),
            None => vec![value.clone()],
        }
        .into_iter();
        let _ = writeln!(text, "{name:<14} {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "{:<14} {line}", "");
        }
    };
    let disk = &inspection.disk;
    row("file", &inspection.path.to_string_lossy());
    row("format", &format!("{}, {} of {} used", disk.format.name(), rounded(disk.file_size), rounded(disk.virtual_size)));
    if let Some(table) = &inspection.partition_table {
        for partition in &table.partitions {
            let filesystem = inspection.filesystems.iter().find(|(index, _)| *index == partition.index).and_then(|(_, kind)| *kind);
            let filesystem = filesystem.map_or("no known filesystem", |kind| kind.name());
            let name = if partition.name.is_empty() { &partition.type_id } else { &partition.name };
            row(&format!("partition {}", partition.index), &format!("{name}, {}, {filesystem}", rounded(partition.size)));
        }
    }
    if let Some(system) = &inspection.system {
        describe(system, &mut row);
    }
    for problem in &inspection.problems {
        row("problem", problem);
    }
    text
}

fn describe(system: &System, row: &mut impl FnMut(&str, &str)) {
    let clean = if system.root.clean { "unmounted cleanly" } else { "not unmounted cleanly" };
    row("root", &format!("partition {}, UUID {}, {clean}", system.root.partition, system.root.uuid));
    if let Some(release) = &system.os_release {
        row("system", &release.pretty_name);
    }
    if let Some(hostname) = &system.hostname {
        row("host name", hostname);
    }
    row("kernels", &system.kernels.join(", "));
    row(
        "machine-id",
        match system.machine_id {
            MachineId::Absent => "absent",
            MachineId::Empty => "empty",
            MachineId::Uninitialized => "uninitialized",
            MachineId::Set => "set: every copy would share it",
        },
    );
    let keys = if system.ssh_host_keys.is_empty() { "none".to_owned() } else { system.ssh_host_keys.join(", ") };
    row("ssh host keys", &keys);
    if let Some(boot) = &system.boot {
        row("boots", &format!("{} {}", boot.kernel, boot.arguments));
    }
    row("enabled units", &system.enabled_units.join(", "));
}

//! `goldsmith image inspect IMAGE`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::opened::{file, root};
use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::base::text::{printable, wrapped};
use crate::cli::{Context, host, printer};
use crate::image::Place;
use crate::image::inspect::{Account, Docker, Inspection, MachineId, System, inspect};
use crate::inventory;

/// Show the facts about the image.
///
/// # Errors
/// The image cannot be read.
pub(super) fn run(image: &Path, context: &Context) -> Result<(), AnyFailure> {
    let mut inspection = inspect(&file(image)?, host::store_place(context).as_deref())?;
    let packages = match inspection.system {
        Some(_) => packages(image, context).unwrap_or_else(|error| {
            inspection.problems.push(error.to_string());
            None
        }),
        None => None,
    };
    let text = if context.json {
        format!("{:#}\n", document(&inspection, packages))
    } else {
        table(&inspection, packages, printer::stdout_columns())
    };
    Ok(printer::out(&text)?)
}

/// The number of installed packages, and the package manager whose database has them.
type Packages = (usize, &'static str);

fn packages(image: &Path, context: &Context) -> Result<Option<Packages>, AnyFailure> {
    let found = inventory::installation(&root(image, context)?)?;
    Ok(found.map(|found| (found.packages.iter().filter(|package| !package.is_key).count(), found.format.name())))
}

/// For machines: one document. A pair of the library becomes an object with names.
fn document(inspection: &Inspection, packages: Option<Packages>) -> Value {
    let mut document = json!(inspection);
    document["schema"] = json!(SCHEMA);
    let filesystem = |(partition, kind): &(u32, Option<_>)| json!({"partition": partition, "filesystem": kind});
    document["packages"] = json!(packages.map(|(count, database)| json!({"count": count, "database": database})));
    document["filesystems"] = inspection.filesystems.iter().map(filesystem).collect();
    document
}

/// The width of the column of names.
const NAMES: usize = 15;

/// For people: a name and a value in each row. On a terminal with `columns`, long values are broken between words.
fn table(inspection: &Inspection, packages: Option<Packages>, columns: Option<usize>) -> String {
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
    for volume in &inspection.logical_volumes {
        let filesystem = volume.filesystem.map_or("no known filesystem", |kind| kind.name());
        row("volume", &format!("{}, {}, {filesystem}", volume.name, rounded(volume.size)));
    }
    if let Some(system) = &inspection.system {
        describe(system, &mut row);
    }
    if let Some((count, database)) = packages {
        row("packages", &format!("{count}, {database}"));
    }
    for problem in &inspection.problems {
        row("problem", problem);
    }
    text
}

fn describe(system: &System, row: &mut impl FnMut(&str, &str)) {
    let clean = if system.root.clean { "unmounted cleanly" } else { "not unmounted cleanly" };
    row("root", &format!("partition {}, UUID {}, {clean}", system.root.partition, system.root.uuid));
    for Place { path, filesystem, usage, .. } in &system.mounts {
        let used = rounded(usage.size.saturating_sub(usage.free));
        row(&path.to_string_lossy(), &format!("{}, {used} of {} used", filesystem.name(), rounded(usage.size)));
    }
    for unmounted in &system.unmounted {
        row("not seen", unmounted);
    }
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
        row("boots how", &format!("{}, {}", boot.mechanism.name(), boot.configuration));
    }
    row("enabled units", &system.enabled_units.join(", "));
    let account = |account: &Account| {
        let password = if account.has_password { ", with a password" } else { "" };
        format!("{} (uid {}{password})", account.name, account.uid)
    };
    row("log-ins", &system.accounts.iter().map(account).collect::<Vec<_>>().join(", "));
    if let Some(docker) = &system.docker {
        row("docker", &described(docker));
    }
}

fn described(docker: &Docker) -> String {
    let mut words = vec![if docker.engine { "installed".to_owned() } else { "not installed".to_owned() }];
    if !docker.drivers.is_empty() {
        words.push(format!("storage of {}", docker.drivers.join(", ")));
    }
    if let Some(settings) = &docker.settings {
        words.push(format!("settings {settings}"));
    }
    words.push(if docker.images.is_empty() { "no images".to_owned() } else { format!("images {}", docker.images.join(", ")) });
    words.join("; ")
}

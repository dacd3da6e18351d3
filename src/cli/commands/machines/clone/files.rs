//! `goldsmith clone IMAGE -o DIR`: a disk for each machine, to be run elsewhere.

use std::path::Path;

use serde_json::json;

use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::base::size::{ByteSize, rounded};
use crate::base::text::{counted, shell_line};
use crate::cli::args::Clones;
use crate::cli::commands::build;
use crate::cli::commands::machines::up::{many, public_key};
use crate::cli::{Context, host, printer};
use crate::run::{self, ClonedFile, Personal, WantedFiles};

/// The default memory of a machine in a document, equal to that of `goldsmith run`.
const MEMORY: ByteSize = ByteSize(2 << 30);
const CPUS: u32 = 2;

/// Make the directory `dir`.
///
/// # Errors
/// The directory exists, the copies cannot be made as the user wants them, or the host lacks something.
pub(super) async fn make(args: &Clones, dir: &Path, context: &Context) -> Result<(), AnyFailure> {
    // This is checked first, because building the image may take minutes.
    run::require_new(dir)?;
    let keys = args.ssh_key.iter().map(|path| public_key(path)).collect::<Result<_, _>>()?;
    let wanted = WantedFiles {
        name: args.name.clone(),
        many: many(args.from.as_deref(), args.count)?,
        personal: Personal { hostname: None, address: args.address, keys },
        gateway: args.gateway,
        dns: args.dns.clone(),
        full: args.full,
        disk: args.disk,
        memory: args.memory.unwrap_or(MEMORY),
        cpus: CPUS,
    };
    let image = build::image_of(&args.image, context).await?;
    let store = host::store_place(context);
    let events = Events::new(context.listeners());
    let task = events.task("clone the image");
    let made = run::clone_files(&image, &wanted, dir, store.as_deref(), &task).await?;
    task.done();
    let text = if context.json {
        context.record(&json!({ "event": "cloned", "clones": made.iter().map(record).collect::<Vec<_>>() }))
    } else {
        table(&made, dir)
    };
    Ok(printer::out(&text)?)
}

fn record(clone: &ClonedFile) -> serde_json::Value {
    let address = address(clone);
    json!({ "name": clone.name, "file": clone.file, "bytes": clone.allocated, "hostname": clone.hostname, "address": address })
}

fn address(clone: &ClonedFile) -> Option<String> {
    clone.address.map(|(address, prefix)| format!("{address}/{prefix}"))
}

fn table(made: &[ClonedFile], dir: &Path) -> String {
    let width = made.iter().map(|clone| clone.name.as_str().len()).max().unwrap_or_default();
    let line = |clone: &ClonedFile| {
        let address = address(clone).unwrap_or_else(|| "by DHCP".to_owned());
        format!("{:<width$}  {}, {address}\n", clone.name.as_str(), clone.hostname)
    };
    let mut text: String = made.iter().map(line).collect();
    let bytes = made.iter().map(|clone| clone.allocated).sum();
    text += &format!("{} in {}: {}\n", counted(made.len(), "clone"), dir.display(), rounded(bytes));
    if let Some(first) = made.first() {
        let file = dir.join(first.file.file_name().unwrap_or_default());
        text += &format!("run one here:        {}\n", shell_line(["goldsmith", "up", &file.to_string_lossy()]));
        let document = file.with_extension("xml");
        // The document is only written for x86_64 systems.
        if document.exists() {
            text += &format!("give it to libvirt:  {}\n", shell_line(["virsh", "define", &document.to_string_lossy()]));
            text += &format!("all to Vagrant:      cd {} && vagrant up --provider libvirt\n", shell_line([dir.to_string_lossy().as_ref()]));
        }
    }
    text
}

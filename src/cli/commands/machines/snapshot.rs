//! `goldsmith snapshot …`.

use serde_json::json;

use super::{place, say};
use crate::base::failure::AnyFailure;
use crate::base::text::printable;
use crate::cli::args::Snapshot;
use crate::cli::{Context, printer};
use crate::run;

/// Save states of a machine's disk, and go back to them.
///
/// # Errors
/// There is no such machine or snapshot, the machine runs but must be off, or its disk cannot be written.
pub async fn snapshot(command: &Snapshot, context: &Context) -> Result<(), AnyFailure> {
    match command {
        Snapshot::List(args) => {
            let all = run::snapshots(&place(&args.name, context)?).await?;
            let text = if context.json {
                let told: Vec<_> = all.iter().map(|one| json!({ "name": one.name, "taken": one.taken })).collect();
                context.record(&json!({ "event": "snapshots", "name": args.name, "snapshots": told }))
            } else {
                table(&all)
            };
            Ok(printer::out(&text)?)
        }
        Snapshot::Save(args) => {
            let place = place(&args.name, context)?;
            run::save_snapshot(&place, &args.snapshot).await?;
            say(&place, &format!("has the snapshot {}", args.snapshot), context)
        }
        Snapshot::Restore(args) => {
            let place = place(&args.name, context)?;
            run::restore_snapshot(&place, &args.snapshot).await?;
            say(&place, &format!("is as it was at {}", args.snapshot), context)
        }
        Snapshot::Remove(args) => {
            let place = place(&args.name, context)?;
            run::remove_snapshot(&place, &args.snapshot).await?;
            say(&place, &format!("has no snapshot {} any more", args.snapshot), context)
        }
    }
}

fn table(all: &[run::Snapshot]) -> String {
    if all.is_empty() {
        return "no snapshots\n".to_owned();
    }
    all.iter().map(|one| format!("{}  {}\n", one.taken, printable(&one.name))).collect()
}

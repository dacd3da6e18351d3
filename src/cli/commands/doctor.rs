//! `goldsmith doctor`.

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cli::args::Doctor;
use crate::cli::doctor::{self, Places, Row, Verdict};
use crate::cli::{Context, printer};

/// Examine the host, print what was found, and fail when something needed is missing.
///
/// # Errors
/// Something is missing, or the store's place is not known.
pub async fn run(args: &Doctor, context: &Context) -> Result<(), AnyFailure> {
    let store = context.environment.store_dir(args.store.store.as_deref())?;
    let rows = doctor::examine(&Places { store, output: args.output.clone() }, Vec::new()).await;
    printer::out(&if context.json { doctor::json(&rows) } else { doctor::table(&rows) })?;
    let missing: Vec<_> = rows.iter().filter(|row| row.verdict == Verdict::Missing).map(|row: &Row| row.name).collect();
    if missing.is_empty() { Ok(()) } else { Err(HostLacks(missing.join(", ")).into()) }
}

#[derive(Debug, thiserror::Error)]
#[error("this host cannot build: {0}")]
struct HostLacks(String);

impl Failure for HostLacks {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("do what the lines marked `mend` say, then run `goldsmith doctor` again".into())
    }
}

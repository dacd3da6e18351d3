//! `goldsmith doctor`.

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cli::args::Doctor;
use crate::cli::doctor::{self, Places, Row, Verdict};
use crate::cli::{Context, printer};
use crate::machine::firmware::find_uefi;
use crate::machine::probe::{Probe, probe};

/// Examine the host, print what was found, and fail when something needed is missing.
///
/// # Errors
/// Something is missing, or the store's place is not known.
pub async fn run(args: &Doctor, context: &Context) -> Result<(), AnyFailure> {
    let store = context.environment.store_dir(args.store.store.as_deref())?;
    let rows = doctor::examine(&Places { store, output: args.output.clone() }, machine_rows().await).await;
    printer::out(&if context.json { doctor::json(&rows) } else { doctor::table(&rows) })?;
    let missing: Vec<_> = rows.iter().filter(|row| row.verdict == Verdict::Missing).map(|row: &Row| row.name).collect();
    if missing.is_empty() { Ok(()) } else { Err(HostLacks(missing.join(", ")).into()) }
}

/// The rows that the machine module provides.
async fn machine_rows() -> Vec<Row> {
    let accelerator = match probe().await {
        Ok(Probe { reason: None, .. }) => Row::ok("accelerator", "KVM works"),
        Ok(Probe { reason: Some(reason), .. }) => {
            Row::degraded("accelerator", format!("emulation (TCG): {reason}"), "run on a host, or in a VM, whose /dev/kvm works")
        }
        Err(error) => Row::missing("accelerator", error.to_string(), error.remedy().unwrap_or_default()),
    };
    let firmware = match find_uefi() {
        Ok(uefi) => Row::ok("UEFI firmware", uefi.description),
        Err(error) => Row::degraded("UEFI firmware", format!("{error}; only BIOS images can be proved"), "apt-get install ovmf"),
    };
    vec![accelerator, firmware]
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

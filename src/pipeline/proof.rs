//! The machine that proves an image, and the proof.

use std::path::Path;

use super::failure::Unproved;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::cache::{Scratch, Store};
use crate::machine::probe::probe;
use crate::machine::runner::Bench;
use crate::machine::spec::Subnet;
use crate::machine::visit::Visitor;
use crate::recipe::{Build, BuildNetwork, Network};
use crate::verify::{self, CheckResult, Promises, Report};

/// The host's accelerator and the recipe's machine.
pub(super) async fn bench<'a>(
    build: &Build,
    visitor: Option<&'static dyn Visitor>,
    scratch: &'a Scratch,
    evidence: &'a Path,
    events: &Events,
) -> Result<Bench<'a>, AnyFailure> {
    let task = events.task("probe the accelerator");
    let found = probe().await?;
    if found.reason.is_some() {
        events.note(found.to_string());
    }
    task.done();
    Ok(Bench {
        accelerator: found.accelerator,
        cpus: build.cpus,
        memory: build.memory,
        deadline: build.deadline,
        outside: build.network == BuildNetwork::Open,
        subnet: None,
        visitor,
        scratch: scratch.path(),
        evidence,
    })
}

/// The network that is laid around a guest with this address.
pub(super) fn subnet(network: &Network) -> Option<Subnet> {
    match *network {
        Network::Static { address, prefix, gateway, .. } => Some(Subnet { guest: address, prefix, gateway }),
        Network::Dhcp => None,
    }
}

/// The report of an image that keeps every promise.
pub(super) async fn prove(
    image: &Path,
    store: &Store,
    promises: &Promises,
    bench: &Bench<'_>,
    events: &Events,
) -> Result<Report, AnyFailure> {
    let task = events.task("verify");
    let report = verify::verify(image, Some(store.root()), promises, bench, &task).await?;
    tell(&report.checks, events);
    Unproved::refuse(&report, bench.scratch)?;
    task.done();
    Ok(report)
}

/// Tell how each check ended: machines read that of an image that failed, too.
pub(super) fn tell(checks: &[CheckResult], events: &Events) {
    for check in checks {
        events.check(&check.name, check.outcome.word(), &check.detail);
    }
}

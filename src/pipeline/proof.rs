//! Proves an image, on a machine of this host.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::Unproved;
use super::program;
use crate::artifact::{Artifact, Manifest};
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::base::text::printable;
use crate::cache::{Scratch, Store};
use crate::machine::probe::{QemuVersion, probe, qemu_version};
use crate::machine::runner::Bench;
use crate::machine::spec::{Equipment, Subnet};
use crate::machine::visit::Visitor;
use crate::recipe::{Build, BuildNetwork, Network};
use crate::run::{self, Likeness, Own};
use crate::verify::{self, CheckResult, Outcome, Promises, Report};

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
        cards: 0,
        visitor,
        scratch: scratch.path(),
        evidence,
    })
}

/// The network that is laid around a guest with this address.
pub(super) fn subnet(network: &Network) -> Option<Subnet> {
    match *network {
        Network::Static { address, prefix, gateway, .. } => Some(Subnet { guest: address, prefix, gateway }),
        Network::Dhcp | Network::None => None,
    }
}

/// The kind of memory for proofs ([`Proved`] as JSON).
const PROVED: &str = "proved-1";

/// A remembered proof.
#[derive(Debug, Serialize, Deserialize)]
struct Proved {
    /// When, in the form of RFC 3339.
    at: String,
    report: Report,
}

/// The report of an image that was just made, and has this digest. If this same program has proved the same bytes before, with the same
/// promises, the same QEMU and a machine of the same kind, the image is not booted again.
pub(super) async fn prove_once(
    image: &Path,
    sha256: Sha256Digest,
    store: &Store,
    promises: &Promises,
    bench: &Bench<'_>,
    events: &Events,
) -> Result<Report, AnyFailure> {
    let key = circumstances(sha256, promises, bench).await;
    let known = key.and_then(|key| store.recall(PROVED, &key)).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(Proved { at, report }) = known {
        let task = events.task("verify");
        tell(&report.checks, events);
        task.reused();
        events.note(format!("the same bytes passed the same checks at {at}; `goldsmith verify` boots them again"));
        return Ok(report);
    }
    let report = prove(image, store, promises, bench, events).await?;
    let proved = Proved { at: Timestamp::now().strftime("%FT%TZ").to_string(), report: report.clone() };
    if let (Some(key), Ok(bytes)) = (key, serde_json::to_vec(&proved)) {
        store.remember(PROVED, &key, &bytes);
    }
    Ok(report)
}

/// All that a verdict depends on, as one digest. `None` if it cannot be computed: then no earlier proof is used, and none is remembered.
async fn circumstances(image: Sha256Digest, promises: &Promises, bench: &Bench<'_>) -> Option<Sha256Digest> {
    // The checks are code of this program, so its digest counts.
    key(program::digest().await?, qemu_version().await.ok()?, image, promises, bench)
}

fn key(program: Sha256Digest, qemu: QemuVersion, image: Sha256Digest, promises: &Promises, bench: &Bench<'_>) -> Option<Sha256Digest> {
    let machine = format!("{qemu} {:?}", (bench.accelerator, bench.cpus, bench.memory, bench.deadline, bench.subnet));
    serde_json::to_vec(&(program, machine, image, promises)).ok().map(|bytes| Sha256Digest::of(&bytes))
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
    let report = report(image, store, promises, bench, &task).await?;
    tell(&report.checks, events);
    Unproved::refuse(&report, bench.scratch)?;
    task.done();
    Ok(report)
}

/// The artifact at `target`, which has this manifest, if its images are whole. Damage is a warning: it is made (`built`, `published`) again.
pub(super) async fn whole(target: &Path, manifest: Manifest, made: &str, task: &Task, events: &Events) -> Option<Artifact> {
    let artifact = Artifact { dir: target.to_owned(), manifest };
    match artifact.check_files(task).await {
        Ok(()) => Some(artifact),
        Err(damage) => {
            events.warn(format!("it is {made} again: {damage}"));
            None
        }
    }
}

/// The report of an image, whether it keeps its promises or not.
pub(super) async fn report(image: &Path, store: &Store, promises: &Promises, bench: &Bench<'_>, task: &Task) -> Result<Report, AnyFailure> {
    let mut report = verify::verify(image, Some(store.root()), promises, bench, task).await?;
    // Two more boots are of no use for an image that is refused already.
    if promises.clones && report.verdict() == Outcome::Passed {
        let given = Equipment { memory: Some(bench.memory), ..Equipment::default() };
        let compared = run::compare(image, &given, (bench.scratch, Some(store.root())), None, task).await?;
        report.checks.extend(compared.iter().map(|own| clones_differ("clones", own)));
    }
    Ok(report)
}

/// The check that something which must be a machine's own differs between two `clones`.
pub(super) fn clones_differ(clones: &str, own: &Own) -> CheckResult {
    let name = format!("two {clones} differ: {}", own.name);
    match own.likeness() {
        Likeness::Differ => CheckResult::passed(name, "each has its own"),
        Likeness::Shared(value) => CheckResult::failed(name, format!("both have `{}`", printable(value))),
        Likeness::Missing(without) => CheckResult::failed(name, format!("{without} of 2 have none")),
    }
}

/// Tell how each check ended, also for an image that failed: programs read these events.
pub(super) fn tell(checks: &[CheckResult], events: &Events) {
    for check in checks {
        events.check(&check.name, check.outcome.word(), &check.detail);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::size::ByteSize;
    use crate::machine::spec::Accelerator;

    #[test]
    fn what_clones_share_or_lack_is_no_promise_kept() {
        let ended = |values: [Option<&str>; 2]| {
            let own = Own { name: "machine id".to_owned(), values: values.map(|value| value.map(str::to_owned)) };
            let CheckResult { name, outcome, detail } = clones_differ("clones", &own);
            assert_eq!(name, "two clones differ: machine id");
            (outcome, detail)
        };
        assert_eq!(ended([Some("a"), Some("b")]), (Outcome::Passed, "each has its own".to_owned()));
        assert_eq!(ended([Some("a\x1b"), Some("a\x1b")]), (Outcome::Failed, format!("both have `{}`", printable("a\x1b"))));
        assert_eq!(ended([Some("a"), None]), (Outcome::Failed, "1 of 2 have none".to_owned()));
        assert_eq!(ended([None, None]), (Outcome::Failed, "2 of 2 have none".to_owned()));
    }

    fn golden() -> Promises {
        let mut manifest: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/manifest.json")).unwrap();
        serde_json::from_value(manifest["promises"].take()).unwrap()
    }

    #[test]
    fn a_proof_serves_for_nothing_but_what_it_was_given_for() {
        let [program, image, other] = [b"program", b"image!!", b"another"].map(|bytes| Sha256Digest::of(bytes));
        let qemu = QemuVersion { major: 7, minor: 2, micro: 1 };
        let bench = |memory| Bench {
            accelerator: Accelerator::Tcg,
            cpus: 1,
            memory: ByteSize::kib(memory),
            deadline: Duration::from_secs(1),
            outside: false,
            subnet: None,
            cards: 0,
            visitor: None,
            scratch: Path::new("/a"),
            evidence: Path::new("/b"),
        };
        let promises: Promises = golden();
        let more = Promises { hostname: Some("other".to_owned()), ..promises.clone() };
        let first = key(program, qemu, image, &promises, &bench(1)).unwrap();
        for (what, key) in [
            ("another goldsmith", key(other, qemu, image, &promises, &bench(1))),
            ("another QEMU", key(program, QemuVersion { micro: 2, ..qemu }, image, &promises, &bench(1))),
            ("another image", key(program, qemu, other, &promises, &bench(1))),
            ("another promise", key(program, qemu, image, &more, &bench(1))),
            ("less memory", key(program, qemu, image, &promises, &bench(0))),
        ] {
            assert_ne!(key, Some(first), "{what}");
        }
        assert_eq!(key(program, qemu, image, &promises, &Bench { scratch: Path::new("/c"), ..bench(1) }), Some(first));
    }
}

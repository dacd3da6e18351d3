//! `goldsmith image audit IMAGE`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::opened::disk;
use crate::artifact;
use crate::audit::{self, Allowed, Finding, Severity, Waiver};
use crate::base::event::SCHEMA;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::{counted, printable};
use crate::cli::{Context, printer};

/// The image has faults.
#[derive(Debug, thiserror::Error)]
#[error("the audit found {}", counted(*.0, "fault"))]
struct Faults(usize);

impl Failure for Faults {
    fn class(&self) -> Class {
        Class::Image
    }

    fn remedy(&self) -> Option<String> {
        Some("follow the remedy of each, or allow it with a `[[waiver]]` of the recipe that says why".to_owned())
    }
}

/// Audit the image; without one, list the rules.
///
/// # Errors
/// The image cannot be read, or there is a fault without a waiver.
pub(super) fn run(image: Option<&Path>, context: &Context) -> Result<(), AnyFailure> {
    let Some(image) = image else { return Ok(printer::out(&listed(context.json))?) };
    let (allowed, waivers) = match artifact::open(image) {
        Ok(artifact) => (artifact.manifest.promises.allowed, artifact.manifest.promises.waivers),
        Err(_) => (Allowed::default(), Vec::new()),
    };
    let findings = audit::audit(&disk(image, context)?, &allowed)?;
    let waiver = |finding: &Finding| waivers.iter().find(|waiver| waiver.covers(finding));
    let faults = findings.iter().filter(|finding| finding.rule.severity == Severity::Fault && waiver(finding).is_none()).count();
    if context.json {
        let findings: Vec<Value> = findings.iter().map(|finding| object(finding, waiver(finding))).collect();
        printer::out(&format!("{:#}\n", json!({"schema": SCHEMA, "faults": faults, "findings": findings})))?;
    } else {
        printer::out(&table(&findings, waiver))?;
    }
    if faults > 0 { Err(Faults(faults).into()) } else { Ok(()) }
}

fn object(finding: &Finding, waiver: Option<&Waiver>) -> Value {
    json!({
        "rule": finding.rule.id,
        "severity": finding.rule.severity,
        "path": finding.path.to_string_lossy(),
        "detail": finding.detail,
        "why": finding.rule.why,
        "remedy": finding.rule.remedy,
        "waived": waiver.map(|waiver| &waiver.reason),
    })
}

/// For people: each rule that found something, with its findings, the reason and the remedy.
fn table<'a>(findings: &[Finding], waiver: impl Fn(&Finding) -> Option<&'a Waiver>) -> String {
    let mut text = String::new();
    for found in findings.chunk_by(|a, b| a.rule.id == b.rule.id) {
        let Some(rule) = found.first().map(|finding| finding.rule) else { continue };
        for finding in found {
            let (word, reason) = match (waiver(finding), rule.severity) {
                (Some(waiver), _) => ("waived", format!(": {}", waiver.reason)),
                (None, Severity::Fault) => ("fault", String::new()),
                (None, Severity::Notice) => ("notice", String::new()),
            };
            let _ = writeln!(text, "{word:<7} {:<24} {}", rule.id, printable(&format!("{finding}{reason}")));
        }
        let _ = writeln!(text, "        why: {}\n        help: {}", rule.why, rule.remedy);
    }
    if findings.is_empty() {
        let _ = writeln!(text, "nothing found by {}", counted(audit::rules().len(), "rule"));
    }
    text
}

fn listed(json: bool) -> String {
    let rules = audit::rules();
    if json {
        let rules: Vec<Value> = rules
            .iter()
            .map(
                |rule| json!({"rule": rule.id, "severity": rule.severity, "promise": rule.promise, "why": rule.why, "remedy": rule.remedy}),
            )
            .collect();
        return format!("{:#}\n", json!({"schema": SCHEMA, "rules": rules}));
    }
    let mut text = String::new();
    for rule in rules {
        let word = if rule.severity == Severity::Fault { "fault" } else { "notice" };
        let _ = writeln!(text, "{:<24} {word:<7} {}\n{:<24} {}\n{:<24} help: {}", rule.id, rule.promise, "", rule.why, "", rule.remedy);
    }
    text
}

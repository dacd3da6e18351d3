//! What the manifest says of a build.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::artifact::{ImageRecord, InputRecord, Manifest, SCHEMA, SignatureRecord, StageRecord, Verification};
use crate::base::digest::Sha256Digest;
use crate::base::failure::AnyFailure;
use crate::base::process::Tool;
use crate::image::{Disk, ImageError};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::sources::{Proof, Resolved};
use crate::verify::{Promises, Report};

/// The manifest of `image`, which passed `report`.
pub(super) async fn describe(
    recipe: &Recipe,
    plan: &Plan,
    resolved: Resolved,
    stages: Vec<StageRecord>,
    promises: Promises,
    report: Report,
    image: &Path,
) -> Result<Manifest, AnyFailure> {
    let mut tools = BTreeMap::new();
    let verifier = (!resolved.proofs.is_empty()).then_some(Tool::Gpgv);
    for tool in [Tool::QemuSystem, Tool::QemuImg, Tool::Mmdebstrap, Tool::Mke2fs].into_iter().chain(verifier) {
        if let Some(version) = tool.version().await {
            tools.insert(tool.program().to_owned(), version);
        }
    }
    let (sha256, bytes) = File::open(image).and_then(Sha256Digest::of_reader).map_err(|source| ImageError::read(image, source))?;
    Ok(Manifest {
        schema: SCHEMA,
        name: recipe.name.clone(),
        content_id: plan.content_id,
        created: Manifest::now(),
        goldsmith: env!("CARGO_PKG_VERSION").to_owned(),
        verification: Verification { verified: true, reason: None },
        image: ImageRecord {
            file: format!("{}.qcow2", recipe.name),
            sha256,
            bytes,
            virtual_bytes: Disk::open(image)?.info().virtual_size,
            format: "qcow2".to_owned(),
        },
        checks: report.checks,
        docker_info: report.docker_info,
        // OK to default: a recipe is plain data, which JSON always takes.
        recipe: serde_json::to_value(recipe).unwrap_or_default(),
        promises,
        inputs: resolved.pins.0.into_iter().map(|pin| InputRecord { name: pin.name, sha256: pin.sha256, urls: pin.urls }).collect(),
        signatures: resolved.proofs.into_iter().map(record).collect(),
        stages,
        tools,
    })
}

fn record(proof: Proof) -> SignatureRecord {
    SignatureRecord { repository: proof.repository, upstream: proof.upstream, packages: proof.signers.packages(), keys: proof.signers.keys }
}

//! Whether packages are signed, and with which keys.

use super::report::{Area, Row};
use crate::base::fingerprint::Fingerprint;
use crate::base::text::counted;
use crate::recipe::{Recipe, Supply};
use crate::sources::{Proof, Resolved};

/// Packages of one kind that are named one by one.
const NAMED: usize = 5;

/// The rows for the signatures of packages.
pub(super) fn rows(resolved: &Resolved) -> Vec<Row> {
    let mut rows = Vec::new();
    for proof in &resolved.proofs {
        rows.push(Row::ok(Area::Sources, signed(proof)));
        rows.extend(weak(proof).map(|what| Row::warning(Area::Sources, what, None)));
    }
    rows.extend(resolved.upstreams.iter().filter(|upstream| !upstream.keys().is_empty()).map(|upstream| {
        let index = match upstream.signer() {
            Some(_) => "its repomd.xml is signed, too",
            None => "its repomd.xml is not signed",
        };
        let what = format!("packages of {} must be signed with {}; {index}", upstream.name(), listed(upstream.keys()));
        Row::ok(Area::Sources, what)
    }));
    rows
}

/// The repositories whose packages are used without a verified signature.
pub fn unverified(recipe: &Recipe) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for repository in &recipe.repositories {
        match &repository.supply {
            Supply::Archive(_) if repository.gpg_keys.is_empty() => names.push(&repository.id),
            Supply::Archive(_) => {}
            Supply::Upstream(upstreams) => {
                names.extend(upstreams.iter().filter(|upstream| upstream.gpg_keys.is_empty()).map(|upstream| upstream.name.as_str()));
            }
        }
    }
    let verb = if names.len() == 1 { "names" } else { "name" };
    (!names.is_empty()).then(|| format!("signatures are not verified: {} {verb} no gpg_keys", names.join(", ")))
}

/// The signers of packages.
fn signed(proof: &Proof) -> String {
    let from = proof.upstream.as_ref().unwrap_or(&proof.repository);
    let keys: Vec<Fingerprint> = proof.signers.keys.keys().copied().collect();
    match proof.signers.packages() {
        0 => format!("no package of {from} is taken"),
        count => format!("{} of {from}, signed with {}", counted(count, "package"), listed(&keys)),
    }
}

/// The signatures that prove less than they should.
pub fn weak(proof: &Proof) -> Option<String> {
    let weak = &proof.signers.weak;
    let (_, hash) = weak.first()?;
    let names: Vec<&str> = weak.iter().take(NAMED).map(|(name, _)| name.as_str()).collect();
    let more = if weak.len() > NAMED { format!(" and {} more", weak.len() - NAMED) } else { String::new() };
    let from = proof.upstream.as_ref().unwrap_or(&proof.repository);
    Some(format!("{} of {from} signed by {hash}, which is weak: {}{more}", counted(weak.len(), "package"), names.join(", ")))
}

fn listed(keys: &[Fingerprint]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

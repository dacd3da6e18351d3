//! Whether the packages that were chosen are signed with the keys that the recipe names.

use super::transfer::fetch_all;
use super::{RemotePackage, Upstream};
use crate::base::event::Task;
use crate::sources::host::Host;
use crate::sources::signatures::{Keyring, Proof, Signers, Wanted, all, known_as, recall, remember, verify};
use crate::sources::{Chosen, Proved, SourceError};

/// A package with its repository and keys.
struct Held<'a> {
    package: &'a RemotePackage,
    upstream: &'a Upstream,
    keyring: &'a Keyring,
}

/// Verify the packages that were chosen from repositories with keys. Packages that were verified before are not fetched again for this.
///
/// # Errors
/// All packages that are not signed as they must be; or one cannot be had, or gpgv cannot be run.
pub async fn prove(chosen: Chosen, host: Host<'_>, task: &Task) -> Result<Proved, SourceError> {
    let upstreams = &chosen.found().upstreams;
    let packages = chosen.choice().online.values().flat_map(|online| &online.packages);
    let held: Vec<Held<'_>> = packages
        .filter_map(|package| {
            let upstream = upstreams.iter().find(|upstream| upstream.name == package.upstream)?;
            Some(Held { package, upstream, keyring: upstream.keyring.as_ref()? })
        })
        .collect();
    let mut found: Vec<Option<Result<Signers, String>>> = held.iter().map(|held| recall(&held.known_as(), host).map(Ok)).collect();
    let unknown: Vec<usize> = (0..held.len()).filter(|nth| found[*nth].is_none()).collect();
    let missing: Vec<&RemotePackage> = unknown.iter().map(|nth| held[*nth].package).collect();
    let files = fetch_all(upstreams, &missing, host, task).await?;
    // `fetch_all` has returned all files that were asked for.
    let wanted: Vec<(usize, Wanted<'_>)> =
        unknown.into_iter().filter_map(|nth| Some((nth, held[nth].wanted(files.get(&held[nth].package.sha256)?.clone())))).collect();
    let (places, wanted): (Vec<usize>, Vec<Wanted<'_>>) = wanted.into_iter().unzip();
    for (nth, verdict) in places.into_iter().zip(verify(&wanted, host, task).await?) {
        if let Ok(signers) = &verdict {
            remember(&held[nth].known_as(), signers, host);
        }
        found[nth] = Some(verdict);
    }
    let online = proofs(upstreams, &held, &found)?;
    let proofs = chosen.found().proofs.iter().cloned().chain(online).collect();
    Ok(Proved { chosen, proofs })
}

/// A proof for every online repository that has keys.
fn proofs(upstreams: &[Upstream], held: &[Held<'_>], found: &[Option<Result<Signers, String>>]) -> Result<Vec<Proof>, SourceError> {
    let name = |held: &Held<'_>| format!("{} of {}", held.package.file_name, held.upstream.name);
    let unasked = || Err("was not verified".to_owned());
    let refused = held.iter().zip(found).filter(|(_, found)| !matches!(found, Some(Ok(_))));
    let mut keys: Vec<&str> = refused.map(|(held, _)| held.keyring.key()).collect();
    keys.dedup();
    let verdicts = held.iter().zip(found).map(|(held, found)| (name(held), found.clone().unwrap_or_else(unasked)));
    all("packages of online repositories", &keys.join("`, `"), verdicts)?;
    let proof = |upstream: &Upstream| {
        let mut signers = Signers::default();
        let own = held.iter().zip(found).filter(|(held, _)| held.upstream.name == upstream.name);
        own.filter_map(|(_, found)| found.clone()?.ok()).for_each(|more| signers.add(more));
        Proof { repository: upstream.repository.clone(), upstream: Some(upstream.name.clone()), signers }
    };
    Ok(upstreams.iter().filter(|upstream| upstream.keyring.is_some()).map(proof).collect())
}

impl<'a> Held<'a> {
    fn wanted(&self, path: std::path::PathBuf) -> Wanted<'a> {
        let is_indexed = self.upstream.signer.is_some();
        Wanted { name: &self.package.file_name, path, keyring: self.keyring, is_indexed }
    }

    fn known_as(&self) -> crate::base::digest::Sha256Digest {
        known_as(self.package.sha256, self.keyring, self.upstream.signer.is_some())
    }
}

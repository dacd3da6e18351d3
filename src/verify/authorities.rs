//! Checks that the system trusts the recipe's certificate authorities: the bundle that its programs read has them.

use super::CheckResult;
use crate::base::certificate::digests;
use crate::image::{ImageError, Root};
use crate::recipe::Authority;

/// The bundles in OpenSSL's directory of Debian and of EL7. EL7's is a link to the file that `update-ca-trust` writes.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
/// Debian's has 220 KB, EL7's 260 KB.
const BUNDLE_BYTES_MAX: u64 = 16 << 20;

/// Judge the promise of each authority.
pub(super) fn judge(root: &Root, wanted: &[Authority]) -> Vec<CheckResult> {
    let name = |authority: &Authority| format!("the system trusts {}", authority.subject);
    if wanted.is_empty() {
        return Vec::new();
    }
    let (path, bundle) = match bundle(root) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let why = format!("there is neither {}", BUNDLES.join(" nor "));
            return wanted.iter().map(|authority| CheckResult::failed(name(authority), &why)).collect();
        }
        Err(error) => return wanted.iter().map(|authority| CheckResult::could_not_run(name(authority), error.to_string())).collect(),
    };
    let there = digests(&bundle);
    let one = |authority: &Authority| match there.contains(&authority.sha256) {
        true => CheckResult::passed(name(authority), format!("{path} has it among {}", there.len())),
        false => CheckResult::failed(name(authority), format!("it is not among the {} certificates of {path}", there.len())),
    };
    wanted.iter().map(one).collect()
}

fn bundle(root: &Root) -> Result<Option<(&'static str, Vec<u8>)>, ImageError> {
    for path in BUNDLES {
        if let Some(bytes) = root.read_if_there(path, BUNDLE_BYTES_MAX)? {
            return Ok(Some((path, bytes)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::certificate::Certificate;
    use crate::verify::Outcome;
    use crate::verify::tests::disk;

    #[test]
    fn the_bundle_is_what_counts() {
        let pem = include_str!("../../tests/data/lab-ca.pem");
        let certificate = Certificate::of_pem(pem.as_bytes()).unwrap();
        let authority = Authority {
            name: "lab".to_owned(),
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            sha256: certificate.sha256,
            not_before: 0,
            not_after: 0,
        };
        let other = "# none\n";
        for (files, outcome, detail) in [
            (vec![("etc/ssl/certs/ca-certificates.crt", pem)], Outcome::Passed, "/etc/ssl/certs/ca-certificates.crt has it among 1"),
            (
                vec![
                    ("etc/pki/tls/certs/ca-bundle.crt", "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
                    ("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", pem),
                ],
                Outcome::Passed,
                "/etc/pki/tls/certs/ca-bundle.crt has it among 1",
            ),
            (
                vec![("etc/ssl/certs/ca-certificates.crt", other), ("usr/local/share/ca-certificates/lab.crt", pem)],
                Outcome::Failed,
                "it is not among the 0 certificates of /etc/ssl/certs/ca-certificates.crt",
            ),
            (vec![], Outcome::Failed, "there is neither /etc/ssl/certs/ca-certificates.crt nor /etc/pki/tls/certs/ca-bundle.crt"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let image = disk(dir.path(), &[&files[..], &[("etc/fstab", "")]].concat());
            let root = Root::open(&image).unwrap();
            let judged = judge(&root, std::slice::from_ref(&authority)).remove(0);
            assert_eq!((judged.outcome, &*judged.detail), (outcome, detail));
            assert_eq!(judged.name, format!("the system trusts {}", certificate.subject));
        }
    }
}

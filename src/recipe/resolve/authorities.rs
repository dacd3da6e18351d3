//! `[[certificate_authority]]`: each becomes a file of the image, which the installer's script adds to the system's bundle.

use std::collections::BTreeMap;

use super::super::release::EL7;
use super::super::tree::KeyPath;
use super::super::{Authority, Media, Recipe, syntax, written};
use super::content::{own_content, refuse_private_key, stand_for};
use super::judge::Judge;
use crate::base::certificate::{Certificate, NotAnAuthority};
use crate::base::image_path::ImagePath;

/// Add the authorities of the tables to `recipe`.
pub(super) fn add(judge: &mut Judge<'_>, written: &[written::CertificateAuthority], recipe: &mut Recipe) {
    let path = KeyPath::from("certificate_authority");
    judge.unique(written, "certificate authority", |index| path.at(index).at("name"), |authority| Some(authority.name.clone()));
    let mut seen = BTreeMap::new();
    for (index, authority) in written.iter().enumerate() {
        let tables = &path;
        let path = tables.at(index);
        let name = judge.spelled(&path.at("name"), &authority.name, syntax::name);
        let Some((key, certificate)) = certificate(judge, &path, authority) else { continue };
        if let Some(first) = seen.insert(certificate.sha256, index) {
            let other = tables.at(first).at("name");
            judge.clash(&key, &other, "there already", "this certificate is there twice", "remove one of the two");
            continue;
        }
        // Another has the name.
        if judge.findings.is_spoiled(&path.at("name")) {
            continue;
        }
        let file = match recipe.media {
            // update-ca-trust(8), and update-ca-certificates(8), which reads files of this suffix alone.
            Media::Anaconda { .. } => format!("{}/{name}.pem", EL7.anchors),
            Media::Deploy { .. } => format!("/usr/local/share/ca-certificates/{name}.crt"),
        };
        stand_for(judge, recipe, (&path, "this certificate"), &ImagePath::made(file), certificate.pem());
        let Certificate { subject, issuer, not_before, not_after, sha256, .. } = certificate;
        recipe.authorities.push(Authority { name, subject, issuer, sha256, not_before, not_after });
    }
}

/// The certificate, and the key that gives it.
fn certificate(judge: &mut Judge<'_>, path: &KeyPath, written: &written::CertificateAuthority) -> Option<(KeyPath, Certificate)> {
    let (key, content) = own_content(judge, path, (&written.content, &written.source), "this authority has no certificate")?;
    match Certificate::of_pem(content.bytes()) {
        Ok(certificate) => return Some((key, certificate)),
        Err(error @ NotAnAuthority::PrivateKey) => refuse_private_key(judge, &key, &content, &error.to_string(), error.help()),
        Err(error) => judge.wrong(&key, error.to_string(), error.help()),
    }
    None
}

//! SPDX 2.3 as JSON. Clauses are those of the specification, the names of keys those of its JSON schema (`schemas/spdx-schema.json`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::{Entry, entries, lacks};
use super::identity::{Unique, uuid_of};
use super::maker::{Maker, home_page};
use super::subject::Subject;
use crate::base::digest::Sha256Digest;
use crate::packages::installed::{Installation, Installed};

/// Clause 6.3: the id of the document itself.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
/// The id of the package that is the system.
const SYSTEM: &str = "SPDXRef-OperatingSystem";
/// The value for an unknown property: clauses 7.7, 7.13, 7.15, 7.17.
const NO_ASSERTION: &str = "NOASSERTION";
/// Clause 6.5: the beginning of namespaces for makers without their own site. The address need not exist.
const NAMESPACES: &str = "https://spdx.org/spdxdocs";

/// Clause 6: the document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// 6.1.
    spdx_version: &'static str,
    /// 6.2.
    data_license: &'static str,
    /// 6.3.
    #[serde(rename = "SPDXID")]
    id: &'static str,
    /// 6.4.
    name: String,
    /// 6.5.
    document_namespace: String,
    /// 6.7 to 6.10.
    creation_info: CreationInfo,
    /// 6.11.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// 7.
    packages: Vec<Package>,
    /// 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicense>,
    /// 11.
    relationships: Vec<Relationship>,
}

/// Who made the document, and when.
#[derive(Debug, Serialize)]
struct CreationInfo {
    /// 6.8.
    creators: [String; 1],
    /// 6.9: `YYYY-MM-DDThh:mm:ssZ`.
    created: String,
}

/// Clause 7: a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    /// 7.1.
    name: String,
    /// 7.2: unique in the document, of letters, digits, `.` and `-` behind `SPDXRef-`.
    #[serde(rename = "SPDXID")]
    id: String,
    /// 7.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<String>,
    /// 7.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<String>,
    /// 7.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<String>,
    /// 7.7: required.
    download_location: &'static str,
    /// 7.8: files are not listed; otherwise a verification code of them would be required.
    files_analyzed: bool,
    /// 7.10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    /// 7.11.
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    /// 7.12.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    /// 7.13. This and the next two were required until SPDX 2.2, and readers of those versions are still in use.
    license_concluded: &'static str,
    /// 7.15.
    license_declared: String,
    /// 7.17.
    copyright_text: &'static str,
    /// 7.18.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// 7.20.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// 7.21.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalReference>,
    /// 7.24, which has `OPERATING-SYSTEM`; the JSON schema has the word with `_`, which is what readers expect.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
}

/// 7.10: the digest of the file that a package is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: Sha256Digest,
}

/// 7.21 and Annex F.3.5: the package's name in other systems.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalReference {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

/// Clause 10: a licence that is not on the SPDX License List, with the package's text. syft does the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicense {
    /// 10.1: letters, digits, `.` and `-` behind `LicenseRef-`.
    license_id: String,
    /// 10.2.
    extracted_text: String,
    /// 10.3.
    name: String,
    /// 10.5.
    comment: &'static str,
}

/// Clause 11: how two elements belong together.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: &'static str,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The bill as an SPDX document: JSON that ends with a line end.
///
/// # Errors
/// It cannot be serialised.
pub fn spdx(subject: &Subject, installation: &Installation) -> serde_json::Result<String> {
    let mut document = document(subject, installation);
    let name: String = percent_encoding::utf8_percent_encode(&subject.name, percent_encoding::NON_ALPHANUMERIC).collect();
    document.document_namespace = format!("{NAMESPACES}/{name}-{}", uuid_of(&document, "SPDX document")?);
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// All but the namespace.
fn document(subject: &Subject, installation: &Installation) -> Document {
    let (mut ids, mut licenses) = (Unique::default(), BTreeMap::new());
    let entries = entries(&subject.system, installation);
    let mut packages = vec![system(subject)];
    packages.extend(entries.iter().map(|entry| package(entry, &mut ids, &mut licenses)));
    let mut relationships = vec![Relationship::new(DOCUMENT, "DESCRIBES", SYSTEM)];
    relationships.extend(packages.iter().skip(1).map(|package| Relationship::new(SYSTEM, "CONTAINS", &package.id)));
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: subject.name.clone(),
        document_namespace: String::new(),
        creation_info: CreationInfo {
            creators: [concat!("Tool: goldsmith-", env!("CARGO_PKG_VERSION")).to_owned()],
            created: subject.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        },
        comment: lacks(installation),
        packages,
        has_extracted_licensing_infos: licenses.into_iter().map(|(id, text)| ExtractedLicense::new(id, text)).collect(),
        relationships,
    }
}

/// The system, which is the content of the image's file. So the file name and the digest are those of this package.
fn system(subject: &Subject) -> Package {
    Package {
        version_info: subject.system.version.clone(),
        package_file_name: Some(subject.name.clone()),
        checksums: subject.sha256.iter().map(|digest| Checksum { algorithm: "SHA256", checksum_value: *digest }).collect(),
        summary: Some(subject.system.pretty_name.clone()),
        primary_package_purpose: Some("OPERATING_SYSTEM"),
        ..Package::new(subject.system.id.clone(), SYSTEM.to_owned())
    }
}

fn package(entry: &Entry<'_>, ids: &mut Unique, licenses: &mut BTreeMap<String, String>) -> Package {
    let package = entry.package;
    // OK to default: a pseudo package has no architecture.
    let id = format!("SPDXRef-Package-{}-{}-{}", package.name, package.version, package.architecture.as_deref().unwrap_or_default());
    let id: String = id.chars().map(|char| if char.is_ascii_alphanumeric() || char == '.' { char } else { '-' }).collect();
    let license = entry.license.as_ref().map(|license| license.spdx(licenses));
    Package {
        version_info: (!package.version.is_empty()).then(|| package.version.clone()),
        supplier: supplier(package),
        homepage: home_page(package).map(str::to_owned),
        source_info: source(package),
        license_declared: license.unwrap_or_else(|| NO_ASSERTION.to_owned()),
        summary: package.summary.clone(),
        comment: entry.half_way().map(|state| format!("Not wholly installed: dpkg has it as {state}.")),
        external_refs: vec![ExternalReference {
            reference_category: "PACKAGE-MANAGER",
            reference_type: "purl",
            reference_locator: entry.purl.clone(),
        }],
        ..Package::new(package.name.clone(), ids.give(id.trim_end_matches('-')))
    }
}

/// 7.5, the distributor: rpm's vendor is an organization. Without a vendor the packager is given, as a person, as syft does: SPDX has no
/// third kind.
fn supplier(package: &Installed) -> Option<String> {
    let actor = |kind: &str, text: &str| {
        let Maker { name, email } = Maker::of(text)?;
        Some(match email {
            Some(email) => format!("{kind}: {name} ({email})"),
            // A text in the last parentheses would be read as an address.
            None if name.contains(['(', ')']) => format!("{kind}: {name} ()"),
            None => format!("{kind}: {name}"),
        })
    };
    let vendor = package.vendor.as_deref().and_then(|vendor| actor("Organization", vendor));
    vendor.or_else(|| actor("Person", package.maintainer.as_deref()?))
}

/// 7.12: what it was built from.
fn source(package: &Installed) -> Option<String> {
    let source = package.source.as_ref()?;
    let version = package.source_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    Some(format!("built from {source}{version}"))
}

impl Package {
    /// A package with only a name.
    fn new(name: String, id: String) -> Self {
        Self {
            name,
            id,
            version_info: None,
            package_file_name: None,
            supplier: None,
            download_location: NO_ASSERTION,
            files_analyzed: false,
            checksums: Vec::new(),
            homepage: None,
            source_info: None,
            license_concluded: NO_ASSERTION,
            license_declared: NO_ASSERTION.to_owned(),
            copyright_text: NO_ASSERTION,
            summary: None,
            comment: None,
            external_refs: Vec::new(),
            primary_package_purpose: None,
        }
    }
}

impl ExtractedLicense {
    fn new(license_id: String, text: String) -> Self {
        let comment = "What the package says of its licence, whose text is not in the package database.";
        Self { license_id, extracted_text: text.clone(), name: text, comment }
    }
}

impl Relationship {
    fn new(from: &'static str, relationship_type: &'static str, to: &str) -> Self {
        Self { spdx_element_id: from, relationship_type, related_spdx_element: to.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::installed::Format;
    use crate::sbom::System;

    /// A database may have any bytes in its names, and an entry twice.
    #[test]
    fn ids_are_unique_and_of_the_allowed_characters() {
        let package = |name: &str| Installed { name: name.into(), version: "1:2~b".into(), ..Installed::default() };
        let packages = ["a+b", "a b", "a-b", "a-b", "\u{1b}[31m", "ü", ""].map(package).into();
        let installation = Installation { format: Format::Sqlite, packages, others: Vec::new(), damaged: Vec::new() };
        let system = System::new("centos", "7", "CentOS");
        let subject = Subject { name: "a b/c#d.qcow2".into(), sha256: None, system, created: jiff::Timestamp::UNIX_EPOCH };
        let made = document(&subject, &installation);
        let ids: std::collections::HashSet<_> = made.packages.iter().map(|package| &package.id).collect();
        assert_eq!(ids.len(), 8);
        for id in ids {
            let rest = id.strip_prefix("SPDXRef-").unwrap();
            assert!(!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{id}");
        }
        let text = spdx(&subject, &installation).unwrap();
        assert!(text.contains("\"https://spdx.org/spdxdocs/a%20b%2Fc%23d%2Eqcow2-"), "{text}");
        assert!(text.contains("\"created\": \"1970-01-01T00:00:00Z\""));
    }
}

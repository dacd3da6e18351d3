//! CycloneDX 1.6 as JSON (ECMA-424). Names are those of its JSON schema, `bom-1.6.schema.json`.

use serde::Serialize;

use super::entry::{Entry, entries, lacks};
use super::identity::{Unique, uuid_of};
use super::license::one_line;
use super::maker::home_page;
use super::subject::Subject;
use crate::base::digest::Sha256Digest;
use crate::packages::installed::Installation;

/// The reference to the system.
const SYSTEM: &str = "operating-system";

/// The document: `bom`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    /// `urn:uuid:` and a UUID.
    serial_number: String,
    /// The version of this document: there is only one.
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compositions: Option<[Composition; 1]>,
}

/// `metadata`.
#[derive(Debug, Serialize)]
struct Metadata {
    /// RFC 3339.
    timestamp: String,
    tools: Tools,
    component: Component,
}

/// `metadata.tools`, in the form that is not deprecated.
#[derive(Debug, Serialize)]
struct Tools {
    components: [Component; 1],
}

/// `component`. Required are `type` and `name`; all of `components` must differ.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    r#type: &'static str,
    /// Unique in the document.
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    bom_ref: Option<String>,
    /// Its distributor.
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<Supplier>,
    /// Its publisher.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licenses: Option<[LicenseChoice; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_references: Option<[ExternalReference; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

/// `organizationalEntity`.
#[derive(Debug, Serialize)]
struct Supplier {
    name: String,
}

/// `hash`.
#[derive(Debug, Serialize)]
struct Hash {
    alg: &'static str,
    content: Sha256Digest,
}

/// `licenseChoice`: an SPDX expression, or a license with a name. Both are declared by the package's maker.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum LicenseChoice {
    Expression { expression: String, acknowledgement: &'static str },
    Named { license: NamedLicense },
}

/// `license`.
#[derive(Debug, Serialize)]
struct NamedLicense {
    name: String,
    acknowledgement: &'static str,
}

/// `externalReference`.
#[derive(Debug, Serialize)]
struct ExternalReference {
    r#type: &'static str,
    url: String,
}

/// `property`: data for which the format has no field. The names are defined by goldsmith.
#[derive(Debug, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

/// `compositions`: how complete the list is.
#[derive(Debug, Serialize)]
struct Composition {
    aggregate: &'static str,
    assemblies: [&'static str; 1],
}

/// The bill as a CycloneDX document: JSON that ends with a line end.
///
/// # Errors
/// It cannot be serialised.
pub fn cyclonedx(subject: &Subject, installation: &Installation) -> serde_json::Result<String> {
    let mut references = Unique::default();
    let entries = entries(&subject.system, installation);
    let mut bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: String::new(),
        version: 1,
        metadata: Metadata {
            timestamp: subject.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            tools: Tools { components: [tool()] },
            component: system(subject, installation),
        },
        components: entries.iter().map(|entry| component(entry, &mut references)).collect(),
        compositions: lacks(installation).map(|_| [Composition { aggregate: "incomplete", assemblies: [SYSTEM] }]),
    };
    bom.serial_number = format!("urn:uuid:{}", uuid_of(&bom, "CycloneDX document")?);
    Ok(serde_json::to_string_pretty(&bom)? + "\n")
}

fn tool() -> Component {
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    Component { r#type: "application", name: "goldsmith".into(), version, ..Component::default() }
}

fn system(subject: &Subject, installation: &Installation) -> Component {
    let properties = [("goldsmith:image", Some(subject.name.clone())), ("goldsmith:incomplete", lacks(installation))];
    Component {
        r#type: "operating-system",
        bom_ref: Some(SYSTEM.to_owned()),
        name: subject.system.id.clone(),
        version: subject.system.version.clone(),
        description: Some(subject.system.pretty_name.clone()),
        hashes: subject.sha256.iter().map(|digest| Hash { alg: "SHA-256", content: *digest }).collect(),
        properties: known(properties),
        ..Component::default()
    }
}

fn component(entry: &Entry<'_>, references: &mut Unique) -> Component {
    let package = entry.package;
    let license = |license: &super::license::License| {
        let (text, acknowledgement) = (license.text.clone(), "declared");
        [if license.is_expression {
            LicenseChoice::Expression { expression: text, acknowledgement }
        } else {
            LicenseChoice::Named { license: NamedLicense { name: text, acknowledgement } }
        }]
    };
    let source = package.source.as_ref().map(|source| {
        let version = package.source_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{source}{version}")
    });
    let installed_at = package.installed_at.and_then(|seconds| jiff::Timestamp::from_second(seconds.try_into().ok()?).ok());
    Component {
        r#type: "library",
        bom_ref: Some(references.give(&entry.purl)),
        supplier: package.vendor.as_deref().and_then(one_line).map(|name| Supplier { name }),
        publisher: package.maintainer.as_deref().and_then(one_line),
        name: package.name.clone(),
        version: (!package.version.is_empty()).then(|| package.version.clone()),
        description: package.summary.clone(),
        hashes: Vec::new(),
        licenses: entry.license.as_ref().map(license),
        purl: Some(entry.purl.clone()),
        external_references: home_page(package).map(|url| [ExternalReference { r#type: "website", url: url.to_owned() }]),
        properties: known([
            ("goldsmith:source", source),
            ("goldsmith:installed-size", package.installed_size.map(|bytes| bytes.to_string())),
            ("goldsmith:installed-at", installed_at.map(|time| time.to_string())),
            ("goldsmith:signed-by", package.signed_by.clone()),
            ("goldsmith:state", entry.half_way().map(str::to_owned)),
        ]),
    }
}

/// The properties that have a value.
fn known<const N: usize>(properties: [(&'static str, Option<String>); N]) -> Vec<Property> {
    properties.into_iter().filter_map(|(name, value)| Some(Property { name, value: value? })).collect()
}

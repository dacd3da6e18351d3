//! Findings as SARIF 2.1.0, which code scanning and editors read.
//!
//! Static Analysis Results Interchange Format (SARIF) Version 2.1.0, OASIS Standard, errata 01 of 2023. `schema` names its JSON schema; the
//! tests validate the text with it.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Map, Value, json};

use super::findings::{Checked, Finding};
use crate::kickstart::{Lint, Severity};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The characters that need no escape in the path of a URI: the unreserved characters (RFC 3986, 2.3) and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The rules that are not lints: their id, their text and their severity.
const PARSER_RULES: [(&str, &str, Severity); 2] = [
    ("refused", "The installer of CentOS 7.5 refuses the file because of this", Severity::Error),
    ("passed-over", "The installer of CentOS 7.5 takes the file, and warns of this or ignores it", Severity::Warning),
];

/// One run over `files`, as a document.
pub(super) fn document(files: &[Checked]) -> Value {
    let results = files.iter().flat_map(|checked| checked.findings().into_iter().map(|found| result(checked, &found)));
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "goldsmith", "version": env!("CARGO_PKG_VERSION"), "rules": rules()}},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// Every rule, in the order of [`rule_index`].
fn rules() -> Vec<Value> {
    let parser = PARSER_RULES.iter().map(|(id, what, severity)| {
        json!({"id": id, "shortDescription": {"text": what}, "defaultConfiguration": {"level": severity.to_string()}})
    });
    let lints = Lint::all().map(|lint| {
        json!({
            "id": lint.id,
            "shortDescription": {"text": lint.what},
            "fullDescription": {"text": lint.why},
            "help": {"text": format!("{}\nsource: {}", lint.remedy, lint.source)},
            "defaultConfiguration": {"level": "warning"},
        })
    });
    parser.chain(lints).collect()
}

fn result(checked: &Checked, found: &Finding<'_>) -> Value {
    let id = match (found.lint, found.severity) {
        (Some(lint), _) => lint.id,
        (None, severity) => PARSER_RULES.iter().find(|(_, _, of)| *of == severity).map_or("refused", |(id, ..)| id),
    };
    let why = found.lint.map(|lint| format!("\nwhy: {}", lint.why)).unwrap_or_default();
    let help = found.help.map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let mut location = Map::from_iter([("artifactLocation".to_owned(), json!({"uri": uri(checked.path_of(found.file))}))]);
    if let Some(place) = found.place {
        let region = json!({
            "startLine": place.line,
            "startColumn": place.column,
            "endColumn": place.column + place.length,
        });
        location.insert("region".to_owned(), region);
    }
    json!({
        "ruleId": id,
        "ruleIndex": rule_index(id),
        "level": found.severity.to_string(),
        "message": {"text": format!("{}{why}{help}", found.message)},
        "locations": [{"physicalLocation": location}],
    })
}

fn rule_index(id: &str) -> Option<usize> {
    PARSER_RULES.iter().map(|(id, ..)| *id).chain(Lint::all().map(|lint| lint.id)).position(|other| other == id)
}

/// `path` as a URI: relative when the path is.
fn uri(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path);
    let encoded = percent_encode(path.as_os_str().as_encoded_bytes(), PATH).to_string();
    // Two slashes at the start of a path would begin a host.
    if path.is_absolute() { format!("file:///{}", encoded.trim_start_matches('/')) } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        for (path, expected) in [
            ("ks.cfg", "ks.cfg"),
            ("./a b/ks#1?.cfg", "a%20b/ks%231%3F.cfg"),
            ("../http:x", "../http%3Ax"),
            ("ä%.ks", "%C3%A4%25.ks"),
            ("//tmp/ks", "file:///tmp/ks"),
            ("-", "-"),
        ] {
            assert_eq!(uri(Path::new(path)), expected);
        }
    }
}

//! Licences as packages name them.

use std::collections::BTreeMap;

use spdx::{Expression, LicenseItem};

use crate::base::digest::Sha256Digest;

/// Bytes of an expression, at most; a longer text is quoted.
const EXPRESSION_BYTES: usize = 4096;
/// Characters of a licence's own words in an id that is made of them, at most.
const WORDS: usize = 40;

/// The licence of a package, as it states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct License {
    /// As the package says it, in one line.
    pub(super) text: String,
    /// Whether that is an expression of SPDX (SPDX 2.3, Annex D).
    pub(super) is_expression: bool,
    /// The references in the expression, which a document must define: Fedora has `LicenseRef-Fedora-Public-Domain`.
    references: Vec<String>,
}

impl License {
    /// Read the text of a package.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = one_line(text)?;
        let references = references(&text);
        Some(Self { is_expression: references.is_some(), references: references.unwrap_or_default(), text })
    }

    /// In SPDX: the expression, or a reference to the text (SPDX 2.3, clause 10.1), which `references` collects by its id. The id is the
    /// same in every document.
    pub(super) fn spdx(&self, references: &mut BTreeMap<String, String>) -> String {
        if self.is_expression {
            // The meaning of a reference is defined by the distribution, not in the package.
            references.extend(self.references.iter().map(|id| (id.clone(), id.clone())));
            return self.text.clone();
        }
        let word: String = self.text.chars().map(|char| if char.is_ascii_alphanumeric() || char == '.' { char } else { ' ' }).collect();
        let mut word = word.split_whitespace().collect::<Vec<_>>().join("-");
        word.truncate(WORDS);
        let id = format!("LicenseRef-{word}-{}", Sha256Digest::of(self.text.as_bytes()).short());
        references.insert(id.clone(), self.text.clone());
        id
    }
}

/// `text` with single spaces between its words and no line end; None when it has no word.
pub(super) fn one_line(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// The references in `text`, if it is an expression of ids that are on the SPDX License List and not deprecated, with their own cases and the operators
/// in capitals, as Annex D.2 has it. `ASL 2.0 and (GPLv2+ or MIT)` is not an expression: the older names of Fedora and EL are not on the
/// list, even where they look similar and are joined by `and`. References to other documents are not accepted: there are no other
/// documents.
fn references(text: &str) -> Option<Vec<String>> {
    // The parser accepts operators in small letters, and NOASSERTION as a licence.
    let is_foreign = |word: &str| ["and", "or", "with", "NOASSERTION"].contains(&word);
    if text.len() > EXPRESSION_BYTES || !text.is_ascii() || text.contains(':') || text.split([' ', '(', ')']).any(is_foreign) {
        return None;
    }
    let expression = Expression::parse(text).ok()?;
    let mut references = Vec::new();
    for requirement in expression.requirements() {
        if let LicenseItem::Other(other) = &requirement.req.license {
            references.push(format!("LicenseRef-{}", Some(&other.lic_ref).filter(|name| !name.is_empty())?));
        }
        // SPDX 2.3 allows no reference after WITH.
        if matches!(requirement.req.addition, Some(spdx::AdditionItem::Other(_))) {
            return None;
        }
    }
    Some(references)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_expression_are_quoted_under_an_id_of_their_own() {
        let mut references = BTreeMap::new();
        let mut id = |text: &str| License::of(text).unwrap().spdx(&mut references);
        let long = "x".repeat(1000);
        let ids = ["GPLv2", "GPLv2+", "ASL 2.0  and\n (GPLv2+ or MIT)", "Müll", "+++", &long].map(&mut id);
        assert!(ids[2].starts_with("LicenseRef-ASL-2.0-and-GPLv2-or-MIT-"), "{}", ids[2]);
        for id in &ids {
            let rest = id.strip_prefix("LicenseRef-").unwrap();
            assert!(rest.len() < 60 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{id}");
        }
        assert_eq!(references.len(), ids.len());
        assert_eq!(references[&ids[2]], "ASL 2.0 and (GPLv2+ or MIT)");
        assert_eq!(License::of(" \n"), None);
    }

    #[test]
    fn only_expressions_of_the_list_are_taken_for_such() {
        for (text, expected) in [
            ("MIT", Some(&[][..])),
            ("GPL-2.0-or-later WITH Classpath-exception-2.0 AND (MIT OR Apache-2.0+)", Some(&[])),
            ("MIT AND LicenseRef-Fedora-Public-Domain", Some(&["LicenseRef-Fedora-Public-Domain"])),
            ("MIT and Zlib", None),
            ("mit", None),
            ("BSD", None),
            ("GPLv2+", None),
            ("GPL-2.0", None),
            ("ASL 2.0 and (GPLv2+ or MIT)", None),
            ("MIT AND", None),
            ("((MIT)", None),
            ("LicenseRef-", None),
            ("DocumentRef-x:LicenseRef-y", None),
            ("MIT WITH AdditionRef-x", None),
            ("NOASSERTION", None),
            ("NONE", None),
            ("MIT\u{e9}", None),
        ] {
            let found = references(text);
            assert_eq!(
                found.as_deref(),
                expected.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text}"
            );
        }
        let mut defined = BTreeMap::new();
        assert_eq!(License::of("MIT OR  LicenseRef-a").unwrap().spdx(&mut defined), "MIT OR LicenseRef-a");
        assert_eq!(defined, BTreeMap::from([("LicenseRef-a".to_owned(), "LicenseRef-a".to_owned())]));
    }

    /// The parser is from a crate: it must not panic, whatever a package says.
    #[test]
    fn no_words_make_it_panic() {
        let words = [
            "MIT",
            "AND",
            "OR",
            "WITH",
            "(",
            ")",
            "+",
            "GPL-2.0-only",
            "Classpath-exception-2.0",
            "LicenseRef-a",
            "-",
            ".",
            "AdditionRef-x",
            ",",
        ];
        let mut seed = 1_u64;
        let mut accepted = 0;
        for round in 0..20_000 {
            let mut text = String::new();
            for _ in 0..=round % 8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let bits = usize::try_from(seed >> 40).unwrap();
                text += words[bits % words.len()];
                text += if bits & 0x10_0000 == 0 { " " } else { "" };
            }
            accepted += usize::from(references(&text).is_some());
        }
        assert!(accepted > 0);
        assert_eq!(references(&"(".repeat(EXPRESSION_BYTES)), None);
    }
}

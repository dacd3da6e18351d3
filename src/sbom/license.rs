//! Licences as packages name them.

use std::collections::BTreeMap;

use crate::base::digest::Sha256Digest;

/// Characters of a licence's own words in an id that is made of them, at most.
const WORDS: usize = 40;

/// What a package says of its licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct License {
    /// As the package says it, in one line.
    pub(super) text: String,
    /// An expression of ids of the SPDX License List (SPDX 2.3, Annex D), when it is one.
    pub(super) is_expression: bool,
}

impl License {
    /// Of the words of a package.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = one_line(text)?;
        Some(Self { is_expression: is_expression(&text), text })
    }

    /// As SPDX has it: the expression, or a reference to the words (SPDX 2.3, clause 10.1), which `references` collects by its id. The id is the
    /// same in every document.
    pub(super) fn spdx(&self, references: &mut BTreeMap<String, String>) -> String {
        if self.is_expression {
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

fn is_expression(_text: &str) -> bool {
    false
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
}

//! Identifiers that are computed from what they identify.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::base::digest::Sha256Digest;
use crate::base::uuid::Uuid;

/// The UUID of a document, from its content: `document` is the document before it has the UUID, `what` the kind of document.
///
/// # Errors
/// The document cannot be serialised.
pub(super) fn uuid_of(document: &impl Serialize, what: &str) -> serde_json::Result<Uuid> {
    Ok(Uuid::derived(&Sha256Digest::of(&serde_json::to_vec(document)?), what))
}

/// Makes texts unique.
#[derive(Debug, Default)]
pub(super) struct Unique {
    given: HashSet<String>,
    /// How often each text was asked for.
    asked: HashMap<String, usize>,
}

impl Unique {
    /// `text`, or when that was given before, `text-2` and so on.
    pub(super) fn give(&mut self, text: &str) -> String {
        let asked = self.asked.entry(text.to_owned()).or_default();
        loop {
            *asked += 1;
            let text = if *asked == 1 { text.to_owned() } else { format!("{text}-{asked}") };
            if self.given.insert(text.clone()) {
                return text;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_given_twice() {
        let mut unique = Unique::default();
        let given = ["a", "a-2", "a", "a", "a-2"].map(|text| unique.give(text));
        assert_eq!(given, ["a", "a-2", "a-3", "a-4", "a-2-2"]);
    }
}

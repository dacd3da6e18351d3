//! Ids of package repositories. Pure.

use super::fault::Fault;
use super::word::{ensure, or_one_of, spelled, word};

word! {
    /// The id of a repository: a section of a `.repo` file (yum.conf(5)), a word of a kickstart, and a part of file names.
    RepositoryId, repository_id
}

fn repository_id(text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 64 && spelled(text, or_one_of(b""), or_one_of(b"._-"));
    ensure(fits, text, "a repository id", "use letters, digits, `.`, `-` and `_`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words() {
        for text in ["base", "docker-ce.stable", "7_5"] {
            assert_eq!(text.parse::<RepositoryId>().unwrap(), text);
        }
        for text in ["", "-a", ".a", "a b", "a]", "a/b", "é", &"a".repeat(65)] {
            assert!(text.parse::<RepositoryId>().is_err(), "{text}");
        }
    }
}

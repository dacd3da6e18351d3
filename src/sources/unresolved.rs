//! All errors of a recipe's inputs, reported at once.

use super::{Resolved, SourceError};
use crate::base::failure::{Class, Failure, Finding};
use crate::base::text::counted;

/// Inputs cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Unresolved {
    /// The inputs that can be used.
    pub found: Box<Resolved>,
    /// The errors of the others, in the order of the recipe; at least one.
    pub errors: Vec<SourceError>,
}

impl Unresolved {
    fn text(&self) -> String {
        match &self.errors[..] {
            [only] => only.to_string(),
            errors => {
                let list: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
                format!("{} cannot be used:{}", counted(errors.len(), "input"), list.concat())
            }
        }
    }
}

impl Failure for Unresolved {
    /// The user should first fix the recipe, then the inputs, then the host.
    fn class(&self) -> Class {
        let rank = |class: &Class| match class {
            Class::Usage => 0,
            Class::Input => 1,
            _ => 2,
        };
        self.errors.iter().map(Failure::class).min_by_key(rank).unwrap_or(Class::Bug)
    }

    fn remedy(&self) -> Option<String> {
        let mut remedies: Vec<String> = self.errors.iter().filter_map(Failure::remedy).collect();
        remedies.dedup();
        (!remedies.is_empty()).then(|| remedies.join("; "))
    }

    fn findings(&self) -> Vec<Finding> {
        self.errors.iter().flat_map(Failure::findings).collect()
    }

    fn evidence(&self) -> Vec<String> {
        self.errors.iter().flat_map(Failure::evidence).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn one_speaks_for_itself_and_several_are_listed() {
        let missing = |what: &str| SourceError::Missing { what: what.into(), key: "k".into(), path: None, sha256: None };
        let full = || SourceError::Scratch { path: "x".into(), source: io::ErrorKind::StorageFull.into() };
        let of = |errors| Unresolved { found: Box::default(), errors };
        let one = of(vec![full()]);
        assert_eq!((one.to_string(), one.class(), one.remedy()), (full().to_string(), Class::Host, full().remedy()));
        let two = of(vec![full(), missing("a")]);
        assert_eq!(two.to_string(), format!("2 inputs cannot be used:\n  {}\n  {}", full(), missing("a")));
        assert_eq!((two.class(), two.remedy().unwrap().matches("; ").count()), (Class::Input, 1));
        assert_eq!(of(vec![missing("a"), missing("b")]).remedy(), missing("a").remedy());
    }
}

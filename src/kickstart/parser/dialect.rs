//! The dialect of the parser. This is the only place that chooses the tables of RHEL 7; another release would choose its tables here.

use super::spec::CommandSpec;
use super::{storage, system};

pub(super) use super::system::{ANACONDA, PACKAGES, POST, REALM_JOIN, SCRIPT};

/// Every command of the dialect (`commandMap` of pykickstart/handlers/rhel7.py).
pub(super) fn commands() -> impl Iterator<Item = &'static CommandSpec> {
    storage::COMMANDS.iter().chain(system::COMMANDS)
}

/// The command of that name.
pub(super) fn command(name: &str) -> Option<&'static CommandSpec> {
    commands().find(|spec| spec.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::super::spec::Rule;
    use super::*;

    #[test]
    fn names_are_unique_and_rules_speak_of_options_that_exist() {
        let mut names: Vec<_> = commands().flat_map(|spec| spec.names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(count, 67, "commands of handlers/rhel7.py");
        for spec in commands() {
            let mut options: Vec<_> = spec.options.iter().flat_map(|option| option.names).collect();
            let count = options.len();
            options.sort_unstable();
            options.dedup();
            assert_eq!(options.len(), count, "{:?}", spec.names);
            assert!(options.iter().all(|name| name.starts_with("--")), "{:?}", spec.names);
            let known = |name: &&str| spec.options.iter().any(|option| option.names[0] == format!("--{name}"));
            for rule in spec.rules {
                let named: Vec<&str> = match rule {
                    Rule::NotBoth(a, b) | Rule::Needs(a, b) => vec![a, b],
                    Rule::AnyNeeds(some, one) => some.iter().copied().chain([*one]).collect(),
                    Rule::OneOf(some) => some.to_vec(),
                    Rule::Custom(_) => vec![],
                };
                assert!(named.iter().all(known), "{:?}: {named:?}", spec.names);
            }
            assert!(spec.conflicts.iter().all(|other| command(other).is_some_and(|other_spec| other_spec.names[0] == *other)));
        }
    }
}

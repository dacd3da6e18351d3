//! Names of systemd's units. Pure.

use super::fault::Fault;
use super::word::{ensure, or_one_of, spelled, word};

word! {
    /// A unit's name, with or without its suffix (systemd.unit(5)).
    UnitName, unit
}

fn unit(text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 255 && spelled(text, or_one_of(b"_"), or_one_of(b":_.@-\\"));
    ensure(fits, text, "a systemd unit", "write the unit's name, like \"docker\" or \"docker.socket\"")
}

impl UnitName {
    /// The name with its suffix.
    pub fn full(&self) -> String {
        full_name(self)
    }
}

/// A unit's name with its suffix (systemctl(1): a name without one is a service's).
pub fn full_name(unit: &str) -> String {
    const SUFFIXES: [&str; 11] = ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];
    match unit.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => unit.to_owned(),
        _ => format!("{unit}.service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_units_suffix_is_a_services() {
        for (name, full) in [("docker", "docker.service"), ("docker.socket", "docker.socket"), ("a.b", "a.b.service")] {
            assert_eq!(name.parse::<UnitName>().unwrap().full(), full);
        }
    }

    #[test]
    fn names_of_units() {
        for name in ["docker", "docker.socket", "getty@tty1.service"] {
            assert!(name.parse::<UnitName>().is_ok(), "{name}");
        }
        for name in ["", "-x", "a b", "a/b", "a;b", "a\n"] {
            assert!(name.parse::<UnitName>().is_err(), "{name}");
        }
    }
}

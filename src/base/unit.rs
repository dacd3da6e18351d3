//! Names of systemd's units. Pure.

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
            assert_eq!(full_name(name), full);
        }
    }
}

//! Units, programs and kernel modules among the files of packages. A recipe may name them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::unit::full_name;

/// Where packages put unit files; Debian 12 has them below `/lib`, EL7 and newer suites below `/usr/lib` (systemd.unit(5)).
const UNITS: [&str; 2] = ["lib/systemd/system/", "usr/lib/systemd/system/"];
/// Where packages put init scripts.
const INIT_SCRIPTS: [&str; 2] = ["etc/init.d/", "etc/rc.d/init.d/"];
/// Where packages put programs. `/bin` and `/sbin` are links to the others, or become some (usrmerge).
const PROGRAMS: [&str; 4] = ["bin/", "sbin/", "usr/bin/", "usr/sbin/"];
/// Where kernels put their modules, as `RELEASE/kernel/…/NAME.ko`, compressed or not.
const MODULES: [&str; 2] = ["lib/modules/", "usr/lib/modules/"];

/// Names that packages bring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// Units, with their suffix; an init script counts as the service that systemd makes of it.
    pub units: BTreeSet<String>,
    /// Programs, as paths without `/usr`: `/bin/bash`.
    pub programs: BTreeSet<String>,
    /// Programs of packages that are not chosen, each as in `programs` and with the first of its packages.
    pub elsewhere: BTreeMap<String, String>,
    /// Kernel modules, with `_` for `-`. What is built into a kernel is not among them.
    pub modules: BTreeSet<String>,
    /// Repositories without a list of files: it is not known what their packages bring.
    #[serde(default)]
    pub unlisted: Vec<String>,
}

impl Brought {
    /// Whether a path is that of a unit, program or module. It has no slash at its beginning.
    pub fn counts(path: &str) -> bool {
        [&UNITS[..], &INIT_SCRIPTS, &PROGRAMS, &MODULES].iter().any(|places| below(places, path).is_some())
    }

    /// Add a file of a package, with or without a slash at its beginning.
    pub fn add(&mut self, path: &str) {
        let path = path.trim_start_matches('/');
        if let Some(unit) = below(&UNITS, path).filter(|unit| !unit.contains('/')) {
            self.units.insert(unit.to_owned());
        } else if let Some(script) = below(&INIT_SCRIPTS, path).filter(|script| !script.contains('/')) {
            self.units.insert(format!("{script}.service"));
        } else if let Some(module) = below(&MODULES, path).and_then(module) {
            self.modules.insert(module);
        } else if let Some(program) = Self::program(path) {
            self.programs.insert(program);
        }
    }

    /// Add a file of a package that is not chosen.
    pub fn add_elsewhere(&mut self, path: &str, package: &str) {
        if let Some(program) = Self::program(path) {
            self.elsewhere.entry(program).or_insert_with(|| package.to_owned());
        }
    }

    /// The path of a program, as in `programs`. `None` for other paths.
    pub fn program(path: &str) -> Option<String> {
        let path = path.trim_start_matches('/');
        let name = PROGRAMS.iter().find_map(|place| path.strip_prefix(place)).filter(|name| !name.is_empty() && !name.contains('/'));
        name.map(|_| format!("/{}", path.strip_prefix("usr/").unwrap_or(path)))
    }

    /// Whether a unit is there, with or without its suffix; an instance is when its template is.
    pub fn has_unit(&self, unit: &str) -> bool {
        let unit = full_name(unit);
        let template = unit.split_once('@').zip(unit.rsplit_once('.')).map(|((name, _), (_, suffix))| format!("{name}@.{suffix}"));
        self.units.contains(&unit) || template.is_some_and(|template| self.units.contains(&template))
    }

    /// Whether a program is there, wherever `/bin` leads.
    pub fn has_program(&self, path: &str) -> bool {
        Self::program(path).is_some_and(|program| self.programs.contains(&program))
    }

    /// A package that is not chosen and that has the program as a file.
    pub fn other_package(&self, path: &str) -> Option<&str> {
        Self::program(path).and_then(|program| self.elsewhere.get(&program)).map(String::as_str)
    }

    /// Whether a module is there as a file.
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.contains(&name.replace('-', "_"))
    }
}

fn below<'p>(places: &[&str], path: &'p str) -> Option<&'p str> {
    places.iter().find_map(|place| path.strip_prefix(place)).filter(|rest| !rest.is_empty())
}

/// The module of a path below [`MODULES`].
fn module(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let name = file.split_once(".ko").filter(|(_, rest)| matches!(*rest, "" | ".xz" | ".gz" | ".zst"))?.0;
    Some(name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_names() {
        let mut brought = Brought::default();
        for path in [
            "lib/systemd/system/docker.service",
            "/usr/lib/systemd/system/getty@.service",
            "/usr/lib/systemd/system/fstrim.timer",
            "lib/systemd/system/basic.target.wants/x.service",
            "/etc/rc.d/init.d/network",
            "usr/bin/zsh",
            "/bin/bash",
            "usr/bin/core_perl/x",
            "/lib/modules/3.10.0-862.el7.x86_64/kernel/net/bridge/br_netfilter.ko.xz",
            "lib/modules/6.1.0-1-cloud-amd64/kernel/drivers/scsi/iscsi-tcp.ko",
            "lib/modules/6.1.0-1-cloud-amd64/modules.builtin",
            "usr/share/doc/x",
        ] {
            brought.add(path);
        }
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(list(&brought.units), "docker.service fstrim.timer getty@.service network.service");
        assert_eq!(list(&brought.programs), "/bin/bash /bin/zsh");
        assert_eq!(list(&brought.modules), "br_netfilter iscsi_tcp");
        for (unit, there) in [
            ("docker", true),
            ("docker.service", true),
            ("docker.socket", false),
            ("getty@tty1", true),
            ("getty@tty1.service", true),
            ("network", true),
            ("fstrim", false),
            ("fstrim.timer", true),
            ("a.b", false),
        ] {
            assert_eq!(brought.has_unit(unit), there, "{unit}");
        }
        assert!(brought.has_program("/usr/bin/bash") && brought.has_program("/bin/zsh") && !brought.has_program("/bin/fish"));
        for (path, package) in
            [("bin/zsh", "zsh"), ("usr/bin/fish", "fish"), ("/usr/bin/fish", "fish-git"), ("usr/share/fish", "fish-common")]
        {
            brought.add_elsewhere(path, package);
        }
        for (path, package) in
            [("/bin/fish", Some("fish")), ("/usr/bin/zsh", Some("zsh")), ("/share/fish", None), ("/usr/local/bin/fish", None)]
        {
            assert_eq!(brought.other_package(path), package, "{path}");
        }
        assert!(brought.has_module("br-netfilter") && brought.has_module("iscsi_tcp") && !brought.has_module("overlay"));
        assert!(Brought::counts("usr/bin/x") && !Brought::counts("usr/share/x") && !Brought::counts("usr/bin/"));
    }
}

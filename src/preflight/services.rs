//! Units and kernel modules that a recipe names and no package brings. Pure.

use super::report::{Area, Row};
use crate::base::unit::UnitName;
use crate::packages::Brought;
use crate::recipe::Recipe;

/// Suffixes of units that systemd makes without a file: of fstab, of devices, for control groups (systemd.unit(5)).
const MADE: [&str; 6] = ["mount", "automount", "swap", "device", "slice", "scope"];
/// Names that units of Debian 12 and EL 7 give themselves when they are enabled (`Alias=` of [Install]): no list of files has them.
const ALIASES: &[&str] = &[
    "sshd.service",
    "mysql.service",
    "mysqld.service",
    "display-manager.service",
    "syslog.service",
    "rpcbind.service",
    "nfs.service",
    "cron.service",
    "ntp.service",
    "autofs.service",
    "dbus-org.freedesktop.network1.service",
    "dbus-org.freedesktop.resolve1.service",
    "dbus-org.freedesktop.timesync1.service",
];
/// Where a unit that the recipe brings itself may be.
const OWN: [&str; 6] = [
    "/etc/systemd/system/",
    "/usr/local/lib/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
    "/etc/init.d/",
    "/etc/rc.d/init.d/",
];
/// How similar a name must be to be suggested (strsim, `jaro_winkler`): clap's own threshold is 0.7, but units have long common endings.
const ALIKE: f64 = 0.8;

/// Whether all units and modules of `recipe` are there, so that no further list need be read.
pub(super) fn has_all(recipe: &Recipe, brought: &Brought) -> bool {
    units(recipe).all(|unit| brought.has_unit(unit) || is_own(recipe, unit))
}

/// Whether the recipe names any unit or module.
pub(super) fn names_any(recipe: &Recipe) -> bool {
    units(recipe).next().is_some() || !recipe.kernel.modules.is_empty()
}

fn units(recipe: &Recipe) -> impl Iterator<Item = &UnitName> {
    recipe.services.enable.iter().chain(&recipe.services.disable)
}

/// Whether a file of the recipe is the unit.
fn is_own(recipe: &Recipe, unit: &UnitName) -> bool {
    let full = unit.full();
    let template = full.split_once('@').zip(full.rsplit_once('.')).map(|((name, _), (_, suffix))| format!("{name}@.{suffix}"));
    let is_it = |name: &str| name == full || template.as_deref() == Some(name) || full.strip_suffix(".service") == Some(name);
    recipe.files.iter().any(|file| OWN.iter().any(|place| file.path.strip_prefix(place).is_some_and(is_it)))
}

/// Rows for the recipe's units and modules that no package brings.
pub(super) fn rows(recipe: &Recipe, brought: &Brought) -> Vec<Row> {
    let missing = |unit: &&UnitName| !brought.has_unit(unit) && !is_own(recipe, unit);
    let enable = recipe.services.enable.iter().filter(missing).map(|unit| {
        let full = unit.full();
        let what = format!("services.enable names {full}, and none of the packages brings it{}", unlisted(brought));
        let suffix = full.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        let perhaps = MADE.contains(&suffix) || ALIASES.contains(&full.as_str()) || !brought.unlisted.is_empty();
        let remedy = alike(&full, brought).unwrap_or_else(|| "correct the name, or install the package that brings it".to_owned());
        if perhaps { Row::warning(Area::Settings, what, Some(remedy)) } else { Row::wrong(Area::Settings, what, Some(remedy)) }
    });
    let disable = recipe.services.disable.iter().filter(missing).map(|unit| {
        let what = format!("services.disable names {}, and none of the packages brings it", unit.full());
        Row::warning(Area::Settings, what, Some("remove it from services.disable".to_owned()))
    });
    let modules = recipe.kernel.modules.iter().filter(|module| !brought.modules.is_empty() && !brought.has_module(module)).map(|module| {
        let what = format!("kernel.modules names {module}, and no kernel that is installed has a file of it");
        Row::warning(Area::Settings, what, Some("correct the name, unless the module is built into the kernel".to_owned()))
    });
    enable.chain(disable).chain(modules).collect()
}

/// A text that packages of repositories without a list may bring it after all.
pub(super) fn unlisted(brought: &Brought) -> String {
    match &brought.unlisted[..] {
        [] => String::new(),
        names => format!(", as far as is known: {} has no list of files", names.join(", ")),
    }
}

/// Another unit that was possibly meant.
fn alike(unit: &str, brought: &Brought) -> Option<String> {
    let (name, suffix) = unit.rsplit_once('.')?;
    let same = brought.units.iter().filter_map(|other| other.strip_suffix(suffix)?.strip_suffix('.'));
    let (score, best) = same.map(|other| (strsim::jaro_winkler(name, other), other)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= ALIKE).then(|| format!("is `{best}` meant? else correct the name, or install the package that brings it"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;

    #[test]
    fn units_and_modules_that_nothing_brings_are_told() {
        let text = r#"
schema = 1
name = "x"
media = { installer = "deploy", distribution = "debian", suite = "bookworm" }
system = { root = "locked" }
services = { enable = ["docker", "dokcer", "own", "getty@tty1", "sshd", "srv-data.mount", "nonsense.timer"], disable = ["gone", "docker.socket"] }
kernel = { modules = ["br-netfilter", "overlay"] }
[[file]]
path = "/etc/systemd/system/own.service"
content = "x"
"#;
        let recipe = recipe(text.to_owned());
        let mut brought = Brought::default();
        for path in ["docker.service", "docker.socket", "getty@.service", "cron.service"] {
            brought.add(&format!("lib/systemd/system/{path}"));
        }
        brought.add("lib/modules/6.1/kernel/net/bridge/br_netfilter.ko");
        assert!(names_any(&recipe) && !has_all(&recipe, &brought));
        let told: Vec<String> = rows(&recipe, &brought).iter().map(|row| format!("{:?}: {}", row.verdict, row.what)).collect();
        assert_eq!(
            told,
            [
                "Wrong: services.enable names dokcer.service, and none of the packages brings it",
                "Warning: services.enable names sshd.service, and none of the packages brings it",
                "Warning: services.enable names srv-data.mount, and none of the packages brings it",
                "Wrong: services.enable names nonsense.timer, and none of the packages brings it",
                "Warning: services.disable names gone.service, and none of the packages brings it",
                "Warning: kernel.modules names overlay, and no kernel that is installed has a file of it",
            ]
        );
        // A repository of the user's own has no list of files, and may bring names that are in no list.
        brought.unlisted.push("repository lab, stable".to_owned());
        let row = rows(&recipe, &brought).remove(0);
        assert_eq!(row.verdict, super::super::report::Verdict::Warning);
        assert!(row.what.ends_with("brings it, as far as is known: repository lab, stable has no list of files"), "{}", row.what);
        brought.unlisted.clear();
        assert!(rows(&recipe, &brought)[0].remedy.as_deref().is_some_and(|remedy| remedy.starts_with("is `docker` meant?")));
    }
}

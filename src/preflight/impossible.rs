//! Checks that contradict the rest of their recipe. Pure.

use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::size::ByteSize;
use crate::base::unit::UnitName;
use crate::closure::Forecast;
use crate::recipe::{CheckKind, DOCKER_ENGINES, FileEntry, Recipe, Toggle};
use crate::verify::is_docker_version;

/// A check that contradicts the rest of the recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Impossible {
    /// The check's name.
    pub check: String,
    /// The setting that contradicts it.
    pub why: String,
    /// Whether the forecast's packages contradict it, not the recipe.
    pub by_packages: bool,
    /// Whether a provision step has a script, which may make it true after all.
    pub perhaps: bool,
}

/// The recipe's checks that cannot be passed: whatever the packages turn out to be, or with those of the forecast.
pub(super) fn impossible(recipe: &Recipe, forecast: Option<&Forecast>) -> Vec<Impossible> {
    let forecast = forecast.filter(|forecast| forecast.refused.is_empty());
    let perhaps = recipe.provision.iter().any(|step| step.script.is_some() || !step.packages.is_empty());
    let contradiction = |kind: &CheckKind| match kind {
        CheckKind::Service { unit, enabled, active, restarting } => service(recipe, unit, *enabled, *active, *restarting),
        CheckKind::Sysctl { key, value } => {
            let set = recipe.kernel.sysctl.get(key).filter(|set| *set != value)?;
            Some(format!("kernel.sysctl sets {key} to {set}, and the check wants {value}"))
        }
        CheckKind::File { path, exists, contains, sha256, mode, owner } => {
            file(recipe, path, *exists, contains.as_deref(), sha256.as_ref()).or_else(|| put(recipe, path, *mode, owner.as_ref()))
        }
        CheckKind::Docker { version, .. } => docker(forecast?, version.as_deref()),
        CheckKind::Package { package: name, version, installed } => package(forecast?, name, version.as_deref(), *installed),
        CheckKind::Swap { active } => swap(recipe, *active),
        CheckKind::Command { .. } | CheckKind::Port { .. } | CheckKind::Http { .. } => None,
    };
    recipe
        .checks
        .iter()
        .filter_map(|check| {
            let by_packages = matches!(check.kind, CheckKind::Docker { .. } | CheckKind::Package { .. });
            Some(Impossible { check: check.name.clone(), why: contradiction(&check.kind)?, by_packages, perhaps })
        })
        .collect()
}

fn service(recipe: &Recipe, unit: &UnitName, enabled: Option<bool>, active: Option<bool>, restarting: bool) -> Option<String> {
    let listed = |units: &[UnitName]| units.iter().any(|listed| listed.full() == unit.full());
    let firewall = recipe.system.firewall == Toggle::Disabled && unit.full() == "firewalld.service";
    if enabled == Some(true) && listed(&recipe.services.disable) {
        return Some(format!("services.disable names {unit}, and the check wants it enabled"));
    }
    if enabled == Some(false) && listed(&recipe.services.enable) {
        return Some(format!("services.enable names {unit}, and the check wants it disabled"));
    }
    if restarting && listed(&recipe.services.disable) {
        return Some(format!("services.disable names {unit}, and the check wants systemd to start it"));
    }
    let wanted = enabled == Some(true) || active == Some(true) || restarting;
    (firewall && wanted).then(|| format!("system.firewall is disabled, and the check wants {unit} to run"))
}

fn swap(recipe: &Recipe, wanted: bool) -> Option<String> {
    match (recipe.disk.swap, wanted) {
        (ByteSize(0), true) => Some("disk.swap is 0, and the check wants swap to be in use".to_owned()),
        (ByteSize(1..), false) => Some(format!("disk.swap is {}, and the check wants no swap", recipe.disk.swap)),
        _ => None,
    }
}

fn file(recipe: &Recipe, path: &str, exists: bool, contains: Option<&str>, sha256: Option<&Sha256Digest>) -> Option<String> {
    let hostname = format!("{}\n", recipe.system.hostname);
    let content = match (entry(recipe, path), path) {
        (Some(entry), _) => Some(entry.content.bytes()),
        (None, "/etc/hostname") => Some(hostname.as_bytes()),
        _ => None,
    }?;
    if !exists {
        return Some(format!("the recipe writes {path}, and the check wants it absent"));
    }
    let has = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    if let Some(text) = contains.filter(|text| !text.is_empty() && !has(text)) {
        return Some(format!("the recipe writes {path}, and not with the `{}` the check wants", text.escape_debug()));
    }
    if sha256.is_some_and(|digest| *digest != Sha256Digest::of(content)) {
        return Some(format!("the recipe writes {path}, and its sha256 is another than the check wants"));
    }
    None
}

/// The file that the recipe puts at `path`.
fn entry<'a>(recipe: &'a Recipe, path: &str) -> Option<&'a FileEntry> {
    recipe.files.iter().rev().find(|entry| entry.path == path)
}

/// The contradiction with the mode and owner of the file that the recipe puts at `path`.
fn put(recipe: &Recipe, path: &str, mode: Option<u32>, owner: Option<&Owner>) -> Option<String> {
    let entry = entry(recipe, path)?;
    if let Some(mode) = mode.filter(|mode| *mode != entry.mode) {
        return Some(format!("the recipe writes {path} with mode {:04o}, and the check wants {mode:04o}", entry.mode));
    }
    let owner = owner.filter(|owner| **owner != entry.owner)?;
    Some(format!("the recipe gives {path} to {}, and the check wants {owner}", entry.owner))
}

fn docker(forecast: &Forecast, wanted: Option<&str>) -> Option<String> {
    let found = DOCKER_ENGINES.iter().find_map(|name| Some((name, forecast.version_of(name)?)));
    let Some((name, version)) = found else { return Some("no package with a Docker Engine will be installed".to_owned()) };
    // The engine tells its version without the package's epoch and release.
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    let engine = without_epoch.rsplit_once('-').map_or(without_epoch, |(engine, _)| engine);
    let wanted = wanted.filter(|wanted| !is_docker_version(engine, wanted))?;
    Some(format!("{name} will be {version}, and the check wants {wanted}"))
}

fn package(forecast: &Forecast, name: &str, wanted: Option<&str>, installed: bool) -> Option<String> {
    match (forecast.version_of(name), installed) {
        (None, true) => Some(format!("{name} is not among the packages that will be installed")),
        (Some(version), false) => Some(format!("{name} {version} will be installed, and the check wants it absent")),
        (Some(version), true) => {
            // rpm is asked for VERSION-RELEASE; an epoch is dpkg's only.
            let told = if version.contains(':') && forecast.is_rpm() { version.split_once(':')?.1 } else { version };
            wanted.filter(|wanted| !told.starts_with(wanted)).map(|wanted| format!("{name} will be {told}, and the check wants {wanted}"))
        }
        (None, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;
    use crate::closure::ForecastPackage;

    const RECIPE: &str = r#"
schema = 1
name = "x"
media = { installer = "deploy", distribution = "debian", suite = "bookworm" }
system = { hostname = "master", root = "locked", firewall = "disabled" }
kernel = { sysctl = { "vm.swappiness" = 1 } }
services = { enable = ["docker"], disable = ["cron.service"] }
file = [{ path = "/etc/motd", content = "welcome", mode = "0644" }]
"#;

    fn said(check: &str, more: &str) -> Vec<(String, bool)> {
        let recipe = recipe(format!("{RECIPE}{more}\n[[check]]\n{check}\n"));
        impossible(&recipe, None).into_iter().map(|found| (found.why, found.perhaps)).collect()
    }

    #[test]
    fn a_check_is_held_against_the_recipe() {
        let cases = [
            (r#"service = { unit = "docker.service", enabled = true }"#, ""),
            (
                r#"service = { unit = "docker.service", enabled = false }"#,
                "services.enable names docker.service, and the check wants it disabled",
            ),
            (r#"service = { unit = "cron", enabled = true }"#, "services.disable names cron, and the check wants it enabled"),
            (r#"service = { unit = "firewalld", active = true }"#, "system.firewall is disabled, and the check wants firewalld to run"),
            (r#"service = { unit = "firewalld", active = false }"#, ""),
            (r#"service = { unit = "cron", restarting = true }"#, "services.disable names cron, and the check wants systemd to start it"),
            (r#"service = { unit = "docker", restarting = true }"#, ""),
            (r#"swap = { active = false }"#, ""),
            (r#"swap = { active = true }"#, "disk.swap is 0, and the check wants swap to be in use"),
            (r#"sysctl = { key = "vm.swappiness", value = 1 }"#, ""),
            (r#"sysctl = { key = "vm.swappiness", value = 60 }"#, "kernel.sysctl sets vm.swappiness to 1, and the check wants 60"),
            (r#"file = { path = "/etc/hostname", contains = "master" }"#, ""),
            (
                r#"file = { path = "/etc/hostname", contains = "node" }"#,
                "the recipe writes /etc/hostname, and not with the `node` the check wants",
            ),
            (r#"file = { path = "/etc/motd", mode = "0600" }"#, "the recipe writes /etc/motd with mode 0644, and the check wants 0600"),
            (r#"file = { path = "/etc/motd", owner = "ada:ada" }"#, "the recipe gives /etc/motd to root:root, and the check wants ada:ada"),
            (r#"file = { path = "/etc/motd", mode = "0644", owner = "root:root" }"#, ""),
            (r#"file = { path = "/etc/motd", exists = false }"#, "the recipe writes /etc/motd, and the check wants it absent"),
            (
                r#"file = { path = "/etc/motd", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }"#,
                "the recipe writes /etc/motd, and its sha256 is another than the check wants",
            ),
            (r#"port = { number = 22 }"#, ""),
        ];
        for (check, why) in cases {
            let expected: Vec<_> = if why.is_empty() { vec![] } else { vec![(why.to_owned(), false)] };
            assert_eq!(said(check, ""), expected, "{check}");
        }
    }

    #[test]
    fn no_swap_is_held_against_the_disk() {
        let why = said("swap = { active = false }", "disk = { swap = \"1G\" }").remove(0).0;
        assert_eq!(why, "disk.swap is 1G, and the check wants no swap");
        assert!(said("swap = { active = true }", "disk = { swap = \"1G\" }").is_empty());
    }

    #[test]
    fn a_provision_step_may_mend_it() {
        let step = "provision = [{ name = \"a\", script = \"true\" }]";
        assert!(said(r#"sysctl = { key = "vm.swappiness", value = 60 }"#, step)[0].1);
    }

    fn foretold(check: &str, packages: &[(&str, &str, &str)]) -> Option<String> {
        let recipe = recipe(format!("{RECIPE}\n[[check]]\n{check}\n"));
        let line = |(name, version, arch): &(&str, &str, &str)| ForecastPackage {
            name: (*name).into(),
            version: (*version).into(),
            arch: (*arch).into(),
            ..ForecastPackage::default()
        };
        let forecast = Forecast { packages: packages.iter().map(line).collect(), ..Forecast::default() };
        impossible(&recipe, Some(&forecast)).into_iter().map(|found| found.why).next()
    }

    #[test]
    fn a_check_is_held_against_the_packages_to_come() {
        let (debian, el7) = (("docker.io", "20.10.24+dfsg1-1", "amd64"), ("docker-ce", "3:18.09.9-3.el7", "x86_64"));
        let cases = [
            (r#"docker = { version = "20.10.24" }"#, debian, None),
            (r#"docker = { version = "20.10.24+dfsg1" }"#, debian, None),
            (r#"docker = { version = "18.09.6" }"#, el7, Some("docker-ce will be 3:18.09.9-3.el7, and the check wants 18.09.6")),
            (r#"docker = { version = "18.09.6" }"#, ("podman", "1", "noarch"), Some("no package with a Docker Engine will be installed")),
            (r#"docker = { storage_driver = "overlay2" }"#, el7, None),
            (r#"package = { name = "docker-ce", version = "18.09.9-3" }"#, el7, None),
            (
                r#"package = { name = "docker-ce", version = "18.09.6" }"#,
                el7,
                Some("docker-ce will be 18.09.9-3.el7, and the check wants 18.09.6"),
            ),
            (
                r#"package = { name = "docker-ce", installed = false }"#,
                el7,
                Some("docker-ce 3:18.09.9-3.el7 will be installed, and the check wants it absent"),
            ),
            (r#"package = { name = "vim" }"#, debian, Some("vim is not among the packages that will be installed")),
            (r#"package = { name = "vim", installed = false }"#, debian, None),
        ];
        for (check, package, why) in cases {
            assert_eq!(foretold(check, &[package]).as_deref(), why, "{check}");
        }
    }
}

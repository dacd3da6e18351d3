//! The `[docker]` table: a file of the image, and a check that `docker info` shows its settings.
//!
//! Keys and rules are those of Docker CE 18.09 (`daemon/config/config.go`, `registry/config.go`, `daemon/logger`), which later releases kept.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::tree::KeyPath;
use super::super::written::{self, LogDriver};
use super::super::{Check, CheckKind, DockerSettings, Recipe, syntax};
use super::content::stand_for;
use super::judge::Judge;
use crate::base::image_path::ImagePath;
use crate::base::ipv4::is_network;
use crate::base::word::ensure;

/// Where the daemon looks for its settings.
const FILE: &str = "/etc/docker/daemon.json";
/// The name of the check that the table adds.
const CHECK: &str = "docker settings";

/// Add the table's file and check to `recipe`.
pub(super) fn add(judge: &mut Judge<'_>, written: Option<&written::Docker>, recipe: &mut Recipe) {
    let Some(written) = written.filter(|written| **written != written::Docker::default()) else { return };
    let path = KeyPath::from("docker");
    log_options(judge, &path, written);
    let settings = DockerSettings {
        registry_mirrors: judge.all_spelled(&path.at("registry_mirrors"), &written.registry_mirrors, mirror),
        insecure_registries: judge.all_spelled(&path.at("insecure_registries"), &written.insecure_registries, registry),
        log_driver: written.log_driver.map(|driver| driver.name().to_owned()),
        live_restore: written.live_restore,
    };
    for (key, own) in [
        ("storage_driver", written.storage_driver.map(written::StorageDriver::name)),
        ("cgroup_driver", written.cgroup_driver.map(written::CgroupDriver::name)),
    ] {
        agree(judge, (&path, key, own), &recipe.checks);
    }
    // This comes last, because an error of the whole table would hide the errors in it.
    stand_for(judge, recipe, (&path, "`[docker]`"), &ImagePath::made(FILE), format!("{:#}\n", json!(daemon_json(written))));
    let kind = CheckKind::Docker {
        version: None,
        storage_driver: written.storage_driver.map(|driver| driver.name().to_owned()),
        cgroup_driver: written.cgroup_driver.map(|driver| driver.name().to_owned()),
        // Every warning contains the empty text, so all are allowed here. Other checks judge warnings.
        allow_warnings: vec![String::new()],
        settings,
    };
    recipe.checks.push(Check { name: CHECK.to_owned(), kind });
}

/// A size is only allowed for logs in files, and a number only for logs that have a size. Docker notices some of these errors when it
/// starts, and some when a container starts (`ValidateLogOpt` and `New` of each driver).
fn log_options(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Docker) {
    let (size, files) = (path.at("log_max_size"), path.at("log_max_files"));
    if let Some(text) = &written.log_max_size {
        judge.spelled(&size, text, log_size);
        if let Some(driver) = written.log_driver.filter(|driver| !driver.rotates()) {
            let title = format!("logs of {} have no size that Docker keeps", driver.name());
            judge.clash(&size, &path.at("log_driver"), "this driver", title, "remove it, or choose \"json-file\" or \"local\"");
        }
        // `local` compresses old logs, and with one file there are none (daemon/logger/local/config.go, `validateConfig`).
        if written.log_driver == Some(LogDriver::Local) && written.log_max_files == Some(1) {
            let title = "no container starts with one log file of \"local\", which packs the files before the last";
            judge.clash(&files, &path.at("log_driver"), "this driver", title, "say 2 or more, or choose \"json-file\"");
        }
    } else if written.log_max_files.is_some() {
        judge.wrong(&files, "without a size no log begins anew", "add `log_max_size`, such as \"10m\"");
    }
}

/// A check of the recipe, perhaps inherited, must not expect another driver than `own`.
fn agree(judge: &mut Judge<'_>, (path, key, own): (&KeyPath, &str, Option<&str>), checks: &[Check]) {
    for (index, check) in checks.iter().enumerate() {
        let CheckKind::Docker { storage_driver, cgroup_driver, .. } = &check.kind else { continue };
        let expected = if key == "storage_driver" { storage_driver } else { cgroup_driver };
        if let (Some(own), Some(expected)) = (own, expected)
            && own != expected
        {
            let other = KeyPath::from("check").at(index).at("docker").at(key);
            let title = format!("`{key}` is \"{own}\" here, and a check expects \"{expected}\"");
            let help = "say the same in both; `extends = { recipe = …, replace = [\"check\"] }` leaves inherited checks out";
            judge.clash(&path.at(key), &other, "expected here", title, help);
        }
    }
}

/// The file's content, by Docker's own names.
fn daemon_json(written: &written::Docker) -> BTreeMap<&'static str, Value> {
    let mut settings = BTreeMap::new();
    let mut set = |key, value: Option<Value>| value.map(|value| settings.insert(key, value));
    let list = |texts: &[String]| (!texts.is_empty()).then(|| json!(texts));
    set("registry-mirrors", list(&written.registry_mirrors));
    set("insecure-registries", list(&written.insecure_registries));
    set("log-driver", written.log_driver.map(LogDriver::name).map(Value::from));
    let options: BTreeMap<&str, String> =
        [("max-size", written.log_max_size.clone()), ("max-file", written.log_max_files.map(|count| count.to_string()))]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
    set("log-opts", (!options.is_empty()).then(|| json!(options)));
    set("exec-opts", written.cgroup_driver.map(|driver| json!([format!("native.cgroupdriver={}", driver.name())])));
    set("storage-driver", written.storage_driver.map(|driver| json!(driver.name())));
    set("live-restore", written.live_restore.map(Value::from));
    settings
}

/// A mirror (`ValidateMirror` of registry/config.go): no path, no query, no credentials.
fn mirror(text: &str) -> syntax::Verdict {
    syntax::url(text)?;
    let host = text.split_once("://").map(|(_, rest)| rest.trim_end_matches('/')).unwrap_or_default();
    ensure(
        !host.contains(['/', '?', '#']),
        text,
        "a mirror that Docker takes",
        "write `https://host` or `https://host:port`, without a path",
    )
}

/// A registry without TLS: a host, perhaps with a port, or a network.
fn registry(text: &str) -> syntax::Verdict {
    let is_registry = match text.split_once(':') {
        Some((host, port)) => syntax::is_host(host) && syntax::is_port(port),
        // Docker keeps only the network (`net.ParseCIDR`), and `docker info` shows that.
        None => syntax::is_host(text) || is_network(text),
    };
    ensure(
        is_registry,
        text,
        "a registry",
        "write `host`, `host:port` or a network such as \"10.0.0.0/8\", without `http://` and without bits of a host",
    )
}

/// A size of a log (`units.FromHumanSize` of docker/go-units).
fn log_size(text: &str) -> syntax::Verdict {
    let digits = text.trim_end_matches(['k', 'm', 'g']);
    let is_size = text.len() - digits.len() <= 1 && digits.parse::<u32>().is_ok_and(|size| size > 0);
    ensure(is_size, text, "a size of a log", "write a number and k, m or g, such as \"10m\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_mirrors_and_sizes_are_those_that_docker_takes() {
        type Speller = fn(&str) -> syntax::Verdict;
        for (speller, good, bad) in [
            (
                mirror as Speller,
                &["https://mirror.example.org", "http://10.0.0.1:5000/"][..],
                &["mirror.example.org", "https://a/b", "https://a?b", "https://u@a", "ftp://a"][..],
            ),
            (
                registry,
                &["registry.lab:5000", "registry", "10.0.0.1:5000", "10.0.0.1", "10.0.0.0/8"],
                &["http://registry.lab", "registry:0", "registry:+1", "registry:x", "a/b", "10.0.0.0/33", "192.168.1.5/24", "", "a b"],
            ),
            (log_size, &["10m", "1g", "500k", "1024"], &["10mb", "m", "0m", "-1", "10 m", "1mm", ""]),
        ] {
            for text in good {
                assert_eq!(speller(text), Ok(()), "{text}");
            }
            for text in bad {
                assert!(speller(text).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn the_file_has_what_is_said_and_no_more() {
        let written = written::Docker {
            registry_mirrors: vec!["https://m".to_owned()],
            log_max_size: Some("10m".to_owned()),
            log_max_files: Some(3),
            cgroup_driver: Some(written::CgroupDriver::Systemd),
            live_restore: Some(false),
            ..written::Docker::default()
        };
        let expected = json!({
            "exec-opts": ["native.cgroupdriver=systemd"],
            "live-restore": false,
            "log-opts": { "max-file": "3", "max-size": "10m" },
            "registry-mirrors": ["https://m"],
        });
        assert_eq!(json!(daemon_json(&written)), expected);
    }
}

//! `docker info` with typed expectations. Pure.
//!
//! Field names are those of Docker 18.09.6's `--format '{{json .}}'` (docker-ce v18.09.6,
//! `components/engine/api/types/types.go`, `Info`), which later releases kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CheckResult;
use crate::recipe::DockerSettings;

/// The part of `docker info` that checks read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    /// Empty when the client could not reach the daemon (20.10 and later print a document even then).
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    cgroup_driver: String,
    /// Absent, null or a list.
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    logging_driver: String,
    #[serde(default)]
    live_restore_enabled: bool,
    #[serde(default)]
    registry_config: Option<Registries>,
    /// Why the client has no answer (19.03 and later).
    #[serde(default)]
    server_errors: Option<Vec<String>>,
}

/// The registries that the daemon knows (`components/engine/api/types/registry/registry.go`, `ServiceConfig`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registries {
    /// Networks whose registries need no TLS.
    #[serde(default, rename = "InsecureRegistryCIDRs")]
    insecure_networks: Vec<String>,
    /// Registries by name.
    #[serde(default)]
    index_configs: BTreeMap<String, Index>,
    /// Asked before Docker Hub; each ends with a slash.
    #[serde(default)]
    mirrors: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Index {
    #[serde(default)]
    secure: bool,
}

/// The settings of Docker that a recipe expects.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Version of the daemon, with or without a distribution's suffix.
    pub version: Option<&'a str>,
    /// Storage driver.
    pub storage_driver: Option<&'a str>,
    /// Cgroup driver.
    pub cgroup_driver: Option<&'a str>,
    /// Substrings of warnings that are allowed.
    pub allow_warnings: &'a [String],
    /// Its settings.
    pub settings: &'a DockerSettings,
}

/// Judge what `docker info --format '{{json .}}'` printed.
pub fn judge(name: &str, output: &str, expected: Expected<'_>) -> CheckResult {
    let info: Info = match serde_json::from_str(output) {
        Ok(info) => info,
        Err(error) => return CheckResult::failed(name, format!("docker info did not print JSON ({error}): {}", excerpt(output))),
    };
    if info.server_version.is_empty() {
        let why = info.server_errors.unwrap_or_default().join("; ");
        return CheckResult::failed(name, format!("the Docker daemon does not answer: {why}"));
    }
    let mut wrong = Vec::new();
    if let Some(wanted) = expected.version.filter(|wanted| !is_version(&info.server_version, wanted)) {
        wrong.push(format!("version is `{}`, wanted `{wanted}`", info.server_version));
    }
    for (what, found, wanted) in [
        ("storage driver", info.driver.as_str(), expected.storage_driver),
        ("cgroup driver", info.cgroup_driver.as_str(), expected.cgroup_driver),
    ] {
        if let Some(wanted) = wanted
            && found != wanted
        {
            wrong.push(format!("{what} is `{found}`, wanted `{wanted}`"));
        }
    }
    wrong.extend(info.unlike(expected.settings));
    let allowed = |warning: &&String| expected.allow_warnings.iter().any(|allowed| warning.contains(allowed.as_str()));
    wrong.extend(info.warnings.iter().flatten().filter(|warning| !allowed(warning)).map(|warning| format!("warning: {warning}")));
    if wrong.is_empty() {
        CheckResult::passed(name, format!("Docker {}, {}, {}", info.server_version, info.driver, info.cgroup_driver))
    } else {
        CheckResult::failed(name, wrong.join("; "))
    }
}

impl Info {
    /// The settings that differ from `wanted`.
    fn unlike(&self, wanted: &DockerSettings) -> Vec<String> {
        let DockerSettings { registry_mirrors, insecure_registries, log_driver, live_restore } = wanted;
        let mut wrong = Vec::new();
        if let Some(wanted) = log_driver.as_ref().filter(|wanted| **wanted != self.logging_driver) {
            wrong.push(format!("log driver is `{}`, wanted `{wanted}`", self.logging_driver));
        }
        if live_restore.is_some_and(|wanted| wanted != self.live_restore_enabled) {
            wrong.push(format!("live restore is {}", self.live_restore_enabled));
        }
        let none = Registries::default();
        let known = self.registry_config.as_ref().unwrap_or(&none);
        let has_mirror = |wanted: &&String| {
            let mut mirrors = known.mirrors.iter().flatten();
            mirrors.any(|mirror| mirror.trim_end_matches('/') == wanted.trim_end_matches('/'))
        };
        let is_insecure = |wanted: &&String| {
            known.insecure_networks.contains(wanted) || known.index_configs.get(*wanted).is_some_and(|index| !index.secure)
        };
        wrong.extend(registry_mirrors.iter().filter(|mirror| !has_mirror(mirror)).map(|mirror| format!("it has no mirror {mirror}")));
        let insecure = insecure_registries.iter().filter(|registry| !is_insecure(registry));
        wrong.extend(insecure.map(|registry| format!("{registry} is no insecure registry of it")));
        wrong
    }
}

/// Whether a daemon of this version is the `wanted` one: Debian's `20.10.24+dfsg1` is `20.10.24`, too.
pub fn is_version(version: &str, wanted: &str) -> bool {
    version == wanted || version.split(['+', '~']).next() == Some(wanted)
}

fn excerpt(output: &str) -> String {
    output.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    /// Shape and values of a real 18.09.6 on CentOS 7, cut to what is read and a little more.
    const EL7: &str = r#"{"ID":"X","Containers":0,"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]],"BridgeNfIptables":true,
        "KernelVersion":"3.10.0-862.el7.x86_64","ServerVersion":"18.09.6","CgroupDriver":"cgroupfs","Warnings":null}"#;

    const NO_SETTINGS: &DockerSettings =
        &DockerSettings { registry_mirrors: Vec::new(), insecure_registries: Vec::new(), log_driver: None, live_restore: None };

    fn expected<'a>(version: &'a str, allow_warnings: &'a [String]) -> Expected<'a> {
        Expected { version: Some(version), storage_driver: Some("overlay2"), cgroup_driver: None, allow_warnings, settings: NO_SETTINGS }
    }

    /// Values of a real 20.10.24 with such a daemon.json.
    #[test]
    fn settings_are_judged_by_what_the_daemon_says() {
        let info = r#"{"ServerVersion":"20.10.24","LoggingDriver":"json-file","LiveRestoreEnabled":true,
            "RegistryConfig":{"InsecureRegistryCIDRs":["10.0.0.0/8","127.0.0.0/8"],"Mirrors":["https://mirror.lab/"],
            "IndexConfigs":{"docker.io":{"Secure":true},"registry.lab:5000":{"Secure":false}}}}"#;
        let wanted = DockerSettings {
            registry_mirrors: vec!["https://mirror.lab".to_owned()],
            insecure_registries: vec!["10.0.0.0/8".to_owned(), "registry.lab:5000".to_owned()],
            log_driver: Some("json-file".to_owned()),
            live_restore: Some(true),
        };
        let judged = |info: &str, settings: &DockerSettings| {
            let result = judge("docker settings", info, Expected { storage_driver: None, settings, ..expected("20.10.24", &[]) });
            (result.outcome, result.detail)
        };
        assert_eq!(judged(info, &wanted).0, Outcome::Passed);
        let other = DockerSettings {
            registry_mirrors: vec!["https://other.lab".to_owned()],
            insecure_registries: vec!["docker.io".to_owned()],
            log_driver: Some("local".to_owned()),
            live_restore: Some(false),
        };
        let told = "log driver is `json-file`, wanted `local`; live restore is true; \
                    it has no mirror https://other.lab; docker.io is no insecure registry of it";
        assert_eq!(judged(info, &other), (Outcome::Failed, told.to_owned()));
        assert_eq!(judged(r#"{"ServerVersion":"20.10.24"}"#, &wanted).0, Outcome::Failed);
    }

    #[test]
    fn docker_is_judged_by_what_the_recipe_says() {
        let warned = EL7.replace("null", r#"["WARNING: bridge-nf-call-iptables is disabled"]"#);
        let allow = ["bridge-nf-call-iptables".to_owned()];
        for (output, expected, outcome, detail) in [
            (EL7, expected("18.09.6", &[]), Outcome::Passed, "Docker 18.09.6, overlay2, cgroupfs"),
            (EL7, expected("18.09.7", &[]), Outcome::Failed, "version is `18.09.6`, wanted `18.09.7`"),
            (
                &EL7.replace("18.09.6", "20.10.24+dfsg1"),
                expected("20.10.24", &[]),
                Outcome::Passed,
                "Docker 20.10.24+dfsg1, overlay2, cgroupfs",
            ),
            (
                &EL7.replace("18.09.6", "20.10.24+dfsg1"),
                expected("20.10.24+dfsg1", &[]),
                Outcome::Passed,
                "Docker 20.10.24+dfsg1, overlay2, cgroupfs",
            ),
            (
                &EL7.replace("18.09.6", "20.10.24+dfsg1"),
                expected("20.10.24+dfsg2", &[]),
                Outcome::Failed,
                "version is `20.10.24+dfsg1`, wanted `20.10.24+dfsg2`",
            ),
            (&EL7.replace("overlay2", "vfs"), expected("18.09.6", &[]), Outcome::Failed, "storage driver is `vfs`, wanted `overlay2`"),
            (&warned, expected("18.09.6", &[]), Outcome::Failed, "warning: WARNING: bridge-nf-call-iptables is disabled"),
            (&warned, expected("18.09.6", &allow), Outcome::Passed, "Docker 18.09.6, overlay2, cgroupfs"),
            (
                "",
                expected("18.09.6", &[]),
                Outcome::Failed,
                "docker info did not print JSON (EOF while parsing a value at line 1 column 0): ",
            ),
            (
                r#"{"ID":"","ServerErrors":["Cannot connect to the Docker daemon"]}"#,
                expected("18.09.6", &[]),
                Outcome::Failed,
                "the Docker daemon does not answer: Cannot connect to the Docker daemon",
            ),
        ] {
            let result = judge("docker", output, expected);
            assert_eq!((result.outcome, result.detail.as_str()), (outcome, detail), "{output}");
        }
    }
}

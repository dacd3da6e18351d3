//! `docker info` with typed expectations. Pure.
//!
//! Field names are those of Docker 18.09.6's `--format '{{json .}}'` (docker-ce v18.09.6,
//! `components/engine/api/types/types.go`, `Info`), which later releases kept.

use serde::Deserialize;

use super::CheckResult;

/// The part of `docker info` that a check may speak of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    /// Empty when the client could not reach the daemon (20.10 and later print a document all the same).
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    cgroup_driver: String,
    /// Absent, null or a list.
    #[serde(default)]
    warnings: Option<Vec<String>>,
    /// Why the client has no answer (19.03 and later).
    #[serde(default)]
    server_errors: Option<Vec<String>>,
}

/// What a recipe expects of Docker.
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
    let allowed = |warning: &&String| expected.allow_warnings.iter().any(|allowed| warning.contains(allowed.as_str()));
    wrong.extend(info.warnings.iter().flatten().filter(|warning| !allowed(warning)).map(|warning| format!("warning: {warning}")));
    if wrong.is_empty() {
        CheckResult::passed(name, format!("Docker {}, {}, {}", info.server_version, info.driver, info.cgroup_driver))
    } else {
        CheckResult::failed(name, wrong.join("; "))
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

    fn expected<'a>(version: &'a str, allow_warnings: &'a [String]) -> Expected<'a> {
        Expected { version: Some(version), storage_driver: Some("overlay2"), cgroup_driver: None, allow_warnings }
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

//! The flagship recipe, changed only by the overrides of the medium's README.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{FLAGSHIP, at, el7_path, flagship, medium, overrides, set};
use crate::fixture::{PASSWORD, goldsmith, machines, place};

/// The medium and CentOS differ in paths, versions and the release's name. Any other override would make another recipe.
#[test]
fn the_rehearsal_overrides_nothing_but_inputs_and_versions() {
    let overrides = overrides(medium());
    let keys: Vec<&str> = overrides.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "media.iso.path",
        "media.iso.sha256",
        "repository.0.archive.path",
        "packages.install.3",
        "packages.install.4",
        "check.0.docker.version",
        "check.5.file.contains",
        "check.8.package.version",
        "check.9.package.version",
    ];
    assert_eq!(keys, expected);
}

fn is_input(key: &str) -> bool {
    key.starts_with("media.") || key.starts_with("repository.")
}

#[test]
fn the_unchanged_recipe_is_refused_before_any_boot_for_a_package_that_is_missing() {
    let ended = flagship(medium(), is_input).end();
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    for said in ["the kickstart asks for docker-ce-18.09.6\n", "the kickstart asks for docker-ce-cli-18.09.6\n"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("install: "), "{}", ended.stderr);
}

#[test]
fn a_version_check_that_the_packages_cannot_pass_fails_as_a_check() {
    let ended = flagship(medium(), |key| is_input(key) || key.starts_with("packages.")).end();
    assert_eq!(ended.status, 5, "{}", ended.stderr);
    let why = "the check `docker 18.09.6` cannot be passed: docker-ce will be ";
    assert!(ended.stderr.contains(why) && !ended.stderr.contains("install: "), "{}", ended.stderr);
}

/// Log in as a user would, without goldsmith, and read every setting of the lab: command, exit status, and texts that are in its output
/// (or, after a `!`, are not in it).
const LAB: &[(&str, i64, &[&str])] = &[
    // On a busy host the log-in prompt comes while services still start.
    ("until systemctl is-system-running | grep -v starting; do sleep 1; done", 0, &[]),
    ("hostname", 0, &["master"]),
    ("ip -4 -o address show dev eth0", 0, &["172.16.51.35/24"]),
    // The installer bound the profile to its card, but the image has another card.
    ("cat /etc/sysconfig/network-scripts/ifcfg-eth0", 0, &["DEVICE=", "BOOTPROTO=", "!HWADDR", "!NETBOOT"]),
    ("ip -4 route show default", 0, &["!default"]),
    ("cat /etc/resolv.conf", 0, &["!nameserver"]),
    ("date +%Z", 0, &["CST"]),
    ("ls /etc/yum.repos.d; cat /etc/yum.repos.d/local.repo", 0, &["[kubernetes]", "baseurl=file:///root/Docker", "gpgcheck=0"]),
    ("yum -q repolist", 0, &["kubernetes", "!base", "!updates"]),
    (
        "yum -q list --showduplicates docker-ce docker-ce-cli containerd.io",
        0,
        &["docker-ce.x86_64", "docker-ce-cli.x86_64", "containerd.io.x86_64", "kubernetes"],
    ),
    ("sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables", 0, &["1\n1\n1"]),
    ("grep -c ^br_netfilter /proc/modules", 0, &["1"]),
    ("cat /etc/modules-load.d/goldsmith.conf", 0, &["br_netfilter"]),
    ("grep ^SELINUX= /etc/selinux/config", 0, &["SELINUX=disabled"]),
    ("systemctl is-active firewalld", 3, &["inactive"]),
    ("systemctl is-enabled firewalld", 1, &["disabled"]),
    ("systemctl is-enabled docker", 0, &["enabled"]),
    ("systemctl is-active docker", 0, &["active"]),
    (
        "docker info --format '{{.Driver}} {{.CgroupDriver}} {{.IPv4Forwarding}} {{.BridgeNfIptables}} {{.BridgeNfIP6tables}}'",
        0,
        &["overlay2 cgroupfs true true true"],
    ),
    ("findmnt -n -o FSTYPE /; df -h / | tail -1", 0, &["ext4"]),
    // The guest is like EL7: commands have only the options of EL7, and the disk cannot discard.
    ("blkdiscard -z /dev/null", 1, &["blkdiscard: invalid option -- 'z'"]),
    ("find /root -maxdepth 0 -files0-from -", 1, &["unknown predicate"]),
    ("sync -f /", 1, &["sync: invalid option -- 'f'"]),
    ("fstrim /", 1, &["the discard operation is not supported"]),
    ("cat /sys/block/vda/queue/discard_max_bytes /sys/block/vda/queue/write_zeroes_max_bytes", 0, &["0\n0"]),
    // The copy has a new machine-id, which is not that of the build.
    ("test -s /etc/machine-id", 0, &[]),
    ("ls -A /root", 0, &["Docker", "!anaconda-ks.cfg", "!original-ks.cfg"]),
];

#[test]
fn the_flagship_is_built_and_proved_on_the_rehearsal_medium() {
    let _slot = machines();
    let target = place().join(FLAGSHIP);
    let words = set(&overrides(medium()), |_| true);
    let mut build = goldsmith(&["build", FLAGSHIP, "--force", "-o", target.to_str().unwrap()]);
    let built = build.args(words).env("PATH", el7_path("plain", "")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let manifest: Value = serde_json::from_slice(&fs::read(target.join("manifest.json")).unwrap()).unwrap();
    let checks = manifest["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["outcome"] == "passed"), "{checks:#?}");
    // The sysctls are read before dockerd can set them.
    let early = |key: &str| checks.iter().any(|check| check["name"] == format!("{key} before Docker starts"));
    assert!(early("net.ipv4.ip_forward") && early("net.bridge.bridge-nf-call-iptables"), "{checks:#?}");
    assert_eq!(manifest["docker_info"]["ServerVersion"], *medium().docker);

    let disk = target.with_extension("raw");
    let image = target.join(format!("{FLAGSHIP}.qcow2"));
    let converted = Command::new("qemu-img").args(["convert", "-O", "raw"]).args([&image, &disk]).status().unwrap();
    assert!(converted.success());
    let commands = LAB.iter().map(|(command, ..)| command);
    let login =
        Command::new(at("boot.py")).arg("--disk").arg(&disk).args(["login", "--password", PASSWORD]).args(commands).output().unwrap();
    fs::remove_file(&disk).unwrap();
    let said: Value = serde_json::from_slice(&login.stdout).unwrap_or_else(|_| panic!("{login:?}"));
    let answers = said["commands"].as_array().unwrap();
    assert_eq!(answers.len(), LAB.len(), "{said:#}");
    let wrong = answers.iter().zip(LAB).filter(|(answer, (_, status, wanted))| {
        let output = answer["output"].as_str().unwrap();
        let kept = |text: &&str| text.strip_prefix('!').map_or(output.contains(*text), |unwanted| !output.contains(unwanted));
        answer["status"] != *status || !wanted.iter().all(kept)
    });
    let wrong: Vec<_> = wrong.map(|(answer, wanted)| format!("wanted {wanted:?}, found {answer:#}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

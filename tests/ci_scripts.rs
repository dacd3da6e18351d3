//! The set-up script, on hosts made of stubs.

use crate::support::{Ended, Run};

const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/setup");

/// A host with every package except those in `missing`; `qemu` is the version of qemu-utils.
fn host(missing: &str, qemu: &str, apt: &str, madison: &str) -> Run {
    Run::program(SETUP, [])
        .stub("id", "echo 0")
        .stub(
            "dpkg-query",
            &format!(
                "for package; do :; done\n[ -e \"now-$package\" ] || case ' {missing} ' in *\" $package \"*) exit 1 ;; esac\n\
                 case $package in qemu-block-extra) exit 1 ;; qemu-utils) echo 'installed {qemu}' ;; *) echo 'installed 1' ;; esac"
            ),
        )
        // A simulation is answered by the scenario; an installation marks what it names as installed and is logged.
        .stub(
            "apt-get",
            &format!(
                "case $1 in\n-s) shift; case \"$*\" in\n{apt}\n*) echo 'it cannot be done'; exit 100 ;; esac ;;\n\
                 *) echo \"$*\" >>log; for word; do : >\"now-$word\" 2>/dev/null || :; done ;; esac"
            ),
        )
        .stub("apt-cache", &format!("cat <<'.'\n{madison}\n."))
}

/// The arguments of the calls of apt-get, without the options it always gets.
fn done(ended: &Ended) -> Vec<String> {
    let log = std::fs::read_to_string(ended.dir().join("log")).unwrap_or_default();
    log.lines().map(|line| line.trim_start_matches("-y -o DPkg::Lock::Timeout=600 ").to_owned()).collect()
}

const MADISON: &str = "\
qemu-utils | 1:10.0.2+ds-2~bpo12+1 | http://example.org/debian bookworm-backports/main amd64 Packages
qemu-utils | 1:7.2+dfsg-7 | http://example.org/debian bookworm/main amd64 Packages";

#[test]
fn a_host_that_has_everything_is_left_alone() {
    let ended = host("", "1", "", "").end();
    ended.is(0, "", "");
    assert_eq!(done(&ended), [""; 0]);
}

#[test]
fn only_what_is_missing_is_installed() {
    let ended = host("ovmf gdisk", "1", "*' ovmf gdisk') ;;", "").end();
    ended.is(0, "", "ci/setup: missing: ovmf gdisk\n");
    assert_eq!(done(&ended), ["update", "install --no-install-recommends ovmf gdisk"]);
}

#[test]
fn newer_utilities_bring_their_release_of_the_emulator() {
    let apt = "*'-t bookworm-backports qemu-system-x86') ;;\n*recommends' ovmf') ;;";
    let ended = host("qemu-system-x86 ovmf", "1:10.0.2+ds-2~bpo12+1", apt, MADISON).end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let expected =
        ["update", "install --no-install-recommends -t bookworm-backports qemu-system-x86", "install --no-install-recommends ovmf"];
    assert_eq!(done(&ended), expected);
}

#[test]
fn newer_utilities_whose_release_is_gone_are_taken_back() {
    // apt would solve the conflict by removing the utilities. The script must not accept that.
    let apt = "*recommends' qemu-system-x86') echo 'Remv qemu-utils [1:10.0.2]' ;;\n\
               *'--allow-downgrades qemu-system-x86 qemu-utils=1:7.2+dfsg-7') ;;";
    let madison = MADISON.lines().nth(1).unwrap();
    let ended = host("qemu-system-x86", "1:10.0.2+ds-2~bpo12+1", apt, madison).end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let expected = ["update", "install --no-install-recommends --allow-downgrades qemu-system-x86 qemu-utils=1:7.2+dfsg-7"];
    assert_eq!(done(&ended), expected);
}

#[test]
fn what_apt_cannot_do_is_said_in_its_words() {
    let ended = host("qemu-system-x86", "1:10.0.2+ds-2~bpo12+1", "", MADISON).end();
    assert_eq!((ended.status, done(&ended)), (1, vec!["update".to_owned()]));
    assert!(ended.stderr.contains("it cannot be done\nci/setup: apt cannot install: qemu-system-x86"), "{}", ended.stderr);
}

#[test]
fn without_root_and_sudo_the_command_is_named() {
    let ended = host("ovmf", "1", "", "").stub("id", "echo 1000").path_only().end();
    ended.is(1, "", "ci/setup: missing: ovmf\nci/setup: neither root nor sudo; as root, run: apt-get install ovmf\n");
}

#[test]
fn the_scripts_name_no_mirror_and_are_sound_shell() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["ci/setup", "ci/test", "ci/build-default", "ci/full", ".ci/run"] {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nset -eu\n") && !text.contains("://"), "{name}");
        let shell = if text.starts_with("#!/bin/sh\n") { "/bin/sh" } else { "/bin/bash" };
        Run::program(shell, ["-n", path.to_str().unwrap()]).end().is(0, "", "");
    }
}

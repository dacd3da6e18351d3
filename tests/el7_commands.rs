//! The guest's scripts against what EL7's commands know (`tests/rehearsal/el7-commands.toml`). The rehearsal's guest refuses the same, by
//! wrappers that are made of the same table; here every line is looked at, also those that no rehearsal comes to.

mod scripts;
mod shell;
mod table;

use std::collections::HashSet;

use scripts::{Text, scripts, unknown};
use table::Table;

/// What EL7 would not do of these scripts.
fn complaints(table: &Table, texts: &[Text]) -> Vec<String> {
    let read: Vec<_> = texts.iter().map(|text| shell::read(&text.text)).collect();
    let functions: HashSet<String> = read.iter().flat_map(|script| script.functions.iter().cloned()).collect();
    let mut found = Vec::new();
    for (text, script) in texts.iter().zip(&read) {
        found.extend(
            table.judge(script, &functions).into_iter().map(|(line, why)| format!("{}:{}: {why}", text.place, text.line + line - 1)),
        );
        found.extend(table.constructs(&text.text).map(|why| format!("{}: {why}", text.place)));
    }
    found
}

#[test]
fn el7_knows_every_command_and_option_of_the_guests_scripts() {
    let table = Table::load();
    let texts = scripts(&table);
    let found = complaints(&table, &texts);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // A reader that finds nothing would find nothing wrong.
    for place in [
        "kickstart/configure.sh",
        "src/stages/seal.sh",
        "src/machine/runner/guest/hook.sh",
        "src/machine/runner/guest/units/goldsmith-early.service",
    ] {
        assert!(texts.iter().any(|text| text.place == place), "{place} was not read");
    }
    for (place, call) in [
        ("src/verify/booted.rs", "systemctl is-system-running"),
        ("src/verify/booted.rs", "docker info"),
        ("src/stages/provision.rs", "yum install"),
    ] {
        assert!(texts.iter().any(|text| text.place == place && text.text.contains(call)), "`{call}` of {place} was not read");
    }
    assert_eq!(unknown(), [""; 0], "scripts that nobody looks at");
}

/// What EL7's releases of these commands lack, each put where a script would have it: the file, the line that is changed, the new one, and
/// what is said.
const LACKING: &[(&str, &str, &str, &str)] = &[
    ("src/stages/seal.sh", "\nsync\n", "\nfstrim --quiet-unsupported /\n", "fstrim --quiet-unsupported came with util-linux 2.36"),
    (
        "src/stages/seal.sh",
        "\nsync\n",
        "\nfor d in $(lsblk --json); do blkdiscard -z \"$d\"; done\n",
        "blkdiscard -z came with util-linux 2.28",
    ),
    (
        "src/stages/seal.sh",
        "\nsync\n",
        "\nfor d in $(lsblk --json); do blkdiscard \"$d\"; done\n",
        "lsblk --json came with util-linux 2.27",
    ),
    ("src/stages/seal.sh", "\nsync\n", "\nsync -f /\n", "sync -f came with coreutils 8.24"),
    (
        "src/stages/seal.sh",
        "\nsync\n",
        "\ndd if=/dev/zero of=/zero bs=1M status=progress || :\n",
        "dd status=progress came with coreutils 8.24",
    ),
    ("src/stages/seal.sh", "text=$(sed ", "text=$(sed --debug ", "sed --debug came with sed 4.6"),
    ("src/stages/seal.sh", "grep -Eqs", "grep -Eqs --no-ignore-case", "grep --no-ignore-case came with grep 3.5"),
    (
        "src/machine/runner/guest/hook.sh",
        "chroot \"$gs_root\" cp -a",
        "chroot \"$gs_root\" cp -a --reflink=never",
        "cp --reflink=never came with coreutils 8.30",
    ),
    (
        "src/machine/runner/guest/hook.sh",
        "mount -t tmpfs -o mode=0700",
        "mount --mkdir -t tmpfs -o mode=0700",
        "mount --mkdir came with util-linux 2.38",
    ),
    (
        "kickstart/copy.sh",
        "cp -R \"$volume/$1/.\"",
        "tar --sort=name -cf - \"$volume/$1\" | cp -R \"$volume/$1/.\"",
        "tar --sort=name came with tar 1.28",
    ),
    ("kickstart/pre.sh", "udevadm settle", "udevadm wait \"/dev/disk/by-label/$label\"", "udevadm wait came with systemd 251"),
    ("kickstart/configure.sh", "systemctl --quiet is-enabled", "systemctl show --value", "systemctl --value came with systemd 230"),
    ("kickstart/configure.sh", "dracut --force", "dracut --force --reproducible", "dracut --reproducible came with dracut 039"),
    ("kickstart/finish.sh", "proof=$(cat \"$nonce\")", "read -r proof < \"$nonce\"; wait -n", "wait -n came with bash 4.3"),
    ("kickstart/finish.sh", "say \"ok $proof\"", "say \"ok ${proof@Q}\"", "`@Q}` came with bash 4.4"),
    ("kickstart/finish.sh", "sync\n", "chroot --skip-chdir / sync\n", "chroot --skip-chdir came with coreutils 8.24"),
    (
        "src/verify/booted.rs",
        "case $(systemctl is-system-running) in",
        "case $(systemctl is-system-running --wait) in",
        "systemctl --wait came with systemd 232",
    ),
    (
        "src/verify/booted.rs",
        "if command -v nft > /dev/null; then nft",
        "if true; then nft",
        "nft is nftables, which 7.5's firewall does without: ask `command -v nft` first",
    ),
    ("src/stages/seal.sh", "\nsync\n", "\njq . /x\n", "jq is not in the table of EL7's commands"),
    ("kickstart/configure.sh", "yum -y ", "yum -y --best ", "yum 3.4.3 does not know `--best`"),
    ("kickstart/configure.sh", "rpm -q --quiet", "rpm -q --nosuch", "rpm 4.11.3 does not know `--nosuch`"),
    ("kickstart/configure.sh", "systemctl disable", "systemctl revert", "systemctl 219 does not know `revert`"),
    ("src/stages/seal.sh", "-mindepth 1", "-files0-from x", "find -files0-from came with findutils 4.9"),
    ("src/stages/seal.sh", "rm -rf --", "rm -rf --preserve-root=all --", "rm 8.22 does not know `--preserve-root=all`"),
];

#[test]
fn what_el7_lacks_is_told_from_any_script() {
    let table = Table::load();
    for &(place, from, to, why) in LACKING {
        let mut texts = scripts(&table);
        let mut changed = 0;
        for text in texts.iter_mut().filter(|text| text.place == place) {
            let new = text.text.replacen(from, to, 1);
            changed += usize::from(new != text.text);
            text.text = new;
        }
        assert!(changed > 0, "{place} has no `{from}`");
        let found = complaints(&table, &texts);
        assert!(found.iter().any(|found| found.starts_with(place) && found.ends_with(why)), "{to}: {found:?}");
    }
}

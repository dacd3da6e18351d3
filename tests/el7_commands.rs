//! Checks the guest's scripts against the options of EL7's commands (`tests/rehearsal/el7-commands.toml`). In the rehearsal's guest,
//! wrappers made from the same table refuse the same calls. Here every line is checked, also those that no rehearsal runs.

mod scripts;
mod shell;
mod table;

use std::collections::HashSet;
use std::fs;
use std::process::Command;

use scripts::{Text, scripts, unknown};
use table::Table;

/// The calls in these scripts that EL7 would refuse.
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
    // A reader that finds no script would find no fault either.
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
        ("src/verify/http.rs", "timeout 20 bash once"),
        ("src/verify/http.rs", "head -c"),
        ("src/verify/ports.rs", "cat /proc/net/udp"),
        ("src/stages/provision.rs", "yum install"),
    ] {
        assert!(texts.iter().any(|text| text.place == place && text.text.contains(call)), "`{call}` of {place} was not read");
    }
    assert_eq!(unknown(), [""; 0], "scripts that nobody looks at");
}

/// Features that EL7's versions of these commands lack, each at a place in a script: the file, the line that is changed, the new line, and
/// the complaint.
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

/// Command lines, and whether EL7 accepts them.
const LINES: &[(&str, bool)] = &[
    ("cp -a --reflink=auto x y", true),
    ("cp --reflink=never x y", false),
    ("cp -aq x y", false),
    ("chroot / cp --archive x y", true),
    ("chroot --skip-chdir / cp", false),
    ("cut -d : -f 6", true),
    ("dd if=x of=y bs=1M conv=notrunc", true),
    ("dd if=x status=progress", false),
    ("dracut --force --add-drivers 'a b' x y", true),
    ("dracut --reproducible x", false),
    ("find x -xdev -mindepth 1 -name '*.gz' -delete", true),
    ("find x -exec cp -t y {} +", true),
    ("find x -exec cp -t y {} + -files0-from z", false),
    ("grep -Eqs -e --odd x", true),
    ("grep -- --odd x", true),
    ("head -1", true),
    ("install -D -m 0644 -o root -g root x y", true),
    ("mktemp --suffix=.x", true),
    ("mount -t tmpfs -o mode=0700 x y", true),
    ("mount --mkdir x y", false),
    ("rpm -q --qf '%{NAME}' x", true),
    ("sed -i -e s/x/y/ x", true),
    ("sed -E -zn p x", true),
    ("sed --debug p", false),
    ("sort -u -k 1,1 -t :", true),
    ("sync -f", false),
    ("systemctl --no-wall poweroff --force --force", true),
    ("systemctl show --value x", false),
    ("systemctl revert x", false),
    ("udevadm settle --timeout=3", true),
    ("udevadm settle --seconds=3", false),
    ("udevadm wait x", false),
    ("umount -R x", true),
    ("usermod -a -G x y", true),
    ("yum -y --disablerepo='*' upgrade", true),
    ("yum --best upgrade", false),
    ("yum advisory", false),
];

/// The rehearsal's guest refuses exactly the calls that this test complains about: both read the same table.
#[test]
fn the_wrappers_of_the_rehearsal_refuse_the_same() {
    let table = Table::load();
    let tree = tempfile::tempdir().unwrap();
    let binaries = tree.path().join("usr/bin");
    fs::create_dir_all(&binaries).unwrap();
    for (line, _) in LINES {
        fs::write(binaries.join(line.split(' ').next().unwrap()), "").unwrap();
    }
    let make = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from builder import shims; shims.make(pathlib.Path(sys.argv[2]))";
    let rehearsal = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rehearsal");
    let made = Command::new("python3").args(["-B", "-c", make, rehearsal]).arg(tree.path()).status().unwrap();
    assert!(made.success());
    let local = tree.path().join("usr/local");
    for &(line, known) in LINES {
        let complaints = table.judge(&shell::read(line), &HashSet::new());
        assert_eq!(complaints.is_empty(), known, "{line}: {complaints:?}");
        let (command, arguments) = line.split_once(' ').unwrap();
        let wrapper = fs::read_to_string(local.join("bin").join(command)).unwrap();
        let wrapper = wrapper.replace(&format!("real=/usr/bin/{command}"), "real=true").replace("/usr/local", local.to_str().unwrap());
        fs::write(tree.path().join(command), wrapper).unwrap();
        let text = format!("exec /bin/dash {} {arguments}", tree.path().join(command).display());
        let ran = Command::new("/bin/dash").args(["-c", &text]).output().unwrap();
        assert_eq!(ran.status.success(), known, "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

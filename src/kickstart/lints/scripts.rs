//! Commands in scripts that have no effect, a wrong effect, or a failure that the installation does not report. Sources also:
//! pyanaconda/kickstart.py: AnacondaKSScript.

use std::collections::HashSet;

use super::super::parser::{SectionKind, Span};
use super::row::{Hit, Lint};
use super::sheet::{Script, Sheet};
use super::shell::{Simple, Word};

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "pre-erroronfail",
        what: "`%pre --erroronfail`",
        why: "when the script fails, Anaconda has no screen yet to say so: it crashes, and the machine hangs",
        remedy: "remove `--erroronfail`; let the script itself say what failed, and call `systemctl poweroff --force --force`",
        source: "anaconda: order of runPreScripts and of the display's set-up; pyanaconda/kickstart.py: AnacondaKSScript.run",
        check: pre_erroronfail,
    },
    Lint {
        id: "sysctl-in-post",
        what: "`sysctl` sets values in a `%post`",
        why: "it sets them in the installer's kernel, where net.bridge.* is missing too; the installed system keeps nothing of it",
        remedy: "only write the values to /etc/sysctl.d/NAME.conf; the first boot reads them",
        source: "sysctl(8); systemd-sysctl.service(8)",
        check: sysctl_in_post,
    },
    Lint {
        id: "uname-in-post",
        what: "`uname -r` in a `%post`",
        why: "it names the installer's kernel, not the installed one: they differ as soon as an update is installed",
        remedy: "ask `rpm -q --qf '%{VERSION}-%{RELEASE}.%{ARCH}\\n' kernel | tail -n 1`",
        source: "uname(2); chroot(2)",
        check: uname_in_post,
    },
    Lint {
        id: "dracut-running-kernel",
        what: "`dracut` without a kernel version in a `%post`",
        why: "it makes the initramfs of the running kernel, which is the installer's",
        remedy: "name image and version (`dracut -f /boot/initramfs-$version.img $version`), or call `dracut -f --regenerate-all`",
        source: "dracut(8): [<image> [<kernel version>]]",
        check: dracut_running_kernel,
    },
    Lint {
        id: "systemctl-start-in-chroot",
        what: "a service is started in a `%post`",
        why: "in a chroot systemctl says `Running in chroot, ignoring request.` and exits with 0: what comes next runs without the service",
        remedy: "call `systemctl enable`, and do what needs the running service at the first boot",
        source: "systemd 219: src/systemctl/systemctl.c: systemctl_main",
        check: systemctl_start_in_chroot,
    },
    Lint {
        id: "yum-in-post",
        what: "`yum` in a `%post` uses the stock repositories",
        why: "the installation medium is not there in the chroot, and CentOS 7's mirror lists are gone: yum finds no repository",
        remedy: "install it in `%packages`, from a `repo`; or write a .repo file first and use `--disablerepo='*' --enablerepo=ID`",
        source: "centos-release-7-5.1804: CentOS-Base.repo; www.centos.org/centos-linux-eol",
        check: yum_in_post,
    },
    Lint {
        id: "machine-id-removed",
        what: "/etc/machine-id is removed",
        why: "systemd 219 makes an identity at boot for a file that is empty; when there is none, that fails on a root mounted read-only",
        remedy: "empty the file: `: > /etc/machine-id`",
        source: "machine-id(5); systemd 219: src/core/machine-id-setup.c",
        check: machine_id_removed,
    },
    Lint {
        id: "bridge-sysctl-without-module",
        what: "net.bridge.bridge-nf-call-… is set, and br_netfilter not loaded",
        why: "the keys do not exist before the module does: at boot they are passed over in silence, and stay what others make them",
        remedy: "`echo br_netfilter > /etc/modules-load.d/br_netfilter.conf`",
        source: "systemd 219: src/sysctl/sysctl.c:83, units/systemd-sysctl.service.in",
        check: bridge_sysctl_without_module,
    },
    Lint {
        id: "set-e-without-erroronfail",
        what: "`set -e` in a `%post` without `--erroronfail`",
        why: "the first error ends the script, and the installation goes on as after success",
        remedy: "write `%post --erroronfail`",
        source: "pyanaconda/kickstart.py: AnacondaKSScript.run",
        check: set_e_without_erroronfail,
    },
    Lint {
        id: "crlf-in-scripts",
        what: "a shell script with CR LF line ends",
        why: "the CR belongs to the last word of each line: commands, options and file names are wrong",
        remedy: "convert the file: `sed -i 's/\\r$//' FILE`",
        source: "POSIX.1-2008, XCU 2.3 (CR is no blank); pykickstart/parser.py keeps the line ends of scripts",
        check: crlf_in_scripts,
    },
];

/// The findings of `judge` for every command of the scripts that run in the installed system.
fn in_chroot(sheet: &Sheet<'_>, judge: impl Fn(&Simple) -> Option<String>) -> Vec<Hit> {
    let commands = sheet.chroot_scripts().flat_map(|script| &script.commands).filter(|command| !command.words.is_empty());
    commands.filter_map(|command| Some(Hit::at(command.span(), judge(command)?))).collect()
}

fn pre_erroronfail(sheet: &Sheet<'_>) -> Vec<Hit> {
    let pre = sheet.scripts.iter().filter(|script| script.section.kind() == SectionKind::Pre);
    let options = pre.filter_map(|script| script.section.header().option("erroronfail"));
    options.map(|option| Hit::at(option.span, "when this script fails, the machine hangs")).collect()
}

fn sysctl_in_post(sheet: &Sheet<'_>) -> Vec<Hit> {
    in_chroot(sheet, |command| {
        let sets = |word: &str| {
            word.starts_with("-p")
                || word.starts_with("-w")
                || word.starts_with("--load")
                || word == "--system"
                || word == "--write"
                || word == "-f"
                || (!word.starts_with('-') && word.contains('='))
        };
        (command.name() == "sysctl" && command.arguments().any(sets)).then(|| "this sets values in the installer's kernel".to_owned())
    })
}

fn uname_in_post(sheet: &Sheet<'_>) -> Vec<Hit> {
    in_chroot(sheet, |command| {
        let asks = command.arguments().any(|word| word == "-r" || word == "--kernel-release");
        (command.name() == "uname" && asks && !command.is_shown).then(|| "this names the installer's kernel".to_owned())
    })
}

/// Options of dracut whose value is a word of its own (dracut(8), 033).
const DRACUT_VALUES: [&str; 22] = [
    "-m",
    "--modules",
    "-o",
    "--omit",
    "-a",
    "--add",
    "-d",
    "--drivers",
    "--add-drivers",
    "--force-add",
    "--omit-drivers",
    "--filesystems",
    "-c",
    "--conf",
    "--confdir",
    "-k",
    "--kmoddir",
    "--fwdir",
    "-i",
    "--include",
    "-I",
    "--install",
];

fn dracut_running_kernel(sheet: &Sheet<'_>) -> Vec<Hit> {
    in_chroot(sheet, |command| {
        if command.name() != "dracut" {
            return None;
        }
        let mut words = command.arguments();
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                return None;
            }
            let other_work = ["--regenerate-all", "--help", "-h", "--version", "--list-modules", "--print-cmdline", "--kver"];
            if other_work.iter().any(|option| word == *option || word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))) {
                return None;
            }
            if DRACUT_VALUES.contains(&word) {
                words.next();
                // Source and destination.
                if word == "-i" || word == "--include" {
                    words.next();
                }
            }
        }
        Some("this makes an initramfs for the installer's kernel".to_owned())
    })
}

fn systemctl_start_in_chroot(sheet: &Sheet<'_>) -> Vec<Hit> {
    const ACTIONS: [&str; 8] = ["start", "restart", "reload", "try-restart", "reload-or-restart", "condrestart", "force-reload", "isolate"];
    in_chroot(sheet, |command| {
        let mut words = command.arguments().filter(|word| !word.starts_with('-'));
        let action = match command.name() {
            "systemctl" => words.next()?,
            "service" => words.nth(1)?,
            _ => return None,
        };
        let now = action == "enable" && command.arguments().any(|word| word == "--now");
        (now || ACTIONS.contains(&action)).then(|| format!("`{}` starts nothing in a chroot", command.name()))
    })
}

/// Whether the command prepares repositories or names those to use.
fn has_own_repositories(command: &Simple) -> bool {
    let mentions = |word: &Word| ["yum.repos.d", "yum.conf"].iter().any(|part| word.text.contains(part));
    let prepares = ["yum-config-manager", "subscription-manager", "rhnreg_ks"].contains(&command.name());
    let installs_repo = ["rpm", "yum"].contains(&command.name())
        && command.arguments().any(|word| word.contains("://") || word.contains("-release") || word.ends_with(".rpm"));
    prepares || installs_repo || command.words.iter().chain(&command.writes).any(mentions)
}

fn yum_in_post(sheet: &Sheet<'_>) -> Vec<Hit> {
    let prepared = sheet.post_scripts().flat_map(|script| &script.commands).any(has_own_repositories);
    let kept = sheet.document.commands_named("repo").any(|repo| repo.option("install").is_some());
    if prepared || kept {
        return vec![];
    }
    const ACTIONS: [&str; 8] = ["install", "update", "upgrade", "groupinstall", "reinstall", "update-to", "upgrade-to", "distro-sync"];
    in_chroot(sheet, |command| {
        let chosen = ["--disablerepo", "--enablerepo", "--repo", "--installroot", "-c", "--config", "-C", "--cacheonly"];
        let chooses = |word: &str| chosen.iter().any(|option| word == *option || word.starts_with(&format!("{option}=")));
        let acts = command.arguments().find(|word| !word.starts_with('-')).is_some_and(|word| ACTIONS.contains(&word));
        let local = command.arguments().any(|word| word.starts_with('/') || word.starts_with("./"));
        let fires = command.name() == "yum" && acts && !local && !command.arguments().any(chooses);
        fires.then(|| "yum has only the stock repositories here".to_owned())
    })
}

fn machine_id_removed(sheet: &Sheet<'_>) -> Vec<Hit> {
    let names = |word: &Word| word.text.ends_with("/etc/machine-id");
    let commands = || sheet.post_scripts().flat_map(|script| &script.commands);
    let makes_it = |command: &Simple| {
        command.writes.iter().any(names)
            || command.name() == "systemd-machine-id-setup"
            || (["touch", "truncate", "cp", "ln", "install", "tee", "dbus-uuidgen"].contains(&command.name())
                && command.words.iter().any(names))
    };
    if commands().any(makes_it) {
        return vec![];
    }
    let removals = commands().filter(|command| command.name() == "rm" && command.words.iter().any(names));
    removals.map(|command| Hit::at(command.span(), "/etc/machine-id is missing afterwards")).collect()
}

/// The lines of the scripts that run when everything is installed, without comments.
fn post_lines<'a>(sheet: &'a Sheet<'_>) -> impl Iterator<Item = (Span, &'a str)> {
    let scripts = sheet.post_scripts().flat_map(|script| script.section.lines());
    scripts.filter(|(_, line)| !line.trim_start().starts_with('#'))
}

fn bridge_sysctl_without_module(sheet: &Sheet<'_>) -> Vec<Hit> {
    const KEY: &str = "net.bridge.bridge-nf-call-";
    // `modprobe` loads it into the installer's kernel, which does not count. The same words in a file that the script writes do count.
    let modprobes = sheet.post_scripts().flat_map(|script| script.commands_named("modprobe"));
    let in_installer: HashSet<_> = modprobes.map(Simple::span).map(|span| (span.file, span.line)).collect();
    let loads = |(span, line): (Span, &str)| line.contains("br_netfilter") && !in_installer.contains(&(span.file, span.line));
    if !sheet.is_complete || post_lines(sheet).any(loads) {
        return vec![];
    }
    let sets = |line: &str| {
        let rest = line.split_once(KEY).map(|(_, rest)| rest)?;
        // `iptables = 1`, as a file or a command writes it.
        let value = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim_start().strip_prefix('=')?;
        value.trim_start().starts_with('1').then_some(())
    };
    let first = post_lines(sheet).find(|(_, line)| sets(line).is_some());
    let hit = first.map(|(span, line)| {
        let at = line.find(KEY).unwrap_or(0);
        let place = Span { start: span.start + at, end: (span.start + at + KEY.len()).min(span.end), ..span };
        Hit::at(place, "the key exists only when br_netfilter is loaded, and nothing loads it at boot")
    });
    hit.into_iter().collect()
}

fn set_e_without_erroronfail(sheet: &Sheet<'_>) -> Vec<Hit> {
    let sets = |command: &&Simple| {
        let flags = |word: &str| word.starts_with('-') && !word.starts_with("--") && word.contains('e');
        let mut words = command.arguments().take_while(|word| *word != "--");
        command.name() == "set" && words.any(|word| flags(word) || word == "errexit")
    };
    // A trap may report failures in another way.
    let told = |script: &&Script<'_>| script.section.error_on_fail() || script.commands_named("trap").next().is_some();
    let scripts = sheet.post_scripts().filter(|script| !told(script));
    let first = scripts.filter_map(|script| script.commands.iter().find(sets));
    first.map(|command| Hit::at(command.span(), "an error ends the script, and the installation goes on")).collect()
}

fn crlf_in_scripts(sheet: &Sheet<'_>) -> Vec<Hit> {
    let shells = sheet.scripts.iter().filter(|script| script.is_shell());
    let first = shells.filter_map(|script| script.section.lines().find(|(_, line)| line.ends_with("\r\n")));
    first.map(|(span, _)| Hit::at(span, "this line of a shell script ends in CR LF")).collect()
}

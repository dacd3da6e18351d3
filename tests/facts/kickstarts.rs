//! The content of the kickstarts: about eighty, with all the choices of a recipe.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::package::PackageName;
use goldsmith::base::password_hash::PasswordHash;
use goldsmith::base::size::ByteSize;
use goldsmith::base::unit::UnitName;
use goldsmith::installer::accounts::Accounts;
use goldsmith::installer::anaconda::{self, KERNEL_ARGUMENTS, VOLUME_LABEL};
use goldsmith::kickstart::{Document, SectionKind, lint, parse};
use goldsmith::recipe::{Content, FilesystemKind, Firmware, Media, Network, Recipe, Selinux, TableKind, Toggle};
use goldsmith::verify::Promises;

use crate::kickstart_cases::own::THEIRS;
use crate::kickstart_cases::recipes::{lab, variants};
use crate::kickstart_cases::render;

/// A recipe and its kickstart.
struct Case {
    recipe: Recipe,
    text: String,
    document: Document,
}

/// The recipes of the golden files, in each combination of network, SELinux and firewall, and on each kind of disk.
fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(combined);
    &CASES
}

fn combined() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, golden) in variants() {
        for network in [lab().system.network, Network::Dhcp] {
            for selinux in [Selinux::Disabled, Selinux::Permissive, Selinux::Enforcing] {
                for firewall in [Toggle::Disabled, Toggle::Enabled] {
                    let mut recipe = golden.clone();
                    recipe.system.network = network.clone();
                    (recipe.system.selinux, recipe.system.firewall) = (selinux, firewall);
                    cases.push(case(recipe));
                }
            }
        }
        for (firmware, table, filesystem, lvm) in [
            (Firmware::Uefi, TableKind::Gpt, FilesystemKind::Xfs, false),
            (Firmware::Uefi, TableKind::Gpt, FilesystemKind::Ext4, true),
            (Firmware::Bios, TableKind::Gpt, FilesystemKind::Xfs, true),
            (Firmware::Bios, TableKind::Mbr, FilesystemKind::Ext4, false),
        ] {
            let mut recipe = golden.clone();
            recipe.disk.size = ByteSize::gib(16);
            (recipe.disk.firmware, recipe.disk.table, recipe.disk.filesystem, recipe.disk.lvm) = (firmware, table, filesystem, lvm);
            cases.push(case(recipe));
        }
        assert!(cases.len() > 15, "{name}");
    }
    cases
}

fn case(recipe: Recipe) -> Case {
    let text = render(&recipe).unwrap();
    let document = read(&text);
    assert!(document.is_accepted(), "{:?}", document.diagnostics());
    Case { recipe, text, document }
}

fn read(text: &str) -> Document {
    parse("ks.cfg", text, &|_: &str, _: &str| None)
}

impl Case {
    /// The bodies of the sections, with whether they run in the installed system.
    fn scripts(&self) -> Vec<(bool, SectionKind, String)> {
        self.document.scripts().map(|script| (script.in_chroot(), script.kind(), script.body())).collect()
    }

    /// The arguments that `bootloader` adds to the installed kernel's line.
    fn appended(&self) -> String {
        self.document.command("bootloader").unwrap().option("append").unwrap().text().unwrap().to_owned()
    }

    fn has_line(&self, line: &str) -> bool {
        self.text.lines().any(|found| found == line)
    }
}

/// The calls of `command` in `script`. Comments and text that is quoted behind a margin do not count.
fn calls<'a>(script: &'a str, command: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = script.lines().map(str::trim).filter(|line| !line.starts_with(['#', '|']));
    lines.filter_map(move |line| {
        let at = line.match_indices(command).map(|(at, _)| at).find(|at| {
            let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !"-_./".contains(c));
            free(line[..*at].chars().next_back()) && free(line[at + command.len()..].chars().next())
        })?;
        Some(&line[at..])
    })
}

#[test]
fn no_script_sets_the_installers_kernel() {
    for case in cases() {
        for (_, _, script) in case.scripts() {
            assert_eq!(calls(&script, "sysctl").next(), None);
        }
    }
}

#[test]
fn a_bridges_key_without_its_module_is_told() {
    let mut recipe = lab();
    let lints = |recipe: &Recipe| lint(&case(recipe.clone()).document).iter().map(|found| found.lint.id).collect::<Vec<_>>();
    assert_eq!(lints(&recipe), [""; 0]);
    recipe.kernel.modules.clear();
    assert_eq!(lints(&recipe), ["bridge-sysctl-without-module"]);
}

#[test]
fn nothing_is_started_in_the_chroot() {
    for case in cases() {
        for (chroot, _, script) in case.scripts() {
            for call in calls(&script, "systemctl") {
                let verb = call.split_whitespace().skip(1).find(|word| !word.starts_with("--")).unwrap();
                assert!(if chroot { ["enable", "disable", "is-enabled"].contains(&verb) } else { verb == "poweroff" }, "{call}");
                assert!(!call.contains("--now"), "{call}");
            }
        }
    }
}

#[test]
fn yum_names_its_repositories() {
    for case in cases() {
        for (_, _, script) in case.scripts() {
            for call in calls(&script, "yum") {
                assert!(call.contains("--disablerepo='*' --enablerepo="), "{call}");
            }
            assert!(case.recipe.repositories.is_empty() <= calls(&script, "upgrade").all(|call| !call.starts_with("upgrade ")));
        }
    }
}

#[test]
fn selinux_is_switched_by_its_file_alone() {
    let named = |words: &str| words.split_whitespace().any(|word| word.starts_with("selinux=") || word.starts_with("enforcing="));
    // Of the installer's arguments, Anaconda would copy `selinux` to those of the installed system.
    assert!(!named(KERNEL_ARGUMENTS));
    for case in cases() {
        assert!(!named(&case.appended()), "{}", case.appended());
        let (word, labelled) = match case.recipe.system.selinux {
            Selinux::Enforcing => ("enforcing", true),
            Selinux::Permissive => ("permissive", true),
            Selinux::Disabled => ("disabled", false),
        };
        assert!(case.has_line(&format!("selinux --{word}")));
        assert_eq!(case.has_line("relabel"), labelled, "{word}");
    }
}

#[test]
fn no_interface_is_bound_to_a_card() {
    for case in cases() {
        for network in case.document.commands_named("network") {
            assert!(network.option("bindto").is_none());
            let device = network.option("device").and_then(|option| option.text());
            assert!(device == Some("eth0") || network.option("hostname").is_some() && device.is_none(), "{device:?}");
        }
        for words in [KERNEL_ARGUMENTS, &case.appended()] {
            assert!(["net.ifnames=0", "biosdevname=0"].iter().all(|word| words.split(' ').any(|found| found == *word)), "{words}");
        }
    }
}

#[test]
fn a_dhcp_client_says_the_name_it_has_then() {
    for case in cases() {
        let lines: Vec<_> = case.text.lines().filter(|line| line.starts_with("network ")).collect();
        match case.recipe.system.network {
            Network::Dhcp => {
                assert_eq!(lines, ["network --bootproto=dhcp --device=eth0 --onboot=yes --activate", "network --hostname=master"]);
            }
            Network::None | Network::Static { .. } => assert!(lines.len() == 1 && lines[0].contains(" --hostname=master "), "{lines:?}"),
        }
    }
}

#[test]
fn no_rescue_image_and_no_splash() {
    for case in cases() {
        assert!(case.has_line("-dracut-config-rescue"));
        assert_ne!(case.has_line("-plymouth"), case.has_line("plymouth"), "the recipe's wish counts");
    }
}

#[test]
fn the_installers_kernel_version_is_never_asked() {
    for case in cases() {
        for (_, _, script) in case.scripts() {
            assert_eq!(calls(&script, "uname").next(), None);
        }
    }
}

#[test]
fn kexec_tools_and_the_kdump_addon_go_together() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let there = case.has_line("kexec-tools");
        seen.insert(there);
        assert_ne!(there, case.has_line("-kexec-tools"));
        assert_eq!(case.has_line("%addon com_redhat_kdump --disable"), !there);
        assert_eq!(case.has_line("%addon com_redhat_kdump --enable --reserve-mb='auto'"), there);
        assert!(!case.appended().contains("crashkernel"));
    }
    assert_eq!(seen.len(), 2);
}

fn own(bytes: &[u8]) -> String {
    let mut recipe = lab();
    let Media::Anaconda { kickstart, .. } = &mut recipe.media else { panic!("the lab is Anaconda's") };
    *kickstart = Some(Content::File { path: "my.ks".into(), sha256: Sha256Digest::of(bytes), bytes: bytes.to_vec() });
    String::from_utf8(anaconda::kickstart(&recipe).unwrap()).unwrap()
}

#[test]
fn no_script_of_ours_has_carriage_returns_and_the_users_are_told() {
    let mut recipe = lab();
    recipe.files = variants().pop().unwrap().1.files;
    recipe.files[0].content = Content::Inline { text: "a\r\nb\r\n".into() };
    for text in cases().iter().map(|case| case.text.clone()).chain([render(&recipe).unwrap()]) {
        assert!(!text.contains('\r'), "{text}");
    }
    // A script with such lines is refused, so only the commands around it have them.
    let (before, script) = THEIRS.split_once("%post\n").unwrap();
    let text = own(format!("{}%post\n{script}", before.replace('\n', "\r\n")).as_bytes());
    let (theirs, ours) = text.split_once("# goldsmith: begin ").unwrap();
    assert!(theirs.contains("poweroff\r\n") && !ours.contains('\r'));
    let told = |text: &str| lint(&read(text)).iter().any(|found| found.lint.id == "crlf-in-scripts");
    assert!(told(&THEIRS.replace('\n', "\r\n")) && !told(&own(THEIRS.as_bytes())));
}

#[test]
fn firewalld_stays_and_is_off() {
    for case in cases() {
        let off = case.recipe.system.firewall == Toggle::Disabled;
        assert_eq!(case.has_line("firewall --disabled"), off);
        assert_eq!(case.has_line("firewall --enabled --service=ssh"), !off);
        assert!(!case.has_line("-firewalld"), "it is required whatever the command says");
        assert_eq!(Promises::of(&case.recipe).no_firewall, off, "that only Docker's rules are there is looked at in the booted system");
    }
}

#[test]
fn only_plain_services_are_given_to_the_command_and_all_units_to_the_script() {
    for case in cases() {
        for (verb, command, units) in
            [("enable", "enabled", &case.recipe.services.enable), ("disable", "disabled", &case.recipe.services.disable)]
        {
            let option = case.document.command("services").and_then(|services| services.option(command));
            for service in option.iter().flat_map(|option| option.list()) {
                assert!(!service.contains('.') || service.starts_with("getty@"), "{service}");
            }
            let line = case.text.lines().find(|line| line.starts_with(&format!("{verb}_units ")));
            let listed: Vec<_> = line.into_iter().flat_map(|line| line.split(' ').skip(1)).collect();
            assert_eq!(*units, listed);
        }
    }
}

#[test]
fn the_system_disk_is_the_only_one_touched() {
    assert_ne!(VOLUME_LABEL, "OEMDRV");
    // A medium with that label is refused, because the two disks could not be told apart.
    assert!(goldsmith::sources::medium::TAKEN.iter().any(|(taken, _)| *taken == VOLUME_LABEL));
    for case in cases() {
        assert!(case.has_line("ignoredisk --only-use=vda"));
        for (command, option) in [("clearpart", "drives"), ("part", "ondisk"), ("bootloader", "boot-drive"), ("ignoredisk", "only-use")] {
            assert!(case.document.command(command).is_some());
            for used in case.document.commands_named(command) {
                assert_eq!(used.option(option).map(|option| option.list()), Some(vec!["vda"]), "{command}");
            }
        }
        // An unsupported label is an error before Anaconda can power off.
        let label = case.document.command("clearpart").unwrap().option("disklabel").unwrap().text();
        assert!(matches!((case.recipe.disk.firmware, label), (_, Some("gpt")) | (Firmware::Bios, Some("msdos"))), "{label:?}");
    }
}

#[test]
fn the_serial_line_is_the_last_console_and_shows_the_boot() {
    for case in cases() {
        for words in [KERNEL_ARGUMENTS, &case.appended()] {
            let consoles: Vec<_> = words.split_whitespace().filter(|word| word.starts_with("console=")).collect();
            assert_eq!(consoles, ["console=tty0", "console=ttyS0,115200"]);
            assert!(!words.split_whitespace().any(|word| ["quiet", "rhgb"].contains(&word)), "{words}");
        }
        assert_eq!(case.document.command("bootloader").unwrap().option("timeout").unwrap().integer(), Some(1));
    }
}

#[test]
fn documentation_is_not_left_out_once_and_there_the_next_time() {
    let mut left_out = 0;
    for case in cases() {
        let without = case.document.packages().any(|section| section.header().option("excludedocs").is_some());
        assert_eq!(without, !case.recipe.packages.docs, "{}", case.text);
        // yum reads this file at each later transaction.
        let kept = case.text.contains("/etc/rpm/macros.no-documentation") && case.text.contains("%_excludedocs 1\n");
        assert_eq!(without, kept, "{}", case.text);
        left_out += usize::from(without);
    }
    assert!(left_out > 0);
}

#[test]
fn passwords_are_such_as_el7_reads() {
    let mut hashed = 0;
    for case in cases() {
        for command in case.document.commands_named("rootpw").chain(case.document.commands_named("user")) {
            let of_the_user = case.recipe.own_kickstart().is_some();
            assert!(of_the_user || (command.option("lock").is_some() && command.option("password").is_none()), "{}", case.text);
        }
        let lines = Accounts::derive(&case.recipe, b"store").lines();
        for line in lines.iter().flat_map(|lines| lines.reveal().lines()) {
            let (_, hash) = line.split_once(':').unwrap();
            hashed += 1;
            assert!(hash.starts_with("$6$") || hash.starts_with("$5$"), "{hash}");
        }
    }
    assert!(hashed > 50);
    for hash in ["$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", "$2b$10$x", "plain"] {
        assert!(hash.parse::<PasswordHash>().is_err(), "{hash}");
    }
}

#[test]
fn the_hardware_clock_is_utc() {
    for case in cases() {
        assert!(case.document.command("timezone").unwrap().option("isUtc").is_some());
    }
}

#[test]
fn the_agent_is_there_only_if_named_and_its_rules_are_the_vendors() {
    for case in cases() {
        assert!(!case.text.contains("qemu-guest-agent") && !case.text.contains("qemu-ga") && !case.text.contains("BLACKLIST_RPC"));
    }
    let mut recipe = lab();
    recipe.packages.install.push(PackageName::made("qemu-guest-agent"));
    recipe.services.enable.push(UnitName::made("qemu-guest-agent"));
    let named = case(recipe);
    assert!(named.has_line("qemu-guest-agent") && named.has_line("enable_units docker qemu-guest-agent"));
    assert!(!named.text.contains("qemu-ga"));
}

#[test]
fn every_end_is_a_power_off_and_every_post_ends_the_installation() {
    for case in cases() {
        assert!(case.has_line("poweroff") && case.has_line("cmdline"));
        for other in ["halt", "reboot", "shutdown"] {
            assert!(!case.text.lines().any(|line| line.split(' ').next() == Some(other)), "{other}");
        }
        for script in case.document.scripts() {
            match script.kind() {
                SectionKind::Post => assert!(script.error_on_fail()),
                // A failing `%pre` would kill Anaconda before it can power off.
                kind => assert!(kind == SectionKind::Pre && !script.error_on_fail() && script.body().contains("poweroff --force --force")),
            }
        }
        let last = case.document.scripts().last().unwrap();
        assert!(last.body().ends_with("\nfinish\n") && !last.in_chroot());
        // Without these answers, cmdline mode would stop.
        for needed in ["lang", "keyboard", "timezone", "rootpw", "network", "bootloader", "part"] {
            assert!(case.document.command(needed).is_some(), "{needed}");
        }
        assert!(case.document.packages().next().is_some());
    }
}

/// Constructs that today's ksvalidator refuses and the parser of 7.5 accepts, by the verdicts of both on the files of the test suite.
#[test]
fn none_of_the_seven_constructs_that_the_validators_disagree_on_is_rendered() {
    let verdicts = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kickstart_files/verdicts.tsv")).unwrap();
    let rows = verdicts.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let disagreed: BTreeSet<_> =
        rows.filter(|row| row.len() > 3 && row[2] == "1" && row[3] != "FAIL").map(|row| row[1].to_owned()).collect();
    /// Whether it is in a kickstart.
    type Sees = fn(&Document) -> bool;
    let seven: [(&str, Sees); 7] = [
        ("41-packages-nobase-deprecated.ks", |d| d.packages().any(|section| section.header().option("nobase").is_some())),
        ("51-upgrade-removed.ks", |d| d.command("upgrade").is_some()),
        ("60-divergent-sshkey.ks", |d| d.command("sshkey").is_some()),
        ("61-divergent-firewall-use-system-defaults.ks", |d| {
            d.commands_named("firewall").any(|c| c.option("use-system-defaults").is_some())
        }),
        ("62-divergent-reboot-kexec.ks", |d| d.commands_named("reboot").any(|c| c.option("kexec").is_some())),
        ("63-divergent-mount.ks", |d| d.command("mount").is_some()),
        ("64-divergent-sshpw-sshkey.ks", |d| d.commands_named("sshpw").any(|c| c.option("sshkey").is_some())),
    ];
    assert_eq!(disagreed, seven.iter().map(|(file, _)| (*file).to_owned()).collect());
    for (file, sees) in seven {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kickstart_files/invalid").join(file)).unwrap();
        assert!(sees(&read(&text)), "{file} is what it is called");
        for case in cases() {
            assert!(!sees(&case.document), "{file}\n{}", case.text);
        }
        assert!(!sees(&read(&own(b"poweroff\n"))), "{file}: what is added to the user's own");
    }
}

//! The thirty traps of a CentOS 7.5 kickstart.

use super::Held::{By, Not};
use super::{Held, missing};

/// At least this many have tests.
const ENOUGH: usize = 22;

/// Number, the trap, goldsmith's behaviour, and its tests.
const TRAPS: &[(u32, &str, &str, Held)] = &[
    (
        1,
        "`sysctl -p` in %post sets the installer's kernel, and fails on net.bridge.*",
        "only files are written",
        By(&[
            "tests/facts/kickstarts.rs: no_script_sets_the_installers_kernel",
            "tests/facts/guest.rs: parameters_are_files_that_the_boot_reads_after_the_zeros_of_the_distribution",
        ]),
    ),
    (
        2,
        "without br_netfilter the bridge's keys are passed over in silence at boot",
        "its modules-load.d file is written; a recipe without the module is told, and the booted system is asked",
        By(&[
            "tests/facts/guest.rs: parameters_are_files_that_the_boot_reads_after_the_zeros_of_the_distribution",
            "tests/facts/kickstarts.rs: a_bridges_key_without_its_module_is_told",
        ]),
    ),
    (
        3,
        "00-system.conf of initscripts sets the three keys to 0",
        "the recipe's file comes after it by name, and the disk is read as systemd-sysctl reads it",
        By(&[
            "tests/facts/guest.rs: parameters_are_files_that_the_boot_reads_after_the_zeros_of_the_distribution",
            "src/verify/offline.rs: what_the_boot_will_set_is_read_in_its_order",
        ]),
    ),
    (
        4,
        "dockerd sets ip_forward and loads br_netfilter itself, so a green `docker info` proves nothing of what is kept",
        "parameters are noted before Docker starts, and only that note is judged",
        By(&["src/verify/booted.rs: parameters_are_those_of_before_docker"]),
    ),
    (
        5,
        "files apply by base name: a key in /etc/sysctl.conf, which is 99-sysctl.conf, beats 99-docker.conf",
        "left to the administrator, but an image in which it has happened fails its check",
        By(&[
            "src/verify/offline.rs: what_the_boot_will_set_is_read_in_its_order",
            "tests/facts/guest.rs: parameters_are_files_that_the_boot_reads_after_the_zeros_of_the_distribution",
        ]),
    ),
    (
        6,
        "in the chroot systemctl starts nothing, says so, and exits with 0",
        "units are enabled and disabled, nothing else",
        By(&["tests/facts/kickstarts.rs: nothing_is_started_in_the_chroot"]),
    ),
    (
        7,
        "yum in the chroot sees neither medium nor network, and the mirror lists are gone",
        "packages come by %packages; the upgrade names the local repositories and no other; the stock ones are off",
        By(&["tests/facts/guest.rs: yum_reaches_the_local_repositories_only", "tests/facts/kickstarts.rs: yum_names_its_repositories"]),
    ),
    (
        8,
        "the installer copies its own /etc/resolv.conf into the system",
        "sealing empties it or writes the recipe's",
        By(&["tests/facts/guest.rs: the_builds_name_servers_go_and_the_recipes_come"]),
    ),
    (
        9,
        "container-selinux asks the running kernel whether SELinux is on, and may load policy modules for nothing",
        "nothing",
        Not("it is a package's own script, costs time and never the result; no text or file of goldsmith's takes part"),
    ),
    (
        10,
        "SELinux off needs no selinux=0, and to come back needs new labels",
        "the kickstart's command alone says it; where SELinux is on, all is labelled in %post and once more when sealing",
        By(&[
            "tests/facts/kickstarts.rs: selinux_is_switched_by_its_file_alone",
            "tests/facts/guest.rs: labels_are_set_after_the_last_file_is_written_unless_selinux_is_off",
            "src/machine/runner/bench.rs: a_live_guest_boots_as_the_image_says",
        ]),
    ),
    (
        11,
        "machine-id must be empty, not missing; and one -uuid for all clones would give them one id",
        "sealing empties it; no machine gets a -uuid",
        By(&[
            "tests/facts/guest.rs: the_machine_id_is_emptied_and_stays",
            "tests/facts/machines.rs: the_clock_is_utc_and_the_machine_has_no_identity_of_its_own",
        ]),
    ),
    (
        12,
        "ssh host keys and the random seed would be shared by all clones",
        "sealing removes them",
        By(&["tests/facts/guest.rs: keys_seeds_and_names_of_the_machine_go_and_nothing_else"]),
    ),
    (
        13,
        "what binds an interface to one card is HWADDR in its ifcfg",
        "no --bindto in the kickstart; sealing takes the line out and leaves the UUID",
        By(&[
            "tests/facts/guest.rs: an_interface_is_not_bound_to_the_builds_card",
            "tests/facts/kickstarts.rs: no_interface_is_bound_to_a_card",
        ]),
    ),
    (
        14,
        "the initramfs is made before %post, for the build's machine only",
        "it is made again with hostonly off and virtio's drivers",
        By(&["tests/facts/guest.rs: each_kernel_gets_an_initramfs_for_any_machine_an_upgrades_too"]),
    ),
    (
        15,
        "dracut-config-rescue adds 50 MB whose name keeps the machine-id",
        "the package is excluded",
        By(&["tests/facts/kickstarts.rs: no_rescue_image_and_no_splash"]),
    ),
    (
        16,
        "an upgrade changes the kernel and what boots by default, and online the release too",
        "the upgrade's kernel gets its initramfs; the saved entry is what is booted; the recipe checks the release",
        By(&[
            "tests/facts/guest.rs: each_kernel_gets_an_initramfs_for_any_machine_an_upgrades_too",
            "src/image/boot/grub/tests.rs: el7_boots_what_grubenv_saved",
            "tests/facts/traps.rs: the_shipped_recipe_checks_its_release",
        ]),
    ),
    (
        17,
        "there may be several kernels, and `uname -r` in %post is the installer's",
        "each kernel of /boot that has modules is taken, and uname is never asked",
        By(&[
            "tests/facts/guest.rs: each_kernel_gets_an_initramfs_for_any_machine_an_upgrades_too",
            "tests/facts/kickstarts.rs: the_installers_kernel_version_is_never_asked",
        ]),
    ),
    (
        18,
        "kexec-tools excluded with its addon enabled fails; enabled it takes memory by crashkernel=auto",
        "both or neither",
        By(&["tests/facts/kickstarts.rs: kexec_tools_and_the_kdump_addon_go_together"]),
    ),
    (
        19,
        "a kickstart with CR LF parses, and its scripts then have carriage returns",
        "goldsmith's own sections never have any; the user's text is not changed, and a lint tells",
        By(&["tests/facts/kickstarts.rs: no_script_of_ours_has_carriage_returns_and_the_users_are_told"]),
    ),
    (
        20,
        "`firewall --disabled` leaves firewalld installed and off",
        "so be it: not excluded, which would fail; the booted packet filter is looked at",
        By(&["tests/facts/kickstarts.rs: firewalld_stays_and_is_off"]),
    ),
    (
        21,
        "`services --enabled` passes over in silence what is not there, and makes a service of every name",
        "plain services only; all units once more in %post, where an error ends the installation",
        By(&[
            "tests/facts/guest.rs: a_unit_that_cannot_be_enabled_ends_the_installation",
            "tests/facts/kickstarts.rs: only_plain_services_are_given_to_the_command_and_all_units_to_the_script",
        ]),
    ),
    (
        22,
        "a volume called OEMDRV is taken for a source; vda and vdb follow the order of PCI slots",
        "another label; fixed slots, the system disk first; ignoredisk",
        By(&[
            "tests/facts/kickstarts.rs: the_system_disk_is_the_only_one_touched",
            "tests/facts/machines.rs: data_comes_on_disks_whose_names_do_not_move",
            "src/stages/anaconda.rs: the_machine_is_what_the_kickstart_counts_on",
        ]),
    ),
    (
        23,
        "the last console= is /dev/console",
        "tty0, then ttyS0, on both lines; GRUB waits one second",
        By(&["tests/facts/kickstarts.rs: the_serial_line_is_the_last_console_and_shows_the_boot"]),
    ),
    (
        24,
        "--excludedocs holds for the installation only: a later yum installs documentation again",
        "it is not used",
        By(&["tests/facts/kickstarts.rs: documentation_is_not_left_out_once_and_there_the_next_time"]),
    ),
    (
        25,
        "EL7's crypt knows $6$ and $5$, not $y$",
        "$6$ is made, others are refused",
        By(&["tests/facts/kickstarts.rs: passwords_are_such_as_el7_reads"]),
    ),
    (
        26,
        "EL7's kernel has neither 9p nor virtiofs",
        "data comes on disks",
        By(&["tests/facts/machines.rs: data_comes_on_disks_whose_names_do_not_move"]),
    ),
    (
        27,
        "%pre sees a data disk only once udev has settled",
        "it waits for the label, and powers off without it",
        By(&["tests/facts/guest.rs: pre_waits_for_its_volume_and_powers_off_without_it"]),
    ),
    (
        28,
        "`quiet rhgb` hides the boot on the serial console",
        "neither is written",
        By(&["tests/facts/kickstarts.rs: the_serial_line_is_the_last_console_and_shows_the_boot"]),
    ),
    (
        29,
        "with DHCP, --hostname on the interface's line is kept as DHCP_HOSTNAME, the same in every clone",
        "the host name has a line of its own",
        By(&["tests/facts/kickstarts.rs: a_dhcp_client_says_the_name_it_has_then"]),
    ),
    (
        30,
        "without --isUtc the clock counts as local time",
        "--isUtc, and QEMU's clock is UTC",
        By(&[
            "tests/facts/kickstarts.rs: the_hardware_clock_is_utc",
            "tests/facts/machines.rs: the_clock_is_utc_and_the_machine_has_no_identity_of_its_own",
        ]),
    ),
];

#[test]
fn every_trap_is_held_or_has_its_reason() {
    assert!(TRAPS.iter().map(|row| row.0).eq(1..=30), "each once, in order");
    assert_eq!(missing(TRAPS.iter().flat_map(|row| row.3.tests())), [""; 0]);
    for (number, trap, done, held) in TRAPS {
        assert!(!trap.is_empty() && !done.is_empty(), "{number}");
        match held {
            By(tests) => assert!(!tests.is_empty(), "{number}"),
            Not(reason) => assert!(reason.len() > 40, "{number}: {reason}"),
        }
    }
    let held = TRAPS.iter().filter(|row| matches!(row.3, By(_))).count();
    assert!(held >= ENOUGH, "{held} of 30 are held, and {ENOUGH} must be");
}

#[test]
fn the_shipped_recipe_checks_its_release() {
    let text = super::read("recipes/centos-7.5-docker.toml");
    assert!(text.contains("file = { path = \"/etc/centos-release\", contains = \"CentOS Linux release 7.5.1804 (Core)\" }"));
}

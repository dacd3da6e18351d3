//! The ends of an installation by Anaconda 7.5, which prints no result by itself, and its messages on the way.

use super::{missing, read};

/// Rows that run the rehearsal medium in a machine without goldsmith, to see that the machine really ends in this way.
const REHEARSED: &str = "tests/rehearsal/rows.py";
/// Rows that run goldsmith's builds on that medium: the message about such an end, and its time.
const BUILT: &str = "tests/anaconda_cases/rows.rs";

/// A row of the table of ends.
struct Ending {
    event: &'static str,
    /// How the machine ends.
    ends: &'static str,
    /// Tests that need no machine.
    tests: &'static [&'static str],
    /// Rows of [`REHEARSED`].
    rehearsed: &'static [&'static str],
    /// Rows of [`BUILT`]; none where goldsmith's own kickstart cannot have this end, or another test builds it.
    built: &'static [&'static str],
}

const ENDINGS: &[Ending] = &[
    Ending {
        event: "success",
        ends: "by the kickstart's own action, a power-off",
        tests: &[
            "tests/facts/kickstarts.rs: every_end_is_a_power_off_and_every_post_ends_the_installation",
            "tests/facts/guest.rs: the_nonce_is_told_and_the_copies_of_the_scripts_go",
            "src/stages/anaconda/follow.rs: only_the_nonce_and_a_power_off_together_are_success",
            "src/stages/anaconda/inspected.rs: a_disk_is_as_planned_or_the_difference_is_told",
        ],
        rehearsed: &["success"],
        built: &[],
    },
    Ending {
        event: "a package, an answer or room on the disk is missing, in cmdline mode",
        ends: "by the kickstart's own action, after 10 s",
        tests: &[
            "tests/facts/lines.rs: each_failure_line_of_the_log_is_known_with_its_weight",
            "src/stages/anaconda/follow.rs: only_the_nonce_and_a_power_off_together_are_success",
            "src/stages/anaconda/follow.rs: the_cause_is_told_rather_than_its_echo",
        ],
        rehearsed: &["missing package", "missing answer", "disk too small", "unreadable repository"],
        built: &["missing package", "missing answer", "disk too small", "unreadable repository"],
    },
    Ending {
        event: "a %post with --erroronfail fails",
        ends: "by the kickstart's own action; later scripts do not run",
        tests: &[
            "tests/facts/lines.rs: each_failure_line_of_the_log_is_known_with_its_weight",
            "tests/facts/guest.rs: a_unit_that_cannot_be_enabled_ends_the_installation",
        ],
        rehearsed: &["%post --erroronfail"],
        built: &["%post --erroronfail"],
    },
    Ending {
        event: "a %post without it fails",
        ends: "as success; goldsmith ends it as a failure, for the image is not what the kickstart says",
        tests: &[
            "tests/facts/lines.rs: each_failure_line_of_the_log_is_known_with_its_weight",
            "tests/facts/kickstarts.rs: every_end_is_a_power_off_and_every_post_ends_the_installation",
        ],
        rehearsed: &["%post fails"],
        built: &["%post fails"],
    },
    Ending {
        event: "the kickstart has an error, or names a disk or disk label that is not there",
        ends: "not: the pane is dead",
        tests: &[
            "tests/facts/kickstarts.rs: the_system_disk_is_the_only_one_touched",
            "tests/kickstart_cases.rs: ksvalidator_accepts_every_kickstart_and_can_refuse",
            "tests/kickstart_cases/own.rs: what_the_installer_would_refuse_is_not_merged",
            "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
        ],
        rehearsed: &["syntax error", "no such disk", "no such disk label"],
        built: &["syntax error", "no such disk"],
    },
    Ending {
        event: "a %pre with --erroronfail fails",
        ends: "not: Anaconda crashes, the pane is dead",
        tests: &[
            "tests/facts/kickstarts.rs: every_end_is_a_power_off_and_every_post_ends_the_installation",
            "tests/facts/guest.rs: pre_waits_for_its_volume_and_powers_off_without_it",
        ],
        rehearsed: &["%pre --erroronfail", "%pre fails"],
        built: &["%pre --erroronfail", "%pre fails"],
    },
    Ending {
        event: "no kickstart, or no stage 2",
        ends: "not: a shell of the initramfs; rd.shell=0 rd.emergency=poweroff ends it",
        tests: &[
            "tests/facts/machines.rs: a_failure_in_the_initramfs_or_the_kernel_ends_the_machine",
            "tests/facts/machines.rs: the_installer_is_told_where_everything_is_and_asks_nothing",
            "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
        ],
        rehearsed: &["no kickstart", "stage2 missing", "stage2 broken"],
        built: &["stage2 missing", "stage2 broken"],
    },
    Ending {
        event: "too little memory",
        ends: "not: a prompt, in every mode",
        tests: &[
            "tests/recipe_cases.rs: what_is_wrong_with_a_recipe_is_told_to_the_letter",
            "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
        ],
        rehearsed: &["too little RAM"],
        built: &["too little memory"],
    },
    Ending {
        event: "an exception nobody caught, in cmdline mode",
        ends: "by the kickstart's own action",
        tests: &[
            "tests/facts/lines.rs: each_failure_line_of_the_log_is_known_with_its_weight",
            "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
        ],
        rehearsed: &["exception"],
        built: &["exception"],
    },
    Ending {
        event: "the kernel panics",
        ends: "it stops; panic=N resets",
        tests: &[
            "tests/facts/machines.rs: a_failure_in_the_initramfs_or_the_kernel_ends_the_machine",
            "src/stages/anaconda/follow.rs: only_the_nonce_and_a_power_off_together_are_success",
        ],
        rehearsed: &["kernel panic"],
        built: &["kernel panic"],
    },
    Ending {
        event: "no `poweroff` in the kickstart, or `halt`",
        ends: "not: a prompt, in every mode",
        tests: &[
            "tests/facts/kickstarts.rs: every_end_is_a_power_off_and_every_post_ends_the_installation",
            "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
        ],
        rehearsed: &["no poweroff"],
        built: &[],
    },
    Ending {
        event: "a spoke never gets ready: a dot a second",
        ends: "not, though the console grows",
        tests: &[
            "src/machine/watch.rs: dots_are_no_progress_and_a_word_is",
            "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
        ],
        rehearsed: &["dots"],
        built: &["dots"],
    },
    Ending {
        event: "it hangs, idle or busy",
        ends: "not",
        tests: &[
            "src/machine/watch.rs: disk_and_cpu_count_as_progress_and_idling_does_not",
            "src/stages/anaconda/follow.rs: a_clue_ends_nothing_and_explains_what_ends",
        ],
        rehearsed: &["silent hang", "spinning hang"],
        built: &["silent hang", "spinning hang"],
    },
    Ending {
        event: "a question",
        ends: "not",
        tests: &["tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known"],
        rehearsed: &["prompt"],
        built: &["prompt"],
    },
    Ending {
        event: "something powers the machine off early",
        ends: "as success",
        tests: &["src/stages/anaconda/follow.rs: only_the_nonce_and_a_power_off_together_are_success"],
        rehearsed: &["early power-off"],
        built: &["early power-off"],
    },
];

/// The tests of phases, failure lines and prompts; the lines themselves are listed there.
const SAID: &[&str] = &[
    "tests/facts/lines.rs: each_line_of_a_phase_shows_it_even_alone",
    "tests/facts/lines.rs: each_failure_line_of_the_log_is_known_with_its_weight",
    "tests/facts/lines.rs: each_prompt_and_each_word_of_the_initramfs_is_known",
    "tests/facts/lines.rs: lines_come_in_more_than_one_form",
];

#[test]
fn every_ending_is_held() {
    for ending in ENDINGS {
        assert!(!ending.ends.is_empty() && !ending.tests.is_empty() && !ending.rehearsed.is_empty(), "{}", ending.event);
    }
    assert_eq!(missing(ENDINGS.iter().flat_map(|ending| ending.tests).chain(SAID)), [""; 0]);
    let absent = |file: &str, rows: fn(&Ending) -> &'static [&'static str]| {
        let text = read(file);
        ENDINGS.iter().flat_map(rows).filter(|row| !text.contains(&format!("\"{row}\""))).collect::<Vec<_>>()
    };
    assert_eq!(absent(REHEARSED, |ending| ending.rehearsed), [&""; 0], "{REHEARSED}");
    assert_eq!(absent(BUILT, |ending| ending.built), [&""; 0], "{BUILT}");
}

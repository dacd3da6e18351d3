//! Messages of Anaconda 7.5 in their real form. They are written from the facts, independently of the tables that recognise them.

use goldsmith::installer::anaconda::log::LogLine;
use goldsmith::installer::anaconda::phases::Progress;
use goldsmith::installer::anaconda::signatures::{Signature, Weight, judge_console, judge_line};

/// The name of a phase, and the lines that show it.
const PHASES: &[(&str, &[&str])] = &[
    (
        "starting the installer",
        &[
            "21:14:02,118 INFO anaconda:/sbin/anaconda 21.48.22.134-1",
            "21:14:02,120 INFO anaconda: check_memory(): total:2096128, needed:320",
        ],
    ),
    ("%pre", &["21:14:03,004 INFO anaconda:Running kickstart %%pre script(s)"]),
    (
        "reading the kickstart",
        &[
            "21:14:04,711 INFO anaconda:All kickstart %%pre script(s) have been run",
            "21:14:04,716 INFO anaconda:Parsing kickstart: /run/install/ks.cfg",
            "21:14:05,201 INFO anaconda: Display mode = c",
        ],
    ),
    (
        "looking at the disks",
        &[
            "21:14:06,030 DEBUG anaconda:Running Thread: AnaStorageThread (140411394914048)",
            "21:14:09,377 DEBUG anaconda:Thread Done: AnaStorageThread (140411394914048)",
        ],
    ),
    (
        "reading the repositories",
        &[
            "21:14:06,102 INFO packaging:configuring base repo",
            "21:14:06,440 DEBUG packaging:adding yum repo, name: kubernetes, baseurl: file:///run/goldsmith/volume/kubernetes, mirrorlist: None",
            "21:14:06,441 DEBUG packaging:gathering repo metadata for kubernetes",
            "21:14:08,560 INFO packaging: metadata retrieval complete",
        ],
    ),
    (
        "choosing packages",
        &[
            "21:14:10,011 DEBUG packaging:checking software selection",
            "21:14:11,300 INFO packaging:checking dependencies",
            "21:14:13,871 INFO packaging:340 packages selected totalling 1.13 GiB",
            "21:14:13,880 DEBUG packaging:fs space: 7.48 GiB  needed: 1.71 GiB",
        ],
    ),
    (
        "laying out the disk",
        &[
            "21:14:15,000 DEBUG anaconda:Running Thread: AnaInstallThread (140411394914048)",
            "21:14:15,002 INFO anaconda:Setting up the installation environment",
            "21:14:16,543 INFO anaconda:Creating ext4 on /dev/vda2",
            "21:14:16,543 INFO anaconda:Creating xfs on /dev/vda3",
        ],
    ),
    (
        "packages",
        &[
            "21:15:19,020 INFO packaging:Running anaconda-yum to install packages",
            "21:15:22,841 DEBUG packaging:Preparing transaction from installation source",
        ],
    ),
    ("packages 1/1973", &["21:15:23,251 DEBUG packaging: Installing libgcc (1/1973)"]),
    ("finishing the packages", &["21:19:00,001 DEBUG packaging:Performing post-installation setup tasks"]),
    ("boot loader", &["21:19:20,001 INFO anaconda:Installing boot loader"]),
    (
        "configuring the system",
        &[
            "21:19:25,001 DEBUG anaconda:Thread Done: AnaInstallThread (140411394914048)",
            "21:19:26,001 INFO anaconda:Configuring installed system",
            "21:19:26,301 INFO anaconda:Writing network configuration",
            "21:19:26,401 INFO anaconda:Creating users",
            "21:19:27,001 INFO anaconda:Configuring addons",
        ],
    ),
    ("initramfs", &["21:19:28,001 INFO anaconda:Generating initramfs"]),
    (
        "%post",
        &["21:20:28,001 INFO anaconda:Running post-installation scripts", "21:20:28,004 INFO anaconda:Running kickstart %%post script(s)"],
    ),
    (
        "ending",
        &[
            "21:21:40,004 INFO anaconda:All kickstart %%post script(s) have been run",
            "21:21:41,004 DEBUG anaconda:Thread Done: AnaConfigurationThread (140411394914048)",
        ],
    ),
];

#[track_caller]
fn parsed(line: &str) -> LogLine<'_> {
    LogLine::parse(line).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn each_line_of_a_phase_shows_it_even_alone() {
    let mut running = Progress::new();
    for (shown, lines) in PHASES {
        for line in *lines {
            let mut alone = Progress::new();
            alone.hear(&parsed(line));
            assert_eq!(alone.to_string(), *shown, "{line}");
            running.hear(&parsed(line));
            // Each message may come twice.
            assert!(!running.hear(&parsed(line)), "{line}");
            assert_eq!(judge_line(&parsed(line)), None, "{line}");
        }
        // Two threads examine disks and repositories; storage ends last.
        assert_eq!(running.to_string(), *shown, "in order");
    }
}

/// Lines of the log, with their weight and a text of the reported cause.
const FAILURES: &[(Weight, &str, &str)] = &[
    (Weight::Proof, "01:08:29,255 ERR anaconda:CmdlineError: Missing package: docker-ce-18.09.7", "neither on the medium nor"),
    (
        Weight::Echo,
        "01:08:29,255 ERR anaconda:anaconda: ui.tui.hubs.summary: CmdlineError: The following mandatory spokes are not completed:#012Software selection",
        "lacks what the kickstart should have told it",
    ),
    (Weight::Proof, "01:08:29,255 ERR anaconda:CmdlineError: ('question', 'x')", "needed an answer"),
    (Weight::Proof, "01:08:29,255 ERR anaconda:storage configuration failed: not enough free space on disks", "cannot be laid out"),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:BootLoader setup failed: failed to find a suitable stage1 device",
        "cannot carry the boot loader",
    ),
    (
        Weight::Proof,
        "01:08:29,255 ERR packaging:base repo (cdrom/file:///run/install/repo) not valid -- removing it",
        "medium's repository cannot be read",
    ),
    (
        Weight::Proof,
        "01:08:29,255 ERR packaging:failed to grab repo metadata for kubernetes: Cannot retrieve repository metadata (repomd.xml)",
        "metadata cannot be read",
    ),
    (Weight::Proof, "01:08:29,255 ERR packaging:metadata download for repo kubernetes failed after 10 retries", "metadata cannot be read"),
    (Weight::Proof, "01:08:29,255 ERR packaging:repo kubernetes setup failed: x", "repository of the recipe cannot be used"),
    (Weight::Clue, "01:08:29,255 ERR packaging:PayloadError: reset failed", "could not use its packages"),
    (Weight::Clue, "01:08:29,255 ERR packaging:MetadataError: x", "metadata of a repository"),
    (Weight::Proof, "01:08:29,255 ERR packaging:No base repo configured", "no packages on the medium"),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:There was an error running the kickstart script at line 129.  This is a fatal error and installation \
         will be aborted.  The details of this error are:#012#012exit 4",
        "a script of the kickstart failed",
    ),
    // Without --erroronfail Anaconda goes on. goldsmith does not, because the image would not be as its kickstart says.
    (Weight::Proof, "01:08:29,255 ERR anaconda:Error code 4 running the kickstart script at line 110", "a script of the kickstart failed"),
    (Weight::Proof, "01:08:29,255 ERR anaconda:The following errors occurred with your partitioning:#012#012x", "cannot be laid out"),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:The following software marked for installation has errors.#012This is likely caused by an error with your installation source.",
        "packages need others",
    ),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:The following error occurred while installing the boot loader. The system will not be bootable.",
        "boot loader could not be installed",
    ),
    (Weight::Proof, "01:08:29,255 ERR packaging:failed to select a kernel from ['kernel']", "no kernel package"),
    (Weight::Proof, "01:08:29,255 ERR anaconda:bootloader.write failed: failed to write boot loader", "boot loader could not be installed"),
    // Anaconda removes only the word at the start of the lines of anaconda-yum.
    (Weight::Echo, "01:08:29,255 ERR packaging: YumRPMTransError: Could not run transaction.", "packages cannot be installed"),
    (Weight::Echo, "01:08:29,255 ERR packaging: YumBaseError: x", "packages cannot be installed"),
    (Weight::Proof, "01:08:29,255 ERR packaging:    installing package x needs 12MB on the / filesystem", "do not fit"),
    (Weight::Proof, "01:08:29,255 ERR packaging:    installing package x needs 12 inodes on the / filesystem", "do not fit"),
    (Weight::Proof, "01:08:29,255 ERR packaging:    file /x from install of a-1-1 conflicts with file from package b-1-1", "the same file"),
    (Weight::Proof, "01:08:29,255 ERR packaging: script error with package kernel", "own script failed"),
    (Weight::Proof, "01:08:29,255 ERR packaging: cpio error with package kernel", "damaged, or the disk is full"),
    (Weight::Proof, "01:08:29,255 ERR packaging: unpack error with package kernel", "damaged, or the disk is full"),
    (Weight::Proof, "01:08:29,255 ERR packaging: getPackage error after 10 retries: x", "a package cannot be read"),
    (Weight::Proof, "01:08:29,255 ERR packaging: RepoError after 10 retries: x", "a package cannot be read"),
    (Weight::Proof, "01:08:29,255 ERR packaging: rpmcallback failed (URLGrabError) after 10 retries: x", "not what its repository"),
    (Weight::Proof, "01:08:29,255 ERR packaging: getRepo failed: x", "lost a repository"),
    (Weight::Proof, "01:08:29,255 ERR packaging: PackageSackError: x", "list of packages"),
    (Weight::Proof, "01:08:29,255 ERR packaging: transaction error: x", "could not be installed"),
    (Weight::Proof, "01:08:29,255 ERR packaging: unexpected error: x", "could not be installed"),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:There is a problem with your existing storage configuration: x#012#012You must resolve",
        "on the disks already",
    ),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:An error has occurred - no valid devices were found on which to create",
        "no disk that it may use",
    ),
    (Weight::Proof, "01:08:29,255 ERR anaconda:An error occurred mounting the source device vdb. Retry?", "cannot mount the medium"),
    (Weight::Clue, "01:08:28,255 WARNING packaging:docker-ce requires container-selinux >= 2.9", "packages need others"),
    // Lines that other watchers of EL7 installations look for (lorax, kickstart-tests), and the crash dump that goes to the port.
    (Weight::Proof, "01:08:29,255 NOTICE anaconda-tb:Traceback (most recent call first):", "the installer crashed"),
    (Weight::Clue, "01:08:29,255 INFO program:Traceback (most recent call last):", "a program that the installer ran crashed"),
    (Weight::Proof, "01:08:29,255 ERR kernel:[  611.2] Out of memory: Kill process 1208 (anaconda)", "out of memory"),
    (Weight::Clue, "01:08:29,255 WARNING kernel:[   90.1] Call Trace:", "kernel was in trouble"),
    (Weight::Proof, "01:08:29,255 CRIT anaconda:Traceback (most recent call last):#012#012x", "the installer crashed"),
    (Weight::Proof, "01:08:29,255 ERR packaging: Error populating transaction after 10 anaconda retries: x", "cannot be read"),
    (
        Weight::Proof,
        "01:08:29,255 ERR anaconda:The following error occurred while installing.  This is a fatal error and",
        "could not be installed",
    ),
    // The log repeats the output of scriptlets, of anaconda-yum and of the kickstart's scripts. Such lines prove nothing.
    (
        Weight::Clue,
        "01:08:29,255 INFO packaging:error: %pre(x-1-1.noarch) scriptlet failed, exit status 1",
        "before the package was unpacked",
    ),
    (
        Weight::Clue,
        "01:08:29,255 INFO packaging:warning: %post(x-1-1.noarch) scriptlet failed, signal 9",
        "after the package was installed",
    ),
    (Weight::Clue, "01:08:29,255 INFO program:Non-fatal POSTIN scriptlet failure in rpm package x", "after the package was installed"),
    (Weight::Clue, "01:08:29,255 INFO program:Error in PREIN scriptlet in rpm package x", "before the package was unpacked"),
    (Weight::Clue, "01:08:29,255 INFO packaging:Traceback (most recent call last):", "a program that the installer ran crashed"),
    (Weight::Clue, "01:08:29,255 DEBUG packaging:Traceback (most recent call last):", "a program that the installer ran crashed"),
    (Weight::Clue, "01:08:29,255 INFO program:Transaction check error:", "cannot be installed together"),
    // In cmdline mode too little space is only logged, and the installation goes on.
    (
        Weight::Clue,
        "01:08:29,255 ERR anaconda:Not enough space in file systems for the current software selection. An additional 1.1 GiB is needed.",
        "do not fit",
    ),
];

fn same(signature: Option<&Signature>, weight: Weight, cause: &str) -> bool {
    signature.is_some_and(|found| found.weight == weight && found.cause.contains(cause))
}

#[test]
fn each_failure_line_of_the_log_is_known_with_its_weight() {
    for (weight, line, cause) in FAILURES {
        let found = judge_line(&parsed(line));
        assert!(same(found, *weight, cause), "{line}\n{found:?}");
    }
}

/// Lines on the serial console, in every mode: the messages of the initramfs, and the prompts.
const CONSOLE: &[(Weight, &str, &str)] = &[
    (Weight::Proof, "Please make your choice from above ['q' to quit | 'b' to begin installation | 'r' to refresh]: ", "asks a question"),
    (Weight::Proof, "Please respond 'yes' or 'no': ", "asks a question"),
    (Weight::Proof, "Press enter to exit.", "waits for a key"),
    (Weight::Proof, "Press ENTER to continue", "too little memory"),
    (Weight::Proof, "Passphrase: ", "passphrase"),
    (Weight::Proof, "Please insert CDROM containing", "another medium"),
    (Weight::Proof, "Installation complete.  Press return to quit", "does not say that the machine is to power off"),
    (
        Weight::Echo,
        "The installation was stopped due to incomplete spokes detected while running in non-interactive cmdline mode.",
        "stopped itself",
    ),
    (Weight::Echo, "The installer will now terminate.", "stopped itself"),
    (Weight::Echo, "Running in cmdline mode, no interactive debugging allowed.", "crashed"),
    (Weight::Echo, "Pane is dead", "ended before it had begun"),
    (Weight::Clue, "[  141.9] dracut-initqueue[512]: Warning: dracut-initqueue timeout - starting timeout scripts", "in vain"),
    (Weight::Proof, "[  200.8] dracut-initqueue[512]: Warning: Could not boot.", "no medium"),
    (Weight::Proof, "[  200.9] dracut-initqueue[512]: Warning: \"/dev/root\" does not exist", "no medium"),
    (Weight::Proof, "Generating \"/run/initramfs/rdsosreport.txt\"", "gave up"),
    (Weight::Proof, "Entering emergency mode. Exit the shell to continue.", "gave up"),
    (Weight::Proof, "anaconda: failed to fetch stage2 from hd:LABEL=CentOS\\x207\\x20x86_64", "off the medium"),
    (Weight::Proof, "Can't get kickstart from file:/ks.cfg", "did not find the kickstart"),
];

#[test]
fn each_prompt_and_each_word_of_the_initramfs_is_known() {
    for (weight, line, cause) in CONSOLE {
        let found = judge_console(line);
        assert!(same(found, *weight, cause), "{line}\n{found:?}");
    }
    // One dot a second until every spoke is ready, for ever if one never is.
    for fine in ["Starting automated install", "Starting automated install..........", "....", ""] {
        assert_eq!(judge_console(fine), None, "{fine}");
    }
}

/// The space after the colon may be missing, and a message of several lines arrives as one with `#012` or as several.
#[test]
fn lines_come_in_more_than_one_form() {
    for (weight, line, cause) in FAILURES {
        let (head, message) = line.split_at(line.find("anaconda:").or(line.find("packaging:")).unwrap_or(0));
        let Some((program, message)) = message.split_once(':').filter(|_| !head.is_empty()) else { continue };
        for form in [format!("{head}{program}: {message}"), format!("{head}{program}:{}", message.trim_start())] {
            assert!(same(judge_line(&parsed(&form)), *weight, cause), "{form}");
        }
        let level = parsed(line).level;
        let said = |text: &str| same(judge_line(&LogLine { level, program, message: text }), *weight, cause);
        assert!(message.split("#012").any(said), "by none of its lines alone: {line}");
    }
    assert_eq!(LogLine::parse("Software selection"), None, "a line without a head belongs to the one before");
}

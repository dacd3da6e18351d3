//! Tests of the module beside this file.

use Weight::{Clue, Proof};

use super::row::{begins, without_module};
use super::*;

/// For every row of the log, in the table's order: a line that is its own, and a neighbour that is not, both as `LEVEL program:message`. Real
/// lines where there are, else the source's format with values.
const LINES: &[(&str, &str)] = &[
    ("ERR packaging:CmdlineError: Missing package: docker-ce-18.09.7", "INFO packaging:CmdlineError: Missing package: docker-ce-18.09.7"),
    (
        "ERR anaconda:The following software marked for installation has errors.  This is likely caused by an error with#012your",
        "INFO program:The following software marked for installation has errors.",
    ),
    ("WARNING packaging:3:docker-ce-18.09.6-3.el7.x86_64 requires container-selinux >= 2.9", "INFO packaging:postfix requires a host name"),
    ("ERR packaging:failed to select a kernel from ['kernel']", "INFO packaging:selected kernel"),
    (
        "ERR packaging:base repo (cdrom/file:///run/install/repo) not valid -- removing it",
        "DEBUG packaging:base repo (cdrom/file:///run/install/repo) not valid -- removing it",
    ),
    ("ERR packaging:failed to grab repo metadata for kubernetes: no repomd.xml", "INFO packaging:gathering repo metadata for kubernetes"),
    (
        "ERR packaging:metadata download for repo kubernetes failed after 10 retries",
        "INFO packaging:retrying metadata download for repo kubernetes, retrying (1/10)",
    ),
    ("ERR packaging:repo kubernetes setup failed: cannot be had", "INFO packaging:repo kubernetes setup failed: cannot be had"),
    ("ERR packaging:repo epel needs an active network connection", "INFO program:repo epel needs an active network connection"),
    ("ERR packaging:No base repo configured", "WARNING packaging:Skipping checkSoftwareSelect, no base repo setup."),
    (
        "ERR anaconda:An error occurred mounting the source device vdb. Retry?",
        "INFO packaging:An error occurred mounting the source device",
    ),
    (
        "ERR anaconda:There is a problem with your existing storage configuration: corrupt GPT#012#012You must resolve this",
        "INFO program:There is a problem with your existing storage configuration",
    ),
    (
        "ERR anaconda:An error has occurred - no valid devices were found on which to create new file systems.  Please check",
        "INFO packaging:An error has occurred - no valid devices were found",
    ),
    ("ERR anaconda:BootLoader setup failed: no usable disk", "INFO program:BootLoader setup failed: no usable disk"),
    ("ERR anaconda:storage configuration failed: not enough free space on disks", "INFO program:storage configuration failed:"),
    (
        "ERR anaconda:The following errors occurred with your partitioning:#012#012x",
        "INFO packaging:The following errors occurred with your partitioning:",
    ),
    (
        "ERR anaconda:There was an error running the kickstart script at line 129.  This is a fatal error and installation will be aborted.  \
         The details of this error are:#012#012CmdlineError: Missing package: x#012cpio error with package y",
        "INFO packaging:There was an error running the kickstart script at line 129.",
    ),
    (
        "ERR anaconda:Error code 1 running the kickstart script at line 110",
        "INFO program:Error code 1 running the kickstart script at line 110",
    ),
    (
        "ERR anaconda:The following error occurred while installing the boot loader. The system will not be bootable. Would you like to ignore",
        "INFO packaging:The following error occurred while installing the boot loader.",
    ),
    ("ERR anaconda:bootloader.write failed: failed to write boot loader", "INFO program:bootloader.write failed: x"),
    (
        "ERR anaconda:Not enough space in file systems for the current software selection. An additional 1 GiB is needed.",
        "INFO packaging:Not enough space in file systems for the current software selection.",
    ),
    (
        "ERR packaging:    installing package kernel-3.10.0-862.el7.x86_64 needs 12MB on the / filesystem",
        "INFO packaging:about installing package kernel",
    ),
    (
        "ERR packaging:    file /usr/bin/x conflicts between attempted installs of a-1-1.noarch and b-1-1.noarch",
        "INFO packaging:file /etc/x conflicts between attempted installs of a and b",
    ),
    ("ERR packaging: YumRPMTransError: Error running transaction", "DEBUG packaging:YumRPMTransError: Error running transaction"),
    ("ERR packaging: YumBaseError: Error running transaction", "INFO packaging: YumBaseError: Error running transaction"),
    ("ERR packaging: PackageSackError: no such package", "INFO packaging: PackageSackError: no such package"),
    (
        "ERR packaging: Error populating transaction after 10 anaconda retries: failure: repodata/x from anaconda",
        "INFO packaging:Error populating transaction after 10 anaconda retries: x",
    ),
    ("ERR packaging: getPackage error after 10 retries: failure: Packages/x.rpm", "INFO packaging:getPackage error after 10 retries: x"),
    ("ERR packaging: RepoError after 10 retries: x", "INFO packaging:RepoError after 10 retries: x"),
    (
        "ERR packaging: rpmcallback failed (URLGrabError) after 10 retries: [Errno -1] Package does not match intended download",
        "INFO packaging:rpmcallback failed (URLGrabError) after 10 retries: x",
    ),
    ("ERR packaging: getRepo failed: repository not found", "INFO packaging:getRepo failed: x"),
    ("ERR packaging: cpio error with package kernel", "INFO packaging:cpio error with package kernel"),
    ("ERR packaging: unpack error with package kernel", "DEBUG packaging:unpack error with package kernel"),
    ("ERR packaging: script error with package kernel", "INFO packaging:script error with package kernel"),
    ("ERR packaging: transaction error: x", "INFO packaging:transaction error: x"),
    ("ERR packaging: unexpected error: x", "INFO packaging:unexpected error: x"),
    ("ERR packaging:Error running anaconda-yum: x", "INFO packaging:Error running anaconda-yum: x"),
    (
        "ERR anaconda:The following error occurred while installing.  This is a fatal error and installation will be aborted.#012#012 x",
        "INFO packaging:The following error occurred while installing.  This is a fatal error",
    ),
    ("CRIT anaconda:Traceback (most recent call last):#012#012  File", "INFO packaging:Traceback (most recent call last):"),
    (
        "ERR kernel:[  611.2] Out of memory: Kill process 1208 (anaconda) score 512 or sacrifice child",
        "INFO packaging:Out of memory: Kill process 1208 (anaconda)",
    ),
    ("ERR kernel:[  90.1] SQUASHFS error: xz decompression failed, data probably corrupt", "INFO packaging:SQUASHFS error: x"),
    ("ERR kernel:[  90.1] blk_update_request: I/O error, dev fd0, sector 0", "INFO packaging:blk_update_request: I/O error, dev fd0"),
    ("WARNING kernel:[  90.1] Call Trace:", "INFO packaging:Call Trace:"),
    (
        "ERR anaconda:CmdlineError: The following mandatory spokes are not completed:#012Software selection",
        "INFO packaging:CmdlineError: The following mandatory spokes are not completed:",
    ),
    ("ERR anaconda:anaconda: ui.tui.hubs.summary: CmdlineError: x", "ERR anaconda:the words CmdlineError: x"),
    ("ERR packaging:PayloadError: x", "INFO packaging:PayloadError: x"),
    ("ERR packaging:MetadataError: x", "INFO packaging:MetadataError: x"),
    ("DEBUG packaging: Error populating transaction, anaconda is retrying (1/10)", "INFO packaging:Error populating the table"),
    (
        "DEBUG packaging: rpmcallback failed (URLGrabError), retrying (1/10)",
        "DEBUG anaconda:rpmcallback failed (URLGrabError), retrying (1/10)",
    ),
    ("DEBUG packaging: Retrying download of kernel-3.10.0-862.el7.x86_64 (1/10)", "INFO NetworkManager:Retrying download of x"),
    ("DEBUG packaging: RepoError, retrying: x (1/10)", "INFO anaconda:RepoError, retrying: x"),
    (
        "INFO packaging:error: %pre(httpd-2.4.6-80.el7.centos.x86_64) scriptlet failed, exit status 1",
        "INFO packaging:error: no such scriptlet, exit status 1",
    ),
    (
        "INFO packaging:warning: %post(kernel-3.10.0-862.el7.x86_64) scriptlet failed, signal 11",
        "INFO packaging:warning: /etc/yum.conf created as /etc/yum.conf.rpmnew",
    ),
    ("INFO program:Error in PREIN scriptlet in rpm package httpd-2.4.6-80.el7.centos.x86_64", "INFO program:Error in httpd.conf"),
    (
        "INFO program:Non-fatal POSTIN scriptlet failure in rpm package kernel-3.10.0-862.el7.x86_64",
        "INFO program:Non-fatal scriptlet failure",
    ),
    (
        "INFO packaging:error: unpacking of archive failed on file /usr/bin/x;5b3: cpio: write failed - No space left on device",
        "INFO kernel:unpacking of archive failed",
    ),
    ("INFO program:Transaction check error:", "INFO program:Running transaction check"),
    (
        "INFO program:  installing package kernel-3.10.0-862.el7.x86_64 needs 12MB on the / filesystem",
        "INFO program:installing package kernel",
    ),
    ("INFO packaging:Traceback (most recent call last):", "INFO packaging:Trace of the last call"),
];

/// As [`LINES`], for the console.
const CONSOLE_LINES: &[&str] = &[
    "[  200.1] dracut-initqueue[512]: Warning: anaconda: failed to fetch stage2 from hd:LABEL=CentOS\\x207\\x20x86_64",
    "dracut: Warning: Can't get kickstart from file:/ks.cfg",
    "[  141.9] dracut-initqueue[512]: Warning: dracut-initqueue timeout - starting timeout scripts",
    "[  200.9] dracut-initqueue[512]: Warning: \"/dev/root\" does not exist",
    "[  200.8] dracut-initqueue[512]: Warning: Could not boot.",
    "Generating \"/run/initramfs/rdsosreport.txt\"",
    "Entering emergency mode. Exit the shell to continue.",
    "[   22.1] dracut-emergency[300]: Warning: Boot has failed. To debug this issue add \"rd.shell rd.debug\" to the kernel command line.",
    "Press ENTER to continue",
    "The installation was stopped due to incomplete spokes detected while running",
    "Running in cmdline mode, no interactive debugging allowed.",
    "The installer will now terminate.",
    "Pane is dead",
    "The following problem occurred on line 7 of the kickstart file:",
    "  Please make your choice from above ['q' to quit | 'b' to begin installation |",
    "Please respond 'yes' or 'no': ",
    "Press enter to exit.",
    "Passphrase: ",
    "Please insert CDROM containing CentOS 7",
    "Installation complete.  Press return to quit",
];

fn line(text: &str) -> LogLine<'_> {
    let (level, rest) = text.split_once(' ').unwrap();
    let (program, message) = rest.split_once(':').unwrap();
    LogLine { level, program, message }
}

#[test]
fn every_row_of_the_log_has_a_line_that_is_its_own_and_a_neighbour_that_is_not() {
    assert_eq!(LINES.len(), LOG.len());
    for ((own, neighbour), row) in LINES.iter().zip(LOG) {
        assert_eq!(judge_line(&line(own)), Some(row), "{own}");
        let found = judge_line(&line(neighbour));
        // A traceback of any program is a clue.
        assert!(
            found.is_none() || row.speaker == Speaker::Crash && found.is_some_and(|found| found.weight == Clue),
            "{neighbour}\n{found:?}"
        );
    }
}

/// The message of every proof, as output of a script or package: none ends the run.
#[test]
fn what_others_wrote_proves_nothing() {
    for (own, _) in LINES {
        let message = line(own).message;
        for (level, program) in [
            ("INFO", "packaging"),
            ("DEBUG", "packaging"),
            ("WARNING", "packaging"),
            ("INFO", "program"),
            ("ERR", "program"),
            ("ERR", "dhclient"),
        ] {
            let found = judge_line(&LogLine { level, program, message });
            assert!(found.is_none_or(|found| found.weight == Clue), "{level} {program}:{message}\n{found:?}");
        }
        // Quoted, at whatever level.
        let quoted = format!("could not run x: {message}");
        let found = judge_line(&LogLine { level: "ERR", program: "anaconda", message: &quoted });
        assert!(found.is_none_or(|found| found.weight == Clue), "{quoted}\n{found:?}");
    }
    // blivet and Anaconda log exceptions after which they go on.
    for handled in ["ERR blivet:IGNORED: x#012Traceback (most recent call last):", "ERR anaconda:Traceback (most recent call last):"] {
        assert!(judge_line(&line(handled)).is_some_and(|found| found.weight == Clue), "{handled}");
    }
    for crash in ["NOTICE anaconda-tb:Traceback (most recent call first):", "CRIT anaconda: Traceback (most recent call last):"] {
        assert!(judge_line(&line(crash)).is_some_and(|found| found.weight == Proof), "{crash}");
    }
}

#[test]
fn every_row_of_the_console_has_a_line_that_is_its_own() {
    assert_eq!(CONSOLE_LINES.len(), CONSOLE.len());
    for (said, row) in CONSOLE_LINES.iter().zip(CONSOLE) {
        assert_eq!(judge_console(said), Some(row), "{said}");
    }
}

#[test]
fn an_installation_that_goes_well_says_none_of_it() {
    for fine in [
        "INFO anaconda:/sbin/anaconda 21.48.22.134-1",
        "INFO anaconda:check_memory(): total:2048, needed:320, graphical:410",
        "INFO anaconda:Running kickstart %%pre script(s)",
        "INFO anaconda:All kickstart %%post script(s) have been run",
        "INFO packaging:gathering repo metadata for kubernetes",
        "DEBUG packaging:Installing libgcc (1/1973)",
        "DEBUG packaging:Installing perl-Error (7/1973)",
        "INFO packaging:skipping disabled repo updates",
        "INFO packaging:==== start rpm scriptlet logs ====",
        "INFO packaging:libgcc-4.8.5-28.el7.x86_64 (1/340)",
        "INFO packaging:ERROR: could not insert module: no such device",
        "INFO packaging:warning: /etc/sysctl.conf created as /etc/sysctl.conf.rpmnew",
        "INFO packaging:==== end rpm scriptlet logs ====",
        "DEBUG anaconda:fs space: 17.1 GiB  needed: 1.2 GiB",
        "INFO program:Running... systemctl enable docker",
        "INFO program:cpio error",
        "INFO kernel:[    0.0] Linux version 3.10.0-862.el7.x86_64",
        "INFO NetworkManager:<info>  device (eth0): Activation: successful, device activated.",
        "INFO systemd:Starting Anaconda...",
        "WARNING anaconda:Input kickstart will not be saved to the installed system due to the nosave option.",
    ] {
        assert_eq!(judge_line(&line(fine)), None, "{fine}");
    }
    for said in ["Starting automated install.......", "[  OK  ] Started Show Plymouth Boot Screen.", "Creating ext4 on /dev/vda2", "."] {
        assert_eq!(judge_console(said), None, "{said}");
    }
}

#[test]
fn a_module_before_the_message_is_passed_over() {
    for (message, expected) in [
        ("anaconda: ui.tui.hubs.summary: CmdlineError: x", "CmdlineError: x"),
        ("anaconda: CmdlineError: x: y", "CmdlineError: x: y"),
        ("anaconda: x", "x"),
        ("x.y: z", "x.y: z"),
    ] {
        assert_eq!(without_module(message), expected);
    }
}

#[test]
fn stars_stand_for_anything_in_order() {
    assert!(begins("repo x setup failed: y", "repo * setup failed") && begins("a requires b", "* requires "));
    assert!(!begins("a repo x setup failed", "repo * setup failed") && !begins("", "repo"));
    for (text, pattern, expected) in [
        ("repo x setup failed: y", "repo * setup failed", true),
        ("setup failed for repo x", "repo * setup failed", false),
        ("repo setup failed", "repo * setup failed", false),
        ("abc", "b", true),
        ("", "b", false),
    ] {
        assert_eq!(contains(text, pattern), expected, "{text} {pattern}");
    }
}

/// What an error prints: sentences that go on after "the installation failed: ", and imperatives.
#[test]
fn causes_and_remedies_fit_their_sentences() {
    for row in LOG.iter().chain(CONSOLE) {
        for words in [row.cause, row.remedy] {
            assert!(words.starts_with(|c: char| c.is_ascii_lowercase()) && !words.ends_with('.') && !words.contains("  "), "{words}");
        }
        assert!(!row.source.is_empty(), "{}", row.text);
    }
}

use super::*;

/// A line for every row of the log, in the table's order: real ones where there are, else the source's format with values.
const LINES: &[(&str, &str)] = &[
    ("packaging", "CmdlineError: Missing package: docker-ce-18.09.7"),
    ("anaconda", "The following software marked for installation has errors.#012This is likely caused by"),
    ("anaconda", "DependencyError: docker-ce requires container-selinux >= 2.9"),
    ("packaging", "failed to select a kernel from ['kernel']"),
    ("packaging", "base repo (cdrom/file:///run/install/repo) not valid -- removing it"),
    ("packaging", "failed to grab repo metadata for kubernetes: no repomd.xml"),
    ("packaging", "metadata download for repo kubernetes failed after 10 retries"),
    ("packaging", "repo kubernetes setup failed: file:///run/goldsmith/volume/kubernetes"),
    ("packaging", "No base repo configured"),
    ("packaging", "Payload setup error: x"),
    ("anaconda", "BootLoader setup failed: no usable disk"),
    ("anaconda", "storage configuration failed: not enough free space on disks"),
    ("anaconda", "The following errors occurred with your partitioning:#012x"),
    ("anaconda", "The following problem occurred on line 7 of the kickstart file:"),
    ("anaconda", "There was an error running the kickstart script at line 129.  This is a fatal error"),
    ("anaconda", "Error code 1 running the kickstart script at line 110"),
    ("anaconda", "The following error occurred while installing the boot loader. The system will not be bootable."),
    ("anaconda", "bootloader.write failed: failed to write boot loader"),
    ("packaging", "installing package kernel-3.10.0-862.el7.x86_64 needs 12MB on the / filesystem"),
    ("anaconda", "x#012#012Would you like to ignore this and continue with installation?"),
    ("packaging", "insufficient disk space: x"),
    ("packaging", "Not enough disk space to download the packages"),
    ("anaconda", "Not enough space in file systems for the current software selection. An additional 1 GiB is needed."),
    ("packaging", "Transaction check error:"),
    ("packaging", " YumRPMTransError: Error running transaction"),
    ("packaging", " error populating transaction after 10 retries"),
    ("packaging", " cpio error with package kernel"),
    ("packaging", " unpack error with package kernel"),
    ("packaging", " script error with package kernel"),
    ("anaconda", "The following error occurred while installing.  This is a fatal error and installation will be aborted."),
    ("packaging", "Error in POSTIN scriptlet in rpm package kernel-3.10.0-862.el7.x86_64"),
    ("anaconda", "All kickstart %%traceback script(s) have been run"),
    ("anaconda-tb", "Traceback (most recent call first):"),
    ("program", "Traceback (most recent call last):"),
    ("anaconda", "anaconda[1208] crashed on signal 11"),
    ("kernel", "[  611.2] Out of memory: Kill process 1208 (anaconda) score 512 or sacrifice child"),
    ("kernel", "[  90.1] SQUASHFS error: xz decompression failed, data probably corrupt"),
    ("kernel", "[  90.1] blk_update_request: I/O error, dev fd0, sector 0"),
    ("kernel", "[  90.1] Call Trace:"),
    ("anaconda", "anaconda: ui.tui.hubs.summary: CmdlineError: The following mandatory spokes are not completed:#012Software selection"),
    ("anaconda", "CmdlineError: x"),
    ("packaging", "PayloadError: x"),
    ("packaging", "MetadataError: x"),
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

fn line<'a>(program: &'a str, message: &'a str) -> LogLine<'a> {
    LogLine { level: "ERR", program, message }
}

#[test]
fn every_row_of_the_log_has_a_line_that_is_its_own() {
    assert_eq!(LINES.len(), LOG.len());
    for ((program, message), row) in LINES.iter().zip(LOG) {
        assert_eq!(judge_line(&line(program, message)), Some(row), "{program}: {message}");
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
    for (program, message) in [
        ("anaconda", "/sbin/anaconda 21.48.22.134-1"),
        ("anaconda", "check_memory(): total:2048, needed:320, graphical:410"),
        ("anaconda", "Running kickstart %%pre script(s)"),
        ("anaconda", "All kickstart %%post script(s) have been run"),
        ("packaging", "gathering repo metadata for kubernetes"),
        ("packaging", "Installing libgcc (1/1973)"),
        ("packaging", "skipping disabled repo updates"),
        ("anaconda", "fs space: 17.1 GiB  needed: 1.2 GiB"),
        ("program", "Running... systemctl enable docker"),
        // rpm's own words in a script's output are not the installer's.
        ("program", "cpio error"),
        ("kernel", "[    0.0] Linux version 3.10.0-862.el7.x86_64"),
        ("NetworkManager", "<info>  device (eth0): Activation: successful, device activated."),
        ("systemd", "Starting Anaconda..."),
    ] {
        assert_eq!(judge_line(&line(program, message)), None, "{program}: {message}");
    }
    for said in ["Starting automated install.......", "[  OK  ] Started Show Plymouth Boot Screen.", "Creating ext4 on /dev/vda2", "."] {
        assert_eq!(judge_console(said), None, "{said}");
    }
}

#[test]
fn stars_stand_for_anything_in_order() {
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

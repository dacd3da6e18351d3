//! How the installation ends, and how the system boots.

use super::accounts::method;
use super::row::{Hit, Lint};
use super::sheet::{Sheet, kernel_arguments};

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "end-missing",
        what: "nothing says what follows the installation",
        why: "the installer waits for Return when it is done, in cmdline mode too: an unattended machine never ends",
        remedy: "add `poweroff` or `reboot`",
        source: "pyanaconda/ui/tui/spokes/progress.py:133-141",
        check: end_missing,
    },
    Lint {
        id: "halt",
        what: "`halt`",
        why: "it is the same as nothing: the installer waits for Return when it is done",
        remedy: "write `poweroff` or `reboot` instead",
        source: "pyanaconda/ui/tui/spokes/progress.py:133-141; pykickstart/commands/reboot.py: RHEL7_Reboot",
        check: halt,
    },
    Lint {
        id: "bootloader-on-partition",
        what: "`bootloader --location=partition`",
        why: "Anaconda refuses it (GRUB 2 does not support installation to a partition) before it has a screen, and hangs there",
        remedy: "write `--location=mbr`",
        source: "pyanaconda/kickstart.py: Bootloader.parse",
        check: bootloader_on_partition,
    },
    Lint {
        id: "bootloader-password",
        what: "an encrypted boot loader password that is not GRUB 2's",
        why: "Anaconda takes only grub.pbkdf2 hashes, refuses the others before it has a screen, and hangs there",
        remedy: "make the hash with `grub2-mkpasswd-pbkdf2`",
        source: "pyanaconda/kickstart.py: Bootloader.parse",
        check: bootloader_password,
    },
    Lint {
        id: "bootloader-hash-as-password",
        what: "a hash as the boot loader's password, without `--iscrypted`",
        why: "the hash itself becomes the password: Anaconda hashes it once more",
        remedy: "make the hash with `grub2-mkpasswd-pbkdf2`, and add `--iscrypted`",
        source: "pyanaconda/bootloader.py: GRUB2.write_password_config; pykickstart/commands/bootloader.py",
        check: bootloader_hash_as_password,
    },
    Lint {
        id: "quiet-on-serial",
        what: "`quiet` or `rhgb` beside a serial console",
        why: "a boot that fails shows nothing on the console that was set up to watch it",
        remedy: "remove `quiet` and `rhgb` from `--append`",
        source: "kernel-parameters.txt (Linux 3.10): quiet; dracut.cmdline(7): rd.plymouth, rhgb",
        check: quiet_on_serial,
    },
];

fn end_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    if !sheet.is_whole || sheet.has("reboot") {
        return vec![];
    }
    vec![Hit::of_file("nothing says what follows the installation: no `poweroff`, `reboot` or `shutdown`")]
}

fn halt(sheet: &Sheet<'_>) -> Vec<Hit> {
    let last = sheet.command("reboot").filter(|command| command.name == "halt");
    last.map(|command| Hit::at(command.name_span, "`halt` does not end the machine")).into_iter().collect()
}

fn bootloader_on_partition(sheet: &Sheet<'_>) -> Vec<Hit> {
    let lines = sheet.document.commands_named("bootloader").filter(|command| command.option("extlinux").is_none());
    let locations = lines.filter_map(|command| command.option("location")).filter(|option| option.text() == Some("partition"));
    locations.map(|option| Hit::at(option.span, "GRUB 2 cannot be installed to a partition")).collect()
}

fn bootloader_password(sheet: &Sheet<'_>) -> Vec<Hit> {
    let hits = sheet.document.commands_named("bootloader").filter_map(|command| {
        if let Some(md5) = command.option("md5pass") {
            return Some(Hit::at(md5.span, "`--md5pass` is of GRUB 1"));
        }
        let password = command.option("password").filter(|_| command.option("iscrypted").is_some())?;
        let is_other = !password.text().unwrap_or_default().starts_with("grub.pbkdf2.");
        is_other.then(|| Hit::at(password.span, "`--iscrypted`, but the password is no grub.pbkdf2 hash"))
    });
    hits.collect()
}

fn bootloader_hash_as_password(sheet: &Sheet<'_>) -> Vec<Hit> {
    let lines = sheet
        .document
        .commands_named("bootloader")
        .filter(|command| command.option("iscrypted").is_none() && command.option("md5pass").is_none());
    let passwords = lines.filter_map(|command| command.option("password"));
    let hashes = passwords.filter(|option| option.text().is_some_and(|text| text.starts_with("grub.pbkdf2.") || method(text).is_some()));
    hashes.map(|option| Hit::at(option.value_span, "this is a hash, and taken as the password itself")).collect()
}

fn quiet_on_serial(sheet: &Sheet<'_>) -> Vec<Hit> {
    let Some((arguments, span)) = kernel_arguments(sheet) else { return vec![] };
    let serial = arguments.iter().any(|argument| argument.starts_with("console=ttyS") || argument.starts_with("console=hvc"));
    let hidden: Vec<&str> = arguments.into_iter().filter(|argument| ["quiet", "rhgb"].contains(argument)).collect();
    if !serial || hidden.is_empty() {
        return vec![];
    }
    vec![Hit::at(span, format!("a serial console, and `{}` hides the boot from it", hidden.join("`, `")))]
}

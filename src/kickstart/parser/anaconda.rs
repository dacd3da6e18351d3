//! Lines that the parser accepts, but that Anaconda refuses when it uses them (pyanaconda/kickstart.py of 21.48.22.134).
//!
//! Only faults are found that do not depend on the machine, except that it is an x86_64 one: a missing disk is not a fault of the file.

use super::diagnostic::{Diagnostic, Severity};
use super::document::{Command, Document, Included};
use super::optparse::{clip, similar};
use super::shlex::Argument;

/// Partition tables of x86_64 (blivet/platform.py: X86, EFI). Those of s390x (dasd) and of Macs (mac) are for other machines.
const DISK_LABELS: [&str; 2] = ["gpt", "msdos"];

/// The formats that blivet can make or mount, by type (`_type` in blivet/formats/*.py of 0.61.15), and the names that it accepts for them.
const FORMATS: [&str; 45] = [
    "ext2",
    "ext3",
    "ext4",
    "vfat",
    "efi",
    "btrfs",
    "gfs2",
    "jfs",
    "reiserfs",
    "xfs",
    "hfs",
    "appleboot",
    "hfs+",
    "macefi",
    "ntfs",
    "nfs",
    "nfs4",
    "iso9660",
    "nodev",
    "devpts",
    "proc",
    "sysfs",
    "tmpfs",
    "bind",
    "selinuxfs",
    "usbfs",
    "biosboot",
    "prepboot",
    "swap",
    "luks",
    "lvmpv",
    "mdmember",
    "multipath_member",
    "dmraidmember",
    "disklabel",
    "EFI System Partition",
    "Apple Bootstrap",
    "Linux HFS+ ESP",
    "BIOS Boot",
    "PPC PReP Boot",
    "LUKS",
    "physical volume (LVM)",
    "software RAID",
    "LVM2_member",
    "linux_raid_member",
];

/// File systems that the help of a message may suggest.
const USUAL: [&str; 5] = ["ext4", "xfs", "ext3", "vfat", "swap"];

/// At most this many findings of each kind are kept.
const KEPT: usize = 20;

/// All faults for which Anaconda refuses `document`.
pub(super) fn refusals(document: &Document) -> Vec<Diagnostic> {
    let labels = document.commands_named("clearpart").filter_map(|command| disk_label(document, command));
    let formats = document.commands().filter_map(|command| format(document, command));
    labels.take(KEPT).chain(formats.take(KEPT)).chain(undefined_members(document).into_iter().take(KEPT)).collect()
}

/// `ClearPart.parse`.
fn disk_label(document: &Document, command: &Command) -> Option<Diagnostic> {
    let label = command.given("disklabel")?;
    let text = label.text().filter(|text| !DISK_LABELS.contains(text))?;
    let message = format!("clearpart --disklabel cannot be `{}` on an x86_64 machine", clip(text));
    Some(document.diagnostic(Severity::Error, label.value_span, message, Some("one of gpt, msdos".into())))
}

/// `AutoPart.parse`, and `execute` of `PartitionData`, `RaidData` and `LogVolData`.
fn format(document: &Document, command: &Command) -> Option<Diagnostic> {
    let option = command.given("fstype")?;
    let text = option.text().filter(|text| !FORMATS.contains(text))?;
    let place = command.arguments().first().map_or("", |place| place.value.as_str());
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| place.starts_with(prefix));
    // In these cases another type than the given one is made, or none.
    let is_unused = match command.canonical() {
        "autopart" => false,
        "partition" => {
            ["swap", "appleboot", "prepboot", "biosboot", "/boot/efi"].contains(&place)
                || starts(&["raid.", "pv.", "btrfs."])
                || command.option("noformat").is_some()
        }
        "raid" => place == "swap" || starts(&["pv.", "btrfs."]) || command.option("noformat").is_some(),
        "logvol" => place == "swap" || command.option("noformat").is_some() || command.option("thinpool").is_some(),
        _ => true,
    };
    let help = || match similar(text, USUAL) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "one of ext4, xfs, ext3, ext2, vfat, btrfs".to_owned(),
    };
    let message = format!("{} --fstype: the installer knows no file system `{}`", command.name, clip(text));
    (!is_unused).then(|| document.diagnostic(Severity::Error, option.value_span, message, Some(help())))
}

/// `execute` of `VolGroupData`, `RaidData` and `BTRFSData`: members that no line makes and that cannot be on the disk already. A file that
/// makes no partitions at all is only a part of a kickstart; there it is a warning.
fn undefined_members(document: &Document) -> Vec<Diagnostic> {
    if document.includes().any(|include| !matches!(include.content, Included::Read { .. })) {
        return Vec::new();
    }
    let makers = || ["partition", "raid"].into_iter().flat_map(|name| document.commands_named(name));
    let severity = if document.commands_named("partition").next().is_some() { Severity::Error } else { Severity::Warning };
    let made: std::collections::HashSet<&str> =
        makers().filter_map(|command| command.arguments().first()).map(|place| place.value.as_str()).collect();
    let users = ["volgroup", "raid", "btrfs"].into_iter().flat_map(|name| document.commands_named(name));
    let members = users.filter(|command| command.option("subvol").is_none()).flat_map(|command| {
        let missing = command.arguments().iter().skip(1).filter(|member| !made.contains(member.value.as_str()) && !is_device(member));
        missing.map(move |member| (command, member))
    });
    let found = members.take(KEPT).map(|(command, member)| {
        let message = format!("{}: no `part` or `raid` line makes `{}`", command.name, clip(&member.value));
        let help = (severity == Severity::Error).then(|| "make it with `part`, or name it as the line that makes it does".to_owned());
        document.diagnostic(severity, member.span, message, help)
    });
    found.collect()
}

/// Whether `member` may be the name of a device that is there before the installation.
fn is_device(member: &Argument) -> bool {
    const DEVICES: [&str; 13] = ["sd", "vd", "hd", "xvd", "nvme", "md", "dm-", "dasd", "mmcblk", "loop", "disk", "mpath", "cciss"];
    let name = member.value.as_str();
    name.contains(['/', '=', ':']) || DEVICES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::{Severity, parse};

    /// The errors and warnings of a text, by line.
    fn said(text: &str) -> Vec<(usize, Severity)> {
        let document = parse("ks.cfg", text, &|_: &str, _: &str| None);
        document.diagnostics().iter().map(|found| (found.line, found.severity)).collect()
    }

    #[test]
    fn what_anaconda_refuses_is_an_error() {
        use Severity::{Error, Warning};
        for (text, expected) in [
            ("clearpart --disklabel=nosuch\n", &[(1, Error)][..]),
            ("clearpart --disklabel=dasd\n", &[(1, Error)]),
            ("clearpart --disklabel=gpt\nclearpart --disklabel=\n", &[]),
            ("part / --fstype=etx4 --size=1\n", &[(1, Error)]),
            ("part / --fstype=ext4 --size=1\npart /boot --fstype=\"EFI System Partition\" --size=1\n", &[]),
            ("part swap --fstype=nosuch --size=1\npart pv.1 --fstype=nosuch --size=1\n", &[]),
            ("autopart --fstype=fat32\n", &[(1, Error)]),
            ("raid / --device=md0 --level=1 --fstype=zfs sda1 sdb1\n", &[(1, Error)]),
            ("logvol / --vgname=a --name=b --size=1 --fstype=zfs\n", &[(1, Error)]),
            ("logvol none --vgname=a --name=b --size=1 --fstype=zfs --thinpool\n", &[]),
            ("part pv.1 --size=1\nvolgroup vg pv.1 pv.2\n", &[(2, Error)]),
            ("part pv.1 --size=1\nvolgroup vg pv.1 sda2 /dev/sdb\n", &[]),
            ("part raid.1 --size=1\nraid pv.1 --device=md0 --level=1 raid.1 raid.2\nvolgroup vg pv.1\n", &[(2, Error)]),
            ("part btrfs.1 --size=1\nbtrfs / btrfs.1 btrfs.3\nbtrfs /home --subvol --name=home LABEL=root\n", &[(2, Error)]),
            ("volgroup vg pv.01\n", &[(1, Warning)]),
            ("part / --size=1\nvolgroup vg pv.01\n%include /tmp/made\n", &[]),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }
}

//! Disks, partitions and booting from them.

use std::collections::HashSet;

use super::super::parser::{Command, Document};
use super::row::{Hit, Lint};
use super::sheet::{STORAGE, Sheet, disks};

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "storage-missing",
        what: "nothing says how the disk is used, or nothing is mounted at /",
        why: "the installer asks for it; in cmdline mode it stops, and then powers off as after success",
        remedy: "add `autopart`, or `part` lines with one for /",
        source: "pyanaconda/ui/tui/spokes/storage.py, ui/tui/hubs/summary.py; blivet/__init__.py: sanityCheck",
        check: storage_missing,
    },
    Lint {
        id: "biosboot-missing",
        what: "a GPT disk without a biosboot partition, and no ESP",
        why: "on a BIOS machine GRUB 2 has no place on a GPT disk for its second part, and the installer refuses the partitions",
        remedy: "add `part biosboot --fstype=biosboot --size=1`, or `reqpart`, which makes what the firmware needs",
        source: "pyanaconda/bootloader.py: GRUB2._gpt_disk_has_bios_boot",
        check: biosboot_missing,
    },
    Lint {
        id: "biosboot-size",
        what: "a biosboot partition that is larger than 2 MiB",
        why: "the installer stops: the partition is too large for its format (512 KiB to 2 MiB)",
        remedy: "write `--size=1`, without `--grow`",
        source: "blivet/formats/biosboot.py, blivet/partitioning.py: doPartitioning",
        check: biosboot_size,
    },
    Lint {
        id: "efi-size",
        what: "an EFI system partition that is smaller than 50 MiB",
        why: "the installer stops: the partition is too small for its format",
        remedy: "write `--size=200`",
        source: "blivet/formats/fs.py: EFIFS, blivet/partitioning.py: doPartitioning",
        check: efi_size,
    },
    Lint {
        id: "boot-on-lvm",
        what: "/boot is a logical volume, or part of a / that is one",
        why: "the boot loader of 7.5 is installed from a partition or a RAID array only, and the installer refuses the layout",
        remedy: "add `part /boot --fstype=ext4 --size=1024`",
        source: "pyanaconda/bootloader.py: GRUB2.stage2_device_types",
        check: boot_on_lvm,
    },
    Lint {
        id: "blank-disk",
        what: "partitions are made, but no disk is initialised",
        why: "a new disk has no partition table, and is not written without leave: the installer refuses it or finds no space",
        remedy: "add `zerombr` and `clearpart --all --initlabel`",
        source: "pyanaconda/kickstart.py: PartitionData.execute; blivet/__init__.py: shouldClear, initializeDisk",
        check: blank_disk,
    },
    Lint {
        id: "disk-excluded",
        what: "a disk is used that `ignoredisk` takes away",
        why: "the installer does not see the disk then, and stops at the line that names it",
        remedy: "name the same disks in `ignoredisk` and in the lines that use them",
        source: "pyanaconda/kickstart.py: IgnoreDisk, ClearPart, PartitionData, Bootloader",
        check: disk_excluded,
    },
    Lint {
        id: "command-without-code",
        what: "`multipath` or `dmraid`",
        why: "the parser knows them, but Anaconda has no code for them (NotImplementedError) and stops",
        remedy: "leave the line out: the installer finds such devices itself",
        source: "pyanaconda/kickstart.py:1215-1221: MultiPath.parse, DmRaid.parse",
        check: command_without_code,
    },
];

/// The mount points (or `swap`, `biosboot`, `pv.01`) that commands make, with the command.
fn mounts(document: &Document) -> impl Iterator<Item = (&str, &Command)> {
    let made = document.commands().filter(|command| ["part", "raid", "logvol", "btrfs"].iter().any(|name| command.is(name)));
    let mounted = document.commands_named("mount").filter_map(|command| Some((command.arguments().get(1)?.value.as_str(), command)));
    made.filter_map(|command| Some((command.arguments().first()?.value.as_str(), command))).chain(mounted)
}

fn storage_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    if !sheet.is_whole || sheet.has("autopart") {
        return vec![];
    }
    if !STORAGE.iter().any(|name| sheet.has(name)) {
        return vec![Hit::of_file("nothing says how the disk is used: no `autopart`, `part`, `logvol`, `raid`, `btrfs` or `mount`")];
    }
    if mounts(sheet.document).any(|(place, _)| place == "/") { vec![] } else { vec![Hit::of_file("nothing is mounted at /")] }
}

fn is_of_kind(place: &str, command: &Command, kind: &str) -> bool {
    place == kind || command.option("fstype").and_then(|option| option.text()) == Some(kind)
}

fn is_efi(place: &str, command: &Command) -> bool {
    place == "/boot/efi" || is_of_kind(place, command, "efi")
}

fn biosboot_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    let table = sheet.command("clearpart").and_then(|command| command.option("disklabel"));
    let Some(table) = table.filter(|option| option.text() == Some("gpt")) else { return vec![] };
    let makes_it = |(place, command): (&str, &Command)| {
        is_efi(place, command) || ["biosboot", "prepboot", "appleboot"].iter().any(|kind| is_of_kind(place, command, kind))
    };
    let loader = sheet.command("bootloader");
    let no_loader = loader.is_some_and(|command| {
        command.option("location").and_then(|option| option.text()) == Some("none")
            || ["disabled", "extlinux"].iter().any(|name| command.option(name).is_some())
    });
    let left_alone = sheet.has("autopart") || sheet.has("reqpart") || sheet.has("mount") || !sheet.is_complete || no_loader;
    if left_alone || !sheet.has("part") || mounts(sheet.document).any(makes_it) {
        return vec![];
    }
    vec![Hit::at(table.span, "the disk becomes GPT, and there is neither a biosboot partition nor an EFI system partition")]
}

fn biosboot_size(sheet: &Sheet<'_>) -> Vec<Hit> {
    let parts = sheet.document.commands_named("part").filter(|command| command.option("onpart").is_none());
    let places = parts.filter_map(|command| Some((command.arguments().first()?.value.as_str(), command)));
    let biosboot = places.filter(|(place, command)| is_of_kind(place, command, "biosboot"));
    let hits = biosboot.filter_map(|(_, command)| {
        let size = command.option("size");
        match (size.and_then(|option| option.integer()), command.option("grow")) {
            (Some(mib), _) if mib > 2 => Some(Hit::at(size?.span, format!("a biosboot partition of {mib} MiB; 2 MiB is the most"))),
            (_, Some(grow)) if command.option("maxsize").and_then(|most| most.integer()).is_none_or(|most| most > 2) => {
                Some(Hit::at(grow.span, "a biosboot partition that grows; 2 MiB is the most"))
            }
            _ => None,
        }
    });
    hits.collect()
}

fn efi_size(sheet: &Sheet<'_>) -> Vec<Hit> {
    let parts = sheet.document.commands_named("part").filter(|command| command.option("onpart").is_none());
    let esps = parts.filter(|command| command.arguments().first().is_some_and(|place| is_efi(&place.value, command)));
    let hits = esps.filter_map(|command| {
        let size = command.option("size").filter(|_| command.option("grow").is_none())?;
        let mib = size.integer().filter(|mib| *mib < 50)?;
        Some(Hit::at(size.span, format!("an EFI system partition of {mib} MiB; 50 MiB is the least")))
    });
    hits.collect()
}

fn boot_on_lvm(sheet: &Sheet<'_>) -> Vec<Hit> {
    let skipped = sheet.command("bootloader").and_then(|command| command.option("location")).and_then(|option| option.text());
    if skipped == Some("none") || sheet.has("autopart") || sheet.has("mount") {
        return vec![];
    }
    let is_at = |command: &Command, place: &str| command.arguments().first().is_some_and(|argument| argument.value == place);
    let volumes = || sheet.document.commands_named("logvol");
    if let Some(boot) = volumes().find(|command| is_at(command, "/boot")) {
        return vec![Hit::at(boot.span, "/boot is a logical volume")];
    }
    let has_boot = mounts(sheet.document).any(|(place, _)| place == "/boot");
    let adds_boot = sheet.command("reqpart").is_some_and(|command| command.option("add-boot").is_some());
    let root = volumes().find(|command| is_at(command, "/")).filter(|_| !has_boot && !adds_boot && sheet.is_complete);
    root.map(|root| Hit::at(root.span, "/ is a logical volume, and there is no /boot beside it")).into_iter().collect()
}

fn blank_disk(sheet: &Sheet<'_>) -> Vec<Hit> {
    let clears = |command: &Command| ["all", "initlabel", "list"].iter().any(|name| command.option(name).is_some());
    if !sheet.is_whole || sheet.has("zerombr") || sheet.has("mount") || sheet.command("clearpart").is_some_and(clears) {
        return vec![];
    }
    // A file system on an existing partition or volume needs no new table, and neither does a disk of which `--list` clears a part.
    let reused = |command: &Command| ["onpart", "noformat", "useexisting"].iter().any(|name| command.option(name).is_some());
    let makers = ["part", "raid", "volgroup", "logvol", "btrfs"].into_iter().flat_map(|name| sheet.document.commands_named(name));
    if makers.into_iter().any(reused) {
        return vec![];
    }
    let new = sheet.document.commands_named("part").next().or_else(|| sheet.command("autopart"));
    let message = "partitions are made, but neither `zerombr` nor `clearpart` with --all or --initlabel prepares a new disk";
    new.map(|command| Hit::at(command.span, message)).into_iter().collect()
}

fn disk_excluded(sheet: &Sheet<'_>) -> Vec<Hit> {
    let Some(rule) = sheet.command("ignoredisk") else { return vec![] };
    let named = |option: &str| disks(rule, option).into_iter().map(|(name, _)| name).collect::<HashSet<&str>>();
    let (only, without) = (named("only-use"), named("drives"));
    let users = [("part", "ondisk"), ("clearpart", "drives"), ("bootloader", "boot-drive")];
    let used = users.iter().flat_map(|(name, option)| {
        sheet.document.commands_named(name).flat_map(|command| disks(command, option).into_iter().map(|found| (found, *name)))
    });
    let hits = used.filter(|((disk, _), _)| (!only.is_empty() && !only.contains(disk)) || without.contains(disk));
    hits.map(|((disk, span), name)| Hit::at(span, format!("`{name}` uses {disk}, which `ignoredisk` takes away"))).collect()
}

fn command_without_code(sheet: &Sheet<'_>) -> Vec<Hit> {
    let lines = ["multipath", "dmraid"].into_iter().flat_map(|name| sheet.document.commands_named(name));
    lines.map(|command| Hit::at(command.name_span, format!("Anaconda has no code for `{}`", command.name))).collect()
}

//! Compares what a kickstart of the user's own asks for with what the build machine has: one disk, `vda`; one card, `eth0`; no network; the
//! recipe's firmware; and, afterwards, readers of ext4 and XFS on partitions and plain logical volumes.

use crate::base::size::ByteSize;
use crate::kickstart::{Command, Diagnostic, Document, Included, Severity, Span, network_calls};
use crate::recipe::{Firmware, Recipe};

/// The machine's system disk.
const DISK: &str = "vda";
/// The machine's card.
const CARD: &str = "eth0";

/// All that `document` asks for and cannot have: errors where the installation or a later step must fail, warnings where they may succeed.
pub(super) fn findings(recipe: &Recipe, document: &Document) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = disks(document);
    found.extend(cards(document));
    found.extend(sources(document));
    found.extend(calls(recipe, document));
    found.extend(layout(document));
    found.extend(elsewhere(recipe, document));
    found.extend(firmware(recipe, document));
    found
}

/// Why Anaconda finds no place for the boot loader of the machine's firmware: its only message is then "failed to find a suitable stage1
/// device" (pyanaconda/platform.py of 21.48.22.134, `EFI` and `X86`; pyanaconda/bootloader.py, `set_stage1_device`).
fn firmware(recipe: &Recipe, document: &Document) -> Option<Diagnostic> {
    let is_complete = document.includes().all(|include| matches!(include.content, Included::Read { .. }));
    let makes_it_itself = ["autopart", "reqpart"].iter().any(|name| document.command(name).is_some());
    let parts: Vec<&Command> = document.commands_named("part").collect();
    let has = |wanted: &str, kind: &str| {
        parts.iter().any(|part| {
            let place = part.arguments().first().is_some_and(|place| place.value == wanted);
            place || part.option("fstype").and_then(|used| used.text()) == Some(kind)
        })
    };
    let label = document.command("clearpart").and_then(|line| line.option("disklabel"));
    let table = label.and_then(|used| used.text());
    let error =
        |span, message: &str, help: &str| Some(document.diagnostic(Severity::Error, span, message.to_owned(), Some(help.to_owned())));
    if let (Firmware::Uefi, Some(used), Some("msdos")) = (recipe.disk.firmware, label, table) {
        let message = "UEFI boots this machine (the recipe's `disk.firmware`), and Anaconda boots UEFI from a GPT";
        return error(used.value_span, message, "write --disklabel=gpt, or leave the option out");
    }
    let first = parts.first().filter(|_| is_complete && !makes_it_itself)?;
    match recipe.disk.firmware {
        Firmware::Uefi if !has("/boot/efi", "efi") => error(
            first.span,
            "UEFI boots this machine (the recipe's `disk.firmware`), and there is no EFI system partition",
            "add `part /boot/efi --fstype=efi --size=200`, or say `firmware = \"bios\"` under `[disk]`",
        ),
        Firmware::Bios if table == Some("gpt") && has("/boot/efi", "efi") && !has("biosboot", "biosboot") => error(
            first.span,
            "BIOS boots this machine, and the disk becomes GPT without a biosboot partition: the kickstart is made for UEFI",
            "say `firmware = \"uefi\"` under `[disk]`, or add `part biosboot --fstype=biosboot --size=1`",
        ),
        _ => None,
    }
}

/// Options that name disks, and those that name partitions. Anaconda stops at a line that names one that is not there
/// (pyanaconda/kickstart.py of 21.48.22.134: ClearPart.parse, IgnoreDisk.parse, PartitionData.execute, Bootloader.execute).
const NAMING: [(&str, &str); 8] = [
    ("clearpart", "drives"),
    ("clearpart", "list"),
    ("ignoredisk", "only-use"),
    ("ignoredisk", "drives"),
    ("part", "ondisk"),
    ("part", "onpart"),
    ("bootloader", "boot-drive"),
    ("harddrive", "partition"),
];

fn disks(document: &Document) -> Vec<Diagnostic> {
    let uses = NAMING.iter().flat_map(|(command, option)| {
        document.commands_named(command).flat_map(move |line| line.options_named(option)).map(move |used| (*command, used))
    });
    let found = uses.filter_map(|(command, used)| {
        let missing: Vec<&str> = used.list().into_iter().filter(|name| is_other_disk(name)).collect();
        let name = missing.first()?;
        let message = format!("`{command} --{}` names {name}, which the build machine does not have: its one disk is {DISK}", used.name);
        Some(document.diagnostic(Severity::Error, used.value_span, message, Some(format!("write {DISK}, or leave the option out"))))
    });
    found.collect()
}

/// Whether `name` is the kernel's name of a disk or partition that the machine does not have. A pattern, or a link below /dev/disk, may
/// match.
fn is_other_disk(name: &str) -> bool {
    let one = |name: &str| {
        let name = name.trim();
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        let after = |prefix: &str| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()) && !rest.is_empty())
        };
        let is_kernels = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "dasd"].iter().any(|prefix| after(prefix));
        is_kernels && !name.starts_with(DISK)
    };
    // `sda|vda` means either (blivet's device_matches).
    name.split('|').all(one)
}

/// Lines about a card that is not there are ignored (pyanaconda/network.py: apply_kickstart), and the image has no settings of its own.
fn cards(document: &Document) -> Vec<Diagnostic> {
    const OF_VIRTUAL: [&str; 3] = ["bondslaves", "bridgeslaves", "teamslaves"];
    let lines = document.commands_named("network");
    let found = lines.filter_map(|line| {
        let slaves = OF_VIRTUAL.iter().find_map(|name| line.option(name));
        let used = slaves.or_else(|| line.option("device"))?;
        let names = used.text()?.split(',').map(|name| name.split(['\'', '{', ':']).next().unwrap_or_default().trim());
        let other = names.into_iter().find(|name| is_other_card(name))?;
        let message = format!("`network` names {other}, which the build machine does not have: its one card is {CARD}");
        Some(document.diagnostic(Severity::Warning, used.value_span, message, Some(format!("write --device={CARD}, or --device=link"))))
    });
    found.collect()
}

/// Whether `name` is a kernel's, udev's or biosdevname's name of a card that the machine does not have.
fn is_other_card(name: &str) -> bool {
    let after = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    name != CARD && ["eth", "eno", "ens", "enp", "em", "p", "wlan", "wlp"].iter().any(|prefix| after(prefix))
}

/// The sources of packages. The machine's network leads nowhere, so a source on the network cannot be reached.
fn sources(document: &Document) -> Vec<Diagnostic> {
    const CLOSED: &str = "the network is closed while the installer runs";
    let instead = || Some("write `cdrom`, and give packages in a `[[repository]]` of the recipe".to_owned());
    let mut found = Vec::new();
    for (name, options) in [("url", &["url", "mirrorlist"][..]), ("liveimg", &["url"]), ("ostreesetup", &["url"]), ("nfs", &["server"])] {
        let Some(line) = document.command(name) else { continue };
        let address =
            options.iter().find_map(|option| line.option(option)).filter(|used| name == "nfs" || used.text().is_some_and(is_remote));
        if let Some(used) = address {
            found.push(document.diagnostic(Severity::Error, used.span, format!("`{name}` is not reached: {CLOSED}"), instead()));
        }
    }
    for line in document.commands_named("repo") {
        let address =
            ["baseurl", "mirrorlist"].iter().find_map(|option| line.option(option)).filter(|used| used.text().is_some_and(is_remote));
        if let Some(used) = address {
            found.push(document.diagnostic(Severity::Warning, used.span, format!("this repository is not reached: {CLOSED}"), instead()));
        }
    }
    for include in document.includes().filter(|include| matches!(include.content, Included::Unknown) && is_remote(&include.path)) {
        let help = Some("write its text here".to_owned());
        found.push(document.diagnostic(Severity::Error, include.path_span, format!("this file is not fetched: {CLOSED}"), help));
    }
    found
}

fn is_remote(address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    ["http:", "https:", "ftp:", "nfs:"].iter().any(|scheme| address.starts_with(scheme))
}

/// Commands of scripts that fetch something. yum may have what it needs in a repository that the recipe keeps in the image.
fn calls(recipe: &Recipe, document: &Document) -> Vec<Diagnostic> {
    let has_kept = recipe.repositories.iter().any(|repository| repository.kept.is_some());
    let found = network_calls(document).into_iter().filter(|call| !has_kept || !["yum", "dnf"].contains(&call.program.as_str()));
    let help = || Some("fetch it in a `[[provision]]` step with `build.network = \"open\"`, or bring it in a `[[repository]]`".to_owned());
    let shown = found.map(|call| {
        let message = format!("`{}` reaches nothing: the network is closed while the installer runs", call.program);
        document.diagnostic(Severity::Warning, call.span, message, help())
    });
    shown.collect()
}

/// Why a file system of the image could not be read afterwards.
fn layout(document: &Document) -> Vec<Diagnostic> {
    let mut found: Vec<(Span, String)> = Vec::new();
    if let Some(line) = document.command("autopart") {
        let text = |name: &str| line.option(name).and_then(|used| used.text());
        // CentOS 7's own default (pyanaconda/installclasses/centos.py, rhel.py): xfs.
        match (autopart_kind(line), text("fstype").unwrap_or("xfs")) {
            ("plain" | "partition" | "lvm", kind) if is_read(kind) => {}
            ("plain" | "partition" | "lvm", kind) => found.push((line.span, format!("autopart makes {kind}"))),
            ("thinp", _) => found.push((line.span, "autopart makes thin volumes".to_owned())),
            (kind, _) => found.push((line.span, format!("autopart makes {kind}"))),
        }
        found.extend(line.option("encrypted").map(|used| (used.span, "the disk is encrypted".to_owned())));
    }
    for line in document.commands() {
        let place = line.arguments().first().map_or("", |place| place.value.as_str());
        if ["/", "/boot"].contains(&place) {
            found.extend(unreadable(line).map(|why| (line.span, format!("{place} is on {why}"))));
        }
        // `/` may be on any physical volume of the group. An encrypted one is reported at the line that makes it.
        if place.starts_with("pv.") && (line.option("encrypted").is_some() || line.canonical() == "raid") {
            let what = if line.canonical() == "raid" { "is a RAID array" } else { "is encrypted" };
            found.push((line.span, format!("{place} {what}")));
        }
    }
    let help = || {
        Some(
            "make / and /boot of xfs or ext4, on partitions or plain logical volumes: `autopart --type=lvm`, or `part / --fstype=xfs`"
                .to_owned(),
        )
    };
    let end = "the image is sealed and verified from outside, where ext4 and XFS on partitions and plain logical volumes are read";
    found.into_iter().map(|(span, why)| document.diagnostic(Severity::Error, span, format!("{why}: {end}"), help())).collect()
}

/// The kind of layout that `autopart` makes. CentOS 7's own default is LVM (pyanaconda/installclasses/centos.py, rhel.py).
fn autopart_kind(line: &Command) -> &str {
    let kind = line.option("type").and_then(|used| used.text()).unwrap_or("lvm");
    if line.option("nolvm").is_some() { "plain" } else { kind }
}

/// The free space with which `autopart` makes a /home (pyanaconda/installclass.py of 21.48.22: `requiredSpace`). The partition table takes
/// a little of the disk, so a disk of just this size is refused without need; nothing smaller gets a /home.
const ROOM_FOR_HOME: ByteSize = ByteSize::gib(50);

/// File systems beside those that are mounted while the image is sealed and verified: `/`, `/boot` and `/boot/efi`. Files on another one,
/// such as the leases and logs of a separate /var, would stay in the image unnoticed.
fn elsewhere(recipe: &Recipe, document: &Document) -> Vec<Diagnostic> {
    const END: &str = "the image is sealed and verified with / and /boot alone, and what lies elsewhere is neither cleaned nor checked";
    let mut found = Vec::new();
    if let Some(line) = document.command("autopart")
        && ["plain", "partition", "lvm"].contains(&autopart_kind(line))
        && line.option("nohome").is_none()
        && recipe.disk.size >= ROOM_FOR_HOME
    {
        let message = format!("autopart gives /home its own partition on a disk of 50 GiB or more: {END}");
        let help = "add `--nohome`, or make `disk.size` of the recipe smaller".to_owned();
        found.push(document.diagnostic(Severity::Error, line.span, message, Some(help)));
    }
    for line in document.commands() {
        // `mount` names the device first.
        let at = match line.canonical() {
            "partition" | "raid" | "logvol" | "btrfs" => 0,
            "mount" => 1,
            _ => continue,
        };
        let Some(place) = line.arguments().get(at).map(|place| place.value.as_str()) else { continue };
        // Only a path is a mount point; `swap`, `biosboot`, `pv.1` and `none` are not.
        if place.starts_with('/') && !["", "/boot", "/boot/efi"].contains(&place.trim_end_matches('/')) {
            let message = format!("{place} is a file system of its own: {END}");
            let help = format!("remove the line: {place} is then a directory of /");
            found.push(document.diagnostic(Severity::Error, line.span, message, Some(help)));
        }
    }
    found
}

/// What the line makes, when goldsmith cannot read it.
fn unreadable(line: &Command) -> Option<String> {
    match line.canonical() {
        "btrfs" => Some("btrfs".to_owned()),
        "raid" => Some("a RAID array".to_owned()),
        "partition" | "logvol" if line.option("encrypted").is_some() => Some("an encrypted device".to_owned()),
        "logvol" if ["thin", "thinpool"].iter().any(|name| line.option(name).is_some()) => Some("a thin volume".to_owned()),
        "logvol" if line.option("cachepvs").is_some() => Some("a cached volume".to_owned()),
        // CentOS 7's default is xfs.
        "partition" | "logvol" => line.option("fstype").and_then(|used| used.text()).filter(|kind| !is_read(kind)).map(str::to_owned),
        _ => None,
    }
}

fn is_read(kind: &str) -> bool {
    ["xfs", "ext4", "ext3", "ext2"].contains(&kind)
}

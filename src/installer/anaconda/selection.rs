//! The packages that an installation will ask for: those of the kickstart, and those that Anaconda adds.

use crate::kickstart::{Document, Included, PackageEntry, PackageKind};
use crate::recipe::Firmware;

use super::names::VOLUME_DIR;

/// The request to the repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The lines of `%packages` that are in effect, in their order: see [`standing`].
    pub entries: Vec<PackageEntry>,
    /// Group `core` is part of it: it is unless `--nocore` says otherwise.
    pub core: bool,
    /// Names that no repository has are left out (`--ignoremissing`).
    pub ignore_missing: bool,
    /// Packages that Anaconda itself needs, each with its purpose. Those that `%packages` excludes are not in it.
    pub required: Vec<(String, &'static str)>,
    /// The repositories beside the medium's: id and cost. Each is one of the recipe's.
    pub repositories: Vec<(String, u32)>,
    /// Things that decide on the packages but are not known before the installation.
    pub unseen: Vec<String>,
}

/// yum's cost of a repository that names none (yum.conf(5), cost).
const COST: u32 = 1000;

/// Packages that go with a filesystem or device (python-blivet 0.61.15: blivet/formats/fs.py, lvmpv.py, mdraid.py, biosboot.py: `_packages`).
const STORAGE: &[(&str, &str, &str)] = &[
    ("ext2", "e2fsprogs", "the filesystem"),
    ("ext3", "e2fsprogs", "the filesystem"),
    ("ext4", "e2fsprogs", "the filesystem"),
    ("xfs", "xfsprogs", "the filesystem"),
    ("btrfs", "btrfs-progs", "the filesystem"),
    ("vfat", "dosfstools", "the filesystem"),
    ("efi", "dosfstools", "the EFI system partition"),
    ("lvm", "lvm2", "the logical volumes"),
    ("raid", "mdadm", "the RAID"),
];

/// The selection of `document`, the kickstart of a machine with this firmware.
pub fn selection(document: &Document, firmware: Firmware) -> Selection {
    let flag = |name: &str| document.packages().any(|section| section.header().option(name).is_some());
    let mut selection = Selection {
        entries: standing(document.packages().flat_map(|section| section.entries())),
        core: !flag("nocore"),
        ignore_missing: flag("ignoremissing"),
        ..Selection::default()
    };
    if flag("default") {
        selection.unseen.push("which environment is the default (%packages --default)".to_owned());
    }
    for include in document.includes().filter(|include| !matches!(include.content, Included::Read { .. })) {
        selection.unseen.push(format!("what is in {}", include.path));
    }
    repositories(document, &mut selection);
    for (package, reason) in required(document, firmware) {
        let excluded = selection.entries.iter().any(|entry| entry.excluded && entry.name == package);
        if !excluded && !selection.required.iter().any(|(known, _)| known == package) {
            selection.required.push((package.to_owned(), reason));
        }
    }
    selection
}

/// The lines of `%packages` that are in effect when all are read (pykickstart 1.99.66.18, pykickstart/parser.py, `Packages.add`): `-NAME`
/// and `NAME` cancel each other, and the later one counts; of a group the first line counts, `-@NAME` cancels it and stays; of environments
/// the last one counts.
fn standing<'a>(lines: impl Iterator<Item = &'a PackageEntry>) -> Vec<PackageEntry> {
    let mut entries: Vec<PackageEntry> = Vec::new();
    for line in lines {
        let is_alike = |entry: &PackageEntry| match (entry.kind, line.kind) {
            (PackageKind::Environment, PackageKind::Environment) => true,
            (PackageKind::Package, PackageKind::Package) | (PackageKind::Group { .. }, PackageKind::Group { .. }) => {
                entry.name == line.name
            }
            _ => false,
        };
        let known = entries.iter().any(|entry| is_alike(entry) && entry.excluded == line.excluded);
        match (line.kind, line.excluded) {
            (PackageKind::Environment, false) => entries.retain(|entry| !is_alike(entry)),
            (PackageKind::Environment, true) => entries.retain(|entry| !(is_alike(entry) && entry.name == line.name)),
            (PackageKind::Group { .. }, false) => {}
            (PackageKind::Group { .. }, true) | (PackageKind::Package, _) => {
                entries.retain(|entry| !is_alike(entry) || entry.excluded == line.excluded);
            }
        }
        if !known || line.kind == PackageKind::Environment && !line.excluded {
            entries.push(line.clone());
        }
    }
    entries.retain(|entry| entry.kind != PackageKind::Environment || !entry.excluded);
    entries
}

fn repositories(document: &Document, selection: &mut Selection) {
    for source in ["url", "nfs", "harddrive", "liveimg"] {
        if document.command(source).is_some() {
            selection.unseen.push(format!("the installation source ({source})"));
        }
    }
    for repo in document.commands_named("repo") {
        let text = |option: &str| repo.option(option).and_then(|option| option.text()).unwrap_or_default();
        let volume = text("baseurl").strip_prefix("file://").and_then(|path| path.strip_prefix(VOLUME_DIR));
        let filtered = ["includepkgs", "excludepkgs"].into_iter().any(|option| repo.option(option).is_some());
        match volume.and_then(|path| path.strip_prefix('/')) {
            Some(id) if !filtered => {
                let cost = repo.option("cost").and_then(|option| option.integer()).and_then(|cost| u32::try_from(cost).ok());
                selection.repositories.push((id.to_owned(), cost.unwrap_or(COST)));
            }
            _ => selection.unseen.push(format!("the repository {}", text("name"))),
        }
    }
}

/// The kernel, which the payload asks for first (anaconda 21.48.22.134, pyanaconda/packaging/yumpayload.py, `_select_kernel_package`), then
/// what pyanaconda/install.py, `doInstall`, adds up, in its order: storage, authentication, firewall, boot loader, network; and the time,
/// which kickstart.py, `Timezone.setup`, puts among the kickstart's own packages.
fn required(document: &Document, firmware: Firmware) -> Vec<(&'static str, &'static str)> {
    let mut required = vec![("kernel", "the kernel")];
    let mut kinds: Vec<&str> = Vec::new();
    for command in ["part", "logvol", "raid"].iter().flat_map(|name| document.commands_named(name)) {
        kinds.extend(command.option("fstype").and_then(|option| option.text()));
        kinds.extend(command.arguments().first().and_then(|argument| argument.value.split('.').next()).filter(|word| *word == "raid"));
    }
    if let Some(autopart) = document.command("autopart") {
        // CentOS 7: LVM with XFS unless the kickstart says otherwise (pyanaconda/installclasses/centos.py).
        kinds.push(autopart.option("fstype").and_then(|option| option.text()).unwrap_or("xfs"));
        let kind = autopart.option("type").and_then(|option| option.text());
        let plain = autopart.option("nolvm").is_some() || matches!(kind, Some("plain" | "partition" | "btrfs"));
        kinds.extend((!plain).then_some("lvm"));
    }
    kinds.extend(document.command("volgroup").map(|_| "lvm"));
    for (kind, package, reason) in STORAGE {
        if kinds.contains(kind) {
            required.push((*package, *reason));
        }
    }
    // pyanaconda/kickstart.py, `Authconfig.setup` and `Firewall.setup`: only when the kickstart has the command.
    if document.command("authconfig").is_some() {
        required.push(("authconfig", "passwords"));
    }
    if document.command("firewall").is_some() {
        required.push(("firewalld", "the firewall"));
    }
    if document.command("bootloader").is_none_or(|bootloader| bootloader.option("disabled").is_none()) {
        // pyanaconda/bootloader.py, `GRUB2.packages` and `EFIGRUB.packages`.
        let uefi: &[&str] = if firmware == Firmware::Uefi { &["grub2-efi-x64", "shim-x64", "efibootmgr"] } else { &[] };
        required.extend(uefi.iter().chain(&["grub2", "grub2-tools"]).map(|package| (*package, "the boot loader")));
    }
    if document.commands_named("network").any(|command| command.option("teamslaves").is_some()) {
        required.push(("teamd", "the network"));
    }
    if document.command("timezone").is_none_or(|timezone| timezone.option("nontp").is_none()) {
        required.push(("chrony", "the time"));
    }
    required
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kickstart::parse;

    fn of(text: &str) -> Selection {
        selection(&parse("k", text, &|_: &str, _: &str| None), Firmware::Bios)
    }

    fn required(selection: &Selection) -> String {
        selection.required.iter().map(|(package, _)| package.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn anaconda_adds_what_it_needs() {
        let grub = "grub2 grub2-tools";
        let nontp = "timezone UTC --nontp\n";
        for (lines, packages) in [
            ("part / --fstype=ext4 --size=1\n".to_owned(), format!("kernel e2fsprogs {grub} chrony")),
            (format!("part / --fstype=xfs --size=1\n{nontp}"), format!("kernel xfsprogs {grub}")),
            (format!("autopart\n{nontp}"), format!("kernel xfsprogs lvm2 {grub}")),
            (format!("autopart --type=plain --fstype=ext4\n{nontp}"), format!("kernel e2fsprogs {grub}")),
            (format!("part raid.01 --size=1\n{nontp}"), format!("kernel mdadm {grub}")),
            (format!("auth --enableshadow\nfirewall --disabled\n{nontp}"), format!("kernel authconfig firewalld {grub}")),
            (format!("authconfig --enableshadow\n{nontp}"), format!("kernel authconfig {grub}")),
            (format!("firewall --enabled\n{nontp}%packages\n-firewalld\n-grub2\n%end\n"), "kernel grub2-tools".to_owned()),
            ("timezone UTC\n%packages\n-chrony\n-kernel\n%end\n".to_owned(), grub.to_owned()),
            (format!("bootloader --disabled\n{nontp}"), "kernel".to_owned()),
            (format!("{nontp}network --device=team0 --teamslaves=eth0\n"), format!("kernel {grub} teamd")),
        ] {
            assert_eq!(required(&of(&lines)), packages, "{lines}");
        }
        let uefi = selection(
            &parse("k", "part /boot/efi --fstype=efi --size=200\ntimezone UTC --nontp\n", &|_: &str, _: &str| None),
            Firmware::Uefi,
        );
        assert_eq!(required(&uefi), "kernel dosfstools grub2-efi-x64 shim-x64 efibootmgr grub2 grub2-tools");
    }

    #[test]
    fn lines_take_each_other_back_as_in_pykickstart() {
        for (lines, standing) in [
            ("a\nb\na", "a b"),
            ("a\n-a", "-a"),
            ("-a\na\nb", "a b"),
            ("-a\na\n-a", "-a"),
            ("@a --optional\n@a --nodefaults\na", "@a --optional a"),
            ("@a\n-@a\n-@a", "-@a"),
            ("-@a\n@a", "-@a @a"),
            ("@^one\na\n@^two", "a @^two"),
            ("@^one\n-@^one", ""),
            ("@^one\n-@^two", "@^one"),
            ("a.x86_64\n-a", "a.x86_64 -a"),
        ] {
            let text = format!("%packages\n{lines}\n%end\n");
            let found: Vec<String> = of(&text).entries.iter().map(|entry| text[entry.span.start..entry.span.end].to_owned()).collect();
            assert_eq!(found.join(" "), standing, "{lines}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_told() {
        let lines = "cdrom\nrepo --name=lab --baseurl=file:///run/goldsmith/lab --cost=10\n%packages --nocore --ignoremissing\n@^minimal\nvim\n%end\n";
        let seen = of(&lines.replace("/run/goldsmith", VOLUME_DIR));
        assert_eq!((seen.unseen, seen.repositories), (vec![], vec![("lab".to_owned(), 10)]));
        assert_eq!((seen.core, seen.ignore_missing, seen.entries.len()), (false, true, 2));
        for (line, unseen) in [
            ("url --url=http://x/\n", "the installation source (url)"),
            ("repo --name=epel --baseurl=http://x/\n", "the repository epel"),
            ("%include /tmp/p\n", "what is in /tmp/p"),
            ("%packages --default\n%end\n", "which environment is the default (%packages --default)"),
        ] {
            assert_eq!(of(line).unseen, [unseen]);
        }
    }
}

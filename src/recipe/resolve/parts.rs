//! The recipe and its plain parts: media, repositories, kernel, packages, services, disk, build.

use std::collections::{BTreeMap, BTreeSet};

use super::super::release::EL7;
use super::super::tree::KeyPath;
use super::super::written::{self, Compress, Installer};
use super::super::{
    Build, Compression, Content, Disk, Distribution, FileSource, FilesystemKind, Firmware, Kernel, Media, Output, OutputFormat, Packages,
    Recipe, Services, StockRepositories, TableKind, Waiver, syntax,
};
use super::fields::{file_source, package_names, sysctl_value};
use super::judge::Judge;
use super::{
    authorities, checks, containers, content, docker, interfaces, ntp, own_kickstart, proxy, published, repositories, run, system, units,
};
use crate::base::image_path::image_path;
use crate::base::size::ByteSize;
use crate::base::word::one_line;

/// The smallest disk that can hold a system.
const MIN_DISK: ByteSize = ByteSize::gib(2);
/// MBR counts sectors of 512 bytes in 32 bits.
const MAX_MBR_DISK: ByteSize = ByteSize::gib(2048);

/// The resolved recipe; to be thrown away when the judge has found anything.
pub(in super::super) fn recipe(judge: &mut Judge<'_>, written: &written::Recipe) -> Recipe {
    let installer = KeyPath::from("media.installer");
    judge.installer = (!judge.findings.is_spoiled(&installer)).then_some(written.media.installer);
    let kickstart = own_kickstart::read(judge, &written.media);
    let name = judge.spelled(&KeyPath::from("name"), &written.name, syntax::name);
    let summary = written.summary.as_ref().map(|summary| judge.spelled(&KeyPath::from("summary"), summary, one_line));
    let mut recipe = Recipe {
        summary: summary.unwrap_or_else(|| name.clone()),
        name,
        media: media(judge, &written.media, kickstart),
        repositories: repositories::repositories(judge, &written.repository),
        apt_repositories: repositories::apt_repositories(judge, &written.repository, written.media.suite.as_deref()),
        system: system::system(judge, &written.system, written.media.suite.as_deref()),
        interfaces: Vec::new(),
        kernel: kernel(judge, &written.kernel),
        packages: packages(judge, &written.packages),
        services: services(judge, &written.services),
        groups: system::groups(judge, &written.group, &written.user),
        users: system::users(judge, &written.user),
        files: content::files(judge, &KeyPath::from("file"), &written.file),
        authorities: Vec::new(),
        disk: disk(judge, &written.disk),
        build: build(judge, &written.build),
        provision: content::provision(judge, &written.provision, written.build.network),
        container_images: containers::container_images(judge, &written.container_image),
        checks: checks::checks(judge, &written.check),
        waivers: waivers(judge, &written.waiver),
        clones: clones(judge, &written.verify),
        output: output(judge, &written.output, &written.disk, &written.run),
        run: run::equipment(judge, &written.run, &written.disk),
        inherited: Vec::new(),
        suite_at: None,
    };
    interfaces::add(judge, &written.interface, &mut recipe);
    docker::add(judge, written.docker.as_ref(), &mut recipe);
    units::add(judge, &written.unit, &mut recipe);
    ntp::add(judge, &mut recipe);
    proxy::add(judge, &mut recipe);
    authorities::add(judge, &written.certificate_authority, &mut recipe);
    published::refuse_secrets(judge, &recipe);
    recipe
}

fn output(judge: &mut Judge<'_>, written: &written::Output, disk: &written::Disk, run: &written::Run) -> Output {
    let size = syntax::size(&disk.size).ok();
    if written.warm {
        judge_warm(judge, size, run);
    }
    for (index, format) in written.formats.iter().enumerate() {
        let most = ByteSize(format.most_bytes());
        if size.is_some_and(|size| size > most) {
            let title = format!("{} holds a disk of {most} at most", format.name());
            let path = KeyPath::from("output.formats").at(index);
            judge.clash(&path, &KeyPath::from("disk.size"), "larger than that", title, "make the disk smaller, or remove the format");
        }
    }
    // Lists of a recipe and of what it extends are joined: both may name a format.
    let formats: BTreeSet<OutputFormat> = written.formats.iter().copied().collect();
    Output {
        compress: match written.compress {
            Compress::Codec(codec) => codec,
            Compress::Switch(true) => Compression::Zlib,
            Compress::Switch(false) => Compression::None,
        },
        formats: formats.into_iter().collect(),
        warm: written.warm,
    }
}

/// A saved state is of a kernel that can renew its random generator, and of the image's own disk.
fn judge_warm(judge: &mut Judge<'_>, size: Option<ByteSize>, run: &written::Run) {
    let path = KeyPath::from("output.warm");
    if judge.installer == Some(Installer::Anaconda) {
        let title = format!("no state of a booted {} can be published: {}", EL7.name, EL7.no_state);
        judge.clash(&path, &KeyPath::from("media.installer"), "of this installer", title, "remove `warm`");
    }
    let larger = run.disk.as_deref().and_then(|disk| syntax::size(disk).ok()).filter(|disk| size.is_some_and(|size| *disk > size));
    if let Some(larger) = larger {
        let title = format!("machines with a disk of {larger} cannot go on from a saved state, which knows the disk of the image");
        judge.clash(&KeyPath::from("run.disk"), &path, "published here", title, "remove one of them, or make the disk of the image larger");
    }
}

fn clones(judge: &mut Judge<'_>, written: &written::Verify) -> bool {
    if !matches!(written.clones, 0 | 2) {
        let path = KeyPath::from("verify.clones");
        judge.wrong(&path, format!("{} clones cannot be compared", written.clones), "say `clones = 2`, or 0 for none");
    }
    written.clones == 2
}

fn waivers(judge: &mut Judge<'_>, written: &[written::Waiver]) -> Vec<Waiver> {
    let path = KeyPath::from("waiver");
    let one = |(index, waiver): (usize, &written::Waiver)| {
        let path = path.at(index);
        Waiver {
            rule: judge.spelled(&path.at("rule"), &waiver.rule, syntax::audit_rule),
            path: waiver.path.as_ref().map(|pattern| judge.spelled(&path.at("path"), pattern, image_path)),
            reason: judge.spelled(&path.at("reason"), &waiver.reason, one_line),
        }
    };
    written.iter().enumerate().map(one).collect()
}

fn media(judge: &mut Judge<'_>, written: &written::Media, kickstart: Option<Content>) -> Media {
    let path = KeyPath::from("media");
    let iso_path = path.at("iso");
    let iso = written.iso.as_ref().map(|iso| file_source(judge, &iso_path, iso));
    if written.iso.is_some() {
        judge.not_for_deploy(&iso_path, "deploy reads no medium", "remove `iso`, or choose `installer = \"anaconda\"`");
    }
    for (key, said) in [("distribution", written.distribution.is_some()), ("suite", written.suite.is_some())] {
        if said {
            let help = format!("remove `{key}`, or choose `installer = \"deploy\"`");
            judge.not_for_anaconda(&path.at(key), "with anaconda, the medium decides what is installed", &help);
        }
    }
    let suite = written.suite.as_ref().map(|suite| judge.spelled(&path.at("suite"), suite, syntax::suite));
    if judge.installer == Some(Installer::Anaconda) {
        match &iso {
            None => judge.wrong(&iso_path, "anaconda needs its medium", "say `iso = { path = \"…\", sha256 = \"…\" }` under `[media]`"),
            Some(iso) if iso.sha256.is_none() => judge.wrong(
                &iso_path.at("sha256"),
                "the medium is not pinned",
                "add `sha256 = \"…\"` to `iso`: what `sha256sum` prints, and the vendor's sha256sum.txt confirms",
            ),
            Some(_) => {}
        }
        return Media::Anaconda { iso: iso.unwrap_or(FileSource { path: None, urls: Vec::new(), sha256: None }), kickstart };
    }
    if judge.installer == Some(Installer::Deploy) {
        for (key, said, example) in [("distribution", written.distribution.is_some(), "debian"), ("suite", suite.is_some(), "bookworm")] {
            if !said {
                judge.wrong(&path.at(key), format!("deploy needs a {key}"), format!("say `{key} = {example:?}` under `[media]`"));
            }
        }
    }
    Media::Deploy { distribution: written.distribution.unwrap_or(Distribution::Debian), suite: suite.unwrap_or_default() }
}

fn kernel(judge: &mut Judge<'_>, written: &written::Kernel) -> Kernel {
    let path = KeyPath::from("kernel");
    let mut sysctl = BTreeMap::new();
    for (key, value) in &written.sysctl {
        let path = path.at("sysctl").at(key);
        let key = judge.parsed(&path, key);
        sysctl.extend(key.zip(sysctl_value(judge, &path, value)));
    }
    Kernel {
        modules: judge.all_parsed(&path.at("modules"), &written.modules),
        sysctl,
        arguments: judge.all_parsed(&path.at("arguments"), &written.arguments),
    }
}

fn packages(judge: &mut Judge<'_>, written: &written::Packages) -> Packages {
    let path = KeyPath::from("packages");
    if written.stock_repositories == StockRepositories::Vault {
        let help = "say \"keep\" or \"disable\"";
        judge.not_for_deploy(&path.at("stock_repositories"), "the vault holds past releases of CentOS, which deploy does not make", help);
    }
    if !written.exclude.is_empty() {
        let help = "remove `exclude`: deploy installs what the recipe names and what that depends on, nothing else";
        judge.not_for_deploy(&path.at("exclude"), "deploy cannot keep packages out", help);
    }
    for (index, package) in written.install.iter().enumerate() {
        if let Some(excluded) = written.exclude.iter().position(|excluded| excluded == package) {
            let excluded = path.at("exclude").at(excluded);
            let title = format!("package `{package}` is both installed and excluded");
            judge.clash(&path.at("install").at(index), &excluded, "excluded here", title, "remove it from one list");
        }
    }
    Packages {
        upgrade: written.upgrade,
        stock_repositories: written.stock_repositories,
        install: package_names(judge, &path.at("install"), &written.install),
        exclude: judge.all_read(&path.at("exclude"), &written.exclude, syntax::excluded),
        docs: written.docs,
    }
}

fn services(judge: &mut Judge<'_>, written: &written::Services) -> Services {
    let path = KeyPath::from("services");
    let stem = |unit: &str| unit.strip_suffix(".service").unwrap_or(unit).to_owned();
    for (index, unit) in written.enable.iter().enumerate() {
        if let Some(disabled) = written.disable.iter().position(|disabled| stem(disabled) == stem(unit)) {
            let disabled = path.at("disable").at(disabled);
            let title = format!("service `{unit}` is both enabled and disabled");
            judge.clash(&path.at("enable").at(index), &disabled, "disabled here", title, "remove it from one list");
        }
    }
    Services {
        enable: judge.all_parsed(&path.at("enable"), &written.enable),
        disable: judge.all_parsed(&path.at("disable"), &written.disable),
    }
}

fn disk(judge: &mut Judge<'_>, written: &written::Disk) -> Disk {
    let path = KeyPath::from("disk");
    let at = |key| path.at(key);
    let size = judge.verdict(&at("size"), syntax::size(&written.size));
    let swap = judge.verdict(&at("swap"), syntax::size(&written.swap));
    if size.is_some_and(|size| size < MIN_DISK) {
        judge.wrong(&at("size"), format!("a disk of {} is too small for a system", written.size), format!("make it at least {MIN_DISK}"));
    }
    if let (Some(size), Some(swap)) = (size, swap)
        && swap >= size
    {
        let title = format!("swap of {swap} leaves nothing of a disk of {size}");
        judge.clash(&at("swap"), &at("size"), "the whole disk", title, "make `swap` smaller or `size` larger");
    }
    if written.table == TableKind::Mbr && size.is_some_and(|size| size > MAX_MBR_DISK) {
        let title = format!("an MBR partition table ends at {MAX_MBR_DISK}");
        judge.clash(&at("size"), &at("table"), "MBR is chosen here", title, "say `table = \"gpt\"`");
    }
    if written.firmware == Firmware::Uefi && written.table == TableKind::Mbr {
        judge.clash(
            &at("table"),
            &at("firmware"),
            "UEFI is chosen here",
            "UEFI boots from GPT",
            "say `table = \"gpt\"`, or `firmware = \"bios\"`",
        );
    }
    if written.filesystem == FilesystemKind::Xfs {
        judge.not_for_deploy(&at("filesystem"), "deploy makes ext4 only", "say `filesystem = \"ext4\"`");
    }
    if written.lvm {
        judge.not_for_deploy(&at("lvm"), "deploy makes plain partitions only", "remove `lvm`");
    }
    Disk {
        size: size.unwrap_or(MIN_DISK),
        table: written.table,
        firmware: written.firmware,
        filesystem: written.filesystem,
        lvm: written.lvm,
        boot: boot(judge, written, size, swap),
        swap: swap.unwrap_or(ByteSize(0)),
        grow: grow(judge, written),
    }
}

/// The smallest filesystem for `/boot`: EL7's kernel has 30 MiB with its initramfs, and keeps up to five of them (`installonly_limit` of
/// its yum.conf).
const MIN_BOOT: ByteSize = ByteSize::mib(256);

/// The size of a filesystem of its own for `/boot`.
fn boot(judge: &mut Judge<'_>, written: &written::Disk, size: Option<ByteSize>, swap: Option<ByteSize>) -> Option<ByteSize> {
    let text = written.boot.as_ref()?;
    let path = KeyPath::from("disk.boot");
    judge.not_for_deploy(&path, "deploy has no /boot of its own: its boot loader reads `/`", "remove `boot`");
    let boot = judge.verdict(&path, syntax::size(text))?;
    if boot < MIN_BOOT {
        let title = format!("a /boot of {boot} is too small: several kernels and what they boot with have to fit");
        judge.wrong(&path, title, format!("make it at least {MIN_BOOT}, or remove `boot`"));
    }
    let rest = size?.bytes().saturating_sub(swap.unwrap_or(ByteSize(0)).bytes());
    if boot.bytes() >= rest {
        let title = format!("a /boot of {boot} and swap of {} leave nothing for `/`", swap.unwrap_or(ByteSize(0)));
        judge.clash(&path, &KeyPath::from("disk.size"), "the whole disk", title, "make `boot` smaller or `size` larger");
    }
    Some(boot)
}

/// Whether `/` grows at the first boot: by default wherever it can.
fn grow(judge: &mut Judge<'_>, written: &written::Disk) -> bool {
    let path = KeyPath::from("disk.grow");
    if written.grow == Some(true) {
        let help = "remove `grow`, and give `size` what the image will need";
        let title = format!("CentOS {} cannot grow `/` at the first boot: {}", EL7.major, EL7.no_growth);
        judge.not_for_anaconda(&path, &title, help);
        // systemd-repart 252 says "Disk … has no GPT disk label, not repartitioning." and succeeds, so the disk would stay small without a
        // message.
        if judge.installer == Some(Installer::Deploy) && written.table == TableKind::Mbr {
            let title = "`/` cannot grow in an MBR partition table: systemd-repart changes a GPT only";
            judge.clash(&path, &KeyPath::from("disk.table"), "MBR is chosen here", title, "say `table = \"gpt\"`, or remove `grow`");
        }
    }
    written.grow.unwrap_or(judge.installer == Some(Installer::Deploy) && written.table == TableKind::Gpt)
}

fn build(judge: &mut Judge<'_>, written: &written::Build) -> Build {
    let path = KeyPath::from("build");
    let memory = judge.verdict(&path.at("memory"), syntax::size(&written.memory));
    if memory.is_some_and(|memory| memory < ByteSize::gib(1)) {
        judge.wrong(
            &path.at("memory"),
            format!("{} of memory is too little to boot and check a system", written.memory),
            "give at least 1G",
        );
    } else if memory.is_some_and(|memory| memory < ByteSize::gib(2)) {
        // With too little, Anaconda waits for Enter even unattended.
        judge.not_for_anaconda(&path.at("memory"), "Anaconda stops and waits with less than 2G of memory", "say `memory = \"2G\"`");
    }
    Build {
        cpus: written.cpus,
        memory: memory.unwrap_or(ByteSize::gib(2)),
        deadline: judge.verdict(&path.at("deadline"), syntax::duration(&written.deadline)).unwrap_or_default(),
        network: written.network,
    }
}

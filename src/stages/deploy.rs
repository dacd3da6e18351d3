//! The deploy installation: a tree by mmdebstrap, a filesystem by mke2fs, a disk around it, and the boot loader by the runner.
//!
//! Everything that can be done on the host is done there. The guest is only booted for the boot loader, because GRUB asks the machine for
//! its devices.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use super::{RAW, StageError, drive};
use crate::base::event::{Task, Unit};
use crate::base::failure::Class;
use crate::base::process::{Invocation, ProcessError, Tool};
use crate::image::ext4::Mke2fs;
use crate::image::{BootFiles, Format, Layout, Role, create_raw, fat};
use crate::installer::deploy::FAILED;
use crate::machine::runner::{Bench, Mode, RunnerTask};
use crate::plan::DeployWork;
use crate::recipe;
use crate::sources::DebianRepository;

/// Assembles the tree; see its head. Part of the stage's id.
pub const TREE: &str = include_str!("tree.sh");
/// The characters of a path that are escaped in sources.list(5): all but those that need no escape in a URI (RFC 3986, section 2.3), and
/// slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Lines of mmdebstrap's output that an error keeps.
const TAIL_LINES: usize = 20;
/// The least space that an installation takes in the store: the tree, and the disk made from it.
pub const INSTALL_BYTES: u64 = 3 << 30;
/// The tools of the host that an installation runs.
pub const INSTALL_TOOLS: [Tool; 4] = [Tool::Mmdebstrap, Tool::Mke2fs, Tool::Unshare, Tool::Shell];

/// Install into a new layer in `dir`, with `packages` alone: no network is needed.
///
/// # Errors
/// The host lacks a tool or space, the packages cannot be installed, or the boot loader cannot.
pub async fn deploy(work: &DeployWork, packages: &DebianRepository, dir: &Path, bench: &Bench<'_>, task: &Task) -> Result<(), StageError> {
    let disk = dir.join(RAW);
    let layout = layout(&work.disk)?;
    let scratch = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StageError::Scratch { path, source }
    };
    drop(create_raw(&disk, layout.disk_size, INSTALL_BYTES)?);
    let place = bench.scratch.join("deploy");
    lay_out(work, packages, &place).map_err(scratch(&place))?;
    let mke2fs = assemble(work, &layout, packages, &place, &disk, bench.deadline, task).await?;
    let mut file = File::options().read(true).write(true).open(&disk).map_err(scratch(&disk))?;
    mke2fs.settle_times(&file, &disk)?;
    if let Some(esp) = layout.partition(Role::Esp) {
        fat::format(&file, &disk, esp.start, esp.size, "ESP", work.ids.esp)?;
    }
    layout.write_table(&mut file, &disk, &work.ids.seed)?;
    drop(file);
    install_boot_loader(work, disk, bench, task).await.map_err(|error| error.ours("boot loader").doing("installing the boot loader"))
}

fn layout(disk: &recipe::Disk) -> Result<Layout, StageError> {
    Ok(Layout::plan(disk.size.bytes(), disk.firmware, disk.table, disk.swap.bytes())?)
}

/// Write the files that `tree.sh` reads.
fn lay_out(work: &DeployWork, packages: &DebianRepository, place: &Path) -> io::Result<()> {
    let files = place.join("settings/files");
    fs::create_dir_all(&files)?;
    fs::write(place.join("sources.list"), source_line(&packages.dir))?;
    fs::write(place.join("settings/apply.sh"), &work.tree.script)?;
    for (index, file) in work.tree.files.iter().enumerate() {
        fs::write(files.join(index.to_string()), file.content.bytes())?;
    }
    Ok(())
}

/// The line of sources.list(5) that names a repository of ours. apt copies the packages into the tree, which sees no directory of the host; their
/// digests come from indexes that were verified before.
fn source_line(dir: &Path) -> String {
    // apt takes escapes of URIs here (apt 2.6, methods/copy.cc, `URIAcquire`), and a space would end the address.
    let escaped = percent_encoding::percent_encode(dir.as_os_str().as_encoded_bytes(), PATH);
    format!("deb [trusted=yes] copy:{escaped} ./\n")
}

/// Tree and filesystem, in one namespace: the tree's files belong to ids that only exist there.
async fn assemble(
    work: &DeployWork,
    layout: &Layout,
    &DebianRepository { packages, epoch, .. }: &DebianRepository,
    place: &Path,
    disk: &Path,
    deadline: Duration,
    task: &Task,
) -> Result<Mke2fs, StageError> {
    let root = layout.root();
    let mke2fs =
        Mke2fs { offset: root.start, size: root.size, label: "root".to_owned(), uuid: work.ids.root, hash_seed: work.ids.root, epoch };
    let mut invocation = Invocation::new(Tool::Shell)
        .args(["-c", TREE, "tree.sh"])
        .arg(Tool::Mke2fs.find()?)
        .args(mke2fs.args(&place.join("tree"), disk))
        .env("GS_SUITE", &work.suite)
        .env("GS_PACKAGES", work.tree.packages.join(","))
        .env("GS_WORK", place)
        .contained()
        .within(deadline);
    for (name, value) in mke2fs.env() {
        invocation = invocation.env(name, value);
    }
    let mut lines: Vec<String> = Vec::new();
    let result = invocation
        .run_with(|line| {
            task.line("mmdebstrap", line);
            match doing(line) {
                Some(Doing::Step(step)) => task.step(step),
                Some(Doing::Package(number)) => task.progress("installing packages", number, Some(packages), Unit::Steps),
                None => {}
            }
            lines.push(line.to_owned());
        })
        .await;
    match result {
        Ok(()) => Ok(mke2fs),
        Err(ProcessError::Failed { .. }) => Err(explain(&lines)),
        Err(other) => Err(other.into()),
    }
}

/// The progress in a line.
#[derive(Debug, PartialEq, Eq)]
enum Doing<'l> {
    /// It is at this step.
    Step(&'l str),
    /// So many packages are installed.
    Package(u64),
}

/// mmdebstrap's steps (1.3.5, its `info` lines), and our names for them. Its other lines are about itself: its mode, its hooks.
const STEPS: [(&str, &str); 5] = [
    ("running apt-get update", "reading the package index"),
    ("downloading packages with apt", "copying the essential packages"),
    ("extracting archives", "unpacking the essential packages"),
    ("installing essential packages", "installing the essential packages"),
    ("installing remaining packages inside the chroot", "unpacking packages"),
];

fn doing(line: &str) -> Option<Doing<'_>> {
    if let Some(said) = line.strip_prefix("I: ") {
        let said = said.trim_end_matches('.');
        return STEPS.iter().find(|(theirs, _)| *theirs == said).map(|(_, ours)| Doing::Step(ours));
    }
    // A line of a failure is not a step; the failure itself names the step.
    let ours = line.strip_prefix("goldsmith: ").filter(|_| !line.starts_with(FAILED))?;
    Some(ours.strip_prefix("package ").and_then(|number| number.parse().ok()).map_or(Doing::Step(ours), Doing::Package))
}

/// Messages of failures of apt, dpkg, mmdebstrap and mke2fs, whose fault they are, and what to do. The first row that fits is the cause: on
/// a full disk apt prints other errors too.
const FAILURES: &[(&str, Class, &str)] = &[
    ("unshare: ", Class::Host, "let this user have namespaces; `goldsmith doctor` names what is in the way"),
    ("No space left on device", Class::Host, ROOM),
    ("You don't have enough free space in", Class::Host, ROOM),
    ("Could not write block", Class::Host, ROOM),
    ("E: Unable to locate package", Class::Machine, NAME),
    ("has no installation candidate", Class::Machine, NAME),
    ("E: Version ", Class::Machine, "the suite has another version: leave the version out, or name the one there is (`apt-cache policy`)"),
    ("E: Unable to correct problems", Class::Machine, "two packages of the recipe exclude each other; the lines above name them"),
    ("Temporary failure resolving", Class::Input, "check the host's network and name service"),
    ("E: Failed to fetch", Class::Input, "check the host's network and package sources: apt-get update"),
    ("NO_PUBKEY", Class::Host, "install the distribution's keys on this host: apt-get install debian-archive-keyring"),
    ("Could not allocate block", Class::Machine, "make the recipe's disk larger: [disk] size"),
    (
        "newuidmap",
        Class::Host,
        "install uidmap, and give this user sub-ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
    ),
    ("dpkg: error processing", Class::Machine, "the package's own script failed; the lines above tell"),
];
const ROOM: &str = "make room in the store, or name another: --store DIR";
const NAME: &str = "correct the name in the recipe's [packages]; `apt-cache search` finds names";

/// Steps of the settings' script, and what to do when they fail.
const SETTINGS: &[(&str, &str)] = &[
    ("adding the user ", "correct the user's name, groups or shell in the recipe's [[user]], or install the package that brings them"),
    ("setting the time zone ", "correct system.timezone: `timedatectl list-timezones` finds names"),
    ("making the locale ", "correct system.locale: /usr/share/i18n/SUPPORTED has the names"),
    ("enabling ", "correct the unit's name in the recipe's [services], or install the package that brings it"),
    ("disabling ", "correct the unit's name in the recipe's [services]"),
    ("giving ", "correct the owner in the recipe's [[file]]: user and group must be there"),
    ("writing ", "correct the path in the recipe's [[file]]"),
];

/// The failure that the settings' script reports. Later messages of mmdebstrap follow from it.
fn setting(lines: &[String]) -> Option<StageError> {
    let told = lines.iter().find_map(|line| line.strip_prefix(FAILED))?;
    let known = FAILURES.iter().find(|(text, class, _)| *class == Class::Host && told.contains(text));
    let (class, remedy) = match known {
        Some((_, class, remedy)) => (*class, *remedy),
        None => {
            let remedy = SETTINGS.iter().find(|(doing, _)| told.starts_with(doing)).map(|(_, remedy)| *remedy);
            (Class::Machine, remedy.unwrap_or("run again with -v for all of the output"))
        }
    };
    Some(StageError::Settings { class, cause: crate::base::text::printable(told.trim()), remedy: remedy.to_owned(), tail: tail(lines) })
}

fn tail(lines: &[String]) -> Vec<String> {
    lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec()
}

fn explain(lines: &[String]) -> StageError {
    if let Some(failure) = setting(lines) {
        return failure;
    }
    let find = |text: &str| lines.iter().find(|line| line.contains(text));
    let known = FAILURES.iter().find_map(|(text, class, remedy)| find(text).map(|line| (line.as_str(), *class, *remedy)));
    let (cause, class, remedy) = known.unwrap_or_else(|| {
        let last = lines.iter().rev().find(|line| line.contains("E: ") || line.contains("rror"));
        (last.or(lines.last()).map_or("no word of why", String::as_str), Class::Machine, "run again with -v for all of the output")
    });
    StageError::Packages { class, cause: crate::base::text::printable(cause.trim()), remedy: remedy.to_owned(), tail: tail(lines) }
}

async fn install_boot_loader(work: &DeployWork, disk: PathBuf, bench: &Bench<'_>, task: &Task) -> Result<(), StageError> {
    let files = BootFiles::extract(&disk, Format::Raw, bench.scratch).await?;
    let payload = RunnerTask { name: "boot-loader".to_owned(), script: work.boot_loader.as_bytes().to_vec(), files: Vec::new() };
    let mut guest = bench.boot("install", vec![drive(disk, Format::Raw)], files.parts(), Mode::Offline, &[payload], task).await?;
    task.step("boot loader");
    if let Err(error) = guest.run_to_success("boot-loader", task).await {
        guest.offer_shell(&error, task).await;
        return Err(error.into());
    }
    guest.end(task).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure::Failure;

    #[test]
    fn steps_are_told_in_words_for_people() {
        for (line, expected) in [
            ("I: installing essential packages...", Some(Doing::Step("installing the essential packages"))),
            ("goldsmith: package 120", Some(Doing::Package(120))),
            ("goldsmith: enabling docker", Some(Doing::Step("enabling docker"))),
            // A package's name, not a number.
            ("goldsmith: package list", Some(Doing::Step("package list"))),
            ("I: running --customize-hook in shell: sh -c 'cp \"$1\"' exec /x", None),
            ("I: automatically chosen mode: root", None),
            ("Setting up x (1) ...", None),
        ] {
            assert_eq!(doing(line), expected, "{line}");
        }
        assert_eq!(doing(&format!("{FAILED}enabling x: no such unit")), None);
    }

    #[test]
    fn what_the_tools_say_becomes_a_cause_and_a_remedy() {
        for (lines, class, cause, remedy) in [
            (
                &["I: installing", "E: Unable to locate package nosuch", "E: apt-get failed"][..],
                Class::Machine,
                "E: Unable to locate package nosuch",
                "correct the name",
            ),
            (
                &["mke2fs: Could not allocate block in ext2 filesystem while populating"][..],
                Class::Machine,
                "mke2fs: Could not allocate",
                "make the recipe's disk larger",
            ),
            (
                &["E: Failed to fetch http://x  Error writing to file - write (28: No space left on device)"][..],
                Class::Host,
                "28: No space",
                "make room",
            ),
            (&["E: Failed to fetch http://x  404  Not Found"][..], Class::Input, "404", "apt-get update"),
            (&["something new", "E: it broke", "done"][..], Class::Machine, "E: it broke", "run again with -v"),
            (&[][..], Class::Machine, "no word of why", "run again with -v"),
            (
                &[
                    "goldsmith: adding the user backup",
                    "useradd: user 'backup' already exists",
                    "goldsmith: fail adding the user backup: useradd: user 'backup' already exists",
                    "E: run_chroot failed: E: command failed: sh -c cp -R",
                    "E: mmdebstrap failed to run",
                ],
                Class::Machine,
                "the settings could not be applied: adding the user backup: useradd: user 'backup' already exists",
                "correct the user's name",
            ),
            (
                &["goldsmith: fail writing /etc/x: install: error writing '/etc/x': No space left on device"],
                Class::Host,
                "No space left",
                "make room",
            ),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let error = explain(&lines);
            assert!(error.to_string().contains(cause) && error.class() == class, "{error}");
            assert!(error.remedy().unwrap().contains(remedy), "{error}");
        }
    }
}

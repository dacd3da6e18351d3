//! `goldsmith image describe`: libvirt defines and starts the domain, shells read the lines, OpenStack's inspector judges the image.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::export_cases::{MIB, Place};
use crate::handover_cases::{Killed, system};
use crate::kickstart_cases::python_tool;
use crate::support::GOLDSMITH;

/// A boot sector that writes `goldsmith boots` to the first serial port repeatedly, so that a terminal that is opened late shows it too.
pub fn talking_sector() -> Vec<u8> {
    let mut code = vec![
        0x31, 0xc0, 0x8e, 0xd8, // xor ax, ax; mov ds, ax
        0xbe, 0x1f, 0x7c, //       again: mov si, message
        0xac, 0x84, 0xc0, //       next: lodsb; test al, al
        0x74, 0x0b, //             jz pause
        0xba, 0xf8, 0x03, 0xee, // mov dx, 0x3f8; out dx, al
        0xb9, 0x00, 0x40, //       mov cx, 0x4000
        0xe2, 0xfe, //             loop itself
        0xeb, 0xf0, //             jmp next
        0x90, //                   nop
        0x31, 0xc9, 0xe2, 0xfe, // pause: xor cx, cx; loop itself
        0xeb, 0xe6, //             jmp again
        0x90,
    ];
    assert_eq!(code.len(), 0x1f);
    code.extend(b"goldsmith boots\r\n\0");
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    code
}

/// The output of `image describe` for `image`.
fn describe(place: &Place, image: &str, words: &str) -> Output {
    let mut command = Command::new(GOLDSMITH);
    command.args(["image", "describe", image, "--for"]).args(words.split(' ')).current_dir(place.at("."));
    command.output().unwrap()
}

#[track_caller]
fn described(place: &Place, image: &str, words: &str) -> String {
    let output = describe(place, image, words);
    assert!(output.status.success(), "{image:?} {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// libvirt's session daemon with a separate home. Root has no session, so as root it is the daemon of the user `nobody`.
pub struct Libvirt<'a> {
    place: &'a Place,
    _daemon: Killed,
}

impl<'a> Libvirt<'a> {
    pub fn start(place: &'a Place) -> Self {
        // The paths are short, because that of a socket has at most 108 bytes.
        for dir in ["home/.config/libvirt", "run"] {
            fs::create_dir_all(place.at(dir)).unwrap();
        }
        // Without this, a second daemon for the logs outlives the first.
        fs::write(place.at("home/.config/libvirt/qemu.conf"), "stdio_handler = \"file\"\n").unwrap();
        if is_root() {
            place.shows("chown -R 65534:65534 .");
        }
        place.shows("chmod 700 run");
        let log = File::create(place.at("libvirtd.log")).unwrap();
        let mut command = Self::command(place, "/usr/sbin/libvirtd");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = Killed(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while !place.at("run/libvirt/libvirt-sock").exists() {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(place.at("libvirtd.log")).unwrap());
            thread::sleep(Duration::from_millis(20));
        }
        Self { place, _daemon: daemon }
    }

    fn command(place: &Place, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(place.at(".")).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", place.at("home")).env("XDG_RUNTIME_DIR", place.at("run"));
        if is_root() {
            command.uid(65534).gid(65534);
        }
        command
    }

    #[track_caller]
    pub fn virsh(&self, args: &[&str]) -> String {
        let output = Self::command(self.place, "virsh").args(["-c", "qemu:///session"]).args(args).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{args:?}: {}{}", said(&output.stderr), said(&output.stdout));
        said(&output.stdout).trim().to_owned()
    }
}

impl Drop for Libvirt<'_> {
    /// No machine may stay after a failed test.
    fn drop(&mut self) {
        let virsh = |args: &[&str]| Self::command(self.place, "virsh").args(["-c", "qemu:///session"]).args(args).output();
        let names = virsh(&["list", "--name"]).map(|output| output.stdout).unwrap_or_default();
        for name in String::from_utf8_lossy(&names).lines().filter(|name| !name.is_empty()) {
            let _ = virsh(&["destroy", name]);
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The first complete line of a terminal with the text `wanted`.
pub fn line_of(terminal: &str, wanted: &str) -> String {
    let terminal = File::open(terminal).unwrap();
    let (say, said) = channel();
    thread::spawn(move || BufReader::new(terminal).lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let line = said.recv_timeout(deadline.saturating_duration_since(Instant::now())).expect("the guest says nothing");
        if line.trim() == wanted {
            return line;
        }
    }
}

#[test]
fn libvirt_defines_and_starts_what_is_described() {
    let place = Place::new();
    // Only the owner can read the directories of tempfile.
    place.shows("chmod 755 .");
    let odd = "q'\"<&>";
    fs::create_dir(place.at(odd)).unwrap();
    place.disk("talks", MIB, &[(0, talking_sector())]);
    place.shows("goldsmith image export talks talks.qcow2");
    let image = format!("{odd}/a b.qcow2");
    fs::rename(place.at("talks.qcow2"), place.at(&image)).unwrap();
    // Only UEFI boots this disk, and it has no system. The machine only has to run.
    system(&place, "uefi.raw", 0xef, &[("usr/sbin/qemu-ga", "")]);
    for (image, name, more) in [(image.as_str(), "a<b>&'c'", " --memory 128M --cpus 1"), ("uefi.raw", "uefi", " --memory 256M")] {
        fs::write(place.at(format!("{}.xml", &name[..1])), described(&place, image, &format!("libvirt --name {name} --type qemu{more}")))
            .unwrap();
    }
    let libvirt = Libvirt::start(&place);
    for name in ["a<b>&'c'", "uefi"] {
        libvirt.virsh(&["define", "--validate", &format!("{}.xml", &name[..1])]);
        assert!(libvirt.virsh(&["list", "--all", "--name"]).lines().any(|line| line.trim() == name));
        libvirt.virsh(&["start", name]);
        assert_eq!(libvirt.virsh(&["domstate", name]), "running");
        if name == "uefi" {
            let running = libvirt.virsh(&["dumpxml", name]);
            assert!(running.contains("<loader readonly='yes'") && running.contains("org.qemu.guest_agent.0"), "{running}");
        } else {
            line_of(&libvirt.virsh(&["ttyconsole", name]), "goldsmith boots");
        }
        libvirt.virsh(&["destroy", name]);
    }
}

#[test]
fn the_type_is_that_of_what_works_here() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, talking_sector())]);
    let kvm = Command::new(GOLDSMITH).args(["doctor", "--json"]).env("HOME", place.at(".")).output().unwrap();
    let kind = if String::from_utf8_lossy(&kvm.stdout).contains("KVM works") { "kvm" } else { "qemu" };
    assert!(described(&place, "disk", "libvirt").contains(&format!("<domain type='{kind}'>")));
    assert!(described(&place, "disk", "libvirt --type kvm").contains("<domain type='kvm'>"));
    let json: serde_json::Value = serde_json::from_str(&described(&place, "disk", "libvirt --type qemu --json")).unwrap();
    assert_eq!(
        (&json["for"], json["text"].as_str().map(str::to_owned)),
        (&"libvirt".into(), Some(described(&place, "disk", "libvirt --type qemu")))
    );
}

/// Programs that write their arguments to `calls`, a line for each call and a `|` before each word.
fn stubs(place: &Place) {
    fs::create_dir_all(place.at("bin")).unwrap();
    for (name, say) in [("openstack", ""), ("qm", ""), ("pvesh", "echo 107")] {
        let path = place.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{{ printf '|%s' {name} \"$@\"; echo; }} >>calls\n{say}\n")).unwrap();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// The calls of the programs by a shell that runs `lines`.
fn calls(place: &Place, lines: &str) -> Vec<String> {
    let _ = fs::remove_file(place.at("calls"));
    let path = format!("{}:/usr/bin:/bin", place.at("bin").display());
    let output = Command::new("sh").args(["-eu", "-c", lines]).env("PATH", path).current_dir(place.at(".")).output().unwrap();
    assert!(output.status.success(), "{lines}{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(place.at("calls")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_calls_the_programs_with_the_words_that_are_meant() {
    let place = Place::new();
    stubs(&place);
    let odd = "q'\"<&> $(reboot)";
    fs::create_dir(place.at(odd)).unwrap();
    system(&place, "disk", 0x83, &[("usr/bin/cloud-init", ""), ("usr/sbin/qemu-ga", "")]);
    let image = format!("{odd}/disk.raw");
    fs::rename(place.at("disk"), place.at(&image)).unwrap();
    let file = fs::canonicalize(place.at(&image)).unwrap().display().to_string();
    let properties = "|--property|architecture=x86_64|--property|hw_disk_bus=virtio|--property|hw_firmware_type=bios|--property|hw_machine_type=q35\
                      |--property|hw_rng_model=virtio|--property|hw_vif_model=virtio|--property|hw_video_model=vga\
                      |--property|hw_qemu_guest_agent=yes|--property|os_distro=debian|--property|os_version=12";
    let create = format!("|openstack|image|create|--file|{file}|--disk-format|raw|--container-format|bare|--min-disk|1{properties}|it's");
    assert_eq!(calls(&place, &described(&place, &image, "openstack --name it's")), [create]);
    let expected = [
        "|pvesh|get|/cluster/nextid".to_owned(),
        "|qm|create|107|--name|a-b|--memory|4096|--cores|3|--cpu|host|--machine|q35|--ostype|l26|--vga|std|--serial0|socket\
         |--rng0|source=/dev/urandom|--net0|virtio,bridge=vmbr0|--agent|enabled=1"
            .to_owned(),
        format!("|qm|set|107|--virtio0|local-lvm:0,discard=on,import-from={file}"),
        "|qm|set|107|--boot|order=virtio0".to_owned(),
    ];
    assert_eq!(calls(&place, &described(&place, &image, "proxmox --name a_b --memory 4G --cpus 3")), expected);
}

/// OpenStack's check of an uploaded image (oslo.utils, `safety_check`): prints `safe`, or the reason why it is not.
const SAFETY: &str = r"
import sys
from oslo_utils.imageutils import format_inspector
for name in sys.argv[1:]:
    inspector = format_inspector.detect_file_format(name)
    try:
        inspector.safety_check()
        print(inspector, 'safe')
    except Exception as error:
        print(inspector, type(error).__name__, error)
";

#[test]
fn openstack_takes_what_is_exported_and_no_overlay() {
    let place = Place::new();
    system(&place, "disk", 0x83, &[]);
    place.shows("goldsmith image export disk whole.qcow2");
    place.shows("qemu-img create -q -f qcow2 -F raw -b disk overlay.qcow2");
    place.shows("goldsmith image export overlay.qcow2 flat.qcow2");
    // ci/test names the same.
    let python = python_tool("oslo", &["oslo.utils==9.0.0"]).join("python3");
    fs::write(place.at("safety.py"), SAFETY).unwrap();
    let said = place.shows(&format!("{} -B safety.py whole.qcow2 flat.qcow2 overlay.qcow2", python.display()));
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said[..2], ["qcow2 safe"; 2]);
    assert!(said[2].contains("SafetyCheckFailed") && said[2].contains("backing_file"), "{}", said[2]);

    for receiver in ["openstack", "proxmox"] {
        let output = describe(&place, "overlay.qcow2", receiver);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{stderr}");
        assert!(stderr.contains("error: overlay.qcow2 lies over another file, which "), "{stderr}");
        assert!(stderr.contains("  help: make one file of the two: goldsmith image export\n"), "{stderr}");
    }
    // libvirt follows it.
    assert!(described(&place, "overlay.qcow2", "libvirt --type qemu").contains("type='qcow2'"));
    let output = describe(&place, "whole.qcow2", "openstack");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("warning: the image has no cloud-init, and OpenStack gives"));
}

#[test]
fn what_no_document_can_say_is_refused() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, talking_sector())]);
    place.disk("data", MIB, &[(5000, vec![1])]);
    for (name, alias) in [("a\nb.raw", "disk"), ("c,d.raw", "disk"), ("\u{1b}[31m.raw", "disk")] {
        fs::copy(place.at(alias), place.at(name)).unwrap();
    }
    let arm: &str = "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\u{b7}\0";
    // 0xb7 alone is no UTF-8: the program is written by its bytes.
    let arm: Vec<u8> = arm.chars().map(|c| c as u8).collect();
    fs::write(place.at("sh"), arm).unwrap();
    system(&place, "arm", 0x83, &[]);
    place.shows("dd if=arm of=part bs=1M skip=1 status=none");
    fs::write(place.at("command"), "mkdir bin\nwrite sh bin/sh\n").unwrap();
    place.shows("debugfs -w -f command part");
    place.shows("dd if=part of=arm bs=1M seek=1 conv=notrunc status=none");
    for (image, words, status, said) in [
        ("a\nb.raw", "libvirt --type qemu", 3, "has a control character in its path"),
        ("a\nb.raw", "openstack", 3, "has a control character in its path"),
        ("\u{1b}[31m.raw", "proxmox", 3, "has a control character in its path"),
        ("c,d.raw", "proxmox", 3, "c,d.raw: a comma ends a value there\n  help: rename the file"),
        ("disk", "libvirt --name a\nb", 2, "cannot be the machine's name: it has a control character\n  help: give another with --name\n"),
        ("disk", "libvirt --name a/b", 2, "it has a slash"),
        ("disk", "openstack --name=-x", 2, "it begins with a dash or a dot"),
        ("disk", "openstack --name=", 2, "it is empty"),
        ("disk", "openstack --type kvm", 2, "error: --type is for libvirt\n  help: leave it out\n"),
        ("disk", "hyperv", 2, "invalid value 'hyperv' for '--for <RECEIVER>'"),
        ("disk", "libvirt --memory 12", 2, "without a unit this is 12 bytes"),
        ("data", "libvirt --type qemu", 3, "is not a bootable disk"),
        ("arm", "libvirt --type qemu", 3, "error: arm is for aarch64, and machines for x86_64 only are described\n"),
        ("none", "proxmox", 3, "error: none cannot be opened: No such file or directory"),
    ] {
        let output = describe(&place, image, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(status), 0), "{image:?} {words}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains('\u{1b}'), "{image:?} {words}: {stderr}");
    }
    // The other receivers accept a comma.
    assert!(described(&place, "c,d.raw", "openstack").contains("c,d.raw"));
}

//! `goldsmith image export` for Google, Vagrant and KubeVirt, checked with the programs that read the files there, or similar ones: GNU
//! tar, Python, Vagrant, skopeo and Docker's registry.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::export_cases::{KIB, MIB, Place, TIB, disks, noise, text};
use crate::support::{GOLDSMITH, goldsmith, make_disk};

const GIB: u64 = 1 << 30;

/// A boot sector with code that does nothing. Its presence shows which firmware the disk is for.
fn boot_sector() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..2].copy_from_slice(&[0xeb, 0xfe]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A disk of 64 MiB with a boot sector and one partition of the type `kind` that holds the ext4 of the files in `tree`.
pub fn system(place: &Place, name: &str, kind: u8, tree: &[(&str, &str)]) {
    let dir = place.at(format!("{name}.tree"));
    for (path, content) in [("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")].iter().chain(tree) {
        fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        fs::write(dir.join(path), content).unwrap();
    }
    make_disk(&dir, &place.at("filesystem"));
    let mut sector = boot_sector();
    sector[0] = if kind == 0xef { 0 } else { 0xeb };
    sector[446 + 4] = kind;
    sector[446 + 8..446 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 0, 1, 0]);
    place.disk(name, 64 * MIB, &[(0, sector), (MIB, fs::read(place.at("filesystem")).unwrap())]);
    fs::remove_dir_all(dir).unwrap();
    fs::remove_file(place.at("filesystem")).unwrap();
}

/// The output of a Python program, as JSON.
#[track_caller]
fn python(place: &Place, program: &str, args: &[&str]) -> Value {
    fs::write(place.at("program.py"), program).unwrap();
    let output = place.shows(&format!("python3 -B program.py {}", args.join(" ")));
    fs::remove_file(place.at("program.py")).unwrap();
    serde_json::from_str(&output).unwrap()
}

/// The entries of an archive, as Python's tarfile sees them.
const ENTRIES: &str = r"
import json, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    print(json.dumps([[e.name, e.type.decode(), e.size, e.mode, e.uid, e.gid, e.mtime] for e in archive]))
";

/// Whether a gzip file is one member, by zlib, and its unpacked length.
const MEMBER: &str = r#"
import sys, zlib
member, size = zlib.decompressobj(31), 0
with open(sys.argv[1], "rb") as file:
    while part := file.read(1 << 20):
        size += len(member.decompress(part))
assert member.eof and not member.unused_data
print(size)
"#;

#[test]
fn gnu_tar_unpacks_for_google_the_disk_in_whole_gib() {
    let place = Place::new();
    for (name, size, parts) in disks().into_iter().filter(|(_, size, _)| *size < TIB) {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.tar.gz");
        let whole = size.max(1).next_multiple_of(GIB);
        let listed = place.shows("tar --numeric-owner --utc -tvzf to.tar.gz");
        assert_eq!(listed.split_whitespace().collect::<Vec<_>>().join(" "), format!("-rw-r--r-- 0/0 {whole} 1970-01-01 00:00 disk.raw"));
        assert_eq!(python(&place, ENTRIES, &["to.tar.gz"])[0][1], "S", "{name}");
        assert_eq!(python(&place, MEMBER, &["to.tar.gz"]).as_u64().unwrap() % 512, 0);
        place.shows("tar -xzf to.tar.gz");
        File::options().write(true).open(place.at("disk")).unwrap().set_len(whole).unwrap();
        place.shows("cmp disk disk.raw");
        for name in ["to.tar.gz", "disk.raw"] {
            fs::remove_file(place.at(name)).unwrap();
        }
    }
}

#[test]
fn numbers_that_have_no_room_in_octal_are_read_by_gnu_tar() {
    let place = Place::new();
    place.disk("disk", 9 * TIB + 512, &[(0, text(100)), (4 * TIB - 5, noise(10)), (9 * TIB, vec![1; 512])]);
    place.shows("goldsmith image export disk to.tar.gz");
    let listed = place.shows("tar -tvzf to.tar.gz");
    assert!(listed.contains(&format!(" {} ", 9 * TIB + GIB)), "{listed}");
    // A file with many holes needs further blocks of its map behind the header.
    let parts: Vec<_> = (0..40).map(|part| (part * 20 * MIB, noise(KIB))).collect();
    place.disk("parts", GIB, &parts);
    place.shows("goldsmith image export parts parts.tar.gz");
    place.shows("tar -xzf parts.tar.gz");
    place.shows("cmp parts disk.raw");
}

#[test]
fn the_same_disk_gives_the_same_archive() {
    let place = Place::new();
    fs::create_dir(place.at("other")).unwrap();
    let parts: Vec<_> = (0..40).map(|part| (part * 700 * KIB, if part % 3 == 0 { noise(300 * KIB) } else { text(600 * KIB) })).collect();
    let zeros = (30 * MIB, vec![0; 3 * MIB as usize]);
    place.disk("disk", 40 * MIB, &[parts, vec![zeros, (0, boot_sector())]].concat());
    place.shows("qemu-img convert -f raw -O qcow2 -c disk other/disk.qcow2");
    for format in ["gce", "vagrant", "containerdisk"] {
        place.gives_the_same("other/disk.qcow2", format);
    }
}

#[test]
fn a_box_has_what_vagrant_and_its_provider_read() {
    let place = Place::new();
    for (kind, loader) in [(0x83, false), (0xef, true)] {
        system(&place, "disk", kind, &[]);
        place.shows("goldsmith image export disk to.box");
        let entries = python(&place, ENTRIES, &["to.box"]);
        let names: Vec<_> = entries.as_array().unwrap().iter().map(|entry| &entry[0]).collect();
        assert_eq!(names, ["metadata.json", "Vagrantfile", "box.img"]);
        python(&place, MEMBER, &["to.box"]);
        place.shows("tar -xzf to.box");
        let metadata: Value = serde_json::from_slice(&fs::read(place.at("metadata.json")).unwrap()).unwrap();
        assert_eq!(metadata, json!({"provider": "libvirt", "format": "qcow2", "virtual_size": 1}));
        place.shows("qemu-img check -f qcow2 box.img");
        place.shows("qemu-img compare -f raw -F qcow2 disk box.img");
        let vagrantfile = fs::read_to_string(place.at("Vagrantfile")).unwrap();
        assert_eq!(vagrantfile.contains("libvirt.loader"), loader);
        let firmware: Vec<_> =
            vagrantfile.lines().map(str::trim).filter(|line| Path::new(line).is_absolute() && Path::new(line).exists()).collect();
        assert_ne!(firmware.is_empty(), loader, "{vagrantfile}");
        for path in firmware {
            // Without a file of variables vagrant-libvirt makes it a ROM. QEMU ends by itself when it does not take one.
            let started = format!("echo quit | qemu-system-x86_64 -machine q35 -nodefaults -display none -S -monitor stdio -bios {path}");
            let ended = Command::new("sh").args(["-c", &started]).output().unwrap();
            assert!(ended.status.success(), "{path}: {}", String::from_utf8_lossy(&ended.stderr));
        }
        fs::remove_file(place.at("to.box")).unwrap();
    }
}

#[test]
fn a_catalogue_grows_and_takes_no_version_twice() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, boot_sector())]);
    let version = |target: &str, more: &str| place.run(&format!("goldsmith image export disk {target} --version {more}"));
    assert!(version("one.box", "1.0").status.success());
    let said = version("two.box", "1.1 --url https://example.org/two.box");
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().nth(1), Some("disk.json: the catalogue for `vagrant box add`"));
    let catalogue: Value = serde_json::from_slice(&fs::read(place.at("disk.json")).unwrap()).unwrap();
    let sum = |name: &str| place.shows(&format!("sha256sum {name}"))[..64].to_owned();
    let entry = |version: &str, name: &str, url: String| json!({"version": version, "providers": [{"name": "libvirt", "url": url, "checksum_type": "sha256", "checksum": sum(name)}]});
    let one = entry("1.0", "one.box", format!("file://{}", place.at("one.box").display()));
    let two = entry("1.1", "two.box", "https://example.org/two.box".into());
    assert_eq!(catalogue, json!({"name": "disk", "versions": [one, two]}));

    fs::create_dir(place.at("x")).unwrap();
    let before = place.names();
    let refused = |target: &str, more: &str, status: i32, said: &str| {
        let output = version(target, more);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(status), true), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!((place.names(), place.at("x/three.box").exists()), (before.clone(), false));
    };
    refused("three.box", "1.1.0", 3, "error: disk.json: it has the version 1.1 already\n  help: give the box another version\n");
    refused("one.box", "1.2", 7, "error: one.box is there already\n");
    refused("three.box", "v1", 2, "error: `v1` is no version");
    refused("disk.json", "3 --format vagrant", 3, "disk.json: it is no catalogue of Vagrant: the box is to be written there");
    refused("three.raw", "1.2", 2, "error: --version is for a Vagrant box, and three.raw is raw\n");
    for (content, said) in [
        ("{\"name\": ", "it is no catalogue of Vagrant: EOF while parsing"),
        ("{\"name\": \"other\", \"versions\": []}", "it is the catalogue of the box `other`"),
        ("[]", "it has no name"),
    ] {
        fs::write(place.at("x/disk.json"), content).unwrap();
        refused("x/three.box", "1.2", 3, said);
        assert_eq!(fs::read_to_string(place.at("x/disk.json")).unwrap(), content);
    }
}

/// The content of the directory that skopeo wrote: the image's manifest, its configuration and its layer.
fn copied(place: &Place, dir: &str) -> (Value, Value, Value) {
    let json = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let blob = |digest: &Value| digest.as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let manifest = json(&place.at(dir).join("manifest.json"));
    let layer = format!("{dir}/{}", blob(&manifest["layers"][0]["digest"]));
    let config = json(&place.at(dir).join(blob(&manifest["config"]["digest"])));
    let sum = place.shows(&format!("sha256sum {layer}"))[..64].to_owned();
    assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [format!("sha256:{sum}")]}));
    let entries = python(place, ENTRIES, &[&layer]);
    place.shows(&format!("tar -xf {layer}"));
    (manifest, config, entries)
}

/// A child that is killed when the test is over.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Start Docker's registry on a free port. Returns the port.
fn registry(place: &Place) -> (Killed, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let root = place.at("registry").display().to_string();
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: 127.0.0.1:{port}, secret: test}}\n"
    );
    fs::write(place.at("registry.yml"), config).unwrap();
    let mut command = Command::new("docker-registry");
    command.args(["serve", "registry.yml"]).current_dir(place.at(".")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Killed(command.spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the registry does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    (child, port)
}

#[test]
fn a_registry_takes_a_container_disk_and_gives_it_back() {
    let place = Place::new();
    system(&place, "disk", 0x83, &[("bin/sh", "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0")]);
    fs::rename(place.at("disk"), place.at("Debian 12.raw")).unwrap();
    let export =
        Command::new(GOLDSMITH).args(["image", "export", "Debian 12.raw", "to.oci.tar"]).current_dir(place.at(".")).output().unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    place.shows("skopeo --insecure-policy copy oci-archive:to.oci.tar dir:first");
    let first = copied(&place, "first");
    let length = fs::metadata(place.at("disk/Debian_12.qcow2")).unwrap().len();
    let expected = json!([["disk", "5", 0, 0o555, 107, 107, 0], ["disk/Debian_12.qcow2", "0", length, 0o440, 107, 107, 0],]);
    assert_eq!(first.2, expected);
    assert_eq!((&first.1["architecture"], &first.1["os"]), (&json!("amd64"), &json!("linux")));
    fs::rename(place.at("Debian 12.raw"), place.at("raw")).unwrap();
    place.shows("qemu-img check -f qcow2 disk/Debian_12.qcow2");
    place.shows("qemu-img compare -f raw -F qcow2 raw disk/Debian_12.qcow2");

    let (_registry, port) = registry(&place);
    let there = format!("docker://127.0.0.1:{port}/images/debian:12");
    place.shows(&format!("skopeo --insecure-policy copy --dest-tls-verify=false oci-archive:to.oci.tar:debian-12 {there}"));
    place.shows(&format!("skopeo --insecure-policy copy --src-tls-verify=false {there} dir:back"));
    fs::remove_dir_all(place.at("disk")).unwrap();
    // skopeo compresses the layer when it copies it to a registry, but the content is the same.
    let digest = |dir: &str| copied_config(&place, dir)["rootfs"].clone();
    assert_eq!(digest("back"), digest("first"));
    let layer =
        fs::read_dir(place.at("back")).unwrap().map(|entry| entry.unwrap().path()).max_by_key(|path| fs::metadata(path).unwrap().len());
    let layer = layer.unwrap().display().to_string();
    assert_eq!(python(&place, ENTRIES, &[&layer]), expected);
    place.shows(&format!("tar -xf {layer}"));
    place.shows("qemu-img compare -f raw -F qcow2 raw disk/Debian_12.qcow2");
}

fn copied_config(place: &Place, dir: &str) -> Value {
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(place.at(dir).join(name)).unwrap()).unwrap();
    let digest = read("manifest.json")["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    read(&digest)
}

#[test]
fn a_receiver_s_wish_that_the_image_does_not_meet_is_a_warning() {
    let place = Place::new();
    system(&place, "bare", 0x83, &[("etc/passwd", "root:x:0:0::/root:/bin/sh\nvagrant:x:1000:1000::/home/vagrant:/bin/sh\n")]);
    let keys = ("home/vagrant/.ssh/authorized_keys", "# vagrant's\nssh-rsa AAAA vagrant\n");
    let passwd = ("etc/passwd", "vagrant:x:1000:1000::/home/vagrant:/bin/sh\n");
    system(&place, "full", 0x83, &[keys, passwd, ("usr/bin/cloud-init", "")]);
    place.disk("none", MIB, &[(0, boot_sector())]);
    for (disk, target, said) in [
        ("bare", "a.tar.gz", Some("warning: the image has no cloud-init, and Google Compute Engine gives")),
        ("bare", "a.box", Some("warning: the image has no user `vagrant` with an ssh key, and")),
        ("bare", "a.oci.tar", None),
        ("bare", "a.qcow2", None),
        ("full", "b.tar.gz", None),
        ("full", "b.box", None),
        ("none", "c.tar.gz", Some("warning: whether the image has cloud-init cannot be told: none has no root filesystem")),
        ("none", "c.box", Some("warning: whether the image has a user `vagrant` with an ssh key cannot be told: none has no root")),
    ] {
        let output = place.run(&format!("goldsmith image export {disk} {target}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        match said {
            Some(said) => {
                assert!(stderr.contains(&said.replace("told: none", &format!("told: {}", place.at("none").display()))), "{stderr}")
            }
            None => assert!(!stderr.contains("warning"), "{disk} {target}: {stderr}"),
        }
    }
}

#[test]
fn a_signal_leaves_nothing_of_an_archive() {
    for target in ["to.tar.gz", "to.box", "to.oci.tar"] {
        let (reads, writes) = std::io::pipe().unwrap();
        let run = goldsmith(["image", "export", "disk", target, "--json"]).stdout_to(writes);
        let file = File::create(run.dir().join("disk")).unwrap();
        let part = noise(8 * MIB);
        for number in 0..48 {
            file.write_all_at(&part, number * 8 * MIB).unwrap();
        }
        file.write_all_at(&boot_sector(), 0).unwrap();
        let started = run.start();
        let mut records = BufReader::new(reads).lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        assert!(records.any(|record| record["step"] == "write the image" && record["done"].as_u64() > Some(0)), "{target}");
        started.signal(Signal::INT);
        let ended = started.end();
        assert_eq!((ended.status, ended.stderr.contains("error: interrupted\n")), (130, true), "{target}: {}", ended.stderr);
        let names: Vec<_> = fs::read_dir(ended.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["disk"], "{target}");
    }
}

/// Vagrant has 50 packages, so only ci/full installs it and sets VAGRANT.
#[test]
fn vagrant_adds_a_box_of_the_catalogue_and_no_other() {
    if std::env::var_os("VAGRANT").is_none() {
        return;
    }
    let place = Place::new();
    system(&place, "disk", 0x83, &[]);
    place.shows("goldsmith image export disk one.box --version 1.0");
    place.shows("goldsmith image export disk two.box --version 1.1");
    let vagrant = |line: &str| {
        let mut command = Command::new("vagrant");
        command
            .args(line.split(' '))
            .current_dir(place.at("."))
            .env("VAGRANT_HOME", place.at("home"))
            .env("VAGRANT_CHECKPOINT_DISABLE", "1");
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let (added, said) = vagrant("box add disk.json --box-version 1.0");
    assert!(added && said.contains("Successfully added box 'disk' (v1.0) for 'libvirt'!"), "{said}");
    let (added, said) = vagrant("box add disk.json");
    assert!(added && said.contains("Successfully added box 'disk' (v1.1) for 'libvirt'!"), "{said}");
    let added = place.at("home/boxes/disk/1.1/libvirt/box.img");
    place.shows(&format!("qemu-img compare -f raw -F qcow2 disk {}", added.display()));
    // The catalogue gets the checksum of another box.
    let mut catalogue: Value = serde_json::from_slice(&fs::read(place.at("disk.json")).unwrap()).unwrap();
    catalogue["versions"][0]["providers"][0]["checksum"] = json!("0".repeat(64));
    fs::write(place.at("bad.json"), catalogue.to_string()).unwrap();
    fs::remove_dir_all(place.at("home")).unwrap();
    let (added, said) = vagrant("box add bad.json --box-version 1.0");
    assert!(!added && said.contains("checksum of the downloaded box did not match"), "{said}");
}

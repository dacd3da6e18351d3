//! `goldsmith clone -o`: copies of an image as files, checked by e2fsck, debugfs, qemu-img and libvirt, and by booting them.

use std::fs;

use serde_json::Value;

use crate::describe_cases::{Libvirt, line_of, talking_sector};
use crate::export_cases::Place;

/// The offset of the root filesystem on a disk of these tests.
const START: u64 = 1 << 20;
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
/// A label as EL7 writes it.
const LABEL: &str = "system_u:object_r:hostname_etc_t:s0";

/// A raw disk `disk` with a filesystem of 60 MiB that `mkfs` makes from a small system with the files `files`.
fn disk(place: &Place, mkfs: &str, files: &[(&str, &str)]) {
    for (path, text) in
        [("etc/os-release", "ID=x\n"), ("etc/hostname", "golden\n"), ("etc/hosts", "127.0.0.1 localhost\n")].iter().chain(files)
    {
        let path = place.at("tree").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(place.at("tree/root")).unwrap();
    place.shows("truncate -s 64M disk");
    fs::write(place.at("sector"), &talking_sector()[..446]).unwrap();
    sh(place, "echo ',,L,*' | sfdisk -q disk; dd if=sector of=disk conv=notrunc status=none");
    place.shows(&format!("{mkfs} -q -F -d tree -E offset={START} disk 60M"));
}

/// The output of a line of shell, which must succeed.
#[track_caller]
fn sh(place: &Place, line: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-ec", line])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(place.at("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// The output of debugfs for the clone `name`. e2fsck and qemu-img must find no fault in it.
#[track_caller]
fn debugfs(place: &Place, name: &str, commands: &[&str]) -> Vec<String> {
    place.shows(&format!("qemu-img check -q lab/{name}.qcow2"));
    place.shows(&format!("qemu-img convert -O raw lab/{name}.qcow2 flat"));
    place.shows(&format!("e2fsck -fn flat?offset={START}"));
    // debugfs prints a file in its inode with all the space that the inode has.
    let said =
        |command: &&str| sh(place, &format!("debugfs -R '{command}' 'flat?offset={START}' 2>/dev/null")).trim_end_matches('\0').to_owned();
    commands.iter().map(said).collect()
}

const INTERFACES: (&str, &str) = ("etc/network/interfaces", "auto lo\n\nallow-hotplug eth0\niface eth0 inet dhcp\n");

/// Every kind of ext4 that images have: Debian's, EL7's, and those of older systems.
#[test]
fn each_clone_is_a_sound_filesystem_with_its_own_files() {
    for mkfs in [
        "mke2fs -t ext4",
        "mke2fs -t ext4 -O ^metadata_csum,^64bit",
        "mke2fs -t ext4 -O inline_data",
        "mke2fs -t ext3 -b 1024",
        "mke2fs -t ext2",
    ] {
        let place = Place::new();
        disk(&place, mkfs, &[INTERFACES]);
        sh(&place, &format!("debugfs -w -R 'ea_set /etc/hostname security.selinux {LABEL}' 'disk?offset={START}' 2>/dev/null"));
        sh(&place, &format!("debugfs -w -R 'ea_set / security.selinux system_u:object_r:root_t:s0' 'disk?offset={START}' 2>/dev/null"));
        sh(&place, &format!("debugfs -w -R 'sif /etc/hostname mode 0100640' 'disk?offset={START}' 2>/dev/null"));
        place.shows("qemu-img convert -c -O qcow2 disk disk.qcow2");
        fs::write(place.at("key.pub"), KEY).unwrap();
        place.shows("goldsmith clone disk.qcow2 -o lab --count 3 --name pc --address 10.0.0.11/24 --gateway 10.0.0.1 --dns 10.0.0.2 --ssh-key key.pub");
        for number in 1..=3 {
            let name = format!("pc-{number}");
            let said = debugfs(
                &place,
                &name,
                &[
                    "cat /etc/hostname",
                    "ea_get /etc/hostname security.selinux",
                    "stat /etc/hostname",
                    "cat /etc/hosts",
                    "cat /etc/network/interfaces",
                    "cat /etc/resolv.conf",
                    "cat /root/.ssh/authorized_keys",
                    "stat /root/.ssh",
                    "stat /root/.ssh/authorized_keys",
                    "ea_get /root/.ssh/authorized_keys security.selinux",
                ],
            );
            assert_eq!(said[0], format!("{name}\n"), "{mkfs}");
            assert!(said[1].contains(LABEL) && said[2].contains("Mode:  0640"), "{mkfs}: {said:?}");
            assert!(
                said[3].starts_with("127.0.0.1 localhost\n") && said[3].contains("10.0.0.11 pc-1\n10.0.0.12 pc-2\n10.0.0.13 pc-3\n"),
                "{said:?}"
            );
            let address =
                format!("auto lo\n\nallow-hotplug eth0\niface eth0 inet static\n    address 10.0.0.1{number}/24\n    gateway 10.0.0.1\n");
            assert_eq!((&said[4], said[5].as_str()), (&address, "nameserver 10.0.0.2\n"), "{mkfs}");
            assert!(said[6].contains(KEY) && said[7].contains("Mode:  0700") && said[8].contains("Mode:  0600"), "{mkfs}: {said:?}");
            assert!(said[9].contains("system_u:object_r:ssh_home_t:s0"), "{mkfs}: {said:?}");
        }
        // The clone differs from the image only in these files.
        let differs = place.run("goldsmith image diff disk.qcow2 lab/pc-2.qcow2 --json");
        let told = String::from_utf8(differs.stdout).unwrap();
        assert!(told.contains("/etc/hostname") && !told.contains("os-release"), "{told}");
        assert!(fs::metadata(place.at("lab/pc-2.qcow2")).unwrap().len() < 1 << 20);
        assert!(!place.at("lab/.work").exists());
    }
}

#[test]
fn a_directory_of_clones_can_be_moved_and_outlives_a_new_build() {
    let place = Place::new();
    disk(&place, "mke2fs -t ext4", &[INTERFACES, ("etc/machine-id", "0123456789abcdef0123456789abcdef\n")]);
    fs::write(place.at("t.csv"), "name,hostname\nanna,anna.lab.example\nben,\n").unwrap();
    let made = place.run("goldsmith clone disk -o lab --from t.csv");
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(made.status.success() && said.contains("warning: the image has a machine-id, which all clones would share"), "{said}");
    // On another filesystem the image is copied.
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let far = other.path().join("lab");
    place.shows(&format!("goldsmith clone disk -o {} --name far", far.display()));
    assert_eq!(place.shows(&format!("goldsmith image cat {}/far.qcow2 /etc/hostname", far.display())), "far\n");
    place.shows(&format!("cmp disk {}/base/disk", far.display()));
    place.shows("mv lab elsewhere");
    place.shows("truncate -s 0 disk.new");
    place.shows("mv disk.new disk");
    assert_eq!(place.shows("goldsmith image cat elsewhere/anna.qcow2 /etc/hostname"), "anna.lab.example\n");
    let hosts = place.shows("goldsmith image cat elsewhere/ben.qcow2 /etc/hosts");
    assert!(hosts.ends_with("# goldsmith: names of this network\n127.0.1.1 ben\n# goldsmith: end\n"), "{hosts}");
    assert!(place.shows("goldsmith image cat elsewhere/ben.qcow2 /etc/network/interfaces").contains("dhcp"));
}

#[test]
fn whole_disks_need_no_other_file_and_come_with_lines_for_clouds() {
    let place = Place::new();
    disk(&place, "mke2fs -t ext4", &[INTERFACES]);
    let told: Value = serde_json::from_str(
        place
            .shows("goldsmith clone disk -o lab --count 2 --full --json --memory 1G")
            .lines()
            .find(|line| line.contains("\"cloned\""))
            .unwrap(),
    )
    .unwrap();
    assert_eq!((told["clones"][1]["hostname"].as_str(), told["clones"][1]["address"].as_str()), (Some("disk-2"), None));
    let mut names: Vec<_> = fs::read_dir(place.at("lab")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["Vagrantfile", "disk-1.qcow2", "disk-1.xml", "disk-2.qcow2", "disk-2.xml", "openstack.sh", "proxmox.sh"]);
    assert!(!place.shows("qemu-img info lab/disk-2.qcow2").contains("backing"));
    assert_eq!(debugfs(&place, "disk-2", &["cat /etc/hostname"]), ["disk-2\n"]);
    let proxmox = fs::read_to_string(place.at("lab/proxmox.sh")).unwrap();
    assert!(
        proxmox.matches("qm create").count() == 2 && proxmox.contains("--memory 1024") && proxmox.contains("/lab/disk-2.qcow2"),
        "{proxmox}"
    );
}

#[test]
fn libvirt_starts_a_clone_from_its_document() {
    let place = Place::new();
    place.shows("chmod 755 .");
    disk(&place, "mke2fs -t ext4", &[]);
    place.shows("goldsmith clone disk -o lab --count 2 --name pc --memory 128M");
    let libvirt = Libvirt::start(&place);
    libvirt.virsh(&["define", "--validate", "lab/pc-2.xml"]);
    libvirt.virsh(&["start", "pc-2"]);
    line_of(&libvirt.virsh(&["ttyconsole", "pc-2"]), "goldsmith boots");
    libvirt.virsh(&["destroy", "pc-2"]);
}

/// Ruby that reads a Vagrantfile as Vagrant does, and prints the value of each setting.
const RECORDER: &str = r##"
class Recorder
  def initialize(path) = @path = path
  def method_missing(name, *args, **words, &block)
    path = "#{@path}.#{name}"
    puts "#{path} #{args.inspect} #{words.inspect}" unless args.empty? && words.empty?
    inner = Recorder.new(path)
    block.call(inner) if block && name != :ruby
    inner
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(version) = yield(Recorder.new("config"))
end
load ARGV[0]
"##;

/// Vagrant, its provider and Ruby are 70 packages, so only ci/full installs them and sets VAGRANT.
#[test]
fn vagrant_takes_the_machines_of_a_directory() {
    if std::env::var_os("VAGRANT").is_none() {
        return;
    }
    let place = Place::new();
    disk(&place, "mke2fs -t ext4", &[INTERFACES]);
    fs::write(place.at("key.pub"), KEY).unwrap();
    fs::write(place.at("t.csv"), "name,address\nanna,10.0.0.11\nben.x,\n").unwrap();
    place.shows("goldsmith clone disk -o lab --from t.csv --gateway 10.0.0.1 --ssh-key key.pub --memory 1G");
    let vagrant = "HOME=$PWD VAGRANT_CWD=lab VAGRANT_CHECKPOINT_DISABLE=1 vagrant";
    let said = sh(&place, &format!("{vagrant} validate"));
    assert!(said.contains("Vagrantfile validated successfully."), "{said}");
    fs::write(place.at("recorder.rb"), RECORDER).unwrap();
    let said = sh(&place, "LIBVIRT_DEFAULT_URI= ruby -w recorder.rb lab/Vagrantfile");
    for part in [
        "config.vm.define [\"anna\"] {}",
        "config.vm.define.vm.network [:private_network] {:ip=>\"10.0.0.11\", :libvirt__netmask=>\"255.255.255.0\", \
         :libvirt__host_ip=>\"10.0.0.1\"}",
        "config.trigger.before [:up, :reload] {}",
        "config.vm.provider.uri= [\"qemu:///system\"] {}",
        ".storage [:file] {:path=>\"ben.x.qcow2\", :type=>\"qcow2\", :device=>\"vda\", :allow_existing=>true}",
        ".mgmt_attach= [false] {}",
        ".mgmt_attach= [true] {}",
        ".memory= [1024] {}",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((said.matches("vm.define [").count(), said.matches("vm.network [").count()), (2, 1), "{said}");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_made() {
    let place = Place::new();
    let refused = |words: &str, status: i32, parts: &[&str]| {
        let output = place.run(&format!("goldsmith clone {words}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words}: {said}");
        for part in parts {
            assert!(said.contains(part), "{words}: {part}: {said}");
        }
        let left: Vec<_> = fs::read_dir(place.at(".")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!left.iter().any(|name| name.contains("lab")), "{words}: {left:?}");
    };
    disk(&place, "mke2fs -t ext4", &[INTERFACES]);
    fs::write(place.at("t.csv"), "name,address,hostname\na,10.0.0.1,\nb,10.0.0.1,\nc,10.1.0.1,\nd,,a\ne,10.0.0.255,\n").unwrap();
    refused(
        "disk -o lab --from t.csv --gateway 10.3.0.1",
        3,
        &[
            "line 3: 10.0.0.1 is the address of the machine `a`",
            "line 4: 10.1.0.1 is none of its addresses, which are 10.0.0.0/24",
            "line 5: `a` is a name of the machine `a`",
            "line 6: 10.0.0.255 is no machine's address",
        ],
    );
    refused("disk -o lab --address 10.0.0.5 --gateway 10.1.0.1", 2, &["the gateway 10.1.0.1 is no machine on the network of 10.0.0.5/24"]);
    refused("disk -o lab --gateway 10.1.0.1", 2, &["a gateway or a name server is given, and no clone has an address"]);
    refused("disk -o lab --count 2 --address 10.0.0.1 --gateway 10.0.0.2", 2, &["10.0.0.2 is the gateway's address"]);
    refused("disk -o lab --address 10.0.0.5 --gateway 10.0.0.255", 2, &["the gateway 10.0.0.255 is no machine on the network"]);
    refused("disk -o lab --count 2 --address 10.0.0.254", 2, &["10.0.0.255 is no machine's address"]);
    refused("disk", 2, &["--output <DIR>", "--prove"]);
    refused("disk --prove --count 3", 2, &["--output <DIR>"]);
    refused("gone -o lab", 3, &["gone"]);
    fs::create_dir(place.at("there")).unwrap();
    refused("disk -o there", 7, &["there is there already"]);

    // Identities that are fixed in the image must not be shared without a message.
    let fixed = Place::new();
    disk(&fixed, "mke2fs -t ext4", &[("etc/network/interfaces", "iface eth0 inet static\n  address 10.0.0.5/24\n")]);
    let said = String::from_utf8(fixed.run("goldsmith clone disk -o lab --count 2").stderr).unwrap();
    assert!(said.contains("the image has the fixed address 10.0.0.5/24, which 2 clones would share"), "{said}");
    assert!(fixed.shows("goldsmith clone disk -o one --name pc").contains("pc  pc, 10.0.0.5/24\n"));
    // On a filesystem without a free inode, debugfs prints an error and goes on.
    let full = Place::new();
    disk(&full, "mke2fs -t ext4 -N 24", &[]);
    fs::write(full.at("key.pub"), KEY).unwrap();
    let fill = "for n in $(seq 200); do echo \"write sector f$n\"; done > fill; debugfs -w -f fill";
    sh(&full, &format!("{fill} 'disk?offset={START}' > /dev/null 2>&1"));
    let said = String::from_utf8(full.run("goldsmith clone disk -o lab --ssh-key key.pub").stderr).unwrap();
    assert!(said.contains("/disk: debugfs failed: ext2fs_mkdir: Could not allocate inode"), "{said}");
    assert!(!full.at("lab").exists());

    place.shows("qemu-img create -q -f qcow2 -F raw -b disk over.qcow2");
    refused("over.qcow2 -o lab", 2, &["the image lies over another file", "--full"]);
    sh(&place, &format!("debugfs -w -R 'rm /etc/network/interfaces' 'disk?offset={START}' 2>/dev/null"));
    refused("disk -o lab --address 10.0.0.5", 2, &["the image says neither in /etc/network/interfaces nor in ifcfg-eth0"]);
    sh(&place, &format!("debugfs -w -R 'rm /etc/hosts' 'disk?offset={START}' 2>/dev/null"));
    sh(&place, &format!("debugfs -w -R 'symlink /etc/hosts /run/hosts' 'disk?offset={START}' 2>/dev/null"));
    refused("disk -o lab", 3, &["/etc/hosts is a link to /run/hosts, which is not there"]);
    sh(&place, &format!("debugfs -w -R 'ssv state 0' 'disk?offset={START}' 2>/dev/null"));
    refused("disk -o lab", 3, &["was not unmounted cleanly: / (ext4)"]);

    fs::write(place.at("proto"), "/\n0 0\nd--755 0 0\netc d--755 0 0\nfstab ---644 0 0 /dev/null\n$\n$\n").unwrap();
    sh(&place, "truncate -s 320M part; mkfs.xfs -q -p proto part; truncate -s 330M disk; echo ',,L,*' | sfdisk -q disk");
    sh(&place, "dd if=sector of=disk conv=notrunc status=none; dd if=part of=disk bs=1M seek=1 conv=notrunc,sparse status=none");
    refused("disk -o lab", 3, &["its root filesystem is xfs, and files can be put into ext4 only"]);
}

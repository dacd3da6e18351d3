//! LVM, compared with lvm2, which makes groups without device mapper and prints the places of their volumes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::MutexGuard;

use goldsmith::image::inspect::inspect;
use goldsmith::image::{Disk, FilesystemType, FreeSpace, Root};
use tempfile::TempDir;

use crate::faults::possible;
use crate::mounted_tree::{loop_devices, run, tried};
use crate::support::GOLDSMITH;

const MIB: u64 = 1 << 20;
/// The offsets of the physical volumes on the disk.
const STARTS: [u64; 2] = [MIB, 201 * MIB];
/// A number of bytes that are contiguous in any volume here.
const PIECE: usize = 65_536;

/// Two physical volumes of 200 MiB, as loop devices.
struct Devices<'a> {
    dir: &'a TempDir,
    devices: [String; 2],
    /// lvm2 sometimes opens the devices exclusively.
    _loops: MutexGuard<'static, ()>,
}

impl<'a> Devices<'a> {
    fn new(dir: &'a TempDir) -> Self {
        let loops = loop_devices();
        let device = |name: &str| run(dir, &format!("truncate -s 200M @/{name} && losetup -f --show @/{name}")).trim().to_owned();
        Self { dir, devices: [device("pv-0"), device("pv-1")], _loops: loops }
    }

    /// Run a command of lvm2 that sees these devices only and leaves nothing on the host. `0` and `1` stand for them.
    fn lvm(&self, command: &str) -> String {
        let [first, second] = &self.devices;
        let command = command.replace("PV0", first).replace("PV1", second);
        let config = format!(
            "devices {{ filter=[\"a|^{first}$|\",\"a|^{second}$|\",\"r|.*|\"] use_devicesfile=0 hints=\"none\" }} backup {{ backup=0 archive=0 }} \
             activation {{ udev_sync=0 udev_rules=0 }}"
        );
        run(self.dir, &format!("DM_DISABLE_UDEV=1 lvm {command} --driverloaded n --config '{config}' 2>/dev/null"))
    }

    /// The place of the volume `name` by lvm2: for each [`PIECE`], the byte of the volume, the physical volume and the byte in it.
    fn pieces(&self, name: &str) -> Vec<(u64, usize, u64)> {
        let said = self
            .lvm(&format!("lvs --noheadings --units b --nosuffix --segments -o seg_start,seg_size,stripe_size,seg_pe_ranges cl/{name}"));
        let mut pieces = Vec::new();
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            let (start, size, stripe) = (number(0), number(1), if number(2) == 0 { number(1) } else { number(2) });
            for at in (0..size).step_by(PIECE) {
                let (turn, count) = (at / stripe, (words.len() - 3) as u64);
                // `/dev/loop0:0-9`: extents of 4 MiB behind the first MiB.
                let (device, extents) = words[3 + (turn % count) as usize].split_once(':').unwrap();
                let extent: u64 = extents.split('-').next().unwrap().parse().unwrap();
                let place = MIB + extent * 4 * MIB + turn / count * stripe + at % stripe;
                let physical = self.devices.iter().position(|known| known == device).unwrap();
                pieces.push((start + at, physical, place));
            }
        }
        pieces
    }

    /// Write `image` into the volume `name`.
    fn put(&self, name: &str, image: &str) {
        let image = fs::read(self.dir.path().join(image)).unwrap();
        for (from, physical, place) in self.pieces(name).into_iter().filter(|(from, ..)| (*from as usize) < image.len()) {
            let file = File::options().write(true).open(self.dir.path().join(format!("pv-{physical}"))).unwrap();
            let from = from as usize;
            file.write_all_at(&image[from..image.len().min(from + PIECE)], place).unwrap();
        }
    }

    /// Write the volume `name` of the raw `disk` to the file `target`.
    fn take(&self, name: &str, disk: &str, target: &str) {
        let disk = File::open(self.dir.path().join(disk)).unwrap();
        let target = File::create(self.dir.path().join(target)).unwrap();
        for (from, physical, place) in self.pieces(name) {
            let mut piece = vec![0; PIECE];
            disk.read_exact_at(&mut piece, STARTS[physical] + place).unwrap();
            target.write_all_at(&piece, from).unwrap();
        }
    }
}

impl Drop for Devices<'_> {
    fn drop(&mut self) {
        for device in &self.devices {
            let _ = tried(self.dir, &format!("losetup -d {device}"));
        }
    }
}

/// Whether this host allows making groups. Prints a message if not.
fn can_make(dir: &TempDir) -> bool {
    let _loops = loop_devices();
    let line = format!("truncate -s 1M {0}/tried && losetup -d $(losetup -f --show {0}/tried) && lvm version", dir.path().display());
    possible(&["sh", "-c", &line], "only root with lvm2 and loop devices can make volume groups")
}

/// Put the physical volumes into a disk with two partitions.
fn assemble(dir: &TempDir) {
    run(dir, "rm -f @/disk; truncate -s 402M @/disk && sgdisk -n 1:1M:+200M -t 1:8e00 -n 2:201M:+200M -t 2:8e00 @/disk");
    for (number, start) in STARTS.iter().enumerate() {
        run(dir, &format!("dd if=@/pv-{number} of=@/disk bs=1M seek={} conv=notrunc,sparse status=none", start / MIB));
    }
}

#[test]
fn linear_and_striped_volumes_are_read_and_mounted() {
    let dir = tempfile::tempdir().unwrap();
    if !can_make(&dir) {
        return;
    }
    let noise: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_le_bytes).collect();
    run(&dir, "mkdir -p @/root/etc @/root/srv @/root/home @/boot");
    let fstab =
        "/dev/mapper/cl-root--a / ext4 defaults 0 1\n/dev/cl/home /home ext4 defaults 0 2\n/dev/mapper/cl-thin /srv ext4 defaults 0 2\n";
    fs::write(dir.path().join("root/etc/fstab"), fstab).unwrap();
    for tree in ["root", "boot"] {
        fs::write(dir.path().join(tree).join("noise"), &noise).unwrap();
    }
    let devices = Devices::new(&dir);
    devices.lvm("pvcreate -y PV0 PV1");
    devices.lvm("vgcreate cl PV0 PV1");
    // Its second half is on the other physical volume, at another offset.
    devices.lvm("lvcreate -an -Zn -Wn -n first -l 3 cl PV1");
    devices.lvm("lvcreate -an -Zn -Wn -n root-a -l 4 cl PV0");
    devices.lvm("lvextend -l +8 cl/root-a PV1");
    devices.lvm("lvcreate -an -Zn -Wn -n home -i 2 -I 64k -l 12 cl");
    run(&dir, "truncate -s 48M @/root.ext4 @/home.ext4 && mke2fs -q -F -d @/root @/root.ext4 && mke2fs -q -F -d @/boot @/home.ext4");
    devices.put("root-a", "root.ext4");
    devices.put("home", "home.ext4");
    assemble(&dir);
    let root = Root::open(&Disk::open(&dir.path().join("disk")).unwrap()).unwrap();
    for path in ["/noise", "/home/noise"] {
        assert!(root.read(path, 100 * MIB).unwrap() == noise, "{path}");
    }
    assert_eq!(root.unmounted(), ["/srv (/dev/mapper/cl-thin): no readable filesystem of this disk has that name"]);
    // The volumes must be as in the output of lvs.
    let said = inspect(&dir.path().join("disk"), None).unwrap();
    let volumes: Vec<String> = said.logical_volumes.iter().map(|volume| format!("{} {}", volume.name, volume.size)).collect();
    let listed = devices.lvm("lvs --noheadings --units b --nosuffix -o lv_path,lv_size");
    let mut listed: Vec<String> = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    listed.retain(|line| line.contains("/dev/"));
    listed.sort();
    assert_eq!(volumes, listed);
    assert_eq!(said.logical_volumes[2].filesystem, Some(FilesystemType::Ext4));
    free_space_is_lvm2s_and_e2fsprogs(&dir, &devices, &noise);
    a_clone_has_its_own_files(&dir, &devices);
    // The ring buffer of metadata is full and starts again at its beginning.
    for number in 0..400 {
        devices.lvm(&format!("lvchange --addtag tag{number} cl/first"));
        if number % 100 == 99 {
            devices.lvm("vgck cl");
        }
        if number > 20 && number % 40 == 0 {
            devices.lvm(&format!("lvchange {} cl/first", (0..number - 1).map(|tag| format!("--deltag tag{tag} ")).collect::<String>()));
        }
    }
    assemble(&dir);
    let disk = dir.path().join("disk");
    assert_eq!(Root::open(&Disk::open(&disk).unwrap()).unwrap().read("/etc/fstab", 1000).unwrap(), fstab.as_bytes());

    // One of the physical volumes is on another disk.
    let file = File::options().write(true).open(&disk).unwrap();
    file.write_all_at(&[0; 4096], STARTS[1]).unwrap();
    let error = Root::open(&Disk::open(&disk).unwrap()).err().unwrap().to_string();
    assert!(error.contains("the logical volume /dev/cl/first: it is on pv1, which is not on this disk"), "{error}");
    // Both copies of the metadata are damaged.
    file.write_all_at(&[0; 100], STARTS[0] + 4096 + 100_000).unwrap();
    let damaged = vec![0x55; 900_000];
    file.write_all_at(&damaged, STARTS[0] + 4096 + 512).unwrap();
    let error = Root::open(&Disk::open(&disk).unwrap()).err().unwrap().to_string();
    assert!(error.contains("LVM, of which its metadata fails its checksum"), "{error}");
}

/// A clone differs from the disk only in the blocks of its files, as found by lvm2 and e2fsprogs.
fn a_clone_has_its_own_files(dir: &TempDir, devices: &Devices) {
    // Make the disk look as if it had a boot loader.
    run(dir, "printf '\\353' | dd of=@/disk conv=notrunc status=none");
    run(dir, &format!("{GOLDSMITH} clone @/disk -o @/lab --count 2 --name pc"));
    for number in 1..=2 {
        run(dir, &format!("qemu-img convert -O raw @/lab/pc-{number}.qcow2 @/flat"));
        devices.take("root-a", "flat", "taken");
        run(dir, "e2fsck -fn @/taken");
        assert_eq!(run(dir, "debugfs -R 'cat /etc/hostname' @/taken 2>/dev/null"), format!("pc-{number}\n"));
        run(dir, "debugfs -R 'dump /noise @/out' @/taken && cmp @/out @/root/noise");
    }
    run(dir, "rm -r @/lab @/flat @/taken @/out");
}

/// The number of free bytes is that of pvs and dumpe2fs. No free byte belongs to a file: the files stay intact when all of it is
/// overwritten.
fn free_space_is_lvm2s_and_e2fsprogs(dir: &TempDir, devices: &Devices, noise: &[u8]) {
    let disk = dir.path().join("disk");
    let free = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap();
    assert!(free.unread.is_empty(), "{:?}", free.unread);
    let unallocated: u64 =
        devices.lvm("pvs --noheadings --units b --nosuffix -o pv_free").lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum();
    let in_files = |image: &str| {
        let said = run(dir, &format!("dumpe2fs -h @/{image} 2>/dev/null | awk '/^Free blocks|^Block size/ {{ print $3 }}'"));
        said.lines().map(|line| line.parse::<u64>().unwrap()).product::<u64>()
    };
    assert_eq!(free.bytes(), unallocated + in_files("root.ext4") + in_files("home.ext4"));
    assert!(unallocated > 100 * MIB && free.runs.windows(2).all(|runs| runs[0].end < runs[1].start));
    let spoilt = dir.path().join("spoilt");
    fs::copy(&disk, &spoilt).unwrap();
    let file = File::options().write(true).open(&spoilt).unwrap();
    for free in &free.runs {
        file.write_all_at(&vec![0xa5; (free.end - free.start) as usize], free.start).unwrap();
    }
    let root = Root::open(&Disk::open(&spoilt).unwrap()).unwrap();
    for path in ["/noise", "/home/noise"] {
        assert!(root.read(path, 100 * MIB).unwrap() == noise, "{path}");
    }
    // The written data is found as leftovers, with the exact byte of its beginning.
    let spoilt = Disk::open(&spoilt).unwrap();
    let found = FreeSpace::of(&spoilt).unwrap();
    assert_eq!(found.runs, free.runs);
    assert_eq!(found.first_leftover(&spoilt).unwrap(), free.runs.first().cloned());
    fs::remove_file(spoilt.path()).unwrap();
}

#[test]
fn what_is_neither_linear_nor_striped_is_named() {
    let dir = tempfile::tempdir().unwrap();
    if !can_make(&dir) {
        return;
    }
    let devices = Devices::new(&dir);
    devices.lvm("pvcreate -y PV0 PV1");
    devices.lvm("vgcreate cl PV0 PV1");
    // One of the few unsupported types that lvm2 can make without device mapper.
    devices.lvm("lvcreate -an -Zn -Wn --type zero -n root -l 5 cl");
    assemble(&dir);
    let error = Root::open(&Disk::open(&dir.path().join("disk")).unwrap()).err().unwrap().to_string();
    assert!(error.contains("the logical volume /dev/cl/root: it is of the type zero, which is not read"), "{error}");
}

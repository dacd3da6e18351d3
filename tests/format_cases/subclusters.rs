//! qcow2 with extended L2 entries.

use goldsmith::image::Disk;

use super::shows;
use crate::export_cases::Place;

/// The commands of `qemu-io` on the disk: parts of clusters in every state, next to each other and next to complete clusters.
const COMMANDS: &[&str] = &[
    "write -P 1 0 512k",
    "write -P 2 1M 2k",
    "write -P 3 1037k 9k",
    "write -z 1051k 4k",
    "write -z -u 512k 128k",
    "write -z 100k 6k",
    "write -z -u 200k 70k",
    "discard 300k 64k",
    "discard 402k 2k",
    "write -P 4 3000001 70001",
    "write -P 5 4194303 2",
    "write -z 5M 1M",
    "write -P 6 5300k 3k",
    "write -P 7 7M 1M",
];

#[test]
fn parts_of_clusters_are_read_as_qemu_reads_them() {
    let place = Place::new();
    // A backing file that is shorter than its overlay, and ends within a subcluster.
    place.disk("base", 6_000_128, &[(0, crate::export_cases::text(6_000_128))]);
    for options in ["", ",cluster_size=128k", ",cluster_size=16k", ",cluster_size=2M", ",compression_type=zstd"] {
        for backing in ["", " -F raw -b base"] {
            place.shows(&format!("qemu-img create -q -f qcow2 -o extended_l2=on{options}{backing} disk.qcow2 8M"));
            let commands: Vec<_> = COMMANDS.iter().flat_map(|command| ["-c", command]).collect();
            let written = std::process::Command::new("qemu-io").args(&commands).arg(place.at("disk.qcow2")).output().unwrap();
            assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stdout));
            place.shows("qemu-img convert -O raw disk.qcow2 expected");
            assert!(place.shows("qemu-img info --output=json disk.qcow2").contains("\"extended-l2\": true"));
            assert!(shows(&Disk::open(&place.at("disk.qcow2")).unwrap(), &place.at("expected")) > 100);
            // A disk that also has compressed clusters.
            let flat = format!("qemu-img convert -c -O qcow2 -o extended_l2=on{options} disk.qcow2 packed.qcow2");
            place.shows(&flat);
            let written = std::process::Command::new("qemu-io").args(["-c", "write -P 9 600k 3k"]).arg(place.at("packed.qcow2")).output();
            assert!(written.unwrap().status.success());
            place.shows("qemu-img convert -O raw packed.qcow2 expected");
            shows(&Disk::open(&place.at("packed.qcow2")).unwrap(), &place.at("expected"));
        }
    }
}

#[test]
fn an_overlay_of_subclusters_shares_what_it_does_not_write() {
    let place = Place::new();
    std::fs::create_dir_all(place.at("tree/etc")).unwrap();
    std::fs::write(place.at("tree/etc/os-release"), "ID=debian\n").unwrap();
    for number in 0..20 {
        std::fs::write(place.at(format!("tree/file{number}")), crate::export_cases::text(40_000 + number * 1000)).unwrap();
    }
    place.shows("mke2fs -q -t ext4 -d tree disk 32M");
    place.shows("qemu-img convert -f raw -O qcow2 -o extended_l2=on disk base.qcow2");
    place.shows("qemu-img create -q -f qcow2 -o extended_l2=on -F qcow2 -b base.qcow2 over.qcow2");
    // A file is changed in the overlay, at its offset on the raw disk.
    let raw = std::fs::read(place.at("disk")).unwrap();
    let line = b"line 700, 490000\n";
    let at = raw.windows(line.len()).position(|window| window == line).unwrap();
    place.shows("qemu-img compare base.qcow2 over.qcow2");
    let written = std::process::Command::new("qemu-io").args(["-c", &format!("write -P 0x58 {at} 4")]).arg(place.at("over.qcow2")).output();
    assert!(written.unwrap().status.success());
    let output = place.run("goldsmith image diff base.qcow2 over.qcow2");
    let said = String::from_utf8(output.stdout).unwrap();
    let changed: Vec<_> = said.lines().filter(|line| line.contains("/file")).collect();
    assert_eq!(changed.len(), 1, "{said}");
    place.shows("qemu-img convert -O raw over.qcow2 expected");
    place.shows("goldsmith image export over.qcow2 found --format raw");
    let (expected, found) = (std::fs::read(place.at("expected")).unwrap(), std::fs::read(place.at("found")).unwrap());
    // Free blocks of ext4 are not exported.
    assert!(expected.len() == found.len() && found[at..][..4] == [0x58; 4]);
    place.shows("e2fsck -fn found");
}

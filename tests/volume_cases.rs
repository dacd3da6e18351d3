//! Volumes of files, checked by the programs of dosfstools, mtools and util-linux.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use goldsmith::image::fat::Volume;

/// The output of a command, which must succeed.
#[track_caller]
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

/// A directory for a volume's content, and for the volume.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), content).unwrap();
    }

    /// Write the volume `name` and check it.
    fn write(&self, name: &str, directories: &[(&Path, &str)]) -> Volume {
        let volume = Volume::plan("GOLDSMITH", directories).unwrap();
        let mut heard = (0, 0);
        volume.write(&self.at(name), |done, total| heard = (done, total)).unwrap();
        assert_eq!(heard.0, heard.1);
        assert_eq!(fs::metadata(self.at(name)).unwrap().len(), volume.bytes());
        let fsck = said("fsck.vfat", &["-n", "-v", &self.text(name)]);
        assert!(fsck.contains("FATs, 32 bit entries"), "{fsck}");
        // After the volume's description, fsck prints only the count.
        let summary = fsck.lines().last().unwrap();
        assert!(summary.starts_with(&self.text(name)) && summary.contains(" files, "), "{fsck}");
        for complaint in ["differen", "dirty", "rong", "nvalid", "bad", "ixing"] {
            assert!(!fsck.contains(complaint), "{fsck}");
        }
        volume
    }

    /// Copy the volume's content out of it.
    fn read(&self, volume: &str, to: &str) {
        fs::create_dir(self.at(to)).unwrap();
        said("mcopy", &["-s", "-n", "-Q", "-i", &self.text(volume), "::*", &self.text(to)]);
    }
}

/// A repository as in archives: many long names, empty and large files, directories in directories.
fn repository(place: &Place) {
    place.put("source/repodata/repomd.xml", "<repomd/>\n");
    for number in 0..300 {
        let name = format!("source/package-with-a-rather-long-name-{number}-1.2.3-4.5.6.el7_5.1~rc1+git^x.x86_64.rpm");
        place.put(&name, vec![number as u8; number * 17]);
    }
    let big: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    place.put("source/a/deeper/BIG.rpm", big);
    place.put("source/a/empty", "");
    fs::create_dir_all(place.at("source/a/deeper/and empty")).unwrap();
    // Sizes around that of a cluster, and of a long name's slots.
    for bytes in [1, 4095, 4096, 4097, 8191, 8192, 8193] {
        place.put(&format!("source/edges/{bytes}"), vec![7; bytes]);
    }
    for length in [1, 12, 13, 14, 26, 254, 255] {
        place.put(&format!("source/names/{}", "n".repeat(length)), length.to_string());
    }
    place.put(&format!("source/{}/f", vec!["d"; 14].join("/")), "deep");
    place.put("second/x", "x");
}

#[test]
fn a_volume_is_clean_readable_and_the_same_twice() {
    let place = Place::new();
    repository(&place);
    let both = |source: &Path| place.write("volume", &[(source, "kubernetes"), (&place.at("second"), "other/second.repo")]);
    both(&place.at("source"));
    let blkid = said("blkid", &["-p", "-o", "export", &place.text("volume")]);
    for line in ["LABEL=GOLDSMITH", "LABEL_FATBOOT=GOLDSMITH", "VERSION=FAT32", "TYPE=vfat", "BLOCK_SIZE=512"] {
        assert!(blkid.lines().any(|found| found == line), "{line}: {blkid}");
    }
    let listed = said("mdir", &["-i", &place.text("volume"), "::kubernetes/repodata"]);
    assert!(listed.contains("1980-01-01   0:00  repomd.xml"), "{listed}");

    place.read("volume", "copy");
    said("diff", &["-r", &place.text("source"), &place.text("copy/kubernetes")]);
    said("diff", &["-r", &place.text("second"), &place.text("copy/other/second.repo")]);

    // Another directory of the host, with another order and other times.
    fs::rename(place.at("volume"), place.at("first")).unwrap();
    said("cp", &["-r", &place.text("copy/kubernetes"), &place.text("again")]);
    both(&place.at("again"));
    said("cmp", &[&place.text("first"), &place.text("volume")]);
}

#[test]
fn a_volume_takes_what_its_content_takes() {
    let place = Place::new();
    // No files, thousands of files, and so many long names that directories take more space than files.
    for (name, count, pad, bytes) in [("none", 0, 0, 0), ("packages", 4000, 60, 5000), ("names", 3000, 250, 1)] {
        fs::create_dir(place.at("source")).unwrap();
        for number in 0..count {
            place.put(&format!("source/{number:0>pad$}.rpm"), vec![1; bytes]);
        }
        let volume = place.write(name, &[(&place.at("source"), "r")]);
        let fsck = said("fsck.vfat", &["-n", &place.text(name)]);
        // fsck also counts the directory and the root.
        assert!(fsck.contains(&format!("{} files", count + if count == 0 { 1 } else { 2 })) || count == 0, "{fsck}");
        let taken = fs::metadata(place.at(name)).unwrap().blocks() * 512;
        assert!(taken <= volume.written_bytes() + 65_536, "{name}: {taken} of {}", volume.written_bytes());
        assert!(volume.bytes() > 256 << 20 && volume.written_bytes() < 40 << 20, "{name}: {volume:?}");
        fs::remove_dir_all(place.at("source")).unwrap();
    }
}

/// A file of almost 4 GiB, with its clusters listed by mtools. On the host it is almost entirely a hole. For a larger one, with clusters of
/// 4 GiB in all, fsck.vfat 4.2 reports no clusters, because it counts their bytes in 32 bits.
#[test]
fn a_file_of_almost_4_gib_fits_and_one_of_4_gib_does_not() {
    const BYTES: u64 = (1 << 32) - 4096;
    let place = Place::new();
    fs::create_dir(place.at("source")).unwrap();
    let source = File::create(place.at("source/big.rpm")).unwrap();
    source.set_len(BYTES).unwrap();
    source.write_all_at(b"last", BYTES - 4).unwrap();
    let volume = place.write("volume", &[(&place.at("source"), "")]);
    let listed = said("mdir", &["-i", &place.text("volume"), "::"]);
    assert!(listed.contains(&format!(" {BYTES} 1980-01-01")), "{listed}");
    let clusters = said("mshowfat", &["-i", &place.text("volume"), "::big.rpm"]);
    assert_eq!(clusters.trim(), format!("::/big.rpm <3-{}>", 2 + BYTES / 4096));
    // The last of them ends the volume.
    let mut end = [0; 4];
    File::open(place.at("volume")).unwrap().read_exact_at(&mut end, volume.bytes() - 4).unwrap();
    assert_eq!(end, *b"last");
    let taken = fs::metadata(place.at("volume")).unwrap().blocks() * 512;
    assert!(taken < 64 << 20, "holes were filled: {taken} of {}", volume.bytes());
    source.set_len(1 << 32).unwrap();
    let error = Volume::plan("GOLDSMITH", &[(&place.at("source"), "")]).unwrap_err();
    assert_eq!(error.to_string(), "the volume GOLDSMITH cannot be made: `big.rpm` has 4.00 GiB; FAT has no files of 4 GiB and more");
}

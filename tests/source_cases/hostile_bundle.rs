//! Wrong and malicious bundles.

use std::fs;
use std::io::Write;

use super::bundle::{Bench, DOCKER, repository, unpack};
use super::{Rpm, make, put};

/// A tar archive of entries: header type, path, size in the header, content.
fn tar(entries: &[(u8, &[u8], u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, path, size, content) in entries {
        let mut header = [0; 512];
        header[..path.len()].copy_from_slice(path);
        header[100..107].copy_from_slice(b"0000644");
        match format!("{size:011o}") {
            octal if octal.len() == 11 => header[124..135].copy_from_slice(octal.as_bytes()),
            // The form of GNU tar for sizes of 8 GiB and more.
            _ => header[124..136].copy_from_slice(&[&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat()),
        }
        header[148..156].copy_from_slice(b"        ");
        header[156] = *kind;
        header[157..163].copy_from_slice(b"target");
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(header);
        out.extend(*content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gzip(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    parts.into_iter().for_each(|part| encoder.write_all(&part).unwrap());
    encoder.finish().unwrap()
}

/// Check that an archive of these bytes is refused with these messages.
#[track_caller]
fn refused(content: &[u8], expected: &[&str]) {
    let bench = Bench::new();
    fs::write(bench.path("a"), content).unwrap();
    let found = bench.refused("a");
    let found: Vec<&str> = found.iter().map(|line| line.strip_prefix("the bundle cannot be used: a: ").unwrap_or(line)).collect();
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)),
        "{found:?}\n{expected:?}"
    );
    // Only its digest is stored.
    assert!(!bench.path("store/v1/memory/bundle-2").exists());
}

/// A small package.
fn rpm() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    Rpm::new("a", "1", "1").build(dir.path());
    fs::read(dir.path().join("a-1-1.x86_64.rpm")).unwrap()
}

fn pax(record: &str) -> Vec<u8> {
    let length = record.len() + 4;
    assert!((10..100).contains(&length));
    format!("{length} {record}\n").into_bytes()
}

#[test]
fn entries_that_lead_out_or_are_no_files_are_refused() {
    let rpm = rpm();
    let bytes = rpm.len() as u64;
    let a = (b'0', &b"a.rpm"[..], bytes, &rpm[..]);
    let x = |record: &str| pax(record).len() as u64;
    for (entries, expected) in [
        (
            &[(b'0', &b"../a.rpm"[..], 1, &b"x"[..]), (b'0', b"/etc/x", 0, b""), (b'2', b"repodata", 0, b""), a, a][..],
            &["`a.rpm` is there twice", "`../a.rpm` leads out of the directory", "`/etc/x` has an absolute path"][..],
        ),
        (
            // Above the repository any name is allowed. In it, every reader of FAT32 must support the names, because the repository travels
            // on FAT32.
            &[(b'0', "für/a.rpm".as_bytes(), bytes, &rpm[..]), (b'0', "für/ß.rpm".as_bytes(), bytes, &rpm[..])],
            &["`ß.rpm` has `ß` in its name, which not every reader of FAT32, on which it travels, has"],
        ),
        (&[a, (b'1', b"b", 0, b"")], &["`b` is a link to `target`, and no file of the bundle is there"]),
        (&[a, (b'3', b"dev/sda", 0, b"")], &["`dev/sda` is a device, which cannot be on the volume it travels on"]),
        (&[a, (b'6', b"pipe", 0, b"")], &["`pipe` is a named pipe, which cannot be on the volume it travels on"]),
        (&[a, (b'S', b"x", 0, b"")], &["`x` is a sparse file, which cannot be on the volume it travels on"]),
        (&[a, (b'V', b"x", 0, b"")], &["`x` is an entry of type 'V', which cannot be on the volume it travels on"]),
        (&[a, (b'0', b"x\x1b[2J", 0, b"")], &["`x` has a character in its name that FAT32, on which it travels, does not have: "]),
        (&[(b'L', b"L", 5, b"a/../"), a], &["`a/../` leads out of the directory"]),
        (&[(b'K', b"K", 5, b"../x\0"), (b'2', b"l", 0, b""), a], &["`l` is a link that leads out of the bundle"]),
        (&[(b'x', b"x", x("path=../x"), &pax("path=../x")), a], &["`../x` leads out of the directory"]),
        (&[(b'x', b"x", x("linkpath=/etc"), &pax("linkpath=/etc")), (b'1', b"l", 0, b""), a], &["`l` is a link to an absolute path"]),
        (
            &[(b'x', b"x", x("size=999999"), &pax("size=999999")), a],
            &["`a.rpm` is a sparse file, or has another size in its PAX header than in its own"],
        ),
        (
            &[(b'x', b"x", x("GNU.sparse.major=1"), &pax("GNU.sparse.major=1")), a],
            &["`a.rpm` is a sparse file, or has another size in its PAX header than in its own"],
        ),
        (&[(b'x', b"x", 7, b"9 a=b\n\n"), a], &["it cannot be unpacked: a PAX header is damaged"]),
        (&[a, (b'0', b"A.rpm", bytes, &rpm)], &["`A.rpm` is in the way of `a.rpm`: names on FAT32, on which both travel, ignore case"]),
        (
            &[a, (b'0', b"b/x", 0, b""), (b'0', b"B/y", 0, b"")],
            &["`B/y` is in the way of `b`: names on FAT32, on which both travel, ignore case"],
        ),
        (&[(b'0', b"a.rpm", 14, b"<!doctype html")], &["`a.rpm` is a web page, and not the RPM package it is called"]),
        (&[(b'0', b"a.rpm", bytes - 1, &rpm[..rpm.len() - 1])], &["`a.rpm` is cut short: it has "]),
        (&[(b'0', b"readme", 4, b"text")], &["it holds neither packages (*.rpm) nor their metadata (repodata/repomd.xml)"]),
        (
            &[(b'0', b"a/repodata/repomd.xml", 1, b"x"), (b'0', b"b/repodata/repomd.xml", 1, b"x")],
            &["it holds 2 repositories, and a recipe's repository is one: `a`, `b`"],
        ),
    ] {
        refused(&tar(entries), expected);
    }
    // The same archive without the fault is accepted, also with a record that repeats the value of the header.
    let size = format!("size={bytes}");
    let bench = Bench::new();
    fs::write(bench.path("a"), tar(&[(b'g', b"g", x("comment=none"), &pax("comment=none")), (b'x', b"x", x(&size), &pax(&size)), a]))
        .unwrap();
    assert_eq!(bench.open("a").unwrap().packages().count(), 1);
}

#[test]
fn archives_that_claim_or_expand_to_too_much_are_refused_before_they_do() {
    let huge = |kind: u8, name: &[u8], bytes: u64| {
        let mut head = tar(&[(kind, name, bytes, b"")]);
        head.truncate(512);
        // The first part of the data really exists.
        gzip([head].into_iter().chain(std::iter::repeat_n(vec![0; 1 << 20], 4)))
    };
    refused(&huge(b'0', b"bomb", 100 << 30), &["`bomb` brings the files to 100 GiB; an archive of "]);
    refused(&huge(b'0', b"bomb", 300 << 20), &["`bomb` brings the files to 300 MiB; an archive of "]);
    refused(&huge(b'0', b"repodata/x", 100 << 20), &["`repodata/x` brings the metadata to 100 MiB"]);
    refused(&huge(b'0', b"bomb", u64::MAX), &["it cannot be unpacked: size overflow"]);
    refused(&huge(b'L', b"name", 100 << 30), &["it cannot be unpacked: an extension header has more than 64 KiB"]);
    refused(&huge(b'x', b"pax", 1 << 20), &["it cannot be unpacked: an extension header has more than 64 KiB"]);
    // A million entries, in several gzip members.
    let mut thousand = tar(&vec![(b'5', &b"dir"[..], 0, &b""[..]); 1000]);
    thousand.truncate(512 * 1000);
    let million = gzip([thousand]).repeat(1000);
    refused(&million, &["`dir` is one of more than 20000 entries"]);
    // 100 MiB of zeros that would become 100 GB on the disk.
    let bench = Bench::new();
    fs::create_dir(bench.path("Docker")).unwrap();
    fs::write(bench.path("Docker/zeros"), vec![0; 100 << 20]).unwrap();
    for link in 0..1000 {
        fs::hard_link(bench.path("Docker/zeros"), bench.path(&format!("Docker/{link}"))).unwrap();
    }
    make("tar", bench.dir.path(), ["-czf", "a.tgz", "Docker"]);
    let told = bench.refused("a.tgz");
    assert!(told[0].contains(" brings the files to 300 MiB; an archive of "), "{told:?}");
}

#[test]
fn an_archive_that_was_cut_short_anywhere_is_no_archive() {
    let bench = Bench::new();
    repository(&bench.path("Docker"));
    put(&bench.path("Docker"), &[(&"n".repeat(150), b"long")]);
    make("tar", bench.dir.path(), ["-cf", "plain", "Docker"]);
    let plain = fs::read(bench.path("plain")).unwrap();
    let end = plain.len() - plain.iter().rev().take_while(|byte| **byte == 0).count();
    let end = end.next_multiple_of(512);
    // A plain archive is cut at every block and within blocks. Everything after the first block of the end is padding.
    for cut in (512..end + 512).step_by(512).flat_map(|cut| [cut, cut + 1, cut + 200]).filter(|cut| *cut < end + 512) {
        fs::write(bench.path("cut"), &plain[..cut]).unwrap();
        let told = bench.refused("cut");
        assert!(told.iter().any(|told| told.contains("cut")), "{cut}: {told:?}");
    }
    for (option, name) in [("-z", "gz"), ("-j", "bz2"), ("-J", "xz"), ("--zstd", "zst")] {
        make("tar", bench.dir.path(), [option, "-cf", name, "Docker"]);
        let whole = fs::read(bench.path(name)).unwrap();
        bench.open(name).unwrap();
        for cut in (0..whole.len()).step_by(whole.len() / 60).chain(whole.len() - 16..whole.len()) {
            fs::write(bench.path("cut"), &whole[..cut]).unwrap();
            bench.refused("cut");
        }
        // One byte is changed. A checksum finds the wrong content, unless the byte cannot be decoded at all.
        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 0x10;
        fs::write(bench.path("cut"), altered).unwrap();
        bench.refused("cut");
    }
}

#[test]
fn what_is_no_archive_is_called_by_its_name() {
    const NOT: &str = "the bundle is not a tar archive (plain, gzip, xz, zstd or bzip2): a is ";
    for (content, is) in [
        (b"<html>".to_vec(), "a web page of 6 bytes"),
        (gzip([b"<html>".to_vec()]), "gzip data of 26 bytes, which hold a web page"),
        (b"PK\x03\x04".to_vec(), "a zip archive of 4 bytes"),
        (rpm(), "an RPM package of "),
        (tar(&[]), "a file that begins with zeros"),
        (Vec::new(), "an empty file"),
    ] {
        refused(&content, &[&format!("{NOT}{is}")]);
    }
    let rpm = rpm();
    let whole = tar(&[(b'0', b"a.rpm", rpm.len() as u64, &rpm)]);
    refused(&[whole.clone(), b"more".to_vec()].concat(), &["something follows the end of the archive"]);
    refused(&gzip([whole, vec![0; 17 << 20]]), &["something follows the end of the archive"]);
    let bench = Bench::new();
    make("mkfifo", bench.dir.path(), ["pipe"]);
    assert_eq!(bench.refused("pipe"), ["the bundle is not a regular file: pipe is no regular file"]);
}

#[test]
fn what_changes_between_looking_and_unpacking_is_noticed() {
    let bench = Bench::new();
    repository(&bench.path("Docker"));
    let bundle = bench.open("Docker").unwrap();
    let package = bench.path("Docker").join(DOCKER);
    let whole = fs::read(&package).unwrap();
    for changed in [&whole[..whole.len() - 1], &[&whole[1..], b"x"].concat(), b""] {
        fs::write(&package, changed).unwrap();
        let error = unpack(&bundle, &bench.path("dest")).unwrap_err().to_string();
        assert!(error.ends_with(&format!("`{DOCKER}` was changed since it was inspected")), "{error}");
        assert!(!bench.path("dest").exists());
    }
    // The link has another target now.
    fs::remove_file(&package).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &package).unwrap();
    assert!(unpack(&bundle, &bench.path("dest")).is_err());
}

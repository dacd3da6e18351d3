//! ext4 that was not unmounted, is damaged, or has unknown features: this is reported, and the filesystem is never read as if it were
//! intact.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::image::{FileKind, Identity, ImageError, Xattr};

use super::*;

/// The content of files whose blocks are not metadata.
const DATA: u8 = b'D';

/// At most this many files are read.
const MAX_FILES: usize = 400;

/// Everything that can be read: content, targets, attributes, numbers. The first error ends the reading.
type Everything = BTreeMap<PathBuf, (goldsmith::image::Metadata, Identity, Vec<Xattr>, Option<Sha256Digest>)>;

fn everything(bytes: Vec<u8>) -> Result<Everything, ImageError> {
    let root = Root::open(&Disk::in_memory("disk", bytes))?;
    root.usage()?;
    let mut found = Everything::new();
    // A directory that holds itself has no end.
    for item in root.walk("/")?.take(MAX_FILES) {
        let (path, metadata) = item?;
        let content = match metadata.kind {
            FileKind::Symlink => Some(root.read_link(&path)?.into_os_string().into_encoded_bytes()),
            FileKind::File => {
                let mut bytes = Vec::new();
                // Sizes on a damaged disk can be wrong, so the reader of a file limits the length.
                match root.open_file(&path)?.take(1 << 20).read_to_end(&mut bytes) {
                    Ok(_) => Some(bytes),
                    Err(error) => return Err(ImageError::read(&path, error)),
                }
            }
            _ => None,
        };
        let content = content.map(|content| Sha256Digest::of(&content));
        found.insert(path.clone(), (metadata, root.identity(&path)?, root.xattrs(&path)?, content));
    }
    Ok(found)
}

/// A small filesystem with metadata of every kind: extents in a tree or lists of blocks, a directory with an index, attributes in a block.
fn small(dir: &TempDir, options: &str) -> Vec<u8> {
    run(dir, "rm -rf @/tree @/disk && mkdir -p @/tree/etc @/tree/names && printf D > @/tree/etc/fstab");
    let tree = dir.path().join("tree");
    for number in 0..120 {
        fs::write(tree.join(format!("names/a-name-of-some-length-{number}")), "").unwrap();
    }
    let pieces = fs::File::create(tree.join("pieces")).unwrap();
    for piece in 0..120u64 {
        std::os::unix::fs::FileExt::write_all_at(&pieces, &[DATA; 1024], piece * 2048).unwrap();
    }
    fs::write(tree.join("file"), [DATA; 5000]).unwrap();
    std::os::unix::fs::symlink("short", tree.join("link")).unwrap();
    std::os::unix::fs::symlink("D".repeat(100), tree.join("link-long")).unwrap();
    run(dir, &format!("mke2fs -q -F -b 1024 -N 200 -U 0f0e0d0c-0b0a-0908-0706-050403020100 -d @/tree {options} @/disk 2M"));
    fs::write(dir.path().join("value"), [7; 300]).unwrap();
    run(dir, "debugfs -w -R 'ea_set -f @/value /file user.large' @/disk && debugfs -w -R 'ea_set /etc/fstab user.small x' @/disk");
    // e2fsck makes an index of hashes.
    let (_, said) = tried(dir, "e2fsck -fyD @/disk");
    assert!(said.contains("Pass 3A"), "{said}");
    run(dir, "e2fsck -fn @/disk");
    fs::read(dir.path().join("disk")).unwrap()
}

/// Every block that is neither zeros nor data of a file.
fn metadata_blocks(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let blocks = bytes.chunks(1024).enumerate();
    blocks.filter(|(_, block)| block.iter().any(|byte| !matches!(*byte, 0 | DATA))).map(|(number, _)| number * 1024)
}

#[test]
fn a_flipped_bit_of_metadata_is_said_or_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    for options in ["-t ext4 -O ^has_journal", "-t ext4 -O ^has_journal,meta_bg,^resize_inode,^extent,^64bit"] {
        let bytes = small(&dir, options);
        let expected = everything(bytes.clone()).unwrap();
        assert!(expected.len() > 125 && expected.values().any(|(_, _, xattrs, _)| xattrs.len() == 1));
        let (mut said, mut same) = (0, 0);
        for block in metadata_blocks(&bytes) {
            // Bytes that are not zero, and any bytes.
            let filled = (block..block + 1024).filter(|at| bytes[*at] != 0);
            for at in filled.step_by(149).chain([block + 500]) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                match everything(damaged) {
                    Ok(found) => {
                        // A list of blocks has no checksum, so damage to it looks like other content.
                        let of = |tree: &Everything| {
                            let without = |content: &Option<Sha256Digest>| content.filter(|_| !options.contains("^extent"));
                            tree.iter()
                                .map(|(path, (a, b, c, content))| (path.clone(), *a, *b, c.clone(), without(content)))
                                .collect::<Vec<_>>()
                        };
                        assert!(of(&found) == of(&expected), "{options}: byte {at:#x} was flipped, and nobody saw it");
                        same += 1;
                    }
                    Err(_) => said += 1,
                }
            }
        }
        // Bitmaps, copies of superblocks and unused inodes are not read.
        assert!(said > 100 && same > 10, "{options}: {said} {same}");
    }
}

/// Without checksums any value is possible at any place. Reading must end with each of them.
#[test]
fn made_up_values_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |below: usize| {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for options in
        ["-t ext4 -O ^has_journal,^metadata_csum,inline_data,ea_inode -I 256", "-t ext2 -I 128", "-t ext4 -O ^has_journal,^metadata_csum"]
    {
        let bytes = small(&dir, options);
        let places: Vec<usize> = metadata_blocks(&bytes).collect();
        for _ in 0..100 {
            let mut damaged = bytes.clone();
            for _ in 0..=random(8) {
                let at = places[random(places.len())] + random(512) * 2;
                let value: u32 = [0, 1, 2, 0xff, 0xffff, 0xffff_ffff, 0x8000, 0xf30a][random(8)];
                let wide = [1, 2, 4][random(3)].min(damaged.len() - at);
                damaged[at..at + wide].copy_from_slice(&value.to_le_bytes()[..wide]);
            }
            let _ = everything(damaged);
        }
    }
}

#[test]
fn features_that_are_not_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (options, expected) in
        [("-t ext4 -O casefold", "it has the feature casefold, which is not read"), ("-t ext4 -O ^has_journal -E test_fs", "")]
    {
        run(&dir, "rm -rf @/tree && mkdir -p @/tree/etc && echo > @/tree/etc/fstab");
        run(&dir, &format!("rm -f @/disk; mke2fs -q -F {options} -d @/tree @/disk 8M"));
        match Root::open(&Disk::open(&dir.path().join("disk")).unwrap()) {
            Ok(_) => assert_eq!(expected, "", "{options}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{options}: {error}"),
        }
    }
    // A feature bit without a meaning.
    run(&dir, "debugfs -w -R 'set_super_value feature_incompat 0x10000242' @/disk");
    let error = Root::open(&Disk::open(&dir.path().join("disk")).unwrap()).err().unwrap().to_string();
    assert!(error.contains("it has the feature 0x10000000, which is not read"), "{error}");
}

/// A disk that was copied while it was mounted: files are read from the journal, attributes are not.
#[test]
fn what_waits_in_a_journal_is_read_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(&dir) {
        return;
    }
    run(&dir, "truncate -s 64M @/disk && mke2fs -q -F -t ext4 @/disk");
    {
        let mount = Mount::new(&dir, "");
        fs::create_dir(mount.path().join("etc")).unwrap();
        fs::write(mount.path().join("etc/fstab"), "# nothing\n").unwrap();
        run(&dir, "sync -f @/m && cp @/disk @/copy");
    }
    let root = Root::open(&Disk::open(&dir.path().join("copy")).unwrap()).unwrap();
    assert!(!root.is_clean());
    assert_eq!(root.read("/etc/fstab", 100).unwrap(), b"# nothing\n");
    let error = root.xattrs("/etc/fstab").unwrap_err().to_string();
    assert!(error.contains("its attributes cannot be read before its journal is replayed"), "{error}");
    let error = root.identity("/etc/fstab").unwrap_err().to_string();
    assert!(error.contains("its inode numbers cannot be read before its journal is replayed"), "{error}");
    // The same disk after a clean unmount.
    let root = open(&dir);
    assert!(root.is_clean() && root.xattrs("/etc/fstab").unwrap().is_empty());
    // A feature that only goldsmith's reader supports, and a journal that only ext4-view replays.
    run(&dir, "rm @/disk; truncate -s 64M @/disk && mke2fs -q -F -t ext4 -O inline_data @/disk");
    {
        let _mount = Mount::new(&dir, "");
        run(&dir, "mkdir @/m/etc; echo > @/m/etc/fstab; sync -f @/m && cp @/disk @/copy");
    }
    let error = Root::open(&Disk::open(&dir.path().join("copy")).unwrap()).err().unwrap().to_string();
    assert!(error.contains("it was not unmounted cleanly, and its journal cannot be replayed here"), "{error}");
}

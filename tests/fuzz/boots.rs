//! The fuzz targets `grub`, `systemd-boot` and `uki`: the files of boot loaders are damaged on a disk, and the default entry is read.
//!
//! A text of the corpus is several files with the record separator between them: `grub.cfg`, `grubenv`, two entries and a file for
//! `source`; or `loader.conf` and three entries. objcopy 2.40 made `uki.xz` from systemd's stub 252, whose sections were removed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use goldsmith::image::{BootEntry, Disk, Root};

use crate::targets::own_words;

pub const GRUB: &[&str] = &[
    "\u{1e}",
    "\n",
    ";",
    "'",
    "\"",
    "\\",
    "$",
    "${",
    "}",
    "{",
    "[ ",
    " ]",
    "$root",
    "${prefix}",
    "if [ -e /k ]; then\n",
    "else\n",
    "fi\n",
    "! ",
    " -o ",
    "menuentry 'a' --id b {\n",
    "submenu c {\n",
    "linux /k ",
    "initrd /i /i\n",
    "set default=",
    "set a=$a$a\n",
    "saved_entry=",
    "search --no-floppy --fs-uuid --set=root ",
    "search.fs_label ",
    "configfile /boot/custom.cfg\n",
    "configfile $prefix/grub.cfg\n",
    "source /boot/custom.cfg\n",
    "blscfg\n",
    "load_env\n",
    "title a\n",
    "options $kernelopts\n",
    "(/)",
    ">",
    ">>",
];

pub const ENTRY: &[&str] = &[
    "\u{1e}",
    "\n",
    "\t",
    "\"",
    "\\",
    "/../",
    "default ",
    "@saved\n",
    "*",
    "?",
    "[a-",
    "]",
    "[!",
    "title ",
    "linux /k\n",
    "efi /k\n",
    "uki /u\n",
    "initrd /i\n",
    "options a\n",
    "sort-key ",
    "version 1~^-.\n",
    "machine-id ",
    "architecture x64\n",
];

/// The size of each damaged file in bytes. Newlines fill the rest of a text.
const FILE: usize = 16 << 10;

/// Bytes of a block of the filesystem.
const BLOCK: usize = 1024;

/// A disk, with the places of the blocks of its files.
struct Made {
    disk: Vec<u8>,
    files: Vec<Vec<usize>>,
}

impl Made {
    /// A filesystem with `others`, and with `files` of `size` bytes each. `fstab` mounts it in itself.
    fn new(fstab: &str, others: &[&str], files: &[&str], size: usize) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-boots-{}", std::process::id()));
        let put = |path: &str, content: &[u8]| {
            let path = dir.join("tree").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put("etc/fstab", fstab.as_bytes());
        put("etc/os-release", b"ID=x\n");
        others.iter().for_each(|path| put(path, b"x"));
        let marker = |number: usize, block: usize| [vec![0xf0 + number as u8; BLOCK - 1], vec![block as u8]].concat();
        let content = |number: usize| (0..size / BLOCK).flat_map(|block| marker(number, block)).collect::<Vec<_>>();
        files.iter().enumerate().for_each(|(number, path)| put(path, &content(number)));
        let mut command = Command::new("mke2fs");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args([
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            "1024",
            "-O",
            "^has_journal",
            "-L",
            "x",
            "-d",
        ]);
        let made = command.args([dir.join("tree"), dir.join("disk")]).arg("1M").output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let disk = fs::read(dir.join("disk")).unwrap();
        fs::remove_dir_all(dir).unwrap();
        let place = |marker: Vec<u8>| disk.chunks(BLOCK).position(|block| block == marker).unwrap() * BLOCK;
        let places = |number: usize| (0..size / BLOCK).map(|block| place(marker(number, block))).collect();
        let files = (0..files.len()).map(places).collect();
        Self { disk, files }
    }

    /// The boot entry when the files have these contents.
    fn boots(&self, contents: &[&[u8]], filler: u8) -> String {
        let mut disk = self.disk.clone();
        for (number, place) in self.files.iter().enumerate() {
            let content = contents.get(number).copied().unwrap_or_default();
            let mut pieces = content.chunks(BLOCK);
            for start in place {
                let piece = pieces.next().unwrap_or_default();
                disk[*start..start + BLOCK].fill(filler);
                disk[*start..start + piece.len()].copy_from_slice(piece);
            }
        }
        let root = Root::open(&Disk::in_memory("disk", disk)).unwrap();
        match BootEntry::read(&root) {
            Ok(entry) => {
                for file in std::iter::once(&entry.kernel).chain(&entry.initrds) {
                    let bytes = file.read(&root, 1 << 20).unwrap();
                    assert!(file.part.as_ref().is_none_or(|part| part.size == bytes.len() as u64));
                }
                format!("{:?} {} {}", entry.mechanism, entry.configuration, entry.initrds.len().min(4))
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.len() < 100_000, "{} bytes", text.len());
                own_words(&text)
            }
        }
    }
}

fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == 0x1e).collect()
}

/// Read GRUB's files.
pub fn read_grub(bytes: &[u8]) -> String {
    static MADE: OnceLock<Made> = OnceLock::new();
    let files =
        ["boot/grub/grub.cfg", "boot/grub/grubenv", "boot/loader/entries/a-1.conf", "boot/loader/entries/a-2.conf", "boot/custom.cfg"];
    MADE.get_or_init(|| Made::new("", &["boot/k", "boot/i"], &files, FILE)).boots(&parts(bytes), b'\n')
}

/// Read systemd-boot's files. The filesystem is mounted in itself, because only a mounted filesystem can be an ESP.
pub fn read_systemd(bytes: &[u8]) -> String {
    static MADE: OnceLock<Made> = OnceLock::new();
    let files = ["loader/loader.conf", "loader/entries/a.conf", "loader/entries/b-10.conf", "loader/entries/c+3-1.conf"];
    MADE.get_or_init(|| Made::new("LABEL=x /efi ext4\n", &["k", "i", "u"], &files, FILE)).boots(&parts(bytes), b'\n')
}

/// Read a unified kernel image that the firmware starts.
pub fn read_unified(bytes: &[u8]) -> String {
    static MADE: OnceLock<Made> = OnceLock::new();
    let made = MADE.get_or_init(|| Made::new("LABEL=x /efi ext4\n", &[], &["EFI/BOOT/BOOTX64.EFI"], FILE));
    made.boots(&[bytes], 0)
}

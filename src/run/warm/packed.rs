//! A saved state as one file beside its image: a tar, compressed with zstd.
//!
//! ```text
//!   warm.json, kernel, initrd-with-runner, disk.qcow2, state, memory
//! ```
//!
//! `warm.json` is first, so that a host which the state does not fit reads nothing else. Nothing in it names a directory of the host that
//! saved it: its disk lies over the bare name of the image.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::RunError;
use super::super::source::{Packed, Source};
use super::needs::{ANOTHER, Needs};
use super::saved::{ABOUT, About, DISK, INITRD, KERNEL, MEMORY, STATE, Saved};
use crate::artifact::{ArtifactError, FileRecord, StateRecord, open_regular};
use crate::base::aside::{Meter, aside};
use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::base::event::Task;
use crate::base::text::printable;
use crate::image::{self, ImageError};
use crate::machine::probe::kvm_opens;
use crate::machine::spec::Accelerator;

/// What such a file's name adds to that of the image.
pub const SUFFIX: &str = ".warm.tar.zst";
/// The files in it beside [`ABOUT`], in their order.
const FILES: [&str; 5] = [KERNEL, INITRD, DISK, STATE, MEMORY];
/// Bytes of `warm.json`.
const ABOUT_BYTES: u64 = 1 << 20;
/// Bytes of each other file but the memory: an initramfs is the largest of them.
const FILE_BYTES: u64 = 2 << 30;
/// Bytes that are written, or left as a hole, at a time.
const PIECE: usize = 64 << 10;
/// zstd's own default.
const LEVEL: i32 = 3;

/// Pack `saved`, which is a state of the image of `source`, into the new file `target`. Its temporary files lie in `scratch`.
///
/// # Errors
/// The state cannot be read, or a file cannot be written.
pub(in crate::run) async fn pack(
    saved: &Saved,
    source: &Source,
    (target, scratch): (&Path, &Path),
    task: &Task,
) -> Result<StateRecord, RunError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |error| RunError::Image(ImageError::write(&path, error))
    };
    let backing = PathBuf::from(source.image.file_name().unwrap_or_default());
    let disk = scratch.join(DISK);
    fs::copy(saved.dir().join(DISK), &disk).map_err(unwritable(&disk))?;
    image::rebase_unchecked(&disk, &backing, source.format).await?;
    // What the host knows of its own KVM is of no use elsewhere.
    let about = About { backing, despite_kvm: false, ..saved.about().clone() };
    let (dir, file) = (saved.dir().to_owned(), target.to_owned());
    let paths = FILES.map(|name| (name, if name == DISK { disk.clone() } else { dir.join(name) }));
    let total = paths.iter().filter_map(|(_, path)| path.metadata().ok()).map(|metadata| metadata.len()).sum();
    let text = format!("{:#}\n", serde_json::json!(about));
    let packed = aside(task, "compress the state", total, move |meter| write(text.as_bytes(), &paths, &file, meter)).await;
    let sha256 = packed.map_err(unwritable(target))?;
    let bytes = fs::metadata(target).map_err(unwritable(target))?.len();
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(saved.about().record(FileRecord { file: name, sha256, bytes }))
}

fn write(about: &[u8], files: &[(&str, PathBuf)], target: &Path, meter: &Arc<Meter>) -> io::Result<Sha256Digest> {
    let mut encoder = zstd::Encoder::new(HashingWriter::new(File::create(target)?), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut tar = tar::Builder::new(encoder);
    let header = |bytes| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header
    };
    tar.append_data(&mut header(about.len() as u64), ABOUT, about)?;
    for (name, path) in files {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        tar.append_data(&mut header(bytes), name, meter.measure(file).take(bytes))?;
    }
    let (file, sha256) = tar.into_inner()?.finish()?.finish();
    file.sync_all()?;
    Ok(sha256)
}

/// Why the state in `packed` does not fit a machine with these needs; `None` when it does.
///
/// # Errors
/// It is damaged.
pub(super) fn unfit(packed: &Packed, needs: &Needs) -> Result<Option<String>, RunError> {
    Ok(match about(packed)? {
        Some(about) => about.unfit(needs),
        None => Some(ANOTHER.to_owned()),
    })
}

/// The needs of the state in `packed`.
///
/// # Errors
/// It is damaged, or of another version of goldsmith.
pub(super) fn needs(packed: &Packed) -> Result<Needs, RunError> {
    Ok(about(packed)?.ok_or_else(|| damaged(packed)(wrong(ANOTHER.to_owned())))?.needs)
}

/// `warm.json`; `None` when it is that of another version of goldsmith.
fn about(packed: &Packed) -> Result<Option<About>, RunError> {
    let read = || {
        let mut tar = tar::Archive::new(zstd::Decoder::new(open_regular(&packed.path)?)?);
        match tar.entries()?.raw(true).next() {
            Some(entry) => About::read(&mut entry?.take(ABOUT_BYTES)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    read().map_err(damaged(packed))
}

/// Expand `packed` into the empty directory `dir`, for machines with these needs whose disks lie over the image of `source`.
///
/// # Errors
/// It is damaged, which is [`RunError::Artifact`]; or `dir` cannot be written.
pub(super) async fn expand(packed: &Packed, source: &Source, needs: &Needs, dir: &Path, task: &Task) -> Result<(), RunError> {
    image::require_space(dir, needs.size().1.bytes())?;
    let (from, to, now, total) = (packed.clone(), dir.to_owned(), needs.clone(), packed.record.file.bytes.saturating_mul(2));
    let step = format!("expand {}", packed.record.file.file);
    let read = aside(task, &step, total, move |meter| read(&from, &to, &now, meter)).await;
    let about = read.map_err(|error| match error {
        Unread::Archive(error) => damaged(packed)(error),
        Unread::Host(source) => RunError::State { path: dir.to_owned(), source },
    })?;
    let disk = dir.join(DISK);
    // It comes from wherever the image does, and may name other files of this host. QEMU's tools would open these.
    match image::overlay_size(&disk) {
        Ok(size) if size == source.size => {}
        Ok(size) => return Err(damaged(packed)(wrong(format!("its disk has {size} bytes, and that of the image {}", source.size)))),
        Err(error) => return Err(damaged(packed)(io::Error::other(error))),
    }
    image::rebase_unchecked(&disk, &source.image, source.format).await?;
    let despite_kvm = needs.accelerator() == Accelerator::Tcg && kvm_opens();
    let about = About { backing: source.image.clone(), despite_kvm, ..about };
    about.write(dir).map_err(|source| RunError::State { path: dir.to_owned(), source })
}

/// Why a state was not expanded.
enum Unread {
    /// The file cannot be read, or is not what it should be.
    Archive(io::Error),
    /// What it holds cannot be written.
    Host(io::Error),
}

/// The files of `packed`, in `dir`. A file that is not what the manifest says, or not what fits `needs`, is not expanded.
fn read(packed: &Packed, dir: &Path, needs: &Needs, meter: &Arc<Meter>) -> Result<About, Unread> {
    let archive = Unread::Archive;
    let mut file = open_regular(&packed.path).map_err(archive)?;
    let (sha256, _) = Sha256Digest::of_reader(meter.measure(&mut file)).map_err(archive)?;
    let said = &packed.record.file.sha256;
    if sha256 != *said {
        return Err(archive(wrong(format!("its sha256 is {} instead of {}", sha256.short(), said.short()))));
    }
    file.seek(SeekFrom::Start(0)).map_err(archive)?;
    let mut tar = tar::Archive::new(zstd::Decoder::new(meter.measure(file)).map_err(archive)?);
    // Raw: headers of extensions would be read into memory, however long they are, and ours has none.
    let mut entries = tar.entries().map_err(archive)?.raw(true);
    let mut next = |name: &str, most: u64| {
        let entry = entries.next().ok_or_else(|| wrong(format!("{name} is missing")))??;
        let (found, bytes) = (entry.path_bytes().into_owned(), entry.size());
        if found != name.as_bytes() || !entry.header().entry_type().is_file() || bytes > most {
            return Err(wrong(format!("in the place of {name} is `{}` with {bytes} bytes", printable(&String::from_utf8_lossy(&found)))));
        }
        Ok(entry)
    };
    let about = next(ABOUT, ABOUT_BYTES).and_then(|mut entry| About::read(&mut entry)).map_err(archive)?;
    let about = about.ok_or_else(|| archive(wrong(ANOTHER.to_owned())))?;
    if let Some(why) = about.unfit(needs) {
        return Err(archive(wrong(why)));
    }
    for name in FILES {
        // QEMU rounds memory up to whole MiB.
        let most = if name == MEMORY { needs.size().1.bytes().next_multiple_of(1 << 20) } else { FILE_BYTES };
        spread(&mut next(name, most).map_err(archive)?, &dir.join(name))?;
    }
    Ok(about)
}

fn wrong(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn damaged(packed: &Packed) -> impl Fn(io::Error) -> RunError {
    let path = packed.path.clone();
    move |error| RunError::Artifact(ArtifactError::Damaged { path: path.clone(), why: error.to_string() })
}

/// Write what `reader` gives to the new file `path`, with holes in the place of zeros.
fn spread(reader: &mut impl Read, path: &Path) -> Result<(), Unread> {
    let mut file = File::create_new(path).map_err(Unread::Host)?;
    let mut piece = Vec::with_capacity(PIECE);
    let mut length = 0;
    loop {
        piece.clear();
        reader.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(Unread::Archive)?;
        if piece.is_empty() {
            return file.set_len(length).map_err(Unread::Host);
        }
        length += piece.len() as u64;
        let is_hole = piece.iter().all(|byte| *byte == 0);
        let written = if is_hole { file.seek(SeekFrom::Start(length)).map(drop) } else { file.write_all(&piece) };
        written.map_err(Unread::Host)?;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::super::source::tests::artifact;
    use super::super::saved::SCHEMA;
    use super::*;
    use crate::base::event::Events;
    use crate::base::size::ByteSize;
    use crate::hardware::Equipment;
    use crate::image::{Disk, Format};
    use crate::machine::probe::QemuVersion;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn needs(megabytes: u64) -> Needs {
        let given = Equipment { cpus: Some(1), memory: Some(ByteSize::mib(megabytes)), ..Equipment::default() };
        Needs::of((Sha256Digest::of(b"image"), Format::Raw), &given, Accelerator::Tcg, QemuVersion { major: 7, minor: 2, micro: 1 })
    }

    fn about(source: &Source) -> About {
        About {
            schema: SCHEMA,
            needs: needs(4),
            backing: source.image.clone(),
            machine_type: "pc-i440fx-7.2".to_owned(),
            command_line: "root=/dev/vda1".to_owned(),
            nonce: "00".to_owned(),
            despite_kvm: true,
        }
    }

    /// A tar with these files, compressed, and its record.
    fn tar_of(path: &Path, files: &[(&str, &[u8])]) -> Packed {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            // As the name is, so that names which lead out can be tried.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        recorded(path, &zstd::encode_all(&tar.into_inner().unwrap()[..], 1).unwrap())
    }

    fn recorded(path: &Path, bytes: &[u8]) -> Packed {
        fs::write(path, bytes).unwrap();
        let file = FileRecord { file: "lab.warm.tar.zst".to_owned(), sha256: Sha256Digest::of(bytes), bytes: bytes.len() as u64 };
        let record = StateRecord { file, qemu: "7.2.1".into(), machine: "pc".into(), processor: None, cpus: 1, memory: ByteSize::mib(4) };
        Packed { path: path.to_owned(), record }
    }

    #[test]
    fn a_state_comes_out_as_it_went_in_over_the_image_where_that_is() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        ["here", "there", "state", "scratch", "new"].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        let [here, there] =
            ["here", "there"].map(|name| Source::find(&artifact(&at(name), &serde_json::json!({}), &[1; 4096]), None).unwrap());
        let memory = [vec![0; 3 << 20], b"page".repeat(1 << 10), vec![0; (1 << 20) - (4 << 10)]].concat();
        for (name, content) in [(KERNEL, &b"kernel"[..]), (INITRD, b""), (STATE, b"state"), (MEMORY, &memory)] {
            fs::write(at("state").join(name), content).unwrap();
        }
        on_runtime(image::create_overlay(&here.image, here.format, &at("state").join(DISK))).unwrap();
        let about = about(&here);
        about.write(&at("state")).unwrap();
        let saved = Saved::open(&at("state")).unwrap();
        let (target, task) = (at("lab.warm.tar.zst"), Events::none().task("pack"));
        let record = on_runtime(pack(&saved, &here, (&target, &at("scratch")), &task)).unwrap();
        let bytes = fs::read(&target).unwrap();
        assert_eq!((record.file.sha256, record.file.bytes), (Sha256Digest::of(&bytes), bytes.len() as u64));
        assert_eq!((record.machine.as_str(), record.qemu.as_str(), record.cpus), ("pc-i440fx-7.2", "7.2.1", 1));
        let plain = zstd::decode_all(&bytes[..]).unwrap();
        let path = temp.path().to_str().unwrap().as_bytes();
        assert!(!plain.windows(path.len()).any(|window| window == path), "a directory of this host is in it");

        let packed = Packed { path: target, record };
        assert_eq!(unfit(&packed, &needs(4)).unwrap(), None);
        assert!(unfit(&packed, &needs(8)).unwrap().unwrap().contains("memory of 4M, and now it is 8M"));
        on_runtime(expand(&packed, &there, &needs(4), &at("new"), &task)).unwrap();
        for name in [KERNEL, INITRD, STATE, MEMORY] {
            assert!(fs::read(at("new").join(name)).unwrap() == fs::read(at("state").join(name)).unwrap(), "{name}");
        }
        assert!(fs::metadata(at("new").join(MEMORY)).unwrap().blocks() * 512 < 1 << 20, "memory has no holes");
        let disk = Disk::open_own(&at("new").join(DISK), Format::Qcow2).unwrap();
        assert_eq!(disk.info().backing, std::slice::from_ref(&there.image));
        let new = Saved::open(&at("new")).unwrap();
        assert_eq!((&new.about().needs, &new.about().backing, &new.about().nonce), (&about.needs, &there.image, &about.nonce));
    }

    #[test]
    fn a_file_that_is_no_state_is_told_and_nothing_is_written_elsewhere() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let source = Source::find(&artifact(temp.path(), &serde_json::json!({}), &[1; 4096]), None).unwrap();
        let about: &[u8] = serde_json::json!(about(&source)).to_string().leak().as_bytes();
        let foreign = [(ABOUT, &b"{}"[..])];
        let overlay = |words: &[&str]| -> &[u8] {
            let made =
                std::process::Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).args(words).current_dir(temp.path()).status();
            assert!(made.unwrap().success());
            fs::read(at("made.qcow2")).unwrap().leak()
        };
        let outside = overlay(&["-o", "data_file=outside.raw", "made.qcow2", "4096"]);
        let larger = overlay(&["made.qcow2", "8192"]);
        let whole: [(&str, &[u8]); 6] = [(ABOUT, about), (KERNEL, b"k"), (INITRD, b"i"), (DISK, b"d"), (STATE, b"s"), (MEMORY, b"m")];
        let with = |index: usize, entry: (&'static str, &'static [u8])| {
            let mut files = whole;
            files[index] = entry;
            files
        };
        let large: &[u8] = vec![7; (4 << 20) + 1].leak();
        let mut damaged = tar_of(&at("damaged"), &whole);
        damaged.record.file.sha256 = Sha256Digest::of(b"another");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        std::os::unix::fs::symlink("whole", at("link")).unwrap();
        let cut = &fs::read(tar_of(&at("cut"), &whole).path).unwrap()[..40];
        for (packed, why) in [
            (damaged, "its sha256 is"),
            (recorded(&at("cut"), cut), ""),
            (recorded(&at("text"), b"no archive"), ""),
            (tar_of(&at("empty"), &[]), "warm.json is missing"),
            (tar_of(&at("short"), &whole[..5]), "memory is missing"),
            (tar_of(&at("other"), &with(1, ("../kernel", b"k"))), "in the place of kernel is `../kernel`"),
            (tar_of(&at("large"), &with(5, (MEMORY, large))), "in the place of memory is `memory` with 4194305 bytes"),
            (tar_of(&at("disk"), &whole), "it does not begin as a qcow2 file"),
            (tar_of(&at("outside"), &with(3, (DISK, outside))), "external data file"),
            (tar_of(&at("larger"), &with(3, (DISK, larger))), "its disk has 8192 bytes, and that of the image 4096"),
            (tar_of(&at("foreign"), &foreign), ANOTHER),
            (Packed { path: at("pipe"), ..tar_of(&at("whole"), &whole) }, "not a regular file"),
            (Packed { path: at("link"), ..tar_of(&at("whole"), &whole) }, ""),
        ] {
            let dir = at("dir");
            fs::create_dir(&dir).unwrap();
            let error = on_runtime(expand(&packed, &source, &needs(4), &dir, &Events::none().task("expand"))).unwrap_err();
            assert!(
                matches!(error, RunError::Artifact(ArtifactError::Damaged { .. })) && error.to_string().contains(why),
                "{why}: {error}"
            );
            assert!(!at("kernel").exists());
            fs::remove_dir_all(dir).unwrap();
        }
        assert_eq!(unfit(&tar_of(&at("foreign"), &foreign), &needs(4)).unwrap().as_deref(), Some(ANOTHER));
        assert!(unfit(&recorded(&at("text"), b"no archive"), &needs(4)).is_err());
    }
}

//! A copy of an image's own initramfs, with the runner's payload appended.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::cpio::{self, Archive};
use super::{Mode, RunnerError, RunnerTask};
use crate::base::digest::Sha256Digest;

/// The `ORDER` file of an initramfs-tools hook directory: a shell fragment that runs its scripts, made by update-initramfs
/// (initramfs-tools 0.142, `/usr/share/initramfs-tools/hook-functions`, `cache_run_scripts`).
const ORDER: &str = "scripts/init-bottom/ORDER";
/// An `ORDER` file is a few lines.
const ORDER_BYTES_MAX: u32 = 64 * 1024;
/// The lines that run our hook, as update-initramfs writes them for any other script.
const ORDER_LINES: &str = "/scripts/init-bottom/goldsmith \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n";

/// What the boot of [`Mode::Gate`] reaches, in place of the system's own target.
pub(super) const GATE: &str = "goldsmith-gate.target";
/// A program for the guest (`renew.s`): it sets the clock and renews the kernel's random generator.
const RENEW: &[u8] = include_bytes!("gate/renew.elf");

/// The program that made an initramfs, which decides how a hook is put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// initramfs-tools (Debian): a script of `init-bottom`, named in its `ORDER` file, whose old text this is.
    InitramfsTools { order: String },
    /// dracut (EL): a file in `lib/dracut/hooks/pre-pivot`.
    Dracut,
}

/// Write to `target` the initramfs at `original` with a payload appended that runs `tasks` in `mode`.
///
/// # Errors
/// The original cannot be read, or is neither initramfs-tools' nor dracut's; the copy cannot be written.
pub fn append(original: &Path, target: &Path, mode: Mode, nonce: &str, tasks: &[RunnerTask]) -> Result<(), RunnerError> {
    let broken = |source| RunnerError::Initramfs { path: original.to_owned(), source };
    let form = form(&mut BufReader::new(File::open(original).map_err(broken)?)).map_err(broken)?;
    let payload = payload(&form, mode, nonce, tasks);
    let written = File::open(original).and_then(|original| followed_by(original, &payload, target));
    written.map_err(|source| RunnerError::WriteInitramfs { path: target.to_owned(), source })
}

/// Write to `target` the initramfs `original` with `files` appended, name and content, that only root may read.
///
/// # Errors
/// The copy cannot be written.
pub fn append_files(original: &[u8], target: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    let mut archive = Archive::new();
    files.iter().for_each(|(name, content)| archive.file(name, 0o600, content));
    followed_by(original, &archive.finish(), target)
}

/// A digest of the guest's end of the runner in [`Mode::Gate`] with `tasks`, which a state that is saved there has in it.
pub fn gate_version(tasks: &[RunnerTask]) -> Sha256Digest {
    Sha256Digest::of(&payload(&Form::Dracut, Mode::Gate, "", tasks))
}

/// A plain archive must begin at a multiple of four bytes, because the kernel otherwise skips it without a message.
fn followed_by(mut original: impl Read, archive: &[u8], target: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(target)?);
    let length = io::copy(&mut original, &mut out)?;
    out.write_all(&[0; 3][..(length.next_multiple_of(4) - length) as usize])?;
    out.write_all(archive)?;
    out.flush()
}

fn payload(form: &Form, mode: Mode, nonce: &str, tasks: &[RunnerTask]) -> Vec<u8> {
    let mut archive = Archive::new();
    // The script that serves the host, and what it needs to know of the boot. Until it runs, the boot of a resident is like any other.
    let (serve, boots_as, early): (&[u8], _, _) = match mode {
        Mode::Offline | Mode::Live => (include_bytes!("guest/serve.sh"), mode, true),
        Mode::Resident | Mode::Gate => (include_bytes!("sessions.sh"), Mode::Live, false),
    };
    let target = if mode == Mode::Gate { GATE } else { "multi-user.target" };
    let wants = format!("goldsmith/units/{target}.wants");
    for directory in ["goldsmith", "goldsmith/tasks", "goldsmith/units", &wants] {
        archive.directory(directory);
    }
    archive.file("goldsmith/nonce", 0o600, format!("{nonce}\n").as_bytes());
    archive.file("goldsmith/mode", 0o600, format!("{boots_as}\n").as_bytes());
    archive.file("goldsmith/hook.sh", 0o700, include_bytes!("guest/hook.sh"));
    archive.file("goldsmith/serve.sh", 0o700, serve);
    archive.file("goldsmith/live.sh", 0o700, include_bytes!("guest/live.sh"));
    let mut units = Vec::new();
    if mode == Mode::Gate {
        archive.file("goldsmith/gate.sh", 0o600, include_bytes!("gate/gate.sh"));
        archive.file("goldsmith/renew", 0o700, RENEW);
        archive.file(&format!("goldsmith/units/{GATE}"), 0o644, include_bytes!("gate/goldsmith-gate.target"));
        units.push(("goldsmith-gate.service", include_str!("gate/goldsmith-gate.service")));
    } else {
        units.push(("goldsmith.service", include_str!("guest/units/goldsmith.service")));
        if early {
            units.push(("goldsmith-early.service", include_str!("guest/units/goldsmith-early.service")));
        } else if !tasks.is_empty() {
            units.push(("goldsmith-personal.service", include_str!("personal.service")));
        }
    }
    for (unit, text) in units {
        archive.file(&format!("goldsmith/units/{unit}"), 0o644, text.as_bytes());
        archive.symlink(&format!("{wants}/{unit}"), &format!("../{unit}"));
    }
    for task in tasks {
        let directory = format!("goldsmith/tasks/{}", task.name);
        archive.directory(&directory);
        archive.file(&format!("{directory}/run"), 0o700, &task.script);
        for (name, content) in &task.files {
            archive.file(&format!("{directory}/{name}"), 0o600, content);
        }
    }
    match form {
        Form::InitramfsTools { order } => {
            archive.file("scripts/init-bottom/goldsmith", 0o755, include_bytes!("guest/initramfs-tools.sh"));
            // Our script must be the first: `udev` of init-bottom moves /dev away.
            archive.file(ORDER, 0o644, format!("{ORDER_LINES}{order}").as_bytes());
        }
        // dracut.modules(7); no directory entries, `lib` is a link.
        Form::Dracut => archive.file("usr/lib/dracut/hooks/pre-pivot/99-goldsmith.sh", 0o755, include_bytes!("guest/dracut.sh")),
    }
    archive.finish()
}

/// Go through the archives of an initramfs until one shows who made it.
fn form(image: &mut (impl BufRead + Seek)) -> io::Result<Form> {
    loop {
        // There are zero bytes between archives. At the end of the file no archive has shown it.
        let start = loop {
            match image.fill_buf()? {
                [] => return Err(io::Error::new(io::ErrorKind::InvalidData, "it was made by neither initramfs-tools nor dracut")),
                [0, ..] => image.consume(1),
                bytes => break [bytes[0], bytes.get(1).copied().unwrap_or(0)],
            }
        };
        let at = image.stream_position()?;
        let found = match start {
            // RFC 1952 and RFC 8878; a compressed archive is the last one.
            [0x1f, 0x8b] => search(BufReader::new(flate2::bufread::MultiGzDecoder::new(&mut *image)))?,
            [0x28, 0xb5] => search(BufReader::new(zstd::Decoder::with_buffer(&mut *image)?))?,
            [b'0', b'7'] => search(&mut *image)?,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its part at byte {at} is neither cpio, gzip nor zstd"))),
        };
        if let Some(form) = found {
            return Ok(form);
        }
        if start != *b"07" {
            image.seek(SeekFrom::End(0))?;
        }
    }
}

fn search(archive: impl BufRead) -> io::Result<Option<Form>> {
    let mut order = None;
    let mut dracut = false;
    let wanted = |path: &str| path == ORDER;
    cpio::read(archive, ORDER_BYTES_MAX, wanted, |entry| {
        dracut |= entry.path == "usr/lib/dracut" || entry.path.starts_with("usr/lib/dracut/");
        order = order.take().or(entry.content);
    })?;
    Ok(match (order, dracut) {
        (Some(order), _) => Some(Form::InitramfsTools { order: String::from_utf8_lossy(&order).into_owned() }),
        (None, true) => Some(Form::Dracut),
        (None, false) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::process::{Command, Stdio};

    use super::*;

    fn archive(paths: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = Archive::new();
        paths.iter().for_each(|(path, text)| archive.file(path, 0o644, text.as_bytes()));
        archive.finish()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_maker_of_an_initramfs_is_recognised() {
        let microcode = archive(&[("kernel/x86/microcode/AuthenticAMD.bin", "µ")]);
        let debian = archive(&[("init", "#!/bin/sh"), (ORDER, "/scripts/init-bottom/udev \"$@\"\n")]);
        let el = archive(&[("init", ""), ("usr/lib/dracut/hooks/cmdline/30-x.sh", "")]);
        let order = Form::InitramfsTools { order: "/scripts/init-bottom/udev \"$@\"\n".into() };
        for (name, image, expected) in [
            ("plain", debian.clone(), Some(order.clone())),
            ("zstd", zstd::encode_all(&debian[..], 1).unwrap(), Some(order.clone())),
            ("microcode, padding, gzip", [&microcode[..], &[0; 512], &gzip(&el)].concat(), Some(Form::Dracut)),
            ("microcode, zstd", [&microcode[..], &zstd::encode_all(&debian[..], 1).unwrap()].concat(), Some(order)),
            ("nobody's", gzip(&microcode), None),
            ("xz", b"\xfd7zXZ".to_vec(), None),
            ("empty", Vec::new(), None),
            ("cut short", gzip(&debian)[..40].to_vec(), None),
        ] {
            assert_eq!(form(&mut Cursor::new(image)).ok(), expected, "{name}");
        }
    }

    #[test]
    fn files_are_appended_where_the_kernel_looks_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("initrd");
        for length in 1..=4 {
            append_files(&vec![7; length], &target, &[("ks.cfg", b"poweroff\n"), ("x-nonce.cfg", b"n0\n")]).unwrap();
            let bytes = std::fs::read(&target).unwrap();
            assert_eq!(&bytes[..4], [&[7; 4][..length], &[0; 4][length..]].concat(), "{length}");
            let mut found = Vec::new();
            cpio::read(&bytes[4..], 1 << 20, |_| true, |entry| found.push((entry.path, entry.content.unwrap_or_default()))).unwrap();
            assert_eq!(found, [("ks.cfg".to_owned(), b"poweroff\n".to_vec()), ("x-nonce.cfg".to_owned(), b"n0\n".to_vec())]);
        }
    }

    /// `renew.elf` is what the assembler makes of `renew.s`, and it runs.
    #[test]
    fn the_program_for_the_guest_is_its_source() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/machine/runner/gate/renew.s");
        let (object, program) = (dir.path().join("renew.o"), dir.path().join("renew"));
        for command in [
            Command::new("as").arg("-o").arg(&object).arg(source),
            Command::new("objcopy").args(["-O", "binary", "-j", ".text"]).arg(&object).arg(&program),
        ] {
            assert!(command.status().unwrap().success(), "{command:?}");
        }
        assert!(std::fs::read(&program).unwrap() == RENEW, "assemble renew.elf again, as renew.s says");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        // The first step reads the order, of which there is nothing.
        assert_eq!(Command::new(&program).stdin(Stdio::null()).status().unwrap().code(), Some(1));
    }

    #[test]
    fn a_system_that_is_to_be_saved_has_a_gate_in_place_of_the_usual_target() {
        let mut found = Vec::new();
        cpio::read(&payload(&Form::Dracut, Mode::Gate, "n0", &[])[..], 1 << 20, |_| false, |entry| found.push(entry.path)).unwrap();
        let has = |path: &str| found.iter().any(|found| found == path);
        for path in ["goldsmith/gate.sh", "goldsmith/renew", "goldsmith/units/goldsmith-gate.target.wants/goldsmith-gate.service"] {
            assert!(has(path), "{path}: {found:?}");
        }
        assert!(!has("goldsmith/units/goldsmith.service") && !found.iter().any(|path| path.contains("multi-user")), "{found:?}");
    }

    #[test]
    fn our_hook_stands_before_the_others() {
        let form = Form::InitramfsTools { order: "/scripts/init-bottom/udev\n".into() };
        let tasks = [RunnerTask { name: "seal".into(), script: b"#!/bin/sh\n".to_vec(), files: vec![("list".into(), b"x".to_vec())] }];
        let mut found = Vec::new();
        let bytes = payload(&form, Mode::Offline, "n0", &tasks);
        cpio::read(&bytes[..], 1 << 20, |_| true, |entry| found.push((entry.path, entry.content.unwrap_or_default()))).unwrap();
        let content = |path: &str| String::from_utf8(found.iter().find(|(p, _)| p == path).expect(path).1.clone()).unwrap();
        assert_eq!(content(ORDER), format!("{ORDER_LINES}/scripts/init-bottom/udev\n"));
        assert_eq!((content("goldsmith/mode"), content("goldsmith/nonce")), ("offline\n".into(), "n0\n".into()));
        assert_eq!(content("goldsmith/tasks/seal/list"), "x");
        assert!(!found.iter().any(|(path, _)| ["bin", "lib", "sbin", "scripts"].contains(&path.as_str())));
    }
}

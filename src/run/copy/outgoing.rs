//! Packs files of the host into a tar stream.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::stream::Writer;
use super::transferred::Transferred;
use crate::run::error::RunError;

/// A file or directory, and its name in the archive.
#[derive(Debug)]
pub(super) struct Named {
    source: PathBuf,
    name: OsString,
}

impl Named {
    /// `source` under `name`, or else under its own.
    ///
    /// # Errors
    /// It has no name (`/`), or is not there.
    pub(super) fn new(source: &Path, name: Option<&str>) -> Result<Self, RunError> {
        let failed = |error| RunError::Transfer { path: source.to_owned(), source: error };
        let own = match (name, source.file_name()) {
            (Some(name), _) => OsString::from(name),
            (None, Some(own)) => own.to_owned(),
            // `.` and `..` are names of other directories.
            (None, None) => {
                let path = source.canonicalize().map_err(failed)?;
                path.file_name().map(OsStr::to_owned).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?
            }
        };
        Ok(Self { source: source.to_owned(), name: own })
    }
}

/// Pack all of `named`. The names in a directory are sorted.
///
/// # Errors
/// A file cannot be read, or grows shorter meanwhile; `BrokenPipe` when the reader has gone.
pub(super) fn pack(named: &[Named], writer: Writer) -> Result<Transferred, RunError> {
    let mut packing = Packing { builder: Builder::new(writer), done: Transferred::default() };
    for Named { source, name } in named {
        // A link that the user names is followed.
        let metadata = fs::metadata(source).map_err(|error| failed(source, error))?;
        packing.add(source, Path::new(name), &metadata)?;
    }
    let Packing { builder, done } = packing;
    let finished = builder.into_inner().and_then(|mut writer| io::Write::flush(&mut writer));
    finished.map_err(|error| failed(Path::new("-"), error))?;
    Ok(done)
}

fn failed(path: &Path, source: io::Error) -> RunError {
    RunError::Transfer { path: path.to_owned(), source }
}

struct Packing {
    builder: Builder<Writer>,
    done: Transferred,
}

impl Packing {
    /// Add what is at `source`, and what is below it, as `name`.
    fn add(&mut self, source: &Path, name: &Path, metadata: &Metadata) -> Result<(), RunError> {
        let failed = |error| failed(source, error);
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket() {
            self.done.left_out.push(source.to_owned());
            return Ok(());
        }
        self.done.files += 1;
        if kind.is_symlink() {
            let target = fs::read_link(source).map_err(failed)?;
            return self.builder.append_link(&mut header(metadata, EntryType::Symlink, 0), name, target).map_err(failed);
        }
        if kind.is_dir() {
            self.builder.append_data(&mut header(metadata, EntryType::Directory, 0), name, io::empty()).map_err(failed)?;
            let entries = fs::read_dir(source).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
            let mut names: Vec<OsString> = entries.into_iter().map(|entry| entry.file_name()).collect();
            names.sort();
            for entry in names {
                let path = source.join(&entry);
                let metadata = fs::symlink_metadata(&path).map_err(|error| self::failed(&path, error))?;
                self.add(&path, &name.join(&entry), &metadata)?;
            }
            return Ok(());
        }
        let file = File::open(source).map_err(failed)?;
        // The metadata of the open file: it may have grown since it was listed.
        let metadata = file.metadata().map_err(failed)?;
        let mut content = Whole { file, left: metadata.len() };
        self.builder.append_data(&mut header(&metadata, EntryType::Regular, metadata.len()), name, &mut content).map_err(failed)?;
        self.done.bytes += metadata.len();
        Ok(())
    }
}

fn header(metadata: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_mtime(metadata.mtime().try_into().unwrap_or_default());
    header.set_size(size);
    header
}

/// A file of a known length: a shorter one would shift all that follows it in the archive.
struct Whole {
    file: File,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.file).take(self.left).read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("it grew shorter while it was copied"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};

    use super::super::stream;
    use super::*;

    #[test]
    fn tar_unpacks_what_was_packed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("deep").join("d".repeat(200))).unwrap();
        fs::write(tree.join("deep").join("d".repeat(200)).join("f".repeat(100)), vec![7; 200_000]).unwrap();
        fs::write(tree.join("caf\u{e9}"), "").unwrap();
        symlink("/etc/passwd", tree.join("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, tree.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        symlink(&tree, dir.path().join("named")).unwrap();

        let named = [Named::new(&dir.path().join("named"), None).unwrap(), Named::new(&tree.join("link"), Some("users")).unwrap()];
        let (writer, mut packed) = stream::pipe();
        let packing = std::thread::spawn(move || pack(&named, writer));
        let mut bytes = Vec::new();
        while let Some(piece) = packed.blocking_recv() {
            bytes.extend(piece);
        }
        let done = packing.join().unwrap().unwrap();
        assert_eq!((done.files, &done.left_out[..]), (7, &[dir.path().join("named/pipe")][..]));

        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let mut tar = Command::new("tar").args(["-xf", "-", "-C"]).arg(&out).stdin(Stdio::piped()).spawn().unwrap();
        io::Write::write_all(&mut tar.stdin.take().unwrap(), &bytes).unwrap();
        assert!(tar.wait().unwrap().success());
        fs::remove_file(tree.join("pipe")).unwrap();
        let same = Command::new("diff").args(["-r", "--no-dereference"]).arg(&tree).arg(out.join("named")).output().unwrap();
        assert!(same.status.success(), "{same:?}");
        assert_eq!(fs::read(out.join("users")).unwrap(), fs::read("/etc/passwd").unwrap());
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent");
        let (writer, packed) = stream::pipe();
        let error = pack(&[Named::new(&absent, None).unwrap()], writer).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
        drop(packed);
        assert!(Named::new(Path::new("/"), None).is_err());
        let mut short = Whole { file: File::open("/dev/null").unwrap(), left: 1 };
        assert!(short.read(&mut [0; 8]).is_err());
    }
}

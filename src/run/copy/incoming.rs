//! Unpacks a tar stream of a guest into new files of the host. The guest is not trusted: whatever the archive says, only a new directory or
//! a new file is written, with the name that the user gave.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use super::transferred::Transferred;
use crate::base::atomic::{Existing, NewDir, NewFile};
use crate::image;
use crate::run::error::RunError;

/// Unpacked files that do not have their final name yet.
#[derive(Debug)]
pub(super) struct Unpacked {
    new: New,
    target: PathBuf,
    done: Transferred,
}

#[derive(Debug)]
enum New {
    File(NewFile),
    Directory(NewDir),
}

impl Unpacked {
    /// Give it its name.
    ///
    /// # Errors
    /// Something has that name by now.
    pub(super) fn publish(self) -> Result<Transferred, RunError> {
        let published = match self.new {
            New::File(file) => file.publish(),
            New::Directory(directory) => directory.publish(Existing::Keep),
        };
        published.map_err(|error| failed(&self.target, error))?;
        Ok(self.done)
    }
}

/// Make sure that nothing has the name `target`.
///
/// # Errors
/// Something has.
pub(super) fn refuse_existing(target: &Path) -> Result<(), RunError> {
    match fs::symlink_metadata(target) {
        Ok(_) => Err(failed(target, io::ErrorKind::AlreadyExists.into())),
        Err(_) => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> RunError {
    RunError::Transfer { path: path.to_owned(), source }
}

fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Unpack an archive of one file, or of one directory and what is below it, for `target`.
///
/// # Errors
/// The archive is damaged or contains something forbidden, or a file cannot be written.
pub(super) fn unpack(reader: impl Read, target: &Path) -> Result<Unpacked, RunError> {
    let mut archive = Archive::new(reader);
    let mut entries = archive.entries().map_err(|error| failed(target, error))?;
    let mut first = match entries.next() {
        Some(entry) => entry.map_err(|error| failed(target, error))?,
        None => return Err(failed(target, damaged("the guest sent no file"))),
    };
    let mut done = Transferred { files: 1, ..Transferred::default() };
    if !first.header().entry_type().is_dir() {
        let new = NewFile::beside(target).map_err(|error| failed(target, error))?;
        let written = match kind_of(&first) {
            Kind::File => content(&mut first, new.file(), &mut done),
            _ => Err(damaged("it is neither a file nor a directory")),
        };
        written.map_err(|error| failed(target, error))?;
        return Ok(Unpacked { new: New::File(new), target: target.to_owned(), done });
    }
    let new = NewDir::beside(target).map_err(|error| failed(target, error))?;
    let mut tree = Tree { root: new.path().to_owned(), directories: BTreeSet::from([PathBuf::new()]), permissions: Vec::new(), done };
    tree.permissions.push((PathBuf::new(), permissions(&first)));
    for entry in entries {
        let added = entry.and_then(|mut entry| tree.add(&mut entry));
        added.map_err(|error| failed(target, error))?;
    }
    let done = tree.close().map_err(|error| failed(target, error))?;
    Ok(Unpacked { new: New::Directory(new), target: target.to_owned(), done })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Other,
}

fn kind_of<R: Read>(entry: &Entry<'_, R>) -> Kind {
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::HardLink,
        _ => Kind::Other,
    }
}

fn permissions<R: Read>(entry: &Entry<'_, R>) -> Permissions {
    image::permissions_of_a_copy(entry.header().mode().unwrap_or_default(), kind_of(entry) == Kind::Directory)
}

/// Write the content of a file, its mode and its time.
fn content<R: Read>(entry: &mut Entry<'_, R>, mut file: &File, done: &mut Transferred) -> io::Result<()> {
    let (size, permissions) = (entry.size(), permissions(entry));
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(entry.header().mtime().unwrap_or_default()));
    let written = io::copy(entry, &mut file)?;
    if written != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    done.bytes += written;
    file.set_permissions(permissions)?;
    modified.map_or(Ok(()), |time| file.set_modified(time))
}

/// The new directory and what was made in it.
struct Tree {
    root: PathBuf,
    /// Directories that we made. Files are only made in these, so that no link of the archive is followed.
    directories: BTreeSet<PathBuf>,
    /// Permissions that directories get when they are complete.
    permissions: Vec<(PathBuf, Permissions)>,
    done: Transferred,
}

impl Tree {
    /// The place of a name of the archive, `./NAME/…`: relative to the root, in a directory that is there.
    fn place(&self, name: &Path) -> io::Result<PathBuf> {
        let refused = || damaged(format!("the guest sent the name {}", name.display()));
        let mut parts = name.components();
        // `Path` drops every dot component of `./NAME` except the first.
        if parts.next() != Some(Component::CurDir) || !matches!(parts.next(), Some(Component::Normal(_))) {
            return Err(refused());
        }
        let place = parts.as_path();
        let is_plain = place.components().all(|part| matches!(part, Component::Normal(_)));
        let is_inside = place.parent().is_some_and(|parent| self.directories.contains(parent));
        if is_plain && is_inside { Ok(place.to_owned()) } else { Err(refused()) }
    }

    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let name = entry.path()?.into_owned();
        let place = self.place(&name)?;
        let path = self.root.join(&place);
        match kind_of(entry) {
            Kind::File => {
                let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
                content(entry, &file, &mut self.done)?;
            }
            Kind::Directory => {
                DirBuilder::new().mode(0o700).create(path)?;
                self.permissions.push((place.clone(), permissions(entry)));
                self.directories.insert(place);
            }
            Kind::Symlink => symlink(entry.link_name()?.ok_or_else(|| damaged("the guest sent a link to nothing"))?, path)?,
            Kind::HardLink => {
                let other = entry.link_name()?.ok_or_else(|| damaged("the guest sent a link to nothing"))?;
                // link(2) follows no link at the end of a name.
                fs::hard_link(self.root.join(self.place(&other)?), path)?;
            }
            Kind::Other => {
                self.done.left_out.push(name);
                return Ok(());
            }
        }
        self.done.files += 1;
        Ok(())
    }

    fn close(self) -> io::Result<Transferred> {
        for (place, permissions) in self.permissions.into_iter().rev() {
            fs::set_permissions(self.root.join(place), permissions)?;
        }
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use tar::{Builder, Header};

    use super::*;

    #[test]
    fn what_tar_packed_is_unpacked_and_appears_under_its_name_at_last() {
        let dir = tempfile::tempdir().unwrap();
        let script = "mkdir -p tree/sub && printf content > tree/sub/file && ln tree/sub/file tree/again && ln -s ../../etc tree/link \
                      && mkfifo tree/pipe && chmod 4750 tree/sub/file && chmod 500 tree/sub && tar -cf tree.tar ./tree && tar -cf one.tar ./tree/again";
        assert!(Command::new("sh").args(["-c", script]).current_dir(dir.path()).status().unwrap().success());
        let target = dir.path().join("copy");
        let unpacked = unpack(File::open(dir.path().join("tree.tar")).unwrap(), &target).unwrap();
        assert!(!target.exists());
        let done = unpacked.publish().unwrap();
        assert_eq!((done.files, done.bytes, done.left_out.len()), (5, 7, 1));
        assert_eq!(fs::read_to_string(target.join("sub/file")).unwrap(), "content");
        assert_eq!(fs::read_link(target.join("link")).unwrap(), Path::new("../../etc"));
        let mode = |path: &str| fs::metadata(target.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("sub/file"), mode("again"), mode("sub")), (0o750, 0o750, 0o700));

        let one = dir.path().join("one");
        unpack(File::open(dir.path().join("one.tar")).unwrap(), &one).unwrap().publish().unwrap();
        assert_eq!(fs::read_to_string(&one).unwrap(), "content");
        assert!(refuse_existing(&one).is_err() && refuse_existing(&dir.path().join("absent")).is_ok());
    }

    /// An archive of a directory `./d` with these entries: name, kind, link.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, link) in [("./d", EntryType::Directory, "")].iter().chain(entries) {
            let mut header = Header::new_gnu();
            // As a guest may write it: the crate's own setter refuses such names.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_hostile_archive_writes_nothing_outside() {
        use EntryType::{Directory, Link, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "s").unwrap();
        let to = outside.to_str().unwrap();
        for entries in [
            &[("./d/l", Symlink, to), ("./d/l/evil", Regular, "")][..],
            &[("./d/l", Symlink, to), ("./d/l/evil", Directory, "")],
            &[("./d/../evil", Regular, "")],
            &[("../evil", Regular, "")],
            &[("/evil", Regular, "")],
            &[("./evil", Regular, "")],
            &[("./d/absent/evil", Regular, "")],
            &[("./d/l", Symlink, to), ("./d/h", Link, "./d/l/secret")],
            &[("./d/h", Link, "/etc/passwd")],
            &[("./d/f", Regular, ""), ("./d/f", Regular, "")],
            &[("./d", Directory, "")],
            &[("./d/l", Symlink, "")],
        ] {
            let target = dir.path().join("target");
            let error = unpack(&archive(entries)[..], &target).unwrap_err();
            assert!(error.to_string().contains("target"), "{entries:?}: {error}");
        }
        let cut = archive(&[("./d/f", Regular, "")]);
        assert!(unpack(&cut[..700], &dir.path().join("target")).is_err() && unpack(&b""[..], &dir.path().join("target")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}

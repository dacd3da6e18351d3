//! Files and directories that are complete or absent, whatever happens in between.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::claim::{self, ClaimedDir};

/// Write `bytes` to `path`: readers see the old file or the whole new one, also after a power cut.
///
/// # Errors
/// The directory is missing or not writable, or the disk is full; `path` is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = parent_of(path);
    staged(parent, bytes)?.persist(path).map_err(|error| error.error)?;
    sync_dir(parent)
}

/// Write `bytes` to a `path` that must not exist yet; it appears whole or not at all.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], or as for [`write`].
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = parent_of(path);
    staged(parent, bytes)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(parent)
}

/// Remove the file at `path`, if it is there.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file in `parent` that disappears unless it gets a name. Its error is the kernel's alone: tempfile adds the path of the file that could
/// not be made, which means nothing to a user.
fn nameless(parent: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut refused = None;
    let made = tempfile::Builder::new().make_in(parent, |path| {
        let made = File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
        made.inspect_err(|error| refused = error.raw_os_error())
    });
    made.map_err(|error| refused.map_or(error, io::Error::from_raw_os_error))
}

fn staged(parent: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = nameless(parent)?;
    file.write_all(bytes)?;
    fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// A file in the making, beside the place it will have. Dropped unpublished, it disappears.
#[derive(Debug)]
pub struct NewFile {
    staging: tempfile::NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// Start a file that is to be `target`, whose directory must be there.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn beside(target: &Path) -> io::Result<Self> {
        Ok(Self { staging: nameless(parent_of(target))?, target: target.to_owned() })
    }

    /// What the content is written to.
    pub fn file(&self) -> &File {
        self.staging.as_file()
    }

    /// Give the file its name. It must be complete; it is synced here.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], or the disk is full; nothing is left then.
    pub fn publish(self) -> io::Result<()> {
        self.file().sync_all()?;
        self.staging.persist_noclobber(&self.target).map_err(|error| error.error)?;
        sync_dir(parent_of(&self.target))
    }
}

/// A directory in the making, beside the place it will have. Dropped unpublished, it disappears; that of a killed process does when the
/// next one begins there.
#[derive(Debug)]
pub struct NewDir {
    staging: ClaimedDir,
    target: PathBuf,
}

/// What [`NewDir::publish`] may do with a directory that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail with [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// Swap it for the new one in one step, then delete it.
    Replace,
}

impl NewDir {
    /// Start a directory that is to be `target`. Its parent is made when missing.
    ///
    /// # Errors
    /// The parent cannot be made or written.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let parent = parent_of(target);
        fs::create_dir_all(parent)?;
        let prefix = hidden(target, ".new-")?;
        claim::sweep(parent, &prefix);
        take_back(target)?;
        Ok(Self { staging: ClaimedDir::new(parent, &prefix, 0o755)?, target: target.to_owned() })
    }

    /// Where the content is made.
    pub fn path(&self) -> &Path {
        self.staging.path()
    }

    /// Give the directory its name. Its files must be complete; they are synced here.
    ///
    /// # Errors
    /// A directory is there already and `existing` says keep; or the rename failed. The target is then as it was.
    pub fn publish(self, existing: Existing) -> io::Result<()> {
        self.publish_by(existing, renamed)
    }

    /// `renamed` is the function [`renamed`]; tests pass one that acts like a file system without flags.
    fn publish_by(self, existing: Existing, renamed: impl Fn(&Path, &Path, RenameFlags) -> io::Result<bool>) -> io::Result<()> {
        sync_tree(self.staging.path())?;
        let (new, target) = (self.staging.path(), &self.target);
        let placed = match renamed(new, target, RenameFlags::NOREPLACE) {
            Ok(true) => Ok(()),
            // Other publishers at this target hold the same lock, so nothing comes between the look and the rename. A dangling link counts
            // as there.
            Ok(false) if fs::symlink_metadata(target).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Ok(false) => fs::rename(new, target),
            Err(error) => Err(error),
        };
        match placed {
            // The staging name is gone; nothing is left to delete.
            Ok(()) => self.staging.keep(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && existing == Existing::Replace => {
                if renamed(new, target, RenameFlags::EXCHANGE)? {
                    // The staging name now holds the old directory and takes it along.
                    self.staging.close()?;
                } else {
                    let aside = set_aside(target)?;
                    fs::rename(new, target).inspect_err(|_| drop(fs::rename(&aside, target)))?;
                    self.staging.keep();
                    fs::remove_dir_all(aside)?;
                }
            }
            Err(error) => return Err(error),
        }
        sync_dir(parent_of(&self.target))
    }
}

/// Rename by renameat2(2) with `flags`. `false` where the file system takes no flags: NFS takes none, ZFS no exchange, FUSE what its program
/// takes; they answer EINVAL, and kernels without the call ENOSYS.
fn renamed(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, flags) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Begins the name of a directory that makes room for a new one where the two cannot be exchanged. If the process is killed before the new
/// directory has the name, the next one that begins there gives the old directory its name back.
const ASIDE: &str = ".old-";

fn set_aside(target: &Path) -> io::Result<PathBuf> {
    let aside = tempfile::Builder::new().prefix(&hidden(target, ASIDE)?).tempdir_in(parent_of(target))?.keep();
    // rename(2) puts a directory in the place of an empty one.
    fs::rename(target, &aside)?;
    Ok(aside)
}

fn take_back(target: &Path) -> io::Result<()> {
    let prefix = hidden(target, ASIDE)?;
    for entry in fs::read_dir(parent_of(target))? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) && entry.file_type()?.is_dir() {
            if fs::symlink_metadata(target).is_ok() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::rename(entry.path(), target)?;
            }
        }
    }
    Ok(())
}

/// The prefix of hidden names beside `target`.
fn hidden(target: &Path, what: &str) -> io::Result<OsString> {
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
    prefix.push(what);
    Ok(prefix)
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_dir(dir)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The names in a directory, sorted.
    pub(crate) fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"two".to_vec(), vec!["f".to_owned()]));
    }

    #[test]
    fn a_new_file_never_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_new(&path, b"one").unwrap();
        let kind = write_new(&path, b"two").unwrap_err().kind();
        assert_eq!((kind, fs::read(&path).unwrap()), (io::ErrorKind::AlreadyExists, b"one".to_vec()));
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn a_file_in_the_making_is_seen_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let (one, two) = (NewFile::beside(&path).unwrap(), NewFile::beside(&path).unwrap());
        one.file().write_all(b"one").unwrap();
        assert!(!path.exists());
        one.publish().unwrap();
        assert_eq!(two.publish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(NewFile::beside(&path).unwrap());
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"one".to_vec(), vec!["f".to_owned()]));
    }

    #[test]
    fn a_directory_is_published_swapped_or_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let make = |content: &str| {
            let new = NewDir::beside(&target).unwrap();
            fs::write(new.path().join("f"), content).unwrap();
            new
        };
        drop(make("never"));
        assert!(names(dir.path()).is_empty());
        let killed = dir.path().join(".out.new-killed");
        fs::create_dir(&killed).unwrap();
        let two = (make("first"), make("second"));
        assert!(!killed.exists() && two.0.path().exists() && two.1.path().exists());
        drop(two);
        make("one").publish(Existing::Keep).unwrap();
        let kind = make("two").publish(Existing::Keep).unwrap_err().kind();
        assert_eq!((kind, fs::read_to_string(target.join("f")).unwrap()), (io::ErrorKind::AlreadyExists, "one".into()));
        make("two").publish(Existing::Replace).unwrap();
        assert_eq!((names(dir.path()), fs::read_to_string(target.join("f")).unwrap()), (vec!["out".to_owned()], "two".into()));
    }

    /// NFS, ZFS and some FUSE file systems.
    #[test]
    fn a_file_system_without_flags_publishes_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let publish = |content: &str, existing| {
            let new = NewDir::beside(&target).unwrap();
            fs::write(new.path().join("f"), content).unwrap();
            new.publish_by(existing, |_, _, _| Ok(false))
        };
        let content = || fs::read_to_string(target.join("f")).unwrap();
        publish("one", Existing::Keep).unwrap();
        assert_eq!(publish("two", Existing::Keep).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((names(dir.path()), content()), (vec!["out".to_owned()], "one".to_owned()));
        publish("two", Existing::Replace).unwrap();
        assert_eq!((names(dir.path()), content()), (vec!["out".to_owned()], "two".to_owned()));
        // Killed between the two renames: the old one comes back. Killed after them: the old one goes.
        fs::rename(&target, dir.path().join(".out.old-abc")).unwrap();
        drop(NewDir::beside(&target).unwrap());
        assert_eq!((names(dir.path()), content()), (vec!["out".to_owned()], "two".to_owned()));
        fs::create_dir(dir.path().join(".out.old-def")).unwrap();
        drop(NewDir::beside(&target).unwrap());
        assert_eq!((names(dir.path()), content()), (vec!["out".to_owned()], "two".to_owned()));
        // A dangling link has the name.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let refused = NewDir::beside(&link).unwrap().publish_by(Existing::Keep, |_, _, _| Ok(false)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }

    /// The kernel answers EINVAL to flags that exclude each other, as NFS does to any flag.
    #[test]
    fn flags_that_are_not_taken_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::create_dir(&one).unwrap();
        assert!(!renamed(&one, &two, RenameFlags::NOREPLACE | RenameFlags::EXCHANGE).unwrap());
        assert!(one.exists() && !two.exists());
    }
}

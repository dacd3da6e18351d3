//! The errors of disk images, with their classes.

use std::io;
use std::path::{Path, PathBuf};

use super::filesystem::{FileKind, FsError};
use crate::base::failure::{Class, Failure};
use crate::base::process::ProcessError;
use crate::base::size::rounded;
use crate::base::text::{printable, shell_line};

/// What [`ImageError::NotFollowed`] calls the file under an overlay.
pub(crate) const BACKING: &str = "backing file";

/// Why something could not be done with a disk image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The host could not read the file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file on the host.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The host could not write the file.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file on the host.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel does not show an image's files there.
    #[error("cannot mount in {}: {source}", dir.display())]
    NotMounted {
        /// The directory on the host.
        dir: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The file to write exists already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The image may be fine, but this is beyond what goldsmith reads.
    #[error("cannot read {}{}: {what}", path.display(), at(*.offset))]
    Incompatible {
        /// The file on the host.
        path: PathBuf,
        /// Byte offset in that file, or in the disk it describes.
        offset: Option<u64>,
        /// The unsupported feature.
        what: String,
    },
    /// The image takes bytes from another file, and that is not followed.
    #[error("{} is not read: its {kind} `{}` {why}", path.display(), printable(name))]
    NotFollowed {
        /// The file on the host.
        path: PathBuf,
        /// What the other file is to it.
        kind: &'static str,
        /// The other file's name, as the image has it.
        name: String,
        /// Why it is not followed.
        why: String,
    },
    /// The image is damaged.
    #[error("{} is damaged{}: {what}", path.display(), at(*.offset))]
    Corrupt {
        /// The file on the host.
        path: PathBuf,
        /// Byte offset in that file, or in the disk it describes.
        offset: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// The image is readable but lacks something that was asked for.
    #[error("{} has no {what}", path.display())]
    Absent {
        /// The file on the host.
        path: PathBuf,
        /// The missing part.
        what: String,
    },
    /// A file of the image is not of the kind that the request needs.
    #[error("{} in {} is a {}, not a {}", printable(&file.to_string_lossy()), path.display(), found.name(), wanted.name())]
    OtherKind {
        /// The image on the host.
        path: PathBuf,
        /// The file of the image.
        file: PathBuf,
        /// Its actual kind.
        found: FileKind,
        /// The required kind.
        wanted: FileKind,
    },
    /// Files cannot be put into a copy of the image.
    #[error("files cannot be put into copies of {}: {what}", path.display())]
    NotEditable {
        /// The image on the host.
        path: PathBuf,
        /// The obstacle.
        what: String,
    },
    /// The requested file cannot be made: the request contradicts itself or does not fit.
    #[error("cannot make {what}: {why}")]
    Layout {
        /// The thing that could not be made.
        what: String,
        /// Why not.
        why: String,
    },
    /// A disk has more bytes than a format can express.
    #[error("{} is a disk of {}, and {format} holds at most {}", path.display(), rounded(*.size), rounded(*.most))]
    TooLarge {
        /// The file on the host.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// Bytes of the disk.
        size: u64,
        /// The most bytes that the format holds.
        most: u64,
    },
    /// Files cannot be put on a FAT volume.
    #[error("the volume {label} cannot be made: {}", first(problems))]
    Unfit {
        /// The volume's label.
        label: String,
        /// What does not fit and why, a line each; at least one.
        problems: Vec<String>,
    },
    /// The host's disk is too full.
    #[error("{} has {} free, {} needed", path.display(), rounded(*.free), rounded(*.needed))]
    NoSpace {
        /// A directory on the full filesystem.
        path: PathBuf,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// `qemu-nbd` does not show the disk, in a format that is read through it.
    #[error("cannot read {} with qemu-nbd: {}", path.display(), printable(what))]
    NotShown {
        /// The file on the host.
        path: PathBuf,
        /// Its output or behaviour, for one line.
        what: String,
        /// All its output.
        said: Vec<String>,
        /// Whose fault it is.
        class: Class,
    },
    /// A machine is not given disks in that format.
    #[error("{} is {format}, and machines are given raw and qcow2 only", path.display())]
    NotADrive {
        /// The file on the host.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
    },
    /// An external tool failed.
    #[error(transparent)]
    Tool(#[from] ProcessError),
}

fn at(offset: Option<u64>) -> String {
    offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default()
}

/// The first of them, and how many more there are.
fn first(problems: &[String]) -> String {
    let first = printable(problems.first().map_or("", String::as_str));
    let others = problems.len().saturating_sub(1);
    if others > 0 { format!("{first} (and {others} more)") } else { first }
}

impl ImageError {
    /// A failed read of `path`. If `source` carries an `ImageError` of the reader below, this gives that one.
    pub fn read(path: &Path, source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) => Self::Read { path: path.to_owned(), source },
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(crate) fn incompatible(path: &Path, offset: impl Into<Option<u64>>, what: impl Into<String>) -> Self {
        Self::Incompatible { path: path.to_owned(), offset: offset.into(), what: what.into() }
    }

    pub(crate) fn not_followed(path: &Path, kind: &'static str, name: &str, why: &str) -> Self {
        Self::NotFollowed { path: path.to_owned(), kind, name: name.to_owned(), why: why.to_owned() }
    }

    pub(crate) fn corrupt(path: &Path, offset: impl Into<Option<u64>>, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), offset: offset.into(), what: what.into() }
    }

    pub(crate) fn absent(path: &Path, what: impl Into<String>) -> Self {
        Self::Absent { path: path.to_owned(), what: what.into() }
    }

    /// An error of the filesystem that begins at byte `start` of the disk `disk`. `place` is its type and the path that was asked for;
    /// none while it is opened.
    pub(super) fn filesystem(disk: &Path, start: u64, place: Option<(&str, &Path)>, error: FsError) -> Self {
        let said = |what: String| place.map_or(what.clone(), |(_, path)| format!("{}: {what}", path.display()));
        match error {
            FsError::Absent => Self::absent(disk, place.map_or("filesystem".to_owned(), |(_, path)| path.display().to_string())),
            FsError::Io(source) => Self::read(disk, source),
            // While it is opened, only the place on the disk says which filesystem it is.
            FsError::Incompatible(what) => Self::incompatible(disk, place.is_none().then_some(start), said(what)),
            FsError::Corrupt { offset, what } => {
                let kind = place.map_or(String::new(), |(kind, _)| format!("{kind}, "));
                Self::corrupt(disk, offset.map(|offset| start.saturating_add(offset)), format!("{kind}{}", said(what)))
            }
        }
    }

    pub(crate) fn layout(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Layout { what: what.into(), why: why.into() }
    }
}

/// Readers speak `io::Error`; the typed error travels inside it and comes out again in [`ImageError::read`].
impl From<ImageError> for io::Error {
    fn from(error: ImageError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Failure for ImageError {
    fn class(&self) -> Class {
        match self {
            Self::Write { .. } | Self::Exists(_) | Self::NotMounted { .. } | Self::NoSpace { .. } => Class::Host,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::OutOfMemory => Class::Host,
            Self::Read { .. } | Self::Incompatible { .. } | Self::NotFollowed { .. } | Self::Corrupt { .. } => Class::Input,
            Self::Absent { .. } | Self::OtherKind { .. } | Self::Unfit { .. } | Self::NotEditable { .. } => Class::Input,
            Self::Layout { .. } | Self::TooLarge { .. } | Self::NotADrive { .. } => Class::Usage,
            Self::NotShown { class, .. } => *class,
            Self::Tool(error) => error.class(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::NotMounted { source, .. } => Some(match source.kind() {
                io::ErrorKind::NotADirectory | io::ErrorKind::NotFound => "name a directory that is there".to_owned(),
                _ => "see that /dev/fuse is there, and install fuse3; `goldsmith image ls`, `cat` and `cp` need neither".to_owned(),
            }),
            Self::Exists(_) => Some("give another name, or remove it first".to_owned()),
            Self::Read { path, source } if source.kind() == io::ErrorKind::NotFound => Some(format!("check the path {}", path.display())),
            Self::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!("make {} readable for you", path.display()))
            }
            Self::Read { .. } | Self::Absent { .. } | Self::OtherKind { .. } => None,
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, or choose another directory".to_owned())
            }
            Self::Write { path, .. } => Some(format!("make the directory of {} writable for you", path.display())),
            Self::Incompatible { path, .. } => {
                Some(format!("look at it with `qemu-img info {}`; `qemu-img convert -O qcow2` makes a plain copy", path.display()))
            }
            // `qemu-img convert` would follow it.
            Self::NotFollowed { kind: BACKING, path, .. } => Some(format!(
                "if the image is yours, move that file beside it and change the name: qemu-img rebase -u -F FORMAT -b NAME {}; an image from \
                 elsewhere that names files of this host is not to be trusted",
                path.display()
            )),
            Self::NotFollowed { .. } => Some(
                "if the image is yours, make one file of the two: qemu-img convert -O qcow2; an image from elsewhere that names files of this \
                 host is not to be trusted"
                    .to_owned(),
            ),
            Self::Corrupt { path, .. } => Some(format!("get {} again, or see what `qemu-img check` says of it", path.display())),
            Self::NotEditable { path, .. } => {
                let line = ["goldsmith", "up", "--from", "FILE.csv", &path.to_string_lossy()];
                Some(format!("make machines here, which are given their own at boot: {}", shell_line(line)))
            }
            Self::Layout { .. } => Some("change the [disk] section of the recipe".to_owned()),
            Self::TooLarge { .. } => Some("choose another format: raw and qcow2 hold any disk, vhdx holds 64 TiB".to_owned()),
            Self::Unfit { .. } => Some("rename or remove that where it comes from".to_owned()),
            Self::NoSpace { needed, free, .. } => {
                Some(format!("free {} there, or choose another directory", rounded(needed.saturating_sub(*free))))
            }
            // QEMU 7.2, block/vhdx-log.c, `vhdx_parse_log`.
            Self::NotShown { path, what, .. } if what.contains("log that needs to be replayed") => {
                Some(format!("have it replayed, which writes to the image: {}", shell_line(["qemu-img", "check", "-r", "all", &path.to_string_lossy()])))
            }
            Self::NotShown { path, class: Class::Input, .. } => {
                Some(format!("get {} again, or see what `qemu-img info` says of it", path.display()))
            }
            Self::NotShown { .. } => Some("try again, and see whether `qemu-nbd --version` runs in this shell".to_owned()),
            Self::NotADrive { path, .. } => {
                let path = path.to_string_lossy();
                let target = Path::new(&*path).with_extension("qcow2");
                let line = ["goldsmith", "image", "export", "--format", "qcow2", &path, &target.to_string_lossy()];
                Some(format!("make a qcow2 of it, and take that: {}", shell_line(line)))
            }
            Self::Tool(error) => error.remedy(),
        }
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            // A single problem is in the message of the error itself.
            Self::Unfit { problems, .. } if problems.len() > 1 => problems.clone(),
            Self::NotShown { said, .. } if said.len() > 1 => said.clone(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_error_survives_the_way_through_io() {
        let path = Path::new("disk.qcow2");
        let inner = ImageError::corrupt(path, 512, "a cluster lies outside the file");
        let text = inner.to_string();
        let back = ImageError::read(Path::new("other"), inner.into());
        assert_eq!((back.to_string(), back.class()), (text, Class::Input));
        assert_eq!(back.to_string(), "disk.qcow2 is damaged at byte 512: a cluster lies outside the file");
    }

    #[test]
    fn no_space_names_the_numbers() {
        let error = ImageError::NoSpace { path: "/var".into(), needed: 8 << 30, free: 1 << 30 };
        assert_eq!(error.to_string(), "/var has 1.00 GiB free, 8.00 GiB needed");
        assert_eq!((error.class(), error.remedy().unwrap().as_str()), (Class::Host, "free 7.00 GiB there, or choose another directory"));
    }
}

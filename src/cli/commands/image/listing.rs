//! Files of an image as rows for people and as objects for machines.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::base::text::printable;
use crate::cli::printer;
use crate::image::{FileKind, ImageError, Metadata, Owners, Root};

/// Writes rows and objects for files of one image.
pub(super) struct Listing<'a> {
    root: &'a Root,
    /// Present when modes, owners and sizes are shown too.
    owners: Option<Owners>,
    /// Whether a terminal shows the names. They must then have no control sequences.
    on_terminal: bool,
}

impl<'a> Listing<'a> {
    /// # Errors
    /// The image's list of users is damaged.
    pub(super) fn new(root: &'a Root, long: bool) -> Result<Self, ImageError> {
        let owners = if long { Some(Owners::of(root)?) } else { None };
        Ok(Self { root, owners, on_terminal: printer::stdout_is_terminal() })
    }

    /// A line for the file at `path`, with the name `name`. A file or pipe gets the bytes of the name unchanged.
    ///
    /// # Errors
    /// A link cannot be read.
    pub(super) fn line(&self, name: &Path, path: &Path, file: &Metadata) -> Result<Vec<u8>, ImageError> {
        let mut line = Vec::new();
        if let Some(owners) = &self.owners {
            let (user, group) = (owners.user(file.uid), owners.group(file.gid));
            line.extend(format!("{} {:<8} {:<8} {:>10} ", symbolic(file), printable(&user), printable(&group), file.size).bytes());
        }
        self.put(&mut line, name);
        if self.owners.is_some() && file.kind == FileKind::Symlink {
            line.extend(b" -> ");
            self.put(&mut line, &self.root.read_link(path)?);
        }
        line.push(b'\n');
        Ok(line)
    }

    fn put(&self, line: &mut Vec<u8>, path: &Path) {
        if self.on_terminal {
            line.extend(printable(&path.to_string_lossy()).bytes());
        } else {
            line.extend(path.as_os_str().as_bytes());
        }
    }

    /// The file at `path` as an object.
    ///
    /// # Errors
    /// A link cannot be read.
    pub(super) fn object(&self, path: &Path, file: &Metadata) -> Result<Value, ImageError> {
        let mut object =
            json!({"kind": file.kind, "mode": format!("{:04o}", file.mode), "uid": file.uid, "gid": file.gid, "size": file.size});
        put_path(&mut object, "path", path);
        if file.kind == FileKind::Symlink {
            put_path(&mut object, "target", &self.root.read_link(path)?);
        }
        Ok(object)
    }
}

/// Put `path` into `object` under `key`. If it is not UTF-8, its bytes are added in base 64.
fn put_path(object: &mut Value, key: &str, path: &Path) {
    object[key] = json!(path.to_string_lossy());
    if path.to_str().is_none() {
        object[format!("{key}_base64")] = json!(STANDARD.encode(path.as_os_str().as_bytes()));
    }
}

/// Kind and mode as ls(1) shows them: `-rwsr-xr-x`.
fn symbolic(file: &Metadata) -> String {
    let mut text = String::with_capacity(10);
    text.push(match file.kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        // The metadata do not tell block and character devices apart.
        FileKind::Device => 'c',
        FileKind::Pipe => 'p',
        FileKind::Socket => 's',
    });
    for (shift, special, with, without) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')] {
        let bits = file.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (file.mode & special != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn modes_read_as_ls_shows_them() {
        for (kind, mode, expected) in [
            (FileKind::File, 0o644, "-rw-r--r--"),
            (FileKind::File, 0o4755, "-rwsr-xr-x"),
            (FileKind::File, 0o6644, "-rwSr-Sr--"),
            (FileKind::Directory, 0o1777, "drwxrwxrwt"),
            (FileKind::Directory, 0o1770, "drwxrwx--T"),
            (FileKind::Symlink, 0o777, "lrwxrwxrwx"),
            (FileKind::File, 0, "----------"),
        ] {
            assert_eq!(symbolic(&Metadata { kind, mode, uid: 0, gid: 0, size: 0, modified: 0 }), expected);
        }
    }

    #[test]
    fn a_name_that_is_no_text_keeps_its_bytes() {
        let mut object = json!({});
        put_path(&mut object, "path", Path::new(OsStr::from_bytes(b"/a\xff")));
        assert_eq!(object, json!({"path": "/a\u{fffd}", "path_base64": "L2H/"}));
    }
}

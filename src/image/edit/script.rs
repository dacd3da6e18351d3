//! The commands with which debugfs(8) puts files into a filesystem. Pure.

use std::path::{Path, PathBuf};

use super::put::PutFile;
use crate::image::filesystem::{Metadata, Xattr};

/// Owner of what is new.
const ROOT: u32 = 0;
/// SELinux's label, a string that ends with a zero byte.
pub(super) const LABEL: &str = "security.selinux";
/// The type bits in the mode of a regular file and of a directory (inode(7)).
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// The place of a file, and what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// Its path in the root filesystem, without links.
    pub(super) path: PathBuf,
    /// The data of its inode and its attributes, when it exists.
    pub(super) now: Option<(Metadata, Vec<Xattr>)>,
    /// Directories on the way to it that are missing, the outermost first.
    pub(super) missing: Vec<PathBuf>,
}

/// What a file is when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
    /// Permission bits, 12 of them.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) xattrs: Vec<Xattr>,
}

/// Commands for debugfs, and the files that they read, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) commands: String,
    pub(super) sources: Vec<(String, Vec<u8>)>,
    pub(super) expected: Vec<Expected>,
}

impl Script {
    /// Add the commands that put `file` at `spot`. `root_label` is the label of the root directory, when the filesystem has labels. The
    /// error says which path cannot be written in a command of debugfs.
    pub(super) fn put(&mut self, file: &PutFile, spot: &Spot, root_label: Option<&[u8]>) -> Result<(), String> {
        let label = root_label.map(|root| (LABEL.into(), labelled(root, file.selinux_type)));
        for dir in &spot.missing {
            self.at(dir, |name| format!("mkdir {name}\n"))?;
            // A directory of private files is private.
            let mode = if file.mode & 0o077 == 0 { 0o700 } else { 0o755 };
            self.own(dir, DIRECTORY | mode, (ROOT, ROOT), label.as_slice())?;
        }
        let (mode, owner, xattrs) = match &spot.now {
            Some((now, xattrs)) => (now.mode, (now.uid, now.gid), xattrs.clone()),
            None => (file.mode, (ROOT, ROOT), label.into_iter().collect()),
        };
        let source = self.source(file.content.clone());
        self.at(&spot.path, |name| {
            let remove = if spot.now.is_some() { format!("rm {name}\n") } else { String::new() };
            format!("{remove}write {source} {name}\n")
        })?;
        self.own(&spot.path, REGULAR | mode, owner, &xattrs)?;
        let (uid, gid) = owner;
        self.expected.push(Expected { path: spot.path.clone(), content: file.content.clone(), mode, uid, gid, xattrs });
        Ok(())
    }

    /// Commands about the name of `path`, in its directory: `write` takes its whole argument as a name, slashes included.
    fn at(&mut self, path: &Path, commands: impl FnOnce(&str) -> String) -> Result<(), String> {
        let dir = quoted(path.parent().unwrap_or(Path::new("/")))?;
        let name = quoted(Path::new(path.file_name().unwrap_or_default()))?;
        self.commands += &format!("cd {dir}\n{}", commands(&name));
        Ok(())
    }

    fn own(&mut self, path: &Path, mode: u32, (uid, gid): (u32, u32), xattrs: &[Xattr]) -> Result<(), String> {
        let path = quoted(path)?;
        self.commands += &format!("sif {path} mode 0{mode:o}\nsif {path} uid {uid}\nsif {path} gid {gid}\n");
        for (name, value) in xattrs {
            let source = self.source(value.clone());
            let name = quoted(Path::new(name))?;
            self.commands += &format!("ea_set -f {source} {path} {name}\n");
        }
        Ok(())
    }

    /// The name of a file that holds `bytes`.
    fn source(&mut self, bytes: Vec<u8>) -> String {
        let name = format!("source-{}", self.sources.len());
        self.sources.push((name.clone(), bytes));
        name
    }
}

/// The label `root` with another type: user, role and level stay (SELinux Notebook, "Security Context").
fn labelled(root: &[u8], kind: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(root);
    let mut parts: Vec<&str> = text.trim_end_matches('\0').splitn(4, ':').collect();
    if let Some(part) = parts.get_mut(2) {
        *part = kind;
    }
    (parts.join(":") + "\0").into_bytes()
}

/// `path` as one word of debugfs: its lines are parted as those of libss are, where `""` within quotes is a quote (`parse.c`).
fn quoted(path: &Path) -> Result<String, String> {
    match path.to_str() {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(format!("\"{}\"", text.replace('"', "\"\""))),
        _ => Err(format!("debugfs cannot be told of {:?}", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::filesystem::FileKind;

    fn file(path: &str, mode: u32) -> PutFile {
        PutFile { path: path.into(), content: b"text\n".to_vec(), mode, selinux_type: "ssh_home_t" }
    }

    #[test]
    fn what_is_there_is_replaced_and_keeps_its_owner_and_attributes() {
        let now = Metadata { kind: FileKind::File, mode: 0o640, uid: 5, gid: 70_000, size: 3, modified: 0 };
        let spot = Spot { path: "/etc/a \"b\"".into(), now: Some((now, vec![("user.x".into(), b"v".to_vec())])), missing: Vec::new() };
        let mut script = Script::default();
        script.put(&file("/etc/a \"b\"", 0o644), &spot, None).unwrap();
        let path = "\"/etc/a \"\"b\"\"\"";
        let expected = format!(
            "cd \"/etc\"\nrm \"a \"\"b\"\"\"\nwrite source-0 \"a \"\"b\"\"\"\nsif {path} mode 0100640\nsif {path} uid 5\nsif {path} gid 70000\n\
             ea_set -f source-1 {path} \"user.x\"\n"
        );
        assert_eq!(script.commands, expected);
        assert_eq!(script.sources, [("source-0".to_owned(), b"text\n".to_vec()), ("source-1".to_owned(), b"v".to_vec())]);
        assert_eq!((script.expected[0].mode, script.expected[0].gid), (0o640, 70_000));
    }

    #[test]
    fn what_is_new_gets_its_directories_and_labels() {
        let spot = Spot { path: "/root/.ssh/authorized_keys".into(), now: None, missing: vec!["/root/.ssh".into()] };
        let mut script = Script::default();
        script.put(&file("/root/.ssh/authorized_keys", 0o600), &spot, Some(b"system_u:object_r:root_t:s0\0")).unwrap();
        let lines: Vec<&str> = script.commands.lines().collect();
        assert_eq!(lines[..3], ["cd \"/root\"", "mkdir \".ssh\"", "sif \"/root/.ssh\" mode 040700"]);
        assert_eq!(
            lines[6..9],
            ["cd \"/root/.ssh\"", "write source-1 \"authorized_keys\"", "sif \"/root/.ssh/authorized_keys\" mode 0100600"]
        );
        let label = b"system_u:object_r:ssh_home_t:s0\0".to_vec();
        assert_eq!((&script.sources[0].1, &script.expected[0].xattrs), (&label, &vec![(LABEL.into(), label.clone())]));
        assert_eq!(labelled(b"system_u:object_r:root_t:s0:c1,c2", "net_conf_t"), b"system_u:object_r:net_conf_t:s0:c1,c2\0");
    }

    #[test]
    fn a_name_that_ends_a_line_is_refused() {
        let spot = Spot { path: "/etc/a\nrm b".into(), now: None, missing: Vec::new() };
        assert!(Script::default().put(&file("/etc/a", 0o644), &spot, None).is_err());
    }
}

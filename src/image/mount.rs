//! Shows the files of an image in a directory of this host: read-only, through FUSE, and so without root.
//!
//! ```text
//! kernel ─request→ Server, in the session's thread ─→ Tree, in a thread of its own, which has the root open ─answer→ kernel
//! ```
//!
//! An opened root belongs to one thread, but fuser needs a server that all threads can call, so the server passes the questions on. The
//! kernel follows links, as in every mount: an absolute one leads to the host's files.

mod tree;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;

use fuser::{
    Config, Errno, FileHandle, Filesystem, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    ReplyStatfs, ReplyXattr, Request, Session, SessionUnmounter,
};

use super::disk::Disk;
use super::error::ImageError;
use super::root::Root;
use tree::{GENERATION, TTL, Tree};

/// The files of an image, mounted on a directory. They are unmounted when this is dropped.
#[derive(Debug)]
pub struct Mount {
    dir: PathBuf,
    session: Option<Session<Server>>,
    unmounter: SessionUnmounter,
}

impl Mount {
    /// Show the files of the system on `disk` in the directory `dir`, to this user alone.
    ///
    /// # Errors
    /// The disk holds no system that can be read, or the kernel does not mount there.
    pub fn new(disk: &Disk, dir: &Path) -> Result<Self, ImageError> {
        let failed = |source| ImageError::NotMounted { dir: dir.to_owned(), source };
        // The kernel would also mount on a file, but no file in the image could then be reached.
        if !fs::metadata(dir).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        // This comes before the mount, so that a wrong image is reported as such.
        let server = Server::start(disk.clone())?;
        let name = disk.path().to_string_lossy().replace(',', "_");
        let mut config = Config::default();
        // The image is not trusted.
        config.mount_options =
            vec![MountOption::RO, MountOption::NoSuid, MountOption::NoDev, MountOption::NoExec, MountOption::FSName(name)];
        let mut session = Session::new(server, dir, &config).map_err(failed)?;
        let unmounter = session.unmount_callable();
        Ok(Self { dir: dir.to_owned(), session: Some(session), unmounter })
    }

    /// Answer the kernel until the directory is unmounted.
    ///
    /// # Errors
    /// The kernel ended the session in another way.
    pub async fn serve(mut self) -> Result<(), ImageError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let ran = tokio::task::spawn_blocking(move || session.run()).await;
        let ran = ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        ran.map_err(|source| ImageError::NotMounted { dir: self.dir.clone(), source })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // If this fails, only `umount` helps. The kernel ends the mount when the process ends.
        let _ = self.unmounter.unmount();
    }
}

/// A question to the thread that has the root open.
type Question = Box<dyn FnOnce(&mut Tree) + Send>;

#[derive(Debug)]
struct Server {
    questions: Sender<Question>,
}

impl Server {
    /// Start the thread that answers. It ends with the server.
    fn start(disk: Disk) -> Result<Self, ImageError> {
        let (questions, asked) = mpsc::channel::<Question>();
        let (opened, is_open) = mpsc::channel();
        let answers = thread::spawn(move || {
            let root = match Root::open(&disk) {
                Ok(root) => root,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            let mut tree = Tree::new(root);
            if opened.send(Ok(())).is_ok() {
                asked.iter().for_each(|question| question(&mut tree));
            }
        });
        match is_open.recv() {
            Ok(opened) => opened?,
            // The thread sent no answer, so it has panicked.
            Err(_) => answers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
        Ok(Self { questions })
    }

    /// Pass `question` to the thread. If the thread is gone, the question is dropped, and fuser answers the kernel with an I/O error.
    fn ask(&self, question: impl FnOnce(&mut Tree) + Send + 'static) {
        let _ = self.questions.send(Box::new(question));
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.ask(move |tree| match tree.lookup(parent, &name) {
            Ok(attributes) => reply.entry(&TTL, &attributes, GENERATION),
            Err(error) => reply.error(error),
        });
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.ask(move |tree| match tree.attributes(number) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        });
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        self.ask(move |tree| match tree.link(number) {
            Ok(target) => reply.data(target.as_encoded_bytes()),
            Err(error) => reply.error(error),
        });
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.ask(move |tree| match tree.read(number, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        });
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.ask(move |tree| {
            let listed = tree.list(number, offset, &mut |inode, next, kind, name| reply.add(inode, next, kind, name));
            match listed {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(error),
            }
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.ask(move |tree| match tree.usage() {
            Ok((blocks, free, block)) => reply.statfs(blocks, free, free, 0, 0, block, 255, block),
            Err(error) => reply.error(error),
        });
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.to_owned();
        self.ask(move |tree| {
            let value = tree.xattrs(number).and_then(|all| all.into_iter().find(|(known, _)| *known == name).ok_or(Errno::ENODATA));
            answer(value.map(|(_, value)| value), size, reply);
        });
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        self.ask(move |tree| {
            let names = tree.xattrs(number).map(|all| all.iter().flat_map(|(name, _)| [name.as_encoded_bytes(), b"\0"].concat()).collect());
            answer(names, size, reply);
        });
    }
}

/// Answer as getxattr(2) does: a size of 0 asks how much there is.
fn answer(value: Result<Vec<u8>, Errno>, size: u32, reply: ReplyXattr) {
    match (value, size) {
        (Err(error), _) => reply.error(error),
        (Ok(value), 0) => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        (Ok(value), size) if value.len() as u64 <= u64::from(size) => reply.data(&value),
        (Ok(_), _) => reply.error(Errno::ERANGE),
    }
}

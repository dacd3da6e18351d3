//! This program as a process that outlives the one that starts it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// This program, started again as a process of its own.
#[derive(Debug)]
pub struct Detached {
    child: Child,
}

impl Detached {
    /// Start this program again with `args`. It outlives us and the terminal: it has a session of its own, `/` as its working directory,
    /// nothing to read, and writes to `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(args: &[OsString], log: File) -> io::Result<Self> {
        // The program's file may have been replaced since we were started.
        let mut command = Command::new("/proc/self/exe");
        command.args(args).current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: between fork and exec there is only a system call.
        unsafe {
            command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into));
        }
        Ok(Self { child: command.spawn()? })
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

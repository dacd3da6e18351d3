//! External programs: one list of them, one way to run them.
//!
//! A child is in a process group of its own and gets SIGKILL when we die (`PR_SET_PDEATHSIG`, prctl(2)). That signal fires when the
//! *thread* that spawned it ends, so spawn from the runtime's own thread, never from a blocking pool. A child that makes
//! children of its own which must die too is run through [`Invocation::contained`].

mod detached;
mod lines;
mod server;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::failure::{Class, Failure};

pub use detached::Detached;
pub use lines::Lines;
pub use server::Server;

/// Variables a child sees, besides those it is given. Proxies in either case of letters, as curl and apt take them.
const PASSED_ON: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];
/// A program that needs longer to say its version is broken.
const VERSION_TIME: Duration = Duration::from_secs(10);
/// Bytes of a child's last output that an error keeps.
const TAIL_BYTES: usize = 4096;
/// What any program says of a full disk: strerror(3) of ENOSPC, untranslated.
const FULL: &str = "No space left on device";

/// Every program goldsmith may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// apt's package manager: fetches the signed indexes of suites and verifies them with the host's keys (`apt-get update`).
    AptGet,
    /// apt's own downloader: the host's proxies and authentication apply (`apt-helper download-file`).
    AptHelper,
    /// `createrepo_c`: makes the metadata of a repository of RPM packages.
    CreaterepoC,
    /// `debugfs`: writes files into an ext4 that is not mounted.
    Debugfs,
    /// `e2fsck`: replays journals of ext4.
    E2fsck,
    /// `gpgv`: verifies OpenPGP signatures.
    Gpgv,
    /// `mke2fs`: makes ext4 from a tree.
    Mke2fs,
    /// `mmdebstrap`: assembles a Debian tree.
    Mmdebstrap,
    /// `qemu-img`.
    QemuImg,
    /// `qemu-nbd`: shows disks in formats that goldsmith does not read itself.
    QemuNbd,
    /// `qemu-system-x86_64`.
    QemuSystem,
    /// `ssh`: logs in to machines of the user's.
    Ssh,
    /// `ssh-keygen`: makes keys for that.
    SshKeygen,
    /// A POSIX shell, for the lines that run inside a user namespace.
    Shell,
    /// `unshare` of util-linux: user and PID namespaces.
    Unshare,
    /// `virtiofsd`: serves a directory to a guest.
    Virtiofsd,
}

impl Tool {
    /// The name it is looked up by in `PATH`.
    pub fn program(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::AptHelper => "apt-helper",
            Self::CreaterepoC => "createrepo_c",
            Self::Debugfs => "debugfs",
            Self::E2fsck => "e2fsck",
            Self::Gpgv => "gpgv",
            Self::Mke2fs => "mke2fs",
            Self::Mmdebstrap => "mmdebstrap",
            Self::QemuImg => "qemu-img",
            Self::QemuNbd => "qemu-nbd",
            Self::QemuSystem => "qemu-system-x86_64",
            Self::Ssh => "ssh",
            Self::SshKeygen => "ssh-keygen",
            Self::Shell => "sh",
            Self::Unshare => "unshare",
            Self::Virtiofsd => "virtiofsd",
        }
    }

    /// The Debian package that brings it.
    pub fn package(self) -> &'static str {
        match self {
            Self::AptGet | Self::AptHelper => "apt",
            Self::CreaterepoC => "createrepo-c",
            Self::Debugfs | Self::E2fsck | Self::Mke2fs => "e2fsprogs",
            Self::Gpgv => "gpgv",
            Self::Mmdebstrap => "mmdebstrap",
            Self::QemuImg | Self::QemuNbd => "qemu-utils",
            Self::QemuSystem => "qemu-system-x86",
            Self::Ssh | Self::SshKeygen => "openssh-client",
            Self::Shell => "dash",
            Self::Unshare => "util-linux",
            // Debian 12's is in a package that QEMU needs; Debian 13 has a package of that name.
            Self::Virtiofsd => "virtiofsd",
        }
    }

    /// The first line it prints when asked for its version; nothing when it cannot say.
    pub async fn version(self) -> Option<String> {
        let flag = if matches!(self, Self::Debugfs | Self::E2fsck | Self::Mke2fs) { "-V" } else { "--version" };
        let mut first = None;
        let said = Invocation::new(self).arg(flag).run_with(|line| {
            first.get_or_insert_with(|| line.to_owned());
        });
        tokio::time::timeout(VERSION_TIME, said).await.ok()?.ok()?;
        first
    }

    /// Where it is: in `PATH`, then in the system directories an ordinary user's `PATH` lacks, then in those of apt, of virtiofsd and of QEMU.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn find(self) -> Result<PathBuf, ProcessError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(["/usr/sbin", "/sbin", "/usr/lib/apt", "/usr/libexec", "/usr/lib/qemu"].map(PathBuf::from))
            .map(|dir| dir.join(self.program()))
            // A directory of that name may be there, which can be entered: /usr/libexec/mmdebstrap.
            .find(|candidate| candidate.is_file() && rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok())
            .ok_or(ProcessError::Missing { tool: self })
    }
}

/// A program and its arguments, ready to run.
#[derive(Debug)]
pub struct Invocation {
    tool: Tool,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    fds: Vec<OwnedFd>,
    contained: bool,
    limit: Option<Duration>,
    /// The socket it serves ([`Invocation::serve`]).
    socket: Option<OwnedFd>,
}

impl Invocation {
    /// Run `tool`.
    pub fn new(tool: Tool) -> Self {
        Self { tool, args: Vec::new(), env: Vec::new(), dir: None, fds: Vec::new(), contained: false, limit: None, socket: None }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Set an environment variable of the child.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The child's working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Kill it, and fail, when it has not ended after `limit`.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Let the child inherit `fd` under the number it has here.
    #[must_use]
    pub fn inherit(mut self, fd: OwnedFd) -> Self {
        self.fds.push(fd);
        self
    }

    /// Run it as root of namespaces of its own (PID, mount, UTS, IPC) that die with us, children and all; an ordinary user also gets a
    /// user namespace with the ids of `/etc/subuid`. `unshare(1)` of util-linux 2.38: `--kill-child`, `--map-auto`.
    #[must_use]
    pub fn contained(mut self) -> Self {
        self.contained = true;
        self
    }

    /// The command line as it can be pasted into a shell.
    pub fn command_line(&self) -> String {
        let program = self.tool.program().to_owned();
        let words: Vec<String> = self
            .containment()
            .into_iter()
            .map(str::to_owned)
            .chain([program])
            .chain(self.args.iter().map(|arg| arg.to_string_lossy().into_owned()))
            .collect();
        super::text::shell_line(words.iter().map(String::as_str))
    }

    /// Start it, with standard output and error piped to us and nothing on standard input.
    ///
    /// # Errors
    /// The program is not there or cannot be started.
    pub fn spawn(self) -> Result<Running, ProcessError> {
        let command_line = self.command_line();
        let mut command = self.command()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| ProcessError::Start { tool: self.tool, source })?;
        Ok(Running { tool: self.tool, command_line, child })
    }

    /// Become it: our process goes on as this program, with our environment, terminal and process group. It returns only when that fails.
    pub fn become_it(self) -> ProcessError {
        match self.tool.find() {
            Ok(program) => {
                let source = std::os::unix::process::CommandExt::exec(std::process::Command::new(program).args(&self.args));
                ProcessError::Start { tool: self.tool, source }
            }
            Err(error) => error,
        }
    }

    /// Run it to its end without output, and block the thread. This is for drops, which cannot wait in another way. Returns whether it
    /// succeeded.
    pub fn run_blocking(self) -> bool {
        let Ok(mut command) = self.command() else { return false };
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// The command, which borrows the descriptors to inherit from `self`.
    fn command(&self) -> Result<std::process::Command, ProcessError> {
        let program = self.tool.find()?;
        let mut words = self.containment().into_iter().map(OsString::from).collect::<Vec<_>>();
        if let Some(first) = words.first_mut() {
            *first = Tool::Unshare.find()?.into_os_string();
        }
        if self.socket.is_some() {
            // `LISTEN_PID` is the process id of the child, which only the child knows.
            let shell = Tool::Shell.find()?.into_os_string();
            words.extend([shell, "-c".into(), "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"".into()]);
        }
        words.push(program.into_os_string());
        words.extend(self.args.iter().cloned());
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        // Passwords of recipes are in our environment, and a child's child may write its own into an image; and errors are recognised
        // by their words, which must be the untranslated ones.
        command.env_clear().env("LC_ALL", "C.UTF-8");
        command.envs(std::env::vars_os().filter(|(name, _)| PASSED_ON.iter().any(|passed| name.eq_ignore_ascii_case(passed))));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let fds: Vec<_> = self.fds.iter().map(AsRawFd::as_raw_fd).collect();
        let socket = self.socket.as_ref().map(AsRawFd::as_raw_fd);
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only async-signal-safe system calls are made, on descriptors that `self` keeps open, and
        // on 3, which a child that serves a socket has for nothing else (see `serve`).
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, move || {
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
                // The parent may have died before the line above.
                if rustix::process::getppid() != Some(parent) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                for fd in &fds {
                    let fd = rustix::fd::BorrowedFd::borrow_raw(*fd);
                    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
                }
                if let Some(socket) = socket {
                    let mut third = ManuallyDrop::new(OwnedFd::from_raw_fd(3));
                    rustix::io::dup2(rustix::fd::BorrowedFd::borrow_raw(socket), &mut third)?;
                    rustix::io::fcntl_setfd(&*third, rustix::io::FdFlags::empty())?;
                }
                Ok(())
            });
        }
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }

    /// Run it to its end, giving each line of its output to `on_line` as it comes.
    ///
    /// # Errors
    /// It could not be started, or ended in any way but exit status 0.
    pub async fn run_with(self, on_line: impl FnMut(&str)) -> Result<(), ProcessError> {
        let (tool, limit) = (self.tool, self.limit);
        in_time(tool, limit, self.spawn()?.finish(on_line)).await?
    }

    /// Run it to its end and give what it wrote to standard output.
    ///
    /// # Errors
    /// As [`Invocation::run_with`].
    pub async fn output(self) -> Result<Vec<u8>, ProcessError> {
        let (bytes, ended) = self.said().await?;
        ended.map(|()| bytes)
    }

    /// Run it to its end and give what it wrote to standard output, and how it ended.
    ///
    /// # Errors
    /// It could not be started, or was too slow.
    pub async fn said(self) -> Result<(Vec<u8>, Result<(), ProcessError>), ProcessError> {
        let (tool, limit) = (self.tool, self.limit);
        let mut running = self.spawn()?;
        let mut bytes = Vec::new();
        let mut stdout = running.child.stdout.take();
        let work = async {
            let read = async {
                match &mut stdout {
                    Some(stdout) => stdout.read_to_end(&mut bytes).await,
                    None => Ok(0),
                }
            };
            tokio::join!(read, running.finish(|_| {}))
        };
        let (read, ended) = in_time(tool, limit, work).await?;
        read.map_err(|source| ProcessError::Start { tool, source })?;
        Ok((bytes, ended))
    }

    fn containment(&self) -> Vec<&'static str> {
        if !self.contained {
            return Vec::new();
        }
        let mut words = vec!["unshare"];
        if !rustix::process::geteuid().is_root() {
            words.extend(["--user", "--map-root-user", "--map-auto"]);
        }
        words.extend(["--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc", "--uts", "--ipc", "--"]);
        words
    }
}

/// A child that runs. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Running {
    tool: Tool,
    command_line: String,
    child: tokio::process::Child,
}

impl Running {
    /// The child's process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The command line as it can be pasted.
    pub fn command_line(&self) -> &str {
        &self.command_line
    }

    /// The child itself, for a caller that watches it in its own loop.
    pub fn child_mut(&mut self) -> &mut tokio::process::Child {
        &mut self.child
    }

    /// Kill the process group now.
    pub fn kill(&mut self) {
        if let Some(pid) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // Gone already is as good as killed.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }

    /// Wait for the end, giving each line of output to `on_line`.
    ///
    /// # Errors
    /// It ended in any way but exit status 0.
    pub async fn finish(mut self, mut on_line: impl FnMut(&str)) -> Result<(), ProcessError> {
        let mut stdout = Lines::new(self.child.stdout.take());
        let mut stderr = Lines::new(self.child.stderr.take());
        let mut tail = String::new();
        loop {
            let line = tokio::select! {
                Some(line) = stdout.next() => line,
                Some(line) = stderr.next() => line,
                else => break,
            };
            on_line(&line);
            keep_tail(&mut tail, &line);
        }
        let status = self.child.wait().await.map_err(|source| ProcessError::Start { tool: self.tool, source })?;
        if status.success() {
            return Ok(());
        }
        Err(ProcessError::Failed { tool: self.tool, command_line: self.command_line.clone(), status, tail })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn in_time<T>(tool: Tool, limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, ProcessError> {
    match limit {
        None => Ok(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| ProcessError::TooSlow { tool, limit }),
    }
}

fn keep_tail(tail: &mut String, line: &str) {
    tail.push_str(line);
    tail.push('\n');
    if tail.len() > 2 * TAIL_BYTES {
        let cut = tail.ceil_char_boundary(tail.len() - TAIL_BYTES);
        tail.drain(..cut);
    }
}

/// Why an external program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not installed.
    #[error("{} is not installed", tool.program())]
    Missing {
        /// The program.
        tool: Tool,
    },
    /// It could not be started or waited for.
    #[error("{} could not be started: {source}", tool.program())]
    Start {
        /// The program.
        tool: Tool,
        /// The kernel's error.
        source: io::Error,
    },
    /// It did not end in time, and was killed.
    #[error("{} had not ended after {} s", tool.program(), limit.as_secs())]
    TooSlow {
        /// The program.
        tool: Tool,
        /// The time it had.
        limit: Duration,
    },
    /// It ended in another way than exit status 0.
    #[error("{} {}{}", tool.program(), Ending(*status), last_line(tail))]
    Failed {
        /// The program.
        tool: Tool,
        /// How to repeat it by hand.
        command_line: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        tail: String,
    },
}

impl Failure for ProcessError {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Missing { tool } => format!("install it: apt-get install {}", tool.package()),
            Self::Start { tool, .. } => format!("see whether `{} --version` runs in this shell", tool.program()),
            Self::Failed { tail, .. } if tail.contains(FULL) => "free some space on the disk it writes to, or choose another".to_owned(),
            Self::TooSlow { .. } => {
                "see with -v what it was at; a slow host or mirror needs a longer deadline ([build] deadline)".to_owned()
            }
            Self::Failed { command_line, .. } => format!("to see it alone, run: {command_line}"),
        })
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Failed { tail, .. } => tail.lines().rev().take(20).map(str::to_owned).collect::<Vec<_>>().into_iter().rev().collect(),
            _ => Vec::new(),
        }
    }
}

struct Ending(ExitStatus);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "failed with exit status {code}"),
            (None, Some(signal)) => write!(f, "was killed by signal {signal}"),
            (None, None) => write!(f, "ended: {}", self.0),
        }
    }
}

fn last_line(tail: &str) -> String {
    match tail.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(": {}", super::text::printable(line.trim())),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn shell(script: &str) -> Invocation {
        Invocation::new(Tool::Shell).args(["-c", script])
    }

    #[test]
    fn lines_of_both_streams_arrive_and_a_failure_names_its_last_words() {
        on_runtime(async {
            let mut lines = Vec::new();
            shell("echo one; printf 'two\\rthree'").run_with(|line| lines.push(line.to_owned())).await.unwrap();
            assert_eq!(lines, ["one", "two", "three"]);
            let error = shell("echo first >&2; echo the cause >&2; exit 3").run_with(|_| {}).await.unwrap_err();
            assert_eq!(error.to_string(), "sh failed with exit status 3: the cause");
            assert_eq!(error.evidence(), ["first", "the cause"]);
            assert!(error.remedy().unwrap().contains("sh -c 'echo first"));
        });
    }

    #[test]
    fn a_child_sees_no_secret_of_ours() {
        on_runtime(async {
            let mut names = Vec::new();
            // Cargo gives every test this variable, as a user's shell gives us ROOT_PASSWORD.
            assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
            shell("env").env("GIVEN", "1").run_with(|line| names.extend(line.split('=').next().map(str::to_owned))).await.unwrap();
            assert!(names.iter().any(|name| name == "GIVEN") && names.iter().any(|name| name == "PATH"), "{names:?}");
            assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
        });
    }

    #[test]
    fn endless_lines_do_not_fill_our_memory() {
        on_runtime(async {
            let mut longest = 0;
            shell("head -c 1000000 /dev/zero | tr '\\0' x").run_with(|line| longest = longest.max(line.len())).await.unwrap();
            assert_eq!(longest, lines::LINE_BYTES);
        });
    }

    #[test]
    fn dropping_a_child_kills_its_grandchildren() {
        on_runtime(async {
            let marker = format!("31{}.5", std::process::id());
            let running = shell(&format!("sleep {marker} & sleep {marker}")).spawn().unwrap();
            let there = || {
                std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                    std::fs::read(entry.path().join("cmdline"))
                        .is_ok_and(|line| line.windows(marker.len() + 6).any(|w| w == format!("sleep\0{marker}").as_bytes()))
                })
            };
            let patience = Instant::now() + Duration::from_secs(10);
            while !there() {
                assert!(Instant::now() < patience, "the children never started");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            drop(running);
            while there() {
                assert!(Instant::now() < patience, "a grandchild outlived the drop");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
}

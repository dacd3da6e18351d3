//! The evidence of a failed machine: files with fixed names in its directory, and the useful parts to print.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::commands::{QueryBlockstats, QueryStatus, RunStatus};
use super::qmp::{Qmp, QmpError};

/// QEMU's own copy of all output of the serial console.
pub const CONSOLE_LOG: &str = "console.log";
/// The screen, as PNG.
pub const SCREEN: &str = "screen.png";
/// The command that starts the same machine on a terminal.
pub const COMMAND_LINE: &str = "command-line.txt";
/// What QEMU wrote to standard error.
pub const STDERR: &str = "stderr.txt";
/// QEMU's answers to `query-status` and `query-blockstats`.
pub const STATUS: &str = "qmp-status.json";

/// How long QEMU may take for one answer. A hung QEMU costs four times that.
const ANSWER: Duration = Duration::from_secs(2);
/// Console lines that an error prints.
const PRINTED_LINES: usize = 20;

/// The files of a failed machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where the files are.
    pub dir: PathBuf,
    /// The console's last lines, oldest first.
    pub console_tail: Vec<String>,
    /// The screen's picture, if QEMU could still make one.
    pub screenshot: Option<PathBuf>,
    /// QEMU's state, if it still answered.
    pub status: Option<RunStatus>,
    /// The command that starts the same machine on a terminal.
    pub command_line: String,
    /// The end of QEMU's standard error, oldest line first.
    pub stderr_tail: Vec<String>,
}

impl Evidence {
    /// The lines worth printing: QEMU's last words and the console's.
    pub fn lines(&self) -> Vec<String> {
        let skip = self.console_tail.len().saturating_sub(PRINTED_LINES);
        let stderr = self.stderr_tail.iter().map(|line| format!("qemu: {line}"));
        stderr.chain(self.console_tail.iter().skip(skip).cloned()).collect()
    }
}

/// What QEMU can still be asked for, asked within a few seconds. Files that cannot be written are left out: the failure that they document
/// matters more.
pub(super) async fn ask(qmp: &mut Qmp, dir: &Path) -> (Option<PathBuf>, Option<RunStatus>) {
    let status = qmp.execute(&QueryStatus {}, ANSWER).await.ok();
    let disks = qmp.execute(&QueryBlockstats {}, ANSWER).await.ok();
    let answers = serde_json::json!({ "query-status": status, "query-blockstats": disks });
    let _ = fs::write(dir.join(STATUS), format!("{answers:#}\n"));
    (screenshot(qmp, &dir.join(SCREEN)).await.ok(), status)
}

/// The screen as PNG, or as PPM beside it when this QEMU was built without libpng. Gives the file's name.
pub(super) async fn screenshot(qmp: &mut Qmp, path: &Path) -> Result<PathBuf, QmpError> {
    let command = |path: &Path, format| qapi::qmp::screendump {
        device: None,
        head: None,
        format: Some(format),
        filename: path.to_string_lossy().into_owned(),
    };
    match qmp.execute(&command(path, qapi::qmp::ImageFormat::png), ANSWER).await {
        Ok(_) => Ok(path.to_owned()),
        Err(QmpError::Refused { .. }) => {
            let path = path.with_extension("ppm");
            qmp.execute(&command(&path, qapi::qmp::ImageFormat::ppm), ANSWER).await?;
            Ok(path)
        }
        Err(error) => Err(error),
    }
}

/// Write the files that need no QEMU.
pub(super) fn write(dir: &Path, command_line: &str, stderr: &[String]) {
    // As in [`ask`], files that cannot be written are left out.
    let _ = fs::write(dir.join(COMMAND_LINE), format!("{command_line}\n"));
    let _ = fs::write(dir.join(STDERR), stderr.iter().map(|line| format!("{line}\n")).collect::<String>());
}

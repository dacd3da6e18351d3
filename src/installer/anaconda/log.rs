//! A line of the installer's log as it comes over its virtio-serial port.
//!
//! Everything in the installer's system that writes to syslog is in it: Anaconda, but also the kernel, systemd and NetworkManager. It is
//! lossy (journald and imjournal limit its rate), so a missing line proves nothing.

/// `HH:MM:SS,mmm LEVEL program:message`.
///
/// Source: lorax 19.6.104, share/config_files/common/rsyslog.conf, template `anaconda_syslog`. The clock is the guest's and has no date, so
/// the time is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// syslog's word: `DEBUG`, `INFO`, `NOTICE`, `WARNING`, `ERR`, `CRIT`, `ALERT`, `EMERG`.
    pub level: &'a str,
    /// Who wrote it: `anaconda`, `packaging`, `program` (commands and their output), `storage`, `kernel`, ….
    pub program: &'a str,
    /// The message. Line ends in it are written as `#012`, or it arrives as several lines: there are two ways through rsyslog, and both
    /// were seen.
    pub message: &'a str,
}

impl<'a> LogLine<'a> {
    /// Read a line without its end; `None` for the continuation of a message, or for text that is no log.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (time, rest) = line.split_once(' ')?;
        let (level, rest) = rest.split_once(' ')?;
        let (program, message) = rest.split_once(':')?;
        let upper = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_uppercase());
        let one_word = !program.is_empty() && !program.contains(char::is_whitespace);
        (is_time(time) && upper && one_word).then(|| Self { level, program, message: message.strip_prefix(' ').unwrap_or(message) })
    }
}

/// `HH:MM:SS,mmm`.
fn is_time(text: &str) -> bool {
    let shape = b"00:00:00,000";
    text.len() == shape.len()
        && text.bytes().zip(shape).all(|(byte, like)| if *like == b'0' { byte.is_ascii_digit() } else { byte == *like })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_lines_are_read_and_others_are_not() {
        let line = |level, program, message| Some(LogLine { level, program, message });
        for (text, expected) in [
            // A public log of Anaconda 21, and one of lorax-composer on RHEL 7.
            ("21:15:23,251 DEBUG packaging: Installing libgcc (1/1973)", line("DEBUG", "packaging", "Installing libgcc (1/1973)")),
            ("12:59:49,467 INFO anaconda:Display mode = c", line("INFO", "anaconda", "Display mode = c")),
            (
                "01:08:29,255 ERR anaconda:anaconda: ui.tui.hubs.summary: CmdlineError: x:#012Software selection",
                line("ERR", "anaconda", "anaconda: ui.tui.hubs.summary: CmdlineError: x:#012Software selection"),
            ),
            ("21:15:23,251 WARNING kernel:[  1.5] x: y", line("WARNING", "kernel", "[  1.5] x: y")),
            ("  File \"/usr/lib/python2.7/x.py\", line 3: in f", None),
            ("21:15:23 DEBUG packaging: x", None),
            ("21:15:23,251 debug packaging: x", None),
            ("21:15:23,251 DEBUG no program: x", None),
            ("21:15:23,251 DEBUG", None),
            ("", None),
        ] {
            assert_eq!(LogLine::parse(text), expected, "{text}");
        }
    }
}

//! Finds the places where a script asks for the system's host name. It is not a lint of kickstarts: the kickstart has set the name before
//! its scripts run.

use super::super::parser::Span;
use super::shell::{self, Simple, Word};

/// A place where a script asks for the host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAsked {
    /// The means: `hostname -f`, `$HOSTNAME`, `/etc/hostname`.
    pub by: String,
    /// The script's line, from 1 on.
    pub line: usize,
}

/// The file with the name that hostnamectl(1) sets.
const FILE: &str = "/etc/hostname";

/// Where `script` asks for the host name and keeps the answer elsewhere than in a file of /etc; at most one place a line. Its `#!` line or
/// else /bin/sh runs it. The list is empty for a script of another interpreter than a shell, and for one that sets the name itself. A
/// question does not count when its answer is only shown.
pub fn names_asked(script: &str) -> Vec<NameAsked> {
    let first = script.lines().next().unwrap_or_default();
    if first.strip_prefix("#!").is_some_and(|interpreter| !shell::is_shell(interpreter)) {
        return Vec::new();
    }
    let mut start = 0;
    let lines: Vec<(Span, &str)> = (1..)
        .zip(script.split_inclusive('\n'))
        .map(|(line, text)| {
            let span = Span { file: 0, line, start, end: start + text.len() };
            start = span.end;
            (span, text)
        })
        .collect();
    let commands = shell::commands(lines.into_iter());
    if commands.iter().any(sets_name) {
        return Vec::new();
    }
    // `HOSTNAME` is then a variable of the script itself.
    let is_own = script.lines().any(|line| line.trim_start().trim_start_matches("export ").starts_with("HOSTNAME="));
    let mut asked: Vec<NameAsked> = Vec::new();
    for command in commands.iter().filter(|command| !is_right_or_shown(command)) {
        let variable = command.variables.iter().find(|name| name.text == "HOSTNAME" && !is_own);
        let by_variable = variable.map(|name| NameAsked { by: "$HOSTNAME".to_owned(), line: name.span.line });
        let by_command = asks(command).map(|by| NameAsked { by, line: command.span().line });
        asked.extend(by_command.or(by_variable));
    }
    asked.sort_by_key(|asked| asked.line);
    asked.dedup_by_key(|asked| asked.line);
    asked
}

/// Whether the command's output is only shown, or is written to files of /etc, where sealing corrects the name.
fn is_right_or_shown(command: &Simple) -> bool {
    let files = command.writes.iter().map(|word| word.text.as_str()).chain(command.ends_in.iter().map(String::as_str));
    // `2>&1` writes no file.
    let mut files = files.filter(|file| !file.bytes().all(|byte| byte.is_ascii_digit()) && !file.starts_with("/dev/")).peekable();
    let in_etc = files.peek().is_some() && files.all(|file| file.starts_with("/etc/"));
    // A command that asks and whose output goes nowhere else writes the answer to the log.
    let is_seen = asks(command).is_some() && command.variables.is_empty() && !command.is_captured && command.writes.is_empty();
    command.is_shown || command.shows() || in_etc || (is_seen && command.reads.is_empty())
}

/// The means by which the command asks for the name.
fn asks(command: &Simple) -> Option<String> {
    // Options of hostname(1), of net-tools and of Debian's hostname, that print or do something else.
    const OTHER: [&str; 14] = [
        "-I",
        "--all-ip-addresses",
        "-i",
        "--ip-address",
        "-F",
        "--file",
        "-b",
        "--boot",
        "-h",
        "--help",
        "-V",
        "--version",
        "-y",
        "--nis",
    ];
    const READERS: [&str; 9] = ["cat", "head", "tail", "cut", "tr", "awk", "grep", "sed", "read"];
    let said = || command.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let is_file = |word: &Word| word.text == FILE;
    let mut arguments = command.arguments();
    let by_name = match command.name() {
        "hostname" => arguments.all(|word| word.starts_with('-') && !OTHER.contains(&word)),
        "hostnamectl" => {
            let words: Vec<&str> = arguments.filter(|word| !word.starts_with('-')).collect();
            matches!(words[..], [] | ["status" | "hostname"])
        }
        "uname" => arguments.any(|word| word == "--nodename" || (word.starts_with('-') && !word.starts_with("--") && word.contains('n'))),
        _ => false,
    };
    if by_name {
        return Some(said());
    }
    let in_place = command.arguments().any(|word| word.starts_with("-i") || word.starts_with("--in-place"));
    let reads = READERS.contains(&command.name()) && !in_place && command.words.iter().any(is_file);
    (reads || command.reads.iter().any(is_file)).then(|| FILE.to_owned())
}

/// Whether the command gives the system a name.
fn sets_name(command: &Simple) -> bool {
    let words: Vec<&str> = command.arguments().filter(|word| !word.starts_with('-')).collect();
    let by_command = match command.name() {
        "hostname" => !words.is_empty(),
        "hostnamectl" => matches!(words[..], ["set-hostname" | "hostname", _, ..]),
        "tee" | "cp" | "install" | "mv" => words.last() == Some(&FILE),
        "sed" => words.last() == Some(&FILE) && command.arguments().any(|word| word.starts_with("-i")),
        _ => false,
    };
    by_command || command.writes.iter().any(|word| word.text == FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_for_the_name_are_found() {
        for (script, expected) in [
            ("a\nname=$(hostname)\n", vec![(2, "hostname")]),
            ("#!/bin/bash\nkubeadm init --node-name \"$(hostname -f)\"", vec![(2, "hostname -f")]),
            ("#!/usr/bin/env bash\nx --name=$HOSTNAME", vec![(2, "$HOSTNAME")]),
            ("x \"${HOSTNAME%%.*}\" $(uname -n)", vec![(1, "$HOSTNAME")]),
            ("x $(date) \"$(uname --nodename)\"", vec![(1, "uname --nodename")]),
            ("if [ \"`uname -sn`\" = a ]; then b; fi", vec![(1, "uname -sn")]),
            ("hostname | tee /root/name", vec![(1, "hostname")]),
            ("hostname > /root/name\nhostnamectl --static > x", vec![(1, "hostname"), (2, "hostnamectl --static")]),
            ("read name < /etc/hostname; x $(cat /etc/hostname)", vec![(1, "/etc/hostname")]),
            ("cp /usr/x /y\nopenssl req \\\n  -subj \"/CN=$(hostname)\" -out /etc/x.pem", vec![(3, "hostname")]),
            ("echo \"$(hostname) x\" > /usr/local/name", vec![(1, "hostname")]),
            ("echo $HOSTNAME > /usr/local/name", vec![(1, "$HOSTNAME")]),
        ] {
            let found: Vec<_> = names_asked(script).into_iter().map(|asked| (asked.line, asked.by)).collect();
            let expected: Vec<_> = expected.into_iter().map(|(line, by)| (line, by.to_owned())).collect();
            assert_eq!(found, expected, "{script}");
        }
    }

    #[test]
    fn what_does_no_harm_is_not_told() {
        for script in [
            "# hostname=$(hostname)\ntrue # $HOSTNAME",
            "hostname\nuname -n\nhostnamectl status\ncat /etc/hostname",
            "echo \"on $(hostname), $HOSTNAME\" >&2\nlogger \"$HOSTNAME\"",
            // Sealing corrects the name in these files.
            "echo \"10.0.0.1 $(hostname)\" >> /etc/hosts\nhostname > /etc/mailname 2>/dev/null\necho $HOSTNAME > /etc/x 2>&1",
            // The script sets the name.
            "hostnamectl set-hostname a\nx $(hostname)",
            "echo a > /etc/hostname\nx $(hostname)",
            "hostname a\nx $HOSTNAME",
            "HOSTNAME=a\nx $HOSTNAME",
            "export HOSTNAME=a\nx $HOSTNAME",
            // Something else.
            "x $(hostname -I) $(uname -r) $(uname -m) $HOSTNAMES ${MY_HOSTNAME}",
            "x '$HOSTNAME' '$(hostname)'",
            "cat > /etc/systemd/system/x.service <<'EOF'\nExecStart=/bin/sh -c 'x $(hostname)'\nEOF\n",
            "ls -l /etc/hostname; [ -e /etc/hostname ]; chmod 0644 /etc/hostname",
            "#!/usr/bin/python3\nx = $(hostname)",
            "",
        ] {
            assert_eq!(names_asked(script), [], "{script}");
        }
    }

    #[test]
    fn odd_scripts_end() {
        for text in ["$HOSTNAME ", "$(hostname ", "${", "é$é", "< /etc/hostname ", "#!\n", "hostname|"] {
            names_asked(&text.repeat(5_000));
        }
    }
}

//! Reads unit files of systemd, and finds faults that can be seen without systemd. Pure.
//!
//! The syntax is that of systemd.syntax(7). The settings that a unit must have are those without which systemd does not load it, in 219 of EL7
//! and in 252 of Debian 12 (src/core/{service,socket,timer,path,mount,automount,swap}.c, `…_verify`).

use super::fault::Fault;
use super::text::{printable, suggestion};

/// A type of units that have files.
struct Type {
    suffix: &'static str,
    /// The section of this type, if there is one.
    section: Option<&'static str>,
    /// Keys of that section; a unit must have one of them.
    needs: &'static [&'static str],
}

const TYPES: [Type; 9] = [
    // What a service needs is in [`UnitFile::service_lacks`].
    Type { suffix: "service", section: Some("Service"), needs: &[] },
    Type {
        suffix: "socket",
        section: Some("Socket"),
        needs: &[
            "ListenStream",
            "ListenDatagram",
            "ListenSequentialPacket",
            "ListenFIFO",
            "ListenSpecial",
            "ListenNetlink",
            "ListenMessageQueue",
            "ListenUSBFunction",
        ],
    },
    Type {
        suffix: "timer",
        section: Some("Timer"),
        needs: &[
            "OnCalendar",
            "OnBootSec",
            "OnUnitActiveSec",
            "OnActiveSec",
            "OnStartupSec",
            "OnUnitInactiveSec",
            "OnClockChange",
            "OnTimezoneChange",
        ],
    },
    Type {
        suffix: "path",
        section: Some("Path"),
        needs: &["PathExists", "PathChanged", "PathModified", "PathExistsGlob", "DirectoryNotEmpty"],
    },
    Type { suffix: "mount", section: Some("Mount"), needs: &["What"] },
    Type { suffix: "automount", section: Some("Automount"), needs: &[] },
    Type { suffix: "swap", section: Some("Swap"), needs: &["What"] },
    Type { suffix: "target", section: None, needs: &[] },
    Type { suffix: "slice", section: Some("Slice"), needs: &[] },
];

/// Keys of `[Install]` that enable the unit itself (systemd.unit(5)). `Also=` only enables other units, and `UpheldBy=` came with 254.
const INSTALLS: [&str; 3] = ["WantedBy", "RequiredBy", "Alias"];
/// Keys that name commands (systemd.service(5), systemd.socket(5)).
const COMMANDS: [&str; 8] =
    ["ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPre", "ExecStopPost"];
/// Prefixes of a program; 219 knows the first two, each once.
const PREFIXES: [char; 5] = ['@', '-', ':', '+', '!'];
/// At most this many characters of a line are repeated.
const SHOWN: usize = 40;

/// A parsed unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Section, key and value of each assignment, in their order.
    assignments: Vec<(String, String, String)>,
    /// Whether there is a section `[Install]`.
    installs: bool,
    /// The line of the first comment that systemd 219 reads as a part of a setting, or joins with the next line.
    comment_of_219: Option<usize>,
}

impl UnitFile {
    /// Read the file of the unit `name`, which has its suffix.
    ///
    /// # Errors
    /// All faults, in the order of the lines.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let kind = kind(name).ok_or_else(|| vec![unknown_type(name)])?;
        let (lines, comment_of_219) = logical_lines(text);
        let mut file = Self { assignments: Vec::new(), installs: false, comment_of_219 };
        let mut faults = Vec::new();
        let mut section: Option<String> = None;
        for (number, line) in lines {
            let fault = |what: String, help: &str| Fault { what: format!("line {number}: {what}"), help: help.to_owned() };
            if let Some(header) = line.strip_prefix('[') {
                match header.strip_suffix(']') {
                    Some(title) => {
                        faults.extend(foreign(kind, title).map(|(what, help)| fault(what, &help)));
                        file.installs |= title == "Install";
                        section = Some(title.to_owned());
                    }
                    None => faults.push(fault(format!("`{}` is no section", excerpt(&line)), "write it like `[Service]`")),
                }
            } else if let Some((key, value)) = line.split_once('=') {
                match &section {
                    Some(section) => file.assignments.push((section.clone(), key.trim_end().to_owned(), value.trim_start().to_owned())),
                    None => faults
                        .push(fault(format!("`{}=` is in no section", excerpt(key.trim_end())), "begin with a section, like `[Unit]`")),
                }
            } else {
                faults.push(fault(
                    format!("`{}` is neither a section nor a setting", excerpt(&line)),
                    "write `KEY=VALUE`; a setting goes on in the next line after a `\\` at its end, and a comment begins with `#`",
                ));
            }
        }
        faults.extend(file.lacks(name, kind));
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }

    /// Whether it has a section `[Install]` that does more than name other units to enable (`Also=`).
    pub fn installs(&self) -> bool {
        let others = self.values("Install", "Also").any(|value| !value.is_empty());
        self.installs && (self.can_be_enabled() || !others)
    }

    /// Whether `systemctl enable` has an effect on the unit itself.
    pub fn can_be_enabled(&self) -> bool {
        INSTALLS.iter().any(|key| self.values("Install", key).any(|value| !value.is_empty()))
    }

    /// The units that start it once it is enabled. Empty if it has an alias: other units may start it by that name.
    pub fn parents(&self) -> Vec<&str> {
        if self.values("Install", "Alias").any(|value| !value.is_empty()) {
            return Vec::new();
        }
        ["WantedBy", "RequiredBy"].iter().flat_map(|key| self.values("Install", key)).flat_map(str::split_whitespace).collect()
    }

    /// Settings that systemd 219 of EL7 reads differently from later versions, or ignores (src/core/load-fragment.c, `config_parse_exec`;
    /// src/shared/conf-parser.c, `config_parse`).
    pub fn not_for_219(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(number) = self.comment_of_219 {
            faults.push(Fault {
                what: format!("line {number}: systemd of CentOS 7 reads this comment and a setting as one line"),
                help: "put comments before the setting, and no `\\` at their end".to_owned(),
            });
        }
        let values = self.assignments.iter().filter(|(_, key, _)| COMMANDS.contains(&key.as_str()));
        for command in values.flat_map(|(_, _, value)| commands(value)) {
            let bare = command.trim_start_matches(PREFIXES);
            let prefixes = &command[..command.len() - bare.len()];
            let program = bare.trim_start_matches(['"', '\'']).split_whitespace().next().unwrap_or_default();
            if let Some(prefix) = prefixes.chars().find(|prefix| !['@', '-'].contains(prefix)) {
                let what = format!("systemd of CentOS 7 does not know the `{prefix}` before `{}`", excerpt(program));
                faults
                    .push(Fault { what, help: "leave it out, or do the same by other means, such as `PermissionsStartOnly=`".to_owned() });
            }
            if program.starts_with(['%', '$']) {
                let what = format!("systemd of CentOS 7 does not run `{}`: it fills in arguments alone, no program", excerpt(program));
                faults.push(Fault { what, help: "write the program's path, from `/` on".to_owned() });
            } else if !program.is_empty() && !program.starts_with('/') {
                let program = excerpt(program);
                let what = format!("systemd of CentOS 7 does not run `{program}`, whose path it is not told");
                faults.push(Fault { what, help: format!("write it from `/` on, like `/usr/bin/{program}`") });
            }
        }
        if self.values("Unit", "SuccessAction").any(|value| !value.is_empty()) && self.list("Service", "ExecStart").is_empty() {
            let what = "systemd of CentOS 7 does not know `SuccessAction=`, and does not load a service without `ExecStart=`".to_owned();
            faults.push(Fault { what, help: "add `ExecStart=`".to_owned() });
        }
        faults
    }

    /// The instance of an enabled template.
    pub fn default_instance(&self) -> Option<&str> {
        self.values("Install", "DefaultInstance").last().filter(|value| !value.is_empty())
    }

    fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.assignments
            .iter()
            .filter(move |(in_section, name, _)| in_section == section && name == key)
            .map(|(_, _, value)| value.as_str())
    }

    /// The values of a list; an empty value clears those before it.
    fn list<'a>(&'a self, section: &'a str, key: &'a str) -> Vec<&'a str> {
        let mut list = Vec::new();
        for value in self.values(section, key) {
            if value.is_empty() {
                list.clear();
            } else {
                list.push(value);
            }
        }
        list
    }

    /// The setting without which systemd does not load the unit, if it is missing.
    fn lacks(&self, name: &str, kind: &Type) -> Option<Fault> {
        if kind.suffix == "service" {
            return self.service_lacks(name);
        }
        let section = kind.section.filter(|_| !kind.needs.is_empty())?;
        // An empty value of any of them empties the list of all.
        let last = self.assignments.iter().rfind(|(in_section, key, _)| in_section == section && kind.needs.contains(&key.as_str()));
        let (first, rest) = kind.needs.split_first()?;
        let or = rest.first().map(|key| format!(" or `{key}=`")).unwrap_or_default();
        last.is_none_or(|(_, _, value)| value.is_empty()).then(|| Fault {
            what: format!("systemd does not load {name}: there is no `{first}=`{or} in `[{section}]`"),
            help: format!("add `[{section}]` with `{first}=…`; `man systemd.{}` describes it", kind.suffix),
        })
    }

    /// The same for a service (`service_verify`; `service_add_extras` gives one without a type and `ExecStart=` the type oneshot).
    fn service_lacks(&self, name: &str) -> Option<Fault> {
        let last = |section, key| self.values(section, key).last().filter(|value| !value.is_empty());
        let fault = |why: &str, help: &str| Some(Fault { what: format!("systemd does not load {name}: {why}"), help: help.to_owned() });
        let starts: usize = self.list("Service", "ExecStart").into_iter().map(|value| commands(value).len()).sum();
        let other_type = last("Service", "Type").filter(|kind| *kind != "oneshot");
        let acts = last("Unit", "SuccessAction").is_some_and(|action| action != "none");
        let remains = last("Service", "RemainAfterExit")
            .is_some_and(|value| ["1", "yes", "y", "true", "t", "on"].contains(&value.to_ascii_lowercase().as_str()));
        let help = "add `[Service]` with `ExecStart=…`; `man systemd.service` describes it";
        if starts > 1 && last("Service", "Type") != Some("oneshot") {
            return fault(
                "it has more than one `ExecStart=`, and is not of `Type=oneshot`",
                "an empty `ExecStart=` takes earlier ones away",
            );
        }
        if starts > 0 {
            return None;
        }
        if self.list("Service", "ExecStop").is_empty() && !acts {
            return fault("there is no `ExecStart=` or `ExecStop=` in `[Service]`", help);
        }
        if let Some(kind) = other_type {
            return fault(&format!("there is no `ExecStart=`, which `Type={}` needs", excerpt(kind)), help);
        }
        if !remains && !acts {
            return fault("there is no `ExecStart=`, which may only be with `RemainAfterExit=yes`", help);
        }
        None
    }
}

/// The fault in the name of a unit that gets a file, if there is one.
pub fn wrong_name(name: &str) -> Option<Fault> {
    kind(name).is_none().then(|| unknown_type(name))
}

fn kind(name: &str) -> Option<&'static Type> {
    let (stem, suffix) = name.rsplit_once('.')?;
    TYPES.iter().find(|kind| kind.suffix == suffix && !stem.is_empty())
}

fn unknown_type(name: &str) -> Fault {
    let suffixes: Vec<String> = TYPES.iter().map(|kind| format!("`.{}`", kind.suffix)).collect();
    Fault { what: format!("`{name}` is not the name of a unit with a file"), help: format!("end it in one of {}", suffixes.join(", ")) }
}

/// The fault of a section that units of this type do not have: systemd ignores it with a warning. It ignores sections that begin with `X-`
/// without one.
fn foreign(kind: &Type, title: &str) -> Option<(String, String)> {
    let known: Vec<&str> = ["Unit", "Install"].into_iter().chain(kind.section).collect();
    if known.contains(&title) || title.starts_with("X-") {
        return None;
    }
    let title = &excerpt(title);
    let help = match suggestion(title, known.iter().copied()) {
        Some(meant) => format!("did you mean `[{meant}]`?"),
        None => format!("it has {}", known.iter().map(|section| format!("`[{section}]`")).collect::<Vec<_>>().join(", ")),
    };
    Some((format!("systemd knows no section `[{title}]` in a {}", kind.suffix), help))
}

/// The first [`SHOWN`] characters of a text.
fn excerpt(text: &str) -> String {
    let cut = text.char_indices().nth(SHOWN).map_or(text, |(at, _)| &text[..at]);
    if cut.len() < text.len() { format!("{}…", printable(cut)) } else { printable(cut) }
}

/// The commands of a value, each with its arguments. They are separated by a `;` that is a word of its own.
fn commands(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut quote, mut escaped, mut is_start) = (0, None, false, true);
    for (at, c) in value.char_indices() {
        let ends = value[at + c.len_utf8()..].chars().next().is_none_or(char::is_whitespace);
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ';') if is_start && ends => {
                found.push(&value[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        is_start = c.is_whitespace();
    }
    found.push(&value[begin..]);
    found.into_iter().map(str::trim).filter(|command| !command.is_empty()).collect()
}

/// Lines without comments, each with its number. A line that ends in an odd number of backslashes is joined with the next one; a backslash
/// before another escapes it. Comments between the parts are left out. Also the line of the first comment that 219 reads as a part of a
/// setting: it joins lines before it looks for comments.
fn logical_lines(text: &str) -> (Vec<(usize, String)>, Option<usize>) {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut comment_of_219 = None;
    let mut goes_on = false;
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim_end_matches('\r');
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        let more = backslashes % 2 == 1;
        if line.trim_start().starts_with(['#', ';']) {
            comment_of_219 = comment_of_219.or((goes_on || more).then_some(index + 1));
            continue;
        }
        let part = if more { &line[..line.len() - 1] } else { line };
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, begun)) => {
                begun.push(' ');
                begun.push_str(part);
            }
            None => lines.push((index + 1, part.to_owned())),
        }
        goes_on = more;
    }
    let trimmed = lines.into_iter().map(|(number, line)| (number, line.trim().to_owned()));
    (trimmed.filter(|(_, line)| !line.is_empty()).collect(), comment_of_219)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_units_are_taken() {
        for (name, text) in [
            (
                "a.service",
                "# x\n; y\n[Unit]\nDescription = b\n\n[Service]\nExecStart=/bin/sh -c \\\n# between\n  'echo [a]' \\\n\n[Install]\nWantedBy=multi-user.target\n",
            ),
            ("a@.service", "[Service]\nType=oneshot\nExecStart=-/bin/true %i\n[X-Mine]\nany=thing\n"),
            ("a.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target"),
            ("a.socket", "[Socket]\nListenStream=80\n"),
            ("a.target", "[Unit]\nDescription=x\n"),
            ("a.target", ""),
            // 219 takes the CR away, too (src/shared/conf-parser.c, `truncate_nl`).
            ("a.service", "[Service]\r\nExecStart=/bin/a\r\n"),
            ("srv-data.mount", "[Mount]\nWhat=/dev/vdb\nWhere=/srv/data\n"),
        ] {
            let file = UnitFile::read(name, text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            assert_eq!(file.installs(), text.contains("[Install]"), "{name}");
            assert_eq!(file.can_be_enabled(), text.contains("WantedBy"), "{name}");
        }
    }

    #[test]
    fn what_systemd_would_not_load_is_told_with_its_line() {
        for (name, text, whats) in [
            ("a", "", &["`a` is not the name of a unit with a file"][..]),
            ("a.scope", "", &["`a.scope` is not the name of a unit with a file"]),
            (".service", "", &["`.service` is not the name of a unit with a file"]),
            ("a.service", "", &["systemd does not load a.service: there is no `ExecStart=` or `ExecStop=` in `[Service]`"]),
            (
                "a.service",
                "[Service]\nExecStart=\n",
                &["systemd does not load a.service: there is no `ExecStart=` or `ExecStop=` in `[Service]`"],
            ),
            (
                "a.timer",
                "OnCalendar=daily\n[Timers]\nhello\n[Unit\n",
                &[
                    "line 1: `OnCalendar=` is in no section",
                    "line 2: systemd knows no section `[Timers]` in a timer",
                    "line 3: `hello` is neither a section nor a setting",
                    "line 4: `[Unit` is no section",
                    "systemd does not load a.timer: there is no `OnCalendar=` or `OnBootSec=` in `[Timer]`",
                ],
            ),
            ("a.mount", "[Mount]\nWhere=/x\n", &["systemd does not load a.mount: there is no `What=` in `[Mount]`"]),
        ] {
            let faults = UnitFile::read(name, text).unwrap_err();
            assert_eq!(faults.iter().map(|fault| fault.what.as_str()).collect::<Vec<_>>(), whats, "{name}");
        }
        assert_eq!(UnitFile::read("a.timer", "[Timers]\n").unwrap_err()[0].help, "did you mean `[Timer]`?");
    }

    /// As systemd 252 loads them; `systemd-analyze verify` is the judge.
    #[test]
    fn services_without_a_start_are_judged() {
        for (text, why) in [
            ("[Service]\nExecStop=/bin/a\n", "there is no `ExecStart=`, which may only be with `RemainAfterExit=yes`"),
            ("[Service]\nExecStop=/bin/a\nRemainAfterExit=yes\n", ""),
            ("[Service]\nType=simple\nExecStop=/bin/a\nRemainAfterExit=yes\n", "there is no `ExecStart=`, which `Type=simple` needs"),
            ("[Unit]\nSuccessAction=reboot\n[Service]\n", ""),
            ("[Service]\nSuccessAction=reboot\n", "there is no `ExecStart=` or `ExecStop=` in `[Service]`"),
            ("[Service]\nExecStart=/bin/a\nExecStart=\n", "there is no `ExecStart=` or `ExecStop=` in `[Service]`"),
            ("[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n", ""),
            ("[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n", "it has more than one `ExecStart=`, and is not of `Type=oneshot`"),
            ("[Service]\nExecStart=/bin/a ; /bin/b\n", "it has more than one `ExecStart=`, and is not of `Type=oneshot`"),
            ("[Service]\nExecStart=/bin/a \"b ; c\" \\; d;\n", ""),
            ("[Service]\nType=oneshot\nExecStart=/bin/a ; /bin/b\n", ""),
        ] {
            let why = if why.is_empty() { Vec::new() } else { vec![format!("systemd does not load a.service: {why}")] };
            let faults = UnitFile::read("a.service", text).err().unwrap_or_default();
            assert_eq!(faults.into_iter().map(|fault| fault.what).collect::<Vec<_>>(), why, "{text}");
        }
        assert!(UnitFile::read("a.timer", "[Timer]\nOnCalendar=daily\nOnBootSec=\n").is_err());
    }

    #[test]
    fn lines_go_on_as_systemd_reads_them() {
        for (text, lines, comment) in [
            ("a=1 \\\n  b\n", &[(1, "a=1    b")][..], None),
            // A blank after the backslash, and a backslash that is escaped, end the line.
            ("a=1 \\ \nb=2", &[(1, "a=1 \\"), (2, "b=2")], None),
            ("a=1 \\\\\nb=2", &[(1, "a=1 \\\\"), (2, "b=2")], None),
            ("a=1 \\\\\\\nb=2", &[(1, "a=1 \\\\ b=2")], None),
            ("\u{feff}[Unit]\r\na=1\\\r\n\r\nb=2", &[(1, "[Unit]"), (2, "a=1"), (4, "b=2")], None),
            ("a=1 \\\n# c\n  b", &[(1, "a=1    b")], Some(2)),
            ("# c \\\na=1", &[(2, "a=1")], Some(1)),
            ("# c\n ; d\na=1", &[(3, "a=1")], None),
        ] {
            let (found, of_219) = logical_lines(text);
            assert_eq!(found.iter().map(|(number, line)| (*number, line.as_str())).collect::<Vec<_>>(), lines, "{text}");
            assert_eq!(of_219, comment, "{text}");
        }
    }

    #[test]
    fn what_219_reads_otherwise_is_seen() {
        let whats = |name: &str, text: &str| {
            UnitFile::read(name, text).unwrap().not_for_219().into_iter().map(|fault| fault.what).collect::<Vec<_>>()
        };
        let text = "[Service]\nType=oneshot\nExecStartPre=-@touch a\nExecStart=+/bin/a ; '%h/b' x ; /bin/sh -c 'a ; b' \\\n# c\n d\nExecStop=\nExecReload=\"/b\"\n";
        assert_eq!(
            whats("a.service", text),
            [
                "line 5: systemd of CentOS 7 reads this comment and a setting as one line",
                "systemd of CentOS 7 does not run `touch`, whose path it is not told",
                "systemd of CentOS 7 does not know the `+` before `/bin/a`",
                "systemd of CentOS 7 does not run `%h/b'`: it fills in arguments alone, no program",
            ]
        );
        assert_eq!(
            whats("a.socket", "[Socket]\nListenStream=1\nExecStopPre=!/bin/a\n"),
            ["systemd of CentOS 7 does not know the `!` before `/bin/a`"]
        );
        assert_eq!(whats("a.service", "[Unit]\nSuccessAction=reboot\n[Service]\n").len(), 1);
        assert!(whats("a.service", "[Service]\nExecStart=@-/bin/a b\nExecSearchPath=x\n").is_empty());
    }

    #[test]
    fn what_does_not_enable_the_unit_itself_is_seen() {
        for (install, installs, can) in [
            ("WantedBy=a.target", true, true),
            ("Alias=b.service", true, true),
            ("Also=a.socket", false, false),
            ("Also=a.socket\nWantedBy=a.target", true, true),
            ("UpheldBy=a.target", true, false),
            ("WantedBy=", true, false),
        ] {
            let file = UnitFile::read("a.service", &format!("[Service]\nExecStart=/bin/a\n[Install]\n{install}\n")).unwrap();
            assert_eq!((file.installs(), file.can_be_enabled()), (installs, can), "{install}");
        }
        let text = "[Service]\nExecStart=/bin/a\n[Install]\nWantedBy=a.target  b.target\nRequiredBy=c.service\n";
        assert_eq!(UnitFile::read("a.service", text).unwrap().parents(), ["a.target", "b.target", "c.service"]);
    }

    #[test]
    fn long_lines_are_cut() {
        let faults = UnitFile::read("a.target", &format!("{}\n[{}]\n", "é".repeat(1000), "x".repeat(1000))).unwrap_err();
        assert!(faults.len() == 2 && faults.iter().all(|fault| fault.what.chars().count() < 120), "{faults:?}");
    }

    #[test]
    fn instances_are_seen() {
        let text = "[Service]\nExecStart=/bin/a\n[Install]\nAlias=\nDefaultInstance=tty1\n";
        let file = UnitFile::read("a.service", text).unwrap();
        assert_eq!((file.default_instance(), file.can_be_enabled()), (Some("tty1"), false));
    }
}

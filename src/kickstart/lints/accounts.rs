//! Passwords, groups, services, time.

use std::collections::HashSet;

use super::super::parser::{Command, Span};
use super::row::{Hit, Lint};
use super::sheet::{Sheet, is_of};
use super::shell::Simple;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "rootpw-missing",
        what: "no root password, and no user in the group wheel",
        why: "the installer asks for a password; in cmdline mode it stops, and then powers off as after success",
        remedy: "add `rootpw --iscrypted HASH` or `rootpw --lock`, or a `user` with `--groups=wheel`",
        source: "pyanaconda/ui/tui/spokes/password.py: PasswordSpoke.completed; ui/tui/hubs/summary.py",
        check: rootpw_missing,
    },
    Lint {
        id: "password-hash-unknown",
        what: "a password hash that EL7 cannot check",
        why: "glibc 2.17 knows $1$, $5$, $6$ and DES: with anything else (yescrypt's $y$, bcrypt's $2b$) the account cannot log in",
        remedy: "make the hash with `openssl passwd -6`",
        source: "crypt(3) of glibc 2.17: crypt/crypt-entry.c",
        check: password_hash_unknown,
    },
    Lint {
        id: "hash-as-password",
        what: "a password hash without `--iscrypted`",
        why: "the hash itself becomes the password",
        remedy: "add `--iscrypted`",
        source: "pykickstart/commands/rootpw.py, user.py; pyanaconda/users.py: setRootPassword",
        check: hash_as_password,
    },
    Lint {
        id: "plaintext-password",
        what: "a password in clear text",
        why: "everybody who can read the kickstart has it, and Anaconda keeps a copy in the image: /root/original-ks.cfg",
        remedy: "write `--iscrypted` and a hash, made with `openssl passwd -6`",
        source: "anaconda: data/post-scripts/99-copy-logs.ks",
        check: plaintext_password,
    },
    Lint {
        id: "group-missing",
        what: "a user is put into a group that is not there yet",
        why: "the groups must exist before the user is made: the packages make theirs, `%post` comes too late",
        remedy: "add `group --name=`, install the package that makes it, or call `usermod -aG` in a `%post`",
        source: "Red Hat Enterprise Linux 7 Installation Guide, user: --groups",
        check: group_missing,
    },
    Lint {
        id: "timezone-missing",
        what: "no time zone",
        why: "the installer asks for it; in cmdline mode it stops, and then powers off as after success",
        remedy: "add `timezone Etc/UTC --isUtc`, or another zone",
        source: "pyanaconda/ui/tui/spokes/time.py: TimeZoneSpoke.completed, ui/tui/hubs/summary.py",
        check: timezone_missing,
    },
    Lint {
        id: "rtc-local-time",
        what: "`timezone` without `--isUtc`",
        why: "the hardware clock counts as local time (/etc/adjtime: LOCAL), and that of a virtual machine is UTC: hours off at each boot",
        remedy: "add `--isUtc`",
        source: "pyanaconda/timezone.py: write_timezone_config",
        check: rtc_local_time,
    },
    Lint {
        id: "socket-as-service",
        what: "`services` names a unit that is no service",
        why: "Anaconda appends .service to every name (docker.socket.service), and ignores that there is no such unit",
        remedy: "call `systemctl enable` or `systemctl disable` in a `%post`",
        source: "pyanaconda/kickstart.py:1762: Services.execute",
        check: socket_as_service,
    },
    Lint {
        id: "service-not-yet-there",
        what: "`services --enabled` names a service that a `%post` brings",
        why: "services are enabled before `%post` runs, and Anaconda ignores that there is no such unit",
        remedy: "call `systemctl enable` in that `%post`, or install the package in `%packages`",
        source: "pyanaconda/kickstart.py:1762: Services.execute; pyanaconda/install.py: doConfiguration",
        check: service_not_yet_there,
    },
];

fn rootpw_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    let administers = |user: &Command| user.option("groups").is_some_and(|groups| groups.list().contains(&"wheel"));
    if !sheet.is_whole || sheet.has("rootpw") || sheet.document.commands_named("user").any(administers) {
        return vec![];
    }
    vec![Hit::of_file("nothing says how to log in: no `rootpw`, and no `user` with --groups=wheel")]
}

/// A password of the file.
struct Secret<'a> {
    text: &'a str,
    span: Span,
    is_hash: bool,
    /// It is locked (`--lock`), so it does not allow a login.
    is_locked: bool,
}

/// The passwords of root and of users. Those of `sshpw` end with the installation.
fn passwords<'a>(sheet: &Sheet<'a>) -> Vec<Secret<'a>> {
    let roots = sheet.document.commands_named("rootpw").filter_map(|command| {
        let word = command.arguments().first()?;
        Some((command, word.value.as_str(), word.span))
    });
    let users = sheet.document.commands_named("user").filter_map(|command| {
        let password = command.option("password")?;
        Some((command, password.text()?, password.value_span))
    });
    // `rootpw --iscrypted nothing` with `passwd -l root` in a %post has the effect of `--lock`.
    let locks = |name: &str| {
        let passwd = sheet.chroot_scripts().flat_map(|script| script.commands_named("passwd"));
        let locking = passwd.filter(|command| command.arguments().any(|word| ["-l", "--lock"].contains(&word)));
        locking.into_iter().any(|command| command.arguments().any(|word| word == name))
    };
    let root_is_locked = locks("root");
    let secrets = roots.chain(users).filter(|(_, text, _)| !text.is_empty());
    secrets
        .map(|(command, text, span)| Secret {
            text,
            span,
            is_hash: is_crypted(command),
            is_locked: command.option("lock").is_some() || (root_is_locked && command.is("rootpw")),
        })
        .collect()
}

/// The last of `--iscrypted` and `--plaintext` counts.
fn is_crypted(command: &Command) -> bool {
    let kind = command.options().iter().rfind(|option| ["iscrypted", "plaintext"].contains(&option.name));
    kind.is_some_and(|option| option.name == "iscrypted")
}

/// The name of the method of a hash `$METHOD$…`.
pub(super) fn method(hash: &str) -> Option<&str> {
    let (method, _) = hash.strip_prefix('$')?.split_once('$')?;
    (!method.is_empty() && method.len() <= 10 && method.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')).then_some(method)
}

/// Methods of crypt(3) in glibc 2.17 that are written `$…$`.
const KNOWN_METHODS: [&str; 3] = ["1", "5", "6"];

fn password_hash_unknown(sheet: &Sheet<'_>) -> Vec<Hit> {
    let hits = passwords(sheet).into_iter().filter(|secret| secret.is_hash && !secret.is_locked).filter_map(|secret| {
        let message = match method(secret.text) {
            Some(known) if KNOWN_METHODS.contains(&known) => return None,
            Some(other) => format!("a hash of the kind ${other}$, which EL7 does not know"),
            // A DES hash has 13 of these characters. Any other text may be a placeholder of a template.
            None => {
                let is_template = secret.text.contains(['$', '{', '}', '<', '>', '%', '@', '!', '*', '_']);
                let is_des = secret.text.len() == 13 && secret.text.chars().all(|c| c.is_ascii_alphanumeric() || "./".contains(c));
                if is_template || is_des {
                    return None;
                }
                "`--iscrypted`, but this is no hash".to_owned()
            }
        };
        Some(Hit::at(secret.span, message))
    });
    hits.collect()
}

fn hash_as_password(sheet: &Sheet<'_>) -> Vec<Hit> {
    let hashes = passwords(sheet).into_iter().filter(|secret| !secret.is_hash && !secret.is_locked && method(secret.text).is_some());
    hashes.map(|secret| Hit::at(secret.span, "this is a hash, and taken as the password itself")).collect()
}

fn plaintext_password(sheet: &Sheet<'_>) -> Vec<Hit> {
    let is_template = |text: &str| text.contains(['$', '{', '%', '<', '@']);
    let plain = passwords(sheet).into_iter().filter(|secret| !secret.is_hash && method(secret.text).is_none() && !is_template(secret.text));
    plain.map(|secret| Hit::at(secret.span, "a password in clear text")).collect()
}

/// Groups of other distributions, or that only Docker's packages make. Any other unknown group may come from some package.
const NOT_OF_EL7: [&str; 6] = ["sudo", "admin", "sudoers", "plugdev", "netdev", "docker"];

fn group_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    let made: HashSet<&str> = sheet.document.commands_named("group").filter_map(|group| group.option("name")?.text()).collect();
    // Without `%packages` this is a part of a kickstart, and another part may install the package that makes the group.
    let is_known = sheet.is_complete && sheet.document.packages().next().is_some();
    let hits = sheet.document.commands_named("user").filter(|_| is_known).filter_map(|user| {
        let groups = user.option("groups")?;
        let own = user.option("name").and_then(|name| name.text());
        let is_missing =
            |group: &&str| NOT_OF_EL7.contains(group) && !made.contains(group) && own != Some(*group) && !sheet.installs(group);
        let missing: Vec<&str> = groups.list().into_iter().filter(is_missing).collect();
        (!missing.is_empty()).then(|| Hit::at(groups.span, format!("nothing makes the group {} before the user", missing.join(", "))))
    });
    hits.collect()
}

fn timezone_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    match sheet.command("timezone") {
        _ if !sheet.is_whole => vec![],
        None => vec![Hit::of_file("nothing says in which time zone the system is: no `timezone`")],
        Some(command) if command.arguments().is_empty() => vec![Hit::at(command.span, "`timezone` names no zone")],
        Some(_) => vec![],
    }
}

/// Zones with UTC as local time all year (tzdata: Etc/UTC, Etc/GMT and their links).
const UTC_ZONES: [&str; 19] = [
    "UTC",
    "UCT",
    "GMT",
    "GMT0",
    "GMT+0",
    "GMT-0",
    "Greenwich",
    "Universal",
    "Zulu",
    "Etc/UTC",
    "Etc/UCT",
    "Etc/GMT",
    "Etc/GMT0",
    "Etc/GMT+0",
    "Etc/GMT-0",
    "Etc/Greenwich",
    "Etc/Universal",
    "Etc/Zulu",
    "Atlantic/Reykjavik",
];

fn rtc_local_time(sheet: &Sheet<'_>) -> Vec<Hit> {
    let local = sheet.command("timezone").filter(|command| {
        let zone = command.arguments().first();
        zone.is_some_and(|zone| !UTC_ZONES.contains(&zone.value.as_str())) && command.option("isUtc").is_none()
    });
    local.map(|command| Hit::at(command.span, "the hardware clock counts as local time")).into_iter().collect()
}

/// The names of `services`, with their places.
fn services<'a>(sheet: &Sheet<'a>, options: &[&str]) -> Vec<(&'a str, Span)> {
    let lines = sheet.document.commands_named("services").collect::<Vec<_>>();
    let uses = options.iter().flat_map(|option| lines.iter().filter_map(|line| line.option(option)));
    uses.flat_map(|option| option.list().into_iter().map(|name| (name.trim(), option.span))).collect()
}

/// Suffixes of units that are not services (systemd.unit(5) of 219).
const UNITS: [&str; 10] = [".socket", ".timer", ".target", ".path", ".mount", ".automount", ".swap", ".slice", ".device", ".scope"];

fn socket_as_service(sheet: &Sheet<'_>) -> Vec<Hit> {
    let others = services(sheet, &["enabled", "disabled"]).into_iter().filter(|(name, _)| UNITS.iter().any(|unit| name.ends_with(unit)));
    others.map(|(name, span)| Hit::at(span, format!("{name} is looked for as {name}.service"))).collect()
}

/// Services of packages in `@core`. They are there even when a script installs them again.
const OF_CORE: [&str; 11] =
    ["NetworkManager", "sshd", "chronyd", "firewalld", "rsyslog", "crond", "auditd", "postfix", "tuned", "kdump", "network"];

/// At most this many services are looked for in every command.
const MOST_SERVICES: usize = 100;

fn service_not_yet_there(sheet: &Sheet<'_>) -> Vec<Hit> {
    let names = services(sheet, &["enabled"]).into_iter().map(|(name, span)| (name.strip_suffix(".service").unwrap_or(name), span));
    let unknown = names.filter(|(name, _)| !name.is_empty() && !OF_CORE.contains(name) && !sheet.installs(name)).take(MOST_SERVICES);
    let hits = unknown.filter_map(|(name, span)| {
        let line = sheet.post_scripts().flat_map(|script| &script.commands).find_map(|command| brings(command, name))?;
        Some(Hit::at(span, format!("{name} is enabled before the `%post` brings it in line {line}")))
    });
    hits.collect()
}

/// The line in which `command` installs the service's package or writes its unit.
fn brings(command: &Simple, service: &str) -> Option<usize> {
    let installs = match command.name() {
        "yum" | "dnf" => command.arguments().any(|word| ["install", "localinstall"].contains(&word)),
        "rpm" => command.arguments().any(|word| word.starts_with("-i") || word.starts_with("-U") || word == "--install"),
        _ => false,
    };
    if installs && command.arguments().any(|word| is_of(word.rsplit('/').next().unwrap_or_default(), service)) {
        return command.words.first().map(|word| word.span.line);
    }
    let written = match command.name() {
        // A copy of a unit below /usr/lib/systemd does not count: its service is installed already.
        "cp" | "mv" | "install" if !command.arguments().any(|word| word.starts_with("/usr/lib/systemd")) => command.words.last(),
        "curl" | "wget" | "tee" => command.words.iter().find(|word| word.text.contains("/systemd/system/")),
        _ => None,
    };
    let unit = format!("/{service}.service");
    let is_unit = |text: &str| text.contains("/systemd/system/") && text.ends_with(&unit);
    command.writes.iter().chain(written).find(|word| is_unit(&word.text)).map(|word| word.span.line)
}

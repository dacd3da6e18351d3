//! The spelling of single values: host names, packages, modes, keys. Pure functions of the text.

use std::time::Duration;

use super::audit_rules::AUDIT_RULES;
use super::mask::is_variable_name;
use crate::base::fingerprint::{Fingerprint, NotAFingerprint};
use crate::base::host_name::{self, HostName};
use crate::base::public_key::{NotAKey, PublicKey};
use crate::base::size::ByteSize;
use crate::base::text::suggestion;

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The sentence, with the text in it unless that may be a secret.
    pub what: String,
    /// What to write instead.
    pub help: String,
}

/// What a speller says.
pub(super) type Verdict<T = ()> = Result<T, Fault>;

fn fault<T>(what: impl Into<String>, help: impl Into<String>) -> Verdict<T> {
    Err(Fault { what: what.into(), help: help.into() })
}

/// The verdict on `text`, which is not `is_not` when it does not fit.
pub(super) fn ensure(fits: bool, text: &str, is_not: &str, help: &str) -> Verdict {
    if fits { Ok(()) } else { fault(format!("`{text}` is not {is_not}"), help) }
}

/// Whether `text` begins with a byte of `first` and goes on in bytes of `then`.
fn spelled(text: &str, first: impl Fn(u8) -> bool, then: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(first) && bytes.all(then)
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Letters, digits and `others`.
fn or_one_of(others: &[u8]) -> impl Fn(u8) -> bool {
    move |byte| byte.is_ascii_alphanumeric() || others.contains(&byte)
}

/// A name that becomes a file name: of the image, of a provision step.
pub(super) fn name(text: &str) -> Verdict {
    let fits = text.len() <= 100 && spelled(text, alphanumeric, or_one_of(b"._-"));
    ensure(fits, text, "a usable name", "use at most 100 letters, digits, `.`, `-` and `_`, a letter or digit first")
}

/// Text for a place that holds one line.
pub(super) fn line(text: &str) -> Verdict {
    if text.is_empty() {
        fault("this text is empty", "write something, or leave the key out")
    } else if text.chars().any(char::is_control) {
        fault("only one line of printable text fits here", "remove line breaks and control characters")
    } else {
        Ok(())
    }
}

/// A host name.
pub(super) fn hostname(text: &str) -> Verdict {
    ensure(text.parse::<HostName>().is_ok(), text, "a host name", host_name::SPELLING)
}

/// A name of the tz database; it is not known here whether the image has that zone.
pub(super) fn timezone(text: &str) -> Verdict {
    let part = |part: &str| spelled(part, |byte| byte.is_ascii_alphabetic(), or_one_of(b"_+-"));
    ensure(
        text.len() <= 64 && text.split('/').all(part),
        text,
        "a time zone",
        "write it as `timedatectl list-timezones` does, like \"Asia/Shanghai\" or \"UTC\"",
    )
}

/// A locale: `en_US.UTF-8`, `C.UTF-8`.
pub(super) fn locale(text: &str) -> Verdict {
    let fits = text.len() <= 64 && spelled(text, |byte| byte.is_ascii_alphabetic(), or_one_of(b"_.@-"));
    ensure(fits, text, "a locale", "write it as `locale -a` does, like \"en_US.UTF-8\"")
}

/// A console keymap.
pub(super) fn keyboard(text: &str) -> Verdict {
    let fits = text.len() <= 64 && spelled(text, |byte| byte.is_ascii_lowercase(), or_one_of(b"_-"));
    ensure(fits, text, "a keymap", "write it as `localectl list-keymaps` does, like \"us\" or \"de-latin1\"")
}

/// A release's code name.
pub(super) fn suite(text: &str) -> Verdict {
    ensure(
        text.len() <= 32 && spelled(text, |byte| byte.is_ascii_lowercase(), or_one_of(b"-")),
        text,
        "a suite",
        "write the code name, like \"bookworm\"",
    )
}

/// A suite or a component of an apt repository, which may be a deeper path: `stable`, `bookworm/updates`. A suite that ends in `/` has no
/// components.
pub(super) fn apt_word(text: &str) -> Verdict {
    let part = |part: &str| spelled(part, alphanumeric, or_one_of(b"-._+~"));
    ensure(
        text.len() <= 64 && text.split('/').all(part),
        text,
        "the name of a suite or component",
        "write a word of sources.list(5), like \"bookworm\" or \"stable\"; repositories without components are not read",
    )
}

/// A user or group name, as useradd(8) of EL7 and Debian takes it.
pub(super) fn account_name(text: &str) -> Verdict {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let fits = text.len() <= 32 && spelled(text, lower, |byte| lower(byte) || byte.is_ascii_digit() || byte == b'-');
    ensure(fits, text, "an account name", "use at most 32 of a-z, 0-9, `_` and `-`, a letter or `_` first")
}

/// `user:group`.
pub(super) fn owner(text: &str) -> Verdict {
    let fits = text.split_once(':').is_some_and(|(user, group)| account_name(user).is_ok() && account_name(group).is_ok());
    ensure(fits, text, "an owner", "write user and group, like \"root:root\"")
}

/// The id of a rule of the audit.
pub(super) fn audit_rule(text: &str) -> Verdict {
    if AUDIT_RULES.contains(&text) {
        return Ok(());
    }
    let help = match suggestion(text, AUDIT_RULES) {
        Some(meant) => format!("did you mean `{meant}`? `goldsmith image audit --rules` lists all of them"),
        None => "`goldsmith image audit --rules` lists them".to_owned(),
    };
    fault(format!("the audit has no rule `{text}`"), help)
}

/// An absolute path in the image, of a file or directory below `/`.
pub(super) fn absolute_path(text: &str) -> Verdict {
    line(text)?;
    let parts = text.strip_prefix('/').map(|rest| rest.split('/'));
    let fits = text.len() < 4096 && parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255));
    ensure(fits, text, "an absolute path", "begin with `/`, do without `.`, `..`, `//` and a `/` at the end")
}

/// Where a file of the image would not be when the image is used, and why.
const TRANSIENT: [(&[&str], &str); 3] = [
    (&["/dev", "/proc", "/sys"], "is filled by the kernel"),
    (&["/run", "/var/run", "/var/lock"], "is empty at every boot"),
    // `hollow` of stages/seal.sh.
    (
        &[
            "/tmp",
            "/var/tmp",
            "/var/crash",
            "/var/spool/mail",
            "/var/log/journal",
            "/var/log/anaconda",
            "/var/cache/apt/archives",
            "/var/lib/apt/lists",
            "/var/cache/yum",
            "/var/cache/dnf",
        ],
        "is emptied when the image is sealed",
    ),
];

/// An absolute path in the image at which a file can stay.
pub(super) fn lasting_path(text: &str) -> Verdict {
    absolute_path(text)?;
    let below = |directory: &str| text.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for (directories, why) in TRANSIENT {
        if let Some(directory) = directories.iter().find(|directory| below(directory)) {
            return fault(
                format!("`{text}` would not be in the image: {directory} {why}"),
                "put it elsewhere; what is to be in /run or /tmp at every boot is described in /etc/tmpfiles.d (tmpfiles.d(5))",
            );
        }
    }
    Ok(())
}

/// A path on this machine.
pub(super) fn host_path(text: &str) -> Verdict {
    if text.is_empty() || text.contains('\0') {
        fault("this is not a path", "name a file, relative to the recipe")
    } else if text == "~" || text.starts_with("~/") {
        fault("`~` is a shell's word, no path", "write the path out, or relative to the recipe")
    } else {
        Ok(())
    }
}

/// A URL that can be fetched and shown: http or https, without credentials, because the manifest would publish them.
pub(super) fn url(text: &str) -> Verdict {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if host.contains('@') {
        fault("this URL carries credentials, which would be published with the image", "fetch the file beforehand and name its `path`")
    } else if host.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        fault("this is not a URL that can be fetched", "write `https://host/path` or `http://host/path`, without spaces")
    } else {
        Ok(())
    }
}

/// The URL of a directory that files are found below.
pub(super) fn base_url(text: &str) -> Verdict {
    url(text)?;
    ensure(!text.contains(['?', '#']), text, "the URL of a directory", "leave out what begins with `?` or `#`")
}

/// Whether the content of a URL cannot be changed on the way: https, or http that does not leave this machine (W3C, Secure Contexts,
/// section 3.1, "potentially trustworthy origin").
pub(super) fn is_trustworthy(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let host = rest.split('/').next().unwrap_or_default();
    let is_port = |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|own| host.strip_prefix(own).is_some_and(is_port))
}

/// The fingerprint of an OpenPGP key.
pub(super) fn fingerprint(text: &str, help: &str) -> Verdict<Fingerprint> {
    text.parse().map_err(|error: NotAFingerprint| Fault { what: error.to_string(), help: help.to_owned() })
}

/// File permission bits.
pub(super) fn mode(text: &str) -> Verdict<u32> {
    let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits => Ok(mode),
        _ => fault(format!("`{text}` is not a file mode"), "write three or four octal digits, like \"0644\""),
    }
}

/// The unit that a bare number of a size was probably meant to have: `20` is a disk in GiB, `2048` is memory in MiB.
pub(super) fn likely_unit(number: u64) -> &'static str {
    if number < 256 { "G" } else { "M" }
}

/// A size in whole MiB, which partitions are made of.
pub(super) fn size(text: &str) -> Verdict<ByteSize> {
    match text.parse::<ByteSize>() {
        Ok(size) if size.bytes() % ByteSize::mib(1).bytes() == 0 => Ok(size),
        Ok(bytes) if !text.contains(|c: char| c.is_ascii_alphabetic()) => {
            let meant = format!("add a unit: \"{}{}\"", text.trim(), likely_unit(bytes.bytes()));
            fault(format!("`{text}` is a number of bytes, and not a whole number of MiB"), meant)
        }
        Ok(_) => fault(format!("`{text}` is not a whole number of MiB"), "write it with M or G, like \"8G\""),
        Err(_) => fault(format!("`{text}` is not a size"), "write a whole number with M or G, like \"8G\""),
    }
}

/// A time span: `90s`, `30m`, `1h30m`; from one minute to one day.
pub(super) fn duration(text: &str) -> Verdict<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let factor = match rest.as_bytes().get(digits) {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => return fault(format!("`{text}` is not a time span"), "write it with h, m and s, like \"30m\" or \"1h30m\""),
        };
        let more =
            rest[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).and_then(|more| seconds.checked_add(more));
        match more {
            Some(sum) => seconds = sum,
            None => return fault(format!("`{text}` is not a time span"), "write it with h, m and s, like \"30m\" or \"1h30m\""),
        }
        rest = &rest[digits + 1..];
    }
    if (60..=24 * 3600).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        fault(format!("`{text}` is too short or too long"), "a stage gets from \"1m\" to \"24h\"")
    }
}

/// A package, as both yum and apt can be told it without a shell or an option in it.
pub(super) fn package(text: &str) -> Verdict {
    let fits = text.len() <= 200 && spelled(text, or_one_of(b"@*?"), or_one_of(b".+-_:~^=*?@"));
    ensure(fits, text, "a package", "write its name, with a version as `name-version` (RPM) or `name=version` (Debian)")
}

/// The name of an RPM, glob or `@group`: no Debian version.
pub(super) fn rpm_package(text: &str) -> Verdict {
    package(text)?;
    ensure(!text.contains('='), text, "a package of this distribution", "RPM takes versions as `name-version`")
}

/// The name of a Debian package, with a version if any: no groups, no globs.
pub(super) fn debian_package(text: &str) -> Verdict {
    package(text)?;
    // Debian Policy 5.6.1; an architecture may follow after a colon.
    let name = text.split(['=', ':']).next().unwrap_or_default();
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits =
        name.len() >= 2 && spelled(name, lower, |byte| lower(byte) || b"+-.".contains(&byte)) && !text.contains(['@', '*', '?', '^']);
    ensure(
        fits,
        text,
        "a package of this distribution",
        "Debian's names are lower case; a version follows as `name=version`; there are no groups",
    )
}

/// A systemd unit, with or without its suffix.
pub(super) fn unit(text: &str) -> Verdict {
    let fits = text.len() <= 255 && spelled(text, or_one_of(b"_"), or_one_of(b":_.@-\\"));
    ensure(fits, text, "a systemd unit", "write the unit's name, like \"docker\" or \"docker.socket\"")
}

/// A kernel module.
pub(super) fn module(text: &str) -> Verdict {
    ensure(
        text.len() <= 55 && spelled(text, alphanumeric, or_one_of(b"_-")),
        text,
        "a kernel module",
        "write its name, like \"br_netfilter\"",
    )
}

/// A kernel parameter.
pub(super) fn sysctl_key(text: &str) -> Verdict {
    let part = |part: &str| spelled(part, or_one_of(b"_"), or_one_of(b"_-/:"));
    let fits = text.len() <= 200 && text.contains('.') && text.split('.').all(part);
    ensure(fits, text, "a sysctl key", "write it dotted and quoted, like \"net.ipv4.ip_forward\"")
}

/// A kernel parameter's value: tabs may part its words, as the kernel prints them.
pub(super) fn sysctl_text(text: &str) -> Verdict {
    line(&text.replace('\t', " "))
}

/// A word of the kernel command line that GRUB's and the kickstart's quoting leaves alone.
pub(super) fn kernel_argument(text: &str) -> Verdict {
    let fits = text.len() <= 256 && spelled(text, |byte| byte.is_ascii_graphic() && byte != b'-', |byte| byte.is_ascii_graphic());
    let fits = fits && !text.contains(['"', '\'', '\\', '$', '`', '#', ';', '&', '|', '<', '>']);
    ensure(fits, text, "one kernel argument", "write one word per item, without quotes, spaces and shell characters")
}

/// The id of a repository.
pub(super) fn repository_id(text: &str) -> Verdict {
    ensure(
        text.len() <= 64 && spelled(text, alphanumeric, or_one_of(b"._-")),
        text,
        "a repository id",
        "use letters, digits, `.`, `-` and `_`",
    )
}

/// A file below `/etc/yum.repos.d`.
pub(super) fn repository_file(text: &str) -> Verdict {
    let stem = text.strip_suffix(".repo").unwrap_or_default();
    ensure(repository_id(stem).is_ok(), text, "a repository file", "write a file name that ends in `.repo`, without directories")
}

/// The name of an environment variable. Any other text may be the password itself, so it is not repeated.
pub(super) fn variable(text: &str) -> Verdict {
    if is_variable_name(text) {
        Ok(())
    } else {
        fault(
            "`password_env` takes the name of an environment variable",
            "use letters, digits and `_`, like \"ROOT_PASSWORD\", and export it before the build",
        )
    }
}

/// A password hash that every system goldsmith makes can check.
pub(super) fn password_hash(text: &str) -> Verdict {
    let made = "make one with `openssl passwd -6`";
    let in_base64 = |part: &str| part.bytes().all(or_one_of(b"./"));
    if text.starts_with("$y$") || text.starts_with("$gy$") {
        return fault("this is a yescrypt hash, which crypt(3) of EL7 (glibc 2.17) does not know: nobody could log in", made);
    }
    let (method, digits) = match text.get(..3) {
        Some("$6$") => (&text[3..], 86),
        Some("$5$") => (&text[3..], 43),
        _ => return fault("this is not a password hash that starts with $6$ or $5$", made),
    };
    let mut parts: Vec<&str> = method.split('$').collect();
    if let Some(rounds) = parts.first().and_then(|part| part.strip_prefix("rounds=")) {
        if rounds.len() > 9 || !rounds.bytes().all(|byte| byte.is_ascii_digit()) {
            return fault("the rounds of this password hash are not a number", made);
        }
        parts.remove(0);
    }
    match parts.as_slice() {
        // crypt(5): at most 16 characters of salt; with more, the hash never matches.
        [salt, hash] if (1..=16).contains(&salt.len()) && in_base64(salt) && hash.len() == digits && in_base64(hash) => Ok(()),
        _ => fault(format!("this password hash is cut short or garbled: behind a salt of 1 to 16 characters it has {digits} more"), made),
    }
}

/// A line of `authorized_keys`, without options. The key is not repeated: it may be a private one.
pub(super) fn ssh_key(text: &str) -> Verdict {
    text.parse::<PublicKey>().map(drop).map_err(|NotAKey { what, help }| Fault { what: what.to_owned(), help })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Speller = fn(&str) -> Verdict;

    const SHA512: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1 me@here";

    #[test]
    fn every_speller_has_good_and_bad_words() {
        let table: &[(Speller, &[&str], &[&str])] = &[
            (name, &["a", "centos-7.5_x"], &["", "-a", ".a", "a b", "ä", "a/b"]),
            (line, &["a b"], &["", "a\nb", "a\0b", "\u{1b}[1m"]),
            (hostname, &["master", "a.b-c.d", "1a"], &["", "-a", "a-", "a..b", "a_b", "a b", &"a".repeat(64), &"a.".repeat(40)]),
            (timezone, &["UTC", "Asia/Shanghai", "Etc/GMT+1", "America/Argentina/Ushuaia"], &["", "/UTC", "Asia/", "Asia/../x", "a b"]),
            (locale, &["C", "en_US.UTF-8", "sr_RS@latin"], &["", "en US", "-x"]),
            (keyboard, &["us", "de-latin1"], &["", "US", "u s"]),
            (suite, &["bookworm"], &["", "Bookworm", "12", "../x"]),
            (account_name, &["a", "_x", "web-1"], &["", "Root", "1a", "a b", "a:b", &"a".repeat(33)]),
            (owner, &["root:root"], &["root", "root:", ":x", "a:b:c", "0:0"]),
            (absolute_path, &["/a", "/a/b c"], &["", "/", "a", "/a/", "/a//b", "/a/../b", "/./a", "/a\nb"]),
            (
                lasting_path,
                &["/a", "/runner", "/etc/run/x", "/var/log/x", "/var/lib/run/x"],
                &["/run/x", "/tmp/x", "/var/run/x", "/dev/x", "/proc/sys/x", "/sys/x", "/tmp", "/var/tmp/a/b", "/var/lock/x", "tmp"],
            ),
            (host_path, &["a", "../b", "~a"], &["", "a\0", "~/a"]),
            (url, &["https://h/x", "http://[::1]:80/"], &["", "ftp://h", "https://", "https://u:p@h/", "https://h/a b", "https:///x"]),
            (base_url, &["https://h/x", "http://h"], &["h/x", "https://h/?x", "https://h/#x", "https://u:p@h/"]),
            (
                rpm_package,
                &["lvm2", "docker-ce-18.09.6", "@core", "@^minimal", "iwl*-firmware", "3:docker-ce"],
                &["", "-x", "a b", "a;b", "a=1", "$(x)"],
            ),
            (
                debian_package,
                &["docker.io", "g++", "x11=1:2.0~rc+b1-1", "libc6:amd64"],
                &["", "-x", "a", "Docker", "@core", "a*b", "a b", "b;c"],
            ),
            (unit, &["docker", "docker.socket", "getty@tty1.service"], &["", "-x", "a b", "a/b", "a;b"]),
            (module, &["br_netfilter"], &["", "a b", "-x", "a/b", "a.ko"]),
            (
                sysctl_key,
                &["net.ipv4.ip_forward", "net.ipv4.conf.eth0/1.forwarding", "a.b-c"],
                &["", "net.ipv4.conf.*.rp_filter", "swappiness", "a..b", ".a", "a.b=c", "a b.c", "-a.b"],
            ),
            (sysctl_text, &["4096\t87380", "|/bin/x %p"], &["", "a\nb"]),
            (kernel_argument, &["quiet", "console=ttyS0,115200", "a.b=c:d"], &["", "a b", "\"a\"", "$x", "-x", "a;b", "é"]),
            (repository_id, &["kubernetes", "a.b-1"], &["", "-a", "a b", "a]"]),
            (repository_file, &["local.repo"], &["local", ".repo", "a/b.repo", ""]),
            (variable, &["ROOT_PASSWORD", "_x1"], &["", "1a", "a-b", "hunter 2"]),
            (
                ssh_key,
                &[ED25519],
                &[
                    "",
                    "ssh-ed25519",
                    "ssh-ed25519 AAAA",
                    "ssh-dss AAAA",
                    &ED25519[..60],
                    &ED25519.replace("ed25519 ", "rsa "),
                    "-----BEGIN OPENSSH PRIVATE KEY-----",
                ],
            ),
            (
                password_hash,
                &[SHA512, &SHA512.replace("$6$", "$6$rounds=5000$")],
                &[
                    "",
                    "x",
                    "$1$a$b",
                    "$y$j9T$a$b",
                    &SHA512[..90],
                    &SHA512.replace("saltsalt", "saltsaltsaltsalt1"),
                    &SHA512.replace("$6$", "$5$"),
                    &SHA512.replace("$6$", "$6$rounds=x$"),
                    "$6",
                    "$6é",
                ],
            ),
        ];
        for (speller, good, bad) in table {
            good.iter().for_each(|text| assert_eq!(speller(text), Ok(()), "{text}"));
            bad.iter().for_each(|text| assert!(speller(text).is_err(), "{text:?} was accepted"));
        }
    }

    #[test]
    fn http_is_trusted_as_far_as_this_machine() {
        for (url, trusted) in [
            ("https://mirror.example/", true),
            ("http://localhost/x", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:1/", true),
            ("http://mirror.example/", false),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://localhost:80.example/", false),
            ("http://127.0.0.10/", false),
        ] {
            assert_eq!(is_trustworthy(url), trusted, "{url}");
        }
    }

    #[test]
    fn numbers_are_read() {
        for (text, value) in [
            ("0644", Some(0o644)),
            ("755", Some(0o755)),
            ("4755", Some(0o4755)),
            ("0o644", None),
            ("9", None),
            ("00644", None),
            ("+64", None),
        ] {
            assert_eq!(mode(text).ok(), value, "{text}");
        }
        for (text, value) in [
            ("1m", Some(60)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("24h", Some(86400)),
            ("25h", None),
            ("30", None),
            ("", None),
            ("m", None),
            ("99999999999999999999h", None),
            ("5124095576030432h", None),
            ("1é", None),
        ] {
            assert_eq!(duration(text).ok().map(|span| span.as_secs()), value, "{text}");
        }
        for (text, value) in [("8G", Some(8 << 30)), ("0", Some(0)), ("1M", Some(1 << 20)), ("1K", None), ("8", None), ("x", None)] {
            assert_eq!(size(text).ok().map(ByteSize::bytes), value, "{text}");
        }
    }
}

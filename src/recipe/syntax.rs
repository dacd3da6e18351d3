//! The spelling of single values: host names, packages, modes, keys. Pure functions of the text.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::audit_rules::AUDIT_RULES;
use super::mask::is_variable_name;
use crate::base::fault::Fault;
use crate::base::fingerprint::{Fingerprint, NotAFingerprint};
use crate::base::host_name::HostName;
use crate::base::image_path::ImagePath;
use crate::base::local_url::{LocalUrl, NotLocal};
use crate::base::package::PackageName;
use crate::base::repository_id::RepositoryId;
use crate::base::size::ByteSize;
use crate::base::text::{digits, suggestion};
use crate::base::word::{Line, ensure, or_one_of, spelled};

/// The verdict of a spelling check.
pub(super) type Verdict<T = ()> = Result<T, Fault>;

fn fault<T>(what: impl Into<String>, help: impl Into<String>) -> Verdict<T> {
    Err(Fault::new(what, help))
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// A name that becomes a file name: of the image, of a provision step.
pub(super) fn name(text: &str) -> Verdict {
    let fits = text.len() <= 100 && spelled(text, alphanumeric, or_one_of(b"._-"));
    ensure(fits, text, "a usable name", "use at most 100 letters, digits, `.`, `-` and `_`, a letter or digit first")
}

/// Whether `text` is a host, by its name or its IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<HostName>().is_ok()
}

/// Whether `text` is the number of a port.
pub(super) fn is_port(text: &str) -> bool {
    digits::<u16>(text).is_some_and(|port| port > 0)
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

/// Places where a file would not stay in the used image, and why.
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

/// Accept a path in the image where a file stays.
pub(super) fn lasting(path: &ImagePath) -> Verdict {
    let below = |directory: &str| path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for (directories, why) in TRANSIENT {
        if let Some(directory) = directories.iter().find(|directory| below(directory)) {
            return fault(
                format!("`{path}` would not be in the image: {directory} {why}"),
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

/// A URL that the booted system answers to itself.
pub(super) fn local_url(text: &str) -> Verdict<LocalUrl> {
    text.parse().map_err(|error: NotLocal| Fault {
        what: match error {
            NotLocal::Elsewhere(_) => format!("{error}, and the system has no network while it is checked"),
            _ => error.to_string(),
        },
        help: match error {
            NotLocal::Tls => "ask for a URL with http, or ask in a `command` of your own, like `curl --insecure --fail URL`".to_owned(),
            _ => "write it like \"http://127.0.0.1:8080/health\", with `localhost`, 127.0.0.1 or [::1]".to_owned(),
        },
    })
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

/// A kernel parameter's value, with a space between its words; the kernel prints tabs.
pub(super) fn sysctl_text(text: &str) -> Verdict<Line> {
    text.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").parse()
}

/// A package, or a glob of packages, that is kept out.
pub(super) fn excluded(text: &str) -> Verdict<PackageName> {
    let name = PackageName::of_rpm(text)?;
    let help = "name its packages; what a group brings may also be left out by not naming the group";
    if name.group().is_some() { fault(format!("`{text}` is a group, and packages are kept out by their names"), help) } else { Ok(name) }
}

/// A login shell: passwd(5) ends a field at `:`, and neither useradd(8) nor a kickstart takes other signs.
pub(super) fn shell(text: &str) -> Verdict<ImagePath> {
    let path: ImagePath = text.parse()?;
    ensure(text.bytes().all(or_one_of(b"/._+-")), text, "a login shell", "write a program's path, like \"/bin/bash\"")?;
    Ok(path)
}

/// A file below `/etc/yum.repos.d`.
pub(super) fn repository_file(text: &str) -> Verdict {
    let stem = text.strip_suffix(".repo").unwrap_or_default();
    ensure(stem.parse::<RepositoryId>().is_ok(), text, "a repository file", "write a file name that ends in `.repo`, without directories")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::word::one_line;

    type Speller = fn(&str) -> Verdict;

    #[test]
    fn every_speller_has_good_and_bad_words() {
        let table: &[(Speller, &[&str], &[&str])] = &[
            (name, &["a", "centos-7.5_x"], &["", "-a", ".a", "a b", "ä", "a/b"]),
            (one_line, &["a b"], &["", "a\nb", "a\0b", "\u{1b}[1m", "a\u{2028}b"]),
            (suite, &["bookworm"], &["", "Bookworm", "12", "../x"]),
            (host_path, &["a", "../b", "~a"], &["", "a\0", "~/a"]),
            (url, &["https://h/x", "http://[::1]:80/"], &["", "ftp://h", "https://", "https://u:p@h/", "https://h/a b", "https:///x"]),
            (base_url, &["https://h/x", "http://h"], &["h/x", "https://h/?x", "https://h/#x", "https://u:p@h/"]),
            (repository_file, &["local.repo"], &["local", ".repo", "a/b.repo", ""]),
            (variable, &["ROOT_PASSWORD", "_x1"], &["", "1a", "a-b", "hunter 2"]),
        ];
        for (speller, good, bad) in table {
            good.iter().for_each(|text| assert_eq!(speller(text), Ok(()), "{text}"));
            bad.iter().for_each(|text| assert!(speller(text).is_err(), "{text:?} was accepted"));
        }
    }

    #[test]
    fn a_file_stays_where_nothing_empties_the_directory() {
        for path in ["/a", "/runner", "/etc/run/x", "/var/log/x", "/var/lib/run/x"] {
            assert_eq!(lasting(&ImagePath::made(path)), Ok(()), "{path}");
        }
        for path in ["/run/x", "/tmp/x", "/var/run/x", "/dev/x", "/proc/sys/x", "/sys/x", "/tmp", "/var/tmp/a/b", "/var/lock/x"] {
            assert!(lasting(&ImagePath::made(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn values_of_more_than_one_spelling() {
        for (text, value) in
            [("4096\t87380", Some("4096 87380")), ("|/bin/x  %p ", Some("|/bin/x %p")), ("", None), (" ", None), ("a\nb", None)]
        {
            assert_eq!(sysctl_text(text).ok().as_deref(), value, "{text}");
        }
        for (text, fits) in
            [("/bin/bash", true), ("/sbin/nologin", true), ("bash", false), ("/bin/a b", false), ("/bin/a:b", false), ("/\u{e9}", false)]
        {
            assert_eq!(shell(text).is_ok(), fits, "{text}");
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

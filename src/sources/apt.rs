//! The sources of Debian packages: the host's own entries for the wanted suite, so that the build uses the host's mirrors and proxies.
//!
//! A suite's `InRelease` file pins every package of it: it holds the digests of the indexes, which hold those of the packages (Debian
//! repository format, wiki.debian.org/DebianRepository/Format).

use std::fmt::Write as _;

use crate::base::process::ProcessError;
use crate::base::secret::Secret;
use crate::recipe::AptRepository;

/// One line of sources.list(5), for binary packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// Where the repository is, without a user and a password.
    pub uri: String,
    /// `USER:PASSWORD` of the URI, as it is written there. Only apt sees it.
    pub user_info: Option<Secret>,
    /// The suite below `dists`: `bookworm`, `bookworm-updates`.
    pub suite: String,
    /// Components: `main`.
    pub components: Vec<String>,
    /// Value of `Signed-By`: a keyring's path, or nothing for apt's own keyrings.
    pub signed_by: Option<String>,
}

impl AptSource {
    /// A suite of a recipe's repository, whose URL holds no password.
    pub fn of_recipe(repository: &AptRepository) -> Self {
        Self {
            uri: repository.url.clone(),
            user_info: None,
            suite: repository.suite.clone(),
            components: repository.components.clone(),
            signed_by: None,
        }
    }

    /// An entry for `uri`, which may hold a user and a password (RFC 3986, section 3.2.1).
    fn new(uri: &str, suite: String, components: Vec<String>, signed_by: Option<String>) -> Self {
        let parts = uri.split_once("://").and_then(|(scheme, rest)| {
            let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let at = rest[..authority].rfind('@')?;
            Some((format!("{scheme}://{}", &rest[at + 1..]), &rest[..at]))
        });
        match parts {
            Some((uri, user_info)) => Self { uri, user_info: Some(Secret::new(user_info)), suite, components, signed_by },
            None => Self { uri: uri.to_owned(), user_info: None, suite, components, signed_by },
        }
    }

    /// A URL below [`Self::uri`] as apt's programs take it, with user and password.
    pub fn for_apt(&self, url: &str) -> Secret {
        Secret::new(match (&self.user_info, url.split_once("://")) {
            (Some(user_info), Some((scheme, rest))) => format!("{scheme}://{}@{rest}", user_info.reveal()),
            _ => url.to_owned(),
        })
    }

    /// `text` of apt's programs without user and password, in their escaped and unescaped forms.
    pub fn masked(&self, text: &str) -> String {
        let Some(user_info) = &self.user_info else { return text.to_owned() };
        let user_info = user_info.reveal();
        let secret = user_info.split_once(':').map_or(user_info, |(_, password)| password);
        let meant = percent_encoding::percent_decode_str(secret).decode_utf8_lossy();
        let found = [format!("{user_info}@"), secret.to_owned(), meant.into_owned()];
        let mask = |text: String, found: &String| if found.is_empty() { text } else { text.replace(found, "***") };
        found.iter().fold(text.to_owned(), mask)
    }

    /// An error of apt's programs without user and password.
    pub fn masked_error(&self, error: ProcessError) -> ProcessError {
        match error {
            ProcessError::Failed { tool, command_line, status, tail } => {
                ProcessError::Failed { tool, command_line: self.masked(&command_line), status, tail: self.masked(&tail) }
            }
            other => other,
        }
    }

    /// The entry as a line of sources.list(5): what apt reads, not to be shown.
    pub fn line(&self) -> Secret {
        let mut line = String::from("deb ");
        if let Some(keyring) = &self.signed_by {
            let _ = write!(line, "[signed-by={keyring}] ");
        }
        let _ = write!(line, "{} {} {}", self.for_apt(&self.uri).reveal(), self.suite, self.components.join(" "));
        Secret::new(line)
    }

    /// Where the signed index of the suite is.
    pub fn in_release(&self) -> String {
        self.below("InRelease")
    }

    /// Where a package is, by its path below the repository's address.
    pub fn within(&self, path: &str) -> String {
        format!("{}/{path}", self.uri.trim_end_matches('/'))
    }

    /// Where a file of the suite is, by its path below the suite's directory.
    pub fn below(&self, path: &str) -> String {
        format!("{}/dists/{}/{path}", self.uri.trim_end_matches('/'), self.suite)
    }
}

/// The entries among `files` (name and text of the host's source files) that are Debian's own for `release`, without doubles.
///
/// A third party may use Debian's suite names, so the last part of the path decides too: `debian`, `debian-security`.
pub fn debian_sources<'a>(release: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<AptSource> {
    let mut found: Vec<AptSource> = Vec::new();
    let all = files
        .into_iter()
        .flat_map(|(name, text)| if name.ends_with(".sources") { parse_deb822(text) } else { parse_lines(text) })
        .filter(|source| {
            let suite =
                source.suite == release || ["-updates", "-security"].iter().any(|pocket| source.suite == format!("{release}{pocket}"));
            let path = source.uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            suite && matches!(path, "debian" | "debian-security") && source.components.iter().any(|component| component == "main")
        })
        .map(|source| AptSource { components: vec!["main".to_owned()], ..source });
    for source in all {
        if !found.contains(&source) {
            found.push(source);
        }
    }
    found
}

/// Entries of a one-line-style file.
pub fn parse_lines(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix(|c: char| c.is_ascii_whitespace() || c == '[').map(|_| rest.trim_start())?;
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_ascii_whitespace().map(str::to_owned);
    let signed_by = options.split_ascii_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    Some(AptSource::new(&uri, suite, words.collect(), signed_by))
}

/// Entries of a deb822-style file; disabled stanzas and embedded keys are left out (an embedded key is only for the host).
fn parse_deb822(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            sources.extend(stanza_sources(&stanza));
            stanza.clear();
        } else if line.starts_with('#') {
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

/// Whether apt takes `value` for false (apt 2.6, apt-pkg/contrib/strutl.cc, `StringToBool`): a number that is 0 to strtol(3) in base 0, or
/// one of five words. Anything it does not know leaves an entry enabled (apt-pkg/sourcelist.cc, `ParseStanza`).
fn is_no(value: &str) -> bool {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    let is_zero = !digits.is_empty() && digits.bytes().all(|byte| byte == b'0');
    is_zero || ["no", "false", "without", "off", "disable"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn stanza_sources(stanza: &[(String, String)]) -> Vec<AptSource> {
    let field = |name: &str| stanza.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let words = |name: &str| field(name).unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if !words("types").contains(&"deb".to_owned()) || field("enabled").is_some_and(is_no) {
        return Vec::new();
    }
    let signed_by = field("signed-by").filter(|value| value.starts_with('/') && !value.contains('\n')).map(str::to_owned);
    let components = words("components");
    words("uris")
        .iter()
        .flat_map(|uri| words("suites").into_iter().map(move |suite| (uri.clone(), suite)))
        .map(|(uri, suite)| AptSource::new(&uri, suite, components.clone(), signed_by.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://vendor.example/linux/debian
Suites: bookworm
Components: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
";

    #[test]
    fn the_hosts_own_debian_entries_are_found_in_both_styles() {
        let lines = "# deb http://off.example/debian bookworm main\ndeb-src http://mirror.example/debian bookworm main\n\
                     deb [arch=amd64 signed-by=/k.gpg] http://two.example/debian bookworm main\ndeb http://two.example/debian trixie main\n\
                     deb https://apt.vendor.example bookworm main\ndeb http://mirror.example/debian-security/ bookworm-security main contrib # x\n";
        let found: Vec<_> = debian_sources("bookworm", [("a.sources", DEB822), ("b.list", lines)])
            .iter()
            .map(|source| source.line().reveal().to_owned())
            .collect();
        assert_eq!(
            found,
            [
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main",
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm-updates main",
                "deb http://mirror.example/debian-security/ bookworm-security main",
                "deb [signed-by=/k.gpg] http://two.example/debian bookworm main",
            ]
        );
    }

    /// The words of apt's own function, each in the place of `Enabled: no` of the stanza that is off.
    #[test]
    fn all_that_is_false_to_apt_turns_an_entry_off() {
        let is_on = |value: &str| {
            let text = DEB822.replace("Enabled: no", &format!("Enabled: {value}"));
            debian_sources("bookworm", [("a.sources", text.as_str())]).iter().any(|source| source.uri.contains("off.example"))
        };
        for value in ["no", "No", "false", "FALSE", "without", "off", "Off", "disable", "0", "00", "0x0", "+0", "-0"] {
            assert!(!is_on(value), "{value}");
        }
        for value in ["yes", "true", "with", "on", "enable", "1", "2", "disabled", "nope", "0 1"] {
            assert!(is_on(value), "{value}");
        }
    }

    #[test]
    fn a_password_is_for_apt_alone() {
        for (written, uri, said, masked) in [
            (
                "deb http://me:hunter%322@m.example/debian bookworm main",
                "http://m.example/debian",
                "me:hunter%322@m.example hunter%322 hunter22",
                "***m.example *** ***",
            ),
            ("deb https://tok3n@m.example:8080/debian bookworm main", "https://m.example:8080/debian", "E: tok3n", "E: ***"),
            ("deb http://m.example/~a@b/debian bookworm main", "http://m.example/~a@b/debian", "a@b", "a@b"),
            ("deb file:/srv/debian bookworm main", "file:/srv/debian", "file:/srv", "file:/srv"),
        ] {
            let source = parse_lines(written).remove(0);
            assert_eq!((source.uri.as_str(), source.line().reveal()), (uri, written));
            assert_eq!(source.masked(said), masked);
            let shown = format!("{source:?} {}", source.in_release());
            assert!(!shown.contains("hunter") && !shown.contains("tok3n"), "{shown}");
            let real = source.for_apt(&source.in_release());
            assert_eq!(real.reveal(), format!("{}/dists/bookworm/InRelease", written.split(' ').nth(1).unwrap()));
        }
    }

    #[test]
    fn the_signed_index_is_below_dists() {
        let source = parse_lines("deb http://m.example/debian/ bookworm main").remove(0);
        assert_eq!(source.in_release(), "http://m.example/debian/dists/bookworm/InRelease");
    }
}

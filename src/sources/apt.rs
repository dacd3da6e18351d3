//! Where Debian packages come from: the host's own entries for the wanted suite, so that its mirrors and proxies serve the build.
//!
//! A suite's `InRelease` file pins every package of it: it holds the digests of the indexes, and they hold the packages' (Debian
//! repository format, wiki.debian.org/DebianRepository/Format).

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One line of sources.list(5), for binary packages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AptSource {
    /// Where the repository is.
    pub uri: String,
    /// The suite below `dists`: `bookworm`, `bookworm-updates`.
    pub suite: String,
    /// Components: `main`.
    pub components: Vec<String>,
    /// Value of `Signed-By`: a keyring's path, or nothing for apt's own keyrings.
    pub signed_by: Option<String>,
}

impl AptSource {
    /// The entry as a line of sources.list(5).
    pub fn line(&self) -> String {
        let mut line = String::from("deb ");
        if let Some(keyring) = &self.signed_by {
            let _ = write!(line, "[signed-by={keyring}] ");
        }
        let _ = write!(line, "{} {} {}", self.uri, self.suite, self.components.join(" "));
        line
    }

    /// Where the signed index of the suite is.
    pub fn in_release(&self) -> String {
        self.below("InRelease")
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
    let mut seen = BTreeSet::new();
    files
        .into_iter()
        .flat_map(|(name, text)| if name.ends_with(".sources") { parse_deb822(text) } else { parse_lines(text) })
        .filter(|source| {
            let suite =
                source.suite == release || ["-updates", "-security"].iter().any(|pocket| source.suite == format!("{release}{pocket}"));
            let path = source.uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            suite && matches!(path, "debian" | "debian-security") && source.components.iter().any(|component| component == "main")
        })
        .map(|source| AptSource { components: vec!["main".to_owned()], ..source })
        .filter(|source| seen.insert(source.clone()))
        .collect()
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
    Some(AptSource { uri, suite, components: words.collect(), signed_by })
}

/// Entries of a deb822-style file; disabled stanzas and embedded keys are left out (an embedded key is the host's own business).
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

fn stanza_sources(stanza: &[(String, String)]) -> Vec<AptSource> {
    let field = |name: &str| stanza.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let words = |name: &str| field(name).unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if !words("types").contains(&"deb".to_owned()) || field("enabled").is_some_and(|value| value.eq_ignore_ascii_case("no")) {
        return Vec::new();
    }
    let signed_by = field("signed-by").filter(|value| value.starts_with('/') && !value.contains('\n')).map(str::to_owned);
    let components = words("components");
    words("uris")
        .iter()
        .flat_map(|uri| words("suites").into_iter().map(move |suite| (uri.clone(), suite)))
        .map(|(uri, suite)| AptSource { uri, suite, components: components.clone(), signed_by: signed_by.clone() })
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
        let found: Vec<_> = debian_sources("bookworm", [("a.sources", DEB822), ("b.list", lines)]).iter().map(AptSource::line).collect();
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

    #[test]
    fn the_signed_index_is_below_dists() {
        let source = parse_lines("deb http://m.example/debian/ bookworm main").remove(0);
        assert_eq!(source.in_release(), "http://m.example/debian/dists/bookworm/InRelease");
    }
}

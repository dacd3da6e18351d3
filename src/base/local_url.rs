//! URLs that a system answers to itself. Pure.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `http://` and a loopback address: `http://127.0.0.1:8080/health?full`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalUrl {
    /// `localhost`, or an address without brackets.
    pub host: String,
    /// TCP port, not 0.
    pub port: u16,
    /// The request target: a path with its query, in printable ASCII.
    pub target: String,
}

/// The reason why a text is not a [`LocalUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say it")]
pub enum NotLocal {
    #[error("https is not supported: a certificate of localhost cannot be verified")]
    Tls,
    #[error("`{0}` is not a loopback address")]
    Elsewhere(String),
    #[error("this is not a URL of http")]
    Malformed,
}

impl LocalUrl {
    /// The value of the `Host` field for it (RFC 9112, 3.2).
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for LocalUrl {
    type Err = NotLocal;

    fn from_str(text: &str) -> Result<Self, NotLocal> {
        if text.starts_with("https://") {
            return Err(NotLocal::Tls);
        }
        let rest = text.strip_prefix("http://").ok_or(NotLocal::Malformed)?;
        // A fragment is never sent, and credentials would be published.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains('#') {
            return Err(NotLocal::Malformed);
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(NotLocal::Malformed)?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| NotLocal::Malformed)?,
            None if port.is_empty() => 80,
            _ => return Err(NotLocal::Malformed),
        };
        if host.is_empty() || port == 0 || authority.contains('@') {
            return Err(NotLocal::Malformed);
        }
        let loopback = match authority.starts_with('[') {
            true => host.parse::<Ipv6Addr>().map_err(|_| NotLocal::Malformed)?.is_loopback(),
            false => host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        };
        if !loopback {
            return Err(NotLocal::Elsewhere(host.to_owned()));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { host: host.to_owned(), port, target })
    }
}

impl fmt::Display for LocalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.target)
    }
}

impl TryFrom<String> for LocalUrl {
    type Error = NotLocal;

    fn try_from(text: String) -> Result<Self, NotLocal> {
        text.parse()
    }
}

impl From<LocalUrl> for String {
    fn from(url: LocalUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_system_itself() {
        for (text, host, port, target, whole) in [
            ("http://localhost", "localhost", 80, "/", "http://localhost/"),
            ("http://127.0.0.1:8080/a?b=c", "127.0.0.1", 8080, "/a?b=c", "http://127.0.0.1:8080/a?b=c"),
            ("http://127.9.9.9:80?x:@", "127.9.9.9", 80, "/?x:@", "http://127.9.9.9/?x:@"),
            ("http://[::1]:6443/livez", "::1", 6443, "/livez", "http://[::1]:6443/livez"),
        ] {
            let url: LocalUrl = text.parse().unwrap();
            assert_eq!((url.host.as_str(), url.port, url.target.as_str(), &*url.to_string()), (host, port, target, whole), "{text}");
            assert_eq!(whole.parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn others_are_told() {
        for text in [
            "",
            "localhost:80",
            "ftp://localhost",
            "http://",
            "http://:80",
            "http://localhost:",
            "http://localhost:0",
            "http://localhost:65536",
            "http://localhost:+80",
            "http://localhost:8 0/",
            "http://localhost/#a",
            "http://me@localhost/",
            "http://[::1",
            "http://[::1]80",
            "http://[x]",
            "http://localhost/a\r\nb",
            "http://localhost/\u{e9}",
        ] {
            assert_eq!(text.parse::<LocalUrl>(), Err(NotLocal::Malformed), "{text}");
        }
        assert_eq!("https://localhost".parse::<LocalUrl>(), Err(NotLocal::Tls));
        for host in ["example.org", "10.0.0.1", "localhost.lab", "2130706433"] {
            assert_eq!(format!("http://{host}/").parse::<LocalUrl>(), Err(NotLocal::Elsewhere(host.to_owned())));
        }
        assert_eq!("http://[::2]/".parse::<LocalUrl>(), Err(NotLocal::Elsewhere("::2".to_owned())));
    }
}

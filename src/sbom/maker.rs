//! The maker of a package, and its home page, as far as the package's texts are usable.

use super::license::one_line;
use crate::packages::installed::Installed;

/// The origin of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maker {
    /// The text of the package, or the name in it.
    pub(super) name: String,
    /// The address that follows it in `<>` (Debian Policy, 5.6.2; rpm's `Packager` by custom).
    pub(super) email: Option<String>,
}

impl Maker {
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = one_line(text)?;
        let parts = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
        // Red Hat's packager has a URL in `<>`, which is no address.
        let is_address = |text: &str| text.contains('@') && !text.contains([' ', '(', ')', '<', '>', '/']);
        if let Some((name, email)) = parts.filter(|(_, email)| is_address(email)) {
            // If there is only an address, it is also the name.
            let name = one_line(name).unwrap_or_else(|| email.to_owned());
            return Some(Self { name, email: Some(email.to_owned()) });
        }
        Some(Self { name: text, email: None })
    }
}

/// The home page that a package names, when it is a URL (RFC 3986) that a browser would open. Other texts are left out.
pub(super) fn home_page(package: &Installed) -> Option<&str> {
    let url = package.url.as_deref()?.trim();
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.split_once(':').map_or(host, |(host, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { "" });
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_host = host.contains('.') && host.split('.').all(is_label);
    let is_known = ["http", "https", "ftp"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_known && is_host && is_rfc3986(rest)).then_some(url)
}

/// RFC 3986, 2: characters that may stand in a URI, each `%` before two digits, one `#` at most; brackets only enclose IPv6 addresses.
fn is_rfc3986(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte);
    let escaped = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    text.bytes().all(allowed) && text.matches('#').count() <= 1 && text.split('%').skip(1).all(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (text, name, email) in [
            ("Matthias Klose <doko@debian.org>", "Matthias Klose", Some("doko@debian.org")),
            ("<a@b.c>", "a@b.c", Some("a@b.c")),
            ("CentOS BuildSystem <http://bugs.centos.org>", "CentOS BuildSystem <http://bugs.centos.org>", None),
            ("Red  Hat,\nInc. (x)", "Red Hat, Inc. (x)", None),
        ] {
            assert_eq!(Maker::of(text).unwrap(), Maker { name: name.into(), email: email.map(Into::into) });
        }
        assert_eq!(Maker::of(" "), None);
    }

    #[test]
    fn only_urls_are_home_pages() {
        for (url, is_one) in [
            ("https://www.gnu.org/software/bash", true),
            ("http://tiswww.case.edu:80/php/%7Echet?a=[", false),
            ("http://tiswww.case.edu:80/php/%7Echet?a=(1)", true),
            ("HTTP://example.org", true),
            ("https://example.org/a b", false),
            ("https://example.org/%zz", false),
            ("https://example.org/%é", false),
            ("https://localhost/", false),
            ("https://exa_mple..org/", false),
            ("https://example.org:x/", false),
            ("javascript://example.org", false),
            ("www.example.org", false),
            ("none", false),
        ] {
            let package = Installed { url: Some(url.into()), ..Installed::default() };
            assert_eq!(home_page(&package).is_some(), is_one, "{url}");
        }
    }
}

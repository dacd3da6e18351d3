//! Resolves the `href` by which an index names a file.
//!
//! yum 3.4.3 joins `href` to the repository's address and hands the whole to urlgrabber, so it is an address and not a path: `a%2Bb.rpm` is the
//! file `a+b.rpm`, and so is `./a+b.rpm` (urlgrabber 3.10, grabber.py, `URLParser.parse`: a `%` is left alone only where every one begins an
//! escape, else the whole is taken for a plain path).

use crate::packages::input::is_within;

/// The path, below the directory around `repodata`, that yum opens for `href`.
///
/// # Errors
/// It leads somewhere else, in words that fit after the name.
pub fn local_path(href: &str) -> Result<String, &'static str> {
    if href.contains("://") {
        return Err("is a whole address, and yum looks for it below the repository's own");
    }
    if href.contains(['?', '#']) {
        return Err("has a `?` or `#`, at which yum ends the path");
    }
    let decoded = decoded(href).ok_or("is not UTF-8 once its escapes are read")?;
    let parts: Vec<&str> = decoded.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let path = parts.join("/");
    match is_within(&path) {
        true => Ok(path),
        false => Err("is no path within the repository"),
    }
}

/// The address, below the repository's own, that yum asks a server for: `href` without each `./` and `/` at its beginning. If it is no
/// escaped text, its `%` are escaped, since it then means the file of exactly that name.
pub fn address(href: &str) -> String {
    let mut plain = href;
    while let Some(rest) = plain.strip_prefix("./").or_else(|| plain.strip_prefix('/')) {
        plain = rest;
    }
    match decoded(href).as_deref() == Some(href) {
        true => plain.replace('%', "%25"),
        false => plain.to_owned(),
    }
}

/// `href` with its escapes read, when all that look like escapes are some; `None` when the result is no text.
fn decoded(href: &str) -> Option<String> {
    let bytes = href.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    // OK to cast: two hexadecimal digits are at most 255.
    let escape = |at: usize| Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8);
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if href.contains(' ') || escapes.clone().any(|(at, _)| escape(at).is_none()) {
        return Some(href.to_owned());
    }
    let (mut path, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match escape(at).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                path.push(byte);
                at += 3;
            }
            None => {
                path.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_escapes() {
        for (href, expected) in [
            ("repodata/primary.xml.gz", "repodata/primary.xml.gz"),
            (".//./a.rpm", "a.rpm"),
            ("repodata/a%23b.xml.gz", "repodata/a%23b.xml.gz"),
            ("P/gcc-c%2B%2b.rpm", "P/gcc-c%2B%2b.rpm"),
            ("P/gcc-c++.rpm", "P/gcc-c++.rpm"),
            ("a%zz%2B.rpm", "a%25zz%252B.rpm"),
            ("a%2B b.rpm", "a%252B b.rpm"),
        ] {
            assert_eq!(address(href), expected, "{href}");
        }
    }

    #[test]
    fn an_href_is_read_as_yum_reads_it() {
        for (href, expected) in [
            ("a.rpm", Ok("a.rpm")),
            ("./a.rpm", Ok("a.rpm")),
            ("Packages//./g/gcc-c++.rpm", Ok("Packages/g/gcc-c++.rpm")),
            ("Packages/g/gcc-c%2B%2b.rpm", Ok("Packages/g/gcc-c++.rpm")),
            ("/a.rpm", Ok("a.rpm")),
            ("a~1^2.rpm", Ok("a~1^2.rpm")),
            ("a%C3%A4.rpm", Ok("aä.rpm")),
            // One `%` begins no escape, so none of them counts as one.
            ("a%2B%zz.rpm", Ok("a%2B%zz.rpm")),
            ("a%2", Ok("a%2")),
            ("a%2B b.rpm", Ok("a%2B b.rpm")),
            ("", Err("is no path within the repository")),
            ("./", Err("is no path within the repository")),
            ("../a.rpm", Err("is no path within the repository")),
            ("x/%2e%2e/a.rpm", Err("is no path within the repository")),
            ("a%00.rpm", Err("is no path within the repository")),
            ("a%5Cb.rpm", Err("is no path within the repository")),
            ("a%ff.rpm", Err("is not UTF-8 once its escapes are read")),
            ("http://x/a.rpm", Err("is a whole address, and yum looks for it below the repository's own")),
            ("a.rpm?token=1", Err("has a `?` or `#`, at which yum ends the path")),
            ("a.rpm#1", Err("has a `?` or `#`, at which yum ends the path")),
        ] {
            assert_eq!(local_path(href).as_deref(), expected.as_ref().map(|path| *path), "{href}");
        }
    }
}

//! Orders of versions that boot loaders sort their menus by.

use std::cmp::Ordering;

use crate::packages::version::rpm_order;

/// The order of two entries of GRUB's `blscfg`, by the names of their files without `.conf`: name, version and release, which the last two
/// hyphens divide, are compared as rpm does (grub2 2.06 of Fedora, grub-core/commands/blscfg.c, `bls_cmp`).
pub(super) fn file_name_order(a: &str, b: &str) -> Ordering {
    parts(a).into_iter().zip(parts(b)).map(|(a, b)| rpm_order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Name, version, release (`split_package_string`). With one hyphen there is no release, and what follows it is the version.
fn parts(id: &str) -> [&str; 3] {
    match id.rsplit_once('-') {
        None => [id, "", ""],
        Some((rest, last)) => match rest.rsplit_once('-') {
            None => [rest, last, ""],
            Some((name, version)) => [name, version, last],
        },
    }
}

/// The order of two versions by the UAPI group's Version Format Specification (UAPI.10), as systemd 252 has it
/// (src/fundamental/string-util-fundamental.c, `strverscmp_improved`).
pub(super) fn version_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let is_valid = |c: &u8| c.is_ascii_alphanumeric() || b"~-^.".contains(c);
    loop {
        (a, b) = (skip(a, |c| !is_valid(c)), skip(b, |c| !is_valid(c)));
        for mark in *b"~-^." {
            // The text that has this mark is the older one; only `~` is still older than the end.
            if mark == b'-' && (a.is_empty() || b.is_empty()) {
                return a.len().cmp(&b.len());
            }
            match (a.first() == Some(&mark), b.first() == Some(&mark)) {
                (true, true) => (a, b) = (&a[1..], &b[1..]),
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => {}
            }
        }
        let is_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let (left, right, order);
        if is_digit(a) || is_digit(b) {
            ((left, a), (right, b)) = (run(a, u8::is_ascii_digit), run(b, u8::is_ascii_digit));
            let (x, y) = (skip(left, |c| *c == b'0'), skip(right, |c| *c == b'0'));
            // A number is newer than no number.
            order = (!left.is_empty()).cmp(&!right.is_empty()).then(x.len().cmp(&y.len())).then_with(|| x.cmp(y));
        } else {
            ((left, a), (right, b)) = (run(a, u8::is_ascii_alphabetic), run(b, u8::is_ascii_alphabetic));
            order = left.cmp(right);
        }
        if order.is_ne() {
            return order;
        }
    }
}

fn skip(text: &[u8], what: impl Fn(&u8) -> bool) -> &[u8] {
    run(text, what).1
}

/// The beginning of `text` that is all `what`, and the rest.
fn run(text: &[u8], what: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|c| !what(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn rising(order: fn(&str, &str) -> Ordering, versions: &[&str]) {
        for (at, a) in versions.iter().enumerate() {
            for (other, b) in versions.iter().enumerate() {
                assert_eq!(order(a, b), at.cmp(&other), "{a} {b}");
            }
        }
    }

    #[test]
    fn versions_rise_as_the_specification_says() {
        // The list in the comment of `strverscmp_improved`.
        let listed = "122.1 123~rc1-1 123 123-a 123-a.1 123-1 123-1.1 123^post1 123.a-1 123.1-1 123a-1 124-1";
        rising(version_order, &listed.split(' ').collect::<Vec<_>>());
        rising(version_order, &["", "a", "ab", "b", "1", "9", "10"]);
        for (a, b) in [("123_a", "123a"), ("007", "7"), ("1", "1"), ("~", "~"), ("-", "-"), ("1.", "1.")] {
            assert_eq!(version_order(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn entries_of_blscfg_rise_by_name_version_and_release() {
        let id = "0f0d61a9d8d64cd6a7d2d6d5fb0b0c0b";
        let named = |rest: &str| format!("{id}-{rest}");
        let names =
            ["0-rescue", "4.18.0-9.el8.x86_64", "4.18.0-80.el8.x86_64", "4.18.0-80.1.2.el8_0.x86_64", "5.14.0-1.el9.x86_64"].map(named);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        rising(file_name_order, &names);
        rising(file_name_order, &["", "a", "a-1", "a-1-1", "a-1-2", "a-2-1", "b"]);
    }
}

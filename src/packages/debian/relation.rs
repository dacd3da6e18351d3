//! Relations between packages: `libc6 (>= 2.34), default-mta | mail-transport-agent`.
//!
//! deb-control(5) and Debian Policy, section 7.1. Architecture lists and build profiles stand in source packages only.

use crate::packages::error::{Problem, malformed};
use crate::packages::version::Op;

/// A package, with an architecture it may be tied to and a bound on its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relation<'a> {
    pub(super) name: &'a str,
    /// `any`, `amd64`.
    pub(super) qualifier: Option<&'a str>,
    pub(super) bound: Option<(Op, &'a str)>,
}

/// Call `each` with every relation of `text`, and whether another is an alternative to it.
pub(super) fn relations<'a>(text: &'a str, mut each: impl FnMut(Relation<'a>, bool)) -> Result<(), Problem> {
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let length = memchr::memchr2(b',', b'|', rest.as_bytes()).unwrap_or(rest.len());
        let (one, after) = rest.split_at(length);
        let alternative = after.starts_with('|');
        match parse(one.trim_ascii()) {
            Some(relation) => each(relation, alternative),
            // dpkg and apt ignore a superfluous comma.
            None if one.trim_ascii().is_empty() && !alternative => {}
            None => return Err(malformed(format_args!("`{}` is no relation to a package", one.trim_ascii()))),
        }
        rest = after.get(1..).unwrap_or_default().trim_ascii_start();
        if alternative && rest.is_empty() {
            return Err(malformed("`|` has nothing after it"));
        }
    }
    Ok(())
}

fn parse(text: &str) -> Option<Relation<'_>> {
    let (name, bound) = match memchr::memchr(b'(', text.as_bytes()) {
        None => (text, None),
        Some(at) => (text[..at].trim_ascii_end(), Some(parse_bound(text[at + 1..].strip_suffix(')')?.trim_ascii())?)),
    };
    let (name, qualifier) = match memchr::memchr(b':', name.as_bytes()) {
        None => (name, None),
        Some(at) => (&name[..at], Some(&name[at + 1..])),
    };
    let word = |text: &str| !text.is_empty() && memchr::memchr3(b' ', b'\t', b'\n', text.as_bytes()).is_none();
    (word(name) && qualifier.is_none_or(word)).then_some(Relation { name, qualifier, bound })
}

fn parse_bound(text: &str) -> Option<(Op, &str)> {
    let (op, length) = match text.as_bytes() {
        [b'<', b'<', ..] => (Op::Lt, 2),
        [b'<', b'=', ..] => (Op::Le, 2),
        [b'>', b'>', ..] => (Op::Gt, 2),
        [b'>', b'=', ..] => (Op::Ge, 2),
        [b'=', ..] => (Op::Eq, 1),
        // The old forms: `<` and `>` include the bound itself.
        [b'<', ..] => (Op::Le, 1),
        [b'>', ..] => (Op::Ge, 1),
        _ => return None,
    };
    let version = text[length..].trim_ascii_start();
    (!version.is_empty() && memchr::memchr3(b' ', b'\t', b'\n', version.as_bytes()).is_none()).then_some((op, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(Relation<'_>, bool)>, String> {
        let mut all = Vec::new();
        relations(text, |relation, alternative| all.push((relation, alternative))).map_err(|problem| problem.to_string())?;
        Ok(all)
    }

    #[test]
    fn relations_are_taken_apart() {
        let relation = |name, qualifier, bound| Relation { name, qualifier, bound };
        let found = all("libc6 (>= 2.34), a|b (<<1:2~) | c:any,\n python3:any(= 3.9-1) , d (> 1), e ( <= 2 ),").unwrap();
        let expected = [
            (relation("libc6", None, Some((Op::Ge, "2.34"))), false),
            (relation("a", None, None), true),
            (relation("b", None, Some((Op::Lt, "1:2~"))), true),
            (relation("c", Some("any"), None), false),
            (relation("python3", Some("any"), Some((Op::Eq, "3.9-1"))), false),
            (relation("d", None, Some((Op::Ge, "1"))), false),
            (relation("e", None, Some((Op::Le, "2"))), false),
        ];
        assert_eq!(found, expected);
        assert_eq!(all(" ").unwrap(), []);
    }

    #[test]
    fn what_is_no_relation_is_named() {
        for (text, words) in [
            ("a (>= 1", "`a (>= 1` is no relation"),
            ("a (1)", "`a (1)` is no relation"),
            ("a (>=)", "`a (>=)` is no relation"),
            ("a (>= 1 2)", "`a (>= 1 2)` is no relation"),
            ("a b", "`a b` is no relation"),
            ("a [amd64]", "`a [amd64]` is no relation"),
            ("a:", "`a:` is no relation"),
            ("| a", "`` is no relation"),
            ("a |", "`|` has nothing after it"),
            (")(", "`)(` is no relation"),
        ] {
            let error = all(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

//! The order of versions, as RPM and as dpkg see it.

use std::cmp::Ordering;

/// Which program's order of versions holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `[EPOCH:]VERSION[-RELEASE]`, compared as rpm does (rpm 4.15, rpmio/rpmvercmp.c; 4.11 of EL7 knows no `^`).
    Rpm,
    /// `[EPOCH:]UPSTREAM[-REVISION]`, compared as dpkg does (deb-version(7)).
    Debian,
}

/// A version taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The epoch; 0 when there is none.
    pub epoch: u64,
    /// Version, or upstream version.
    pub version: &'a str,
    /// Release, or Debian revision.
    pub release: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Take `text` apart. An epoch that is no number counts as 0, as for rpm.
    pub fn of(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, text),
        };
        match rest.rsplit_once('-') {
            Some((version, release)) => Self { epoch, version, release: Some(release) },
            None => Self { epoch, version: rest, release: None },
        }
    }
}

impl Scheme {
    /// The order of two versions.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        let (a, b) = (Parts::of(a), Parts::of(b));
        match self {
            Self::Rpm => a
                .epoch
                .cmp(&b.epoch)
                .then_with(|| rpm_order(a.version, b.version))
                .then_with(|| rpm_order(a.release.unwrap_or(""), b.release.unwrap_or(""))),
            Self::Debian => a
                .epoch
                .cmp(&b.epoch)
                .then_with(|| debian_order(a.version, b.version))
                .then_with(|| debian_order(a.release.unwrap_or("0"), b.release.unwrap_or("0"))),
        }
    }

    /// As [`Scheme::compare`], for a relation: where one of the two names no release, rpm compares none (lib/rpmds.c, `rpmdsCompare`).
    pub fn compare_in_relation(self, a: &str, b: &str) -> Ordering {
        let (left, right) = (Parts::of(a), Parts::of(b));
        if self == Self::Rpm && (left.release.is_none() || right.release.is_none()) {
            return left.epoch.cmp(&right.epoch).then_with(|| rpm_order(left.version, right.version));
        }
        self.compare(a, b)
    }
}

/// The order of two versions, or of two releases: runs of digits as numbers, runs of letters as text, everything else separates. `~` is
/// older than the end of the text, `^` newer than the end and older than everything else.
pub fn rpm_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let is_mark = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'~' | b'^');
    loop {
        a = skip(a, |c| !is_mark(c));
        b = skip(b, |c| !is_mark(c));
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => (a, b) = (&a[1..], &b[1..]),
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(first), Some(_)) => {
                let digits = first.is_ascii_digit();
                let same = |c: &u8| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
                let (left, right);
                (left, a) = a.split_at(a.len() - skip(a, same).len());
                (right, b) = b.split_at(b.len() - skip(b, same).len());
                // A number is newer than a word.
                if right.is_empty() {
                    return if digits { Ordering::Greater } else { Ordering::Less };
                }
                let order = if digits { number_order(left, right) } else { left.cmp(right) };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// dpkg's order: text without digits by letters before everything else and `~` before the end, then digits as a number, in turn.
fn debian_order(a: &str, b: &str) -> Ordering {
    let weight = |c: Option<&u8>| match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let more = |text: &[u8]| text.first().is_some_and(|c| !c.is_ascii_digit());
    while !a.is_empty() || !b.is_empty() {
        while more(a) || more(b) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let (left, right);
        (left, a) = a.split_at(a.len() - skip(a, u8::is_ascii_digit).len());
        (right, b) = b.split_at(b.len() - skip(b, u8::is_ascii_digit).len());
        let order = number_order(left, right);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The order of two runs of digits of any length.
fn number_order(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (skip(a, |c| *c == b'0'), skip(b, |c| *c == b'0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn skip(text: &[u8], what: impl Fn(&u8) -> bool) -> &[u8] {
    &text[text.iter().position(|c| !what(c)).unwrap_or(text.len())..]
}

/// How a relation bounds a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Op {
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
}

impl Op {
    /// Whether something that stands in `order` to the bound is within it.
    pub fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
            Self::Eq => order == Ordering::Equal,
            Self::Ge => order != Ordering::Less,
            Self::Gt => order == Ordering::Greater,
        }
    }

    /// As RPM and people write it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Eq => "=",
            Self::Ge => ">=",
            Self::Gt => ">",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways(scheme: Scheme, a: &str, b: &str, order: Ordering) {
        assert_eq!(scheme.compare(a, b), order, "{scheme:?} {a} {b}");
        assert_eq!(scheme.compare(b, a), order.reverse(), "{scheme:?} {b} {a}");
    }

    #[test]
    fn rpm_orders_as_its_own_vectors_say() {
        use Ordering::*;
        // rpm's tests/rpmvercmp.at.
        for (a, b, order) in [
            ("1.0", "1.0", Equal),
            ("1.0", "2.0", Less),
            ("2.0.1", "2.0.1", Equal),
            ("2.0", "2.0.1", Less),
            ("2.0.1a", "2.0.1", Greater),
            ("5.5p1", "5.5p2", Less),
            ("5.5p10", "5.5p1", Greater),
            ("10xyz", "10.1xyz", Less),
            ("xyz10", "xyz10.1", Less),
            ("xyz.4", "xyz.4", Equal),
            ("xyz.4", "8", Less),
            ("xyz.4", "2", Less),
            ("5.5p2", "5.6p1", Less),
            ("5.6p1", "6.5p1", Less),
            ("6.0.rc1", "6.0", Greater),
            ("10b2", "10a1", Greater),
            ("1.0aa", "1.0a", Greater),
            ("10.0001", "10.1", Equal),
            ("10.0001", "10.0039", Less),
            ("4.999.9", "5.0", Less),
            ("20101121", "20101122", Less),
            ("2_0", "2.0", Equal),
            ("a", "a", Equal),
            ("a+", "a_", Equal),
            ("+_", "_+", Equal),
            ("+", "_", Equal),
            ("1.0~rc1", "1.0", Less),
            ("1.0~rc1", "1.0~rc2", Less),
            ("1.0~rc1~git123", "1.0~rc1", Less),
            ("1.0^", "1.0", Greater),
            ("1.0^git1", "1.0^git2", Less),
            ("1.0^git1", "1.01", Less),
            ("1.0^20160101", "1.0.1", Less),
            ("1.0~rc1^git1", "1.0~rc1", Greater),
            ("1.0^git1~pre", "1.0^git1", Less),
        ] {
            both_ways(Scheme::Rpm, a, b, order);
        }
        both_ways(Scheme::Rpm, "3:18.09.6-3.el7", "1:18.09.9-3.el7", Greater);
        both_ways(Scheme::Rpm, "3.10.0-862.el7", "3.10.0-862.2.3.el7", Less);
    }

    #[test]
    fn a_relation_without_a_release_ignores_releases() {
        let order = |a, b| Scheme::Rpm.compare_in_relation(a, b);
        assert_eq!(order("1.2-3", "1.2"), Ordering::Equal);
        assert_eq!(order("1.2-3", "1.2-4"), Ordering::Less);
        assert_eq!(order("1:1.2-3", "1.2"), Ordering::Greater);
    }

    #[test]
    fn debian_orders_as_dpkg() {
        use Ordering::*;
        for (a, b, order) in [
            ("1.0", "1.0-0", Equal),
            ("1.0-1", "1.0", Greater),
            ("1:0.1", "9", Greater),
            ("1.0~rc1", "1.0", Less),
            ("1.0~~", "1.0~", Less),
            ("1.0a", "1.0+", Less),
            ("1.0.2", "1.0.10", Less),
            ("1.001", "1.1", Equal),
            ("5.2.15-2+b2", "5.2.15-2", Greater),
            ("20.10.24+dfsg1-1+deb12u1", "20.10.24+dfsg1-1", Greater),
            ("1.0-1-1", "1.0-2", Greater),
            ("a", "1", Greater),
        ] {
            both_ways(Scheme::Debian, a, b, order);
        }
    }
}

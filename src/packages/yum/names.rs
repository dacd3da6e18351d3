//! The names that yum takes for a package, and patterns of them.

use super::evr::Evr;

/// What a package is called: `NAME`, `NAME.ARCH`, `NAME-VERSION-RELEASE.ARCH`, `NAME-VERSION`, `NAME-VERSION-RELEASE`,
/// `EPOCH:NAME-VERSION-RELEASE.ARCH` and `NAME-EPOCH:VERSION-RELEASE.ARCH`, and by no other form (yum 3.4.3, yum/packages.py,
/// `buildPkgRefDict`; yum/sqlitesack.py, `_setupPkgObjList`).
pub(super) fn forms(name: &str, evr: Evr<'_>, arch: &str) -> [String; 7] {
    let Evr { epoch, version, release } = evr;
    let release = release.unwrap_or_default();
    [
        name.to_owned(),
        format!("{name}.{arch}"),
        format!("{name}-{version}-{release}.{arch}"),
        format!("{name}-{version}"),
        format!("{name}-{version}-{release}"),
        format!("{epoch}:{name}-{version}-{release}.{arch}"),
        format!("{name}-{epoch}:{version}-{release}.{arch}"),
    ]
}

/// Whether yum takes `text` for a pattern (yum 3.4.3, yum/misc.py, `re_glob`).
pub(in crate::packages) fn is_pattern(text: &str) -> bool {
    // At least one character stands between the brackets.
    let class = text.find('[').and_then(|open| text[open + 1..].rfind(']'));
    text.contains(['*', '?']) || class.is_some_and(|close| close > 0)
}

/// Whether yum holds `text` against all forms, and not only against names (yum 3.4.3, yum/misc.py, `re_full_search_needed`): something
/// follows a `-`, a `.` or a wildcard, or it begins with an epoch.
pub(super) fn is_of_all_forms(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next_back();
    let begun = chars.as_str();
    let class = begun.find('[').and_then(|open| begun[open + 1..].rfind(']'));
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    begun.contains(['-', '.', '*', '?']) || class.is_some_and(|close| close > 0) || digits > 0 && text[digits..].starts_with(':')
}

/// The program whose patterns they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite's `GLOB` (sqlite.org/lang_expr.html): `[^a]`, and a `[` that nothing closes matches nothing. Repositories are searched so.
    Sql,
    /// Python 2.7's fnmatch: `[!a]`, and a `[` that nothing closes stands for itself. What is chosen already is searched so.
    Python,
}

/// A pattern.
pub(super) struct Glob {
    parts: Vec<Part>,
}

enum Part {
    /// Any text.
    Any,
    /// One character.
    One,
    Char(char),
    /// One of these characters, or none of them.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Nothing matches.
    Never,
}

impl Glob {
    pub(super) fn new(text: &str, dialect: Dialect) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let (mut parts, mut at) = (Vec::new(), 0);
        while let Some(&first) = chars.get(at) {
            at += 1;
            parts.push(match first {
                '*' if matches!(parts.last(), Some(Part::Any)) => continue,
                '*' => Part::Any,
                '?' => Part::One,
                '[' => match class(&chars[at..], dialect) {
                    Some((part, length)) => {
                        at += length;
                        part
                    }
                    None if dialect == Dialect::Python => Part::Char('['),
                    None => Part::Never,
                },
                other => Part::Char(other),
            });
        }
        Self { parts }
    }

    /// The text that everything begins with that it matches.
    pub(super) fn prefix(&self) -> String {
        let literal = |part: &Part| if let Part::Char(c) = part { Some(*c) } else { None };
        self.parts.iter().map_while(literal).collect()
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        // After the last `*`: what follows it in the pattern, and how much of the text it has taken.
        let (mut part, mut rest, mut back) = (0, text, None);
        loop {
            let mut chars = rest.chars();
            match (self.parts.get(part), chars.next()) {
                (Some(Part::Any), _) => {
                    part += 1;
                    back = Some((part, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(c)) if wanted.takes(c) => {
                    (part, rest) = (part + 1, chars.as_str());
                    continue;
                }
                _ => {}
            }
            let Some((after, from)) = back else { return false };
            let mut taken = from.chars();
            if taken.next().is_none() {
                return false;
            }
            (part, rest, back) = (after, taken.as_str(), Some((after, taken.as_str())));
        }
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::Never => false,
            Self::One => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        }
    }
}

/// The class that `chars` begin with, after its `[`, and its length with the `]`.
fn class(chars: &[char], dialect: Dialect) -> Option<(Part, usize)> {
    let sign = if dialect == Dialect::Sql { '^' } else { '!' };
    let negated = chars.first() == Some(&sign);
    let start = usize::from(negated);
    // A `]` that comes first belongs to the class.
    let end = start + 1 + chars.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let (mut ranges, mut at) = (Vec::new(), start);
    while at < end {
        match chars[at..end] {
            [from, '-', to, ..] => {
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((chars[at], chars[at]));
                at += 1;
            }
        }
    }
    Some((Part::Class { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_told_from_names() {
        for (text, pattern, all_forms) in [
            ("docker", false, false),
            ("docker-ce", false, true),
            ("docker-", false, false),
            ("docker.x86_64", false, true),
            ("3:docker", false, true),
            ("x:docker", false, false),
            ("dock*", true, false),
            ("dock*r", true, true),
            ("docke?", true, false),
            ("a[bc]", true, false),
            ("a[bc]d", true, true),
            ("a[]", false, false),
            ("a]b[", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_pattern(text), is_of_all_forms(text)), (pattern, all_forms), "{text}");
        }
    }

    #[test]
    fn globs_match_as_their_dialect_says() {
        for (pattern, text, sql, python) in [
            ("a*", "a", true, true),
            ("a*", "ba", false, false),
            ("*a*b*c", "xaybzbc", true, true),
            ("*a*b*c", "xaybzcb", false, false),
            ("a?c", "abc", true, true),
            ("a?c", "ac", false, false),
            ("a[b-d]e", "ace", true, true),
            ("a[^b]", "ac", true, false),
            ("a[!b]", "ac", false, true),
            ("a[!b]", "a!", true, true),
            ("a[^b]", "a^", true, true),
            ("a[]]b", "a]b", true, true),
            ("a[b", "a[b", false, true),
            ("***", "", true, true),
            ("*é?", "aéß", true, true),
            ("[z-a]", "b", false, false),
        ] {
            let of = |dialect| Glob::new(pattern, dialect).matches(text);
            assert_eq!((of(Dialect::Sql), of(Dialect::Python)), (sql, python), "{pattern} {text}");
        }
        assert_eq!(Glob::new("iwl*-firmware", Dialect::Sql).prefix(), "iwl");
    }

    #[test]
    fn there_are_seven_forms() {
        let forms = forms("docker-ce", Evr::of("3:18.09.6-3.el7"), "x86_64");
        assert_eq!(forms[4..], ["docker-ce-18.09.6-3.el7", "3:docker-ce-18.09.6-3.el7.x86_64", "docker-ce-3:18.09.6-3.el7.x86_64"]);
    }
}

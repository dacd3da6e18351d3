//! Patterns of file names: `*`, `?`, `[a-z]`, `[!a]` and a backslash before a literal character (glob(7)).

/// Whether `text` fits `pattern`. Both are read character by character, so the time is at most the product of their lengths.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where the last star was, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, place));
            at += 1;
            continue;
        }
        match text.get(place) {
            None if at == pattern.len() => return true,
            Some(c) => {
                if let Some(next) = one(&pattern, at, *c) {
                    (at, place) = (next, place + 1);
                    continue;
                }
            }
            None => return false,
        }
        let Some((after, reach)) = star else { return false };
        if reach == text.len() {
            return false;
        }
        star = Some((after, reach + 1));
        (at, place) = (after, reach + 1);
    }
}

/// Where the pattern goes on if its part at `at` fits `c`; `None` if it does not fit.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '\\' => (pattern.get(at + 1) == Some(&c)).then_some(at + 2),
        '[' => set(pattern, at + 1, c),
        other => (other == c).then_some(at + 1),
    }
}

/// Where the pattern goes on if `c` is in the set that begins at `at`; `None` if it is not. A set without an end fits nothing.
fn set(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let is_not = matches!(pattern.get(at), Some('!' | '^'));
    let first = at + usize::from(is_not);
    let (mut at, mut fits) = (first, false);
    loop {
        let low = *pattern.get(at)?;
        if low == ']' && at > first {
            return (fits != is_not).then_some(at + 1);
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some('-'), Some(high)) if *high != ']' => {
                fits |= (low..=*high).contains(&c);
                at += 3;
            }
            _ => {
                fits |= low == c;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_or_do_not() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("debian-*", "debian-6.1.conf", true),
            ("debian-*.conf", "debian-6.1.conf", true),
            ("debian-*.conf", "debian-6.1.efi", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[abc", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("é?", "éü", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!fits(&"*a".repeat(2_000), &"a".repeat(1_000)));
    }
}

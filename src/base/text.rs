//! Small things about text.

/// The candidate that `typed` was probably meant to be, or nothing when none is close.
///
/// Jaro-Winkler of 0.8 is the bar: below it the guesses of users' typing errors are noise.
pub fn suggestion<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&typed.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(closeness, _)| *closeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `text` as one word of a POSIX shell.
pub fn shell_quote(text: &str) -> String {
    shell_words::quote(text).into_owned()
}

/// Words as a command line that can be pasted into a POSIX shell.
pub fn shell_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    shell_words::join(words)
}

/// Control characters, and what Unicode and Python's `splitlines` count as ends of lines.
pub fn ends_or_hides_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// `count` of a thing: `1 check`, `3 checks`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The number in `text`, which has digits alone: `parse` of a number also takes a `+` before them.
pub fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `text` with everything a terminal would act upon made visible: guests and files are not trusted with our terminal.
/// Escape sequences (ECMA-48 CSI and OSC) are dropped whole, other control characters but tab, and those that reverse text, become `\u{fffd}`.
pub fn printable(text: &str) -> String {
    visible(text, false)
}

/// As [`printable`], with a space wherever the cursor was sent elsewhere (ECMA-48: CUP, HVP, VPA, CHA) between two words: tmux at times goes from one
/// line to the next so, instead of by the end of a line.
pub fn printable_screen(text: &str) -> String {
    visible(text, true)
}

fn visible(text: &str, parts: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut is_moved = false;
    while let Some(c) = chars.next() {
        if is_moved && c != '\u{1b}' {
            is_moved = false;
            if !c.is_whitespace() && out.ends_with(|last: char| !last.is_whitespace()) {
                out.push(' ');
            }
        }
        match c {
            '\u{1b}' => match chars.next_if(|c| matches!(c, '[' | ']')) {
                Some('[') => {
                    let end = chars.by_ref().find(|c| matches!(c, '\u{40}'..='\u{7e}'));
                    is_moved |= parts && matches!(end, Some('H' | 'f' | 'd' | 'G'));
                }
                Some(_) => {
                    chars.by_ref().find(|c| matches!(c, '\u{7}' | '\u{1b}'));
                    chars.next_if_eq(&'\\');
                }
                None => {
                    chars.next();
                }
            },
            '\r' => {}
            '\t' => out.push('\t'),
            // Overrides of writing direction (UAX #9, 2): text after them is shown in another order than it has.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// `text` in lines of at most `width` characters, broken between words. A longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words() {
        for (text, expected) in [
            ("", &[][..]),
            ("one two  three", &["one two", "three"]),
            ("a muchtoolongword b", &["a", "muchtoolongword", "b"]),
            ("äöü äöü x", &["äöü äöü", "x"]),
        ] {
            assert_eq!(wrapped(text, 8), expected, "{text}");
        }
    }

    #[test]
    fn suggestions_are_close_or_absent() {
        let keys = ["hostname", "timezone", "selinux", "firewall"];
        for (typed, expected) in [("hostnmae", Some("hostname")), ("SELinux", Some("selinux")), ("kernel", None), ("", None)] {
            assert_eq!(suggestion(typed, keys), expected, "{typed}");
        }
    }

    #[test]
    fn a_guest_cannot_drive_our_terminal() {
        for (raw, shown) in [
            ("plain\ttext", "plain\ttext"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]0;title\u{1b}\\x", "x"),
            ("a\rb\u{8}", "ab\u{fffd}"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("a\u{202e}b\u{2066}c", "a\u{fffd}b\u{fffd}c"),
        ] {
            assert_eq!(printable(raw), shown, "{raw:?}");
        }
    }
}

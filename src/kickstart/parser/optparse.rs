//! Options as Python 2's optparse reads them (Lib/optparse.py of 2.7, with the option class of pykickstart 1.99.66.18, options.py).
//!
//! It differs from the getopt of shell tools: a value may begin with one dash and may be a separate word; options and arguments mix; a long
//! option may be shortened to any beginning that no other option has, and its aliases count as other options; `--` ends the options.

use super::advice;
use super::document::{OptionUse, Value};
use super::findings::Findings;
use super::shlex::Argument;
use super::span::Span;
use super::spec::{CommandSpec, Kind, OptionSpec};
use crate::base::text::suggestion;

/// The library with the rules that apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// optparse.
    Optparse,
    /// getopt: options end at the first argument, and a value may begin with `--`.
    Getopt,
}

/// A similar name is only looked up for words of at most this length.
const LONGEST_TYPED: usize = 48;

/// The words of a line, as options and arguments.
pub(super) struct Words {
    pub options: Vec<OptionUse>,
    /// The words that are neither an option nor a value of one.
    pub arguments: Vec<Argument>,
    /// Whether there was an option that the command does not have. Then the meaning of the other words is not known.
    pub has_unknown: bool,
    /// Which options of the row are on the line, also those with a wrong value.
    seen: Vec<bool>,
    /// Where the first word is.
    first: Option<Span>,
}

/// The options and the arguments of `words`, by `spec`. All errors go to `findings`.
pub(super) fn read(spec: &CommandSpec, words: &[Argument], style: Style, findings: &mut Findings) -> Words {
    let (mut options, mut arguments, mut has_unknown) = (Vec::new(), Vec::new(), false);
    let mut seen = vec![false; spec.options.len()];
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word.value == "--" {
            arguments.extend(rest.by_ref().cloned());
        } else if let Some(body) = word.value.strip_prefix("--") {
            let equals = body.find('=').map(|at| at + 2);
            let typed = equals.map_or(word.value.as_str(), |at| &word.value[..at]);
            let Some(index) = find(spec, typed, word, findings) else {
                has_unknown = true;
                continue;
            };
            let option = &spec.options[index];
            seen[index] = true;
            if let Some(used) = value(spec, option, typed, word, equals, &mut rest, style, findings) {
                options.push(used);
            }
        } else if word.value.starts_with('-') && word.value.len() > 1 {
            has_unknown = true;
            let help = known(spec, &format!("-{}", word.value), findings);
            // The word may be a password.
            let written = if spec.has_secrets() { "with one dash".to_owned() } else { format!("`{}`", clip(&word.value)) };
            findings.error(word.span, format!("{} has no option {written}", spec.names[0]), help);
        } else {
            arguments.push(word.clone());
            if style == Style::Getopt {
                arguments.extend(rest.by_ref().cloned());
            }
        }
    }
    Words { options, arguments, has_unknown, seen, first: words.first().map(|word| word.span) }
}

/// Refuse the line when a required option is missing, and return whether it has all. `again`: the command was there before.
///
/// The parser of 7.5 requires such options on the command's first line only: its list of seen options is reset when the command is made,
/// not for each line (pykickstart 1.99.66.18, options.py:63). The effect of a later line is then not intended, so it is refused here.
pub(super) fn required(spec: &CommandSpec, words: &Words, again: bool, findings: &mut Findings) -> bool {
    let mut has_all = true;
    for (option, seen) in spec.options.iter().zip(&words.seen) {
        if option.required && !seen {
            has_all = false;
            let span = findings.here.part(0..0).to(words.first.unwrap_or(findings.here));
            let help = again.then(|| {
                "the parser of 7.5 forgets to ask for it on a second line; what the line means without it is an accident".to_owned()
            });
            findings.error(span, format!("{} needs {}", spec.names[0], option.names[0]), help);
        }
    }
    has_all
}

/// The option of `spec` that `typed` means, by its exact name or by a beginning that no other option has.
fn find(spec: &CommandSpec, typed: &str, word: &Argument, findings: &mut Findings) -> Option<usize> {
    let names = || spec.options.iter().enumerate().flat_map(|(index, option)| option.names.iter().map(move |name| (index, *name)));
    if let Some((index, _)) = names().find(|(_, name)| *name == typed) {
        return Some(index);
    }
    let begun: Vec<_> = names().filter(|(_, name)| name.starts_with(typed)).collect();
    match begun.as_slice() {
        [(index, _)] => return Some(*index),
        [] => {
            let help = known(spec, typed, findings);
            findings.error(word.span, format!("{} has no option `{}`", spec.names[0], clip(typed)), help);
        }
        several => {
            let all: Vec<_> = several.iter().map(|(_, name)| *name).collect();
            findings.error(word.span, format!("`{}` is the beginning of {}", clip(typed), all.join(" and of ")), None);
        }
    }
    None
}

/// The value of `option`: behind the `=` at byte `equals` of `word`, or the next word.
#[expect(clippy::too_many_arguments, reason = "one step of one loop, cut out for its length")]
fn value<'a>(
    spec: &CommandSpec,
    option: &OptionSpec,
    typed: &str,
    word: &Argument,
    equals: Option<usize>,
    rest: &mut impl Iterator<Item = &'a Argument>,
    style: Style,
    findings: &mut Findings,
) -> Option<OptionUse> {
    let name = option.names[0].strip_prefix("--").unwrap_or(option.names[0]);
    let used = |span, value, value_span| Some(OptionUse { name, written: typed.to_owned(), span, value, value_span });
    if matches!(option.kind, Kind::Flag | Kind::Deprecated | Kind::Removed) {
        if equals.is_some() {
            findings.error(word.span, format!("{} takes no value", option.names[0]), None);
            return None;
        }
        match option.kind {
            Kind::Removed => findings.error(word.span, format!("{} is no longer supported", option.names[0]), Some("leave it out".into())),
            Kind::Deprecated => findings.warning(
                word.span,
                format!("{} is deprecated and has no effect", option.names[0]),
                Some("leave it out: later parsers refuse it".into()),
            ),
            _ => {}
        }
        return used(word.span, Value::Flag, word.span);
    }
    let (text, value_span) = match equals {
        Some(at) => (&word.value[at + 1..], word.behind(at)),
        None => match rest.next() {
            Some(next) => (next.value.as_str(), next.span),
            None => {
                findings.error(word.span, format!("{} needs a value", option.names[0]), None);
                return None;
            }
        },
    };
    let span = word.span.to(value_span);
    match convert(option.kind, text, style) {
        Ok(value) => used(span, value, value_span),
        Err(Refusal::Ignored(known)) => {
            let help = Some(format!("one of {}", known.join(", ")));
            findings.warning(value_span, format!("{} {}: the value is unknown and ignored", spec.names[0], option.names[0]), help);
            None
        }
        Err(Refusal::Wrong { what, help }) => {
            findings.error(value_span, format!("{} {} {what}", spec.names[0], option.names[0]), help);
            None
        }
    }
}

/// The reason why a text is not a value of a kind.
enum Refusal {
    Wrong { what: String, help: Option<String> },
    Ignored(&'static [&'static str]),
}

fn convert(kind: Kind, text: &str, style: Style) -> Result<Value, Refusal> {
    let wrong = |what: String, help: Option<String>| Err(Refusal::Wrong { what, help });
    if !matches!(kind, Kind::Integer | Kind::Boolean | Kind::Choice(_))
        && style == Style::Optparse
        && text.len() > 2
        && text.starts_with("--")
    {
        return wrong("is followed by an option where its value should be".into(), Some("a value cannot begin with `--`".into()));
    }
    match kind {
        Kind::Integer => integer(text).map_or_else(
            || wrong(format!("takes a whole number, not `{}`", clip(text)), number_help(text)),
            |number| Ok(Value::Integer(number)),
        ),
        Kind::Boolean => match text.to_lowercase().as_str() {
            "on" | "yes" | "true" | "1" => Ok(Value::Boolean(true)),
            "off" | "no" | "false" | "0" => Ok(Value::Boolean(false)),
            _ => wrong(format!("takes yes or no, not `{}`", clip(text)), advice::template(text).map(str::to_owned)),
        },
        Kind::Choice(choices) if choices.contains(&text) => Ok(Value::Text(text.to_owned())),
        Kind::Choice(choices) => wrong(format!("cannot be `{}`", clip(text)), Some(choices_help(text, choices))),
        Kind::Known(known) if known.contains(&text.to_lowercase().as_str()) => Ok(Value::Text(text.to_lowercase())),
        Kind::Known(known) => Err(Refusal::Ignored(known)),
        Kind::List => Ok(Value::List(text.split(',').filter(|part| !part.is_empty()).map(|part| part.trim().to_owned()).collect())),
        Kind::Text | Kind::Flag | Kind::Deprecated | Kind::Removed => Ok(Value::Text(text.to_owned())),
    }
}

/// A number as optparse reads it (`_parse_num`, then `int` of Python 2): `0x` and `0b` prefixes, a leading 0 is octal, white space
/// around it and a sign are fine.
fn integer(text: &str) -> Option<i64> {
    // The prefix is looked for before white space and sign are removed.
    let bytes = text.as_bytes();
    let (radix, body) = match (bytes.first(), bytes.get(1).map(u8::to_ascii_lowercase)) {
        (Some(b'0'), Some(b'x')) => (16, text),
        (Some(b'0'), Some(b'b')) => (2, text.get(2..).filter(|body| !body.is_empty()).unwrap_or("0")),
        (Some(b'0'), _) => (8, text),
        _ => (10, text),
    };
    python_int(body, radix)
}

/// `int(text, radix)` of Python 2, limited to the range of `i64`.
pub(super) fn python_int(text: &str, radix: u32) -> Option<i64> {
    let body = text.trim_matches(super::span::is_space);
    let (negative, digits) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    // `int("- 5")` is -5 in Python 2.
    let lower = digits.trim_start_matches(super::span::is_space).to_ascii_lowercase();
    let digits = match radix {
        16 => lower.strip_prefix("0x").unwrap_or(&lower),
        8 => lower.strip_prefix("0o").unwrap_or(&lower),
        2 => lower.strip_prefix("0b").unwrap_or(&lower),
        _ => &lower,
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).unwrap_or(i64::MAX);
    Some(if negative { -number } else { number })
}

fn number_help(text: &str) -> Option<String> {
    if let Some(advice) = advice::template(text) {
        return Some(advice.to_owned());
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.len() < text.len() && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("no unit is written: sizes of disks are in MiB".into());
    }
    (text.starts_with('0') && text.len() > 1).then(|| "a leading 0 makes it an octal number".into())
}

fn choices_help(text: &str, choices: &[&str]) -> String {
    match similar(text, choices.iter().copied()) {
        _ if advice::template(text).is_some() => advice::template(text).unwrap_or_default().to_owned(),
        Some(meant) => format!("did you mean `{meant}`? It is one of {}", choices.join(", ")),
        None => format!("one of {}", choices.join(", ")),
    }
}

/// The option of `spec` that was probably meant by `typed`.
fn known(spec: &CommandSpec, typed: &str, findings: &Findings) -> Option<String> {
    if let Some(advice) = advice::option(spec.names[0], typed) {
        return Some(advice.to_owned());
    }
    if !findings.has_room() {
        return None;
    }
    let names = spec.options.iter().flat_map(|option| option.names).copied();
    match similar(typed, names) {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None if spec.options.is_empty() => Some("it has no options".into()),
        None => None,
    }
}

/// The candidate close to `typed`, unless that is too long to be a typing error.
pub(super) fn similar<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    (typed.len() <= LONGEST_TYPED).then(|| suggestion(typed, candidates)).flatten()
}

/// `text`, short enough for a message.
pub(super) fn clip(text: &str) -> String {
    let short: String = text.chars().take(LONGEST_TYPED).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row was checked with `optparse._parse_int` of Python 2.7.18.
    #[test]
    fn numbers_are_those_of_python_2() {
        for (text, expected) in [
            ("08", None),
            ("010", Some(8)),
            ("0x1f", Some(31)),
            ("0X1F", Some(31)),
            ("0b11", Some(3)),
            ("0b", Some(0)),
            ("0b0b1", Some(1)),
            ("0o17", Some(15)),
            ("0x0x1", None),
            ("0x", None),
            (" 5", Some(5)),
            ("5 ", Some(5)),
            ("+5", Some(5)),
            ("-5", Some(-5)),
            ("- 5", Some(-5)),
            ("-010", Some(-10)),
            ("5L", None),
            ("1_0", None),
            ("00", Some(0)),
            ("0", Some(0)),
            ("", None),
            ("-", None),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(-i64::MAX)),
        ] {
            assert_eq!(integer(text), expected, "{text:?}");
        }
    }
}

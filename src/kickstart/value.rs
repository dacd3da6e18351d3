//! The smallest parts of a kickstart: texts that the parser reads back unchanged.

use std::fmt;

use crate::base::failure::{Class, Failure};
use crate::base::text::ends_or_hides_a_line;

/// The reason why a text is not allowed at its place in a kickstart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// The grammar of this place has no way to write a character.
    #[error("{} must not contain {:?}: {allowed}", Shown(text), character)]
    Character {
        /// The whole text.
        text: String,
        /// The first character that is not allowed.
        character: char,
        /// The allowed characters.
        allowed: &'static str,
    },
    /// The parser would read it as something else.
    #[error("{} cannot be written in a kickstart: {why}", Shown(text))]
    Meaning {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A script's line would open or close a section.
    #[error("line {line} of the script begins with `{word}`, which is a section mark of kickstart")]
    SectionMark {
        /// Counted from 1.
        line: usize,
        /// The mark.
        word: String,
    },
}

impl Failure for ValueError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("change the text in the recipe".to_owned())
    }
}

/// The first 60 characters, quoted, so that an error stays one line.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut: String = self.0.chars().take(60).collect();
        write!(f, "`{}{}`", cut.escape_debug(), if cut.len() < self.0.len() { "…" } else { "" })
    }
}

/// Define a checked text: the type, its constructor and the way back to the text.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Check `text`.
            ///
            /// # Errors
            /// The text is not allowed at this place; see the type.
            pub fn new(text: impl Into<String>) -> Result<Self, ValueError> {
                let text = text.into();
                let check: fn(&str) -> Result<(), ValueError> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

checked_text!(
    /// A name, path or other single word, which may also be in a list of such words: printable ASCII without the characters that separate
    /// (space, comma), quote, comment or escape. It does not begin with `-`, which optparse takes for an option.
    Word,
    |text| {
        only(text, "one word of ASCII letters, digits and ordinary signs", |c| {
            c.is_ascii_graphic() && !matches!(c, ',' | '"' | '\'' | '\\' | '#' | '$' | '`')
        })?;
        not_an_option(text)
    }
);

checked_text!(
    /// A `--baseurl` or `--url`: RFC 3986 characters with a scheme yum reads. `$` stays out: yum replaces variables.
    Url,
    |text| {
        only(text, "write other characters percent-encoded", |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | ':' | '/' | '?' | '@' | '!' | '&' | '(' | ')' | '*' | '+' | ';' | '=' | '%')
        })?;
        match ["file:///", "http://", "https://", "ftp://"].iter().any(|scheme| text.starts_with(scheme)) {
            true => Ok(()),
            false => Err(meaning(text, "it must begin with file:///, http://, https:// or ftp://")),
        }
    }
);

checked_text!(
    /// A word of the installed kernel's command line.
    ///
    /// Anaconda 21.48.22.134 writes the words between double quotes into /etc/default/grub, which grub2-mkconfig sources as shell
    /// (pyanaconda/bootloader.py, `write_defaults`): quotes, `$`, `` ` `` and `\` would be executed or lost.
    KernelArgument,
    |text| only(text, "a kernel argument is printable ASCII without spaces, quotes, `$`, `` ` `` and `\\`", |c| {
        c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '$' | '`' | '\\')
    })
);

checked_text!(
    /// A package as yum takes it: name, `name-version`, `name-version-release`, `name.arch`, `epoch:…`, or a glob. Anaconda hands it
    /// to `yum.install(pattern=…)` (pyanaconda/packaging/yumpayload.py).
    ///
    /// The parser of 7.5 cuts a line of `%packages` at any `#`, and `@`, `-` and `%` at its beginning have a meaning.
    PackagePattern,
    |text| {
        only(text, "a package is named with letters, digits and `._+:~-`, or with the globs `*?[]`", |c| {
            c.is_ascii_alphanumeric() || "._+:~-*?[]".contains(c)
        })?;
        not_an_option(text)
    }
);

checked_text!(
    /// The id of a package group or environment, without its `@` or `@^`.
    GroupId,
    |text| {
        only(text, "a group's id is of letters, digits, `.`, `_` and `-`", |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
        not_an_option(text)
    }
);

checked_text!(
    /// A section's script: lines of text, none of which opens or closes a section, each ended by a line feed.
    ///
    /// Sections are read line by line as Python's `splitlines` cuts them, and the first word of a line decides (pykickstart/parser.py,
    /// `_readSection`): `%end` after white space ends a script, `%endless` does not. A carriage return would be passed to the shell. Other
    /// control characters and Unicode's line separators would end a line for only one of the two parsers.
    Script,
    |text| {
        if text.trim().is_empty() {
            return Err(ValueError::Empty);
        }
        if let Some(character) = text.chars().find(|&c| c != '\n' && c != '\t' && ends_or_hides_a_line(c)) {
            let text = text.lines().find(|line| line.contains(character)).unwrap_or_default().to_owned();
            return Err(ValueError::Character { text, character, allowed: "encode it" });
        }
        if !text.ends_with('\n') {
            return Err(meaning(text.lines().last().unwrap_or_default(), "a script's last line must be ended"));
        }
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = line.split_whitespace().next()
                && SECTION_MARKS.contains(&word)
            {
                return Err(ValueError::SectionMark { line: index + 1, word: word.to_owned() });
            }
        }
        Ok(())
    }
);

/// The words that make a line a section's beginning or end, or pull in a file (pykickstart 1.99.66.18 and 3.78, `setupSections`).
pub const SECTION_MARKS: [&str; 12] = [
    "%end",
    "%include",
    "%ksappend",
    "%packages",
    "%pre",
    "%pre-install",
    "%post",
    "%onerror",
    "%traceback",
    "%addon",
    "%anaconda",
    "%certificate",
];

/// `text` as one argument of a kickstart command.
///
/// Both parsers split with Python's `shlex.split(line, comments=True)`: white space separates, `#` begins a comment even inside a
/// word, single quotes keep everything, double quotes keep everything but `\"` and `\\`. `$` means nothing.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./$^*~-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else if !text.contains('\'') {
        format!("'{text}'")
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn only(text: &str, allowed: &'static str, is_allowed: impl Fn(char) -> bool) -> Result<(), ValueError> {
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    match text.chars().find(|&c| !is_allowed(c)) {
        Some(character) => Err(ValueError::Character { text: text.to_owned(), character, allowed }),
        None => Ok(()),
    }
}

fn not_an_option(text: &str) -> Result<(), ValueError> {
    if text.starts_with('-') { Err(meaning(text, "it begins with `-`")) } else { Ok(()) }
}

fn meaning(text: &str, why: &'static str) -> ValueError {
    ValueError::Meaning { text: text.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_limits() {
        for text in ["master", "en_US.UTF-8", "Asia/Shanghai", "/boot/efi", "a:b@c+d~e=f", "100%"] {
            assert!(Word::new(text).is_ok(), "{text}");
        }
        for text in ["", "a b", "a,b", "a'b", "a\"b", "a\\b", "a#b", "$a", "`a`", "-a", "a\nb", "é", "\u{2028}"] {
            assert!(Word::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn packages_and_their_limits() {
        for text in ["yum-utils", "docker-ce-18.09.6", "3:docker-ce-18.09.6-3.el7", "glibc.i686", "iwl*-firmware", "libstdc++"] {
            assert!(PackagePattern::new(text).is_ok(), "{text}");
        }
        for text in ["", "a#b", "@core", "-a", "%end", "a b", "a\nb", "$(a)", "a;b"] {
            assert!(PackagePattern::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_script_cannot_leave_its_section() {
        for text in ["echo a\n", "\t%endless\n", "date +%s\n", "a %end\n", "%(x)\n", "\n\nx\n"] {
            assert!(Script::new(text).is_ok(), "{text:?}");
        }
        for text in [
            "",
            "\n",
            "x",
            "%end\n",
            "x\n %end # y\n",
            "x\n\t%post --nochroot\n",
            "%include /a\n",
            "a\r\n",
            "a\u{85}%end\n",
            "a\u{2028}%end\n",
            "a\0\n",
        ] {
            assert!(Script::new(text).is_err(), "{text:?}");
        }
        let error = Script::new("x\n  %end\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2 of the script begins with `%end`, which is a section mark of kickstart");
    }

    #[test]
    fn urls_name_a_scheme() {
        for text in ["file:///run/goldsmith/volume/kubernetes", "http://vault.centos.org/7.5.1804/os/x86_64/"] {
            assert!(Url::new(text).is_ok(), "{text}");
        }
        for text in ["", "/run/x", "file://host/x", "http://a b", "http://$releasever/", "gopher://x"] {
            assert!(Url::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_stay_one_line() {
        let error = Word::new("a\nb".repeat(100)).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.len() < 250, "{error}");
    }
}

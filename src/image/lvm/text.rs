//! LVM's text format: sections, and names with numbers, strings and lists (lvm2 2.03, libdm/libdm-config.c, its grammar at the top).

use std::collections::BTreeMap;

/// Sections in sections at most; metadata of LVM has four.
const MAX_DEPTH: usize = 16;

/// The value of a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
    Section(Section),
}

/// Names with their values.
pub(super) type Section = BTreeMap<String, Value>;

/// Parse `text`. The error says what is wrong at which byte.
pub(super) fn parse(text: &[u8]) -> Result<Section, String> {
    let mut reader = Reader { text, at: 0 };
    let section = reader.section(0)?;
    if reader.at < text.len() { Err(reader.wrong("a `}` without a `{`")) } else { Ok(section) }
}

/// The number that `section` calls `name`.
pub(super) fn number(section: &Section, name: &str) -> Result<u64, String> {
    match section.get(name) {
        Some(Value::Number(number)) => Ok(*number),
        _ => Err(format!("{name} is missing, or no number")),
    }
}

/// The text that `section` calls `name`.
pub(super) fn text<'a>(section: &'a Section, name: &str) -> Result<&'a str, String> {
    match section.get(name) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(format!("{name} is missing, or no text")),
    }
}

/// The sections in the section that `section` calls `name`; none when that is not there.
pub(super) fn sections<'a>(section: &'a Section, name: &str) -> impl Iterator<Item = (&'a str, &'a Section)> {
    let inner = match section.get(name) {
        Some(Value::Section(inner)) => Some(inner),
        _ => None,
    };
    inner.into_iter().flatten().filter_map(|(name, value)| match value {
        Value::Section(section) => Some((name.as_str(), section)),
        _ => None,
    })
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Names and values up to a `}` or the end; the `}` is left.
    fn section(&mut self, depth: usize) -> Result<Section, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("sections are nested too deeply"));
        }
        let mut section = Section::new();
        loop {
            match self.next() {
                None | Some(b'}') => return Ok(section),
                Some(_) => {}
            }
            let name = if self.next() == Some(b'"') { self.quoted()? } else { self.word()? };
            let value = match self.next() {
                Some(b'=') => {
                    self.at += 1;
                    self.value(depth)?
                }
                Some(b'{') => {
                    self.at += 1;
                    let inner = self.section(depth + 1)?;
                    self.expect(b'}')?;
                    Value::Section(inner)
                }
                _ => return Err(self.wrong("a name is followed by neither `=` nor `{`")),
            };
            section.insert(name, value);
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        match self.next() {
            Some(b'"') => Ok(Value::Text(self.quoted()?)),
            Some(b'[') if depth <= MAX_DEPTH => {
                self.at += 1;
                let mut list = Vec::new();
                while self.next() != Some(b']') {
                    list.push(self.value(depth + 1)?);
                    if self.next() == Some(b',') {
                        self.at += 1;
                    } else if self.next() != Some(b']') {
                        return Err(self.wrong("a list has no `,` where one must be"));
                    }
                }
                self.at += 1;
                Ok(Value::List(list))
            }
            _ => {
                let word = self.word()?;
                // Negative numbers and fractions are no extents or sectors, so they are kept as text.
                Ok(word.parse().map_or(Value::Text(word), Value::Number))
            }
        }
    }

    /// The next byte that is neither white space nor of a comment. It is not taken.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b'#' => self.at += self.text[self.at..].iter().position(|byte| *byte == b'\n').unwrap_or(self.text.len() - self.at),
                // The text ends with a NUL.
                byte if byte.is_ascii_whitespace() || *byte == 0 => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn word(&mut self) -> Result<String, String> {
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"{}[]=,\"#\0".contains(byte);
        let len = self.text[self.at..].iter().position(is_end).unwrap_or(self.text.len() - self.at);
        let word = String::from_utf8_lossy(&self.text[self.at..self.at + len]).into_owned();
        self.at += len;
        if word.is_empty() { Err(self.wrong("a name or value is missing")) } else { Ok(word) }
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.expect(b'"')?;
        let mut found = Vec::new();
        loop {
            let byte = *self.text.get(self.at).ok_or_else(|| self.wrong("a text has no end"))?;
            self.at += 1;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&found).into_owned()),
                b'\\' => {
                    found.push(*self.text.get(self.at).ok_or_else(|| self.wrong("a text has no end"))?);
                    self.at += 1;
                }
                byte => found.push(byte),
            }
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        if self.next() != Some(wanted) {
            return Err(self.wrong(&format!("`{}` is missing", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what}, at byte {} of its text", self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_and_comments_are_read() {
        let parsed = parse(
            b"vg {\nid = \"a\\\"b\" # why\nextent_size=8192\nflags = []\nlist = [\"pv0\", 0,\n\"pv1\", 7]\nn = -1 }\n# end\nx = \"y\"\n\0",
        )
        .unwrap();
        let Some(Value::Section(vg)) = parsed.get("vg") else { panic!("{parsed:?}") };
        assert_eq!((text(vg, "id").unwrap(), number(vg, "extent_size").unwrap()), ("a\"b", 8192));
        let list = [Value::Text("pv0".into()), Value::Number(0), Value::Text("pv1".into()), Value::Number(7)];
        assert_eq!((vg.get("list"), vg.get("flags")), (Some(&Value::List(list.into())), Some(&Value::List(Vec::new()))));
        assert!(number(vg, "n").is_err() && text(vg, "extent_size").is_err() && parsed.contains_key("x"));
    }

    #[test]
    fn what_breaks_the_grammar_is_said() {
        for (given, expected) in [
            ("a", "a name is followed by neither `=` nor `{`, at byte 1 of its text"),
            ("a {", "`}` is missing, at byte 3 of its text"),
            ("}", "a `}` without a `{`, at byte 0 of its text"),
            ("a = \"x", "a text has no end, at byte 6 of its text"),
            ("a = [1 2]", "a list has no `,` where one must be, at byte 7 of its text"),
            ("a = ", "a name or value is missing, at byte 4 of its text"),
            ("= 1", "a name or value is missing, at byte 0 of its text"),
            ("a = [", "a name or value is missing, at byte 5 of its text"),
        ] {
            assert_eq!(parse(given.as_bytes()).unwrap_err(), expected, "{given}");
        }
        for nested in ["a {".repeat(1 << 16), format!("a = {}", "[".repeat(1 << 16))] {
            assert!(parse(nested.as_bytes()).is_err());
        }
    }
}

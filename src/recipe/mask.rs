//! Hides secrets in a recipe's text before any line of it is shown.
//!
//! It masks too much on purpose: a masked line is a nuisance, but a password in a CI log is a leak. Masking keeps byte offsets and line
//! ends.

use super::tree::{Node, Place, Value};

/// Words that stand before passwords, spelled as people misspell them.
const SECRET_KEYS: [&str; 3] = ["password", "password_hash", "passphrase"];

/// Whether the value of `key` is not to be shown. `password_env` holds a variable's name, which must be.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    key != "password_env" && (key.contains("passw") || SECRET_KEYS.iter().any(|secret| strsim::jaro_winkler(secret, &key) >= 0.88))
}

/// `text` with its secrets starred out. `tree` is the text's tree, when it has one: a text that is no TOML is masked line by line.
pub(super) fn mask(text: &str, tree: Option<&Node>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    match tree {
        Some(tree) => mask_tree(tree, "", &mut bytes),
        None => mask_lines(text, &mut bytes),
    }
    mask_credentials(text, &mut bytes);
    mask_hashes(text, &mut bytes);
    // Stars replace whole characters only, so this is UTF-8; if it ever were not, showing nothing would be right.
    String::from_utf8(bytes).unwrap_or_else(|_| " ".repeat(text.len()))
}

/// `text` with the string at `place` starred out.
pub(super) fn hide(text: &str, place: &Place) -> String {
    let mut bytes = text.as_bytes().to_vec();
    star_string(&mut bytes, place);
    // As in [`mask`].
    String::from_utf8(bytes).unwrap_or_else(|_| " ".repeat(text.len()))
}

fn star(bytes: &mut [u8], start: usize, end: usize) {
    for byte in bytes.get_mut(start..end.max(start)).into_iter().flatten() {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

/// Star out what is between the quotes of the string at `place`.
fn star_string(bytes: &mut [u8], place: &Place) {
    star(bytes, place.start.saturating_add(1), place.end.saturating_sub(1));
}

fn mask_tree(node: &Node, key: &str, bytes: &mut [u8]) {
    match &node.value {
        Value::Table(table) => {
            for (name, entry) in table {
                // A table below a secret key is as secret as the key.
                mask_tree(&entry.node, if is_secret(key) { key } else { name }, bytes);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| mask_tree(item, key, bytes)),
        Value::String(text) => {
            let misplaced = match key {
                "root" => text != "locked",
                "password_env" => !is_variable_name(text),
                _ => text.contains("PRIVATE KEY"),
            };
            if misplaced || is_secret(key) {
                star_string(bytes, &node.place);
            }
        }
        Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => {
            if is_secret(key) {
                star(bytes, node.place.start, node.place.end);
            }
        }
    }
}

/// Whether `text` can be the name of an environment variable that a shell sets.
pub(super) fn is_variable_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Star out everything behind a secret key and its `=`: to the end of the line, or to the end of a multi-line string.
fn mask_lines(text: &str, bytes: &mut [u8]) {
    let words = |character: char| !(character.is_alphanumeric() || matches!(character, '_' | '-'));
    let mut offset = 0;
    while let Some(line) = text.get(offset..).and_then(|rest| rest.split_inclusive('\n').next()) {
        let mut end = offset + line.len();
        let secret = line.match_indices('=').map(|(equals, _)| equals).find(|&equals| {
            let before = line[..equals].trim_end().trim_end_matches(['"', '\'']);
            let after = line[equals + 1..].trim_start();
            // The keys inside of `root = { … }` are judged one by one.
            before
                .rsplit(words)
                .next()
                .is_some_and(|key| is_secret(key) || (key == "root" && !after.starts_with(['{', '[']) && !after.starts_with("\"locked\"")))
        });
        if let Some(equals) = secret {
            let value = line[equals + 1..].trim_start();
            for quotes in ["\"\"\"", "'''"] {
                if let Some(inside) = value.strip_prefix(quotes) {
                    let inside = offset + line.len() - inside.len();
                    end = text[inside..].find(quotes).map_or(text.len(), |length| inside + length).max(end);
                }
            }
            star(bytes, offset + equals + 1, end);
        }
        offset = end;
    }
}

/// Star out `user:password` in `https://user:password@host/`.
fn mask_credentials(text: &str, bytes: &mut [u8]) {
    for (scheme, separator) in text.match_indices("://") {
        let start = scheme + separator.len();
        let length = text[start..].find(['/', '"', '\'', ' ', '\n']).unwrap_or(text.len() - start);
        if let Some(at) = text[start..start + length].rfind('@') {
            star(bytes, start, start + at);
        }
    }
}

/// Star out what looks like a crypt(5) hash, wherever it stands: `$6$salt$…`.
fn mask_hashes(text: &str, bytes: &mut [u8]) {
    let mut offset = 0;
    while let Some(found) = text[offset..].find('$') {
        let after = offset + found + 1;
        let rest = &text[after..];
        offset = after;
        let id = rest.bytes().take(4).take_while(u8::is_ascii_alphanumeric).count();
        if (1..=3).contains(&id) && rest.as_bytes().get(id) == Some(&b'$') {
            let is_hash = |byte: &u8| byte.is_ascii_alphanumeric() || b"./$=,-".contains(byte);
            let end = after + rest.bytes().take_while(is_hash).count();
            star(bytes, after + id + 1, end);
            // Go on after it, so that a text of only hashes takes linear time.
            offset = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    #[test]
    fn secrets_are_starred_and_offsets_kept() {
        for (text, shown) in [
            ("password_hash = \"abc\"", "password_hash = \"***\""),
            ("root.pasword = \"abc\"\nx = 1", "root.pasword = \"***\"\nx = 1"),
            ("password = { a = \"b\" }", "password = { a = \"*\" }"),
            ("passwd = 1234", "passwd = ****"),
            ("root = \"pä\"", "root = \"***\""),
            ("root = \"locked\"", "root = \"locked\""),
            ("password_env = \"NAME\"", "password_env = \"NAME\""),
            ("password_env = \"hunter-2\"", "password_env = \"********\""),
            ("k = \"-PRIVATE KEY-\"", "k = \"*************\""),
            ("u = [\"http://me:pw@h/x@y\"]", "u = [\"http://*****@h/x@y\"]"),
            ("c = \"x $6$salt$hash. y\"", "c = \"x $6$********** y\""),
            ("packages = \"p\"\npath = \"q\"", "packages = \"p\"\npath = \"q\""),
        ] {
            let tree = parse(0, text).unwrap();
            assert_eq!(mask(text, Some(&tree)), shown);
        }
    }

    #[test]
    fn text_that_is_no_toml_is_masked_by_line() {
        for (text, shown) in [
            ("password = hunter2\nx = 1", "password =********\nx = 1"),
            ("system.root.\"password_hash\"=a", "system.root.\"password_hash\"=*"),
            ("root = { password = \"a\n", "root = { password =***\n"),
            ("root = hunter2 # x", "root =************"),
            ("root = \"locked\" x", "root = \"locked\" x"),
            ("password = \"\"\"\nab\n\"\"\" x\ny = [", "password =****\n**\n\"\"\" x\ny = ["),
            ("password = '''\nab", "password =****\n**"),
            ("name = [", "name = ["),
        ] {
            assert_eq!(mask(text, None), shown);
        }
    }
    /// A quadratic scan would take minutes.
    #[test]
    fn a_megabyte_of_hashes_is_masked_in_one_pass() {
        let text = "$6$".repeat(350_000);
        let shown = mask(&text, None);
        assert!(shown.len() == text.len() && shown.ends_with("***"));
    }
}

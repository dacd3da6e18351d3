//! Hides the secrets of a kickstart line before it is shown.
//!
//! It works on the text and not on the parsed line, because most of the shown lines do not parse. It masks too much rather than too little:
//! a masked word is a nuisance, a password in a CI log is a leak. One character becomes one star, so that columns stay.

/// Commands whose arguments are passwords.
const SECRET_COMMANDS: [&str; 2] = ["rootpw", "sshpw"];
/// Parts of the names of options whose values are secret (`--password`, `--passphrase`, `--md5pass`, `--one-time-password`, `--wpakey`).
const SECRET_OPTIONS: [&str; 4] = ["pass", "paswo", "wepkey", "wpakey"];
/// Options with similar names that hold no secret.
const HARMLESS: [&str; 4] = ["--backuppassphrase", "--passalgo", "--enableshadow", "--membership-software"];

/// `text` with stars for its secrets, line by line, so that a kickstart can be shown or kept.
pub fn without_secrets(text: &str) -> String {
    text.lines().map(|line| mask(line) + "\n").collect()
}

/// `line` with stars for its secrets.
pub(super) fn mask(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut hidden = vec![false; chars.len()];
    let words = words(&chars);
    let first = words.first().map(|&(start, end)| chars[start..end].iter().collect::<String>().to_lowercase());
    let secret_command =
        first.is_some_and(|first| first.len() < 32 && SECRET_COMMANDS.iter().any(|command| strsim::jaro_winkler(command, &first) >= 0.85));
    let (mut hiding, mut awaited) = (false, false);
    for (index, &(start, end)) in words.iter().enumerate() {
        let word = &chars[start..end];
        if std::mem::take(&mut awaited) {
            // The next word is the value, also when it looks like an option.
            star(&mut hidden, start, end);
        } else if word.starts_with(&['-', '-']) {
            let equals = word.iter().position(|&c| c == '=').unwrap_or(word.len());
            let name: String = word[..equals].iter().take(64).collect::<String>().to_lowercase();
            hiding = SECRET_OPTIONS.iter().any(|part| name.contains(part)) && !HARMLESS.contains(&name.as_str());
            awaited = hiding && equals == word.len();
            // A value of a flag of a password's command may be the password.
            if hiding || (index > 0 && secret_command && !"--username".starts_with(&name)) {
                star(&mut hidden, (start + equals + 1).min(end), end);
            }
        } else if (index > 0 && secret_command) || hiding {
            // Behind a secret everything up to the next option is hidden, because a password of two words may be unquoted.
            star(&mut hidden, start, end);
        }
    }
    mask_hashes(&chars, &mut hidden);
    mask_credentials(&chars, &mut hidden);
    chars.iter().zip(hidden).map(|(&c, hidden)| if hidden { '*' } else { c }).collect()
}

fn star(hidden: &mut [bool], start: usize, end: usize) {
    for place in hidden.get_mut(start..end.max(start)).into_iter().flatten() {
        *place = true;
    }
}

/// The words of a line as ranges; quotes keep a word together, and one that is never closed goes to the end.
fn words(chars: &[char]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let (mut start, mut quote) = (None, None);
    for (at, &c) in chars.iter().enumerate() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c.is_whitespace() => {
                if let Some(start) = start.take() {
                    words.push((start, at));
                }
                continue;
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => {}
        }
        start.get_or_insert(at);
    }
    words.extend(start.map(|start| (start, chars.len())));
    words
}

/// Hide everything that looks like a crypt(5) hash, anywhere in the line: `$6$salt$…`.
fn mask_hashes(chars: &[char], hidden: &mut [bool]) {
    let mut at = 0;
    while let Some(found) = chars.get(at..).and_then(|rest| rest.iter().position(|&c| c == '$')).map(|found| at + found) {
        let id = chars[found + 1..].iter().take(4).take_while(|c| c.is_ascii_alphanumeric()).count();
        at = found + 1;
        if (1..=3).contains(&id) && chars.get(found + 1 + id) == Some(&'$') {
            let from = found + 2 + id;
            let length = chars[from..].iter().take_while(|c| c.is_ascii_alphanumeric() || "./$=,-".contains(**c)).count();
            star(hidden, from, from + length);
            at = from + length;
        }
    }
}

/// Hide `user:password` in `https://user:password@host/`.
fn mask_credentials(chars: &[char], hidden: &mut [bool]) {
    let mut at = 0;
    while let Some(found) = chars.get(at..).and_then(|rest| rest.windows(3).position(|three| three == [':', '/', '/'])) {
        let from = at + found + 3;
        let length = chars[from..].iter().take_while(|c| !c.is_whitespace() && !matches!(**c, '/' | '"' | '\'')).count();
        if let Some(sign) = chars[from..from + length].iter().rposition(|&c| c == '@') {
            star(hidden, from, from + sign);
        }
        at = from + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_starred_and_columns_kept() {
        for (line, shown) in [
            ("rootpw --iscrypted $6$a$b", "rootpw --iscrypted ******"),
            ("rootpw --iscrypted=pw --lock", "rootpw --iscrypted=** --lock"),
            ("rotpw hunter two", "rotpw ****** ***"),
            ("rootpw \"hunter two", "rootpw ***********"),
            ("sshpw --username=root pw", "sshpw --username=root **"),
            ("user --name=a --password=b --uid=1", "user --name=a --password=* --uid=1"),
            ("vnc --password --b --host=a", "vnc --password *** --host=a"),
            ("user --password b c --lock", "user --password * * --lock"),
            ("part / --passphrase=\"a b\" --size=1", "part / --passphrase=***** --size=1"),
            ("autopart --backuppassphrase --fstype x", "autopart --backuppassphrase --fstype x"),
            ("network --wpakey=abc", "network --wpakey=***"),
            ("realm join --one-time-password=x d", "realm join --one-time-password=* *"),
            ("url --url=http://me:pw@h/x", "url --url=http://*****@h/x"),
            ("echo '$6$salt$hash'", "echo '$6$*********'"),
            ("lang ä", "lang ä"),
            ("", ""),
        ] {
            assert_eq!(mask(line), shown);
        }
    }
}

//! Words that the installer reads otherwise than a person does.

use super::super::parser::Command;
use super::row::{Hit, Lint};
use super::sheet::Sheet;

pub(super) const LINTS: &[Lint] = &[Lint {
    id: "comment-in-word",
    what: "`#` in the middle of a word",
    why: "`#` begins a comment there too, unlike in a shell: the rest of the word and of the line is dropped in silence",
    remedy: "quote the word: 'Pa#ss'",
    source: "Lib/shlex.py of Python 2.7: shlex.read_token; pykickstart/parser.py: _stateMachine",
    check: comment_in_word,
}];

fn comment_in_word(sheet: &Sheet<'_>) -> Vec<Hit> {
    let headers = sheet.document.sections().filter_map(|section| section.header.as_ref());
    let hits = sheet.document.commands().chain(headers).filter_map(|command| {
        // The class of `realm` and that of `authconfig` read the line themselves.
        let end = last_byte(command).filter(|_| !command.is("realm") && !command.is("auth"))?;
        let rest = sheet.document.text(command.span).get(end - command.span.start..)?;
        let place = super::super::parser::Span { start: end, end: end + 1, ..command.span };
        rest.starts_with('#').then(|| Hit::at(place, "the word ends here, and a comment begins"))
    });
    hits.collect()
}

/// The end of the line's last word, when it is an argument or the value of an option.
fn last_byte(command: &Command) -> Option<usize> {
    let options = command.options().iter().map(|option| option.span.end);
    options.chain(command.arguments().iter().map(|word| word.span.end)).max()
}

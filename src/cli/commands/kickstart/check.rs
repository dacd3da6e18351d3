//! `goldsmith kickstart check FILE…`.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::findings::{Checked, Finding};
use super::sarif;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::{counted, printable, shell_line};
use crate::cli::args::KickstartCheck;
use crate::cli::{Context, host, printer};
use crate::kickstart::{Found, Includes, lint, parse};
use crate::recipe;

/// The largest file that is read, in bytes. Kickstarts have some thousand.
const MAX_BYTES: u64 = 8 << 20;

/// Print the errors of the installer of CentOS 7.5 for each file, and the findings of the lints. Fail when the installer would refuse a
/// file.
pub fn run(args: &KickstartCheck, context: &Context) -> Result<(), AnyFailure> {
    let checked = args.files.iter().map(|path| check(path, &args.allow)).collect::<Result<Vec<Checked>, AnyFailure>>()?;
    let text = if args.sarif {
        format!("{:#}\n", sarif::document(&checked))
    } else if context.json {
        let records: Vec<Value> = checked.iter().flat_map(Checked::findings).map(record).collect();
        format!("{}\n", json!({"schema": 1, "findings": records}))
    } else {
        checked.iter().map(shown).collect()
    };
    printer::out(&text)?;
    let refused = checked.iter().filter(|checked| !checked.document.is_accepted()).count();
    let lints = checked.iter().map(|checked| checked.lints.len()).sum();
    match (refused, lints) {
        (0, 0) => Ok(()),
        (0, lints) if args.deny_lints => Err(Denied { lints }.into()),
        (0, _) => Ok(()),
        _ => Err(Refused { refused, of: checked.len() }.into()),
    }
}

/// Read and judge the file at `path`. Included files are looked for as pykickstart does it, in the working directory and then beside the
/// file.
fn check(path: &Path, allowed: &[String]) -> Result<Checked, AnyFailure> {
    let unreadable = |source| Unreadable { path: path.to_owned(), source };
    let text = if path == Path::new("-") { text(io::stdin().lock()) } else { File::open(path).and_then(text) };
    let text = text.map_err(unreadable)?;
    if recipe::reads_as_recipe(&text) {
        return Err(IsRecipe { path: path.to_owned() }.into());
    }
    let document = parse(&path.to_string_lossy(), &text, &OnThisHost);
    let lints = lint(&document).into_iter().filter(|found| !allowed.iter().any(|id| id == found.lint.id)).collect();
    Ok(Checked { path: path.to_owned(), document, lints })
}

/// The files of this host. A file that is found beside the one that includes it gets a name from the working directory, like that one.
struct OnThisHost;

impl Includes for OnThisHost {
    fn read(&self, path: &str, from: &str) -> Option<Found> {
        let beside = Path::new(from).parent().unwrap_or(Path::new("")).join(path);
        [PathBuf::from(path), beside].into_iter().find_map(|path| {
            let text = text_of(&path)?;
            Some(Found { name: path.to_string_lossy().into_owned(), text })
        })
    }
}

fn text_of(path: &Path) -> Option<String> {
    // Only regular files are read: reading a pipe could wait for ever.
    path.metadata().ok().filter(Metadata::is_file)?;
    File::open(path).and_then(text).ok()
}

/// The parser of 7.5 reads bytes. Bytes that are not UTF-8 can only be in texts that it does not interpret.
fn text(source: impl Read) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&host::read_at_most(source, MAX_BYTES)?).into_owned())
}

/// A file's findings for people: the message and the place, the line, a mark below it. The reason and the remedy of a lint are printed once
/// in each file.
fn shown(checked: &Checked) -> String {
    let mut explained: Vec<&str> = Vec::new();
    let mut text = String::new();
    for found in checked.findings() {
        let place = found.place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
        let id = found.lint.map(|lint| format!("[{}]", lint.id)).unwrap_or_default();
        text.push_str(&format!("{}{place}: {}{id}: {}\n", printable(found.file), found.severity, printable(found.message)));
        if let Some(place) = found.place {
            let mark = "^".repeat(place.length.min(place.shown.chars().count()).max(1));
            let before = " ".repeat(place.shown_column.saturating_sub(1));
            text.push_str(&format!("  | {}\n  | {before}{mark}\n", printable(&place.shown)));
        }
        if found.lint.is_some_and(|lint| explained.contains(&lint.id)) {
            continue;
        }
        if let Some(lint) = found.lint {
            explained.push(lint.id);
            text.push_str(&format!("  why: {}\n", lint.why));
        }
        text.push_str(&found.help.map(|help| format!("  help: {}\n", printable(help))).unwrap_or_default());
    }
    text
}

/// A finding for machines.
fn record(found: Finding<'_>) -> Value {
    json!({
        "file": found.file,
        "line": found.place.map(|place| place.line),
        "column": found.place.map(|place| place.column),
        "length": found.place.map(|place| place.length),
        "severity": found.severity.to_string(),
        "message": found.message,
        "help": found.help,
        "lint": found.lint.map(|lint| lint.id),
        "why": found.lint.map(|lint| lint.why),
    })
}

#[derive(Debug, thiserror::Error)]
#[error("{} of {} would be refused by the installer of CentOS 7.5", refused, counted(*of, "file"))]
struct Refused {
    refused: usize,
    of: usize,
}

impl Failure for Refused {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("correct what is marked `error`".to_owned())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{} of lints, and --deny-lints is given", counted(*lints, "finding"))]
struct Denied {
    lints: usize,
}

impl Failure for Denied {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("correct what is marked `warning[LINT]`, or leave a lint out with --allow LINT".to_owned())
    }
}

/// The file is a recipe, but a kickstart is needed.
#[derive(Debug, thiserror::Error)]
#[error("{} is a recipe, not a kickstart", path.display())]
struct IsRecipe {
    path: PathBuf,
}

impl Failure for IsRecipe {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        let path = self.path.to_string_lossy();
        if path == "-" {
            return Some("save it in a file, then check it with `goldsmith check FILE`".to_owned());
        }
        let check = shell_line(["goldsmith", "check", &path]);
        let render = shell_line(["goldsmith", "kickstart", "render", &path]);
        Some(format!("check the recipe with `{check}`; `{render}` shows the kickstart that it makes"))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", path.display())]
struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl Failure for Unreadable {
    fn class(&self) -> Class {
        Class::Input
    }

    fn remedy(&self) -> Option<String> {
        Some("correct the path, or put the file there".to_owned())
    }
}

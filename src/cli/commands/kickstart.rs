//! `goldsmith kickstart render RECIPE` and `goldsmith kickstart check FILE…`.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::{counted, printable};
use crate::cli::args::{Kickstart, KickstartCheck, RecipeArgs};
use crate::cli::{Context, host, printer};
use crate::installer::accounts::Accounts;
use crate::installer::anaconda;
use crate::kickstart::{Diagnostic, Document, parse};
use crate::recipe::Media;

/// Bytes of the largest file that is read; kickstarts have some thousand.
const MAX_BYTES: u64 = 8 << 20;

/// Do what was asked of kickstarts.
///
/// # Errors
/// The recipe is wrong, or its installer reads no kickstart; a file cannot be read or would be refused.
pub fn run(command: &Kickstart, context: &Context) -> Result<(), AnyFailure> {
    match command {
        Kickstart::Render(args) => render(args, context),
        Kickstart::Check(args) => check(args, context),
    }
}

/// Print what Anaconda will read. The media are not looked at.
fn render(args: &RecipeArgs, context: &Context) -> Result<(), AnyFailure> {
    let recipe = host::recipe(args)?;
    if !matches!(recipe.media, Media::Anaconda { .. }) {
        return Err(NoKickstart(recipe.name).into());
    }
    let accounts = Accounts::derive(&recipe, &host::store(None, context)?.secret()?);
    Ok(printer::pass(&anaconda::kickstart(&recipe, &accounts)?).map(drop)?)
}

/// Tell what the installer of CentOS 7.5 would say of each file, and fail when it would refuse one.
fn check(args: &KickstartCheck, context: &Context) -> Result<(), AnyFailure> {
    let documents = args.files.iter().map(|path| read(path)).collect::<Result<Vec<Document>, AnyFailure>>()?;
    let findings = || documents.iter().flat_map(Document::diagnostics);
    let text = match context.json {
        true => format!("{}\n", json!({"schema": 1, "findings": findings().map(record).collect::<Vec<_>>()})),
        false => findings().map(shown).collect(),
    };
    printer::out(&text)?;
    let refused = documents.iter().filter(|document| !document.is_accepted()).count();
    if refused == 0 { Ok(()) } else { Err(Refused { refused, of: documents.len() }.into()) }
}

/// Parse the file at `path`; what it includes is looked for as pykickstart does, in the working directory and then beside it.
fn read(path: &Path) -> Result<Document, AnyFailure> {
    let unreadable = |source| Unreadable { path: path.to_owned(), source };
    let text = if path == Path::new("-") { text(io::stdin().lock()) } else { File::open(path).and_then(text) };
    let includes = |name: &str, from: &str| {
        let beside = Path::new(from).parent().unwrap_or(Path::new("")).join(name);
        [PathBuf::from(name), beside].into_iter().find_map(|path| text_of(&path))
    };
    Ok(parse(&path.to_string_lossy(), &text.map_err(unreadable)?, &includes))
}

fn text_of(path: &Path) -> Option<String> {
    // A pipe of that name would be waited for.
    path.metadata().ok().filter(Metadata::is_file)?;
    File::open(path).and_then(text).ok()
}

/// The parser of 7.5 reads bytes. What is not UTF-8 can only be in texts that it does not look into.
fn text(source: impl Read) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&host::read_at_most(source, MAX_BYTES)?).into_owned())
}

/// A finding for people: what and where, the line, a mark below it.
fn shown(found: &Diagnostic) -> String {
    let mark = " ".repeat(found.shown_column.saturating_sub(1)) + &"^".repeat(found.length.min(found.shown.chars().count()).max(1));
    let place = format!("{}:{}:{}", printable(&found.file), found.line, found.column);
    let help = found.help.as_ref().map(|help| format!("  help: {}\n", printable(help))).unwrap_or_default();
    format!("{place}: {}: {}\n  | {}\n  | {mark}\n{help}", found.severity, printable(&found.message), printable(&found.shown))
}

/// A finding for machines.
fn record(found: &Diagnostic) -> Value {
    json!({
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "length": found.length,
        "severity": found.severity.to_string(),
        "message": found.message,
        "help": found.help,
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

#[derive(Debug, thiserror::Error)]
#[error("recipe {0} is not installed by Anaconda, so it has no kickstart")]
struct NoKickstart(String);

impl Failure for NoKickstart {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("name a recipe with `installer = \"anaconda\"`, such as centos-7.5-docker".to_owned())
    }
}

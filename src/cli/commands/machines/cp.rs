//! `goldsmith cp PATH… NAME:PATH` and `goldsmith cp NAME:PATH… PATH`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::event::{Events, Task, Unit};
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::cli::args::{Cp, Location};
use crate::cli::commands::copies::Target;
use crate::cli::{Context, printer};
use crate::run::{self, Name, Transferred};

/// Progress is reported again after this many bytes.
const TOLD: u64 = 1 << 20;

/// The reason why the words of a command are not clear.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("no word names a VM, as NAME:PATH does")]
    NoMachine,
    #[error("the files are to come from a VM and to go to one")]
    BothWays,
    #[error("the files are to come from this host and from a VM")]
    Mixed,
}

impl Failure for Unclear {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoMachine => "to copy into a VM: goldsmith cp FILE NAME:PATH; out of one: goldsmith cp NAME:PATH FILE".to_owned(),
            Self::BothWays => "copy them to this host first, and from there into the other VM".to_owned(),
            Self::Mixed => "copy them one after the other".to_owned(),
        })
    }
}

/// The direction of a copy.
#[derive(Debug, PartialEq, Eq)]
enum Way<'a> {
    In { sources: Vec<PathBuf>, name: &'a Name, target: &'a str },
    Out { sources: Vec<(&'a Name, &'a str)>, target: &'a Path },
}

impl<'a> Way<'a> {
    fn of(words: &'a [Location]) -> Result<Self, Unclear> {
        // clap asks for two words at least.
        let (last, first) = words.split_last().ok_or(Unclear::NoMachine)?;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for word in first {
            match word {
                Location::Here(path) => here.push(path.clone()),
                Location::There(name, path) => there.push((name, path.as_str())),
            }
        }
        match (last, here.is_empty(), there.is_empty()) {
            (Location::There(name, target), _, true) => Ok(Self::In { sources: here, name, target }),
            (Location::There(..), ..) => Err(Unclear::BothWays),
            (Location::Here(_), _, true) => Err(Unclear::NoMachine),
            (Location::Here(_), false, false) => Err(Unclear::Mixed),
            (Location::Here(target), true, false) => Ok(Self::Out { sources: there, target }),
        }
    }
}

/// Copy files between the host and a machine.
///
/// # Errors
/// The words are not clear, the machine does not run, or a file cannot be read or written.
pub async fn cp(args: &Cp, context: &Context) -> Result<(), AnyFailure> {
    let (target, done) = match Way::of(&args.words)? {
        Way::In { sources, name, target } => {
            let place = super::place(name, context)?;
            let task = begin(context);
            let done = run::copy_in(&place, &sources, target, teller(&task)).await?;
            task.done();
            (format!("{name}:{target}"), done)
        }
        Way::Out { sources, target } => (target.display().to_string(), out(&sources, target, context).await?),
    };
    report(&target, &done, context)
}

/// Copy out of machines.
async fn out(sources: &[(&Name, &str)], target: &Path, context: &Context) -> Result<Transferred, AnyFailure> {
    let places = Target::new(target, sources.len())?;
    let mut all = Transferred::default();
    for (name, path) in sources {
        let new = places.place(Path::new(path))?;
        let place = super::place(name, context)?;
        let task = begin(context);
        let done = run::copy_out(&place, path, &new, teller(&task)).await?;
        task.done();
        all.files += done.files;
        all.bytes += done.bytes;
        all.left_out.extend(done.left_out);
        all.warnings += &done.warnings;
    }
    Ok(all)
}

fn begin(context: &Context) -> Task {
    Events::new(context.listeners()).task("copy")
}

/// Reports the number of copied bytes.
fn teller(task: &Task) -> impl FnMut(u64) {
    let mut told = 0;
    move |bytes| {
        if bytes >= told + TOLD {
            told = bytes;
            task.progress("copy", bytes, None, Unit::Bytes);
        }
    }
}

fn report(target: &str, done: &Transferred, context: &Context) -> Result<(), AnyFailure> {
    for path in &done.left_out {
        printer::err(&format!("warning: {} is a device, pipe or socket, which is not copied\n", printable(&path.to_string_lossy())));
    }
    for line in done.warnings.lines() {
        printer::err(&format!("warning: the VM says: {}\n", printable(line)));
    }
    let text = if context.json {
        let left_out: Vec<_> = done.left_out.iter().map(|path| path.to_string_lossy()).collect();
        context.record(&json!({"event": "copied", "files": done.files, "bytes": done.bytes, "left_out": left_out}))
    } else {
        let files = counted(usize::try_from(done.files).unwrap_or(usize::MAX), "file");
        format!("{}: {files}, {}\n", printable(target), rounded(done.bytes))
    };
    Ok(printer::out(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_one_way() {
        let here = |path: &str| Location::Here(path.into());
        let there = |path: &str| Location::There("web".parse().unwrap(), path.to_owned());
        for (words, expected) in [
            (vec![here("a"), here("b"), there("/srv")], "In"),
            (vec![there("/a"), there("/b"), here(".")], "Out"),
            (vec![there("a"), there("b")], "BothWays"),
            (vec![here("a"), there("a"), there("b")], "BothWays"),
            (vec![here("a"), there("b"), here("c")], "Mixed"),
            (vec![here("a"), here("b")], "NoMachine"),
        ] {
            let way = Way::of(&words).map_or_else(|why| format!("{why:?}"), |way| format!("{way:?}"));
            assert!(way.starts_with(expected), "{words:?}: {way}");
        }
    }
}

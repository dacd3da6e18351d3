//! `goldsmith man`.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::base::atomic;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cli::args::{Args, Man};
use crate::cli::printer;

/// Print goldsmith(1), or write it and a page for each command into a directory.
///
/// # Errors
/// The place cannot be written.
pub fn run(args: &Man) -> Result<(), AnyFailure> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.output else {
        return Ok(printer::out(&page(&command)?)?);
    };
    std::fs::create_dir_all(dir).map_err(|source| ManError { path: dir.clone(), source })?;
    Ok(write(&command, dir)?)
}

fn write(command: &clap::Command, dir: &Path) -> Result<(), ManError> {
    let path = dir.join(clap_mangen::Man::new(command.clone()).get_filename());
    atomic::write(&path, page(command)?.as_bytes()).map_err(|source| ManError { path, source })?;
    command.get_subcommands().try_for_each(|sub| write(sub, dir))
}

fn page(command: &clap::Command) -> Result<String, ManError> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render(&mut page).map_err(|source| ManError { path: man.get_filename().into(), source })?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
struct ManError {
    path: PathBuf,
    source: io::Error,
}

impl Failure for ManError {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("choose a directory you may write to with -o DIR".into())
    }
}

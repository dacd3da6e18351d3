//! GRUB's menu: a configuration is evaluated as GRUB would on a plain boot. `grubenv` is loaded, `if` is decided, the default is looked up by
//! number, title or id. Commands that lead to another configuration (`configfile`, `source`) are followed within the image, and Boot Loader
//! Specification entries are read where `blscfg` asks for them.

mod bls;
mod evaluator;
mod files;
mod script;

use super::entry::{BootEntry, BootFile, MAX_CONFIG_BYTES, Mechanism};
use crate::image::error::ImageError;
use crate::image::root::Root;
use evaluator::{Chosen, Evaluator, Next};
use files::{Fault, Files, locate};

/// A GRUB environment block has 1024 bytes (GRUB manual 2.06, section 15.2).
const MAX_ENVIRONMENT_BYTES: u64 = 64 << 10;
/// Where distributions keep the configuration: Debian, EL on BIOS. On UEFI, a directory of [`EFI_DIRS`] holds it, or leads there.
const CONFIGS: [&str; 2] = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"];
const EFI_DIRS: [&str; 3] = ["/boot/efi/EFI", "/efi/EFI", "/boot/EFI"];
/// Configurations that lead from one to the next.
const MAX_CONFIGS: usize = 8;

/// What GRUB boots by default in the system of `root`; `None` when there is no configuration.
///
/// # Errors
/// No configuration is understood (the error is that of the first one), or the image is damaged.
pub(super) fn default_entry_of(root: &Root) -> Result<Option<BootEntry>, ImageError> {
    let mut refused = None;
    for path in configurations(root)? {
        match follow(root, &path).map(|chosen| entry(root, chosen)) {
            Ok(entry) => return entry.map(Some),
            Err(Fault::Image(error)) => return Err(error),
            Err(Fault::Said(what)) => refused = refused.or(Some(ImageError::incompatible(root.disk(), None, what))),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// The configurations that GRUB may begin with: on an ESP first, because the firmware begins there.
fn configurations(files: &dyn Files) -> Result<Vec<String>, ImageError> {
    let mut paths = Vec::new();
    for dir in EFI_DIRS {
        paths.extend(files.names(dir)?.iter().map(|vendor| format!("{dir}/{vendor}/grub.cfg")));
    }
    paths.extend(CONFIGS.map(str::to_owned));
    let mut found = Vec::new();
    for path in paths {
        if files.exists(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// What the configuration `path` boots, or the one that it leads to.
fn follow(files: &dyn Files, path: &str) -> Result<Chosen, Fault> {
    let mut way = vec![path.to_owned()];
    let mut carried = Vec::new();
    loop {
        let path = way[way.len() - 1].clone();
        let about = |fault| match fault {
            Fault::Said(what) => Fault::Said(format!("{path}: {what}")),
            image @ Fault::Image(_) => image,
        };
        match evaluate(files, &path, carried).map_err(about)? {
            Next::Boot(chosen) => return Ok(chosen),
            Next::Config(next, variables) => {
                if way.contains(&next) {
                    return Err(Fault::Said(format!("{path}: it leads back to {next}")));
                }
                if way.len() == MAX_CONFIGS {
                    return Err(Fault::Said(format!("{}: more than {MAX_CONFIGS} configurations follow each other", way[0])));
                }
                way.push(next);
                carried = variables;
            }
        }
    }
}

fn evaluate(files: &dyn Files, path: &str, carried: Vec<(String, String)>) -> Result<Next, Fault> {
    let config = files.text(path, MAX_CONFIG_BYTES)?.ok_or_else(|| "there is no such file".to_owned())?;
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let environment = match files.text(&format!("{dir}/grubenv"), MAX_ENVIRONMENT_BYTES)? {
        Some(text) => text,
        // EL7 on UEFI keeps the environment here too, behind a link.
        None => files.text("/boot/grub2/grubenv", MAX_ENVIRONMENT_BYTES)?.unwrap_or_default(),
    };
    Evaluator::new(files, path, &environment, carried).default(&config)
}

/// The entry with the files that GRUB would find.
fn entry(root: &Root, chosen: Chosen) -> Result<BootEntry, ImageError> {
    let Chosen { title, kernel, initrds, arguments, configuration, is_bls, device } = chosen;
    let located = |name: &str| {
        let found = locate(root, name, device.as_deref())?;
        let path = found.ok_or_else(|| ImageError::absent(root.disk(), format!("{name}, which {configuration} boots")))?;
        Ok::<_, ImageError>(BootFile::whole(path))
    };
    let mechanism = if is_bls { Mechanism::GrubBootLoaderEntries } else { Mechanism::Grub };
    let (kernel, initrds) = (located(&kernel)?, initrds.iter().map(|name| located(name)).collect::<Result<_, _>>()?);
    Ok(BootEntry { mechanism, configuration, title, kernel, initrds, arguments })
}

#[cfg(test)]
mod tests;

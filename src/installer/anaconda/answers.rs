//! The answers to Anaconda's questions: the kickstart of a recipe, made and read once.

use super::error::AnacondaError;
use super::own::{self, Merged};
use super::selection::{Selection, selection};
use super::{Upgrade, kickstart, unsealed_kickstart, upgrade};
use crate::kickstart::{Diagnostic, Document, SectionKind, parse};
use crate::recipe::Recipe;

/// A kickstart that the installer accepts, and what follows from it.
#[derive(Debug)]
pub struct Answers<'r> {
    /// The kickstart with the recipe's host name and address.
    pub document: Document,
    /// The kickstart that a build gives to the installer. goldsmith's own sets [`UNNAMED`](crate::installer::hostname::UNNAMED) and DHCP,
    /// since sealing sets the recipe's host name and address; one of the user's is that of `document`.
    pub unsealed: Vec<u8>,
    /// The packages that the installer will ask for.
    pub selection: Selection,
    /// The upgrade that the installation ends with; none when the recipe wants none.
    pub upgrade: Option<Upgrade<'r>>,
    /// goldsmith's change to a kickstart of the user and its reason, in one sentence without a full stop; none when nothing is changed.
    pub added: Option<String>,
    /// Devices that a kickstart of the user asks for and the build machine does not have.
    pub warnings: Vec<Diagnostic>,
}

impl<'r> Answers<'r> {
    /// The answers of `recipe`, which Anaconda installs.
    ///
    /// # Errors
    /// The recipe is for another installer, it asks for something that a kickstart cannot say, or the installer would refuse the kickstart.
    pub fn of(recipe: &'r Recipe) -> Result<Self, AnacondaError> {
        let (Merged { text, added, warnings }, unsealed) = match recipe.own_kickstart() {
            Some(own) => {
                let merged = own::merged(recipe, own)?;
                let unsealed = merged.text.clone();
                (merged, unsealed)
            }
            None => (Merged::unchanged(kickstart(recipe)?), unsealed_kickstart(recipe)?),
        };
        let document = parse("kickstart", &String::from_utf8_lossy(&text), &|_: &str, _: &str| None);
        if !document.is_accepted() {
            return Err(AnacondaError::Made { findings: document.diagnostics().to_vec() });
        }
        let selection = selection(&document, recipe.disk.firmware);
        Ok(Self { document, unsealed, selection, upgrade: upgrade(recipe), added, warnings })
    }

    /// Where on the installed system the scripts leave what they print (`%post --log`): absolute paths there.
    pub fn script_logs(&self) -> Vec<String> {
        script_logs(&self.document)
    }
}

/// Without `--nochroot` the path begins at the installed system's root, with it at the installer's, which has that at /mnt/sysimage
/// (pyanaconda/kickstart.py: AnacondaKSScript.run; pyanaconda/constants.py: ROOT_PATH).
fn script_logs(document: &Document) -> Vec<String> {
    let logs = document.scripts().filter(|script| script.kind() == SectionKind::Post).filter_map(|script| {
        let log = if script.in_chroot() { script.log()? } else { script.log()?.strip_prefix("/mnt/sysimage/")? };
        Some(format!("/{}", log.trim_start_matches('/')))
    });
    logs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_print_is_found_on_the_installed_system() {
        for (header, log) in [
            ("%post --log=/root/a.log", Some("/root/a.log")),
            ("%post --log root/a.log", Some("/root/a.log")),
            ("%post --nochroot --log=/mnt/sysimage/root/a.log", Some("/root/a.log")),
            ("%post --nochroot --log=/tmp/a.log", None),
            ("%post --nochroot", None),
            ("%pre --log=/root/a.log", None),
        ] {
            let document = parse("kickstart", &format!("{header}\n%end\n"), &|_: &str, _: &str| None);
            assert_eq!(script_logs(&document).first().map(String::as_str), log, "{header}");
        }
    }
}

//! Whether a medium can install EL7 by itself.

use super::edition::Edition;
use super::{Medium, metadata};
use crate::sources::SourceError;

impl Medium {
    /// Refuse a medium that cannot install EL7 by itself.
    ///
    /// This does not check whether it has the packages that a recipe wants: that needs the package metadata of the medium and of the
    /// bundles.
    ///
    /// # Errors
    /// It is for another processor or release, has no packages or metadata that yum of EL 7 cannot use, lacks kernel or initrd, or cannot
    /// be found by its label.
    pub fn refuse_unfit(&self) -> Result<(), SourceError> {
        let unfit = |why: &str| SourceError::UnfitMedium { path: self.path.clone(), kind: self.kind.to_string(), why: why.to_owned() };
        if self.kind.arch != "x86_64" {
            return Err(unfit("goldsmith's machines are x86_64"));
        }
        if self.kind.major() != "7" {
            return Err(unfit("only the installer of EL7 is known to goldsmith"));
        }
        if self.kind.edition == Some(Edition::NetInstall) {
            return Err(unfit("it has no packages, and the installation has no network"));
        }
        for image in ["kernel", "initrd"] {
            let path = self.tree.image(image).ok_or_else(|| self.lacks(&format!("a {image} (.treeinfo names none)")))?;
            self.open_file(path)?;
        }
        self.device_label()?;
        let problems = metadata::unusable(self)?;
        match problems.is_empty() {
            true => Ok(()),
            false => Err(SourceError::UnusableRepodata { path: self.path.clone(), kind: self.kind.to_string(), problems }),
        }
    }
}

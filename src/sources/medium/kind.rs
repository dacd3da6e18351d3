//! Which medium it is.

use std::fmt;

use super::TreeInfo;
use super::edition::Edition;
use super::releases::{self, KnownMedium};
use crate::base::text::printable;
use crate::sources::iso9660::Volume;

/// The kind of a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The distribution: `CentOS`.
    pub family: String,
    /// The release, as exactly as it is known: `7.5.1804` for the media known by their size, else what `.discinfo` says if it is more than
    /// `.treeinfo` does.
    pub version: String,
    /// The processor architecture: `x86_64`.
    pub arch: String,
    /// The edition: of those known by their size, and of every medium without packages.
    pub edition: Option<Edition>,
    /// The vendor's ISO that it is by label, size and content; `None` for media of other vendors and for changed ones.
    pub known: Option<&'static KnownMedium>,
}

impl Kind {
    pub(super) fn of(volume: &Volume, tree: &TreeInfo, release: Option<String>, has_packages: bool) -> Self {
        let tree_version = tree.version().unwrap_or_default();
        let family = tree.family().unwrap_or("unknown distribution").to_owned();
        let arch = tree.arch().unwrap_or_default().to_owned();
        let known = releases::of_size(volume.bytes).filter(|_| volume.id == releases::LABEL);
        if let Some(known) = known.filter(|known| (known.edition != Edition::NetInstall) == has_packages) {
            return Self { family, version: known.release.to_owned(), arch, edition: Some(known.edition), known: Some(known) };
        }
        // `.discinfo` may hold a name instead.
        let finer =
            release.filter(|release| release.strip_prefix(tree_version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        let version = finer.unwrap_or_else(|| tree_version.to_owned());
        Self { family, version, arch, edition: (!has_packages).then_some(Edition::NetInstall), known: None }
    }

    /// The major release.
    pub fn major(&self) -> &str {
        self.version.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Kind {
    /// `CentOS 7.5.1804 Minimal (x86_64)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", printable(&self.family), printable(&self.version))?;
        if let Some(edition) = self.edition {
            write!(f, " {edition}")?;
        }
        write!(f, " ({})", printable(&self.arch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> TreeInfo {
        TreeInfo::parse(&format!("[general]\n{text}"))
    }

    #[test]
    fn one_label_and_all_media_of_centos_7() {
        let centos = tree("family = CentOS\nversion = 7\narch = x86_64");
        let kind = |id: &str, bytes: u64, release: Option<&str>, has_packages: bool| {
            let volume = Volume { id: id.to_owned(), label: id.into(), bytes };
            Kind::of(&volume, &centos, release.map(str::to_owned), has_packages).to_string()
        };
        for (id, bytes, release, has_packages, expected) in [
            (releases::LABEL, 949_536_768, None, true, "CentOS 7.5.1804 Minimal (x86_64)"),
            (releases::LABEL, 4_469_153_792, Some("7.5"), true, "CentOS 7.5.1804 DVD (x86_64)"),
            (releases::LABEL, 518_787_072, None, false, "CentOS 7.5.1804 NetInstall (x86_64)"),
            (releases::LABEL, 9_396_461_568, None, true, "CentOS 7.5.1804 Everything (x86_64)"),
            // The size alone is no proof.
            (releases::LABEL, 949_536_768, None, false, "CentOS 7 NetInstall (x86_64)"),
            (releases::LABEL, 962_592_768, Some("7.6"), true, "CentOS 7.6 (x86_64)"),
            (releases::LABEL, 4_711_297_024, Some("7.9"), true, "CentOS 7.9.2009 DVD (x86_64)"),
            (releases::LABEL, 592_500_736, None, true, "CentOS 7.0.1406 Minimal (x86_64)"),
            ("Remastered", 4_711_297_024, Some("7.9"), true, "CentOS 7.9 (x86_64)"),
            ("X", 949_536_768, Some("Seven"), true, "CentOS 7 (x86_64)"),
            ("X", 1, Some("70"), false, "CentOS 7 NetInstall (x86_64)"),
        ] {
            assert_eq!(kind(id, bytes, release, has_packages), expected);
        }
        let volume = Volume { id: String::new(), label: Vec::new(), bytes: 0 };
        let odd = Kind::of(&volume, &tree("version = 34\u{1b}[2J\narch = aarch64"), None, true);
        assert_eq!((odd.to_string().as_str(), odd.major()), ("unknown distribution 34 (aarch64)", "34\u{1b}[2J"));
    }
}

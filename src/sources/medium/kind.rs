//! Which medium it is.

use std::fmt;

use super::TreeInfo;
use crate::base::digest::Sha256Digest;
use crate::base::text::printable;
use crate::sources::iso9660::Volume;

/// The label of every ISO of CentOS 7, whatever its edition and minor release (osinfo-db, tests/isodata/centos/centos7.0).
const CENTOS_7: &str = "CentOS 7 x86_64";

/// What a distribution calls the sizes of its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// The packages of a minimal installation.
    Minimal,
    /// Those of every common installation.
    Dvd,
    /// The installer alone: packages come over the network.
    NetInstall,
    /// Everything there is.
    Everything,
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minimal => "Minimal",
            Self::Dvd => "DVD",
            Self::NetInstall => "NetInstall",
            Self::Everything => "Everything",
        })
    }
}

/// An ISO of CentOS 7.5.1804.
struct Known {
    edition: Edition,
    /// Bytes of the volume. The file is longer: isohybrid pads it.
    volume_bytes: u64,
    /// Those that the vendor's list of digests was found quoted for.
    sha256: Option<&'static str>,
}

/// Volume sizes: osinfo-db, tests/isodata/centos/centos7.0/*-1804.iso.txt. Digests: the vendor's sha256sum.txt, as nine public repositories
/// quote it for Minimal and two for the DVD.
const KNOWN: [Known; 4] = [
    Known {
        edition: Edition::Minimal,
        volume_bytes: 949_536_768,
        sha256: Some("714acc0aefb32b7d51b515e25546835e55a90da9fb00417fbee2d03a62801efd"),
    },
    Known {
        edition: Edition::Dvd,
        volume_bytes: 4_469_153_792,
        sha256: Some("506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345"),
    },
    Known { edition: Edition::NetInstall, volume_bytes: 518_787_072, sha256: None },
    Known { edition: Edition::Everything, volume_bytes: 9_396_461_568, sha256: None },
];

/// The medium whose published digest this is, and the size of its volume in bytes.
pub fn known_as(sha256: Sha256Digest) -> Option<(Edition, u64)> {
    let hex = sha256.to_string();
    KNOWN.iter().find(|known| known.sha256 == Some(&hex)).map(|known| (known.edition, known.volume_bytes))
}

/// What a medium is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The distribution: `CentOS`.
    pub family: String,
    /// The release, as exactly as the medium tells: `7.5.1804` for the media known by their size, else what `.discinfo` says if it is
    /// more than `.treeinfo` does.
    pub version: String,
    /// The processor architecture: `x86_64`.
    pub arch: String,
    /// The edition: of those known by their size, and of every medium without packages.
    pub edition: Option<Edition>,
}

impl Kind {
    pub(super) fn of(volume: &Volume, tree: &TreeInfo, release: Option<String>, has_packages: bool) -> Self {
        let tree_version = tree.version().unwrap_or_default();
        let family = tree.family().unwrap_or("unknown distribution").to_owned();
        let arch = tree.arch().unwrap_or_default().to_owned();
        let known = KNOWN.iter().find(|known| volume.id == CENTOS_7 && volume.bytes == known.volume_bytes);
        if let Some(known) = known.filter(|known| (known.edition != Edition::NetInstall) == has_packages) {
            return Self { family, version: "7.5.1804".to_owned(), arch, edition: Some(known.edition) };
        }
        // `.discinfo` may hold a name instead.
        let finer =
            release.filter(|release| release.strip_prefix(tree_version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        let version = finer.unwrap_or_else(|| tree_version.to_owned());
        Self { family, version, arch, edition: (!has_packages).then_some(Edition::NetInstall) }
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
    fn one_label_and_four_media() {
        let centos = tree("family = CentOS\nversion = 7\narch = x86_64");
        let kind = |id: &str, bytes: u64, release: Option<&str>, has_packages: bool| {
            let volume = Volume { id: id.to_owned(), label: id.into(), bytes };
            Kind::of(&volume, &centos, release.map(str::to_owned), has_packages).to_string()
        };
        for (id, bytes, release, has_packages, expected) in [
            (CENTOS_7, 949_536_768, None, true, "CentOS 7.5.1804 Minimal (x86_64)"),
            (CENTOS_7, 4_469_153_792, Some("7.5"), true, "CentOS 7.5.1804 DVD (x86_64)"),
            (CENTOS_7, 518_787_072, None, false, "CentOS 7.5.1804 NetInstall (x86_64)"),
            (CENTOS_7, 9_396_461_568, None, true, "CentOS 7.5.1804 Everything (x86_64)"),
            // The size alone is no proof.
            (CENTOS_7, 949_536_768, None, false, "CentOS 7 NetInstall (x86_64)"),
            (CENTOS_7, 962_592_768, Some("7.6"), true, "CentOS 7.6 (x86_64)"),
            ("X", 949_536_768, Some("Seven"), true, "CentOS 7 (x86_64)"),
            ("X", 1, Some("70"), false, "CentOS 7 NetInstall (x86_64)"),
        ] {
            assert_eq!(kind(id, bytes, release, has_packages), expected);
        }
        let volume = Volume { id: String::new(), label: Vec::new(), bytes: 0 };
        let odd = Kind::of(&volume, &tree("version = 34\u{1b}[2J\narch = aarch64"), None, true);
        assert_eq!((odd.to_string().as_str(), odd.major()), ("unknown distribution 34 (aarch64)", "34\u{1b}[2J"));
    }

    #[test]
    fn published_digests_are_known() {
        let dvd = KNOWN[1].sha256.unwrap().parse().unwrap();
        assert_eq!((known_as(dvd), known_as(Sha256Digest::of(b""))), (Some((Edition::Dvd, 4_469_153_792)), None));
    }
}

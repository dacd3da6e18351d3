//! Packages that are intact but cannot be used on the system they are for.

use std::fmt;

use super::header::PackageHeader;

/// Compressions of packages that rpm 4.11 can unpack (lib/rpmds.c, `rpmlibProvides`). zstd came with rpm 4.14.
const COMPRESSORS_OF_EL7: &[&str] = &["gzip", "bzip2", "lzma", "xz"];

/// The system that packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// As packages write it: `x86_64`.
    pub arch: &'a str,
    /// The number of the Enterprise Linux release: 7.
    pub release: u32,
}

/// A package in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The file, seen from the directory that holds `repodata`.
    pub path: String,
    /// What is wrong with it.
    pub kind: TrapKind,
}

/// What is wrong with a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrapKind {
    /// It holds sources and installs nothing.
    Source,
    /// It is for another architecture.
    Arch {
        /// The package's.
        found: String,
        /// The system's.
        wanted: String,
    },
    /// It is for another distribution, as its release says.
    Distribution {
        /// As the release has it: `el8`, `fc28`.
        found: String,
        /// `el7`.
        wanted: String,
    },
    /// rpm of EL 7 cannot unpack its files.
    Compressor {
        /// `zstd`.
        found: String,
    },
}

impl fmt::Display for TrapKind {
    /// In words that fit after the package's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("is a source package, which installs nothing"),
            Self::Arch { found, wanted } => write!(f, "is for {found}, and the system is {wanted}"),
            Self::Distribution { found, wanted } => write!(f, "is made for {found}, and the system is {wanted}"),
            Self::Compressor { found } => write!(f, "is compressed with {found}, which rpm 4.11 of EL 7 cannot unpack"),
        }
    }
}

/// All that is wrong with `package` on `target`.
pub(super) fn of(package: &PackageHeader, target: Target<'_>) -> Vec<TrapKind> {
    if package.is_source {
        return vec![TrapKind::Source];
    }
    let mut found = Vec::new();
    if package.arch != "noarch" && package.arch != target.arch {
        found.push(TrapKind::Arch { found: package.arch.clone(), wanted: target.arch.to_owned() });
    }
    if let Some((kind, number)) = distribution(&package.release)
        && (kind != "el" || number != target.release)
    {
        found.push(TrapKind::Distribution { found: format!("{kind}{number}"), wanted: format!("el{}", target.release) });
    }
    if target.release == 7 && !COMPRESSORS_OF_EL7.contains(&package.compressor.as_str()) {
        found.push(TrapKind::Compressor { found: package.compressor.clone() });
    }
    found
}

/// The distribution a release names: `el` and 7 of `3.el7_5.1` (Fedora packaging guidelines, "Versioning", dist tag).
fn distribution(release: &str) -> Option<(&'static str, u32)> {
    release.split('.').find_map(|part| {
        ["el", "fc"].into_iter().find_map(|kind| {
            let digits = part.strip_prefix(kind)?;
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            Some((kind, digits[..end].parse().ok()?))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_in_the_wrong_place_are_named() {
        let el7 = Target { arch: "x86_64", release: 7 };
        for (arch, release, is_source, compressor, expected) in [
            ("x86_64", "3.el7", false, "xz", vec![]),
            ("noarch", "2.el7_5.1", false, "gzip", vec![]),
            ("x86_64", "1.el7.centos", false, "lzma", vec![]),
            ("x86_64", "1", false, "bzip2", vec![]),
            ("x86_64", "1.elk8.electron", false, "xz", vec![]),
            ("i686", "3.el7", false, "xz", vec!["is for i686, and the system is x86_64"]),
            ("x86_64", "3.el7", true, "xz", vec!["is a source package, which installs nothing"]),
            ("x86_64", "3.el8", false, "xz", vec!["is made for el8, and the system is el7"]),
            ("noarch", "3.fc28", false, "xz", vec!["is made for fc28, and the system is el7"]),
            (
                "aarch64",
                "3.el9_2",
                false,
                "zstd",
                vec![
                    "is for aarch64, and the system is x86_64",
                    "is made for el9, and the system is el7",
                    "is compressed with zstd, which rpm 4.11 of EL 7 cannot unpack",
                ],
            ),
        ] {
            let package = PackageHeader {
                name: "p".into(),
                epoch: None,
                version: "1".into(),
                release: release.into(),
                arch: arch.into(),
                is_source,
                compressor: compressor.into(),
            };
            assert_eq!(of(&package, el7).iter().map(TrapKind::to_string).collect::<Vec<_>>(), expected, "{package}");
        }
        let el9 = Target { arch: "x86_64", release: 9 };
        let package = PackageHeader {
            name: "p".into(),
            epoch: None,
            version: "1".into(),
            release: "1.el9".into(),
            arch: "x86_64".into(),
            is_source: false,
            compressor: "zstd".into(),
        };
        assert!(of(&package, el9).is_empty());
    }
}

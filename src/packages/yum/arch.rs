//! Architectures, and how far they are from each other.

/// An architecture whose packages yum takes on an x86_64 system, the best first (yum 3.4.3, rpmUtils/arch.py, `arches`: each falls back on
/// the next).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arch {
    X86_64,
    Athlon,
    I686,
    I586,
    I486,
    I386,
    Noarch,
}

impl Arch {
    /// The architecture of the system.
    pub(super) const BEST: Self = Self::X86_64;

    /// The architecture of that name; nothing when yum takes no such packages (yum 3.4.3, rpmUtils/arch.py, `getArchList`).
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "x86_64" => Self::X86_64,
            "athlon" => Self::Athlon,
            "i686" => Self::I686,
            "i586" => Self::I586,
            "i486" => Self::I486,
            "i386" => Self::I386,
            "noarch" => Self::Noarch,
            _ => return None,
        })
    }

    /// Steps from this architecture down to `other`, counted from 1; 0 when `other` does not run on it (`archDifference`).
    pub(super) fn distance(self, other: Self) -> u8 {
        (other as u8 + 1).saturating_sub(self as u8)
    }

    /// Whether packages of one name, version and release may both be there (`canCoinstall`): one is 64-bit and the other 32-bit.
    pub(super) fn stands_beside(self, other: Self) -> bool {
        let kinds = [self, other].map(|arch| (arch == Self::X86_64, arch == Self::Noarch));
        kinds.iter().all(|(_, noarch)| !noarch) && kinds[0].0 != kinds[1].0
    }

    /// Whether it is taken when no architecture is asked for and there are several (`legitMultiArchesInSameLib`).
    pub(super) fn is_preferred(self) -> bool {
        matches!(self, Self::X86_64 | Self::Noarch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_yums() {
        // `archDifference(a, b)` of yum 3.4.3.
        for (from, to, steps) in [
            ("x86_64", "x86_64", 1),
            ("x86_64", "i686", 3),
            ("x86_64", "noarch", 7),
            ("i686", "noarch", 5),
            ("i686", "x86_64", 0),
            ("noarch", "noarch", 1),
            ("noarch", "i386", 0),
        ] {
            assert_eq!(Arch::of(from).unwrap().distance(Arch::of(to).unwrap()), steps, "{from} {to}");
        }
        assert_eq!([Arch::of("ppc64"), Arch::of("amd64"), Arch::of("src")], [None; 3]);
    }

    #[test]
    fn only_a_wide_and_a_narrow_package_stand_side_by_side() {
        for (one, other, beside) in [
            ("x86_64", "i686", true),
            ("i386", "i686", false),
            ("x86_64", "x86_64", false),
            ("noarch", "x86_64", false),
            ("i686", "noarch", false),
        ] {
            let (one, other) = (Arch::of(one).unwrap(), Arch::of(other).unwrap());
            assert_eq!((one.stands_beside(other), other.stands_beside(one)), (beside, beside), "{one:?} {other:?}");
        }
    }
}

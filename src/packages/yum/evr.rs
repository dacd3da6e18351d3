//! Versions and bounds on them, compared as yum compares them.

use std::cmp::Ordering;

use super::super::model::{Relation, Universe};
use super::super::version::{Op, rpm_order};

/// Epoch, version and release. Two of them are equal as values when they are spelt alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evr<'a> {
    pub(super) epoch: &'a str,
    pub(super) version: &'a str,
    pub(super) release: Option<&'a str>,
}

impl<'a> Evr<'a> {
    /// Take `[EPOCH:]VERSION[-RELEASE]` apart.
    pub(super) fn of(text: &'a str) -> Self {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (version, release) = rest.rsplit_once('-').map_or((rest, None), |(version, release)| (version, Some(release)));
        Self { epoch, version, release }
    }

    /// The order of two versions (yum 3.4.3, rpmUtils/miscutils.py, `compareEVR`).
    pub(super) fn order(self, other: Self) -> Ordering {
        rpm_order(self.epoch, other.epoch)
            .then_with(|| rpm_order(self.version, other.version))
            .then_with(|| rpm_order(self.release.unwrap_or_default(), other.release.unwrap_or_default()))
    }
}

/// A name and maybe a bound on its version: what a package needs, provides, conflicts with or obsoletes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) op: Op,
    pub(super) evr: Evr<'a>,
}

impl<'a> Bound<'a> {
    /// The bound of a relation, when it has one.
    pub(super) fn of(universe: &'a Universe, relation: &Relation) -> Option<Self> {
        relation.bound.map(|(op, text)| Self { op, evr: Evr::of(universe.text(text)) })
    }
}

/// Whether `provided` is within `wanted` (yum 3.4.3, rpmUtils/miscutils.py, `rangeCompare`). A release that one of the two does not tell
/// is not compared, and a need without a version is met by all.
pub(super) fn within(wanted: Option<Bound<'_>>, provided: Option<Bound<'_>>) -> bool {
    let (Some(wanted), Some(provided)) = (wanted, provided) else { return true };
    let (mut left, mut right) = (provided.evr, wanted.evr);
    if left.release.is_none() || right.release.is_none() {
        (left.release, right.release) = (None, None);
    }
    let down = |op| matches!(op, Op::Lt | Op::Le);
    let up = |op| matches!(op, Op::Gt | Op::Ge);
    match left.order(right) {
        Ordering::Greater => up(wanted.op) || down(provided.op),
        Ordering::Less => down(wanted.op) || up(provided.op),
        Ordering::Equal => match wanted.op {
            Op::Gt => up(provided.op),
            Op::Ge => provided.op != Op::Lt,
            Op::Eq => matches!(provided.op, Op::Eq | Op::Ge | Op::Le),
            Op::Le => provided.op != Op::Gt,
            Op::Lt => down(provided.op),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Option<Bound<'_>> {
        let end = text.find(|c| !matches!(c, '<' | '=' | '>'))?;
        let op = [Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt].into_iter().find(|op| op.sign() == &text[..end])?;
        Some(Bound { op, evr: Evr::of(&text[end..]) })
    }

    #[test]
    fn ranges_meet_as_in_yum() {
        // `rangeCompare(("a", …), ("a", …))` of yum 3.4.3.
        for (wanted, provided, meets) in [
            ("", "", true),
            (">=2", "", true),
            ("", "=1", true),
            ("=1.0", "=1.0-5", true),
            ("=1.0-5", "=1.0", true),
            ("=1.0-5", "=1.0-6", false),
            ("=1:1.0", "=1.0", false),
            (">1.0", "=1.0-1", false),
            (">1.0-1", "=1.0-2", true),
            (">=1", "<1", false),
            (">=1", "<=1", true),
            (">1", ">=1", true),
            ("<1", ">=1", false),
            ("<1", "<=1", true),
            ("<=1", ">1", false),
            ("=1", "<2", true),
            ("=1", "<1", false),
            ("=3", ">=2", true),
            ("<2", "=1~rc", true),
            (">=1", "<3", true),
            ("<=3", ">1", true),
        ] {
            assert_eq!(within(bound(wanted), bound(provided)), meets, "{wanted} wants, {provided} is there");
        }
    }
}

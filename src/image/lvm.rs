//! Logical volumes of LVM2 at rest, linear and striped, over the physical volumes of one disk.
//!
//! Everything else (thin, raid, cache, mirror, snapshot, a volume on another disk) is refused by name. The metadata is that of lvm2 2.03:
//! lib/format_text/export.c writes it.

mod label;
mod mapped;
mod text;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::read_at::Slice;
use crate::base::read_at::ReadAt;
use label::Label;
use mapped::Segment;
use text::{Section, Value};

pub(super) use mapped::Mapped;

/// Bytes of a sector, in which LVM counts.
const SECTOR: u64 = 512;

/// A logical volume.
#[derive(Debug)]
pub(super) struct Logical {
    /// Its names: `/dev/VG/LV`, `/dev/mapper/VG-LV`.
    pub(super) names: [String; 2],
    /// Its bytes; or why they cannot be read.
    pub(super) bytes: Result<Arc<Mapped>, String>,
    /// Which of the physical volumes holds its begin.
    pub(super) physical: usize,
}

/// The content of the physical volumes of a disk, which are counted from 0.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// The logical volumes, by group and name.
    pub(super) logical: Vec<Logical>,
    /// Physical volumes that cannot be used, and why.
    pub(super) problems: Vec<(usize, String)>,
    /// Bytes of physical volumes that belong to no logical volume.
    pub(super) unallocated: Vec<(usize, Range<u64>)>,
    /// Groups whose unallocated bytes are not known, each with the reason.
    pub(super) untold: Vec<String>,
}

/// Read the `physical` volumes.
pub(super) fn volumes(physical: &[Slice]) -> Volumes {
    let mut labels = Vec::new();
    let mut volumes = Volumes::default();
    let problems = &mut volumes.problems;
    for (index, bytes) in physical.iter().enumerate() {
        match label::read(bytes) {
            Ok(label) => labels.push((index, label)),
            Err(why) => problems.push((index, why)),
        }
    }
    let mut groups: HashMap<String, (u64, usize, Section)> = HashMap::new();
    for (index, label) in &labels {
        let Some(metadata) = &label.text else { continue };
        match group(metadata) {
            // The newest copy counts.
            Ok((name, section, sequence)) => {
                if groups.get(&name).is_none_or(|(known, ..)| *known < sequence) {
                    groups.insert(name, (sequence, *index, section));
                }
            }
            Err(why) => problems.push((*index, why)),
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, (_, index, section)) in &groups {
        let group = match Group::read(name, section, &labels, physical) {
            Ok(group) => group,
            Err(why) => {
                volumes.problems.push((*index, why));
                continue;
            }
        };
        volumes.logical.extend(text::sections(section, "logical_volumes").filter_map(|(name, section)| group.logical(name, section)));
        match group.unallocated(section) {
            Ok(runs) => volumes.unallocated.extend(runs),
            Err(why) => volumes.untold.push(format!("the volume group {name} ({why})")),
        }
    }
    volumes
}

/// The name of the group, its section and its sequence number.
fn group(metadata: &[u8]) -> Result<(String, Section, u64), String> {
    let parsed = text::parse(metadata)?;
    let group = parsed.into_iter().find_map(|(name, value)| match value {
        Value::Section(section) => Some((name, section)),
        _ => None,
    });
    let (name, section) = group.ok_or("its metadata names no volume group")?;
    let sequence = text::number(&section, "seqno")?;
    Ok((name, section, sequence))
}

/// The segments of a logical volume.
fn segments(section: &Section) -> impl Iterator<Item = &Section> {
    section.iter().filter_map(|(name, value)| match value {
        Value::Section(segment) if name.starts_with("segment") => Some(segment),
        _ => None,
    })
}

/// A volume group, as far as this disk has it.
struct Group<'a> {
    name: &'a str,
    extent_bytes: u64,
    /// Physical volumes by what segments call them: which one, and the byte at which its extents begin.
    physical: HashMap<&'a str, (usize, u64)>,
    /// Extents of each of them.
    counts: Vec<(usize, u64, u64)>,
    slices: &'a [Slice],
    /// Volumes that hold what a snapshot and its origin differ in.
    changes: HashSet<&'a str>,
}

impl<'a> Group<'a> {
    fn read(name: &'a str, section: &'a Section, labels: &[(usize, Label)], slices: &'a [Slice]) -> Result<Self, String> {
        let extent_bytes = text::number(section, "extent_size")?.checked_mul(SECTOR).filter(|bytes| *bytes > 0);
        let extent_bytes = extent_bytes.ok_or("its extents have an impossible size")?;
        let (mut physical, mut counts) = (HashMap::new(), Vec::new());
        for (called, section) in text::sections(section, "physical_volumes") {
            let id = text::text(section, "id")?.replace('-', "");
            let start = text::number(section, "pe_start")?.checked_mul(SECTOR).ok_or("its extents begin at an impossible place")?;
            if let Some((index, _)) = labels.iter().find(|(_, label)| label.id == id) {
                physical.insert(called, (*index, start));
                counts.push((*index, start, text::number(section, "pe_count")?));
            }
        }
        let all = text::sections(section, "logical_volumes").flat_map(|(_, section)| segments(section));
        let changes = all.filter_map(|segment| text::text(segment, "cow_store").ok()).collect();
        Ok(Self { name, extent_bytes, physical, counts, slices, changes })
    }

    /// The volume `name`; `None` for a part of another, which is not seen.
    fn logical(&self, name: &str, section: &Section) -> Option<Logical> {
        let is_visible = matches!(section.get("status"), Some(Value::List(status)) if status.contains(&Value::Text("VISIBLE".to_owned())));
        // A snapshot is two entries: the volume that is shown, named `snapshot0`, and a volume of the snapshot's own name that holds the
        // changes.
        let is_link = segments(section).any(|segment| text::text(segment, "type") == Ok("snapshot"));
        if !is_visible || is_link {
            return None;
        }
        // Device mapper has a single name, in which `-` separates group and volume, so each `-` within them is doubled
        // (`dm_build_dm_name`).
        let doubled = |name: &str| name.replace('-', "--");
        let names = [format!("/dev/{}/{name}", self.name), format!("/dev/mapper/{}-{}", doubled(self.name), doubled(name))];
        let mapped: Result<Vec<(Segment, usize)>, String> = segments(section).map(|segment| self.segment(segment)).collect();
        let mapped = mapped.and_then(|segments| {
            if self.changes.contains(name) {
                return Err("it is a snapshot, which is not read".to_owned());
            }
            let first = segments.first().map_or(0, |(_, physical)| *physical);
            Mapped::new(segments.into_iter().map(|(segment, _)| segment).collect(), self.slices).map(|mapped| (mapped, first))
        });
        let physical = mapped.as_ref().map_or_else(|_| self.physical.values().next().map_or(0, |(index, _)| *index), |(_, first)| *first);
        let bytes = mapped.map(|(mapped, _)| Arc::new(mapped));
        Some(Logical { names, bytes, physical })
    }

    /// Bytes of the physical volumes that no logical volume has, neither one that is shown nor a part of another. The error says why that
    /// is not known.
    fn unallocated(&self, section: &Section) -> Result<Vec<(usize, Range<u64>)>, String> {
        let mut taken: Vec<(usize, Range<u64>)> = Vec::new();
        for segment in text::sections(section, "logical_volumes").flat_map(|(_, section)| segments(section)) {
            let kind = text::text(segment, "type")?;
            if kind == "striped" || kind == "linear" {
                let (segment, _) = self.segment(segment)?;
                let part = segment.len / segment.places.len() as u64;
                taken.extend(segment.places.iter().map(|(index, start)| (*index, *start..start.saturating_add(part))));
            } else if segment.values().any(|value| self.names_physical(value)) {
                // Other kinds consist of volumes that are listed as well. Only an old mirror may name its disks itself.
                return Err(format!("a volume in it is of the type {kind}, which is not read"));
            }
        }
        taken.sort_by_key(|(index, run)| (*index, run.start));
        let mut free = Vec::new();
        for (index, start, count) in &self.counts {
            let end = count.checked_mul(self.extent_bytes).and_then(|bytes| bytes.checked_add(*start));
            let end = end.filter(|end| *end <= self.slices[*index].len()).ok_or("it has more extents than its disk has room for")?;
            let mut at = *start;
            for (_, run) in taken.iter().filter(|(of, _)| of == index) {
                if run.start > at {
                    free.push((*index, at..run.start.min(end)));
                }
                at = at.max(run.end);
            }
            if at < end {
                free.push((*index, at..end));
            }
        }
        Ok(free)
    }

    /// Whether a value of a segment names a physical volume.
    fn names_physical(&self, value: &Value) -> bool {
        matches!(value, Value::List(parts) if parts.iter().any(|part| matches!(part, Value::Text(name) if self.physical.contains_key(name.as_str()))))
    }

    /// A segment, and the physical volume that holds its begin.
    fn segment(&self, section: &Section) -> Result<(Segment, usize), String> {
        let kind = text::text(section, "type")?;
        // A linear segment is a stripe.
        if kind != "striped" && kind != "linear" {
            return Err(format!("it is of the type {kind}, which is not read"));
        }
        let extents = |name: &str| text::number(section, name)?.checked_mul(self.extent_bytes).ok_or(format!("{name} is impossible"));
        let (start, len, count) = (extents("start_extent")?, extents("extent_count")?, text::number(section, "stripe_count")?);
        let Some(Value::List(stripes)) = section.get("stripes") else { return Err("a segment has no stripes".to_owned()) };
        let mut places = Vec::new();
        for stripe in stripes.chunks(2) {
            let [Value::Text(called), Value::Number(extent)] = stripe else {
                return Err("the stripes of a segment are damaged".to_owned());
            };
            let (index, begin) = self.physical.get(called.as_str()).ok_or(format!("it is on {called}, which is not on this disk"))?;
            let place = extent.checked_mul(self.extent_bytes).and_then(|bytes| bytes.checked_add(*begin));
            places.push((*index, place.ok_or("a segment begins at an impossible place")?));
        }
        let Some((first, _)) = places.first().copied().filter(|_| places.len() as u64 == count) else {
            return Err("a segment has another number of stripes than it says".to_owned());
        };
        // Without stripes the whole of the segment is one.
        let stripe = if count == 1 { len } else { text::number(section, "stripe_size")?.checked_mul(SECTOR).unwrap_or_default() };
        if stripe == 0 || len == 0 || !len.is_multiple_of(count) || !(len / count).is_multiple_of(stripe) {
            return Err("the stripes of a segment have an impossible size".to_owned());
        }
        Ok((Segment { start, len, stripe, places }, first))
    }
}

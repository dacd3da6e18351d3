//! The map of a disk: its partitions, and how full they are.

use serde::Serialize;

use crate::base::size::rounded;
use crate::base::text::printable;
use crate::image::inspect::Inspection;

/// The content of a disk, for a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DiskMap {
    /// The size of the disk.
    size: String,
    /// The space of the file on the host.
    file: String,
    areas: Vec<Area>,
    /// Parts that could not be read, a sentence each.
    problems: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Area {
    /// The number of the partition; none for space between partitions.
    number: Option<u32>,
    /// What it is: a partition's name, or the type's id.
    name: String,
    filesystem: String,
    /// Where it is mounted; may be empty.
    mounted: String,
    size: String,
    /// How much of it files use; empty when that is not known.
    used: String,
    /// Hundredths of the disk.
    share: String,
    /// Hundredths of the area that files use.
    full: String,
}

/// Space between partitions that is shown, in bytes: less is alignment.
const SMALLEST_GAP: u64 = 16 << 20;

impl DiskMap {
    /// The map of an inspected disk.
    pub fn of(found: &Inspection) -> Self {
        let size = found.disk.virtual_size;
        let mut areas = Vec::new();
        let partitions = found.partition_table.iter().flat_map(|table| &table.partitions);
        let mut partitions: Vec<_> = partitions
            .map(|partition| {
                let name = if partition.name.is_empty() { &partition.type_id } else { &partition.name };
                (partition.index, partition.start, partition.size, name.clone())
            })
            .collect();
        if partitions.is_empty() {
            partitions.push((0, 0, size, "whole disk".to_owned()));
        }
        partitions.sort_by_key(|(_, start, ..)| *start);
        let mut end = 0;
        for (index, start, length, name) in partitions {
            if let Some(gap) = start.checked_sub(end).filter(|gap| *gap >= SMALLEST_GAP) {
                areas.push(free(gap, size));
            }
            areas.push(area(found, index, length, &name));
            end = end.max(start.saturating_add(length));
        }
        if let Some(gap) = size.checked_sub(end).filter(|gap| *gap >= SMALLEST_GAP) {
            areas.push(free(gap, size));
        }
        Self {
            size: rounded(size),
            file: rounded(found.disk.file_size),
            areas,
            problems: found.problems.iter().map(|problem| printable(problem)).collect(),
        }
    }
}

fn area(found: &Inspection, index: u32, length: u64, name: &str) -> Area {
    let kind = found.filesystems.iter().find(|(partition, _)| *partition == index).and_then(|(_, kind)| *kind);
    let places: Vec<_> = found.system.iter().flat_map(|system| &system.mounts).filter(|place| place.partition == index).collect();
    let used = places.iter().map(|place| place.usage.size.saturating_sub(place.usage.free)).fold(0, u64::saturating_add);
    let all = places.iter().map(|place| place.usage.size).fold(0, u64::saturating_add);
    let mounted: Vec<_> = places.iter().map(|place| printable(&place.path.to_string_lossy())).collect();
    Area {
        number: (index > 0).then_some(index),
        name: printable(name),
        filesystem: kind.map_or_else(String::new, |kind| kind.name().to_owned()),
        mounted: mounted.join(", "),
        size: rounded(length),
        used: if all > 0 { rounded(used) } else { String::new() },
        share: hundredths(length, found.disk.virtual_size),
        full: hundredths(used, all),
    }
}

fn free(length: u64, disk: u64) -> Area {
    Area {
        number: None,
        name: "free".to_owned(),
        filesystem: String::new(),
        mounted: String::new(),
        size: rounded(length),
        used: String::new(),
        share: hundredths(length, disk),
        full: "0".to_owned(),
    }
}

/// What `part` is of `whole`, for a style: `33.33`.
pub(super) fn hundredths(part: u64, whole: u64) -> String {
    if whole == 0 { "0".to_owned() } else { format!("{:.2}", (part as f64 / whole as f64 * 100.0).min(100.0)) }
}

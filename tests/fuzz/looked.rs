//! Reads a damaged disk completely: files, links, attributes, free space.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::Read;

use goldsmith::image::{Disk, FileKind, FreeSpace, ImageError, Root};

use crate::targets::{about, own_words};

/// Limits on the parts of one disk that are read.
const FILES: usize = 300;
const BYTES: u64 = 64 << 10;

/// The content of a disk, as a short text.
pub fn all_over(disk: &Disk) -> String {
    let size = disk.info().virtual_size;
    let root = Root::open(disk).map(|root| look(&root, size));
    let free = FreeSpace::of(disk).map(|free| {
        assert!(free.runs.iter().all(|run| run.start < run.end && run.end <= size));
        assert!(free.runs.windows(2).all(|pair| pair[0].end < pair[1].start));
        (about(free.runs.len()), free.unread.iter().map(|why| own_words(why)).collect::<Vec<_>>())
    });
    format!("{} {}", said(root), said(free))
}

/// Walk through all of it.
fn look(root: &Root, size: u64) -> String {
    let usage = root.usage().unwrap();
    assert!(usage.free <= usage.size && usage.size <= size);
    let mut shown = BTreeSet::new();
    let walk = match root.walk("/") {
        Ok(walk) => walk,
        Err(error) => return said::<()>(Err(error)),
    };
    for item in walk.take(FILES) {
        let (path, metadata) = match item {
            Ok(item) => item,
            Err(error) => {
                shown.insert(said::<()>(Err(error)));
                break;
            }
        };
        shown.insert(match metadata.kind {
            FileKind::File => said(root.open_file(&path).map(|file| {
                let mut bytes = Vec::new();
                let result = file.take(BYTES).read_to_end(&mut bytes).map(about).map_err(|error| own_words(&error.to_string()));
                assert!(bytes.len() as u64 <= metadata.size);
                result
            })),
            FileKind::Symlink => said(root.read_link(&path).map(|target| about(target.as_os_str().len()))),
            kind => format!("{kind:?}"),
        });
        let xattrs = root.xattrs(&path).map(|xattrs| (about(xattrs.len()), about(xattrs.iter().map(|(_, value)| value.len()).sum())));
        shown.insert(said(xattrs));
    }
    shown.into_iter().collect::<Vec<_>>().join(" ")
}

fn said<T: Debug>(result: Result<T, ImageError>) -> String {
    match result {
        Ok(found) => format!("{found:?}"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 4_000, "{text}");
            own_words(&text)
        }
    }
}

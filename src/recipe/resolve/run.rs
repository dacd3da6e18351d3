//! What local machines of the image are given.

use super::super::syntax;
use super::super::tree::KeyPath;
use super::super::written;
use super::judge::Judge;
use crate::base::size::ByteSize;
use crate::hardware::{Equipment, Forward, LEAST_MEMORY};

/// What the `[run]` table says, beside a disk of the image as `disk` says.
pub(super) fn equipment(judge: &mut Judge<'_>, written: &written::Run, disk: &written::Disk) -> Equipment {
    let path = KeyPath::from("run");
    Equipment {
        cpus: written.cpus,
        memory: memory(judge, &path.at("memory"), written.memory.as_deref()),
        disk: larger_disk(judge, &path.at("disk"), written.disk.as_deref(), disk),
        // An empty list is none, so that the key of a recipe says it in one way.
        forward: Some(forwards(judge, &path.at("forward"), &written.forward)).filter(|forwards| !forwards.is_empty()),
        isolated: written.isolated,
    }
}

fn memory(judge: &mut Judge<'_>, path: &KeyPath, written: Option<&str>) -> Option<ByteSize> {
    let memory = judge.verdict(path, syntax::size(written?))?;
    if memory < LEAST_MEMORY {
        judge.wrong(path, format!("{memory} of memory is too little for a machine to start"), format!("give at least {LEAST_MEMORY}"));
    }
    Some(memory)
}

/// A machine's disk lies over that of the image.
fn larger_disk(judge: &mut Judge<'_>, path: &KeyPath, written: Option<&str>, disk: &written::Disk) -> Option<ByteSize> {
    let size = judge.verdict(path, syntax::size(written?))?;
    if let Ok(image) = syntax::size(&disk.size)
        && size < image
    {
        let title = format!("a machine's disk of {size} is smaller than that of the image, which has {image}");
        judge.clash(path, &KeyPath::from("disk.size"), "the image's", title, "make it larger, or remove it");
    }
    Some(size)
}

/// Ports, each of the host's once: lists of a recipe and of what it extends are joined.
fn forwards(judge: &mut Judge<'_>, path: &KeyPath, written: &[String]) -> Vec<Forward> {
    let mut forwards: Vec<Forward> = Vec::new();
    let mut places = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let forward = match text.parse::<Forward>() {
            Ok(forward) => forward,
            Err(why) => {
                judge.wrong(&path.at(index), why, "write `HOST:GUEST`, such as \"8080:80\", or one port for both");
                continue;
            }
        };
        match forwards.iter().position(|other| other.host == forward.host) {
            Some(first) if forwards[first] == forward => {}
            Some(first) => {
                let title = format!("port {} of the host cannot lead to two ports", forward.host);
                judge.clash(&path.at(index), &path.at(places[first]), "first here", title, "choose another port, or remove one");
            }
            None => {
                forwards.push(forward);
                places.push(index);
            }
        }
    }
    forwards
}

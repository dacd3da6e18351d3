//! The `[[container_image]]` tables: everything that can be checked without the archives.

use std::path::{Component, PathBuf};

use super::super::tree::KeyPath;
use super::super::written;
use super::super::{ContainerImage, ContainerRun};
use super::fields::sha256;
use super::judge::Judge;

/// The `[[container_image]]` tables.
pub(super) fn container_images(judge: &mut Judge<'_>, written: &[written::ContainerImage]) -> Vec<ContainerImage> {
    let path = KeyPath::from("container_image");
    let images: Vec<ContainerImage> = written.iter().enumerate().map(|(index, image)| one(judge, &path.at(index), image)).collect();
    // `a.tar` and `./a.tar` are one file.
    let place = |image: &ContainerImage| {
        Some(image.path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>().display().to_string())
    };
    judge.unique(&images, "archive", |index| path.at(index).at("archive"), place);
    images
}

fn one(judge: &mut Judge<'_>, path: &KeyPath, written: &written::ContainerImage) -> ContainerImage {
    let archive = path.at("archive");
    if let (None, Some(_)) = (&written.run, &written.stdout) {
        let help = "add `run = [\"PROGRAM\", \"ARGUMENT\"]`, or `run = []` for the image's own command";
        judge.wrong(&path.at("stdout"), "nothing is run whose output this could be", help);
    }
    for (index, word) in written.run.iter().flatten().enumerate() {
        if word.contains('\0') || (index == 0 && word.trim().is_empty()) {
            judge.wrong(&path.at("run").at(index), "this is not a command", "write the program and each of its arguments as a text");
        }
    }
    ContainerImage {
        path: judge.host_path(&archive, &written.archive),
        sha256: sha256(judge, &path.at("sha256"), written.sha256.as_deref()),
        run: written.run.clone().map(|command| ContainerRun { command, stdout: written.stdout.clone() }),
        at: judge.passage(&archive),
    }
}

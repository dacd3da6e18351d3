//! Files and provision steps: the parts with the user's own bytes.

use super::super::tree::KeyPath;
use super::super::written;
use super::super::{BuildNetwork, Content, FileEntry, ProvisionStep, Recipe, syntax};
use super::fields::{image_path, package_names};
use super::judge::Judge;
use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::image_path::ImagePath;

/// The files of an array of tables at `path`.
pub(super) fn files(judge: &mut Judge<'_>, path: &KeyPath, written: &[written::File]) -> Vec<FileEntry> {
    files_at(judge, path, written, true)
}

/// The files; each must `stay` in the image, or is of use to a script only.
fn files_at(judge: &mut Judge<'_>, path: &KeyPath, written: &[written::File], stay: bool) -> Vec<FileEntry> {
    judge.unique(written, "file", |index| path.at(index).at("path"), |file| Some(file.path.clone()));
    written.iter().enumerate().filter_map(|(index, file)| one_file(judge, &path.at(index), file, stay)).collect()
}

fn one_file(judge: &mut Judge<'_>, path: &KeyPath, written: &written::File, stay: bool) -> Option<FileEntry> {
    let mode = judge.verdict(&path.at("mode"), syntax::mode(&written.mode)).unwrap_or_default();
    let content = content(judge, path, ("content", &written.content), ("source", &written.source)).unwrap_or_else(|| {
        judge.none_of(path, &["content", "source"], "this file has no content");
        Content::Inline { text: String::new() }
    });
    if mode & 0o111 != 0 && content.bytes().starts_with(b"#!") {
        unix_lines(judge, &path.at(if written.content.is_some() { "content" } else { "source" }), &content);
    }
    let owner = judge.parsed(&path.at("owner"), &written.owner);
    let place = image_path(judge, &path.at("path"), &written.path)?;
    if stay {
        judge.verdict(&path.at("path"), syntax::lasting(&place));
    }
    Some(FileEntry { path: place, mode, owner: owner?, content })
}

/// The content of a table with the keys `content` and `source`, and the key that gives it. `None` if there is none (then `lacks` is reported) or it
/// cannot be used, which is reported already.
pub(super) fn own_content(
    judge: &mut Judge<'_>,
    path: &KeyPath,
    (inline, file): (&Option<String>, &Option<String>),
    lacks: &str,
) -> Option<(KeyPath, Content)> {
    let Some(content) = content(judge, path, ("content", inline), ("source", file)) else {
        judge.none_of(path, &["content", "source"], lacks);
        return None;
    };
    let key = path.at(if inline.is_some() { "content" } else { "source" });
    let is_usable = (inline.is_none() || file.is_none()) && !judge.findings.is_spoiled(&key);
    is_usable.then_some((key, content))
}

/// Refuse a private key in `content`, which `key` gives, with this error. A line of the recipe that holds the key itself is not shown.
pub(super) fn refuse_private_key(judge: &mut Judge<'_>, key: &KeyPath, content: &Content, title: &str, help: &str) {
    match content {
        Content::Inline { .. } => judge.leak(key, title, help),
        Content::File { .. } => judge.wrong(key, title, help),
    }
}

/// The content from `inline` or `file`, each a key and its value.
pub(super) fn content(
    judge: &mut Judge<'_>,
    path: &KeyPath,
    inline: (&str, &Option<String>),
    file: (&str, &Option<String>),
) -> Option<Content> {
    match (inline.1, file.1) {
        (Some(_), Some(_)) => {
            let title = format!("`{}` and `{}` exclude each other", inline.0, file.0);
            judge.clash(&path.at(file.0), &path.at(inline.0), "and here", title, "keep one of them");
            Some(Content::Inline { text: String::new() })
        }
        (Some(text), None) => Some(Content::Inline { text: text.clone() }),
        (None, Some(file_name)) => {
            let (path, bytes) = judge.read(&path.at(file.0), file_name);
            Some(Content::File { path, sha256: Sha256Digest::of(&bytes), bytes })
        }
        (None, None) => None,
    }
}

/// Add to `recipe` the text file that what is at `path`, called `what`, stands for. No `[[file]]` may bring it, too.
pub(super) fn stand_for(judge: &mut Judge<'_>, recipe: &mut Recipe, (path, what): (&KeyPath, &str), file: &ImagePath, text: String) {
    if recipe.files.iter().any(|other| other.path == *file) {
        let files = KeyPath::from("file");
        let place = judge.place_in(&files, |text| text == file.as_str()).unwrap_or(files);
        let title = format!("{what} is {file}, which a `[[file]]` brings too");
        judge.clash(
            path,
            &place,
            "the same file",
            title,
            "keep one of them; `extends = { recipe = …, replace = [\"file\"] }` leaves inherited files out",
        );
    }
    let content = Content::Inline { text };
    recipe.files.push(FileEntry { path: file.clone(), mode: 0o644, owner: Owner::root(), content });
}

/// The `[[provision]]` tables.
pub(super) fn provision(judge: &mut Judge<'_>, written: &[written::Provision], network: BuildNetwork) -> Vec<ProvisionStep> {
    let path = KeyPath::from("provision");
    judge.unique(written, "provision step", |index| path.at(index).at("name"), |step| Some(step.name.clone()));
    written.iter().enumerate().map(|(index, step)| one_step(judge, &path.at(index), step, network)).collect()
}

fn one_step(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Provision, network: BuildNetwork) -> ProvisionStep {
    if written.script.is_none() && written.script_file.is_none() && written.files.is_empty() && written.packages.is_empty() {
        judge.none_of(path, &["script", "script_file", "files", "packages"], "this step does nothing");
    }
    if !written.packages.is_empty() && network == BuildNetwork::Closed {
        let title = "packages of a provision step need the network, which is closed";
        let help = "say `network = \"open\"` under `[build]`, or move them to `[packages]`, which the installer reads";
        judge.clash(&path.at("packages"), &KeyPath::from("build.network"), "closed, unless said otherwise", title, help);
    }
    // A script can use a file of /tmp or /run while its step runs.
    let has_script = written.script.is_some() || written.script_file.is_some();
    ProvisionStep {
        name: judge.spelled(&path.at("name"), &written.name, syntax::name),
        files: files_at(judge, &path.at("files"), &written.files, !has_script),
        packages: package_names(judge, &path.at("packages"), &written.packages),
        script: script(judge, path, written),
    }
}

fn script(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Provision) -> Option<Content> {
    let script = content(judge, path, ("script", &written.script), ("script_file", &written.script_file))?;
    let path = path.at(if written.script.is_some() { "script" } else { "script_file" });
    if judge.findings.is_spoiled(&path) || (written.script.is_some() && written.script_file.is_some()) {
        return Some(script);
    }
    if script.bytes().trim_ascii().is_empty() {
        judge.wrong(&path, "this script is empty", "write one, or remove the key");
    } else if script.bytes().contains(&0) {
        judge.wrong(&path, "this script holds a NUL byte", "a script is text");
    } else {
        unix_lines(judge, &path, &script);
    }
    Some(script)
}

/// Refuse a script with a line that ends in CR LF: to Linux the CR is a part of the line's last word (execve(2) of `#!`; POSIX.1-2008, XCU 2.3),
/// and the interpreter would be `/bin/sh\r`.
pub(super) fn unix_lines(judge: &mut Judge<'_>, path: &KeyPath, script: &Content) {
    let Some(at) = script.bytes().windows(2).position(|two| two == b"\r\n") else { return };
    let before = &script.bytes()[..at];
    let line = before.split(|byte| *byte == b'\n').next_back().unwrap_or_default();
    let what = match line.strip_prefix(b"#!") {
        Some(interpreter) => format!("`{}\\r` is no interpreter", String::from_utf8_lossy(interpreter).trim()),
        None => "the CR would be a part of the line's last word".to_owned(),
    };
    match script {
        Content::Inline { .. } => {
            let title = format!("a line of this script ends in CR LF, as in Windows: {what}");
            judge.wrong_line(
                path,
                &["\r\n", "\\r\\n"],
                title,
                "save the recipe with the line ends of Unix, `sed -i 's/\\r$//' RECIPE`, and write `\\n` without `\\r`",
            );
        }
        Content::File { path: file, .. } => {
            let number = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let title = format!("`{}`, line {number}: it ends in CR LF, as in Windows: {what}", file.display());
            judge.wrong(path, title, "save it with the line ends of Unix: `sed -i 's/\\r$//' FILE`");
        }
    }
}

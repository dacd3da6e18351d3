//! Files and provision steps: the parts with the user's own bytes.

use super::super::tree::KeyPath;
use super::super::written;
use super::super::{BuildNetwork, Content, FileEntry, ProvisionStep, syntax};
use super::fields::package_names;
use super::judge::Judge;
use crate::base::digest::Sha256Digest;

/// The files of an array of tables at `path`.
pub(super) fn files(judge: &mut Judge<'_>, path: &KeyPath, written: &[written::File]) -> Vec<FileEntry> {
    files_at(judge, path, written, syntax::lasting_path)
}

fn files_at(judge: &mut Judge<'_>, path: &KeyPath, written: &[written::File], speller: fn(&str) -> syntax::Verdict) -> Vec<FileEntry> {
    judge.unique(written, "file", |index| path.at(index).at("path"), |file| Some(file.path.clone()));
    written.iter().enumerate().map(|(index, file)| one_file(judge, &path.at(index), file, speller)).collect()
}

fn one_file(judge: &mut Judge<'_>, path: &KeyPath, written: &written::File, speller: fn(&str) -> syntax::Verdict) -> FileEntry {
    let mode = judge.verdict(&path.at("mode"), syntax::mode(&written.mode)).unwrap_or_default();
    let content = content(judge, path, ("content", &written.content), ("source", &written.source)).unwrap_or_else(|| {
        judge.none_of(path, &["content", "source"], "this file has no content");
        Content::Inline { text: String::new() }
    });
    if mode & 0o111 != 0 && content.bytes().starts_with(b"#!") {
        unix_lines(judge, &path.at(if written.content.is_some() { "content" } else { "source" }), &content);
    }
    FileEntry {
        path: judge.spelled(&path.at("path"), &written.path, speller),
        mode,
        owner: judge.spelled(&path.at("owner"), &written.owner, syntax::owner),
        content,
    }
}

/// What `inline` or `file` says, each a key and its value.
fn content(judge: &mut Judge<'_>, path: &KeyPath, inline: (&str, &Option<String>), file: (&str, &Option<String>)) -> Option<Content> {
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
    let speller = if has_script { syntax::absolute_path } else { syntax::lasting_path };
    ProvisionStep {
        name: judge.spelled(&path.at("name"), &written.name, syntax::name),
        files: files_at(judge, &path.at("files"), &written.files, speller),
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

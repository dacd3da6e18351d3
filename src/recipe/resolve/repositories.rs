//! Package repositories: where their packages come from, and how they stay in the image.

use super::super::tree::KeyPath;
use super::super::written;
use super::super::{GpgKey, Kept, Repository, Supply, Upstream, syntax};
use super::fields::{file_source, sha256};
use super::judge::Judge;
use super::keys::keys;

/// The `[[repository]]` tables.
pub(super) fn repositories(judge: &mut Judge<'_>, written: &[written::Repository]) -> Vec<Repository> {
    let path = KeyPath::from("repository");
    if !written.is_empty() {
        let help = "there is no yum in it: remove the repository, or choose `installer = \"anaconda\"`";
        judge.not_for_deploy(&path.at(0), "deploy takes packages from the distribution only", help);
    }
    judge.unique(written, "repository", |index| path.at(index).at("id"), |repository| Some(repository.id.clone()));
    let file = |written: &written::Repository| written.unpack_to.as_ref().map(|_| file_of(written));
    judge.unique(written, "the repository file", |index| path.at(index).at("file"), file);
    judge.unique(written, "the directory", |index| path.at(index).at("unpack_to"), |repository| repository.unpack_to.clone());
    let places: Vec<(KeyPath, &str)> = written
        .iter()
        .enumerate()
        .flat_map(|(index, repository)| {
            let path = path.at(index).at("upstream");
            repository.upstream.iter().enumerate().map(move |(nth, upstream)| (path.at(nth).at("name"), upstream.name.as_str()))
        })
        .collect();
    judge.unique(&places, "upstream", |index| places[index].0.clone(), |(_, name)| Some((*name).to_owned()));
    written.iter().enumerate().map(|(index, written)| repository(judge, &path.at(index), written)).collect()
}

fn file_of(written: &written::Repository) -> String {
    written.file.clone().unwrap_or_else(|| format!("{}.repo", written.id))
}

fn repository(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Repository) -> Repository {
    let id = judge.spelled(&path.at("id"), &written.id, syntax::repository_id);
    if let Some(file) = &written.file {
        judge.spelled(&path.at("file"), file, syntax::repository_file);
    }
    for key in ["file", "gpgcheck"] {
        if written.unpack_to.is_none() && judge.is_written(&path.at(key)) {
            let title = format!("`{key}` is about a repository that stays in the image, and this one does not");
            judge.wrong(&path.at(key), title, format!("add `unpack_to = \"/DIRECTORY\"`, or remove `{key}`"));
        }
    }
    let gpg_keys = keys(judge, &path.at("gpg_keys"), &written.gpg_keys);
    Repository {
        id,
        supply: supply(judge, path, written, &gpg_keys),
        kept: written.unpack_to.as_ref().map(|unpack_to| Kept {
            file: file_of(written),
            unpack_to: judge.spelled(&path.at("unpack_to"), unpack_to, syntax::absolute_path),
            gpgcheck: written.gpgcheck,
        }),
        gpg_keys,
    }
}

fn supply(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Repository, gpg_keys: &[GpgKey]) -> Supply {
    let upstream = path.at("upstream");
    let upstreams = written.upstream.iter().enumerate();
    let upstreams = upstreams.map(|(nth, written)| self::upstream(judge, &upstream.at(nth), written, gpg_keys)).collect();
    let Some(source) = &written.archive else {
        if written.upstream.is_empty() {
            judge.none_of(path, &["archive", "upstream"], "this repository does not say where its packages are");
        }
        return Supply::Upstream(upstreams);
    };
    let archive = path.at("archive");
    if !written.upstream.is_empty() {
        let help = "keep one of them, or make two repositories of it";
        judge.clash(&upstream.at(0), &archive, "and here", "`archive` and `upstream` exclude each other", help);
    }
    if !source.urls.is_empty() && source.sha256.is_none() {
        judge.wrong(
            &archive.at("sha256"),
            "a file from the network must be pinned",
            "add `sha256 = \"…\"`: what `sha256sum` prints for the file you mean",
        );
    }
    Supply::Archive(file_source(judge, &archive, source))
}

/// An upstream; `gpg_keys` are its repository's.
fn upstream(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Upstream, gpg_keys: &[GpgKey]) -> Upstream {
    let urls = path.at("urls");
    if written.urls.is_empty() {
        judge.wrong(&urls, "an upstream has an address", "say `urls = [\"https://…/\"]`: the directory that holds `repodata`");
    }
    for (nth, url) in written.urls.iter().enumerate() {
        let spelled = judge.verdict(&urls.at(nth), syntax::base_url(url)).is_some();
        // What repomd.xml says decides which packages there are: whoever could change it on the way could have any package installed.
        if spelled && written.repomd_sha256.is_none() && !syntax::is_trustworthy(url) {
            judge.wrong(
                &urls.at(nth),
                "over http anybody on the way can change what this repository has",
                "take https, or pin it: `repomd_sha256 = \"…\"`, what `sha256sum` prints for its repodata/repomd.xml",
            );
        }
    }
    Upstream {
        name: judge.spelled(&path.at("name"), &written.name, syntax::repository_id),
        urls: written.urls.iter().map(|url| format!("{}/", url.trim_end_matches('/'))).collect(),
        repomd_sha256: sha256(judge, &path.at("repomd_sha256"), written.repomd_sha256.as_deref()),
        gpg_keys: match &written.gpg_keys {
            Some(own) => keys(judge, &path.at("gpg_keys"), own),
            None => gpg_keys.to_vec(),
        },
    }
}

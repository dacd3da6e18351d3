//! Package repositories: where their packages come from, and how they stay in the image.

use super::super::tree::KeyPath;
use super::super::written;
use super::super::{AptRepository, GpgKey, Kept, Repository, Supply, Upstream, syntax};
use super::fields::{file_source, image_path, sha256};
use super::judge::Judge;
use super::keys::keys;
use crate::base::repository_id::RepositoryId;

/// The `[[repository]]` tables of RPM packages.
pub(super) fn repositories(judge: &mut Judge<'_>, written: &[written::Repository]) -> Vec<Repository> {
    let path = KeyPath::from("repository");
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
    let of_rpm = written.iter().enumerate().filter(|(_, written)| written.apt.is_none());
    let read = |(index, written): (usize, &written::Repository)| {
        let path = path.at(index);
        let help = "name an online repository of Debian packages: `apt = { url = \"https://…\" }`, with its `gpg_keys`";
        judge.not_for_deploy(&path, "this is a repository of RPM packages, which deploy does not install", help);
        repository(judge, &path, written)
    };
    of_rpm.map(read).collect()
}

/// The `[[repository]]` tables of Debian packages; `suite` is the distribution's.
pub(super) fn apt_repositories(judge: &mut Judge<'_>, written: &[written::Repository], suite: Option<&str>) -> Vec<AptRepository> {
    let of_apt = written.iter().enumerate().filter_map(|(index, written)| Some((index, written, written.apt.as_ref()?)));
    let read = |(index, written, apt): (usize, &written::Repository, &written::Apt)| {
        let path = KeyPath::from("repository").at(index);
        let at = |key| path.at("apt").at(key);
        for key in ["archive", "upstream", "file", "unpack_to", "gpgcheck"] {
            if judge.is_written(&path.at(key)) {
                let title = format!("`{key}` is for repositories of RPM packages");
                judge.clash(&path.at(key), &path.at("apt"), "Debian packages", title, format!("remove `{key}`"));
            }
        }
        if apt.components.is_empty() {
            judge.wrong(
                &at("components"),
                "an apt repository has at least one component",
                "write them as sources.list(5) does: [\"main\"]",
            );
        }
        let said = apt.suite.as_ref().map(|suite| judge.spelled(&at("suite"), suite, syntax::apt_word));
        let repository = AptRepository {
            id: id(judge, &path.at("id"), &written.id),
            key: format!("repository.{index}"),
            url: judge.spelled(&at("url"), &apt.url, syntax::base_url).trim_end_matches('/').to_owned(),
            // If neither is given, the error is about the distribution.
            suite: said.or(suite.map(str::to_owned)).unwrap_or_default(),
            components: judge.all_spelled(&at("components"), &apt.components, syntax::apt_word),
            gpg_keys: keys(judge, &path.at("gpg_keys"), &written.gpg_keys),
        };
        // These come last, so that they do not hide errors within the table.
        judge.not_for_anaconda(&path.at("apt"), "anaconda installs RPM packages", "give an `archive` or an `upstream`");
        if written.gpg_keys.is_empty() && !judge.is_written(&path.at("gpg_keys")) {
            let title = "this repository does not say which key its index is signed with";
            judge.wrong(&path, title, "add `gpg_keys = [{ url = \"https://…\", fingerprint = \"…\" }]`");
        } else if written.gpg_keys.is_empty() {
            judge.wrong(&path.at("gpg_keys"), "an apt repository has at least one key", "name the key that its index is signed with");
        }
        repository
    };
    of_apt.map(read).collect()
}

/// The id at `path`. A recipe with an id that is spelled wrong is refused, so the id in its place is never used.
fn id(judge: &mut Judge<'_>, path: &KeyPath, written: &str) -> RepositoryId {
    judge.parsed(path, written).unwrap_or_else(|| RepositoryId::made("id"))
}

fn file_of(written: &written::Repository) -> String {
    written.file.clone().unwrap_or_else(|| format!("{}.repo", written.id))
}

fn repository(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Repository) -> Repository {
    let id = self::id(judge, &path.at("id"), &written.id);
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
        kept: written.unpack_to.as_ref().and_then(|unpack_to| {
            Some(Kept {
                file: file_of(written),
                unpack_to: image_path(judge, &path.at("unpack_to"), unpack_to)?,
                gpgcheck: written.gpgcheck,
            })
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
        // repomd.xml decides which packages there are. If it could be changed on the way, any package could be installed.
        if spelled && written.repomd_sha256.is_none() && !syntax::is_trustworthy(url) {
            judge.wrong(
                &urls.at(nth),
                "over http anybody on the way can change what this repository has",
                "take https, or pin it: `repomd_sha256 = \"…\"`, what `sha256sum` prints for its repodata/repomd.xml",
            );
        }
    }
    Upstream {
        name: id(judge, &path.at("name"), &written.name),
        urls: written.urls.iter().map(|url| format!("{}/", url.trim_end_matches('/'))).collect(),
        repomd_sha256: sha256(judge, &path.at("repomd_sha256"), written.repomd_sha256.as_deref()),
        gpg_keys: match &written.gpg_keys {
            Some(own) => keys(judge, &path.at("gpg_keys"), own),
            None => gpg_keys.to_vec(),
        },
    }
}

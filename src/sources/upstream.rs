//! Online RPM repositories: their metadata, and the packages that were chosen from them.
//!
//! ```text
//! repomd.xml ─its checksums→ primary.xml, filelists.xml ─(the caller solves)→ Choice ─gather→ Bundle
//!    └ pinned by the recipe, or read anew every time                            └ each package by the checksum of primary.xml
//! ```
//!
//! What is trusted: every package is what primary.xml says (SHA-256), primary.xml what repomd.xml says, and repomd.xml is what the recipe
//! pins, or comes from a server whose certificate this host trusts. Where the recipe names keys, every package must be signed with one of
//! them, too (`super::signatures`); a signature of repomd.xml counts for packages whose own signature does not cover all of them.
//!
//! Groups (comps.xml) are not read here: the installer uses those of the installation medium.

mod choose;
mod gather;
mod prove;
mod transfer;

use std::fs::{self, File};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SourceError;
use super::bundle::FILE_BYTES;
use super::fetch::{Awaited, Remote, Way, fetch, small};
use super::host::Host;
use super::signatures::{Keyring, of_index};
use super::verified::stored;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::fingerprint::Fingerprint;
use crate::packages::rpm::{Entry, Kind, Repomd, address, local_path};
use crate::packages::{Checksum, IndexError, Input, Problem};
use crate::recipe;

pub use gather::gather;
pub use prove::prove;

/// Bytes that repomd.xml may have; that of Fedora has 10 KB.
const REPOMD_BYTES: u64 = 1 << 20;
/// Bytes that an index may have as it is fetched, whatever repomd.xml says.
const INDEX_BYTES: u64 = 256 << 20;
/// Bytes that an expanded index may have; the filelists of CentOS 7 with all updates have 90 MiB.
const EXPANDED_BYTES: u64 = 512 << 20;

/// An online repository.
#[derive(Debug)]
pub struct Upstream {
    /// The recipe's repository that its packages go to.
    repository: String,
    /// Its name for people.
    name: String,
    /// Its mirrors, each with a `/` at its end.
    urls: Vec<String>,
    /// The recipe's key that names them.
    key: String,
    repomd: Repomd,
    sha256: Sha256Digest,
    /// The keys that its packages must be signed with, if any.
    keyring: Option<Keyring>,
    /// The key among these that signed its repomd.xml, if any.
    signer: Option<Fingerprint>,
}

/// A package of an online repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemotePackage {
    /// The repository, by its name.
    pub upstream: String,
    /// Where it is: an address relative to the repository's, in which characters may be escaped.
    pub href: String,
    /// The name of its file, without escapes.
    pub file_name: String,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its bytes.
    pub bytes: u64,
}

/// The packages of online repositories that a repository of the recipe gets.
#[derive(Debug, Default)]
pub struct OnlinePackages {
    /// The packages, in the order of their file names.
    pub packages: Vec<RemotePackage>,
    /// The packages that are still to be fetched.
    pub awaited: Option<Awaited>,
}

/// Get the metadata of an upstream of the recipe's repository `repository`, and the keys for it; `key` leads to it in the recipe.
///
/// # Errors
/// The index or the keys cannot be had, or are not what they must be; both are looked for.
pub(super) async fn open(
    repository: &str,
    key: &str,
    upstream: &recipe::Upstream,
    host: Host<'_>,
    task: &Task,
) -> Result<Upstream, Vec<SourceError>> {
    let keyring = Keyring::of(&upstream.name, &format!("{key}.gpg_keys"), &upstream.gpg_keys, host, task).await;
    let index = index(repository, key, upstream, host, task).await;
    let (keyring, (mut opened, bytes)) = match (keyring, index) {
        (Ok(keyring), Ok(index)) => (keyring, index),
        (keyring, index) => return Err(index.err().into_iter().chain(keyring.err()).collect()),
    };
    if let Some(keyring) = &keyring {
        let what = format!("repomd.xml of {}", upstream.name);
        let urls = below(&upstream.urls, "repodata/repomd.xml.asc");
        let signer = of_index(&what, &urls, &bytes, upstream.repomd_sha256.is_some(), keyring, host, task).await;
        opened.signer = signer.map_err(|error| vec![error])?;
    }
    opened.keyring = keyring;
    Ok(opened)
}

/// The upstream without keys, and its repomd.xml.
async fn index(
    repository: &str,
    key: &str,
    upstream: &recipe::Upstream,
    host: Host<'_>,
    task: &Task,
) -> Result<(Upstream, Vec<u8>), SourceError> {
    let what = format!("repomd.xml of {}", upstream.name);
    let key = format!("{key}.urls");
    let urls = below(&upstream.urls, "repodata/repomd.xml");
    let bytes = match upstream.repomd_sha256 {
        Some(sha256) => {
            let remote = Remote { limit: REPOMD_BYTES, way: Way::Mirrors(&key), ..Remote::pinned(&what, &key, &urls, sha256) };
            let path = kept(remote, host, task).await?;
            fs::read(&path).map_err(|source| SourceError::Unreadable { what: what.clone(), path, source })?
        }
        None => small(&what, Way::Mirrors(&key), &urls, REPOMD_BYTES, &host.patience(), task).await?,
    };
    let repomd = Repomd::read(&what, &bytes[..])?;
    if repomd.entry(Kind::Primary).is_none() {
        return Err(unfit(&what, "it lists no primary.xml, which has the packages".to_owned()));
    }
    let opened = Upstream {
        repository: repository.to_owned(),
        name: upstream.name.to_string(),
        urls: upstream.urls.clone(),
        key,
        repomd,
        sha256: Sha256Digest::of(&bytes),
        keyring: None,
        signer: None,
    };
    Ok((opened, bytes))
}

/// A file of the store, or from the network.
async fn kept(remote: Remote<'_>, host: Host<'_>, task: &Task) -> Result<PathBuf, SourceError> {
    match stored(remote.what, remote.sha256, host.store, task).await? {
        Some(path) => Ok(path),
        None => fetch(remote, host.store, &host.patience(), task).await,
    }
}

/// Where a file of a repository is on each of its mirrors.
fn below(urls: &[String], path: &str) -> Vec<String> {
    urls.iter().map(|url| format!("{url}{path}")).collect()
}

/// The error for an index that cannot be used.
fn unfit(index: &str, what: String) -> SourceError {
    IndexError { index: index.to_owned(), at: None, package: None, problem: Problem::Malformed(what) }.into()
}

/// The digest of a file that `index` gives `checksum` for.
fn sha256_of(index: &str, file: &str, checksum: &Checksum) -> Result<Sha256Digest, SourceError> {
    let kind = checksum.kind();
    checksum.sha256().ok_or_else(|| unfit(index, format!("the checksum of {file} is {kind}, and what is fetched is trusted by sha256")))
}

impl Upstream {
    /// The recipe's repository that its packages go to.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Its name for people, which is unique in the recipe.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The primary keys that its packages must be signed with; none when they need no signature.
    pub fn keys(&self) -> &[Fingerprint] {
        self.keyring.as_ref().map(Keyring::fingerprints).unwrap_or_default()
    }

    /// The key that signed its repomd.xml, if any.
    pub fn signer(&self) -> Option<Fingerprint> {
        self.signer
    }

    /// The digest of its repomd.xml, which has the digests of all the rest.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// Whether the repository has an index of a kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.repomd.entry(kind).is_some()
    }

    /// Hand the index of a kind to `read`, when the repository has one: from the store, or fetched. It is fetched even with
    /// [`Fetch::Look`].
    ///
    /// # Errors
    /// It cannot be had or is not what it must be; and those of `read`.
    pub async fn index(
        &self,
        kind: Kind,
        host: Host<'_>,
        task: &Task,
        read: impl FnOnce(Input<'_>) -> Result<(), IndexError>,
    ) -> Result<(), SourceError> {
        let Some(entry) = self.repomd.entry(kind) else { return Ok(()) };
        let name = format!("{} of {}", entry.href, self.name);
        let path = kept(self.remote(&name, entry, &below(&self.urls, &entry.address))?, host, task).await?;
        let file = File::open(&path).map_err(|source| SourceError::Unreadable { what: name.clone(), path: path.clone(), source })?;
        Ok(read(entry.input(&name, file, EXPANDED_BYTES)?)?)
    }

    fn remote<'a>(&'a self, name: &'a str, entry: &Entry, urls: &'a [String]) -> Result<Remote<'a>, SourceError> {
        Ok(Remote {
            what: name,
            way: Way::Mirrors(&self.key),
            urls,
            sha256: sha256_of(&format!("repomd.xml of {}", self.name), &entry.href, &entry.listed.checksum)?,
            says: "repomd.xml",
            limit: entry.listed.size.map_or(INDEX_BYTES, |size| size.min(INDEX_BYTES)),
        })
    }

    /// The package that is at `href`, as primary.xml says, or at an address relative to `base`.
    ///
    /// # Errors
    /// The place or the checksum cannot be used.
    pub fn package(&self, href: &str, base: Option<&str>, checksum: Option<&Checksum>, bytes: u64) -> Result<RemotePackage, SourceError> {
        let index = format!("primary.xml of {}", self.name);
        if let Some(base) = base {
            return Err(unfit(
                &index,
                format!("`{href}` is kept at another place ({base}), and packages are fetched from the recipe's urls alone"),
            ));
        }
        let path = local_path(href).map_err(|why| unfit(&index, format!("the place of a package, `{href}`, {why}")))?;
        let checksum = checksum.ok_or_else(|| unfit(&index, format!("{href} has no checksum that is known")))?;
        let sha256 = sha256_of(&index, href, checksum)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        // The name is used for files on the host, on the volume and in the image.
        let is_plain = name.len() <= 200 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-~^".contains(&byte));
        if !is_plain || name.starts_with('.') || !name.ends_with(".rpm") {
            return Err(unfit(&index, format!("`{href}` is not the place of a package")));
        }
        if bytes > FILE_BYTES {
            return Err(unfit(&index, format!("{href} has 4 GiB or more, which FAT32, on which it would travel, does not have")));
        }
        let (upstream, file_name) = (self.name.clone(), name.to_owned());
        Ok(RemotePackage { upstream, href: address(href), file_name, sha256, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Events;
    use crate::base::failure::{Class, Failure};
    use crate::cache::Store;
    use crate::sources::Proxies;
    use crate::sources::{Choice, Fetch, Resolved, Web};

    fn upstream(name: &str) -> Upstream {
        Upstream {
            repository: "lab".into(),
            name: name.into(),
            urls: vec![format!("https://{name}.example/os/")],
            key: "k".into(),
            repomd: Repomd::default(),
            sha256: Sha256Digest::of(b""),
            keyring: None,
            signer: None,
        }
    }

    /// Do something with a store, and a host that only looks.
    fn on_host<T>(work: impl AsyncFnOnce(Host<'_>) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let web = Web::through(Proxies::default());
        let host = Host { apt: dir.path(), scratch: dir.path(), store: &store, web: &web, fetch: Fetch::Look };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work(host))
    }

    #[test]
    fn a_package_is_where_and_what_an_index_may_say() {
        let sha256 = Checksum::parse("sha256", &"a".repeat(64)).unwrap();
        let sha1 = Checksum::parse("sha1", &"a".repeat(40)).unwrap();
        let tell = |(href, base), checksum, bytes| match upstream("extras").package(href, base, checksum, bytes) {
            Ok(package) => format!("{} of {}", package.file_name, package.href),
            Err(error) => {
                assert_eq!(error.class(), Class::Input);
                error.to_string()
            }
        };
        let begin = "primary.xml of extras cannot be used: ";
        for (place, checksum, bytes, expected) in [
            (("a-1-1.noarch.rpm", None), Some(&sha256), 5, "a-1-1.noarch.rpm of a-1-1.noarch.rpm"),
            (("./P/a-1~rc^2+b_c.rpm", None), Some(&sha256), u64::from(u32::MAX), "a-1~rc^2+b_c.rpm of P/a-1~rc^2+b_c.rpm"),
            (("P/gcc-c%2B%2B.rpm", None), Some(&sha256), 5, "gcc-c++.rpm of P/gcc-c%2B%2B.rpm"),
            (("../a.rpm", None), Some(&sha256), 5, "the place of a package, `../a.rpm`, is no path within the repository"),
            (
                ("https://x/a.rpm", None),
                Some(&sha256),
                5,
                "the place of a package, `https://x/a.rpm`, is a whole address, and yum looks for it below the repository's own",
            ),
            (
                ("a.rpm", Some("https://x/")),
                Some(&sha256),
                5,
                "`a.rpm` is kept at another place (https://x/), and packages are fetched from the recipe's urls alone",
            ),
            (("a.rpm", None), None, 5, "a.rpm has no checksum that is known"),
            (("a.rpm", None), Some(&sha1), 5, "the checksum of a.rpm is sha1, and what is fetched is trusted by sha256"),
            (("a.exe", None), Some(&sha256), 5, "`a.exe` is not the place of a package"),
            (("x/.a.rpm", None), Some(&sha256), 5, "`x/.a.rpm` is not the place of a package"),
            (("x/a b.rpm", None), Some(&sha256), 5, "`x/a b.rpm` is not the place of a package"),
            (("x/a:b.rpm", None), Some(&sha256), 5, "`x/a:b.rpm` is not the place of a package"),
            (("a.rpm", None), Some(&sha256), 1 << 32, "a.rpm has 4 GiB or more, which FAT32, on which it would travel, does not have"),
        ] {
            assert_eq!(tell(place, checksum, bytes).replace(begin, ""), expected);
        }
    }

    #[test]
    fn what_was_chosen_is_pinned_by_what_it_is() {
        let package = |upstream: &str, href: &str, content: &str| RemotePackage {
            upstream: upstream.into(),
            href: href.into(),
            file_name: href.rsplit('/').next().unwrap().into(),
            sha256: Sha256Digest::of(content.as_bytes()),
            bytes: 1 << 20,
        };
        let choose = |packages: &[RemotePackage]| {
            let other = Upstream { repository: "other".into(), ..upstream("c") };
            let resolved = Resolved { upstreams: vec![upstream("b"), upstream("a"), other], ..Resolved::default() };
            on_host(async |host| Choice::online(&resolved, packages, host))
        };
        let two = choose(&[package("b", "x/one.rpm", "1"), package("a", "y/two.rpm", "2")]).unwrap();
        let awaited = |id: &str| two.online[id].awaited.as_ref().map(ToString::to_string);
        assert_eq!(awaited("lab").as_deref(), Some("will be fetched: 2.00 MiB from b.example and a.example"));
        assert_eq!((awaited("other"), two.pins.len(), two.pins[1].name.as_str()), (None, 2, "packages other"));
        // The pin depends on the packages' content, but not on their order and origin.
        let elsewhere = choose(&[package("a", "two.rpm", "2"), package("b", "one.rpm", "1")]).unwrap();
        assert_eq!(elsewhere.pins, two.pins);
        assert_ne!(choose(&[package("b", "one.rpm", "1"), package("b", "two.rpm", "3")]).unwrap().pins, two.pins);
        let twins = choose(&[package("a", "x/one.rpm", "1"), package("b", "one.rpm", "2")]).unwrap_err().to_string();
        assert_eq!(twins, "primary.xml of a cannot be used: x/one.rpm is in b too, and another one");
    }

    #[test]
    fn a_repository_without_packages_is_none() {
        let repomd = "<repomd xmlns='http://linux.duke.edu/metadata/repo'><revision>1</revision></repomd>";
        let said = on_host(async |host| {
            let sha256 = Sha256Digest::of(repomd.as_bytes());
            // As if it had been fetched: it is pinned, so no server is asked.
            fs::write(host.store.root().join("v1/files").join(sha256.to_string()), repomd).unwrap();
            let wanted = recipe::Upstream {
                name: crate::base::repository_id::RepositoryId::made("os"),
                urls: vec!["https://x.invalid/".into()],
                repomd_sha256: Some(sha256),
                gpg_keys: Vec::new(),
            };
            open("lab", "k", &wanted, host, &Events::none().task("t")).await.unwrap_err()[0].to_string()
        });
        assert_eq!(said, "repomd.xml of os cannot be used: it lists no primary.xml, which has the packages");
    }
}

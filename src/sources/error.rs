//! Why an input cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use super::magic;
use super::medium::LabelError;
use crate::base::digest::Sha256Digest;
use crate::base::failure::{Class, Failure, Finding};
use crate::base::process::ProcessError;
use crate::base::size::rounded;
use crate::base::text::{printable, shell_quote};
use crate::cache::CacheError;
use crate::packages::IndexError;
use crate::recipe::{Passage, likely_suite};

/// The remedy when the host's package sources name something that does not exist.
const HOST_SOURCES: &str = "check the host's package sources: /etc/apt/sources.list and /etc/apt/sources.list.d";

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file of the recipe was not found anywhere.
    #[error("{what} is missing: {}", .path.as_ref().map_or_else(|| "the recipe gives no path to a local copy".to_owned(), |path| format!("there is no {}", path.display())))]
    Missing {
        /// Its role in the recipe.
        what: String,
        /// The recipe's key that names it: `media.iso.path`.
        key: String,
        /// Where it was looked for.
        path: Option<PathBuf>,
        /// The required digest.
        sha256: Option<Sha256Digest>,
    },
    /// The file cannot be read.
    #[error("{what} cannot be read: {}: {source}", path.display())]
    Unreadable {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not the one the recipe pins.
    #[error("{what} is another file than the recipe pins: {} has sha256 {found}, the recipe says {expected}", path.display())]
    WrongDigest {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// Its digest.
        found: Sha256Digest,
        /// The required digest.
        expected: Sha256Digest,
    },
    /// The file is not of the kind it must be.
    #[error("{what} is not {kind}: {} is {is}", path.display())]
    WrongKind {
        /// Its role in the recipe.
        what: String,
        /// The required kind.
        kind: &'static str,
        /// Where it is.
        path: PathBuf,
        /// The actual value.
        is: String,
    },
    /// The file is only the beginning of what it should be.
    #[error("{what} is cut short: {} has {has} of {needs} bytes", path.display())]
    Truncated {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// Bytes it has.
        has: u64,
        /// Bytes it must have at least.
        needs: u64,
    },
    /// The file is of the right kind, and something in it is not as that kind has it.
    #[error("{what} cannot be used: {}: {damage}", path.display())]
    Damaged {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// Which part is damaged, and how.
        damage: String,
    },
    /// An ISO installs nothing.
    #[error("the installation medium has no installer: {} is an ISO 9660 image with the label `{}` and without a .treeinfo", path.display(), printable(volume))]
    NoInstaller {
        /// Where it is.
        path: PathBuf,
        /// Its volume ID.
        volume: String,
    },
    /// The medium is not the pinned one, as its size shows.
    #[error("the installation medium is another one than the recipe pins: {} is {kind}, the recipe says {pinned}", path.display())]
    WrongMedium {
        /// Where it is.
        path: PathBuf,
        /// Its kind.
        kind: String,
        /// The pinned kind.
        pinned: String,
    },
    /// A medium installs something else than a recipe can ask for.
    #[error("the installation medium cannot carry the recipe: {} is {kind}; {why}", path.display())]
    UnfitMedium {
        /// Where it is.
        path: PathBuf,
        /// Its kind.
        kind: String,
        /// Why it cannot.
        why: String,
    },
    /// A medium has metadata that yum of EL 7 cannot use.
    #[error("the installation medium cannot be used: {} is {kind}; yum of EL 7 cannot use its repodata: {}", path.display(), first_of(problems))]
    UnusableRepodata {
        /// Where it is.
        path: PathBuf,
        /// Its kind.
        kind: String,
        /// A line for each problem.
        problems: Vec<String>,
    },
    /// A medium has a label that the installer would not find it by.
    #[error("the installer cannot find the medium by its label: {} is {kind}; {why}", path.display())]
    UnusableLabel {
        /// Where it is.
        path: PathBuf,
        /// Its kind.
        kind: String,
        /// The fault of the label.
        why: LabelError,
    },
    /// A medium lacks a file.
    #[error("the installation medium lacks {}: {} is {kind}", printable(what), path.display())]
    NotOnMedium {
        /// Where it is.
        path: PathBuf,
        /// Its kind.
        kind: String,
        /// The missing file or property.
        what: String,
    },
    /// A bundle holds what cannot be used, or is hostile.
    #[error("{what} cannot be used: {}: {told}", path.display())]
    BadBundle {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// The first problem, and how many more there are.
        told: String,
        /// A line for each problem.
        problems: Vec<String>,
    },
    /// A bundle's metadata lists other files than the bundle holds, or cannot be used by yum.
    #[error("the metadata of {what} cannot be used: {}: {told}", path.display())]
    BadRepodata {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// The first problem, and how many more there are.
        told: String,
        /// A line for each problem.
        problems: Vec<String>,
    },
    /// An archive of container images is of another format, is damaged or hostile, or has images that cannot be loaded.
    #[error("{what} cannot be used: {}: {}", path.display(), first_of(problems))]
    BadImages {
        /// Its role in the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// Its faults; at least one.
        problems: Vec<String>,
        /// The remedy for all of it.
        remedy: String,
    },
    /// An input cannot be used, and it is known where the recipe names it.
    #[error("{source}")]
    InRecipe {
        /// Where.
        at: Box<Passage>,
        /// Why.
        source: Box<SourceError>,
    },
    /// Keys that packages must be signed with cannot be read or fetched, or are not the named ones.
    #[error("{what} cannot be used: {}", first_of(problems))]
    BadKeys {
        /// The repository that they are for, as the recipe names it.
        what: String,
        /// The recipe's key that names them.
        key: String,
        /// The fault of each; at least one.
        problems: Vec<String>,
    },
    /// Packages are not signed with a key that the recipe names.
    #[error("{what} are refused: {}", first_of(problems))]
    BadSignatures {
        /// Which packages they are among.
        what: String,
        /// The recipe's key that names the keys.
        key: String,
        /// Each package and why; at least one.
        problems: Vec<String>,
    },
    /// The index of a repository was changed after it was signed.
    #[error("{what} was changed after it was signed: the signature beside it does not fit")]
    BadIndexSignature {
        /// The index.
        what: String,
    },
    /// A repository's signed index cannot be had.
    #[error("the package repository cannot be reached: {url}")]
    Unreachable {
        /// The index.
        url: String,
        /// The messages of apt's downloader.
        source: ProcessError,
    },
    /// A mirror has other suites, but not this one.
    #[error("{}", no_suite(suite, mirror))]
    NoSuite {
        /// The suite.
        suite: String,
        /// The mirror's address.
        mirror: String,
        /// Where the recipe names the suite; nothing when this host's package sources do.
        at: Option<Box<Passage>>,
    },
    /// The server at a mirror's address has none of Debian's suites.
    #[error("there is no archive of Debian at {mirror}: it has neither the suite `{suite}` nor {others}")]
    NoArchive {
        /// The mirror's address.
        mirror: String,
        /// The suite.
        suite: String,
        /// The other suites that were looked for: "`stable`".
        others: String,
    },
    /// apt does not trust a suite's signed index.
    #[error("apt does not trust the suite {suite} of this host's package sources: {url}")]
    Untrusted {
        /// The suite.
        suite: String,
        /// The index.
        url: String,
        /// The message of apt.
        source: ProcessError,
    },
    /// The index of a recipe's repository cannot be had.
    #[error("repository {id} cannot be reached, or has no such suite: {url}")]
    UnreachedRepository {
        /// The repository.
        id: String,
        /// The recipe's key that leads to it.
        key: String,
        /// The index.
        url: String,
        /// The message of apt.
        source: ProcessError,
    },
    /// The index of a recipe's repository is not signed as the recipe says.
    #[error("the index of repository {id} is not signed with a key that the recipe names: {url}")]
    UntrustedRepository {
        /// The repository.
        id: String,
        /// The recipe's key that names its keys.
        key: String,
        /// The index.
        url: String,
        /// The message of apt.
        source: ProcessError,
    },
    /// A suite lists no index of packages.
    #[error("the suite {suite} at the mirror {mirror} has no component `{component}` for {arch}")]
    NoIndex {
        /// The suite.
        suite: String,
        /// The mirror's address.
        mirror: String,
        /// The component that is not in its Release file: `main`.
        component: String,
        /// The architecture: `amd64`.
        arch: String,
    },
    /// A package index is not what it must be.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A file cannot be had from any of its addresses.
    #[error("{what} cannot be fetched: {}", first(failures))]
    Unfetched {
        /// Its role in the recipe.
        what: String,
        /// The recipe's key that names a local copy.
        key: String,
        /// The required digest.
        sha256: Sha256Digest,
        /// Each address, without credentials, and why not from there; at least one.
        failures: Vec<(String, String)>,
    },
    /// A file of an online repository cannot be had from any of its mirrors.
    #[error("{what} cannot be fetched: {}", first(failures))]
    NoMirror {
        /// Its role in the recipe.
        what: String,
        /// The recipe's key that names the mirrors.
        key: String,
        /// Each address, without credentials, and why not from there; at least one.
        failures: Vec<(String, String)>,
    },
    /// A file would fill the store's disk.
    #[error("there is no room for {what}: {} has {} free, {} needed", path.display(), rounded(*.free), rounded(*.needed))]
    NoRoom {
        /// Its role in the recipe.
        what: String,
        /// The store.
        path: PathBuf,
        /// Bytes that are still to come.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Nothing can be fetched from this host.
    #[error("files cannot be fetched: {why}")]
    NoClient {
        /// Why.
        why: String,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] CacheError),
    /// A tool is missing or failed.
    #[error(transparent)]
    Tool(#[from] ProcessError),
    /// A scratch file could not be made.
    #[error("{} cannot be written: {source}", path.display())]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn no_suite(suite: &str, mirror: &str) -> String {
    format!("no suite `{suite}` at the mirror {mirror}")
}

/// The first problem and how many more there are.
fn first_of(problems: &[String]) -> String {
    match problems {
        [] => "nothing is wrong".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// The first address that failed and how many more did.
fn first(failures: &[(String, String)]) -> String {
    let Some((url, why)) = failures.first() else { return "it has no address".to_owned() };
    // It contains text from servers.
    let why = printable(why);
    match failures.len() {
        1 => format!("{url}: {why}"),
        count => format!("{url}: {why} (nor from {} more)", count - 1),
    }
}

/// What the user should check when no server gives a file.
fn reach(failures: &[(String, String)]) -> &'static str {
    let untrusted = failures.iter().any(|(_, why)| why.contains("certificate"));
    if untrusted { "make the host trust the server (ca-certificates)" } else { "check the network and the addresses" }
}

impl SourceError {
    /// The scratch file at `path` could not be made.
    pub(super) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Scratch { path, source }
    }

    /// The file at `path` is not `kind`; look what it is instead.
    pub(super) fn wrong_kind(what: &str, kind: &'static str, path: &Path) -> Self {
        match magic::identify(path) {
            Ok(is) => Self::WrongKind { what: what.to_owned(), kind, path: path.to_owned(), is },
            Err(source) => Self::Unreadable { what: what.to_owned(), path: path.to_owned(), source },
        }
    }
}

impl Failure for SourceError {
    fn class(&self) -> Class {
        match self {
            Self::Tool(error) => error.class(),
            Self::Index(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::InRecipe { source, .. } => source.class(),
            Self::NoSuite { at: Some(_), .. } => Class::Usage,
            Self::Scratch { .. } | Self::NoRoom { .. } | Self::NoClient { .. } | Self::Untrusted { .. } => Class::Host,
            _ => Class::Input,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Missing { key, sha256, .. } => {
                let pinned = sha256.map(|digest| format!(" (sha256 {digest})")).unwrap_or_default();
                format!("say where it is{pinned}: --set {key}='\"FILE\"'")
            }
            Self::Unreadable { path, .. } => format!("see `ls -l {}`", path.display()),
            Self::WrongDigest { .. } => "download it again, or correct the recipe's sha256 if this is the file you mean".to_owned(),
            Self::WrongKind { is, .. } if is.starts_with("a web page") => {
                "download it again, from an address that gives the file itself and not a page about it".to_owned()
            }
            Self::WrongKind { .. } | Self::NoInstaller { .. } => "correct the path, or download the file again".to_owned(),
            Self::Truncated { .. } => "let the download go on to its end, or download it again".to_owned(),
            Self::Damaged { .. } => "download it again and compare its sha256 with the one its maker publishes".to_owned(),
            Self::WrongMedium { pinned, .. } => {
                format!("get {pinned}, or take this medium: --set 'media.iso={{path=\"FILE\", sha256=\"DIGEST\"}}'")
            }
            Self::UnusableLabel { path, .. } => format!(
                "write the medium again with another label, and pin the new file: xorriso -indev {} -outdev NEW.iso -boot_image any replay -volid \
                 'CentOS 7 x86_64'",
                shell_quote(&path.to_string_lossy())
            ),
            Self::UnfitMedium { .. } | Self::NotOnMedium { .. } => {
                "take another medium: --set 'media.iso={path=\"FILE\", sha256=\"DIGEST\"}'".to_owned()
            }
            Self::UnusableRepodata { .. } => {
                "take the medium as its maker publishes it; or make the metadata again in the directory that the medium is written from, and write it \
                 again: createrepo_c --no-database --general-compress-type=gz --groupfile COMPS.xml DIRECTORY"
                    .to_owned()
            }
            Self::BadBundle { .. } => {
                "get it again, or pack the packages anew, and nothing but them: tar -C DIRECTORY -chzf FILE . (h: files in the place of links)"
                    .to_owned()
            }
            Self::BadImages { remedy, .. } => remedy.clone(),
            Self::InRecipe { source, .. } => return source.remedy(),
            Self::BadRepodata { .. } => {
                "make the metadata again where the packages are, and pack them again: createrepo_c --no-database --general-compress-type=gz DIRECTORY \
                 (or pack them without repodata: with createrepo_c installed, goldsmith makes it)"
                    .to_owned()
            }
            Self::BadKeys { key, .. } => {
                format!("correct the keys that `{key}` names, or bring them as files: --set {key}='[{{ file = \"FILE\" }}]'")
            }
            Self::BadSignatures { key, .. } => {
                format!(
                    "get these packages again from whoever signs them; or name the key that they are signed with in `{key}`, if you trust it"
                )
            }
            Self::BadIndexSignature { .. } => "try again when the mirror has all of the newer index, or take another mirror".to_owned(),
            Self::Unreachable { .. } => "check the network and the host's package sources: apt-get update".to_owned(),
            Self::NoSuite { at: None, .. } | Self::NoArchive { .. } => HOST_SOURCES.to_owned(),
            Self::NoSuite { suite, .. } => match likely_suite(suite) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write the code name of a release that the mirror has, like \"bookworm\"".to_owned(),
            },
            Self::Untrusted { .. } => {
                "if it says NO_PUBKEY, install the distribution's keys: apt-get install debian-archive-keyring; if it says expired, take another mirror"
                    .to_owned()
            }
            Self::UnreachedRepository { key, .. } => format!("check the network, and `url` and `suite` of `{key}.apt`"),
            Self::UntrustedRepository { key, .. } => format!(
                "if it says NO_PUBKEY, the index is signed with the key that it names there, which `{key}` does not have; if it says EXPKEYSIG, get \
                 the key anew from its maker, with its later date"
            ),
            Self::NoIndex { .. } => {
                "check the components: a repository's in the recipe, the host's in its package sources (/etc/apt/sources.list.d)".to_owned()
            }
            Self::Unfetched { key, sha256, failures, .. } => {
                format!("{}; or get the file yourself (sha256 {sha256}) and say where it is: --set {key}='\"FILE\"'", reach(failures))
            }
            Self::NoMirror { key, failures, .. } => {
                format!("{}; or name another mirror: --set {key}='[\"URL\"]'", reach(failures))
            }
            Self::NoRoom { needed, free, .. } => {
                format!("free {} there, or name another store: --store DIR", rounded(needed.saturating_sub(*free)))
            }
            Self::NoClient { .. } => {
                "check the proxies in the environment, and that the host has CA certificates (ca-certificates)".to_owned()
            }
            Self::Store(error) => return error.remedy(),
            Self::Index(error) => return error.remedy(),
            Self::Tool(error) => return error.remedy(),
            Self::Scratch { path, .. } => format!("make room or give permission: {}", path.display()),
        })
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::NoSuite { suite, mirror, at: Some(at) } => vec![at.finding(&no_suite(suite, mirror), self.remedy())],
            Self::InRecipe { at, source } => vec![at.finding(&source.to_string(), source.remedy())],
            _ => Vec::new(),
        }
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::NoSuite { at: Some(at), .. } => at.shown(),
            Self::InRecipe { at, source } => at.shown().into_iter().chain(source.evidence()).collect(),
            Self::Unreachable { source, .. }
            | Self::Untrusted { source, .. }
            | Self::UnreachedRepository { source, .. }
            | Self::UntrustedRepository { source, .. }
            | Self::Tool(source) => source.evidence(),
            Self::Unfetched { failures, .. } | Self::NoMirror { failures, .. } if failures.len() > 1 => {
                failures.iter().map(|(url, why)| format!("{url}: {why}")).collect()
            }
            // A single problem is in the message of the error itself.
            Self::BadBundle { problems, .. }
            | Self::BadRepodata { problems, .. }
            | Self::UnusableRepodata { problems, .. }
            | Self::BadImages { problems, .. }
            | Self::BadKeys { problems, .. }
            | Self::BadSignatures { problems, .. }
                if problems.len() > 1 =>
            {
                problems.clone()
            }
            _ => Vec::new(),
        }
    }
}

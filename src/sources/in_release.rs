//! The signed index of a suite, `InRelease`: fetched and verified by apt itself, with the host's keys, proxies and passwords.
//!
//! `apt-get update` checks as it does for the host: which key signed it, and until when it is valid (apt-secure(8)). An accepted index is
//! kept in the store, so that a build works without a network. A suite that apt refuses is refused, even if the store has an older index.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apt::AptSource;
use super::host::Host;
use super::signatures::Keyring;
use super::{SourceError, Suite};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::process::{Invocation, ProcessError, Tool};
use crate::packages::debian::Release;
use crate::recipe::{AptRepository, likely_suite};

/// For a file of some hundred kilobytes; apt itself gives up on a silent mirror before.
const FETCH_TIME: Duration = Duration::from_secs(120);
/// The kind of memory for a suite's index that apt has verified.
const KIND: &str = "inrelease-1";
/// Read after the host's configuration (apt.conf(5)): only `InRelease` is fetched, and no hooks of the host run.
const CONFIGURATION: &str = "#clear Acquire::IndexTargets;\n#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n\
                             #clear APT::Update::Post-Invoke-Success;\n";
/// apt's messages when a mirror cannot be reached (apt 2.6, methods/connect.cc, methods/http.cc).
const UNREACHED: &[&str] = &[
    "Temporary failure resolving",
    "Could not resolve",
    "Something wicked happened resolving",
    "Could not connect",
    "Cannot initiate the connection",
    "Unable to connect",
    "Connection failed",
    "onnection timed out",
    "Connection refused",
    "Network is unreachable",
    "No route to host",
    " 500 ",
    " 502 ",
    " 503 ",
    " 504 ",
];
/// What apt says when a mirror has neither `InRelease` nor `Release` (apt 2.6, apt-pkg/acquire-item.cc).
const NO_RELEASE: &str = "does not have a Release file";
/// What apt says of a suite that it does not trust (apt 2.6, apt-pkg/acquire-item.cc, methods/gpgv.cc).
const UNTRUSTED: &[&str] =
    &["NO_PUBKEY", "GPG error", "is not signed", "signature", "is expired", "is not valid yet", "EXPKEYSIG", "REVKEYSIG"];

/// A recipe's repository, and the keys that its index must be signed with.
pub(super) struct Signed<'a> {
    pub(super) repository: &'a AptRepository,
    pub(super) keyring: &'a Keyring,
}

/// The suite of `source`, whose index apt has verified now, or earlier when no mirror can be reached: with the host's keys, or with those
/// of the recipe's repository that is `signed`.
///
/// # Errors
/// apt does not trust the suite, or it cannot be reached and was never seen; or it is not what it must be.
pub(super) async fn suite(
    source: AptSource,
    signed: Option<Signed<'_>>,
    dir: &Path,
    host: Host<'_>,
    task: &Task,
) -> Result<Suite, SourceError> {
    let url = source.in_release();
    // An index that was verified with other keys is not verified with these.
    let keys = signed.as_ref().map(|signed| format!(" {}", signed.keyring.sha256())).unwrap_or_default();
    let key = Sha256Digest::of(format!("{url}{keys}").as_bytes());
    let (bytes, unreached) = match update(&source, signed.as_ref(), dir).await {
        Ok(bytes) => (bytes, None),
        Err(Failed::Here(error)) => return Err(error),
        Err(Failed::Apt(error)) => {
            let error = source.masked_error(error);
            if says(&error, UNTRUSTED) {
                return Err(match signed {
                    Some(signed) => {
                        let (id, key) = (signed.repository.id.to_string(), signed.keyring.key().to_owned());
                        SourceError::UntrustedRepository { id, key, url, source: error }
                    }
                    None => SourceError::Untrusted { suite: source.suite.clone(), url, source: error },
                });
            }
            let is_unreached = is_unreached(&error);
            if !is_unreached && signed.is_none() && says(&error, &[NO_RELEASE]) {
                return Err(absent(&source, dir, url, error).await);
            }
            match host.store.recall(KIND, &key).filter(|_| is_unreached) {
                Some(bytes) => (bytes, Some(error)),
                None => {
                    return Err(match signed {
                        Some(Signed { repository, .. }) => {
                            let (id, key) = (repository.id.to_string(), repository.key.clone());
                            SourceError::UnreachedRepository { id, key, url, source: error }
                        }
                        None => SourceError::Unreachable { url, source: error },
                    });
                }
            }
        }
    };
    let release = Release::read(&url, &bytes[..])?;
    if unreached.is_some() {
        let made = release.date.as_deref().unwrap_or("an unknown time");
        task.events().warn(format!("{url} cannot be reached: the packages are chosen from the index of {made}, which the store has"));
    } else {
        host.store.remember(KIND, &key, &bytes);
    }
    let repository = signed.map(|signed| signed.repository.id.to_string());
    Ok(Suite { repository, sha256: Sha256Digest::of(&bytes), source, release })
}

/// Why a mirror that answers does not have the suite of `source`: it may have others. `error` is what apt said.
async fn absent(source: &AptSource, dir: &Path, url: String, error: ProcessError) -> SourceError {
    let (suite, mirror) = (source.suite.clone(), source.uri.clone());
    let others = likely_suite(&suite).into_iter().chain(["stable", "oldstable"]).filter(|other| *other != suite);
    let mut tried: Vec<String> = Vec::new();
    for other in others {
        let release = AptSource { suite: other.to_owned(), ..source.clone() }.below("Release");
        let asked = Invocation::new(Tool::AptHelper).arg("download-file").arg(source.for_apt(&release).reveal()).arg(dir.join(other));
        match asked.within(FETCH_TIME).output().await {
            Ok(_) => return SourceError::NoSuite { suite, mirror, at: None },
            // The mirror answered a moment ago and does not now, so it is not known what it has.
            Err(other) if is_unreached(&other) => return SourceError::Unreachable { url, source: error },
            Err(_) => tried.push(format!("`{other}`")),
        }
    }
    SourceError::NoArchive { mirror, suite, others: tried.join(" nor ") }
}

fn is_unreached(error: &ProcessError) -> bool {
    says(error, UNREACHED) || matches!(error, ProcessError::TooSlow { .. })
}

fn says(error: &ProcessError, texts: &[&str]) -> bool {
    let said = error.to_string() + &error_lines(error);
    texts.iter().any(|text| said.contains(text))
}

fn error_lines(error: &ProcessError) -> String {
    match error {
        ProcessError::Failed { tail, .. } => tail.clone(),
        _ => String::new(),
    }
}

enum Failed {
    /// An error of the host itself.
    Here(SourceError),
    /// apt does not give the index.
    Apt(ProcessError),
}

/// Have apt fetch and verify the index, in a directory of its own.
async fn update(source: &AptSource, signed: Option<&Signed<'_>>, dir: &Path) -> Result<Vec<u8>, Failed> {
    let scratch = |path: &Path| {
        let path = path.to_owned();
        move |source| Failed::Here(SourceError::Scratch { path, source })
    };
    let lists = dir.join("lists");
    let (list, configuration) = (dir.join("sources.list"), dir.join("apt.conf"));
    fs::create_dir_all(lists.join("partial")).map_err(scratch(&lists))?;
    // A password of the address is in a file that the user alone can read, never among arguments that all can.
    fs::write(&list, source.line().reveal().to_owned() + "\n").map_err(scratch(&list))?;
    fs::write(&configuration, CONFIGURATION).map_err(scratch(&configuration))?;
    let option = |name: &str, path: &Path| format!("{name}={}", path.display());
    let mut trust = Vec::new();
    if let Some(signed) = signed {
        // In place of the host's keys (apt-secure(8), apt.conf(5): Dir::Etc::Trusted); an option of the entry takes no path with a space.
        let keyring = signed.keyring.file(dir).map_err(Failed::Here)?;
        trust =
            vec!["-o".to_owned(), option("Dir::Etc::Trusted", &keyring), "-o".to_owned(), "Dir::Etc::TrustedParts=/dev/null".to_owned()];
    }
    Invocation::new(Tool::AptGet)
        .arg("-c")
        .arg(&configuration)
        .args(trust)
        .args(["-o", &option("Dir::Etc::SourceList", &list), "-o", "Dir::Etc::SourceParts=/dev/null"])
        .args(["-o", &option("Dir::State::Lists", &lists), "-o", &option("Dir::Cache", &dir.join("cache"))])
        // When root builds, apt's own user cannot enter the scratch directory.
        .args(["-o", "APT::Sandbox::User=root", "-o", "APT::Update::Error-Mode=any", "-qq", "update"])
        .within(FETCH_TIME)
        .run_with(|_| {})
        .await
        .map_err(Failed::Apt)?;
    let found = fs::read_dir(&lists).map_err(scratch(&lists))?;
    let is_index = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("_InRelease"));
    let found = found.flatten().map(|entry| entry.path()).find(is_index);
    let missing = || scratch(&lists)(std::io::Error::new(std::io::ErrorKind::NotFound, "apt-get update left no InRelease there"));
    let path = found.ok_or_else(missing)?;
    fs::read(&path).map_err(scratch(&path))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::base::event::{Event, Events};
    use crate::cache::Store;
    use crate::sources::{Fetch, Web};

    const RELEASE: &str = "Origin: Debian\nSuite: bookworm\nCodename: bookworm\nDate: Sat, 12 Jul 2025 09:07:05 UTC\nArchitectures: amd64\n\
        Components: main\nSHA256:\n ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 main/binary-amd64/Packages\n";

    /// A mirror on the disk, and a key that signs its suite.
    struct Mirror(tempfile::TempDir);

    impl Mirror {
        fn new() -> Self {
            let mirror = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(mirror.suite()).unwrap();
            let parameters = "%no-protection\nKey-Type: eddsa\nKey-Curve: ed25519\nName-Real: mirror\n%commit\n";
            fs::write(mirror.0.path().join("key"), parameters).unwrap();
            mirror.gpg(&["--batch", "--generate-key", "key"]);
            mirror.gpg(&["--output", "keyring.gpg", "--export"]);
            mirror
        }

        fn suite(&self) -> PathBuf {
            self.0.path().join("debian/dists/bookworm")
        }

        fn gpg(&self, args: &[&str]) {
            let home = self.0.path();
            let status = Command::new("gpg").args(["--quiet", "--homedir"]).arg(home).args(args).current_dir(home).status().unwrap();
            assert!(status.success());
        }

        /// Publish this text, signed or not.
        fn publish(&self, text: &str, signed: bool) {
            let (plain, index) = (self.0.path().join("Release"), self.suite().join("InRelease"));
            fs::write(&plain, text).unwrap();
            match signed {
                true => self.gpg(&["--yes", "--output", index.to_str().unwrap(), "--clearsign", "Release"]),
                false => fs::write(index, text).unwrap(),
            }
        }

        fn source(&self, uri: &str) -> AptSource {
            let keyring = self.0.path().join("keyring.gpg");
            let line = format!("deb [signed-by={}] {uri} bookworm main", keyring.display());
            super::super::apt::parse_lines(&line).remove(0)
        }
    }

    #[test]
    fn apt_decides_what_is_trusted_and_the_store_stands_in_for_a_mirror_alone() {
        let mirror = Mirror::new();
        let store = Store::open(&mirror.0.path().join("store")).unwrap();
        let scratch = store.scratch().unwrap();
        let web = Web::through(Default::default());
        let host = Host { apt: Path::new("/nowhere"), scratch: scratch.path(), store: &store, web: &web, fetch: Fetch::Now };
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&warnings);
        let listener = move |event: &Event| {
            if let Event::Warning { text } = event {
                heard.lock().unwrap().push(text.clone());
            }
        };
        let task = Events::new(vec![Box::new(listener)]).task("t");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut runs = 0;
        let mut ask = |uri: &str| {
            runs += 1;
            runtime.block_on(suite(mirror.source(uri), None, &scratch.path().join(format!("apt {runs}")), host, &task))
        };
        let uri = format!("file:{}", mirror.0.path().join("debian").display());

        mirror.publish(RELEASE, true);
        let found = ask(&uri).unwrap();
        assert_eq!(found.release.codename.as_deref(), Some("bookworm"));
        assert_eq!(found.sha256, Sha256Digest::of(&fs::read(mirror.suite().join("InRelease")).unwrap()));

        // A suite that apt refuses is refused, although the store has an older index of it.
        mirror.publish(RELEASE, false);
        assert!(matches!(ask(&uri), Err(SourceError::Untrusted { .. })), "not signed");
        // (Whether an index may be too old is a setting of the host's.)
        mirror.publish(RELEASE, true);
        let index = fs::read_to_string(mirror.suite().join("InRelease")).unwrap();
        fs::write(mirror.suite().join("InRelease"), index.replace("amd64", "amd46")).unwrap();
        assert!(matches!(ask(&uri), Err(SourceError::Untrusted { .. })), "altered");
        // A suite that is gone from its mirror is another error than a mirror that cannot be reached.
        fs::remove_file(mirror.suite().join("InRelease")).unwrap();
        assert!(matches!(ask(&uri), Err(SourceError::NoArchive { .. })), "gone");
        assert_eq!(*warnings.lock().unwrap(), [""; 0]);

        // Port 9 of this host discards, or is closed.
        let away = "http://127.0.0.1:9/debian";
        assert!(matches!(ask(away), Err(SourceError::Unreachable { .. })), "never seen");
        store.remember(KIND, &Sha256Digest::of(mirror.source(away).in_release().as_bytes()), RELEASE.as_bytes());
        assert_eq!(ask(away).unwrap().sha256, Sha256Digest::of(RELEASE.as_bytes()));
        let said = warnings.lock().unwrap().join("\n");
        assert!(said.contains("cannot be reached") && said.contains("Sat, 12 Jul 2025"), "{said}");
    }
}

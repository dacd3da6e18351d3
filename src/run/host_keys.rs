//! Host keys of sshd for a machine that goes on from a saved state. The host makes them in a third of a second, an emulated guest in ten.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::process::{Invocation, Tool};

/// The types that sshd looks for by itself (sshd_config(5), `HostKey`).
const TYPES: [&str; 3] = ["rsa", "ecdsa", "ed25519"];

/// New keys as files of `/etc/ssh`: name and content. They are made in a directory of their own below `place`. None when this host cannot make them; the guest then does.
pub(super) async fn new(place: PathBuf) -> Vec<(String, Vec<u8>)> {
    let Ok(dir) = tempfile::tempdir_in(place) else { return Vec::new() };
    let [rsa, ecdsa, ed25519] = TYPES.map(|kind| key(dir.path(), kind));
    let (rsa, ecdsa, ed25519) = tokio::join!(rsa, ecdsa, ed25519);
    // All or none: a guest that has one makes no others.
    [rsa, ecdsa, ed25519].into_iter().collect::<Option<Vec<_>>>().unwrap_or_default().into_iter().flatten().collect()
}

async fn key(dir: &Path, kind: &str) -> Option<[(String, Vec<u8>); 2]> {
    let name = format!("ssh_host_{kind}_key");
    let path = dir.join(&name);
    // Without a comment, which would name this host.
    let made = Invocation::new(Tool::SshKeygen).args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]).arg(&path).output().await;
    made.ok()?;
    let public = format!("{name}.pub");
    Some([(name, fs::read(&path).ok()?), (public.clone(), fs::read(dir.join(public)).ok()?)])
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_machine_gets_other_keys_which_do_not_name_this_host() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| runtime.block_on(super::new(dir.path().to_owned())));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!((one.len(), other.len()), (6, 6));
        for ((name, content), (_, others)) in one.iter().zip(&other) {
            assert_ne!(content, others, "{name}");
            if name.ends_with(".pub") {
                assert_eq!(String::from_utf8_lossy(content).trim_end().split(' ').filter(|word| !word.is_empty()).count(), 2, "{name}");
            }
        }
    }
}

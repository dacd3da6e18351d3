//! `goldsmith ssh NAME` and `goldsmith ssh-config NAME`.
//!
//! No port, password or key of the image is needed: through the machine's runner, ssh(1) talks to an ssh server that is started for this
//! one connection (sshd(8), `-i`). The server accepts a key that this host keeps for the machine. The server's key is made in the guest, in
//! memory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::atomic::{self, Existing, NewDir};
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::process::{Invocation, Tool};
use crate::base::text::shell_quote;
use crate::cli::args::{OfMachine, Ssh};
use crate::cli::{Context, printer};
use crate::run::Place;

/// The file of the machine's key on this host.
const KEY: &str = "key";

/// Starts the server. Its directory is that of the runner, in memory; `$1` is the public key that may log in. Several connections may begin
/// at once, as those of Ansible do. So each makes its files under another name, and a file that a server reads is never half written.
///
/// sshd(8) needs its directory for privilege separation. Its unit makes that directory, but in an image the unit may never have run.
const SERVER: &str = "\
umask 077; dir=/run/goldsmith/ssh; mkdir -p $dir /run/sshd
sshd=$(command -v sshd) || { echo 'the image has no ssh server; install openssh-server' >&2; exit 127; }
new=$(mktemp -d -p $dir) || exit
[ -f $dir/host ] || { ssh-keygen -q -t ed25519 -N '' -f $new/host >&2 && ln $new/host $dir/host 2> /dev/null; }
echo \"$1\" > $new/keys && mv $new/keys $dir/keys
rm -rf $new
exec \"$sshd\" -i -f /dev/null -h $dir/host -o \"AuthorizedKeysFile=.ssh/authorized_keys $dir/keys\" \
-o PermitRootLogin=prohibit-password -o PasswordAuthentication=no -o UsePAM=yes -o Subsystem='sftp internal-sftp'";

/// Log in to a machine by ssh(1), or run a command there.
///
/// # Errors
/// ssh is not installed, or the machine's key cannot be made. ssh prints its own errors.
pub async fn ssh(args: &Ssh, context: &Context) -> Result<(), AnyFailure> {
    let place = super::place(&args.name, context)?;
    let config = write_config(&place).await?;
    let ssh = Invocation::new(Tool::Ssh).arg("-F").arg(&config).args(options(&args.rest, place.name().as_str()));
    Err(ssh.become_it().into())
}

/// Print the configuration with which ssh(1), scp(1), rsync(1) and others reach a machine.
///
/// # Errors
/// As [`ssh`].
pub async fn ssh_config(args: &OfMachine, context: &Context) -> Result<(), AnyFailure> {
    let place = super::place(&args.name, context)?;
    let config = write_config(&place).await?;
    let text = fs::read_to_string(&config).map_err(|source| NotWritten { path: config, source })?;
    Ok(printer::out(&text)?)
}

/// Options come before the host's name, a command after it.
fn options(rest: &[String], host: &str) -> Vec<String> {
    let mut words = rest.iter();
    let mut before = Vec::new();
    let mut after = Vec::new();
    while let Some(word) = words.next() {
        // The options of ssh(1) that take another word (OpenSSH 9.2, ssh.c, its getopt string).
        let takes = word.len() == 2 && word.starts_with('-') && "BbcDEeFIiJLlmOopQRSWw".contains(&word[1..]);
        if !word.starts_with('-') || word == "--" {
            after.extend((word != "--").then(|| word.clone()));
            break;
        }
        before.push(word.clone());
        before.extend(takes.then(|| words.next().cloned()).flatten());
    }
    after.extend(words.cloned());
    before.push(host.to_owned());
    before.extend(after);
    before
}

/// Make the machine's key if it has none, and write its configuration again, because the path of this program may have changed.
async fn write_config(place: &Place) -> Result<PathBuf, AnyFailure> {
    let dir = place.dir().join("ssh");
    let key = dir.join(KEY);
    if !key.exists() {
        make_key(place, &dir).await?;
    }
    let public = key.with_extension("pub");
    let public = fs::read_to_string(&public).map_err(|source| NotWritten { path: public, source })?;
    let config = dir.join("config");
    let ours = std::env::current_exe().map_err(|source| NotWritten { path: "/proc/self/exe".into(), source })?;
    let text = config_text(place, &key, &ours, public.trim());
    atomic::write(&config, text.as_bytes()).map_err(|source| NotWritten { path: config.clone(), source })?;
    Ok(config)
}

/// Make the machine's key, in a directory that appears only when it is complete. If two are made at once, the first one stays.
async fn make_key(place: &Place, dir: &Path) -> Result<(), AnyFailure> {
    let failed = |source| NotWritten { path: dir.to_owned(), source };
    let new = NewDir::beside(dir).map_err(failed)?;
    let comment = format!("goldsmith {}", place.name());
    let words = ["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"].map(OsString::from);
    Invocation::new(Tool::SshKeygen).args(words).arg(new.path().join(KEY)).output().await?;
    match new.publish(Existing::Keep) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error).into()),
        _ => Ok(()),
    }
}

fn config_text(place: &Place, key: &Path, ours: &Path, public: &str) -> String {
    let name = place.name().as_str();
    let state = place.dir().parent().and_then(Path::parent).and_then(Path::parent).unwrap_or(Path::new("/"));
    let server = ["/bin/sh", "-c", SERVER, "goldsmith-ssh", public].map(shell_quote).join(" ");
    // ssh_config(5): `%` begins a token, and the user's shell runs the line behind an `exec`.
    let proxy = format!(
        "env XDG_STATE_HOME={} {} exec {} -- {server}",
        shell_quote(&state.to_string_lossy()),
        shell_quote(&ours.to_string_lossy()),
        shell_quote(name)
    );
    let proxy = proxy.replace('%', "%%").replace('\n', " ; ");
    format!(
        "# Made by goldsmith for its machine {name}; `goldsmith ssh-config {name}` makes it anew.\n\
         Host {name}\n\
         \x20   User root\n\
         \x20   IdentityFile \"{}\"\n\
         \x20   IdentitiesOnly yes\n\
         \x20   ProxyCommand {proxy}\n\
         \x20   # The way there is a socket that only its owner opens; the guest makes its key anew at each boot.\n\
         \x20   StrictHostKeyChecking no\n\
         \x20   UserKnownHostsFile /dev/null\n\
         \x20   LogLevel ERROR\n",
        key.display()
    )
}

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: {source}", path.display())]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

impl Failure for NotWritten {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_before_the_host_and_a_command_after_it() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (rest, expected) in [
            ("", "vm"),
            ("uname -a", "vm uname -a"),
            ("-v -L 80:localhost:80 -N", "-v -L 80:localhost:80 -N vm"),
            ("-p 22 ls -l", "-p 22 vm ls -l"),
            ("-oA=b -- -x", "-oA=b vm -x"),
            ("-L", "-L vm"),
        ] {
            assert_eq!(options(&words(rest), "vm"), words(expected), "{rest}");
        }
    }
}

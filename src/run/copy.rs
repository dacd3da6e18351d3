//! Files into and out of a machine: the guest's tar(1) at one end of a command, ours at the other.

mod incoming;
mod outgoing;
mod stream;
mod transferred;

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

pub use transferred::Transferred;

use super::client::Feed;
use super::error::RunError;
use super::finished::{begin, hear, run};
use super::record::Place;

/// Whether the guest has a directory of that name.
const IS_DIRECTORY: &str = "cd && [ -d \"$1\" ]";
/// Unpack in a directory. The files belong to root, like all files that a command here makes.
const UNPACK: &str = "cd && cd -- \"$1\" && exec tar -xf - --no-same-owner";
/// Pack one file or directory. A link to it is followed. Each name in the archive begins with two parts that are dropped later: `./NAME`.
const PACK: &str = r#"cd && path=$(readlink -e -- "$1") || { echo "$1: no such file or directory" >&2; exit 2; }
[ "$path" != / ] || { echo '/: copy the directories in it, one by one' >&2; exit 2; }
cd -- "${path%/*}/" && exec tar -cf - -- "./${path##*/}""#;
/// tar's exit status when a file changed while it was read (GNU tar's manual, "Return Status").
const CHANGED: i32 = 1;

/// Copy files and directories of the host into a machine: into `target` if it is a directory there, else under that name. They belong to
/// root there and have the mode and time of the originals. Links in a directory stay links; those among `sources` are followed. Progress is
/// told in bytes.
///
/// # Errors
/// A source cannot be read, several are to have one name, the machine does not run, or the guest cannot write.
pub async fn copy_in(place: &Place, sources: &[PathBuf], target: &str, progress: impl FnMut(u64)) -> Result<Transferred, RunError> {
    let is_directory = run(place, &["sh", "-c", IS_DIRECTORY, "sh", target]).await?.status == 0;
    let (directory, name) = match (is_directory, sources) {
        (true, _) => (target, None),
        (false, [_]) => parts(target),
        (false, _) => return Err(RunError::NoDirectory { name: place.name().clone(), target: target.to_owned() }),
    };
    let named = sources.iter().map(|source| outgoing::Named::new(source, name)).collect::<Result<Vec<_>, _>>()?;
    let (writer, mut packed) = stream::pipe();
    // If this future is dropped, the thread is not waited for: it writes no files, and may be reading a slow one.
    let packing = tokio::task::spawn_blocking(move || outgoing::pack(&named, writer));
    let (mut feed, hearing) = begin(place, &["sh", "-c", UNPACK, "sh", directory]).await?;
    let ended = tokio::select! {
        biased;
        ended = hear(place, hearing, async |_| {}) => ended?,
        never = send(&mut feed, &mut packed, progress) => match never {},
    };
    // If the writer is not done, it fails now, because it has no reader.
    drop(packed);
    match joined(packing).await {
        // The command ended first, and its error tells why.
        Err(RunError::Transfer { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Err(ended.failure(place, "tar")),
        Ok(_) if ended.status != 0 => Err(ended.failure(place, "tar")),
        done => Ok(Transferred { warnings: ended.words, ..done? }),
    }
}

/// Copy a file or directory of a machine to the new `target` on the host, whose directory must be there. The target appears whole or not at
/// all. The copies belong to the user, without set-uid, set-gid and sticky bits; links in a directory are copied as they are.
///
/// # Errors
/// It is not there, the machine does not run, or the target cannot be written or is there already.
pub async fn copy_out(place: &Place, source: &str, target: &Path, mut progress: impl FnMut(u64)) -> Result<Transferred, RunError> {
    incoming::refuse_existing(target)?;
    let (_feed, hearing) = begin(place, &["sh", "-c", PACK, "sh", source]).await?;
    let path = target.to_owned();
    let unpacking = stream::Fed::begin(move |reader| incoming::unpack(reader, &path));
    let unpacking = unpacking.map_err(|source| RunError::Transfer { path: target.to_owned(), source })?;
    let mut taken = 0;
    let heard = hear(place, hearing, async |bytes: Vec<u8>| {
        taken += bytes.len() as u64;
        progress(taken);
        unpacking.give(bytes).await;
    });
    let ended = heard.await?;
    let unpacked = unpacking.result().await;
    // The archive of a command that failed has no end.
    if ended.status != 0 && ended.status != CHANGED {
        return Err(ended.failure(place, "tar"));
    }
    Ok(Transferred { warnings: ended.words, ..unpacked?.publish()? })
}

/// A directory, and a name in it. A path that ends with a slash names a directory that is not there.
fn parts(target: &str) -> (&str, Option<&str>) {
    match target.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", Some(name)),
        Some((directory, name)) => (directory, Some(name)),
        None => (".", Some(target.trim_end_matches('/'))),
    }
}

/// Send all bytes that come. The connection stays open, because for the supervisor a client that hangs up has gone.
async fn send(feed: &mut Feed, packed: &mut stream::Receiver, mut progress: impl FnMut(u64)) -> Infallible {
    let mut sent = 0;
    while let Some(bytes) = packed.recv().await {
        // The status of a command that has ended tells why it no longer reads.
        if feed.send(&bytes).await.is_err() {
            break;
        }
        sent += bytes.len() as u64;
        progress(sent);
    }
    let _ = feed.end().await;
    std::future::pending().await
}

async fn joined<T>(work: JoinHandle<Result<T, RunError>>) -> Result<T, RunError> {
    match work.await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_directory_and_a_name() {
        for (target, directory, name) in
            [("a", ".", "a"), ("/a", "/", "a"), ("/srv/app", "/srv", "app"), ("b/a/", "b", "a"), ("./x", ".", "x"), ("a//", ".", "a")]
        {
            assert_eq!(parts(target), (directory, Some(name)), "{target}");
        }
    }
}

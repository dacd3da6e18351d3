//! Asks gpgv, and reads its answer.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::Keyring;
use crate::base::fingerprint::Fingerprint;
use crate::base::process::{Invocation, ProcessError, Tool};
use crate::packages::openpgp::{HashAlgorithm, Signature};
use crate::sources::SourceError;

/// For a package of 4 GiB on a slow disk. A package of EL7 takes 10 ms.
const TIME: Duration = Duration::from_secs(1800);
/// How a status line begins (GnuPG, doc/DETAILS, "Format of the --status-fd output").
const STATUS: &str = "[GNUPG:] ";
/// The reasons of ERRSIG that have words of their own: no key, and a digest that is not accepted.
const NO_KEY: &str = "9";
const NO_DIGEST: &str = "5";
/// GPG_ERR_BAD_PUBKEY of libgpg-error: for example a key that the named key has not signed as its own.
const BAD_KEY: &str = "6";

/// gpgv's verdict on a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is good, and made by a named key, or one below it: the primary key's fingerprint.
    Good(Fingerprint),
    /// It does not match the data.
    Changed,
    /// It does not count, in words that fit after the name of what is signed.
    Refused(String),
}

/// The signed data.
pub(super) enum Data<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// A file, from this byte to its end.
    File(&'a Path, u64),
}

/// Ask gpgv about one signature.
///
/// # Errors
/// gpgv cannot be run, a file cannot be read, or a scratch file not be written.
pub(super) async fn ask(signature: &Signature, data: Data<'_>, keyring: &Keyring, scratch: &Path) -> Result<Answer, SourceError> {
    let dir = place(scratch)?;
    let keys = keyring.file(&dir)?;
    let signed = written(&dir, &signature.bytes)?;
    let mut held = None;
    let mut file = match data {
        Data::Bytes(bytes) => {
            let data = written(&dir, bytes)?;
            let path = data.path().to_owned();
            let file = File::open(&path).map_err(|source| SourceError::Scratch { path, source })?;
            held = Some(data);
            file
        }
        Data::File(path, _) => File::open(path).map_err(|source| unreadable(path, source))?,
    };
    if let Data::File(path, from) = data {
        file.seek(SeekFrom::Start(from)).map_err(|source| unreadable(path, source))?;
    }
    let fd = OwnedFd::from(file);
    // gpgv(1): with --enable-special-filenames `-&N` is the open descriptor N, here with all that comes after the lead and the signature.
    let data = format!("-&{}", fd.as_raw_fd());
    let (said, ended) = Invocation::new(Tool::Gpgv)
        .arg("--homedir")
        .arg(&dir)
        .args(["--enable-special-filenames", "--status-fd", "1", "--keyring"])
        .arg(keys)
        .arg(signed.path())
        .arg(data)
        .inherit(fd)
        .within(TIME)
        .said()
        .await?;
    drop(held);
    match ended {
        Ok(()) => Ok(judge(&String::from_utf8_lossy(&said), true, signature.hash, keyring.fingerprints())),
        Err(ProcessError::Failed { .. }) => Ok(judge(&String::from_utf8_lossy(&said), false, signature.hash, keyring.fingerprints())),
        Err(error) => Err(error.into()),
    }
}

/// The directory of the scratch directory that gpgv and its files are in.
pub(super) fn place(scratch: &Path) -> Result<PathBuf, SourceError> {
    let dir = scratch.join("gpgv");
    std::fs::create_dir_all(&dir).map_err(|source| SourceError::Scratch { path: dir.clone(), source })?;
    Ok(dir)
}

fn unreadable(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Unreadable { what: "a package".to_owned(), path: path.to_owned(), source }
}

/// A scratch file with this content.
fn written(dir: &Path, bytes: &[u8]) -> Result<NamedTempFile, SourceError> {
    let write = || {
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        Ok(file)
    };
    write().map_err(|source| SourceError::Scratch { path: PathBuf::from(dir), source })
}

/// Interpret gpgv's status lines for a signature by `hash`; `named` are the keys that count. `exited` says whether its exit status was 0.
fn judge(status: &str, exited: bool, hash: HashAlgorithm, named: &[Fingerprint]) -> Answer {
    let lines: Vec<Vec<&str>> = status.lines().filter_map(|line| Some(line.strip_prefix(STATUS)?.split(' ').collect())).collect();
    let all = |keyword: &str| lines.iter().filter(move |words| words[0] == keyword).collect::<Vec<_>>();
    let refused = |why: String| Answer::Refused(why);
    if !all("BADSIG").is_empty() {
        return Answer::Changed;
    }
    if let Some(words) = all("REVKEYSIG").first() {
        return refused(format!("is signed with a key that was revoked, {}", word(words, 1)));
    }
    if let Some(words) = all("EXPKEYSIG").first() {
        let since = all("KEYEXPIRED").first().and_then(|words| day(word(words, 1))).map(|day| format!(" since {day}"));
        return refused(format!("is signed with a key that has expired{}, {}", since.unwrap_or_default(), word(words, 1)));
    }
    if !all("EXPSIG").is_empty() {
        return refused("has a signature that has expired".to_owned());
    }
    if let Some(words) = all("ERRSIG").first() {
        return refused(match word(words, 6) {
            NO_KEY => format!("is signed with another key, {}", word(words, 1)),
            NO_DIGEST => format!("is signed by {hash}, which gpgv does not accept"),
            BAD_KEY => format!("is signed with a key that gpgv does not take for valid, {}", word(words, 1)),
            reason => format!("has a signature that gpgv cannot verify (ERRSIG {reason})"),
        });
    }
    let (good, valid) = (all("GOODSIG"), all("VALIDSIG"));
    let ([_], [words], true) = (&good[..], &valid[..], exited) else {
        return refused("has a signature that gpgv does not call good".to_owned());
    };
    // VALIDSIG FINGERPRINT DATE TIMESTAMP EXPIRES VERSION RESERVED KEY-ALGORITHM HASH-ALGORITHM CLASS PRIMARY-FINGERPRINT
    match word(words, 10).parse::<Fingerprint>() {
        Ok(primary) if named.contains(&primary) && word(words, 9) == "00" => Answer::Good(primary),
        Ok(primary) => refused(format!("is signed with another key, {primary}")),
        Err(_) => refused("has a signature that gpgv does not call good".to_owned()),
    }
}

fn word<'a>(words: &[&'a str], nth: usize) -> &'a str {
    words.get(nth).copied().unwrap_or_default()
}

/// The day of a time in seconds since 1970, as 2019-01-31.
fn day(seconds: &str) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds.parse().ok()?).ok()?;
    Some(time.to_string().split('T').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "8D8341909121082EAF993AEA16E4EBF51BB8057C";

    /// Each row as gpgv 2.2.40 wrote it: whether its exit status was 0, its lines, and what they mean.
    #[test]
    fn status_lines_and_not_the_exit_status_decide() {
        let valid = format!("VALIDSIG 45B068D06A91A635A5700A7E36364FB3AF743AD2 2018-06-01 1527811200 0 4 0 1 8 00 {PRIMARY}");
        let named = [PRIMARY.parse().unwrap()];
        let judged = |lines: &[&str], exited: bool, named: &[Fingerprint]| {
            let status: String = lines.iter().map(|line| format!("[GNUPG:] {line}\n")).collect();
            judge(&status, exited, HashAlgorithm(1), named)
        };
        let good = ["NEWSIG", "GOODSIG 36364FB3AF743AD2 subkey <subkey@example.org>", &valid];
        assert_eq!(judged(&good, true, &named), Answer::Good(named[0]));
        assert_eq!(judged(&["BADSIG D3E192FDC68B5F96 maker"], false, &named), Answer::Changed);
        let why = |lines: &[&str], exited: bool, named: &[Fingerprint]| match judged(lines, exited, named) {
            Answer::Refused(why) => why,
            other => panic!("{lines:?}: {other:?}"),
        };
        for (lines, exited, expected) in [
            (
                &["EXPKEYSIG 43FBD668ACC4AFBA e", "KEYEXPIRED 1546300800", &valid][..],
                true,
                "is signed with a key that has expired since 2019-01-01, 43FBD668ACC4AFBA",
            ),
            (&["REVKEYSIG 04FE41F974EDC9A3 r", &valid], true, "is signed with a key that was revoked, 04FE41F974EDC9A3"),
            (&["EXPSIG 04FE41F974EDC9A3 r", &valid], true, "has a signature that has expired"),
            (
                &["ERRSIG 4D43731C212DDD42 1 8 00 1795887335 9 -", "NO_PUBKEY 4D43731C212DDD42"],
                false,
                "is signed with another key, 4D43731C212DDD42",
            ),
            (&["ERRSIG D3E192FDC68B5F96 1 1 00 1795887335 5 -"], false, "is signed by MD5, which gpgv does not accept"),
            (&["ERRSIG D3E192FDC68B5F96 1 1 00 1795887335 4 -"], false, "has a signature that gpgv cannot verify (ERRSIG 4)"),
            (
                &["ERRSIG D3E192FDC68B5F96 1 8 00 1795887335 6 -"],
                false,
                "is signed with a key that gpgv does not take for valid, D3E192FDC68B5F96",
            ),
            (&["NODATA 1", "NODATA 2"], false, "has a signature that gpgv does not call good"),
            (&[], true, "has a signature that gpgv does not call good"),
            (&good, false, "has a signature that gpgv does not call good"),
            (&[good[1], good[1], &valid], true, "has a signature that gpgv does not call good"),
            (&[good[1]], true, "has a signature that gpgv does not call good"),
            (&[&valid], true, "has a signature that gpgv does not call good"),
            (&[good[1], &valid.replace(" 00 ", " 01 ")], true, &format!("is signed with another key, {PRIMARY}")),
        ] {
            assert_eq!(why(lines, exited, &named), expected, "{lines:?}");
        }
        assert_eq!(why(&good, true, &[]), format!("is signed with another key, {PRIMARY}"));
        // Only status lines count.
        assert_eq!(
            judge(&good.join("\n"), true, HashAlgorithm(8), &named),
            Answer::Refused("has a signature that gpgv does not call good".into())
        );
    }
}

//! Checks the HTTP answer of a server in the booted system: the request, and the verdict on the answer.
//!
//! bash asks: EL7 and Debian always have it, and neither curl nor wget is in the smallest Debian. The request is one of HTTP/1.0, to which no
//! server may answer in chunks (RFC 9112, 6.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::CheckResult;
use crate::base::local_url::LocalUrl;
use crate::base::text::shell_line;

/// At most this many bytes of the answer are read.
const BYTES_MAX: usize = 64 << 10;
/// Ask once: `bash once HOST PORT BYTES`. A server that keeps the connection open is left after ten seconds, and the answer so far counts:
/// head(1) writes it when cat(1) is ended.
const ONCE: &str = "\
exec 3<> \"/dev/tcp/$1/$2\" || exit 1
cat request >&3
timeout 10 cat <&3 | head -c \"$3\"";
/// Asks again for a minute, until the answer is the wanted one: a service that is active may not listen yet, or may not be ready. Each try
/// says so, because a guest that is silent for minutes counts as stalled. The answer may be of any bytes.
const ASK: &str = "\
exec 2> /dev/null
export LC_ALL=C
now() { read -r up rest < /proc/uptime; echo \"${up%.*}\"; }
end=$(($(now) + 60))
while :; do
    timeout 20 bash once HOST PORT BYTES > answer 2> err
    head -n 1 answer | grep -Eq '^HTTP/1\\.[01] STATUS( |.?$)'WANTED && break
    [ \"$(now)\" -lt \"$end\" ] || break
    echo 'again'
    sleep 1
done
base64 -w 2000 answer | sed 's/^/b:/'
sed 's/^/e:/' err";

/// The files that the script of [`question`] needs.
pub(super) fn files(url: &LocalUrl) -> Vec<(String, Vec<u8>)> {
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\nAccept: */*\r\n\r\n", url.target, url.authority());
    vec![("request".to_owned(), request.into_bytes()), ("once".to_owned(), ONCE.as_bytes().to_vec())]
}

/// The script that requests `url` until the answer has `status` and contains `contains`; of a text of several lines its longest is waited for.
pub(super) fn question(url: &LocalUrl, status: u16, contains: Option<&str>) -> String {
    let line = contains.and_then(|text| text.lines().max_by_key(|line| line.len())).filter(|line| !line.is_empty());
    let wanted = line.map(|line| format!(" && sed '1,/^\\r*$/d' answer | grep -aqF -e {}", shell_line([line]))).unwrap_or_default();
    ASK.replace("HOST", &shell_line([url.host.as_str()]))
        .replace("PORT", &url.port.to_string())
        .replace("BYTES", &BYTES_MAX.to_string())
        .replace("STATUS", &status.to_string())
        .replace("WANTED", &wanted)
}

/// Judge the lines that [`question`] leads to.
pub(super) fn judge(name: &str, lines: &[String], url: &LocalUrl, status: u16, contains: Option<&str>) -> CheckResult {
    let part = |mark: &str| lines.iter().filter_map(|line| line.strip_prefix(mark)).collect::<Vec<_>>();
    let Ok(answer) = STANDARD.decode(part("b:").concat()) else {
        return CheckResult::could_not_run(name, "the answer did not arrive whole");
    };
    if answer.is_empty() {
        let why = part("e:").first().map(|line| format!(": {}", excerpt(line))).unwrap_or_default();
        return CheckResult::failed(name, format!("nothing answers on port {} of {}{why}", url.port, url.host));
    }
    let (header, body) = parted(&answer);
    let first = String::from_utf8_lossy(header.split(|byte| *byte == b'\n').next().unwrap_or_default()).trim_end().to_owned();
    let told = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok());
    let Some(told) = told else {
        return CheckResult::failed(name, format!("this is not an answer of HTTP/1: {}", excerpt(&String::from_utf8_lossy(&answer))));
    };
    let body = String::from_utf8_lossy(body);
    if told != status {
        return CheckResult::failed(name, format!("status {told}, wanted {status}: {}", excerpt(&body)));
    }
    match contains {
        Some(wanted) if !body.contains(wanted) => CheckResult::failed(name, format!("`{wanted}` is not in the answer: {}", excerpt(&body))),
        _ => CheckResult::passed(name, format!("status {status}")),
    }
}

/// Header and body, with an empty line between them, which some servers end without CR (RFC 9112, 2.2).
fn parted(answer: &[u8]) -> (&[u8], &[u8]) {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let find = |end: &&[u8]| Some((answer.windows(end.len()).position(|window| window == *end)?, end.len()));
    match ends.iter().filter_map(find).min() {
        Some((at, length)) => (&answer[..at], &answer[at + length..]),
        None => (answer, &[]),
    }
}

fn excerpt(text: &str) -> String {
    text.trim().chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;
    use std::thread;

    use super::*;
    use crate::verify::Outcome;

    /// Read a request whole.
    fn request(peer: &mut TcpStream) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 1024];
            let read = peer.read(&mut piece).unwrap();
            assert!(read > 0, "the request ended early");
            request.extend(&piece[..read]);
        }
        String::from_utf8(request).unwrap()
    }

    /// What the script prints that asks `url`, for `seconds` in all.
    fn ran(url: &LocalUrl, status: u16, contains: Option<&str>, seconds: u32) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files(url) {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let script = question(url, status, contains).replace("+ 60", &format!("+ {seconds}"));
        let ran = Command::new("/bin/sh").args(["-c", &script]).current_dir(&dir).output().unwrap();
        std::str::from_utf8(&ran.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The output of the script for a server that answers `answer`, and the request that the server got.
    fn asked(answer: &'static [u8], target: &str, status: u16) -> (Vec<String>, LocalUrl, String) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: LocalUrl = format!("http://{}{target}", server.local_addr().unwrap()).parse().unwrap();
        let serving = thread::spawn(move || {
            let (mut peer, _) = server.accept().unwrap();
            let request = request(&mut peer);
            // The client may close the connection before the end of a long answer.
            let _ = peer.write_all(answer);
            request
        });
        let lines = ran(&url, status, None, 0);
        (lines, url, serving.join().unwrap())
    }

    /// A server that heeds no `HTTP/1.0`, and keeps the connection for the next request.
    #[test]
    fn an_answer_counts_though_the_connection_stays_open() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: LocalUrl = format!("http://{}/", server.local_addr().unwrap()).parse().unwrap();
        let serving = thread::spawn(move || {
            let (mut peer, _) = server.accept().unwrap();
            request(&mut peer);
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine").unwrap();
            // Until the client leaves.
            let _ = peer.read(&mut [0; 1]);
        });
        let lines = ran(&url, 200, Some("fine"), 0);
        let found = judge("h", &lines, &url, 200, Some("fine"));
        assert_eq!((found.outcome, &*found.detail), (Outcome::Passed, "status 200"), "{lines:?}");
        serving.join().unwrap();
    }

    #[test]
    fn the_wanted_text_is_waited_for_and_each_try_says_so() {
        for contains in [Some("it's ready"), Some("a\nit's ready\n"), None] {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let url: LocalUrl = format!("http://{}/", server.local_addr().unwrap()).parse().unwrap();
            // The text in a header is not the text in the body.
            let answers =
                ["HTTP/1.1 503 No\r\n\r\n", "HTTP/1.1 200 OK\r\nX: it's ready\r\n\r\nstarting\n", "HTTP/1.1 200 OK\r\n\r\na\nit's ready\n"];
            let wanted = if contains.is_some() { 3 } else { 2 };
            let serving = thread::spawn(move || {
                for answer in &answers[..wanted] {
                    let (mut peer, _) = server.accept().unwrap();
                    request(&mut peer);
                    peer.write_all(answer.as_bytes()).unwrap();
                }
            });
            let lines = ran(&url, 200, contains, 30);
            assert_eq!(judge("h", &lines, &url, 200, contains).outcome, Outcome::Passed, "{lines:?}");
            assert_eq!(lines.iter().filter(|line| *line == "again").count(), wanted - 1);
            serving.join().unwrap();
        }
    }

    #[test]
    fn answers_are_judged() {
        for (answer, status, contains, outcome, detail) in [
            (&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nfine\n"[..], 200, Some("fine"), Outcome::Passed, "status 200"),
            (b"HTTP/1.0 204\r\n\r\n", 204, None, Outcome::Passed, "status 204"),
            (b"HTTP/1.0 200 OK\nA: b\n\na\r\n\r\nb", 200, Some("a\r\n\r\nb"), Outcome::Passed, "status 200"),
            (
                b"HTTP/1.1 200 OK\r\nfine: x\r\n\r\nbad\0\xff",
                200,
                Some("fine"),
                Outcome::Failed,
                "`fine` is not in the answer: bad \u{fffd}",
            ),
            (b"HTTP/1.1 503 No\r\n\r\nlater", 200, None, Outcome::Failed, "status 503, wanted 200: later"),
            (b"HTTP/1.1 2000 No\r\n\r\n", 200, None, Outcome::Failed, "status 2000, wanted 200: "),
            (b"SSH-2.0-OpenSSH\r\n", 200, None, Outcome::Failed, "this is not an answer of HTTP/1: SSH-2.0-OpenSSH"),
        ] {
            let (lines, url, request) = asked(answer, "/health?a=$(b)", status);
            let expected = format!("GET /health?a=$(b) HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nAccept: */*\r\n\r\n", url.port);
            assert_eq!(request, expected);
            let found = judge("h", &lines, &url, status, contains);
            assert_eq!((found.outcome, &*found.detail), (outcome, detail), "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn silence_and_endless_answers_are_judged() {
        let url: LocalUrl = "http://127.0.0.1:1/".parse().unwrap();
        let refused = ["e:once: connect: Connection refused".to_owned()];
        let found = judge("h", &refused, &url, 200, None);
        assert_eq!(found.detail, "nothing answers on port 1 of 127.0.0.1: once: connect: Connection refused");
        assert_eq!(judge("h", &["b:?".to_owned()], &url, 200, None).outcome, Outcome::CouldNotRun);

        let long: &'static [u8] = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 1 << 20]].concat().leak();
        let (lines, url, _) = asked(long, "/", 200);
        assert!(lines.iter().map(String::len).sum::<usize>() < 90_000);
        assert_eq!(judge("h", &lines, &url, 200, Some("xxxx")).outcome, Outcome::Passed);
    }
}

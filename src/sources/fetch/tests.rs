//! Tests of fetching, from servers with all kinds of behaviour.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use std::time::Duration;

use super::*;
use crate::base::event::{Event, Events};
use crate::base::failure::{Class, Failure};
use crate::base::secret::Secret;

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    target: String,
    /// The first byte wanted.
    from: Option<u64>,
    if_range: Option<String>,
}

/// What the server does with it.
struct Reply {
    bytes: Vec<u8>,
    /// Hold the connection and send no more.
    stalls: bool,
}

/// A server on this host.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answer each request, numbered from 0, on a connection of its own.
    fn new(reply: impl Fn(usize, &Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let mut held = Vec::new();
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let request = read(&stream);
                log.lock().unwrap().push(request.clone());
                let reply = reply(number, &request);
                // This fails if the client has hung up, which it may.
                let _ = (&stream).write_all(&reply.bytes);
                if reply.stalls {
                    held.push(stream);
                }
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The first bytes wanted, request by request.
    fn ranges(&self) -> Vec<Option<u64>> {
        self.asked().into_iter().map(|asked| asked.from).collect()
    }
}

fn read(stream: &TcpStream) -> Asked {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let target = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let mut asked = Asked { target, from: None, if_range: None };
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.from = value.trim_start_matches("bytes=").split('-').next().and_then(|from| from.parse().ok()),
            "if-range" => asked.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    asked
}

fn says(status: &str, headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    Reply { bytes: [head.as_bytes(), body].concat(), stalls: false }
}

fn whole(body: &[u8]) -> Reply {
    says("200 OK", &format!("ETag: \"1\"\r\nContent-Length: {}\r\n", body.len()), body)
}

/// The answer of a correct server.
fn honest(asked: &Asked, body: &[u8]) -> Reply {
    match asked.from.map(|from| from as usize) {
        None => whole(body),
        Some(from) if from >= body.len() => {
            says("416 Range Not Satisfiable", &format!("Content-Range: bytes */{}\r\nContent-Length: 0\r\n", body.len()), b"")
        }
        Some(from) => {
            let range =
                format!("Content-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n", body.len() - 1, body.len(), body.len() - from);
            says("206 Partial Content", &format!("ETag: \"1\"\r\n{range}"), &body[from..])
        }
    }
}

/// It breaks off when it has sent `bytes` of the body.
fn broken(mut reply: Reply, bytes: usize) -> Reply {
    let body = reply.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    reply.bytes.truncate(body + bytes);
    reply
}

fn body() -> Vec<u8> {
    (0..1000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A store, and the warnings while files are fetched into it.
struct Place {
    dir: tempfile::TempDir,
    store: Store,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(dir.path()).unwrap(), dir, warnings: Arc::default() }
    }

    /// Fetch the file with the digest of `body`, with two more tries.
    fn get(&self, urls: &[&str], body: &[u8]) -> Result<Vec<u8>, SourceError> {
        self.run(urls, body, &web(2))
    }

    fn run(&self, urls: &[&str], body: &[u8], web: &Web) -> Result<Vec<u8>, SourceError> {
        let warnings = Arc::clone(&self.warnings);
        let events = Events::new(vec![Box::new(move |event: &Event| {
            if let Event::Warning { text } = event {
                warnings.lock().unwrap().push(text.clone());
            }
        })]);
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let remote = Remote::pinned("the file", "k", &urls, Sha256Digest::of(body));
        let path = on_runtime(fetch(remote, &self.store, web, &events.task("t")))?;
        assert_eq!(self.parts(), 0, "a part was left of what is complete");
        Ok(fs::read(path).unwrap())
    }

    fn files(&self) -> Vec<fs::DirEntry> {
        fs::read_dir(self.dir.path().join("v1/files")).unwrap().map(Result::unwrap).collect()
    }

    /// Bytes in beginnings.
    fn parts(&self) -> u64 {
        self.files().iter().filter(|file| file.file_name().as_encoded_bytes()[0] == b'.').map(|file| file.metadata().unwrap().len()).sum()
    }
}

/// The silence that is allowed: long enough for a busy host, but the cases with a silent server take as long.
fn web(tries: usize) -> Web {
    Web { proxies: Proxies::default(), silence: Duration::from_secs(3), pauses: vec![Duration::from_millis(1); tries] }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_file_is_fetched_once() {
    let (place, body) = (Place::new(), body());
    let content = body.clone();
    let server = Server::new(move |_, asked| honest(asked, &content));
    assert_eq!(place.get(&[&server.url], &body).unwrap(), body);
    assert_eq!(place.get(&[&server.url], &body).unwrap(), body);
    assert_eq!(server.ranges(), [None]);
    let empty = Server::new(|_, _| whole(b""));
    assert_eq!(place.get(&[&empty.url], b"").unwrap(), b"");
}

#[test]
fn two_at_once_fetch_once() {
    let (place, content) = (Place::new(), body());
    let server = Server::new(move |_, asked| honest(asked, &content));
    let (urls, sha256, web, task) = ([server.url.clone()], Sha256Digest::of(&body()), web(0), Events::none().task("t"));
    let remote = Remote::pinned("the file", "k", &urls, sha256);
    let both = async { tokio::join!(fetch(remote, &place.store, &web, &task), fetch(remote, &place.store, &web, &task)) };
    let (one, two) = on_runtime(both);
    assert_eq!((one.unwrap(), server.asked().len()), (two.unwrap(), 1));
}

/// Each case: what the server does, the first bytes that it is asked for, and the condition of the request. In the end the file is there.
#[test]
fn a_broken_transfer_goes_on_where_it_can() {
    type Behaviour = fn(usize, &Asked) -> Reply;
    let cases: [(&str, Behaviour, &[Option<u64>]); 9] = [
        (
            "breaks off twice",
            |n, asked| if n < 2 { broken(honest(asked, &body()), 700) } else { honest(asked, &body()) },
            &[None, Some(700), Some(1400)],
        ),
        ("ignores ranges", |n, _| if n == 0 { broken(whole(&body()), 700) } else { whole(&body()) }, &[None, Some(700)]),
        (
            "falls silent",
            |n, asked| if n == 0 { Reply { stalls: true, ..broken(whole(&body()), 700) } } else { honest(asked, &body()) },
            &[None, Some(700)],
        ),
        (
            "never answers the first",
            |n, asked| if n == 0 { Reply { bytes: Vec::new(), stalls: true } } else { honest(asked, &body()) },
            &[None, None],
        ),
        ("is busy", |n, asked| if n == 0 { says("503 Busy", "Retry-After: 0\r\n", b"") } else { honest(asked, &body()) }, &[None, None]),
        (
            // The server has a new file, and says so.
            "has a new file",
            |n, _| if n == 0 { broken(says("200 OK", "ETag: \"0\"\r\nContent-Length: 4000\r\n", &[7; 4000]), 700) } else { whole(&body()) },
            &[None, Some(700)],
        ),
        (
            // It does not say so, so the pieces are of two files.
            "has a new file in secret",
            |n, asked| if n == 0 { broken(whole(&[7; 4000]), 700) } else { honest(asked, &body()) },
            &[None, Some(700), None],
        ),
        (
            "answers another range",
            |n, asked| match n {
                0 => broken(whole(&body()), 700),
                1 => says("206 Partial Content", "Content-Range: bytes 0-3999/4000\r\nContent-Length: 4000\r\n", &body()),
                _ => honest(asked, &body()),
            },
            &[None, Some(700), None],
        ),
        (
            "has a shorter file now",
            |n, asked| match n {
                0 => broken(says("200 OK", "Content-Length: 9000\r\n", &[7; 9000]), 5000),
                _ => honest(asked, &body()),
            },
            &[None, Some(5000), None],
        ),
    ];
    for (name, behaviour, ranges) in cases {
        let place = Place::new();
        let server = Server::new(behaviour);
        assert_eq!(place.get(&[&server.url], &body()).map_err(|error| error.to_string()), Ok(body()), "{name}");
        assert_eq!(server.ranges(), ranges, "{name}");
        let conditions: Vec<_> = server.asked().into_iter().filter(|asked| asked.from.is_some()).map(|asked| asked.if_range).collect();
        let expected = match name {
            "has a new file" => Some("\"0\"".to_owned()),
            "has a shorter file now" => None,
            _ => Some("\"1\"".to_owned()),
        };
        assert!(conditions.iter().all(|condition| *condition == expected), "{name}: {conditions:?}");
    }
}

#[test]
fn the_next_run_goes_on_also_from_another_mirror() {
    let place = Place::new();
    let broken_one = Server::new(|_, asked| broken(honest(asked, &body()), 1500));
    let error = place.run(&[&broken_one.url], &body(), &web(0)).unwrap_err();
    let expected = format!("the file cannot be fetched: {}: it broke off after 1.46 KiB of 3.91 KiB (", broken_one.url);
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(place.parts(), 1500);
    let mirror = Server::new(|_, asked| honest(asked, &body()));
    assert_eq!(place.run(&[&mirror.url], &body(), &web(0)).unwrap(), body());
    // The version name of one server means nothing to the other.
    assert_eq!(mirror.asked(), [Asked { target: "/file".into(), from: Some(1500), if_range: None }]);

    // A run may have ended between the last byte and the file's name.
    let place = Place::new();
    fs::write(place.dir.path().join(format!("v1/files/.{}.part", Sha256Digest::of(&body()))), body()).unwrap();
    let mirror = Server::new(|_, asked| honest(asked, &body()));
    assert_eq!((place.get(&[&mirror.url], &body()).unwrap(), mirror.ranges()), (body(), vec![Some(4000)]));
}

/// Each case: what the server does, how often it is asked with two more tries, and why it is given up.
#[test]
fn what_cannot_be_had_is_said_with_its_address() {
    type Behaviour = fn(usize, &Asked) -> Reply;
    let found = Sha256Digest::of(b"other");
    let expected = Sha256Digest::of(&body());
    let other = format!("what [URL] gives is a text of 5 bytes with sha256 {found}, the recipe says {expected}");
    let cases: [(Behaviour, usize, &str); 9] = [
        (|_, _| says("404 Not Found", "", b""), 1, "the server says 404 Not Found"),
        (|_, _| says("403 Forbidden", "", b"x"), 1, "the server says 403 Forbidden"),
        (|_, _| says("500 Oops", "", b""), 3, "the server says 500 Internal Server Error"),
        (|_, _| says("503 Busy", "Retry-After: 0\r\n", b""), 3, "the server says 503 Service Unavailable"),
        (|_, _| whole(b"other"), 1, &other),
        (
            |_, _| says("200 OK", "Content-Type: text/html\r\n", b"<!doctype html><title>Log in</title>"),
            1,
            "it gives a web page, such as one to log in, and not the file",
        ),
        (|_, _| says("302 Found", "Location: /again\r\nContent-Length: 0\r\n", b""), 33, "it redirects more than 10 times"),
        (
            |_, _| says("206 Partial Content", "Content-Range: bytes 0-3/4\r\nTransfer-Encoding: chunked\r\n", b"6\r\nabcdef\r\n0\r\n\r\n"),
            1,
            "it sends more than 4 B",
        ),
        (|_, _| says("200 OK", "Content-Length: 99999999999999\r\n", b""), 1, "it has more than 64.0 GiB"),
    ];
    for (behaviour, count, why) in cases {
        let place = Place::new();
        let server = Server::new(behaviour);
        let error = place.get(&[&server.url], &body()).unwrap_err();
        let said = error.to_string().replace(&server.url, "[URL]");
        assert_eq!(said, format!("the file cannot be fetched: [URL]: {why}"));
        assert_eq!((server.asked().len(), error.class(), place.parts()), (count, Class::Input, 0), "{why}");
        // The next mirror has the file, and the failure of the first is reported.
        let mirror = Server::new(|_, asked| honest(asked, &body()));
        assert_eq!(place.get(&[&server.url, &mirror.url], &body()).unwrap(), body());
        let warnings = place.warnings.lock().unwrap().join("\n").replace(&server.url, "[URL]");
        assert_eq!(warnings, format!("the file is not to be had from 127.0.0.1: {why}"));
    }
}

#[test]
fn all_addresses_are_told_and_no_credential() {
    let place = Place::new();
    let server = Server::new(|_, _| says("404 Not Found", "", b""));
    let with = server.url.replace("http://", "http://me:hunter2@") + "?token=hunter3";
    let error = place.get(&[&with, &server.url], &body()).unwrap_err();
    assert_eq!(error.to_string(), format!("the file cannot be fetched: {}?…: the server says 404 Not Found (nor from 1 more)", server.url));
    assert_eq!(error.evidence().len(), 2);
    let warnings = place.warnings.lock().unwrap().join("\n");
    for text in [error.to_string(), error.evidence().concat(), error.remedy().unwrap(), format!("{error:?}"), warnings] {
        assert!(!text.contains("hunter"), "{text}");
    }
    // The store does not keep a password either.
    let broken_one = Server::new(|_, asked| broken(honest(asked, &body()), 9));
    let with = broken_one.url.replace("http://", "http://me:hunter2@");
    assert!(place.get(&[&with], &body()).is_err());
    let found = std::process::Command::new("grep").args(["-r", "hunter"]).arg(place.dir.path()).output().unwrap();
    assert!(found.status.code() == Some(1), "{found:?}");
}

#[test]
fn a_proxy_is_asked_in_the_servers_place() {
    let place = Place::new();
    let proxy = Server::new(|_, asked| honest(asked, &body()));
    let url = proxy.url.replace("/file", "");
    let web = Web { proxies: Proxies { http: Some(Secret::new(url)), ..Proxies::default() }, ..web(0) };
    assert_eq!(place.run(&["http://mirror.invalid/file"], &body(), &web).unwrap(), body());
    assert_eq!(proxy.asked()[0].target, "http://mirror.invalid/file");
}

#[test]
fn a_look_asks_for_one_byte() {
    type Behaviour = fn(usize, &Asked) -> Reply;
    let cases: [(Behaviour, Result<Option<u64>, &str>); 6] = [
        (|_, asked| honest(asked, &body()), Ok(Some(4000))),
        (|_, _| whole(&body()), Ok(Some(4000))),
        (|_, _| says("200 OK", "", &body()), Ok(None)),
        (|_, _| whole(b""), Ok(Some(0))),
        (|_, _| says("200 OK", "", b"<html>"), Err("it gives a web page, such as one to log in, and not the file")),
        (|_, _| says("404 Not Found", "", b""), Err("the server says 404 Not Found")),
    ];
    for (behaviour, expected) in cases {
        let place = Place::new();
        let server = Server::new(behaviour);
        let urls = [server.url.clone()];
        let remote = Remote::pinned("the file", "k", &urls, Sha256Digest::of(b""));
        let found = on_runtime(look(remote, &place.store, &web(2), &Events::none().task("t")));
        match expected {
            Ok(bytes) => assert_eq!(found.unwrap(), Awaited { host: "127.0.0.1".into(), bytes }),
            Err(why) => assert_eq!(found.unwrap_err().to_string(), format!("the file cannot be fetched: {}: {why}", server.url)),
        }
        assert_eq!((server.ranges(), place.files().len()), (vec![Some(0)], 0));
    }
    let full = transfer::require_room("the file", &Place::new().store, u64::MAX).unwrap_err();
    assert!(full.class() == Class::Host && full.to_string().starts_with("there is no room for the file: "), "{full}");
}

#[test]
fn a_small_file_is_read_from_whoever_gives_it_and_whom_nobody_can_change() {
    type Behaviour = fn(usize, &Asked) -> Reply;
    let get = |urls: &[String]| {
        let task = Events::none().task("t");
        on_runtime(small("the file", Way::Mirrors("k"), urls, 4000, &web(2), &task)).map_err(|error| error.to_string())
    };
    let cases: [(Behaviour, usize, Result<(), &str>); 8] = [
        (|_, _| whole(&body()), 1, Ok(())),
        (|number, _| if number == 0 { says("503 Busy", "Retry-After: 0\r\n", b"") } else { whole(&body()) }, 2, Ok(())),
        (|number, _| if number == 0 { broken(whole(&body()), 9) } else { whole(&body()) }, 2, Ok(())),
        (|_, _| says("503 Busy", "Retry-After: 0\r\n", b""), 3, Err("the server says 503 Service Unavailable")),
        (|_, _| says("404 Not Found", "", b""), 1, Err("the server says 404 Not Found")),
        (|_, _| says("200 OK", "", &[b'x'; 4001]), 1, Err("it has more than 3.91 KiB")),
        (|_, _| says("200 OK", "", b"<!doctype html>"), 1, Err("it gives a web page, such as one to log in, and not the file")),
        (
            |_, _| says("302 Found", "Location: http://mirror.invalid/file\r\nContent-Length: 0\r\n", b""),
            1,
            Err("it redirects to http, where anybody on the way can change what it gives"),
        ),
    ];
    for (behaviour, count, expected) in cases {
        let server = Server::new(behaviour);
        let urls = [server.url.clone()];
        match expected {
            Ok(()) => assert_eq!(get(&urls), Ok(body())),
            Err(why) => assert_eq!(get(&urls), Err(format!("the file cannot be fetched: {}: {why}", server.url))),
        }
        assert_eq!(server.asked().len(), count, "{expected:?}");
    }
    let round = Server::new(|_, _| says("302 Found", "Location: /again\r\nContent-Length: 0\r\n", b""));
    assert!(get(std::slice::from_ref(&round.url)).unwrap_err().ends_with(": it redirects more than 10 times"));
    let mirror = Server::new(|_, _| whole(&body()));
    assert_eq!(get(&[round.url.clone(), mirror.url.clone()]), Ok(body()));
}

/// A server on this host whose certificate has signed itself; as an authority or as a server.
fn self_signed(constraints: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let [key, pkcs8, certificate] = ["key", "pkcs8", "certificate"].map(|name| dir.path().join(name));
    let extensions = [Path::new("-addext"), Path::new("subjectAltName=IP:127.0.0.1"), Path::new("-addext"), Path::new(constraints)];
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-outform", "DER"];
    openssl(words.iter().map(Path::new).chain(extensions).chain([Path::new("-keyout"), &key, Path::new("-out"), &certificate]));
    let words = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"];
    openssl(words.iter().map(Path::new).chain([&*key, Path::new("-out"), &pkcs8]));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(fs::read(pkcs8).unwrap());
    let config = Arc::new(config.with_single_cert(vec![fs::read(&certificate).unwrap().into()], key.into()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/file", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // The client refuses, and says so.
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        }
    });
    url
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    for (constraints, why) in [
        ("basicConstraints=critical,CA:TRUE", "it has signed itself"),
        ("basicConstraints=critical,CA:FALSE", "this host trusts no signer of it"),
    ] {
        let url = self_signed(constraints);
        let error = Place::new().run(&[&url], &body(), &web(0)).unwrap_err();
        let expected = format!("the file cannot be fetched: {url}: its certificate is not trusted by this host: {why}");
        assert_eq!((error.to_string(), error.class()), (expected, Class::Input));
        assert!(error.remedy().unwrap().starts_with("make the host trust the server (ca-certificates); or "), "{:?}", error.remedy());
    }
}

fn openssl<'a>(args: impl Iterator<Item = &'a Path>) {
    let output = std::process::Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

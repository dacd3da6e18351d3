//! A server on this host that serves the files below a directory, or wrong data.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// The content that a server sends for a path in place of the file; `None`: it answers that the file does not exist.
type Lies = BTreeMap<String, Option<Vec<u8>>>;

/// A server.
pub struct Server {
    /// Its address, with a `/` at the end.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
    lies: Arc<Mutex<Lies>>,
}

impl Server {
    /// Serve the files below `dir`.
    pub fn of(dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { url: format!("http://{}/", listener.local_addr().unwrap()), asked: Arc::default(), lies: Arc::default() };
        let (dir, asked, lies) = (dir.to_owned(), Arc::clone(&server.asked), Arc::clone(&server.lies));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (dir, asked, lies) = (dir.clone(), Arc::clone(&asked), Arc::clone(&lies));
                thread::spawn(move || answer(&stream, &dir, &asked, &lies));
            }
        });
        server
    }

    /// From now on, serve `content` in place of the file at `path`.
    pub fn lie(&self, path: &str, content: Option<&[u8]>) {
        self.lies.lock().unwrap().insert(path.to_owned(), content.map(<[u8]>::to_vec));
    }

    /// The paths that were requested since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Answer one request and close.
fn answer(mut stream: &TcpStream, dir: &Path, asked: &Mutex<Vec<String>>, lies: &Mutex<Lies>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let Some(path) = lines.next().and_then(|line| Some(line.split(' ').nth(1)?.to_owned())) else { return };
    // The head is read completely, because otherwise closing the socket would reset the connection.
    lines.for_each(drop);
    asked.lock().unwrap().push(path.clone());
    let lie = lies.lock().unwrap().get(&path).cloned();
    let content = lie.unwrap_or_else(|| fs::read(dir.join(path.trim_start_matches('/'))).ok());
    let (status, body) = match &content {
        Some(body) => ("200 OK", &body[..]),
        None => ("404 Not Found", &b""[..]),
    };
    // The client may have closed the connection.
    let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(body);
}

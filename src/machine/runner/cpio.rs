//! The cpio "newc" format: what an initramfs is made of.
//!
//! Source: Linux `Documentation/driver-api/early-userspace/buffer-format.rst` and `init/initramfs.c`. An initramfs is a row of archives,
//! each plain or compressed, with zero bytes between them; a plain archive must begin at a multiple of four bytes or the
//! kernel skips it without a message.

use std::io::{self, BufRead, Read};

const MAGIC: &[u8; 6] = b"070701";
/// `MAGIC` and 13 fields of eight hexadecimal digits.
const HEADER_BYTES: usize = 110;
const TRAILER: &str = "TRAILER!!!";
/// Longer than any path of the kernel (`PATH_MAX`).
const NAME_BYTES_MAX: u32 = 4096;

/// A new archive, in memory.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add a directory. Never name one that is a symbolic link in the initramfs (`bin`, `lib`): the kernel would replace the link.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Add a regular file with permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, 0o100_000 | (mode & 0o7777), content);
    }

    /// Add a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.entry(path, 0o120_777, target.as_bytes());
    }

    /// The archive, trailer included.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let name_bytes = path.len() + 1;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [self.entries, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, name_bytes as u32, 0];
        self.bytes.extend_from_slice(MAGIC);
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// An entry of an archive that is being read.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path without a leading `./` or `/`.
    pub path: String,
    /// Content, when it was asked for.
    pub content: Option<Vec<u8>>,
}

/// Read the archive `reader` stands at, through its trailer. `wanted` says which entries' content is kept (each at most `limit` bytes);
/// every entry's path is given to `each`.
///
/// # Errors
/// The bytes are not a newc archive, end early, or a wanted file is larger than `limit`.
pub fn read(mut reader: impl BufRead, limit: u32, wanted: impl Fn(&str) -> bool, mut each: impl FnMut(Entry)) -> io::Result<()> {
    loop {
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header)?;
        if &header[..6] != MAGIC && &header[..6] != b"070702" {
            return Err(invalid("no newc header where one must be"));
        }
        let content_bytes = field(&header, 6)?;
        let name_bytes = field(&header, 11)?;
        if name_bytes == 0 || name_bytes > NAME_BYTES_MAX {
            return Err(invalid("an entry's name is empty or longer than any path"));
        }
        let mut name = vec![0; name_bytes as usize];
        reader.read_exact(&mut name)?;
        skip(&mut reader, padding(HEADER_BYTES as u64 + u64::from(name_bytes)))?;
        name.pop();
        let name = String::from_utf8_lossy(&name).into_owned();
        if name == TRAILER {
            return Ok(());
        }
        let path = name.trim_start_matches("./").trim_start_matches('/').to_owned();
        let content = if wanted(&path) {
            if content_bytes > limit {
                return Err(invalid("a file is larger than anything it could be"));
            }
            let mut content = vec![0; content_bytes as usize];
            reader.read_exact(&mut content)?;
            Some(content)
        } else {
            skip(&mut reader, u64::from(content_bytes))?;
            None
        };
        skip(&mut reader, padding(u64::from(content_bytes)))?;
        each(Entry { path, content });
    }
}

fn field(header: &[u8; HEADER_BYTES], index: usize) -> io::Result<u32> {
    let start = 6 + 8 * index;
    let digits = std::str::from_utf8(&header[start..start + 8]).map_err(|_| invalid("a header field is not hexadecimal"))?;
    u32::from_str_radix(digits, 16).map_err(|_| invalid("a header field is not hexadecimal"))
}

fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

fn skip(reader: &mut impl Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut reader.by_ref().take(bytes), &mut io::sink())? {
        skipped if skipped == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::new();
        archive.directory("goldsmith");
        archive.file("goldsmith/run", 0o755, b"#!/bin/sh\n");
        archive.symlink("goldsmith/link", "run");
        archive.finish()
    }

    fn entries(bytes: &[u8]) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        read(bytes, 1 << 20, |_| true, |entry| found.push(entry)).map(|()| found)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let found = entries(&sample()).unwrap();
        let expected = [("goldsmith", ""), ("goldsmith/run", "#!/bin/sh\n"), ("goldsmith/link", "run")];
        assert_eq!(found, expected.map(|(path, text)| Entry { path: path.into(), content: Some(text.into()) }));
    }

    /// The oracle is the distribution's own `cpio`, when there is one; CI installs it.
    #[test]
    fn cpio_lists_what_is_written() {
        let mut child =
            Command::new("cpio").args(["-t", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cpio is installed");
        io::Write::write_all(child.stdin.as_mut().unwrap(), &sample()).unwrap();
        let listed = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(listed.stdout).unwrap(), "goldsmith\ngoldsmith/run\ngoldsmith/link\n");
    }

    proptest! {
        #[test]
        fn mangled_archives_are_refused_in_peace(position in 0usize..400, byte: u8, cut in 0usize..400) {
            let mut bytes = sample();
            let position = position % bytes.len();
            bytes[position] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut));
            let _ = entries(&bytes);
        }
    }
}

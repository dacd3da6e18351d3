//! gzip as gzip(1) reads it: members one after the other, and zeros behind them, which tapes and disks are padded with.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The bytes that a gzip file stands for (RFC 1952). Zeros behind a member are passed over, as gzip 1.12 does (gzip.c, `get_method`); anything
/// else that is no member is an error, and so is a member without its end.
pub struct Gzip<R> {
    /// The member that is read. It is `None` only during the change to the next member.
    member: Option<GzDecoder<R>>,
    is_over: bool,
}

impl<R: BufRead> Gzip<R> {
    /// Read `packed`, which is at the beginning of a member.
    pub fn new(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)), is_over: false }
    }

    /// What the members are read from.
    pub fn get_mut(&mut self) -> &mut R {
        // OK to unwrap: `read` puts another one back before it returns.
        self.member.as_mut().expect("a member is there").get_mut()
    }

    /// Pass over zeros to the next member or the end. Interrupted, it can be asked again: the decoder of the member stays at its end.
    fn go_on(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.get_mut().fill_buf()?;
            let (length, zeros) = (bytes.len(), bytes.iter().take_while(|byte| **byte == 0).count());
            self.get_mut().consume(zeros);
            if length == 0 {
                self.is_over = true;
                return Ok(());
            }
            if zeros < length {
                self.member = self.member.take().map(|member| GzDecoder::new(member.into_inner()));
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !self.is_over && !buf.is_empty() {
            match self.member.as_mut().map_or(Ok(0), |member| member.read(buf))? {
                0 => self.go_on()?,
                read => return Ok(read),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        // A small buffer, so that padding takes several reads.
        Gzip::new(BufReader::with_capacity(16, bytes)).read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn padding_is_no_damage() {
        let (one, two) = (packed("one"), packed("two"));
        for (parts, text) in [
            (&[&one[..]][..], Some("one")),
            (&[&one, &[0; 10_240]], Some("one")),
            (&[&one, &two, &[0]], Some("onetwo")),
            (&[&one, &[0; 512], &two], Some("onetwo")),
            (&[&packed(""), &[0; 3]], Some("")),
            (&[&one[..one.len() - 1]], None),
            (&[&one, b"x"], None),
            (&[&one, &[0; 512], b"damage"], None),
            (&[&one, &two[..5]], None),
        ] {
            assert_eq!(read(&parts.concat()).ok().as_deref(), text, "{parts:?}");
        }
    }
}

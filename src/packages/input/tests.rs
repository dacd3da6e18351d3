//! Tests of the module beside this file.

use std::io::Write;

use super::*;

/// A listing that fits `bytes`.
pub fn listing(bytes: &[u8]) -> Listed {
    let mut hasher = Hasher::Sha256(Default::default());
    hasher.update(bytes);
    Listed { checksum: hasher.finish(), size: Some(bytes.len() as u64) }
}

fn text() -> Vec<u8> {
    (0..40_000).map(|number| format!("line {number}\n")).collect::<String>().into_bytes()
}

fn compressed(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(text).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text).unwrap();
    vec![
        ("plain", text.to_vec()),
        ("gzip", gzip.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("bzip2", bzip2.finish().unwrap()),
        ("zstd", zstd::stream::encode_all(text, 1).unwrap()),
    ]
}

/// Read all of it as the readers do: entries that end with a line.
fn read(bytes: &[u8], listed: Option<Listed>, limit: u64) -> Result<Vec<u8>, IndexError> {
    let mut input = Input::new("the index", bytes, listed, limit)?;
    let mut text = Vec::new();
    loop {
        input.begin_entry();
        match input.read_until(b'\n', &mut text) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(input.error(Some("bash".to_owned()), Problem::Unreadable(error))),
        }
    }
    input.finish().map(|()| text)
}

fn words(result: Result<Vec<u8>, IndexError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_compression_is_told_by_its_content() {
    let text = text();
    for (format, bytes) in compressed(&text) {
        assert_eq!(read(&bytes, Some(listing(&bytes)), 1 << 20).unwrap(), text, "{format}");
        // Two in a row are one text, as for gzip(1), xz(1), bzip2(1) and zstd(1).
        let twice = [&bytes[..], &bytes].concat();
        assert_eq!(read(&twice, None, 1 << 20).unwrap(), [&text[..], &text].concat(), "{format}");
    }
    assert_eq!(read(b"", Some(listing(b"")), 0).unwrap(), b"");
    assert_eq!(read(b"\x1f", None, 10).unwrap(), b"\x1f");
}

#[test]
fn what_is_cut_short_or_altered_is_an_error_that_says_so() {
    let text = text();
    for (format, bytes) in compressed(&text).into_iter().skip(1) {
        for cut in [bytes.len() - 1, bytes.len() / 2, 7] {
            let error = words(read(&bytes[..cut], None, 1 << 20));
            let end = format!(": its {format} data cannot be expanded: ");
            assert!(error.contains(&end) && error.starts_with("the index cannot be used, line "), "{error}");
            // With a listing the error can say that the file is not the listed one.
            let error = words(read(&bytes[..cut], Some(listing(&bytes)), 1 << 20));
            let blame = format!("the index cannot be used: it has {cut} bytes, its list of files says {}", bytes.len());
            assert_eq!(error, blame);
        }
        let mut altered = bytes.clone();
        altered[bytes.len() / 2] ^= 0x10;
        let error = words(read(&altered, Some(listing(&bytes)), 1 << 20));
        assert!(error.contains("its sha256 is ") && error.contains(", its list of files says "), "{format}: {error}");
        let error = words(read(&[&bytes[..], b"\0"].concat(), Some(listing(&bytes)), 1 << 20));
        assert_eq!(error, format!("the index cannot be used: it is longer than the {} bytes its list of files says", bytes.len()));
    }
    assert_eq!(words(read(b"abc", Some(listing(b"abd")), 10)).matches("sha256").count(), 1);
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let zeros: Vec<u8> = b"\0".repeat(8 << 20);
    for (format, bytes) in compressed(&zeros).into_iter().skip(1) {
        assert!(bytes.len() < 1 << 20, "{format} has {} bytes", bytes.len());
        assert_eq!(words(read(&bytes, None, 900_000)), "the index cannot be used, line 1 (byte 0), bash: it expands to more than 879 KiB");
        let error = words(read(&bytes, None, 1 << 30));
        assert!(error.ends_with("an entry of it is longer than 1.00 MiB"), "{error}");
    }
}

#[test]
fn no_more_memory_than_expanding_needs_is_given() {
    let window = |log: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(b"x\n").unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(read(&window(26), None, 10).unwrap(), b"x\n");
    assert!(words(read(&window(27), None, 10)).contains("its zstd data cannot be expanded: "));
    let dictionary = |bytes: u32| {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(bytes);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(b"x\n").unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(read(&dictionary(64 << 20), None, 10).unwrap(), b"x\n");
    assert!(words(read(&dictionary(128 << 20), None, 10)).contains("its xz data cannot be expanded: "));
}

#[test]
fn a_source_that_fails_is_not_blamed_on_the_index() {
    struct Fails(usize);
    impl io::Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the medium is gone"));
            }
            let length = buf.len().min(self.0);
            buf[..length].fill(b'\n');
            self.0 -= length;
            Ok(length)
        }
    }
    for good in [0, 3, 300_000] {
        let error = Input::new("the index", Fails(good), Some(listing(b"")), 1 << 20).and_then(Input::finish).unwrap_err();
        assert!(matches!(error.problem, Problem::Unreadable(_)), "{error}");
        assert!(error.to_string().ends_with(": the medium is gone"), "{error}");
    }
}

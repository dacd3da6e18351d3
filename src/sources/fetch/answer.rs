//! Interprets a server's answer to a request for a file, or for the rest of it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, RETRY_AFTER};

/// What an answer means. Its body is not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The file from its beginning, with its length if the server sent one.
    Whole(Option<u64>),
    /// The requested rest of a file, which has so many bytes as a whole.
    Rest(u64),
    /// The file has no more bytes than the ones we have.
    Complete,
    /// The bytes we have are not of that file.
    Another,
    /// Not now; perhaps after a time.
    Later(String, Option<Duration>),
    /// Not from there.
    Never(String),
}

impl Answer {
    /// Read the answer to a request for everything from byte `from` on.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, from: u64) -> Self {
        let range = content_range(headers);
        match status {
            StatusCode::OK => Self::Whole(number(headers, CONTENT_LENGTH)),
            StatusCode::PARTIAL_CONTENT => match range {
                Some((Some(start), Some(total))) if start == from && total > from => Self::Rest(total),
                _ => Self::Another,
            },
            // RFC 9110, 15.5.17: `bytes */TOTAL`.
            StatusCode::RANGE_NOT_SATISFIABLE if range == Some((None, Some(from))) => Self::Complete,
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Self::Another,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Self::Later(words(status), retry_after(headers)),
            status if status.is_server_error() => Self::Later(words(status), retry_after(headers)),
            status => Self::Never(words(status)),
        }
    }
}

/// The name of the server's version of the file: a strong ETag, else its date (RFC 9110, 13.1.5).
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    text(ETAG).filter(|tag| tag.starts_with('"')).or_else(|| text(LAST_MODIFIED))
}

fn words(status: StatusCode) -> String {
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("the server says {}{reason}", status.as_u16())
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Only seconds are understood; a date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    number(headers, RETRY_AFTER).map(Duration::from_secs)
}

/// First byte and size of the whole (RFC 9110, 14.4): `bytes 5-9/10`, `bytes */10`, `bytes 5-9/*`.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = match range {
        "*" => None,
        range => Some(range.split_once('-')?.0.trim().parse().ok()?),
    };
    Some((start, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let later = |text: &str, seconds: Option<u64>| Answer::Later(text.to_owned(), seconds.map(Duration::from_secs));
        let never = |text: &str| Answer::Never(text.to_owned());
        for (status, headers, from, expected) in [
            (200, &[("content-length", "7")][..], 5, Answer::Whole(Some(7))),
            (200, &[], 0, Answer::Whole(None)),
            (200, &[("content-length", "-7")], 0, Answer::Whole(None)),
            (206, &[("content-range", "bytes 5-9/10")], 5, Answer::Rest(10)),
            (206, &[("content-range", "bytes 4-9/10")], 5, Answer::Another),
            (206, &[("content-range", "bytes 5-9/*")], 5, Answer::Another),
            (206, &[("content-range", "bytes 5-9/5")], 5, Answer::Another),
            (206, &[("content-range", "lines 5-9/10")], 5, Answer::Another),
            (206, &[], 5, Answer::Another),
            (416, &[("content-range", "bytes */10")], 10, Answer::Complete),
            (416, &[("content-range", "bytes */10")], 11, Answer::Another),
            (416, &[], 5, Answer::Another),
            (416, &[], 0, never("the server says 416 Range Not Satisfiable")),
            (404, &[], 0, never("the server says 404 Not Found")),
            (304, &[], 0, never("the server says 304 Not Modified")),
            (204, &[], 0, never("the server says 204 No Content")),
            (429, &[("retry-after", "7")], 0, later("the server says 429 Too Many Requests", Some(7))),
            (503, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], 0, later("the server says 503 Service Unavailable", None)),
            (599, &[], 0, later("the server says 599", None)),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(Answer::of(StatusCode::from_u16(status).unwrap(), &map, from), expected, "{status} {headers:?} {from}");
        }
    }

    #[test]
    fn only_what_names_bytes_names_a_version() {
        for (headers, expected) in [
            (&[("etag", "\"a\""), ("last-modified", "now")][..], Some("\"a\"")),
            (&[("etag", "W/\"a\""), ("last-modified", "now")], Some("now")),
            (&[("etag", "W/\"a\"")], None),
        ] {
            let map = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(validator(&map).as_deref(), expected, "{headers:?}");
        }
    }
}

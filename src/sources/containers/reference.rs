//! Names of images, as Docker reads and shows them (distribution/reference 2.7: `ParseNormalizedNamed`, `FamiliarString`). Pure.

/// Bytes of a name without its tag, at most.
const NAME_BYTES: usize = 255;
/// Characters of a tag, at most.
const TAG_BYTES: usize = 128;
/// The tag of a name that has none.
const LATEST: &str = "latest";
/// The registry of names without one; the second is its old name.
const DEFAULT_DOMAINS: [&str; 2] = ["docker.io/", "index.docker.io/"];
/// The directory of its official images, which have no owner in their names.
const OFFICIAL: &str = "library/";

/// The name as Docker shows it, with its tag: `docker.io/library/busybox` is `busybox:latest`.
///
/// # Errors
/// Why it is no name that an image can be loaded under.
pub(super) fn familiar(text: &str) -> Result<String, &'static str> {
    if text.contains('@') {
        return Err("it names an image by its digest, and that is no tag");
    }
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match text[last..].rfind(':') {
        Some(colon) => (&text[..last + colon], &text[last + colon + 1..]),
        None => (text, LATEST),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if tag.len() > TAG_BYTES || !tag.starts_with(is_word) || !tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-')) {
        return Err("its tag may have 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two");
    }
    let (domain, path) = match name.split_once('/') {
        Some((domain, path)) if domain.contains(['.', ':']) || domain == "localhost" => (Some(domain), path),
        _ => (None, name),
    };
    if domain.is_some_and(|domain| !is_domain(domain)) {
        return Err("its registry is no host name");
    }
    if name.len() > NAME_BYTES || !path.split('/').all(is_component) {
        return Err("its name may have small letters and digits, with `.`, `_`, `-` between them and `/` between parts");
    }
    if domain.is_none() && path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("its name is a digest");
    }
    let short = DEFAULT_DOMAINS.iter().find_map(|domain| name.strip_prefix(domain)).unwrap_or(name);
    // Docker shows official images of the default registry without `library/`. If more than one part follows `library/`, the image is not
    // official.
    let of_default = domain.is_none() || short.len() < name.len();
    let official = short.strip_prefix(OFFICIAL).filter(|rest| of_default && !rest.contains('/'));
    Ok(format!("{}:{tag}", official.unwrap_or(short)))
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Small letters and digits; between two of them one `.`, one or two `_`, or any number of `-`.
fn is_component(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(is_plain).filter(|between| !between.is_empty());
    part.starts_with(is_plain) && part.ends_with(is_plain) && { separators }
        .all(|between| matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_docker_shows_them() {
        let hex = "0".repeat(64);
        for (text, expected) in [
            ("busybox", Some("busybox:latest")),
            ("busybox:1.36", Some("busybox:1.36")),
            ("docker.io/library/busybox:1", Some("busybox:1")),
            ("index.docker.io/library/busybox", Some("busybox:latest")),
            ("library/busybox", Some("busybox:latest")),
            ("docker.io/library/a/b", Some("library/a/b:latest")),
            ("docker.io/me/app:x_Y.z-1", Some("me/app:x_Y.z-1")),
            ("localhost/app", Some("localhost/app:latest")),
            ("localhost:5000/app", Some("localhost:5000/app:latest")),
            ("registry.k8s.io/pause:3.1", Some("registry.k8s.io/pause:3.1")),
            ("quay.io/library/x", Some("quay.io/library/x:latest")),
            ("a__b/c.d-e--f", Some("a__b/c.d-e--f:latest")),
            ("", None),
            (":x", None),
            ("a:", None),
            ("a:-x", None),
            ("Busybox", None),
            ("a..b", None),
            ("a-", None),
            ("a//b", None),
            ("-a.b/c", None),
            ("a.b:x/c", None),
            ("a b", None),
            ("a:b c", None),
            ("ä", None),
            ("a@sha256:00", None),
            (&hex, None),
            (&"a".repeat(256), None),
            (&format!("a:{}", "b".repeat(129)), None),
        ] {
            assert_eq!(familiar(text).ok().as_deref(), expected, "{text}");
        }
    }
}

//! Paths in an image. Pure.

use super::fault::Fault;
use super::word::{ensure, one_line, word};

word! {
    /// The absolute path of a file or directory in an image, below `/`: no `.`, `..` or `//`, no `/` at its end.
    ImagePath, image_path
}

/// Accept an absolute path below `/`.
pub fn image_path(text: &str) -> Result<(), Fault> {
    one_line(text)?;
    let parts = text.strip_prefix('/').map(|rest| rest.split('/'));
    // NAME_MAX and PATH_MAX of Linux (limits.h).
    let fits = text.len() < 4096 && parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255));
    ensure(fits, text, "an absolute path", "begin with `/`, do without `.`, `..`, `//` and a `/` at the end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_from_the_root_without_detours() {
        for path in ["/a", "/a/b c", "/\u{e9}", "/...", "/a b/$(x)'\""] {
            assert_eq!(path.parse::<ImagePath>().unwrap(), path);
        }
        for path in ["", "/", "a", "/a/", "/a//b", "/a/../b", "/./a", "/a\nb", "/a\u{2028}b", &format!("/{}", "a".repeat(256))] {
            assert!(path.parse::<ImagePath>().is_err(), "{path:?}");
        }
    }
}

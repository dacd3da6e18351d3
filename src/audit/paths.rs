//! Patterns of paths: `*` is any text between two `/`, `?` a character, `[ab]` one of these.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::image::{FileKind, ImageError, Root};

/// Paths of `root` that fit one of `patterns`, each once, in the order of the patterns.
///
/// # Errors
/// The image is damaged.
pub(super) fn matching(root: &Root, patterns: &[&str]) -> Result<Vec<PathBuf>, ImageError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        for path in matching_one(root, pattern)? {
            if !found.contains(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn matching_one(root: &Root, pattern: &str) -> Result<Vec<PathBuf>, ImageError> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').skip(1) {
        let mut next = Vec::new();
        for dir in found {
            if !part.contains(['*', '?', '[']) {
                // A path that cannot be looked up is not there.
                if root.symlink_metadata(dir.join(part)).is_ok() {
                    next.push(dir.join(part));
                }
            } else if root.metadata(&dir).is_ok_and(|metadata| metadata.kind == FileKind::Directory) {
                let names = root.read_dir(&dir)?;
                next.extend(names.iter().filter(|name| fits(part, &name.to_string_lossy())).map(|name| dir.join(name)));
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether `path` fits `pattern`. A pattern without special characters is a plain path.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    Pattern::new(pattern).map_or(pattern == path, |pattern| pattern.matches_with(path, options))
}

/// Whether `path` is below one of `dirs`.
pub(super) fn is_below(path: &Path, dirs: &[&str]) -> bool {
    dirs.iter().any(|dir| path != Path::new(dir) && path.starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_part() {
        for (pattern, path, expected) in [
            ("/etc/ssh/ssh_host_*", "/etc/ssh/ssh_host_rsa_key", true),
            ("/etc/ssh/ssh_host_*", "/etc/ssh/ssh_host_", true),
            ("/home/*/.netrc", "/home/me/.netrc", true),
            ("/home/*/.netrc", "/home/me/deep/.netrc", false),
            ("/a/*b", "/a/b", true),
            ("/a/b*b", "/a/b", false),
            ("/a/*.lease*", "/a/b.leases", true),
            ("/a/.*", "/a/.b", true),
            ("/a/[", "/a/[", true),
            ("/a", "/a/b", false),
            ("/a/b", "/a", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }
}

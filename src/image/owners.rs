//! Names of the users and groups of an image, by their numbers.

use std::collections::HashMap;

use super::error::ImageError;
use super::root::Root;

/// Bytes of a passwd or group file that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Names of the users and groups of an image.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Owners {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Owners {
    /// Read `/etc/passwd` and `/etc/group`. A file that is not there has no names.
    ///
    /// # Errors
    /// A file is larger than any such file, or damaged.
    pub fn of(root: &Root) -> Result<Self, ImageError> {
        let read = |path| Ok::<_, ImageError>(root.read_if_there(path, MAX_BYTES)?.unwrap_or_default());
        Ok(Self { users: numbered(&read("/etc/passwd")?), groups: numbered(&read("/etc/group")?) })
    }

    /// The name of the user `uid`, or the number.
    pub fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    /// The name of the group `gid`, or the number.
    pub fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}

/// The first and the third field of the lines of passwd(5) and group(5). The first of two lines with one number counts, as for getpwuid(3).
fn numbered(file: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in String::from_utf8_lossy(file).lines() {
        let mut fields = line.split(':');
        let (name, number) = (fields.next().unwrap_or_default(), fields.nth(1).and_then(|number| number.parse().ok()));
        if let Some(number) = number.filter(|_| !name.is_empty()) {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_number_names_it() {
        let names = numbered(b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:\n# no line\nme:x:1000:1000\nbad:x:-1:\n:x:7:\n");
        assert_eq!(names, HashMap::from([(0, "root".to_owned()), (1000, "me".to_owned())]));
    }
}

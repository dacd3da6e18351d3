//! `.treeinfo`, an INI file that says where kernel, initrd and runtime image of an installation tree are (pykickstart and Anaconda read the
//! same one; lorax 19.6 `treeinfo.py` writes it), and `.discinfo`, whose second line is the release (lorax 19.6 `discinfo.py`).

use std::collections::BTreeMap;

/// A tree's description of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeInfo {
    values: BTreeMap<(String, String), String>,
}

impl TreeInfo {
    /// Read the text. Lines that are neither a section nor `key = value` are skipped, as users of configparser do.
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        let mut section = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.to_owned();
            } else if let Some((key, value)) = line.split_once('=') {
                values.insert((section.clone(), key.trim().to_owned()), value.trim().to_owned());
            }
        }
        Self { values }
    }

    /// One value; an empty one counts as absent.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.values.get(&(section.to_owned(), key.to_owned())).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The distribution: `CentOS`.
    pub fn family(&self) -> Option<&str> {
        self.get("general", "family")
    }

    /// The distribution's version, on CentOS 7 without the minor one: `7`.
    pub fn version(&self) -> Option<&str> {
        self.get("general", "version")
    }

    /// The processor architecture: `x86_64`.
    pub fn arch(&self) -> Option<&str> {
        self.get("general", "arch")
    }

    /// Where a boot image of the tree's own architecture is: `kernel`, `initrd`.
    pub fn image(&self, name: &str) -> Option<&str> {
        self.get(&format!("images-{}", self.arch()?), name)
    }

    /// What the file at `path` must hash to, `sha256:` left out; only newer trees say so.
    pub fn sha256(&self, path: &str) -> Option<&str> {
        self.get("checksums", path)?.strip_prefix("sha256:")
    }
}

/// The release that `.discinfo` names.
pub(super) fn discinfo_release(text: &str) -> Option<&str> {
    text.lines().nth(1).map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on CentOS 7 (osinfo-db, tests/treeinfodata/centos/centos7.0/x86_64).
    const CENTOS: &str = "[general]\nname = CentOS-7\nfamily = CentOS\ntimestamp = 1404489568.49\nvariant = \nversion = 7\npackagedir = \narch = x86_64\n\n\
        [stage2]\nmainimage = LiveOS/squashfs.img\n\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n\
        boot.iso = images/boot.iso\n\n[images-xen]\nkernel = images/pxeboot/vmlinuz\n[checksums]\nimages/pxeboot/vmlinuz = sha256:00ff\n";

    #[test]
    fn the_tree_of_its_own_architecture_is_described() {
        let tree = TreeInfo::parse(CENTOS);
        assert_eq!((tree.family(), tree.version(), tree.arch()), (Some("CentOS"), Some("7"), Some("x86_64")));
        assert_eq!((tree.image("kernel"), tree.image("none")), (Some("images/pxeboot/vmlinuz"), None));
        assert_eq!((tree.get("general", "variant"), tree.get("stage2", "mainimage")), (None, Some("LiveOS/squashfs.img")));
        assert_eq!(tree.sha256("images/pxeboot/vmlinuz"), Some("00ff"));
    }

    #[test]
    fn what_is_no_treeinfo_says_nothing() {
        for text in ["", "<html>", "[general", "= x\n[]\n=", "kernel = outside"] {
            let tree = TreeInfo::parse(text);
            assert_eq!((tree.family(), tree.image("kernel")), (None, None), "{text}");
        }
        assert_eq!(
            (discinfo_release("1525379784.39\n7.5\nx86_64\n"), discinfo_release("1\n"), discinfo_release("")),
            (Some("7.5"), None, None)
        );
    }
}

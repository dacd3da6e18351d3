//! `media.kickstart`: a kickstart of the user's own, and what a recipe beside it does not say.
//!
//! Whoever brings a kickstart means it: a setting that stood in both places would have to win over the other in silence. So what a
//! kickstart says is said there alone, and the recipe keeps what no kickstart can say. Three settings are of both worlds. `disk.size` and
//! `disk.firmware` make the machine that the kickstart finds; `system.network` tells goldsmith, which has to reach the image later, what
//! the kickstart will have set.

use super::super::Content;
use super::super::tree::KeyPath;
use super::super::written::Installer;
use super::judge::Judge;
use crate::base::digest::Sha256Digest;

/// The longest kickstart, in bytes: it rides in the initramfs, and the longest known ones have some ten thousand.
const MAX_KICKSTART: u64 = 1 << 20;

/// What a kickstart says itself: the recipe's key, and where it is said instead.
const SAID_THERE: [(&str, &str); 23] = [
    ("system.hostname", "`network --hostname=`"),
    ("system.timezone", "`timezone`"),
    ("system.locale", "`lang`"),
    ("system.keyboard", "`keyboard`"),
    ("system.selinux", "`selinux`"),
    ("system.firewall", "`firewall`"),
    ("system.root", "`rootpw`"),
    ("kernel.modules", "a `%post` that writes /etc/modules-load.d/NAME.conf"),
    ("kernel.sysctl", "a `%post` that writes /etc/sysctl.d/NAME.conf"),
    ("kernel.arguments", "`bootloader --append=`"),
    ("packages.upgrade", "a `%post`"),
    ("packages.stock_repositories", "a `%post` that edits /etc/yum.repos.d"),
    ("packages.install", "`%packages`"),
    ("packages.exclude", "`%packages`"),
    ("services.enable", "`services --enabled=`"),
    ("services.disable", "`services --disabled=`"),
    ("user", "`user`"),
    ("file", "a `%post`, or the `files` of a `[[provision]]` step"),
    ("disk.table", "`clearpart --disklabel=`"),
    ("disk.filesystem", "`part --fstype=`"),
    ("disk.lvm", "`volgroup` and `logvol`"),
    ("disk.swap", "`part swap`"),
    ("disk.grow", "a `%post`"),
];

/// The kickstart, when the recipe brings one; then nothing else may say what it says.
pub(super) fn read(judge: &mut Judge<'_>, name: Option<&str>) -> Option<Content> {
    let path = KeyPath::from("media.kickstart");
    let name = name?;
    judge.not_for_deploy(&path, "deploy reads no kickstart", "remove `kickstart`, or choose `installer = \"anaconda\"`");
    judge.own_kickstart = judge.installer != Some(Installer::Deploy);
    if !judge.own_kickstart {
        return None;
    }
    for (key, there) in SAID_THERE {
        let key = KeyPath::from(key);
        if judge.is_written(&key) {
            // Of an array of tables the first one is shown.
            let shown = if key.0.len() == 1 { key.at(0) } else { key.clone() };
            let title = format!("with a kickstart of your own, `{key}` is said there");
            judge.clash(&shown, &path, "the kickstart", title, format!("remove it, and say it in the kickstart with {there}"));
        }
    }
    let (path, bytes) = judge.read_at_most(MAX_KICKSTART, &path, name);
    Some(Content::File { path, sha256: Sha256Digest::of(&bytes), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::schema;

    /// Keys that keep their meaning beside a kickstart of one's own.
    const SAID_HERE: [&str; 13] = [
        "schema",
        "extends",
        "name",
        "summary",
        "media",
        "repository",
        "build",
        "provision",
        "check",
        "output",
        "disk.size",
        "disk.firmware",
        "system.network",
    ];

    #[test]
    fn every_key_of_a_recipe_is_said_here_or_there() {
        let schema = schema();
        let keys = |node: &serde_json::Value| node["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let known = |key: &str| SAID_HERE.contains(&key) || SAID_THERE.iter().any(|(there, _)| *there == key);
        for key in keys(&schema) {
            if known(&key) {
                continue;
            }
            let reference = schema["properties"][&key]["$ref"].as_str().unwrap_or_else(|| panic!("`{key}` is neither here nor there"));
            for below in keys(schema.pointer(reference.trim_start_matches('#')).unwrap()) {
                assert!(known(&format!("{key}.{below}")), "`{key}.{below}` is neither here nor there");
            }
        }
    }
}

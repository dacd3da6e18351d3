//! `media.kickstart`: a kickstart of the user's own, and the settings that the recipe must then not have.
//!
//! If a setting were allowed in both the kickstart and the recipe, one would have to win over the other without a message. So settings that
//! a kickstart makes are only in the kickstart, and the recipe keeps those that no kickstart can make. Three settings belong to both.
//! `disk.size` and `disk.firmware` make the machine that the kickstart finds; `system.network` tells goldsmith, which has to reach the
//! image later, what the kickstart will have set.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::super::tree::KeyPath;
use super::super::written::{self, Installer};
use super::super::{Content, RecipeHost};
use super::judge::Judge;
use crate::base::digest::Sha256Digest;

/// The longest kickstart, in bytes: it is put into the initramfs, and the longest known ones have some ten thousand.
const MAX_KICKSTART: u64 = 1 << 20;

/// Settings that a kickstart makes itself: the recipe's key, and the kickstart's command for it.
const SAID_THERE: [(&str, &str); 32] = [
    ("system.hostname", "`network --hostname=`"),
    ("system.timezone", "`timezone`"),
    ("system.locale", "`lang`"),
    ("system.keyboard", "`keyboard`"),
    ("system.selinux", "`selinux`"),
    ("system.firewall", "`firewall`"),
    ("system.root", "`rootpw`"),
    ("system.ntp", "`timezone --ntpservers=`"),
    ("system.proxy", "a `%post` that writes /etc/environment"),
    ("interface", "a `%post` that writes /etc/sysconfig/network-scripts/ifcfg-NAME: the installer has one card"),
    ("kernel.modules", "a `%post` that writes /etc/modules-load.d/NAME.conf"),
    ("kernel.sysctl", "a `%post` that writes /etc/sysctl.d/NAME.conf"),
    ("kernel.arguments", "`bootloader --append=`"),
    ("packages.upgrade", "a `%post`"),
    ("packages.stock_repositories", "a `%post` that edits /etc/yum.repos.d"),
    ("packages.install", "`%packages`"),
    ("packages.exclude", "`%packages`"),
    ("packages.docs", "`%packages --excludedocs`"),
    ("services.enable", "`services --enabled=`"),
    ("services.disable", "`services --disabled=`"),
    ("group", "`group`"),
    ("user", "`user`"),
    ("file", "a `%post`, or the `files` of a `[[provision]]` step"),
    ("unit", "a `%post` that writes /etc/systemd/system/NAME, or the `files` of a `[[provision]]` step"),
    ("certificate_authority", "a `%post` that writes /etc/pki/ca-trust/source/anchors/NAME.pem and runs `update-ca-trust extract`"),
    ("docker", "a `%post` that writes /etc/docker/daemon.json, or the `files` of a `[[provision]]` step"),
    ("disk.table", "`clearpart --disklabel=`"),
    ("disk.filesystem", "`part --fstype=`"),
    ("disk.lvm", "`volgroup` and `logvol`"),
    ("disk.boot", "`part /boot`"),
    ("disk.swap", "`part swap`"),
    ("disk.grow", "a `%post`"),
];

/// The kickstart, if the recipe has one. Then no other key may make the same settings.
pub(super) fn read(judge: &mut Judge<'_>, media: &written::Media) -> Option<Content> {
    let path = KeyPath::from("media.kickstart");
    let Some(name) = media.kickstart.as_deref() else {
        if media.kickstart_includes.is_some() {
            let help = "remove it, or say `kickstart = \"FILE\"` under `[media]`";
            judge.wrong(&KeyPath::from("media.kickstart_includes"), "there is no kickstart of your own that includes anything", help);
        }
        return None;
    };
    judge.not_for_deploy(&path, "deploy reads no kickstart", "remove `kickstart`, or choose `installer = \"anaconda\"`");
    judge.own_kickstart = judge.installer != Some(Installer::Deploy);
    if !judge.own_kickstart {
        return None;
    }
    for (key, there) in SAID_THERE {
        let key = KeyPath::from(key);
        if judge.is_written(&key) {
            // For an array of tables the first one is shown.
            let shown = if key.0.len() == 1 { key.at(0) } else { key.clone() };
            let title = format!("`{key}` belongs in the kickstart, since you bring your own");
            judge.clash(&shown, &path, "the kickstart", title, format!("remove it, and say it in the kickstart with {there}"));
        }
    }
    let (file, bytes) = judge.read_at_most(MAX_KICKSTART, &path, name);
    let merges = media.kickstart_includes.is_some();
    let bytes = match merged(judge.host, &file, &bytes, merges) {
        Ok(bytes) => bytes,
        Err(fault) => {
            judge.wrong(&path, fault.title, fault.help);
            bytes
        }
    };
    Some(Content::File { path: file, sha256: Sha256Digest::of(&bytes), bytes })
}

/// Files may include others to this depth.
const DEEPEST: usize = 8;
/// Files that are merged, each counted as often as it is included. Limits on depth and length are not enough: files that hold only
/// `%include` lines add no text, and sixty lines in each of seven files are 60^7 reads.
const MOST_FILES: usize = 256;

/// Why the includes of a kickstart cannot be merged.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    title: String,
    help: String,
}

/// `bytes` of the kickstart `file`, with the files beside it that it includes in the places of their lines; or what to do about them, if
/// they are not to be merged. A line without a file beside the kickstart stays as it is: a `%pre` may make that file.
fn merged(host: &dyn RecipeHost, file: &Path, bytes: &[u8], merges: bool) -> Result<Vec<u8>, Fault> {
    let mut merge = Merge { host, merges, directory: directory(file), pre: named_in_pre(bytes), files: 0, text: Vec::new() };
    merge.file(file, bytes, 0)?;
    Ok(merge.text)
}

/// A kickstart whose includes are being merged.
struct Merge<'a> {
    host: &'a dyn RecipeHost,
    /// Whether the recipe asks for it; if not, the first file that could be merged is a fault.
    merges: bool,
    /// The kickstart's directory. Files outside it are not merged: a kickstart from elsewhere must not copy files of this host, such as a
    /// private key, into an image.
    directory: &'a Path,
    /// The files that the `%pre` scripts may make.
    pre: BTreeSet<String>,
    /// How many files were merged so far.
    files: usize,
    /// The text so far.
    text: Vec<u8>,
}

impl Merge<'_> {
    /// Append `bytes` of the file `file`, which is `depth` includes deep.
    fn file(&mut self, file: &Path, bytes: &[u8], depth: usize) -> Result<(), Fault> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some((path, name, included)) = self.beside(file, line)? else {
                self.text.extend_from_slice(line);
                continue;
            };
            if !self.merges {
                return Err(Fault {
                    title: format!("the kickstart includes `{name}`, which lies beside it and is not in the installer"),
                    help: "say `kickstart_includes = \"merge\"` under `[media]`: its text then takes the place of the line".to_owned(),
                });
            }
            if depth == DEEPEST || self.text.len() + included.len() > usize::try_from(MAX_KICKSTART).unwrap_or(usize::MAX) {
                return Err(Fault {
                    title: format!(
                        "the files that the kickstart includes are nested more than {DEEPEST} deep, or longer than 1 MiB: `{name}`"
                    ),
                    help: "make them fewer, or write their text into the kickstart".to_owned(),
                });
            }
            self.files += 1;
            if self.files > MOST_FILES {
                return Err(Fault {
                    title: format!("the kickstart includes more than {MOST_FILES} files, each counted as often as it is included"),
                    help: "make them fewer, or write their text into the kickstart".to_owned(),
                });
            }
            self.file(&path, &included, depth + 1)?;
            if self.text.last().is_some_and(|byte| *byte != b'\n') {
                self.text.push(b'\n');
            }
        }
        Ok(())
    }

    /// The file that `line` of `file` includes, when it lies beside it: its path, its name in the line, its bytes.
    fn beside(&self, file: &Path, line: &[u8]) -> Result<Option<(PathBuf, String, Vec<u8>)>, Fault> {
        let Some(name) = included(line) else { return Ok(None) };
        if Path::new(&name).is_absolute() || name.contains("://") || self.pre.contains(plain(&name)) {
            return Ok(None);
        }
        let path = directory(file).join(&name);
        if Path::new(&name).components().any(|component| component == Component::ParentDir) || self.is_outside(&path) {
            return Err(Fault {
                title: format!("the kickstart includes `{name}`, which lies outside the kickstart's directory"),
                help: "copy the file into that directory and include it without `..` or a link, or write its text into the kickstart"
                    .to_owned(),
            });
        }
        Ok(self.host.read(&path, MAX_KICKSTART).ok().map(|bytes| (path, name, bytes)))
    }

    /// Whether `path` is a file that a link puts outside the kickstart's directory.
    fn is_outside(&self, path: &Path) -> bool {
        let Ok(real) = self.host.real_path(path) else { return false };
        !self.host.real_path(self.directory).is_ok_and(|directory| real.starts_with(directory))
    }
}

/// The directory of `file`; empty when that is the working directory.
fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The path that an `%include` line names, when it is one. A path in quotes may have spaces.
fn included(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let rest = line.trim_start().strip_prefix("%include").filter(|rest| rest.starts_with([' ', '\t']))?.trim();
    let name = match rest.chars().next()? {
        quote @ ('"' | '\'') => rest[1..].split(quote).next()?,
        _ => rest.split([' ', '\t', '#']).next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// The words of the `%pre` scripts: a file whose name is one of them is made there. Only whole words count, otherwise any `%pre` with the
/// letter `a` would seem to make the file of `%include a`. The installer works in `/`, so `/NAME` and `./NAME` are `NAME`.
fn named_in_pre(bytes: &[u8]) -> BTreeSet<String> {
    let mut inside = false;
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', '\r']).filter(|line| match line.split_whitespace().next() {
        Some("%pre") => {
            inside = true;
            false
        }
        Some("%end") => {
            inside = false;
            false
        }
        _ => inside,
    });
    let words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || "\"'`;|&<>(){}$=".contains(c)));
    words.map(plain).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `name` without a beginning that makes no difference in the installer: `/` and `./`.
fn plain(name: &str) -> &str {
    let name = name.strip_prefix('.').filter(|rest| rest.starts_with('/')).unwrap_or(name);
    name.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use super::*;
    use crate::recipe::schema;

    /// Files of a host, by path.
    struct Files(BTreeMap<PathBuf, String>);

    impl RecipeHost for Files {
        fn read(&self, path: &Path, _: u64) -> io::Result<Vec<u8>> {
            self.0.get(path).map(|text| text.clone().into_bytes()).ok_or(io::ErrorKind::NotFound.into())
        }

        fn env(&self, _: &str) -> Option<String> {
            None
        }
    }

    /// `text` with `files` beside it, merged.
    fn merge(text: &str, files: &[(&str, &str)]) -> Result<String, Fault> {
        let host = Files(files.iter().map(|(path, text)| (Path::new("/ks").join(path), (*text).to_owned())).collect());
        merged(&host, Path::new("/ks/my.ks"), text.as_bytes(), true).map(|text| String::from_utf8(text).unwrap())
    }

    /// Seven files of sixty lines and empty leaves: without a count this reads 60^7 files.
    #[test]
    fn files_without_text_are_counted() {
        let names = ["1", "2", "3", "4", "5", "6"];
        let texts: Vec<String> = names.iter().map(|name| format!("%include {}\n", name.parse::<u8>().unwrap() + 1).repeat(60)).collect();
        let mut files: Vec<(&str, &str)> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
        files.push(("7", ""));
        let fault = merge(&"%include 1\n".repeat(60), &files).unwrap_err();
        assert!(fault.title.starts_with("the kickstart includes more than 256 files"), "{}", fault.title);
        assert_eq!(merge(&"%include x\n".repeat(MOST_FILES), &[("x", "")]), Ok(String::new()));
        assert!(merge(&"%include x\n".repeat(MOST_FILES + 1), &[("x", "")]).is_err());
    }

    /// Keys that keep their meaning beside the user's own kickstart.
    const SAID_HERE: [&str; 17] = [
        "schema",
        "extends",
        "name",
        "summary",
        "media",
        "repository",
        "build",
        "provision",
        "container_image",
        "check",
        "waiver",
        "verify",
        "run",
        "output",
        "disk.size",
        "disk.firmware",
        "system.network",
    ];

    /// A line is left to the `%pre` that names its file, and merged where the name is only a part of a word.
    #[test]
    fn a_pre_script_makes_the_files_that_it_names_as_whole_words() {
        for (include, script, merges) in [
            ("a", "echo makes all partitions", true),
            ("part.ks", "cat /tmp/part.ks.in > /tmp/part.ks", true),
            ("part.ks", "cat > mypart.ks", true),
            ("part.ks", "true\n%end\n%post\necho > part.ks", true),
            ("part.ks", "cat >part.ks <<END", false),
            ("part.ks", "echo clearpart > \"part.ks\"", false),
            ("part.ks", "cd /; dd of=part.ks;true", false),
            ("part.ks", "cat > /part.ks", false),
            ("./part.ks", "cat > part.ks\r", false),
            ("sub/part.ks", "cat > ./sub/part.ks", false),
            ("\"part.ks\"", "cat > 'part.ks'", false),
        ] {
            let text = format!("%include {include}\n%pre\n{script}\n%end\n");
            let files = ["a", "part.ks", "sub/part.ks"].map(|name| (name, "lang C\n"));
            let merged = merge(&text, &files).unwrap();
            assert_eq!((merged.starts_with("lang C\n"), merged == text), (merges, !merges), "{include} {script}: {merged}");
        }
    }

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

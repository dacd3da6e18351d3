//! The sections of shell: fragments from `kickstart/` that define functions, then calls of them with the recipe's values.
//!
//! The recipe's values are arguments, quoted, or here-documents. Each line of a here-document begins with a margin `|` or is base 64,
//! so none can be the document's end or a section's, whatever the recipe says; the fragments take the margin away.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::account::GroupName;
use crate::base::package::PackageName;
use crate::base::text::shell_quote;
use crate::base::unit::UnitName;
use crate::kickstart::{Post, Script};
use crate::recipe::{Kept, Recipe, Selinux, StockRepositories};

use super::super::accounts::group_words;
use super::super::{ADD_GROUP, MAKE_DIRECTORY, language};
use super::error::{AnacondaError, InField};
use super::names::{NONCE_FILE, REPORT_PORT, VOLUME_DIR, VOLUME_LABEL};

const REPORT: &str = include_str!("../../../kickstart/report.sh");
const PRE: &str = include_str!("../../../kickstart/pre.sh");
const COPY: &str = include_str!("../../../kickstart/copy.sh");
const CONFIGURE: &str = include_str!("../../../kickstart/configure.sh");
const TRUST: &str = include_str!("../../../kickstart/trust.sh");
const FINISH: &str = include_str!("../../../kickstart/finish.sh");
const OWN: &str = include_str!("../../../kickstart/own.sh");

/// `%pre`: the nonce is there, the volume is mounted and holds what it should.
pub(super) fn pre(recipe: &Recipe) -> Result<Script, AnacondaError> {
    let mut body = Body::new(&[("nonce", NONCE_FILE), ("label", VOLUME_LABEL), ("volume", VOLUME_DIR)], &[PRE]);
    body.call("check_nonce", &[]);
    if !recipe.repositories.is_empty() {
        body.call("mount_volume", &[]);
    }
    for repository in &recipe.repositories {
        body.call("expect_repository", &[&repository.id]);
    }
    body.script()
}

/// The `%post` sections, in running order; the last one says that all went well.
pub(super) fn post(recipe: &Recipe) -> Result<Vec<Post>, AnacondaError> {
    let mut sections = Vec::new();
    let mut add = |chroot, script| sections.push(Post { chroot, error_on_fail: true, script });
    if kept(recipe).next().is_some() {
        add(false, copy(recipe)?);
    }
    add(true, configure(recipe)?);
    add(false, finish()?);
    Ok(sections)
}

/// The `%post` section that writes the network interfaces beside the first one, with the commands of sealing.
pub(super) fn interfaces(commands: &str) -> Result<Post, AnacondaError> {
    let script = Script::new(format!("set -eu\n{commands}")).in_field("interface")?;
    Ok(Post { chroot: true, error_on_fail: true, script })
}

/// The last script: success, with the nonce.
pub(super) fn finish() -> Result<Script, AnacondaError> {
    let mut body = Body::new(&[("nonce", NONCE_FILE)], &[FINISH]);
    body.call("finish", &[]);
    body.script()
}

/// Beside a kickstart of the user's own: the repository files of what [`copy`] has put into the image.
pub(super) fn announce(recipe: &Recipe) -> Result<Script, AnacondaError> {
    let mut body = Body::new(&[("target", "")], &[OWN]);
    let files = repository_files(recipe)?;
    for (path, text) in &files {
        body.call_with("repository_file", &[path], text.as_bytes());
    }
    let directories = kept(recipe).map(|(_, kept)| kept.unpack_to.as_str());
    body.call("label", &directories.chain(files.iter().map(|(path, _)| path.as_str())).collect::<Vec<_>>());
    body.script()
}

/// The repositories that stay in the image: id, and how.
pub(super) fn kept(recipe: &Recipe) -> impl Iterator<Item = (&str, &Kept)> {
    recipe.repositories.iter().filter_map(|repository| Some((repository.id.as_str(), repository.kept.as_ref()?)))
}

/// The arguments of `upgrade` in kickstart/configure.sh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade<'r> {
    /// The ids of the repositories that it takes packages from.
    pub repositories: Vec<&'r str>,
    /// The packages that the recipe asks for. One with a version stays at that version.
    pub packages: Vec<&'r str>,
}

/// The upgrade that the configuration ends with, when the recipe wants one.
pub fn upgrade(recipe: &Recipe) -> Option<Upgrade<'_>> {
    // Other repositories cannot be reached from the installed system, and the installation already took their newest packages.
    let repositories: Vec<_> = kept(recipe).map(|(id, _)| id).collect();
    // Groups have no version to keep.
    let packages = recipe.packages.install.iter().filter(|package| package.group().is_none()).map(PackageName::as_str).collect();
    (recipe.packages.upgrade && !repositories.is_empty()).then_some(Upgrade { repositories, packages })
}

/// The repositories that stay, from the volume into the image.
pub(super) fn copy(recipe: &Recipe) -> Result<Script, AnacondaError> {
    let mut body = Body::new(&[("volume", VOLUME_DIR)], &[COPY]);
    for (id, kept) in kept(recipe) {
        body.call("copy_repository", &[id, &kept.unpack_to]);
    }
    body.script()
}

fn configure(recipe: &Recipe) -> Result<Script, AnacondaError> {
    let mut fragments = vec![MAKE_DIRECTORY, CONFIGURE];
    fragments.extend((!recipe.authorities.is_empty()).then_some(TRUST));
    fragments.extend((!recipe.groups.is_empty()).then_some(ADD_GROUP));
    let mut body = Body::new(&[("target", "")], &fragments);
    repositories(recipe, &mut body)?;
    kernel(recipe, &mut body);
    accounts(recipe, &mut body);
    files(recipe, &mut body);
    if !recipe.authorities.is_empty() {
        body.call("trust_authorities", &[]);
    }
    if let Some(Upgrade { repositories, packages }) = upgrade(recipe) {
        let ids = repositories.join(",");
        body.call("upgrade", &[ids.as_str()].into_iter().chain(packages).collect::<Vec<_>>());
    }
    units(&mut body, "disable_units", &recipe.services.disable);
    units(&mut body, "enable_units", &recipe.services.enable);
    body.call("generic_initramfs", &[]);
    if recipe.system.selinux != Selinux::Disabled {
        body.call("relabel", &[]);
    }
    body.script()
}

/// Write the repository files, and treat the distribution's as the recipe says.
fn repositories(recipe: &Recipe, body: &mut Body) -> Result<(), AnacondaError> {
    for (path, text) in repository_files(recipe)? {
        body.put(&path, 0o644, "root:root", text.as_bytes());
    }
    if !recipe.packages.docs {
        // The options of %packages count only for Anaconda's own transaction; yum reads these macros (rpm 4.11, macros(5)).
        let macros = format!("%_excludedocs 1\n%_install_langs {}\n", language(&recipe.system.locale));
        body.put("/etc/rpm/macros.no-documentation", 0o644, "root:root", macros.as_bytes());
    }
    match recipe.packages.stock_repositories {
        StockRepositories::Keep => {}
        StockRepositories::Disable => body.call("disable_stock_repositories", &[]),
        StockRepositories::Vault => body.call("stock_repositories_from_vault", &[]),
    }
    Ok(())
}

/// Path and text of one `.repo` file for all repositories that name it.
fn repository_files(recipe: &Recipe) -> Result<Vec<(String, String)>, AnacondaError> {
    let mut written: Vec<&str> = Vec::new();
    let mut files = Vec::new();
    for (index, repository) in recipe.repositories.iter().enumerate() {
        let field = format!("repository `{}`", repository.id.escape_debug());
        if recipe.repositories[..index].iter().any(|other| other.id.eq_ignore_ascii_case(&repository.id)) {
            return Err(AnacondaError::refused(field, "two repositories have this id, and FAT ignores case", "rename one"));
        }
        let Some(Kept { file, .. }) = &repository.kept else { continue };
        let stem = file.strip_suffix(".repo").unwrap_or_default();
        let name_like = stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !stem.starts_with('.');
        if stem.is_empty() || !name_like || stem.starts_with("CentOS-") {
            let why = format!("`{}` is no name for a repository file of one's own", file.escape_debug());
            return Err(AnacondaError::refused(field, why, "name it like \"local.repo\""));
        }
        if !written.contains(&file.as_str()) {
            written.push(file);
            let sections: Vec<_> = kept(recipe).filter(|(_, other)| other.file == *file).map(|(id, kept)| section(id, kept)).collect();
            files.push((format!("/etc/yum.repos.d/{file}"), sections.join("\n")));
        }
    }
    Ok(files)
}

fn section(id: &str, kept: &Kept) -> String {
    let gpgcheck = u8::from(kept.gpgcheck);
    let path = percent_encoded(&kept.unpack_to);
    format!("[{id}]\nname={id}\nbaseurl=file://{path}\nenabled=1\ngpgcheck={gpgcheck}\n")
}

/// yum splits `baseurl` at white space and commas and replaces `$name`.
fn percent_encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            // OK to ignore: writing to a String does not fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// Files only: `sysctl -p` here would set the installer's kernel and fail on net.bridge.*, which needs br_netfilter. At boot
/// systemd-sysctl runs after systemd-modules-load. A name after `00-system.conf`, which turns the bridge's keys off, wins.
fn kernel(recipe: &Recipe, body: &mut Body) {
    if !recipe.kernel.modules.is_empty() {
        let text: String = recipe.kernel.modules.iter().map(|module| format!("{module}\n")).collect();
        body.put("/etc/modules-load.d/goldsmith.conf", 0o644, "root:root", text.as_bytes());
    }
    if !recipe.kernel.sysctl.is_empty() {
        let text: String = recipe.kernel.sysctl.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        body.put("/etc/sysctl.d/99-goldsmith.conf", 0o644, "root:root", text.as_bytes());
    }
}

fn accounts(recipe: &Recipe, body: &mut Body) {
    for group in &recipe.groups {
        let words = group_words(group);
        body.call("add_group", &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for user in recipe.users.iter().filter(|user| !user.groups.is_empty()) {
        let words: Vec<_> = [user.name.as_str()].into_iter().chain(user.groups.iter().map(GroupName::as_str)).collect();
        body.call("join_groups", &words);
    }
    let root = [("root", &recipe.system.root)].into_iter();
    for (name, account) in root.chain(recipe.users.iter().map(|user| (user.name.as_str(), &user.account))) {
        if account.ssh_keys.is_empty() {
            continue;
        }
        let text: String = account.ssh_keys.iter().map(|key| format!("{key}\n")).collect();
        body.call_with("authorized_keys", &[name], text.as_bytes());
    }
    let sudoers: String =
        recipe.users.iter().filter(|user| user.sudo).map(|user| format!("{} ALL=(ALL) NOPASSWD: ALL\n", user.name)).collect();
    if !sudoers.is_empty() {
        body.put("/etc/sudoers.d/90-goldsmith", 0o440, "root:root", sudoers.as_bytes());
        body.call("check_sudoers", &[]);
    }
}

fn files(recipe: &Recipe, body: &mut Body) {
    for file in &recipe.files {
        body.put(&file.path, file.mode, &file.owner.to_string(), file.content.bytes());
    }
}

fn units(body: &mut Body, function: &str, units: &[UnitName]) {
    if !units.is_empty() {
        body.call(function, &units.iter().map(UnitName::as_str).collect::<Vec<_>>());
    }
}

/// A script in the making.
struct Body(String);

impl Body {
    /// Variables, then fragments. Every script reports.
    fn new(variables: &[(&str, &str)], fragments: &[&str]) -> Self {
        let mut body = format!("port={}\n", shell_quote(&format!("/dev/virtio-ports/{REPORT_PORT}")));
        for (name, value) in variables {
            body += &format!("{name}={}\n", shell_quote(value));
        }
        for fragment in [REPORT].iter().chain(fragments) {
            body.push('\n');
            body += fragment;
        }
        body.push('\n');
        Self(body)
    }

    /// A call of a fragment's function. The arguments are single lines.
    fn call(&mut self, function: &str, arguments: &[&str]) {
        self.0 += function;
        for argument in arguments {
            self.0.push(' ');
            self.0 += &shell_quote(argument);
        }
        self.0.push('\n');
    }

    /// A call whose last argument names the form that `bytes` have on its standard input.
    fn call_with(&mut self, function: &str, arguments: &[&str], bytes: &[u8]) {
        let (form, lines) = match plain_text(bytes) {
            Some(text) => ("text", text.lines().map(|line| format!("|{line}\n")).collect()),
            None => ("base64", base64(bytes)),
        };
        self.call(function, &arguments.iter().copied().chain([form]).collect::<Vec<_>>());
        self.0.pop();
        self.0 += &format!(" <<'END'\n{lines}END\n");
    }

    fn put(&mut self, path: &str, mode: u32, owner: &str, bytes: &[u8]) {
        self.call_with("put", &[path, &format!("{mode:04o}"), owner], bytes);
    }

    fn script(self) -> Result<Script, AnacondaError> {
        Script::new(self.0).in_field("(goldsmith)")
    }
}

/// The text, if it can be put into a here-document and read by people. Python 2, in which Anaconda 7.5 is written, makes no promise for
/// characters beyond ASCII.
fn plain_text(bytes: &[u8]) -> Option<&str> {
    let plain = |b: &u8| matches!(b, b'\n' | b'\t' | b' '..=b'~');
    let ended = bytes.is_empty() || bytes.ends_with(b"\n");
    std::str::from_utf8(bytes).ok().filter(|_| ended && bytes.iter().all(plain))
}

/// RFC 4648 base 64 in lines of 76 characters.
fn base64(bytes: &[u8]) -> String {
    bytes.chunks(57).map(|line| STANDARD.encode(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_vectors_of_rfc_4648() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg==\n"), ("fo", "Zm8=\n"), ("foo", "Zm9v\n"), ("foob", "Zm9vYg==\n"), ("fooba", "Zm9vYmE=\n")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff; 58]), format!("{}\n/w==\n", "/".repeat(76)));
    }

    #[test]
    fn only_text_that_survives_stays_text() {
        for text in ["", "a\n", "\ta b\n%end\nEND\n"] {
            assert!(plain_text(text.as_bytes()).is_some(), "{text:?}");
        }
        for bytes in [&b"a"[..], b"a\r\n", b"a\0\n", "ü\n".as_bytes(), b"\xff\n", b"\x1b\n"] {
            assert!(plain_text(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn a_path_in_a_url() {
        assert_eq!(percent_encoded("/a b,$c%"), "/a%20b%2C%24c%25");
    }
}

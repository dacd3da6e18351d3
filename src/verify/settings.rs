//! Locale, keyboard, address and accounts as the recipe sets them, read from the disk.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::CheckResult;
use crate::base::account::{GroupName, UserName};
use crate::base::image_path::ImagePath;
use crate::base::region::{Keymap, Locale};
use crate::image::{ImageError, Root};
use crate::recipe::{Group, Network, Recipe, is_same_keyboard};

/// Configuration files are small; a larger file under such a name is not read.
const BYTES_MAX: u64 = 1 << 20;
/// Bytes of a locale archive that are read: its names are at its beginning.
const ARCHIVE_HEAD: u64 = 1 << 20;

/// The settings that the disk must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `LANG`; the locale must be there. This and the next two are absent when a file of the recipe sets them.
    pub locale: Option<Locale>,
    /// The console's keymap or XKB's layout.
    pub keyboard: Option<Keymap>,
    /// The address of `eth0`.
    pub network: Option<Network>,
    /// The accounts beside root.
    pub users: Vec<Account>,
    /// The recipe's groups. Older manifests have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// An account beside root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Its user id, when that is fixed.
    pub uid: Option<u32>,
    /// Its shell.
    pub shell: ImagePath,
    /// Groups that it must be in.
    pub groups: Vec<GroupName>,
    /// Whether sudo makes it root.
    pub sudo: bool,
}

/// The files of Debian and EL 7 with these settings.
const LOCALE: [&str; 2] = ["/etc/default/locale", "/etc/locale.conf"];
const KEYBOARD: [&str; 3] = ["/etc/default/keyboard", "/etc/vconsole.conf", "/etc/X11/xorg.conf.d/00-keyboard.conf"];

impl Settings {
    /// Those of a recipe that makes all settings itself.
    pub(super) fn of(recipe: &Recipe) -> Self {
        let system = &recipe.system;
        let is_free = |paths: &[&str]| !recipe.writes(paths);
        let account = |user: &crate::recipe::User| Account {
            name: user.name.clone(),
            uid: user.uid,
            shell: user.shell.clone(),
            groups: user.groups.clone(),
            sudo: user.sudo,
        };
        Self {
            locale: is_free(&LOCALE).then(|| system.locale.clone()),
            keyboard: is_free(&KEYBOARD).then(|| system.keyboard.clone()),
            network: is_free(&Network::FILES).then(|| system.network.clone()),
            users: recipe.users.iter().map(account).collect(),
            groups: recipe.groups.clone(),
        }
    }
}

/// A judgement, or the error that left it open.
type Judged = Result<Result<String, String>, ImageError>;

/// Judge all of them, a check each.
pub(super) fn judge(root: &Root, settings: &Settings) -> Vec<CheckResult> {
    let mut checks = Vec::new();
    let mut judged = |name: String, judged: Judged| {
        checks.push(match judged {
            Ok(Ok(found)) => CheckResult::passed(name, found),
            Ok(Err(why)) => CheckResult::failed(name, why),
            Err(error) => CheckResult::could_not_run(name, error.to_string()),
        });
    };
    if let Some(wanted) = &settings.locale {
        judged("locale".to_owned(), locale(root, wanted));
    }
    if let Some(wanted) = &settings.keyboard {
        judged("keyboard".to_owned(), keyboard(root, wanted));
    }
    if let Some(wanted) = &settings.network {
        judged("address of eth0".to_owned(), network(root, wanted));
    }
    for wanted in &settings.groups {
        judged(format!("group {}", wanted.name), group(root, wanted));
    }
    for user in &settings.users {
        judged(format!("user {}", user.name), account(root, user));
        if user.sudo {
            judged(format!("{} becomes root with sudo", user.name), sudo(root, &user.name));
        }
    }
    checks
}

/// A configuration file's text, when there is one.
fn text(root: &Root, path: &str) -> Result<Option<String>, ImageError> {
    Ok(root.read_if_there(path, BYTES_MAX)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The value of `key` in a file of shell assignments (locale.conf(5), keyboard(5), sysconfig.txt of initscripts); the last one counts.
fn assigned(text: &str, key: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| line.trim().strip_prefix("export ").unwrap_or(line.trim()).split_once('='));
    let (_, value) = values.rfind(|(name, _)| *name == key)?;
    // A value that cannot be split has an open quote.
    shell_words::split(value).ok().map(|words| words.into_iter().next().unwrap_or_default())
}

fn locale(root: &Root, wanted: &str) -> Judged {
    let mut said = None;
    for path in LOCALE {
        if said.is_none() {
            said = text(root, path)?.and_then(|text| Some((path, assigned(&text, "LANG")?)));
        }
    }
    let Some((path, found)) = said else { return Ok(Err(format!("neither {} nor {} sets LANG", LOCALE[0], LOCALE[1]))) };
    if found != wanted {
        return Ok(Err(format!("{path} says `{found}`, wanted `{wanted}`")));
    }
    if matches!(wanted, "C" | "POSIX") || has_locale(root, wanted)? {
        return Ok(Ok(found));
    }
    Ok(Err(format!("{path} says `{found}`, and /usr/lib/locale has no such locale: programs would use C")))
}

/// Whether the C library finds the locale: in a directory of its own, or in the archive (glibc, locale/findlocale.c and locale/loadarchive.c).
fn has_locale(root: &Root, name: &str) -> Result<bool, ImageError> {
    let normal = normalised(name);
    for name in [name, &normal] {
        if root.exists(format!("/usr/lib/locale/{name}/LC_CTYPE"))? {
            return Ok(true);
        }
    }
    let archive = "/usr/lib/locale/locale-archive";
    if !root.exists(archive)? {
        return Ok(false);
    }
    let head = root.read_start(archive, ARCHIVE_HEAD)?;
    Ok(archived(&head).is_some_and(|names| names.contains(&normal.as_bytes())))
}

/// The locale's name with its character set as it is filed: `en_US.utf8` (glibc, intl/l10nflist.c, `_nl_normalize_codeset`).
fn normalised(name: &str) -> String {
    let (base, modifier) = name.split_once('@').map_or((name, None), |(base, modifier)| (base, Some(modifier)));
    let mut text = match base.split_once('.') {
        Some((language, codeset)) => {
            let plain: String = codeset.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
            let iso = if plain.bytes().all(|byte| byte.is_ascii_digit()) { "iso" } else { "" };
            format!("{language}.{iso}{plain}")
        }
        None => base.to_owned(),
    };
    if let Some(modifier) = modifier {
        text = format!("{text}@{modifier}");
    }
    text
}

/// The names in an archive of locales that begins with `head` (glibc, locale/locarchive.h): after a header of 14 words a hash table of names,
/// each a hash, the offset of the name and that of its record. The words are the machine's own, and all our machines have the low byte first.
fn archived(head: &[u8]) -> Option<Vec<&[u8]>> {
    const MAGIC: u32 = 0xde02_0109;
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    if word(0)? != MAGIC {
        return None;
    }
    let (table, size) = (word(8)? as usize, word(16)? as usize);
    let mut names = Vec::new();
    for index in 0..size {
        let entry = table.checked_add(index.checked_mul(12)?)?;
        let (Some(name), Some(record)) = (word(entry.checked_add(4)?), word(entry.checked_add(8)?)) else { break };
        // An entry without a record is a name that was taken out.
        if name != 0 && record != 0 {
            let rest = head.get(name as usize..)?;
            names.push(&rest[..rest.iter().position(|byte| *byte == 0)?]);
        }
    }
    Some(names)
}

fn keyboard(root: &Root, wanted: &str) -> Judged {
    let [debian, console, x11] = KEYBOARD;
    let said = match text(root, debian)? {
        Some(text) => assigned(&text, "XKBLAYOUT").map(|layout| (debian, layout)),
        None => text(root, console)?.and_then(|text| assigned(&text, "KEYMAP")).map(|keymap| (console, keymap)),
    };
    let Some((path, found)) = said else {
        // The kernel's own keymap is the American one.
        let none = format!("neither {debian} nor {console} says it");
        return Ok(if wanted == "us" { Ok("us, the kernel's own") } else { Err(none) }.map(str::to_owned));
    };
    // Anaconda takes a layout as well, and finds a keymap for it.
    let is_layout = || -> Result<bool, ImageError> {
        let option = format!("\"{wanted}\"");
        Ok(text(root, x11)?.is_some_and(|text| text.lines().any(|line| line.contains("XkbLayout") && line.contains(&option))))
    };
    if found == wanted || (path == console && (is_same_keyboard(&found, wanted) || is_layout()?)) {
        return Ok(Ok(found));
    }
    Ok(Err(format!("{path} says `{found}`, wanted `{wanted}`")))
}

fn network(root: &Root, wanted: &Network) -> Judged {
    let wanted = shown(wanted);
    let [debian, el7] = Network::FILES;
    let (path, found) = match (text(root, debian)?, text(root, el7)?) {
        (_, Some(text)) => (el7, ifcfg(&text)),
        (Some(text), None) => (debian, interfaces(&text)),
        (None, None) => return Ok(Err(format!("neither {debian} nor {el7} is there"))),
    };
    Ok(match found {
        Some(found) if found == wanted => Ok(found),
        Some(found) => Err(format!("{path} says `{found}`, wanted `{wanted}`")),
        None => Err(format!("{path} does not say it, wanted `{wanted}`")),
    })
}

fn shown(network: &Network) -> String {
    match network {
        Network::Dhcp => "dhcp".to_owned(),
        Network::None => "none".to_owned(),
        Network::Static { address, prefix, gateway, .. } => {
            format!("{address}/{prefix}{}", gateway.map(|gateway| format!(" by {gateway}")).unwrap_or_default())
        }
    }
}

/// The address of `eth0` by interfaces(5).
fn interfaces(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        !matches!(words[..], ["iface", "eth0", "inet", _])
    });
    let method = lines.next()?;
    for (ends, found) in [("dhcp", "dhcp"), ("manual", "none")] {
        if method.ends_with(ends) {
            return Some(found.to_owned());
        }
    }
    let options: Vec<&str> = lines.take_while(|line| !line.starts_with("iface ") && !line.starts_with("auto ")).collect();
    let option = |name: &str| options.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::trim);
    let gateway = option("gateway").map(|gateway| format!(" by {gateway}")).unwrap_or_default();
    option("address").map(|address| format!("{address}{gateway}"))
}

/// The address by a file of /etc/sysconfig/network-scripts (sysconfig.txt of initscripts); keys may be numbered.
fn ifcfg(text: &str) -> Option<String> {
    let value = |key: &str| assigned(text, key).or_else(|| assigned(text, &format!("{key}0"))).filter(|value| !value.is_empty());
    if value("BOOTPROTO").is_some_and(|protocol| protocol.eq_ignore_ascii_case("dhcp")) {
        return Some("dhcp".to_owned());
    }
    let prefix = value("PREFIX").and_then(|prefix| prefix.parse::<u32>().ok());
    let netmask = || value("NETMASK").and_then(|mask| mask.parse::<Ipv4Addr>().ok()).map(|mask| mask.to_bits().leading_ones());
    let Some(address) = value("IPADDR") else {
        return value("BOOTPROTO").filter(|protocol| protocol == "none");
    };
    let gateway = value("GATEWAY").map(|gateway| format!(" by {gateway}")).unwrap_or_default();
    Some(format!("{address}/{}{gateway}", prefix.or_else(netmask)?))
}

/// group(5): name, password, gid, members.
fn group(root: &Root, wanted: &Group) -> Judged {
    let file = text(root, "/etc/group")?.unwrap_or_default();
    let mut lines = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let Some(found) = lines.find(|fields| fields.len() == 4 && fields[0] == wanted.name.as_str()) else {
        return Ok(Err(format!("/etc/group has no `{}`", wanted.name)));
    };
    Ok(match wanted.gid.filter(|gid| found[2] != gid.to_string()) {
        Some(gid) => Err(format!("its id is {}, wanted {gid}", found[2])),
        None => Ok(format!("group id {}", found[2])),
    })
}

fn account(root: &Root, wanted: &Account) -> Judged {
    let (passwd, group) = (text(root, "/etc/passwd")?.unwrap_or_default(), text(root, "/etc/group")?.unwrap_or_default());
    fn fields<'a>(line: &'a str, name: &str) -> Option<Vec<&'a str>> {
        Some(line.split(':').collect::<Vec<_>>()).filter(|fields| fields.len() >= 4 && fields[0] == name)
    }
    // passwd(5): name, password, uid, gid, comment, home, shell.
    let found = passwd.lines().find_map(|line| fields(line, &wanted.name)).filter(|fields| fields.len() == 7);
    let Some(found) = found else { return Ok(Err(format!("/etc/passwd has no `{}`", wanted.name))) };
    if let Some(uid) = wanted.uid.filter(|uid| found[2] != uid.to_string()) {
        return Ok(Err(format!("its user id is {}, wanted {uid}", found[2])));
    }
    if wanted.shell != found[6] {
        return Ok(Err(format!("its shell is `{}`, wanted `{}`", found[6], wanted.shell)));
    }
    if !root.exists(wanted.shell.as_str())? {
        return Ok(Err(format!("its shell {} is not there", wanted.shell)));
    }
    // group(5): name, password, gid, members.
    let is_in = |name: &GroupName| {
        let fields = group.lines().find_map(|line| fields(line, name));
        fields.is_some_and(|fields| fields[2] == found[3] || fields[3].split(',').any(|member| member == wanted.name.as_str()))
    };
    Ok(match wanted.groups.iter().find(|name| !is_in(name)) {
        Some(group) => Err(format!("it is not in the group `{group}`")),
        None => Ok(format!("user id {}", found[2])),
    })
}

/// sudoers(5). A file of the directory whose name has a dot or ends in `~` is ignored.
fn sudo(root: &Root, user: &str) -> Judged {
    const DIRECTORY: &str = "/etc/sudoers.d";
    if !root.exists("/usr/bin/sudo")? {
        return Ok(Err("/usr/bin/sudo is not there".to_owned()));
    }
    let main = text(root, "/etc/sudoers")?.unwrap_or_default();
    let grants = |text: &str| text.lines().any(|line| line.strip_prefix(user).is_some_and(|rest| rest.trim_start().starts_with("ALL=")));
    if grants(&main) {
        return Ok(Ok("/etc/sudoers".to_owned()));
    }
    let included = main.lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        matches!(words[..], ["#includedir" | "@includedir", DIRECTORY])
    });
    if !included {
        return Ok(Err(format!("/etc/sudoers does not include {DIRECTORY}")));
    }
    if root.exists(DIRECTORY)? {
        for name in root.read_dir(DIRECTORY)? {
            let name = name.to_string_lossy().into_owned();
            let path = format!("{DIRECTORY}/{name}");
            if !name.contains('.') && !name.ends_with('~') && text(root, &path)?.is_some_and(|text| grants(&text)) {
                return Ok(Ok(path));
            }
        }
    }
    Ok(Err(format!("no file of {DIRECTORY} says so")))
}

#[cfg(test)]
mod tests;

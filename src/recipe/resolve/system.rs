//! Identity and accounts.

use std::ops::Deref;
use std::str::FromStr;

use super::super::known::{self, Knowledge, Target};
use super::super::release::EL7;
use super::super::tree::KeyPath;
use super::super::written::{self, Installer};
use super::super::{Account, Group, Password, Selinux, System, Toggle, User, syntax};
use super::judge::Judge;
use super::network::network;
use super::proxy::proxy;
use crate::base::fault::Fault;
use crate::base::host_name::HostName;
use crate::base::public_key::PublicKey;
use crate::base::region::{Keymap, Locale, TimeZone};
use crate::base::secret::Secret;

/// No login.
const LOCKED: Account = Account { password: Password::Locked, ssh_keys: Vec::new() };

/// The `[system]` table, of a system of Debian's `suite` when Debian is deployed.
pub(super) fn system(judge: &mut Judge<'_>, written: &written::System, suite: Option<&str>) -> System {
    let path = KeyPath::from("system");
    let deploy = judge.installer == Some(Installer::Deploy);
    if matches!(written.selinux, Some(Selinux::Enforcing | Selinux::Permissive)) {
        let help = "remove `selinux`, or say \"disabled\"";
        judge.not_for_deploy(&path.at("selinux"), "deploy does not label files for SELinux", help);
    }
    if written.firewall == Some(Toggle::Enabled) {
        let help = "remove `firewall`; install and enable one with `[packages]` and `[services]`";
        judge.not_for_deploy(&path.at("firewall"), "Debian comes without a host firewall", help);
    }
    // A recipe with a name that is spelled wrong is refused, so the name in its place is never used.
    System {
        hostname: judge.parsed(&path.at("hostname"), &written.hostname).unwrap_or_else(|| HostName::made("localhost")),
        timezone: known(judge, &path.at("timezone"), &written.timezone, suite, known::timezone).unwrap_or_else(|| TimeZone::made("UTC")),
        locale: known(judge, &path.at("locale"), &written.locale, suite, known::locale).unwrap_or_else(|| Locale::made("en_US.UTF-8")),
        keyboard: known(judge, &path.at("keyboard"), &written.keyboard, suite, known::keyboard).unwrap_or_else(|| Keymap::made("us")),
        selinux: written.selinux.unwrap_or(if deploy { Selinux::Disabled } else { Selinux::Enforcing }),
        firewall: written.firewall.unwrap_or(if deploy { Toggle::Disabled } else { Toggle::Enabled }),
        root: root(judge, &path.at("root"), written.root.as_ref()),
        network: network(judge, &path.at("network"), &written.network),
        ntp: written.ntp.clone(),
        proxy: proxy(judge, &path.at("proxy"), written.proxy.as_ref()),
    }
}

/// The name, if it is spelled right. It is also checked that the system has it, as far as is known.
fn known<T: FromStr<Err = Fault> + Deref<Target = str>>(
    judge: &mut Judge<'_>,
    path: &KeyPath,
    name: &str,
    suite: Option<&str>,
    known: fn(&str, Target<'_>) -> Knowledge,
) -> Option<T> {
    let target = match judge.installer {
        Some(Installer::Anaconda) => Some(Target::El(&EL7)),
        Some(Installer::Deploy) => suite.map(Target::Debian),
        None => None,
    };
    let name: T = judge.parsed(path, name)?;
    if let Some(target) = target
        && let Knowledge::Wrong(fault) = known(&name, target)
    {
        judge.wrong(path, fault.what, fault.help);
    }
    Some(name)
}

fn root(judge: &mut Judge<'_>, path: &KeyPath, written: Option<&written::Root>) -> Account {
    let account = match written {
        Some(written::Root::Account(account)) => account,
        Some(written::Root::Locked(written::Locked::Locked)) => return LOCKED,
        None => {
            if !judge.own_kickstart {
                let system = KeyPath::from("system");
                let missing = if judge.is_written(&system) { path } else { &system };
                judge.wrong(
                    missing,
                    format!("`{missing}` is missing"),
                    "say how root logs in: `root = \"locked\"`, or a table of `password_env`, `password_hash`, `ssh_keys` under `[system]`",
                );
            }
            return LOCKED;
        }
    };
    if *account == written::Account::default() {
        let keys = ["password_env", "password_hash", "ssh_keys", "ssh_key_files"];
        judge.none_of(path, &keys, "`system.root` does not say how root logs in; if not at all, say `root = \"locked\"`");
    }
    login(judge, path, account)
}

fn login(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Account) -> Account {
    let (env_path, hash_path) = (path.at("password_env"), path.at("password_hash"));
    if written.password_env.is_some() && written.password_hash.is_some() {
        judge.clash(&hash_path, &env_path, "and here", "the password is said twice", "keep `password_env` or `password_hash`");
    }
    let password = match (&written.password_env, &written.password_hash) {
        (Some(name), _) => Password::Env { name: name.clone(), value: password_of(judge, &env_path, name) },
        (None, Some(hash)) => judge.parsed(&hash_path, hash).map_or(Password::Locked, |hash| Password::Hash { hash }),
        (None, None) => Password::Locked,
    };
    Account { password, ssh_keys: ssh_keys(judge, path, written) }
}

fn password_of(judge: &mut Judge<'_>, path: &KeyPath, name: &str) -> Secret {
    judge.verdict(path, syntax::variable(name));
    if judge.findings.is_spoiled(path) {
        return Secret::new("");
    }
    let value = judge.host.env(name).unwrap_or_default();
    if value.is_empty() {
        let help = format!("set it for this run, without leaving it in the shell's history: `read -rs {name} && export {name}`");
        judge.wrong(path, format!("the environment variable `{name}` is not set, or empty"), help);
    } else if value.chars().any(char::is_control) {
        judge.wrong(path, format!("the password in `{name}` has a line break or control character"), "a password is one line");
    }
    Secret::new(value)
}

fn ssh_keys(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Account) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = judge.all_parsed(&path.at("ssh_keys"), &written.ssh_keys);
    for (index, file) in written.ssh_key_files.iter().enumerate() {
        let path = path.at("ssh_key_files").at(index);
        let (shown, bytes) = judge.read(&path, file);
        let text = String::from_utf8_lossy(&bytes);
        let mut is_empty = true;
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            is_empty = false;
            match line.parse() {
                Ok(key) => keys.push(key),
                Err(Fault { what, help }) => judge.wrong(&path, format!("`{}`, line {number}: {what}", shown.display()), help),
            }
        }
        if is_empty {
            judge.wrong(&path, format!("there is no key in `{}`", shown.display()), "name the `.pub` file of a key");
        }
    }
    keys
}

/// The `[[group]]` tables.
pub(super) fn groups(judge: &mut Judge<'_>, written: &[written::Group], users: &[written::User]) -> Vec<Group> {
    let path = KeyPath::from("group");
    judge.unique(written, "group", |index| path.at(index).at("name"), |group| Some(group.name.clone()));
    judge.unique(written, "group id", |index| path.at(index).at("gid"), |group| group.gid.map(|gid| gid.to_string()));
    let one = |(index, group): (usize, &written::Group)| {
        let name = path.at(index).at("name");
        // useradd(8) makes a group for each user, and fails when there is one of its name.
        if let Some(user) = users.iter().position(|user| user.name == group.name) {
            let title = format!("the user `{}` gets a group of that name", group.name);
            judge.clash(&name, &KeyPath::from("user").at(user).at("name"), "the user", title, "remove the group, or give it another name");
        }
        Some(Group { name: judge.parsed(&name, &group.name)?, gid: group.gid, system: group.system })
    };
    written.iter().enumerate().filter_map(one).collect()
}

/// The `[[user]]` tables.
pub(super) fn users(judge: &mut Judge<'_>, written: &[written::User]) -> Vec<User> {
    let path = KeyPath::from("user");
    judge.unique(written, "user", |index| path.at(index).at("name"), |user| Some(user.name.clone()));
    judge.unique(written, "user id", |index| path.at(index).at("uid"), |user| user.uid.map(|uid| uid.to_string()));
    written.iter().enumerate().filter_map(|(index, user)| one_user(judge, &path.at(index), user)).collect()
}

fn one_user(judge: &mut Judge<'_>, path: &KeyPath, written: &written::User) -> Option<User> {
    if written.name == "root" {
        judge.wrong(&path.at("name"), "root is not an account beside root", "say how root logs in with `root` under `[system]`");
    }
    let account = written::Account {
        password_env: written.password_env.clone(),
        password_hash: written.password_hash.clone(),
        ssh_keys: written.ssh_keys.clone(),
        ssh_key_files: written.ssh_key_files.clone(),
    };
    let name = judge.parsed(&path.at("name"), &written.name);
    let shell = judge.verdict(&path.at("shell"), syntax::shell(&written.shell));
    Some(User {
        groups: judge.all_parsed(&path.at("groups"), &written.groups),
        uid: written.uid,
        sudo: written.sudo,
        account: login(judge, path, &account),
        name: name?,
        shell: shell?,
        shell_at: judge.passage(&path.at("shell")),
    })
}

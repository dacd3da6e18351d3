//! Accounts that the system cannot have: names that are taken, and groups that no package makes. Pure.

use super::report::{Area, Row};
use crate::base::account::GroupName;
use crate::closure::Forecast;
use crate::recipe::{EL7, Group, Media, Recipe, User};

/// Users that Debian's base packages make: base-passwd 3.6 (passwd.master), openssh-server, dbus, systemd, apt.
const DEBIAN_USERS: &[&str] = &[
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "www-data",
    "backup",
    "list",
    "irc",
    "nobody",
    "_apt",
    "sshd",
    "messagebus",
    "systemd-network",
    "systemd-timesync",
];
/// Groups that Debian's base packages make: base-passwd 3.6 (group.master), openssh-client, dbus, systemd, udev.
const DEBIAN_GROUPS: &[&str] = &[
    "root",
    "daemon",
    "bin",
    "sys",
    "adm",
    "tty",
    "disk",
    "lp",
    "mail",
    "news",
    "uucp",
    "man",
    "proxy",
    "kmem",
    "dialout",
    "fax",
    "voice",
    "cdrom",
    "floppy",
    "tape",
    "sudo",
    "audio",
    "dip",
    "www-data",
    "backup",
    "operator",
    "list",
    "irc",
    "src",
    "shadow",
    "utmp",
    "video",
    "sasl",
    "plugdev",
    "staff",
    "games",
    "users",
    "nogroup",
    "_ssh",
    "messagebus",
    "systemd-journal",
    "systemd-network",
    "systemd-timesync",
    "input",
    "sgx",
    "kvm",
    "render",
];
/// Groups that packages of Debian make, and these packages.
const PACKAGED_GROUPS: &[(&str, &[&str])] = &[
    ("docker", &["docker.io", "docker-ce", "moby-engine", "podman-docker"]),
    ("libvirt", &["libvirt-daemon-system"]),
    ("wireshark", &["wireshark-common"]),
    ("lxd", &["lxd"]),
    ("vboxusers", &["virtualbox"]),
    ("netdev", &["netbase", "avahi-daemon", "network-manager", "wpasupplicant", "ifupdown", "isc-dhcp-client", "bluez", "connman", "iwd"]),
    ("bluetooth", &["bluez", "bluetooth"]),
    ("ssl-cert", &["ssl-cert"]),
    ("postgres", &["postgresql-common"]),
];

/// Rows for names of the recipe's accounts that are taken, and for groups that the packages of the forecast do not make.
pub(super) fn rows(recipe: &Recipe, forecast: Option<&Forecast>) -> Vec<Row> {
    if recipe.own_kickstart().is_some() {
        return Vec::new();
    }
    let is_debian = matches!(recipe.media, Media::Deploy { .. });
    let forecast = forecast.filter(|forecast| forecast.refused.is_empty());
    let mut rows: Vec<Row> = recipe.groups.iter().filter_map(|group| fixed_id(group, is_debian, forecast)).collect();
    for (index, user) in recipe.users.iter().enumerate() {
        rows.extend(taken(user, is_debian));
        // EL 7 gets the groups that it does not have.
        if is_debian {
            let before = &recipe.users[..index];
            let made = |name: &GroupName| recipe.groups.iter().any(|group| group.name == *name);
            let not_made = user.groups.iter().filter(|name| !made(name));
            rows.extend(not_made.filter_map(|group| missing_group(user, group, before, forecast)));
        }
    }
    rows
}

/// A row for a group with a fixed id that the system has with another id.
fn fixed_id(group: &Group, is_debian: bool, forecast: Option<&Forecast>) -> Option<Row> {
    let (gid, name) = (group.gid?, group.name.as_str());
    // base-passwd 3.6 (group.master) fixes the ids of its groups; all others of these names have less than 100, or are given by packages.
    let is_base = is_debian && DEBIAN_GROUPS.contains(&name) && (name, gid) != ("users", 100);
    let is_packaged = PACKAGED_GROUPS.iter().any(|(known, packages)| *known == name && brings(forecast, packages) == Some(true));
    (is_base || is_packaged).then(|| {
        let what = format!("the group `{name}` cannot have the id {gid}: a package makes it, with another one");
        Row::wrong(Area::Settings, what, Some("remove `gid`, or take another name".to_owned()))
    })
}

fn taken(user: &User, is_debian: bool) -> Option<Row> {
    let users = if is_debian { DEBIAN_USERS } else { EL7.users };
    let name = user.name.as_str();
    let what = if users.contains(&name) {
        format!("the user `{name}` cannot be added: the system has one of that name")
    } else if is_debian && DEBIAN_GROUPS.contains(&name) {
        format!("the user `{name}` cannot be added: the system has a group of that name, and a user gets one")
    } else {
        return None;
    };
    Some(Row::wrong(Area::Settings, what, Some("take another name".to_owned())))
}

/// Whether `forecast` has one of `packages`. `None` without a forecast.
fn brings(forecast: Option<&Forecast>, packages: &[&str]) -> Option<bool> {
    forecast.map(|forecast| packages.iter().any(|package| forecast.version_of(package).is_some()))
}

fn missing_group(user: &User, group: &str, before: &[User], forecast: Option<&Forecast>) -> Option<Row> {
    if DEBIAN_GROUPS.contains(&group) || user.name.as_str() == group || before.iter().any(|other| other.name.as_str() == group) {
        return None;
    }
    let what = format!("user `{}` is to be in the group `{group}`", user.name);
    match PACKAGED_GROUPS.iter().find(|(known, _)| *known == group) {
        Some((_, packages)) => (brings(forecast, packages) == Some(false)).then(|| {
            let why = format!("{what}, and none of the packages makes it");
            Row::wrong(Area::Settings, why, Some(format!("install {}, or take the user out of the group", packages[0])))
        }),
        None => {
            let why = format!("{what}, and it is not known that a package makes it: without it the installation fails");
            Some(Row::warning(
                Area::Settings,
                why,
                Some("add a `[[group]]`, or make sure that a package of the recipe makes the group".to_owned()),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;
    use crate::closure::ForecastPackage;
    use crate::preflight::Verdict;

    const DEBIAN: &str = "{ installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }";
    const EL7: &str = "{ installer = \"anaconda\", iso = { path = \"c.iso\", sha256 = \"506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345\" } }";

    fn said(media: &str, users: &str, packages: Option<&[&str]>) -> Vec<(Verdict, String)> {
        said_of(media, &format!("user = [{users}]"), packages)
    }

    fn said_of(media: &str, accounts: &str, packages: Option<&[&str]>) -> Vec<(Verdict, String)> {
        let text = format!("schema = 1\nname = \"x\"\nmedia = {media}\nsystem = {{ root = \"locked\" }}\n{accounts}\n");
        let recipe = recipe(text);
        let package = |name: &&str| ForecastPackage { name: (*name).into(), ..ForecastPackage::default() };
        let forecast = packages.map(|packages| Forecast { packages: packages.iter().map(package).collect(), ..Forecast::default() });
        rows(&recipe, forecast.as_ref()).into_iter().map(|row| (row.verdict, row.what)).collect()
    }

    #[test]
    fn a_group_of_the_recipe_is_there_and_has_an_id_that_it_can_have() {
        let wrong = |name: &str, gid: u32| {
            vec![(Verdict::Wrong, format!("the group `{name}` cannot have the id {gid}: a package makes it, with another one"))]
        };
        for (media, accounts, packages, expected) in [
            (DEBIAN, "group = [{ name = \"makers\" }]\nuser = [{ name = \"ada\", groups = [\"makers\"] }]", None, vec![]),
            (DEBIAN, r#"group = [{ name = "users", gid = 100 }, { name = "staff" }]"#, None, vec![]),
            (DEBIAN, r#"group = [{ name = "staff", gid = 1500 }]"#, None, wrong("staff", 1500)),
            (EL7, r#"group = [{ name = "staff", gid = 1500 }]"#, None, vec![]),
            (EL7, r#"group = [{ name = "docker", gid = 998 }]"#, Some(&["docker-ce"][..]), wrong("docker", 998)),
            (DEBIAN, r#"group = [{ name = "docker", gid = 998 }]"#, Some(&["vim"]), vec![]),
            (DEBIAN, r#"group = [{ name = "docker" }]"#, Some(&["docker.io"]), vec![]),
        ] {
            assert_eq!(said_of(media, accounts, packages), expected, "{accounts}");
        }
    }

    #[test]
    fn what_an_account_asks_for_is_taken_or_missing_or_there() {
        let docker = r#"{ name = "ada", groups = ["docker"] }"#;
        for (media, users, packages, expected) in [
            (DEBIAN, r#"{ name = "ada", groups = ["sudo", "adm"] }"#, Some(&[][..]), ""),
            (DEBIAN, r#"{ name = "backup" }"#, None, "the user `backup` cannot be added: the system has one of that name"),
            (EL7, r#"{ name = "backup" }"#, None, ""),
            (EL7, r#"{ name = "games" }"#, None, "the user `games` cannot be added: the system has one of that name"),
            (
                DEBIAN,
                r#"{ name = "staff" }"#,
                None,
                "the user `staff` cannot be added: the system has a group of that name, and a user gets one",
            ),
            (DEBIAN, docker, Some(&["docker.io"]), ""),
            (DEBIAN, docker, Some(&["vim"]), "user `ada` is to be in the group `docker`, and none of the packages makes it"),
            (DEBIAN, docker, None, ""),
            (EL7, docker, Some(&["vim"]), ""),
            (DEBIAN, r#"{ name = "ada" }, { name = "bob", groups = ["ada"] }"#, Some(&[]), ""),
        ] {
            let expected: Vec<_> = if expected.is_empty() { vec![] } else { vec![(Verdict::Wrong, expected.to_owned())] };
            assert_eq!(said(media, users, packages), expected, "{users}");
        }
        let found = said(DEBIAN, r#"{ name = "ada", groups = ["bob"] }, { name = "bob" }"#, Some(&[]));
        let expected = "user `ada` is to be in the group `bob`, and it is not known";
        assert!(found.len() == 1 && found[0].0 == Verdict::Warning && found[0].1.starts_with(expected), "{found:?}");
    }
}

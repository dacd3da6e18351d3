//! Names of suites, time zones, locales and keyboards: those that the wanted system has, and the one that was probably meant by another.
//!
//! The lists beside this file say where they are from. Where a list is complete for the system, a name that is not in it is wrong; where
//! the system may have more or fewer names, the name is in doubt, and `check` says so.

use super::release::{EL7, Release};
use super::{Media, Recipe};
use crate::base::fault::Fault;
use crate::base::text::suggestion;

const ZONES: &str = include_str!("known/zones.txt");
const LOCALES: &str = include_str!("known/locales.txt");
const LAYOUTS: &str = include_str!("known/layouts.txt");
const KEYMAPS: &str = include_str!("known/keymaps.txt");

/// Cities that people look for and the tz database does not have, with the zone they are in.
const CITIES: [(&str, &str); 12] = [
    ("beijing", "Asia/Shanghai"),
    ("peking", "Asia/Shanghai"),
    ("guangzhou", "Asia/Shanghai"),
    ("shenzhen", "Asia/Shanghai"),
    ("mumbai", "Asia/Kolkata"),
    ("delhi", "Asia/Kolkata"),
    ("bangalore", "Asia/Kolkata"),
    ("washington", "America/New_York"),
    ("boston", "America/New_York"),
    ("san_francisco", "America/Los_Angeles"),
    ("seattle", "America/Los_Angeles"),
    ("munich", "Europe/Berlin"),
];

/// Debian's releases from 8 on, and the names that move from one release to the next (distro-info-data 0.58, debian.csv; Debian Reference,
/// 2.1.4).
const SUITES: [&str; 16] = [
    "jessie",
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "experimental",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "rc-buggy",
];
/// Suffixes that a name of [`SUITES`] may have (the directories of Debian's archive below `dists`).
const SUITE_ENDINGS: [&str; 4] = ["-updates", "-backports", "-security", "-proposed-updates"];

/// The system that is to have the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A release of Enterprise Linux, installed by Anaconda.
    El(&'static Release),
    /// A suite of Debian.
    Debian(&'a str),
}

impl Target<'_> {
    /// Whether the lists of locales and layouts are for this system.
    fn is_listed(self) -> bool {
        self == Self::Debian("bookworm")
    }
}

/// The judgement of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// The system has it.
    Known,
    /// The system does not have it.
    Wrong(Fault),
    /// The system may not have it.
    Doubtful(Fault),
}

/// A setting of a recipe that its system may not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The sentence.
    pub what: String,
    /// What to write instead, or how to make sure.
    pub remedy: String,
}

/// The settings of `recipe` that are in doubt. With a kickstart of the user's own the settings have no effect.
pub fn doubts(recipe: &Recipe) -> Vec<Doubt> {
    if recipe.own_kickstart().is_some() {
        return Vec::new();
    }
    let target = match &recipe.media {
        Media::Anaconda { .. } => Target::El(&EL7),
        Media::Deploy { suite, .. } => Target::Debian(suite),
    };
    let system = &recipe.system;
    let found = [suite(target), timezone(&system.timezone, target), locale(&system.locale, target), keyboard(&system.keyboard, target)];
    let doubts = found.into_iter().filter_map(|found| match found {
        Knowledge::Doubtful(Fault { what, help }) => Some(Doubt { what, remedy: help }),
        Knowledge::Known | Knowledge::Wrong(_) => None,
    });
    doubts.collect()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

fn has(list: &str, name: &str) -> bool {
    names(list).any(|known| known == name)
}

fn fault(what: String, meant: Option<&str>, otherwise: &str) -> Fault {
    Fault { what, help: meant.map_or_else(|| otherwise.to_owned(), |meant| format!("did you mean `{meant}`?")) }
}

/// Whether Debian has the suite. Debian will get more suites, and mirrors may have others, so no name is certainly wrong.
fn suite(target: Target<'_>) -> Knowledge {
    let Target::Debian(name) = target else { return Knowledge::Known };
    let release = SUITE_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    if SUITES.contains(&release) {
        return Knowledge::Known;
    }
    let what = format!("`{name}` in `media.suite` is no suite of Debian that goldsmith knows");
    Knowledge::Doubtful(fault(what, suggestion(name, SUITES), "write the release's code name, like \"bookworm\""))
}

/// The suite of Debian that was probably meant by `name`, which is no suite.
pub fn likely_suite(name: &str) -> Option<&'static str> {
    suggestion(name, SUITES.into_iter().filter(|suite| *suite != name))
}

/// Whether the tz database has `name`.
pub(super) fn timezone(name: &str, target: Target<'_>) -> Knowledge {
    let plain = name.strip_prefix("posix/").or_else(|| name.strip_prefix("right/")).unwrap_or(name);
    if !has(ZONES, plain) {
        let city = name.rsplit('/').next().unwrap_or_default().to_lowercase();
        let city = CITIES.iter().find(|(known, _)| *known == city).map(|(_, zone)| *zone);
        let last = |zone: &str| zone.rsplit('/').next().unwrap_or_default().to_lowercase();
        // `Europe/Shanghai`, `shanghai`.
        let same_city = names(ZONES).find(|zone| last(zone) == last(name));
        let meant = city.or(same_city).or_else(|| suggestion(name, names(ZONES)));
        let otherwise = "write it as `timedatectl list-timezones` does, like \"Asia/Shanghai\" or \"UTC\"";
        return Knowledge::Wrong(fault(format!("the tz database has no zone `{name}`"), meant, otherwise));
    }
    let Target::El(release) = target else { return Knowledge::Known };
    let Some((_, since)) = release.later_zones.iter().find(|(zone, _)| *zone == plain) else { return Knowledge::Known };
    Knowledge::Doubtful(Fault {
        what: format!("the time zone {name} came with release {since} of the tz database; {} has {}", release.name, release.tzdata),
        help: "take the zone's older name, or a medium or repository whose tzdata has it".to_owned(),
    })
}

/// Whether the system can have the locale `name`.
pub(super) fn locale(name: &str, target: Target<'_>) -> Knowledge {
    let is_known = has(LOCALES, name);
    let meant = || same_locale(name, target).or_else(|| suggestion(name, names(LOCALES).filter(|known| fits(known, target))));
    let otherwise = match target {
        Target::El(_) => "write it as LANGUAGE_COUNTRY.UTF-8, like \"en_US.UTF-8\"",
        Target::Debian(_) => "write it as the first column of /usr/share/i18n/SUPPORTED does, like \"en_US.UTF-8\"",
    };
    let wrong = |why: &str| Fault { what: format!("{why} `{name}`"), ..fault(String::new(), meant(), otherwise) };
    match target {
        // Neither `localedef --list-archive` of glibc 2.17 nor its SUPPORTED file has it.
        Target::El(release) if name == "C.UTF-8" => {
            Knowledge::Wrong(Fault { help: otherwise.to_owned(), ..wrong(&format!("EL {} has no locale", release.major)) })
        }
        Target::El(_) if matches!(name, "C" | "POSIX") => Knowledge::Known,
        Target::El(release) if !fits(name, target) => {
            Knowledge::Wrong(wrong(&format!("the installer of EL {} takes no locale", release.major)))
        }
        Target::Debian(_) if matches!(name, "C" | "POSIX" | "C.UTF-8") => Knowledge::Known,
        _ if is_known => Knowledge::Known,
        Target::Debian(_) if target.is_listed() => Knowledge::Wrong(wrong("Debian's glibc has no locale")),
        // locale-gen ignores a locale in another form without a message.
        Target::Debian(_) if same_locale(name, target).is_some() => Knowledge::Wrong(wrong("Debian's glibc has no locale")),
        _ => Knowledge::Doubtful(wrong("glibc 2.36 has no locale, and that of the system may have none:")),
    }
}

/// Whether the form is one that the system takes: Anaconda of EL 7 writes the locale as it is given, and works with locales in UTF-8.
fn fits(name: &str, target: Target<'_>) -> bool {
    !matches!(target, Target::El(_)) || name.split('@').next().is_some_and(|base| base.ends_with(".UTF-8"))
}

/// The locale that differs in its spelling alone: `en_US.utf8`, `en-us.UTF8`, `en_US` where UTF-8 must be said.
fn same_locale(name: &str, target: Target<'_>) -> Option<&'static str> {
    let folded = |name: &str| -> String { name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect() };
    let (wanted, in_utf8) = (folded(name), folded(&format!("{name}.UTF-8")));
    let known = || names(LOCALES).filter(|known| fits(known, target) && *known != name);
    known().find(|known| folded(known) == wanted).or_else(|| known().find(|known| folded(known) == in_utf8))
}

/// Whether the system can have the keyboard `name`: on Debian a layout of XKB, from which console-setup makes the console's keymap
/// (keyboard(5)); on EL 7 a keymap of the console or a layout (Anaconda's `keyboard`).
pub(super) fn keyboard(name: &str, target: Target<'_>) -> Knowledge {
    let keymaps = || names(KEYMAPS).filter_map(|line| line.split_once(' '));
    let keymap = keymaps().find(|(keymap, _)| *keymap == name);
    let is_layout = has(LAYOUTS, name);
    match target {
        _ if is_layout => Knowledge::Known,
        Target::El(_) if keymap.is_some() => Knowledge::Known,
        Target::El(release) => {
            let meant = suggestion(name, keymaps().map(|(keymap, _)| keymap).chain(names(LAYOUTS)));
            let otherwise = "write it as `localectl list-keymaps` does, like \"us\" or \"de-latin1\"";
            let what = format!("the keymap `{name}` is not one that systemd of EL {} has a layout for", release.major);
            Knowledge::Doubtful(fault(what, meant, otherwise))
        }
        Target::Debian(_) => {
            let layout = keymap.map(|(_, layout)| layout);
            let meant = layout.or_else(|| suggestion(name, names(LAYOUTS)));
            let what = match layout {
                Some(_) => format!("`{name}` is a keymap of the console, and Debian's keyboard is a layout of XKB"),
                None => format!("XKB has no layout `{name}`"),
            };
            let fault =
                fault(what, meant, "write it as the section `layout` of /usr/share/X11/xkb/rules/base.lst does, like \"us\" or \"de\"");
            match layout.is_some() || target.is_listed() {
                true => Knowledge::Wrong(fault),
                false => Knowledge::Doubtful(fault),
            }
        }
    }
}

/// Whether a keymap of the console and a layout of XKB, or two keymaps, are one keyboard.
pub fn is_same_keyboard(one: &str, other: &str) -> bool {
    let layout = |name: &'_ str| {
        let keymap = names(KEYMAPS).filter_map(|line| line.split_once(' ')).find(|(keymap, _)| *keymap == name);
        keymap.map_or_else(|| name.to_owned(), |(_, layout)| layout.to_owned())
    };
    layout(one) == layout(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: Target<'_> = Target::Debian("bookworm");
    const EL: Target<'_> = Target::El(&EL7);
    const SID: Target<'_> = Target::Debian("sid");

    /// `ok`, or the kind of judgement and the help.
    fn told(knowledge: Knowledge) -> String {
        match knowledge {
            Knowledge::Known => "ok".to_owned(),
            Knowledge::Wrong(fault) => format!("wrong: {}", fault.help),
            Knowledge::Doubtful(fault) => format!("doubtful: {}", fault.help),
        }
    }

    #[test]
    fn suites_are_known_or_in_doubt() {
        for (name, expected) in [
            ("bookworm", "ok"),
            ("trixie-backports", "ok"),
            ("stable", "ok"),
            ("bokworm", "doubtful: did you mean `bookworm`?"),
            ("Bookworm", "doubtful: did you mean `bookworm`?"),
            ("jammy", "doubtful: write the release's code name, like \"bookworm\""),
        ] {
            assert_eq!(told(suite(Target::Debian(name))), expected, "{name}");
        }
        assert_eq!(told(suite(EL)), "ok");
    }

    #[test]
    fn the_lists_are_whole() {
        for (list, first, last) in [
            (ZONES, "Africa/Abidjan", "Zulu"),
            (LOCALES, "C.UTF-8", "zu_ZA.UTF-8"),
            (LAYOUTS, "af", "za"),
            (KEYMAPS, "be-latin1 be", "us us"),
        ] {
            let sorted: Vec<&str> = names(list).collect();
            assert!(sorted.windows(2).all(|two| two[0] < two[1]) && has(list, first) && has(list, last), "{first}");
        }
    }

    #[test]
    fn zones_are_known() {
        for (name, target, expected) in [
            ("Asia/Shanghai", EL, "ok"),
            ("UTC", BOOKWORM, "ok"),
            ("Etc/GMT+1", BOOKWORM, "ok"),
            ("America/Argentina/Ushuaia", BOOKWORM, "ok"),
            ("US/Eastern", BOOKWORM, "ok"),
            ("posix/Europe/Berlin", BOOKWORM, "ok"),
            ("Europe/Kyiv", BOOKWORM, "ok"),
            ("Europe/Kyiv", EL, "doubtful: take the zone's older name, or a medium or repository whose tzdata has it"),
            ("Asia/Beijing", BOOKWORM, "wrong: did you mean `Asia/Shanghai`?"),
            ("asia/shanghai", BOOKWORM, "wrong: did you mean `Asia/Shanghai`?"),
            ("Shanghai", SID, "wrong: did you mean `Asia/Shanghai`?"),
            ("Europe/Berln", EL, "wrong: did you mean `Europe/Berlin`?"),
            ("xxyyzz", BOOKWORM, "wrong: write it as `timedatectl list-timezones` does, like \"Asia/Shanghai\" or \"UTC\""),
        ] {
            assert_eq!(told(timezone(name, target)), expected, "{name}");
        }
    }

    #[test]
    fn locales_are_known() {
        let form = "LANGUAGE_COUNTRY.UTF-8, like \"en_US.UTF-8\"";
        for (name, target, expected) in [
            ("en_US.UTF-8", BOOKWORM, "ok"),
            ("en_US.UTF-8", EL, "ok"),
            ("C.UTF-8", BOOKWORM, "ok"),
            ("C", BOOKWORM, "ok"),
            ("de_DE@euro", BOOKWORM, "ok"),
            ("ca_ES.UTF-8@valencia", BOOKWORM, "wrong: did you mean `ca_ES@valencia`?"),
            ("en_US.utf8", BOOKWORM, "wrong: did you mean `en_US.UTF-8`?"),
            ("en_US.utf8", SID, "wrong: did you mean `en_US.UTF-8`?"),
            ("en_US.utf8", EL, "wrong: did you mean `en_US.UTF-8`?"),
            ("en_US", EL, "wrong: did you mean `en_US.UTF-8`?"),
            ("zh_cn.UTF-8", BOOKWORM, "wrong: did you mean `zh_CN.UTF-8`?"),
            ("C.UTF-8", EL, &format!("wrong: write it as {form}")),
            ("xx_YY.UTF-8", BOOKWORM, "wrong"),
            ("xx_YY.UTF-8", SID, "doubtful"),
            ("xx_YY.UTF-8", EL, "doubtful"),
        ] {
            let told = told(locale(name, target));
            assert!(told == expected || (!expected.contains(": ") && expected != "ok" && told.starts_with(expected)), "{name}: {told}");
        }
    }

    #[test]
    fn keyboards_are_known() {
        for (name, target, expected) in [
            ("us", BOOKWORM, "ok"),
            ("de", BOOKWORM, "ok"),
            ("cn", EL, "ok"),
            ("de-latin1", EL, "ok"),
            ("de-latin1", BOOKWORM, "wrong: did you mean `de`?"),
            ("de-latin1", SID, "wrong: did you mean `de`?"),
            ("uk", BOOKWORM, "wrong: did you mean `gb`?"),
            ("jp106", BOOKWORM, "wrong: did you mean `jp`?"),
            ("latm", BOOKWORM, "wrong: did you mean `latam`?"),
            ("de-latin2", EL, "doubtful: did you mean `de-latin1`?"),
        ] {
            assert_eq!(told(keyboard(name, target)), expected, "{name}");
        }
    }
}

//! Names of time zones, locales and keymaps. Whether a system has them is not known here. Pure.

use super::fault::Fault;
use super::word::{ensure, or_one_of, spelled, word};

word! {
    /// A time zone of the tz database: `Asia/Shanghai`.
    TimeZone, time_zone
}

word! {
    /// A locale: `en_US.UTF-8`, `C.UTF-8`.
    Locale, locale
}

word! {
    /// A keymap of the console: `us`.
    Keymap, keymap
}

fn time_zone(text: &str) -> Result<(), Fault> {
    let part = |part: &str| spelled(part, |byte| byte.is_ascii_alphabetic(), or_one_of(b"_+-"));
    let help = "write it as `timedatectl list-timezones` does, like \"Asia/Shanghai\" or \"UTC\"";
    ensure(text.len() <= 64 && text.split('/').all(part), text, "a time zone", help)
}

fn locale(text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 64 && spelled(text, |byte| byte.is_ascii_alphabetic(), or_one_of(b"_.@-"));
    ensure(fits, text, "a locale", "write it as `locale -a` does, like \"en_US.UTF-8\"")
}

fn keymap(text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 64 && spelled(text, |byte| byte.is_ascii_lowercase(), or_one_of(b"_-"));
    ensure(fits, text, "a keymap", "write it as `localectl list-keymaps` does, like \"us\" or \"de-latin1\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled() {
        type Fits = fn(&str) -> bool;
        let table: [(Fits, &[&str], &[&str]); 3] = [
            (
                |text| text.parse::<TimeZone>().is_ok(),
                &["UTC", "Asia/Shanghai", "Etc/GMT+1", "America/Argentina/Ushuaia"],
                &["", "/UTC", "Asia/", "Asia/../x", "a b"],
            ),
            (|text| text.parse::<Locale>().is_ok(), &["C", "en_US.UTF-8", "sr_RS@latin"], &["", "en US", "-x"]),
            (|text| text.parse::<Keymap>().is_ok(), &["us", "de-latin1"], &["", "US", "u s"]),
        ];
        for (fits, good, bad) in table {
            good.iter().for_each(|text| assert!(fits(text), "{text}"));
            bad.iter().for_each(|text| assert!(!fits(text), "{text:?} was accepted"));
        }
    }
}

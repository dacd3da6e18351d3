//! Turns a recipe into what one installer reads: answers, kernel arguments, volumes, phases, failure signatures. Pure.

pub mod accounts;
pub mod address;
pub mod anaconda;
pub mod deploy;
pub mod hostname;
pub mod interfaces;

/// The shell function `make_directory PATH`, which reads `$target`. Works in the guests of both installers.
pub const MAKE_DIRECTORY: &str = include_str!("../kickstart/directory.sh");

/// The language of `locale`, as directories of translations are called: `zh` of `zh_CN.UTF-8`. That of the C locale is English.
fn language(locale: &str) -> &str {
    match locale.split(['_', '.', '@']).next() {
        None | Some("" | "C" | "POSIX") => "en",
        Some(language) => language,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_has_a_language() {
        for (locale, expected) in
            [("zh_CN.UTF-8", "zh"), ("C.UTF-8", "en"), ("POSIX", "en"), ("sr_RS@latin", "sr"), ("en_US.UTF-8", "en"), ("eo", "eo")]
        {
            assert_eq!(language(locale), expected);
        }
    }
}

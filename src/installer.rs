//! Turns a recipe into what one installer reads: answers, kernel arguments, volumes, phases, failure signatures. Pure.

pub mod accounts;
pub mod address;
pub mod anaconda;
mod answers;
pub mod deploy;
pub mod hostname;
pub mod interfaces;

pub use answers::Answers;

/// The shell function `make_directory PATH`, which reads `$target`. Works in the guests of both installers.
pub const MAKE_DIRECTORY: &str = include_str!("../kickstart/directory.sh");

/// The shell function `add_group NAME ID OPTION...`, for recipes with groups alone: the script of others stays as it is, and with it their layers.
const ADD_GROUP: &str = include_str!("../kickstart/groups.sh");

/// The language of `locale`, as in the names of directories of translations: `zh` of `zh_CN.UTF-8`. The C locale counts as English.
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

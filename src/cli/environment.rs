//! The environment of the process. It is read only here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::base::failure::{Class, Failure};
use crate::base::secret::Secret;
use crate::sources::Proxies;

/// The values that goldsmith takes from the environment. An empty variable counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `GOLDSMITH_STORE`: where layers and downloads are kept.
    pub store: Option<PathBuf>,
    /// `XDG_CACHE_HOME`, when absolute (XDG Base Directory Specification 0.8: relative ones are invalid and ignored).
    pub cache_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `NO_COLOR` is set (no-color.org).
    pub no_colour: bool,
    /// `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case or else in upper.
    pub proxies: Proxies,
    /// `SOURCE_DATE_EPOCH`: the time in reproducible output (reproducible-builds.org).
    pub source_date_epoch: Option<String>,
    /// `XDG_STATE_HOME`, when absolute.
    pub state_home: Option<PathBuf>,
    /// `TERM`, when it is a valid name of a terminal.
    pub terminal: Option<String>,
    /// `TERM` is absent or `dumb`: the cursor cannot be moved.
    pub dumb_terminal: bool,
}

impl Environment {
    /// Read it.
    pub fn read() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        // A value that is not UTF-8 cannot name a host.
        let either = |name: &str| set(name).or_else(|| set(&name.to_uppercase()))?.into_string().ok();
        let proxy = |name: &str| either(name).map(Secret::new);
        Self {
            store: set("GOLDSMITH_STORE").map(PathBuf::from),
            cache_home: set("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()),
            home: set("HOME").map(PathBuf::from),
            state_home: set("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()),
            terminal: set("TERM").and_then(|term| term.into_string().ok()).filter(|term| is_terminal_name(term)),
            no_colour: set("NO_COLOR").is_some(),
            proxies: Proxies { http: proxy("http_proxy"), https: proxy("https_proxy"), all: proxy("all_proxy"), none: either("no_proxy") },
            // A value that is not UTF-8 stays wrong after this conversion, and is refused later.
            source_date_epoch: set("SOURCE_DATE_EPOCH").map(|value| value.to_string_lossy().into_owned()),
            dumb_terminal: set("TERM").is_none_or(|term| term == "dumb"),
        }
    }

    /// A variable that a recipe names, such as one that holds a password. `None` when it is absent or not UTF-8.
    pub fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// The store: `--store`, else `GOLDSMITH_STORE`, else `goldsmith` in the user's cache directory.
    ///
    /// # Errors
    /// None of these is set.
    pub fn store_dir(&self, flag: Option<&Path>) -> Result<PathBuf, NoStore> {
        let cache = || self.cache_home.clone().or_else(|| Some(self.home.as_ref()?.join(".cache")));
        flag.map(Path::to_owned).or_else(|| self.store.clone()).or_else(|| Some(cache()?.join("goldsmith"))).ok_or(NoStore)
    }

    /// The directory of local machines: `goldsmith` in the user's state directory (XDG Base Directory Specification 0.8).
    ///
    /// # Errors
    /// It is not known.
    pub fn state_dir(&self) -> Result<PathBuf, NoState> {
        let usual = || Some(self.home.as_ref()?.join(".local/state"));
        self.state_home.clone().or_else(usual).map(|state| state.join("goldsmith")).ok_or(NoState)
    }
}

/// Whether `text` can be passed to a guest as its `TERM`.
fn is_terminal_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte))
}

/// The directory for the state of machines is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no state directory: neither XDG_STATE_HOME nor HOME is set")]
pub struct NoState;

impl Failure for NoState {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("set one of them: machines and what they change are kept there".into())
    }
}

/// The directory for layers is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no store directory: neither GOLDSMITH_STORE nor XDG_CACHE_HOME nor HOME is set")]
pub struct NoStore;

impl Failure for NoStore {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("say where layers and downloads are to be kept: --store DIR".into())
    }
}

/// The names of the variables that are read, as `goldsmith help environment` has them.
#[cfg(test)]
pub fn names_read() -> std::collections::BTreeSet<String> {
    let names = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let lookup = |name: &str| {
        // Proxies are also read in capitals. The help says that once for all of them.
        let is_capital_of_another = name.ends_with("_PROXY");
        if !is_capital_of_another {
            names.borrow_mut().insert(name.to_owned());
        }
        None
    };
    Environment::from_lookup(lookup);
    names.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Environment {
        Environment::from_lookup(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_state_is_where_the_user_keeps_state() {
        for (pairs, expected) in [
            (&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")][..], Some("/s/goldsmith")),
            (&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], Some("/h/.local/state/goldsmith")),
            (&[], None),
        ] {
            assert_eq!(with(pairs).state_dir(), expected.map(PathBuf::from).ok_or(NoState), "{pairs:?}");
        }
        assert_eq!(with(&[("TERM", "xterm-256color")]).terminal.as_deref(), Some("xterm-256color"));
        assert_eq!(with(&[("TERM", "x\nreboot")]).terminal, None);
    }

    #[test]
    fn the_store_is_found_in_order() {
        let all = [("GOLDSMITH_STORE", "s"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        for (pairs, flag, expected) in [
            (&all[..], Some("f"), Some("f")),
            (&all[..], None, Some("s")),
            (&all[1..], None, Some("/x/goldsmith")),
            (&all[2..], None, Some("/h/.cache/goldsmith")),
            (&[("GOLDSMITH_STORE", ""), ("XDG_CACHE_HOME", "relative"), ("HOME", "/h")], None, Some("/h/.cache/goldsmith")),
            (&[], None, None),
        ] {
            let found = with(pairs).store_dir(flag.map(Path::new));
            assert_eq!(found, expected.map(PathBuf::from).ok_or(NoStore), "{pairs:?} {flag:?}");
        }
    }

    #[test]
    fn proxies_are_read_in_either_case() {
        let found = with(&[("http_proxy", "a"), ("HTTP_PROXY", "b"), ("HTTPS_PROXY", "c"), ("all_proxy", ""), ("NO_PROXY", "d")]).proxies;
        let secret = |text: &str| Some(Secret::new(text));
        assert_eq!(found, Proxies { http: secret("a"), https: secret("c"), all: None, none: Some("d".into()) });
    }

    #[test]
    fn terminals_are_judged_by_their_variables() {
        for (pairs, no_colour, dumb) in [
            (&[][..], false, true),
            (&[("TERM", "xterm")], false, false),
            (&[("TERM", "dumb"), ("NO_COLOR", "1")], true, true),
            (&[("TERM", "xterm"), ("NO_COLOR", "")], false, false),
        ] {
            let environment = with(pairs);
            assert_eq!((environment.no_colour, environment.dumb_terminal), (no_colour, dumb), "{pairs:?}");
        }
    }
}

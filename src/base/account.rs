//! Names of users and groups, and passwords as systems keep them. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::word::{ensure, spelled, word};

word! {
    /// A user's name as useradd(8) of EL7 and of Debian takes it.
    UserName, account_name
}

word! {
    /// A group's name as groupadd(8) of EL7 and of Debian takes it.
    GroupName, account_name
}

fn account_name(text: &str) -> Result<(), Fault> {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let fits = text.len() <= 32 && spelled(text, lower, |byte| lower(byte) || byte.is_ascii_digit() || byte == b'-');
    ensure(fits, text, "an account name", "use at most 32 of a-z, 0-9, `_` and `-`, a letter or `_` first")
}

/// Whose a file is, by the names that the image has: `root:adm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner {
    /// The user.
    pub user: UserName,
    /// The group.
    pub group: GroupName,
}

impl Owner {
    /// `root:root`.
    pub fn root() -> Self {
        Self { user: UserName::made("root"), group: GroupName::made("root") }
    }
}

impl FromStr for Owner {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let read = |(user, group): (&str, &str)| Some(Self { user: user.parse().ok()?, group: group.parse().ok()? });
        let wrong = || Fault::new(format!("`{text}` is not an owner"), "write user and group, like \"root:root\"");
        text.split_once(':').and_then(read).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Owner {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_useradd_takes() {
        for name in ["a", "_x", "web-1", &"a".repeat(32)] {
            assert_eq!(name.parse::<UserName>().unwrap().as_str(), name);
            assert!(name.parse::<GroupName>().is_ok(), "{name}");
        }
        for name in ["", "Root", "1a", "a b", "a:b", "a.b", "-a", "\u{e9}", &"a".repeat(33)] {
            assert!(name.parse::<UserName>().is_err() && name.parse::<GroupName>().is_err(), "{name}");
        }
    }

    #[test]
    fn an_owner_is_a_user_and_a_group() {
        let owner: Owner = "root:adm".parse().unwrap();
        assert_eq!((owner.user.as_str(), owner.group.as_str()), ("root", "adm"));
        assert_eq!(serde_json::from_str::<Owner>(&serde_json::to_string(&owner).unwrap()).unwrap(), owner);
        for text in ["root", "root:", ":x", "a:b:c", "0:0"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}

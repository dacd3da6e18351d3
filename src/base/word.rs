//! Types of texts that have one spelling, such as names. Their values were checked when they were made.

/// Define a type of texts. `$check` says what is wrong with a text that is not a value of the type. When serialised, a value is its text.
///
/// A value can be used as `&str` (`Deref`), like a `String`: it is a text of which more is known.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The value of a text that this program has made.
            ///
            /// # Panics
            /// The text is not a value of the type.
            pub fn made(text: impl Into<String>) -> Self {
                Self::try_from(text.into()).expect("a text of ours is right")
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::base::fault::Fault;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::base::fault::Fault;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use word;

use super::fault::Fault;
use super::text::ends_or_hides_a_line;

word! {
    /// One line of printable text that is not empty.
    Line, one_line
}

/// Accept text for a place that holds one line.
pub fn one_line(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        Err(Fault::new("this text is empty", "write something, or leave the key out"))
    } else if text.contains(ends_or_hides_a_line) {
        Err(Fault::new("only one line of printable text fits here", "remove line breaks and control characters"))
    } else {
        Ok(())
    }
}

/// Accept `text` if it `fits`. Else the fault says that it is not `is_not`.
pub fn ensure(fits: bool, text: &str, is_not: &str, help: &str) -> Result<(), Fault> {
    if fits { Ok(()) } else { Err(Fault::new(format!("`{text}` is not {is_not}"), help)) }
}

/// Whether `text` begins with a byte of `first` and continues with bytes of `then`.
pub fn spelled(text: &str, first: impl Fn(u8) -> bool, then: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(first) && bytes.all(then)
}

/// Letters, digits and `others`.
pub fn or_one_of(others: &[u8]) -> impl Fn(u8) -> bool {
    move |byte| byte.is_ascii_alphanumeric() || others.contains(&byte)
}

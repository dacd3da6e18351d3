//! Packages as recipes name them. Pure.

use super::fault::Fault;
use super::word::{ensure, or_one_of, spelled, word};

word! {
    /// What a recipe asks for: the name of a package, with a version perhaps, a glob or an `@group`. It is neither an option nor shell syntax for
    /// yum or apt.
    PackageName, package
}

fn package(text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 200 && spelled(text, or_one_of(b"@*?"), or_one_of(b".+-_:~^=*?@"));
    ensure(fits, text, "a package", "write its name, with a version as `name-version` (RPM) or `name=version` (Debian)")
}

impl PackageName {
    /// The name of an RPM, a glob of names, or the `@` and id of a group.
    ///
    /// # Errors
    /// It is something else, such as a package with Debian's version or an environment (`@^minimal`).
    pub fn of_rpm(text: &str) -> Result<Self, Fault> {
        let name: Self = text.parse()?;
        if text.contains('=') {
            return Err(not_of_this("a package", text, "RPM takes versions as `name-version`"));
        }
        if text.starts_with("@^") {
            return Err(Fault::new(
                format!("`{text}` is an environment, which is not installed as such"),
                "name its groups, like \"@base\"",
            ));
        }
        let fits = match text.strip_prefix('@') {
            Some(group) => spelled(group, or_one_of(b"._"), or_one_of(b"._-")),
            None => !text.contains(['@', '^']),
        };
        if fits {
            Ok(name)
        } else {
            Err(not_of_this("a package or group", text, "write a package's name, a glob, or `@` and a group's id"))
        }
    }

    /// The name of a Debian package, with an architecture and a version perhaps; there are no groups and no globs (Debian Policy, 5.6.1).
    ///
    /// # Errors
    /// It is something else.
    pub fn of_debian(text: &str) -> Result<Self, Fault> {
        let whole: Self = text.parse()?;
        let name = text.split(['=', ':']).next().unwrap_or_default();
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits =
            name.len() >= 2 && spelled(name, lower, |byte| lower(byte) || b"+-.".contains(&byte)) && !text.contains(['@', '*', '?', '^']);
        let help = "Debian's names are lower case; a version follows as `name=version`; there are no groups";
        if fits { Ok(whole) } else { Err(not_of_this("a package", text, help)) }
    }

    /// The group's id, if it is a group.
    pub fn group(&self) -> Option<&str> {
        self.strip_prefix('@')
    }

    /// Whether this asks for `package`: of Debian with a version or an architecture (`chrony=4.3`, `chrony:amd64`), of EL7 also with an epoch, a
    /// release and an architecture (`2:chrony-3.2-2.el7.x86_64`; yum(8), "Specifying package names").
    pub fn asks_for(&self, package: &str) -> bool {
        let bare = match self.split_once(':') {
            Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => self,
        };
        bare.strip_prefix(package).is_some_and(|rest| match rest.as_bytes() {
            [] | [b'=' | b':' | b'.', ..] => true,
            // A version begins with a digit; `ntpsec-doc` is another package.
            [b'-', first, ..] => first.is_ascii_digit(),
            _ => false,
        })
    }
}

fn not_of_this(what: &str, text: &str, help: &str) -> Fault {
    Fault::new(format!("`{text}` is not {what} of this distribution"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_has_its_names() {
        for (text, rpm, debian) in [
            ("lvm2", true, true),
            ("docker-ce-18.09.6", true, true),
            ("@core", true, false),
            ("@^minimal", false, false),
            ("@a/b", false, false),
            ("@", false, false),
            ("a@b", false, false),
            ("iwl*-firmware", true, false),
            ("3:docker-ce", true, false),
            ("docker.io", true, true),
            ("g++", true, true),
            ("x11=1:2.0~rc+b1-1", false, true),
            ("libc6:amd64", true, true),
            ("Docker", true, false),
            ("a", true, false),
            ("a*b", true, false),
            ("", false, false),
            ("-x", false, false),
            ("a b", false, false),
            ("a;b", false, false),
            ("$(x)", false, false),
            ("a#b", false, false),
        ] {
            assert_eq!((PackageName::of_rpm(text).is_ok(), PackageName::of_debian(text).is_ok()), (rpm, debian), "{text}");
        }
    }

    #[test]
    fn packages_are_known_however_they_are_spelled() {
        let asks_for = |wanted: &str, package| wanted.parse::<PackageName>().unwrap().asks_for(package);
        for wanted in ["chrony", "chrony=4.3-2", "chrony:amd64", "chrony.x86_64", "2:chrony", "chrony-3.2", "2:chrony-3.2-2.el7.x86_64"] {
            assert!(asks_for(wanted, "chrony"), "{wanted}");
        }
        for wanted in ["chrony-doc", "chronyx", "xchrony", "a:chrony", "chrony-", "@chrony"] {
            assert!(!asks_for(wanted, "chrony"), "{wanted}");
        }
        assert!(!asks_for("ntpsec-doc", "ntpsec") && !asks_for("ntpsec", "ntp"));
    }
}

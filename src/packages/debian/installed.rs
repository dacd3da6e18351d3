//! `/var/lib/dpkg/status`: what dpkg knows of the packages of a system. Its paragraphs are deb-status's: dpkg(1), "INFORMATION ABOUT PACKAGES";
//! the words of `Status` are in dpkg's lib/dpkg/parsehelp.c.

use super::stanza::{Stanzas, fields};
use crate::packages::error::{IndexError, malformed};
use crate::packages::input::Input;
use crate::packages::installed::Installed;

/// Packages that a system may have.
const PACKAGES: usize = 300_000;

/// The installed packages, by name. One that is only configured, or of which only configuration files are left, is not installed.
///
/// # Errors
/// The file cannot be read, or a paragraph has no name, version or status.
pub fn installed(input: Input<'_>) -> Result<Vec<Installed>, IndexError> {
    let mut stanzas = Stanzas::new(input);
    let mut found = Vec::new();
    loop {
        let stanza = match stanzas.next() {
            Ok(Some(stanza)) => stanza,
            Ok(None) => break,
            Err(problem) => return Err(stanzas.error(None, problem)),
        };
        match one(stanza) {
            Ok(package) => found.extend(package),
            Err(why) => return Err(stanzas.error(None, malformed(why))),
        }
        if found.len() > PACKAGES {
            return Err(stanzas.error(None, malformed(format_args!("it has more than {PACKAGES} packages"))));
        }
    }
    stanzas.finish()?;
    found.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
    Ok(found)
}

/// The package of one paragraph, when it is installed. An error is what the paragraph lacks.
fn one(stanza: &[u8]) -> Result<Option<Installed>, &'static str> {
    let field = |wanted: &str| {
        let found = fields(stanza).find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let name = field("Package").ok_or("a paragraph has no Package")?;
    let status = field("Status").ok_or("a paragraph has no Status")?;
    // Want, error flag, state.
    if status.split_ascii_whitespace().nth(2) != Some("installed") {
        return Ok(None);
    }
    let kibibytes: Option<u64> = field("Installed-Size").and_then(|size| size.parse().ok());
    Ok(Some(Installed {
        version: field("Version").ok_or("an installed package has no Version")?,
        architecture: field("Architecture").unwrap_or_default(),
        // Without one the package's own name; with a version in parentheses when that is another.
        source: field("Source")
            .and_then(|source| source.split_ascii_whitespace().next().map(str::to_owned))
            .unwrap_or_else(|| name.clone()),
        bytes: kibibytes.and_then(|size| size.checked_mul(1024)),
        summary: field("Description").map(|text| text.lines().next().unwrap_or_default().to_owned()).unwrap_or_default(),
        name,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Installed>, IndexError> {
        installed(Input::new("status", text.as_bytes(), None, 1 << 20).unwrap())
    }

    #[test]
    fn what_is_installed_is_told_from_what_was() {
        let text = "Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2\nArchitecture: amd64\nSource: zlib (1.2)\nInstalled-Size: 10\n\
                    Description: compression\n long\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                    Package: half\nStatus: install ok half-installed\n\npackage: a\nStatus: hold ok installed\nVersion: 2\n";
        let found = read(text).unwrap();
        let names: Vec<_> =
            found.iter().map(|package| (package.name.as_str(), package.version.as_str(), package.source.as_str())).collect();
        assert_eq!(names, [("a", "2", "a"), ("zlib1g", "1:1.2", "zlib")]);
        assert_eq!((found[1].bytes, found[1].summary.as_str()), (Some(10240), "compression"));
        for (text, why) in [
            ("Status: install ok installed\n", "no Package"),
            ("Package: a\nVersion: 1\n", "no Status"),
            ("Package: a\nStatus: install ok installed\n", "no Version"),
        ] {
            assert!(read(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}

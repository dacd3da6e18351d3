//! Package URLs: purl-spec, now ECMA-427, with its definitions of the types `deb` and `rpm`.

use super::subject::System;
use crate::packages::Scheme;
use crate::packages::installed::Installed;

/// The package URL of an installed package: `pkg:rpm/centos/docker-ce@18.09.6-3.el7?arch=x86_64&distro=centos-7&epoch=3`.
///
/// `distro` is a qualifier of the specification's own examples. `upstream`, the package's source when it has another name, is not in the
/// specification. Scanners know it from syft, and need it because vulnerabilities are published by source.
pub(super) fn purl(system: &System, scheme: Scheme, package: &Installed) -> String {
    let (kind, name, epoch, version) = match scheme {
        // deb-definition.json: the name is not case sensitive and lower case; the version has the epoch.
        Scheme::Debian => ("deb", package.name.to_ascii_lowercase(), None, package.version.as_str()),
        // rpm-definition.json: the name is case sensitive; the version is version and release, and the epoch is a qualifier.
        Scheme::Rpm => {
            let (epoch, version) = epoch(&package.version);
            ("rpm", package.name.clone(), epoch, version)
        }
    };
    let mut text = format!("pkg:{kind}/{}/{}", encoded(vendor(&system.id)), encoded(&name));
    if !version.is_empty() {
        text += &format!("@{}", encoded(version));
    }
    let distro = match &system.version {
        Some(version) => format!("{}-{version}", system.id),
        None => system.id.clone(),
    };
    // purl-spec: qualifiers stand in the order of their keys, and one without a value is left out.
    let qualifiers = [
        ("arch", package.architecture.as_deref().map(str::to_owned)),
        ("distro", Some(distro)),
        ("epoch", epoch.map(str::to_owned)),
        ("upstream", upstream(scheme, package)),
    ];
    let present = qualifiers.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)));
    for (index, (key, value)) in present.enumerate() {
        text += &format!("{}{key}={}", if index == 0 { '?' } else { '&' }, encoded(&value));
    }
    text
}

/// The vendor of a system: the namespace of both types. Red Hat's own package URLs have `redhat`, and the definition of `rpm` has
/// `opensuse` for all of openSUSE's systems; os-release has `rhel`, `opensuse-leap`, `opensuse-tumbleweed`.
fn vendor(id: &str) -> &str {
    match id {
        "rhel" => "redhat",
        _ if id.starts_with("opensuse-") => "opensuse",
        _ => id,
    }
}

/// Epoch and the rest of `[EPOCH:]VERSION-RELEASE`.
fn epoch(version: &str) -> (Option<&str>, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (Some(epoch), rest),
        _ => (None, version),
    }
}

/// The source: of an RPM its file; of dpkg's package its name, and `@VERSION` when that differs, unless both are the package's own.
fn upstream(scheme: Scheme, package: &Installed) -> Option<String> {
    let source = package.source.as_ref()?;
    match (&package.source_version, scheme) {
        (Some(version), Scheme::Debian) if *version != package.version => Some(format!("{source}@{version}")),
        (_, Scheme::Debian) if *source == package.name => None,
        _ => Some(source.clone()),
    }
}

/// Percent-encoded as purl-spec says: letters, digits, `.`, `-`, `_`, `~` and the colon are not encoded; the bytes of all other characters
/// are.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, architecture: &str, source: &str, source_version: &str) -> Installed {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Installed {
            name: name.into(),
            version: version.into(),
            architecture: some(architecture),
            source: some(source),
            source_version: some(source_version),
            ..Installed::default()
        }
    }

    #[test]
    fn packages_of_rpm_have_their_epoch_apart() {
        let centos = System::new("centos", "7", "CentOS Linux 7 (Core)");
        for (package, expected) in [
            (
                package("docker-ce", "3:18.09.6-3.el7", "x86_64", "docker-ce-18.09.6-3.el7.src.rpm", ""),
                "pkg:rpm/centos/docker-ce@18.09.6-3.el7?arch=x86_64&distro=centos-7&epoch=3&upstream=docker-ce-18.09.6-3.el7.src.rpm",
            ),
            (
                package("libstdc++", "4.8.5-28.el7_5.1", "i686", "", ""),
                "pkg:rpm/centos/libstdc%2B%2B@4.8.5-28.el7_5.1?arch=i686&distro=centos-7",
            ),
            (package("GConf2", "3.2~b^1-1", "", "", ""), "pkg:rpm/centos/GConf2@3.2~b%5E1-1?distro=centos-7"),
        ] {
            assert_eq!(purl(&centos, Scheme::Rpm, &package), expected);
        }
        let of = |system: System| purl(&system, Scheme::Rpm, &package("a", "1-1", "noarch", "", ""));
        assert_eq!(of(System::new("rhel", "9.4", "")), "pkg:rpm/redhat/a@1-1?arch=noarch&distro=rhel-9.4");
        assert_eq!(of(System::new("opensuse-leap", "15.6", "")), "pkg:rpm/opensuse/a@1-1?arch=noarch&distro=opensuse-leap-15.6");
        assert_eq!(of(System::new("a/b", "", "")), "pkg:rpm/linux/a@1-1?arch=noarch&distro=linux");
    }

    #[test]
    fn packages_of_dpkg_have_it_in_their_version() {
        let debian = System::new("debian", "12", "Debian");
        for (package, expected) in [
            (package("bash", "5.2", "amd64", "bash", "5.2"), "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12"),
            (package("Libb", "1:2~b+3", "all", "b", "1:2~b+3"), "pkg:deb/debian/libb@1:2~b%2B3?arch=all&distro=debian-12&upstream=b"),
            (package("b", "2+b1", "all", "b", "2"), "pkg:deb/debian/b@2%2Bb1?arch=all&distro=debian-12&upstream=b%402"),
            (package("n", "", "", "", ""), "pkg:deb/debian/n?distro=debian-12"),
        ] {
            assert_eq!(purl(&debian, Scheme::Debian, &package), expected);
        }
    }
}

//! Identities that packages make when they are installed, and that all machines made from the image would share. Pure.

use super::report::{Area, Row};
use crate::closure::Forecast;
use crate::recipe::{Media, Recipe};

/// Something that a package makes once, for a single machine.
struct Identity {
    /// The package.
    package: &'static str,
    /// Whether it is Debian's; else EL 7's.
    is_debian: bool,
    /// Where it is.
    path: &'static str,
    /// Its name for people.
    what: &'static str,
    /// The command that makes a new one.
    anew: &'static str,
}

/// Debian 12's are in the postinst of nvme-cli 2.3, ssl-cert 1.1.2, bind9 9.18, dropbear 2022.83 and popularity-contest 1.76, and no unit of
/// theirs makes them at boot; EL 7's were not read in their packages, so they are no more than a warning. Identities that sealing has made
/// anew are not in the list (ssh host keys, the name of Debian's open-iscsi).
const IDENTITIES: &[Identity] = &[
    Identity {
        package: "nvme-cli",
        is_debian: true,
        path: "/etc/nvme/hostid",
        what: "the NVMe host's id and name (/etc/nvme/hostid, hostnqn)",
        anew: "nvme gen-hostnqn > /etc/nvme/hostnqn; uuidgen > /etc/nvme/hostid",
    },
    Identity {
        package: "ssl-cert",
        is_debian: true,
        path: "/etc/ssl/private/ssl-cert-snakeoil.key",
        what: "a private key (/etc/ssl/private/ssl-cert-snakeoil.key)",
        anew: "make-ssl-cert generate-default-snakeoil --force-overwrite",
    },
    Identity {
        package: "bind9",
        is_debian: true,
        path: "/etc/bind/rndc.key",
        what: "the key that controls the name server (/etc/bind/rndc.key)",
        anew: "rm /etc/bind/rndc.key; rndc-confgen -a",
    },
    Identity {
        package: "dropbear",
        is_debian: true,
        path: "/etc/dropbear/dropbear_",
        what: "ssh host keys (/etc/dropbear/dropbear_*_host_key)",
        anew: "dropbearkey -t ed25519 -f /etc/dropbear/dropbear_ed25519_host_key",
    },
    Identity {
        package: "popularity-contest",
        is_debian: true,
        path: "/etc/popularity-contest.conf",
        what: "the host's id (MY_HOSTID of /etc/popularity-contest.conf)",
        anew: "sed -i '/^MY_HOSTID=/d' /etc/popularity-contest.conf; dpkg-reconfigure -f noninteractive popularity-contest",
    },
    Identity {
        package: "iscsi-initiator-utils",
        is_debian: false,
        path: "/etc/iscsi/initiatorname.iscsi",
        what: "the iSCSI initiator's name (/etc/iscsi/initiatorname.iscsi)",
        anew: "echo InitiatorName=$(iscsi-iname) > /etc/iscsi/initiatorname.iscsi",
    },
    Identity {
        package: "mod_ssl",
        is_debian: false,
        path: "/etc/pki/tls/private/localhost.key",
        what: "a private key (/etc/pki/tls/private/localhost.key)",
        anew: "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=$(hostname) -keyout /etc/pki/tls/private/localhost.key -out /etc/pki/tls/certs/localhost.crt",
    },
];

/// A warning for each identity that the image's packages bring, unless a file or a script of the recipe's own deals with it.
pub(super) fn rows(recipe: &Recipe, forecast: Option<&Forecast>) -> Vec<Row> {
    let is_debian = matches!(recipe.media, Media::Deploy { .. });
    let asked = recipe.packages.install.iter().chain(recipe.provision.iter().flat_map(|step| &step.packages));
    let asked: Vec<&str> = asked.map(|package| package.split('=').next().unwrap_or_default()).collect();
    let comes = |package: &str| asked.contains(&package) || forecast.is_some_and(|forecast| forecast.version_of(package).is_some());
    let is_dealt_with = |path: &str| {
        let mut files = recipe.files.iter().chain(recipe.provision.iter().flat_map(|step| &step.files));
        let mut scripts = recipe.provision.iter().filter_map(|step| step.script.as_ref());
        files.any(|file| file.path.starts_with(path)) || scripts.any(|script| String::from_utf8_lossy(script.bytes()).contains(path))
    };
    let shared = IDENTITIES.iter().filter(|identity| identity.is_debian == is_debian && comes(identity.package));
    let row = |identity: &Identity| {
        let what = format!(
            "{} makes {} when it is installed, and all machines made of this image would share it",
            identity.package, identity.what
        );
        Row::warning(Area::Settings, what, Some(format!("have each machine make its own at its first boot: {}", identity.anew)))
    };
    shared.filter(|identity| !is_dealt_with(identity.path)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;
    use crate::closure::ForecastPackage;

    #[test]
    fn what_machines_would_share_is_told() {
        let head = "schema = 1\nname = \"x\"\nmedia = { installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }\n\
                    system = { root = \"locked\" }\n";
        let told = |more: &str, packages: &[&str]| -> Vec<String> {
            let recipe = recipe(format!("{head}{more}"));
            let package = |name: &&str| ForecastPackage { name: (*name).into(), ..ForecastPackage::default() };
            let forecast = Forecast { packages: packages.iter().map(package).collect(), ..Forecast::default() };
            rows(&recipe, Some(&forecast)).into_iter().map(|row| row.what.split(' ').next().unwrap().to_owned()).collect()
        };
        for (more, packages, expected) in [
            ("", &["vim", "open-iscsi", "iscsi-initiator-utils"][..], &[][..]),
            ("", &["nvme-cli", "ssl-cert"], &["nvme-cli", "ssl-cert"]),
            ("packages = { install = [\"bind9=1:9.18\"] }\n", &[], &["bind9"]),
            ("[[file]]\npath = \"/etc/nvme/hostid\"\ncontent = \"x\"\n", &["nvme-cli"], &[]),
            ("[[provision]]\nname = \"a\"\nscript = \"rm /etc/ssl/private/ssl-cert-snakeoil.key\"\n", &["ssl-cert"], &[]),
        ] {
            assert_eq!(told(more, packages), expected, "{more} {packages:?}");
        }
    }
}

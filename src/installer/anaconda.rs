//! Anaconda, the installer of RHEL 7: a recipe as the kickstart, kernel arguments and volume it reads.
//!
//! The machine it runs in gives it the system disk as the first virtio disk (`vda`), the installation medium, a network card, the
//! volume when there is one, and the two virtio-serial ports. Both ports must be connected before the installer starts, because a writer
//! waits for its reader. The initramfs carries two more files, `/ks.cfg` and [`NONCE_FILE`].
//!
//! The kickstart holds no value of the run. A power-off proves nothing: the installer powers off after most failures too. Only
//! [`Report::Ok`] with the nonce of this run counts.
//!
//! Not done here, because sealing does it for every installer: machine-id, host keys, logs, caches, resolv.conf.

mod answers;
mod error;
pub mod log;
mod names;
mod own;
pub mod phases;
mod repo;
mod report;
mod scripts;
pub mod selection;
pub mod signatures;
mod storage;

pub use answers::Answers;
pub use error::AnacondaError;
pub use names::{NONCE_FILE, REPORT_PORT, VOLUME_LABEL};
pub use report::Report;

use super::address::unsealed;
use super::hostname::UNNAMED;
use super::interfaces;
use super::language;
use error::{InField, constant};
use repo::repo;

use crate::base::ipv4::netmask;
use crate::base::unit::UnitName;
use crate::kickstart::{
    Address, Bootloader, Firewall, GroupId, KernelArgument, Kickstart, Network, PackagePattern, Packages, SelinuxMode, Services, Source,
    User, Word,
};
use crate::recipe::{self, Media, Recipe, Selinux, Toggle};
pub use scripts::{Upgrade, upgrade};

/// Virtio-serial port of Anaconda's own log. The name is fixed (pyanaconda/anaconda_log.py); `inst.virtiolog` is not implemented in 7.5.
pub const LOG_PORT: &str = "org.fedoraproject.anaconda.log.0";

/// The kernel command line that the installer is booted with, without the medium's label ([`kernel_arguments`]). It does not depend on the
/// recipe.
///
/// - `inst.cmdline` never waits for an answer. What it prints on the serial console is for people.
/// - `net.ifnames` and `biosdevname` as in the installed system: the kickstart names `eth0`. Anaconda hands these two, and the last
///   `console`, on to the installed system (pyanaconda/bootloader.py:261).
/// - `inst.nosave=all_ks` keeps both kickstarts, and the hash of the root password in them, out of the image.
/// - A failure in the initramfs powers off instead of opening a shell (`rd.shell=0` alone halts), a kernel panic resets.
/// - `no_timer_check`: emulated timers may be too slow for the kernel's check of them.
pub const KERNEL_ARGUMENTS: &str = "inst.ks=file:/ks.cfg inst.cmdline \
    inst.nosave=all_ks inst.geoloc=0 console=tty0 console=ttyS0,115200 net.ifnames=0 biosdevname=0 \
    rd.shell=0 rd.emergency=poweroff panic=1 no_timer_check";

/// The whole kernel command line for the medium with this label, which is written as udev writes it. Without it another disk could be taken for
/// the medium.
pub fn kernel_arguments(device_label: &str) -> String {
    format!("{KERNEL_ARGUMENTS} inst.stage2=hd:LABEL={device_label}")
}

/// Arguments of the installed kernel, before the recipe's own. The last console is /dev/console: systemd's messages and the login prompt
/// come on the serial line. No `quiet`, no `rhgb`: they would hide the boot.
const INSTALLED_ARGUMENTS: [&str; 4] = ["console=tty0", "console=ttyS0,115200", "net.ifnames=0", "biosdevname=0"];

/// Packages of the `core` group that no machine of goldsmith's needs: firmware of wireless cards, a boot splash, and a second, rescue
/// initramfs of 50 MB whose name would keep the machine-id.
const UNWANTED: [&str; 3] = ["plymouth", "dracut-config-rescue", "iwl*-firmware"];

/// The kickstart that makes the recipe's image, up to provisioning and sealing: goldsmith's, or the user's own with goldsmith's
/// sections after it. The user's is kept as bytes, as Anaconda reads it; goldsmith's is ASCII, and sets the recipe's host name and address.
///
/// # Errors
/// The recipe is for another installer, or asks for what this one cannot do or a kickstart cannot say.
pub fn kickstart(recipe: &Recipe) -> Result<Vec<u8>, AnacondaError> {
    let interfaces = interfaces::script(recipe).map(|script| script + &interfaces::first_member(recipe));
    kickstart_with(recipe, &recipe.system.hostname, &recipe.system.network, interfaces)
}

/// The kickstart that a build gives to the installer. goldsmith's sets [`UNNAMED`] and DHCP, since sealing sets the recipe's host name and
/// address.
///
/// # Errors
/// As of [`kickstart`].
fn unsealed_kickstart(recipe: &Recipe) -> Result<Vec<u8>, AnacondaError> {
    kickstart_with(recipe, UNNAMED, unsealed(recipe), None)
}

fn kickstart_with(
    recipe: &Recipe,
    hostname: &str,
    address: &recipe::Network,
    interfaces: Option<String>,
) -> Result<Vec<u8>, AnacondaError> {
    match &recipe.media {
        Media::Anaconda { kickstart: Some(own), .. } => Ok(own::merged(recipe, own)?.text),
        Media::Anaconda { kickstart: None, .. } => {
            let mut kickstart = rendered(recipe, hostname, address)?;
            if let Some(interfaces) = interfaces {
                // Before the two last scripts: one gives files their labels, and one says that all went well.
                let place = kickstart.post.len().saturating_sub(2);
                kickstart.post.insert(place, scripts::interfaces(&interfaces)?);
            }
            Ok(kickstart.to_string().into_bytes())
        }
        Media::Deploy { .. } => {
            Err(AnacondaError::refused("media.installer", "the recipe is not for anaconda", "set installer = \"anaconda\""))
        }
    }
}

/// A kickstart for people to look at: without its secrets, every line under its number.
pub fn without_secrets(kickstart: &[u8]) -> String {
    crate::kickstart::without_secrets(&String::from_utf8_lossy(kickstart))
}

/// The kickstart of a recipe that makes all settings itself, for a system of this name and address.
fn rendered(recipe: &Recipe, hostname: &str, address: &recipe::Network) -> Result<Kickstart, AnacondaError> {
    let system = &recipe.system;
    let kdump = recipe.packages.install.iter().any(|package| package.asks_for("kexec-tools"));
    Ok(Kickstart {
        comment: vec!["made by goldsmith".to_owned()],
        source: Source::Cdrom,
        repos: recipe.repositories.iter().map(repo).collect::<Result<_, _>>()?,
        lang: Word::new(&*system.locale).in_field("system.locale")?,
        keyboard: Word::new(&*system.keyboard).in_field("system.keyboard")?,
        timezone: Word::new(&*system.timezone).in_field("system.timezone")?,
        users: recipe.users.iter().map(|wanted| user(wanted, &recipe.groups)).collect::<Result<_, _>>()?,
        selinux: match system.selinux {
            Selinux::Enforcing => SelinuxMode::Enforcing,
            Selinux::Permissive => SelinuxMode::Permissive,
            Selinux::Disabled => SelinuxMode::Disabled,
        },
        firewall: match system.firewall {
            Toggle::Enabled => Firewall::Enabled { services: vec![constant("ssh")?] },
            Toggle::Disabled => Firewall::Disabled,
        },
        network: network(hostname, address)?,
        services: services(recipe)?,
        storage: storage::storage(&recipe.disk)?,
        bootloader: bootloader(recipe)?,
        kdump,
        packages: packages(recipe, kdump)?,
        pre: vec![scripts::pre(recipe)?],
        post: scripts::post(recipe)?,
    })
}

/// The groups of the recipe are made later (`add_group` of the scripts), and joined then: Anaconda would make each that is missing, with an id of
/// its own.
fn user(wanted: &recipe::User, groups: &[recipe::Group]) -> Result<User, AnacondaError> {
    let field = format!("user `{}`", wanted.name.escape_debug());
    let word = |text: &str| Word::new(text).in_field(&*field);
    Ok(User {
        name: word(&wanted.name)?,
        groups: wanted
            .groups
            .iter()
            .filter(|name| groups.iter().all(|group| group.name != **name))
            .map(|group| word(group))
            .collect::<Result<_, _>>()?,
        shell: word(&wanted.shell)?,
        uid: wanted.uid,
    })
}

fn network(hostname: &str, address: &recipe::Network) -> Result<Network, AnacondaError> {
    let address = match address {
        recipe::Network::Dhcp => Address::Dhcp,
        recipe::Network::None => Address::None,
        recipe::Network::Static { address, prefix, gateway, dns } => {
            Address::Static { ip: *address, netmask: netmask(*prefix), gateway: *gateway, nameservers: dns.clone() }
        }
    };
    Ok(Network { device: constant("eth0")?, hostname: Word::new(hostname).in_field("system.hostname")?, address })
}

/// Plain services only: the command makes `docker.socket.service` of `docker.socket`. All units are enabled or disabled once more in
/// `%post`, where files of the recipe are in place and an error is not ignored.
fn services(recipe: &Recipe) -> Result<Services, AnacondaError> {
    let plain = |units: &[UnitName], field: &str| {
        let services = units.iter().filter_map(|unit| match unit.rsplit_once('.') {
            None => Some(unit.as_str()),
            Some((name, "service")) => Some(name),
            Some(_) => None,
        });
        services.map(|service| Word::new(service).in_field(field)).collect::<Result<_, _>>()
    };
    Ok(Services {
        disabled: plain(&recipe.services.disable, "services.disable")?,
        enabled: plain(&recipe.services.enable, "services.enable")?,
    })
}

fn bootloader(recipe: &Recipe) -> Result<Bootloader, AnacondaError> {
    let ours = INSTALLED_ARGUMENTS.into_iter();
    let words = ours.chain(recipe.kernel.arguments.iter().map(|argument| argument.as_str()));
    let append = words.map(|argument| KernelArgument::new(argument).in_field("kernel.arguments")).collect::<Result<_, _>>()?;
    Ok(Bootloader { timeout: 1, append })
}

fn packages(recipe: &Recipe, kdump: bool) -> Result<Packages, AnacondaError> {
    let mut packages = Packages::new();
    packages.group(GroupId::new("core").in_field("(goldsmith)")?);
    if !recipe.packages.docs {
        packages.exclude_docs = true;
        packages.languages = Some(Word::new(language(&recipe.system.locale)).in_field("system.locale")?);
    }
    for wanted in &recipe.packages.install {
        let field = "packages.install";
        match wanted.group() {
            Some(group) => packages.group(GroupId::new(group).in_field(field)?),
            None => packages.install(PackagePattern::new(&**wanted).in_field(field)?).in_field(field)?,
        }
    }
    for unwanted in &recipe.packages.exclude {
        let field = "packages.exclude";
        packages.exclude(PackagePattern::new(&**unwanted).in_field(field)?).in_field(field)?;
    }
    // A package that the recipe asks for is wanted.
    for unwanted in UNWANTED.into_iter().chain((!kdump).then_some("kexec-tools")) {
        let pattern = PackagePattern::new(unwanted).in_field("(goldsmith)")?;
        if !packages.packages().iter().any(|package| covers(unwanted, package.as_str())) {
            packages.exclude(pattern).in_field("(goldsmith)")?;
        }
    }
    Ok(packages)
}

/// Whether excluding `unwanted`, with at most one `*`, would keep out `package` or a version of it.
fn covers(unwanted: &str, package: &str) -> bool {
    match unwanted.split_once('*') {
        Some((before, after)) => package.starts_with(before) && package.contains(after),
        None => package.strip_prefix(unwanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.'])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        for (line, report) in [
            ("step writing /etc/x", Some(Report::Step("writing /etc/x".into()))),
            ("fail copying: no space", Some(Report::Fail("copying: no space".into()))),
            ("ok 0123", Some(Report::Ok("0123".into()))),
            ("ok", None),
            ("okay 0123", None),
            ("", None),
        ] {
            assert_eq!(Report::parse(line), report, "{line}");
        }
    }

    #[test]
    fn exclusions_know_what_they_cover() {
        for (unwanted, package, covered) in [
            ("plymouth", "plymouth", true),
            ("plymouth", "plymouth-0.8.9", true),
            ("plymouth", "plymouthd", false),
            ("iwl*-firmware", "iwl7260-firmware-22.0", true),
            ("iwl*-firmware", "iwlist", false),
        ] {
            assert_eq!(covers(unwanted, package), covered, "{unwanted} {package}");
        }
    }
}

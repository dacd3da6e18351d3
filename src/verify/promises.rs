//! The promises of an image: the recipe's checks, and those that follow from its settings.
//!
//! A manifest carries them, so that an artifact can be verified without its recipe.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::audit::{Allowed, Waiver};
use crate::base::kernel::{ModuleName, SysctlKey};
use crate::base::region::TimeZone;
use crate::base::unit::UnitName;
use crate::base::word::Line;
use crate::recipe::{
    Account, Authority, Check, ContainerRun, DockerImage, Firmware, Interface, Media, Password, Recipe, Selinux, Toggle, further_cards,
};

/// Everything that is verified on an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promises {
    /// The name in `/etc/hostname` and in the booted kernel. This and the next two are absent with a kickstart of the user's own, which
    /// decides on them; then only the recipe's checks ask for them.
    pub hostname: Option<String>,
    /// What `/etc/localtime` leads to.
    pub timezone: Option<TimeZone>,
    /// Locale, keyboard, address and accounts. Older manifests have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// `SELINUX=` of `/etc/selinux/config`, where that file is.
    pub selinux: Option<Selinux>,
    /// Whether the packet filter holds nothing but Docker's rules.
    pub no_firewall: bool,
    /// Kernel parameters as they are before Docker starts.
    pub sysctl: BTreeMap<SysctlKey, Line>,
    /// Modules that are loaded.
    pub modules: Vec<ModuleName>,
    /// Units that are enabled.
    pub enabled: Vec<UnitName>,
    /// Paths of repository files and the id each defines.
    pub repositories: BTreeMap<String, String>,
    /// The firmware that boots the disk.
    pub firmware: Firmware,
    /// The network interfaces, `eth0` among them; none when the recipe has none beside `eth0`. Older manifests have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// What `/etc/resolv.conf` says; empty when no fixed address says a name server.
    pub resolv_conf: String,
    /// Text that the release file must contain.
    pub release: Option<String>,
    /// Authorities that the system trusts. Manifests of before have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Authority>,
    /// Images of containers that Docker has. Older manifests have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub container_images: Vec<DockerImage>,
    /// What is run in containers, each of the image of this name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub container_runs: Vec<(String, ContainerRun)>,
    /// The recipe's own checks.
    pub checks: Vec<Check>,
    /// Whether to check that two machines made from it are distinct: everything that must be a machine's own differs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clones: bool,
    /// Accounts that may log in. Older manifests do not have this; then every account is allowed.
    #[serde(default = "everybody")]
    pub allowed: Allowed,
    /// Findings of the audit that are meant to be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
}

fn everybody() -> Allowed {
    Allowed { others: true, ..Allowed::default() }
}

/// Accounts that the recipe gives a password, and those that it gives keys.
fn allowed(recipe: &Recipe) -> Allowed {
    if recipe.own_kickstart().is_some() {
        return everybody();
    }
    let root = ("root", &recipe.system.root);
    let accounts: Vec<_> = recipe.users.iter().map(|user| (user.name.as_str(), &user.account)).chain([root]).collect();
    let named =
        |has: fn(&Account) -> bool| accounts.iter().filter(|(_, account)| has(account)).map(|(name, _)| (*name).to_owned()).collect();
    Allowed {
        others: false,
        passwords: named(|account| !matches!(account.password, Password::Locked)),
        keys: named(|account| !account.ssh_keys.is_empty()),
    }
}

impl Promises {
    /// Whether UEFI boots the disk, for modules that do not know recipes.
    pub fn boots_through_uefi(&self) -> bool {
        self.firmware == Firmware::Uefi
    }

    /// Network cards beside the first one that a machine needs, for modules that do not know recipes.
    pub fn further_cards(&self) -> usize {
        further_cards(&self.interfaces)
    }

    /// No promises, for an image that BIOS boots.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            hostname: None,
            timezone: None,
            settings: None,
            selinux: None,
            no_firewall: false,
            sysctl: BTreeMap::new(),
            modules: Vec::new(),
            enabled: Vec::new(),
            repositories: BTreeMap::new(),
            firmware: Firmware::Bios,
            interfaces: Vec::new(),
            resolv_conf: String::new(),
            release: None,
            authorities: Vec::new(),
            container_images: Vec::new(),
            container_runs: Vec::new(),
            checks: Vec::new(),
            clones: false,
            allowed: everybody(),
            waivers: Vec::new(),
        }
    }

    /// The same promises, and that Docker has these images and runs these containers.
    pub fn with_images(self, container_images: Vec<DockerImage>, container_runs: Vec<(String, ContainerRun)>) -> Self {
        Self { container_images, container_runs, ..self }
    }

    /// The promises of `recipe`, without container images, which are only known from their archives.
    pub fn of(recipe: &Recipe) -> Self {
        let release = match &recipe.media {
            Media::Anaconda { .. } => None,
            Media::Deploy { suite, .. } => Some(format!("VERSION_CODENAME={suite}")),
        };
        // With a kickstart of the user's own these are defaults without a meaning.
        let system = recipe.own_kickstart().is_none().then_some(&recipe.system);
        Self {
            hostname: system.map(|system| system.hostname.to_string()),
            timezone: system.map(|system| system.timezone.clone()),
            settings: system.map(|_| Settings::of(recipe)),
            selinux: system.map(|system| system.selinux),
            no_firewall: system.is_some_and(|system| system.firewall == Toggle::Disabled),
            sysctl: recipe.kernel.sysctl.clone(),
            modules: recipe.kernel.modules.clone(),
            enabled: recipe.services.enable.clone(),
            repositories: recipe
                .repositories
                .iter()
                .filter_map(|repo| Some((format!("/etc/yum.repos.d/{}", repo.kept.as_ref()?.file), repo.id.to_string())))
                .collect(),
            firmware: recipe.disk.firmware,
            interfaces: recipe.all_interfaces(),
            resolv_conf: recipe.name_servers().iter().map(|server| format!("nameserver {server}\n")).collect(),
            release,
            authorities: recipe.authorities.clone(),
            container_images: Vec::new(),
            container_runs: Vec::new(),
            checks: recipe.checks.clone(),
            clones: recipe.clones,
            allowed: allowed(recipe),
            waivers: recipe
                .waivers
                .iter()
                .map(|waiver| Waiver { rule: waiver.rule.clone(), path: waiver.path.clone(), reason: waiver.reason.clone() })
                .collect(),
        }
    }
}

//! Addresses and names of interfaces.

use super::super::parser::{Command, Document, Span};
use super::row::{Hit, Lint};
use super::sheet::{Sheet, kernel_arguments};
use super::shell::Simple;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "static-incomplete",
        what: "a static address without its netmask, or no address at all",
        why: "the interface comes up without the address that was meant, and the parser does not say so",
        remedy: "give `--ip=` and `--netmask=`, or `--bootproto=dhcp`",
        source: "pykickstart/commands/network.py; pyanaconda/network.py; Red Hat Enterprise Linux 7 Installation Guide, network",
        check: static_incomplete,
    },
    Lint {
        id: "address-without-static",
        what: "an address on an interface that asks DHCP",
        why: "`--bootproto` is dhcp unless it is given, and then `--ip` and `--netmask` are not used",
        remedy: "add `--bootproto=static`, or remove the address",
        source: "pykickstart/commands/network.py: NetworkData.bootProto; pyanaconda/network.py",
        check: address_without_static,
    },
    Lint {
        id: "interface-renamed",
        what: "an interface name that the installed system's kernel arguments turn off",
        why: "with `net.ifnames=0` the installed system calls its interfaces eth0, eth1, …, and the settings of the other name find none",
        remedy: "boot the installer with `net.ifnames=0 biosdevname=0` too, and name eth0 here; or remove them from `bootloader --append`",
        source: "pyanaconda/network.py (ifcfg has DEVICE=, HWADDR= only with --bindto=mac); systemd.link, 80-net-setup-link",
        check: interface_renamed,
    },
];

fn text<'a>(command: &'a Command, option: &str) -> Option<&'a str> {
    command.option(option).and_then(|option| option.text())
}

fn static_incomplete(sheet: &Sheet<'_>) -> Vec<Hit> {
    let is_static = |command: &&Command| {
        let off = command.option("onboot").and_then(|option| option.boolean()) == Some(false);
        text(command, "bootproto") == Some("static") && command.option("noipv4").is_none() && !off
    };
    let hits = sheet.document.commands_named("network").filter(is_static).filter_map(|command| {
        match (command.option("ip"), command.option("netmask")) {
            (Some(ip), None) => Some(Hit::at(ip.span, "a static address without `--netmask`")),
            (None, _) if command.option("ipv6").is_none() => {
                Some(Hit::at(command.option("bootproto")?.span, "`--bootproto=static` without `--ip`"))
            }
            _ => None,
        }
    });
    hits.collect()
}

fn address_without_static(sheet: &Sheet<'_>) -> Vec<Hit> {
    let hits = sheet.document.commands_named("network").filter_map(|command| {
        let ip = command.option("ip")?;
        matches!(text(command, "bootproto"), None | Some("dhcp" | "bootp" | "query"))
            .then(|| Hit::at(ip.span, "the address is not used: the interface asks DHCP"))
    });
    hits.collect()
}

fn interface_renamed(sheet: &Sheet<'_>) -> Vec<Hit> {
    let Some((arguments, _)) = kernel_arguments(sheet).filter(|(arguments, _)| arguments.contains(&"net.ifnames=0")) else {
        return vec![];
    };
    let biosdevname = arguments.contains(&"biosdevname=0");
    let is_made = |device: &str| {
        let after = |prefix: &str| device.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        // Names of biosdevname (em1, p1p1) stay unless it is off as well.
        ["eno", "enp", "ens"].iter().any(|prefix| after(prefix)) || (biosdevname && (after("em") || after("p")))
    };
    let hits = sheet.document.commands_named("network").filter(|command| text(command, "bindto") != Some("mac")).filter_map(|command| {
        let device = command.option("device")?;
        let name = device.text().filter(|name| is_made(name))?;
        Some(Hit::at(device.span, format!("{name} will not be there: `bootloader --append` has net.ifnames=0")))
    });
    hits.collect()
}

/// A command of a script that fetches something from the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCall {
    /// Its name, without the directory: `yum`.
    pub program: String,
    /// Its place.
    pub span: Span,
}

/// The commands in the scripts of `document` that fetch something from the network, in order: downloads, and installations with yum that do
/// not choose a repository by name.
pub fn network_calls(document: &Document) -> Vec<NetworkCall> {
    let sheet = Sheet::of(document);
    let commands = sheet.scripts.iter().flat_map(|script| &script.commands).filter(|command| reaches_out(command));
    commands.map(|command| NetworkCall { program: command.name().to_owned(), span: command.span() }).collect()
}

fn reaches_out(command: &Simple) -> bool {
    let has = |words: &[&str]| command.arguments().any(|word| words.contains(&word));
    let remote =
        |word: &str| ["http://", "https://", "ftp://"].iter().any(|scheme| word.contains(scheme)) && !word.contains("://localhost");
    match command.name() {
        "yum" | "dnf" => {
            let chooses = command.arguments().any(|word| word.starts_with("--disablerepo") || word == "-C" || word == "--cacheonly");
            let acts = has(&["install", "update", "upgrade", "groupinstall", "reinstall", "makecache", "distro-sync"]);
            acts && !chooses && !command.arguments().any(|word| word.starts_with('/') || word.starts_with("./"))
        }
        "curl" | "wget" => {
            command.words.len() > 1 && !has(&["--version", "--help"]) && !command.arguments().any(|word| word.starts_with("file:"))
        }
        "rpm" | "git" | "svn" => command.arguments().any(remote),
        "pip" | "pip3" | "easy_install" | "gem" | "npm" => has(&["install"]),
        "subscription-manager" | "rhn_register" | "rhnreg_ks" | "ntpdate" => command.words.len() > 1,
        _ => false,
    }
}

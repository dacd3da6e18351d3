//! Words of other versions: those that were removed before CentOS 7.5, and those that were added after it.
//!
//! For such a word the most similar name that 7.5 knows is seldom what was meant: `mouse` does not mean `mount`. The tables say what to do
//! instead. They compare the command maps and options of pykickstart 1.99.66.18 (handlers FC3 to RHEL 7) and 3.74 (RHEL 8, RHEL 9, Fedora
//! 40).

/// Commands that 7.5 does not know: name, advice.
const COMMANDS: &[(&str, &str)] = &[
    ("authselect", "it came with RHEL 8: write `auth --enableshadow --passalgo=sha512`, or leave it out"),
    ("interactive", "it ended with RHEL 6: leave it out"),
    ("key", "it ended with RHEL 6, and CentOS has no installation key: leave it out"),
    ("langsupport", "it ended with RHEL 5: write `lang LOCALE --addsupport=LOCALE`"),
    ("lilo", "it ended with Fedora 3: write `bootloader`"),
    ("lilocheck", "it ended with Fedora 3: leave it out"),
    ("module", "modules came with RHEL 8: leave it out"),
    ("monitor", "it ended with RHEL 6: leave it out, X finds the monitor itself"),
    ("mouse", "it ended with RHEL 5: leave it out, X finds the mouse itself"),
    ("nvdimm", "it came with CentOS 7.6"),
    ("ostreecontainer", "it came with RHEL 9: 7.5 knows `ostreesetup`"),
    ("bootc", "it came with RHEL 10: 7.5 knows `ostreesetup`"),
    ("rdp", "it came with RHEL 10: write `vnc`"),
    ("rhsm", "it came with RHEL 8: call `subscription-manager register` in a %post"),
    ("syspurpose", "it came with RHEL 8: leave it out"),
    ("timesource", "it came with RHEL 9: write `timezone ZONE --ntpservers=SERVER`"),
    ("zipl", "it came with RHEL 8, for s390x: leave it out"),
];

/// Commands' arguments of other versions: command, argument, advice.
const ARGUMENTS: &[(&str, &str, &str)] = &[("zerombr", "yes", "leave `yes` out: RHEL 5 was the last that had it")];

/// Options that 7.5 does not know: commands by main name (none: all), option, advice.
const OPTIONS: &[(&[&str], &str, &str)] = &[
    (&["reboot"], "--noeject", "leave it out: without `--eject` the medium stays where it is"),
    (&["%packages"], "--excludeWeakdeps", "leave it out: weak dependencies came with RHEL 8"),
    (&["%packages"], "--exclude-weakdeps", "leave it out: weak dependencies came with RHEL 8"),
    (&["%packages"], "--inst-langs", "7.5 writes it `--instLangs`"),
    (&["%packages"], "--exclude-docs", "7.5 writes it `--excludedocs`"),
    (&["%packages"], "--ignorebroken", "it came with RHEL 8: leave it out, `--ignoremissing` is something else"),
    (&["%packages"], "--ignore-broken", "it came with RHEL 8: leave it out, `--ignoremissing` is something else"),
    (&["%packages"], "--ignore-missing", "7.5 writes it `--ignoremissing`"),
    (&["autopart"], "--noboot", "it came with RHEL 8: write `part` lines for a layout without /boot"),
    (&["autopart"], "--noswap", "it came with RHEL 8: write `part` lines for a layout without swap"),
    (&["autopart"], "--hibernation", "it came with Fedora 40: write `part` lines, with `part swap --hibernation`"),
    (&["timezone"], "--ntp-disable", "write `--nontp`"),
    (&["timezone"], "--ntp-server", "write `--ntpservers=`"),
    (&["timezone"], "--nontpservers", "write `--nontp`"),
    (&["bootloader"], "--sdboot", "it came with Fedora 40: 7.5 has GRUB 2 and `--extlinux`"),
    (&["bootloader"], "--lba32", "it ended with RHEL 6: leave it out"),
    (&["bootloader"], "--linear", "it ended with LILO: leave it out"),
    (&["bootloader"], "--nolinear", "it ended with LILO: leave it out"),
    (&["bootloader"], "--useLilo", "LILO ended with Fedora 3: leave it out"),
    (&["bootloader"], "--hvargs", "it ended with RHEL 5: leave it out"),
    (&["text"], "--non-interactive", "it came with RHEL 8: write `cmdline`, which never asks"),
    (&["driverdisk"], "--type", "it ended with RHEL 6: leave it out"),
    (&["firewall"], "--high", "it ended with RHEL 4: write `--enabled`"),
    (&["firewall"], "--medium", "it ended with RHEL 4: write `--enabled`"),
    (&["firewall"], "--telnet", "it ended with RHEL 6: write `--port=23:tcp`"),
    (&["network"], "--ipv4-dns-search", "it came with RHEL 9: write DOMAIN= to the ifcfg file in a %post"),
    (&["network"], "--ipv6-dns-search", "it came with RHEL 9: write DOMAIN= to the ifcfg file in a %post"),
    (&["network"], "--ipv4-ignore-auto-dns", "it came with RHEL 9: write `--nodns`, or PEERDNS=no in a %post"),
    (&["network"], "--ipv6-ignore-auto-dns", "it came with RHEL 9: write IPV6_PEERDNS=no to the ifcfg file in a %post"),
    (&["rootpw"], "--allow-ssh", "it came with RHEL 9: sshd of 7.5 lets root in with a password anyway"),
    (&["partition"], "--start", "it ended with RHEL 6: call parted in a %pre, and use `--onpart=`"),
    (&["partition"], "--end", "it ended with RHEL 6: call parted in a %pre, and use `--onpart=`"),
    (&["partition", "logvol", "raid"], "--bytes-per-inode", "it ended with RHEL 6: write `--mkfsoptions=\"-i BYTES\"`"),
    (&["xconfig"], "--card", "it ended with RHEL 5: leave it out with its value, X finds the card itself"),
    (&["xconfig"], "--monitor", "it ended with RHEL 5: leave it out with its value, X finds the monitor itself"),
    (&["xconfig"], "--hsync", "it ended with RHEL 5: leave it out with its value"),
    (&["xconfig"], "--vsync", "it ended with RHEL 5: leave it out with its value"),
    (&["xconfig"], "--noprobe", "it ended with RHEL 5: leave it out"),
    (&["xconfig"], "--depth", "it ended with RHEL 6: leave it out with its value"),
    (&["xconfig"], "--driver", "it ended with RHEL 6: leave it out with its value"),
    (&["xconfig"], "--resolution", "it ended with RHEL 6: leave it out with its value"),
    (&["xconfig"], "--videoram", "it ended with RHEL 6: leave it out with its value"),
    (&["vnc"], "--connect", "it ended with Fedora 8: write `--host=` and `--port=`"),
    (&["zfcp"], "--scsiid", "it ended with RHEL 6: leave it out"),
    (&["zfcp"], "--scsilun", "it ended with RHEL 6: leave it out"),
    (&["url", "repo"], "--metalink", "it came with RHEL 8: write `--mirrorlist=` or the address of one mirror"),
    (&["url", "repo"], "--sslcacert", "it came with RHEL 8: 7.5 has `--noverifyssl` only"),
    (&["url", "repo"], "--sslclientcert", "it came with RHEL 8"),
    (&["url", "repo"], "--sslclientkey", "it came with RHEL 8"),
    (&["repo"], "--gpgkey", "it is of no version of RHEL: write the .repo file in a %post"),
    (&[], "--luks-version", "it came with RHEL 8: 7.5 makes LUKS 1 only, leave it out"),
    (&[], "--pbkdf", "it came with RHEL 8: leave it out"),
    (&[], "--pbkdf-iterations", "it came with RHEL 8: leave it out"),
    (&[], "--pbkdf-memory", "it came with RHEL 8: leave it out"),
    (&[], "--pbkdf-time", "it came with RHEL 8: leave it out"),
];

/// Texts that a template has and a kickstart does not, at the start of a line or in it.
const TEMPLATE: [&str; 8] = ["<%", "%>", "{{", "}}", "{%", "%}", "$SNIPPET", "$yum_"];

/// What to do about a text that only a template has.
const RENDER: &str = "this is a template: let the program that it is for fill it in, and check what comes out";

/// What to do instead of the command `name`, which 7.5 does not know.
pub(super) fn command(name: &str) -> Option<&'static str> {
    template(name).or_else(|| COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, advice)| *advice))
}

/// What to do instead of `option`, which `command` (its main name) of 7.5 does not know.
pub(super) fn option(command: &str, option: &str) -> Option<&'static str> {
    let is_of = |commands: &[&str]| commands.is_empty() || commands.contains(&command);
    let found = OPTIONS.iter().find(|(commands, known, _)| is_of(commands) && *known == option).map(|(.., advice)| *advice);
    found.or_else(|| template(option))
}

/// What to do instead of the argument `word` of `command`.
pub(super) fn argument(command: &str, word: &str) -> Option<&'static str> {
    let found = ARGUMENTS.iter().find(|(known, argument, _)| *known == command && *argument == word).map(|(.., advice)| *advice);
    found.or_else(|| template(word))
}

/// What to do when `text` is of a template.
pub(super) fn template(text: &str) -> Option<&'static str> {
    TEMPLATE.iter().any(|mark| text.contains(mark)).then_some(RENDER)
}

#[cfg(test)]
mod tests {
    use super::super::dialect::{command as known_command, commands};
    use super::*;

    #[test]
    fn the_tables_speak_of_what_7_5_does_not_know() {
        for (name, _) in COMMANDS {
            assert!(known_command(name).is_none(), "{name}");
        }
        for (names, option, _) in OPTIONS {
            let specs: Vec<_> = commands().filter(|spec| names.is_empty() || names.contains(&spec.names[0])).collect();
            assert!(specs.iter().all(|spec| spec.options.iter().all(|known| !known.names.contains(option))), "{names:?} {option}");
            assert!(names.iter().all(|name| *name == "%packages" || specs.iter().any(|spec| spec.names[0] == *name)));
        }
    }
}

//! The commands about the installed system and about the installation itself.
//!
//! Sources as in [`storage`](super::storage). After 1.99.66 came `reboot --kexec` (.3), `sshkey` and `sshpw --sshkey` (.7),
//! `network --no-activate` (.8), `timezone` without a zone (.9), `network --bindto` (.13) and `firewall --use-system-defaults` (.18).

use super::spec::{Arguments, CommandSpec, Custom, Identity, Kind, OptionSpec, Reading, Rule, flag, integer, list, option, text};

const BOOTLOADER: &[OptionSpec] = &[
    text(&["--append"]),
    option(&["--location"], Kind::Choice(&["mbr", "partition", "none", "boot"])),
    text(&["--password"]),
    text(&["--md5pass"]),
    flag(&["--upgrade"]),
    list(&["--driveorder"]),
    integer(&["--timeout"]),
    text(&["--default"]),
    flag(&["--iscrypted"]),
    text(&["--boot-drive"]),
    flag(&["--leavebootorder"]),
    flag(&["--extlinux"]),
    flag(&["--disabled"]),
    flag(&["--nombr"]),
];

const FIREWALL: &[OptionSpec] = &[
    flag(&["--disabled", "--disable"]),
    flag(&["--enabled", "--enable"]),
    flag(&["--ftp"]),
    flag(&["--http"]),
    flag(&["--smtp"]),
    flag(&["--ssh"]),
    list(&["--port"]),
    text(&["--trust"]),
    list(&["--service"]),
    list(&["--remove-service"]),
    flag(&["--use-system-defaults"]),
];

const NETWORK: &[OptionSpec] = &[
    option(&["--bootproto"], Kind::Choice(&["dhcp", "bootp", "static", "query", "ibft"])),
    text(&["--dhcpclass"]),
    text(&["--device"]),
    text(&["--essid"]),
    text(&["--ethtool"]),
    text(&["--gateway"]),
    text(&["--hostname"]),
    text(&["--ip"]),
    text(&["--mtu"]),
    text(&["--nameserver"]),
    text(&["--netmask"]),
    flag(&["--nodns"]),
    option(&["--onboot"], Kind::Boolean),
    text(&["--wepkey"]),
    flag(&["--notksdevice"]),
    flag(&["--noipv4"]),
    flag(&["--noipv6"]),
    text(&["--ipv6"]),
    flag(&["--activate"]),
    flag(&["--nodefroute"]),
    text(&["--wpakey"]),
    text(&["--bondslaves"]),
    text(&["--bondopts"]),
    text(&["--vlanid"]),
    text(&["--ipv6gateway"]),
    text(&["--teamslaves"]),
    text(&["--teamconfig"]),
    text(&["--interfacename"]),
    text(&["--bridgeslaves"]),
    text(&["--bridgeopts"]),
    flag(&["--no-activate"]),
    option(&["--bindto"], Kind::Choice(&["mac"])),
];

const USER: &[OptionSpec] = &[
    list(&["--groups"]),
    text(&["--homedir"]),
    flag(&["--iscrypted"]),
    text(&["--name"]).required(),
    text(&["--password"]),
    text(&["--shell"]),
    integer(&["--uid"]),
    flag(&["--lock"]),
    flag(&["--plaintext"]),
    text(&["--gecos"]),
    integer(&["--gid"]),
];

const SSHPW: &[OptionSpec] =
    &[text(&["--username"]).required(), flag(&["--iscrypted"]), flag(&["--plaintext"]), flag(&["--lock"]), flag(&["--sshkey"])];

const REALM: &[OptionSpec] = &[
    text(&["--client-software"]),
    text(&["--server-software"]),
    text(&["--membership-software"]),
    text(&["--one-time-password"]),
    flag(&["--no-password"]),
    text(&["--computer-ou"]),
];

/// The rows.
pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec::new(&["authconfig", "auth"], "authconfig.py: FC3_Authconfig", Arguments::Any).reading(Reading::Words),
    CommandSpec::new(&["autostep"], "autostep.py: FC3_AutoStep", Arguments::Ignored).options(&[flag(&["--autoscreenshot"])]),
    CommandSpec::new(&["bootloader"], "bootloader.py: RHEL7_Bootloader", Arguments::Ignored)
        .options(BOOTLOADER)
        .rules(&[Rule::Custom(Custom::Bootloader)]),
    CommandSpec::new(&["text", "cmdline", "graphical"], "displaymode.py: FC3_DisplayMode", Arguments::None),
    CommandSpec::new(&["device"], "device.py: F8_Device", Arguments::One("module name"))
        .options(&[text(&["--opts"])])
        .identity(Identity::Argument),
    CommandSpec::new(&["deviceprobe"], "deviceprobe.py: FC3_DeviceProbe", Arguments::Any).reading(Reading::Words),
    CommandSpec::new(&["driverdisk"], "driverdisk.py: F14_DriverDisk", Arguments::Optional("partition"))
        .options(&[text(&["--source"]), text(&["--biospart"])])
        .rules(&[Rule::NotBoth("source", "biospart"), Rule::Custom(Custom::DriverDisk)]),
    CommandSpec::new(&["eula"], "eula.py: F20_Eula", Arguments::None)
        .options(&[flag(&["--agreed", "--agree", "--accepted", "--accept"])])
        .rules(&[Rule::OneOf(&["agreed"])]),
    CommandSpec::new(&["firewall"], "firewall.py: RHEL7_Firewall", Arguments::None).options(FIREWALL),
    CommandSpec::new(&["firstboot"], "firstboot.py: FC3_Firstboot", Arguments::Ignored).options(&[
        flag(&["--disabled", "--disable"]),
        flag(&["--enabled", "--enable"]),
        flag(&["--reconfig"]),
    ]),
    CommandSpec::new(&["group"], "group.py: F12_Group", Arguments::Ignored)
        .options(&[text(&["--name"]).required(), integer(&["--gid"])])
        .identity(Identity::Options(&["name"])),
    CommandSpec::new(&["install"], "upgrade.py: F11_Upgrade", Arguments::None)
        .options(&[text(&["--root-device"])])
        .rules(&[Rule::Custom(Custom::Install)]),
    CommandSpec::new(&["keyboard"], "keyboard.py: F18_Keyboard", Arguments::Optional("keymap"))
        .options(&[text(&["--vckeymap"]), list(&["--xlayouts"]), list(&["--switch"])])
        .rules(&[Rule::Custom(Custom::Keyboard)]),
    CommandSpec::new(&["lang"], "lang.py: F19_Lang", Arguments::One("locale")).options(&[list(&["--addsupport"])]),
    CommandSpec::new(&["logging"], "logging.py: FC6_Logging", Arguments::Ignored)
        .options(&[
            text(&["--host"]),
            option(&["--level"], Kind::Choice(&["debug", "info", "warning", "error", "critical"])),
            text(&["--port"]),
        ])
        .rules(&[Rule::Needs("port", "host")]),
    CommandSpec::new(&["mediacheck"], "mediacheck.py: FC4_MediaCheck", Arguments::None),
    CommandSpec::new(&["network"], "network.py: RHEL7_Network", Arguments::Ignored)
        .options(NETWORK)
        .rules(&[Rule::Needs("bridgeopts", "bridgeslaves"), Rule::Custom(Custom::Network)])
        .identity(Identity::Options(&["device"])),
    CommandSpec::new(&["realm"], "realm.py: F19_Realm", Arguments::Any).reading(Reading::Words).rules(&[Rule::Custom(Custom::Realm)]),
    CommandSpec::new(&["reboot", "poweroff", "shutdown", "halt"], "reboot.py: RHEL7_Reboot", Arguments::Ignored)
        .options(&[flag(&["--eject"]), flag(&["--kexec"])]),
    CommandSpec::new(&["rescue"], "rescue.py: F10_Rescue", Arguments::Ignored)
        .options(&[flag(&["--nomount"]), flag(&["--romount"])])
        .rules(&[Rule::NotBoth("nomount", "romount")]),
    CommandSpec::new(&["rootpw"], "rootpw.py: F18_RootPw", Arguments::Any)
        .options(&[flag(&["--iscrypted"]), flag(&["--lock"]), flag(&["--plaintext"])])
        .rules(&[Rule::Custom(Custom::RootPassword)]),
    CommandSpec::new(&["selinux"], "selinux.py: FC3_SELinux", Arguments::Ignored).options(&[
        flag(&["--disabled"]),
        flag(&["--enforcing"]),
        flag(&["--permissive"]),
    ]),
    CommandSpec::new(&["services"], "services.py: FC6_Services", Arguments::Ignored)
        .options(&[list(&["--disabled"]), list(&["--enabled"])])
        .rules(&[Rule::Custom(Custom::Services)]),
    CommandSpec::new(&["skipx"], "skipx.py: FC3_SkipX", Arguments::None),
    CommandSpec::new(&["sshkey"], "sshkey.py: F22_SshKey", Arguments::One("public key, quoted"))
        .options(&[text(&["--username"]).required()])
        .identity(Identity::Fatal(&["username"])),
    CommandSpec::new(&["sshpw"], "sshpw.py: F24_SshPw", Arguments::Some("password"))
        .options(SSHPW)
        .identity(Identity::Fatal(&["username"])),
    CommandSpec::new(&["timezone"], "timezone.py: RHEL7_Timezone", Arguments::Optional("time zone"))
        .options(&[flag(&["--isUtc", "--utc"]), flag(&["--nontp"]), list(&["--ntpservers"])])
        .rules(&[Rule::Custom(Custom::Timezone)]),
    CommandSpec::new(&["unsupported_hardware"], "unsupported_hardware.py: RHEL6_UnsupportedHardware", Arguments::None),
    CommandSpec::new(&["updates"], "updates.py: F7_Updates", Arguments::Optional("location")),
    CommandSpec::new(&["upgrade"], "pyanaconda/kickstart.py: Upgrade", Arguments::Any)
        .reading(Reading::Refused("the installer of 7 upgrades nothing: leave it out, and install anew")),
    CommandSpec::new(&["user"], "user.py: F19_User", Arguments::Ignored).options(USER).identity(Identity::Options(&["name"])),
    CommandSpec::new(&["vnc"], "vnc.py: RHEL7_Vnc", Arguments::Ignored)
        .options(&[text(&["--password"]), text(&["--host"]), text(&["--port"])])
        .rules(&[Rule::Custom(Custom::Vnc)]),
    CommandSpec::new(&["xconfig"], "xconfig.py: F14_XConfig", Arguments::None).options(&[
        text(&["--defaultdesktop"]),
        text(&["--server"]),
        flag(&["--startxonboot"]),
    ]),
];

/// The commands of an `%anaconda` section (pyanaconda/kickstart.py: AnacondaSectionHandler; pwpolicy.py; Anaconda 21.48.22.134).
pub(super) const ANACONDA: &[CommandSpec] = &[
    CommandSpec::new(&["pwpolicy"], "pyanaconda/pwpolicy.py: F22_PwPolicy", Arguments::One("policy name")).options(&[
        integer(&["--minlen"]),
        integer(&["--minquality"]),
        flag(&["--strict"]),
        flag(&["--notstrict"]),
        flag(&["--changesok"]),
        flag(&["--nochanges"]),
        flag(&["--emptyok"]),
        flag(&["--notempty"]),
    ]),
    CommandSpec::new(&["installclass"], "pyanaconda/kickstart.py: RHEL7_InstallClass", Arguments::Ignored)
        .options(&[text(&["--name"]).required()]),
];

/// `realm join`, whose options getopt reads.
pub(super) const REALM_JOIN: CommandSpec = CommandSpec::new(&["realm join"], "realm.py: F19_Realm", Arguments::One("realm")).options(REALM);

/// The options behind `%packages` (pykickstart/sections.py: PackageSection).
pub(super) const PACKAGES: CommandSpec = CommandSpec::new(&["%packages"], "sections.py: PackageSection", Arguments::Ignored)
    .options(&[
        flag(&["--excludedocs"]),
        flag(&["--ignoremissing"]),
        option(&["--nobase"], Kind::Deprecated),
        option(&["--ignoredeps"], Kind::Removed),
        option(&["--resolvedeps"], Kind::Removed),
        flag(&["--default"]),
        text(&["--instLangs"]),
        flag(&["--multilib"]),
        flag(&["--nocore"]),
        integer(&["--timeout"]),
        integer(&["--retries"]),
    ])
    .rules(&[Rule::NotBoth("default", "nobase"), Rule::NotBoth("default", "nocore")]);

/// The options of a group's line in `%packages` (pykickstart/parser.py: Packages._processGroup).
pub(super) const PACKAGE_GROUP: CommandSpec = CommandSpec::new(&["@group"], "parser.py: Packages", Arguments::Any)
    .options(&[flag(&["--nodefaults"]), flag(&["--optional"])])
    .rules(&[Rule::NotBoth("nodefaults", "optional")]);

/// The options behind `%pre`, `%pre-install`, `%onerror` and `%traceback` (pykickstart/sections.py: ScriptSection).
pub(super) const SCRIPT: CommandSpec = CommandSpec::new(&["%pre"], "sections.py: ScriptSection", Arguments::Ignored).options(&[
    flag(&["--erroronfail"]),
    text(&["--interpreter"]),
    text(&["--log", "--logfile"]),
]);

/// The options behind `%post` (pykickstart/sections.py: PostScriptSection).
pub(super) const POST: CommandSpec = CommandSpec::new(&["%post"], "sections.py: PostScriptSection", Arguments::Ignored).options(&[
    flag(&["--erroronfail"]),
    text(&["--interpreter"]),
    text(&["--log", "--logfile"]),
    flag(&["--nochroot"]),
]);

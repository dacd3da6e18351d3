//! The commands about disks and about the source of the packages.
//!
//! Each row names the file and class of pykickstart that it follows (the head of `parser` says in which versions). Additions between
//! 1.99.66 and .18 are dated by the changelog of its RPM: `reqpart` (.2), `--mkfsoptions` (.3), `logvol --cache…` (.4), `clearpart --cdl`
//! (.5), `autopart --nohome` and `raid --chunksize` (.11), `snapshot` (.12), `hmc` (.14), `mount` (.15). `nvdimm` came with .19, after 7.5.

use super::spec::{Arguments, CommandSpec, Custom, Identity, Kind, OptionSpec, Reading, Rule, flag, integer, list, option, text};

/// The four commands that make devices must not come after these (`F20_Partition.parse` and its like).
const NOT_AFTER: &[&str] = &["autopart", "mount"];

const RAID_LEVELS: &[&str] = &["raid0", "0", "raid1", "1", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10"];
const BTRFS_LEVELS: &[&str] = &["raid0", "0", "raid1", "1", "raid10", "10", "single"];

const AUTOPART: &[OptionSpec] = &[
    flag(&["--encrypted"]),
    text(&["--passphrase"]),
    text(&["--escrowcert"]),
    flag(&["--backuppassphrase"]),
    flag(&["--nolvm"]),
    option(&["--type"], Kind::Known(&["lvm", "btrfs", "plain", "partition", "thinp"])),
    text(&["--cipher"]),
    text(&["--fstype"]),
    flag(&["--nohome"]),
];

const PARTITION: &[OptionSpec] = &[
    flag(&["--active"]),
    flag(&["--asprimary"]),
    text(&["--fstype", "--type"]),
    flag(&["--grow"]),
    integer(&["--maxsize"]),
    flag(&["--noformat"]),
    text(&["--onbiosdisk"]),
    text(&["--ondisk", "--ondrive"]),
    text(&["--onpart", "--usepart"]),
    flag(&["--recommended"]),
    integer(&["--size"]),
    text(&["--fsoptions"]),
    text(&["--label"]),
    text(&["--fsprofile"]),
    flag(&["--encrypted"]),
    text(&["--passphrase"]),
    text(&["--escrowcert"]),
    flag(&["--backuppassphrase"]),
    flag(&["--resize"]),
    flag(&["--hibernation"]),
    text(&["--cipher"]),
    text(&["--mkfsoptions"]),
];

const RAID: &[OptionSpec] = &[
    text(&["--device"]).required(),
    text(&["--fstype"]),
    option(&["--level"], Kind::Known(RAID_LEVELS)),
    flag(&["--noformat"]),
    integer(&["--spares"]),
    flag(&["--useexisting"]),
    text(&["--fsoptions"]),
    text(&["--fsprofile"]),
    flag(&["--encrypted"]),
    text(&["--passphrase"]),
    text(&["--escrowcert"]),
    flag(&["--backuppassphrase"]),
    text(&["--label"]),
    text(&["--cipher"]),
    text(&["--mkfsoptions"]),
    integer(&["--chunksize"]),
];

const LOGVOL: &[OptionSpec] = &[
    text(&["--fstype"]),
    flag(&["--grow"]),
    integer(&["--maxsize"]),
    text(&["--name"]).required(),
    flag(&["--noformat"]),
    integer(&["--percent"]),
    flag(&["--recommended"]),
    integer(&["--size"]),
    flag(&["--useexisting"]),
    text(&["--vgname"]).required(),
    text(&["--fsoptions"]),
    text(&["--fsprofile"]),
    flag(&["--encrypted"]),
    text(&["--passphrase"]),
    text(&["--escrowcert"]),
    flag(&["--backuppassphrase"]),
    text(&["--label"]),
    flag(&["--resize"]),
    flag(&["--hibernation"]),
    text(&["--cipher"]),
    flag(&["--thinpool"]),
    flag(&["--thin"]),
    text(&["--poolname"]),
    integer(&["--chunksize"]),
    integer(&["--metadatasize"]),
    text(&["--profile"]),
    integer(&["--cachesize"]),
    text(&["--cachemode"]),
    list(&["--cachepvs"]),
    text(&["--mkfsoptions"]),
];

const BTRFS: &[OptionSpec] = &[
    flag(&["--noformat"]),
    flag(&["--useexisting"]),
    text(&["--label"]),
    option(&["--data"], Kind::Known(BTRFS_LEVELS)),
    option(&["--metadata"], Kind::Known(BTRFS_LEVELS)),
    flag(&["--subvol"]),
    text(&["--parent"]),
    text(&["--name"]),
    text(&["--mkfsoptions"]),
];

const CLEARPART: &[OptionSpec] = &[
    flag(&["--all"]),
    list(&["--drives"]),
    flag(&["--initlabel"]),
    flag(&["--linux"]),
    flag(&["--none"]),
    list(&["--list"]),
    text(&["--disklabel"]),
    flag(&["--cdl"]),
];

const ISCSI: &[OptionSpec] = &[
    text(&["--target"]),
    text(&["--ipaddr"]).required(),
    text(&["--port"]),
    text(&["--user"]),
    text(&["--password"]),
    text(&["--reverse-user"]),
    text(&["--reverse-password"]),
    text(&["--iface"]),
];

const REPO: &[OptionSpec] = &[
    text(&["--name"]).required(),
    text(&["--baseurl"]),
    text(&["--mirrorlist"]),
    integer(&["--cost"]),
    list(&["--excludepkgs"]),
    list(&["--includepkgs"]),
    option(&["--ignoregroups"], Kind::Boolean),
    text(&["--proxy"]),
    flag(&["--noverifyssl"]),
    flag(&["--install"]),
];

/// The rows.
pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec::new(&["autopart"], "autopart.py: RHEL7_AutoPart", Arguments::None)
        .options(AUTOPART)
        .rules(&[Rule::Custom(Custom::AutoPart)])
        .conflicts(&["partition", "raid", "volgroup", "logvol", "reqpart", "mount"]),
    CommandSpec::new(&["partition", "part"], "partition.py: RHEL7_Partition", Arguments::One("mount point"))
        .options(PARTITION)
        .rules(&[
            Rule::Needs("resize", "onpart"),
            Rule::Needs("resize", "size"),
            Rule::NotBoth("mkfsoptions", "noformat"),
            Rule::NotBoth("mkfsoptions", "fsprofile"),
            Rule::Custom(Custom::Partition),
        ])
        .conflicts(NOT_AFTER)
        .identity(Identity::Argument),
    CommandSpec::new(&["raid"], "raid.py: RHEL7_Raid", Arguments::Some("mount point"))
        .options(RAID)
        .rules(&[Rule::NotBoth("mkfsoptions", "noformat"), Rule::NotBoth("mkfsoptions", "fsprofile"), Rule::Custom(Custom::Raid)])
        .conflicts(NOT_AFTER)
        .identity(Identity::Options(&["device"])),
    CommandSpec::new(&["volgroup"], "volgroup.py: RHEL7_VolGroup", Arguments::Some("volume group's name"))
        .options(&[
            flag(&["--noformat"]),
            integer(&["--pesize"]),
            flag(&["--useexisting"]),
            integer(&["--reserved-space"]),
            integer(&["--reserved-percent"]),
        ])
        .rules(&[Rule::Custom(Custom::VolumeGroup)])
        .conflicts(NOT_AFTER)
        .identity(Identity::Argument),
    CommandSpec::new(&["logvol"], "logvol.py: RHEL7_LogVol", Arguments::Some("mount point"))
        .options(LOGVOL)
        .rules(&[
            Rule::Needs("resize", "size"),
            Rule::NotBoth("thin", "thinpool"),
            Rule::Needs("thin", "poolname"),
            Rule::AnyNeeds(&["chunksize", "metadatasize"], "thinpool"),
            Rule::NotBoth("size", "percent"),
            Rule::NotBoth("mkfsoptions", "noformat"),
            Rule::NotBoth("mkfsoptions", "fsprofile"),
            Rule::Custom(Custom::LogicalVolume),
        ])
        .conflicts(NOT_AFTER)
        .identity(Identity::Options(&["vgname", "name"])),
    CommandSpec::new(&["btrfs"], "btrfs.py: RHEL7_BTRFS", Arguments::Some("mount point"))
        .options(BTRFS)
        .rules(&[
            Rule::NotBoth("mkfsoptions", "noformat"),
            Rule::NotBoth("mkfsoptions", "useexisting"),
            Rule::Needs("subvol", "name"),
            Rule::Custom(Custom::Btrfs),
        ])
        .identity(Identity::Argument),
    CommandSpec::new(&["reqpart"], "reqpart.py: RHEL7_ReqPart", Arguments::Ignored)
        .options(&[flag(&["--add-boot"])])
        .conflicts(&["autopart", "mount"]),
    CommandSpec::new(&["mount"], "mount.py: RHEL7_Mount", Arguments::Two("device and mount point"))
        .options(&[text(&["--reformat"]), text(&["--mkfsoptions"]), text(&["--mountoptions"])])
        .rules(&[Rule::Custom(Custom::Mount)])
        .conflicts(&["autopart", "partition", "raid", "volgroup", "logvol", "reqpart"]),
    CommandSpec::new(&["clearpart"], "clearpart.py: RHEL7_ClearPart", Arguments::Ignored).options(CLEARPART),
    CommandSpec::new(&["ignoredisk"], "ignoredisk.py: F14_IgnoreDisk", Arguments::Ignored)
        .options(&[list(&["--drives"]), list(&["--only-use"]), flag(&["--interactive"])])
        .rules(&[Rule::Custom(Custom::IgnoreDisk)]),
    CommandSpec::new(&["zerombr"], "zerombr.py: F9_ZeroMbr", Arguments::None),
    CommandSpec::new(&["snapshot"], "snapshot.py: RHEL7_Snapshot", Arguments::One("origin, VG/LV"))
        .options(&[text(&["--name"]).required(), option(&["--when"], Kind::Known(&["post-install", "pre-install"])).required()])
        .rules(&[Rule::Custom(Custom::Snapshot)]),
    CommandSpec::new(&["dmraid"], "dmraid.py: FC6_DmRaid", Arguments::Ignored)
        .options(&[text(&["--name"]).required(), text(&["--dev"]).required()])
        .identity(Identity::Options(&["name", "dev"])),
    CommandSpec::new(&["multipath"], "multipath.py: FC6_MultiPath", Arguments::Ignored)
        .options(&[text(&["--name"]).required(), text(&["--device"]).required(), text(&["--rule"]).required()])
        .rules(&[Rule::Custom(Custom::Multipath)]),
    CommandSpec::new(&["fcoe"], "fcoe.py: RHEL7_Fcoe", Arguments::None)
        .options(&[text(&["--nic"]).required(), flag(&["--dcb"]), flag(&["--autovlan"])])
        .identity(Identity::Options(&["nic"])),
    CommandSpec::new(&["iscsi"], "iscsi.py: F17_Iscsi", Arguments::None).options(ISCSI),
    CommandSpec::new(&["iscsiname"], "iscsiname.py: FC6_IscsiName", Arguments::One("IQN")),
    CommandSpec::new(&["zfcp"], "zfcp.py: F14_ZFCP", Arguments::Ignored)
        .options(&[text(&["--devnum"]).required(), text(&["--fcplun"]).required(), text(&["--wwpn"]).required()])
        .identity(Identity::Fatal(&["devnum", "fcplun", "wwpn"])),
    CommandSpec::new(&["cdrom"], "cdrom.py: FC3_Cdrom", Arguments::None),
    CommandSpec::new(&["hmc"], "hmc.py: RHEL7_Hmc", Arguments::None),
    CommandSpec::new(&["harddrive"], "harddrive.py: FC3_HardDrive", Arguments::Ignored)
        .options(&[text(&["--biospart"]), text(&["--partition"]), text(&["--dir"]).required()])
        .rules(&[Rule::Custom(Custom::HardDrive)]),
    CommandSpec::new(&["nfs"], "nfs.py: FC6_NFS", Arguments::Ignored).options(&[
        text(&["--server"]).required(),
        text(&["--dir"]).required(),
        text(&["--opts"]),
    ]),
    CommandSpec::new(&["url"], "url.py: F18_Url", Arguments::Ignored)
        .options(&[text(&["--url"]), text(&["--mirrorlist"]), text(&["--proxy"]), flag(&["--noverifyssl"])])
        .rules(&[Rule::Custom(Custom::Url)]),
    CommandSpec::new(&["liveimg"], "liveimg.py: F19_Liveimg", Arguments::Ignored).options(&[
        text(&["--url"]).required(),
        text(&["--proxy"]),
        flag(&["--noverifyssl"]),
        text(&["--checksum"]),
    ]),
    CommandSpec::new(&["ostreesetup"], "ostreesetup.py: RHEL7_OSTreeSetup", Arguments::Ignored)
        .options(&[
            text(&["--osname"]).required(),
            text(&["--remote"]),
            text(&["--url"]).required(),
            text(&["--ref"]).required(),
            flag(&["--nogpg"]),
        ])
        .rules(&[Rule::Custom(Custom::OstreeSetup)]),
    CommandSpec::new(&["repo"], "repo.py: RHEL7_Repo", Arguments::None)
        .options(REPO)
        .rules(&[Rule::NotBoth("baseurl", "mirrorlist")])
        .identity(Identity::Options(&["name"])),
    CommandSpec::new(&["method"], "method.py: RHEL7_Method", Arguments::Any).reading(Reading::Broken),
];

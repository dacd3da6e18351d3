//! The effects of the scripts in the installed system: `%pre` and `%post` as rendered, and sealing, run for real in a [`Sandbox`].

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use goldsmith::base::account::Owner;
use goldsmith::base::image_path::ImagePath;
use goldsmith::installer::address::lines;
use goldsmith::installer::anaconda::NONCE_FILE;
use goldsmith::installer::hostname::{UNNAMED, hosts};
use goldsmith::recipe::{Content, Distribution, FileEntry, Media, Network, Recipe, Selinux};
use goldsmith::stages::SEALING;

use super::sandbox::Sandbox;
use crate::kickstart_cases::own;
use crate::kickstart_cases::recipes::lab;
use crate::kickstart_cases::render;
use crate::kickstart_cases::scripts::script;

/// The section that makes the settings.
fn configuring(recipe: &Recipe) -> String {
    script(&render(recipe).unwrap(), "%post --erroronfail", "generic_initramfs")
}

fn configured() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(&configuring(&lab()));
    sandbox
}

fn sealed() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(SEALING);
    sandbox
}

/// The index of the last call with this beginning.
#[track_caller]
fn place(calls: &[String], begins: &str) -> usize {
    calls.iter().rposition(|call| call.starts_with(begins)).unwrap_or_else(|| panic!("no `{begins}` in {calls:#?}"))
}

#[test]
fn parameters_are_files_that_the_boot_reads_after_the_zeros_of_the_distribution() {
    let sandbox = configured();
    let files: Vec<_> = sandbox.path("etc/sysctl.d").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // Files are read in the order of their base names, in all directories, and the last one wins. An administrator's /etc/sysctl.conf is
    // read as 99-sysctl.conf, and overrides goldsmith's file.
    assert!(files.len() == 1 && files[0] > *"00-system.conf" && files[0] < *"99-sysctl.conf", "{files:?}");
    let text = sandbox.read(&format!("etc/sysctl.d/{}", files[0].display()));
    for key in lab().kernel.sysctl.keys() {
        assert!(text.contains(&format!("{key} = 1\n")), "{text}");
    }
    assert!(sandbox.calls().iter().all(|call| !call.starts_with("sysctl")), "{:?}", sandbox.calls());
    // systemd-sysctl runs after systemd-modules-load. Without the module the keys of the bridge would not exist.
    let [modules] = &sandbox.path("etc/modules-load.d").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..]
    else {
        panic!("not one file of modules")
    };
    assert_eq!(std::fs::read_to_string(modules).unwrap(), "br_netfilter\n");
    assert!(modules.extension().is_some_and(|extension| extension == "conf"));
}

#[test]
fn yum_reaches_the_local_repositories_only() {
    let calls = configured().calls();
    let yum: Vec<_> = calls.iter().filter(|call| call.starts_with("yum ")).collect();
    assert_eq!(yum, ["yum -y --disablerepo=* --enablerepo=kubernetes upgrade"]);
    let mut none = lab();
    none.repositories.clear();
    let sandbox = Sandbox::new();
    sandbox.run(&configuring(&none));
    assert!(!sandbox.calls().iter().any(|call| call.starts_with("yum")), "nothing can be reached, and {:?}", sandbox.calls());
    assert_eq!(sandbox.read("etc/yum.repos.d/CentOS-Base.repo"), "[base]\nenabled=0\nmirrorlist=http://mirrorlist.centos.org/\n");
}

#[test]
fn each_kernel_gets_an_initramfs_for_any_machine_an_upgrades_too() {
    let sandbox = Sandbox::new();
    sandbox.fake("yum", "mkdir -p /lib/modules/3.10.0-1160.el7.x86_64; : > /boot/vmlinuz-3.10.0-1160.el7.x86_64");
    sandbox.write("boot/vmlinuz-0-rescue-0123456789abcdef", "");
    sandbox.fake("dracut", "cat /etc/dracut.conf.d/*.conf >> /calls");
    sandbox.run(&configuring(&lab()));
    let calls = sandbox.calls();
    for kernel in ["3.10.0-862.el7.x86_64", "3.10.0-1160.el7.x86_64"] {
        let made = place(&calls, &format!("dracut --force /boot/initramfs-{kernel}.img {kernel}"));
        assert!(made > place(&calls, "yum "), "{calls:#?}");
        assert_eq!(calls[made + 1..made + 3], ["hostonly=\"no\"", "early_microcode=\"no\""]);
        for driver in ["virtio_blk", "virtio_scsi", "virtio_pci", "virtio_net", "virtio_console"] {
            assert!(
                calls[made + 3].starts_with("add_drivers+=\" ") && calls[made + 3].contains(&format!(" {driver} ")),
                "{}",
                calls[made + 3]
            );
        }
    }
    assert_eq!(calls.iter().filter(|call| call.starts_with("dracut ")).count(), 2, "a rescue image has no modules of its own");
    // uname would print the installer's kernel.
    assert!(!calls.iter().any(|call| call.starts_with("uname")), "{calls:#?}");
}

#[test]
fn a_unit_that_cannot_be_enabled_ends_the_installation() {
    let sandbox = Sandbox::new();
    sandbox.fake("systemctl", "[ \"$1 $2\" != 'enable docker' ]");
    assert!(!sandbox.run_in("/", &configuring(&lab())).status.success());
    assert!(sandbox.port().ends_with("fail enabling docker: exit status 1\n"), "{}", sandbox.port());
}

#[test]
fn pre_waits_for_its_volume_and_powers_off_without_it() {
    let pre = script(&render(&lab()).unwrap(), "%pre", "check_nonce");
    let sandbox = || {
        let sandbox = Sandbox::new();
        sandbox.write(NONCE_FILE.trim_start_matches('/'), "n0\n");
        sandbox.fake("mount", "[ -e /dev/disk/by-label/GOLDSMITH ]");
        sandbox
    };
    let late = sandbox();
    late.write("run/goldsmith/volume/kubernetes/repodata/repomd.xml", "");
    late.fake("udevadm", "[ $(grep -c udevadm /calls) -lt 3 ] || mkdir -p /dev/disk/by-label/GOLDSMITH");
    late.run(&pre);
    assert!(place(&late.calls(), "mount ") > place(&late.calls(), "udevadm "), "{:?}", late.calls());

    let never = sandbox();
    assert!(!never.run_in("/", &pre).status.success());
    assert_eq!(never.calls().last().unwrap(), "systemctl --no-wall poweroff --force --force");
    assert!(never.port().contains("fail mounting the volume GOLDSMITH"), "{}", never.port());
}

#[test]
fn the_machine_id_is_emptied_and_stays() {
    assert_eq!(sealed().read("etc/machine-id"), "");
}

#[test]
fn keys_seeds_and_names_of_the_machine_go_and_nothing_else() {
    let sandbox = sealed();
    for gone in [
        "etc/ssh/ssh_host_ed25519_key",
        "var/lib/systemd/random-seed",
        "var/lib/rsyslog/imjournal.state",
        "var/lib/yum/uuid",
        "var/log/anaconda/program.log",
        "root/anaconda-ks.cfg",
        "tmp/ks-script-x",
    ] {
        assert!(!sandbox.has(gone), "{gone}");
    }
    assert_eq!((sandbox.read("etc/ssh/sshd_config"), sandbox.read("root/.ssh/authorized_keys")), ("c".into(), "k".into()));
    assert_eq!(sandbox.read("var/log/messages"), "", "the file stays, empty");
    assert_eq!(sandbox.read("etc/sysconfig/qemu-ga"), "BLACKLIST_RPC=guest-exec\n", "the agent's rules are the vendor's");
}

#[test]
fn an_interface_is_not_bound_to_the_builds_card() {
    let name = "etc/sysconfig/network-scripts/ifcfg-eth0";
    let sandbox = Sandbox::new();
    let inode = || sandbox.path(name).metadata().unwrap().ino();
    let before = inode();
    sandbox.run(SEALING);
    assert_eq!(sandbox.read(name), "DEVICE=eth0\nUUID=u\nONBOOT=yes\n");
    assert_eq!(inode(), before, "another file would be without its label");

    // dracut 033-502 writes the card's hardware address and not its name.
    let dir = "etc/sysconfig/network-scripts";
    for (name, profile, sealed) in [
        ("eth0", "HWADDR=\"52:54:00:12:34:56\"\nTYPE=Ethernet\nNETBOOT=yes\n", "TYPE=Ethernet\nDEVICE=eth0\n"),
        ("eth1.20", "  HWADDR=52:54:00:12:34:56\nVLAN=yes\n", "VLAN=yes\nDEVICE=eth1.20\n"),
        ("eth2", " DEVICE=lan2\nHWADDR=52:54:00:12:34:56\n", " DEVICE=lan2\n"),
        ("Wired_connection", "HWADDR=52:54:00:12:34:56\nTYPE=Ethernet\n", "TYPE=Ethernet\n"),
        ("of a person", "HWADDR=52:54:00:12:34:56\nTYPE=Ethernet\n", "TYPE=Ethernet\n"),
        ("lo", "DEVICE=lo\nIPADDR=127.0.0.1\n", "DEVICE=lo\nIPADDR=127.0.0.1\n"),
        ("any", "TYPE=Ethernet\nONBOOT=yes\n", "TYPE=Ethernet\nONBOOT=yes\n"),
    ] {
        // An image that is based on a sealed one is sealed twice.
        for script in [SEALING, &[SEALING, SEALING].concat()] {
            let sandbox = Sandbox::new();
            sandbox.write(&format!("{dir}/ifcfg-{name}"), profile);
            sandbox.run(script);
            assert_eq!(sandbox.read(&format!("{dir}/ifcfg-{name}")), sealed, "{name}");
        }
    }
}

/// The name that the postinst of open-iscsi 2.1.8 wrote is replaced so that its startup-checks.sh makes a new one. A name that an
/// administrator wrote stays.
#[test]
fn the_iscsi_initiator_gets_a_name_of_its_own() {
    let packaged = "## DO NOT EDIT OR REMOVE THIS FILE!\nInitiatorName=iqn.1993-08.org.debian:01:5bc1\n";
    let checks = "if grep -q \"^GenerateName=yes\" $NAMEFILE ; then\n";
    for (checks, name, sealed) in [
        (Some(checks), packaged, "GenerateName=yes\n"),
        (Some(checks), "InitiatorName=iqn.2020-01.example:me\n", "InitiatorName=iqn.2020-01.example:me\n"),
        (None, packaged, packaged),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("etc/iscsi/initiatorname.iscsi", name);
        if let Some(checks) = checks {
            sandbox.write("usr/lib/open-iscsi/startup-checks.sh", checks);
        }
        sandbox.run(SEALING);
        assert_eq!(sandbox.read("etc/iscsi/initiatorname.iscsi"), sealed, "{name}");
    }
}

/// Files of /etc before sealing, what sealing reads, and the files after it. On EL7 the machine's name is not in hosts(5).
#[test]
fn the_name_that_systems_are_made_under_becomes_the_recipes() {
    let debian = hosts(UNNAMED);
    let el7 = "127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4\n";
    let cases: [(&str, &str, &str, &str); 12] = [
        ("node\nnode\n", "etc/hostname", "unnamed-image\n", "node\n"),
        ("localhost\n\n", "etc/hostname", "unnamed-image\n", "localhost\n"),
        ("node\nnode\n", "etc/hosts", &debian, &hosts("node")),
        ("node.lab\nnode.lab node\n", "etc/hosts", &debian, &hosts("node.lab")),
        ("localhost\n\n", "etc/hosts", &debian, &hosts("localhost")),
        ("node\nnode\n", "etc/hosts", el7, el7),
        // Lines that a step has added, with the build's host name and with one that it knew.
        ("node.lab\nnode.lab node\n", "etc/hosts", "10.0.2.15 unnamed-image x\n\n", "10.0.2.15 node.lab x\n\n"),
        ("node\nnode\n", "etc/hosts", "172.16.51.35 node\n127.0.1.1 \n", "172.16.51.35 node\n127.0.1.1 \n"),
        ("node\nnode\n", "etc/hostname", "of-a-step\n", "of-a-step\n"),
        ("node\nnode\n", "etc/postfix/sub dir/main.cf", "myhostname = unnamed-image.UNKNOWN", "myhostname = node.UNKNOWN"),
        ("node\nnode\n", "var/cache/debconf/config.dat", "Value: unnamed-image\n", "Value: node\n"),
        // This file is not text.
        ("node\nnode\n", "etc/aliases.db", "unnamed-image\0", "unnamed-image\0"),
    ];
    for (names, path, before, after) in cases {
        let sandbox = Sandbox::new();
        sandbox.write("task/names", names);
        sandbox.write(path, before);
        let inode = |sandbox: &Sandbox| sandbox.path(path).metadata().unwrap().ino();
        let same = inode(&sandbox);
        let output = sandbox.run_in("/task", SEALING);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(sandbox.read(path), after, "{names:?} {path}");
        assert_eq!(inode(&sandbox), same, "{path}: another file would have another label");
    }
    // With the user's own kickstart, sealing does not change the name.
    let sandbox = Sandbox::new();
    sandbox.write("etc/hostname", "unnamed-image\n");
    sandbox.run(SEALING);
    assert_eq!(sandbox.read("etc/hostname"), "unnamed-image\n");
}

/// The file of `eth0` after sealing, which reads `address` when there is one.
fn addressed(path: &str, text: &str, address: Option<&str>) -> String {
    let sandbox = Sandbox::new();
    if let Some(address) = address {
        sandbox.write("task/address", address);
    }
    sandbox.write("task/here", "");
    sandbox.write(path, text);
    let inode = |sandbox: &Sandbox| sandbox.path(path).metadata().unwrap().ino();
    let same = inode(&sandbox);
    let output = sandbox.run_in("/task", SEALING);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(inode(&sandbox), same, "{path}: another file would have another label");
    sandbox.read(path)
}

const IFCFG: &str = "etc/sysconfig/network-scripts/ifcfg-eth0";
const INTERFACES: &str = "etc/network/interfaces";

/// Addresses, each with the texts of Debian's interfaces and of EL7's ifcfg-eth0 when the installer sets it. The latter are the lines that
/// dracut 033-502 and NetworkManager 1.10.2 write for a static address, without IPv6, in addition to those for every address.
fn installed_with() -> [(Network, &'static str, &'static str); 3] {
    let fixed = |gateway: Option<&str>, dns: &[&str]| Network::Static {
        address: "172.16.51.35".parse().unwrap(),
        prefix: 20,
        gateway: gateway.map(|text| text.parse().unwrap()),
        dns: dns.iter().map(|text| text.parse().unwrap()).collect(),
    };
    [
        (
            fixed(None, &[]),
            "iface eth0 inet static\n    address 172.16.51.35/20\n",
            "IPV6INIT=\"no\"\nBOOTPROTO=\"none\"\nIPADDR=\"172.16.51.35\"\nNETMASK=\"255.255.240.0\"\nPREFIX=\"20\"\n",
        ),
        (
            fixed(Some("172.16.51.2"), &["172.16.51.3", "192.0.2.1"]),
            "iface eth0 inet static\n    address 172.16.51.35/20\n    gateway 172.16.51.2\n",
            "IPV6INIT=\"no\"\nBOOTPROTO=\"none\"\nIPADDR=\"172.16.51.35\"\nNETMASK=\"255.255.240.0\"\nGATEWAY=\"172.16.51.2\"\n\
             DNS1=\"172.16.51.3\"\nDNS2=\"192.0.2.1\"\nPREFIX=\"20\"\n",
        ),
        (
            Network::Dhcp,
            "iface eth0 inet dhcp\n",
            "IPV6INIT=\"yes\"\nBOOTPROTO=\"dhcp\"\nIPV6_AUTOCONF=\"yes\"\nIPV6_DEFROUTE=\"yes\"\nIPV6_FAILURE_FATAL=\"no\"\n",
        ),
    ]
}

/// All systems are made with DHCP. Sealing turns that into the files that an installer with the fixed address would write.
#[test]
fn a_system_that_was_made_with_dhcp_has_the_recipes_address_as_if_it_had_been_installed_with_it() {
    let loopback = "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\n";
    let ifcfg = |of_address: &str| {
        format!(
            "# Generated by dracut initrd\nNAME=\"eth0\"\nHWADDR=\"52:54:00:12:34:56\"\nONBOOT=\"yes\"\nNETBOOT=\"yes\"\nUUID=\"u\"\n{of_address}\
             TYPE=\"Ethernet\"\nPROXY_METHOD=\"none\"\nBROWSER_ONLY=\"no\"\nDEFROUTE=\"yes\"\nIPV4_FAILURE_FATAL=\"no\"\n"
        )
    };
    let [.., (_, debian_dhcp, el7_dhcp)] = installed_with();
    for (network, debian, el7) in installed_with() {
        let mut recipe = lab();
        recipe.system.network = network.clone();
        let sealed = addressed(IFCFG, &ifcfg(el7_dhcp), lines(&recipe).as_deref());
        let before = addressed(IFCFG, &ifcfg(el7), None);
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&sealed), sorted(&before), "{network:?}");
        recipe.media = Media::Deploy { distribution: Distribution::Debian, suite: "bookworm".into() };
        let sealed = addressed(INTERFACES, &format!("{loopback}{debian_dhcp}"), lines(&recipe).as_deref());
        assert_eq!(sealed, format!("{loopback}{debian}"), "{network:?}");
    }
}

#[test]
fn an_address_that_a_step_wrote_stays() {
    let (el7, debian) = ("BOOTPROTO=\"none\"\nIPADDR=\"192.0.2.10\"\n", "iface eth0 inet static\n    address 192.0.2.10/24\n");
    for (path, address, text, sealed) in [
        (IFCFG, el7, "BOOTPROTO=static\nIPADDR=192.0.2.1\nIPV6INIT=yes\n", "BOOTPROTO=static\nIPADDR=192.0.2.1\nIPV6INIT=yes\n"),
        (IFCFG, el7, "BOOTPROTO=dhcp\nMTU=1400\nIPADDR=192.0.2.1\n", &format!("{el7}MTU=1400\nIPADDR=192.0.2.1\n")),
        (IFCFG, el7, "BOOTPROTO=dhcp\nIPV6_PRIVACY=no\nIPV6INIT=yes\n", &format!("{el7}IPV6_PRIVACY=no\n")),
        (INTERFACES, debian, "iface eth0 inet manual\n", "iface eth0 inet manual\n"),
        (INTERFACES, debian, "iface eth0 inet dhcp\n    mtu 1400\n", &format!("{debian}    mtu 1400\n")),
        (INTERFACES, debian, "iface eth01 inet dhcp\niface eth0 inet6 auto\n", "iface eth01 inet dhcp\niface eth0 inet6 auto\n"),
    ] {
        assert_eq!(addressed(path, text, Some(address)), sealed, "{text}");
    }
    // When the recipe writes the file, or the kickstart is the user's, sealing gets no address.
    assert!(lines(&lab()).is_some());
    let mut recipe = lab();
    recipe.files.push(FileEntry {
        path: ImagePath::made(format!("/{IFCFG}")),
        mode: 0o644,
        owner: Owner::root(),
        content: Content::Inline { text: "BOOTPROTO=dhcp\n".into() },
    });
    assert_eq!(lines(&recipe), None);
    assert_eq!(lines(&own::recipe(own::THEIRS.as_bytes(), true)), None);
}

#[test]
fn the_builds_name_servers_go_and_the_recipes_come() {
    assert_eq!(sealed().read("etc/resolv.conf"), "");
    // Debian's systemd-resolved leaves a link to a file that exists only while it runs.
    for leads_to_a_service in [false, true] {
        let sandbox = Sandbox::new();
        sandbox.write("task/resolv.conf", "nameserver 10.0.0.2\n");
        if leads_to_a_service {
            fs::remove_file(sandbox.path("etc/resolv.conf")).unwrap();
            symlink("../run/systemd/resolve/stub-resolv.conf", sandbox.path("etc/resolv.conf")).unwrap();
        }
        let output = sandbox.run_in("/task", SEALING);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(sandbox.read("etc/resolv.conf"), "nameserver 10.0.0.2\n");
        assert_eq!(sandbox.path("etc/resolv.conf").symlink_metadata().unwrap().mode(), 0o100_644);
    }
}

#[test]
fn labels_are_set_after_the_last_file_is_written_unless_selinux_is_off() {
    let contexts = "/etc/selinux/targeted/contexts/files/file_contexts";
    for (mode, said, labelled) in
        [(Selinux::Enforcing, "enforcing", true), (Selinux::Permissive, "permissive", true), (Selinux::Disabled, "disabled", false)]
    {
        let mut recipe = lab();
        recipe.system.selinux = mode;
        recipe.system.network = Network::Dhcp;
        for (script, call, written) in [
            (configuring(&recipe), format!("setfiles -F -e /proc -e /sys -e /dev -e /run {contexts} / /boot"), "1"),
            (SEALING.to_owned(), format!("setfiles {contexts} /"), "0"),
        ] {
            let sandbox = Sandbox::new();
            sandbox.write("etc/selinux/config", &format!("# SELINUX= can take one of these\nSELINUX={said}\nSELINUXTYPE=targeted \n"));
            // This shows whether the files are written before setfiles runs.
            sandbox.fake("setfiles", "grep -c HWADDR /etc/sysconfig/network-scripts/ifcfg-eth0 >> /calls || true");
            sandbox.run(&script);
            let calls = sandbox.calls();
            assert_eq!(calls.contains(&call), labelled, "{said}: {calls:#?}");
            if labelled {
                let [said, after @ ..] = &calls[place(&calls, "setfiles ") + 1..] else { panic!("{calls:#?}") };
                assert_eq!(said, written);
                assert!(after.iter().all(|call| call == "sync"), "{after:?}");
            }
        }
    }
}

#[test]
fn the_nonce_is_told_and_the_copies_of_the_scripts_go() {
    let sandbox = Sandbox::new();
    sandbox.write(NONCE_FILE.trim_start_matches('/'), "n0\n");
    sandbox.run(&format!("ANA_INSTALL_PATH=/\n{}", script(&render(&lab()).unwrap(), "%post --nochroot --erroronfail", "finish")));
    assert_eq!(sandbox.port(), "step finishing\nok n0\n");
    assert!(!sandbox.has("tmp/ks-script-x"));
}

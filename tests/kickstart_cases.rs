//! Kickstarts as text: golden files, the lab's settings line by line, comparison with ksvalidator, refusals.

mod hostile;
pub mod own;
pub mod recipes;
mod sarif;
pub mod scripts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use goldsmith::base::failure::Failure as _;
use goldsmith::base::host_name::HostName;
use goldsmith::base::package::PackageName;
use goldsmith::base::repository_id::RepositoryId;
use goldsmith::base::size::ByteSize;
use goldsmith::installer::anaconda::{self, AnacondaError, NONCE_FILE};
use goldsmith::kickstart::{lint, parse};
use goldsmith::recipe::{Distribution, Media, Network, Recipe, Repository};

use recipes::{lab, variants};

/// The change of a recipe by a test.
type Change = fn(&mut Recipe);

pub fn render(recipe: &Recipe) -> Result<String, AnacondaError> {
    anaconda::kickstart(recipe).map(|text| String::from_utf8(text).unwrap())
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kickstart").join(format!("{name}.ks"))
}

#[test]
fn rendered_kickstarts_are_the_golden_files() {
    for (name, recipe) in variants() {
        let text = render(&recipe).unwrap();
        let path = golden(name);
        if std::env::var_os("REGENERATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(text == expected, "{} differs; REGENERATE=1 rewrites it, the diff is the review", path.display());
        assert!(text.is_ascii(), "{name}: Python 2 reads this");
        assert!(!text.contains("secret"), "{name} shows a password");
    }
}

/// A rendered kickstart has the recipe's host name and address. The installer of a build sets others, and nothing else in the kickstart
/// differs.
#[test]
fn the_installer_is_told_a_name_and_an_address_that_no_recipe_changes() {
    let brought = ("own", own::recipe(own::THEIRS.as_bytes(), true));
    for (name, mut recipe) in variants().into_iter().chain([brought]) {
        let own = recipe.own_kickstart().is_some();
        let installed = |recipe: &Recipe| String::from_utf8(anaconda::Answers::of(recipe).unwrap().unsealed).unwrap();
        let (shown, given) = (render(&recipe).unwrap(), installed(&recipe));
        let without_interfaces = |text: &str| {
            let Some((before, rest)) = text.split_once("%post --erroronfail\nset -eu\ncat > /etc/sysconfig/network-scripts/") else {
                return text.to_owned();
            };
            format!("{before}{}", rest.split_once("\n%end\n\n").unwrap().1)
        };
        assert_eq!(without_interfaces(&shown) == shown, recipe.interfaces.is_empty(), "{name}");
        let split = |text: &str| text.lines().map(str::to_owned).partition::<Vec<_>, _>(|line| line.starts_with("network "));
        let ((_, shown_rest), (network, rest)) = (split(&without_interfaces(&shown)), split(&given));
        assert_eq!(rest, shown_rest, "{name}");
        if !own {
            let expected = ["network --bootproto=dhcp --device=eth0 --onboot=yes --activate", "network --hostname=unnamed-image"];
            assert_eq!(network, expected, "{name}");
        }
        recipe.system.hostname = HostName::made("node");
        assert_eq!(installed(&recipe), given, "{name}");
        assert_eq!(render(&recipe).unwrap() == shown, own, "{name}");
        let shown = render(&recipe).unwrap();
        recipe.system.network = Network::Static { address: "192.0.2.10".parse().unwrap(), prefix: 24, gateway: None, dns: Vec::new() };
        assert_eq!(installed(&recipe), given, "{name}");
        assert_eq!(render(&recipe).unwrap() == shown, own, "{name}");
    }
}

/// The validator of pykickstart 3.78: `$KSVALIDATOR`, else one below target/, made once.
pub fn ksvalidator() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("KSVALIDATOR") {
        Some(path) => path.into(),
        None => python_tool("pykickstart", &["pykickstart==3.78"]).join("ksvalidator"),
    })
}

/// The programs of a Python environment with `packages` below target/tools. It is made when it does not exist. ci/test makes the same.
pub fn python_tool(name: &str, packages: &[&str]) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools").join(name);
    let made = dir.join("requirements");
    let wanted = packages.join(" ") + "\n";
    if fs::read_to_string(&made).ok().as_deref() != Some(&wanted) {
        ok(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir));
        ok(Command::new(dir.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(packages));
        fs::write(&made, wanted).unwrap();
    }
    dir.join("bin")
}

/// Run a command, which must succeed, or show its output.
fn ok(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, said(&output.stdout), said(&output.stderr));
    output
}

/// The exit code and output of ksvalidator for a kickstart for RHEL 7.
fn validate(text: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ks.cfg");
    fs::write(&path, text).unwrap();
    let output = Command::new(ksvalidator()).args(["-v", "RHEL7"]).arg(&path).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn ksvalidator_accepts_every_kickstart_and_can_refuse() {
    for (name, recipe) in variants() {
        let (code, said) = validate(&render(&recipe).unwrap());
        assert_eq!(code, Some(0), "{name}: {said}");
        // ksvalidator warns with status 0.
        assert!(said.lines().all(|line| line.is_empty() || line.starts_with("Checking kickstart file")), "{name}: {said}");
    }
    let text = render(&lab()).unwrap();
    assert_eq!(validate(&text.replace("cdrom\n", "cdrom --fast\n")).0, Some(1));
}

#[test]
fn no_lint_fires_on_what_is_rendered() {
    for (name, recipe) in variants() {
        let document = parse(name, &render(&recipe).unwrap(), &|_: &str, _: &str| None);
        let said: Vec<_> = lint(&document).into_iter().map(|found| (found.lint.id, found.message, found.place)).collect();
        assert!(said.is_empty(), "{name}: {said:?}");
    }
    let text = render(&lab()).unwrap().replace("poweroff\n", "halt\n");
    assert_eq!(lint(&parse("lab", &text, &|_: &str, _: &str| None)).len(), 1);
}

#[test]
fn each_setting_of_the_lab_has_its_line() {
    let text = render(&lab()).unwrap();
    for (setting, line) in [
        ("the installation asks nothing", "cmdline"),
        ("CentOS from its medium", "cdrom"),
        ("locale", "lang en_US.UTF-8"),
        ("keyboard", "keyboard --vckeymap=us --xlayouts=us"),
        ("time zone", "timezone Asia/Shanghai --isUtc --nontp"),
        ("SELinux off", "selinux --disabled"),
        ("firewalld off", "firewall --disabled"),
        (
            "host name and address",
            "network --bootproto=static --device=eth0 --ip=172.16.51.35 --netmask=255.255.255.0 --noipv6 --hostname=master \
             --onboot=yes --activate",
        ),
        ("only the system disk is touched", "ignoredisk --only-use=vda"),
        ("GPT", "clearpart --all --initlabel --disklabel=gpt --drives=vda"),
        ("GRUB's partition", "part biosboot --fstype=biosboot --size=1 --ondisk=vda"),
        ("root filesystem", "part / --fstype=ext4 --label=root --size=2560 --grow --ondisk=vda"),
        (
            "same interface name at every boot, login on the serial line",
            "bootloader --location=mbr --boot-drive=vda --timeout=1 \
             --append='console=tty0 console=ttyS0,115200 net.ifnames=0 biosdevname=0'",
        ),
        ("the offline repository, for the installer", "repo --name=kubernetes --baseurl=file:///run/goldsmith/volume/kubernetes --cost=10"),
        ("… is on the volume", "expect_repository kubernetes"),
        ("… goes to /root/Docker", "copy_repository kubernetes /root/Docker"),
        ("… is in local.repo", "put /etc/yum.repos.d/local.repo 0644 root:root text <<'END'"),
        ("… under its id", "|[kubernetes]"),
        ("… by path", "|baseurl=file:///root/Docker"),
        ("… switched on", "|enabled=1"),
        ("… unsigned", "|gpgcheck=0"),
        ("dead mirrors off", "disable_stock_repositories"),
        (
            "yum upgrade",
            "upgrade kubernetes yum-utils device-mapper-persistent-data lvm2 docker-ce-18.09.6 docker-ce-cli-18.09.6 containerd.io",
        ),
        ("package", "yum-utils"),
        ("package", "device-mapper-persistent-data"),
        ("package", "lvm2"),
        ("Docker, its version", "docker-ce-18.09.6"),
        ("Docker's client, its version", "docker-ce-cli-18.09.6"),
        ("containerd", "containerd.io"),
        ("no memory for kdump", "%addon com_redhat_kdump --disable"),
        ("… and no kexec", "-kexec-tools"),
        ("bridge filter at boot", "put /etc/modules-load.d/goldsmith.conf 0644 root:root text <<'END'"),
        ("… the module", "|br_netfilter"),
        ("sysctls at boot", "put /etc/sysctl.d/99-goldsmith.conf 0644 root:root text <<'END'"),
        ("forwarding", "|net.ipv4.ip_forward = 1"),
        ("bridge, IPv4", "|net.bridge.bridge-nf-call-iptables = 1"),
        ("bridge, IPv6", "|net.bridge.bridge-nf-call-ip6tables = 1"),
        ("Docker at boot", "services --enabled=docker"),
        ("… or no image", "enable_units docker"),
        ("boots elsewhere", "generic_initramfs"),
        ("no password yet: sealing sets it", "rootpw --lock"),
        ("ends by itself", "poweroff"),
    ] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{setting}: `{line}`\n{text}");
    }
    assert!(text.ends_with("finish\n%end\n"), "success is said last");
}

#[test]
fn the_installers_kernel_is_told_where_everything_is() {
    let arguments = anaconda::kernel_arguments(r"CentOS\x207\x20x86_64");
    let words: Vec<_> = arguments.split(' ').collect();
    for word in
        ["inst.ks=file:/ks.cfg", r"inst.stage2=hd:LABEL=CentOS\x207\x20x86_64", "inst.cmdline", "rd.shell=0", "rd.emergency=poweroff"]
    {
        assert!(words.contains(&word), "{word}");
    }
    assert!(!words.contains(&""), "{arguments}");
    assert!(NONCE_FILE.ends_with("cfg") && NONCE_FILE.rfind('/') == Some(0), "the initramfs hands on /*cfg only");
}

#[test]
fn what_cannot_be_installed_is_refused_with_its_field() {
    let cases: [(&str, Change); 7] = [
        ("media.installer", |r| {
            r.media = Media::Deploy { distribution: Distribution::Debian, suite: "bookworm".into() };
        }),
        ("disk.grow", |r| r.disk.grow = true),
        ("disk.size", |r| r.disk.size = ByteSize::gib(1)),
        ("packages.exclude", |r| r.packages.exclude = vec![PackageName::made("lvm2")]),
        ("repository `base`", |r| r.repositories[0].id = RepositoryId::made("base")),
        ("repository `kubernetes`", |r| r.repositories[0].kept.as_mut().unwrap().file = "CentOS-Base.repo".into()),
        ("repository `KUBERNETES`", |r| {
            let twin = Repository { id: RepositoryId::made("KUBERNETES"), ..r.repositories[0].clone() };
            r.repositories.push(twin);
        }),
    ];
    for (field, change) in cases {
        let mut recipe = lab();
        change(&mut recipe);
        let error = render(&recipe).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{field}: ")), "{field}: {error}");
        assert!(error.remedy().is_some(), "{field}");
    }
}

#[test]
fn the_shipped_recipes_render_the_lab_without_their_media() {
    for (recipe, name) in
        [("centos-7.5-docker", "lab"), ("centos-7.5-docker-online", "online"), ("centos-7.5-kubernetes-node", "kubernetes-node")]
    {
        let output = crate::fixture::goldsmith(&["kickstart", "render", recipe]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(golden(name)).unwrap());
    }
}

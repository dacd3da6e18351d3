//! The scripts of the kickstarts, run for real in a directory in place of the machine.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use goldsmith::installer::anaconda::{NONCE_FILE, REPORT_PORT};
use goldsmith::kickstart::SECTION_MARKS;

use super::recipes::{lab, variants};
use super::render;

/// The preparation of the machine by a test.
type Prepare = fn(&Scratch);

/// A section's header and script.
pub fn sections(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if SECTION_MARKS.iter().any(|mark| line.split(' ').next() == Some(mark)) {
            let script: String = lines.by_ref().take_while(|line| *line != "%end").map(|line| format!("{line}\n")).collect();
            found.push((line.to_owned(), script));
        }
    }
    found
}

pub fn script(text: &str, header: &str, call: &str) -> String {
    let fits = |(found, script): &(String, String)| found == header && script.lines().any(|line| line.starts_with(call));
    sections(text).into_iter().find(fits).unwrap_or_else(|| panic!("no {header} with {call}")).1
}

#[test]
fn every_script_is_shell() {
    for (name, recipe) in variants() {
        for (header, script) in sections(&render(&recipe).unwrap()) {
            if header.starts_with("%p") && header != "%packages" {
                for shell in ["bash", "dash"] {
                    let mut child = Command::new(shell).args(["-n", "/dev/stdin"]).stdin(Stdio::piped()).spawn().unwrap();
                    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
                    assert!(child.wait().unwrap().success(), "{name}: {header} in {shell}");
                }
            }
        }
    }
}

/// A directory in place of the machine: `root/` is the installed system, `bin/` has commands that only record their calls.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        for dir in ["bin", "root/etc/yum.repos.d", "root/boot", "root/lib/modules/3.10.0-862.el7.x86_64", "volume", "root/tmp"] {
            fs::create_dir_all(scratch.path(dir)).unwrap();
        }
        for image in ["vmlinuz-3.10.0-862.el7.x86_64", "vmlinuz-0-rescue-0123"] {
            fs::write(scratch.path("root/boot").join(image), "").unwrap();
        }
        fs::write(scratch.path("root/etc/centos-release"), "CentOS Linux release 7.5.1804 (Core) \n").unwrap();
        fs::write(scratch.path("root/etc/yum.repos.d/CentOS-Base.repo"), CENTOS_BASE).unwrap();
        fs::write(scratch.path("nonce"), "0123abcd\n").unwrap();
        for name in [
            "chown",
            "dracut",
            "groupadd",
            "mount",
            "setfiles",
            "sleep",
            "sync",
            "systemctl",
            "udevadm",
            "update-ca-trust",
            "usermod",
            "visudo",
            "yum",
        ] {
            scratch.command(name, "");
        }
        // passwd(5) of any user, and no group; `rpm -q` knows Docker's packages.
        scratch.command("getent", "[ \"$1\" = passwd ] && echo \"$2:x:0:0::/home/$2:/bin/bash\"");
        scratch.command(
            "rpm",
            "for last; do :; done; case $last in docker-ce-cli-*) echo docker-ce-cli ;; docker-ce-*) echo docker-ce ;; lvm2) echo lvm2 ;; *) exit 1 ;; esac",
        );
        scratch
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{body}\n", self.path("calls").display())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Run a section by a plain POSIX shell.
    pub fn run(&self, script: &str) -> Output {
        self.run_by(&["dash"], script)
    }

    /// Run a section with the machine's paths replaced by those of the directory.
    fn run_by(&self, shell: &[&str], script: &str) -> Output {
        let here = |name: &str| self.path(name).display().to_string();
        let script = script
            .replace(&format!("/dev/virtio-ports/{REPORT_PORT}"), &here("port"))
            .replace("target=''", &format!("target='{}'", here("root")))
            .replace("/run/goldsmith/volume", &here("volume"))
            .replace(NONCE_FILE, &here("nonce"));
        fs::write(self.path("port"), "").unwrap();
        fs::write(self.path("calls"), "").unwrap();
        fs::write(self.path("script"), script).unwrap();
        Command::new(shell[0])
            .args(&shell[1..])
            .arg(self.path("script"))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", here("bin")))
            .env("ANA_INSTALL_PATH", self.path("root"))
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }
}

/// The relevant parts of the file in centos-release 7: the enabled sections have no `enabled` line.
const CENTOS_BASE: &str = "[base]
name=CentOS-$releasever - Base
mirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=os&infra=$infra
#baseurl=http://mirror.centos.org/centos/$releasever/os/$basearch/
gpgcheck=1

[centosplus]
name=CentOS-$releasever - Plus
mirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=centosplus&infra=$infra
#baseurl=http://mirror.centos.org/centos/$releasever/centosplus/$basearch/
gpgcheck=1
enabled=0
";

#[test]
fn the_lab_is_configured_in_a_scratch_root() {
    the_lab_is_configured_by(&["dash"]);
    // /bin/sh of EL7 is bash in this mode.
    the_lab_is_configured_by(&["bash", "--posix"]);
}

fn the_lab_is_configured_by(shell: &[&str]) {
    let scratch = Scratch::new();
    let text = render(&lab()).unwrap();
    let output = scratch.run_by(shell, &script(&text, "%post --erroronfail", "generic_initramfs"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (path, content) in [
        ("root/etc/yum.repos.d/local.repo", "[kubernetes]\nname=kubernetes\nbaseurl=file:///root/Docker\nenabled=1\ngpgcheck=0\n"),
        (
            "root/etc/sysctl.d/99-goldsmith.conf",
            "net.bridge.bridge-nf-call-ip6tables = 1\nnet.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n",
        ),
        ("root/etc/modules-load.d/goldsmith.conf", "br_netfilter\n"),
        (
            "root/etc/dracut.conf.d/90-goldsmith.conf",
            "hostonly=\"no\"\nearly_microcode=\"no\"\nadd_drivers+=\" virtio_blk virtio_scsi virtio_pci virtio_net virtio_console \"\n",
        ),
    ] {
        assert_eq!(scratch.read(path), content, "{path}");
        assert_eq!(scratch.mode(path), 0o644, "{path}");
    }
    let base = scratch.read("root/etc/yum.repos.d/CentOS-Base.repo");
    assert_eq!((base.matches("enabled=0").count(), base.matches("enabled=").count(), base.matches("]\nenabled=0\n").count()), (2, 2, 2));

    let calls = scratch.read("calls");
    let kernel = "3.10.0-862.el7.x86_64";
    for call in [
        "yum -y --disablerepo=* --enablerepo=kubernetes --exclude=docker-ce --exclude=docker-ce-cli upgrade".to_owned(),
        "systemctl enable docker".to_owned(),
        format!("dracut --force {}/boot/initramfs-{kernel}.img {kernel}", scratch.path("root").display()),
    ] {
        assert!(calls.lines().any(|line| line == call), "{call}\n{calls}");
    }
    assert_eq!(calls.matches("dracut ").count(), 1, "the rescue image has no modules");
    let port = scratch.read("port");
    assert!(port.lines().all(|line| line.starts_with("step ")), "{port}");
}

#[test]
fn users_files_and_the_vault_in_a_scratch_root() {
    let scratch = Scratch::new();
    let (_, recipe) = variants().pop().unwrap();
    let text = render(&recipe).unwrap();
    let output = scratch.run(&script(&text, "%post --erroronfail", "generic_initramfs"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in &recipe.files {
        let path = format!("root{}", file.path);
        assert_eq!(fs::read(scratch.path(&path)).unwrap(), file.content.bytes(), "{path}");
        assert_eq!(scratch.mode(&path), file.mode, "{path}");
    }
    let keys = "root/home/bob/.ssh/authorized_keys";
    assert_eq!(scratch.read(keys), recipe.users[0].account.ssh_keys.iter().map(|key| format!("{key}\n")).collect::<String>());
    assert_eq!((scratch.mode(keys), scratch.mode("root/home/bob/.ssh")), (0o600, 0o700));
    assert!(!scratch.path("root/home/guest").exists());
    assert_eq!(scratch.read("root/etc/sudoers.d/90-goldsmith"), "bob ALL=(ALL) NOPASSWD: ALL\n");
    assert_eq!(scratch.mode("root/etc/sudoers.d/90-goldsmith"), 0o440);

    let base = scratch.read("root/etc/yum.repos.d/CentOS-Base.repo");
    assert!(base.contains("\nbaseurl=http://vault.centos.org/7.5.1804/os/$basearch/\n"), "{base}");
    assert!(!base.contains("\nmirrorlist=") && base.matches("enabled=").count() == 1, "{base}");
    let calls = scratch.read("calls");
    for call in [
        "groupadd --gid 1500 makers",
        "groupadd --system metrics",
        "usermod -a -G docker bob",
        "usermod -a -G makers bob",
        "update-ca-trust extract",
        "systemctl enable hello.timer",
        "systemctl disable rpcbind.socket",
    ] {
        assert!(calls.lines().any(|line| line == call), "{call}\n{calls}");
    }
}

#[test]
fn a_failing_step_is_named_on_the_port() {
    let text = render(&lab()).unwrap();
    let configure = script(&text, "%post --erroronfail", "generic_initramfs");
    for (command, body, said) in [
        ("systemctl", "exit 1", "fail enabling docker: exit status 1\n"),
        ("yum", "exit 7", "fail upgrading from the local repositories: exit status 7\n"),
        ("dracut", "exit 1", "fail making the initramfs of 3.10.0-862.el7.x86_64: exit status 1\n"),
    ] {
        let scratch = Scratch::new();
        scratch.command(command, body);
        assert!(!scratch.run(&configure).status.success(), "{command}");
        assert!(scratch.read("port").ends_with(said), "{}", scratch.read("port"));
    }
    let scratch = Scratch::new();
    fs::remove_dir_all(scratch.path("root/boot")).unwrap();
    assert!(!scratch.run(&configure).status.success());
    assert!(scratch.read("port").ends_with("there is no kernel in /boot\n"), "{}", scratch.read("port"));
}

#[test]
fn pre_mounts_or_reports_and_powers_off() {
    let pre = script(&render(&lab()).unwrap(), "%pre", "check_nonce");
    let cases: [(&str, Prepare); 4] = [
        ("", |s| {
            fs::create_dir_all(s.path("volume/kubernetes/repodata")).unwrap();
            fs::write(s.path("volume/kubernetes/repodata/repomd.xml"), "").unwrap();
        }),
        ("fail mounting the volume GOLDSMITH: there is no volume GOLDSMITH\n", |s| s.command("mount", "exit 32")),
        ("fail looking for the repository kubernetes: it has no repodata/repomd.xml\n", |_| {}),
        ("did not come over from the initramfs\n", |s| fs::remove_file(s.path("nonce")).unwrap()),
    ];
    for (said, prepare) in cases {
        let scratch = Scratch::new();
        prepare(&scratch);
        let output = scratch.run(&pre);
        assert_eq!(output.status.success(), said.is_empty(), "{said}");
        let off = scratch.read("calls").contains("systemctl --no-wall poweroff --force --force");
        assert_eq!(off, !said.is_empty(), "{said}");
        assert!(scratch.read("port").ends_with(said), "{said}\n{}", scratch.read("port"));
    }
}

#[test]
fn the_repository_is_copied_and_success_is_said_with_the_nonce() {
    let scratch = Scratch::new();
    let text = render(&lab()).unwrap();
    fs::create_dir_all(scratch.path("volume/kubernetes/repodata")).unwrap();
    fs::write(scratch.path("volume/kubernetes/repodata/repomd.xml"), "<x/>").unwrap();
    assert!(scratch.run(&script(&text, "%post --nochroot --erroronfail", "copy_repository ")).status.success());
    assert_eq!(scratch.read("root/root/Docker/repodata/repomd.xml"), "<x/>");

    fs::write(scratch.path("root/tmp/ks-script-x1"), "all the recipe's files").unwrap();
    let finish = script(&text, "%post --nochroot --erroronfail", "finish");
    assert!(scratch.run(&finish).status.success());
    assert_eq!(scratch.read("port"), "step finishing\nok 0123abcd\n");
    assert!(!scratch.path("root/tmp/ks-script-x1").exists());

    fs::remove_file(scratch.path("nonce")).unwrap();
    assert!(!scratch.run(&finish).status.success());
    assert!(!scratch.read("port").contains("ok"), "without its nonce there is no success");
}

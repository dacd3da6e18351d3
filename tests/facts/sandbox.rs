//! A directory in place of an installed EL7 system. Its scripts run in it for real: as root of a separate namespace, in a chroot, with
//! commands that only record their calls. Nothing of the host can be written from there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The chroot has the host's programs, read-only, and /dev/null. After `exec chroot` the rest of the host cannot be reached.
const ENTER: &str = r#"
mount --make-rprivate /
for dir in /usr/bin /usr/sbin /usr/lib64 /usr/lib/*-linux-gnu; do
    [ -d "$dir" ] || continue
    mkdir -p "$1$dir"
    mount --bind "$dir" "$1$dir"
    mount -o remount,bind,ro "$1$dir"
done
for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$1/$dir"; done
mkdir "$1/dev" "$1/dev/virtio-ports"
: > "$1/dev/null"
mount --bind /dev/null "$1/dev/null"
: > "$1/dev/virtio-ports/org.goldsmith.runner.0"
exec chroot "$1" /usr/bin/env -i PATH=/fakes:/usr/bin:/usr/sbin:/bin:/sbin /bin/sh -c 'cd "$1" && exec /bin/sh /script' - "$2"
"#;

pub struct Sandbox(tempfile::TempDir);

impl Sandbox {
    /// A system with one kernel and SELinux enforcing.
    pub fn new() -> Self {
        let sandbox = Self(tempfile::tempdir().unwrap());
        for (path, text) in [
            ("etc/centos-release", "CentOS Linux release 7.5.1804 (Core) \n"),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("etc/resolv.conf", "nameserver 10.0.2.3\n"),
            ("etc/selinux/config", "# c\nSELINUX=enforcing\nSELINUXTYPE=targeted \n"),
            ("etc/ssh/ssh_host_ed25519_key", "secret"),
            ("etc/ssh/sshd_config", "c"),
            ("etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nHWADDR=52:54:00:12:34:56\nUUID=u\nONBOOT=yes\n"),
            ("etc/sysconfig/qemu-ga", "BLACKLIST_RPC=guest-exec\n"),
            ("etc/yum.repos.d/CentOS-Base.repo", "[base]\nmirrorlist=http://mirrorlist.centos.org/\n"),
            ("var/lib/systemd/random-seed", "seed"),
            ("var/lib/rsyslog/imjournal.state", "s"),
            ("var/lib/yum/uuid", "u"),
            ("var/log/anaconda/program.log", "l"),
            ("var/log/messages", "m"),
            ("root/anaconda-ks.cfg", "rootpw"),
            ("root/.ssh/authorized_keys", "k"),
            ("tmp/ks-script-x", "s"),
            ("calls", ""),
        ] {
            sandbox.write(path, text);
        }
        sandbox.kernel("3.10.0-862.el7.x86_64");
        for name in ["chown", "dracut", "groupadd", "setfiles", "sleep", "sync", "systemctl"] {
            sandbox.fake(name, "");
        }
        for name in ["getent", "mount", "rpm", "udevadm", "uname", "usermod", "visudo", "yum"] {
            sandbox.fake(name, "");
        }
        // No name of a package is one without a version.
        sandbox.fake("rpm", "exit 1");
        sandbox
    }

    pub fn kernel(&self, version: &str) {
        self.write(&format!("boot/vmlinuz-{version}"), "");
        self.write(&format!("usr/lib/modules/{version}/modules.dep"), "");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// A command that records its call, then does `body`.
    pub fn fake(&self, name: &str, body: &str) {
        self.write(&format!("fakes/{name}"), &format!("#!/bin/sh\necho \"{name} $*\" >> /calls\n{body}\n"));
        fs::set_permissions(self.path("fakes").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The calls of the commands, in order.
    pub fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(|call| call.trim_end().to_owned()).collect()
    }

    /// The text on goldsmith's port.
    pub fn port(&self) -> String {
        self.read("dev/virtio-ports/org.goldsmith.runner.0")
    }

    /// Run `script`, once, in the directory `dir` of the system.
    pub fn run_in(&self, dir: &str, script: &str) -> Output {
        self.write("script", script);
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--", "sh", "-euc", ENTER, "-"])
            .arg(self.0.path())
            .arg(dir)
            .output()
            .unwrap()
    }

    /// Run `script`, which must succeed, or show its output.
    #[track_caller]
    pub fn run(&self, script: &str) {
        let output = self.run_in("/", script);
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn nothing_of_the_host_can_be_written() {
    let before = fs::read("/etc/machine-id").ok();
    let sandbox = Sandbox::new();
    sandbox.run("! (: > /usr/bin/goldsmith-was-here) 2> /dev/null\n[ ! -e /proc/1 ]\n: > /etc/machine-id\n");
    assert_eq!((sandbox.read("etc/machine-id"), fs::read("/etc/machine-id").ok()), (String::new(), before));
    assert!(!sandbox.run_in("/", "exit 3").status.success());
    assert!(!Sandbox::new().run_in("/nowhere", "true").status.success());
}

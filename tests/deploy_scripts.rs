//! The script that applies a recipe's settings to a Debian tree, run for real: as root of a namespace, in a chroot with this machine's
//! programs, which are Debian's.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use goldsmith::base::digest::Sha256Digest;
use goldsmith::installer::deploy::{self, FilesystemIds};
use goldsmith::installer::hostname::UNNAMED;
use goldsmith::recipe;
use goldsmith::stages::TREE;

use super::deploy_cases::NoHost;

/// The chroot has the host's programs, read-only. The tree's documentation hides that of the host. After `chroot` the rest of the host
/// cannot be reached.
const ENTER: &str = r#"
mount --make-rprivate /
mkdir -p "$1/usr" "$1/dev" "$1/proc"
mount --rbind /usr "$1/usr"
mount -o remount,bind,ro "$1/usr"
for dir in doc man info lintian locale; do
    [ -d "$1/usr/share/$dir" ] || continue
    mount -t tmpfs none "$1/usr/share/$dir"
    [ ! -d "$1/documentation/$dir" ] || cp -a "$1/documentation/$dir/." "$1/usr/share/$dir"
done
mount -t tmpfs none "$1/usr/local"
for dir in bin sbin lib lib64; do [ -e "$1/$dir" ] || ln -s "usr/$dir" "$1/$dir"; done
: > "$1/dev/null"
mount --bind /dev/null "$1/dev/null"
enter() { chroot "$1" /usr/bin/env -i PATH=/fakes:/usr/sbin:/usr/bin LC_ALL=C /bin/sh -c "$2"; }
status=0
enter "$1" 'exec /bin/sh /goldsmith/apply.sh' || status=$?
enter "$1" "$2"
exit $status
"#;

/// Apply `recipe` with `overrides` to a tree, then run `look` in it. Returns the standard output of both.
fn apply(overrides: &[&str], look: &str) -> (Output, String) {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let recipe = recipe::load("debian-12-docker", &overrides, &NoHost).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let tree = deploy::tree(&recipe, &FilesystemIds::derive(Sha256Digest::of(b"a test")));
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("goldsmith/apply.sh", tree.script.as_bytes());
    for (index, file) in tree.files.iter().enumerate() {
        write(&format!("goldsmith/files/{index}"), file.content.bytes());
    }
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nbackup:x:34:34:backup:/var/backups:/usr/sbin/nologin\n"),
        ("etc/group", "root:x:0:\nadm:x:4:\nbackup:x:34:\nusers:x:100:\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\nbackup:*:19000:0:99999:7:::\n"),
        ("etc/gshadow", "root:*::\nadm:*::\nbackup:*::\nusers:*::\n"),
        ("etc/login.defs", "UID_MIN 1000\nGID_MIN 1000\nUSERGROUPS_ENAB yes\nUMASK 022\n"),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n"),
        ("etc/locale.gen", "# en_US.UTF-8 UTF-8\n# de_DE.UTF-8 UTF-8\n"),
        ("etc/skel/.profile", ""),
        ("root/.profile", ""),
        ("home/.keep", ""),
        ("documentation/doc/tool/copyright", ""),
        ("documentation/doc/tool/changelog.gz", ""),
        ("documentation/doc/tool/examples/copyright/one", ""),
        ("documentation/man/man1/tool.1.gz", ""),
        ("documentation/man/de/man1/tool.1.gz", ""),
        ("documentation/locale/locale.alias", ""),
        ("documentation/locale/en/LC_MESSAGES/tool.mo", ""),
        ("documentation/locale/en@quot/LC_MESSAGES/tool.mo", ""),
        ("documentation/locale/en_GB/LC_MESSAGES/tool.mo", ""),
        ("documentation/locale/eno/LC_MESSAGES/tool.mo", ""),
        ("documentation/locale/zh_CN/LC_MESSAGES/tool.mo", ""),
        ("srv/.keep", ""),
        ("tmp/.keep", ""),
        ("etc/ca-certificates.conf", ""),
        ("etc/ssl/certs/.keep", ""),
        ("etc/systemd/system/docker.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"),
    ] {
        write(path, text.as_bytes());
    }
    // Compiling a locale takes seconds, and writes below /usr.
    write("fakes/locale-gen", b"#!/bin/sh\ncat /etc/locale.gen\n");
    let mut permissions = fs::metadata(dir.path().join("fakes/locale-gen")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(dir.path().join("fakes/locale-gen"), permissions).unwrap();
    let output = enter(dir.path(), look);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user", "--map-auto"]);
    }
    unshare
}

fn enter(tree: &Path, look: &str) -> Output {
    unshare().args(["--mount", "--", "sh", "-euc", ENTER, "-"]).arg(tree).arg(look).output().unwrap()
}

#[test]
fn an_authority_is_in_the_systems_bundle() {
    let pem = include_str!("data/lab-ca.pem");
    let authority = format!("certificate_authority=[{{name=\"lab\", content={pem:?}}}]");
    let (output, said) = apply(&[&authority], "cat /etc/ssl/certs/ca-certificates.crt");
    assert!(output.status.success() && said.contains(pem), "{said}");
    let (_, said) = apply(&[], "cat /etc/ssl/certs/ca-certificates.crt || echo none");
    assert!(said.ends_with("none\n") || said.contains("\nnone\n"), "{said}");
}

/// groupadd(8) of the tree makes them, and a group that a package has made is taken if it has the wanted id.
#[test]
fn groups_are_made_before_the_users_that_are_in_them() {
    let groups = r#"group=[{name="makers", gid=1500}, {name="metrics", system=true}, {name="users", gid=100}, {name="adm"}]"#;
    let user = r#"user=[{name="ada", groups=["makers", "metrics"], ssh_keys=[]}]"#;
    let (output, said) = apply(&[groups, user], "grep -E '^(makers|metrics|users|adm):' /etc/group");
    assert!(output.status.success(), "{said}");
    let line = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {said}")).to_owned();
    assert_eq!((line("makers:"), line("users:"), line("adm:")), ("makers:x:1500:ada".into(), "users:x:100:".into(), "adm:x:4:".into()));
    let metrics: Vec<String> = line("metrics:").split(':').map(str::to_owned).collect();
    assert!(metrics[2].parse::<u32>().unwrap() < 1000 && metrics[3] == "ada", "{said}");
    let (output, said) = apply(&[r#"group=[{name="adm", gid=1500}]"#], "true");
    assert!(
        !output.status.success() && said.contains("fail adding the group adm: the system has a group of that name with the id 4"),
        "{said}"
    );
}

#[test]
fn files_have_their_owners_and_modes() {
    let overrides = [
        r#"user=[{name="ada", password_env="ROOT_PASSWORD", uid=1500}]"#,
        r#"file=[{path="/srv/tools/deep/tool", mode="4755", owner="root:adm", content="x"},
            {path="/srv/set-group", mode="2750", owner="backup:adm", content="x"},
            {path="/home/ada/.config/deep er/app.toml", mode="0600", owner="ada:ada", content="x"},
            {path="/home/ada/bin/run", mode="6755", owner="ada:adm", content="x"},
            {path="/home/ada/notes/of-root", mode="0644", content="x"},
            {path="/home/nobody-there/x", content="x"},
            {path="/root/.config/x", content="x"}]"#,
    ];
    let look = "cd / && stat -c '%04a %U:%G %n' srv/tools srv/tools/deep srv/tools/deep/tool srv/set-group home/ada home/ada/.config \
        'home/ada/.config/deep er' 'home/ada/.config/deep er/app.toml' home/ada/bin home/ada/bin/run home/ada/notes home/ada/notes/of-root \
        home/nobody-there root/.config";
    let (output, said) = apply(&overrides, look);
    assert!(output.status.success(), "{said}");
    for line in [
        "0755 root:root srv/tools",
        "0755 root:root srv/tools/deep",
        "4755 root:adm srv/tools/deep/tool",
        "2750 backup:adm srv/set-group",
        "0755 ada:ada home/ada/.config",
        "0755 ada:ada home/ada/.config/deep er",
        "0600 ada:ada home/ada/.config/deep er/app.toml",
        "0755 ada:ada home/ada/bin",
        "6755 ada:adm home/ada/bin/run",
        "0755 ada:ada home/ada/notes",
        "0644 root:root home/ada/notes/of-root",
        "0755 root:root home/nobody-there",
        "0755 root:root root/.config",
    ] {
        assert!(said.lines().any(|found| found == line), "no `{line}` in\n{said}");
    }
}

#[test]
fn what_is_set_is_there() {
    let overrides = [
        r#"user=[{name="ada", password_env="ROOT_PASSWORD", groups=["adm"], ssh_keys=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1 a b"]}]"#,
    ];
    let look = "cd /; readlink etc/localtime; cat etc/locale.gen; cut -d : -f 1 etc/passwd; grep adm: etc/group; \
        stat -c '%a %U %n' home/ada/.ssh home/ada/.ssh/authorized_keys; cat home/ada/.ssh/authorized_keys; \
        cut -c 1-6 etc/shadow; ls etc/systemd/system/multi-user.target.wants";
    let (output, said) = apply(&overrides, look);
    assert!(output.status.success(), "{said}");
    for line in [
        "/usr/share/zoneinfo/Asia/Shanghai",
        "en_US.UTF-8 UTF-8",
        "# de_DE.UTF-8 UTF-8",
        "ada",
        "adm:x:4:ada",
        "700 ada home/ada/.ssh",
        "600 ada home/ada/.ssh/authorized_keys",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1 a b",
        "ada:*:",
        "docker.service",
    ] {
        assert!(said.lines().any(|found| found == line), "no `{line}` in\n{said}");
    }
    assert!(!said.contains("goldsmith: fail"), "{said}");
}

/// Documentation and other languages are removed. Copyright files and the directories of manual pages stay.
#[test]
fn documentation_is_kept_or_left_out() {
    let look = "cd /usr/share; find doc man locale ! -type d; find man -type d; cat /etc/dpkg/dpkg.cfg.d/no-documentation";
    let found = |overrides: &[&str]| {
        let (_, said) = apply(overrides, look);
        let mut lines: Vec<String> = said.lines().filter(|line| line.contains('/') && !line.starts_with("# ")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let kept = ["doc/tool/copyright", "locale/locale.alias", "man/de", "man/de/man1", "man/man1"];
    let english = ["locale/en/LC_MESSAGES/tool.mo", "locale/en@quot/LC_MESSAGES/tool.mo", "locale/en_GB/LC_MESSAGES/tool.mo"];
    for (locale, language, translations) in [("C.UTF-8", "en", &english[..]), ("zh_CN.UTF-8", "zh", &["locale/zh_CN/LC_MESSAGES/tool.mo"])]
    {
        let found = found(&[&format!("system.locale=\"{locale}\"")]);
        let (options, files): (Vec<_>, Vec<_>) = found.iter().map(String::as_str).partition(|line| line.starts_with("path-"));
        let files: Vec<&str> =
            files.into_iter().filter(|line| ["doc/", "man/", "locale/"].iter().any(|dir| line.starts_with(dir))).collect();
        let mut expected = [&kept[..], translations].concat();
        expected.sort_unstable();
        assert_eq!(files, expected, "{locale}");
        assert!(options.contains(&"path-include=/usr/share/doc/*/copyright"), "{options:?}");
        assert!(options.contains(&format!("path-include=/usr/share/locale/{language}/*").as_str()), "{options:?}");
    }
    let all = found(&["packages.docs=true"]);
    assert!(
        ["doc/tool/changelog.gz", "man/man1/tool.1.gz", "locale/eno/LC_MESSAGES/tool.mo"]
            .iter()
            .all(|file| all.iter().any(|line| line == file))
    );
    assert!(!all.iter().any(|line| line.starts_with("path-exclude")), "{all:?}");
}

/// The tools of this host print the reason.
#[test]
fn what_cannot_be_set_names_itself() {
    for (wanted, why) in [
        (r#"user=[{name="backup", password_env="ROOT_PASSWORD"}]"#, "adding the user backup: useradd: user 'backup' already exists"),
        (
            r#"user=[{name="ada", password_env="ROOT_PASSWORD", groups=["adm", "nowhere"]}]"#,
            "adding the user ada: useradd: group 'nowhere' does not exist",
        ),
        (r#"user=[{name="ada", password_env="ROOT_PASSWORD", shell="/opt/no/zsh"}]"#, "adding the user ada: there is no shell /opt/no/zsh"),
        (
            r#"file=[{path="/srv/x", owner="nobody-here:adm", content="x"}]"#,
            "giving /srv/x to nobody-here:adm: chown: invalid user: 'nobody-here:adm'",
        ),
        (
            r#"file=[{path="/etc/passwd/x", content="x"}]"#,
            "writing /etc/passwd/x: mkdir: cannot create directory '/etc/passwd': File exists",
        ),
        (r#"services.enable=["nowhere"]"#, "enabling nowhere: Failed to enable unit, unit nowhere.service does not exist."),
        (r#"system.locale="fr_FR.UTF-8""#, "making the locale fr_FR.UTF-8: /etc/locale.gen of this system has no such locale"),
    ] {
        let (output, said) = apply(&[wanted], "true");
        assert!(!output.status.success(), "{wanted}: {said}");
        let last = said.lines().find(|line| line.starts_with(deploy::FAILED)).unwrap_or_default();
        assert_eq!(last, format!("{}{why}", deploy::FAILED), "{said}");
    }
}

/// mmdebstrap without the packages: it writes the host's name into the tree, runs the hooks, and prints the environment of maintainer
/// scripts.
const MMDEBSTRAP: &str = r#"#!/bin/sh
for tree; do :; done
mkdir -p "$tree/etc/apt"
: > "$tree/etc/apt/sources.list"
cat /etc/hostname > "$tree/etc/hostname"
for word; do
    case $word in --setup-hook=*) sh -c "${word#*=}" exec "$tree" ;; esac
done
cat /proc/sys/kernel/hostname "$tree/etc/hostname" "$tree/etc/hosts"
"#;

#[test]
fn packages_are_installed_under_a_name_that_no_host_changes() {
    // Run it as this user. If that is root, also run it as a user who is only root of a namespace.
    let mut users = vec![unshare()];
    if rustix::process::geteuid().is_root() {
        let mut ordinary = Command::new("setpriv");
        ordinary.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "--user", "--map-root-user"]);
        users.push(ordinary);
    }
    for mut user in users {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let tool = dir.path().join("mmdebstrap");
        fs::write(&tool, MMDEBSTRAP).unwrap();
        fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("sources.list"), "").unwrap();
        let output = user
            .args(["--pid", "--fork", "--mount", "--mount-proc", "--uts", "--", "sh", "-c", TREE, "tree.sh", "true"])
            .env("PATH", format!("{}:/usr/sbin:/usr/bin", dir.path().display()))
            .envs([("GS_SUITE", "bookworm"), ("GS_PACKAGES", "docker.io")])
            .env("GS_WORK", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let seen = format!("{UNNAMED}\n{UNNAMED}\n127.0.0.1 localhost\n127.0.1.1 {UNNAMED}\ngoldsmith: tree of ");
        assert!(output.status.success() && said.starts_with(&seen), "{user:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

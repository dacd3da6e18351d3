//! `goldsmith image audit`: every rule finds its faults, and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use goldsmith::audit;

use crate::package_cases::installed::made as package_databases;
use crate::support::{GOLDSMITH, goldsmith, make_disk};

/// The rule that must find the file, its path, its content.
const PLANTED: &[(&str, &str, &str)] = &[
    ("machine-id", "/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("second-machine-id", "/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("ssh-host-keys", "/etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
    ("ssh-host-keys", "/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA\n"),
    ("random-seed", "/var/lib/systemd/random-seed", "seed"),
    ("random-seed", "/var/lib/systemd/credential.secret", "secret"),
    ("networkmanager-state", "/var/lib/NetworkManager/secret_key", "secret"),
    ("yum-uuid", "/var/lib/yum/uuid", "1"),
    ("docker-identity", "/etc/docker/key.json", "{}"),
    ("docker-identity", "/var/lib/docker/engine-id", "1"),
    ("docker-containers", "/var/lib/docker/containers/0f1e/config.v2.json", "{}"),
    ("cloud-init-state", "/var/lib/cloud/instances/i-1/obj.pkl", "1"),
    ("subscription", "/etc/pki/consumer/cert.pem", "1"),
    ("kerberos-keys", "/etc/krb5.keytab", "1"),
    ("domain-membership", "/var/lib/sss/db/cache_example.ldb", "1"),
    ("puppet-identity", "/etc/puppetlabs/puppet/ssl/ca.pem", "1"),
    ("package-identities", "/etc/nvme/hostid", "1"),
    ("package-identities", "/etc/ssl/private/ssl-cert-snakeoil.key", "-----BEGIN PRIVATE KEY-----\n"),
    ("dhcp-leases", "/var/lib/dhcp/dhclient.eth0.leases", "lease {}"),
    ("dhcp-server-state", "/var/lib/dhcpd/dhcpd.leases", "1"),
    ("udev-net-rules", "/etc/udev/rules.d/70-persistent-net.rules", "1"),
    ("hardware-address", "/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nHWADDR=52:54:00:12:34:56\n"),
    ("network-secrets", "/etc/NetworkManager/system-connections/home", "[wifi-security]\npsk=12345678\n"),
    ("histories", "/home/me/.bash_history", "mysql -psecret\n"),
    ("histories", "/root/.python_history", "1\n"),
    ("histories", "/root/.viminfo", "1\n"),
    ("known-hosts", "/home/me/.ssh/known_hosts.old", "1\n"),
    ("account-backups", "/etc/shadow-", "root:$6$a$b:1::::::\n"),
    ("mail", "/var/spool/mail/me", "From me\n"),
    ("jobs", "/var/spool/cron/crontabs/me", "* * * * * true\n"),
    ("private-keys", "/home/me/.ssh/id_rsa", "-----BEGIN RSA PRIVATE KEY-----\n"),
    ("private-keys", "/opt/app/tls.pem", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"),
    ("private-keys", "/srv/putty.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n"),
    ("gnupg-keys", "/root/.gnupg/private-keys-v1.d/1.key", "(1)"),
    ("cloud-credentials", "/root/.aws/credentials", "[default]\n"),
    ("cloud-credentials", "/home/me/.kube/config", "apiVersion: v1\n"),
    ("registry-credentials", "/root/.docker/config.json", "{\"auths\": {\"registry.example.org\": {\"auth\": \"bWU6c2VjcmV0\"}}}"),
    ("tool-credentials", "/root/.netrc", "machine example.org login me password secret\n"),
    ("tool-credentials", "/home/me/.git-credentials", "https://me:secret@example.org\n"),
    ("tool-credentials", "/etc/apt/auth.conf.d/mirror.conf", "machine example.org\n"),
    ("tokens", "/etc/profile.d/aws.sh", "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n"),
    ("tokens", "/opt/app/.env", "TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ012345\n"),
    ("repository-passwords", "/etc/yum.repos.d/mine.repo", "[mine]\nbaseurl=https://me:secret@example.org/\n"),
    ("installer-leftovers", "/root/anaconda-ks.cfg", "rootpw --iscrypted x\n"),
    ("build-leftovers", "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n"),
    ("temporary-files", "/tmp/ks-script-1", "1"),
    ("temporary-files", "/var/tmp/x", "1"),
    ("logs", "/var/log/messages", "Jan  1 build\n"),
    ("crash-data", "/var/lib/systemd/coredump/core.x", "1"),
    ("process-accounting", "/var/account/pacct", "1"),
    ("package-caches", "/var/cache/apt/archives/a.deb", "1"),
    ("rpm-locks", "/var/lib/rpm/__db.001", "1"),
    ("device-cache", "/etc/blkid/blkid.tab", "1"),
    ("editor-backups", "/etc/fstab~", "1"),
    ("configuration-leftovers", "/etc/sudoers.rpmsave", "1"),
];

/// Findings with more text than a path, or that depend on the bits of a mode.
const MORE: &[(&str, &str)] = &[
    ("empty-passwords", "/etc/shadow"),
    ("passwords", "/etc/shadow"),
    ("second-root", "/etc/passwd"),
    ("authorized-keys", "/home/me/.ssh/authorized_keys"),
    ("world-writable", "/etc/open"),
    ("world-writable", "/srv/open"),
    ("foreign-setuid", "/usr/local/bin/su"),
];

/// Files of a system that are similar and in order.
const HARMLESS: &[(&str, &str)] = &[
    ("/etc/os-release", "ID=debian\n"),
    ("/etc/fstab", ""),
    ("/etc/ssh/sshd_config", "#HostKey /etc/ssh/ssh_host_rsa_key\n"),
    ("/etc/ssl/certs/ca.pem", "-----BEGIN CERTIFICATE-----\n"),
    ("/etc/apt/sources.list", "# deb https://me:secret@example.org/ x y\ndeb https://example.org/ x y\n"),
    ("/etc/docker/daemon.json", "{\"auths\": 1}"),
    ("/etc/sysconfig/network-scripts/ifcfg-eth0.harmless", "#HWADDR=\nDEVICE=eth0\n"),
    ("/usr/share/doc/openssl/example.key", "-----BEGIN PRIVATE KEY-----\n"),
    ("/var/log/wtmp", ""),
    ("/root/.bashrc", "grep -- '-----BEGIN RSA PRIVATE KEY-----' AKIA ghp_\n"),
    ("/home/me/.docker/config.json", "{\"auths\": {\"registry.example.org\": {}}}"),
    ("/home/other/.ssh/authorized_keys", "# nobody\n"),
];

fn put(tree: &Path, path: &str, content: &str) {
    let path = tree.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// The exit status, and rule and path of each finding.
fn audited(dir: &Path) -> (Option<i32>, BTreeSet<(String, String)>) {
    let output = Command::new(GOLDSMITH).args(["image", "audit", "disk", "--json"]).current_dir(dir).output().unwrap();
    let found: serde_json::Value = serde_json::Deserializer::from_slice(&output.stdout).into_iter().next().unwrap().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let findings = found["findings"].as_array().unwrap();
    (output.status.code(), findings.iter().map(|finding| (text(&finding["rule"]), text(&finding["path"]))).collect())
}

#[test]
fn each_rule_finds_what_was_planted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    HARMLESS.iter().for_each(|(path, content)| put(&tree, path, content));
    put(&tree, "/etc/machine-id", "");
    put(&tree, "/etc/passwd", "root:x:0:0::/root:\nme:x:1:1::/home/me:\nother:x:2:2::/home/other:\n");
    put(&tree, "/etc/shadow", "root:*:1::::::\nme:!$6$a$b:1::::::\nother:!!:1::::::\n");
    make_disk(&tree, &dir.path().join("disk"));
    assert_eq!(audited(dir.path()), (Some(0), BTreeSet::new()));

    PLANTED.iter().for_each(|(_, path, content)| put(&tree, path, content));
    put(&tree, "/etc/passwd", "root:x:0:0::/root:\nme:x:1:1::/home/me:\nother:x:2:2::/home/other:\ntoor:x:0:0::/:\n");
    put(&tree, "/etc/shadow", "root:$6$a$b:1::::::\nme::1::::::\nother:!!:1::::::\ntoor:*:1::::::\n");
    put(&tree, "/home/me/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n");
    put(&tree, "/etc/open", "");
    put(&tree, "/srv/open/x", "");
    put(&tree, "/usr/local/bin/su", "");
    for (path, mode) in [("etc/open", 0o666), ("srv/open", 0o777), ("usr/local/bin/su", 0o4755), ("tmp", 0o1777), ("var/tmp", 0o1777)] {
        fs::set_permissions(tree.join(path), Permissions::from_mode(mode)).unwrap();
    }
    fs::remove_file(dir.path().join("disk")).unwrap();
    make_disk(&tree, &dir.path().join("disk"));
    // The end of the disk, where there are no files: 32 MiB are far more than they take.
    let marker = fs::metadata(dir.path().join("disk")).unwrap().len() - 4096;
    std::os::unix::fs::FileExt::write_all_at(&File::options().write(true).open(dir.path().join("disk")).unwrap(), b"deleted", marker)
        .unwrap();

    let planted = PLANTED.iter().map(|(rule, path, _)| (*rule, *path)).chain(MORE.iter().copied()).chain([("deleted-data", "/")]);
    let mut planted: BTreeSet<_> = planted.map(|(rule, path)| (rule.to_owned(), path.to_owned())).collect();
    // A pattern that ends in `*` reports the directory.
    for (below, told) in [
        ("/var/lib/docker/containers/0f1e/config.v2.json", "/var/lib/docker/containers/0f1e"),
        ("/var/lib/cloud/instances/i-1/obj.pkl", "/var/lib/cloud/instances/i-1"),
    ] {
        planted = planted.into_iter().map(|(rule, path)| (rule, if path == below { told.to_owned() } else { path })).collect();
    }
    let (status, found) = audited(dir.path());
    assert_eq!(status, Some(5));
    assert_eq!(found.difference(&planted).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "found and not planted");
    assert_eq!(planted.difference(&found).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "planted and not found");
    let rules: BTreeSet<_> = found.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(rules, audit::rules().iter().map(|rule| rule.id).collect(), "each rule has a plant");

    let output = Command::new(GOLDSMITH).args(["image", "audit", "disk"]).current_dir(&dir).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("fault   registry-credentials     /root/.docker/config.json (registry.example.org)\n"), "{text}");
    assert!(!text.contains("bWU6c2VjcmV0") && !text.contains("secret@") && !text.contains("ghp_"), "a secret is told: {text}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: the audit found ") && said.contains("\n  help: follow the remedy of each"), "{said}");
}

/// A set-uid program is judged by the package database: a program whose package has it set-uid is not a finding, in any directory.
#[test]
fn set_uid_programs_are_held_against_the_package_database() {
    let status = "Package: tool\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n";
    let dpkg = |tree: &Path| {
        put(tree, "/var/lib/dpkg/status", status);
        put(tree, "/var/lib/dpkg/info/tool.list", "/.\n/bin\n/bin/tool\n/opt/tool/helper\n");
    };
    let rpm = |tree: &Path| {
        fs::create_dir_all(tree.join("var/lib/rpm")).unwrap();
        fs::copy(package_databases().join("bdb-4096-little/Packages"), tree.join("var/lib/rpm/Packages")).unwrap();
    };
    let none = |_: &Path| {};
    let programs = ["/usr/bin/tool", "/opt/tool/helper", "/usr/bin/forge", "/usr/bin/capable", "/var/lib/docker/overlay2/0/diff/bin/su"];
    type Case<'a> = (&'a dyn Fn(&Path), &'a [&'a str]);
    let cases: [Case; 3] = [
        (&none, &["/opt/tool/helper"]),
        (&dpkg, &["/usr/bin/capable", "/usr/bin/forge"]),
        // The package has /usr/bin/capable with 0755.
        (&rpm, &["/opt/tool/helper", "/usr/bin/capable", "/usr/bin/tool"]),
    ];
    for (database, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        put(&tree, "/etc/fstab", "");
        put(&tree, "/etc/machine-id", "");
        database(&tree);
        for program in programs {
            put(&tree, program, "");
            fs::set_permissions(tree.join(&program[1..]), Permissions::from_mode(0o4755)).unwrap();
        }
        std::os::unix::fs::symlink("usr/bin", tree.join("bin")).unwrap();
        make_disk(&tree, &dir.path().join("disk"));
        let found = audited(dir.path()).1;
        let found: Vec<_> = found.iter().map(|(rule, path)| (rule.as_str(), path.as_str())).collect();
        assert_eq!(found, expected.iter().map(|path| ("foreign-setuid", *path)).collect::<Vec<_>>());
    }
}

#[test]
fn waivers_name_a_rule_and_say_why() {
    let recipe = "schema = 1\nextends = \"debian-12-docker\"\nname = \"lab\"\n";
    let check = |waiver: &str| goldsmith(["plan", "r.toml", "--store", "s"]).file("r.toml", &format!("{recipe}{waiver}")).end();
    for (waiver, said) in [
        ("[[waiver]]\nrule = \"private-key\"\nreason = \"x\"\n", "did you mean `private-keys`?"),
        ("[[waiver]]\nrule = \"private-keys\"\n", "reason"),
        ("[[waiver]]\nrule = \"private-keys\"\nreason = \"\"\n", "this text is empty"),
        ("[[waiver]]\nrule = \"private-keys\"\npath = \"etc/x\"\nreason = \"x\"\n", "`etc/x` is not an absolute path"),
    ] {
        let ended = check(waiver);
        assert!(ended.status == 2 && ended.stderr.contains(said), "{waiver}: {}", ended.stderr);
    }
    // The table of rules in `recipe` has all of them.
    for rule in audit::rules() {
        let wrong = check(&format!("[[waiver]]\nrule = \"{}\"\nreason = \"\"\n", rule.id)).stderr;
        assert!(wrong.contains("this text is empty") && !wrong.contains("has no rule"), "{}: {wrong}", rule.id);
    }
    let listed = Command::new(GOLDSMITH).args(["image", "audit", "--rules"]).output().unwrap();
    let mut expected = Vec::new();
    audit::rules().iter().for_each(|rule| writeln!(expected, "{}", rule.id).unwrap());
    let ids: Vec<u8> = String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with(' '))
        .flat_map(|line| format!("{}\n", line.split_whitespace().next().unwrap()).into_bytes())
        .collect();
    assert_eq!(ids, expected);
}

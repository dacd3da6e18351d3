//! Every lint fires where it must, and is silent on similar sound files.

use super::super::parser::parse;
use super::*;

/// A kickstart on which no lint fires.
const SOUND: &str = "\
cmdline
cdrom
lang en_US.UTF-8
keyboard us
timezone Etc/UTC --isUtc
rootpw --iscrypted $6$salt$hash
network --bootproto=static --device=eth0 --ip=192.0.2.5 --netmask=255.255.255.0
services --enabled=docker
ignoredisk --only-use=vda
zerombr
clearpart --all --initlabel --disklabel=gpt --drives=vda
part biosboot --fstype=biosboot --size=1 --ondisk=vda
part / --fstype=ext4 --size=4096 --grow --ondisk=vda
bootloader --location=mbr --boot-drive=vda --append='console=ttyS0 net.ifnames=0 biosdevname=0'
repo --name=local --baseurl=file:///run/repo
poweroff
%packages
@core
docker-ce-18.09.6
docker-ce-cli-18.09.6
-kexec-tools
%end
%post --erroronfail
set -eu
true
%end
";

/// A change of [`SOUND`]: a text and its replacement. Without a text, the replacement is added at the end.
type Change<'a> = (&'a str, &'a str);

fn changed(changes: &[Change<'_>]) -> String {
    changes.iter().fold(SOUND.to_owned(), |text, (from, to)| {
        if from.is_empty() {
            return text + to;
        }
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        text.replace(from, to)
    })
}

/// The lints that fire on `text`, each once for every finding.
fn fired(text: &str) -> Vec<&'static str> {
    let read = |path: &str, _: &str| (path == "seen.ks").then(|| "timezone UTC --utc\n".to_owned());
    let document = parse("ks.cfg", text, &read);
    assert!(document.is_accepted(), "{text}\n{:?}", document.diagnostics());
    lint(&document).iter().map(|finding| finding.lint.id).collect()
}

const POST: &str = "set -eu\ntrue\n";

/// A lint, the changes that make it fire and no other, and the similar changes that are sound.
#[rustfmt::skip]
const CASES: &[(&str, &[Change<'_>], &[Change<'_>])] = &[
    ("storage-missing",
        &[("part / ", "part /srv ")],
        &[("part / --fstype=ext4 --size=4096 --grow --ondisk=vda\n", ""), ("part biosboot --fstype=biosboot --size=1 --ondisk=vda", "autopart --type=plain")]),
    ("storage-missing",
        &[("part / --fstype=ext4 --size=4096 --grow --ondisk=vda\n", ""), ("part biosboot --fstype=biosboot --size=1 --ondisk=vda\n", "")],
        &[("part / --fstype=ext4 --size=4096 --grow --ondisk=vda\n", "%include /tmp/parts\n"), ("", "%pre\necho part / > /tmp/parts\n%end\n")]),
    ("biosboot-missing", &[("part biosboot --fstype=biosboot --size=1 --ondisk=vda\n", "")], &[("part biosboot --fstype=biosboot --size=1", "part /boot/efi --fstype=efi --size=200")]),
    ("biosboot-missing", &[("part biosboot --fstype=biosboot --size=1", "part swap --size=1024")], &[("part biosboot --fstype=biosboot --size=1 --ondisk=vda\n", "reqpart\n")]),
    ("biosboot-missing", &[("part biosboot --fstype=biosboot --size=1", "part swap --size=1024")], &[("part biosboot --fstype=biosboot --size=1 --ondisk=vda\n", ""), (" --disklabel=gpt", "")]),
    ("biosboot-size", &[("--fstype=biosboot --size=1", "--fstype=biosboot --size=3")], &[("--fstype=biosboot --size=1", "--fstype=biosboot --size=2")]),
    ("biosboot-size", &[("--fstype=biosboot --size=1", "--fstype=biosboot --size=1 --grow")], &[("--fstype=biosboot --size=1", "--fstype=biosboot --size=1 --grow --maxsize=2")]),
    ("efi-size", &[("", "part /boot/efi --fstype=efi --size=49\n")], &[("", "part /boot/efi --fstype=efi --size=20 --grow\n")]),
    ("boot-on-lvm",
        &[("part / --fstype=ext4", "part pv.1"), ("", "volgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=4096\n")],
        &[("part / --fstype=ext4", "part pv.1"), ("", "volgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=4096\npart /boot --size=512\n")]),
    ("boot-on-lvm",
        &[("", "part pv.1 --size=1\nvolgroup vg pv.1\nlogvol /boot --vgname=vg --name=boot --size=512\n")],
        &[("", "part pv.1 --size=1\nvolgroup vg pv.1\nlogvol /var --vgname=vg --name=var --size=512\n")]),
    ("blank-disk", &[("zerombr\n", ""), ("--all --initlabel", "--linux")], &[("zerombr\n", "")]),
    ("blank-disk",
        &[("zerombr\n", ""), ("--all --initlabel --disklabel=gpt --drives=vda", "--linux")],
        &[("zerombr\n", ""), ("--all --initlabel --disklabel=gpt --drives=vda", "--list=vda1,vda2")]),
    ("blank-disk",
        &[("zerombr\n", ""), ("--all --initlabel --disklabel=gpt --drives=vda", "--none")],
        &[("zerombr\n", ""), ("--all --initlabel --disklabel=gpt --drives=vda", "--none"), ("", "logvol /srv --vgname=a --name=b --useexisting\n")]),
    ("command-without-code", &[("", "multipath --name=x --device=y --rule=z\n")], &[("", "fcoe --nic=eth0\n")]),
    ("disk-excluded", &[("--grow --ondisk=vda", "--grow --ondisk=vdb")], &[("--only-use=vda", "--only-use=/dev/vda,vdb"), ("--grow --ondisk=vda", "--grow --ondisk=/dev/vdb")]),
    ("disk-excluded", &[("--only-use=vda", "--drives=vdb"), ("--boot-drive=vda", "--boot-drive=vdb")], &[("--only-use=vda", "--only-use=disk/by-id/*")]),
    ("static-incomplete", &[(" --netmask=255.255.255.0", "")], &[("network ", "network --bootproto=static --device=eth1 --ipv6=2001:db8::1/64\nnetwork ")]),
    ("static-incomplete", &[(" --ip=192.0.2.5 --netmask=255.255.255.0", "")], &[(" --ip=192.0.2.5 --netmask=255.255.255.0", " --noipv4 --ipv6=auto")]),
    ("address-without-static", &[("--bootproto=static ", "")], &[("--bootproto=static --device=eth0 --ip=192.0.2.5 --netmask=255.255.255.0", "--hostname=x")]),
    ("interface-renamed", &[("--device=eth0", "--device=ens3")], &[("--device=eth0", "--device=ens3"), ("net.ifnames=0 biosdevname=0", "x")]),
    ("interface-renamed", &[("--device=eth0", "--device=em1")], &[("--device=eth0", "--device=em1"), (" biosdevname=0", "")]),
    ("end-missing", &[("poweroff\n", "")], &[("poweroff\n", "shutdown\n")]),
    ("end-missing", &[("poweroff\n", "")], &[("poweroff\n", ""), ("", "%include http://192.0.2.1/end.ks\n")]),
    ("halt", &[("poweroff\n", "halt\n")], &[("poweroff\n", "halt\nreboot\n")]),
    ("bootloader-on-partition", &[("--location=mbr", "--location=partition")], &[("--location=mbr", "--location=boot")]),
    ("bootloader-password", &[("--location=mbr", "--iscrypted --password=$1$a$b")], &[("--location=mbr", "--iscrypted --password=grub.pbkdf2.sha512.10000.A.B")]),
    ("bootloader-password", &[("--location=mbr", "--md5pass=$1$a$b")], &[("--location=mbr", "--password=x")]),
    ("quiet-on-serial", &[("console=ttyS0", "console=ttyS0,115200 rhgb quiet")], &[("console=ttyS0", "rhgb quiet")]),
    ("packages-missing", &[("%packages\n@core\ndocker-ce-18.09.6\ndocker-ce-cli-18.09.6\n-kexec-tools\n%end\n", "")], &[("@core\n", "")]),
    ("docker-cli-unpinned", &[("docker-ce-cli-18.09.6\n", "docker-ce-cli\n")], &[("docker-ce-cli-18.09.6\n", ""), ("docker-ce-18.09.6", "docker-ce-18.06.3.ce")]),
    ("docker-cli-unpinned",
        &[("docker-ce-cli-18.09.6\n", ""), ("docker-ce-18.09.6", "docker-ce"), (POST, "yum -y --disablerepo=* --enablerepo=d install 3:docker-ce-18.09.6\n")],
        &[("docker-ce-cli-18.09.6\n", ""), ("docker-ce-18.09.6", "docker-ce"), (POST, "yum -y --disablerepo=* --enablerepo=d install docker-ce-18.09.6 docker-ce-cli-18.09.6\n")]),
    ("kdump-without-kexec-tools", &[("", "%addon com_redhat_kdump --enable --reserve-mb=auto\n%end\n")], &[("", "%addon com_redhat_kdump --disable\n%end\n")]),
    ("firewalld-excluded", &[("-kexec-tools", "-firewalld"), ("", "firewall --service=ssh\n")], &[("-kexec-tools", "-firewalld"), ("", "firewall --disabled\n")]),
    ("package-and-excluded", &[("-kexec-tools", "-docker-ce-18.09.6\n-docker-ce-cli-18.09.7")], &[("-kexec-tools", "-docker-ce-18.09.7")]),
    ("dead-mirror", &[("file:///run/repo", "http://mirror.centos.org/centos/7/os/x86_64/")], &[("file:///run/repo", "http://vault.centos.org/centos/7.5.1804/os/x86_64/")]),
    ("dead-mirror", &[("cdrom", "url --mirrorlist=http://mirrorlist.centos.org/?release=7")], &[("cdrom", "url --url=http://mirror.centos.org.example/")]),
    ("mirror-without-7",
        &[("file:///run/repo", "http://mirror.example.edu/pub/centos/7.5.1804/os/x86_64/")],
        &[("file:///run/repo", "http://mirror.example.edu/centos-vault/7.5.1804/os/x86_64/")]),
    ("mirror-without-7",
        &[(POST, "rpm -i https://dl.fedoraproject.org/pub/epel/epel-release-latest-7.noarch.rpm\n")],
        &[(POST, "rpm -i https://archives.fedoraproject.org/pub/archive/epel/7/x86_64/Packages/e/epel-release-7-14.noarch.rpm\n")]),
    ("mirror-without-7",
        &[("cdrom", "url --url=http://mirrors2.example.org:80/centos/7/os/x86_64/")],
        &[("cdrom", "url --url=http://repos.example.org/centos/7/os/x86_64/"), ("file:///run/repo", "http://mirror.example.org/centos/8/os/")]),
    ("bootloader-hash-as-password",
        &[("--location=mbr", "--password=$6$salt$hash")],
        &[("--location=mbr", "--password=secret")]),
    ("bootloader-hash-as-password",
        &[("--location=mbr", "--password=grub.pbkdf2.sha512.10000.A.B")],
        &[("--location=mbr", "--iscrypted --password=grub.pbkdf2.sha512.10000.A.B")]),
    ("comment-in-word", &[("keyboard us", "keyboard us#intl")], &[("keyboard us", "keyboard us # intl")]),
    ("comment-in-word", &[("poweroff\n", "poweroff\nrepo --name=x --baseurl=http://192.0.2.1/#x\n")], &[("poweroff\n", "poweroff #x\nrepo --name=x --baseurl='http://192.0.2.1/#x'\n")]),
    ("comment-in-word", &[("%post --erroronfail", "%post --erroronfail --log=/root/a#b")], &[(POST, "echo a#b\n")]),
    ("repo-install-local", &[("repo --name", "repo --install --name")], &[("repo --name=local --baseurl=file:///run/repo", "repo --install --name=local --baseurl=http://192.0.2.1/")]),
    ("rootpw-missing", &[("rootpw --iscrypted $6$salt$hash\n", "user --name=a --lock\n")], &[("rootpw --iscrypted $6$salt$hash\n", "user --name=a --groups=wheel\n")]),
    ("password-hash-unknown", &[("$6$salt", "$y$salt")], &[("$6$salt$hash", "abJnggxhB/yWI")]),
    ("password-hash-unknown", &[("$6$salt$hash", "locked")], &[("$6$salt$hash", "--lock locked")]),
    ("password-hash-unknown", &[("$6$salt$hash", "nothing"), (POST, "passwd -l admin\n")], &[("$6$salt$hash", "nothing"), (POST, "passwd -d root\npasswd -l root\n")]),
    ("password-hash-unknown", &[("", "user --name=a --iscrypted --password=changeme\n")], &[("", "user --name=a --iscrypted --password={{hash}}\n")]),
    ("hash-as-password", &[("--iscrypted $6", "$6")], &[("--iscrypted $6", "--plaintext --iscrypted $6")]),
    ("plaintext-password", &[("--iscrypted $6$salt$hash", "secret")], &[("--iscrypted $6$salt$hash", "$PASSWORD")]),
    ("plaintext-password", &[("", "user --name=a --password=secret --plaintext\n")], &[("", "sshpw --username=root secret\nuser --name=a\n")]),
    ("group-missing", &[("", "user --name=a --groups=wheel,sudo\n")], &[("", "group --name=sudo\nuser --name=a --groups=wheel,sudo\nuser --name=admin --groups=admin,docker\n")]),
    ("timezone-missing", &[("timezone Etc/UTC --isUtc\n", "")], &[("timezone Etc/UTC --isUtc\n", "%include seen.ks\n")]),
    ("timezone-missing", &[("Etc/UTC ", "")], &[("", "rescue\n"), ("Etc/UTC ", "")]),
    ("rtc-local-time", &[("Etc/UTC --isUtc", "Europe/Berlin")], &[(" --isUtc", " --utc")]),
    ("rtc-local-time", &[("Etc/UTC --isUtc", "Etc/GMT+1")], &[(" --isUtc", "")]),
    ("rtc-local-time", &[("Etc/UTC --isUtc", "Europe/London --nontp")], &[("Etc/UTC --isUtc", "UTC")]),
    ("socket-as-service", &[("--enabled=docker", "--enabled=docker.socket")], &[("--enabled=docker", "--enabled=docker.service")]),
    ("service-not-yet-there",
        &[("--enabled=docker", "--enabled=httpd"), (POST, "yum -y --disablerepo=* --enablerepo=d install httpd-tools httpd\n")],
        &[(POST, "yum -y --disablerepo=* --enablerepo=d install docker-ce\n")]),
    ("service-not-yet-there",
        &[("--enabled=docker", "--enabled=app"), (POST, "cat > /etc/systemd/system/app.service <<EOF\n[Service]\nEOF\n")],
        &[("--enabled=docker", "--enabled=rpcbind"), (POST, "cp /usr/lib/systemd/system/rpcbind.service /etc/systemd/system/rpcbind.service\n")]),
    ("pre-erroronfail", &[("", "%pre --erroronfail\ntrue\n%end\n")], &[("", "%pre\ntrue\n%end\n%pre-install --erroronfail\ntrue\n%end\n")]),
    ("sysctl-in-post", &[(POST, "echo x >> /etc/sysctl.conf; /sbin/sysctl -p\n")], &[(POST, "# sysctl -p\necho 'sysctl -p'\ncat <<EOF\nsysctl -p\nEOF\nsysctl -n kernel.osrelease\n")]),
    ("sysctl-in-post", &[(POST, "if true; then sysctl -w a=1 && sysctl vm.swappiness=1; fi\n"), ("", "")], &[("", "%post --nochroot\nsysctl -w vm.swappiness=1\n%end\n%post --interpreter=/usr/bin/python\nsysctl -p\n%end\n")]),
    ("uname-in-post", &[(POST, "echo \"$(uname -r)\" > /etc/kernel-version\n")], &[(POST, "echo \"kernel $(uname -r)\" >&2; echo `uname -r` >> /root/post.log\nlogger -t x \"$(uname -r)\"\n")]),
    ("uname-in-post", &[(POST, "echo done; ls /lib/modules/$(uname -r)\n")], &[(POST, "ls /lib/modules; echo $(uname -r)\n")]),
    ("uname-in-post", &[(POST, "ls \"/lib/modules/$(uname -r)\"\n")], &[(POST, "uname -m\n"), ("", "%pre\nuname -r\n%end\n")]),
    ("dracut-running-kernel", &[(POST, "dracut --force --add-drivers virtio_blk\n")], &[(POST, "dracut -f /boot/initramfs-$v.img $v\ndracut --regenerate-all -f\ndracut --kver=$v\n")]),
    ("systemctl-start-in-chroot", &[(POST, "systemctl -q restart sshd\n")], &[(POST, "systemctl enable sshd\nsystemctl stop sshd\nsystemctl daemon-reload\n")]),
    ("systemctl-start-in-chroot", &[(POST, "systemctl enable --now sshd\n")], &[("", "%pre\nsystemctl start sshd\nservice sshd start\n%end\n")]),
    ("yum-in-post", &[(POST, "yum -y update\n")], &[(POST, "yum -y update\n"), ("", "%post\ncat > /etc/yum.repos.d/a.repo <<EOF\nEOF\n%end\n")]),
    ("yum-in-post", &[(POST, "yum install -y wget\n")], &[(POST, "yum -y --disablerepo='*' --enablerepo=local install wget\nyum clean all\nyum -y install /root/a.rpm\n")]),
    ("machine-id-removed", &[(POST, "rm -f /etc/machine-id\n")], &[(POST, "rm -f /etc/machine-id\ntouch /etc/machine-id\n")]),
    ("bridge-sysctl-without-module",
        &[(POST, "echo 'net.bridge.bridge-nf-call-iptables = 1' > /etc/sysctl.d/k8s.conf\n")],
        &[(POST, "cat > /etc/sysctl.d/k8s.conf <<EOF\nnet.bridge.bridge-nf-call-iptables=1\nEOF\necho br_netfilter > /etc/modules-load.d/k8s.conf\n")]),
    ("bridge-sysctl-without-module",
        &[(POST, "modprobe br_netfilter\ncat > /etc/sysctl.d/k8s.conf <<EOF\nnet.bridge.bridge-nf-call-ip6tables=1\nEOF\n")],
        &[(POST, "# net.bridge.bridge-nf-call-iptables = 1\necho 'net.bridge.bridge-nf-call-iptables = 0' > /etc/sysctl.d/k8s.conf\n")]),
    ("set-e-without-erroronfail", &[("%post --erroronfail", "%post")], &[("%post --erroronfail\nset -eu", "%post\ntrap 'echo failed' ERR\nset -e")]),
    ("set-e-without-erroronfail", &[("%post --erroronfail\nset -eu", "%post\nset -o errexit")], &[("%post --erroronfail\nset -eu", "%post\nset -x\nset -- -e")]),
    ("crlf-in-scripts", &[("true\n", "true\r\n")], &[("poweroff\n", "poweroff\r\n"), ("", "%post --interpreter=/usr/bin/python\npass\r\n%end\n")]),
];

#[test]
fn each_lint_fires_where_it_must_and_only_there() {
    assert_eq!(fired(SOUND), [""; 0]);
    for (id, firing, silent) in CASES {
        let mut found = fired(&changed(firing));
        found.dedup();
        assert_eq!(found, [*id], "{}", changed(firing));
        let quiet = fired(&changed(silent));
        assert_eq!(quiet, [""; 0], "{id}\n{}", changed(silent));
    }
}

#[test]
fn each_lint_has_its_case_and_says_why_and_what_to_do() {
    let mut ids: Vec<_> = Lint::all().map(|lint| lint.id).collect();
    for lint in Lint::all() {
        assert!(CASES.iter().any(|(id, ..)| *id == lint.id), "{} has no case", lint.id);
        assert!(lint.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", lint.id);
        for text in [lint.what, lint.why, lint.remedy, lint.source] {
            assert!(!text.is_empty() && !text.ends_with('.') && text.len() < 160, "{}: {text}", lint.id);
        }
        assert!(std::ptr::eq(Lint::named(lint.id).unwrap(), lint));
    }
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), Lint::named("none").is_none()), (count, true));
    assert!(CASES.iter().all(|(id, ..)| Lint::named(id).is_some()));
}

#[test]
fn a_part_and_a_refused_file_miss_nothing() {
    let missing = |text: &str| {
        let document = parse("ks.cfg", text, &|_: &str, _: &str| None);
        lint(&document).iter().map(|finding| finding.lint.id).collect::<Vec<_>>()
    };
    assert_eq!(missing("cmdline\n"), [""; 0], "a part");
    let nearly = "cmdline\ncdrom\nlang en_US.UTF-8\nkeyboard us\nbootloader\n";
    assert_eq!(missing(nearly), ["storage-missing", "end-missing", "packages-missing", "rootpw-missing", "timezone-missing"]);
    assert_eq!(missing(&format!("{nearly}makeitso\n")), [""; 0]);
    let common = "text\nlang en_US.UTF-8\nkeyboard us\ntimezone UTC\nrootpw --lock\nnetwork\nselinux --enforcing\nbootloader\nreboot\n";
    assert_eq!(missing(common), [""; 0], "a part that has neither disks nor packages");
    assert_eq!(missing("zerombr\nclearpart --all\nautopart\nbootloader\nreboot\ncdrom\n"), [""; 0], "a part about disks");
    assert_eq!(missing("repo --name=a --baseurl=http://192.0.2.1/\n%packages\nvim\n%end\n"), [""; 0]);
    assert_eq!(missing(""), [""; 0]);
    assert_eq!(missing(&format!("{nearly}%include /tmp/made\n%pre\ntouch /tmp/made\n%end\n")), [""; 0]);
}

#[test]
fn findings_have_their_place_hide_secrets_and_are_not_endless() {
    let text = format!("rootpw hunter2\n{}%post\n{}%end\n", "#\n".repeat(3), "sysctl -p; sysctl -p\n".repeat(100));
    let document = parse("ks.cfg", &text, &|_: &str, _: &str| None);
    let findings = lint(&document);
    let place = findings[0].place.as_ref().unwrap();
    assert_eq!((findings[0].lint.id, place.line, place.column, place.length), ("plaintext-password", 1, 8, 7));
    assert_eq!((place.shown.as_str(), place.help.as_deref()), ("rootpw *******", Some(findings[0].lint.remedy)));
    let places: Vec<_> = findings[1..].iter().map(|found| found.place.as_ref().unwrap()).map(|place| (place.line, place.column)).collect();
    assert_eq!((places.len(), &places[..3]), (KEPT, &[(6, 1), (6, 12), (7, 1)][..]));
}

#[test]
fn big_files_end() {
    let lines = |line: &str| line.repeat(20_000);
    let numbered = |line: &str| (0..20_000).map(|number| line.replace('#', &number.to_string())).collect::<String>();
    for text in [
        format!("%packages\n{}%end\nservices --enabled={}\n", numbered("p#\n-q#\n"), numbered("s#,")),
        format!("services --enabled={}\n%post\n{}%end\n", numbered("s#,"), lines("yum install x\n")),
        format!("{}{}%packages\n%end\n", numbered("group --name=g#\n"), lines("user --name=a --groups=sudo,docker\n")),
        format!("ignoredisk --only-use={}\nclearpart --drives={}\n", numbered("sd#,"), numbered("sd#,")),
        format!("%post\n{}%end\n", lines("rm $(x \"`y ((\" '")),
    ] {
        assert!(lint(&parse("ks.cfg", &text, &|_: &str, _: &str| None)).len() <= 10 * KEPT);
    }
}

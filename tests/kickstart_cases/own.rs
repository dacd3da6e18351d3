//! Kickstarts of the user's own: taken as they are, with goldsmith's sections after them.

use std::fs;
use std::path::Path;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::failure::{Class, Failure as _};
use goldsmith::installer::accounts::Accounts;
use goldsmith::installer::anaconda::{self, AnacondaError};
use goldsmith::recipe::{Content, Media, Recipe};

use super::recipes::lab;
use super::scripts::{Scratch, script};
use crate::support::goldsmith;

/// What somebody might bring, with the habits that people have.
pub const THEIRS: &str = "\
# web servers, second floor
cmdline
cdrom
lang en_US.UTF-8
keyboard us
timezone --utc Europe/Berlin
rootpw --lock
user --name=admin --groups=wheel --iscrypted --password=$6$salt$UUiVVjeGRMFvOXLSOOpTr2zJtvBhbHgBSDMxyFsDtjV4OuQ6XBqDJ3aR5f9xRCBE08yMkY/RMTXzvzfV1lDVG/
network --bootproto=dhcp --device=eth0 --hostname=web
ignoredisk --only-use=vda
zerombr
clearpart --all --initlabel
autopart --type=plain --fstype=ext4
bootloader --location=mbr --append=\"console=ttyS0 net.ifnames=0 biosdevname=0\"
poweroff

%packages
@core
docker-ce-18.09.6
%end

%post
systemctl enable docker
%end
";

/// The lab's repository with a kickstart of one's own.
fn recipe(own: &[u8], repositories: bool) -> Recipe {
    let mut recipe = lab();
    if !repositories {
        recipe.repositories.clear();
    }
    let Media::Anaconda { kickstart, .. } = &mut recipe.media else { panic!("the lab is Anaconda's") };
    *kickstart = Some(Content::File { path: "my.ks".into(), sha256: Sha256Digest::of(own), bytes: own.to_vec() });
    recipe
}

fn try_merge(own: &[u8], repositories: bool) -> Result<Vec<u8>, AnacondaError> {
    let recipe = recipe(own, repositories);
    anaconda::kickstart(&recipe, &Accounts::derive(&recipe, b"a secret of the tests"))
}

fn merge(own: &[u8], repositories: bool) -> Vec<u8> {
    try_merge(own, repositories).unwrap()
}

#[test]
fn what_the_installer_would_refuse_is_not_merged() {
    for (text, evidence) in [
        (
            "poweroff\n%post\ntrue\n",
            &[
                "my.ks:3:1: error: section %post, which begins on line 2, does not end before the end of the file; close it with a line `%end`",
            ][..],
        ),
        (
            "repo --name=mine --baseurl=http://192.0.2.1/\nrepo --baseurl=http://192.0.2.1/ --name=kubernetes\nshutdown\n",
            &["my.ks:2:34: error: the recipe has a repository `kubernetes` too, which goldsmith adds here; \
               rename it here, or change the repository's `id` in the recipe"],
        ),
        (
            "rootpw two words\nrepo --name kubernetes --mirrorlist=http://192.0.2.1/\nmakeitso\n",
            &["my.ks:1:12: ", "my.ks:2:6: ", "my.ks:3:1: "],
        ),
        ("", &["my.ks:1:1: error: the file is empty"]),
        (
            "poweroff\nreboot --eject\n",
            &["my.ks:2:1: error: after the installation, `reboot` does not power the machine off; write instead `poweroff`: \
               goldsmith takes an installation for done when its machine powers itself off"],
        ),
        ("poweroff\nhalt\n%include /tmp/made-by-pre\n", &["my.ks:2:1: error: after the installation, `halt` does not power"]),
        ("cmdline\n", &["my.ks:1:1: error: nothing powers the machine off after the installation; add `poweroff`"]),
        ("\u{feff}# byte order mark\npoweroff", &["my.ks:1:1: "]),
    ] {
        let refused = try_merge(text.as_bytes(), true).unwrap_err();
        let found = refused.evidence();
        assert!(
            found.len() == evidence.len() && found.iter().zip(evidence).all(|(found, expected)| found.starts_with(expected)),
            "{found:#?}"
        );
        let errors = if evidence.len() == 1 { "1 error".to_owned() } else { format!("{} errors", evidence.len()) };
        assert_eq!(refused.to_string(), format!("the kickstart my.ks cannot be used: {errors} in it"));
        assert_eq!((refused.class(), refused.remedy().as_deref()), (Class::Usage, Some("correct my.ks")));
    }
    assert!(
        try_merge(b"poweroff\nrepo --name=kubernetes --baseurl=http://192.0.2.1/\n", false).is_ok(),
        "the recipe has no repository then"
    );
    assert!(
        try_merge(b"reboot\npoweroff\nrootpw x\n%packages --nobase\n%end\n", true).is_ok(),
        "lints and warnings do not stand against it"
    );
    assert!(try_merge(b"%include /tmp/made-by-pre\n%pre\n%end\n", true).is_ok(), "what is made later may power off");
}

#[test]
fn render_build_and_check_refuse_it_alike() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.ks"), "poweroff\n%post\ntrue\n").unwrap();
    let iso = format!("{{ path = \"c.iso\", sha256 = \"{}\" }}", "0".repeat(64));
    let recipe = format!("schema = 1\nname = \"web\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"my.ks\"\niso = {iso}\n");
    let path = dir.path().join("r.toml");
    fs::write(&path, recipe).unwrap();
    for words in [&["kickstart", "render"][..], &["build"]] {
        let ended = goldsmith(words.iter().copied().chain([path.to_str().unwrap()])).end();
        let name = fs::canonicalize(dir.path().join("my.ks")).unwrap();
        let name = name.display();
        let said = format!(
            "error: the kickstart {name} cannot be used: 1 error in it\n  \
             {name}:3:1: error: section %post, which begins on line 2, does not end before the end of the file; close it with a line `%end`\n  help: correct {name}\n"
        );
        assert!(
            ended.status == 2 && ended.stdout.is_empty() && ended.stderr.starts_with(&said),
            "{words:?}: {}{}",
            ended.stdout,
            ended.stderr
        );
    }
    let ended = goldsmith(["check", path.to_str().unwrap()]).end();
    let rows: Vec<&str> = ended.stdout.lines().filter(|line| line.contains(" kickstart  ")).collect();
    assert_eq!(
        (ended.status, &rows[..]),
        (2, &["wrong     kickstart  line 3: section %post, which begins on line 2, does not end before the end of the file"][..]),
        "{}",
        ended.stderr
    );
}

#[test]
fn goldsmiths_sections_follow_the_users_text() {
    for (name, repositories) in [("own", true), ("own-without-repositories", false)] {
        let text = String::from_utf8(merge(THEIRS.as_bytes(), repositories)).unwrap();
        crate::support::golden(&format!("kickstart/{name}.ks"), &text);
        let (code, said) = super::validate(&text);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert_eq!(text.matches("# goldsmith: begin ").count(), text.matches("# goldsmith: end ").count());
        assert!(!text.contains("timezone Asia/Shanghai") && !text.contains("generic_initramfs"), "the recipe's settings have no say");
    }
}

#[test]
fn every_byte_of_the_users_stays_where_it_is() {
    let whole = THEIRS.as_bytes();
    let crlf = THEIRS.replace('\n', "\r\n");
    let cases: [(&[u8], &[u8]); 5] = [
        (whole, b""),
        (&whole[..whole.len() - 1], b"\n"),
        (crlf.as_bytes(), b""),
        (b"poweroff # no line end", b"\n"),
        (b"poweroff # \xe9t\xe9, in Latin-1\n", b""),
    ];
    for (own, joint) in cases {
        let text = merge(own, true);
        let rest = text.strip_prefix(own).and_then(|rest| rest.strip_prefix(joint));
        assert!(rest.is_some_and(|rest| rest.starts_with(b"\n# goldsmith: begin repositories\n")), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn the_added_sections_do_what_they_say() {
    let scratch = Scratch::new();
    let text = String::from_utf8(merge(THEIRS.as_bytes(), true)).unwrap();
    fs::create_dir_all(scratch.path("volume/kubernetes/repodata")).unwrap();
    fs::write(scratch.path("volume/kubernetes/repodata/repomd.xml"), "<x/>").unwrap();
    let contexts = "root/etc/selinux/targeted/contexts/files/file_contexts";
    for labelled in [false, true] {
        if labelled {
            fs::create_dir_all(scratch.path(contexts).parent().unwrap()).unwrap();
            fs::write(scratch.path(contexts), "").unwrap();
        }
        for (header, call) in [
            ("%pre", "check_nonce"),
            ("%post --nochroot --erroronfail", "copy_repository "),
            ("%post --erroronfail", "repository_file "),
            ("%post --nochroot --erroronfail", "finish"),
        ] {
            let output = scratch.run(&script(&text, header, call));
            assert!(output.status.success(), "{header} {call}: {}", String::from_utf8_lossy(&output.stderr));
            if call == "repository_file " {
                let said = format!("setfiles -F {} /root/Docker /etc/yum.repos.d/local.repo", scratch.path(contexts).display());
                assert_eq!(fs::read_to_string(scratch.path("calls")).unwrap().lines().any(|line| line == said), labelled);
            }
        }
        assert_eq!(fs::read_to_string(scratch.path("port")).unwrap(), "step finishing\nok 0123abcd\n");
    }
    assert_eq!(fs::read_to_string(scratch.path("root/root/Docker/repodata/repomd.xml")).unwrap(), "<x/>");
    let local = fs::read_to_string(scratch.path("root/etc/yum.repos.d/local.repo")).unwrap();
    assert_eq!(local, "[kubernetes]\nname=kubernetes\nbaseurl=file:///root/Docker\nenabled=1\ngpgcheck=0\n");
}

#[test]
fn render_shows_the_users_text_and_what_is_added() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.ks"), THEIRS).unwrap();
    let iso = format!("{{ path = \"c.iso\", sha256 = \"{}\" }}", "0".repeat(64));
    let recipe = format!("schema = 1\nname = \"web\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"my.ks\"\niso = {iso}\n");
    let path = dir.path().join("r.toml");
    fs::write(&path, recipe).unwrap();
    let output = crate::fixture::goldsmith(&["kickstart", "render", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kickstart/own-without-repositories.ks");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(golden).unwrap());
}

//! Kickstarts on which goldsmith and the installer of 7.5 once disagreed, each judged by pykickstart r1.99.66.18-1 on Python 2.7.18, or by
//! Anaconda 21.48.22.134 where a comment says so; and the advice for words of other versions.

use goldsmith::kickstart::{Severity, lint};

use super::read;

/// The line of the first error. `None`: the file is accepted.
type Verdict = Option<usize>;

#[rustfmt::skip]
const CASES: &[(&str, Verdict)] = &[
    // Included files below the installer's own directories are made later.
    ("%include /mnt/install/repo/ks/x\n", None),
    ("%include /mnt/installer/x\n", Some(1)),
    // %anaconda has two commands.
    ("%anaconda\ninstallclass --name=x\n%end\n", None),
    ("%anaconda\npwpolicy root\ninstallclass word --name=\n%end\n", None),
    ("%anaconda\ninstallclass\n%end\n", Some(2)),
    ("%anaconda\n\ninstallclass --foo\n%end\n", Some(3)),
    // Options whose types or names were wrong.
    ("iscsi --ipaddr=1.2.3.4 --port=abc\n", None),
    ("xconfig --startxonboot --server=x\n", None),
    ("xconfig --serv x\n", None),
    // multipath lines are counted, not compared.
    ("multipath --name=x --device=y --rule=z\nmultipath --name=x --device=y --rule=z\n", None),
    ("multipath --name=a --device=b --rule=c\nmultipath --name=d --device=e --rule=f\nmultipath --name=g --device=h --rule=i\n", Some(3)),
    // optparse swallows `--`.
    ("cdrom --\n", None),
    ("hmc --\n", None),
    ("timezone --\n", None),
    ("updates -- word\n", None),
    ("updates -- word two\n", Some(1)),
    ("cdrom -- x\n", Some(1)),
    ("cdrom --x\n", Some(1)),
    ("timezone\n", Some(1)),
    // The password of vnc, also when it is of an earlier line.
    ("vnc --password=abc\n", Some(1)),
    ("vnc --password=abcdef\nvnc\n", None),
    ("vnc --password=\n", None),
    ("vnc --password=123456789\n", Some(1)),
    ("vnc --password=\u{e9}\u{e9}\u{e9}\n", None),
    // The code of this warning fails.
    ("sshkey --username=root \"ssh-rsa A\"\nsshkey --username=root \"ssh-rsa B\"\n", Some(2)),
    ("sshkey --username=root A\nsshkey --username=admin A\n", None),
    ("sshpw --username=x a\nsshpw --username=x a\n", Some(2)),
    ("zfcp --devnum=1 --wwpn=2 --fcplun=3\nzfcp --devnum=1 --wwpn=2 --fcplun=3\n", Some(2)),
    ("zfcp --devnum=1 --wwpn=2 --fcplun=3\nzfcp --devnum=1 --wwpn=2 --fcplun=4\n", None),
    ("user --name=a\nuser --name=a\n", None),
    // Values stay with the command.
    ("url --url=http://a/\nurl --mirrorlist=http://b/\n", Some(2)),
    ("url --url=http://a/\nurl --proxy=http://b/\n", None),
    ("url --url=http://a/\nurl --url= --mirrorlist=http://b/\n", None),
    ("url --proxy=http://b/\n", Some(1)),
    ("keyboard --xlayouts=us\nkeyboard\n", None),
    ("keyboard us --vckeymap=us\nkeyboard\n", Some(2)),
    // updates has options like any other command.
    ("updates --nosuch\n", Some(1)),
    ("updates\n", None),
    // A form feed and a vertical tab are white space to `str.split`, and letters to shlex.
    ("%packages\n@core\n%end\u{c}\n", Some(3)),
    ("%packages\n@core\n%end\u{b}\n%end\n", None),
    ("%packages\u{c}\n%end\n", Some(1)),
    ("%post\n%packages\u{c}\n%end\n", None),
    ("lang\u{b} en_US\n", Some(1)),
    ("realm join x \u{c}\n", None),
    ("timezone UTC --ntpservers=\u{c} --nontp\n", Some(1)),
    // A section without an end has its error on the line where the installer notices it.
    ("%packages\n@core\n", Some(2)),
    ("%packages\n@a --nodefaults --optional\n@core\n", Some(2)),
    ("%post\ntrue\n\n%packages\n%end\n", Some(4)),
    ("%addon ''\n%end\n", Some(1)),
    // Refusals by Anaconda.
    ("upgrade\n", Some(1)),
    ("clearpart --disklabel=nosuch\n", Some(1)),
    ("part / --fstype=nosuch --size=1\n", Some(1)),
    ("part pv.1 --size=1\nvolgroup vg pv.2\n", Some(2)),
    // 7.5 accepts these, and goldsmith does not: see `required` in optparse.rs.
    ("user --name=a\nuser --groups=wheel\n", Some(2)),
    ("repo --name=a --baseurl=http://a/\nrepo --baseurl=http://b/\n", Some(2)),
];

#[test]
fn verdicts_are_those_of_the_installer_of_7_5() {
    let mut wrong = Vec::new();
    for (text, verdict) in CASES {
        let document = read(text);
        let first = document.diagnostics().iter().find(|found| found.severity == Severity::Error);
        if first.map(|found| found.line) != *verdict {
            wrong.push(format!("{text:?} is {verdict:?}, but: {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_7_5_forgets_to_ask_is_refused_with_the_reason() {
    let document = read("user --name=a\nuser --groups=wheel\n");
    let help = document.diagnostics()[0].help.as_deref().unwrap_or_default();
    assert!(help.starts_with("the parser of 7.5 forgets to ask for it on a second line"), "{help}");
    assert_eq!(read("user --groups=wheel\n").diagnostics()[0].help, None);
}

/// A line, and the exact advice of its only error.
#[test]
fn words_of_other_versions_get_advice_that_leads_somewhere() {
    for (text, advice) in [
        ("reboot --noeject\n", "leave it out: without `--eject` the medium stays where it is"),
        ("%packages --excludeWeakdeps\n%end\n", "leave it out: weak dependencies came with RHEL 8"),
        ("autopart --noboot\n", "it came with RHEL 8: write `part` lines for a layout without /boot"),
        ("timezone UTC --ntp-disable\n", "write `--nontp`"),
        ("mouse\n", "it ended with RHEL 5: leave it out, X finds the mouse itself"),
        ("key --skip\n", "it ended with RHEL 6, and CentOS has no installation key: leave it out"),
        ("timesource --ntp-server=x\n", "it came with RHEL 9: write `timezone ZONE --ntpservers=SERVER`"),
        ("authselect --x\n", "it came with RHEL 8: write `auth --enableshadow --passalgo=sha512`, or leave it out"),
        ("zerombr yes\n", "leave `yes` out: RHEL 5 was the last that had it"),
        ("xconfig --card \"X\"\n", "it ended with RHEL 5: leave it out with its value, X finds the card itself"),
        ("rootpw --iscrypted #X#\n", "`#` begins a comment: quote a password that has one"),
        ("<% if @host %>\n", TEMPLATE),
        ("{{ snippets.network }}\n", TEMPLATE),
        ("{% if x %}\n", TEMPLATE),
        ("$SNIPPET('network_config')\n", TEMPLATE),
        ("part / --size={{ size }}\n", TEMPLATE),
        ("network --bootproto=<%= @proto %>\n", TEMPLATE),
        ("lang <%= @lang %>\n", TEMPLATE),
    ] {
        let document = read(text);
        let errors: Vec<_> = document.diagnostics().iter().filter(|found| found.severity == Severity::Error).collect();
        assert!(!errors.is_empty() && errors[0].help.as_deref() == Some(advice), "{text:?}: {errors:#?}");
        let is_template = advice == TEMPLATE;
        assert!(errors.len() == 1 || is_template, "{text:?}: {errors:#?}");
    }
}

const TEMPLATE: &str = "this is a template: let the program that it is for fill it in, and check what comes out";

/// A file in a directory may include one beside it, which includes another, whatever the working directory is (parser.py:749-756).
#[test]
fn includes_are_found_beside_the_file_that_includes_them() {
    let run = || {
        crate::support::goldsmith(["kickstart", "check", "d/main.ks"])
            .file("d/main.ks", "%include a.ks\n")
            .file("d/a.ks", "%include sub/b.ks\n")
            .file("d/sub/b.ks", "%include c.ks\nlang en_US.UTF-8\n")
    };
    run().file("d/sub/c.ks", "keyboard us\n").end().is(0, "", "");
    let ended = run().file("d/sub/c.ks", "keyboard us\nmakeitso\n").end();
    assert!(ended.status == 2 && ended.stdout.starts_with("d/sub/c.ks:2:1: error: there is no command `makeitso`"), "{}", ended.stdout);
    let ended = run().file("d/sub/c.ks", "%include b.ks\n").end();
    assert!(ended.stdout.contains("d/sub/c.ks:1:10: error: `b.ks` includes itself"), "{}", ended.stdout);
}

#[test]
fn commands_that_anaconda_has_no_code_for_are_warned_of() {
    let lints = |text: &str| lint(&read(text)).iter().map(|found| found.lint.id).collect::<Vec<_>>();
    assert_eq!(lints("multipath --name=x --device=y --rule=z\n"), ["command-without-code"]);
    assert_eq!(lints("dmraid --name=x --dev=y\n"), ["command-without-code"]);
}

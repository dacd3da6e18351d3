//! The data that a caller reads from a document, and the texts of findings.

use goldsmith::kickstart::{Included, PackageKind, SectionKind, Severity, Value, parse};

use super::{read, said};

const SAMPLE: &str = "\
# a comment
lang en_US.UTF-8 --addsupport=cs_CZ,de_DE
part / --size 4096 --ondri=sda --label=\"my root\"
partition swap --recommended # all of it
network --device=eth0 --onboot=no --activate
rootpw --lock
halt
%include common.ks
%packages --excludedocs --instLangs=en
@core --nodefaults
@^minimal
-@X Window System
vim-minimal # an editor
-iwl*-firmware
%include more.pkgs
%end
%pre --log=/tmp/pre.log
echo 'lang a' > /tmp/made
%end
%include /tmp/made
%include made-too
%post --nochroot --erroronfail --interpreter /usr/bin/python
%include script.py
print(1)
%endless
%end
%addon com_redhat_kdump --disable
line
%end
";

fn files(path: &str, _: &str) -> Option<String> {
    Some(
        match path {
            "common.ks" => "timezone UTC\n%post\ntrue\n%end\n",
            "more.pkgs" => "# more\nemacs\n",
            "script.py" => "import os\n",
            _ => return None,
        }
        .to_owned(),
    )
}

#[test]
fn commands_and_their_options_are_found_by_any_name() {
    let document = parse("ks.cfg", &SAMPLE.replace("made-too", "/run/made"), &files);
    assert!(document.is_accepted(), "{}", said(&document));
    let names: Vec<_> = document.commands().map(|command| command.canonical()).collect();
    assert_eq!(names, ["lang", "partition", "partition", "network", "rootpw", "reboot", "timezone"]);
    let root = document.commands_named("part").next().unwrap();
    assert_eq!((root.name.as_str(), root.arguments()[0].value.as_str()), ("part", "/"));
    let size = root.option("size").unwrap();
    assert_eq!((size.integer(), document.text(size.span), document.text(size.value_span)), (Some(4096), "--size 4096", "4096"));
    let disk = root.option("ondrive").unwrap();
    assert_eq!((disk.name, disk.written.as_str(), disk.text(), document.text(disk.value_span)), ("ondisk", "--ondri", Some("sda"), "sda"));
    assert_eq!(document.text(root.option("label").unwrap().value_span), "\"my root\"");
    assert_eq!(root.option("label").unwrap().text(), Some("my root"));
    let lang = document.command("lang").unwrap();
    assert_eq!(lang.option("addsupport").unwrap().list(), ["cs_CZ", "de_DE"]);
    assert_eq!(lang.source(), Some("lang.py: F19_Lang"));
    let network = document.command("network").unwrap();
    assert_eq!(network.option("onboot").unwrap().boolean(), Some(false));
    assert_eq!(network.option("activate").unwrap().value, Value::Flag);
    assert!(network.option("bogus").is_none() && document.command("poweroff").is_some_and(|command| command.name == "halt"));
    let timezone = document.command("timezone").unwrap();
    assert_eq!((document.files()[timezone.span.file].name.as_str(), timezone.span.line), ("common.ks", 1));
}

#[test]
fn scripts_packages_addons_and_includes_are_read() {
    let document = parse("ks.cfg", SAMPLE, &files);
    let scripts: Vec<_> = document.scripts().collect();
    assert_eq!(scripts.iter().map(|script| script.kind()).collect::<Vec<_>>(), [SectionKind::Post, SectionKind::Pre, SectionKind::Post]);
    let [included, pre, post] = scripts.as_slice() else { panic!() };
    assert_eq!((included.body().as_str(), included.in_chroot(), included.interpreter()), ("true\n", true, "/bin/sh"));
    assert_eq!((pre.log(), pre.in_chroot(), pre.error_on_fail()), (Some("/tmp/pre.log"), false, false));
    assert_eq!(post.body(), "import os\nprint(1)\n%endless\n");
    assert_eq!(post.lines().map(|(span, _)| (span.file, span.line)).collect::<Vec<_>>(), [(3, 1), (0, 24), (0, 25)]);
    assert_eq!((post.interpreter(), post.in_chroot(), post.error_on_fail()), ("/usr/bin/python", false, true));

    let packages = document.packages().next().unwrap();
    assert_eq!(packages.header().option("instLangs").unwrap().text(), Some("en"));
    let whole = PackageKind::Group { nodefaults: false, optional: false };
    let entries: Vec<_> =
        packages.entries().map(|entry| (entry.kind, entry.excluded, entry.name.as_str(), document.text(entry.span))).collect();
    assert_eq!(
        entries,
        [
            (PackageKind::Group { nodefaults: true, optional: false }, false, "core", "@core --nodefaults"),
            (PackageKind::Environment, false, "minimal", "@^minimal"),
            (whole, true, "X Window System", "-@X Window System"),
            (PackageKind::Package, false, "vim-minimal", "vim-minimal"),
            (PackageKind::Package, true, "iwl*-firmware", "-iwl*-firmware"),
            (PackageKind::Package, false, "emacs", "emacs"),
        ]
    );

    let addon = document.addons().next().unwrap();
    assert_eq!((addon.name(), addon.header().arguments()[1].value.as_str()), ("com_redhat_kdump", "--disable"));
    assert_eq!(addon.lines().map(|(_, text)| text).collect::<String>(), "line\n");

    let known = |content: &Included| match content {
        Included::Read { .. } => "read",
        Included::Unknown => "unknown",
        Included::Missing => "missing",
    };
    let includes: Vec<_> = document.includes().map(|include| (include.path.as_str(), known(&include.content))).collect();
    let expected = [("common.ks", "read"), ("more.pkgs", "read"), ("/tmp/made", "unknown"), ("made-too", "missing"), ("script.py", "read")];
    assert_eq!(includes, expected);
    assert_eq!(document.to_string(), SAMPLE);
    // The one error: nothing makes `made-too`.
    assert_eq!(
        said(&document),
        "ks.cfg:21:10: error: there is no file `made-too`; no %pre script names it, so nothing will make it either\n"
    );
}

#[test]
fn what_a_pre_script_writes_and_what_a_url_has_is_unknown() {
    for path in ["/mnt/x/part", "http://h/x.ks", "nfs://h/x", "/tmp/x", "/run/install/x"] {
        let document = read(&format!("%pre\necho > /mnt/x/part\n%end\n%include {path}\n"));
        assert!(document.is_accepted(), "{path}: {}", said(&document));
        assert!(document.includes().all(|include| matches!(include.content, Included::Unknown)), "{path}");
    }
    assert!(!read("%include /mnt/x/part\n").is_accepted());
}

#[test]
fn a_section_may_go_on_in_an_included_file_and_end_there() {
    let files = |path: &str, _: &str| Some(if path == "open" { "%packages\nvim\n" } else { "emacs\n%end\nlang a\n" }.to_owned());
    // An included file that leaves a section open: all lines behind it are skipped, without an error.
    let document = parse("ks.cfg", "%include open\nbogus\n%end\n", &files);
    assert_eq!(
        said(&document),
        "ks.cfg:1:10: warning: `open` leaves a section %packages open; the installer skips all lines that follow\n"
    );
    // An included file that ends the section of the file around it, which itself goes on to its own %end.
    let document = parse("ks.cfg", "%packages\nvim\n%include close\nnano\n%end\nkeyboard us\n", &files);
    assert!(document.is_accepted(), "{}", said(&document));
    assert_eq!(
        document.packages().next().unwrap().entries().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
        ["vim", "emacs", "nano"]
    );
    assert_eq!(document.commands().map(|command| command.canonical()).collect::<Vec<_>>(), ["lang", "keyboard"]);
}

/// A text, the place of its only finding (line, column, length), the message and the severity.
#[test]
fn findings_say_what_is_wrong_and_what_is_meant() {
    use Severity::{Error, Warning};
    for (text, place, says, severity) in [
        ("lang a\nkeybord us\n", (2, 1, 7), "there is no command `keybord`; did you mean `keyboard`?", Error),
        ("part / --sise=4\n", (1, 8, 8), "partition has no option `--sise`; did you mean `--size`?", Error),
        (
            "part / --size=4G\n",
            (1, 15, 2),
            "partition --size takes a whole number, not `4G`; no unit is written: sizes of disks are in MiB",
            Error,
        ),
        (
            "part / --size=010G\n",
            (1, 15, 4),
            "partition --size takes a whole number, not `010G`; no unit is written: sizes of disks are in MiB",
            Error,
        ),
        (
            "bootloader --timeout=08\n",
            (1, 22, 2),
            "bootloader --timeout takes a whole number, not `08`; a leading 0 makes it an octal number",
            Error,
        ),
        (
            "network --bootproto=dchp\n",
            (1, 21, 4),
            "network --bootproto cannot be `dchp`; did you mean `dhcp`? It is one of dhcp, bootp, static, query, ibft",
            Error,
        ),
        ("network --onboot maybe\n", (1, 18, 5), "network --onboot takes yes or no, not `maybe`", Error),
        ("firewall --disab\n", (1, 10, 7), "`--disab` is the beginning of --disabled and of --disable", Error),
        (
            "text --non-interactive\n",
            (1, 6, 17),
            "text has no option `--non-interactive`; it came with RHEL 8: write `cmdline`, which never asks",
            Error,
        ),
        ("part /\nautopart\n", (2, 1, 8), "autopart cannot be used with partition, which is on line 1", Error),
        (
            "zerombr yes\n",
            (1, 9, 3),
            "`yes` is too much: zerombr takes no arguments; leave `yes` out: RHEL 5 was the last that had it",
            Error,
        ),
        (
            "network --device eth0 up\n",
            (1, 23, 2),
            "`up` is ignored: network takes options only; the installer drops it in silence",
            Warning,
        ),
        (
            "autopart --type=tihnp\n",
            (1, 17, 5),
            "autopart --type: the value is unknown and ignored; one of lvm, btrfs, plain, partition, thinp",
            Warning,
        ),
        ("lang 'a\n", (1, 6, 1), "the quote is never closed", Error),
        ("%postt\ntrue\n%end\n", (1, 1, 6), "there is no section `%postt`; did you mean `%post`?", Error),
        (
            "%post\ntrue\n",
            (2, 1, 1),
            "section %post, which begins on line 1, does not end before the end of the file; close it with a line `%end`",
            Error,
        ),
        ("%end\n", (1, 1, 4), "there is no section `%end`; there is no section open here", Error),
        (
            "%packages --nobase\n%end\n",
            (1, 11, 8),
            "--nobase is deprecated and has no effect; leave it out: later parsers refuse it",
            Warning,
        ),
        (
            "%packages\ndocker 18.09\n%end\n",
            (2, 1, 12),
            "this is one name with white space in it; each package has its own line, and a version is written NAME-VERSION",
            Warning,
        ),
        ("%post\ntrue\n%end # it's\n", (3, 10, 1), "the quote is never closed", Error),
        ("nvdimm use --namespace=a\n", (1, 1, 6), "there is no command `nvdimm`; it came with CentOS 7.6", Error),
        (
            "\u{feff}lang a\n",
            (1, 1, 5),
            "there is no command `\u{feff}lang`; the file begins with a byte order mark: save it without",
            Error,
        ),
        ("repo --name=a\nrepo --name=a\n", (2, 1, 4), "repo `a` is already defined; the installer warns and goes on", Warning),
        ("%anaconda\npwpolicy root --minlen=x\n%end\n", (2, 24, 1), "pwpolicy --minlen takes a whole number, not `x`", Error),
    ] {
        let document = read(text);
        let first = document.diagnostics().first().unwrap_or_else(|| panic!("{text:?}: nothing found"));
        assert_eq!((first.line, first.column, first.length), place, "{text:?}: {first}");
        let spoken = first.to_string();
        assert!(spoken.ends_with(&format!(": {severity}: {says}")), "{text:?}: {spoken}");
    }
}

#[test]
fn all_errors_of_a_file_are_found_in_their_order() {
    let text = "lang\npart / --size=x --bogus\nbogus\n%packages --bogus\n@a --bogus\n%end\n%post\nx\n%pre\n%end\n";
    let lines: Vec<_> = read(text).diagnostics().iter().map(|found| found.line).collect();
    assert_eq!(lines, [1, 2, 2, 3, 4, 5, 9]);
}

//! Recipes, media, archives and places that are wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{failed, fixture, goldsmith, names, small, told};
use crate::source_cases;
use crate::support::{Ended, Run};

#[test]
fn a_recipe_that_cannot_be_used_is_refused_with_its_place() {
    let build = |recipe: &str| goldsmith(["build", recipe, "-o", "out"]);
    let of = |text: &str| build("r.toml").file("r.toml", &format!("{}{text}", super::SMALL));
    let correct = "correct the lines shown; `goldsmith schema` describes every key";
    for (run, status, shown, remedy) in [
        (build("r.toml"), 3, "cannot read `r.toml`: there is no such file", "correct the path, or put the file there"),
        (build("./"), 3, "cannot read `./`: it is a directory", "correct the path, or put the file there"),
        (of("[packages\n"), 2, "this is not TOML: unclosed table", correct),
        (of("[disk]\nsise = \"8G\"\n"), 2, "unknown key `sise`", correct),
        (of("[disk]\ntable = \"mbr\"\nfirmware = \"uefi\"\n"), 2, "UEFI boots from GPT", correct),
        (of("[disk]\nfilesystem = \"xfs\"\n"), 2, "deploy makes ext4 only", correct),
        (of("[disk]\nlvm = true\n"), 2, "deploy makes plain partitions only", correct),
    ] {
        let ended = run.end();
        failed(&ended, status, "1 error in recipe `", remedy);
        assert!(told(&ended).lines().nth(1).unwrap().starts_with(&format!("  error: {shown}")), "{}", ended.stderr);
        assert!(!ended.dir().join(".cache").exists(), "a wrong recipe made a store");
    }
}

#[test]
fn packages_that_are_nowhere_are_told_before_anything_is_made() {
    let ended = goldsmith(["build", "debian-12-docker", "-o", "out", "--set", "packages.install=[\"docker.oi\", \"nosuch=1\"]"]).end();
    failed(&ended, 2, "none of the repositories ", "change packages.install");
    let told = told(&ended);
    assert!(told.lines().next().unwrap().ends_with(" has these, and all of them are needed"), "{told}");
    for line in ["docker.oi, which the recipe asks for; there is docker.io", "nosuch=1, which the recipe asks for"] {
        assert!(told.lines().any(|there| there.trim() == line), "{told}");
    }
    assert!(!ended.dir().join("out").exists());
}

#[test]
fn a_check_tells_everything_that_stands_against_a_build() {
    let check = |sets: &[&str]| {
        let words = ["check", "centos-7.5-docker", "-o", "out", "--set", "media.iso.urls=[]"].into_iter().chain(sets.iter().copied());
        goldsmith(words).env("ROOT_PASSWORD", "x").end()
    };
    let missing = check(&[]);
    failed(&missing, 3, "cannot build centos-7.5-docker: 2 problems\n", "correct what is marked `wrong`");
    // Findings are printed once, on standard output.
    assert!(missing.stdout.contains("help: say where it is (sha256 506e4e06"), "{}", missing.stdout);
    let rows = [
        "ok        kickstart  ",
        "wrong     sources    the installation medium is missing: there is no CentOS-7-x86_64-DVD-1804.iso",
        "wrong     sources    the archive of repository kubernetes is missing: there is no Docker.tar.gz",
        "ok        checks     ",
    ];
    for row in rows {
        assert!(missing.stdout.lines().any(|line| line.starts_with(row)), "{row}: {}", missing.stdout);
    }
    let two = check(&["--set", "check=[{ sysctl = { key = \"net.ipv4.ip_forward\", value = 0 } }]", "--json"]);
    assert_eq!(two.status, 2, "{}", two.stderr);
    let document: serde_json::Value = serde_json::from_str(two.stdout.lines().next().unwrap()).unwrap();
    let rows = document["rows"].as_array().unwrap();
    let wrong: Vec<_> = rows.iter().filter(|row| row["verdict"] == "wrong").map(|row| row["area"].as_str().unwrap()).collect();
    assert_eq!((document["schema"].as_u64(), &wrong[..]), (Some(1), &["sources", "sources", "checks"][..]), "{document}");
    assert!(!two.dir().join("out").exists());

    let iso = format!("iso = {{ path = \"iso\", sha256 = \"{}\" }}", "0".repeat(64));
    let own = format!("schema = 1\nname = \"own\"\nmedia = {{ installer = \"anaconda\", {iso}, kickstart = \"my.ks\" }}\n");
    let kickstart = "lang en_US.UTF-8\nmakeitso\n%packages\n@core\n";
    let ended = goldsmith(["check", "r.toml", "-o", "out"]).file("r.toml", &own).file("my.ks", kickstart).end();
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    for row in ["wrong     kickstart  line 2: ", "wrong     kickstart  line 4: "] {
        assert!(ended.stdout.lines().any(|line| line.starts_with(row)), "{row}: {}", ended.stdout);
    }

    // Lints only warn, and a check does not fail because of them. Rendered kickstarts have none.
    let ended = goldsmith(["check", "r.toml", "-o", "out"]).file("r.toml", &own).file("my.ks", "%post\nsysctl -p\n%end\npoweroff\n").end();
    let rows: Vec<&str> = ended.stdout.lines().filter(|line| line.contains(" kickstart  ")).collect();
    let expected = [
        "warning   kickstart  line 2: this sets values in the installer's kernel [sysctl-in-post]",
        "ok        kickstart  the parser of CentOS 7.5 accepts it",
    ];
    assert_eq!((ended.status, &rows[..]), (3, &expected[..]), "{}{}", ended.stdout, ended.stderr);
    // The lints about the end of an installation do not apply here.
    let ended = goldsmith(["check", "r.toml", "-o", "out"]).file("r.toml", &own).file("my.ks", "cmdline\nreboot\n").end();
    let row = "ok        kickstart  `reboot` on line 2 does not power the machine off: goldsmith adds `poweroff`, and the last such command counts";
    assert!(ended.status == 3 && ended.stdout.lines().any(|line| line == row), "{}{}", ended.stdout, ended.stderr);
    assert!(!missing.stdout.contains("warning   kickstart"), "{}", missing.stdout);
}

/// What is told by check of the recipe's names needs no network where the answer is known without one.
#[test]
fn a_check_tells_what_the_system_cannot_have() {
    let sets = [
        "media.iso.urls=[]",
        "system.timezone=Europe/Kyiv",
        "packages.install=[\"docker-ce\", \"mod_ssl\"]",
        "user=[{ name = \"nobody\" }, { name = \"ada\", shell = \"/opt/no/sh\" }]",
    ];
    let words = ["check", "centos-7.5-docker", "-o", "out"].into_iter().chain(sets.iter().flat_map(|set| ["--set", set]));
    let ended = goldsmith(words).env("ROOT_PASSWORD", "x").end();
    for row in [
        "warning   settings   the time zone Europe/Kyiv came with release ",
        "warning   settings   user `ada` is to have the shell /opt/no/sh, and it is not known that a package brings it",
        "wrong     settings   the user `nobody` cannot be added: the system has one of that name",
        "warning   settings   mod_ssl makes a private key ",
    ] {
        assert!(ended.stdout.lines().any(|line| line.starts_with(row)), "{row}: {}{}", ended.stdout, ended.stderr);
    }
}

/// Steps that install packages, one of which there is.
const STEPS: &str = "[build]\nnetwork = \"open\"\n[[provision]]\nname = \"tools\"\npackages = [\"curl=7.88.1-10\", \"dokcer-cli\"]\n";

/// These need the packages' lists of files. A step may bring a shell, so that is a warning.
#[test]
fn a_check_tells_what_no_package_brings() {
    let text = format!("{}[services]\nenable = [\"dokcer\"]\n[[user]]\nname = \"ada\"\nshell = \"/bin/zsh\"\n{STEPS}", super::SMALL);
    let ended = goldsmith(["check", "r.toml", "-o", "out"]).file("r.toml", &text).end();
    for row in [
        "wrong     settings   services.enable names dokcer.service, and none of the packages brings it",
        "warning   settings   user `ada` is to have the shell /bin/zsh, and none of the packages brings it",
        "warning   packages   the provision step `tools` installs dokcer-cli, and no repository of the recipe has a package of that name",
    ] {
        assert!(ended.stdout.lines().any(|line| line.starts_with(row)), "{row}: {}{}", ended.stdout, ended.stderr);
    }
    assert!(!ended.stdout.contains("installs curl"), "{}", ended.stdout);
}

#[test]
fn a_check_tells_that_namespaces_are_refused() {
    let ended = small(["check", "small.toml", "-o", "out"]).stub("unshare", "exit 1").end();
    let told = "this user cannot have namespaces of its own, in which an installation runs as root";
    assert!(ended.stdout.lines().any(|line| line.starts_with("wrong ") && line.contains(told)), "{}{}", ended.stdout, ended.stderr);
}

/// The flagship's recipe with this medium and archive. Files are named by their content.
fn centos(sets: &[&str], iso: &Path) -> Run {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let words = ["build", "centos-7.5-docker", "-o", "out"].into_iter().chain(sets);
    let run = goldsmith(words).env("ROOT_PASSWORD", "x").file("abc", "abc").file("page", "<html>no such file</html>");
    fs::copy(iso, run.dir().join("iso")).unwrap();
    run
}

#[test]
fn media_and_archives_are_the_pinned_ones_or_the_build_does_not_begin() {
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const DVD: &str = "506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345";
    let dir = tempfile::tempdir().unwrap();
    let medium = source_cases::centos(dir.path(), &[]);
    let sha256 = String::from_utf8(Command::new("sha256sum").arg(&medium).output().unwrap().stdout).unwrap();
    let iso = format!("media.iso={{ path = \"iso\", sha256 = \"{}\" }}", &sha256[..64]);
    let short = format!("media.iso={{ path = \"iso\", sha256 = \"{DVD}\" }}");
    let page = format!("media.iso={{ path = \"page\", sha256 = \"{DVD}\" }}");
    let wrong = format!("media.iso={{ path = \"iso\", sha256 = \"{ABC}\" }}");
    let no_iso = format!("media.iso={{ path = \"abc\", sha256 = \"{ABC}\" }}");
    let archive = format!("repository.0.archive={{ path = \"abc\", sha256 = \"{}\" }}", "0".repeat(64));
    let alone = "repository=[]";
    let (none, nowhere) = ("media.iso.path=\"none.iso\"", "media.iso.urls=[]");
    for (sets, cause, remedy) in [
        (
            &[none, nowhere][..],
            "2 inputs cannot be used:\n  the installation medium is missing: there is no none.iso\n  the archive of repository kubernetes is",
            "say where it is (sha256 506e4e06",
        ),
        (&[none, nowhere, alone], "the installation medium is missing: there is no none.iso", "say where it is (sha256 506e4e06"),
        (
            &[&wrong, alone],
            "the installation medium is another file than the recipe pins: iso has sha256 ",
            "download it again, or correct",
        ),
        (&[&no_iso, alone], "the installation medium is not an ISO 9660 image: abc is a text of 3 bytes", "correct the path, or download"),
        (
            &[&page, alone],
            "the installation medium is not an ISO 9660 image: page is a web page of 25 bytes",
            "download it again, from an address",
        ),
        (
            &[&short, alone],
            "the installation medium is another one than the recipe pins: iso is CentOS 7.5 (x86_64), the recipe says CentOS 7.5.1804 DVD",
            "get CentOS 7.5.1804 DVD, or take this medium: --set 'media.iso={path=",
        ),
        (&[&iso], "the archive of repository kubernetes is missing: there is no Docker.tar.gz", "say where it is: --set repository.0.arc"),
        (&[&iso, &archive], "the archive of repository kubernetes is another file than the recipe pins: abc has", "download it again"),
    ] {
        failed(&centos(sets, &medium).end(), 3, cause, remedy);
    }
}

/// A server of Python's on this host, of the files in `dir`; it ends with its test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn of(dir: &Path) -> Self {
        let args = ["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"];
        let mut child =
            Command::new("python3").args(args).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("python3");
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        // Serving HTTP on 127.0.0.1 port 37719 (http://127.0.0.1:37719/) ...
        let url = said.split(['(', ')']).nth(1).unwrap_or_else(|| panic!("{said}")).to_owned();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_medium_of_the_world_is_looked_for_by_check_and_fetched_by_build() {
    let dir = tempfile::tempdir().unwrap();
    let medium = source_cases::centos(dir.path(), &[]);
    let server = Server::of(dir.path());
    let name = medium.file_name().unwrap().to_str().unwrap();
    let sha256 = String::from_utf8(Command::new("sha256sum").arg(&medium).output().unwrap().stdout).unwrap()[..64].to_owned();
    let iso = |urls: &str, sha256: &str| format!("media.iso={{ urls = [{urls}], sha256 = \"{sha256}\" }}");
    let good = iso(&format!("\"{0}none.iso\", \"{0}{name}\"", server.url), &sha256);
    let run = |command: &str, set: &str| {
        let words = [command, "centos-7.5-docker", "--set", set, "--set", "repository=[]"];
        goldsmith(words).env("ROOT_PASSWORD", "x").env("GOLDSMITH_STORE", dir.path().join("store")).end()
    };
    let kept = || names(&dir.path().join("store/v1/files"));
    let row = |ended: &Ended| ended.stdout.lines().find(|line| line.contains(" sources ")).unwrap_or_default().to_owned();

    let looked = run("check", &good);
    let size = fs::metadata(&medium).unwrap().len() >> 10;
    let expected = format!("ok        sources    iso, sha256 {}, will be fetched: {size} KiB from 127.0.0.1", &sha256[..12]);
    assert!(row(&looked) == expected && kept().is_empty(), "{}{}", looked.stdout, looked.stderr);
    let nowhere = run("check", &iso(&format!("\"{}none.iso\"", server.url), &sha256));
    let why = format!("the installation medium cannot be fetched: {}none.iso: the server says 404 Not Found", server.url);
    assert_eq!((nowhere.status, row(&nowhere)), (3, format!("wrong     sources    {why}")));

    let other = run("build", &iso(&format!("\"{}{name}\"", server.url), &"0".repeat(64)));
    assert!(other.status == 3 && other.stderr.contains(&format!("with sha256 {sha256}, the recipe says 0000")), "{}", other.stderr);
    // Nothing is fetched for a build that lacks another file.
    let lacking = goldsmith(["build", "centos-7.5-docker", "--set", &good]).env("ROOT_PASSWORD", "x");
    let lacking = lacking.env("GOLDSMITH_STORE", dir.path().join("store")).end();
    assert!(lacking.status == 3 && lacking.stderr.contains("error: the archive of repository kubernetes is missing"), "{}", lacking.stderr);
    assert!(!kept().contains(&sha256), "{:?}", kept());
    // The installation fails later. The medium is fetched by then, and the fault of the first address was reported.
    let built = run("build", &good);
    let warned = "the installation medium is not to be had from 127.0.0.1: the server says 404 Not Found";
    assert!(built.stderr.contains(warned) && kept().contains(&sha256), "{} {:?}", built.stderr, kept());
    drop(server);
    let again = run("check", &good);
    assert_eq!(row(&again), format!("ok        sources    iso, sha256 {}", &sha256[..12]), "{}", again.stderr);
}

/// Metadata that yum cannot use is made again, with a message. Without createrepo_c it is refused, and the message has the command that
/// makes usable metadata.
#[test]
fn metadata_of_no_use_to_yum_is_made_anew_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let medium = source_cases::centos(dir.path(), &[]);
    let bundle = dir.path().join("Docker");
    source_cases::Rpm::new("docker-ce", "18.09.6", "3.el7").build(&bundle);
    source_cases::make("createrepo_c", &bundle, ["--quiet", "--no-database", "--simple-md-filenames", "."]);
    let script = "cd repodata
        is() { sha256sum $1 | cut -c 1-64; }
        old=$(is primary.xml.gz) size=$(stat -c %s primary.xml.gz)
        gunzip primary.xml.gz && zstd -q --rm primary.xml
        sed -i \"s/primary.xml.gz/primary.xml.zst/; s/$old/$(is primary.xml.zst)/; s/<size>$size</<size>$(stat -c %s primary.xml.zst)</\" repomd.xml";
    source_cases::make("sh", &bundle, ["-ec", script]);
    let archive = format!("repository.0.archive.path={bundle:?}");
    let sha256 = String::from_utf8(Command::new("sha256sum").arg(&medium).output().unwrap().stdout).unwrap();
    let iso = format!("media.iso={{ path = {medium:?}, sha256 = \"{}\" }}", &sha256[..64]);
    let check = || goldsmith(["check", "centos-7.5-docker", "--set", &iso, "--set", &archive]).env("ROOT_PASSWORD", "x");
    let anew = check().end();
    for line in [
        "warning   sources    yum of EL 7 cannot use the metadata of kubernetes; createrepo_c made it anew",
        "`repodata/primary.xml.zst` is compressed with zstd, which yum 3.4.3 of EL 7 cannot read",
    ] {
        assert!(anew.stdout.lines().any(|found| found.trim() == line.trim()), "{line}: {}{}", anew.stdout, anew.stderr);
    }
    let refused = check().stub("none", "").path_only().end();
    for words in [
        "wrong     sources    the metadata of the archive of repository kubernetes cannot be used: ",
        ": `repodata/primary.xml.zst` is compressed with zstd, which yum 3.4.3 of EL 7 cannot read",
        "createrepo_c --no-database --general-compress-type=gz DIRECTORY (or pack them without repodata: with createrepo_c installed, goldsmith makes it)",
    ] {
        assert!(refused.stdout.contains(words), "{words}: {}{}", refused.stdout, refused.stderr);
    }
}

/// A medium that the recipe does not expect is reported by its name, before gigabytes are hashed.
#[test]
fn another_medium_is_named_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = source_cases::centos(dir.path(), &[]);
    let of_blocks = |blocks: u32| {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(u64::from(blocks) * 2048).unwrap();
        file.write_all_at(&[blocks.to_le_bytes(), blocks.to_be_bytes()].concat(), 16 * 2048 + 80).unwrap();
    };
    let check = |recipe: &str, expected: &str| {
        let iso = format!("media.iso.path={path:?}");
        let ended = goldsmith(["check", recipe, "--set", &iso, "--set", "repository=[]"]).env("ROOT_PASSWORD", "x").end();
        let title = format!("the installation medium is another one than the recipe pins: {} is {expected}", path.display());
        assert!(ended.status == 3 && ended.stdout.contains(&title), "{}{}", ended.stdout, ended.stderr);
    };
    of_blocks(2_300_438);
    check("centos-7.5-docker", "CentOS 7.9.2009 DVD (x86_64), the recipe says CentOS 7.5.1804 DVD");
    of_blocks(2_182_204);
    check("centos-7.9-docker", "CentOS 7.5.1804 DVD (x86_64), the recipe says CentOS 7.9.2009 DVD");
    let tree = b"[general]\nfamily = Red Hat Enterprise Linux\nversion = 7.5\narch = x86_64\n";
    source_cases::centos(dir.path(), &[(".treeinfo", tree)]);
    check("centos-7.5-docker", "Red Hat Enterprise Linux 7.5 (x86_64), the recipe says CentOS 7.5.1804 DVD");
}

#[test]
fn a_file_of_the_world_is_pinned() {
    let archive = "repository.0.archive={ urls = [\"https://example.org/Docker.tar.gz\"] }";
    let ended = goldsmith(["check", "centos-7.5-docker", "--set", archive]).env("ROOT_PASSWORD", "x").end();
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("a file from the network must be pinned") && ended.stderr.contains("add `sha256 = "), "{}", ended.stderr);
}

#[test]
fn a_place_that_cannot_be_the_artifacts_is_refused_before_the_work() {
    let run = small(["build", "small.toml", "-o", "/proc/out"]).end();
    failed(&run, 7, "/proc/out cannot be written: No such file or directory", "choose a directory you may write to with -o DIR");
    let file = small(["build", "small.toml", "-o", "file"]).file("file", "mine").end();
    failed(
        &file,
        2,
        "file is not an artifact of goldsmith (it is not a directory), so it is not replaced",
        "name another directory: -o DIR",
    );
    assert_eq!(fs::read_to_string(file.dir().join("file")).unwrap(), "mine");
    // A check refuses the same places as a build, and neither makes any file.
    for (place, status) in [("file", 2), ("file/x", 7), ("/proc/out", 7)] {
        for command in ["build", "check"] {
            let ended = small([command, "small.toml", "-o", place]).file("file", "mine").end();
            assert_eq!(ended.status, status, "{command} {place}: {}", ended.stderr);
        }
    }
    for (command, status) in [("check", 0), ("build", 7)] {
        let memory = if command == "check" { "1G" } else { "900G" };
        let memory = format!("build.memory=\"{memory}\"");
        let ended = small([command, "small.toml", "-o", "new/deep/x", "--set", &memory]).end();
        assert_eq!(ended.status, status, "{command}: {}{}", ended.stdout, ended.stderr);
        assert!(!ended.dir().join("new").exists(), "{command} left a directory");
    }
    let dir = small(["build", "small.toml", "-o", "dir", "--force"]).file("dir/notes", "mine").end();
    failed(&dir, 2, "dir is not an artifact of goldsmith (it has no manifest.json)", "name another directory: -o DIR");
    assert_eq!(names(&dir.dir().join("dir")), ["notes"]);
    let store = small(["build", "small.toml", "--store", "file", "-o", "out"]).file("file", "").end();
    failed(
        &store,
        7,
        "the store cannot be used: file: Not a directory",
        "make room or give permission, or name another store: --store DIR",
    );
}

/// A disk that `run --keep` left in an artifact would be lost. A build reports that before the work, and a check reports the same.
#[test]
fn an_artifact_in_the_way_is_told_by_a_check_and_before_a_build() {
    let manifest = include_str!("../golden/manifest.json");
    let run = |words: &[&'static str]| {
        let run = small(words.iter().copied().chain(["small.toml", "-o", "old"])).file("old/manifest.json", manifest);
        if words.contains(&"--force") { run.file("old/debian-12-docker.run.qcow2", "mine") } else { run }.end()
    };
    for (words, cause, remedy) in [
        (["build"].as_slice(), "old holds another artifact (", "replace it with --force, or name another directory: -o DIR"),
        (
            &["build", "--force"],
            "old holds `debian-12-docker.run.qcow2`, which `goldsmith run --keep` made, so it is not replaced",
            "move that file away, or name another directory: -o DIR",
        ),
    ] {
        let ended = run(words);
        failed(&ended, 2, cause, remedy);
        assert!(!ended.stderr.contains("install: begun"), "{}", ended.stderr);
        let checked = run(&[&["check"], &words[1..]].concat());
        assert!(
            checked.status == 2 && checked.stdout.contains(cause) && !checked.stderr.contains(cause),
            "{}{}",
            checked.stdout,
            checked.stderr
        );
    }
    let forced = small(["check", "small.toml", "-o", "old", "--force"]).file("old/manifest.json", manifest).end();
    assert_eq!(forced.status, 0, "{}{}", forced.stdout, forced.stderr);
}

#[test]
fn another_artifact_stays_unless_it_is_forced_away() {
    let artifact = {
        let _slot = fixture::machines();
        fixture::fixture().artifact.to_str().unwrap()
    };
    let before = fs::read(fixture::fixture().artifact.join("manifest.json")).unwrap();
    let root = fixture::root_override(&fixture::fixture().key);
    let words = ["build", "debian-12-docker", "-o", artifact, "--set", &root, "--set", "summary=\"another\""];
    let store = fixture::place().join("store");
    let ended = goldsmith(words).env("ROOT_PASSWORD", fixture::PASSWORD).env("GOLDSMITH_STORE", store).end();
    failed(&ended, 2, &format!("{artifact} holds another artifact"), "replace it with --force, or name another directory: -o DIR");
    assert_eq!(fs::read(fixture::fixture().artifact.join("manifest.json")).unwrap(), before);
}

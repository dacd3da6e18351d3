//! Bundles as GNU tar, Python and createrepo_c make them, and wrong ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::event::{Event, Events};
use goldsmith::base::failure::{Class, Failure};
use goldsmith::cache::Store;
use goldsmith::sources::SourceError;
use goldsmith::sources::bundle::{Bundle, Comparison, Listed, Maker, Target};

use super::{Rpm, make, put};

/// A directory for a test: a store, a scratch directory, and the messages.
pub struct Bench {
    pub dir: tempfile::TempDir,
    store: Store,
    said: Arc<Mutex<Vec<String>>>,
    pinned: Option<Sha256Digest>,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        fs::create_dir(dir.path().join("scratch")).unwrap();
        Self { dir, store, said: Arc::default(), pinned: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn open(&self, name: &str) -> Result<Bundle, SourceError> {
        let said = Arc::clone(&self.said);
        let listener = move |event: &Event| match event {
            Event::Warning { text } | Event::Note { text } => said.lock().unwrap().push(text.clone()),
            Event::Progress { step, .. } => said.lock().unwrap().push(step.clone()),
            _ => {}
        };
        let task = Events::new(vec![Box::new(listener)]).task("t");
        on_runtime(Bundle::open("the bundle", &self.path(name), self.pinned, &self.store, &self.path("scratch"), &task))
    }

    /// Check that it is refused as input and that nothing was written. Returns the problems.
    #[track_caller]
    pub fn refused(&self, name: &str) -> Vec<String> {
        let error = self.open(name).map(|bundle| format!("{:?}", bundle.files())).expect_err("it was taken");
        assert_eq!(error.class(), Class::Input, "{error}");
        assert!(error.remedy().is_some() && fs::read_dir(self.path("scratch")).unwrap().next().is_none());
        let shown = error.to_string().replace(&format!("{}/", self.dir.path().display()), "");
        match error.evidence() {
            lines if lines.is_empty() => vec![shown],
            lines => lines,
        }
    }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub fn unpack(bundle: &Bundle, dest: &Path) -> Result<(), SourceError> {
    on_runtime(bundle.unpack(dest, &Events::none().task("t")))
}

/// A package that [`repository`] holds.
pub const DOCKER: &str = "docker-ce-18.09.6-3.el7.x86_64.rpm";
/// The other package in it.
const CONTAINERD: &str = "sub/containerd.io-1.2.5-3.1.el7.x86_64.rpm";

/// A typical repository of a user, with metadata.
pub fn repository(dir: &Path) {
    Rpm::new("docker-ce", "18.09.6", "3.el7").build(dir);
    Rpm::new("containerd.io", "1.2.5", "3.1.el7").build(&dir.join("sub"));
    make("createrepo_c", dir, ["--quiet", "."]);
}

pub fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_packing_and_any_top_folder_is_the_same_repository() {
    let bench = Bench::new();
    repository(&bench.path("Docker"));
    let expected = tree(&bench.path("Docker"));
    let python =
        "import tarfile; t = tarfile.open('py.tar', 'w', format=tarfile.PAX_FORMAT); t.add('Docker', 'ä/lab/' + 'n' * 120); t.close()";
    for (name, program, args) in [
        ("a.tar.gz", "tar", &["-czf", "a.tar.gz", "Docker"][..]),
        ("a.tar.xz", "tar", &["-cJf", "a.tar.xz", "-C", "Docker", "."]),
        ("a.tar.bz2", "tar", &["-cjf", "a.tar.bz2", "Docker"]),
        ("a.tar.zst", "tar", &["--zstd", "-cf", "a.tar.zst", "./Docker"]),
        (
            "gnu.tar",
            "tar",
            &[
                "--format=gnu",
                "-cf",
                "gnu.tar",
                "--transform",
                "s,^Docker,a/folder-of-a-long-name-that-does-not-fit-into/a-header-of-the-old-format/with-its-hundred-bytes-for-names,",
                "Docker",
            ],
        ),
        ("pax.tar", "tar", &["--format=posix", "-cf", "pax.tar", "Docker"]),
        ("v7.tar", "tar", &["--format=v7", "-cf", "v7.tar", "-C", "Docker", "."]),
        ("py.tar", "python3", &["-c", python]),
    ] {
        make(program, bench.dir.path(), args.iter().copied());
        let bundle = bench.open(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let dest = bench.path(&format!("{name}-unpacked"));
        unpack(&bundle, &dest).unwrap();
        assert!(tree(&dest) == expected, "{name}");
        assert_eq!((bundle.maker(), bundle.files().len(), bundle.packages().count()), (Maker::Carried, expected.len(), 2), "{name}");
        assert_eq!(bundle.unpacked_bytes(), expected.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        assert!(bundle.repodata()["repodata/repomd.xml"].starts_with(b"<?xml"), "{name}");
    }
    let directory = bench.open("Docker").unwrap();
    assert_eq!(
        directory.packages().map(|(_, package)| package.to_string()).collect::<Vec<_>>(),
        ["docker-ce-18.09.6-3.el7.x86_64", "containerd.io-1.2.5-3.1.el7.x86_64"]
    );
    let dest = bench.path("copied");
    unpack(&directory, &dest).unwrap();
    assert!(tree(&dest) == expected);
    // A directory's digest depends on its content, not on its place or time.
    assert_eq!(bench.open("copied").unwrap().sha256(), directory.sha256());
    fs::create_dir(bench.path("around")).unwrap();
    fs::rename(&dest, bench.path("around/it")).unwrap();
    let moved = bench.open("around").unwrap();
    assert_eq!((moved.sha256(), moved.top()), (directory.sha256(), "it"));
    unpack(&moved, &bench.path("again")).unwrap();
    assert!(tree(&bench.path("again")) == expected);
    fs::write(bench.path("again/note"), "x").unwrap();
    assert_ne!(bench.open("again").unwrap().sha256(), directory.sha256());
}

#[test]
fn an_archive_is_read_once() {
    let bench = Bench::new();
    repository(&bench.path("Docker"));
    make("tar", bench.dir.path(), ["-czf", "a.tgz", "Docker"]);
    let first = bench.open("a.tgz").unwrap();
    assert!(bench.said.lock().unwrap().iter().any(|said| said == "inspect the bundle"));
    bench.said.lock().unwrap().clear();
    let second = bench.open("a.tgz").unwrap();
    // Only the files that were written a moment ago are hashed again.
    assert!(bench.said.lock().unwrap().iter().all(|said| said == "hash the bundle"));
    assert_eq!((first.files(), first.repodata()), (second.files(), second.repodata()));
    // The stored facts about an archive are checked again when it is unpacked.
    fs::write(bench.path("Docker/note"), "changed").unwrap();
    fs::remove_file(bench.path("Docker").join(DOCKER)).unwrap();
    make("tar", bench.dir.path(), ["-czf", "a.tgz", "Docker"]);
    let error = unpack(&second, &bench.path("dest")).unwrap_err().to_string();
    assert!(error.ends_with(&format!("`{DOCKER}` is gone since the archive was inspected")), "{error}");
    assert!(!bench.path("dest").exists() && !tree(bench.dir.path()).iter().any(|(path, _)| path.starts_with(".dest")));
    // Existing files are not overwritten either.
    fs::create_dir(bench.path("there")).unwrap();
    assert!(matches!(unpack(&bench.open("Docker").unwrap(), &bench.path("there")), Err(SourceError::Scratch { .. })));
}

/// The entries of createrepo's metadata, read by another program: path, bytes, kind of checksum, checksum.
fn listed(repodata: &Path) -> Vec<[String; 4]> {
    let script = "import glob, gzip, sys, xml.etree.ElementTree as E
n = '{http://linux.duke.edu/metadata/common}'
for f in glob.glob(sys.argv[1] + '/*primary.xml.gz'):
    for p in E.fromstring(gzip.open(f).read()):
        c = p.find(n + 'checksum')
        print(p.find(n + 'location').get('href'), p.find(n + 'size').get('package'), c.get('type'), c.text)";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(repodata).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(words).collect()
}

/// Compare a bundle with the entries of `repodata`.
fn compare(bundle: &Bundle, repodata: &Path) -> Result<Comparison, SourceError> {
    let listed = listed(repodata);
    bundle.compare(
        "primary.xml.gz",
        listed.iter().map(|[location, bytes, kind, checksum]| Listed {
            location,
            bytes: Some(bytes.parse().unwrap()),
            checksum_kind: kind,
            checksum,
        }),
    )
}

#[test]
fn metadata_is_made_where_there_is_none_and_always_the_same() {
    let bench = Bench::new();
    repository(&bench.path("Docker"));
    let by_hand = listed(&bench.path("Docker/repodata"));
    // Metadata without its repomd.xml does not count as metadata.
    fs::remove_file(bench.path("Docker/repodata/repomd.xml")).unwrap();
    make("tar", bench.dir.path(), ["-czf", "a.tgz", "Docker"]);
    let bundle = bench.open("a.tgz").unwrap();
    let repodata = bundle.files().iter().filter(|file| file.path.starts_with("repodata/")).count();
    assert_eq!((bundle.maker(), bundle.packages().count(), repodata), (Maker::Made, 2, bundle.repodata().len()));
    assert!(bench.said.lock().unwrap().iter().any(|said| said == "the bundle has no repodata; createrepo_c makes it"));
    assert!(fs::read_dir(bench.path("scratch")).unwrap().next().is_none());
    let dest = bench.path("dest");
    unpack(&bundle, &dest).unwrap();
    assert_eq!(tree(&dest).len(), bundle.files().len());
    assert_eq!(bundle.unpacked_bytes(), tree(&dest).iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    // It equals the output of createrepo_c run by hand, and describes these files.
    assert_eq!(listed(&dest.join("repodata")), by_hand);
    assert_eq!(compare(&bundle, &dest.join("repodata")).unwrap(), Comparison::default());
    let other = Bench::new();
    let packages: Vec<_> = tree(&dest).into_iter().filter(|(name, _)| name.ends_with("rpm")).collect();
    let packages: Vec<(&str, &[u8])> = packages.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    put(&other.path("elsewhere"), &packages);
    let again = other.open("elsewhere").unwrap();
    assert_eq!((again.repodata(), again.files()), (bundle.repodata(), bundle.files()));
    // The second time no metadata is made.
    other.said.lock().unwrap().clear();
    assert_eq!(other.open("elsewhere").unwrap().repodata(), again.repodata());
    assert!(!other.said.lock().unwrap().iter().any(|said| said.contains("createrepo_c")));
    let carried = bench.open("dest").unwrap();
    assert_eq!((carried.maker(), carried.repodata()), (Maker::Carried, bundle.repodata()));
}

#[test]
fn metadata_about_other_files_is_refused_and_missing_packages_are_named() {
    let verdict = |change: &dyn Fn(&Path)| {
        let bench = Bench::new();
        repository(&bench.path("Docker"));
        change(&bench.path("Docker"));
        compare(&bench.open("Docker").unwrap(), &bench.path("Docker/repodata"))
    };
    assert_eq!(verdict(&|_| {}).unwrap(), Comparison::default());
    let new = verdict(&|dir| Rpm::new("new", "1", "1").build(dir)).unwrap();
    assert_eq!(new, Comparison { unlisted: vec!["new-1-1.x86_64.rpm".into()], unchecked: Vec::new() });
    let sha1 = verdict(&|dir| make("createrepo_c", dir, ["--quiet", "--checksum", "sha1", "."])).unwrap();
    assert_eq!((sha1.unlisted.len(), sha1.unchecked.len()), (0, 2));
    let error = verdict(&|dir| fs::remove_file(dir.join(DOCKER)).unwrap()).unwrap_err();
    assert_eq!((error.class(), error.evidence()), (Class::Input, Vec::new()));
    let told = format!("`{DOCKER}` is named by primary.xml.gz and is not in the bundle");
    assert!(error.to_string().starts_with("the metadata of the bundle cannot be used: ") && error.to_string().ends_with(&told));
    assert!(error.remedy().unwrap().contains("createrepo_c --no-database --general-compress-type=gz DIRECTORY "));
    let error = verdict(&|dir| {
        let mut bytes = fs::read(dir.join(DOCKER)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(dir.join(DOCKER), bytes).unwrap();
        fs::write(dir.join(CONTAINERD), [fs::read(dir.join(CONTAINERD)).unwrap(), b"x".to_vec()].concat()).unwrap();
    })
    .unwrap_err();
    let mut problems = error.evidence();
    problems.sort();
    assert!(problems[0].starts_with(&format!("`{DOCKER}` is another file than primary.xml.gz says: it has sha256 ")), "{problems:?}");
    assert!(problems[1].starts_with(&format!("`{CONTAINERD}` has ")) && problems[1].contains(" bytes, and primary.xml.gz says "));
}

#[test]
fn packages_in_the_wrong_place_are_found_by_their_headers() {
    let bench = Bench::new();
    let dir = bench.path("Docker");
    repository(&dir);
    Rpm { arch: "i686", ..Rpm::new("libseccomp", "2.3.1", "3.el7") }.build(&dir);
    Rpm { is_source: true, ..Rpm::new("docker-ce", "18.09.6", "3.el7") }.build(&dir);
    Rpm { payload: "w3.zstdio", arch: "noarch", ..Rpm::new("container-selinux", "2.167.0", "1.el8") }.build(&dir);
    Rpm { payload: "w2.xzdio", arch: "noarch", ..Rpm::new("yum-utils", "1.1.31", "45.el7") }.build(&dir);
    let found = bench.open("Docker").unwrap().traps(Target { arch: "x86_64", release: 7 });
    let found: Vec<String> = found.iter().map(|trap| format!("{} {}", trap.path, trap.kind)).collect();
    assert_eq!(
        found,
        [
            "container-selinux-2.167.0-1.el8.noarch.rpm is made for el8, and the system is el7",
            "container-selinux-2.167.0-1.el8.noarch.rpm is compressed with zstd, which rpm 4.11 of EL 7 cannot unpack",
            "docker-ce-18.09.6-3.el7.src.rpm is a source package, which installs nothing",
            "libseccomp-2.3.1-3.el7.i686.rpm is for i686, and the system is x86_64",
        ]
    );
}

#[test]
fn links_become_the_files_they_lead_to() {
    let bench = Bench::new();
    let dir = bench.path("Docker");
    repository(&dir);
    fs::hard_link(dir.join(DOCKER), dir.join("zz-hard.rpm")).unwrap();
    std::os::unix::fs::symlink("../zz-hard.rpm", dir.join("sub/soft.rpm")).unwrap();
    std::os::unix::fs::symlink("soft.rpm", dir.join("sub/softer.rpm")).unwrap();
    make("tar", bench.dir.path(), ["-cf", "a.tar", "Docker"]);
    let whole = fs::read(dir.join(DOCKER)).unwrap();
    for name in ["a.tar", "Docker"] {
        let bundle = bench.open(name).unwrap();
        assert_eq!(bundle.packages().count(), 5);
        let dest = bench.path(&format!("{name}-unpacked"));
        unpack(&bundle, &dest).unwrap();
        for link in ["zz-hard.rpm", "sub/soft.rpm", "sub/softer.rpm"] {
            assert!(
                fs::symlink_metadata(dest.join(link)).unwrap().is_file() && fs::read(dest.join(link)).unwrap() == whole,
                "{name} {link}"
            );
        }
    }
}

/// Some users replace metadata atomically: `repodata` is a link to the newest directory.
#[test]
fn a_link_may_stand_for_a_directory() {
    let bench = Bench::new();
    let dir = bench.path("Docker");
    repository(&dir);
    fs::rename(dir.join("repodata"), dir.join(".metadata-2")).unwrap();
    std::os::unix::fs::symlink(".metadata-2", dir.join("repodata")).unwrap();
    std::os::unix::fs::symlink("sub", dir.join("other")).unwrap();
    make("tar", bench.dir.path(), ["-cf", "a.tar", "Docker"]);
    for name in ["a.tar", "Docker"] {
        let bundle = bench.open(name).unwrap();
        assert!(bundle.repodata().contains_key("repodata/repomd.xml") && bundle.repodata().len() > 1, "{name}");
        let dest = bench.path(&format!("{name}-unpacked"));
        unpack(&bundle, &dest).unwrap();
        assert!(fs::symlink_metadata(dest.join("repodata")).unwrap().is_dir());
        let both = ["repodata/repomd.xml", ".metadata-2/repomd.xml"].map(|file| fs::read(dest.join(file)).unwrap());
        assert!(both[0] == both[1] && dest.join("other").join(CONTAINERD.rsplit('/').next().unwrap()).exists());
    }
    // A link that leads out of the bundle is reported by name.
    fs::remove_file(dir.join("repodata")).unwrap();
    fs::rename(dir.join(".metadata-2"), bench.path("elsewhere")).unwrap();
    for (target, why) in
        [("../elsewhere", "is a link that leads out of the bundle"), ("/nowhere/repodata", "is a link to an absolute path")]
    {
        std::os::unix::fs::symlink(target, dir.join("repodata")).unwrap();
        let told = bench.refused("Docker");
        assert!(told.len() == 1 && told[0].ends_with(&format!("`repodata` {why}")), "{told:?}");
        fs::remove_file(dir.join("repodata")).unwrap();
    }
}

#[test]
fn the_pinned_bundle_is_asked_for() {
    let mut bench = Bench::new();
    repository(&bench.path("Docker"));
    make("tar", bench.dir.path(), ["-czf", "a.tgz", "Docker"]);
    for name in ["a.tgz", "Docker"] {
        bench.pinned = Some(Sha256Digest::of(b"another"));
        assert!(matches!(bench.open(name), Err(SourceError::WrongDigest { .. })), "{name}");
        bench.pinned = None;
        bench.pinned = Some(bench.open(name).unwrap().sha256());
        bench.open(name).unwrap();
    }
}

#[test]
fn a_directory_is_as_strict_as_an_archive_and_junk_is_left_out() {
    let bench = Bench::new();
    repository(&bench.path("Docker"));
    put(&bench.path("Docker"), &[(".DS_Store", b"x"), ("._docker-ce.rpm", b"x"), ("__MACOSX/x.rpm", b"x")]);
    let names: Vec<_> =
        bench.open("Docker").unwrap().files().iter().map(|file| file.path.clone()).filter(|path| !path.starts_with("repodata")).collect();
    assert_eq!(names, [DOCKER, CONTAINERD]);
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, bench.path("Docker").join(name)).unwrap();
    link("/etc", "etc");
    link("../../x", "sub/out");
    make("mkfifo", bench.dir.path(), ["Docker/pipe"]);
    put(&bench.path("Docker"), &[("a:b", b"x")]);
    let mut problems = bench.refused("Docker");
    problems.sort();
    assert!(problems[0].starts_with("`a:b` has a character"), "{problems:?}");
    assert_eq!(
        problems[1..],
        [
            "`etc` is a link to an absolute path",
            "`pipe` is neither a file nor a directory, and cannot be on the volume it travels on",
            "`sub/out` is a link that leads out of the bundle",
        ]
    );
    // A link that cannot be followed is found when all files are known.
    let bench = Bench::new();
    repository(&bench.path("around/Docker"));
    put(&bench.path("around"), &[("outside.rpm", &fs::read(bench.path("around/Docker").join(DOCKER)).unwrap())]);
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, bench.path("around/Docker").join(name)).unwrap();
    link("../outside.rpm", "a.rpm");
    let told = bench.refused("around");
    assert!(told[0].ends_with("`Docker/a.rpm` is a link that leads out of the repository"), "{told:?}");
    // A directory with a link to itself has endless paths.
    link(".", "b");
    link("c", "c");
    let told = ["`Docker/b` is a link to `Docker`", "`Docker/c` is a link to `Docker/c`"];
    assert_eq!(bench.refused("around"), told.map(|told| format!("{told}, and no file of the bundle is there")));
}

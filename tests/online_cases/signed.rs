//! Repositories whose packages must be signed: packages and keys from servers, and the same as an archive.
//!
//! `tests/packages/signatures.py` signs the packages of the flagship with rpmsign, and createrepo_c makes their index.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use goldsmith::base::event::Events;
use goldsmith::cache::Store;
use goldsmith::installer::Answers;
use goldsmith::preflight;
use goldsmith::recipe;
use goldsmith::sources::{self, Fetch, Host, Proof, Proxies, Web};

use super::server::Server;
use super::{Machine, REPOMD, RPM, ok, refused, repositories, run, sets, world};

const ASC: &str = "/repodata/repomd.xml.asc";
const KEY: &str = "/KEY.asc";

/// The flagship's packages, signed, with their key beside them.
struct Signed {
    dir: tempfile::TempDir,
}

/// The packages that rpmsign signed. They are made once for all tests, and no test writes to them.
fn signed() -> &'static Signed {
    static SIGNED: OnceLock<Signed> = OnceLock::new();
    SIGNED.get_or_init(|| Signed::new(&[]))
}

fn is_rpm(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "rpm")
}

fn rpms(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_rpm(path)).collect()
}

impl Signed {
    fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("repository");
        fs::create_dir(&repository).unwrap();
        for path in rpms(&world().good) {
            fs::copy(&path, repository.join(path.file_name().unwrap())).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/signatures.py");
        let mut command = Command::new("/usr/bin/python3");
        let output = command.arg("-B").arg(script).arg(dir.path()).arg("--repository").arg(&repository).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::copy(dir.path().join("keys/maker.asc"), repository.join(&KEY[1..])).unwrap();
        Self { dir }
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    fn fingerprint(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(format!("keys/{name}.fingerprint"))).unwrap().trim().to_owned()
    }

    /// `--set` values: the medium, and this repository from `server`, with the key of that name from it too.
    fn sets(&self, server: &Server, key: &str) -> Vec<String> {
        let key = format!(", gpg_keys = [{{ fingerprint = \"{}\", url = \"{}{}\" }}]", self.fingerprint(key), server.url, &KEY[1..]);
        sets(&[("docker-ce-stable", &[&server.url], &key)])
    }

    /// `--set` values: the packages of `directory` as an archive, with the key of a file.
    fn archive(&self, directory: &Path) -> Vec<String> {
        let key = format!("gpg_keys = [{{ file = {:?} }}]", self.dir.path().join("keys/maker.asc"));
        let archive = format!("archive = {{ path = {directory:?} }}");
        let kept = "id = \"kubernetes\", file = \"local.repo\", unpack_to = \"/root/Docker\", gpgcheck = false";
        vec![sets(&[]).remove(0), format!("repository=[{{ {kept}, {archive}, {key} }}]")]
    }
}

/// Resolve, choose and gather as a build does. Returns the signers of the packages, or the error.
fn proofs(sets: &[String], store: &Path) -> Result<Vec<Proof>, String> {
    let store = Store::open(store).unwrap();
    let recipe = recipe::load(super::RECIPE, sets, &Machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let web = Web { pauses: Vec::new(), ..Web::through(Proxies::default()) };
    let scratch = store.scratch().unwrap();
    let host = Host::this(&store, scratch.path(), &web, Fetch::Now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let events = Events::none();
        let task = events.task("fetch");
        let (chosen, _) = preflight::resolve_and_plan(&recipe, &Answers::of(&recipe).unwrap(), host, &events)
            .await
            .map_err(|error| error.get().to_string())?;
        let proved = sources::prove(chosen, host, &task).await.map_err(|error| error.to_string())?;
        sources::gather(&proved, &repositories(&recipe), host, &task).await.map_err(|error| error.to_string())?;
        Ok(proved.proofs)
    })
}

#[test]
fn packages_of_the_world_are_verified_when_they_are_fetched() {
    let signed = signed();
    let server = Server::of(&signed.repository());
    let (sets, maker) = (signed.sets(&server, "maker"), signed.fingerprint("maker"));
    let store = tempfile::tempdir().unwrap();
    let ended = run("check", &sets, store.path(), &[]).end();
    ok(&ended);
    let row = format!("ok        sources    packages of docker-ce-stable must be signed with {maker}; its repomd.xml is signed, too");
    assert!(ended.stdout.contains(&row), "{}", ended.stdout);
    assert!(!ended.stdout.contains("not verified"), "{}", ended.stdout);
    let asked = server.asked();
    assert!(asked.contains(&KEY.to_owned()) && asked.contains(&ASC.to_owned()), "{asked:?}");
    let found = proofs(&sets, store.path()).unwrap();
    assert_eq!(found.len(), 1);
    let keys: BTreeMap<String, usize> = found[0].signers.keys.iter().map(|(key, count)| (key.to_string(), *count)).collect();
    assert_eq!((found[0].upstream.as_deref(), keys), (Some("docker-ce-stable"), [(maker, 15)].into()));
    // Key and signature are stored, and nothing is verified twice. Even the packages are not needed any more.
    server.asked();
    assert_eq!(proofs(&sets, store.path()), Ok(found));
    assert_eq!(server.asked(), [REPOMD]);
}

#[test]
fn a_signature_over_the_header_counts_beside_a_signed_index_alone() {
    let signed = Signed::new(&["--header-alone"]);
    let server = Server::of(&signed.repository());
    let sets = signed.sets(&server, "maker");
    let found = proofs(&sets, tempfile::tempdir().unwrap().path()).unwrap();
    assert_eq!(found[0].signers.packages(), 15);
    // The same is true for an archive with a signed index.
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("cp").arg("-r").arg(signed.repository()).arg(dir.path()).status().unwrap().success());
    let archive = signed.archive(dir.path());
    ok(&run("check", &archive, tempfile::tempdir().unwrap().path(), &[]).end());
    fs::copy(dir.path().join("repository").join(RPM), dir.path().join("repository/copy.rpm")).unwrap();
    let unlisted = "`copy.rpm` has a signature over its header alone";
    refused(&run("check", &archive, tempfile::tempdir().unwrap().path(), &[]).end(), 3, &[unlisted]);
    fs::remove_file(dir.path().join("repository").join(&ASC[1..])).unwrap();
    let all = format!("(and {} more)", rpms(&signed.repository()).len());
    refused(&run("check", &archive, tempfile::tempdir().unwrap().path(), &[]).end(), 3, &[unlisted, &all]);
    // Without the signature of the index every package is checked, and each fault is reported.
    server.lie(ASC, None);
    let store = tempfile::tempdir().unwrap();
    let ended = run("build", &sets, store.path(), &["-o", "out"]).end();
    refused(&ended, 3, &["packages of online repositories are refused: `", "(and 14 more)", "name the key that they are signed with in"]);
    assert_eq!(
        ended.stderr.matches(".rpm of docker-ce-stable` has a signature over its header alone, ").count(),
        1 + 15,
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(&format!("\n  `{RPM} of docker-ce-stable` has a signature over its header alone, ")), "{}", ended.stderr);
    // A signature of another index, one by another key, and a file that is not a signature.
    server.lie(ASC, Some(&fs::read(signed.repository().join(&ASC[1..])).unwrap()));
    let index = fs::read(signed.repository().join(&REPOMD[1..])).unwrap();
    server.lie(REPOMD, Some(&[&index[..], b"\n"].concat()));
    let changed = "repomd.xml of docker-ce-stable was changed after it was signed: the signature beside it does not fit";
    refused(&run("check", &sets, tempfile::tempdir().unwrap().path(), &[]).end(), 3, &[changed, "take another mirror"]);
    server.lie(ASC, Some(b"no signature"));
    let ended = run("check", &sets, tempfile::tempdir().unwrap().path(), &[]).end();
    ok(&ended);
    assert!(ended.stdout.contains("; its repomd.xml is not signed"), "{}", ended.stdout);
}

#[test]
fn a_key_is_the_named_one_or_none() {
    let signed = signed();
    let server = Server::of(&signed.repository());
    let (maker, other) = (signed.fingerprint("maker"), signed.fingerprint("other"));
    let check = |sets: &[String]| run("check", sets, tempfile::tempdir().unwrap().path(), &[]).end();
    let lacks = format!("KEY.asc does not have the key {other}; it has {maker}");
    refused(
        &check(&signed.sets(&server, "other")),
        3,
        &["the keys of docker-ce-stable cannot be used: ", &lacks, "gpg_keys='[{ file = \"FILE\" }]'"],
    );
    // Several keys in a file: only the named one counts.
    let read = |name: &str| fs::read(signed.dir.path().join(format!("keys/{name}.asc"))).unwrap();
    server.lie(KEY, Some(&[read("other"), read("maker")].concat()));
    let store = tempfile::tempdir().unwrap();
    let why = proofs(&signed.sets(&server, "other"), store.path()).unwrap_err();
    assert!(why.contains(" of docker-ce-stable` is signed with another key, "), "{why}");
    assert_eq!(proofs(&signed.sets(&server, "maker"), store.path()).unwrap()[0].signers.packages(), 15);
    for (content, words) in [
        (None, "the server says 404 Not Found"),
        (Some(&b"no key"[..]), "KEY.asc holds no OpenPGP public key"),
        (Some(&read("maker")[..300]), "KEY.asc is cut short: the end of its armor is missing"),
    ] {
        server.lie(KEY, content);
        refused(&check(&signed.sets(&server, "maker")), 3, &[words]);
    }
}

#[test]
fn an_archive_is_verified_when_it_is_read_and_once() {
    let signed = signed();
    let (store, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for path in rpms(&signed.repository()) {
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let sets = signed.archive(dir.path());
    let (count, maker) = (rpms(dir.path()).len(), signed.fingerprint("maker"));
    let packed = dir.path().with_extension("tar.gz");
    assert!(Command::new("tar").arg("-C").arg(dir.path()).arg("-czf").arg(&packed).arg(".").status().unwrap().success());
    for gpgv in [None, Some("exit 9")] {
        let check = run("check", &signed.archive(&packed), store.path(), &[]);
        let ended = if let Some(script) = gpgv { check.stub("gpgv", script) } else { check }.end();
        ok(&ended);
        let row = format!("ok        sources    {count} packages of kubernetes, signed with {maker}\n");
        assert!(ended.stdout.contains(&row), "{}", ended.stdout);
    }
    fs::remove_file(packed).unwrap();
    // All faults are reported at once, by check and by a build before it boots a machine.
    fs::copy(world().good.join(RPM), dir.path().join(RPM)).unwrap();
    let containerd = "containerd.io-1.2.5-3.1.el7.x86_64.rpm";
    let mut bytes = fs::read(dir.path().join(containerd)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.path().join(containerd), bytes).unwrap();
    assert!(Command::new("createrepo_c").args(["--quiet", "--no-database"]).arg(dir.path()).status().unwrap().success());
    let unsigned = format!("`{RPM}` is not signed");
    let changed = format!("`{containerd}` was changed after it was signed");
    let what = "the packages of the archive of repository kubernetes are refused: ";
    for command in ["check", "plan", "build"] {
        refused(&run(command, &sets, store.path(), &[]).end(), 3, &[what, &unsigned, &changed, "`repository.0.gpg_keys`"]);
    }
    // Without gpgv nothing counts as signed.
    let bare = run("check", &sets, store.path(), &[]).stub("createrepo_c", "exit 1").path_only().end();
    assert_eq!(bare.status, 7, "{}{}", bare.stdout, bare.stderr);
    assert!(bare.stdout.contains("gpgv is not installed"), "{}", bare.stdout);
}

#[test]
fn without_keys_it_is_said_once_that_nothing_is_verified() {
    let server = Server::of(&world().good);
    let store = tempfile::tempdir().unwrap();
    let sets = sets(&[("docker-ce-stable", &[&server.url], "")]);
    let said = "signatures are not verified: docker-ce-stable names no gpg_keys";
    let ended = run("check", &sets, store.path(), &[]).end();
    ok(&ended);
    assert_eq!(ended.stdout.matches(said).count(), 1, "{}", ended.stdout);
    server.lie(&format!("/{RPM}"), None);
    let ended = run("build", &sets, store.path(), &["-o", "out"]).end();
    refused(&ended, 3, &[said]);
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    assert!(!server.asked().contains(&ASC.to_owned()));
}

//! Packages from the network: they are chosen by their indexes, fetched from real servers and passed to the installer as a repository.
//!
//! `tests/packages/flagship.py` makes the medium and real RPMs; createrepo_c makes the indexes; the servers in this test serve them, or
//! serve wrong data.

pub mod server;
mod signed;
mod suites;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::event::{Event, Events};
use goldsmith::base::repository_id::RepositoryId;
use goldsmith::cache::Store;
use goldsmith::installer::Answers;
use goldsmith::preflight;
use goldsmith::recipe::{self, Recipe, RecipeHost};
use goldsmith::sources::{self, Fetch, Host, Proxies, Web};

use crate::support::{Ended, Run, goldsmith};
use server::Server;

/// The built-in recipe under test.
const RECIPE: &str = "centos-7.5-docker-online";
/// A port without a listener. Only root could listen on it.
const DEAD: &str = "http://127.0.0.1:1/";
const REPOMD: &str = "/repodata/repomd.xml";
const RPM: &str = "docker-ce-18.09.6-3.el7.x86_64.rpm";

/// The served files, made once for all tests: the Minimal ISO, Docker and its needs in `good`, in `newer` a container-selinux that 7.5
/// cannot install, and in `os` the packages of the DVD, with those of the Minimal ISO.
struct World {
    iso: PathBuf,
    sha256: Sha256Digest,
    good: PathBuf,
    newer: PathBuf,
    os: PathBuf,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("online");
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/flagship.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-B").arg(script).arg(&dir).args(["--packages", "300", "--trap", "container-selinux-of-7.6"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let iso = dir.join("CentOS-7-x86_64-Minimal-1804.iso");
        let sha256 = Sha256Digest::of(&fs::read(&iso).unwrap());
        let bundle = |name: &str| dir.join("bundle").join(name).join("Docker");
        World { iso, sha256, good: bundle("good"), newer: bundle("container-selinux-of-7.6"), os: dir.join("dvd") }
    })
}

/// `--set` values: the medium, and one repository of these upstreams, each with its mirrors.
fn sets(upstreams: &[(&str, &[&str], &str)]) -> Vec<String> {
    let World { iso, sha256, .. } = world();
    let upstream = |(name, urls, more): &(&str, &[&str], &str)| format!("{{ name = {name:?}, urls = {urls:?}{more} }}");
    let upstreams = upstreams.iter().map(upstream).collect::<Vec<_>>().join(", ");
    let kept = "id = \"kubernetes\", file = \"local.repo\", unpack_to = \"/root/Docker\", gpgcheck = false";
    vec![format!("media.iso={{ path = {iso:?}, sha256 = \"{sha256}\" }}"), format!("repository=[{{ {kept}, upstream = [{upstreams}] }}]")]
}

/// goldsmith and the recipe with these values.
fn run(command: &str, sets: &[String], store: &Path, more: &[&str]) -> Run {
    let words = [command, RECIPE, "--store", store.to_str().unwrap()].into_iter();
    let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
    goldsmith(words.chain(sets).chain(more.iter().copied())).env("ROOT_PASSWORD", "x")
}

fn ok(ended: &Ended) {
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_check_foretells_the_packages_and_fetches_none() {
    let (good, newer) = (Server::of(&world().good), Server::of(&world().newer));
    let store = tempfile::tempdir().unwrap();
    let both = sets(&[("docker-ce-stable", &[&good.url], ""), ("extras", &[&newer.url], "")]);
    let first = run("check", &both, store.path(), &["--packages"]).end();
    ok(&first);
    for words in [
        "ok        sources    15 packages for kubernetes, will be fetched: ",
        ": 268 from anaconda, 15 from docker-ce-stable, on the disk ",
        "\ndocker-ce 3:18.09.6-3.el7 x86_64 ",
        // The newest, 2.107, is for 7.6.
        "\ncontainer-selinux 2:2.68-1.el7 noarch ",
    ] {
        assert!(first.stdout.contains(words), "{words}: {}", first.stdout);
    }
    let asked = good.asked();
    // repomd.xml, the packages, and their files: whether a unit of the recipe is among them.
    assert!(asked.len() == 3 && asked.iter().all(|path| path.starts_with("/repodata/")), "{asked:?}");
    // The result is stored, and the second run only asks whether it is still valid.
    let second = run("check", &both, store.path(), &["--packages"]).end();
    assert_eq!((second.stdout, good.asked(), newer.asked().pop()), (first.stdout, vec![REPOMD.to_owned()], Some(REPOMD.to_owned())));
    // For pinned metadata not even that is asked.
    let pin = |server: &Path| format!(", repomd_sha256 = \"{}\"", Sha256Digest::of(&fs::read(server.join(&REPOMD[1..])).unwrap()));
    let pins = [pin(&world().good), pin(&world().newer)];
    let pinned = sets(&[("docker-ce-stable", &[&good.url], &pins[0]), ("extras", &[&newer.url], &pins[1])]);
    for expected in [vec![REPOMD.to_owned()], vec![]] {
        ok(&run("check", &pinned, store.path(), &[]).end());
        assert_eq!(good.asked(), expected);
    }
}

#[test]
fn what_the_medium_has_is_not_fetched_and_nothing_is_known_without_it() {
    let (good, os) = (Server::of(&world().good), Server::of(&world().os));
    let store = tempfile::tempdir().unwrap();
    let mut sets = sets(&[("docker-ce-stable", &[&good.url], ""), ("os", &[&os.url], "")]);
    let ended = run("check", &sets, store.path(), &[]).end();
    ok(&ended);
    assert!(ended.stdout.contains("ok        sources    15 packages for kubernetes, will be fetched: "), "{}", ended.stdout);
    assert!(ended.stdout.contains(": 268 from anaconda, "), "{}", ended.stdout);
    // A missing createrepo_c, which makes metadata for the fetched packages, is reported before anything is fetched.
    let bare = run("check", &sets, store.path(), &[]).stub("none", "").path_only().end();
    assert!(bare.status == 7 && bare.stdout.contains("wrong     host       createrepo_c"), "{}", bare.stdout);
    // A medium that is not fetched yet.
    let media = Server::of(world().iso.parent().unwrap());
    let file = world().iso.file_name().unwrap().to_str().unwrap();
    sets[0] = format!("media.iso={{ urls = [\"{}{file}\"], sha256 = \"{}\" }}", media.url, world().sha256);
    let why = "the packages cannot be chosen before the installation medium and the archives are here, which have others";
    let ended = run("check", &sets, store.path(), &[]).end();
    ok(&ended);
    assert!(ended.stdout.contains(&format!("ok        packages   {why}")), "{}", ended.stdout);
    refused(&run("plan", &sets, store.path(), &[]).end(), 3, &[why, "`goldsmith build` fetches what is missing"]);
}

#[test]
fn where_packages_come_from_is_not_part_of_what_is_built() {
    let servers = [Server::of(&world().good), Server::of(&world().good)];
    let store = tempfile::tempdir().unwrap();
    let plan = |set: &[String]| {
        let ended = run("plan", set, store.path(), &["--json"]).end();
        ok(&ended);
        serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
    };
    let [one, other] = servers.each_ref().map(|server| plan(&sets(&[("docker-ce-stable", &[&server.url], "")])));
    assert_eq!(one, other);
    let pins = one["inputs"].as_array().unwrap();
    assert_eq!((pins.len(), &pins[1]["name"], &pins[1]["urls"]), (2, &"packages kubernetes".into(), &serde_json::json!([])));
    // Another repository with the same chosen packages gives the same result.
    let newer = Server::of(&world().newer);
    assert_eq!(plan(&sets(&[("a", &[&servers[0].url], ""), ("b", &[&newer.url], "")]))["content_id"], one["content_id"]);
}

/// A host with only a password.
struct Machine;

impl RecipeHost for Machine {
    fn read(&self, _: &Path, _: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn env(&self, _: &str) -> Option<String> {
        Some("x".to_owned())
    }
}

/// Path to content.
type Files = BTreeMap<String, Vec<u8>>;

/// What a plan names of the recipe's repositories.
fn repositories(recipe: &Recipe) -> Vec<RepositoryId> {
    recipe.repositories.iter().map(|repository| repository.id.clone()).collect()
}

/// Resolve, choose and gather as a build does, and unpack each repository. Returns the warnings, and the files of each repository.
fn gathered(sets: &[String], store: &Store) -> (Vec<String>, BTreeMap<String, Files>) {
    let recipe = recipe::load(RECIPE, sets, &Machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let events = Events::new(vec![Box::new(move |event: &Event| {
        if let Event::Warning { text } = event {
            heard.lock().unwrap().push(text.clone());
        }
    })]);
    let web = Web { pauses: Vec::new(), ..Web::through(Proxies::default()) };
    let scratch = store.scratch().unwrap();
    let host = Host::this(store, scratch.path(), &web, Fetch::Now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let unpacked = runtime.block_on(async {
        let (chosen, _) = preflight::resolve_and_plan(&recipe, &Answers::of(&recipe).unwrap(), host, &events).await.unwrap();
        let task = events.task("fetch");
        let proved = sources::prove(chosen, host, &task).await.unwrap();
        let gathered = sources::gather(&proved, &repositories(&recipe), host, &task).await.unwrap();
        let mut unpacked = BTreeMap::new();
        for (id, bundle) in &gathered.bundles {
            let dest = scratch.path().join(format!("unpacked-{id}"));
            bundle.unpack(&dest, &task).await.unwrap();
            let files = bundle.files().iter().map(|file| (file.path.clone(), fs::read(dest.join(&file.path)).unwrap()));
            unpacked.insert(id.to_string(), files.collect());
        }
        unpacked
    });
    let warnings = warnings.lock().unwrap().clone();
    (warnings, unpacked)
}

fn packages(files: &Files) -> Vec<&String> {
    files.keys().filter(|path| path.ends_with(".rpm")).collect()
}

#[test]
fn chosen_packages_are_fetched_once_and_become_a_repository() {
    let (good, newer) = (Server::of(&world().good), Server::of(&world().newer));
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut sets = sets(&[("docker-ce-stable", &[&good.url], "")]);
    // A second repository. No package is taken from it, and it is not kept, but the installer still looks for it.
    let spare = format!("{{ id = \"spare\", upstream = [{{ name = \"extras\", urls = [{:?}] }}] }}", newer.url);
    sets[1] = format!("{}, {spare}]", sets[1].strip_suffix(']').unwrap());
    let (warnings, repositories) = gathered(&sets, &store);
    assert!(warnings.is_empty(), "{warnings:?}");
    let kubernetes = &repositories["kubernetes"];
    assert_eq!(packages(kubernetes).len(), 15);
    for path in packages(kubernetes) {
        assert!(kubernetes[path] == fs::read(world().good.join(path)).unwrap(), "{path} is another one");
    }
    assert!(kubernetes.contains_key(RPM) && kubernetes.contains_key("repodata/repomd.xml"));
    let spare = &repositories["spare"];
    assert!(packages(spare).is_empty() && spare.contains_key("repodata/repomd.xml"));
    let fetched = good.asked().into_iter().filter(|path| path.ends_with(".rpm")).count();
    assert_eq!(fetched, 15);
    // A second run gives the same bytes, also of the metadata, and fetches nothing.
    assert!(gathered(&sets, &store).1 == repositories, "the same packages make another repository");
    assert_eq!((good.asked(), newer.asked().pop()), (vec![REPOMD.to_owned()], Some(REPOMD.to_owned())));
}

#[test]
fn another_mirror_gives_what_the_first_does_not() {
    let (first, second) = (Server::of(&world().good), Server::of(&world().good));
    first.lie(&format!("/{RPM}"), None);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (warnings, repositories) = gathered(&sets(&[("docker-ce-stable", &[DEAD, &first.url, &second.url], "")]), &store);
    assert_eq!(packages(&repositories["kubernetes"]).len(), 15);
    assert!(
        warnings.iter().any(|text| text.starts_with("repomd.xml of docker-ce-stable is not to be had from 127.0.0.1: ")),
        "{warnings:?}"
    );
    let lacks = format!("{RPM} of docker-ce-stable is not to be had from 127.0.0.1: the server says 404 Not Found");
    assert!(warnings.contains(&lacks), "{warnings:?}");
    assert_eq!(second.asked(), [format!("/{RPM}")]);
}

/// A repository with digests that goldsmith does not use.
fn of_sha512(dir: &Path) {
    fs::copy(world().good.join(RPM), dir.join(RPM)).unwrap();
    let output = Command::new("createrepo_c").args(["--quiet", "--no-database", "--checksum", "sha512"]).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(ended: &Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
    for words in words {
        // A check prints its result on standard output. A build prints the reason of its failure on standard error.
        assert!(ended.stdout.contains(words) || ended.stderr.contains(words), "{words}: {}{}", ended.stdout, ended.stderr);
    }
    assert!(!ended.dir().join("out").exists());
}

#[test]
fn indexes_that_are_not_what_they_must_be_are_refused_by_name() {
    let primary = fs::read_dir(world().good.join("repodata")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let primary = format!("/repodata/{}", primary.into_iter().find(|name| name.ends_with("-primary.xml.gz")).unwrap());
    let pin = format!(", repomd_sha256 = \"{}\"", Sha256Digest::of(b"another"));
    let odd = tempfile::tempdir().unwrap();
    of_sha512(odd.path());
    let check = |server: &Server, more: &str| {
        let store = tempfile::tempdir().unwrap();
        run("check", &sets(&[("docker-ce-stable", &[&server.url], more)]), store.path(), &["-o", "out"]).end()
    };
    let of = |path: &str, content: Option<&[u8]>| {
        let server = Server::of(&world().good);
        server.lie(path, content);
        server
    };
    let mirror = "name another mirror: --set repository.0.upstream.0.urls='[\"URL\"]'";
    let what = format!("{} of docker-ce-stable cannot be fetched: http://127.0.0.1:", &primary[1..]);
    for (server, more, words) in [
        (of(&primary, Some(b"spoilt")), "", vec![what.as_str(), "gives is a text of 6 bytes with sha256 ", ", repomd.xml says ", mirror]),
        (of(&primary, Some(&[7; 1 << 20])), "", vec![&what, "it has more than "]),
        (of(&primary, None), "", vec![&what, "the server says 404 Not Found", mirror]),
        (of(REPOMD, None), "", vec!["repomd.xml of docker-ce-stable cannot be fetched: ", "the server says 404 Not Found", mirror]),
        (of(REPOMD, Some(b"<html>log in</html>")), "", vec!["it gives a web page, such as one to log in, and not the file"]),
        (of(REPOMD, Some(b"<repomd>")), "", vec!["repomd.xml of docker-ce-stable cannot be used"]),
        (of(REPOMD, Some(&[b' '; 2 << 20])), "", vec!["it has more than 1.00 MiB"]),
        (of("/none", None), pin.as_str(), vec!["repomd.xml of docker-ce-stable cannot be fetched: ", ", the recipe says ", mirror]),
        (
            Server::of(odd.path()),
            "",
            vec!["repomd.xml of docker-ce-stable cannot be used", "is sha512, and what is fetched is trusted by sha256"],
        ),
    ] {
        refused(&check(&server, more), 3, &words);
    }
    let dead = sets(&[("docker-ce-stable", &[DEAD], "")]);
    let store = tempfile::tempdir().unwrap();
    let refusal = "repomd.xml of docker-ce-stable cannot be fetched: http://127.0.0.1:1/repodata/repomd.xml: ";
    for command in ["check", "plan", "build"] {
        refused(&run(command, &dead, store.path(), &[]).end(), 3, &[refusal, "check the network and the addresses", mirror]);
    }
}

#[test]
fn a_package_that_no_index_has_is_told_before_anything_is_fetched() {
    let server = Server::of(&world().good);
    let store = tempfile::tempdir().unwrap();
    let sets = sets(&[("docker-ce-stable", &[&server.url], "")]);
    let asked = ["--set", "packages.install=[\"docker-ce-18.09.7\"]"];
    for command in ["check", "plan", "build"] {
        let ended = run(command, &sets, store.path(), &asked).end();
        refused(
            &ended,
            2,
            &["the kickstart asks for docker-ce-18.09.7", "change packages.install, or bring a repository that has what is missing"],
        );
    }
    assert!(server.asked().iter().all(|path| path.starts_with("/repodata/")));
}

#[test]
fn a_package_that_is_not_what_its_index_says_is_refused_by_name() {
    let mirror = "name another mirror: --set repository.0.upstream.0.urls='[\"URL\"]'";
    let what = format!("{RPM} of docker-ce-stable cannot be fetched: http://127.0.0.1:");
    let same_size = vec![7; fs::metadata(world().good.join(RPM)).unwrap().len() as usize];
    let longer = vec![7; same_size.len() + 1];
    for (content, words) in
        [(Some(&same_size[..]), ", primary.xml says "), (Some(&longer[..]), "it has more than "), (None, "the server says 404 Not Found")]
    {
        let server = Server::of(&world().good);
        server.lie(&format!("/{RPM}"), content);
        let store = tempfile::tempdir().unwrap();
        let ended = run("build", &sets(&[("docker-ce-stable", &[&server.url], "")]), store.path(), &["-o", "out"]).end();
        refused(&ended, 3, &[what.as_str(), words, mirror]);
    }
}

/// The unchanged recipe, on a host that reaches no server.
#[test]
fn the_shipped_recipe_says_what_it_cannot_reach() {
    let store = tempfile::tempdir().unwrap();
    let sets = &sets(&[])[..1];
    let ended = run("check", sets, store.path(), &[]).env("https_proxy", DEAD).env("http_proxy", DEAD).end();
    refused(
        &ended,
        3,
        &[
            "repomd.xml of docker-ce-stable cannot be fetched: https://download.docker.com/linux/centos/7/x86_64/stable/repodata/repomd.xml: ",
            "https://vault.centos.org/7.5.1804/extras/x86_64/repodata/repomd.xml: ",
            "https://vault.centos.org/7.5.1804/os/x86_64/repodata/repomd.xml: ",
            "https://archive.kernel.org/centos-vault/7.5.1804/updates/x86_64/repodata/repomd.xml: ",
            "--set repository.1.upstream.0.urls=",
        ],
    );
    assert!(ended.stdout.contains("ok        kickstart  the parser of CentOS 7.5 accepts it"), "{}", ended.stdout);
}

//! Good and bad signatures of packages: the verdict of goldsmith, compared with that of rpmkeys.
//!
//! `tests/packages/signatures.py` makes keys and packages with GnuPG 1.4 and 2, rpmbuild and rpmsign.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use goldsmith::base::event::Events;
use goldsmith::base::failure::{Class, Failure};
use goldsmith::cache::Store;
use goldsmith::recipe::{self, RecipeHost};
use goldsmith::sources::{self, Fetch, Host, Proxies, SourceError, Unresolved, Web};

/// The keys whose packages are accepted. rpmkeys gets them too.
const KEYS: [&str; 5] = ["maker", "dsa", "subkey", "expired", "revoked"];

/// The verdict of rpmkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rpmkeys {
    /// Digests and signatures are good.
    Signed,
    /// Digests are good, and there is no signature. rpmkeys succeeds.
    Unsigned,
    /// A digest or signature is not good.
    Refused,
}

use Rpmkeys::{Refused, Signed, Unsigned};

/// A package, the message of goldsmith (empty: it is signed), the verdict of rpmkeys 4.18, and the reason if the two differ.
type Row = (&'static str, &'static str, Rpmkeys, &'static str);

const HEADER_ALONE: &str = "has a signature over its header alone";
const DAMAGED: &str = "is signed, and damaged: a digest in its signature does not fit, and rpm would not install it";
const CHANGED_WHOLE: &str = "was changed after it was signed: the signature over header and files does not fit";
const CHANGED_HEADER: &str = "was changed after it was signed: the signature over its header does not fit";
const CHANGED_FILES: &str = "was changed after it was signed: its files are not those that its header names";

const ROWS: &[Row] = &[
    ("good-v3", "", Signed, ""),
    ("good-v4", "", Signed, ""),
    ("good-dsa", "", Signed, ""),
    ("good-subkey", "", Signed, ""),
    ("good-whole-alone", "", Signed, ""),
    ("good-new", "", Signed, ""),
    ("good-new-whole-alone", "", Signed, ""),
    ("good-new-and-whole", "", Signed, ""),
    ("rpmsign-old", "", Signed, ""),
    ("rpmsign-new", "", Signed, ""),
    ("sha1", "", Signed, ""),
    ("md5", "is signed by MD5, which gpgv does not accept", Signed, "gpgv takes no MD5"),
    ("unsigned", "is not signed", Unsigned, "whoever names keys wants signatures"),
    ("new-unsigned", "is not signed", Unsigned, "whoever names keys wants signatures"),
    ("other-key", "is signed with another key, ", Refused, ""),
    ("payload-changed", CHANGED_WHOLE, Refused, ""),
    ("payload-changed-digests-anew", CHANGED_WHOLE, Refused, ""),
    ("payload-changed-268-alone", HEADER_ALONE, Refused, ""),
    ("268-alone", HEADER_ALONE, Refused, ""),
    ("md5-lies", DAMAGED, Refused, ""),
    ("sha1-lies", DAMAGED, Refused, ""),
    ("header-changed", CHANGED_HEADER, Refused, ""),
    ("header-changed-digests-anew", CHANGED_HEADER, Refused, ""),
    ("header-longer", CHANGED_HEADER, Refused, ""),
    ("new-header-longer", CHANGED_HEADER, Refused, ""),
    ("one-of-two-bad", CHANGED_WHOLE, Refused, ""),
    ("one-of-two-by-another", "is signed with another key, ", Refused, ""),
    ("header-signature-as-whole", CHANGED_WHOLE, Refused, ""),
    ("expired", "is signed with a key that has expired since 2019-01-01, ", Signed, "rpm looks at no dates"),
    ("revoked", "is signed with a key that was revoked, ", Signed, "rpm looks at no revocations"),
    ("new-payload-changed", CHANGED_FILES, Refused, ""),
    ("new-payload-changed-digests-anew", CHANGED_FILES, Refused, ""),
    ("new-payload-longer", CHANGED_FILES, Refused, ""),
    ("new-digest-lies", CHANGED_FILES, Refused, ""),
    ("new-digest-put-right", CHANGED_HEADER, Refused, ""),
    ("new-digest-sha1", HEADER_ALONE, Refused, ""),
    ("signature-twice", "is damaged: it has signature 268 more than once", Signed, "rpm reads one of them"),
    ("signature-of-zeros", "is damaged: its signature 268 is not one OpenPGP packet", Refused, ""),
    ("signature-is-a-message", "is damaged: its signature 268 is not one OpenPGP packet", Refused, ""),
    ("signature-of-text", "is damaged: its signature 268 is of class 1, which is not for packages", Refused, ""),
    ("signature-beyond-its-data", "is damaged: signature 268 is of another type, or goes on beyond its data", Refused, ""),
    ("signature-cut", "is cut short: it ends within its header", Refused, ""),
    ("signature-without-end", "is cut short: it ends within its header", Refused, ""),
];

/// The directory with the packages and keys, made once.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("signatures");
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/signatures.py");
        let output = Command::new("/usr/bin/python3").arg("-B").arg(script).arg(&dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        dir
    })
}

fn key(name: &str) -> String {
    format!("{{ file = {:?} }}", made().join("keys").join(format!("{name}.asc")))
}

fn fingerprint(name: &str) -> String {
    fs::read_to_string(made().join("keys").join(format!("{name}.fingerprint"))).unwrap().trim().to_owned()
}

/// The verdict of rpmkeys on a package, with [`KEYS`] in a separate database.
fn rpmkeys(package: &Path) -> Rpmkeys {
    static DATABASE: OnceLock<PathBuf> = OnceLock::new();
    let database = DATABASE.get_or_init(|| {
        let dir = made().join("database");
        fs::create_dir(&dir).unwrap();
        for name in KEYS {
            let file = made().join("keys").join(format!("{name}.asc"));
            assert!(Command::new("rpmkeys").arg("--dbpath").arg(&dir).arg("--import").arg(file).status().unwrap().success());
        }
        dir
    });
    let output = Command::new("rpmkeys").arg("--dbpath").arg(database).arg("--checksig").arg(package).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    match (output.status.success(), said.contains(" signatures OK")) {
        (true, true) => Signed,
        (true, false) => Unsigned,
        (false, _) => Refused,
    }
}

/// A host with its files, and a password.
struct Machine;

impl RecipeHost for Machine {
    fn read(&self, path: &Path, _: u64) -> std::io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn env(&self, _: &str) -> Option<String> {
        Some("x".to_owned())
    }
}

/// Resolve the flagship with these repositories. Its medium is always missing.
fn resolved(repositories: &str, store: &Store) -> Unresolved {
    let sets = ["media.iso={ path = \"none\", sha256 = \"".to_owned() + &"0".repeat(64) + "\" }", format!("repository=[{repositories}]")];
    let recipe = recipe::load("centos-7.5-docker", &sets, &Machine).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let web = Web { pauses: Vec::new(), ..Web::through(Proxies::default()) };
    let scratch = store.scratch().unwrap();
    let host = Host::this(store, scratch.path(), &web, Fetch::Now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sources::resolve(&recipe, host, &Events::none().task("t"))).expect_err("there is no medium")
}

/// A separate directory for each package, and a repository for each directory, all with these keys.
fn alone<'a>(dir: &Path, names: impl Iterator<Item = &'a str>, keys: &str) -> String {
    let repository = |name: &str| {
        let place = dir.join(name);
        fs::create_dir_all(&place).unwrap();
        fs::copy(made().join(format!("{name}.rpm")), place.join(format!("{name}.rpm"))).unwrap();
        format!("{{ id = \"{name}\", archive = {{ path = {place:?} }}, gpg_keys = [{keys}] }}")
    };
    names.map(repository).collect::<Vec<_>>().join(", ")
}

/// The message about the package of each repository. Correctly signed packages have none.
fn verdicts(unresolved: &Unresolved) -> BTreeMap<String, String> {
    let of = |error: &SourceError| {
        assert_eq!(error.class(), Class::Input, "{error}");
        let text = error.to_string();
        let name = text.split_once(".rpm` ")?.0.rsplit('`').next()?.to_owned();
        Some((name, text.split_once(".rpm` ")?.1.to_owned()))
    };
    unresolved.errors.iter().filter_map(of).collect()
}

#[expect(clippy::print_stdout, reason = "the table is there to be read")]
fn show(table: &str) {
    println!("{table}");
}

/// The table: every package, with the verdicts of goldsmith and rpmkeys. `--nocapture` shows it.
#[test]
fn every_kind_of_signature_is_judged_as_rpm_does_or_differs_for_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let keys = KEYS.map(key).join(", ");
    let unresolved = resolved(&alone(dir.path(), ROWS.iter().map(|row| row.0), &keys), &store);
    let ours = verdicts(&unresolved);
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let mut line = |name: &str, ours: &str, theirs: &str, words: &str| {
        writeln!(table, "{name:<34}{ours:<10}{theirs:<10}{words}").unwrap();
    };
    line("package", "goldsmith", "rpmkeys", "what goldsmith says (why rpmkeys says otherwise)");
    for (name, expected, theirs, reason) in ROWS {
        let said = ours.get(*name).map(String::as_str).unwrap_or_default();
        let rpmkeys = rpmkeys(&made().join(format!("{name}.rpm")));
        let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let verdict = if said.is_empty() { "signed" } else { "refused" };
        line(name, verdict, &format!("{rpmkeys:?}").to_lowercase(), &format!("{said}{why}"));
        let agree = said.is_empty() == (rpmkeys != Refused);
        if said.is_empty() != expected.is_empty() || !said.starts_with(expected) || rpmkeys != *theirs || agree != reason.is_empty() {
            wrong.push(*name);
        }
    }
    show(&table);
    assert!(wrong.is_empty(), "{wrong:?} differ:\n{table}");
    // Every package that was made is in the table.
    let packages = fs::read_dir(made()).unwrap().filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "rpm"));
    assert_eq!(packages.count(), ROWS.len());
    let proofs: BTreeMap<&str, _> = unresolved.found.proofs.iter().map(|proof| (proof.repository.as_str(), &proof.signers)).collect();
    assert_eq!(proofs.len(), ROWS.iter().filter(|row| row.1.is_empty()).count());
    let signer = |name: &str| proofs[name].keys.keys().next().unwrap().to_string();
    assert_eq!((signer("good-v3"), signer("good-subkey")), (fingerprint("maker"), fingerprint("subkey")));
    assert_eq!(proofs["sha1"].weak, [("sha1.rpm".to_owned(), "SHA-1".to_owned())]);
    assert!(proofs["good-v3"].weak.is_empty());
}

/// The keys in a recipe: the file, the fingerprint, and the verdict on a package that `maker` signed and on one that `other` signed.
#[test]
fn of_a_file_of_keys_the_named_one_counts_and_nothing_that_was_put_beside_it() {
    let (maker, other) = (fingerprint("maker"), fingerprint("other"));
    let file = |name: &str, more: &str| format!("{{ file = {:?}{more} }}", made().join("keys").join(name));
    let named = |fingerprint: &str| format!(", fingerprint = {fingerprint:?}");
    let another = "is signed with another key, ";
    // Two files that an editor saved with a byte order mark, and that were joined.
    let saved = |name: &str| [&b"\xef\xbb\xbf"[..], &fs::read(made().join("keys").join(name)).unwrap()].concat();
    fs::write(made().join("keys/marked.asc"), [saved("other.asc"), saved("maker.asc")].concat()).unwrap();
    for (keys, by_maker, by_other) in [
        (file("marked.asc", ""), "", ""),
        (file("maker.asc", ""), "", another),
        (file("maker.asc", &named(&maker)), "", another),
        (file("two.asc", ""), "", ""),
        (file("two.asc", &named(&maker)), "", another),
        (file("two.asc", &named(&other)), another, ""),
        (file("binary.gpg", &named(&maker)), "", another),
        (format!("{}, {}", file("maker.asc", ""), file("other.asc", "")), "", ""),
        // The maker's key has no signature for the other one as its subkey.
        (file("extended.gpg", &named(&maker)), "", "is signed with a key that gpgv does not take for valid, "),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let said = verdicts(&resolved(&alone(dir.path(), ["good-v4", "other-key"].into_iter(), &keys), &store));
        let of = |name: &str| said.get(name).map(String::as_str).unwrap_or_default();
        for (name, expected) in [("good-v4", by_maker), ("other-key", by_other)] {
            assert!(of(name).starts_with(expected) && of(name).is_empty() == expected.is_empty(), "{keys}: {name}: {}", of(name));
        }
    }
    for (keys, expected) in [
        (
            file("two.asc", &named(&fingerprint("dsa"))),
            format!("two.asc` does not have the key {}; it has {other}, {maker}", fingerprint("dsa")),
        ),
        (file("secret.asc", ""), "secret.asc` holds a secret key; give only the public key".to_owned()),
        (file("../unsigned.rpm", ""), "unsigned.rpm` is damaged: it is not OpenPGP data".to_owned()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let unresolved = resolved(&alone(dir.path(), ["good-v4"].into_iter(), &keys), &store);
        let told: Vec<String> = unresolved.errors.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|text| text.ends_with(&expected)), "{keys}: {told:?}");
        assert!(unresolved.found.proofs.is_empty());
    }
}

/// A repository of one package, with `name` as its path in the metadata.
fn listed_as(dir: &Path, package: &str, name: &str) -> String {
    let place = dir.join(name);
    fs::create_dir_all(&place).unwrap();
    let first = place.join("first.rpm");
    fs::copy(made().join(format!("{package}.rpm")), &first).unwrap();
    let run = |program: &mut Command| {
        let output = program.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("createrepo_c").args(["--quiet", "--no-database", "--simple-md-filenames"]).arg(&place));
    fs::rename(first, place.join(name)).unwrap();
    let script = "import gzip, hashlib, re, sys
at, name = sys.argv[1] + '/repodata/', sys.argv[2]
xml = gzip.open(at + 'primary.xml.gz').read().replace(b'href=\"first.rpm\"', b'href=\"' + name.encode() + b'\"')
packed = gzip.compress(xml)
open(at + 'primary.xml.gz', 'wb').write(packed)
data = '<data type=\"primary\"><checksum type=\"sha256\">%s</checksum><location href=\"repodata/primary.xml.gz\"/></data>'
repomd = open(at + 'repomd.xml').read()
repomd = re.sub('<data type=.primary.>.*?</data>', data % hashlib.sha256(packed).hexdigest(), repomd, flags=re.S)
open(at + 'repomd.xml', 'w').write(repomd)";
    run(Command::new("python3").args(["-c", script]).arg(&place).arg(name));
    let id = name.replace('.', "-").to_lowercase();
    format!("{{ id = \"{id}\", archive = {{ path = {place:?} }}, gpg_keys = [{}] }}", key("maker"))
}

/// yum opens the files in primary.xml with any name.
#[test]
fn a_package_is_refused_when_its_name_hides_that_it_is_one() {
    for (package, name, refused) in
        [("unsigned", "docker-ce.bin", true), ("unsigned", "x.RPM", true), ("good-v4", "rpm", true), ("good-v4", "good.rpm", false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let unresolved = resolved(&listed_as(dir.path(), package, name), &store);
        let told: Vec<String> = unresolved.errors.iter().map(ToString::to_string).collect();
        let words = format!("`{name}` is an RPM package whose name does not end in `.rpm`");
        assert_eq!(told.iter().any(|text| text.contains(&words)), refused, "{package} as {name}: {told:?}");
        assert_eq!(unresolved.found.proofs.len(), usize::from(!refused), "{package} as {name}: {told:?}");
    }
}

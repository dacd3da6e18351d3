//! Databases of installed packages that rpm, SQLite, Berkeley DB and dpkg wrote, read here and by rpm and dpkg-query.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use goldsmith::packages::installed::{self, FileLists, Format, Installation, Installed, InstalledFile, RpmDatabase};
use serde_json::{Value, json};

use super::said_by;

fn databases(arguments: &[&str]) -> Vec<u8> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package_cases/databases.py");
    said_by(Command::new("/usr/bin/python3").arg("-B").arg(script).args(arguments), b"")
}

/// All databases of `databases.py make`, made once.
pub fn made() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        databases(&["make", dir.path().to_str().unwrap()]);
        dir
    });
    dir.path()
}

/// The bytes of the database in a directory, and of its write-ahead log.
fn bytes(directory: &Path) -> (Vec<u8>, Vec<u8>) {
    let database =
        ["rpmdb.sqlite", "Packages", "Packages.db"].map(|name| directory.join(name)).into_iter().find(|path| path.exists()).unwrap();
    let log = fs::read(directory.join("rpmdb.sqlite-wal")).unwrap_or_default();
    (fs::read(database).unwrap(), log)
}

fn read(bytes: &[u8], log: &[u8]) -> Result<Installation, installed::DatabaseError> {
    installed::rpm(&RpmDatabase { name: "database", bytes, log, journal: &[] }, None)
}

/// The packages that goldsmith reads, in the form of `databases.py list`, and the format of the database.
fn ours(directory: &Path) -> (Format, Vec<Value>) {
    let (bytes, log) = bytes(directory);
    let database = RpmDatabase { name: "database", bytes: &bytes, log: &log, journal: &[] };
    let mut files: HashMap<(String, String, Option<String>), Vec<Value>> = HashMap::new();
    let mut each = |package: &Installed, file: &InstalledFile<'_>| {
        files.entry(key(package)).or_default().push(file_value(file));
    };
    let read = installed::rpm(&database, Some(&mut each)).unwrap();
    assert_eq!(read.damaged, []);
    assert_eq!(read.others, []);
    // Reading the files takes time, but gives the same packages.
    assert_eq!(installed::rpm(&database, None).unwrap(), read);
    let order: Vec<_> = read.packages.iter().map(|package| package.name.as_str()).collect();
    assert!(order.is_sorted(), "{order:?}");
    let packages = read.packages.iter().map(|package| {
        json!({
            "name": package.name, "version": package.version, "architecture": package.architecture, "source": package.source,
            "license": package.license, "vendor": package.vendor, "maintainer": package.maintainer, "url": package.url,
            "summary": package.summary, "installed_size": package.installed_size, "installed_at": package.installed_at,
            "is_key": package.is_key, "signed_by": package.signed_by, "files": files.get(&key(package)).cloned().unwrap_or_default(),
        })
    });
    (read.format, sorted(packages.collect()))
}

fn key(package: &Installed) -> (String, String, Option<String>) {
    (package.name.clone(), package.version.clone(), package.architecture.clone())
}

/// Bytes as text in ISO 8859-1.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn file_value(file: &InstalledFile<'_>) -> Value {
    json!({
        "path": latin(file.path), "mode": file.mode, "owner": file.owner.map(|(owner, group)| [latin(owner), latin(group)]),
        "size": file.size, "digest": file.digest.map(|digest| [digest.algorithm, digest.hex]), "target": file.target.map(latin),
        "capabilities": file.capabilities.map(latin), "flags": file.flags.0, "state": file.state as u8,
    })
}

fn sorted(mut packages: Vec<Value>) -> Vec<Value> {
    packages.sort_by_key(Value::to_string);
    packages
}

/// The packages that rpm reads.
pub fn theirs(directory: &Path, backend: &str) -> Vec<Value> {
    sorted(serde_json::from_slice(&databases(&["list", directory.to_str().unwrap(), backend])).unwrap())
}

fn assert_same(name: &str, ours: &[Value], theirs: &[Value]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs, "{name}");
    }
    assert_eq!(ours.len(), theirs.len(), "{name}");
}

#[test]
fn a_database_of_sqlite_has_what_rpm_reads_in_it() {
    for name in ["sqlite", "page-512", "page-65536", "wal", "wal-interrupted", "wal-restarted"] {
        let directory = made().join(name);
        let (format, ours) = ours(&directory);
        assert_eq!(format, Format::Sqlite);
        assert_same(name, &ours, &theirs(&directory, "sqlite"));
    }
    // The fixtures are as intended: without its log, a database has other packages.
    for name in ["wal", "wal-interrupted", "wal-restarted"] {
        let (bytes, log) = bytes(&made().join(name));
        let with = read(&bytes, &log).unwrap();
        assert!(read(&bytes, &[]).is_ok_and(|without| without.packages.len() > with.packages.len()), "{name}");
    }
}

#[test]
fn everything_that_a_header_says_is_there() {
    let (_, packages) = ours(&made().join("sqlite"));
    let package = |name: &str| packages.iter().find(|package| package["name"] == name).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(package("forge")["version"], "3:18.09.6-3.el7");
    assert_eq!(package("forge-libs")["summary"], "Bücher, libraries");
    assert_eq!(package("gpg-pubkey")["is_key"], true);
    let signed_by = package("md5")["signed_by"].as_str().unwrap();
    assert!(signed_by.ends_with(package("gpg-pubkey")["version"].as_str().unwrap().split('-').next().unwrap()), "{signed_by}");
    assert!(packages.iter().all(|package| package["name"] != "forge-p50"), "erased");
    let files = |name: &str| package(name)["files"].as_array().unwrap().clone();
    let file = |path: &str| files("forge").into_iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(file("/usr/share/p/sch\u{f6}n")["size"], 0);
    assert_eq!(file("/usr/bin/capable")["capabilities"], "cap_net_raw=ep");
    assert_eq!(file("/usr/bin/forge")["mode"], 0o104_755);
    assert_eq!(file("/usr/bin/link")["target"], "../share/p");
    assert_eq!(files("forge-large").iter().take(6).map(|file| file["state"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 0]);
    assert_eq!(files("md5")[1]["digest"][0], "md5");
    assert_eq!(files("forge-large").len(), 2001);
    assert_eq!(files("forge-empty").len(), 0);
}

#[test]
fn a_berkeley_db_has_what_rpm_reads_in_it() {
    let (_, all) = ours(&made().join("sqlite"));
    for page in ["512", "1024", "4096", "65536"] {
        for order in ["little", "big"] {
            let name = format!("bdb-{page}-{order}");
            let directory = made().join(&name);
            let (format, ours) = ours(&directory);
            assert_eq!(format, Format::BerkeleyDb);
            assert_same(&name, &ours, &all);
            assert_same(&name, &ours, &theirs(&directory, "bdb_ro"));
        }
    }
    // rpm refuses pages that were reserved and never used; Berkeley DB itself does not.
    assert_same("bdb-reserved", &ours(&made().join("bdb-reserved")).1, &all);
}

#[test]
fn what_was_erased_is_gone_and_a_thousand_packages_are_there() {
    let directory = made().join("bdb-many");
    let (bytes, _) = bytes(&directory);
    let mut ours: Vec<_> =
        read(&bytes, &[]).unwrap().packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect();
    let theirs = theirs(&directory, "bdb_ro");
    assert!(theirs.len() > 700, "{}", theirs.len());
    let name = |package: &Value| format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
    let mut theirs: Vec<_> = theirs.iter().map(name).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// One database was written by lib/backend/ndb/rpmpkg.c of rpm (`ndb.xz`), and one by databases.py, which follows that file.
#[test]
fn a_database_of_rpms_own_format_has_its_packages() {
    let (_, all) = ours(&made().join("sqlite"));
    let (format, ours) = ours(&made().join("ndb"));
    assert_eq!(format, Format::Ndb);
    assert_same("ndb", &ours, &all);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package_cases/ndb.xz");
    let bytes = said_by(Command::new("xz").args(["-dc", path]), b"");
    let read = read(&bytes, &[]).unwrap();
    let names: Vec<_> = read.packages.iter().map(|package| format!("{}-{}", package.name, package.version)).collect();
    assert_eq!((names, read.damaged), (NDB.map(str::to_owned).to_vec(), vec![]));
}

/// Packages were erased, written again, and written over larger and smaller ones.
const NDB: [&str; 10] = [
    "forge-p88-3:18.09.6-3.el7",
    "forge-p89-3:18.09.6-3.el7",
    "forge-p9-3:18.09.6-3.el7",
    "forge-p90-3:18.09.6-3.el7",
    "forge-p92-3:18.09.6-3.el7",
    "forge-p94-3:18.09.6-3.el7",
    "forge-p98-3:18.09.6-3.el7",
    "forge-p99-3:18.09.6-3.el7",
    "gpg-pubkey-23cf505f-6b0bcae1",
    "gpg-pubkey-23cf505f-6b0bcae1",
];

#[test]
fn what_is_not_read_is_named() {
    let (database, _) = bytes(&made().join("btree"));
    let refused = read(&database, &[]).unwrap_err().to_string();
    assert_eq!(refused, "database cannot be read: it is neither a Berkeley DB hash nor a database of SQLite or of rpm's own format");
    let (database, _) = bytes(&made().join("sqlite"));
    let journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\0\0\0\x01";
    let refused = installed::rpm(&RpmDatabase { name: "rpmdb.sqlite", bytes: &database, log: &[], journal }, None).unwrap_err();
    assert_eq!(refused.to_string(), "rpmdb.sqlite cannot be read: rpm was interrupted while it wrote: a rollback journal is beside it");
}

/// A damaged header loses one package, and all others are still listed.
#[test]
fn one_damaged_header_is_one_package_less() {
    for name in ["sqlite", "bdb-4096-little", "ndb"] {
        let (mut bytes, _) = bytes(&made().join(name));
        let whole = read(&bytes, &[]).unwrap();
        // The bytes of data precede the region's tag. A header that was erased can be anywhere, too.
        let needle = b"\0\0\0\x3f\0\0\0\x07\0\0";
        let places = (4..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect::<Vec<_>>();
        let mut damaged = places.into_iter().filter_map(|at| {
            bytes[at - 4] ^= 0x40;
            let read = read(&bytes, &[]).unwrap();
            bytes[at - 4] ^= 0x40;
            (read != whole).then_some(read)
        });
        let read = damaged.next().unwrap();
        assert_eq!(read.packages.len() + 1, whole.packages.len(), "{name}");
        let [damage] = &read.damaged[..] else { panic!("{name}: {:?}", read.damaged) };
        assert!(damage.to_string().contains(": the header of package ") && damage.at.is_some(), "{damage}");
    }
}

/// Cut at every kind of place, a database gives an error or fewer packages, and no panic.
#[test]
fn a_database_that_is_cut_short_is_refused() {
    for name in ["sqlite", "bdb-512-big", "bdb-65536-little", "ndb"] {
        let (bytes, _) = bytes(&made().join(name));
        for length in [0, 11, 12, 16, 99, 100, 223, 224, 511, 512, 4096, bytes.len() / 2, bytes.len() - 1] {
            assert!(read(&bytes[..length], &[]).is_err(), "{name}: {length} bytes");
        }
    }
}

/// The database of this host, and one with a package in every state.
#[test]
fn a_database_of_dpkg_has_what_dpkg_query_reads_in_it() {
    let copy = tempfile::tempdir().unwrap();
    let admin = copy.path().join("dpkg");
    said_by(Command::new("cp").args(["-r", "/var/lib/dpkg"]).arg(&admin), b"");
    let mut status = fs::read_to_string(admin.join("status")).unwrap();
    for state in ["config-files", "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending", "installed"] {
        let want = if state == "config-files" { "deinstall" } else { "install" };
        let config = if state == "config-files" || state == "half-configured" { "Config-Version: 1\n" } else { "" };
        let triggers = match state {
            "triggers-awaited" => "Triggers-Awaited: a-triggers-pending\n",
            "triggers-pending" => "Triggers-Pending: x\n",
            _ => "",
        };
        status.push_str(&format!(
            "Package: a-{state}\nStatus: {want} ok {state}\nMaintainer: A <a@example.org>\nArchitecture: all\nVersion: 1:2~b-3\n\
             {config}{triggers}Description:  spaced   out \n more\n\n"
        ));
        fs::write(admin.join(format!("info/a-{state}.list")), "/.\n/usr\n").unwrap();
    }
    fs::write(admin.join("status"), &status).unwrap();
    let read = installed::dpkg(&[("status", status.as_bytes())], None).unwrap();
    let ours = read.packages.iter().chain(&read.others).map(|package| {
        let files = (package.state == installed::State::Installed).then(|| listed(&admin.join("info"), package));
        json!({
            "name": package.name, "version": package.version, "architecture": package.architecture, "source": package.source,
            "source_version": package.source_version, "maintainer": package.maintainer, "url": package.url, "summary": package.summary,
            "installed_size": package.installed_size, "state": package.state.name(),
            "files": files.map(|files| files.into_iter().map(|(path, ..)| path).collect::<Vec<_>>()),
        })
    });
    let theirs: Vec<Value> = serde_json::from_slice(&databases(&["dpkg", admin.to_str().unwrap()])).unwrap();
    assert!(read.packages.len() > 100 && read.others.len() >= 6);
    assert_same("dpkg", &sorted(ours.collect()), &sorted(theirs));
}

/// Path, digest, whether it is configuration.
type Listed = (String, Option<String>, bool);

fn listed(info: &Path, package: &Installed) -> Vec<Listed> {
    let name = installed::file_lists(package).into_iter().find(|name| info.join(format!("{name}.list")).exists()).unwrap();
    let file = |kind: &str| fs::read(info.join(format!("{name}.{kind}"))).unwrap_or_default();
    let (list, md5sums, conffiles) = (file("list"), file("md5sums"), file("conffiles"));
    let mut found = Vec::new();
    let mut each = |_: &Installed, file: &InstalledFile<'_>| {
        let digest = file.digest.map(|digest| digest.hex.to_owned());
        found.push((latin(file.path), digest, file.flags.has(installed::FileFlags::CONFIG)));
    };
    FileLists { list: &list, md5sums: &md5sums, conffiles: &conffiles }.each(&name, package, &mut each).unwrap();
    found
}

/// The digests that dpkg keeps are those of the files, which md5sum reads.
#[test]
fn digests_of_dpkg_are_those_of_the_files() {
    let status = fs::read("/var/lib/dpkg/status").unwrap();
    let mut configuration: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut each = |package: &Installed, file: &InstalledFile<'_>| {
        if package.name == "bash" {
            configuration.insert(latin(file.path).into(), file.digest.unwrap().hex.to_owned());
        }
    };
    let read = installed::dpkg(&[("status", &status)], Some(&mut each)).unwrap();
    let bash = read.packages.iter().find(|package| package.name == "bash").unwrap();
    let files = listed(Path::new(installed::DPKG_INFO), bash);
    let (_, digest, config) = files.iter().find(|(path, ..)| path == "/bin/bash").unwrap();
    let said = String::from_utf8(said_by(Command::new("md5sum").arg("/bin/bash"), b"")).unwrap();
    assert_eq!((digest.as_deref(), *config), (said.split(' ').next(), false));
    let marked: Vec<_> = files.iter().filter(|(.., config)| *config).map(|(path, ..)| PathBuf::from(path)).collect();
    assert!(!marked.is_empty());
    assert_eq!(marked.iter().collect::<std::collections::BTreeSet<_>>(), configuration.keys().collect());
}

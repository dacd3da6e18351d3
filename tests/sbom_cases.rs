//! `goldsmith image sbom`: bills of materials, checked by the libraries of SPDX, CycloneDX and package URLs, and compared with rpm and
//! dpkg.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kickstart_cases::python_tool;
use crate::package_cases::installed::{made as package_databases, theirs as packages_by_rpm};
use crate::support::{GOLDSMITH, make_disk};

/// Both formats.
const FORMATS: [&str; 2] = ["spdx", "cyclonedx"];
/// The relevant lines of the os-release of CentOS 7.
const CENTOS: &str = "NAME=\"CentOS Linux\"\nID=\"centos\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n";
/// dpkg's database with a package in each state, names and versions that need an escape, and makers of every kind.
const STATUS: &str = "\
Package: libb++
Status: install ok installed
Maintainer: A (of B) Team <team@example.org>
Architecture: amd64
Multi-Arch: same
Source: b (1:2~b)
Version: 1:2~b+3
Homepage: https://example.org/b
Description: B & \"more\"

Package: plain
Status: hold ok installed
Maintainer: A (of B)
Architecture: all
Version: 5.2
Homepage: not a URL
Description: plain

Package: half
Status: install ok half-configured
Maintainer: C <c@example.org>
Architecture: amd64
Version: 1-1
Config-Version: 1-1
Description: half

Package: gone
Status: deinstall ok config-files
Maintainer: C <c@example.org>
Architecture: amd64
Version: 1-1
Config-Version: 1-1
Description: gone
";

/// A disk with a package database, in a directory with its tree.
struct Place(TempDir);

impl Place {
    /// A disk with these files, and those of `database` below `at`.
    fn new(files: &[(&str, &str)], database: Option<(&Path, &str)>) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let tree = place.at("tree");
        for (path, text) in files.iter().chain(&[("etc/fstab", "")]) {
            fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
            fs::write(tree.join(path), text).unwrap();
        }
        if let Some((database, at)) = database {
            fs::create_dir_all(tree.join(at)).unwrap();
            for file in fs::read_dir(database).unwrap().map(Result::unwrap) {
                fs::copy(file.path(), tree.join(at).join(file.file_name())).unwrap();
            }
        }
        make_disk(&tree, &place.at("disk"));
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sbom(&self, image: &str, format: &str, source_date_epoch: Option<&str>) -> Output {
        let mut command = Command::new(GOLDSMITH);
        command.args(["image", "sbom", image, "--format", format]).current_dir(&self.0).env_remove("SOURCE_DATE_EPOCH");
        if let Some(time) = source_date_epoch {
            command.env("SOURCE_DATE_EPOCH", time);
        }
        command.output().unwrap()
    }

    /// The bill of `disk`. The command must print no messages.
    fn bill(&self, format: &str) -> String {
        let output = self.sbom("disk", format, None);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The verdicts of the libraries on bills, in their order.
fn all_judged(format: &str, bills: &[String]) -> Vec<Value> {
    // ci/test names the same.
    const PACKAGES: [&str; 4] =
        ["spdx-tools==0.8.5", "cyclonedx-python-lib[json-validation]==11.12.0", "packageurl-python==0.17.6", "license-expression==30.4.4"];
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let python = PYTHON.get_or_init(|| python_tool("sbom", &PACKAGES).join("python3"));
    let dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sbom_cases/judge.py");
    let mut command = Command::new(python);
    command.args(["-B", script, format]);
    for (index, bill) in bills.iter().enumerate() {
        // The parser recognises the format by the file name.
        let path = dir.path().join(format!("{index}.spdx.json"));
        fs::write(&path, bill).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Their verdict on one bill.
fn judged(format: &str, bill: &str) -> Value {
    all_judged(format, &[bill.to_owned()]).remove(0)
}

/// The packages that the libraries find in a bill without a fault.
fn packages(format: &str, bill: &str) -> Vec<Value> {
    let judged = judged(format, bill);
    assert_eq!(judged["problems"], json!([]), "{format}");
    judged["packages"].as_array().unwrap().clone()
}

fn parsed(bill: &str) -> Value {
    serde_json::from_str(bill).unwrap()
}

#[test]
fn a_bill_of_dpkgs_packages_is_what_the_libraries_read() {
    let place = Place::new(
        &[("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n"), ("var/lib/dpkg/status", STATUS)],
        None,
    );
    for format in FORMATS {
        let found = packages(format, &place.bill(format));
        let purl = |name: &str, version: &str, qualifiers: Value| json!({"type": "deb", "namespace": "debian", "name": name, "version": version, "qualifiers": qualifiers});
        let purls: Vec<_> = found.iter().map(|package| package["purl"].clone()).collect();
        let expected = [
            purl("libb++", "1:2~b+3", json!({"arch": "amd64", "distro": "debian-12", "upstream": "b@1:2~b"})),
            purl("plain", "5.2", json!({"arch": "all", "distro": "debian-12"})),
            purl("half", "1-1", json!({"arch": "amd64", "distro": "debian-12"})),
        ];
        assert_eq!(purls, expected, "{format}");
        let [libb, plain, half] = &found[..] else { panic!("{found:?}") };
        assert_eq!([&libb["homepage"], &plain["homepage"]], [&json!("https://example.org/b"), &Value::Null], "{format}");
        assert_eq!(
            [&libb["summary"], &libb["source"], &libb["license"]],
            [&json!("B & \"more\""), &json!("b 1:2~b"), &Value::Null],
            "{format}"
        );
        if format == "spdx" {
            assert_eq!([&libb["supplier"], &plain["supplier"]], ["A (of B) Team", "A (of B)"]);
            assert_eq!(
                [&half["comment"], &plain["comment"]],
                [&json!("Not wholly installed: dpkg has it as half-configured."), &Value::Null]
            );
        } else {
            assert_eq!([&half["properties"]["state"], &plain["properties"]["state"]], [&json!("half-configured"), &Value::Null]);
        }
    }
    assert!(
        place.bill("spdx").contains("\"Person: A (of B) Team (team@example.org)\"")
            && place.bill("spdx").contains("\"Person: A (of B) ()\"")
    );
}

/// The database of this host, as dpkg-query reads it.
#[test]
fn a_bill_of_this_host_has_every_package_once() {
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap();
    let place = Place::new(&[("usr/lib/os-release", "ID=debian\n"), ("var/lib/dpkg/status", &status)], None);
    let format = "-f=${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n";
    let theirs = Command::new("dpkg-query").arg("--admindir").arg(place.at("tree/var/lib/dpkg")).args(["-W", format]).output().unwrap();
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let has_files = |line: &&str| !line.starts_with("config-files\t") && !line.starts_with("not-installed\t");
    let mut theirs: Vec<_> = theirs.lines().filter(has_files).map(|line| line.split_once('\t').unwrap().1.to_owned()).collect();
    theirs.sort();
    assert!(theirs.len() > 50);
    let of = |package: &Value| {
        let purl = &package["purl"];
        assert_eq!([&package["name"], &package["version"]], [&purl["name"], &purl["version"]]);
        [&purl["name"], &purl["version"], &purl["qualifiers"]["arch"]].map(|part| part.as_str().unwrap()).join("\t")
    };
    let bill = place.bill("spdx");
    let mut ours: Vec<_> = packages("spdx", &bill).iter().map(of).collect();
    ours.sort();
    assert_eq!(ours, theirs);
    // The validation of CycloneDX takes a quarter of a minute for so many packages. They are the same ones, so it is left out.
    let (spdx, cyclonedx) = (parsed(&bill), parsed(&place.bill("cyclonedx")));
    let spdx = spdx["packages"].as_array().unwrap().iter().skip(1).map(|package| &package["externalRefs"][0]["referenceLocator"]);
    let cyclonedx = cyclonedx["components"].as_array().unwrap().iter().map(|component| &component["purl"]);
    assert_eq!(spdx.collect::<Vec<_>>(), cyclonedx.collect::<Vec<_>>());
}

/// The databases of EL 7, of EL 9 with a log, and of ostree, compared with the output of rpm.
#[test]
fn a_bill_of_rpms_packages_is_what_the_libraries_and_rpm_read() {
    for (made, backend, at) in [
        ("bdb-4096-little", "bdb_ro", "var/lib/rpm"),
        ("wal-interrupted", "sqlite", "usr/lib/sysimage/rpm"),
        ("sqlite", "sqlite", "usr/share/rpm"),
    ] {
        let database = package_databases().join(made);
        let place = Place::new(&[("etc/os-release", CENTOS)], Some((&database, at)));
        let theirs = packages_by_rpm(&database, backend);
        assert!(theirs.iter().any(|package| package["is_key"] == true), "a key is there to be left out");
        let mut expected: Vec<_> = theirs.iter().filter(|package| package["is_key"] == false).map(expected_of_rpm).collect();
        expected.sort_by_key(Value::to_string);
        for format in FORMATS {
            let mut found = packages(format, &place.bill(format));
            found.sort_by_key(|package| package["purl"].to_string());
            for package in &mut found {
                let package = package.as_object_mut().unwrap();
                package.remove("comment");
                package.remove("properties");
            }
            found.sort_by_key(Value::to_string);
            assert_eq!(found, expected, "{made} {format}");
            assert!(found.len() > 5);
        }
    }
}

/// The expected entry for a package, made from the output of rpm.
fn expected_of_rpm(package: &Value) -> Value {
    let version = package["version"].as_str().unwrap();
    let (epoch, rest) = version.split_once(':').map_or((None, version), |(epoch, rest)| (Some(epoch), rest));
    let mut qualifiers = json!({"arch": package["architecture"], "distro": "centos-7", "upstream": package["source"]});
    if let Some(epoch) = epoch {
        qualifiers["epoch"] = json!(epoch);
    }
    let purl = json!({"type": "rpm", "namespace": "centos", "name": package["name"], "version": rest, "qualifiers": qualifiers});
    json!({
        "purl": purl, "name": package["name"], "version": version, "license": package["license"], "summary": package["summary"],
        "homepage": package["url"], "supplier": package["vendor"], "source": package["source"],
    })
}

/// A licence text that is not an SPDX expression is quoted. An expression is declared unchanged.
#[test]
fn licences_are_declared_or_quoted() {
    let database = package_databases().join("sqlite");
    let place = Place::new(&[("etc/os-release", CENTOS)], Some((&database, "var/lib/rpm")));
    let spdx = parsed(&place.bill("spdx"));
    let declared = |name: &str| {
        let package = spdx["packages"].as_array().unwrap().iter().find(|package| package["name"] == name).unwrap();
        package["licenseDeclared"].as_str().unwrap().to_owned()
    };
    assert_eq!(declared("md5"), "MIT");
    let quoted = declared("forge");
    assert!(quoted.starts_with("LicenseRef-ASL-2.0-and-GPLv2-or-MIT-"), "{quoted}");
    let [license] = &spdx["hasExtractedLicensingInfos"].as_array().unwrap()[..] else { panic!("{spdx:#}") };
    assert_eq!((license["licenseId"].as_str(), &license["extractedText"]), (Some(&*quoted), &json!("ASL 2.0 and (GPLv2+ or MIT)")));
    let cyclonedx = parsed(&place.bill("cyclonedx"));
    let licenses =
        |name: &str| cyclonedx["components"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["licenses"].clone();
    assert_eq!(licenses("md5"), json!([{"expression": "MIT", "acknowledgement": "declared"}]));
    assert_eq!(licenses("forge"), json!([{"license": {"name": "ASL 2.0 and (GPLv2+ or MIT)", "acknowledgement": "declared"}}]));
}

/// The libraries refuse damaged bills: each row is a format, a text in a sound bill, and its replacement.
#[test]
fn a_spoilt_bill_is_refused() {
    let database = package_databases().join("sqlite");
    let place = Place::new(&[("etc/os-release", CENTOS)], Some((&database, "var/lib/rpm")));
    let bills = FORMATS.map(|format| place.bill(format));
    let id = |name: &str| format!("\"SPDXID\": \"SPDXRef-Package-{name}-18.09.6-3.el7-x86-64\"").replace("-18", "-3-18");
    let rows = [
        ("spdx", "\"licenseDeclared\": \"MIT\"".to_owned(), "\"licenseDeclared\": \"MIT and (GPLv2+\""),
        ("spdx", "\"licenseDeclared\": \"MIT\"".to_owned(), "\"licenseDeclared\": \"LicenseRef-nowhere\""),
        ("spdx", id("forge"), "\"SPDXID\": \"SPDXRef-Package-md5\""),
        ("spdx", id("forge"), "\"SPDXID\": \"SPDXRef-Package_forge\""),
        ("spdx", "\"homepage\"".to_owned(), "\"homePage\""),
        ("spdx", "\"downloadLocation\": \"NOASSERTION\"".to_owned(), "\"downloadLocation\": \"?\""),
        ("spdx", "https://spdx.org/".to_owned(), "spdx.org/#"),
        ("spdx", "?arch=x86_64&distro=centos-7".to_owned(), "?distro=centos-7&arch=x86_64"),
        ("cyclonedx", "\"type\": \"library\"".to_owned(), "\"type\": \"package\""),
        ("cyclonedx", "\"description\"".to_owned(), "\"summary\""),
        ("cyclonedx", "\"urn:uuid:".to_owned(), "\"uuid:"),
        ("cyclonedx", "\"expression\": \"MIT\"".to_owned(), "\"name\": \"MIT\""),
        ("cyclonedx", "\"bom-ref\": \"pkg:rpm/centos/forge@18".to_owned(), "\"bom-ref\": \"\", \"x\": \"pkg:rpm/centos/forge@18"),
        ("cyclonedx", "\"purl\": \"pkg:rpm/centos/forge@18.09.6-3.el7".to_owned(), "\"purl\": \"pkg:rpm/centos/forge@18.09.6-3%2Eel7"),
    ];
    for (format, bill) in FORMATS.iter().zip(&bills) {
        let rows: Vec<_> = rows.iter().filter(|(of, ..)| of == format).collect();
        let spoilt: Vec<_> = rows.iter().map(|(_, from, to)| bill.replacen(from, to, 1)).collect();
        for ((row, spoilt), judged) in rows.iter().zip(&spoilt).zip(all_judged(format, &spoilt)) {
            assert_ne!(spoilt, bill, "{row:?}");
            assert_ne!(judged["problems"], json!([]), "{row:?}");
        }
    }
}

#[test]
fn the_same_image_gives_the_same_bytes_and_another_one_another_name() {
    let database = package_databases().join("sqlite");
    let place = Place::new(&[("etc/os-release", CENTOS)], Some((&database, "var/lib/rpm")));
    fs::copy(place.at("disk"), place.at("other")).unwrap();
    let name = |bill: &[u8]| {
        let bill: Value = serde_json::from_slice(bill).unwrap();
        bill.get("documentNamespace").or_else(|| bill.get("serialNumber")).unwrap().as_str().unwrap().to_owned()
    };
    for format in FORMATS {
        let bill = place.bill(format);
        assert_eq!(bill, place.bill(format));
        let other = place.sbom("other", format, None).stdout;
        assert_ne!(name(bill.as_bytes()), name(&other));
        let dated = String::from_utf8(place.sbom("disk", format, Some("1525132800")).stdout).unwrap();
        assert!(dated.contains("\"2018-05-01T00:00:00Z\"") && !bill.contains("\"2018-05-01T00:00:00Z\""));
        assert_eq!(judged(format, &dated)["problems"], json!([]));
    }
    // Without the variable, it is the time of the newest package.
    let newest = packages_by_rpm(&database, "sqlite").iter().filter_map(|package| package["installed_at"].as_i64()).max().unwrap();
    let created = parsed(&place.bill("spdx"))["creationInfo"]["created"].clone();
    assert_eq!(created, jiff::Timestamp::from_second(newest).unwrap().to_string());
    let refused = place.sbom("disk", "spdx", Some("yesterday"));
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("SOURCE_DATE_EPOCH is `yesterday`, which is no number of seconds since 1970")
    );
}

/// Damage is reported, and the bill says that it is not complete.
#[test]
fn a_damaged_package_makes_the_bill_incomplete() {
    let place = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(package_databases().join("sqlite/rpmdb.sqlite")).unwrap();
    // The bytes of data of a header precede the region's tag.
    let needle = b"\0\0\0\x3f\0\0\0\x07\0\0";
    let places = (4..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).take(9).collect::<Vec<_>>();
    for at in places {
        bytes[at - 4] ^= 0x40;
    }
    fs::write(place.path().join("rpmdb.sqlite"), bytes).unwrap();
    let place = Place::new(&[("etc/os-release", CENTOS)], Some((place.path(), "var/lib/rpm")));
    for format in FORMATS {
        let output = place.sbom("disk", format, None);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("warning: /var/lib/rpm/rpmdb.sqlite cannot be read"), "{said}");
        let bill = String::from_utf8(output.stdout).unwrap();
        assert_eq!(judged(format, &bill)["problems"], json!([]));
        assert!(bill.contains("Incomplete: "), "{bill}");
        assert_eq!(parsed(&bill).get("compositions").is_some(), format == "cyclonedx");
    }
}

/// An artifact's manifest has the digest of its image. It is used only if it is still correct.
#[test]
fn the_digest_of_an_artifact_is_in_its_bill() {
    let place = Place::new(&[("var/lib/dpkg/status", STATUS)], None);
    fs::create_dir(place.at("out")).unwrap();
    fs::rename(place.at("disk"), place.at("out/debian-12-docker.qcow2")).unwrap();
    let said = Command::new("sha256sum").arg(place.at("out/debian-12-docker.qcow2")).output().unwrap();
    let digest = String::from_utf8(said.stdout).unwrap()[..64].to_owned();
    let mut manifest = parsed(include_str!("golden/manifest.json"));
    for (true_one, sha256) in [(true, digest.clone()), (false, "0".repeat(64))] {
        manifest["image"]["sha256"] = json!(sha256);
        manifest["image"]["bytes"] = json!(32 << 20);
        fs::write(place.at("out/manifest.json"), manifest.to_string()).unwrap();
        for format in FORMATS {
            let output = place.sbom("out", format, None);
            let (bill, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
            assert!(output.status.success(), "{said}");
            assert_eq!(judged(format, &bill)["problems"], json!([]));
            assert_eq!((bill.contains(&digest), said.is_empty()), (true_one, true_one), "{said}");
            assert!(bill.contains("debian-12-docker.qcow2") && !bill.contains(&"0".repeat(64)));
            assert!(true_one || said.contains("its digest is left out"), "{said}");
        }
    }
}

#[test]
fn an_image_without_packages_is_refused() {
    let place = Place::new(&[("etc/os-release", CENTOS)], None);
    let output = place.sbom("disk", "spdx", None);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("disk has no package database"));
}

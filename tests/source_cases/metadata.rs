//! Metadata that createrepo_c made and that was changed since: if yum 3.4.3 can use it, it is kept; if not, it is made again or refused.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::failure::Class;
use goldsmith::base::failure::Failure;
use goldsmith::sources::bundle::Maker;

use super::bundle::{Bench, tree, unpack};
use super::{Rpm, make, put};

/// A repository of two packages and a group, whose repomd.xml is to be changed.
struct Repository {
    dir: PathBuf,
}

impl Repository {
    fn make(dir: &Path, options: &[&str]) -> Self {
        Rpm::new("docker-ce", "18.09.6", "3.el7").build(dir);
        Rpm::new("gcc-c++", "4.8.5", "28.el7").build(&dir.join("sub"));
        let comps = "<comps><group><id>lab</id><name>lab</name><packagelist><packagereq type='mandatory'>docker-ce</packagereq></packagelist></group></comps>";
        put(dir.parent().unwrap(), &[("comps.xml", comps.as_bytes())]);
        let options = ["--quiet", "--simple-md-filenames", "--groupfile", "../comps.xml"].iter().chain(options).copied();
        make("createrepo_c", dir, options.chain(["."]));
        Self { dir: dir.to_owned() }
    }

    fn repomd(&self) -> String {
        fs::read_to_string(self.dir.join("repodata/repomd.xml")).unwrap()
    }

    /// Change repomd.xml. The result must differ.
    fn change(&self, change: impl FnOnce(String) -> String) {
        let (before, after) = (self.repomd(), change(self.repomd()));
        assert_ne!(before, after);
        fs::write(self.dir.join("repodata/repomd.xml"), after).unwrap();
    }

    /// The `<data>` of a type.
    fn block(&self, name: &str) -> String {
        let repomd = self.repomd();
        let start = repomd.find(&format!("<data type=\"{name}\">")).unwrap_or_else(|| panic!("no {name}: {repomd}"));
        let end = start + repomd[start..].find("</data>").unwrap() + "</data>".len();
        repomd[start..end].to_owned()
    }

    fn change_block(&self, name: &str, change: impl FnOnce(&str) -> String) {
        let block = self.block(name);
        self.change(|repomd| repomd.replace(&block, &change(&block)));
    }

    /// Use another file for a type, under this name, with its correct size and checksum.
    fn swap(&self, name: &str, file: &str, content: &[u8]) {
        let block = format!(
            "<data type=\"{name}\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/{file}\"/><size>{}</size></data>",
            Sha256Digest::of(content),
            content.len()
        );
        self.change_block(name, |_| block);
        fs::write(self.dir.join("repodata").join(file), content).unwrap();
    }

    fn primary(&self) -> String {
        let mut text = String::new();
        let file = fs::File::open(self.dir.join("repodata/primary.xml.gz")).unwrap();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
        text
    }

    /// Change the places of the packages in primary.xml.
    fn places(&self, from: &str, to: &str) {
        let (before, after) = (self.primary(), self.primary().replace(from, to));
        assert_ne!(before, after, "{from} is not in {before}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(after.as_bytes()).unwrap();
        self.swap("primary", "primary.xml.gz", &gzip.finish().unwrap());
    }

    /// Replace the content of `file` by that of `other`. repomd.xml is not changed.
    fn overwrite(&self, file: &str, other: &str) {
        let dir = self.dir.join("repodata");
        fs::copy(dir.join(other), dir.join(file)).unwrap();
    }

    /// Keep the digits of a checksum, but name another kind.
    fn call_checksum(&self, name: &str, kind: &str) {
        self.change_block(name, |block| block.replacen("<checksum type=\"sha256\">", &format!("<checksum type=\"{kind}\">"), 1));
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.dir.join("repodata").join(file)).unwrap();
    }
}

enum Expected {
    /// It is kept, without this number of files that yum does not need.
    Taken(usize),
    /// It is made again, for a reason with these words.
    Anew(&'static str),
    /// It is refused, with these words.
    Refused(&'static str),
}
use Expected::{Anew, Refused, Taken};

type Change = fn(&Repository);

const XML: &[&str] = &["--no-database"];

fn cases() -> Vec<(&'static str, &'static [&'static str], Change, Expected)> {
    vec![
        ("as it is, with databases", &[], |_| (), Taken(0)),
        ("without databases", XML, |_| (), Taken(0)),
        ("all of it xz", &["--general-compress-type=xz"], |_| (), Taken(0)),
        ("all of it bzip2", &["--general-compress-type=bz2"], |_| (), Taken(0)),
        ("sha1", &["--checksum=sha1"], |_| (), Taken(0)),
        ("repomd.xml in sha512", &["--repomd-checksum=sha512"], |_| (), Taken(0)),
        (
            "no sizes, no times",
            &[],
            |repo| {
                repo.change_block("primary", |block| {
                    block.lines().filter(|line| !line.contains("size>") && !line.contains("timestamp>")).collect()
                });
            },
            Taken(0),
        ),
        // Files that yum prefers.
        (
            "a database is missing",
            &[],
            |repo| repo.remove("primary.sqlite.bz2"),
            Anew("is named by repomd.xml (primary_db) and is not in the bundle"),
        ),
        (
            "a database of files is missing",
            &[],
            |repo| repo.remove("filelists.sqlite.bz2"),
            Anew("(filelists_db) and is not in the bundle"),
        ),
        (
            "a database is another one",
            &[],
            |repo| {
                let other = fs::read(repo.dir.join("repodata/filelists.sqlite.bz2")).unwrap();
                fs::write(repo.dir.join("repodata/primary.sqlite.bz2"), other).unwrap();
            },
            Anew("is not what repomd.xml says (primary_db)"),
        ),
        (
            "a database of another time, in sha1",
            &["--checksum=sha1"],
            |repo| {
                let mut bytes = fs::read(repo.dir.join("repodata/primary.sqlite.bz2")).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(repo.dir.join("repodata/primary.sqlite.bz2"), bytes).unwrap();
            },
            Anew("is not what repomd.xml says (primary_db)"),
        ),
        (
            "a database that expands to another one",
            &[],
            |repo| {
                repo.change_block("primary_db", |block| {
                    let at = block.find("<open-checksum type=\"sha256\">").unwrap() + 29;
                    format!("{}{}{}", &block[..at], "0".repeat(64), &block[at + 64..])
                });
            },
            Anew("expanded, its sha256 is"),
        ),
        (
            "a missing database of a form that yum passes over",
            &[],
            |repo| {
                repo.remove("primary.sqlite.bz2");
                repo.change_block("primary_db", |block| block.replace("<database_version>10<", "<database_version>11<"));
            },
            Taken(0),
        ),
        (
            "a database in zstd",
            &[],
            |repo| {
                let block = repo.block("primary_db");
                repo.swap("primary_db", "primary.sqlite.zst", &zstd::encode_all(&b"SQLite format 3"[..], 1).unwrap());
                assert!(block.contains("<database_version>10<"));
                repo.change_block("primary_db", |block| block.replace("</data>", "<database_version>10</database_version></data>"));
            },
            Anew("`repodata/primary.sqlite.zst` is compressed with zstd, which yum 3.4.3 of EL 7 cannot read"),
        ),
        // Compressions.
        (
            "zstd",
            XML,
            |repo| repo.swap("primary", "primary.xml.zst", &zstd::encode_all(repo.primary().as_bytes(), 1).unwrap()),
            Anew("`repodata/primary.xml.zst` is compressed with zstd, which yum 3.4.3 of EL 7 cannot read"),
        ),
        (
            "zstd by another name",
            XML,
            |repo| repo.swap("primary", "primary.xml.gz", &zstd::encode_all(repo.primary().as_bytes(), 1).unwrap()),
            Anew("is compressed with zstd"),
        ),
        ("plain", XML, |repo| repo.swap("primary", "primary.xml", repo.primary().as_bytes()), Taken(0)),
        (
            "plain by another name",
            XML,
            |repo| repo.swap("primary", "primary.xml.gz", repo.primary().as_bytes()),
            Anew("is plain, and yum goes by its name"),
        ),
        // Files that are missing, listed twice, or not listed.
        ("no primary.xml", XML, |repo| repo.change_block("primary", |_| String::new()), Anew("repomd.xml names no primary.xml")),
        ("primary.xml is not there", XML, |repo| repo.remove("primary.xml.gz"), Anew("(primary) and is not in the bundle")),
        ("filelists.xml is not there", XML, |repo| repo.remove("filelists.xml.gz"), Anew("(filelists) and is not in the bundle")),
        ("other.xml is not there", XML, |repo| repo.remove("other.xml.gz"), Taken(1)),
        (
            "other.xml is another one",
            XML,
            |repo| fs::write(repo.dir.join("repodata/other.xml.gz"), fs::read(repo.dir.join("repodata/primary.xml.gz")).unwrap()).unwrap(),
            Taken(1),
        ),
        // A checksum of a kind that goldsmith does not compute must not cause a false message.
        ("sha224 of other.xml", XML, |repo| repo.call_checksum("other", "sha224"), Taken(0)),
        ("sha384 of other.xml", XML, |repo| repo.call_checksum("other", "sha384"), Taken(0)),
        ("a kind of checksum that nobody knows", XML, |repo| repo.call_checksum("other", "crc9"), Taken(0)),
        (
            "sha224 of a database",
            &[],
            |repo| repo.call_checksum("primary_db", "sha224"),
            Anew("cannot be compared with repomd.xml (primary_db): checksums of type `sha224` are not checked here"),
        ),
        (
            "zchunk and updates that are not there",
            XML,
            |repo| {
                let data = |name: &str| {
                    format!("<data type=\"{name}\"><checksum type=\"sha256\">0</checksum><location href=\"repodata/{name}\"/></data>")
                };
                repo.change(|repomd| repomd.replace("</repomd>", &format!("{}{}</repomd>", data("primary_zck"), data("updateinfo"))));
            },
            Taken(2),
        ),
        (
            "primary.xml is listed twice",
            XML,
            |repo| {
                let block = repo.block("primary");
                repo.change(|repomd| repomd.replace("</repomd>", &format!("{block}</repomd>")));
            },
            Anew("repomd.xml names primary more than once"),
        ),
        (
            "md5",
            XML,
            |repo| {
                repo.change_block("primary", |block| {
                    let at = block.find("<checksum type=\"sha256\">").unwrap();
                    format!("{}<checksum type=\"md5\">900150983cd24fb0d6963f7d28e17f72{}", &block[..at], &block[at + 24 + 64..])
                });
            },
            Anew("checksums of type `md5` are not checked here"),
        ),
        (
            "a base of repomd.xml, which yum passes over",
            XML,
            |repo| {
                repo.change_block("primary", |block| block.replace("<location ", "<location xml:base=\"http://elsewhere/\" "));
            },
            Taken(0),
        ),
        // Groups.
        ("compressed groups are missing", XML, |repo| repo.remove("comps.xml.gz"), Anew("(group_gz) and is not in the bundle")),
        (
            "groups under a name that yum does not know",
            XML,
            |repo| {
                let comps = fs::read(repo.dir.join("../comps.xml")).unwrap();
                repo.change_block("group", |_| String::new());
                repo.change_block("group_gz", |block| block.replace("group_gz", "group_zst"));
                repo.swap("group_zst", "comps.xml.zst", &zstd::encode_all(&comps[..], 1).unwrap());
            },
            Anew("has groups as group_zst, a type that yum 3.4.3 of EL 7 does not know"),
        ),
        // Places of packages.
        ("xml:base", &["--no-database", "--baseurl=http://elsewhere/"], |_| (), Anew("is at another place for yum: http://elsewhere/")),
        ("a place with a dot", XML, |repo| repo.places("href=\"", "href=\"./"), Taken(0)),
        ("a place with escapes", XML, |repo| repo.places("href=\"sub/gcc-c++", "href=\"sub/gcc-c%2B%2b"), Taken(0)),
        (
            "a place with a question",
            XML,
            |repo| repo.places(".rpm\"/>", ".rpm?token=1\"/>"),
            Anew("has a `?` or `#`, at which yum ends the path"),
        ),
        ("a whole address", XML, |repo| repo.places("href=\"", "href=\"https://elsewhere/"), Anew("is a whole address")),
        ("a place outside", XML, |repo| repo.places("href=\"", "href=\"../"), Anew("is no path within the repository")),
        // Damage is refused, even if yum could use the rest.
        (
            "primary.xml is another one",
            XML,
            |repo| repo.overwrite("primary.xml.gz", "other.xml.gz"),
            Refused("is not what repomd.xml says (primary)"),
        ),
        (
            "filelists.xml is another one",
            XML,
            |repo| repo.overwrite("filelists.xml.gz", "other.xml.gz"),
            Refused("is not what repomd.xml says (filelists)"),
        ),
        (
            "groups are others",
            XML,
            |repo| repo.overwrite("comps.xml.gz", "other.xml.gz"),
            Refused("is not what repomd.xml says (group_gz)"),
        ),
        (
            "primary.xml is another one, and groups are zstd",
            XML,
            |repo| {
                repo.swap("group_gz", "comps.xml.zst", &zstd::encode_all(&b"<comps/>"[..], 1).unwrap());
                repo.overwrite("primary.xml.gz", "other.xml.gz");
            },
            Refused("is not what repomd.xml says (primary)"),
        ),
        (
            "primary.xml is cut off, its checksum fits, and groups are zstd",
            XML,
            |repo| {
                repo.swap("group_gz", "comps.xml.zst", &zstd::encode_all(&b"<comps/>"[..], 1).unwrap());
                let text = repo.primary();
                repo.swap("primary", "primary.xml", &text.as_bytes()[..text.len() / 2]);
            },
            Refused("`repodata/primary.xml` cannot be read: "),
        ),
        (
            "primary.xml in zstd is another one",
            XML,
            |repo| {
                repo.swap("primary", "primary.xml.zst", &zstd::encode_all(repo.primary().as_bytes(), 1).unwrap());
                fs::write(repo.dir.join("repodata/primary.xml.zst"), zstd::encode_all(&b"<metadata/>"[..], 1).unwrap()).unwrap();
            },
            Refused("is not what repomd.xml says (primary)"),
        ),
        // New metadata must not hide changes to the packages.
        (
            "a package is another one, and zstd",
            XML,
            |repo| {
                repo.swap("primary", "primary.xml.zst", &zstd::encode_all(repo.primary().as_bytes(), 1).unwrap());
                let path = repo.dir.join(super::bundle::DOCKER);
                fs::write(&path, [fs::read(&path).unwrap(), b"x".to_vec()].concat()).unwrap();
            },
            Refused("bytes, and primary.xml says"),
        ),
        (
            "a package is missing, and its place is elsewhere",
            &["--no-database", "--baseurl=http://elsewhere/"],
            |repo| fs::remove_file(repo.dir.join(super::bundle::DOCKER)).unwrap(),
            Refused("is named by primary.xml and is not in the bundle"),
        ),
    ]
}

#[test]
fn what_yum_can_use_is_taken_and_what_it_cannot_is_made_anew_or_refused() {
    let begin = "the metadata of the bundle cannot be used: ";
    for (name, options, change, expected) in cases() {
        let bench = Bench::new();
        let repository = Repository::make(&bench.path("Docker"), options);
        change(&repository);
        let opened = bench.open("Docker");
        match (expected, opened) {
            (Taken(idle), Ok(bundle)) => {
                assert_eq!(
                    (bundle.maker(), bundle.said_of_metadata().len()),
                    (Maker::Carried, idle),
                    "{name}: {:?}",
                    bundle.said_of_metadata()
                );
            }
            (Anew(words), Ok(bundle)) => {
                let said = bundle.said_of_metadata();
                assert!(
                    bundle.maker() == Maker::Remade && said.iter().any(|line| line.contains(words)),
                    "{name}: {:?} {said:?}",
                    bundle.maker()
                );
                // yum can use the new metadata, and it has these packages and the groups.
                unpack(&bundle, &bench.path("again")).unwrap();
                let again = bench.open("again").unwrap();
                assert!(again.maker() == Maker::Carried && again.said_of_metadata().is_empty(), "{name}: {:?}", again.said_of_metadata());
                let names: Vec<_> = tree(&bench.path("again/repodata")).into_iter().map(|(name, _)| name).collect();
                assert_eq!(
                    names,
                    ["comps.xml", "comps.xml.gz", "filelists.xml.gz", "other.xml.gz", "primary.xml.gz", "repomd.xml"],
                    "{name}"
                );
                let comps = String::from_utf8(bundle.repodata()["repodata/comps.xml"].clone()).unwrap();
                assert!(comps.contains("<id>lab</id>"), "{name}: {comps}");
            }
            (Refused(words), Err(error)) => {
                assert!(
                    error.class() == Class::Input && error.to_string().starts_with(begin) && error.to_string().contains(words),
                    "{name}: {error}"
                );
                assert!(error.remedy().unwrap().contains("createrepo_c --no-database --general-compress-type=gz DIRECTORY"));
            }
            (_, opened) => panic!("{name}: {:?}", opened.map(|bundle| (bundle.maker(), bundle.said_of_metadata().to_vec()))),
        }
    }
}

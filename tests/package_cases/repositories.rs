//! Repositories that rpmbuild and createrepo_c made, read here and by createrepo_c and libcomps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use goldsmith::packages::rpm::{self, Kind, Repomd};
use goldsmith::packages::{Input, PackageFile, PackageId, Scheme, Universe};
use serde_json::{Value, json};

use super::{needs, oracle, relations, said_by};

/// One source with many packages: every kind of relation, epochs, odd characters, files in all directories.
const SPEC: &str = r#"
%global __os_install_post %{nil}
%global _build_id_links none
Name: forge
Epoch: 3
Version: 18.09.6
Release: 3.el7
Summary: A forge & its <tools>
License: ASL 2.0
Requires: forge-cli, anvil >= 1.2.2-3, /bin/sh, /usr/share/forge/data-0
Requires(post): /sbin/ldconfig
Provides: engine = 1:2, config(other) = 5, perl(A::B) = 1.0, a&b
Provides: forge = 1
Conflicts: hammer < 1:2, tongs
Obsoletes: forge-engine, forge-engine-cs <= 17
Recommends: weak-thing
Suggests: weaker-thing
Supplements: another
%description
"Quoted" & <angled> ünïcödé.
%package cli
Epoch: 1
Summary: client
Requires: forge-libs%{?_isa} = 3:%{version}-%{release}
Requires: (rich if richer)
%description cli
%package libs
Epoch: 0
Version: 2.0~rc1
Release: 1.el7_5.1
Summary: libraries
BuildArch: noarch
Provides: libforge.so.1()(64bit), libforge.so.1(FORGE_1.2)(64bit)
%description libs
%install
mkdir -p %{buildroot}/etc/forge %{buildroot}/usr/bin %{buildroot}/usr/share/forge %{buildroot}/usr/lib
echo x > '%{buildroot}/etc/forge/a & b.conf'; echo x > %{buildroot}/usr/bin/forge; echo x > %{buildroot}/usr/bin/forge-cli
echo x > %{buildroot}/usr/lib/libforge.so.1
for n in $(seq 0 40); do echo $n > %{buildroot}/usr/share/forge/data-$n; done
%post
true
%files
%dir /etc/forge
%config /etc/forge/*
/usr/bin/forge
/usr/share/forge
%files cli
/usr/bin/forge-cli
%files libs
/usr/lib/libforge.so.1
"#;

const COMPS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group><id>core</id><name>Core</name><name xml:lang="de">Kern</name><description/><default>true</default><uservisible>false</uservisible>
    <packagelist>
      <packagereq type="mandatory">forge</packagereq><packagereq type="default">forge-cli</packagereq>
      <packagereq type="optional">forge&amp;co</packagereq><packagereq type="conditional" requires="forge">forge-libs</packagereq>
      <packagereq type="mandatory">bash</packagereq>
    </packagelist></group>
  <group><id>empty</id><name>Empty</name><description/><default>false</default><uservisible>true</uservisible><packagelist/></group>
  <category><id>all</id><name>All</name><grouplist><groupid>core</groupid></grouplist></category>
  <environment><id>minimal</id><name>Minimal</name><description/><display_order>5</display_order>
    <grouplist><groupid>core</groupid></grouplist><optionlist><groupid>empty</groupid></optionlist></environment>
  <langpacks><match name="aspell" install="aspell-%s"/></langpacks>
</comps>
"#;

/// A directory with the packages, their source package among them, and comps.xml.
fn build() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    fs::write(dir.path().join("forge.spec"), SPEC).unwrap();
    fs::write(dir.path().join("comps.xml"), COMPS).unwrap();
    let top = format!("_topdir {path}/build");
    let out = format!("_rpmdir {path}/Packages");
    let sources = format!("_srcrpmdir {path}/Packages");
    let defines = [&top, &out, &sources].into_iter().flat_map(|define| ["--define", define]);
    said_by(Command::new("rpmbuild").args(["-ba", "--quiet"]).args(defines).arg(format!("{path}/forge.spec")), b"");
    dir
}

fn index(dir: &Path, arguments: &[&str]) {
    let _ = fs::remove_dir_all(dir.join("repodata"));
    said_by(Command::new("createrepo_c").args(["--quiet", "--groupfile", "comps.xml"]).args(arguments).arg(".").current_dir(dir), b"");
}

/// The repository as goldsmith reads it, in the form of the oracle.
fn read(dir: &Path) -> (Value, Universe) {
    let repomd = Repomd::read("repomd.xml", fs::File::open(dir.join("repodata/repomd.xml")).unwrap()).unwrap();
    let input = |kind| -> Input<'static> {
        let entry = repomd.entry(kind).unwrap();
        entry.input(&entry.href, fs::File::open(dir.join(&entry.href)).unwrap(), 1 << 20).unwrap()
    };
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("forge", 1000);
    let mut files = Vec::new();
    let mut each = |id: PackageId, file: &PackageFile<'_>| {
        files.push((id, file.location().unwrap().to_owned(), file.checksum().unwrap()));
    };
    rpm::add_primary(&mut universe, repository, input(Kind::Primary), &mut each).unwrap();
    rpm::add_comps(&mut universe, input(Kind::Groups)).unwrap();
    let packages: Vec<_> = files
        .iter()
        .map(|(id, location, checksum)| {
            let package = universe.package(*id);
            json!({
                "label": universe.label(*id),
                "source": package.source.map(|source| universe.text(source)),
                "provides": relations(&universe, &package.provides),
                "needs": needs(&universe, &package.needs),
                "conflicts": relations(&universe, &package.conflicts),
                "obsoletes": relations(&universe, &package.obsoletes),
                "sizes": [package.download, package.installed],
                "location": location,
                "checksum": format!("{checksum:?}"),
            })
        })
        .collect();
    let provided = |universe: &Universe| -> BTreeMap<String, BTreeSet<String>> {
        let provided = |(index, package): (usize, &goldsmith::packages::Package)| {
            (universe.label(PackageId(index as u32)), relations(universe, &package.provides).into_iter().collect())
        };
        universe.packages.iter().enumerate().map(provided).collect()
    };
    let before = provided(&universe);
    rpm::add_filelists(&mut universe, repository, input(Kind::Filelists), &|path| !path.starts_with("/etc/")).unwrap();
    let added: BTreeMap<_, Vec<_>> = provided(&universe)
        .into_iter()
        .map(|(label, after)| (label.clone(), after.difference(&before[&label]).cloned().collect()))
        .collect();
    let entries: Vec<_> = [("primary", Kind::Primary), ("filelists", Kind::Filelists)]
        .map(|(name, kind)| {
            let entry = repomd.entry(kind).unwrap();
            json!([name, entry.href, format!("{:?}", entry.listed.checksum), entry.listed.size, entry.open_size])
        })
        .into();
    (json!({"revision": repomd.revision, "entries": entries, "packages": packages, "files": added}), universe)
}

#[test]
fn a_repository_is_read_as_createrepo_reads_it_however_it_is_packed() {
    let dir = build();
    let path = dir.path();
    for arguments in [
        &["--general-compress-type=gz"][..],
        &["--general-compress-type=bz2"],
        &["--general-compress-type=xz", "--checksum=sha512"],
        &["--checksum=sha1", "--no-database", "--simple-md-filenames"],
    ] {
        index(path, arguments);
        let (ours, universe) = read(path);
        let mut theirs: Value = serde_json::from_slice(&oracle(&["repository", path.to_str().unwrap()], b"")).unwrap();
        // goldsmith adds the files that primary.xml does not have, and in this test none of them are in /etc.
        for files in theirs["files"].as_object_mut().unwrap().values_mut() {
            files
                .as_array_mut()
                .unwrap()
                .retain(|file| file.as_str().is_some_and(|file| !file.starts_with("/etc/") && !file.contains("bin/")));
        }
        theirs["files"].as_object_mut().unwrap().retain(|label, _| !label.ends_with(".src"));
        assert_eq!(ours, theirs, "{arguments:?}");
        assert_eq!(universe.packages.len(), 3);
        assert_eq!(ours["files"]["forge-3:18.09.6-3.el7.x86_64"].as_array().unwrap().len(), 42);
        let comps = path.join("comps.xml");
        let theirs: Value = serde_json::from_slice(&oracle(&["comps", comps.to_str().unwrap()], b"")).unwrap();
        assert_eq!(described_groups(&universe), theirs, "{arguments:?}");
    }
}

fn described_groups(universe: &Universe) -> Value {
    let text = |name: &goldsmith::packages::Name| universe.text(*name);
    let texts = |names: &[goldsmith::packages::Name]| names.iter().map(text).collect::<Vec<_>>();
    let groups = universe.groups.iter().map(|group| {
        let conditional: Vec<_> = group.conditional.iter().map(|(name, with)| [text(name), text(with)]).collect();
        json!({
            "id": group.id,
            "mandatory": texts(&group.mandatory),
            "default": texts(&group.default),
            "optional": texts(&group.optional),
            "conditional": conditional,
        })
    });
    let groups: Vec<_> = groups.collect();
    let environments: Vec<_> =
        universe.environments.iter().map(|one| json!({"id": one.id, "groups": one.groups, "options": one.options})).collect();
    json!({"groups": groups, "environments": environments})
}

#[test]
fn a_file_that_is_not_the_listed_one_is_named() {
    let dir = build();
    index(dir.path(), &[]);
    let repomd = Repomd::read("repomd.xml", fs::File::open(dir.path().join("repodata/repomd.xml")).unwrap()).unwrap();
    let primary = repomd.entry(Kind::Primary).unwrap();
    let filelists = repomd.entry(Kind::Filelists).unwrap();
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("forge", 1000);
    let other = fs::File::open(dir.path().join(&filelists.href)).unwrap();
    let size = other.metadata().unwrap().len();
    let input = primary.input("primary.xml.gz of repository forge", other, 1 << 20).unwrap();
    let error = rpm::add_primary(&mut universe, repository, input, &mut |_, _| {}).unwrap_err().to_string();
    let listed = primary.listed.size.unwrap();
    let words = match size > listed {
        true => format!("it is longer than the {listed} bytes its list of files says"),
        false => format!("it has {size} bytes, its list of files says {listed}"),
    };
    assert_eq!(error, format!("primary.xml.gz of repository forge cannot be used: {words}"));
}

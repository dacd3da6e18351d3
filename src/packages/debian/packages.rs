//! `Packages`: the packages of one component of a suite, for one architecture.
//!
//! Debian repository format, "Packages" indices.

use super::record::Record;
use super::relation::{self, relations};
use super::stanza::Stanzas;
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::Input;
use crate::packages::model::{Names, Need, Package, PackageFile, PackageId, Relation, Universe};

/// Packages that an index may have; Debian's has 63,000.
const PACKAGES: usize = 300_000;

/// Add those packages of a `Packages` index that a system of `arch` can have to `universe`, and call `each` with every one and the file it is
/// in.
///
/// The system has one architecture: `python3:any`, `gcc:native` and `libc6:ARCH` are the package of that name; one of another architecture
/// is never there, so as an alternative it is left out (a need of nothing else stays, under its whole name), and as a conflict too.
/// `Depends` and `Pre-Depends` become needs, `Conflicts` and `Breaks` conflicts. Recommended packages are not kept: images are made without
/// them (`APT::Install-Recommends "false"`).
///
/// # Errors
/// A paragraph is not a package's. Some packages may have been added then.
pub fn add_packages(
    universe: &mut Universe,
    repository: u16,
    arch: &str,
    input: Input<'_>,
    each: &mut dyn FnMut(PackageId, &PackageFile<'_>),
) -> Result<(), IndexError> {
    let mut stanzas = Stanzas::new(input);
    let mut count = 0;
    loop {
        let stanza = match stanzas.next() {
            Ok(Some(stanza)) => stanza,
            Ok(None) => return stanzas.finish(),
            Err(problem) => return Err(stanzas.error(None, problem)),
        };
        count += 1;
        let mut name = None;
        if let Err(problem) = add(universe, repository, arch, stanza, &mut name, each) {
            return Err(stanzas.error(name, problem));
        }
        if count > PACKAGES {
            return Err(stanzas.error(None, malformed(format_args!("it has more than {PACKAGES} packages"))));
        }
    }
}

/// Add the package of one paragraph. `entry` is what errors call it.
fn add(
    universe: &mut Universe,
    repository: u16,
    arch: &str,
    stanza: &[u8],
    entry: &mut Option<String>,
    each: &mut dyn FnMut(PackageId, &PackageFile<'_>),
) -> Result<(), Problem> {
    let record = Record::of(stanza)?;
    if ![arch, "all"].contains(&record.architecture) {
        return Ok(());
    }
    let package =
        package(&mut universe.names, repository, arch, &record).inspect_err(|_| *entry = Some(format!("package {}", record.package)))?;
    let id = universe.add(package);
    each(id, &PackageFile { location: record.filename, href: record.filename, base: "", kind: "sha256", digits: record.sha256 });
    Ok(())
}

fn package(names: &mut Names, repository: u16, arch: &str, record: &Record<'_>) -> Result<Package, Problem> {
    let mut needs = Vec::new();
    for field in [record.pre_depends, record.depends] {
        read_needs(names, arch, field, &mut needs)?;
    }
    let mut conflicts = Vec::new();
    for field in [record.conflicts, record.breaks] {
        relations(field, |relation, _| conflicts.extend(here(arch, &relation).then(|| interned(names, &relation))))?;
    }
    let mut provides = Vec::new();
    relations(record.provides, |relation, _| provides.extend(here(arch, &relation).then(|| interned(names, &relation))))?;
    Ok(Package {
        name: names.intern(record.package),
        version: names.intern(record.version),
        arch: names.intern(record.architecture),
        repository,
        // deb-control(5), Source: without one the package's own name; with a version in parentheses when that is another.
        source: Some(names.intern(record.source.split_ascii_whitespace().next().unwrap_or(record.package))),
        source_file: None,
        provides,
        needs,
        conflicts,
        obsoletes: Vec::new(),
        download: record.size,
        installed: record.installed,
        essential: record.essential,
        priority: match record.priority {
            "required" => Package::REQUIRED,
            "important" => Package::IMPORTANT,
            "standard" => Package::STANDARD,
            _ => Package::OPTIONAL,
        },
    })
}

/// Whether a package of the relation's architecture can be there.
fn here(arch: &str, relation: &relation::Relation<'_>) -> bool {
    relation.qualifier.is_none_or(|qualifier| ["any", "native", "all", arch].contains(&qualifier))
}

fn interned(names: &mut Names, relation: &relation::Relation<'_>) -> Relation {
    Relation { name: names.intern(relation.name), bound: relation.bound.map(|(op, version)| (op, names.intern(version))) }
}

fn read_needs(names: &mut Names, arch: &str, field: &str, needs: &mut Vec<Need>) -> Result<(), Problem> {
    let (mut alternatives, mut elsewhere): (Vec<Relation>, Option<relation::Relation>) = (Vec::new(), None);
    relations(field, |relation, more| {
        if here(arch, &relation) {
            alternatives.push(interned(names, &relation));
        } else {
            elsewhere = Some(relation);
        }
        if more {
            return;
        }
        match (&alternatives[..], elsewhere.take()) {
            ([one], _) => needs.push(Need::One(*one)),
            ([], Some(relation)) => {
                let name = format!("{}:{}", relation.name, relation.qualifier.unwrap_or_default());
                needs.push(Need::One(interned(names, &relation::Relation { name: &name, ..relation })));
            }
            (several, _) => needs.push(Need::FirstOf(several.into())),
        }
        alternatives.clear();
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::version::Scheme;

    fn read(packages: &str) -> Result<(Universe, Vec<String>), String> {
        let mut universe = Universe::new(Scheme::Debian);
        let repository = universe.repository("bookworm", 500);
        let input = Input::new("Packages", packages.as_bytes(), None, 1 << 20).unwrap();
        let mut files = Vec::new();
        let mut each =
            |id: PackageId, file: &PackageFile<'_>| files.push(format!("{} {:?} {:?}", id.0, file.location(), file.checksum().ok()));
        add_packages(&mut universe, repository, "amd64", input, &mut each).map_err(|error| error.to_string())?;
        Ok((universe, files))
    }

    fn relations(universe: &Universe, relations: &[Relation]) -> Vec<String> {
        relations.iter().map(|relation| universe.relation(relation)).collect()
    }

    #[test]
    fn packages_are_read() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!(
            "Package: docker.io\nSource: docker (20.10)\nVersion: 1:20.10.24+dfsg1-1+b3\nInstalled-Size: 3\nArchitecture: amd64\n\
             Provides: engine (= 2), linux-container, x:i386\nPre-Depends: init-system-helpers (>= 1.54~)\n\
             Depends: adduser, a (<< 2) | b:i386 | c:any (>> 1), d:i386 (>= 3),\n libc6:amd64 (>= 2.34), e:i386 | f\n\
             Conflicts: old:i386, rkt (<< 1)\nBreaks: older (<= 2)\nReplaces: older\nRecommends: ca-certificates\n\
             Description: x\n Depends: not-this\nPriority: important\nEssential: yes\nFilename: pool/d.deb\nSize: 5\nSHA256: {digest}\n\n\n\
             Package: foreign\nVersion: 1\nArchitecture: i386\n\n\
             Package: plain\nVersion: 1\nArchitecture: all\nPriority: extra"
        );
        let (universe, files) = read(&text).unwrap();
        assert_eq!(universe.packages.len(), 2);
        let package = &universe.packages[0];
        assert_eq!(universe.label(PackageId(0)), "docker.io 1:20.10.24+dfsg1-1+b3");
        assert_eq!(package.source.map(|name| universe.text(name)), Some("docker"));
        assert_eq!((package.download, package.installed, package.essential, package.priority), (5, 3072, true, Package::IMPORTANT));
        assert_eq!(relations(&universe, &package.provides), ["engine = 2", "linux-container"]);
        let needs: Vec<_> = package.needs.iter().map(|need| relations(&universe, need.alternatives()).join(" | ")).collect();
        assert_eq!(needs, ["init-system-helpers >= 1.54~", "adduser", "a < 2 | c > 1", "d:i386 >= 3", "libc6 >= 2.34", "f"]);
        assert_eq!(relations(&universe, &package.conflicts), ["rkt < 1", "older <= 2"]);
        let plain = &universe.packages[1];
        assert_eq!((plain.source, plain.priority, plain.essential), (Some(plain.name), Package::OPTIONAL, false));
        assert_eq!(files, [format!("0 Some(\"pool/d.deb\") Some(sha256:{digest})"), "1 None None".to_owned()]);
        assert_eq!(read("\n\n").unwrap().0.packages.len(), 0);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let good = "Package: a\nVersion: 1\nArchitecture: all\n";
        for (text, words) in [
            ("Package: a\nVersion: 1\n".to_owned(), "Packages cannot be used, line 1 (byte 0): the field Architecture is missing"),
            (format!("{good}\nPackage: b\n"), "line 5 (byte 41): the field Version is missing"),
            (format!("{good}\n{good}Depends: a (1)\n"), "line 5 (byte 41), package a: `a (1)` is no relation to a package"),
            (format!("{good}Version: 2\n"), "the field Version is there twice"),
            (format!("{good}Size: 99999999999999999999\n"), "`99999999999999999999` is no size"),
            (format!("{good}Installed-Size: 18446744073709551615\n"), "18446744073709551615 KiB is no size"),
            ("<html>\n".to_owned(), "`<html>` is no field"),
        ] {
            let error = read(&text).err().unwrap_or_default();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

//! `filelists.xml`: all files of all packages. It is ten times as large as primary.xml, so it is only read for files that are asked for.
//!
//! createrepo_c 1.1, src/xml_dump_filelists.c.

use std::collections::{HashMap, HashSet};

use super::primary::{Evr, PACKAGES, RELATIONS};
use super::xml::{Event, Xml};
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::Input;
use crate::packages::model::{Name, Relation, Universe};

/// Identifies a package of a repository: name, version, architecture.
type Key = (Name, Name, Name);

/// Add files that are `wanted`, as filelists.xml has them, to what the packages of `repository` provide. primary.xml must have been read.
///
/// # Errors
/// It is no filelists.xml, or a package lacks what every package has. Some files may have been added then.
pub fn add_filelists(universe: &mut Universe, repository: u16, input: Input<'_>, wanted: &dyn Fn(&str) -> bool) -> Result<(), IndexError> {
    let packages = universe.packages.iter().enumerate().filter(|(_, package)| package.repository == repository);
    let packages = packages.map(|(index, package)| ((package.name, package.version, package.arch), index)).collect();
    let mut xml = Xml::open(input, "filelists")?;
    match read(&mut xml, universe, &packages, wanted) {
        Ok(()) => xml.finish(),
        Err(problem) => Err(xml.error(problem)),
    }
}

fn read(xml: &mut Xml<'_>, universe: &mut Universe, packages: &HashMap<Key, usize>, wanted: &dyn Fn(&str) -> bool) -> Result<(), Problem> {
    let mut count = 0;
    loop {
        match xml.next()? {
            Event::Open(element) if element.name() == "package" => {
                let (name, arch) = (element.required("name")?.into_owned(), element.required("arch")?.into_owned());
                xml.entry = Some(format!("package {name}"));
                read_package(xml, universe, packages, (&name, &arch), wanted)?;
                xml.entry = None;
                count += 1;
                if count > PACKAGES {
                    return Err(malformed(format_args!("it has more than {PACKAGES} packages")));
                }
            }
            Event::Open(_) => xml.skip()?,
            Event::Close => {}
            Event::End => return Ok(()),
        }
    }
}

fn read_package(
    xml: &mut Xml<'_>,
    universe: &mut Universe,
    packages: &HashMap<Key, usize>,
    (name, arch): (&str, &str),
    wanted: &dyn Fn(&str) -> bool,
) -> Result<(), Problem> {
    // The version comes before the files. A package that primary.xml does not have (a source package) has no `place`, so its files are
    // skipped.
    let (mut place, mut there) = (None, None::<HashSet<Relation>>);
    while let Event::Open(element) = xml.next()? {
        match element.name() {
            "version" => {
                let mut version = String::new();
                Evr::of(&element)?.append_to(&mut version);
                let key = [name, &version, arch].map(|text| universe.names.get(text));
                place = match key {
                    [Some(name), Some(version), Some(arch)] => packages.get(&(name, version, arch)).copied(),
                    _ => None,
                };
                xml.skip()?;
            }
            "file" => {
                let path = xml.text()?;
                let Some(place) = place.filter(|_| wanted(path)) else { continue };
                let file = Relation { name: universe.names.intern(path), bound: None };
                let provides = &mut universe.packages[place].provides;
                // primary.xml has some of them already.
                let there = there.get_or_insert_with(|| provides.iter().copied().collect());
                if there.insert(file) {
                    provides.push(file);
                }
                if there.len() > RELATIONS {
                    return Err(malformed(format_args!("the package has more than {RELATIONS} files that are asked for")));
                }
            }
            _ => xml.skip()?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::rpm::add_primary;
    use crate::packages::version::Scheme;

    const PRIMARY: &str = "<metadata><package type='rpm'><name>a</name><arch>x86_64</arch><version epoch='1' ver='2' rel='3'/>\
        <format><file>/etc/a</file></format></package></metadata>";

    fn read(filelists: &str) -> Result<Vec<String>, String> {
        let mut universe = Universe::new(Scheme::Rpm);
        let input = |text| Input::new("filelists.xml", text, None, 1 << 20).unwrap();
        let repositories = [universe.repository("base", 1000), universe.repository("updates", 1000)];
        for repository in repositories {
            add_primary(&mut universe, repository, input(PRIMARY.as_bytes()), &mut |_, _| {}).unwrap();
        }
        let wanted = |path: &str| path.ends_with('a');
        add_filelists(&mut universe, 1, input(filelists.as_bytes()), &wanted).map_err(|error| error.to_string())?;
        assert_eq!(universe.packages[0].provides.len(), 1, "the other repository is left alone");
        assert_eq!(universe.names.get("/usr/share/b"), None);
        Ok(universe.packages[1].provides.iter().map(|relation| universe.relation(relation)).collect())
    }

    #[test]
    fn wanted_files_become_provides_of_their_package() {
        let package = |arch: &str, epoch: &str| {
            format!(
                "<filelists><package pkgid='0' name='a' arch='{arch}'><version epoch='{epoch}' ver='2' rel='3'/><file>/etc/a</file>\
                 <file type='dir'>/usr/share/a</file><file>/usr/share/b</file></package></filelists>"
            )
        };
        assert_eq!(read(&package("x86_64", "1")).unwrap(), ["/etc/a", "/usr/share/a"]);
        for (arch, epoch) in [("src", "1"), ("x86_64", "0")] {
            assert_eq!(read(&package(arch, epoch)).unwrap(), ["/etc/a"]);
        }
        let error = read("<filelists>\n<package arch='x'/></filelists>").unwrap_err();
        assert!(error.ends_with("line 2 (byte 12): <package> has no attribute `name`"), "{error}");
    }
}

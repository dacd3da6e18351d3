//! `primary.xml`: the packages of a repository, with what they need and provide, and those of their files that others may ask for.
//!
//! createrepo_c 1.1, src/xml_dump_primary.c. The files in it are the ones below `/etc/`, those with `bin/` in their path, and
//! `/usr/lib/sendmail` (src/misc.c, `cr_is_primary`); all others are in `filelists.xml`.

use std::borrow::Cow;

use super::href::local_path;
use super::xml::{Element, Event, Xml};
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::Input;
use crate::packages::model::{Names, Need, Package, PackageFile, PackageId, Relation, Universe};
use crate::packages::version::Op;

/// Packages that an index may have; Fedora's has 70,000.
pub(super) const PACKAGES: usize = 300_000;
/// Relations and files that a package may have; CentOS 7's kernel-debuginfo-common and TeX collections have some thousands.
pub(super) const RELATIONS: usize = 100_000;

/// Add the packages of a primary.xml to `universe`, and call `each` with every one and the file it is in. Source packages are left out.
///
/// All files are kept as unversioned provides: a package that needs one may be in a repository that is read later. Weak dependencies are
/// skipped, since rpm 4.11 of EL7 does not know them. A rich dependency such as `(a if b)` is kept as if that were a name, so that nothing
/// provides it: EL7's rpm cannot install such a package either. What a package provides under its own name and version is not kept, since
/// everything provides that; neither is what it requires of rpm itself (`rpmlib(…)`).
///
/// # Errors
/// It is no primary.xml, or a package lacks what every package has. Some packages may have been added then.
pub fn add_primary(
    universe: &mut Universe,
    repository: u16,
    input: Input<'_>,
    each: &mut dyn FnMut(PackageId, &PackageFile<'_>),
) -> Result<(), IndexError> {
    let mut xml = Xml::open(input, "metadata")?;
    match packages(&mut xml, universe, repository, each) {
        Ok(()) => xml.finish(),
        Err(problem) => Err(xml.error(problem)),
    }
}

/// The data of a package in primary.xml. The memory is used again for the next one.
#[derive(Default)]
struct Draft {
    name: String,
    arch: String,
    version: String,
    source: String,
    href: String,
    base: String,
    /// Kind and digits of the file's digest.
    kind: String,
    digits: String,
    download: u64,
    installed: u64,
    provides: Vec<Relation>,
    needs: Vec<Need>,
    conflicts: Vec<Relation>,
    obsoletes: Vec<Relation>,
    /// A version that is being put together.
    scratch: String,
}

fn packages(
    xml: &mut Xml<'_>,
    universe: &mut Universe,
    repository: u16,
    each: &mut dyn FnMut(PackageId, &PackageFile<'_>),
) -> Result<(), Problem> {
    let (mut draft, mut count) = (Draft::default(), 0);
    loop {
        match xml.next()? {
            Event::Open(element) if element.name() == "package" && element.attribute("type")?.is_none_or(|kind| kind == "rpm") => {
                draft.clear();
                draft.read(xml, &mut universe.names)?;
                xml.entry = None;
                count += 1;
                if count > PACKAGES {
                    return Err(malformed(format_args!("it has more than {PACKAGES} packages")));
                }
                if is_source(&draft.arch) {
                    continue;
                }
                let package = draft.package(&mut universe.names, repository);
                let id = universe.add(package);
                let location = local_path(&draft.href).unwrap_or_default();
                let Draft { href, base, kind, digits, .. } = &draft;
                each(id, &PackageFile { location: &location, href, base, kind, digits });
            }
            Event::Open(_) => xml.skip()?,
            Event::Close => {}
            Event::End => return Ok(()),
        }
    }
}

fn is_source(arch: &str) -> bool {
    matches!(arch, "src" | "nosrc")
}

impl Draft {
    fn clear(&mut self) {
        let Self { name, arch, version, source, href, base, kind, digits, .. } = self;
        for text in [name, arch, version, source, href, base, kind, digits] {
            text.clear();
        }
        (self.download, self.installed) = (0, 0);
        for relations in [&mut self.provides, &mut self.conflicts, &mut self.obsoletes] {
            relations.clear();
        }
        self.needs.clear();
    }

    fn read(&mut self, xml: &mut Xml<'_>, names: &mut Names) -> Result<(), Problem> {
        while let Event::Open(element) = xml.next()? {
            match element.name() {
                "name" => {
                    self.name.push_str(xml.text()?);
                    xml.entry = Some(format!("package {}", self.name));
                }
                "arch" => self.arch.push_str(xml.text()?),
                "version" => {
                    Evr::of(&element)?.append_to(&mut self.version);
                    xml.skip()?;
                }
                "checksum" => {
                    self.kind.push_str(&element.required("type")?);
                    self.digits.push_str(xml.text()?);
                }
                "size" => {
                    element.attributes(|key, value| {
                        let target = match key {
                            "package" => &mut self.download,
                            "installed" => &mut self.installed,
                            _ => return Ok(()),
                        };
                        *target = value.trim().parse().map_err(|_| malformed(format_args!("`{value}` is not a size in bytes")))?;
                        Ok(())
                    })?;
                    xml.skip()?;
                }
                "location" => {
                    self.href.push_str(&element.required("href")?);
                    self.base.push_str(&element.attribute("base")?.unwrap_or_default());
                    xml.skip()?;
                }
                // Every package gives its architecture before this element.
                "format" if is_source(&self.arch) => xml.skip()?,
                "format" => self.read_format(xml, names)?,
                _ => xml.skip()?,
            }
        }
        for (what, text) in [("name", &self.name), ("architecture", &self.arch), ("version", &self.version)] {
            if text.is_empty() {
                return Err(malformed(format_args!("a package has no {what}")));
            }
        }
        Ok(())
    }

    fn read_format(&mut self, xml: &mut Xml<'_>, names: &mut Names) -> Result<(), Problem> {
        while let Event::Open(element) = xml.next()? {
            match element.name() {
                "provides" => read_relations(xml, names, &mut self.scratch, |provided| self.provides.push(provided))?,
                "requires" => read_relations(xml, names, &mut self.scratch, |required| self.needs.push(Need::One(required)))?,
                "conflicts" => read_relations(xml, names, &mut self.scratch, |conflict| self.conflicts.push(conflict))?,
                "obsoletes" => read_relations(xml, names, &mut self.scratch, |obsoleted| self.obsoletes.push(obsoleted))?,
                "sourcerpm" => self.source.push_str(xml.text()?),
                "file" => {
                    let name = names.intern(xml.text()?);
                    self.provides.push(Relation { name, bound: None });
                    if self.provides.len() > RELATIONS {
                        return Err(too_many());
                    }
                }
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    fn package(&mut self, names: &mut Names, repository: u16) -> Package {
        let (name, version) = (names.intern(&self.name), names.intern(&self.version));
        self.provides.retain(|provided| (provided.name, provided.bound) != (name, Some((Op::Eq, version))));
        let rpmlib = |need: &Need| need.alternatives().iter().any(|required| names.text(required.name).starts_with("rpmlib("));
        self.needs.retain(|need| !rpmlib(need));
        Package {
            name,
            version,
            arch: names.intern(&self.arch),
            repository,
            source: source_name(&self.source).map(|source| names.intern(source)),
            source_file: (!self.source.is_empty()).then(|| names.intern(&self.source)),
            provides: self.provides.clone(),
            needs: self.needs.clone(),
            conflicts: self.conflicts.clone(),
            obsoletes: self.obsoletes.clone(),
            download: self.download,
            installed: self.installed,
            essential: false,
            priority: Package::OPTIONAL,
        }
    }
}

/// `NAME` of `NAME-VERSION-RELEASE.src.rpm`.
fn source_name(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?.rsplitn(3, '-').nth(2)?;
    (!name.is_empty()).then_some(name)
}

fn too_many() -> Problem {
    malformed(format_args!("the package has more than {RELATIONS} relations of a kind"))
}

/// Read the `<rpm:entry>`s of the element that was just opened.
fn read_relations(xml: &mut Xml<'_>, names: &mut Names, scratch: &mut String, mut each: impl FnMut(Relation)) -> Result<(), Problem> {
    let mut count = 0;
    while let Event::Open(element) = xml.next()? {
        if element.name() == "entry" {
            each(relation(&element, names, scratch)?);
            count += 1;
        }
        if count > RELATIONS {
            return Err(too_many());
        }
        xml.skip()?;
    }
    Ok(())
}

fn relation(element: &Element<'_>, names: &mut Names, scratch: &mut String) -> Result<Relation, Problem> {
    let (mut name, mut op) = (None, None);
    let evr = Evr::with(element, |key, value| {
        match key {
            "name" => name = Some(names.intern(value)),
            // createrepo_c, src/misc.c, `cr_flag_to_str`.
            "flags" => {
                op = Some(match value {
                    "LT" => Op::Lt,
                    "LE" => Op::Le,
                    "EQ" => Op::Eq,
                    "GE" => Op::Ge,
                    "GT" => Op::Gt,
                    _ => return Err(malformed(format_args!("`{value}` does not compare versions"))),
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    scratch.clear();
    evr.append_to(scratch);
    let name = name.ok_or_else(|| malformed("a relation has no name"))?;
    let bound = op.filter(|_| !scratch.is_empty()).map(|op| (op, names.intern(scratch)));
    Ok(Relation { name, bound })
}

/// Attributes `epoch`, `ver` and `rel`.
#[derive(Default)]
pub(super) struct Evr<'a> {
    epoch: Cow<'a, str>,
    version: Cow<'a, str>,
    release: Cow<'a, str>,
}

impl<'a> Evr<'a> {
    pub(super) fn of(element: &'a Element<'_>) -> Result<Self, Problem> {
        Self::with(element, |_, _| Ok(()))
    }

    /// And the other attributes for `each`.
    fn with(element: &'a Element<'_>, mut each: impl FnMut(&str, &str) -> Result<(), Problem>) -> Result<Self, Problem> {
        let mut evr = Self::default();
        element.attributes(|key, value| {
            match key {
                "epoch" => evr.epoch = value,
                "ver" => evr.version = value,
                "rel" => evr.release = value,
                _ => return each(key, &value),
            }
            Ok(())
        })?;
        Ok(evr)
    }

    /// Append `[EPOCH:]VERSION[-RELEASE]`, or nothing when there is no version.
    pub(super) fn append_to(&self, text: &mut String) {
        if self.version.is_empty() {
            return;
        }
        if !matches!(&*self.epoch, "" | "0") {
            text.push_str(&self.epoch);
            text.push(':');
        }
        text.push_str(&self.version);
        if !self.release.is_empty() {
            text.push('-');
            text.push_str(&self.release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::version::Scheme;

    fn read(primary: &str) -> Result<(Universe, Vec<String>), String> {
        let mut universe = Universe::new(Scheme::Rpm);
        let repository = universe.repository("base", 1000);
        let input = Input::new("primary.xml", primary.as_bytes(), None, 1 << 20).map_err(|error| error.to_string())?;
        let mut files = Vec::new();
        let mut each =
            |id: PackageId, file: &PackageFile<'_>| files.push(format!("{} {:?} {:?}", id.0, file.location(), file.checksum().ok()));
        add_primary(&mut universe, repository, input, &mut each).map_err(|error| error.to_string())?;
        Ok((universe, files))
    }

    fn relations(universe: &Universe, relations: &[Relation]) -> Vec<String> {
        relations.iter().map(|relation| universe.relation(relation)).collect()
    }

    const PRIMARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
<package type="rpm">
  <name>docker-ce</name><arch>x86_64</arch><version epoch="3" ver="18.09.6" rel='3.el7'/>
  <checksum type="sha" pkgid="YES">a9993e364706816aba3e25717850c26c9cd0d89d</checksum>
  <summary>The &amp; best &lt;engine&gt;</summary><description><![CDATA[<name>not this</name>]]></description>
  <time file="1" build="2"/><size package="20" installed="30" archive="40"/>
  <location href="Packages/docker&#45;ce.rpm"/>
  <format>
    <rpm:license>x</rpm:license><rpm:sourcerpm>docker-ce-x-18.09.6-3.el7.src.rpm</rpm:sourcerpm><rpm:header-range start="1" end="2"/>
    <rpm:provides>
      <rpm:entry name="docker-ce" flags="EQ" epoch="3" ver="18.09.6" rel="3.el7"/>
      <rpm:entry name="docker-ce" flags="EQ" epoch="0" ver="1"/>
      <rpm:entry name="docker-ce(x86-64)" flags="EQ" epoch="3" ver="18.09.6" rel="3.el7"></rpm:entry>
      <rpm:entry name="engine"/>
    </rpm:provides>
    <rpm:requires>
      <rpm:entry name="/bin/sh" pre="1"/>
      <rpm:entry name="rpmlib(FileDigests)" flags="LE" epoch="0" ver="4.6.0" rel="1" pre="1"/>
      <rpm:entry name="containerd.io" flags="GE" epoch="0" ver="1.2.2" rel="3"/>
      <rpm:entry name="(a if b &gt; 1)"/>
      <rpm:entry name="odd" flags="GE"/>
    </rpm:requires>
    <rpm:conflicts><rpm:entry name="docker" flags="LT" epoch="1" ver="2"/></rpm:conflicts>
    <rpm:obsoletes><rpm:entry name="docker-engine"/></rpm:obsoletes>
    <rpm:recommends><rpm:entry name="weak"/></rpm:recommends>
    <file>/usr/bin/dockerd</file><file type="dir">/etc/docker</file>
  </format>
</package>
<package type="rpm"><name>docker-ce</name><arch>src</arch><version epoch="3" ver="18.09.6" rel="3.el7"/><format><file>/a.spec</file></format></package>
<package type="rpm"><name>b</name><arch>noarch</arch><version epoch="0" ver="1" rel="2"/><location href="../b.rpm"/></package>
</metadata>"#;

    #[test]
    fn packages_are_read() {
        for primary in [PRIMARY.to_owned(), PRIMARY.replace("rpm:", "r:").replace("<package ", "\n<!-- x --><package ")] {
            let (universe, files) = read(&primary).unwrap();
            assert_eq!(universe.packages.len(), 2);
            let package = &universe.packages[0];
            assert_eq!(universe.label(PackageId(0)), "docker-ce-3:18.09.6-3.el7.x86_64");
            assert_eq!(universe.label(PackageId(1)), "b-1-2.noarch");
            assert_eq!(package.source.map(|name| universe.text(name)), Some("docker-ce-x"));
            assert_eq!((package.download, package.installed), (20, 30));
            let provides = ["docker-ce = 1", "docker-ce(x86-64) = 3:18.09.6-3.el7", "engine", "/usr/bin/dockerd", "/etc/docker"];
            assert_eq!(relations(&universe, &package.provides), provides);
            let needs: Vec<_> = package.needs.iter().flat_map(|need| relations(&universe, need.alternatives())).collect();
            assert_eq!(needs, ["/bin/sh", "containerd.io >= 1.2.2-3", "(a if b > 1)", "odd"]);
            assert_eq!(relations(&universe, &package.conflicts), ["docker < 1:2"]);
            assert_eq!(relations(&universe, &package.obsoletes), ["docker-engine"]);
            assert_eq!(files, ["0 Some(\"Packages/docker-ce.rpm\") Some(sha1:a9993e364706816aba3e25717850c26c9cd0d89d)", "1 None None"]);
            assert_eq!(universe.names.get("/a.spec"), None);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let package = |content: &str| format!("<metadata>\n<package type='rpm'>{content}</package></metadata>");
        let full = "<name>a</name><arch>x</arch><version ver='1'/>";
        for (primary, words) in [
            (String::new(), "primary.xml cannot be used, line 1 (byte 0): it has no <metadata>"),
            ("<filelists/>".to_owned(), "line 1 (byte 0): it begins with <filelists> and not with <metadata>"),
            (package(""), "line 2 (byte 31): a package has no name"),
            (package("<name>a</name>"), "line 2 (byte 45), package a: a package has no architecture"),
            (package("<name>a</name><arch>x</arch>"), "package a: a package has no version"),
            (package(&format!("{full}<size package='-1'/>")), "package a: `-1` is not a size in bytes"),
            (package(&format!("{full}<size package='99999999999999999999'/>")), "is not a size in bytes"),
            (package(&format!("{full}<format><requires><entry flags='EQ'/></requires></format>")), "a relation has no name"),
            (package(&format!("{full}<format><requires><entry name='x' flags='='/></requires></format>")), "`=` does not compare versions"),
            (package("<name>&a;</name>"), "unknown entity `&a;`"),
            (package(&"<a>".repeat(40)), "it has more than 32 elements within each other"),
            ("<metadata><package>".to_owned(), "it ends in the middle of an element"),
            (format!("<!DOCTYPE a [<!ENTITY a 'b'>]>{}", package(full)), "it declares entities of its own"),
            (format!("<?xml version='1.0' encoding='latin1'?>{}", package(full)), "its encoding is `latin1` and not UTF-8"),
        ] {
            let error = read(&primary).err().unwrap_or_default();
            assert!(error.contains(words), "{primary}: {error}");
        }
    }
}

//! Packages as their repositories describe them, in a form that is compact enough for 60,000 of them.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::checksum::{Checksum, NotAChecksum};
use super::input::is_within;
use super::version::{Op, Scheme};

/// A text that is kept once: a package's or capability's name, a version, an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

impl Name {
    /// Its number: names are numbered from 0 in the order they came.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All texts of a universe, one after the other: a separate allocation for each of 150,000 would take longer than reading them.
#[derive(Debug, Default)]
pub struct Names {
    texts: String,
    /// Where in `texts` each ends, by its number.
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// The name of `text`.
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(name) = self.get(text) {
            return name;
        }
        let Self { texts, ends, numbers, hasher } = self;
        // OK to unwrap: an index has at most 1 GiB (input.rs), and no system needs four of that size.
        let number = u32::try_from(ends.len()).expect("fewer names than bytes");
        texts.push_str(text);
        ends.push(u32::try_from(texts.len()).expect("less than 4 GiB of names"));
        numbers.insert_unique(hasher.hash_one(text), number, |number| hasher.hash_one(text_of(texts, ends, *number)));
        Name(number)
    }

    /// The name of `text`, when something is called that.
    pub fn get(&self, text: &str) -> Option<Name> {
        let is_it = |number: &u32| text_of(&self.texts, &self.ends, *number) == text;
        self.numbers.find(self.hasher.hash_one(text), is_it).map(|number| Name(*number))
    }

    /// The text of a name of this universe.
    pub fn text(&self, name: Name) -> &str {
        text_of(&self.texts, &self.ends, name.0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }
}

fn text_of<'a>(texts: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &texts[start as usize..ends[number] as usize]
}

/// A capability, with a bound on its version: `glibc >= 2.17`; or a version it has: `mta = 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Relation {
    /// The capability.
    pub name: Name,
    /// The bound.
    pub bound: Option<(Op, Name)>,
}

/// A need of a package: one of several relations. RPM has no alternatives, so there it is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Need {
    /// This.
    One(Relation),
    /// The first of these that can be had.
    FirstOf(Box<[Relation]>),
}

impl Need {
    /// The alternatives.
    pub fn alternatives(&self) -> &[Relation] {
        match self {
            Self::One(relation) => std::slice::from_ref(relation),
            Self::FirstOf(relations) => relations,
        }
    }
}

/// A package of a universe, by its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub u32);

impl PackageId {
    /// The index into [`Universe::packages`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A package.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: Name,
    /// `[EPOCH:]VERSION[-RELEASE]`; an epoch of 0 is not written.
    pub version: Name,
    /// Its architecture.
    pub arch: Name,
    /// The index into [`Universe::repositories`].
    pub repository: u16,
    /// Its source package, without a version, when the index names it.
    pub source: Option<Name>,
    /// The file name of its source RPM, when the index has it.
    pub source_file: Option<Name>,
    /// Capabilities, files of its own among them; not its own name.
    pub provides: Vec<Relation>,
    /// Its needs.
    pub needs: Vec<Need>,
    /// Its conflicts.
    pub conflicts: Vec<Relation>,
    /// Packages that it stands in for (RPM's Obsoletes).
    pub obsoletes: Vec<Relation>,
    /// Bytes to fetch.
    pub download: u64,
    /// Bytes on the disk once installed.
    pub installed: u64,
    /// No system is without it (Debian's `Essential`).
    pub essential: bool,
    /// Debian's `Priority`, 0 being the most important; [`Package::OPTIONAL`] without one.
    pub priority: u8,
}

impl Package {
    /// `required`: a system without it may not even be able to repair itself (Debian Policy, section 2.5).
    pub const REQUIRED: u8 = 0;
    /// `important`: programs that one expects on any Unix system.
    pub const IMPORTANT: u8 = 1;
    /// `standard`: a small but not too limited system in text mode.
    pub const STANDARD: u8 = 2;
    /// `optional`: everything else.
    pub const OPTIONAL: u8 = 3;
}

/// The file that a package is in, by its index.
///
/// Most files are never asked for, so the texts are only parsed when one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageFile<'a> {
    pub(super) location: &'a str,
    pub(super) href: &'a str,
    pub(super) base: &'a str,
    pub(super) kind: &'a str,
    pub(super) digits: &'a str,
}

impl<'a> PackageFile<'a> {
    /// Where it is, relative to the repository; nothing when the index does not say, or names a place outside of it.
    pub fn location(&self) -> Option<&'a str> {
        is_within(self.location).then_some(self.location)
    }

    /// Where it is as the index writes it: a path, or an address relative to the repository's, in which characters may be escaped. Not trusted.
    pub fn href(&self) -> &'a str {
        self.href
    }

    /// Another address than the repository's that the place is relative to, when the index gives one (`xml:base` of primary.xml).
    pub fn base(&self) -> Option<&'a str> {
        (!self.base.is_empty()).then_some(self.base)
    }

    /// Its digest.
    ///
    /// # Errors
    /// The index has none, or one of a kind that is not computed here.
    pub fn checksum(&self) -> Result<Checksum, NotAChecksum> {
        Checksum::parse(self.kind, self.digits)
    }
}

/// A group of comps.xml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its id: `core`.
    pub id: String,
    /// Installed with the group, always.
    pub mandatory: Vec<Name>,
    /// Installed with the group, unless `--nodefaults`.
    pub default: Vec<Name>,
    /// Installed with `--optional`.
    pub optional: Vec<Name>,
    /// Installed with the group when the second is.
    pub conditional: Vec<(Name, Name)>,
}

/// An environment of comps.xml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Its id: `minimal`.
    pub id: String,
    /// Ids of groups that are part of it.
    pub groups: Vec<String>,
    /// Ids of groups that may be chosen with it; none is unless it is asked for.
    pub options: Vec<String>,
}

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its id.
    pub id: String,
    /// yum's cost: of equal packages the cheaper is taken. 1000 is the default.
    pub cost: u32,
    /// Whether the user puts it together, and so can take a package out of it: a bundle, neither an installation medium nor a mirror.
    pub is_own: bool,
}

/// Everything that can be installed.
#[derive(Debug)]
pub struct Universe {
    /// The order of versions.
    pub scheme: Scheme,
    /// All texts.
    pub names: Names,
    /// Where packages come from.
    pub repositories: Vec<Repository>,
    /// The packages.
    pub packages: Vec<Package>,
    /// The groups; of the same id in two repositories, both.
    pub groups: Vec<Group>,
    /// The environments.
    pub environments: Vec<Environment>,
}

impl Universe {
    /// A universe without packages.
    pub fn new(scheme: Scheme) -> Self {
        let (names, repositories, packages) = (Names::default(), Vec::new(), Vec::new());
        Self { scheme, names, repositories, packages, groups: Vec::new(), environments: Vec::new() }
    }

    /// Add a repository that is not the user's own; its packages are pushed with the index that is returned.
    pub fn repository(&mut self, id: &str, cost: u32) -> u16 {
        self.repositories.push(Repository { id: id.to_owned(), cost, is_own: false });
        // OK to unwrap: a recipe that names 65,536 repositories was refused for its size.
        u16::try_from(self.repositories.len() - 1).expect("few repositories")
    }

    /// Add a package.
    pub fn add(&mut self, package: Package) -> PackageId {
        // OK to unwrap: an index has at most 300,000 packages, and there are at most 65,536 repositories; memory ends long before 2^32.
        let id = PackageId(u32::try_from(self.packages.len()).expect("few packages"));
        self.packages.push(package);
        id
    }

    /// The text of a name.
    pub fn text(&self, name: Name) -> &str {
        self.names.text(name)
    }

    /// A package.
    pub fn package(&self, id: PackageId) -> &Package {
        &self.packages[id.index()]
    }

    /// `NAME-VERSION.ARCH` of an RPM, `NAME VERSION` of a Debian package.
    pub fn label(&self, id: PackageId) -> String {
        let package = self.package(id);
        let (name, version, arch) = (self.text(package.name), self.text(package.version), self.text(package.arch));
        match self.scheme {
            Scheme::Rpm => format!("{name}-{version}.{arch}"),
            Scheme::Debian => format!("{name} {version}"),
        }
    }

    /// A relation as people write it.
    pub fn relation(&self, relation: &Relation) -> String {
        let name = self.text(relation.name);
        match relation.bound {
            Some((op, version)) => format!("{name} {} {}", op.sign(), self.text(version)),
            None => name.to_owned(),
        }
    }

    /// Whether a thing of version `have` (`None`: it has none) is within `bound`.
    ///
    /// Without a version RPM takes it for within (lib/rpmds.c, `rpmdsCompare`), dpkg does not (deb-control(5), Provides).
    pub fn within(&self, have: Option<Name>, bound: Option<(Op, Name)>) -> bool {
        match (have, bound) {
            (_, None) => true,
            (None, Some(_)) => self.scheme == Scheme::Rpm,
            (Some(have), Some((op, wanted))) => {
                have == wanted && op.allows(std::cmp::Ordering::Equal)
                    || op.allows(self.scheme.compare_in_relation(self.text(have), self.text(wanted)))
            }
        }
    }

    /// Whether what is provided (with its own bound, which RPM allows to be other than `=`) overlaps what is wanted.
    pub fn provides(&self, provided: &Relation, wanted: &Relation) -> bool {
        match (provided.bound, wanted.bound) {
            (Some((Op::Eq, have)), bound) => self.within(Some(have), bound),
            (None, bound) => self.within(None, bound),
            (Some(_), None) => true,
            (Some((op, have)), Some((wanted_op, wanted))) => {
                // Two ranges: they overlap when their ends meet or both are open to the same side (lib/rpmds.c, `rpmdsCompare`).
                let order = self.scheme.compare_in_relation(self.text(have), self.text(wanted));
                let up = |op| matches!(op, Op::Gt | Op::Ge);
                let down = |op| matches!(op, Op::Lt | Op::Le);
                match order {
                    std::cmp::Ordering::Less => up(op) || down(wanted_op),
                    std::cmp::Ordering::Greater => down(op) || up(wanted_op),
                    std::cmp::Ordering::Equal => {
                        let closed = |op| matches!(op, Op::Le | Op::Eq | Op::Ge);
                        closed(op) && closed(wanted_op) || up(op) && up(wanted_op) || down(op) && down(wanted_op)
                    }
                }
            }
        }
    }
}

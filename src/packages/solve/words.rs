//! Texts about packages, needs and contradictions, for people.

use std::fmt;

use super::super::model::{Need, PackageId, Relation};
use super::super::version::{Op, Scheme};
use super::asked::{Asked, Choice, What};
use super::index::{Forbids, Index};

/// A reason, and the reasons behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In words, without a full stop.
    pub text: String,
    /// What it follows from; all of it.
    pub because: Vec<Reason>,
    /// It only says that something is in no repository.
    nowhere: bool,
}

impl Reason {
    pub(super) fn of(text: String) -> Self {
        Self::with(text, Vec::new())
    }

    /// A reason that follows from these.
    pub(super) fn with(text: String, because: Vec<Reason>) -> Self {
        Self { text, because, nowhere: false }
    }

    /// The reason that something is in no repository.
    pub(super) fn nowhere(text: String) -> Self {
        Self { nowhere: true, ..Self::of(text) }
    }

    /// Whether it follows only from things that are in no repository.
    pub(super) fn is_lack(&self) -> bool {
        if self.because.is_empty() { self.nowhere } else { self.because.iter().all(Self::is_lack) }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:width$}{}", "", self.text, width = 2 * depth)?;
        self.because.iter().try_for_each(|reason| {
            writeln!(f)?;
            reason.write(f, depth + 1)
        })
    }
}

/// A line for each reason, indented below the one that follows from it.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

pub(super) struct Words<'w, 'u> {
    pub(super) index: &'w Index<'u>,
    /// The patterns that forbid packages, as written.
    pub(super) patterns: &'w [String],
}

impl Words<'_, '_> {
    /// A package, and where it comes from when there is a choice.
    fn package(&self, id: PackageId) -> String {
        let universe = self.index.universe;
        let label = universe.label(id);
        match &universe.repositories[..] {
            [_] => label,
            repositories => format!("{label} ({})", repositories[usize::from(universe.package(id).repository)].id),
        }
    }

    fn relation(&self, relation: &Relation) -> String {
        self.index.universe.relation(relation)
    }

    fn need(&self, need: &Need) -> String {
        need.alternatives().iter().map(|wanted| self.relation(wanted)).collect::<Vec<_>>().join(" or ")
    }

    pub(super) fn asked(&self, choice: &Choice) -> String {
        format!("{} asks for {}", choice.by, choice.text)
    }

    pub(super) fn is_asked(&self, id: PackageId, choice: &Choice) -> String {
        let name = self.index.universe.text(self.index.universe.package(id).name);
        if choice.text == name {
            return self.asked(choice);
        }
        format!("{} asks for {}, which is {}", choice.by, choice.text, self.package(id))
    }

    pub(super) fn case(&self, id: PackageId) -> String {
        format!("{} cannot be had", self.package(id))
    }

    pub(super) fn needs(&self, id: PackageId, need: &Need) -> String {
        format!("{} needs {}", self.package(id), self.need(need))
    }

    pub(super) fn needs_it(&self, id: PackageId, need: &Need, it: PackageId) -> String {
        let name = self.index.universe.text(self.index.universe.package(it).name);
        let needs = self.needs(id, need);
        match need.alternatives() {
            [wanted] if self.index.universe.text(wanted.name) == name => needs,
            _ => format!("{needs}, which is {}", self.package(it)),
        }
    }

    pub(super) fn forbids(&self, id: PackageId, how: Forbids<'_>, other: PackageId) -> String {
        let (verb, relation) = match how {
            Forbids::Conflict(relation) => ("conflicts with", relation),
            Forbids::Obsolete(relation) => ("obsoletes", relation),
        };
        let universe = self.index.universe;
        let (relation_name, other_name) = (universe.text(relation.name), universe.text(universe.package(other).name));
        if relation.bound.is_none() && relation_name == other_name {
            return format!("{} {verb} {}", self.package(id), self.package(other));
        }
        format!("{} {verb} {}, which {} is", self.package(id), self.relation(relation), self.package(other))
    }

    pub(super) fn other_version(&self, id: PackageId, other: PackageId) -> String {
        format!("{} cannot be beside {}", self.package(id), self.package(other))
    }

    /// The reason that no package is what is asked for.
    pub(super) fn missing(&self, asked: &Asked) -> Reason {
        let text = asked.what.text();
        let because = match &asked.what {
            What::Package(name) => self.not_quite(name).map_or_else(|| Reason::nowhere(self.nowhere(name)), Reason::of),
            What::Group { .. } | What::Environment(_) | What::Essential => Reason::of(self.no_group(&text)),
        };
        Reason::with(format!("{} asks for {text}", asked.by), vec![because])
    }

    /// What was found instead of a package that is asked for: it is excluded, has another name, or is there in another version.
    fn not_quite(&self, name: &str) -> Option<String> {
        match self.index.all_matching(name).first() {
            Some(id) => self.excluded(*id),
            None => self.unknown_form(name).or_else(|| self.other_versions(name)).or_else(|| self.several_providers(name)),
        }
    }

    /// A line of a list: what is asked for and in no repository.
    pub(super) fn lacks_asked(&self, asked: &Asked) -> Option<String> {
        let What::Package(name) = &asked.what else { return None };
        let alike = self.alike(name).map(|alike| format!("; there is {alike}")).unwrap_or_default();
        self.not_quite(name).is_none().then(|| format!("{}, which {} asks for{alike}", Self::thing(name), asked.by))
    }

    /// A line of a list: what is needed and in no repository.
    pub(super) fn lacks_needed(&self, id: PackageId, need: &Need) -> String {
        format!("{}, which {} needs", Self::thing(&self.need(need)), self.package(id))
    }

    fn thing(name: &str) -> String {
        if name.starts_with('/') { format!("a package with the file {name}") } else { name.to_owned() }
    }

    /// A text that no repository has it, and which were searched.
    fn none_has(&self) -> String {
        let repositories: Vec<&str> = self.index.universe.repositories.iter().map(|repository| repository.id.as_str()).collect();
        match &repositories[..] {
            [] => "there is no repository that could have".to_owned(),
            [only] => format!("repository {only} does not have"),
            all => format!("none of the repositories {} has", all.join(", ")),
        }
    }

    /// Whether no package is what is wanted, in any version.
    pub(super) fn is_nowhere(&self, wanted: &Relation) -> bool {
        self.index.meeting(wanted).is_empty() && self.nearest(wanted).is_none()
    }

    /// The head of a list.
    pub(super) fn none_has_any(&self) -> String {
        format!("{} these, and all of them are needed", self.none_has())
    }

    fn excluded(&self, id: PackageId) -> Option<String> {
        let pattern = &self.patterns[usize::from(self.index.forbidden_by(id)?)];
        Some(format!("{} is excluded by {pattern}", self.package(id)))
    }

    /// A text that yum does not know the form in which a package is named, though dnf and people do, and which forms it knows.
    fn unknown_form(&self, text: &str) -> Option<String> {
        let id = self.index.named_in_another_form(text)?;
        let [.., name_version_release, whole, _] = self.index.forms(id);
        Some(format!("yum does not know the form `{text}`: write `{name_version_release}` or `{whole}`"))
    }

    /// A text that a Debian package is a virtual one, which several others provide: apt wants one of them to be named.
    fn several_providers(&self, text: &str) -> Option<String> {
        let universe = self.index.universe;
        let name = universe.names.get(text).filter(|_| universe.scheme == Scheme::Debian)?;
        let mut names: Vec<&str> = self.index.providers(name).map(|(id, _)| universe.text(universe.package(id).name)).collect();
        names.sort_unstable();
        names.dedup();
        let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
        let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("it is a virtual package: name one of those that provide it, {shown}{more}"))
    }

    /// The versions there are of a package that is asked for with another one.
    fn other_versions(&self, text: &str) -> Option<String> {
        let universe = self.index.universe;
        let mark = if universe.scheme == Scheme::Debian { '=' } else { '-' };
        let is_version = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        let ends = text.rmatch_indices(mark).map(|(at, _)| at).filter(|at| is_version(&text[at + 1..]));
        let mut names = ends.filter_map(|end| universe.names.get(&text[..end]));
        let ids = names.find_map(|name| Some(self.index.named(name)).filter(|ids| !ids.is_empty()))?;
        let mut ids = ids.to_vec();
        ids.sort_by(|a, b| {
            universe.scheme.compare(universe.text(universe.package(*b).version), universe.text(universe.package(*a).version))
        });
        let shown: Vec<String> = ids.iter().take(3).map(|id| self.package(*id)).collect();
        let more = if ids.len() > 3 { format!(" and {} more", ids.len() - 3) } else { String::new() };
        Some(format!("there is {}{more}", shown.join(", ")))
    }

    fn no_group(&self, text: &str) -> String {
        let universe = self.index.universe;
        let mut known: Vec<String> = universe.groups.iter().map(|group| format!("@{}", group.id)).collect();
        known.extend(universe.environments.iter().map(|environment| format!("@^{}", environment.id)));
        known.sort();
        known.dedup();
        if known.is_empty() {
            return format!("no repository has groups, so there is no {text}");
        }
        let shown = known.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if known.len() > 8 { format!(" and {} more", known.len() - 8) } else { String::new() };
        format!("no repository has it; there is {shown}{more}")
    }

    /// The reason that no package is what is wanted, and the nearest one.
    pub(super) fn nobody_meets(&self, wanted: &Relation) -> Reason {
        let universe = self.index.universe;
        let name = universe.text(wanted.name);
        if let Some(excluded) = self.index.meeting(wanted).into_iter().find_map(|id| self.excluded(id)) {
            return Reason::of(excluded);
        }
        if let Some((nearest, version)) = self.nearest(wanted) {
            let what = self.package(nearest);
            let own = universe.package(nearest).name == wanted.name;
            let what = if own { what } else { format!("{what}, which provides {name} {version}") };
            return Reason::of(format!("the nearest there is: {what}"));
        }
        Reason::nowhere(self.nowhere(name))
    }

    /// A text that no repository has a package of this name, which were searched, and a name with similar spelling.
    pub(super) fn nowhere(&self, name: &str) -> String {
        let whose = self.none_has();
        match self.alike(name) {
            _ if name.starts_with('/') => format!("{whose} a package with the file {name}"),
            Some(alike) => format!("{whose} {name}; it has {alike}"),
            None => format!("{whose} {name}"),
        }
    }

    /// The package of the wanted name whose version is nearest to what is wanted, or that provides it in the nearest version.
    fn nearest(&self, wanted: &Relation) -> Option<(PackageId, String)> {
        let universe = self.index.universe;
        let mut there: Vec<(PackageId, &str)> =
            self.index.named(wanted.name).iter().map(|id| (*id, universe.text(universe.package(*id).version))).collect();
        there.extend(self.index.providers(wanted.name).filter_map(|(id, provided)| Some((id, universe.text(provided.bound?.1)))));
        there.sort_by(|(_, a), (_, b)| universe.scheme.compare(a, b));
        // If a version below a bound is wanted, all that exist are too new, and the oldest of them is the nearest.
        let below = matches!(wanted.bound, Some((Op::Lt | Op::Le, _)));
        let equal = |(_, version): &&(PackageId, &str)| {
            wanted.bound.is_some_and(|(_, bound)| universe.scheme.compare(version, universe.text(bound)).is_gt())
        };
        let nearest = if below { there.first() } else { there.iter().rfind(|candidate| !equal(candidate)).or_else(|| there.first()) };
        nearest.map(|(id, version)| (*id, (*version).to_owned()))
    }

    /// A name that was probably meant: one or two letters away. A name that only begins alike is another package.
    fn alike(&self, name: &str) -> Option<&str> {
        let bar = if name.len() < 6 { 1 } else { 2 };
        let universe = self.index.universe;
        let names = universe.packages.iter().map(|package| universe.text(package.name));
        let near = names.filter(|other| *other != name && other.len().abs_diff(name.len()) <= bar);
        let distances = near.map(|other| (strsim::osa_distance(name, other), other));
        distances.filter(|(distance, _)| *distance <= bar).min().map(|(_, other)| other)
    }
}

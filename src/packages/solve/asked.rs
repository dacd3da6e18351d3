//! Requests for packages, and the packages that they mean.

use std::collections::HashSet;

use glob::Pattern;

use super::super::model::{Name, PackageId, Relation};
use super::super::version::{Parts, Scheme};
use super::index::{Colour, Index};
use super::order;

/// A request to a universe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// The requested packages.
    pub asked: Vec<Asked>,
    /// What is taken out of the packages of `asked`; a package may still come in because another needs it (yum 3.4.3,
    /// yum/transactioninfo.py, `deselect`: Anaconda's `-NAME`).
    pub deselected: Vec<What>,
    /// The packages that must be there even if `deselected` has them.
    pub required: Vec<Asked>,
    /// Patterns of packages that are treated as if no repository had them (yum.conf(5), exclude).
    pub forbidden: Vec<String>,
    /// Leave out names that no repository has (`%packages --ignoremissing`).
    pub ignore_missing: bool,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The subject of the request.
    pub what: What,
    /// The origin of the request, for people: `the recipe`.
    pub by: String,
}

/// The kinds of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A package: in a form that yum takes (yum(8), "Specifying package names": `name`, `name.arch`, `name-ver`, `name-ver-rel`, these
    /// with an architecture or an epoch, globs of them, a capability, a file), or one that apt takes (`name`, `name=version`).
    Package(String),
    /// A group by its id, without its default packages when `plain`, with its optional ones when `all`.
    Group {
        /// The id.
        id: String,
        /// Leave out its default packages.
        plain: bool,
        /// Add its optional packages.
        all: bool,
    },
    /// An environment by its id.
    Environment(String),
    /// All packages that every system must have (Debian's `Essential`).
    Essential,
}

impl What {
    /// As written in a kickstart.
    pub fn text(&self) -> String {
        match self {
            Self::Package(text) => text.clone(),
            Self::Group { id, .. } => format!("@{id}"),
            Self::Environment(id) => format!("@^{id}"),
            Self::Essential => "the essential packages".to_owned(),
        }
    }
}

/// One package that has to be there: the first of these that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// The request.
    pub(super) text: String,
    /// The origin of the request.
    pub(super) by: String,
    pub(super) candidates: Vec<PackageId>,
}

/// The meaning of one request.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) choices: Vec<Choice>,
    /// Pairs: if a package of the name is there, so must the choice be.
    pub(super) conditional: Vec<(Name, Choice)>,
}

impl Index<'_> {
    /// The meaning of `asked`; `None` when no repository has it. A group that is `selected` already adds nothing (yum 3.4.3,
    /// yum/__init__.py, `selectGroup`).
    pub(super) fn meaning(&self, asked: &Asked, selected: &mut HashSet<String>) -> Option<Meaning> {
        match &asked.what {
            What::Package(text) => {
                let candidates = self.asked_packages(text);
                let choice = |candidates| Choice { text: text.clone(), by: asked.by.clone(), candidates };
                let choices: Vec<Choice> = candidates.into_iter().map(choice).collect();
                (!choices.is_empty()).then_some(Meaning { choices, conditional: Vec::new() })
            }
            What::Group { id, plain, all } => self.group(id, *plain, *all, asked, selected),
            What::Essential => {
                let mut names: Vec<Name> =
                    self.universe.packages.iter().filter(|package| package.essential).map(|package| package.name).collect();
                names.sort();
                names.dedup();
                let choice =
                    |name: Name| Choice { text: asked.what.text(), by: asked.by.clone(), candidates: self.best(self.named(name).to_vec()) };
                Some(Meaning { choices: names.into_iter().map(choice).collect(), conditional: Vec::new() })
            }
            What::Environment(id) => {
                let mut known = self.universe.environments.iter().filter(|environment| environment.id == *id).peekable();
                known.peek()?;
                let mut meaning = Meaning::default();
                for group in known.flat_map(|environment| &environment.groups) {
                    let more = self.group(group, false, false, asked, selected)?;
                    meaning.choices.extend(more.choices);
                    meaning.conditional.extend(more.conditional);
                }
                Some(meaning)
            }
        }
    }

    /// A group that two repositories have is both (yum 3.4.3, yum/comps.py, `Group.add`). Members that no repository has are left out
    /// (yum/__init__.py, `selectGroup`: "No package named … available to be installed").
    fn group(&self, id: &str, plain: bool, all: bool, asked: &Asked, selected: &mut HashSet<String>) -> Option<Meaning> {
        let mut known = self.universe.groups.iter().filter(|group| group.id == id).peekable();
        known.peek()?;
        if !selected.insert(id.to_owned()) {
            return Some(Meaning::default());
        }
        let choice = |name: &Name| {
            let text = format!("@{id}");
            let candidates = self.newest_of_name(*name);
            (!candidates.is_empty()).then(|| Choice { text, by: asked.by.clone(), candidates })
        };
        let mut meaning = Meaning::default();
        for group in known {
            let default = if plain { &[][..] } else { &group.default };
            let optional = if all { &group.optional[..] } else { &[] };
            meaning.choices.extend(group.mandatory.iter().chain(default).chain(optional).filter_map(choice));
            meaning.conditional.extend(group.conditional.iter().filter_map(|(name, when)| Some((*when, choice(name)?))));
        }
        Some(meaning)
    }

    /// The packages a text asks for. One of each inner list is to be installed.
    fn asked_packages(&self, text: &str) -> Vec<Vec<PackageId>> {
        if self.universe.scheme == Scheme::Debian {
            let matches = match self.matching(text) {
                matches if matches.is_empty() => self.only_provider(text),
                matches => matches,
            };
            return if matches.is_empty() { Vec::new() } else { vec![self.best(matches)] };
        }
        if let Some(name) = self.universe.names.get(text) {
            let candidates = self.newest_of_name(name);
            if !candidates.is_empty() {
                return vec![candidates];
            }
        }
        let mut matches = self.matching(text);
        matches.sort_by_key(|id| self.universe.package(*id).name);
        let by_name = matches.chunk_by(|a, b| self.universe.package(*a).name == self.universe.package(*b).name);
        // A name means the newest package or its obsoleter; a text with a version means that version.
        let pattern = Pattern::new(text).ok();
        let by_its_name = |name| pattern.as_ref().is_some_and(|pattern| pattern.matches(self.universe.text(name)));
        let found: Vec<_> = by_name
            .map(|ids| match self.universe.package(ids[0]).name {
                name if by_its_name(name) => self.newest_of_name(name),
                _ => self.best(ids.to_vec()),
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
        // yum 3.4.3, yum/__init__.py, `install`: "Checking for virtual provide or file-provide".
        let Some(name) = self.universe.names.get(text) else { return Vec::new() };
        let mut providers = self.meeting(&Relation { name, bound: None });
        providers.retain(|id| self.is_allowed(*id));
        order::sort_as_yum(self, None, &vec![false; self.universe.packages.len()], &mut providers);
        if providers.is_empty() { Vec::new() } else { vec![providers] }
    }

    /// The packages that provide a virtual one, when they all have the same name: apt takes that, and asks the user when there are several
    /// names (apt 2.6, apt-pkg/cacheset.cc, `FromPackage`).
    fn only_provider(&self, text: &str) -> Vec<PackageId> {
        let Some(name) = self.universe.names.get(text) else { return Vec::new() };
        let candidate = |id: &PackageId| self.is_allowed(*id) && !self.is_superseded(*id);
        let providers: Vec<PackageId> = self.providers(name).map(|(id, _)| id).filter(candidate).collect();
        let mut names: Vec<Name> = providers.iter().map(|id| self.universe.package(*id).name).collect();
        names.dedup();
        if names.len() == 1 { providers } else { Vec::new() }
    }

    /// The newest package of a name, or the package that obsoletes it (yum 3.4.3, yum/__init__.py, `install`, its `checkForObsolete`).
    fn newest_of_name(&self, name: Name) -> Vec<PackageId> {
        let mut candidates = self.named(name).to_vec();
        candidates.retain(|id| self.is_allowed(*id));
        candidates = self.best(candidates);
        for _ in 0..8 {
            let Some(first) = candidates.first() else { break };
            let obsoleters: Vec<PackageId> = self.obsoleters(*first).collect();
            if obsoleters.is_empty() {
                break;
            }
            candidates = self.best(obsoleters);
        }
        candidates
    }

    /// The best of some packages: the 64-bit ones if there are any, of those the newest, the cheapest repository's first.
    pub(super) fn best(&self, mut ids: Vec<PackageId>) -> Vec<PackageId> {
        let universe = self.universe;
        if ids.iter().any(|id| self.colour(*id) == Colour::Wide) {
            ids.retain(|id| self.colour(*id) == Colour::Wide);
        }
        let version = |id: &PackageId| universe.text(universe.package(*id).version);
        let order = |a: &PackageId, b: &PackageId| universe.scheme.compare(version(a), version(b));
        let mut newest: Vec<PackageId> = Vec::new();
        for id in ids {
            let name = universe.package(id).name;
            match newest.iter().position(|other| universe.package(*other).name == name) {
                Some(place) if order(&newest[place], &id).is_lt() => {
                    newest.retain(|other| universe.package(*other).name != name);
                    newest.push(id);
                }
                Some(place) if order(&newest[place], &id).is_gt() => {}
                _ => newest.push(id),
            }
        }
        newest.sort_by_key(|id| (universe.repositories[usize::from(universe.package(*id).repository)].cost, *id));
        newest
    }

    /// The allowed packages that a text names, in all versions.
    fn matching(&self, text: &str) -> Vec<PackageId> {
        self.all_matching(text).into_iter().filter(|id| self.is_allowed(*id)).collect()
    }

    /// All packages that a text names, forbidden ones too.
    pub(super) fn all_matching(&self, text: &str) -> Vec<PackageId> {
        if self.universe.scheme == Scheme::Debian {
            let (name, version) = text.split_once('=').map_or((text, None), |(name, version)| (name, Some(version)));
            let Some(name) = self.universe.names.get(name) else { return Vec::new() };
            let is_it = |id: &&PackageId| version.is_none_or(|version| self.universe.text(self.universe.package(**id).version) == version);
            return self.named(name).iter().filter(is_it).copied().collect();
        }
        if text.contains(['*', '?', '[']) {
            // An invalid pattern matches nothing, as for fnmatch(3).
            let Ok(pattern) = Pattern::new(text) else { return Vec::new() };
            let all = self.all().iter().copied();
            return all.filter(|id| self.forms(*id).iter().any(|form| pattern.matches(form))).collect();
        }
        self.called_like(text).filter(|id| self.forms(*id).iter().any(|form| form == text)).collect()
    }

    /// All packages whose name `text` begins with, after an epoch.
    fn called_like(&self, text: &str) -> impl Iterator<Item = PackageId> {
        let whole = text.split_once(':').filter(|(epoch, _)| epoch.bytes().all(|c| c.is_ascii_digit())).map_or(text, |(_, rest)| rest);
        let ends = whole.bytes().enumerate().filter(|(_, c)| matches!(c, b'-' | b'.')).map(|(at, _)| at).chain([whole.len()]);
        let names = ends.filter_map(|end| self.universe.names.get(&whole[..end]));
        names.flat_map(|name| self.named(name).iter().copied())
    }

    /// An allowed RPM that `text` names in a form that yum does not know: with an epoch and without an architecture, or without a release.
    pub(super) fn named_in_another_form(&self, text: &str) -> Option<PackageId> {
        let is_it = |id: &PackageId| {
            let package = self.universe.package(*id);
            let (n, Parts { epoch: e, version: v, release }) =
                (self.universe.text(package.name), Parts::of(self.universe.text(package.version)));
            let r = release.unwrap_or_default();
            let forms = [
                format!("{e}:{n}"),
                format!("{e}:{n}-{v}"),
                format!("{e}:{n}-{v}-{r}"),
                format!("{n}-{e}:{v}"),
                format!("{n}-{e}:{v}-{r}"),
            ];
            self.is_allowed(*id) && forms.iter().any(|form| form == text)
        };
        let is_rpm = self.universe.scheme == Scheme::Rpm;
        self.called_like(text).filter(|_| is_rpm).find(is_it)
    }

    /// All names by which a package can be asked for (yum 3.4.3, yum/packages.py, `buildPkgRefDict`).
    pub(super) fn forms(&self, id: PackageId) -> [String; 7] {
        let universe = self.universe;
        let package = universe.package(id);
        let (n, a) = (universe.text(package.name), universe.text(package.arch));
        let Parts { epoch: e, version: v, release } = Parts::of(universe.text(package.version));
        let r = release.unwrap_or_default();
        [
            n.to_owned(),
            format!("{n}.{a}"),
            format!("{n}-{v}-{r}.{a}"),
            format!("{n}-{v}"),
            format!("{n}-{v}-{r}"),
            format!("{e}:{n}-{v}-{r}.{a}"),
            format!("{n}-{e}:{v}-{r}.{a}"),
        ]
    }
}

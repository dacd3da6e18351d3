//! A forecast: the packages an image will get, or why it cannot have them.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::digest::Sha256Digest;
use crate::base::failure::AnyFailure;
use crate::cache::Store;
use crate::packages::solve::{Chosen, Closure, Why};
use crate::packages::yum::{self, Failed, Replay, Trouble};
use crate::packages::{Notice, Question, Refused, Universe, resolve};

/// The kind of memory for forecasts. The number is the version of [`Forecast`] and of the rules that lead to it.
const KIND: &str = "closure-5";

/// The packages an image will get, or why it cannot have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The packages by name; empty when it is refused.
    pub packages: Vec<ForecastPackage>,
    /// Notices for the user.
    pub notices: Vec<ForecastNotice>,
    /// Why it cannot have them.
    pub refused: Vec<ForecastRefusal>,
}

/// Why an image cannot have its packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastRefusal {
    /// The reason, with indented lines of the reasons behind it.
    pub text: String,
    /// The remedy, if it is known.
    pub remedy: Option<String>,
}

/// A package of a forecast.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastPackage {
    /// Its name.
    pub name: String,
    /// `[EPOCH:]VERSION[-RELEASE]`.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// The repository it comes from.
    pub repository: String,
    /// Bytes to fetch.
    pub download: u64,
    /// Bytes on the disk.
    pub installed: u64,
    /// The request that means it, or the package that needs it.
    pub why: String,
}

/// A notice about a forecast for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastNotice {
    /// In words.
    pub text: String,
}

impl Forecast {
    /// Ask `question` of `universe`, as yum would; afterwards `upgrade` it, when that is wanted.
    pub(super) fn of(universe: &Universe, question: &Question, upgrade: Option<&Upgrading>) -> Self {
        let solved = resolve(universe, question);
        let (packages, mut notices) = match taken(universe, question, yum::replay(universe, question), solved) {
            Ok(taken) => taken,
            Err(refused) => return Self { refused, ..Self::default() },
        };
        let Some(upgrade) = upgrade else { return Self::with(universe, &packages, &notices) };
        let excluded = upgrade.excluded(universe, &packages);
        match yum::upgrade(universe, &packages, &upgrade.repositories, &excluded) {
            Ok(packages) => Self::with(universe, &packages, &notices),
            Err(failed) if failed.is_unknown() => {
                let text = "goldsmith gave up following `yum upgrade`, there is too much to choose from: these are the packages before it";
                notices.push(Notice::NotFollowed(text.to_owned()));
                Self::with(universe, &packages, &notices)
            }
            Err(failed) => {
                let succeeds_without =
                    |names: &[String]| yum::upgrade(universe, &packages, &upgrade.repositories, &[&excluded[..], names].concat()).is_ok();
                Self { refused: told(yum::explain_upgrade(universe, &packages, &failed, succeeds_without)), ..Self::default() }
            }
        }
    }

    /// The forecast of these packages.
    pub(super) fn with(universe: &Universe, packages: &[Chosen], notices: &[Notice]) -> Self {
        let line = |chosen: &Chosen| {
            let package = universe.package(chosen.id);
            ForecastPackage {
                name: universe.text(package.name).to_owned(),
                version: universe.text(package.version).to_owned(),
                arch: universe.text(package.arch).to_owned(),
                repository: universe.repositories[usize::from(package.repository)].id.clone(),
                download: package.download,
                installed: package.installed,
                why: match &chosen.why {
                    Why::Asked(text) => text.clone(),
                    Why::Needed(by) => universe.text(universe.package(*by).name).to_owned(),
                },
            }
        };
        let mut packages: Vec<ForecastPackage> = packages.iter().map(line).collect();
        packages.sort_by(|a, b| (&a.name, &a.arch, &a.version).cmp(&(&b.name, &b.arch, &b.version)));
        let notices = notices.iter().map(|notice| ForecastNotice { text: notice.to_string() }).collect();
        Self { packages, notices, refused: Vec::new() }
    }

    /// Whether these are RPMs: no other packages are called `noarch` or `x86_64`.
    pub fn is_rpm(&self) -> bool {
        self.packages.iter().any(|package| matches!(package.arch.as_str(), "noarch" | "x86_64"))
    }

    /// Bytes that the packages take on a disk, by their own data.
    pub fn installed(&self) -> u64 {
        self.packages.iter().map(|package| package.installed).fold(0, u64::saturating_add)
    }

    /// Bytes of the packages themselves.
    pub fn download(&self) -> u64 {
        self.packages.iter().map(|package| package.download).fold(0, u64::saturating_add)
    }

    /// How many packages come from each repository, in the order of first use.
    pub fn by_repository(&self) -> Vec<(&str, usize)> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for package in &self.packages {
            match counts.iter_mut().find(|(id, _)| *id == package.repository) {
                Some((_, count)) => *count += 1,
                None => counts.push((&package.repository, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// The version of a package that will be there.
    pub fn version_of(&self, name: &str) -> Option<&str> {
        self.packages.iter().find(|package| package.name == name).map(|package| package.version.as_str())
    }
}

/// The packages that will be installed: yum installs, so its choice counts. The solver explains refusals, and its choice is used when yum
/// could not be followed.
fn taken(
    universe: &Universe,
    question: &Question,
    replay: Result<Replay, Failed>,
    solved: Result<Closure, Refused>,
) -> Result<(Vec<Chosen>, Vec<Notice>), Vec<ForecastRefusal>> {
    match (replay, solved) {
        (Ok(Replay { packages, notices }), solved) => {
            let solved = solved.map(|closure| closure.notices).unwrap_or_default();
            let missing = solved.into_iter().filter(|notice| matches!(notice, Notice::Missing(_)));
            Ok((packages, missing.chain(notices).collect()))
        }
        (Err(failed), Ok(Closure { packages, mut notices })) if failed.is_unknown() => {
            let text =
                "goldsmith gave up following yum, there is too much to choose from: these packages go together, but yum may take others";
            notices.push(Notice::NotFollowed(text.to_owned()));
            Ok((packages, notices))
        }
        (Err(failed), Ok(closure)) => Err(told(yum::explain(universe, question, &failed, &closure))),
        (Err(_), Err(refused)) => Err(refusals(&refused)),
    }
}

fn told(troubles: Vec<Trouble>) -> Vec<ForecastRefusal> {
    troubles.into_iter().map(ForecastRefusal::of).collect()
}

/// The reasons that the solver gives.
pub(super) fn refusals(refused: &Refused) -> Vec<ForecastRefusal> {
    refused.reasons.iter().map(|reason| ForecastRefusal { text: reason.to_string(), remedy: None }).collect()
}

impl ForecastRefusal {
    fn of(trouble: Trouble) -> Self {
        let lines: Vec<String> = std::iter::once(trouble.text).chain(trouble.because.iter().map(|line| format!("  {line}"))).collect();
        Self { text: lines.join("\n"), remedy: Some(trouble.help) }
    }
}

/// The `yum upgrade` that follows the installation.
#[derive(Debug)]
pub(super) struct Upgrading {
    /// The indexes of the repositories that it sees.
    pub(super) repositories: Vec<u16>,
    /// The packages in the recipe.
    pub(super) packages: Vec<String>,
}

impl Upgrading {
    /// The packages that `--exclude` keeps unchanged: the packages that the recipe asks for by a version, as kickstart/configure.sh,
    /// `upgrade`, asks rpm.
    fn excluded(&self, universe: &Universe, installed: &[Chosen]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for asked in &self.packages {
            let label = asked
                .split_once(':')
                .filter(|(epoch, _)| epoch.starts_with(|c: char| c.is_ascii_digit()))
                .map_or(&**asked, |(_, rest)| rest);
            let is_it = |chosen: &&Chosen| {
                let package = universe.package(chosen.id);
                let (name, arch) = (universe.text(package.name), universe.text(package.arch));
                let rest = label.strip_suffix(arch).and_then(|rest| rest.strip_suffix('.')).unwrap_or(label);
                let version = universe.text(package.version);
                let whole = version.split_once(':').map_or(version, |(_, rest)| rest);
                let upstream = whole.rsplit_once('-').map_or(whole, |(version, _)| version);
                rest.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| rest == whole || rest == upstream)
            };
            names.extend(installed.iter().find(is_it).map(|chosen| universe.text(universe.package(chosen.id).name).to_owned()));
        }
        names
    }
}

/// The remembered forecast for the same indexes and the same question, or a new one from `universe`.
pub(super) async fn remembered(
    store: &Store,
    indexes: &[Sha256Digest],
    question: &Question,
    upgrade: Option<&Upgrading>,
    universe: impl Future<Output = Result<Universe, AnyFailure>>,
) -> Result<Forecast, AnyFailure> {
    found_before(KIND, store, indexes, &(question, upgrade), async { Ok(Forecast::of(&universe.await?, question, upgrade)) }).await
}

/// The remembered result for the same indexes and the same question, or a new one from `find`.
pub(super) async fn found_before<T: Serialize + DeserializeOwned>(
    kind: &str,
    store: &Store,
    indexes: &[Sha256Digest],
    question: &dyn Debug,
    find: impl Future<Output = Result<T, AnyFailure>>,
) -> Result<T, AnyFailure> {
    let mut key = format!("{question:?}").into_bytes();
    indexes.iter().for_each(|sha256| key.extend(sha256.as_bytes()));
    let key = Sha256Digest::of(&key);
    if let Some(found) = store.recall(kind, &key).and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(found);
    }
    let found = find.await?;
    if let Ok(bytes) = serde_json::to_vec(&found) {
        store.remember(kind, &key, &bytes);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::yum::Failure;
    use crate::packages::{Asked, Package, Scheme, What};

    #[test]
    fn the_solver_stands_in_when_yum_could_not_be_followed() {
        let mut universe = Universe::new(Scheme::Rpm);
        let repository = universe.repository("base", 1000);
        let [name, version, arch] = ["tool", "1-1", "noarch"].map(|text| universe.names.intern(text));
        universe.add(Package {
            name,
            version,
            arch,
            repository,
            source: None,
            source_file: None,
            provides: Vec::new(),
            needs: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            download: 1,
            installed: 1,
            essential: false,
            priority: Package::OPTIONAL,
        });
        let ask = |name: &str| {
            let asked = vec![Asked { what: What::Package(name.to_owned()), by: "the kickstart".to_owned() }];
            let question = Question { asked, ..Question::default() };
            let gave_up = Err(Failed { failures: vec![Failure::GaveUp], taken: Vec::new() });
            taken(&universe, &question, gave_up, resolve(&universe, &question))
        };
        let (packages, notices) = ask("tool").unwrap();
        assert_eq!(packages.len(), 1);
        assert!(matches!(&notices[..], [Notice::NotFollowed(text)] if text.contains("gave up following yum")), "{notices:?}");
        assert!(ask("nothing").unwrap_err()[0].text.starts_with("the kickstart asks for nothing"));
    }
}

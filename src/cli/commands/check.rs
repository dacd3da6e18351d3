//! `goldsmith check RECIPE`.

use crate::artifact::Overwrite;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::cli::args::Check;
use crate::cli::{Context, host, printer};
use crate::closure::ForecastPackage;
use crate::preflight::{self, Preflight, Row, Verdict};

/// Print everything that can be known about a build before its first boot, and fail when the build cannot succeed.
///
/// # Errors
/// The recipe is wrong, or it cannot be built.
pub async fn run(args: &Check, context: &Context) -> Result<(), AnyFailure> {
    let recipe = host::recipe(&args.recipe)?;
    let store = host::store(args.store.store.as_deref(), context)?;
    let target = host::target(args.output.as_deref(), &recipe);
    let overwrite = if args.force { Overwrite::Force } else { Overwrite::Refuse };
    let preflight = preflight::check(&recipe, &store, &host::web(context), (&target, overwrite), &Events::none()).await?;
    let mut text = if context.json { json(&preflight) } else { table(&preflight) };
    if args.packages && !context.json {
        text.push_str(&packages(&preflight));
    }
    printer::out(&text)?;
    preflight.refuse().map_err(|why| CannotBuild { recipe: recipe.name, problems: preflight.problems(), class: why.class() })?;
    Ok(())
}

/// The error of a check that found problems. They are on standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot build {recipe}: {}", counted(*problems, "problem"))]
struct CannotBuild {
    recipe: String,
    problems: usize,
    class: Class,
}

impl Failure for CannotBuild {
    fn class(&self) -> Class {
        self.class
    }

    fn remedy(&self) -> Option<String> {
        Some("correct what is marked `wrong`".to_owned())
    }
}

/// For machines: one document.
fn json(preflight: &Preflight) -> String {
    serde_json::json!(preflight).to_string() + "\n"
}

/// For people: a line for each row, and one more for its remedy.
fn table(preflight: &Preflight) -> String {
    let mut text = String::new();
    let unresolved: Vec<&Row> = preflight.rows.iter().filter(|row| is_unresolved(row)).collect();
    if unresolved.len() > 1 {
        text.push_str(&without_names(&unresolved));
    }
    for row in &preflight.rows {
        if unresolved.len() > 1 && is_unresolved(row) {
            continue;
        }
        let verdict = match row.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Wrong => "wrong",
        };
        text.push_str(&format!(
            "{verdict:<8}  {:<9}  {}\n",
            row.area.name(),
            printable(&row.what).replace('\n', "\n                     ")
        ));
        for line in &row.evidence {
            text.push_str(&format!("                     {}\n", printable(line)));
        }
        if let Some(remedy) = &row.remedy {
            text.push_str(&format!("                     help: {}\n", printable(remedy)));
        }
    }
    text
}

/// The message of a resolver without a network: the text of Rust's standard library (1.91), followed by that of getaddrinfo(3).
const NO_NAMES: &str = "failed to lookup address information";

fn is_unresolved(row: &Row) -> bool {
    row.verdict == Verdict::Wrong && row.what.contains(NO_NAMES)
}

/// One row for all problems with one cause: no server's name can be resolved. The text of each row before its first colon is its subject.
fn without_names(rows: &[&Row]) -> String {
    let mut text = format!("{:<8}  {:<9}  no server's name can be resolved, so these inputs cannot be fetched:\n", "wrong", "sources");
    for row in rows {
        let about = row.what.split(": ").next().unwrap_or_default();
        let about = [" cannot be fetched", " cannot be used"].into_iter().find_map(|end| about.strip_suffix(end)).unwrap_or(about);
        text.push_str(&format!("                     - {}\n", printable(about)));
    }
    text.push_str("                     help: check the network and its name server\n");
    text
}

/// For people: a line for each package.
fn packages(preflight: &Preflight) -> String {
    let label = |package: &ForecastPackage| format!("{} {} {}", package.name, package.version, package.arch);
    let width = preflight.packages.iter().map(|package| label(package).len()).max().unwrap_or_default();
    let from = preflight.packages.iter().map(|package| package.repository.len()).max().unwrap_or_default();
    let line = |package: &ForecastPackage| {
        let size = rounded(package.installed);
        printable(&format!("{:<width$}  {:<from$}  {size:>9}  {}", label(package), package.repository, package.why)) + "\n"
    };
    preflight.packages.iter().map(line).collect()
}

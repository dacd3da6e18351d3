//! Rows about packages and the disk, from a forecast.

use super::report::{Area, Row};
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::base::text::counted;
use crate::closure::{Forecast, ForecastRefusal, NotChosen};
use crate::recipe::{Media, Recipe};
use crate::sources::medium::Edition;

/// Why packages of the online repositories cannot be installed together.
pub(super) fn refused(reasons: Vec<String>) -> Vec<Row> {
    let refused = reasons.into_iter().map(|text| ForecastRefusal { text, remedy: None }).collect();
    // Another medium is the last remedy.
    packages(&Forecast { refused, ..Forecast::default() }, None)
}

/// Why packages of the online repositories are not chosen yet.
pub(super) fn unknown(why: NotChosen) -> Row {
    match why.class() {
        // A build fetches the missing input, and can then choose.
        Class::Input => Row::ok(Area::Packages, why.to_string()),
        _ => Row::failed(Area::Packages, &AnyFailure::from(why)),
    }
}

/// The rows for the installation of the packages.
pub(super) fn packages(forecast: &Forecast, medium: Option<Edition>) -> Vec<Row> {
    if !forecast.refused.is_empty() {
        let remedy = match medium {
            Some(Edition::Minimal) => "take the DVD, which has ten times the packages, or bring a repository that has what is missing",
            _ => "change packages.install, or bring a repository that has what is missing",
        };
        let row = |refusal: &ForecastRefusal| {
            let mut lines = refusal.text.lines().map(str::to_owned);
            let remedy = refusal.remedy.clone().unwrap_or_else(|| remedy.to_owned());
            let mut row = Row::wrong(Area::Packages, lines.next().unwrap_or_default(), Some(remedy));
            row.evidence = lines.collect();
            row
        };
        return forecast.refused.iter().map(row).collect();
    }
    let from: Vec<String> = forecast.by_repository().into_iter().map(|(id, count)| format!("{count} from {id}")).collect();
    let what = format!(
        "{} ({}): {}, on the disk {}",
        counted(forecast.packages.len(), "package"),
        rounded(forecast.download()),
        from.join(", "),
        rounded(forecast.installed())
    );
    let mut rows = vec![Row::ok(Area::Packages, what)];
    rows.extend(forecast.notices.iter().map(|notice| Row::warning(Area::Packages, notice.text.clone(), None)));
    rows
}

/// The packages that missing archives must hold: those that are asked for and that nothing here has. `forecast` has only these.
pub(super) fn to_hold(archives: &[&str], forecast: &Forecast) -> Option<Row> {
    let what = format!("the archive of {} has to hold what the installation medium lacks", archives.join(" or of "));
    let remedy = "make it of these and of what they need; when it is there, `check` lists all that it still lacks";
    let mut row = Row::warning(Area::Packages, what, Some(remedy.to_owned()));
    row.evidence = forecast.refused.iter().flat_map(|refusal| refusal.text.lines()).map(str::to_owned).collect();
    (!forecast.refused.is_empty()).then_some(row)
}

/// Whether the disk holds the packages.
pub(super) fn disk(recipe: &Recipe, forecast: &Forecast) -> Vec<Row> {
    if !forecast.refused.is_empty() {
        return Vec::new();
    }
    let (wanted, why) = match recipe.media {
        // Anaconda adds 35 % and refuses below that (pyanaconda/packaging/yumpayload.py, calculateSpaceNeeds).
        Media::Anaconda { .. } => (forecast.installed().saturating_mul(135) / 100, "as Anaconda counts"),
        // The sizes from dpkg are rounded up for each file, so they cover ext4's blocks.
        Media::Deploy { .. } => (forecast.installed(), "by their own account"),
    };
    let disk = &recipe.disk;
    let room = disk.size.bytes().saturating_sub(disk.swap.bytes());
    let what = format!("the packages take {} {why}; the disk has {} for them", rounded(wanted), rounded(room));
    if wanted <= room {
        return vec![Row::ok(Area::Disk, what)];
    }
    let size = wanted.saturating_add(disk.swap.bytes()).div_ceil(1 << 30) + 1;
    vec![Row::wrong(Area::Disk, what, Some(format!("make it larger: --set disk.size='\"{size}G\"'")))]
}

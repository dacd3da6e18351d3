//! Checks that the bundles match their metadata, and that their packages can be used on the system.

use super::report::{Area, Row};
use crate::base::failure::AnyFailure;
use crate::base::text::counted;
use crate::packages::rpm::{Kind, Repomd, add_primary};
use crate::packages::{Checksum, Scheme, Universe};
use crate::sources::SourceError;
use crate::sources::bundle::{Bundle, Listed, Maker, Target};

/// The system that goldsmith's recipes for Anaconda make.
const TARGET: Target<'_> = Target { arch: "x86_64", release: 7 };
/// Bytes that an expanded primary.xml may have; that of all of CentOS 7 has 40 MiB.
const PRIMARY_BYTES: u64 = 256 << 20;
/// Packages of one kind that are named one by one.
const NAMED: usize = 5;

/// The rows of a repository's bundle.
pub(super) fn rows(id: &str, bundle: &Bundle) -> Vec<Row> {
    let mut rows = Vec::new();
    const ANEW: &str = "createrepo_c --no-database --general-compress-type=gz";
    match bundle.maker() {
        Maker::Carried => rows.extend(bundle.said_of_metadata().iter().take(NAMED).map(|said| {
            let what = format!("the metadata of {id} names a file that yum does without: {said}");
            Row::warning(Area::Sources, what, Some(format!("make it anew: {ANEW} DIRECTORY")))
        })),
        Maker::Made => rows.push(Row::ok(Area::Sources, format!("{id} has no metadata; createrepo_c made it"))),
        Maker::Remade => {
            let what = format!("yum of EL 7 cannot use the metadata of {id}; createrepo_c made it anew");
            let remedy = format!("no action is needed; to make metadata that yum can use, run: {ANEW} DIRECTORY");
            let mut row = Row::warning(Area::Sources, what, Some(remedy));
            row.evidence = bundle.said_of_metadata().to_vec();
            rows.push(row);
        }
    }
    match unlisted(bundle) {
        Ok(unlisted) if unlisted.is_empty() => {}
        Ok(unlisted) => {
            let what = format!("the metadata of {id} does not know {}: {}", counted(unlisted.len(), "package"), shown(&unlisted));
            rows.push(Row::warning(Area::Sources, what, Some(format!("make it anew: {ANEW} --update DIRECTORY"))));
        }
        Err(error) => rows.push(Row::failed(Area::Sources, &AnyFailure::from(error))),
    }
    rows.extend(bundle.traps(TARGET).into_iter().take(4 * NAMED).map(|trap| {
        Row::warning(Area::Sources, format!("{id}: {} {}", trap.path, trap.kind), Some("leave it out of the bundle".to_owned()))
    }));
    rows
}

/// Packages that are there and that the metadata does not list.
fn unlisted(bundle: &Bundle) -> Result<Vec<String>, SourceError> {
    let repodata = bundle.repodata();
    let bytes = |path: &str| repodata.get(path).map(Vec::as_slice).unwrap_or_default();
    let repomd = Repomd::read(&format!("repomd.xml of {}", bundle.what()), bytes("repodata/repomd.xml"))?;
    let Some(entry) = repomd.entry(Kind::Primary) else { return Ok(Vec::new()) };
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("bundle", 0);
    let mut files: Vec<(String, Option<Checksum>)> = Vec::new();
    let input = entry.input(&format!("{} of {}", entry.href, bundle.what()), bytes(&entry.href), PRIMARY_BYTES)?;
    add_primary(&mut universe, repository, input, &mut |_, file| {
        files.push((file.location().unwrap_or(file.href()).to_owned(), file.checksum().ok()))
    })?;
    let checksums: Vec<String> =
        files.iter().map(|(_, checksum)| checksum.map(|checksum| checksum.to_string()).unwrap_or_default()).collect();
    let listed = files.iter().zip(&checksums).zip(&universe.packages).map(|(((location, kind), checksum), package)| Listed {
        location,
        bytes: Some(package.download),
        checksum_kind: kind.map_or("", |checksum| checksum.kind()),
        checksum,
    });
    let compared = bundle.compare("primary.xml", listed)?;
    Ok(compared.unlisted.into_iter().filter(|path| !path.ends_with(".src.rpm")).collect())
}

fn shown(paths: &[String]) -> String {
    let more = if paths.len() > NAMED { format!(" and {} more", paths.len() - NAMED) } else { String::new() };
    format!("{}{more}", paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", "))
}

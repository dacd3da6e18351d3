//! `goldsmith image sbom IMAGE`.

use std::path::Path;

use jiff::Timestamp;

use super::opened::{file, root};
use super::packages::installation;
use crate::artifact::{self, ArtifactError};
use crate::base::digest::Sha256Digest;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cli::args::SbomFormat;
use crate::cli::environment::Environment;
use crate::cli::{Context, printer};
use crate::image::inspect;
use crate::inventory;
use crate::sbom::{self, Subject, System};

/// The variable of the environment does not hold a valid time. Its specification says not to go on then.
#[derive(Debug, thiserror::Error)]
#[error("SOURCE_DATE_EPOCH is `{0}`, which is no number of seconds since 1970")]
struct NoTime(String);

impl Failure for NoTime {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("unset it, or set it to what `date +%s` prints".into())
    }
}

/// The document cannot be serialised.
#[derive(Debug, thiserror::Error)]
#[error("the bill of materials cannot be written as JSON: {0}")]
struct NoJson(serde_json::Error);

impl Failure for NoJson {
    fn class(&self) -> Class {
        Class::Bug
    }

    fn remedy(&self) -> Option<String> {
        None
    }
}

/// Write the bill of materials. It is JSON with and without `--json`.
///
/// # Errors
/// The image cannot be read, or has no package database that can be.
pub(super) async fn run(image: &Path, format: SbomFormat, context: &Context) -> Result<(), AnyFailure> {
    let wanted = source_date(&context.environment)?;
    let root = root(image, context)?;
    let found = installation(image, &root)?;
    let changed_at = || Ok::<_, AnyFailure>(inventory::changed_at(&root)?.and_then(|seconds| Timestamp::from_second(seconds).ok()));
    let created = match wanted.or_else(|| sbom::last_installed(&found)) {
        Some(time) => time,
        // OK to default: 1970 stands for a time out of the calendar's range.
        None => changed_at()?.unwrap_or_default(),
    };
    let system = inspect::os_release(&root)?.map(|found| System::new(&found.id, &found.version_id, &found.pretty_name));
    let subject = Subject {
        // OK to default: a file that was opened has a name.
        name: file(image)?.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: digest(image).await,
        system: system.unwrap_or_else(|| System::new("", "", "")),
        created,
    };
    let text = match format {
        SbomFormat::Spdx => sbom::spdx(&subject, &found),
        SbomFormat::CycloneDx => sbom::cyclonedx(&subject, &found),
    };
    Ok(printer::out(&text.map_err(NoJson)?)?)
}

fn source_date(environment: &Environment) -> Result<Option<Timestamp>, NoTime> {
    let Some(text) = &environment.source_date_epoch else { return Ok(None) };
    let time = text.parse::<u32>().ok().map(i64::from).and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or_else(|| NoTime(text.clone()))
}

/// The digest of an artifact's image. The digest in the manifest is not enough: the image may have been changed since, and then there is a
/// warning.
async fn digest(image: &Path) -> Option<Sha256Digest> {
    let artifact = artifact::open(image).ok()?;
    let checked: Result<(), ArtifactError> = artifact.check_image(&Events::none().task("check the image")).await;
    match checked {
        Ok(()) => Some(artifact.manifest.image.sha256),
        Err(error) => {
            printer::err(&format!("warning: {error}; its digest is left out\n"));
            None
        }
    }
}

//! `goldsmith image export IMAGE TARGET`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::opened::disk;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::cli::args::{ClusterCompression, ExportKind, ImageExport};
use crate::cli::{Context, printer};
use crate::image::export::{ExportFormat, export};
use crate::image::{Compress, FreeSpace, ImageError};

/// How the names of files end that have a format; the longest first, so that `.raw.zst` is not mistaken for another.
const SUFFIXES: [(&str, ExportKind); 5] = [
    (".raw.zst", ExportKind::RawZst),
    (".img.zst", ExportKind::RawZst),
    (".qcow2", ExportKind::Qcow2),
    (".raw", ExportKind::Raw),
    (".img", ExportKind::Raw),
];

/// Why it is not known what to write.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("the format of {} is not known: its name ends with none of {}", .0.display(), SUFFIXES.map(|(suffix, _)| suffix).join(", "))]
    Format(PathBuf),
    #[error("--compression is for qcow2, and {} is {}", .0.display(), name(*.1))]
    Compression(PathBuf, ExportKind),
}

impl Failure for Unclear {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Format(_) => "choose one with --format: qcow2, raw or raw.zst".to_owned(),
            Self::Compression(..) => "leave it out, or write qcow2 with --format qcow2".to_owned(),
        })
    }
}

/// Write the image in another format.
///
/// # Errors
/// It is not clear which format, the image cannot be read, or the target cannot be written or is there already.
pub(super) async fn run(args: &ImageExport, context: &Context) -> Result<(), AnyFailure> {
    let format = format(args)?;
    let disk = disk(&args.image, context)?;
    let events = Events::new(context.listeners());
    let task = events.task("export");
    task.step("find the free space");
    let opened = disk.clone();
    let free = tokio::task::spawn_blocking(move || FreeSpace::of(&opened)).await;
    let free: Result<FreeSpace, ImageError> = free.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let free = free?;
    for partition in &free.unread {
        events.warn(format!("the free space of {partition} cannot be read, so data of deleted files may be left in the image there"));
    }
    let exported = export(&disk, free, format, &args.target, &task).await?;
    task.done();
    let text = if context.json {
        context.record(&json!({
            "event": "export",
            "file": args.target.to_string_lossy(),
            "virtual_size": exported.virtual_size,
            "file_size": exported.file_size,
            "allocated_size": exported.allocated_size,
        }))
    } else {
        let (size, disk) = (rounded(exported.allocated_size), rounded(exported.virtual_size));
        format!("{}: {size} for a disk of {disk}\n", args.target.display())
    };
    Ok(printer::out(&text)?)
}

fn format(args: &ImageExport) -> Result<ExportFormat, Unclear> {
    let kind = args.format.or_else(|| by_name(&args.target)).ok_or_else(|| Unclear::Format(args.target.clone()))?;
    match (kind, args.compression) {
        (ExportKind::Qcow2, compression) => Ok(ExportFormat::Qcow2(match compression {
            None | Some(ClusterCompression::Zlib) => Compress::Zlib,
            Some(ClusterCompression::Zstd) => Compress::Zstd,
            Some(ClusterCompression::None) => Compress::Never,
        })),
        (ExportKind::Raw, None) => Ok(ExportFormat::Raw),
        (ExportKind::RawZst, None) => Ok(ExportFormat::RawZst),
        (_, Some(_)) => Err(Unclear::Compression(args.target.clone(), kind)),
    }
}

fn by_name(target: &Path) -> Option<ExportKind> {
    let name = target.file_name()?.to_string_lossy().to_ascii_lowercase();
    SUFFIXES.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, kind)| kind)
}

fn name(kind: ExportKind) -> &'static str {
    match kind {
        ExportKind::Qcow2 => "qcow2",
        ExportKind::Raw => "raw",
        ExportKind::RawZst => "raw.zst",
    }
}

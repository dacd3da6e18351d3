//! `goldsmith image export IMAGE TARGET`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::catalogue::Entry;
use super::opened::disk;
use crate::artifact;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::cli::args::{ClusterCompression, ExportKind, ImageExport};
use crate::cli::{Context, host, printer};
use crate::image::export::{ExportFormat, Exported, export, unused};
use crate::image::{Compress, Disk, Firmware, OutputFormat};
use crate::run::Source;

/// The suffixes of file names, with their formats. The longest come first, so that `.raw.zst` is not mistaken for another.
const SUFFIXES: [(&str, ExportKind); 12] = [
    (".oci.tar", ExportKind::ContainerDisk),
    (".tar.gz", ExportKind::Gce),
    (".box", ExportKind::Vagrant),
    (".raw.zst", ExportKind::RawZst),
    (".img.zst", ExportKind::RawZst),
    (".qcow2", ExportKind::Qcow2),
    (".vmdk", ExportKind::Vmdk),
    (".vhd", ExportKind::Vhd),
    (".vhdx", ExportKind::Vhdx),
    (".ova", ExportKind::Ova),
    (".raw", ExportKind::Raw),
    (".img", ExportKind::Raw),
];

/// The reason why the format is not clear.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("the format of {} is not known: its name ends with none of {}", .0.display(), SUFFIXES.map(|(suffix, _)| suffix).join(", "))]
    Format(PathBuf),
    #[error("--compression is for qcow2, and {} is {}", .0.display(), .1.name())]
    Compression(PathBuf, ExportKind),
    #[error("--version is for a Vagrant box, and {} is {}", .0.display(), .1.name())]
    Version(PathBuf, ExportKind),
}

impl Failure for Unclear {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Format(_) => {
                "choose one with --format: qcow2, raw, raw.zst, vmdk, vhd, vhdx, ova, gce, vagrant or containerdisk".to_owned()
            }
            Self::Compression(..) => "leave it out, or write qcow2 with --format qcow2".to_owned(),
            Self::Version(..) => "leave it out, or write a box with --format vagrant".to_owned(),
        })
    }
}

/// Write the image in another format.
///
/// # Errors
/// The format is not clear, the image cannot be read, or the target cannot be written or exists already.
pub(super) async fn run(args: &ImageExport, context: &Context) -> Result<(), AnyFailure> {
    let kind = kind(args)?;
    let disk = disk(&args.image, context)?;
    let events = Events::new(context.listeners());
    let format = format(kind, args, &disk, &events, context)?;
    // This is checked first, because the search for free space may take long.
    format.admits(&disk)?;
    let name = named(args, &disk);
    let entry = args.version.as_deref().map(|version| Entry::prepare(&args.target, &name, version, args.url.as_deref())).transpose()?;
    let task = events.task("export");
    let free = unused(&disk, &task).await?;
    let exported = export(&disk, free, format, &args.target, &task).await?;
    let catalogue = match entry {
        Some(entry) => Some(entry.complete(&args.target, &task).await?),
        None => None,
    };
    task.done();
    Ok(printer::out(&told(args, &exported, catalogue.as_deref(), context))?)
}

/// The text about the files that were written.
fn told(args: &ImageExport, exported: &Exported, catalogue: Option<&Path>, context: &Context) -> String {
    if context.json {
        let mut record = json!({
            "event": "export",
            "file": args.target.to_string_lossy(),
            "virtual_size": exported.virtual_size,
            "file_size": exported.file_size,
            "allocated_size": exported.allocated_size,
        });
        if let Some(catalogue) = catalogue {
            record["catalogue"] = json!(catalogue.to_string_lossy());
        }
        return context.record(&record);
    }
    let (size, disk) = (rounded(exported.allocated_size), rounded(exported.virtual_size));
    let mut text = format!("{}: {size} for a disk of {disk}\n", args.target.display());
    if let Some(catalogue) = catalogue {
        text.push_str(&format!("{}: the catalogue for `vagrant box add`\n", catalogue.display()));
    }
    text
}

/// The chosen format. All options must fit it.
fn kind(args: &ImageExport) -> Result<ExportKind, Unclear> {
    let kind = args.format.or_else(|| by_name(&args.target)).ok_or_else(|| Unclear::Format(args.target.clone()))?;
    if args.compression.is_some() && kind != ExportKind::Qcow2 {
        return Err(Unclear::Compression(args.target.clone(), kind));
    }
    if args.version.is_some() && kind != ExportKind::Vagrant {
        return Err(Unclear::Version(args.target.clone(), kind));
    }
    Ok(kind)
}

/// The format, with its data about the image. A condition of the receiver that the image does not meet becomes a warning.
fn format(kind: ExportKind, args: &ImageExport, disk: &Disk, events: &Events, context: &Context) -> Result<ExportFormat, AnyFailure> {
    let Some(output) = kind.output() else {
        return Ok(ExportFormat::Qcow2(match args.compression {
            None | Some(ClusterCompression::Zlib) => Compress::Zlib,
            Some(ClusterCompression::Zstd) => Compress::Zstd,
            Some(ClusterCompression::None) => Compress::Never,
        }));
    };
    let firmware = match output {
        OutputFormat::Vagrant => Source::find(&args.image, host::store_place(context).as_deref())?.firmware,
        // No other format has the firmware in its data.
        _ => Firmware::Bios,
    };
    let (format, warning) = ExportFormat::of(output, disk, &named(args, disk), firmware);
    warning.into_iter().for_each(|warning| events.warn(warning));
    Ok(format)
}

/// The name of the image, as used in file names.
fn named(args: &ImageExport, disk: &Disk) -> String {
    let stem = || disk.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = artifact::open(&args.image).map(|artifact| artifact.manifest.name).ok().or_else(stem).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "disk".to_owned() } else { name.to_owned() }
}

fn by_name(target: &Path) -> Option<ExportKind> {
    let name = target.file_name()?.to_string_lossy().to_ascii_lowercase();
    SUFFIXES.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_build_names_is_known_by_its_name() {
        for format in OutputFormat::ALL {
            let found = by_name(Path::new(&format!("lab{}", format.suffix())));
            assert_eq!(found.and_then(ExportKind::output), Some(format));
        }
        assert_eq!(by_name(Path::new("lab.QCOW2")), Some(ExportKind::Qcow2));
        assert_eq!(by_name(Path::new("lab.iso")), None);
    }
}

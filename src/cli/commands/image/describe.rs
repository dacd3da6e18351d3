//! `goldsmith image describe IMAGE --for RECEIVER`.

use std::path::PathBuf;

use serde_json::json;

use super::opened::disk;
use crate::base::event::SCHEMA;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::printable;
use crate::cli::args::{DescribeFor, DomainType, ImageDescribe};
use crate::cli::{Context, host, printer, subject};
use crate::handover::libvirt::{self, Kind};
use crate::handover::{Architecture, Machine, Receiver, openstack, proxmox};
use crate::image::Seen;
use crate::run::{Source, usual_kind};

/// Processors of the machine, as `goldsmith run` has them.
const CPUS: u32 = 2;

/// The reason why nothing is printed.
#[derive(Debug, thiserror::Error)]
enum NotDescribed {
    #[error("--type is for libvirt")]
    Type,
    #[error("`{}` cannot be the machine's name: it {why}", printable(name))]
    Name { name: String, why: &'static str },
    #[error("{} has a control character in its path, which documents cannot carry", printable(&.0.to_string_lossy()))]
    Path(PathBuf),
    #[error(transparent)]
    Comma(#[from] proxmox::Comma),
    #[error("{} is for {}, and machines for x86_64 only are described", .0.display(), .1.name())]
    Architecture(PathBuf, Architecture),
    #[error("{} lies over another file, which {} would not get with it", .0.display(), .1)]
    Overlay(PathBuf, &'static str),
}

impl Failure for NotDescribed {
    fn class(&self) -> Class {
        match self {
            Self::Type | Self::Name { .. } => Class::Usage,
            Self::Path(_) | Self::Comma(_) | Self::Architecture(..) | Self::Overlay(..) => Class::Input,
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Type => Some("leave it out".to_owned()),
            Self::Name { .. } => Some("give another with --name".to_owned()),
            Self::Path(_) | Self::Comma(_) => Some("rename the file, or copy it".to_owned()),
            Self::Architecture(..) => None,
            Self::Overlay(..) => Some("make one file of the two: goldsmith image export".to_owned()),
        }
    }
}

/// Print the document with which a receiver runs the image.
///
/// # Errors
/// The image cannot be read, is not bootable, or has a property that the receiver's document cannot express.
pub(super) async fn run(args: &ImageDescribe, context: &Context) -> Result<(), AnyFailure> {
    if args.kind.is_some() && args.receiver != DescribeFor::Libvirt {
        return Err(NotDescribed::Type.into());
    }
    subject::require_image(&args.image)?;
    let source = Source::find(&args.image, host::store_place(context).as_deref())?;
    let disk = disk(&args.image, context)?;
    let seen = Seen::of(&disk);
    let name = args.name.as_deref().unwrap_or(&source.name);
    check_name(name)?;
    let image = source.image.to_string_lossy();
    if image.chars().any(char::is_control) {
        return Err(NotDescribed::Path(source.image).into());
    }
    if seen.guest.architecture != Architecture::X86_64 {
        return Err(NotDescribed::Architecture(args.image.clone(), seen.guest.architecture).into());
    }
    let machine = Machine {
        name,
        image: &image,
        format: source.format,
        firmware: source.firmware,
        virtual_size: disk.info().virtual_size,
        memory: args.memory.bytes(),
        cpus: args.cpus.unwrap_or(CPUS),
        cards: source.cards,
        guest: &seen.guest,
    };
    let is_overlay = !disk.info().backing.is_empty();
    let alone = |receiver| if is_overlay { Err(NotDescribed::Overlay(args.image.clone(), receiver)) } else { Ok(()) };
    let (receiver, text) = match args.receiver {
        DescribeFor::Libvirt => ("libvirt", libvirt::domain(&machine, kind(args.kind).await?)),
        DescribeFor::OpenStack => {
            alone("OpenStack")?;
            if let Some(warning) = seen.warning(Receiver::OpenStack) {
                printer::err(&format!("warning: {warning}\n"));
            }
            ("openstack", openstack::command(&machine))
        }
        DescribeFor::Proxmox => {
            alone("Proxmox")?;
            ("proxmox", proxmox::lines(&machine).map_err(NotDescribed::from)?)
        }
    };
    let text = if context.json { format!("{:#}\n", json!({"schema": SCHEMA, "for": receiver, "text": text})) } else { text };
    Ok(printer::out(&text)?)
}

/// The name is written into XML, which has no control characters; into command lines, where a dash begins an option; and into file names of
/// libvirt.
fn check_name(name: &str) -> Result<(), NotDescribed> {
    let why = if name.is_empty() {
        "is empty"
    } else if name.chars().any(char::is_control) {
        "has a control character"
    } else if name.contains('/') {
        "has a slash"
    } else if name.starts_with(['-', '.']) {
        "begins with a dash or a dot"
    } else {
        return Ok(());
    };
    Err(NotDescribed::Name { name: name.to_owned(), why })
}

/// The kind that the user chose, or one that works on this host.
async fn kind(asked: Option<DomainType>) -> Result<Kind, AnyFailure> {
    Ok(match asked {
        Some(DomainType::Kvm) => Kind::Kvm,
        Some(DomainType::Qemu) => Kind::Qemu,
        None => usual_kind().await?,
    })
}

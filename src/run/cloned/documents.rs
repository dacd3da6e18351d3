//! The documents beside copies of an image, with which machines can be made from them elsewhere.

use std::path::PathBuf;

use super::plan::no_clones;
use super::wanted::WantedFiles;
use crate::handover::libvirt::{self, Kind};
use crate::handover::{Architecture, Guest, Machine, openstack, proxmox};
use crate::hardware::Format;
use crate::machine::probe::probe;
use crate::machine::spec::Accelerator;
use crate::run::error::RunError;
use crate::run::name::Name;
use crate::run::source::Source;

/// Names and texts of the documents: a domain of libvirt for each copy; and command lines of clouds, which take whole images only. None are
/// written for a system that is not x86_64: they describe machines of that kind. `clones` are names and disks.
///
/// # Errors
/// The path of a copy has something that a document cannot say.
pub(super) async fn documents(
    source: &Source,
    virtual_size: u64,
    guest: &Guest,
    wanted: &WantedFiles,
    clones: &[(&Name, PathBuf)],
) -> Result<Vec<(String, String)>, RunError> {
    if guest.architecture != Architecture::X86_64 {
        return Ok(Vec::new());
    }
    let kind = usual_kind().await?;
    let (mut documents, mut to_openstack, mut to_proxmox) = (Vec::new(), String::new(), String::new());
    for (name, file) in clones {
        let image = file.to_str().filter(|path| !path.chars().any(char::is_control));
        let Some(image) = image else {
            return Err(no_clones("their directory's name is not UTF-8, or has a control character", "choose another directory"));
        };
        let machine = Machine {
            name: name.as_str(),
            image,
            format: Format::Qcow2,
            firmware: source.firmware,
            virtual_size,
            memory: wanted.memory.bytes(),
            cpus: wanted.cpus,
            cards: source.cards,
            guest,
        };
        documents.push((format!("{name}.xml"), libvirt::domain(&machine, kind)));
        if wanted.full {
            to_openstack += &openstack::command(&machine);
            to_proxmox += &proxmox::lines(&machine).map_err(|comma| no_clones(comma.to_string(), "choose another directory"))?;
        }
    }
    if wanted.full {
        documents.extend([("openstack.sh".to_owned(), to_openstack), ("proxmox.sh".to_owned(), to_proxmox)]);
    }
    Ok(documents)
}

/// What executes a domain of libvirt where nothing else is asked for: what works on this host.
///
/// # Errors
/// QEMU is not there.
pub async fn usual_kind() -> Result<Kind, RunError> {
    Ok(match probe().await?.accelerator {
        Accelerator::Kvm => Kind::Kvm,
        Accelerator::Tcg => Kind::Qemu,
    })
}

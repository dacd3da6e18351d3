//! The documents beside copies of an image, with which machines can be made from them elsewhere.

use std::path::PathBuf;

use super::plan::{Planned, no_clones};
use super::wanted::WantedFiles;
use crate::handover::libvirt::{self, Kind};
use crate::handover::vagrant::{self, Machines, Member};
use crate::handover::{Architecture, Guest, Machine, openstack, proxmox};
use crate::hardware::Format;
use crate::machine::probe::probe;
use crate::machine::spec::Accelerator;
use crate::run::error::RunError;
use crate::run::source::Source;

/// The name of the document for Vagrant, which looks for a file of this name.
const VAGRANTFILE: &str = "Vagrantfile";

/// Names and texts of the documents: a domain of libvirt for each copy; a Vagrantfile for all; and command lines of clouds, which take whole
/// images only. There are none for a system that is not x86_64, because they describe x86_64 machines. `clones` come with their disks.
///
/// # Errors
/// The path of a copy has something that a document cannot say.
pub(super) async fn documents(
    source: &Source,
    virtual_size: u64,
    guest: &Guest,
    wanted: &WantedFiles,
    clones: &[(&Planned, PathBuf)],
) -> Result<Vec<(String, String)>, RunError> {
    if guest.architecture != Architecture::X86_64 {
        return Ok(Vec::new());
    }
    let kind = usual_kind().await?;
    let (mut documents, mut to_openstack, mut to_proxmox) = (Vec::new(), String::new(), String::new());
    for (Planned { name, .. }, file) in clones {
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
    documents.push((VAGRANTFILE.to_owned(), vagrantfile(source, wanted, kind, clones)));
    if wanted.full {
        documents.extend([("openstack.sh".to_owned(), to_openstack), ("proxmox.sh".to_owned(), to_proxmox)]);
    }
    Ok(documents)
}

/// The Vagrantfile of all copies.
fn vagrantfile(source: &Source, wanted: &WantedFiles, kind: Kind, clones: &[(&Planned, PathBuf)]) -> String {
    let planned = clones.iter().map(|(planned, _)| *planned);
    let members: Vec<_> =
        planned.map(|Planned { name, address, has_keys, .. }| Member { name: name.as_str(), address: *address, root: *has_keys }).collect();
    vagrant::machines(&Machines {
        firmware: source.firmware,
        kind,
        memory: wanted.memory.bytes(),
        cpus: wanted.cpus,
        gateway: wanted.gateway.or(source.subnet.and_then(|subnet| subnet.gateway)),
        members: &members,
    })
}

/// The kind of a libvirt domain when none is asked for: the one that works on this host.
///
/// # Errors
/// QEMU is not there.
pub async fn usual_kind() -> Result<Kind, RunError> {
    Ok(match probe().await?.accelerator {
        Accelerator::Kvm => Kind::Kvm,
        Accelerator::Tcg => Kind::Qemu,
    })
}

//! Finds the image to run: an artifact, whose manifest says how it boots, or any disk image, which is inspected.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::RunError;
use crate::artifact::{self, Artifact, ArtifactError, StateRecord};
use crate::base::digest::Sha256Digest;
use crate::base::size::ByteSize;
use crate::hardware::Equipment;
use crate::image::{Disk, Firmware, Format, ImageError, PartitionTable, Root, TableKind, gpt_type};
use crate::installer::address::AddressFile;
use crate::machine::spec::Subnet;

/// MBR type of an EFI system partition (UEFI specification 2.10, 5.2.2).
const MBR_ESP: &str = "0xef";
/// Bytes of a sector.
const SECTOR_BYTES: u64 = 512;
/// Bytes of a file that sets an address.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// An image that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// For people and the process list; letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// The image file, absolute and without links.
    pub image: PathBuf,
    /// How it keeps the disk.
    pub format: Format,
    /// Bytes of the disk.
    pub size: u64,
    /// The firmware that boots it.
    pub firmware: Firmware,
    /// The store, in which files under the image may lie.
    pub store: Option<PathBuf>,
    /// Digest of the image file, as the artifact's manifest says it.
    pub sha256: Option<Sha256Digest>,
    /// The network of a guest that has a fixed address.
    pub subnet: Option<Subnet>,
    /// Network cards beside the first one that its recipe names.
    pub cards: usize,
    /// What a machine of it is given when its user says nothing: the recipe's `[run]` table.
    pub usual: Equipment,
    /// The saved state that was published with it.
    pub packed: Option<Packed>,
}

/// A saved state that was published with its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The file.
    pub path: PathBuf,
    /// What the manifest says of it.
    pub record: StateRecord,
}

impl Source {
    /// Find the image that `path` names: an artifact's directory, the image in one, or any disk image. Files under it may lie beside it, or in
    /// `store`.
    ///
    /// # Errors
    /// It is missing, unreadable, no bootable disk, or its chain of backing files is broken.
    pub fn find(path: &Path, store: Option<&Path>) -> Result<Self, RunError> {
        match artifact::open(path) {
            Ok(artifact) => Self::of_artifact(&artifact, store),
            Err(ArtifactError::NotAnArtifact { .. }) if !path.is_dir() => Self::of_image(path, store),
            Err(error) => Err(error.into()),
        }
    }

    fn of_artifact(artifact: &Artifact, store: Option<&Path>) -> Result<Self, RunError> {
        let (manifest, image) = (&artifact.manifest, real(&artifact.image_path())?);
        let bytes = image.metadata().map_err(|source| ImageError::read(&image, source))?.len();
        // Only the size is compared, because the digest would take seconds at every start. This already finds a copy that was cut short.
        if bytes != manifest.image.bytes {
            let why = format!("it has {bytes} bytes instead of {}", manifest.image.bytes);
            return Err(ArtifactError::Damaged { path: image, why }.into());
        }
        let format = Format::named(&manifest.image.format).unwrap_or(Format::Qcow2);
        let size = Disk::open_as(&image, format, store)?.info().virtual_size;
        let firmware = if manifest.promises.boots_through_uefi() { Firmware::Uefi } else { Firmware::Bios };
        Ok(Self {
            name: name(&manifest.name),
            image,
            format,
            size,
            firmware,
            store: store.map(Path::to_owned),
            sha256: Some(manifest.image.sha256),
            subnet: subnet(&manifest.recipe),
            cards: manifest.promises.further_cards(),
            usual: usual(&manifest.recipe).map_err(|why| ArtifactError::Damaged { path: artifact.dir.clone(), why })?,
            packed: manifest.warm.clone().map(|record| Packed { path: artifact.dir.join(&record.file.file), record }),
        })
    }

    fn of_image(path: &Path, store: Option<&Path>) -> Result<Self, RunError> {
        let image = real(path)?;
        let format = Disk::drive_format(&image)?;
        let disk = Disk::open_as(&image, format, store)?;
        let firmware = firmware(&disk)?;
        let stem = image.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        // An image whose files cannot be read is still run.
        let subnet = Root::open(&disk).ok().and_then(|root| own_subnet(&root));
        let (size, usual, store) = (disk.info().virtual_size, Equipment::default(), store.map(Path::to_owned));
        Ok(Self { name: name(&stem), format, image, size, firmware, store, sha256: None, subnet, cards: 0, usual, packed: None })
    }
}

impl Source {
    /// Bytes of a machine's disk when `wanted` is asked for; nothing when it is to be as large as the image's.
    ///
    /// # Errors
    /// It would be smaller than the image's.
    pub(super) fn disk_size(&self, wanted: Option<ByteSize>) -> Result<Option<u64>, RunError> {
        match wanted {
            Some(wanted) if wanted.bytes() < self.size => Err(RunError::SmallDisk { wanted, least: ByteSize(self.size) }),
            // A disk has whole sectors. A size that cannot be rounded up is too large for every format, and qemu-img reports that.
            wanted => Ok(wanted.map(|wanted| wanted.bytes().checked_next_multiple_of(SECTOR_BYTES).unwrap_or(wanted.bytes()))),
        }
    }
}

fn real(path: &Path) -> Result<PathBuf, RunError> {
    let real = path.canonicalize().map_err(|source| ImageError::read(path, source))?;
    if real.to_str().is_none() { Err(RunError::NotUtf8 { path: real }) } else { Ok(real) }
}

fn name(text: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    if text.is_empty() { "vm".to_owned() } else { text.chars().map(word).collect() }
}

/// The firmware of a disk without a manifest. One that boots both ways is booted through BIOS, which needs nothing of the host.
fn firmware(disk: &Disk) -> Result<Firmware, RunError> {
    let not = || RunError::NotBootable { path: disk.path().to_owned() };
    let mut sector = [0; 512];
    disk.bytes().read_at(0, &mut sector).map_err(|_| not())?;
    let boot_sector = sector[0] != 0 && sector[510..] == [0x55, 0xaa];
    let table = match PartitionTable::read(disk) {
        Ok(table) => table,
        // A boot sector can also boot from a table that we cannot read.
        Err(_) if boot_sector => None,
        Err(error) => return Err(error.into()),
    };
    let has = |wanted: &str| table.iter().flat_map(|table| &table.partitions).any(|partition| partition.type_id == wanted);
    let esp = has(gpt_type::ESP) || has(MBR_ESP);
    // Windows and some partitioners put code into the protective MBR of disks that only UEFI boots.
    let gpt = table.as_ref().is_some_and(|table| table.kind == TableKind::Gpt);
    match (boot_sector, esp) {
        (true, false) => Ok(Firmware::Bios),
        (true, true) if !gpt || has(gpt_type::BIOS_BOOT) => Ok(Firmware::Bios),
        (_, true) => Ok(Firmware::Uefi),
        (false, false) => Err(not()),
    }
}

/// The network that the manifest's resolved recipe gives the guest; `None` when it asks a DHCP server.
fn subnet(recipe: &Value) -> Option<Subnet> {
    let network = recipe.pointer("/system/network")?;
    let address = |key: &str| network.get(key)?.as_str()?.parse().ok();
    let prefix = u8::try_from(network.get("prefix")?.as_u64()?).ok()?;
    Some(Subnet { guest: address("address")?, prefix, gateway: address("gateway") })
}

/// What the manifest's resolved recipe gives a machine.
///
/// # Errors
/// No machine can have it.
fn usual(recipe: &Value) -> Result<Equipment, String> {
    let Some(said) = recipe.get("run") else { return Ok(Equipment::default()) };
    let equipment = serde_json::from_value::<Equipment>(said.clone()).ok().filter(Equipment::is_possible);
    equipment.ok_or_else(|| format!("the `run` of its recipe is nothing that a machine can have: {said}"))
}

/// The network of the fixed address that a file of the image sets.
fn own_subnet(root: &Root) -> Option<Subnet> {
    AddressFile::ALL.into_iter().find_map(|file| {
        let text = root.read_if_there(file.path(), MAX_CONFIG_BYTES).ok()??;
        let (guest, prefix, gateway) = file.says(&String::from_utf8_lossy(&text))?;
        Some(Subnet { guest, prefix, gateway })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// An artifact in `dir` with the image `bytes`, whose recipe says `run` of machines.
    pub fn artifact(dir: &Path, run: &Value, bytes: &[u8]) -> PathBuf {
        let golden = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/manifest.json")).unwrap();
        let mut manifest: Value = serde_json::from_slice(&golden).unwrap();
        manifest["recipe"]["run"] = run.clone();
        let sha256 = json!(Sha256Digest::of(bytes));
        for (key, value) in [("file", json!("d.raw")), ("format", json!("raw")), ("bytes", json!(bytes.len())), ("sha256", sha256)] {
            manifest["image"][key] = value;
        }
        std::fs::write(dir.join("d.raw"), bytes).unwrap();
        std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
        dir.to_owned()
    }

    /// A disk of 1 MiB: a boot sector with these partition types in its MBR, and code in it or not.
    fn mbr(code: bool, types: &[u8]) -> Disk {
        let mut bytes = vec![0; 1 << 20];
        bytes[0] = u8::from(code);
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        for (index, kind) in types.iter().enumerate() {
            let entry = 446 + 16 * index;
            bytes[entry + 4] = *kind;
            bytes[entry + 8] = 8 * (1 + index as u8);
            bytes[entry + 12] = 8;
        }
        Disk::in_memory("d", bytes)
    }

    fn gpt(code: bool, types: &[gpt::partition_types::Type]) -> Disk {
        let mut bytes = vec![0; 4 << 20];
        let cursor = Box::new(std::io::Cursor::new(&mut bytes));
        let mut table = gpt::GptConfig::new().writable(true).create_from_device(cursor, None).unwrap();
        for kind in types {
            table.add_partition("p", 64 << 10, kind.clone(), 0, None).unwrap();
        }
        table.write().unwrap();
        let protective = gpt::mbr::ProtectiveMBR::with_lb_size((bytes.len() / 512 - 1) as u32);
        protective.overwrite_lba0(&mut std::io::Cursor::new(&mut bytes)).unwrap();
        bytes[0] = u8::from(code);
        Disk::in_memory("d", bytes)
    }

    #[test]
    fn the_firmware_is_found_on_the_disk() {
        use gpt::partition_types::{BIOS, EFI, LINUX_FS};
        for (what, disk, expected) in [
            ("MBR with boot code", mbr(true, &[0x83]), Some(Firmware::Bios)),
            ("boot sector alone", mbr(true, &[]), Some(Firmware::Bios)),
            ("MBR, both", mbr(true, &[0xef, 0x83]), Some(Firmware::Bios)),
            ("MBR with ESP", mbr(false, &[0xef, 0x83]), Some(Firmware::Uefi)),
            ("MBR without anything", mbr(false, &[0x83]), None),
            ("GPT with GRUB for BIOS", gpt(true, &[BIOS, LINUX_FS]), Some(Firmware::Bios)),
            ("GPT, both", gpt(true, &[BIOS, EFI, LINUX_FS]), Some(Firmware::Bios)),
            ("GPT with ESP and stray boot code", gpt(true, &[EFI, LINUX_FS]), Some(Firmware::Uefi)),
            ("GPT with ESP", gpt(false, &[EFI, LINUX_FS]), Some(Firmware::Uefi)),
            ("GPT without anything", gpt(false, &[LINUX_FS]), None),
            ("text", Disk::in_memory("d", b"# goldsmith\n".repeat(100)), None),
            ("nothing", Disk::in_memory("d", Vec::new()), None),
        ] {
            let found = firmware(&disk);
            assert_eq!(found.as_ref().ok().copied(), expected, "{what}: {found:?}");
            assert!(expected.is_some() || matches!(found, Err(RunError::NotBootable { .. })), "{what}");
        }
    }

    #[test]
    fn a_fixed_address_is_read_from_the_recipe_and_nonsense_is_not() {
        let network = |network: Value| subnet(&json!({ "system": { "network": network } }));
        let guest = "172.16.51.35".parse().unwrap();
        for (value, expected) in [
            (
                json!({"method": "static", "address": "172.16.51.35", "prefix": 24, "gateway": "172.16.51.1", "dns": []}),
                Some(Subnet { guest, prefix: 24, gateway: "172.16.51.1".parse().ok() }),
            ),
            (
                json!({"method": "static", "address": "172.16.51.35", "prefix": 24, "gateway": null}),
                Some(Subnet { guest, prefix: 24, gateway: None }),
            ),
            (json!({"method": "dhcp"}), None),
            (json!({"address": "::1", "prefix": 24}), None),
            (json!({"address": "172.16.51.35", "prefix": 4096}), None),
            (json!(7), None),
        ] {
            assert_eq!(network(value.clone()), expected, "{value}");
        }
        assert_eq!(subnet(&Value::Null), None);
    }

    #[test]
    fn what_a_recipe_gives_a_machine_is_read_and_nonsense_is_told() {
        let given = Equipment { cpus: Some(4), memory: Some(ByteSize::gib(4)), ..Equipment::default() };
        for (recipe, expected) in [
            (json!({}), Some(Equipment::default())),
            (Value::Null, Some(Equipment::default())),
            (json!({ "run": given }), Some(given)),
            (json!({ "run": { "cpus": 0 } }), None),
            (json!({ "run": "much" }), None),
        ] {
            let read = usual(&recipe);
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{recipe}: {read:?}");
            assert!(read.is_ok() || read.is_err_and(|why| why.starts_with("the `run` of its recipe is nothing")), "{recipe}");
        }
    }

    #[test]
    fn names_become_words() {
        for (text, expected) in [("debian-12", "debian-12"), ("a b,c", "a_b_c"), ("", "vm"), ("é", "_")] {
            assert_eq!(name(text), expected);
        }
    }
}

//! A machine for Proxmox VE: lines for a shell of its host.
//!
//! Options are those of qm(1), Proxmox VE 7.2 and later. The disk is imported by `import-from`: the older `qm importdisk` names the new volume
//! by rules of the storage's type, so a second line would have to guess that name.

use super::machine::{MIB, Machine, units};
use crate::base::text::shell_quote;
use crate::hardware::Firmware;

/// Why there are no lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Proxmox cannot be told of {0}: a comma ends a value there")]
pub struct Comma(String);

/// The lines. Number, storage and bridge are variables of the first lines, for the reader to change.
///
/// # Errors
/// The file's name has a comma.
pub fn lines(machine: &Machine<'_>) -> Result<String, Comma> {
    // Values with options are lists separated by commas, and a comma cannot be escaped (qm(1), `import-from`).
    if machine.image.contains(',') {
        return Err(Comma(machine.image.to_owned()));
    }
    let mut create = vec![
        format!("--name {}", shell_quote(&dns_name(machine.name))),
        format!("--memory {}", units(machine.memory, MIB)),
        format!("--cores {}", machine.cpus),
        "--cpu host".to_owned(),
        "--machine q35".to_owned(),
        "--ostype l26".to_owned(),
        "--vga std".to_owned(),
        "--serial0 socket".to_owned(),
        "--rng0 source=/dev/urandom".to_owned(),
        "--net0 \"virtio,bridge=$bridge\"".to_owned(),
    ];
    if machine.guest.guest_agent {
        create.push("--agent enabled=1".to_owned());
    }
    if machine.firmware == Firmware::Uefi {
        // No keys are enrolled, so that loaders need no signature.
        create.push("--bios ovmf".to_owned());
        create.push("--efidisk0 \"$storage:1,efitype=4m,pre-enrolled-keys=0\"".to_owned());
    }
    Ok(format!(
        "vmid=$(pvesh get /cluster/nextid)\nstorage=local-lvm\nbridge=vmbr0\nqm create \"$vmid\" \\\n  {}\n\
         qm set \"$vmid\" --virtio0 \"$storage:0,discard=on,import-from=\"{}\nqm set \"$vmid\" --boot order=virtio0\n",
        create.join(" \\\n  "),
        shell_quote(machine.image)
    ))
}

/// A machine's name there must be a DNS name (qm(1), `--name`): letters, digits and dashes, none at an end, at most 63.
fn dns_name(name: &str) -> String {
    let label: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let label = label.trim_matches('-');
    if label.is_empty() { "vm".to_owned() } else { label.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::guest::Guest;
    use super::super::machine::examples;
    use super::*;

    #[test]
    fn the_lines_have_what_the_image_needs() {
        let guest = examples::guest();
        let bios = examples::machine(&guest);
        let text = lines(&bios).unwrap();
        assert!(text.contains("import-from=\"/images/debian-12.qcow2\n") && !text.contains("ovmf") && !text.contains("--agent"), "{text}");
        let agent = Guest { guest_agent: true, ..guest.clone() };
        let text = lines(&Machine { firmware: Firmware::Uefi, guest: &agent, ..bios }).unwrap();
        assert!(text.contains("--bios ovmf") && text.contains("pre-enrolled-keys=0") && text.contains("--agent enabled=1"), "{text}");
        assert_eq!(lines(&Machine { image: "/a,b", ..bios }), Err(Comma("/a,b".into())));
    }

    #[test]
    fn names_become_names_of_the_dns() {
        let long = "a".repeat(80);
        for (name, expected) in [("debian-12", "debian-12"), ("a_b.c d", "a-b-c-d"), ("'$(x)'", "x"), ("--", "vm"), (&long, &long[..63])] {
            assert_eq!(dns_name(name), expected);
        }
    }
}

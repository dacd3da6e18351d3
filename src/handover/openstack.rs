//! An image for OpenStack: the command that uploads it, with the properties that its machines need.

use super::machine::{GIB, Machine, units};
use crate::base::text::shell_quote;
use crate::hardware::Firmware;

/// The command line; the machine's name begins with no dash. Names and values of the properties are those of Glance's documentation, "Useful image properties" (2024.1).
pub fn command(machine: &Machine<'_>) -> String {
    let guest = machine.guest;
    let min_disk = units(machine.virtual_size, GIB).to_string();
    let firmware = match machine.firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
    };
    let mut properties = vec![
        ("architecture", guest.architecture.name()),
        ("hw_disk_bus", "virtio"),
        ("hw_firmware_type", firmware),
        ("hw_machine_type", "q35"),
        ("hw_rng_model", "virtio"),
        ("hw_vif_model", "virtio"),
        // GRUB on BIOS hangs without a display adapter that it knows.
        ("hw_video_model", "vga"),
    ];
    if guest.guest_agent {
        properties.push(("hw_qemu_guest_agent", "yes"));
    }
    if !guest.os_id.is_empty() {
        properties.push(("os_distro", distro(&guest.os_id)));
    }
    if !guest.os_version.is_empty() {
        properties.push(("os_version", &guest.os_version));
    }
    let mut lines = vec![
        "openstack image create".to_owned(),
        format!("--file {}", shell_quote(machine.image)),
        format!("--disk-format {}", machine.format.name()),
        "--container-format bare".to_owned(),
        format!("--min-disk {min_disk}"),
    ];
    lines.extend(properties.into_iter().map(|(name, value)| format!("--property {}", shell_quote(&format!("{name}={value}")))));
    lines.push(shell_quote(machine.name));
    lines.join(" \\\n  ") + "\n"
}

/// Glance's word for a distribution. It is that of os-release(5), except for SUSE, where os-release has one for each edition.
fn distro(id: &str) -> &str {
    if id.starts_with("opensuse") { "opensuse" } else { id }
}

#[cfg(test)]
mod tests {
    use super::super::guest::Guest;
    use super::super::machine::examples;
    use super::*;

    #[test]
    fn the_command_has_what_is_known_and_no_more() {
        let guest = examples::guest();
        let text = command(&Machine { virtual_size: 8 * GIB + 1, ..examples::machine(&guest) });
        let words = shell_words::split(&text).unwrap();
        assert_eq!(
            words[..9].join(" "),
            "openstack image create --file /images/debian-12.qcow2 --disk-format qcow2 --container-format bare"
        );
        let properties: Vec<_> = words.iter().filter(|word| word.contains('=')).map(String::as_str).collect();
        let expected = [
            "architecture=x86_64",
            "hw_disk_bus=virtio",
            "hw_firmware_type=bios",
            "hw_machine_type=q35",
            "hw_rng_model=virtio",
            "hw_vif_model=virtio",
            "hw_video_model=vga",
            "os_distro=debian",
            "os_version=12",
        ];
        assert_eq!(properties, expected);
        assert_eq!((&words[9..11], words.last().map(String::as_str)), (&["--min-disk".to_owned(), "9".to_owned()][..], Some("debian-12")));
        let unknown = Guest { os_id: String::new(), os_version: String::new(), guest_agent: true, ..guest };
        let text = command(&Machine { firmware: Firmware::Uefi, ..examples::machine(&unknown) });
        assert!(text.contains("hw_firmware_type=uefi") && text.contains("hw_qemu_guest_agent=yes") && !text.contains("os_"), "{text}");
    }

    #[test]
    fn a_shell_reads_the_same_words_whatever_they_are() {
        let guest = Guest { os_version: "1'2 $(reboot)".into(), ..examples::guest() };
        let machine = Machine { name: "x `id`", image: "/a b/'c\".qcow2", ..examples::machine(&guest) };
        let words = shell_words::split(&command(&machine)).unwrap();
        for word in ["/a b/'c\".qcow2", "os_version=1'2 $(reboot)"] {
            assert!(words.iter().any(|found| found == word), "{word}: {words:?}");
        }
        assert_eq!(words.last().map(String::as_str), Some("x `id`"));
        assert_eq!((distro("opensuse-leap"), distro("centos")), ("opensuse", "centos"));
    }
}

//! Facts from the image's files, and which of them a receiver misses.

/// The facts from an image's files that receivers need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// `ID` of os-release(5); empty when it is not known.
    pub os_id: String,
    /// `VERSION_ID` of os-release(5); may be empty.
    pub os_version: String,
    /// The processor architecture of its programs.
    pub architecture: Architecture,
    /// Whether cloud-init is installed.
    pub cloud_init: bool,
    /// Whether QEMU's guest agent is installed.
    pub guest_agent: bool,
    /// Whether there is an account `vagrant` with an ssh key.
    pub vagrant: bool,
}

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    I686,
    /// 64-bit ARM.
    Aarch64,
}

impl Architecture {
    /// The architecture of an ELF program that begins with `bytes`, if it is one of these.
    ///
    /// `e_machine` has 2 bytes at byte 18, little-endian on all of these (System V ABI, chapter 4, ELF header; elf(5) has the numbers).
    pub fn of_elf(bytes: &[u8]) -> Option<Self> {
        let machine = bytes.strip_prefix(b"\x7fELF")?.get(14..16)?;
        match u16::from_le_bytes([*machine.first()?, *machine.get(1)?]) {
            62 => Some(Self::X86_64),
            3 => Some(Self::I686),
            183 => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The kernel's name of it (uname(1), `-m`), which libvirt and OpenStack use too.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I686 => "i686",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Go's name of it, which OCI images use (image-spec 1.1, config.md: "architecture … values … listed in the Go Language document").
    pub fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::I686 => "386",
            Self::Aarch64 => "arm64",
        }
    }
}

/// A receiver with requirements on the system in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// Google Compute Engine.
    Gce,
    /// OpenStack.
    OpenStack,
    /// Vagrant.
    Vagrant,
}

impl Receiver {
    /// The receiver's requirement, as the end of a sentence.
    pub fn wish(self) -> &'static str {
        match self {
            Self::Gce | Self::OpenStack => "has cloud-init",
            Self::Vagrant => "has a user `vagrant` with an ssh key",
        }
    }

    /// The requirement that `guest` does not meet, and what to do: one sentence.
    pub fn missing(self, guest: &Guest) -> Option<String> {
        match self {
            // Google's own images have its guest environment in place of cloud-init; no distribution that is built here packages it.
            Self::Gce if !guest.cloud_init => {
                Some(without_cloud_init("Google Compute Engine gives a machine its host name and ssh keys through its metadata server"))
            }
            Self::OpenStack if !guest.cloud_init => {
                Some(without_cloud_init("OpenStack gives a machine its host name and ssh keys through its metadata service"))
            }
            // Vagrant's documentation, "Creating a Base Box": the default is the user `vagrant`, the insecure key pair, sudo without password.
            Self::Vagrant if !guest.vagrant => Some(
                "the image has no user `vagrant` with an ssh key, and `vagrant ssh` logs in as that: add to the recipe a user `vagrant` with \
                 vagrant's public key (keys/vagrant.pub in Vagrant's repository) and sudo without a password, or set config.ssh.username and \
                 config.ssh.private_key_path in the Vagrantfile"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn without_cloud_init(why: &str) -> String {
    format!(
        "the image has no cloud-init, and {why}: add the package cloud-init to the recipe, or see that somebody can log in with what is in \
         the image"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::machine::examples;

    #[test]
    fn the_machine_of_an_elf_program_is_read() {
        let program = |machine: u8| [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9], &[3, 0], &[machine, 0]].concat();
        for (bytes, expected) in [
            (program(62), Some(Architecture::X86_64)),
            (program(3), Some(Architecture::I686)),
            (program(183), Some(Architecture::Aarch64)),
            (program(8), None),
            (program(62)[..19].to_vec(), None),
            (b"#!/bin/sh\nexit 0\n# and more".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(Architecture::of_elf(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn each_receiver_misses_what_it_needs() {
        let none = examples::guest();
        for (receiver, word) in [(Receiver::Gce, "cloud-init"), (Receiver::OpenStack, "cloud-init"), (Receiver::Vagrant, "user `vagrant`")]
        {
            assert!(receiver.missing(&none).is_some_and(|text| text.contains(word)), "{receiver:?}");
            assert_eq!(receiver.missing(&Guest { cloud_init: true, vagrant: true, ..none.clone() }), None);
        }
        assert!(Receiver::Vagrant.missing(&Guest { cloud_init: true, ..none.clone() }).is_some());
        assert!(Receiver::Gce.missing(&Guest { vagrant: true, ..none }).is_some());
    }
}

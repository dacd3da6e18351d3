//! The ISOs of CentOS 7, one line each. No other module has facts about single ISOs.
//!
//! Names and sizes of volumes: osinfo-db, tests/isodata/centos/centos7.0 (snapshot 62326e12). Digests: the vendor's sha256sum.txt as at least two
//! independent public repositories quote it; a digest that was found in one alone, or not at all, is `None`.

use super::edition::Edition;
use crate::base::digest::Sha256Digest;

/// The label of all of them, whatever the edition and the minor release.
pub(super) const LABEL: &str = "CentOS 7 x86_64";
/// Bytes of a block of a volume.
const BLOCK: u64 = 2048;
/// The release whose installer goldsmith was written after: the sources of Anaconda 21.48.22.134 and of what runs beside it were read and run.
const READ: &str = "7.5.1804";

/// An ISO of CentOS 7 as its vendor published it.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownMedium {
    /// The release: `7.5.1804`.
    pub release: &'static str,
    /// The edition.
    pub edition: Edition,
    /// Its file's name.
    pub file: &'static str,
    /// Blocks of the volume, of 2048 bytes each. The file is longer: isohybrid pads it.
    volume_blocks: Option<u64>,
    sha256: Option<&'static str>,
}

impl KnownMedium {
    /// Bytes of the volume, where they are known.
    pub fn volume_bytes(&self) -> Option<u64> {
        self.volume_blocks.map(|blocks| blocks * BLOCK)
    }

    /// Whether goldsmith's authors have read the sources of its installer. They have seen no medium of any release.
    pub fn installer_was_read(&self) -> bool {
        self.release == READ
    }
}

impl std::fmt::Display for KnownMedium {
    /// `CentOS 7.5.1804 DVD`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CentOS {} {}", self.release, self.edition)
    }
}

/// The medium whose published digest this is.
pub fn known_as(sha256: Sha256Digest) -> Option<&'static KnownMedium> {
    let hex = sha256.to_string();
    KNOWN.iter().find(|known| known.sha256 == Some(&hex))
}

/// The medium with a volume of so many bytes.
pub(super) fn of_size(volume_bytes: u64) -> Option<&'static KnownMedium> {
    KNOWN.iter().find(|known| known.volume_bytes() == Some(volume_bytes))
}

const fn medium(
    release: &'static str,
    edition: Edition,
    file: &'static str,
    volume_blocks: Option<u64>,
    sha256: Option<&'static str>,
) -> KnownMedium {
    KnownMedium { release, edition, file, volume_blocks, sha256 }
}

#[rustfmt::skip]
const KNOWN: [KnownMedium; 40] = [
    medium("7.0.1406", Edition::Minimal, "CentOS-7.0-1406-x86_64-Minimal.iso", Some(289_307), None),
    medium("7.0.1406", Edition::Dvd, "CentOS-7.0-1406-x86_64-DVD.iso", Some(2_025_430), None),
    medium("7.0.1406", Edition::NetInstall, "CentOS-7.0-1406-x86_64-NetInstall.iso", Some(184_889), None),
    medium("7.0.1406", Edition::Everything, "CentOS-7.0-1406-x86_64-Everything.iso", Some(3_448_097), None),
    medium("7.1.1503", Edition::Minimal, "CentOS-7-x86_64-Minimal-1503-01.iso", Some(325_175), None),
    medium("7.1.1503", Edition::Dvd, "CentOS-7-x86_64-DVD-1503-01.iso", Some(2_104_661), None),
    medium("7.1.1503", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1503.iso", Some(183_877), None),
    medium("7.1.1503", Edition::Everything, "CentOS-7-x86_64-Everything-1503-01.iso", Some(3_706_739), None),
    medium("7.2.1511", Edition::Minimal, "CentOS-7-x86_64-Minimal-1511.iso", Some(308_722), Some("f90e4d28fa377669b2db16cbcb451fcb9a89d2460e3645993e30e137ac37d284")),
    medium("7.2.1511", Edition::Dvd, "CentOS-7-x86_64-DVD-1511.iso", Some(2_113_862), Some("907e5755f824c5848b9c8efbb484f3cd945e93faa024bad6ba875226f9683b16")),
    medium("7.2.1511", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1511.iso", Some(192_437), None),
    medium("7.2.1511", Edition::Everything, "CentOS-7-x86_64-Everything-1511.iso", Some(3_793_646), None),
    medium("7.3.1611", Edition::Minimal, "CentOS-7-x86_64-Minimal-1611.iso", Some(347_760), Some("27bd866242ee058b7a5754e83d8ee8403e216b93d130d800852a96f41c34d86a")),
    medium("7.3.1611", Edition::Dvd, "CentOS-7-x86_64-DVD-1611.iso", Some(2_138_220), Some("c455ee948e872ad2194bdddd39045b83634e8613249182b88f549bb2319d97eb")),
    medium("7.3.1611", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1611.iso", Some(192_831), None),
    medium("7.3.1611", Edition::Everything, "CentOS-7-x86_64-Everything-1611.iso", Some(4_043_184), None),
    medium("7.4.1708", Edition::Minimal, "CentOS-7-x86_64-Minimal-1708.iso", Some(405_211), Some("bba314624956961a2ea31dd460cd860a77911c1e0a56e4820a12b9c5dad363f5")),
    medium("7.4.1708", Edition::Dvd, "CentOS-7-x86_64-DVD-1708.iso", Some(2_207_296), Some("ec7500d4b006702af6af023b1f8f1b890b6c7ee54400bb98cef968b883cd6546")),
    medium("7.4.1708", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1708.iso", Some(215_737), None),
    medium("7.4.1708", Edition::Everything, "CentOS-7-x86_64-Everything-1708.iso", Some(4_245_165), None),
    medium("7.5.1804", Edition::Minimal, "CentOS-7-x86_64-Minimal-1804.iso", Some(463_641), Some("714acc0aefb32b7d51b515e25546835e55a90da9fb00417fbee2d03a62801efd")),
    medium("7.5.1804", Edition::Dvd, "CentOS-7-x86_64-DVD-1804.iso", Some(2_182_204), Some("506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345")),
    medium("7.5.1804", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1804.iso", Some(253_314), None),
    medium("7.5.1804", Edition::Everything, "CentOS-7-x86_64-Everything-1804.iso", Some(4_588_116), None),
    // osinfo-db gives it the size of NetInstall, which cannot be right.
    medium("7.6.1810", Edition::Minimal, "CentOS-7-x86_64-Minimal-1810.iso", None, Some("38d5d51d9d100fd73df031ffd6bd8b1297ce24660dc8c13a3b8b4534a4bd291c")),
    medium("7.6.1810", Edition::Dvd, "CentOS-7-x86_64-DVD-1810.iso", Some(2_240_238), Some("6d44331cc4f6c506c7bbe9feb8468fad6c51a88ca1393ca6b8b486ea04bec3c1")),
    medium("7.6.1810", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1810.iso", Some(259_255), None),
    medium("7.6.1810", Edition::Everything, "CentOS-7-x86_64-Everything-1810.iso", Some(5_245_886), None),
    medium("7.7.1908", Edition::Minimal, "CentOS-7-x86_64-Minimal-1908.iso", Some(481_858), Some("9a2c47d97b9975452f7d582264e9fc16d108ed8252ac6816239a3b58cef5c53d")),
    medium("7.7.1908", Edition::Dvd, "CentOS-7-x86_64-DVD-1908.iso", Some(2_277_351), Some("9bba3da2876cb9fcf6c28fb636bcbd01832fe6d84cd7445fa58e44e569b3b4fe")),
    medium("7.7.1908", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-1908.iso", Some(282_496), None),
    medium("7.7.1908", Edition::Everything, "CentOS-7-x86_64-Everything-1908.iso", Some(5_383_757), None),
    medium("7.8.2003", Edition::Minimal, "CentOS-7-x86_64-Minimal-2003.iso", Some(529_627), Some("659691c28a0e672558b003d223f83938f254b39875ee7559d1a4a14c79173193")),
    medium("7.8.2003", Edition::Dvd, "CentOS-7-x86_64-DVD-2003.iso", Some(2_334_581), None),
    medium("7.8.2003", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-2003.iso", Some(290_591), None),
    medium("7.8.2003", Edition::Everything, "CentOS-7-x86_64-Everything-2003.iso", Some(5_016_373), None),
    medium("7.9.2009", Edition::Minimal, "CentOS-7-x86_64-Minimal-2009.iso", Some(498_019), Some("07b94e6b1a0b0260b94c83d6bb76b26bf7a310dc78d7a9c7432809fb9bc6194a")),
    medium("7.9.2009", Edition::Dvd, "CentOS-7-x86_64-DVD-2009.iso", Some(2_300_438), Some("e33d7b1ea7a9e2f38c8f693215dd85254c3a4fe446f93f563279715b68d07987")),
    medium("7.9.2009", Edition::NetInstall, "CentOS-7-x86_64-NetInstall-2009.iso", Some(293_982), Some("b79079ad71cc3c5ceb3561fff348a1b67ee37f71f4cddfec09480d4589c191d6")),
    medium("7.9.2009", Edition::Everything, "CentOS-7-x86_64-Everything-2009.iso", Some(4_980_714), Some("689531cce9cf484378481ae762fae362791a9be078fda10e4f6977bf8fa71350")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_has_its_four_editions_and_no_two_are_mistaken() {
        for editions in KNOWN.chunks(4) {
            let release = editions[0].release;
            let build = release.rsplit('.').next().unwrap();
            assert_eq!(
                editions.iter().map(|known| (known.release, known.edition)).collect::<Vec<_>>(),
                [Edition::Minimal, Edition::Dvd, Edition::NetInstall, Edition::Everything].map(|edition| (release, edition))
            );
            for known in editions {
                let named = known.file.contains(build) && known.file.contains(&known.edition.to_string());
                assert!(named && known.file.ends_with(".iso") && known.file.contains("x86_64"), "{known}: {}", known.file);
            }
        }
        for (index, known) in KNOWN.iter().enumerate() {
            for other in &KNOWN[index + 1..] {
                assert!(known.volume_blocks.is_none() || known.volume_blocks != other.volume_blocks, "{known} and {other}");
                assert!(known.sha256.is_none() || known.sha256 != other.sha256, "{known} and {other}");
            }
        }
    }

    #[test]
    fn published_digests_are_digests_and_known() {
        for known in KNOWN.iter().filter(|known| known.sha256.is_some()) {
            assert_eq!(known_as(known.sha256.unwrap().parse().unwrap()), Some(known));
        }
        assert_eq!(known_as(Sha256Digest::of(b"")), None);
        assert_eq!(KNOWN.iter().filter(|known| known.installer_was_read()).count(), 4);
    }
}

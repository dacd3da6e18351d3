//! Names that the machine, the kickstart and its scripts agree on.

/// Label of the FAT volume that brings the recipe's repositories. Each is a directory of the volume, named by the repository's id and
/// holding `repodata/` at its top, whatever directories the archive had around it.
pub const VOLUME_LABEL: &str = "GOLDSMITH";

/// Where `%pre` mounts the volume in the installer's root.
pub(super) const VOLUME_DIR: &str = "/run/goldsmith/volume";

/// Virtio-serial port that the scripts write [`Report`](super::Report)s to, a line each.
pub const REPORT_PORT: &str = "org.goldsmith.runner.0";

/// The file in the initramfs that holds the run's nonce. `*cfg` in the initramfs' root is copied to the installer's root before it
/// takes over (dracut/anaconda-copy-ks.sh); files with other names are not copied.
pub const NONCE_FILE: &str = "/goldsmith-nonce.cfg";

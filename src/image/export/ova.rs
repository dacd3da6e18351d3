//! Writes a disk as an OVA: an archive of a descriptor, a manifest and a stream-optimized VMDK, which VMware and VirtualBox import.
//!
//! DMTF's DSP0243 1.1.1, chapter 5.3, "Distribution as a Single File", wants a ustar archive, the descriptor first, then the manifest. Both
//! depend on the disk, so room is left for them, the disk is written behind it, and they follow when it is complete.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::grains;
use super::guest::Guest;
use super::job::Job;
use super::ovf::descriptor;
use super::vmdk::Written;
use crate::base::aside::Meter;
use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::image::disk::Disk;
use crate::image::error::ImageError;

/// Unit of an archive (POSIX pax, "ustar Interchange Format").
const BLOCK: u64 = 512;
/// Unit in which tar writes; an archive is filled up to it.
const RECORD: u64 = 20 * BLOCK;
/// Letters of a name in the archive: a header has 100, and a name has an ending.
const MAX_NAME: usize = 80;
/// Bytes that are read at once for the manifest.
const READ_BYTES: usize = 1 << 20;

/// Write `disk`, of which the data are the job's, to `file`, which is empty.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, disk: &Disk, file: &File, meter: &Meter) -> Result<(), ImageError> {
    let failed = |source| job.unwritable(source);
    let guest = Guest::of(disk);
    let name = job.target.file_stem().unwrap_or_default().to_string_lossy();
    let names = Names::of(&job.target);
    // The numbers of the disk are not known yet. These have the most digits. Spaces behind the end of a document are allowed.
    let most = Written { capacity: u64::MAX, populated: u64::MAX, length: u64::MAX };
    let room = descriptor(&name, &names.disk, &most, &guest).len();
    let manifest_at = BLOCK + blocks(room as u64);
    let none = Sha256Digest::from([0; 32]);
    let disk_at = manifest_at + BLOCK + blocks(names.manifest_of(none, none).len() as u64);
    let written = grains::write(job, file, disk_at + BLOCK, meter)?;
    let digest = digest(file, disk_at + BLOCK, written.length, meter).map_err(failed)?;
    let mut text = descriptor(&name, &names.disk, &written, &guest).into_bytes();
    text.resize(room, b'\n');
    let manifest = names.manifest_of(Sha256Digest::of(&text), digest);
    let put = |at: u64, name: &str, bytes: &[u8]| file.write_all_at(&[&header(name, bytes.len() as u64)?, bytes].concat(), at);
    let put_all = || {
        let end = disk_at + BLOCK + written.length;
        file.set_len((end + 2 * BLOCK).next_multiple_of(RECORD))?;
        file.write_all_at(&header(&names.disk, written.length)?, disk_at)?;
        put(manifest_at, &names.manifest, manifest.as_bytes())?;
        // Last, so that no reader takes an incomplete file for an archive.
        put(0, &names.descriptor, &text)
    };
    put_all().map_err(failed)
}

/// The names in the archive.
struct Names {
    descriptor: String,
    manifest: String,
    disk: String,
}

impl Names {
    /// After the file's own name, with letters that every importer takes, in a URI as well (`ovf:href`).
    fn of(target: &Path) -> Self {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
        let stem: String = target.file_stem().unwrap_or_default().to_string_lossy().chars().map(plain).take(MAX_NAME).collect();
        Self { descriptor: format!("{stem}.ovf"), manifest: format!("{stem}.mf"), disk: format!("{stem}-disk1.vmdk") }
    }

    /// The manifest (DSP0243, 5.1): a line for each other file.
    fn manifest_of(&self, descriptor: Sha256Digest, disk: Sha256Digest) -> String {
        format!("SHA256({})= {descriptor}\nSHA256({})= {disk}\n", self.descriptor, self.disk)
    }
}

/// The header of a file with `size` bytes. Owner and time are zero, so that the same disk gives the same bytes. A size from 8 GiB on is
/// written in binary, as GNU tar does, because twelve octal digits do not hold it.
fn header(name: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

/// `bytes` in whole blocks.
fn blocks(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK)
}

/// The digest of the `length` bytes of `file` from the byte `at` on. The disk is read again: its beginning is written last.
fn digest(file: &File, at: u64, length: u64, meter: &Meter) -> io::Result<Sha256Digest> {
    let mut reader = file;
    reader.seek(SeekFrom::Start(at))?;
    let (mut reader, mut hasher) = (reader.take(length), HashingWriter::new(io::sink()));
    let mut buffer = vec![0; READ_BYTES];
    loop {
        // The bytes were counted before, when the disk was read. This only stops the work once the waiter is gone.
        meter.count(0)?;
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish().1),
            count => hasher.write_all(&buffer[..count])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_fit_a_header() {
        let names = Names::of(Path::new("dir/a b/ü&<c>.1.ova"));
        assert_eq!((names.descriptor.as_str(), names.disk.as_str()), ("___c_.1.ovf", "___c_.1-disk1.vmdk"));
        let names = Names::of(Path::new(&"é".repeat(120)));
        assert!(header(&names.disk, 1).is_ok() && names.disk.len() == MAX_NAME + "-disk1.vmdk".len());
    }

    #[test]
    fn sizes_from_8_gib_on_are_kept() {
        for size in [0, (8 << 30) - 1, 8 << 30, 2 << 40] {
            let bytes = header("a", size).unwrap();
            let block: &[u8; 512] = bytes.as_slice().try_into().unwrap();
            assert_eq!(tar::Header::from_byte_slice(block).size().unwrap(), size);
        }
    }
}

//! Writes the proved image in the other formats that a recipe asks for, beside it.

use std::path::Path;

use super::manifest;
use crate::artifact::ImageRecord;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::image::export::{ExportFormat, export};
use crate::image::{Disk, Format, FreeSpace};
use crate::recipe::{Firmware, OutputFormat};

/// Write the qcow2 `image`, which this firmware boots, in each of `formats`, into the same directory and under the artifact's `name`, and
/// report the written files. Properties of the image that a receiver may not accept become warnings.
///
/// # Errors
/// The image cannot be read, or the host lacks space.
pub(super) async fn write(
    image: &Path,
    name: &str,
    firmware: Firmware,
    formats: &[OutputFormat],
    events: &Events,
) -> Result<Vec<ImageRecord>, AnyFailure> {
    let mut written = Vec::new();
    for output in formats {
        let task = events.task(format!("write {}", output.name()));
        let disk = Disk::open_as(image, Format::Qcow2, None)?;
        let (format, warning) = ExportFormat::of(*output, &disk, name, firmware);
        warning.into_iter().for_each(|warning| events.warn(warning));
        let target = image.with_file_name(format!("{name}{}", output.suffix()));
        // The image was already written without unused blocks.
        let exported = export(&disk, FreeSpace::default(), format, &target, &task).await?;
        written.push(manifest::file_record(&target, output.name(), exported.virtual_size, &task).await?);
        task.done();
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::super::manifest::tests::Here;
    use super::*;
    use crate::recipe::load;

    #[test]
    fn each_format_is_written_once_beside_the_image_and_holds_its_disk() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let names = OutputFormat::ALL.map(OutputFormat::name);
        let formats = serde_json::to_string(&[names, names].concat()).unwrap();
        let text = format!(
            "schema = 1\nname = \"lab\"\n[media]\ninstaller = \"deploy\"\ndistribution = \"debian\"\nsuite = \"bookworm\"\n[system]\n\
             root = \"locked\"\n[output]\nformats = {formats}\n"
        );
        fs::write(at("lab.toml"), text).unwrap();
        let recipe = load(at("lab.toml").to_str().unwrap(), &[], &Here).unwrap();
        fs::write(at("disk"), [b"goldsmith".repeat(10_000), vec![0; 3 << 20]].concat()).unwrap();
        let qemu_img = |words: &[&str]| {
            let output = Command::new("qemu-img").args(words).current_dir(&temp).output().unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
        };
        qemu_img(&["resize", "-q", "-f", "raw", "disk", "4M"]);
        qemu_img(&["convert", "-O", "qcow2", "disk", "lab.qcow2"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let records = runtime.block_on(write(&at("lab.qcow2"), "lab", Firmware::Bios, &recipe.output.formats, &Events::none())).unwrap();
        assert_eq!(records.iter().map(|record| record.format.as_str()).collect::<Vec<_>>(), names);
        for record in &records {
            assert_eq!(fs::metadata(at(&record.file)).unwrap().len(), record.bytes, "{record:?}");
            assert_eq!(record.virtual_bytes, 4 << 20, "{record:?}");
        }
        for (name, format) in [("lab.raw", "raw"), ("lab.vmdk", "vmdk"), ("lab.vhd", "vpc"), ("lab.vhdx", "vhdx")] {
            qemu_img(&["compare", "-q", "-f", "qcow2", "-F", format, "lab.qcow2", name]);
        }
    }
}

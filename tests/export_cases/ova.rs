//! `goldsmith image export` to an OVA: tar unpacks it, sha256sum has its digests, and COT reads the machine.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::vmdk::STREAM;
use super::{KIB, MIB, Place, noise, text};
use crate::kickstart_cases::python_tool;
use crate::support::GOLDSMITH;

/// Runs COT. It expects SHA-1 digests in every manifest of OVF 1.x, so this script makes it read them as SHA-256. Nothing else of it is
/// changed.
const COT: &str = r#"
import sys
from COT.vm_description.ovf import OVF
from COT.ui.cli import main
OVF.checksum_algorithm = "sha256"
sys.argv[0] = "cot"
main()
"#;

/// Run COT with these words here.
fn run_cot(place: &Place, words: &[&str]) -> Output {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    // ci/test makes the same.
    let python = PYTHON.get_or_init(|| python_tool("cot", &["cot==2.2.1"]).join("python3"));
    fs::write(place.at("cot.py"), COT).unwrap();
    Command::new(python).args(["-B", "cot.py"]).args(words).current_dir(&place.0).output().unwrap()
}

/// COT's description of an OVA, and its complaints.
fn cot(place: &Place, name: &str) -> (String, String) {
    let output = run_cot(place, &["info", name]);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stderr}");
    let complaints = stderr.lines().filter(|line| !line.contains("No product class given")).collect::<Vec<_>>().join("\n");
    (stdout, complaints)
}

/// The member `name` of an OVA.
fn member(place: &Place, ova: &str, name: &str) -> String {
    place.shows(&format!("tar -xOf {ova} {name}"))
}

#[test]
fn an_ova_is_unpacked_by_tar_and_read_by_cot() {
    let place = Place::new();
    fs::write(place.at("stream.py"), STREAM).unwrap();
    place.disk("disk", 80 * MIB + 512, &[(0, text(3 * MIB)), (40 * MIB, noise(MIB)), (80 * MIB, vec![1; 512])]);
    place.shows("goldsmith image export disk a.b.ova");
    let listed = place.shows("tar --utc -tvf a.b.ova");
    let words: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let names: Vec<_> = words.iter().map(|line| *line.last().unwrap()).collect();
    assert_eq!(names, ["a.b.ovf", "a.b.mf", "a.b-disk1.vmdk"]);
    for line in &words {
        assert_eq!((line[0], line[1], line[3], line[4]), ("-rw-r--r--", "0/0", "1970-01-01", "00:00"), "{listed}");
    }
    place.shows("tar -xf a.b.ova");
    // The manifest has the form of sha256sum with a tag, except for a space.
    let manifest = fs::read_to_string(place.at("a.b.mf")).unwrap();
    assert_eq!(manifest, place.shows("sha256sum --tag a.b.ovf a.b-disk1.vmdk").replace(" (", "(").replace(" = ", "= "));
    place.shows("python3 -B stream.py a.b-disk1.vmdk back");
    place.shows("qemu-img compare -f raw -F raw disk back");
    place.shows("qemu-img compare -f raw -F vmdk disk a.b-disk1.vmdk");
    // The disk in it equals the one that is exported by itself.
    place.shows("goldsmith image export disk alone.vmdk");
    place.shows("cmp alone.vmdk a.b-disk1.vmdk");
    let size = fs::metadata(place.at("alone.vmdk")).unwrap().len();
    let grains = 3 * MIB + MIB + 64 * KIB;
    let descriptor = fs::read_to_string(place.at("a.b.ovf")).unwrap();
    assert!(descriptor.contains(&format!("ovf:size=\"{size}\"")) && descriptor.contains(&format!("ovf:populatedSize=\"{grains}\"")));
    assert!(descriptor.contains(&format!("ovf:capacity=\"{}\"", 80 * MIB + 64 * KIB)) && !descriptor.contains("firmware"));

    let (said, complaints) = cot(&place, "a.b.ova");
    assert_eq!(complaints, "");
    for line in ["a.b-disk1.vmdk", "harddisk @ SCSI 0:0", "vmx-10", "lsilogic", "E1000", "VM Network", "2     2 GiB"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // COT can change the machine and write an OVA again, which it refuses when a part is missing.
    let changed = run_cot(&place, &["-f", "edit-hardware", "a.b.ova", "-o", "changed.ova", "--cpus", "4"]);
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    assert!(cot(&place, "changed.ova").0.contains("4     2 GiB"));
}

#[test]
fn a_spoilt_ova_is_found_out_by_its_manifest() {
    let place = Place::new();
    place.disk("disk", 2 * MIB, &[(0, text(MIB))]);
    place.shows("goldsmith image export disk to.ova");
    let bytes = fs::read(place.at("to.ova")).unwrap();
    let at = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
    for (place_of, file) in
        [(at(b"KDMV") + 66 * 1024, "to-disk1.vmdk"), (at(b"SHA256(to-disk1.vmdk)= ") + 30, "to-disk1.vmdk"), (at(b"vmx-10") + 5, "to.ovf")]
    {
        fs::write(place.at("spoilt.ova"), &bytes).unwrap();
        let other = if bytes[place_of] == b'0' { b'1' } else { b'0' };
        File::options().write(true).open(place.at("spoilt.ova")).unwrap().write_all_at(&[other], place_of as u64).unwrap();
        let (_, complaints) = cot(&place, "spoilt.ova");
        assert!(complaints.contains(&format!("The sha256 checksum for file '{file}' is expected to be")), "{file}: {complaints}");
        assert_eq!(complaints.matches("tampered").count(), 1, "{complaints}");
    }
}

#[test]
fn any_name_is_written_so_that_it_can_be_read() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, text(MIB))]);
    let name = "a&<b> \"c\" 'é'";
    let output = Command::new(GOLDSMITH).args(["image", "export", "disk", &format!("{name}.ova")]).current_dir(&place.0).output().unwrap();
    assert!(output.status.success());
    fs::rename(place.at(format!("{name}.ova")), place.at("to.ova")).unwrap();
    assert_eq!(place.shows("tar -tf to.ova"), "a__b___c_____.ovf\na__b___c_____.mf\na__b___c_____-disk1.vmdk\n");
    let descriptor = member(&place, "to.ova", "a__b___c_____.ovf");
    assert!(descriptor.contains("<Name>a&amp;&lt;b&gt; &quot;c&quot; &apos;é&apos;</Name>"), "{descriptor}");
    assert_eq!(cot(&place, "to.ova").1, "");
}

#[test]
fn the_machine_is_what_the_system_needs() {
    let place = Place::new();
    let machine = |disk: &str| {
        let _ = fs::remove_file(place.at("to.ova"));
        place.shows(&format!("goldsmith image export {disk} to.ova"));
        member(&place, "to.ova", "to.ovf")
    };
    let uefi = "<vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>";
    // Only an EFI system partition; then also boot code, with which GRUB boots on a BIOS as well.
    place.disk("disk", 64 * MIB, &[]);
    place.shows("sgdisk -n 1:2048:+32M -t 1:ef00 disk");
    assert!(machine("disk").contains(uefi));
    File::options().write(true).open(place.at("disk")).unwrap().write_all_at(&[0xeb], 0).unwrap();
    assert!(!machine("disk").contains(uefi));

    let tree = place.at("tree/lib/modules");
    fs::create_dir_all(place.at("tree/etc")).unwrap();
    fs::write(place.at("tree/etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian <12>\"\n").unwrap();
    let general = "kernel/drivers/message/fusion/mptspi.ko: a.ko\nkernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz:\n";
    let cloud = "kernel/drivers/scsi/vmw_pvscsi.ko:\nkernel/drivers/net/vmxnet3/vmxnet3.ko:\n";
    for (kernels, built_in, controller, adapter) in [
        (&[general][..], "", "lsilogic", "E1000"),
        (&[cloud], "", "VirtualSCSI", "VmxNet3"),
        (&[cloud], "kernel/drivers/net/ethernet/intel/e1000/e1000.ko\n", "VirtualSCSI", "E1000"),
        // The disk must run with each kernel.
        (&[general, cloud], "", "lsilogic", "E1000"),
        (&[&[general, cloud].concat(), cloud], "", "VirtualSCSI", "VmxNet3"),
        (&[], "", "lsilogic", "E1000"),
    ] {
        let _ = fs::remove_dir_all(&tree);
        for (number, list) in kernels.iter().enumerate() {
            let dir = tree.join(number.to_string());
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("modules.dep"), list).unwrap();
            fs::write(dir.join("modules.builtin"), built_in).unwrap();
        }
        let _ = fs::remove_file(place.at("root"));
        place.shows("mke2fs -q -F -t ext4 -d tree root 16M");
        let said = machine("root");
        for part in [controller, adapter] {
            assert!(said.contains(&format!("<rasd:ResourceSubType>{part}</rasd:ResourceSubType>")), "{kernels:?}: {said}");
        }
        assert!(said.contains("ovf:id=\"96\"") && said.contains("<Description>Debian &lt;12&gt;</Description>"), "{said}");
    }
}

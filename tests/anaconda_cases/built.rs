//! Builds that succeed although something differs from the plain rehearsal: a medium with another label, a second kernel, a disk that was
//! not unmounted.
//!
//! Each takes an installation (minutes of an emulated processor), so `ci/full` runs them, or `REHEARSAL_ROWS` with their names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Medium, at, el7_path, is_wanted, made, medium, note, overrides, set};
use crate::container_cases;
use crate::fixture::{PASSWORD, holds, machines, place};
use crate::online_cases::server::Server;
use crate::support::{Ended, goldsmith};

/// Longer than the longest row may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A build.
struct Row {
    name: &'static str,
    /// Arguments of `build.py`.
    medium: &'static [&'static str],
    /// Arguments of QEMU for a machine with a network.
    machine: &'static str,
    /// The recipe without its first lines: its changes to the flagship.
    recipe: &'static str,
    /// A command that is run after a log-in to the published image, and its output.
    login: Option<(&'static str, &'static str)>,
}

/// The checks that every row has in addition to its own.
const DOCKER: &str = "[[check]]\ndocker = { storage_driver = \"overlay2\", cgroup_driver = \"cgroupfs\" }\n";

/// A check that a command succeeds.
macro_rules! check {
    ($command:literal) => {
        concat!("[[check]]\ncommand = { run = '''", $command, "''' }\n")
    };
}

const ROWS: &[Row] = &[
    Row {
        name: "another label",
        medium: &["--label", "OL-7.5 Server.x86_64"],
        machine: "",
        recipe: check!("grep -q rehearsal /etc/centos-release"),
        login: None,
    },
    Row {
        name: "two cards",
        medium: &[],
        machine: "-netdev user,id=second,restrict=on -device virtio-net-pci,netdev=second,addr=0x1e",
        // The settings apply to the first card, and the second is not changed.
        recipe: concat!(
            check!("ip -4 -o address show dev eth0 | grep -q 172.16.51.35/24"),
            check!("! ip -4 -o address show dev eth1 | grep inet"),
            check!("! grep HWADDR /etc/sysconfig/network-scripts/ifcfg-*"),
        ),
        login: Some(("ip -4 -o address show dev eth0", "172.16.51.35/24")),
    },
    Row {
        name: "interfaces",
        medium: &[],
        machine: "",
        // Two cards with VLANs, and two in a bond. Each interface is a promise, which the proof asks the kernel about.
        recipe: concat!(
            "[[interface]]\nname = \"eth1\"\naddress = \"10.9.0.5/24\"\nmtu = 1400\n",
            "[[interface]]\nname = \"eth0.100\"\nvlan = { id = 100, parent = \"eth0\" }\naddress = \"10.100.0.5/24\"\n",
            "[[interface]]\nname = \"lab\"\nvlan = { id = 200, parent = \"eth1\" }\naddress = \"10.200.0.5/24\"\n",
            "[[interface]]\nname = \"bond0\"\nbond = { members = [\"eth2\", \"eth3\"] }\naddress = \"10.8.0.5/24\"\n",
            check!("ip -d link show dev eth0.100 | grep -q 'vlan protocol 802.1Q id 100'"),
            check!("ip -4 -o address show dev eth0 | grep -q 172.16.51.35/24"),
            check!("grep -q 'Currently Active Slave: eth[23]' /proc/net/bonding/bond0"),
        ),
        login: None,
    },
    Row {
        name: "LVM and XFS",
        medium: &[],
        machine: "",
        // The default layout of CentOS 7: /boot on a partition, the rest in a volume group.
        recipe: concat!(
            "[disk]\nlvm = true\nfilesystem = \"xfs\"\nswap = \"512M\"\n",
            check!("test \"$(findmnt -no SOURCE,FSTYPE / | tr -s ' ')\" = '/dev/mapper/system-root xfs'"),
            check!("test \"$(findmnt -no FSTYPE /boot)\" = xfs"),
            check!("test \"$(swapon --noheadings --show=SIZE)\" = 512M"),
        ),
        login: Some(("lsblk -nro NAME,FSTYPE,MOUNTPOINT | grep -c -e 'system-root xfs /$' -e 'system-swap swap'", "2")),
    },
    Row {
        name: "XFS",
        medium: &[],
        machine: "",
        recipe: concat!(
            "[disk]\nfilesystem = \"xfs\"\nswap = \"256M\"\n",
            check!("test \"$(findmnt -no FSTYPE /)\" = xfs"),
            check!("test -n \"$(swapon --noheadings --show)\""),
        ),
        login: None,
    },
    Row {
        name: "UEFI",
        medium: &[],
        machine: "",
        // The files of shim and GRUB belong to packages, and the menu is beside GRUB. The checks boot without the boot loader.
        recipe: concat!(
            "[disk]\nfirmware = \"uefi\"\n",
            check!("test \"$(findmnt -no FSTYPE /boot/efi)\" = vfat"),
            check!("rpm -q shim-x64 grub2-efi-x64 efibootmgr dosfstools"),
            check!("cmp /boot/efi/EFI/BOOT/BOOTX64.EFI /boot/efi/EFI/centos/shimx64.efi"),
            check!("grep -q linuxefi /boot/efi/EFI/centos/grub.cfg && ! test -e /boot/grub2/grub.cfg"),
        ),
        // The firmware of a new machine has no boot entries: shim's fallback has made one, and GRUB has started the kernel as an EFI
        // program.
        login: Some(("test -d /sys/firmware/efi && efibootmgr | grep -o 'CentOS Linux'", "CentOS Linux")),
    },
    Row {
        name: "/boot",
        medium: &[],
        machine: "",
        recipe: concat!(
            "[disk]\nboot = \"512M\"\n",
            check!("test \"$(findmnt -no FSTYPE /boot)\" = ext4"),
            check!("test \"$(lsblk -nbo SIZE \"$(findmnt -no SOURCE /boot)\")\" = 536870912"),
        ),
        login: Some(("findmnt -no SOURCE /boot", "/dev/vda2")),
    },
    Row {
        name: "second kernel",
        medium: &["--bundle", "second-kernel"],
        machine: "",
        // Both kernels are installed. The runner and the boot loader boot the newer one. `updates` is an id of the stock repositories.
        recipe: concat!(
            "[[provision]]\nname = \"newer-kernel\"\n",
            "files = [{ path = \"/etc/yum.repos.d/newer.repo\", content = \"[newer]\\nname=newer\\nbaseurl=file:///root/Docker/updates\\ngpgcheck=0\\n\" }]\n",
            "script = \"yum -y --disablerepo='*' --enablerepo=newer upgrade\"\n",
            check!("test \"$(rpm -q kernel | wc -l)\" = 2"),
            check!("test \"$(uname -r)\" = \"$(ls /lib/modules | sort -V | tail -n 1)\""),
        ),
        login: Some(("test \"$(uname -r)\" = \"$(ls /lib/modules | sort -V | tail -n 1)\" && echo newest", "newest")),
    },
    Row {
        name: "unclean journal",
        medium: &["--fault", "unclean@end"],
        machine: "",
        // The file is only in the journal when the power goes.
        recipe: "[[check]]\nfile = { path = \"/etc/rehearsal-journal\", contains = \"replayed\" }\n",
        login: None,
    },
    Row { name: "zstd metadata", medium: &["--bundle", "zstd"], machine: "", recipe: check!("yum -q list docker-ce"), login: None },
    Row {
        name: "provision",
        medium: &[],
        machine: "",
        recipe: concat!(
            "[[provision]]\nname = \"file\"\nfiles = [{ path = \"/etc/rehearsal/one\", content = \"one\\n\", mode = \"0640\" }]\n",
            "[[provision]]\nname = \"script\"\nscript = \"systemctl is-active docker && cp /etc/rehearsal/one /etc/rehearsal/two\"\n",
            // A file is deleted on a disk that cannot discard. `fstrim` fails as on EL7, and the file's content must not be in the image.
            "[[provision]]\nname = \"deleted\"\nscript = '''\n",
            "marker() { yes \"left behind: $((6 * 7))\" | head -c \"$1\"; }\n",
            "mkdir /var/lib/blocks\nfor n in $(seq 100 199); do\n",
            "if [ $((n % 10)) = 5 ]; then marker 4096; else yes stays | head -c 4096; fi > /var/lib/blocks/$n\ndone\n",
            "marker 1048576 > /var/lib/large\nsync\nrm /var/lib/large /var/lib/blocks/1?5\n",
            "if fstrim / 2> /run/said; then exit 9; fi\ngrep 'discard operation is not supported' /run/said\n'''\n",
            check!("test \"$(stat -c %a /etc/rehearsal/one)\" = 640 && cmp /etc/rehearsal/one /etc/rehearsal/two"),
        ),
        login: None,
    },
];

#[test]
fn a_build_that_is_not_plain_succeeds() {
    let mut wrong = String::new();
    for row in ROWS.iter().filter(|row| is_wanted(row.name, false)) {
        let medium = made(row.medium);
        let recipe = format!(
            "schema = 1\nname = \"row\"\nextends = {{ recipe = \"centos-7.5-docker\", replace = [\"check\"] }}\n{}{DOCKER}",
            row.recipe
        );
        let overrides = set(&overrides(&medium), |key| !key.starts_with("check."));
        if let Err(why) = build(row.name, &recipe, &overrides, row.machine, row.login) {
            writeln!(wrong, "--- {}: {why}", row.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The recipe of a Kubernetes node. The kernel is Debian's, which no longer has `nf_conntrack_ipv4`, so only the rendered text shows that
/// module.
#[test]
fn a_kubernetes_node_is_built() {
    if !is_wanted("kubernetes", false) {
        return;
    }
    let medium = medium();
    let image = place().join("hello-node.tar");
    fs::write(&image, container_cases::layout("amd64", container_cases::NAME)).unwrap();
    let recipe = format!(
        "schema = 1\nname = \"row\"\nextends = \"centos-7.5-kubernetes-node\"\n[[container_image]]\narchive = \"{}\"\n",
        image.display()
    );
    let mut overrides = set(&overrides(medium), |_| true);
    // The disk is smaller, because all of it is searched afterwards.
    overrides.extend(["--set", "kernel.modules.5=nf_conntrack", "--set", "disk.size=8G"].map(str::to_owned));
    let command = "echo $(sysctl -n vm.overcommit_memory kernel.panic kernel.panic_on_oops net.ipv4.ip_forward) \
                   $(grep -c -e '^ip_vs ' -e '^ip_vs_rr ' -e '^ip_vs_wrr ' -e '^ip_vs_sh ' -e '^nf_conntrack ' /proc/modules) \
                   $(wc -l < /proc/swaps) $(systemctl is-enabled kubelet)";
    build("kubernetes", &recipe, &overrides, "", Some((command, "1 10 1 1 5 1 enabled"))).unwrap();
}

/// The online recipe, with repositories of this machine that are made of the medium's packages.
#[test]
fn the_online_recipe_is_built_from_a_server_of_this_host() {
    if !is_wanted("online", false) {
        return;
    }
    let medium = medium();
    let served = served(medium);
    let server = Server::of(&served);
    let recipe = format!(
        "schema = 1\nname = \"row\"\n\
         extends = {{ recipe = \"centos-7.5-docker-online\", replace = [\"check\", \"packages.install\", \"repository\"] }}\n\
         [media.iso]\npath = \"{}\"\nsha256 = \"{}\"\n\
         [[repository]]\nid = \"kubernetes\"\nfile = \"local.repo\"\nunpack_to = \"/root/Docker\"\ngpgcheck = false\n\
         upstream = [{{ name = \"docker-ce-stable\", urls = [\"{url}Docker/\"] }}, {{ name = \"os\", urls = [\"{url}os/\"] }}]\n\
         [packages]\ninstall = [\"yum-utils\", \"lvm2\", \"docker-ce-{docker}\", \"docker-ce-cli-{docker}\", \"containerd.io\"]\n\
         {DOCKER}{}",
        medium.iso,
        medium.sha256,
        check!("yum -q list docker-ce && test -s /root/Docker/repodata/repomd.xml"),
        url = server.url,
        docker = medium.docker,
    );
    build("online", &recipe, &[], "", None).unwrap();
    let asked = server.asked();
    assert!(asked.iter().any(|path| path.contains("docker-ce-cli")), "nothing was fetched: {asked:?}");
}

/// `Docker` and `os`: the bundle's repository and the medium's.
fn served(medium: &Medium) -> PathBuf {
    let directory = place().join("rehearsal-served");
    // The directory may be of another medium.
    drop(fs::remove_dir_all(&directory));
    fs::create_dir_all(&directory).unwrap();
    let ran = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    ran(Command::new("tar").arg("-C").arg(&directory).arg("-xf").arg(&medium.bundle));
    let os = directory.join("os");
    fs::create_dir(&os).unwrap();
    for part in ["Packages", "repodata"] {
        let mut xorriso = Command::new("xorriso");
        xorriso.args(["-report_about", "SORRY", "-osirrox", "on", "-indev", &medium.iso, "-extract"]);
        ran(xorriso.arg(format!("/{part}")).arg(os.join(part)));
    }
    directory
}

/// Build, note the messages, and log in to the published image.
fn build(name: &str, recipe: &str, overrides: &[String], machine: &str, login: Option<(&str, &str)>) -> Result<(), String> {
    let _slot = machines();
    let begun = Instant::now();
    let words = ["build", "row.toml", "-o", "out"].into_iter().chain(overrides.iter().map(String::as_str));
    let path = el7_path(&name.replace(' ', "-"), machine);
    // The plain installation may be in the store already. The second card is not part of its key, and it must be there from the beginning.
    let store = if machine.is_empty() { place().join("store") } else { place().join("store-of-rows") };
    let run = goldsmith(words).file("row.toml", recipe).env("ROOT_PASSWORD", PASSWORD).env("PATH", path).env("GOLDSMITH_STORE", &store);
    let ended = run.patience(PATIENCE).end();
    note(name, &ended, begun.elapsed(), &last_line(&ended));
    if store.ends_with("store-of-rows") {
        drop(fs::remove_dir_all(&store));
    }
    if ended.status != 0 {
        return Err(format!("{}\nevidence: {}", ended.stderr, kept(name, ended.dir()).display()));
    }
    if holds(&ended.dir().join("out/row.qcow2"), b"left behind: 42") {
        return Err("data of a deleted file is in the image".to_owned());
    }
    let Some((command, wanted)) = login else { return Ok(()) };
    let printed = logged_in(&ended.dir().join("out"), command);
    if printed.contains(wanted) { Ok(()) } else { Err(format!("`{command}` printed: {printed}")) }
}

/// Copy the evidence of a failed row out of its temporary directory, because another run would take ten minutes.
fn kept(name: &str, dir: &Path) -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rehearsal-failed").join(name.replace(' ', "-"));
    drop(fs::remove_dir_all(&place));
    fs::create_dir_all(&place).unwrap();
    for entry in fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"out.failed-"))
    {
        assert!(Command::new("cp").arg("-r").arg(entry.path()).arg(&place).status().unwrap().success());
    }
    place
}

/// The last line of goldsmith: the artifact's path, or the reason why there is none.
fn last_line(ended: &Ended) -> String {
    let failed = ended.stderr.lines().find(|line| line.starts_with("error: "));
    let last = failed.or_else(|| ended.stdout.lines().next_back()).unwrap_or_default();
    last.replace(ended.dir().to_str().unwrap(), "[DIR]")
}

/// The output of a command after a log-in on a copy of the published image, which its boot loader boots. An image for UEFI is booted by
/// UEFI without stored boot entries.
fn logged_in(artifact: &Path, command: &str) -> String {
    let (image, disk) = (artifact.join("row.qcow2"), artifact.join("row.raw"));
    let converted = Command::new("qemu-img").args(["convert", "-O", "raw"]).args([&image, &disk]).status().unwrap();
    assert!(converted.success());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(artifact.join("manifest.json")).unwrap()).unwrap();
    let firmware = (manifest["promises"]["firmware"] == "uefi").then_some("--uefi");
    let mut boot = Command::new(at("boot.py"));
    let login = boot.arg("--disk").arg(&disk).args(firmware).args(["login", "--password", PASSWORD, command]).output().unwrap();
    let said: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&login.stdout).unwrap_or_else(|_| panic!("{login:?}"));
    said["commands"][0]["output"].as_str().unwrap_or_default().to_owned()
}

//! Provisioning: steps in the booted system, a layer each, all in one boot. The loading of container images is the last of them.
//!
//! ```text
//!   overlay 1 ── boot ── step 1 ── freeze ── snapshot: overlay 2 ── thaw ── step 2 ── freeze ── end
//!                                     └─ layer 1 is kept                                └─ layer 2 is kept
//! ```
//!
//! A frozen filesystem is consistent and its journal is clean, so a layer can be resumed by booting it.

use std::path::{Path, PathBuf};

use super::{Layer, OVERLAY, StageError, drive};
use crate::base::account::Owner;
use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::base::package::PackageName;
use crate::base::text::shell_line;
use crate::image::{self, BootFiles, Format};
use crate::installer::MAKE_DIRECTORY;
use crate::machine::runner::{Bench, Mode, RunnerTask};
use crate::machine::spec::Drive;
use crate::plan::StepWork;
use crate::recipe::{DockerImage, ProvisionStep};

/// The script that loads container images; part of the stage's id.
pub const LOADING: &str = include_str!("load.sh");
/// The serial number of the disk that it loads from.
const IMAGES: &str = "goldsmith-images";

/// A step that is to become a layer.
#[derive(Debug)]
pub struct Step<'a> {
    /// The work to do.
    pub work: &'a StepWork,
    /// Where its disk file is made.
    pub dir: PathBuf,
    /// What the layer will be called: the directory's final name.
    pub id: String,
}

/// Run `steps` on `base`. `begin` is called with the index of each step before it, and gives its task; the first one's has the boot in it, too.
/// `keep` is called with both as soon as the step's layer is complete. `images` is the archive that container images are loaded from, when that is
/// one of the steps.
///
/// # Errors
/// The machine or a step failed; the layers of the steps before it have been kept.
pub async fn provision(
    base: &Layer,
    steps: &[Step<'_>],
    images: Option<&Path>,
    mut begin: impl FnMut(usize) -> Task,
    mut keep: impl FnMut(usize, Task) -> Result<(), AnyFailure>,
    bench: &Bench<'_>,
) -> Result<(), StageError> {
    let Some(first) = steps.first() else { return Ok(()) };
    let mut task = begin(0);
    let overlay = first.dir.join(OVERLAY);
    image::create_overlay(&base.backing(), base.format(), &overlay).await?;
    let files = BootFiles::extract(&overlay, Format::Qcow2, bench.scratch).await?;
    let mut tasks: Vec<RunnerTask> = steps.iter().enumerate().map(|(index, step)| task_of(index, step.work)).collect();
    // If the address does not come from DHCP, a kickstart of the user's own has configured the network.
    if bench.outside && bench.subnet.is_none() && matches!(first.work, StepWork::Provision(_)) {
        await_network(&mut tasks[0]);
    }
    let images = images.map(|path| Drive { serial: Some(IMAGES.to_owned()), ..Drive::read_only(path, Format::Raw, IMAGES) });
    let disks = [drive(overlay, Format::Qcow2)].into_iter().chain(images).collect();
    let guest = bench.boot("provision", disks, files.parts(), Mode::Live, &tasks, &task).await;
    let mut guest = guest.map_err(|error| StageError::from(error).doing("provisioning"))?;
    for (index, step) in steps.iter().enumerate() {
        let (name, what) = match step.work {
            StepWork::Provision(step) => (step.name.as_str(), format!("provision step `{}`", step.name)),
            StepWork::Load(_) => ("load images", "loading the container images".to_owned()),
        };
        task.step(name);
        let failed = |error| {
            let error = StageError::from(error).doing(&what);
            if matches!(step.work, StepWork::Load(_)) { error.ours("image loading") } else { error }
        };
        if let Err(error) = guest.run_to_success(&tasks[index].name, &task).await.map_err(failed) {
            guest.offer_shell(&error, &task).await;
            return Err(error);
        }
        guest.freeze(&task).await.map_err(failed)?;
        let Some(next) = steps.get(index + 1) else { break };
        let overlay = next.dir.join(OVERLAY);
        let size = image::Disk::open_own(&step.dir.join(OVERLAY), Format::Qcow2)?.info().virtual_size;
        image::create_overlay_unchecked(&Path::new("..").join(&step.id).join(OVERLAY), Format::Qcow2, size, &overlay).await?;
        guest.machine().blockdev_snapshot(&node(index), &overlay, &node(index + 1)).await?;
        guest.thaw(&task).await.map_err(failed)?;
        keep(index, std::mem::replace(&mut task, begin(index + 1))).map_err(StageError::Keep)?;
    }
    // The last layer has no overlay that takes QEMU's writes: it is complete when QEMU has closed it.
    guest.discard().await;
    keep(steps.len() - 1, task).map_err(StageError::Keep)
}

fn node(index: usize) -> String {
    if index == 0 { "disk".to_owned() } else { format!("disk-{index}") }
}

/// The beginning of a task that may reach the internet. It needs a router and a name server from DHCP, but when the runner starts no unit
/// has waited for them. After a minute the step goes on, and fails by itself if it needs them.
const AWAIT_NETWORK: &str = r#"tries=0
until grep -q '^[^[:space:]]*[[:space:]]00000000[[:space:]]' /proc/net/route && grep -q '^nameserver' /etc/resolv.conf; do
    tries=$((tries + 1))
    [ "$tries" -le 60 ] || break
    sleep 1
done
"#;

fn await_network(task: &mut RunnerTask) {
    task.script.splice(BEGINNING.len()..BEGINNING.len(), AWAIT_NETWORK.bytes());
}

fn task_of(index: usize, work: &StepWork) -> RunnerTask {
    match work {
        StepWork::Provision(step) => payload(index, step),
        StepWork::Load(images) => load(index, images),
    }
}

/// The loading of images as a task.
fn load(index: usize, images: &[DockerImage]) -> RunnerTask {
    let lines = images.iter().flat_map(|image| image.tags.iter().map(|tag| format!("sha256:{} {tag}\n", image.id)));
    let files = vec![("images".to_owned(), lines.collect::<String>().into_bytes())];
    RunnerTask { name: format!("step-{index}"), script: LOADING.as_bytes().to_vec(), files }
}

/// How the script of a step's task begins.
const BEGINNING: &str = "#!/bin/sh\nset -eu\n";

/// A step as a task: its files beside the script, then the packages, then the script itself.
pub(super) fn payload(index: usize, step: &ProvisionStep) -> RunnerTask {
    let mut script = String::from(BEGINNING);
    let mut files = Vec::new();
    if !step.files.is_empty() {
        script.push_str(&format!("target=''\n{MAKE_DIRECTORY}"));
    }
    for (number, file) in step.files.iter().enumerate() {
        let name = format!("file-{number}");
        let mode = format!("{:04o}", file.mode);
        let Owner { user, group } = &file.owner;
        // install(1) changes the mode after the owner, which would take setuid away. `-D` would leave new directories to root.
        let parent = file.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        for line in [&["make_directory", parent][..], &["install", "-m", &mode, "-o", user, "-g", group, &name, &file.path]] {
            script.push_str(&shell_line(line.iter().copied()));
            script.push('\n');
        }
        files.push((name, file.content.bytes().to_vec()));
    }
    if !step.packages.is_empty() {
        let packages = shell_line(step.packages.iter().map(PackageName::as_str));
        script.push_str(&format!(
            "if command -v apt-get > /dev/null; then\n    export DEBIAN_FRONTEND=noninteractive\n    apt-get update\n    apt-get install -y --no-install-recommends {packages}\n\
             else\n    yum install -y {packages}\nfi\n"
        ));
    }
    if let Some(content) = &step.script {
        files.push(("script".to_owned(), content.bytes().to_vec()));
        // Without a #! line exec(3) fails, and dash then reads the file itself.
        script.push_str("chmod 0700 ./script\n./script\n");
    }
    RunnerTask { name: format!("step-{index}"), script: script.into_bytes(), files }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;
    use crate::base::digest::Sha256Digest;
    use crate::base::image_path::ImagePath;
    use crate::recipe::{Content, FileEntry};

    /// The first step's script, on files of the test: the data of DHCP is there, comes after a second, or never.
    #[test]
    fn a_step_that_may_reach_the_internet_waits_for_its_network() {
        let head = "Iface\tDestination\tGateway\neth0\t0002000A\t00000000\n";
        let default = format!("{head}eth0\t00000000\t0202000A\n");
        let step = ProvisionStep { name: "a".into(), files: Vec::new(), packages: Vec::new(), script: None };
        let mut task = payload(0, &step);
        await_network(&mut task);
        let script = String::from_utf8(task.script).unwrap();
        assert!(script.starts_with(BEGINNING) && script.ends_with("done\n"), "{script}");
        let script = script.replace("/proc/net/route", "./route").replace("/etc/resolv.conf", "./resolv.conf");
        let script = script.replace("sleep 1", "echo slept >> ./slept; cp ./later ./route");
        let server = "search lab\nnameserver 10.0.2.3\n";
        for (route, later, servers, seconds) in
            [(&*default, head, server, 0), (head, &*default, server, 1), (head, head, server, 60), (&*default, &*default, "", 60)]
        {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in [("route", route), ("later", later), ("resolv.conf", servers), ("slept", "")] {
                fs::write(dir.path().join(name), text).unwrap();
            }
            let status = Command::new("sh").args(["-c", &script]).current_dir(dir.path()).status().unwrap();
            let slept = fs::read_to_string(dir.path().join("slept")).unwrap().lines().count();
            assert_eq!((status.success(), slept), (true, seconds), "{route}{later}{servers}");
        }
    }

    /// A file goes through install(1), which changes the mode last; the directories around it belong to the owner of the home.
    #[test]
    fn files_are_put_before_the_script_runs() {
        let file = FileEntry {
            path: ImagePath::made("/home/ada/a b/tool"),
            mode: 0o4755,
            owner: "root:adm".parse().unwrap(),
            content: Content::Inline { text: "x".to_owned() },
        };
        let script = Some(Content::Inline { text: "true\n".to_owned() });
        let step = ProvisionStep { name: "a".to_owned(), files: vec![file], packages: Vec::new(), script };
        let task = payload(0, &step);
        let text = String::from_utf8(task.script).unwrap();
        assert!(text.contains("\nmake_directory() {\n"), "{text}");
        let lines: Vec<&str> = text.lines().rev().take(4).collect();
        let put = "install -m 4755 -o root -g adm file-0 '/home/ada/a b/tool'";
        assert_eq!(lines, ["./script", "chmod 0700 ./script", put, "make_directory '/home/ada/a b'"]);
        assert_eq!(task.files, [("file-0".to_owned(), b"x".to_vec()), ("script".to_owned(), b"true\n".to_vec())]);
    }

    /// The script, run here with a `docker` and a `systemctl` that record their calls.
    #[test]
    fn images_are_loaded_and_looked_at_before_docker_is_stopped() {
        let image = |id: &[u8], tags: &[&str]| DockerImage {
            id: Sha256Digest::of(id),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
        };
        let one = Sha256Digest::of(b"1");
        let task = load(2, &[image(b"1", &["a:1", "b/c:2"])]);
        assert_eq!((task.name.as_str(), task.files[0].0.as_str()), ("step-2", "images"));
        assert_eq!(String::from_utf8(task.files[0].1.clone()).unwrap(), format!("sha256:{one} a:1\nsha256:{one} b/c:2\n"));
        let run = |docker: Option<&str>| {
            let dir = tempfile::tempdir().unwrap();
            let put = |name: &str, text: &str| {
                let path = dir.path().join("bin").join(name);
                fs::create_dir_all(dir.path().join("bin")).unwrap();
                fs::write(&path, format!("#!/bin/sh\necho \"${{0##*/}} $*\" >> asked\n{text}\n")).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            };
            put("systemctl", "case $* in *docker.socket) exit 5 ;; esac");
            docker.iter().for_each(|text| put("docker", text));
            fs::write(dir.path().join("images"), &task.files[0].1).unwrap();
            let mut shell = Command::new("/bin/sh");
            shell
                .arg("-c")
                .arg(String::from_utf8(task.script.clone()).unwrap())
                .current_dir(dir.path())
                .env("PATH", dir.path().join("bin"));
            let output = shell.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            (output.status.success(), said, fs::read_to_string(dir.path().join("asked")).unwrap_or_default())
        };
        let (fine, said, asked) = run(Some(&format!("[ $1 != inspect ] || echo sha256:{one}")));
        let disk = format!("docker load -q -i /dev/disk/by-id/virtio-{IMAGES}");
        let inspect = "docker inspect --type=image -f {{.Id}}";
        let expected = [
            "systemctl reset-failed docker.service",
            "systemctl restart docker.service",
            &disk,
            &format!("{inspect} a:1"),
            &format!("{inspect} b/c:2"),
            "systemctl stop docker.socket",
            "systemctl stop docker.service",
        ];
        assert!(fine && asked.lines().eq(expected), "{said}{asked}");
        let (fine, said, asked) = run(Some("[ $1 != inspect ] || echo sha256:00"));
        assert!(!fine && said == format!("a:1 was loaded as sha256:00, and is sha256:{one}\n") && !asked.contains("stop"), "{said}{asked}");
        let (fine, said, asked) = run(Some("[ $1 != load ]"));
        assert!(!fine && asked.ends_with(&format!("{disk}\n")), "{said}{asked}");
        let (fine, said, asked) = run(None);
        assert!(!fine && said.starts_with("there is no docker in this system") && asked.is_empty(), "{said}{asked}");
    }
}

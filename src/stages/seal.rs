//! Sealing: the last stage. The comments of `seal.sh` explain what is removed and why.

use std::path::Path;

use super::{Layer, OVERLAY, StageError, drive};
use crate::base::event::Task;
use crate::base::secret::Secret;
use crate::image::{self, BootFiles, Format};
use crate::machine::runner::{Bench, Mode, RunnerTask};
use crate::plan::SealWork;

/// The script; part of the stage's id.
pub const SEALING: &str = include_str!("seal.sh");

/// Seal `base` into a new layer in `dir`. Tasks that come `before` have the same boot.
///
/// # Errors
/// The machine failed, a script failed, or the filesystem was not unmounted cleanly.
pub async fn seal(
    work: &SealWork,
    before: &[RunnerTask],
    base: &Layer,
    dir: &Path,
    bench: &Bench<'_>,
    task: &Task,
) -> Result<(), StageError> {
    let payload = RunnerTask { name: "seal".to_owned(), script: script(work).into_bytes(), files: read(work) };
    let tasks: Vec<RunnerTask> = before.iter().cloned().chain([payload]).collect();
    run_all(&tasks, base, dir, bench, task).await.map_err(|error| error.ours("seal").doing("sealing"))
}

/// Run the tasks in one boot of an overlay over `base`.
async fn run_all(tasks: &[RunnerTask], base: &Layer, dir: &Path, bench: &Bench<'_>, task: &Task) -> Result<(), StageError> {
    let overlay = dir.join(OVERLAY);
    image::create_overlay(&base.backing(), base.format(), &overlay).await?;
    let files = BootFiles::extract(&overlay, Format::Qcow2, bench.scratch).await?;
    let mut guest = bench.boot("seal", vec![drive(overlay, Format::Qcow2)], files.parts(), Mode::Offline, tasks, task).await?;
    for RunnerTask { name, .. } in tasks {
        task.step(name);
        if let Err(error) = guest.run_to_success(name, task).await {
            guest.offer_shell(&error, task).await;
            return Err(error.into());
        }
    }
    guest.end(task).await?;
    Ok(())
}

/// [`SEALING`], after the commands that write the network interfaces: these files are to get their labels, too. The script of
/// images without them stays as it is, and with it their layers.
fn script(work: &SealWork) -> String {
    let (shell, rest) = SEALING.split_once('\n').unwrap_or_default();
    match &work.interfaces {
        Some(interfaces) => format!("{shell}\nset -eu\n{interfaces}{rest}"),
        None => SEALING.to_owned(),
    }
}

/// The files that the script reads. They are put beside it unless they are empty.
fn read(work: &SealWork) -> Vec<(String, Vec<u8>)> {
    let passwords = work.passwords.as_ref().map(Secret::reveal);
    let (address, servers) = (work.address.as_deref(), work.resolv_conf.as_deref());
    let texts = [("names", work.names.as_deref()), ("address", address), ("resolv.conf", servers), ("passwords", passwords)];
    texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.as_bytes().to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::installer::hostname::UNNAMED;

    #[test]
    fn the_script_reads_what_there_is_to_set() {
        let nothing = SealWork { names: None, address: None, interfaces: None, resolv_conf: None, passwords: None };
        assert_eq!((read(&nothing), script(&nothing).as_str()), (Vec::new(), SEALING));
        let all = SealWork {
            names: Some("node\nnode\n".to_owned()),
            address: Some("iface eth0 inet static\n".to_owned()),
            interfaces: Some("cat > x <<'END'\ny\nEND\n".to_owned()),
            resolv_conf: Some("nameserver 10.0.0.2\n".to_owned()),
            passwords: Some(Secret::new("root:$6$a$b\n")),
        };
        let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        let expected = [
            file("names", "node\nnode\n"),
            file("address", "iface eth0 inet static\n"),
            file("resolv.conf", "nameserver 10.0.0.2\n"),
            file("passwords", "root:$6$a$b\n"),
        ];
        assert_eq!(read(&all), expected);
        let set = "#!/bin/sh\nset -eu\ncat > x <<'END'\ny\nEND\n";
        assert_eq!(script(&all), SEALING.replacen("#!/bin/sh\n", set, 1));
        for name in ["names", "address", "resolv.conf", "passwords"] {
            assert!(SEALING.contains(&format!("if [ -e ./{name} ]; then\n")), "{name}");
        }
        assert!(SEALING.contains(&format!(" {UNNAMED} ")), "the name that systems are made under is another");
    }

    /// The part of the script that sets passwords, on a file of the test.
    #[test]
    fn passwords_are_set_and_nothing_beside_them() {
        let (_, part) = SEALING.split_once("if [ -e ./passwords ]; then\n").unwrap();
        let (part, _) = part.split_once("\nfi\n").unwrap();
        let script = format!("set -eu\n{}", part.replace("/etc/shadow", "./shadow"));
        let before = "root:*:19000:0:99999:7:::\na.b:!!:19000::::::\naxb:!:19000::::::\nroota:x:1::::::\n";
        let sealed = |passwords: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("shadow"), before).unwrap();
            fs::write(dir.path().join("passwords"), passwords).unwrap();
            let output = Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            (output.status.success(), said, fs::read_to_string(dir.path().join("shadow")).unwrap())
        };
        let after = "root:$6$a./Z$b:19000:0:99999:7:::\na.b:$5$c$d:19000::::::\naxb:!:19000::::::\nroota:x:1::::::\n";
        assert_eq!(sealed("a.b:$5$c$d\nroot:$6$a./Z$b\n"), (true, String::new(), after.to_owned()));
        let (fine, said, _) = sealed("ada:$6$a$b\n");
        assert!(!fine && said.starts_with("the account ada is not in ./shadow"), "{said}");
    }
}

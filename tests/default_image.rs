//! The embedded default recipe, built for real: the artifact's texts, and the results of other tools on it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::apt_repository_cases::Repository;
use crate::container_cases;
use crate::fixture::{Fixture, fixture, goldsmith, holds, machines, place, root_override};
use crate::online_cases::server::Server;
use crate::support::make_disk;

#[test]
fn the_default_image_is_built_and_proved() {
    let _slot = machines();
    let fixture = fixture();
    let manifest: Value = serde_json::from_slice(&fs::read(fixture.artifact.join("manifest.json")).unwrap()).unwrap();
    let checks = manifest["checks"].as_array().unwrap();
    assert!(checks.len() > 25 && checks.iter().all(|check| check["outcome"] == "passed"), "{checks:#?}");
    assert!(manifest["docker_info"]["ServerVersion"].as_str().unwrap().starts_with("20.10.24"));
    assert_eq!(manifest["verification"]["verified"], true);
    let text = manifest.to_string();
    assert!(!text.contains(crate::fixture::PASSWORD) && !text.contains("$6$"), "a password is in the manifest");
    // No published text names anything of the building host, and the layers have the output of the machines.
    for name in ["manifest.json", "build.ndjson", "report.html", "SHA256SUMS"] {
        let text = fs::read_to_string(fixture.artifact.join(name)).unwrap();
        assert!(!text.contains(place().to_str().unwrap()) && !text.contains("\"event\":\"line\""), "{name}: {text}");
    }
    let install = manifest["stages"][0]["id"].as_str().unwrap();
    let journal = fs::read_to_string(place().join("store/v1/layers").join(install).join("build.ndjson")).unwrap();
    assert!(journal.contains("\"event\":\"line\"") && journal.contains("mmdebstrap"));
    let page = fs::read_to_string(fixture.artifact.join("report.html")).unwrap();
    let text = page.replace("&#x2f;", "/");
    assert!(!text.contains(place().to_str().unwrap()) && !text.contains(crate::fixture::PASSWORD), "{page}");
    let sha256 = manifest["image"]["sha256"].as_str().unwrap();
    for part in [&format!("Proved: {} checks passed", checks.len()), sha256, "docker.io", "violet", "ext4", "install", "verify"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let image = fixture.artifact.join("debian-12-docker.qcow2");
    for command in [Command::new("qemu-img").arg("check").arg(&image), Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"])] {
        let output = command.current_dir(&fixture.artifact).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // A second build finds the artifact, and nothing is run.
    let output = fixture.artifact.to_str().unwrap();
    let again = goldsmith(&["build", "debian-12-docker", "-o", output, "--set", &root_override(&fixture.key)]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&again.stdout), format!("{}: up to date\n", image.display()));
    the_same_bytes_are_proved_once(fixture, &manifest);
}

/// In another directory the artifact is made again from the flattened image in the store, with the verdict of the first proof. The fixture may be from
/// another version of goldsmith, and its proof does not count then. So the test examines the second of two builds.
fn the_same_bytes_are_proved_once(fixture: &Fixture, manifest: &Value) {
    let elsewhere = place().join("elsewhere");
    let build = || {
        let _ = fs::remove_dir_all(&elsewhere);
        let built = goldsmith(&["build", "debian-12-docker", "-o"]).arg(&elsewhere).args(["--set", &root_override(&fixture.key)]).output();
        built.unwrap()
    };
    build();
    let built = build();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success() && said.contains("verify: cached") && said.contains("the same bytes passed the same checks at "),
        "{said}"
    );
    assert!(said.contains("flatten: cached") && !said.contains("booting"), "{said}");
    let again: Value = serde_json::from_slice(&fs::read(elsewhere.join("manifest.json")).unwrap()).unwrap();
    assert_eq!((&again["image"], &again["promises"]), (&manifest["image"], &manifest["promises"]));
    let names = |manifest: &Value| manifest["checks"].as_array().unwrap().iter().map(|check| check["name"].clone()).collect::<Vec<_>>();
    assert_eq!((names(&again), &again["verification"]["verified"]), (names(manifest), &Value::Bool(true)));
    fs::remove_dir_all(&elsewhere).unwrap();
}

/// With `[verify] clones = 2` the proof includes that two copies of the image get different identities.
#[test]
#[ignore = "boots the image seven times: ci/full"]
fn clones_are_a_part_of_the_proof() {
    let _slot = machines();
    let fixture = fixture();
    let output = place().join("cloned");
    let _ = fs::remove_dir_all(&output);
    let set = ["--set", &root_override(&fixture.key), "--set", "verify.clones=2", "--set", "output.warm=true"];
    let built = goldsmith(&["build", "debian-12-docker", "-o"]).arg(&output).args(set).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let manifest: Value = serde_json::from_slice(&fs::read(output.join("manifest.json")).unwrap()).unwrap();
    for own in ["machine id", "boot id", "Docker engine id", "ssh host key, ssh-ed25519", "random seed, /var/lib/systemd/random-seed"] {
        // Also when they go on from the state that is published.
        for name in [format!("two clones differ: {own}"), format!("two warm clones differ: {own}")] {
            let found = manifest["checks"].as_array().unwrap().iter().find(|check| check["name"] == *name);
            assert_eq!(found.map(|check| &check["outcome"]), Some(&Value::from("passed")), "{name}: {}", manifest["checks"]);
        }
    }
    assert_eq!(manifest["promises"]["clones"], true);
    fs::remove_dir_all(&output).unwrap();
}

/// An artifact of another recipe: a small system without packages.
fn put_small_artifact(target: &Path) {
    let _ = fs::remove_dir_all(target);
    let tree = target.join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=small\nPRETTY_NAME=Small\n").unwrap();
    make_disk(&tree, &target.join("disk.raw"));
    let convert = "qemu-img convert -O qcow2 disk.raw debian-12-docker.qcow2 && rm -r tree disk.raw";
    assert!(Command::new("sh").args(["-c", convert]).current_dir(target).status().unwrap().success());
    let bytes = fs::metadata(target.join("debian-12-docker.qcow2")).unwrap().len();
    let manifest = include_str!("golden/manifest.json").replace("\"bytes\": 5,", &format!("\"bytes\": {bytes},"));
    fs::write(target.join("manifest.json"), manifest).unwrap();
}

/// A container image in two archives of different forms: Docker gets one image with two names.
fn put_container_images() {
    fs::create_dir_all(place()).unwrap();
    fs::write(place().join("hello.tar"), container_cases::layout("amd64", container_cases::NAME)).unwrap();
    let saved = place().join("hello-saved.tar");
    let _ = fs::remove_file(&saved);
    let from = format!("oci-archive:{}:{}", place().join("hello.tar").display(), container_cases::NAME);
    container_cases::skopeo(&["copy", "-q", &from, &format!("docker-archive:{}:lab/hello:saved", saved.display())]);
}

#[test]
fn a_uefi_image_with_provision_steps_is_built_proved_and_resumed() {
    let _slot = machines();
    // The recipe also has a package of a repository that this test has made and signed.
    let repository = Repository::new();
    let server = Server::of(&repository.served());
    put_container_images();
    let recipe = place().join("uefi-provisioned.toml");
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recipes/uefi-provisioned.toml");
    let text = format!(
        "schema = 1\nname = \"uefi-provisioned\"\nextends = \"{base}\"\n{}\n[packages]\ninstall = [\"lab-tool\"]\n\
         [[check]]\ncommand = {{ run = \"lab-tool\", stdout = \"the lab's tool\" }}\n\
         [[container_image]]\narchive = \"hello.tar\"\nrun = [\"/hello\"]\nstdout = \"{}\"\n\
         [[container_image]]\narchive = \"hello-saved.tar\"\n",
        repository.setting(&server, "maker", ""),
        container_cases::HELLO
    );
    fs::write(&recipe, text).unwrap();
    let recipe = recipe.to_str().unwrap();
    let target = place().join("uefi-provisioned");
    let output = target.to_str().unwrap();
    put_small_artifact(&target);
    // It replaces another image, and prints the changes.
    let built = goldsmith(&["build", recipe, "--force", "-o", output]).output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let changed: Vec<&str> = said.lines().filter_map(|line| line.split_once(" changed ")?.1.split(':').next()).collect();
    assert_eq!(changed, ["packages", "settings", "users", "files", "size"], "{said}");
    let manifest: Value = serde_json::from_slice(&fs::read(target.join("manifest.json")).unwrap()).unwrap();
    let checks = manifest["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "boots through UEFI and boot loader to the log-in prompt"), "{checks:#?}");
    assert_eq!(manifest["promises"]["firmware"], "uefi");
    // The results of a build address, a swap space and a user are as in the recipe. The checks of the steps read the rest.
    let stages: Vec<&str> = manifest["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(stages, ["install", "provision first", "provision second", "load images", "seal"]);
    // Steps share one boot, and each has its own seconds. The second one sleeps for three.
    let seconds = manifest["stages"][2]["seconds"].as_f64().unwrap();
    assert!(manifest["stages"][2]["reused"] == true || seconds >= 3.0, "{seconds}");
    has_its_container_image(&manifest, &target.join("uefi-provisioned.qcow2"));
    // The file that the first step deleted is still in its layer, but not in the image.
    let layer = place().join("store/v1/layers").join(manifest["stages"][1]["id"].as_str().unwrap()).join("disk.qcow2");
    let marker = b"left behind: 42";
    assert!(holds(&layer, marker), "the step has not written what it deletes");
    assert!(!holds(&target.join("uefi-provisioned.qcow2"), marker));
    let published = fs::read(target.join("uefi-provisioned.qcow2")).unwrap();
    assert!(!published.windows(marker.len()).any(|window| window == marker));
    assert!(checks.iter().any(|check| check["name"] == "no deleted data in the free space" && check["outcome"] == "passed"), "{checks:#?}");
    let inputs = manifest["inputs"].to_string();
    assert!(inputs.contains("repository lab, stable") && inputs.contains(&server.url), "{inputs}");
    // The other formats in the recipe hold the same disk.
    let image = target.join("uefi-provisioned.qcow2");
    let unpacked = target.with_extension("raw");
    let unpack =
        Command::new("zstd").args(["-dqf", "--sparse"]).arg(target.join("uefi-provisioned.raw.zst")).arg("-o").arg(&unpacked).output();
    assert!(unpack.as_ref().is_ok_and(|output| output.status.success()), "{unpack:?}");
    for (format, other) in [("vmdk", &target.join("uefi-provisioned.vmdk")), ("raw", &unpacked)] {
        let compared = Command::new("qemu-img").args(["compare", "-f", "qcow2", "-F", format]).args([&image, other]).output().unwrap();
        assert!(compared.status.success(), "{format}: {compared:?}");
    }
    fs::remove_file(&unpacked).unwrap();
    let sums = Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(&target).output().unwrap();
    let files = String::from_utf8_lossy(&sums.stdout);
    assert!(sums.status.success() && files.contains(".vmdk: OK") && files.contains(".raw.zst: OK"), "{sums:?}");
    let said = String::from_utf8_lossy(&built.stdout);
    assert!(said.contains(".vmdk: ") && said.contains("the same disk"), "{said}");
    // When one step is changed, the layers below it are used again.
    let plan = goldsmith(&["plan", recipe, "--set", "provision.1.script=\"true\""]).output().unwrap();
    let plan = String::from_utf8(plan.stdout).unwrap();
    let verbs: Vec<&str> = plan
        .lines()
        .filter(|line| !line.starts_with("input ") && !line.starts_with("inherit "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(verbs, ["reuse", "reuse", "run", "run", "run", "publish"], "{plan}");
}

/// Docker has the image that was loaded at build time, by both names, and runs it without a network. The id of the engine that loaded it is
/// removed.
fn has_its_container_image(manifest: &Value, image: &Path) {
    let outcome = |name: &str| {
        let found = manifest["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no check `{name}`: {}", manifest["checks"]))["outcome"].clone()
    };
    for name in [
        "Docker has the image lab/hello:1",
        "Docker has the image lab/hello:saved",
        "docker run lab/hello:1 /hello",
        "no Docker engine identity",
        "docker settings",
        "the system trusts CN=Lab CA,O=Lab",
        "time servers",
        "interface eth0 is up as the recipe says",
        "interface eth1 is up as the recipe says",
        "interface eth2 is up as the recipe says",
        "interface eth3 is up as the recipe says",
        "interface bond0 is up as the recipe says",
        "interface eth1.100 is up as the recipe says",
        "interface lab is up as the recipe says",
        "interface bond0.7 is up as the recipe says",
        "hello.service is in force",
        "tick.timer is in force",
        "tick.service is loaded",
    ] {
        assert_eq!(outcome(name), "passed", "{name}");
    }
    let images = &manifest["promises"]["container_images"];
    assert_eq!(
        (images.as_array().unwrap().len(), &images[0]["tags"]),
        (1, &serde_json::json!(["lab/hello:1", "lab/hello:saved"])),
        "{images}"
    );
    assert_eq!((&images[0]["os"], &images[0]["architecture"]), (&Value::from("linux"), &Value::from("amd64")), "{images}");
    assert!(manifest["inputs"].to_string().contains("container_image hello-saved.tar"), "{}", manifest["inputs"]);
    let inspected = goldsmith(&["image", "inspect", image.to_str().unwrap(), "--json"]).output().unwrap();
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(inspected["system"]["docker"]["images"], images[0]["tags"], "{inspected}");
}

/// goldsmith without any network: its namespace has an interface that is down.
fn offline(arguments: &[&str]) -> Output {
    let command = goldsmith(arguments);
    let mut unshare = Command::new("unshare");
    // Root may make namespaces without a mapping, and often has no sub-ids.
    let ids: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user", "--map-auto"] };
    unshare.args(ids).args(["--net", "--"]).arg(command.get_program()).args(command.get_args());
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).output().unwrap()
}

/// The packages are in the store, so no network is needed: neither to check that everything is there, nor to build (ci/full has the part
/// that takes minutes).
#[test]
fn a_network_is_needed_for_packages_alone() {
    let _slot = machines();
    let fixture = fixture();
    let output = fixture.artifact.to_str().unwrap();
    let key = root_override(&fixture.key);
    let again = offline(&["build", "debian-12-docker", "-o", output, "--set", &key]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stdout).ends_with(": up to date\n"), "{said}");
    assert!(said.contains("cannot be reached: the packages are chosen from the index of "), "{said}");
    // Other settings with the same packages: every input of an installation is there.
    let other = ["--set", &key, "--set", "system.timezone=\"UTC\"", "--json"];
    let checked = offline(&[&["check", "debian-12-docker"][..], &other].concat());
    let rows = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && rows.contains("all in the store"), "{rows}{}", String::from_utf8_lossy(&checked.stderr));
    if std::env::var_os("OFFLINE_BUILD").is_some() {
        let target = place().join("offline");
        let build =
            ["build", "debian-12-docker", "--force", "-o", target.to_str().unwrap(), "--set", &key, "--set", "system.timezone=\"UTC\""];
        let built = offline(&build);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        assert!(target.join("debian-12-docker.qcow2").is_file());
    }
}

/// Every build boots its image by the image's own loader. This test adds a machine that goldsmith did not set up.
#[test]
#[ignore = "it takes minutes; ci/full runs it"]
fn the_image_boots_by_the_plainest_of_command_lines() {
    let _slot = machines();
    let image = fixture().artifact.join("debian-12-docker.qcow2");
    let drive = format!("file={},if=virtio,snapshot=on", image.display());
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(["-m", "1G", "-vga", "std", "-display", "none", "-serial", "stdio", "-drive", &drive])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut console = qemu.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let (mut said, mut bytes) = (String::new(), [0; 4096]);
        while let Ok(read @ 1..) = console.read(&mut bytes) {
            said.push_str(&String::from_utf8_lossy(&bytes[..read]));
            if said.contains("master login:") {
                return Ok(());
            }
        }
        Err(said)
    });
    let deadline = Instant::now() + Duration::from_secs(400);
    while !reader.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
    }
    qemu.kill().unwrap();
    qemu.wait().unwrap();
    if let Err(said) = reader.join().unwrap() {
        panic!("no log-in prompt:\n{said}");
    }
}

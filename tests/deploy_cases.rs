//! The deploy installer and the plan, on the shipped recipes: where every setting is written, and which layers a change of it affects.

use std::io;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use goldsmith::base::digest::Sha256Digest;
use goldsmith::installer::Answers;
use goldsmith::installer::accounts::Accounts;
use goldsmith::installer::anaconda::AnacondaError;
use goldsmith::installer::deploy::{self, FilesystemIds, Tree};
use goldsmith::plan::{Install, Plan, Texts, plan};
use goldsmith::recipe::{self, DockerImage, Recipe, RecipeHost};
use goldsmith::sources::{Pin, Pins};

use crate::support::golden;

pub struct NoHost;

impl RecipeHost for NoHost {
    fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn env(&self, name: &str) -> Option<String> {
        name.ends_with("_PASSWORD").then(|| format!("secret of {name}"))
    }
}

fn default_with(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    recipe::load("debian-12-docker", &overrides, &NoHost).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn tree(overrides: &[&str]) -> (Tree, String) {
    let recipe = default_with(overrides);
    let ids = FilesystemIds::derive(Sha256Digest::of(recipe.name.as_bytes()));
    (deploy::tree(&recipe, &ids), deploy::boot_loader(&recipe, &ids))
}

fn file<'a>(tree: &'a Tree, path: &str) -> &'a str {
    let file = tree.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    std::str::from_utf8(file.content.bytes()).unwrap()
}

#[test]
fn every_setting_of_the_default_has_its_line() {
    let (tree, boot_loader) = tree(&[]);
    for (path, line) in [
        // Sealing replaces this name by that of the recipe.
        ("/etc/hostname", "unnamed-image"),
        ("/etc/hosts", "127.0.1.1 unnamed-image"),
        ("/etc/timezone", "Asia/Shanghai"),
        ("/etc/network/interfaces", "iface eth0 inet dhcp"),
        ("/etc/sysctl.d/99-zz-goldsmith.conf", "net.ipv4.ip_forward = 1"),
        ("/etc/sysctl.d/99-zz-goldsmith.conf", "net.bridge.bridge-nf-call-iptables = 1"),
        ("/etc/sysctl.d/99-zz-goldsmith.conf", "net.bridge.bridge-nf-call-ip6tables = 1"),
        ("/etc/modules-load.d/goldsmith.conf", "br_netfilter"),
        ("/etc/default/grub", "GRUB_CMDLINE_LINUX='console=tty0 console=ttyS0,115200 net.ifnames=0 biosdevname=0'"),
        ("/etc/repart.d/50-root.conf", "Type=root"),
    ] {
        assert!(file(&tree, path).lines().any(|found| found == line), "{path} lacks `{line}`:\n{}", file(&tree, path));
    }
    assert!(file(&tree, "/etc/fstab").contains(" / ext4 errors=remount-ro,x-systemd.growfs 0 1"));
    for line in ["time_zone Asia/Shanghai", "no_password root", "enable docker", "make_locale en_US.UTF-8 'en_US\\.UTF-8'"] {
        assert!(tree.script.lines().any(|found| found == line), "`{line}` is not in\n{}", tree.script);
    }
    for package in ["docker.io", "linux-image-cloud-amd64", "grub-pc-bin", "openssh-server"] {
        assert!(tree.packages.iter().any(|found| found == package), "{package}");
    }
    assert!(boot_loader.contains("grub-install --target=i386-pc /dev/vda\nupdate-grub\n"));
}

#[test]
fn what_a_recipe_changes_is_changed_and_nothing_else() {
    let user = r#"user=[{name="ada", password_env="ROOT_PASSWORD", sudo=true, groups=["docker"], uid=1500}]"#;
    let (tree, boot_loader) =
        tree(&[user, "disk.firmware=\"uefi\"", "disk.swap=\"256M\"", "disk.grow=false", "kernel.arguments=[\"quiet\"]"]);
    assert_eq!(file(&tree, "/etc/sudoers.d/ada"), "ada ALL=(ALL) NOPASSWD: ALL\n");
    assert!(file(&tree, "/etc/default/grub").contains("biosdevname=0 quiet'"));
    let fstab = file(&tree, "/etc/fstab");
    assert!(
        fstab.contains(" /boot/efi vfat umask=0077 0 1\n") && fstab.contains(" none swap sw 0 0\n") && !fstab.contains("growfs"),
        "{fstab}"
    );
    assert!(tree.script.contains("\nadd_user ada /bin/bash --uid 1500 --groups docker\n"), "{}", tree.script);
    assert!(tree.script.contains("\nno_password ada\n") && !tree.script.contains("$6$"), "{}", tree.script);
    assert!(boot_loader.contains("mkswap --uuid ") && boot_loader.contains("--removable --no-nvram"));
    assert!(tree.packages.iter().any(|name| name == "sudo") && !tree.packages.iter().any(|name| name == "grub-pc-bin"));
    // A kernel that the recipe names is the only one.
    let (tree, _) = self::tree(&[r#"packages.install=["linux-image-amd64"]"#]);
    assert_eq!(tree.packages.iter().filter(|name| name.starts_with("linux-image")).count(), 1);
}

/// The settings for growing, and the program that does it, are there only when the image grows.
#[test]
fn growing_is_written_where_it_works() {
    for (overrides, grows, repart_apart) in [
        (&["disk.table=\"mbr\""][..], false, false),
        (&["disk.grow=false", "media.suite=\"trixie\""], false, false),
        (&["media.suite=\"trixie\""], true, true),
        (&["media.suite=\"bullseye\""], true, false),
    ] {
        let (tree, _) = tree(overrides);
        let written = (tree.files.iter().any(|file| file.path.contains("repart")), file(&tree, "/etc/fstab").contains("growfs"));
        assert_eq!(written, (grows, grows), "{overrides:?}");
        assert_eq!(tree.packages.iter().any(|name| name == "systemd-repart"), repart_apart, "{overrides:?}");
    }
}

#[test]
fn the_scripts_are_shell_whatever_the_recipe_says() {
    let hostile = r#"file=[{path="/etc/it's $(touch x) `y` \"z\"", content="%end\n$HOME\n", mode="0600", owner="daemon:daemon"}]"#;
    for overrides in [&[][..], &[hostile], &["disk.firmware=\"uefi\""]] {
        let (tree, boot_loader) = tree(overrides);
        for script in [&tree.script, &boot_loader] {
            let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            let output = shell.wait_with_output().unwrap();
            assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
        }
        let put: Vec<_> = tree.script.lines().filter(|line| line.starts_with("put ")).collect();
        assert_eq!(put.len(), tree.files.len());
        for line in put {
            let words = shell_words::split(line).unwrap();
            assert!(tree.files.iter().any(|file| file.path == *words[3]), "{line}");
        }
    }
}

/// An address in the recipe.
const FIXED: &str = r#"system.network={address="172.16.51.35/24", gateway="172.16.51.2", dns=["172.16.51.3"]}"#;

fn planned(overrides: &[&str], pin: &[u8], secret: &[u8]) -> Plan {
    planned_with(Vec::new(), overrides, pin, secret)
}

fn planned_with(images: Vec<DockerImage>, overrides: &[&str], pin: &[u8], secret: &[u8]) -> Plan {
    let recipe = default_with(overrides);
    let pins = Pins(vec![Pin { name: "debian bookworm".into(), sha256: Sha256Digest::of(pin), urls: Vec::new() }]);
    let answers = Answers::of(&recipe).unwrap();
    plan(&recipe, &answers, &pins, images, &Accounts::derive(&recipe, secret), Texts { tree: "tree", sealing: "seal", loading: "load" })
}

#[test]
fn an_id_changes_with_what_can_change_the_result_and_with_nothing_else() {
    let base = planned(&[], b"pin", b"secret");
    let password = r#"system.root={password_env="ROOT_PASSWORD"}"#;
    for (what, changed, install, content) in [
        ("nothing", planned(&[], b"pin", b"secret"), false, false),
        ("the packages", planned(&[], b"newer", b"secret"), true, true),
        ("a setting", planned(&["system.timezone=\"UTC\""], b"pin", b"secret"), true, true),
        // Sealing sets these.
        ("the host name", planned(&["system.hostname=\"node\""], b"pin", b"secret"), false, true),
        ("the address", planned(&[FIXED], b"pin", b"secret"), false, true),
        ("the password", planned(&[password], b"pin", b"secret"), false, true),
        ("the name", planned(&["name=\"another\""], b"pin", b"secret"), false, true),
        ("the summary", planned(&["summary=\"another\""], b"pin", b"secret"), false, true),
        ("a later step", planned(&[r#"provision=[{name="a", script="true"}]"#], b"pin", b"secret"), false, true),
        ("the deadline", planned(&["build.deadline=\"7h\""], b"pin", b"secret"), false, false),
        ("a check", planned(&["check=[]"], b"pin", b"secret"), false, true),
        ("compression", planned(&["output.compress=\"none\""], b"pin", b"secret"), false, true),
        ("processors", planned(&["build.cpus=7"], b"pin", b"secret"), false, false),
        ("memory", planned(&["build.memory=\"4G\""], b"pin", b"secret"), false, false),
    ] {
        assert_eq!((changed.install.job.id != base.install.job.id, changed.content_id != base.content_id), (install, content), "{what}");
    }
    let step = r#"provision=[{name="a", script="true"}]"#;
    // With another store only the salt differs, and so the last layer and the image.
    let [here, there] = [&b"this store"[..], b"another store"].map(|secret| planned(&[password, step], b"pin", secret));
    let ids = |plan: &Plan| plan.jobs().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(&here)[..2], ids(&there)[..2]);
    assert!(ids(&here)[2] != ids(&there)[2] && here.content_id != there.content_id);
    // The ids of a filesystem come from its installation.
    let root = |plan: &Plan| match &plan.install.work {
        Install::Deploy(work) => work.ids.root,
        other => panic!("{other:?}"),
    };
    assert_eq!(root(&base), root(&planned(&["name=\"another\""], b"pin", b"secret")));
    assert_ne!(root(&base), root(&planned(&[], b"newer", b"secret")));
    let steps = planned(&[step], b"pin", b"secret");
    assert_eq!(steps.jobs().map(|job| job.stage.as_str()).collect::<Vec<_>>(), ["install", "provision a", "seal"]);
    assert_eq!(steps.install.job.id, base.install.job.id);
    assert_ne!(steps.seal.job.id, base.seal.job.id);
}

/// Machines of one kind have all layers but the last in common, with each installer.
#[test]
fn a_name_an_address_or_a_password_changes_the_last_layer_alone() {
    let step = r#"provision=[{name="a", script="true"}]"#;
    let user = |password: &str| format!(r#"user=[{{name="ada", password_env="{password}"}}]"#);
    let (ada, eve) = (user("ADA_PASSWORD"), user("EVE_PASSWORD"));
    let changes: [(&str, &[&str]); 11] = [
        ("the host name", &["system.hostname=\"node1\""]),
        ("a host name with a domain", &["system.hostname=\"node1.lab.example\""]),
        ("no host name", &["system.hostname=\"localhost\""]),
        ("the name that systems are made under", &["system.hostname=\"unnamed-image\""]),
        ("an address with all that belongs to it", &[FIXED]),
        ("another address", &["system.network={address=\"172.16.51.36/24\"}"]),
        ("another prefix length", &["system.network={address=\"172.16.51.36/16\"}"]),
        ("a gateway", &["system.network={address=\"172.16.51.36/24\", gateway=\"172.16.51.1\"}"]),
        ("a name server", &["system.network={address=\"172.16.51.36/24\", dns=[\"172.16.51.1\"]}"]),
        ("root's password", &["system.root={password_env=\"OTHER_PASSWORD\"}"]),
        ("a user's password", &[&eve]),
    ];
    let deploy = |more: &[&str]| planned(&[&[step, &ada], more].concat(), b"pin", b"secret");
    let anaconda = |more: &[&str]| anaconda_with(&[&[step, &ada], more].concat(), b"pin").unwrap();
    for plan in [&deploy as &dyn Fn(&[&str]) -> Plan, &anaconda] {
        let ids = |plan: &Plan| plan.jobs().map(|job| job.id).collect::<Vec<_>>();
        let base = plan(&[]);
        let mut seals = vec![base.seal.job.id];
        for (what, change) in changes {
            let changed = plan(change);
            assert_eq!(ids(&changed)[..2], ids(&base)[..2], "{what}");
            assert_eq!(changed.install.work, base.install.work, "{what}");
            assert!(!seals.contains(&changed.seal.job.id), "{what}");
            seals.push(changed.seal.job.id);
        }
    }
}

/// Sealing does not change a file that the recipe writes. A fixed address in addition changes only the name servers.
#[test]
fn an_address_in_a_file_of_the_recipe_is_not_set_again() {
    let file = r#"[{path="/etc/network/interfaces", content="auto lo\n"}]"#;
    for own in [format!("file={file}"), format!(r#"provision=[{{name="a", files={file}}}]"#)] {
        assert!(planned(&[FIXED], b"pin", b"secret").seal.work.address.is_some());
        let planned = planned(&[FIXED, &own], b"pin", b"secret");
        let found = (planned.seal.work.address.as_deref(), planned.seal.work.resolv_conf.as_deref());
        assert_eq!(found, (None, Some("nameserver 172.16.51.3\n")), "{own}");
    }
}

/// Images are loaded after all steps, and their ids and tags identify them. The place and the compression of their archives have no effect.
#[test]
fn container_images_change_what_is_loaded_and_no_layer_below() {
    let step = r#"provision=[{name="a", script="true"}]"#;
    let image = |id: &[u8], tag: &str| DockerImage {
        id: Sha256Digest::of(id),
        tags: vec![tag.to_owned()],
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
    };
    let of =
        |images: Vec<DockerImage>, table: &str| planned_with(images, &[step, &format!("container_image=[{{{table}}}]")], b"pin", b"secret");
    let base = of(vec![image(b"1", "a:1")], r#"archive="a.tar""#);
    assert_eq!(base.jobs().map(|job| job.stage.as_str()).collect::<Vec<_>>(), ["install", "provision a", "load images", "seal"]);
    let without = planned(&[step], b"pin", b"secret");
    assert_eq!(base.steps[0].job.id, without.steps[0].job.id);
    let loaded = |plan: &Plan| plan.steps[1].job.id;
    for (what, other, load, content) in [
        ("nothing", of(vec![image(b"1", "a:1")], r#"archive="a.tar""#), false, false),
        ("where the archive is", of(vec![image(b"1", "a:1")], r#"archive="b.tar.gz""#), false, false),
        ("an image", of(vec![image(b"2", "a:1")], r#"archive="a.tar""#), true, true),
        ("a tag", of(vec![image(b"1", "a:2")], r#"archive="a.tar""#), true, true),
        ("what is run", of(vec![image(b"1", "a:1")], r#"archive="a.tar", run=["x"]"#), false, true),
    ] {
        assert_eq!((loaded(&other) != loaded(&base), other.content_id != base.content_id), (load, content), "{what}");
        assert_eq!(other.steps[0].job.id, base.steps[0].job.id, "{what}");
    }
}

/// Jobs are printed, compared and sent to other programs, so their form must not change. They contain no text of the recipe.
#[test]
fn jobs_are_values() {
    let token = r#"file=[{path="/etc/token", content="token-file"}]"#;
    let step = r#"provision=[{name="tools", script="echo token-script", files=[{path="/etc/step", content="token-step"}]}]"#;
    let planned = planned(&[token, step, r#"system.root={password_env="ROOT_PASSWORD"}"#], b"pin", b"secret");
    let jobs: Vec<_> = planned.jobs().collect();
    let text = serde_json::to_string_pretty(&jobs).unwrap() + "\n";
    golden("plan/jobs.json", &text);
    for secret in ["token", "secret of"] {
        assert!(!text.replace("/etc/token", "").contains(secret), "{secret} is in {text}");
    }
    for (job, base) in jobs.iter().zip(std::iter::once(None).chain(jobs.iter().map(|job| Some(job.id)))) {
        assert_eq!((job.id, job.base), (Sha256Digest::of(job.key.text().as_bytes()), base), "{}", job.stage);
    }
}

fn anaconda_with(overrides: &[&str], pin: &[u8]) -> Result<Plan, AnacondaError> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let recipe = recipe::load("centos-7.5-docker", &overrides, &NoHost).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let pins = Pins(vec![Pin { name: "iso".into(), sha256: Sha256Digest::of(pin), urls: Vec::new() }]);
    let texts = Texts { tree: "tree", sealing: "seal", loading: "load" };
    Ok(plan(&recipe, &Answers::of(&recipe)?, &pins, Vec::new(), &Accounts::derive(&recipe, b"secret"), texts))
}

#[test]
fn an_installation_by_anaconda_is_keyed_by_its_content() {
    let planned = |overrides: &[&str], pin: &[u8]| anaconda_with(overrides, pin).unwrap();
    let base = planned(&[], b"pin");
    assert_eq!(base.jobs().map(|job| job.stage.as_str()).collect::<Vec<_>>(), ["install", "seal"]);
    let Install::Anaconda(work) = &base.install.work else { panic!("{:?}", base.install.work) };
    assert_eq!(work.repositories, ["kubernetes"]);
    assert!(work.kickstart.windows(8).any(|word| word == b"poweroff"));
    let key = |digit: &str, place: &str| {
        let url = format!("https://example.invalid/{place}");
        planned(&[&format!("repository.0.gpg_keys=[{{ fingerprint = \"{}\", url = \"{url}\" }}]", digit.repeat(40))], b"pin")
    };
    assert_eq!(key("A", "here").content_id, key("A", "there").content_id);
    assert_ne!(key("A", "here").content_id, key("B", "here").content_id);
    for (what, changed, install, content) in [
        ("nothing", planned(&[], b"pin"), false, false),
        // The image is the same, and its manifest says who signed the packages.
        ("the keys of packages", key("A", "here"), false, true),
        ("the medium", planned(&[], b"another"), true, true),
        ("a setting", planned(&["system.timezone=\"UTC\""], b"pin"), true, true),
        ("the host name", planned(&["system.hostname=\"node\""], b"pin"), false, true),
        ("the address", planned(&["system.network={address=\"192.0.2.10/24\"}"], b"pin"), false, true),
        ("DHCP", planned(&["system.network={address=\"dhcp\"}"], b"pin"), false, true),
        ("the disk's size", planned(&["disk.size=\"9G\""], b"pin"), true, true),
        ("the firmware", planned(&["disk.firmware=\"uefi\""], b"pin"), true, true),
        ("LVM", planned(&["disk.lvm=true"], b"pin"), true, true),
        ("where the medium is", planned(&["media.iso.path=\"elsewhere.iso\""], b"pin"), false, false),
        ("a check", planned(&["check=[]"], b"pin"), false, true),
        ("the name", planned(&["name=\"another\""], b"pin"), false, true),
        ("the password", planned(&["system.root={password_env=\"OTHER_PASSWORD\"}"], b"pin"), false, true),
        ("memory", planned(&["build.memory=\"4G\""], b"pin"), false, false),
        // The image is the same, and its manifest says it.
        ("what machines are given", planned(&["run.memory=\"4G\""], b"pin"), false, true),
        ("nothing that machines are given", planned(&["run={}"], b"pin"), false, false),
    ] {
        assert_eq!((changed.install.job.id != base.install.job.id, changed.content_id != base.content_id), (install, content), "{what}");
    }
    assert_eq!(planned(&["run.memory=\"4G\""], b"pin").seal.job.id, base.seal.job.id);
}

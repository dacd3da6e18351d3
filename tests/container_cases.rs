//! Archives of container images, made here of a program of 150 bytes and judged by skopeo.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::event::Events;
use goldsmith::cache::Store;
use goldsmith::recipe::{Recipe, RecipeHost, load};
use goldsmith::sources::{ContainerArchive, Fetch, Host, Unresolved, Web, all_images, resolve_containers, write_images};
use serde_json::{Value, json};

use crate::support::goldsmith;

/// The output of the program of [`layout`].
pub const HELLO: &str = "hello from a container";
/// The name of its image.
pub const NAME: &str = "lab/hello:1";

/// An x86-64 program that writes [`HELLO`] and a line end, in one segment (elf(5)).
fn program() -> Vec<u8> {
    let text = format!("{HELLO}\n");
    let mut code = vec![0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0]; // mov eax, SYS_write; mov edi, 1
    code.extend([0x48, 0x8d, 0x35, 16, 0, 0, 0, 0xba]); // lea rsi, [rip + 16]; mov edx, …
    code.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    code.extend([0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]); // syscall; mov eax, SYS_exit; xor edi, edi; syscall
    assert_eq!(code.len(), 33);
    code.extend(text.as_bytes());
    let (base, headers) = (0x40_0000_u64, 120_u64);
    let bytes = headers + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    elf.extend([base + headers, 64, 0].map(u64::to_le_bytes).concat()); // entry, program headers, section headers
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // flags, sizes and counts of headers
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]); // loaded, readable and executable
    elf.extend([0, base, base, bytes, bytes, 0x1000].map(u64::to_le_bytes).concat());
    [elf, code].concat()
}

fn tar(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An OCI layout in a tar archive, with one image for `architecture` called `name`, whose layer is packed with gzip.
pub fn layout(architecture: &str, name: &str) -> Vec<u8> {
    let layer = tar(&[("hello", &program(), 0o755)]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&layer).unwrap();
    let packed = gzip.finish().unwrap();
    let digest = |bytes: &[u8]| format!("sha256:{}", Sha256Digest::of(bytes));
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()});
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut top = described("application/vnd.oci.image.manifest.v1+json", &manifest);
    top["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [top]}).to_string();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Sha256Digest::of(bytes));
    tar(&[
        ("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#, 0o644),
        (&blob(&config), &config, 0o644),
        (&blob(&packed), &packed, 0o644),
        (&blob(&manifest), &manifest, 0o644),
        ("index.json", index.as_bytes(), 0o644),
    ])
}

/// What skopeo prints.
#[track_caller]
pub fn skopeo(args: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo").args(["--insecure-policy", "--tmpdir", "/tmp"]).args(args).output().expect("skopeo is installed");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// This host, with its files.
struct Here;

impl RecipeHost for Here {
    fn read(&self, path: &Path, _: u64) -> std::io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// The beginning of every recipe here. The medium does not exist.
const HEAD: &str = r#"schema = 1
name = "r"
media = { installer = "anaconda", iso = { path = "none.iso", sha256 = "506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345" } }
system = { root = "locked" }
"#;

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    web: Web,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { dir, store, web: Web::through(Default::default()), runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The archives of a recipe that names these.
    fn read(&self, names: &[&str]) -> Result<Vec<ContainerArchive>, Unresolved> {
        let tables: String = names.iter().map(|name| format!("[[container_image]]\narchive = \"{name}\"\n")).collect();
        fs::write(self.path("r.toml"), format!("{HEAD}{tables}")).unwrap();
        let recipe: Recipe = load(&self.at("r.toml"), &[], &Here).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let host = Host { apt: self.dir.path(), scratch: self.dir.path(), store: &self.store, web: &self.web, fetch: Fetch::Look };
        self.runtime.block_on(resolve_containers(&recipe, host, &Events::none().task("t")))
    }

    /// Write the archive that a machine gets.
    fn write(&self, archives: &[ContainerArchive], name: &str) {
        let _ = fs::remove_file(self.path(name));
        self.runtime.block_on(write_images(archives, &self.path(name), &Events::none().task("t"))).unwrap();
    }
}

/// The same image has the same id in each form that skopeo knows, and skopeo can read the whole archive that is written from it.
#[test]
fn skopeo_reads_what_is_written_of_what_it_wrote() {
    let bench = Bench::new();
    let (oci, two, zstd) = (bench.at("oci.tar"), bench.at("two.tar"), bench.at("zstd.tar"));
    fs::write(&oci, layout("amd64", NAME)).unwrap();
    let from = format!("oci-archive:{oci}:{NAME}");
    skopeo(&["copy", "-q", &from, &format!("docker-archive:{two}:lab/hello:2")]);
    skopeo(&["copy", "-q", "--dest-compress-format", "zstd", "--dest-compress", &from, &format!("oci-archive:{zstd}:localhost:5000/z:3")]);
    let packed = Command::new("gzip").args(["-k", &two]).status().unwrap();
    assert!(packed.success());
    let archives = bench.read(&["oci.tar", "two.tar", "zstd.tar", "two.tar.gz"]).unwrap_or_else(|error| panic!("{error}"));
    let images = all_images(&archives);
    let config = skopeo(&["inspect", "--config", "--raw", &from]);
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(
        (images[0].id, images[0].tags.join(" ")),
        (Sha256Digest::of(&config), "lab/hello:1 lab/hello:2 localhost:5000/z:3".to_owned())
    );
    assert_eq!((images[0].os.as_str(), images[0].architecture.as_str()), ("linux", "amd64"));
    bench.write(&archives, "volume.tar");
    let volume = bench.at("volume.tar");
    for tag in &images[0].tags {
        let written = format!("docker-archive:{volume}:{tag}");
        assert_eq!(skopeo(&["inspect", "--config", "--raw", &written]), config);
        let inspected: Value = serde_json::from_slice(&skopeo(&["inspect", &written])).unwrap();
        assert_eq!(inspected["Architecture"], "amd64", "{inspected}");
        // skopeo compares every digest while it copies.
        skopeo(&["copy", "-q", &written, &format!("dir:{}", bench.at("dir"))]);
    }
    let listed = Command::new("tar").args(["-tf", &volume]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().count() == 3 && listed.ends_with("\nmanifest.json\n"), "{listed}");
    // The second read uses the memory in the store, and gives the same result.
    assert_eq!(all_images(&bench.read(&["oci.tar", "two.tar", "zstd.tar", "two.tar.gz"]).unwrap()), images);
    // The written archive is read again.
    assert_eq!(all_images(&bench.read(&["volume.tar"]).unwrap()), images);
}

/// An archive that was changed since it was read is not loaded.
#[test]
fn what_is_loaded_is_what_was_read() {
    let bench = Bench::new();
    fs::write(bench.path("a.tar"), layout("amd64", NAME)).unwrap();
    let archives = bench.read(&["a.tar"]).unwrap();
    let bytes = fs::read(bench.path("a.tar")).unwrap();
    let config = bytes.windows(6).position(|window| window == b"amd64\"").unwrap();
    let mut other = bytes.clone();
    other[config] = b'b';
    for (bytes, said) in [(other, "is another file than when the archive was read"), (bytes[..700].to_vec(), "it is cut short")] {
        fs::write(bench.path("a.tar"), bytes).unwrap();
        let dest = bench.path("volume.tar");
        let _ = fs::remove_file(&dest);
        let error = bench.runtime.block_on(write_images(&archives, &dest, &Events::none().task("t"))).unwrap_err().to_string();
        assert!(error.contains(said) || error.contains("cannot be read to its end") || error.contains("cannot be read"), "{error}");
    }
}

/// All faults of a recipe's archives are reported at once, each with its line and remedy, before any machine starts.
#[test]
fn every_archive_that_cannot_be_loaded_is_told_with_its_line() {
    let good = layout("amd64", NAME);
    let mut cut = good.clone();
    cut.truncate(cut.len() / 2);
    let mut damaged = good.clone();
    let at = damaged.windows(4).position(|window| window == b"\x1f\x8b\x08\0").unwrap();
    damaged[at + 20] ^= 1;
    let other = tar(&[("etc/passwd", b"root", 0o644)]);
    let entries = [
        ("none.tar", "", "is missing: there is no "),
        ("cut.tar", "", "is cut short"),
        ("damaged.tar", "", ", a layer, is damaged: it hashes to "),
        ("arm.tar", "", "its image lab/arm:1 is for linux/arm64, and not for linux/amd64"),
        ("nameless.tar", "", " has no tag and no name"),
        ("export.tar", "", "as `docker export` writes them, and no image"),
        ("text.tar", "", "is a text of "),
        ("pinned.tar", &format!("sha256 = \"{}\"\n", "0".repeat(64)), "is another file than the recipe pins"),
        ("good.tar", "", ""),
        ("again.tar", "", "its lab/hello:1 is image "),
    ];
    let mut lines = 1 + HEAD.lines().count();
    let mut recipe = HEAD.to_owned();
    let mut expected = Vec::new();
    for (name, more, said) in entries {
        recipe.push_str(&format!("[[container_image]]\narchive = \"{name}\"\n{more}"));
        if !said.is_empty() {
            expected.push((lines + 1, said));
        }
        lines += 2 + more.lines().count();
    }
    let run = goldsmith(["check", "r.toml", "-o", "out"]).file("r.toml", &recipe).file("text.tar", "no archive\n");
    let another = skopeo_renamed(&good);
    for (name, bytes) in [
        ("cut.tar", &cut),
        ("damaged.tar", &damaged),
        ("arm.tar", &layout("arm64", "lab/arm:1")),
        ("nameless.tar", &layout("amd64", "latest")),
        ("export.tar", &other),
        ("pinned.tar", &good),
        ("good.tar", &good),
        ("again.tar", &another),
    ] {
        fs::write(run.dir().join(name), bytes).unwrap();
    }
    let ended = run.end();
    assert_eq!(ended.status, 3, "{}{}", ended.stdout, ended.stderr);
    for (line, said) in expected {
        let place = format!("--> r.toml:{line}:11");
        let row = ended.stdout.split("wrong     sources").find(|row| row.contains(&place));
        let row = row.unwrap_or_else(|| panic!("{place} ({said}) is not in {}", ended.stdout));
        assert!(row.contains(said) && row.contains("help: "), "{said}: {row}");
    }
    assert!(!ended.dir().join("out").exists());
}

/// Another image under the same name: its configuration has one more space.
fn skopeo_renamed(layout: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from.tar"), dir.path().join("to.tar"));
    fs::write(&from, layout).unwrap();
    skopeo(&["copy", "-q", &format!("oci-archive:{}", from.display()), &format!("docker-archive:{}:{NAME}", to.display())]);
    let mut files = Vec::new();
    for entry in tar::Archive::new(&fs::read(&to).unwrap()[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        files.push((path, bytes));
    }
    let config = files.iter().position(|(_, bytes)| bytes.starts_with(b"{\"architecture\"")).unwrap();
    let old = files[config].0.clone();
    files[config].1.push(b' ');
    files[config].0 = format!("{}.json", Sha256Digest::of(&files[config].1));
    let new = files[config].0.clone();
    let manifest = files.iter_mut().find(|(path, _)| path == "manifest.json").unwrap();
    manifest.1 = String::from_utf8(manifest.1.clone()).unwrap().replace(&old, &new).into_bytes();
    let files: Vec<(&str, &[u8], u32)> =
        files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(path, bytes)| (path.as_str(), bytes.as_slice(), 0o644)).collect();
    tar(&files)
}

#[test]
fn what_is_run_is_of_an_archive_of_one_image() {
    let bench = Bench::new();
    let (one, two) = (bench.at("one.tar"), bench.at("two.tar"));
    fs::write(&one, layout("amd64", "a:1")).unwrap();
    fs::write(&two, skopeo_renamed(&layout("amd64", "a:1"))).unwrap();
    let archives = bench.read(&["one.tar", "two.tar"]).unwrap();
    bench.write(&archives, "both.tar");
    fs::write(bench.path("r.toml"), format!("{HEAD}[[container_image]]\narchive = \"both.tar\"\nrun = []\n")).unwrap();
    let ended = goldsmith(["check", &bench.at("r.toml"), "-o", "out"]).end();
    let said = "it has 2 images (a:1, lab/hello:1), and `run` is of one";
    assert!(
        ended.status == 3 && ended.stdout.contains(said) && ended.stdout.contains("docker run --rm --network none a:1"),
        "{}",
        ended.stdout
    );
}

//! Makes the manifest of a build.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde_json::Value;

use crate::artifact::{ImageRecord, InputRecord, Manifest, Parent, SCHEMA, SignatureRecord, StageRecord, StateRecord, Verification};
use crate::base::aside::aside;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::process::Tool;
use crate::image::{Disk, Format, ImageError};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::sources::{self, Pin, Proof, Proved};
use crate::verify::{Promises, Report};

/// The manifest's record of the qcow2 `image`. The whole file is read, and `task` shows the progress.
pub(super) async fn image_record(image: &Path, task: &Task) -> Result<ImageRecord, ImageError> {
    let virtual_bytes = Disk::open_as(image, Format::Qcow2, None)?.info().virtual_size;
    file_record(image, Format::Qcow2.name(), virtual_bytes, task).await
}

/// The manifest's record of `image`, a file of the kind `format` that holds a disk of `virtual_bytes`. The whole file is read.
pub(super) async fn file_record(image: &Path, format: &str, virtual_bytes: u64, task: &Task) -> Result<ImageRecord, ImageError> {
    let (sha256, bytes) = sha256(image, "find the image's sha256", task).await?;
    let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ImageRecord { file: name, sha256, bytes, virtual_bytes, format: format.to_owned() })
}

/// The digest of a file, and its bytes. The whole file is read; `step` is what `task` shows meanwhile.
pub(super) async fn sha256(path: &Path, step: &str, task: &Task) -> Result<(Sha256Digest, u64), ImageError> {
    let unreadable = |source| ImageError::read(path, source);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    aside(task, step, length, move |meter| Sha256Digest::of_reader(meter.measure(file))).await.map_err(unreadable)
}

/// What an image was made from, and by which programs of the host.
pub(super) struct Origin {
    name: String,
    content_id: Sha256Digest,
    recipe: Value,
    inputs: Vec<InputRecord>,
    signatures: Vec<SignatureRecord>,
    tools: Vec<Tool>,
    parent: Option<Parent>,
}

impl Origin {
    /// The origin of an image that is built of `recipe`.
    pub(super) fn of_build(recipe: &Recipe, plan: &Plan, Proved { chosen, proofs }: Proved) -> Self {
        let verifier = (!proofs.is_empty()).then_some(Tool::Gpgv);
        // The packages are pinned one by one already; the suites show where they came from.
        let found = chosen.found();
        let suites = found.apt.iter().map(|suite| Pin { name: suite.name(), sha256: suite.sha256, urls: vec![suite.source.in_release()] });
        Self {
            name: recipe.name.clone(),
            content_id: plan.content_id,
            // OK to default: a recipe is plain data, which JSON always takes.
            recipe: serde_json::to_value(recipe).unwrap_or_default(),
            inputs: suites.chain(found.inputs()).map(input).collect(),
            signatures: proofs.into_iter().map(record).collect(),
            tools: [Tool::QemuSystem, Tool::QemuImg, Tool::Mmdebstrap, Tool::Mke2fs].into_iter().chain(verifier).collect(),
            parent: None,
        }
    }

    /// The origin of an image that is published as `name` from a machine of the artifact `parent`.
    pub(super) fn of_machine(name: &str, content_id: Sha256Digest, parent: &Manifest) -> Self {
        let image = InputRecord { name: format!("image of {}", parent.name), sha256: parent.image.sha256, urls: Vec::new() };
        Self {
            name: name.to_owned(),
            content_id,
            recipe: parent.recipe.clone(),
            // What the parent was made from does not make this image.
            inputs: vec![image],
            signatures: Vec::new(),
            tools: vec![Tool::QemuSystem, Tool::QemuImg],
            parent: Some(parent.as_parent()),
        }
    }
}

/// What was made of one disk.
pub(super) struct Files {
    /// The image.
    pub(super) image: ImageRecord,
    /// The disk in other formats.
    pub(super) exports: Vec<ImageRecord>,
    /// The saved state of its system.
    pub(super) warm: Option<StateRecord>,
}

/// The manifest of `files`, whose image passed `report`.
pub(super) async fn describe(
    origin: Origin,
    stages: Vec<StageRecord>,
    promises: Promises,
    report: Report,
    Files { image, exports, warm }: Files,
) -> Manifest {
    let mut tools = BTreeMap::new();
    for tool in origin.tools {
        if let Some(version) = tool.version().await {
            tools.insert(tool.program().to_owned(), version);
        }
    }
    Manifest {
        schema: SCHEMA,
        name: origin.name,
        content_id: origin.content_id,
        created: Manifest::now(),
        goldsmith: env!("CARGO_PKG_VERSION").to_owned(),
        parent: origin.parent,
        verification: Verification { verified: true, reason: None },
        image,
        exports,
        warm,
        checks: report.checks,
        docker_info: report.docker_info,
        recipe: origin.recipe,
        promises,
        inputs: origin.inputs,
        signatures: origin.signatures,
        stages,
        tools,
    }
}

/// An input without data of this host: apt's sources may be local directories, and may hold passwords.
fn input(pin: Pin) -> InputRecord {
    let urls = pin.urls.iter().filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    InputRecord { name: pin.name, sha256: pin.sha256, urls: urls.map(|url| sources::shown(url)).collect() }
}

fn record(proof: Proof) -> SignatureRecord {
    SignatureRecord { repository: proof.repository, upstream: proof.upstream, packages: proof.signers.packages(), keys: proof.signers.keys }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::io;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::super::published::{HostPaths, PublicLog};
    use super::*;
    use crate::artifact::{Draft, EVENTS_FILE, Overwrite};
    use crate::base::event::Events;
    use crate::base::process::Invocation;
    use crate::cache::Store;
    use crate::installer::Answers;
    use crate::preflight::plan_of;
    use crate::recipe::{RecipeHost, load};
    use crate::sources::{Choice, Chosen, Resolved};

    /// Files of this host, and a password in each variable of the environment.
    pub(in crate::pipeline) struct Here;

    impl RecipeHost for Here {
        fn read(&self, path: &Path, _limit: u64) -> io::Result<Vec<u8>> {
            fs::read(path)
        }

        fn env(&self, _name: &str) -> Option<String> {
            Some("token-password".to_owned())
        }
    }

    const RECIPE: &str = r#"
schema = 1
name = "lab"
[media]
installer = "deploy"
distribution = "debian"
suite = "bookworm"
[system]
root = { password_env = "ROOT_PASSWORD" }
[[file]]
path = "/etc/inline"
content = "token-inline"
[[file]]
path = "/etc/beside"
source = "beside"
[[provision]]
name = "step"
script = "echo token-script > /etc/step"
files = [{ path = "/etc/step-file", content = "token-step" }]
[[check]]
command = { run = "test -e /etc/inline" }
[run]
memory = "4G"
forward = ["8080:80"]
"#;

    /// An artifact as a build publishes it, of a recipe and a host that are full of secrets; every byte of it is searched.
    #[test]
    fn an_artifact_holds_no_text_of_the_recipe_and_no_path_of_the_host() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let recipes = at("home/recipes");
        fs::create_dir_all(&recipes).unwrap();
        fs::write(recipes.join("lab.toml"), RECIPE).unwrap();
        fs::write(recipes.join("beside"), "token-beside").unwrap();
        let recipe = load(recipes.join("lab.toml").to_str().unwrap(), &[], &Here).unwrap();
        let store = Store::open(&at("home/store")).unwrap();
        let pin = |name: &str, url: String| Pin { name: name.to_owned(), sha256: Sha256Digest::of(b"input"), urls: vec![url] };
        let mut resolved = Resolved::default();
        resolved.pins.0.push(pin("debian bookworm", format!("file:{}", at("home/mirror").display())));
        resolved.pins.0.push(pin("debian bookworm-updates", "http://me:token-url@mirror.example.org/debian".to_owned()));
        let chosen = Chosen::new(resolved, Choice::default());
        let plan = plan_of(&recipe, &Answers::of(&recipe).unwrap(), &chosen, &store).unwrap();
        let proved = Proved { chosen, proofs: Vec::new() };
        let target = at("home/out/lab");
        let draft = Draft::begin(&target).unwrap();

        let known: [(PathBuf, &str); 2] = [(at("home"), "~"), (store.root().to_owned(), "STORE")];
        let journal = fs::File::create(draft.path().join(EVENTS_FILE)).unwrap();
        let events = Events::new(vec![Box::new(PublicLog::new(journal, HostPaths::new(known)))]);
        let task = events.task("install");
        task.line("guest", "token-guest");
        task.step(&format!("copy {}", at("home/store/v1/layers").display()));
        events.warn(format!("{} is slow", recipes.display()));

        let image = draft.path().join("lab.qcow2");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let create = Invocation::new(Tool::QemuImg).args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("1M");
            create.run_with(|_| {}).await.unwrap();
            let report = Report { checks: Vec::new(), docker_info: None };
            let image = image_record(&image, &task).await.unwrap();
            let origin = Origin::of_build(&recipe, &plan, proved);
            let manifest =
                describe(origin, Vec::new(), Promises::of(&recipe), report, Files { image, exports: Vec::new(), warm: None }).await;
            task.done();
            draft.publish(&manifest, Overwrite::Refuse, &Arc::default()).unwrap();
        });

        let mut names = Vec::new();
        for entry in fs::read_dir(&target).unwrap().map(|entry| entry.unwrap()) {
            let bytes = fs::read(entry.path()).unwrap();
            for secret in [temp.path().to_str().unwrap(), "token-"] {
                let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
                let shown = found.map(|at| String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 80)]).into_owned());
                assert_eq!(shown, None, "{}", entry.path().display());
            }
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["SHA256SUMS", "build.ndjson", "lab.qcow2", "manifest.json"]);
        // There are digests in place of the texts, but the checks are complete, so that they can be run again.
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(target.join("manifest.json")).unwrap()).unwrap();
        let inline = serde_json::json!({"from": "inline", "sha256": Sha256Digest::of(b"token-inline")});
        assert_eq!(manifest["recipe"]["files"][0]["content"], inline);
        assert_eq!(manifest["recipe"]["files"][1]["content"]["sha256"], Sha256Digest::of(b"token-beside").to_string());
        assert_eq!(manifest["recipe"]["provision"][0]["script"]["from"], "inline");
        assert_eq!(manifest["recipe"]["run"], serde_json::json!({"memory": "4G", "forward": [{"host": 8080, "guest": 80}]}));
        assert_eq!(manifest["promises"]["checks"][0]["kind"]["run"], "test -e /etc/inline");
        assert_eq!(manifest["inputs"][1]["urls"][0], "http://mirror.example.org/debian");
    }
}

//! Archives of container images, made here: good ones, and bad ones of every kind.

use std::io::Write;

use serde_json::{Value, json};

use super::contents::Contents;
use super::documents::images;
use super::packed::PackedLayer;
use super::*;

/// The layer of all images.
const LAYER: &[u8] = b"layer";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256Digest::of(bytes))
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Sha256Digest::of(bytes))
}

/// The configuration of an image for `architecture` with so many times the layer.
fn config(architecture: &str, layers: usize) -> Vec<u8> {
    json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": vec![digest(LAYER); layers]}})
        .to_string()
        .into_bytes()
}

type Files = Vec<(String, Vec<u8>)>;

/// The result for an archive of these files: each image with its tags, or each fault.
fn told(files: &Files) -> Vec<String> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    match images(&Contents::with(&files)) {
        Ok(images) => {
            images.iter().map(|image| format!("{} {} {}", image.image.id, image.image.tags.join(" "), image.layers.len())).collect()
        }
        Err(faults) => {
            assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.remedy.is_empty()));
            faults.into_iter().map(|fault| fault.what).collect()
        }
    }
}

/// What `docker save` writes, its `manifest.json` changed by `change`.
fn saved(config: &[u8], change: impl FnOnce(&mut Value)) -> Files {
    let name = format!("{}.json", Sha256Digest::of(config));
    let mut manifest = json!([{"Config": name, "RepoTags": ["docker.io/library/app:1", "app:one"], "Layers": ["1/layer.tar"]}]);
    change(&mut manifest);
    vec![(name, config.to_vec()), ("1/layer.tar".into(), LAYER.to_vec()), ("manifest.json".into(), manifest.to_string().into())]
}

#[test]
fn archives_of_docker_save_are_understood_or_refused() {
    let good = config("amd64", 1);
    let id = Sha256Digest::of(&good);
    let name = format!("{id}.json");
    let set = |at: &'static str, value: Value| saved(&config("amd64", 1), move |manifest| *manifest.pointer_mut(at).unwrap() = value);
    let without = |path: &str| saved(&good, |_| {}).into_iter().filter(|(name, _)| name != path).collect::<Files>();
    let layer = |bytes: &[u8]| [without("1/layer.tar"), vec![("1/layer.tar".into(), bytes.to_vec())]].concat();
    let other = saved(&config("arm64", 1), |_| {});
    let raw = |text: &str| vec![("manifest.json".to_owned(), text.as_bytes().to_vec())];
    let mut damaged = saved(&good, |_| {});
    damaged[0].1.push(b' ');
    let twice = |tags: &[&str]| {
        let two = config("amd64", 2);
        let second = json!({"Config": "two", "RepoTags": tags, "Layers": ["1/layer.tar", "1/layer.tar"]});
        [saved(&good, |manifest| manifest.as_array_mut().unwrap().push(second)), vec![("two".into(), two)]].concat()
    };
    for (files, expected) in [
        (saved(&good, |_| {}), vec![format!("{id} app:1 app:one 1")]),
        (layer(&gzip(LAYER)), vec![format!("{id} app:1 app:one 1")]),
        (layer(&zstd::encode_all(LAYER, 1).unwrap()), vec![format!("{id} app:1 app:one 1")]),
        (twice(&["two"]), vec![format!("{id} app:1 app:one 1"), format!("{} two:latest 2", Sha256Digest::of(&config("amd64", 2)))]),
        (twice(&["app:one"]), vec!["it has two images app:one".into()]),
        (
            layer(b"another"),
            vec![format!(
                "`1/layer.tar`, a layer of docker.io/library/app:1, is damaged: unpacked it hashes to {}, and not to {}",
                Sha256Digest::of(b"another"),
                Sha256Digest::of(LAYER)
            )],
        ),
        (layer(&gzip(LAYER)[..20]), vec!["`1/layer.tar`, a layer of docker.io/library/app:1, cannot be unpacked: ".into()]),
        (without("1/layer.tar"), vec!["it lacks `1/layer.tar`, a layer of docker.io/library/app:1: it is cut short".into()]),
        (without(&name), vec![format!("it lacks `{name}`, the configuration of an image: it is cut short")]),
        (without("manifest.json"), vec!["it is not an archive of container images".into()]),
        (damaged, vec![format!("`{name}`, the configuration of docker.io/library/app:1, is damaged: it hashes to ")]),
        (other, vec!["its image docker.io/library/app:1 is for linux/arm64, and not for linux/amd64".into()]),
        (set("/0/RepoTags", json!(null)), vec![format!("its image in `{name}` has no tag and no name")]),
        (set("/0/RepoTags", json!(["A:1", "b:"])), vec!["its image is called `A:1`, and ".into(), "its image is called `b:`, and ".into()]),
        (set("/0/Layers", json!([])), vec!["its image docker.io/library/app:1 has 0 layers, and its configuration 1".into()]),
        (set("/0/Config", json!("1/layer.tar")), vec!["`1/layer.tar` is no JSON document of 4.00 MiB at most".into()]),
        (raw("[]"), vec!["it holds no image".into()]),
        (raw("{}"), vec!["`manifest.json` is not the list of images as it must be: ".into()]),
        (raw("[{"), vec!["`manifest.json` is not the list of images as it must be: ".into()]),
        (raw("[{}]"), vec!["`manifest.json` is not the list of images as it must be: missing field `Config`".into()]),
        (
            saved(&config("amd64", 126), |manifest| manifest[0]["Layers"] = json!(vec!["1/layer.tar"; 126])),
            vec!["its image docker.io/library/app:1 has 126 layers, and Docker takes 125".into()],
        ),
        (vec![("repositories".into(), b"{}".to_vec())], vec!["it is of a Docker before 1.10".into()]),
        (vec![("etc/passwd".into(), Vec::new())], vec!["it holds the files of one system, as `docker export` writes them".into()]),
        (saved(b"{}", |_| {}), vec![format!("`{}.json` is not the configuration of an image", Sha256Digest::of(b"{}"))]),
    ] {
        let told = told(&files);
        assert!(
            told.len() == expected.len() && told.iter().zip(&expected).all(|(told, start)| told.starts_with(start)),
            "{told:#?}\n{expected:#?}"
        );
    }
}

/// Lists that are longer than any real one, and a document that is read a thousand times.
#[test]
fn floods_end_with_an_error() {
    let good = config("amd64", 1);
    let long = [b"{".to_vec(), vec![b' '; 1 << 20], good[1..].to_vec()].concat();
    let entries = |count: usize| json!(vec![json!({"Config": "c", "RepoTags": ["a"], "Layers": ["1/layer.tar"]}); count]);
    let of = |config: &[u8], manifest: Value| {
        let files = [("c", config.to_vec()), ("1/layer.tar", LAYER.to_vec()), ("manifest.json", manifest.to_string().into_bytes())];
        told(&files.map(|(path, bytes)| (path.to_owned(), bytes)).to_vec())
    };
    assert_eq!(of(&good, entries(1000)), [format!("{} a:latest 1", Sha256Digest::of(&good))]);
    assert_eq!(of(&good, entries(1001)), ["it has 1001 images, and 1000 at most are read"]);
    assert_eq!(of(&long, entries(1000)), ["its documents lead to more than 128 MiB of JSON"]);
    let names = json!([{"Config": "c", "RepoTags": vec!["a"; 1001], "Layers": ["1/layer.tar"]}]);
    assert_eq!(of(&good, names), ["its image a has 1001 names, and 1000 at most are read"]);
}

/// An OCI layout of one image whose index has these annotations; `platform` is that of a manifest of an index between, when there is one.
fn layout(config: &[u8], annotations: Value, platform: Option<Value>) -> Files {
    let layer = gzip(LAYER);
    let descriptor = |bytes: &[u8]| json!({"mediaType": "x", "digest": digest(bytes), "size": bytes.len()});
    let manifest = json!({"schemaVersion": 2, "config": descriptor(config), "layers": [descriptor(&layer)]}).to_string().into_bytes();
    let mut files = vec![("oci-layout".to_owned(), b"{}".to_vec())];
    let mut top = descriptor(&manifest);
    files.extend([config.to_vec(), layer, manifest].map(|bytes| (blob(&bytes), bytes)));
    if let Some(platform) = platform {
        let mut about = top.clone();
        about["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        top["platform"] = platform;
        let index = json!({"schemaVersion": 2, "manifests": [about, top]}).to_string().into_bytes();
        top = descriptor(&index);
        files.push((blob(&index), index));
    }
    top["annotations"] = annotations;
    files.push(("index.json".to_owned(), json!({"schemaVersion": 2, "manifests": [top]}).to_string().into_bytes()));
    files
}

#[test]
fn oci_layouts_are_understood_or_refused() {
    let good = config("amd64", 1);
    let id = Sha256Digest::of(&good);
    let named = || json!({"org.opencontainers.image.ref.name": "app:1"});
    let ours = json!({"os": "linux", "architecture": "amd64"});
    let without = |at: usize| {
        let mut files = layout(&good, named(), None);
        files.remove(at);
        files
    };
    let mut damaged = layout(&good, named(), None);
    damaged[1].1[0] = b' ';
    let loops = json!({"manifests": []}).to_string();
    let sha512 = r#"{"manifests": [{"digest": "sha512:00"}]}"#;
    let artifact = json!({"manifests": [{"digest": digest(b"{}")}]}).to_string();
    let index = |text: &str| vec![("index.json".to_owned(), text.as_bytes().to_vec()), (blob(b"{}"), b"{}".to_vec())];
    for (files, expected) in [
        (layout(&good, named(), None), format!("{id} app:1 1")),
        (layout(&good, named(), Some(ours)), format!("{id} app:1 1")),
        (
            layout(&good, json!({"io.containerd.image.name": "docker.io/library/b:2", "org.opencontainers.image.ref.name": "2"}), None),
            format!("{id} b:2 1"),
        ),
        (
            layout(&good, json!({"org.opencontainers.image.ref.name": "1"}), None),
            format!("its image in `{}` has no tag and no name", blob(&good)),
        ),
        (layout(&good, json!(null), None), format!("its image in `{}` has no tag and no name", blob(&good))),
        (layout(&config("s390x", 1), named(), None), "its image app:1 is for linux/s390x, and not for linux/amd64".into()),
        (
            layout(&good, named(), Some(json!({"os": "linux", "architecture": "arm64"}))),
            "its image app:1 is for linux/arm64, and not for linux/amd64".into(),
        ),
        (without(1), format!("it lacks `{}`, the configuration of an image: it is cut short", blob(&good))),
        (without(2), format!("it lacks `{}`, a layer: it is cut short", blob(&gzip(LAYER)))),
        (damaged, format!("`{}`, the configuration of an image, is damaged: it hashes to ", blob(&good))),
        (index(&loops), "it holds no image".into()),
        (index(sha512), "`sha512:00` is not the sha256 digest of a manifest".into()),
        (index(&artifact), format!("`{}` is no manifest of an image", blob(b"{}"))),
        (index("[1]"), "`index.json` is not the index of the layout as it must be: ".into()),
    ] {
        let told = told(&files);
        assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:#?}\n{expected}");
    }
}

/// Indexes that lead to each other, each with many of the next: they end.
#[test]
fn indexes_are_followed_so_far_and_no_further() {
    let mut next = b"{\"manifests\": []}".to_vec();
    let mut files = Files::new();
    for _ in 0..10 {
        let below = json!({"digest": digest(&next)});
        files.push((blob(&next), next));
        next = json!({"manifests": vec![below; 900]}).to_string().into_bytes();
    }
    files.push(("index.json".to_owned(), next));
    let told = told(&files);
    assert!(told.len() <= 20 && told.iter().all(|told| told.starts_with("its indexes lead to one another 4 deep")), "{told:?}");
}

#[test]
fn an_image_of_two_archives_is_one() {
    let image = |id: &[u8], tags: &[&str]| PackedImage {
        image: DockerImage {
            id: Sha256Digest::of(id),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            os: "linux".into(),
            architecture: "amd64".into(),
        },
        config: String::new(),
        config_bytes: 1,
        layers: vec![PackedLayer { file: "l".into(), sha256: Sha256Digest::of(LAYER), bytes: 5 }],
    };
    let dir = tempfile::tempdir().unwrap();
    let store = crate::cache::Store::open(&dir.path().join("store")).unwrap();
    let task = crate::base::event::Events::none().task("t");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let archive = |name: &str, images: Vec<PackedImage>| {
        let path = dir.path().join(name);
        std::fs::write(&path, name).unwrap();
        let file = runtime.block_on(VerifiedFile::of(name, &path, None, &store, &task)).unwrap();
        ContainerArchive { what: name.to_owned(), file, at: None, images, run: None }
    };
    let archives = [
        archive("a", vec![image(b"1", &["b:1", "x:1"])]),
        archive("b", vec![image(b"1", &["a:1", "b:1"]), image(b"2", &["c:1"])]),
        archive("c", vec![image(b"3", &["c:1", "d:1"])]),
    ];
    let all = all_images(&archives);
    assert_eq!(all.iter().map(|image| image.tags.join(" ")).collect::<Vec<_>>(), ["a:1 b:1 x:1", "c:1", "c:1 d:1"]);
    assert_eq!(archives[0].pin().name, "container_image a");
    assert!(clashes(&archives[..2]).is_empty());
    let said: Vec<String> = clashes(&archives).iter().map(ToString::to_string).collect();
    let (three, two) = (Sha256Digest::of(b"3"), Sha256Digest::of(b"2"));
    let end = format!("its c:1 is image {}, and that of b is image {}", three.short(), two.short());
    assert!(said.len() == 1 && said[0].starts_with("c cannot be used: ") && said[0].ends_with(&end), "{said:?}");
}

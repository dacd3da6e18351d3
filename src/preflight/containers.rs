//! Checks what container images need from the rest of the recipe. Pure.

use super::report::{Area, Row};
use crate::base::size::rounded;
use crate::closure::Forecast;
use crate::recipe::{DOCKER_ENGINES, DockerImage, Media, Recipe};

/// The rows of the images of a recipe. `bytes` is the size of all their unpacked layers.
pub(super) fn rows(recipe: &Recipe, images: &[DockerImage], bytes: u64, forecast: Option<&Forecast>) -> Vec<Row> {
    if recipe.container_images.is_empty() {
        return Vec::new();
    }
    let image = |image: &DockerImage| {
        let (tags, id) = (image.tags.join(", "), image.id.short());
        Row::ok(Area::Sources, format!("container image {tags}: {id}, for {}/{}", image.os, image.architecture))
    };
    let mut rows: Vec<Row> = images.iter().map(image).collect();
    rows.extend(forecast.filter(|forecast| forecast.refused.is_empty()).and_then(|forecast| engine(recipe, forecast)));
    rows.extend(forecast.filter(|forecast| forecast.refused.is_empty()).and_then(|forecast| confinement(recipe, forecast)));
    rows.extend(room(recipe, bytes));
    rows
}

/// Debian's kernels have AppArmor switched on, and Docker starts no container then without the program that loads its profile: docker.io only
/// recommends the package, and recommended packages are not installed (20.10.24: "AppArmor enabled on system but the docker-default profile
/// could not be loaded").
fn confinement(recipe: &Recipe, forecast: &Forecast) -> Option<Row> {
    let run = recipe.container_images.iter().find(|image| image.run.is_some())?;
    let off = recipe.kernel.arguments.iter().any(|argument| argument == "apparmor=0");
    if !matches!(recipe.media, Media::Deploy { .. }) || off || forecast.version_of("apparmor").is_some() {
        return None;
    }
    let what = "a container is to be run, and Docker runs none on Debian without the package apparmor, which will not be installed";
    if has_steps(recipe) {
        return Some(Row::warning(Area::Settings, what, Some("make sure that a step installs it".to_owned())));
    }
    let remedy = "add \"apparmor\" to `install` under `[packages]`".to_owned();
    Some(Row::wrong(Area::Settings, what, Some(remedy)).at(run.at.as_ref()))
}

/// Whether a provision step may install files that the packages do not have.
fn has_steps(recipe: &Recipe) -> bool {
    recipe.provision.iter().any(|step| step.script.is_some() || !step.packages.is_empty())
}

/// Images cannot be loaded without Docker.
fn engine(recipe: &Recipe, forecast: &Forecast) -> Option<Row> {
    if DOCKER_ENGINES.iter().any(|name| forecast.version_of(name).is_some()) {
        return None;
    }
    let what = "there are container images to load, and no package with a Docker Engine will be installed";
    if has_steps(recipe) || recipe.own_kickstart().is_some() {
        return Some(Row::warning(Area::Settings, what, Some("make sure that a script of the recipe's installs one".to_owned())));
    }
    let remedy = "add one to `install` under `[packages]`, such as \"docker.io\" of Debian or \"docker-ce\", or remove the images";
    let at = recipe.container_images.first().and_then(|image| image.at.as_ref());
    Some(Row::wrong(Area::Settings, what, Some(remedy.to_owned())).at(at))
}

/// While Docker loads images, it needs room for the unpacked archive and for the layers that it makes from it.
fn room(recipe: &Recipe, bytes: u64) -> Option<Row> {
    let (needed, disk) = (bytes.saturating_mul(2), &recipe.disk);
    let room = disk.size.bytes().saturating_sub(disk.swap.bytes());
    if needed <= room {
        return None;
    }
    let what =
        format!("the container images take {} while they are loaded, twice their size; the disk has {}", rounded(needed), rounded(room));
    let size = needed.saturating_add(disk.swap.bytes()).div_ceil(1 << 30).saturating_add(4);
    Some(Row::wrong(Area::Disk, what, Some(format!("make it larger: --set disk.size='\"{size}G\"'"))))
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::super::tests::recipe;
    use super::*;
    use crate::base::digest::Sha256Digest;
    use crate::closure::ForecastPackage;

    fn told(more: &str, packages: Option<&[&str]>, bytes: u64) -> Vec<(Verdict, String)> {
        let text = format!(
            "schema = 1\nname = \"x\"\nmedia = {{ installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }}\n\
             system = {{ root = \"locked\" }}\ndisk = {{ swap = \"1G\" }}\n{more}"
        );
        let recipe = recipe(text);
        let named =
            |name: &str| ForecastPackage { name: name.into(), version: "1".into(), arch: "amd64".into(), ..ForecastPackage::default() };
        let forecast = packages.map(|names| Forecast { packages: names.iter().map(|name| named(name)).collect(), ..Forecast::default() });
        let (tags, id) = (vec!["a:1".to_owned(), "b:1".to_owned()], Sha256Digest::of(b"1"));
        let image = DockerImage { id, tags, os: "linux".into(), architecture: "amd64".into() };
        let rows = rows(&recipe, &[image], bytes, forecast.as_ref());
        assert!(rows.iter().all(|row| row.verdict == Verdict::Ok || row.remedy.is_some()));
        let line = |row: &Row| row.evidence.iter().any(|line| line.contains("x.toml:7:"));
        assert!(rows.iter().all(|row| row.area != Area::Settings || row.verdict != Verdict::Wrong || line(row)), "{rows:?}");
        rows.into_iter().map(|row| (row.verdict, row.what)).collect()
    }

    #[test]
    fn images_need_docker_and_room() {
        let images = "[[container_image]]\narchive = \"a.tar\"\n";
        let step = format!("{images}[[provision]]\nname = \"a\"\nscript = \"true\"\n");
        let known = || (Verdict::Ok, format!("container image a:1, b:1: {}, for linux/amd64", Sha256Digest::of(b"1").short()));
        let lacks = "there are container images to load, and no package with a Docker Engine will be installed".to_owned();
        let full = "the container images take 7.02 GiB while they are loaded, twice their size; the disk has 7.00 GiB".to_owned();
        let confined =
            "a container is to be run, and Docker runs none on Debian without the package apparmor, which will not be installed".to_owned();
        let runs = format!("{images}run = []\n");
        for (more, packages, bytes, expected) in [
            ("", Some(&["vim"][..]), 1 << 40, vec![]),
            (images, None, 1, vec![known()]),
            (images, Some(&["docker.io"]), 7 << 29, vec![known()]),
            (images, Some(&["docker-ce"]), (7 << 29) + (10 << 20), vec![known(), (Verdict::Wrong, full)]),
            (images, Some(&["podman"]), 1, vec![known(), (Verdict::Wrong, lacks.clone())]),
            (&step, Some(&["podman"]), 1, vec![known(), (Verdict::Warning, lacks)]),
            (&runs, Some(&["docker.io"]), 1, vec![known(), (Verdict::Wrong, confined.clone())]),
            (&runs, Some(&["docker.io", "apparmor"]), 1, vec![known()]),
            (&format!("kernel = {{ arguments = [\"apparmor=0\"] }}\n{runs}"), Some(&["docker.io"]), 1, vec![known()]),
            (
                &format!("{runs}[[provision]]\nname = \"a\"\nscript = \"true\"\n"),
                Some(&["docker.io"]),
                1,
                vec![known(), (Verdict::Warning, confined)],
            ),
        ] {
            assert_eq!(told(more, packages, bytes), expected, "{more} {packages:?} {bytes}");
        }
    }
}

//! Checks of container images: the questions to Docker, and the judgement of its answers. Pure.

use super::CheckResult;
use crate::base::text::shell_line;
use crate::recipe::{ContainerRun, DockerImage};

/// Characters of an output that a result shows.
const EXCERPT: usize = 300;

/// Each tag with its image: a check for each.
pub(super) fn tags(images: &[DockerImage]) -> impl Iterator<Item = (&DockerImage, &str)> {
    images.iter().flat_map(|image| image.tags.iter().map(move |tag| (image, tag.as_str())))
}

/// The command that tells the id of the image that has `tag`.
pub(super) fn inspect(tag: &str) -> String {
    shell_line(["docker", "inspect", "--type", "image", "--format", "{{.Id}} {{.Os}}/{{.Architecture}}", tag])
}

/// The command that runs the image called `name`, without a network, and leaves no container.
pub(super) fn run(name: &str, run: &ContainerRun) -> String {
    let words = ["docker", "run", "--rm", "--network", "none", name];
    shell_line(words.into_iter().chain(run.command.iter().map(String::as_str)))
}

/// Whether `tag` leads to `image`; Docker's command ended with `status` and wrote these two outputs.
pub(super) fn judge_image(image: &DockerImage, tag: &str, status: i32, (out, err): &(String, String)) -> CheckResult {
    let name = format!("Docker has the image {tag}");
    if status != 0 {
        return CheckResult::failed(name, format!("docker inspect ended with status {status}: {}", excerpt(err)));
    }
    CheckResult::equal(name, out.trim(), &format!("sha256:{} {}/{}", image.id, image.os, image.architecture))
}

/// Whether the image called `image` ran as wanted.
pub(super) fn judge_run(image: &str, run: &ContainerRun, status: i32, (out, err): &(String, String)) -> CheckResult {
    let words = if run.command.is_empty() { String::new() } else { format!(" {}", shell_line(run.command.iter().map(String::as_str))) };
    let name = format!("docker run {image}{words}");
    let out = out.trim();
    match run.stdout.as_deref().map(str::trim) {
        _ if status != 0 => CheckResult::failed(name, format!("exit status {status}: {}", excerpt(err))),
        Some(wanted) if out != wanted => {
            CheckResult::failed(name, format!("its output is `{}`, wanted `{}`", excerpt(out), excerpt(wanted)))
        }
        _ => CheckResult::passed(name, excerpt(out)),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use crate::base::digest::Sha256Digest;

    fn image() -> DockerImage {
        let tags = ["a/b:1".to_owned(), "c:x".to_owned()].to_vec();
        DockerImage { id: Sha256Digest::of(b"1"), tags, os: "linux".to_owned(), architecture: "amd64".to_owned() }
    }

    #[test]
    fn a_tag_leads_to_its_image() {
        let image = image();
        assert_eq!(tags(std::slice::from_ref(&image)).map(|(_, tag)| tag).collect::<Vec<_>>(), ["a/b:1", "c:x"]);
        assert_eq!(inspect("a/b:1"), "docker inspect --type image --format '{{.Id}} {{.Os}}/{{.Architecture}}' a/b:1");
        let (good, other) = (format!("sha256:{} linux/amd64", image.id), format!("sha256:{} linux/amd64", Sha256Digest::of(b"2")));
        for (status, out, err, outcome) in [
            (0, good.as_str(), "", Outcome::Passed),
            (0, &other, "", Outcome::Failed),
            (0, "", "", Outcome::Failed),
            (1, "", "Error: No such image: c:x", Outcome::Failed),
        ] {
            let judged = judge_image(&image, "c:x", status, &(out.to_owned(), err.to_owned()));
            assert_eq!((judged.name.as_str(), judged.outcome), ("Docker has the image c:x", outcome), "{judged:?}");
            assert!(status == 0 || judged.detail.contains(err), "{judged:?}");
        }
    }

    #[test]
    fn a_run_is_judged_by_its_status_and_its_whole_output() {
        let of = |stdout: Option<&str>| ContainerRun {
            command: ["echo".to_owned(), "it's $x".to_owned()].to_vec(),
            stdout: stdout.map(str::to_owned),
        };
        assert_eq!(run("a:1", &of(None)), r"docker run --rm --network none a:1 echo 'it'\''s $x'");
        assert_eq!(run("a:1", &ContainerRun { command: Vec::new(), stdout: None }), "docker run --rm --network none a:1");
        for (status, out, wanted, outcome) in [
            (0, "hello\n", Some("hello"), Outcome::Passed),
            (0, "hello", Some(" hello\n"), Outcome::Passed),
            (0, "hello world", Some("hello"), Outcome::Failed),
            (0, "", Some(""), Outcome::Passed),
            (0, "x", Some(""), Outcome::Failed),
            (0, "anything", None, Outcome::Passed),
            (125, "hello", Some("hello"), Outcome::Failed),
            (1, "", None, Outcome::Failed),
        ] {
            let judged = judge_run("a:1", &of(wanted), status, &(out.to_owned(), "why".to_owned()));
            assert_eq!(judged.outcome, outcome, "{judged:?}");
            assert!(judged.name.starts_with("docker run a:1 echo ") && (status == 0 || judged.detail.contains("why")), "{judged:?}");
        }
    }
}

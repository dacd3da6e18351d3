//! Files of the recipe's own that the audit of the finished image would refuse. Pure.

use std::path::Path;

use super::report::{Area, Row};
use crate::audit::{self, Severity};
use crate::recipe::Recipe;
use crate::verify::Promises;

/// A warning for each such file that no waiver of the recipe names. It is only a warning, because sealing removes some of them.
pub(super) fn rows(recipe: &Recipe) -> Vec<Row> {
    let waivers = Promises::of(recipe).waivers;
    let files = recipe.files.iter().chain(recipe.provision.iter().flat_map(|step| &step.files));
    let found = files.flat_map(|file| audit::of_file(Path::new(file.path.as_str()), file.mode, file.content.bytes()));
    let faults = found.filter(|found| found.rule.severity == Severity::Fault && !waivers.iter().any(|waiver| waiver.covers(found)));
    let row = |fault: audit::Finding| {
        let rule = fault.rule;
        let what = format!("the audit of the image looks for what the recipe puts there: {fault} (rule {}). {}", rule.id, rule.why);
        let remedy = format!("{}; if it is meant to be in the image, say why in a `[[waiver]]` with `rule = \"{}\"`", rule.remedy, rule.id);
        Row::warning(Area::Settings, what, Some(remedy))
    };
    faults.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;

    #[test]
    fn a_file_that_the_audit_would_refuse_is_told_unless_it_is_waived() {
        let head = "schema = 1\nname = \"x\"\nmedia = { installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }\n\
                    system = { root = \"locked\" }\n";
        let told = |more: &str| -> Vec<String> {
            let recipe = recipe(format!("{head}{more}"));
            rows(&recipe).into_iter().map(|row| row.what.split("(rule ").nth(1).unwrap().split(')').next().unwrap().to_owned()).collect()
        };
        let file =
            |path: &str, content: &str, mode: &str| format!("[[file]]\npath = \"{path}\"\ncontent = \"{content}\"\nmode = \"{mode}\"\n");
        let key = file("/etc/ssl/private/x.key", "-----BEGIN PRIVATE KEY-----", "0600");
        for (more, expected) in [
            (file("/etc/motd", "x", "0644"), &[][..]),
            (key.clone(), &["private-keys"]),
            (file("/root/.netrc", "x", "0600"), &["tool-credentials"]),
            (file("/var/lib/docker/containers/1/x", "x", "0600"), &["docker-containers"]),
            (file("/usr/local/bin/x", "x", "4755"), &["foreign-setuid"]),
            (file("/etc/open", "x", "0666"), &["world-writable"]),
            (
                format!("[[provision]]\nname = \"a\"\nscript = \"true\"\n{}", key.replace("[[file]]", "[[provision.files]]")),
                &["private-keys"],
            ),
            (format!("{key}[[waiver]]\nrule = \"private-keys\"\npath = \"/etc/ssl/*/*.key\"\nreason = \"a lab\"\n"), &[]),
            (format!("{key}[[waiver]]\nrule = \"tokens\"\nreason = \"a lab\"\n"), &["private-keys"]),
        ] {
            assert_eq!(told(&more), expected, "{more}");
        }
    }
}

//! Scripts of provision steps that ask for the host name while the system does not have its final name. Pure.

use super::report::{Area, Row};
use crate::installer::hostname::UNNAMED;
use crate::kickstart::{NameAsked, names_asked};
use crate::recipe::{Content, ProvisionStep, Recipe};

/// At most this many places in one script are reported.
const KEPT: usize = 20;

/// A warning for each place. With a kickstart of the user's own there is no warning: the system has the kickstart's name from its
/// installation on.
pub(super) fn rows(recipe: &Recipe) -> Vec<Row> {
    if recipe.own_kickstart().is_some() {
        return Vec::new();
    }
    let remedy = || {
        let name = &recipe.system.hostname;
        Some(format!("write the name itself, `{name}`, or have a unit do at the first boot what needs it"))
    };
    let of_step = |step: &ProvisionStep| -> Vec<Row> {
        let Some(script) = &step.script else { return Vec::new() };
        let place = match script {
            Content::Inline { .. } => format!("the script of the step `{}`", step.name),
            Content::File { path, .. } => format!("`{}`", path.display()),
        };
        let asked = names_asked(&String::from_utf8_lossy(script.bytes()));
        let row = |asked: &NameAsked| {
            let what = format!(
                "line {} of {place} asks for the host name (`{}`), and is told `{UNNAMED}`: the recipe's name is set when the image is sealed, \
                 and only files of /etc get it then",
                asked.line, asked.by
            );
            Row::warning(Area::Settings, what, remedy())
        };
        asked.iter().take(KEPT).map(row).collect()
    };
    recipe.provision.iter().flat_map(of_step).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;

    #[test]
    fn a_step_that_asks_for_the_name_is_told_with_its_line() {
        let head = "schema = 1\nname = \"x\"\nmedia = { installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }\n\
                    system = { root = \"locked\", hostname = \"node1\" }\n[[provision]]\nname = \"a\"\n";
        let told = |script: &str| -> Vec<Row> { rows(&recipe(format!("{head}script = '''\n{script}'''\n"))) };
        assert_eq!(told("hostname\n# $HOSTNAME\n"), []);
        let found = told("true\nx $(hostname -s)\n");
        let what = "line 2 of the script of the step `a` asks for the host name (`hostname -s`), and is told `unnamed-image`: the recipe's name \
                    is set when the image is sealed, and only files of /etc get it then";
        let remedy = "write the name itself, `node1`, or have a unit do at the first boot what needs it";
        assert_eq!(found, [Row::warning(Area::Settings, what, Some(remedy.to_owned()))]);
        assert_eq!(told(&"x $(hostname)\n".repeat(KEPT + 1)).len(), KEPT);
    }
}

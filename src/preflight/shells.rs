//! Login shells of users that no package brings. Pure.

use super::report::{Area, Row};
use super::services::unlisted;
use crate::packages::Brought;
use crate::recipe::{Recipe, User};

/// Shells that every Debian 12 and EL 7 has, as [`Brought::program`] spells them. The lists of files have them, too, but most users have one of
/// these: without the table, a check of nearly every recipe would fetch a list of about ten megabytes.
const SHELLS: [&str; 5] = ["/bin/bash", "/bin/sh", "/bin/false", "/bin/true", "/sbin/nologin"];
/// Shells that maintainer scripts make with update-alternatives: Debian 12's of csh, tcsh, ksh93u+m, mksh, rc and 9base. EL 7's of ksh and mksh make
/// some of these, too; they were not read. A package may bring one of them although it has no such file.
const ALTERNATIVES: [&str; 4] = ["/bin/csh", "/bin/ksh", "/bin/rc", "/bin/rksh"];

/// Whether all shells of `recipe` that the lists can have are there, so that no further list need be read.
pub(super) fn has_all(recipe: &Recipe, brought: &Brought) -> bool {
    asked(recipe).all(|user| Brought::program(&user.shell).is_none() || brought.has_program(&user.shell))
}

/// Whether the recipe has a user whose shell is to be looked for in the lists of files.
pub(super) fn names_any(recipe: &Recipe) -> bool {
    asked(recipe).any(|user| Brought::program(&user.shell).is_some())
}

/// Rows for the shells that no package brings. Nothing is `brought` when it is not known what the packages bring.
pub(super) fn rows(recipe: &Recipe, brought: Option<&Brought>) -> Vec<Row> {
    asked(recipe).filter_map(|user| Some(row(recipe, user, brought)?.at(user.shell_at.as_ref()))).collect()
}

/// The users whose shells a package must bring.
fn asked(recipe: &Recipe) -> impl Iterator<Item = &User> {
    // The accounts of a kickstart of the user's own are not goldsmith's.
    let users = if recipe.own_kickstart().is_some() { &[][..] } else { &recipe.users };
    let is_usual = |user: &User| Brought::program(&user.shell).is_some_and(|program| SHELLS.contains(&&*program));
    users.iter().filter(move |user| !is_usual(user) && !is_put(recipe, &user.shell))
}

/// Whether a file of the recipe is the shell, wherever `/bin` leads.
fn is_put(recipe: &Recipe, shell: &str) -> bool {
    let (path, program) = (shell, Brought::program(shell));
    let is_it = |other: &str| other == path || (program.is_some() && Brought::program(other) == program);
    recipe.files.iter().chain(recipe.provision.iter().flat_map(|step| &step.files)).any(|file| is_it(&file.path))
}

fn row(recipe: &Recipe, user: &User, brought: Option<&Brought>) -> Option<Row> {
    let what = format!("user `{}` is to have the shell {}", user.name, user.shell);
    // The lists that are kept have no files of other directories.
    let Some((brought, program)) = brought.zip(Brought::program(&user.shell)) else {
        let why = format!("{what}, and it is not known that a package brings it");
        return Some(Row::warning(Area::Settings, why, Some("make sure that a package of the recipe brings the shell".to_owned())));
    };
    let package = brought.other_package(&user.shell);
    let is_provisioned = |package: &str| recipe.provision.iter().flat_map(|step| &step.packages).any(|asked| asked.asks_for(package));
    if brought.has_program(&user.shell) || package.is_some_and(is_provisioned) {
        return None;
    }
    let may_be_provisioned = recipe.provision.iter().any(|step| step.script.is_some() || !step.packages.is_empty());
    // Packages of others may make programs in their scripts. No script makes a program that is another package's file.
    let may_be_made =
        ALTERNATIVES.contains(&&*program) || (package.is_none() && !(recipe.repositories.is_empty() && recipe.apt_repositories.is_empty()));
    let install = match package {
        Some(package) => format!("install the package that brings it: packages.install = [\"{package}\"]"),
        None => "correct the path, or install the package that brings it".to_owned(),
    };
    let why = format!("{what}, and none of the packages brings it{}", unlisted(brought));
    Some(if may_be_provisioned {
        Row::warning(Area::Settings, why, Some(format!("make sure that a provision step brings it, or {install}")))
    } else if may_be_made {
        Row::warning(Area::Settings, why, Some(format!("{install}, unless the script of a package makes it")))
    } else if !brought.unlisted.is_empty() {
        Row::warning(Area::Settings, why, Some(install))
    } else {
        Row::wrong(Area::Settings, why, Some(install))
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::super::tests::recipe;
    use super::*;
    use crate::preflight::Verdict::{self, Warning, Wrong};
    use crate::recipe::{RecipeHost, load};

    const DEBIAN: &str = "{ installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }";
    const EL7: &str = "{ installer = \"anaconda\", iso = { path = \"c.iso\", sha256 = \"506e4e06abf778c3435b4e5745df13e79ebfc86565d7ea1e128067ef6b5a6345\" } }";
    /// A repository of others, beside the distribution's.
    const OTHERS: &str = "[[repository]]\nid = \"lab\"\napt = { url = \"https://l.example\", components = [\"main\"] }\ngpg_keys = [{ url = \"https://l.example/key\", fingerprint = \"9DC858229FC7DD38854AE2D88D81803C0EBFCD88\" }]";

    fn text(media: &str, shell: &str, more: &str) -> String {
        let user = format!("[[user]]\nname = \"ada\"\nshell = \"{shell}\"\n");
        format!("schema = 1\nname = \"x\"\nmedia = {media}\nsystem = {{ root = \"locked\" }}\n{more}\n{user}")
    }

    /// What small lists of files tell. zsh, fish and ksh are not chosen.
    fn lists() -> Brought {
        let mut brought = Brought::default();
        ["bin/bash", "bin/dash", "bin/mksh", "usr/bin/tmux"].iter().for_each(|path| brought.add(path));
        let others = [("bin/zsh", "zsh"), ("usr/bin/fish", "fish"), ("usr/bin/ksh", "ksh")];
        others.iter().for_each(|(path, package)| brought.add_elsewhere(path, package));
        brought
    }

    #[test]
    fn a_shell_is_there_or_missing_or_perhaps_made() {
        let script = "[[provision]]\nname = \"a\"\nscript = \"true\"";
        let online = "[build]\nnetwork = \"open\"\n[[provision]]\nname = \"a\"\npackages = [\"zsh=5.9\"]";
        let later = "[[provision]]\nname = \"a\"\nfiles = [{ path = \"/opt/sh\", content = \"x\" }]";
        let own = "[[file]]\npath = \"/usr/bin/zsh\"\ncontent = \"x\"";
        for (media, shell, more, expected) in [
            (DEBIAN, "/bin/bash", "", None),
            (DEBIAN, "/usr/bin/sh", "", None),
            (EL7, "/usr/sbin/nologin", "", None),
            (DEBIAN, "/bin/false", "", None),
            (DEBIAN, "/usr/bin/dash", "", None),
            (DEBIAN, "/bin/tmux", OTHERS, None),
            (DEBIAN, "/bin/zsh", "", Some(Wrong)),
            (EL7, "/usr/bin/zsh", "", Some(Wrong)),
            (DEBIAN, "/usr/bin/fish", OTHERS, Some(Wrong)),
            (DEBIAN, "/bin/zhs", "", Some(Wrong)),
            (DEBIAN, "/sbin/zsh", "", Some(Wrong)),
            // Packages of others may make it.
            (DEBIAN, "/usr/bin/cli", OTHERS, Some(Warning)),
            // mksh makes them.
            (DEBIAN, "/bin/rksh", "", Some(Warning)),
            (EL7, "/usr/bin/ksh", "", Some(Warning)),
            (DEBIAN, "/bin/zsh", own, None),
            (DEBIAN, "/bin/zsh", script, Some(Warning)),
            (DEBIAN, "/bin/zsh", online, None),
            (DEBIAN, "/bin/fish", online, Some(Warning)),
            (DEBIAN, "/opt/sh", later, None),
            // The lists that are kept do not have these.
            (DEBIAN, "/opt/sh", "", Some(Warning)),
            (DEBIAN, "/usr/local/bin/zsh", "", Some(Warning)),
        ] {
            let recipe = recipe(text(media, shell, more));
            let verdicts: Vec<Verdict> = rows(&recipe, Some(&lists())).iter().map(|row| row.verdict).collect();
            assert_eq!(verdicts, expected.into_iter().collect::<Vec<_>>(), "{shell} {more}");
        }
    }

    #[test]
    fn lists_are_read_until_no_shell_is_missing() {
        for (shell, asks, has_all, without_lists) in [
            ("/bin/bash", false, true, None),
            ("/opt/sh", false, true, Some(Warning)),
            ("/usr/bin/dash", true, true, Some(Warning)),
            ("/bin/zsh", true, false, Some(Warning)),
            ("/bin/rksh", true, false, Some(Warning)),
        ] {
            let recipe = recipe(text(DEBIAN, shell, ""));
            assert_eq!((names_any(&recipe), super::has_all(&recipe, &lists())), (asks, has_all), "{shell}");
            assert_eq!(rows(&recipe, None).first().map(|row| row.verdict), without_lists, "{shell}");
        }
    }

    /// A recipe, and the one that it extends.
    struct Two(String);

    impl RecipeHost for Two {
        fn read(&self, path: &Path, _: u64) -> io::Result<Vec<u8>> {
            let text = if path.ends_with("base.toml") { &self.0 } else { "schema = 1\nname = \"y\"\nextends = \"./base.toml\"\n" };
            Ok(text.as_bytes().to_vec())
        }

        fn env(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn the_line_and_the_remedy_are_told() {
        let host = Two(text(DEBIAN, "/bin/zsh", ""));
        let recipe = load("y.toml", &[], &host).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let mut brought = lists();
        let row = rows(&recipe, Some(&brought)).remove(0);
        assert_eq!(row.what, "user `ada` is to have the shell /bin/zsh, and none of the packages brings it");
        assert_eq!(row.remedy.as_deref(), Some("install the package that brings it: packages.install = [\"zsh\"]"));
        assert!(
            row.evidence[0].ends_with("base.toml:8:9") && row.evidence.join("\n").contains("shell = \"/bin/zsh\""),
            "{:?}",
            row.evidence
        );
        // A repository without a list may have a package that brings it.
        brought.unlisted.push("repository lab, stable".to_owned());
        let row = rows(&recipe, Some(&brought)).remove(0);
        assert_eq!(row.verdict, Warning);
        assert!(row.what.ends_with("brings it, as far as is known: repository lab, stable has no list of files"), "{}", row.what);
    }
}

//! Suites that a mirror does not have: the message names the wrong file, and the place in it.

use std::fs;
use std::io;
use std::path::Path;

use goldsmith::base::event::Events;
use goldsmith::base::failure::{Class, Failure};
use goldsmith::cache::Store;
use goldsmith::recipe::{self, RecipeHost};
use goldsmith::sources::{self, Fetch, Host, Unresolved, Web};

use super::server::Server;

const RECIPE: &str = "schema = 1\nname = \"x\"\n[media]\ninstaller = \"deploy\"\ndistribution = \"debian\"\nsuite = \"bookwurm\"\n\
    [system]\nhostname = \"x\"\ntimezone = \"UTC\"\nroot = \"locked\"\nnetwork = { address = \"dhcp\" }\n";

/// A host with one file.
struct Text(String);

impl RecipeHost for Text {
    fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// The errors for a recipe with the suite `suite`, when the host's package sources have `entries`.
fn refused(suite: &str, entries: &str) -> Unresolved {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sources.list"), entries).unwrap();
    let recipe = recipe::load("./lab.toml", &[], &Text(RECIPE.replace("bookwurm", suite))).unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let scratch = store.scratch().unwrap();
    let web = Web::through(Default::default());
    let host = Host { apt: dir.path(), scratch: scratch.path(), store: &store, web: &web, fetch: Fetch::Look };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sources::resolve(&recipe, host, &Events::none().task("t"))).unwrap_err()
}

#[test]
fn a_suite_that_a_mirror_does_not_have_is_the_recipes_mistake() {
    let dir = tempfile::tempdir().unwrap();
    for suite in ["bookworm", "stable"] {
        fs::create_dir_all(dir.path().join("debian/dists").join(suite)).unwrap();
        fs::write(dir.path().join("debian/dists").join(suite).join("Release"), "Suite: x\n").unwrap();
    }
    let (server, empty) = (Server::of(dir.path()), tempfile::tempdir().unwrap());
    let mirror = format!("{}debian", server.url);

    let error = refused("bookwurm", &format!("deb {mirror} bookwurm main\n"));
    assert_eq!(error.to_string(), format!("no suite `bookwurm` at the mirror {mirror}"));
    assert_eq!((error.class(), error.remedy().as_deref()), (Class::Usage, Some("did you mean `bookworm`?")));
    let found = &error.findings()[0];
    assert_eq!((found.file.as_deref(), found.line, found.column), (Some("./lab.toml"), Some(6), Some(9)));
    assert_eq!(found.help, ["did you mean `bookworm`?"]);
    let shown = error.evidence().join("\n");
    assert!(shown.contains("--> ./lab.toml:6:9\n") && shown.contains("6 | suite = \"bookwurm\"\n"), "{shown}");

    // A name that is similar to no suite of the mirror.
    let error = refused("jammy", &format!("deb {mirror} jammy main\n"));
    assert_eq!((error.class(), error.to_string()), (Class::Usage, format!("no suite `jammy` at the mirror {mirror}")));

    // The server is not a mirror of Debian.
    let other = format!("{}debian", Server::of(empty.path()).url);
    let error = refused("bookwurm", &format!("deb {other} bookwurm main\n"));
    let told = format!(
        "there is no archive of Debian at {other}: it has neither the suite `bookwurm` nor `bookworm` nor `stable` nor `oldstable`"
    );
    assert_eq!((error.class(), error.to_string(), error.findings().len()), (Class::Input, told, 0));

    // No server answers, so nothing is known about the suite.
    let error = refused("bookwurm", "deb http://127.0.0.1:1/debian bookwurm main\n");
    assert_eq!((error.class(), error.findings().len()), (Class::Input, 0));
    assert!(error.to_string().starts_with("the package repository cannot be reached: "), "{error}");
}

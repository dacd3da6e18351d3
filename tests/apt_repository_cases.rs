//! Repositories of Debian packages that a recipe names: made here with dpkg-deb, signed with gpg, and served over http.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::online_cases::server::Server;
use crate::support::{Ended, goldsmith};

/// A repository with `lab-tool`, which needs `lab-lib`, in its suite `stable`; and its keys.
pub struct Repository {
    dir: TempDir,
}

impl Repository {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// The same, with further packages that `add` makes.
    pub fn with(add: impl Fn(&Self)) -> Self {
        let made = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(made.dir.path().join("served/dists/stable/main/binary-amd64")).unwrap();
        // The packages are the same bytes in every run.
        made.package("lab-lib", "2.0", "all", "", "echo library", &[]);
        made.package("lab-tool", "1.0", "amd64", "Depends: lab-lib (>= 2)\n", "echo the lab\\'s tool", &[]);
        add(&made);
        made.sh("for deb in served/*.deb; do dpkg-deb -f $deb; echo Filename: ${deb#served/}; echo Size: $(stat -c %s $deb); \
                 echo SHA256: $(sha256sum < $deb | cut -d' ' -f1); echo; done > served/dists/stable/main/binary-amd64/Packages");
        made.sh("cd served/dists/stable && xz -k main/binary-amd64/Packages && { printf 'Origin: lab\\nSuite: stable\\nCodename: stable\\n\
                 Date: Sat, 12 Jul 2025 09:07:05 UTC\\nArchitectures: amd64\\nComponents: main\\nSHA256:\\n'; \
                 for file in main/binary-amd64/*; do echo \" $(sha256sum < $file | cut -d' ' -f1) $(stat -c %s $file) $file\"; done; } > Release");
        made.key("maker", "");
        made.key("other", "");
        // This key has expired.
        made.key("expired", "--faked-system-time 20200101T000000");
        made.sign("maker", "");
        made
    }

    /// The directory that a server serves.
    pub fn served(&self) -> std::path::PathBuf {
        self.dir.path().join("served")
    }

    #[track_caller]
    fn sh(&self, line: &str) -> String {
        let output =
            Command::new("sh").args(["-euc", line]).env("SOURCE_DATE_EPOCH", "1752000000").current_dir(&self.dir).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A package with the program `/usr/bin/NAME` and these files, by path and text.
    pub fn package(&self, name: &str, version: &str, arch: &str, more: &str, script: &str, files: &[(&str, &str)]) {
        let tree = self.dir.path().join(name);
        for (path, text) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("usr/bin")).unwrap();
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: lab <lab@example.org>\n{more}Description: of the lab\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        fs::write(tree.join("usr/bin").join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        self.sh(&format!(
            "chmod 755 {name}/usr/bin/{name} && dpkg-deb --root-owner-group -b {name} served/{name}_{version}_{arch}.deb >/dev/null"
        ));
    }

    /// A key of that name, in a file of the server.
    fn key(&self, name: &str, options: &str) {
        let expires = if options.is_empty() { "0" } else { "1d" };
        self.sh(&format!(
            "mkdir -m 700 {name} && gpg --quiet --homedir {name} {options} --batch --passphrase '' --quick-generate-key {name} ed25519 sign {expires} \
             2>/dev/null && gpg --homedir {name} --armor --export > served/{name}.asc"
        ));
    }

    fn sign(&self, name: &str, options: &str) {
        let into = "served/dists/stable";
        self.sh(&format!(
            "gpg --quiet --homedir {name} {options} --batch --yes --output {into}/InRelease --clearsign {into}/Release 2>/dev/null"
        ));
    }

    pub fn fingerprint(&self, name: &str) -> String {
        let told = self.sh(&format!("gpg --homedir {name} --with-colons --list-keys 2>/dev/null"));
        told.lines().find(|line| line.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap().to_owned()
    }

    /// `repository = …` of a recipe, with the key of that name.
    pub fn setting(&self, server: &Server, key: &str, more: &str) -> String {
        let url = &server.url;
        format!(
            "repository = [{{ id = \"lab\", apt = {{ url = \"{url}\", suite = \"stable\"{more} }}, \
             gpg_keys = [{{ url = \"{url}{key}.asc\", fingerprint = \"{}\" }}] }}]",
            self.fingerprint(key)
        )
    }
}

/// A recipe with that `repository` installs the tool.
fn recipe(repository: &str) -> String {
    format!(
        "schema = 1\nname = \"lab\"\n{repository}\n[media]\ninstaller = \"deploy\"\ndistribution = \"debian\"\nsuite = \"bookworm\"\n[system]\n\
         root = \"locked\"\n[packages]\ninstall = [\"lab-tool\"]\n"
    )
}

fn check(repository: &str, store: &Path) -> Ended {
    goldsmith(["check", "lab.toml", "--store", store.to_str().unwrap()]).file("lab.toml", &recipe(repository)).end()
}

#[test]
fn packages_come_from_a_repository_that_is_signed_with_the_recipes_key() {
    let repository = Repository::new();
    let server = Server::of(&repository.served());
    let store = repository.dir.path().join("store");
    let good = repository.setting(&server, "maker", "");
    let ended = check(&good, &store);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains("repository lab, stable, index of Sat, 12 Jul 2025") && ended.stdout.contains("2 from lab main"),
        "{}",
        ended.stdout
    );

    // A repository that was verified with one key is not verified for another key.
    for (why, repository, said, help) in [
        (
            "another key",
            repository.setting(&server, "other", ""),
            "the index of repository lab is not signed with a key that the recipe names: http://",
            "which `repository.0.gpg_keys` does not have",
        ),
        (
            "no such suite",
            good.replace("\"stable\"", "\"unstable\""),
            "repository lab cannot be reached, or has no such suite: http://",
            "check the network, and `url` and `suite` of `repository.0.apt`",
        ),
        (
            "no such component",
            repository.setting(&server, "maker", ", components = [\"main\", \"extra\"]"),
            "has no component `extra` for amd64",
            "check the components",
        ),
        ("no such key", good.replace("maker.asc", "nobody.asc"), "the keys of repository lab", ""),
        ("a key of another fingerprint", good.replace("maker.asc", "other.asc"), "the keys of repository lab", ""),
    ] {
        let ended = check(&repository, &store);
        assert_eq!(ended.status, 3, "{why}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains(said) && ended.stdout.contains(help), "{why}: {}", ended.stdout);
    }
    repository.sign("expired", "--faked-system-time 20200101T000000");
    let ended = check(&repository.setting(&server, "expired", ""), &store);
    assert!(ended.status == 3 && ended.stdout.contains("EXPKEYSIG"), "{}", ended.stdout);
    // A mirror changes the index.
    repository.sign("maker", "");
    let index = fs::read_to_string(repository.served().join("dists/stable/InRelease")).unwrap();
    server.lie("/dists/stable/InRelease", Some(index.replace("Codename: stable", "Codename: stabel").as_bytes()));
    let ended = check(&good, &store);
    assert!(ended.status == 3 && ended.stdout.contains("is not signed with a key that the recipe names"), "{}", ended.stdout);
}

//! The installed packages and their source.

use std::collections::HashMap;

use super::super::parser::{Command, PackageKind, Span};
use super::row::{Hit, Lint};
use super::sheet::Sheet;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "packages-missing",
        what: "no `%packages`",
        why: "the installer asks what to install; in cmdline mode it stops, and then powers off as after success",
        remedy: "add `%packages`, `@core` and `%end`",
        source: "pyanaconda/ui/tui/spokes/software.py, ui/tui/hubs/summary.py",
        check: packages_missing,
    },
    Lint {
        id: "docker-cli-unpinned",
        what: "docker-ce of one version, docker-ce-cli of any",
        why: "docker-ce 18.09 and later needs docker-ce-cli without a version, so the newest one of the repository is installed",
        remedy: "name docker-ce-cli with the same version",
        source: "docker-ce v18.09.6: components/packaging/rpm/SPECS/docker-ce.spec",
        check: docker_cli_unpinned,
    },
    Lint {
        id: "kdump-without-kexec-tools",
        what: "kdump is enabled, and its package excluded",
        why: "kexec-tools is kdump: memory is reserved for a crash kernel that nothing loads, or the exclusion has no effect",
        remedy: "write `%addon com_redhat_kdump --disable`, or remove `-kexec-tools`",
        source: "kdump-anaconda-addon: com_redhat_kdump/ks/kdump.py",
        check: kdump_without_kexec_tools,
    },
    Lint {
        id: "firewalld-excluded",
        what: "a firewall is set up, and firewalld excluded",
        why: "after all packages are installed Anaconda finds no firewall-offline-cmd, and the installation fails",
        remedy: "remove `-firewalld`, or write `firewall --disabled`",
        source: "pyanaconda/kickstart.py: Firewall.execute",
        check: firewalld_excluded,
    },
    Lint {
        id: "package-and-excluded",
        what: "a package that is both listed and excluded",
        why: "the later line wins, without a word",
        remedy: "remove one of the two lines",
        source: "pykickstart/parser.py: Packages.add",
        check: package_and_excluded,
    },
    Lint {
        id: "dead-mirror",
        what: "a repository on mirror.centos.org or mirrorlist.centos.org",
        why: "CentOS 7 ended in June 2024, and these hosts serve it no more: the installer finds no packages",
        remedy: "use http://vault.centos.org/7.5.1804/os/x86_64/, a mirror of the vault, or the medium (`cdrom`)",
        source: "www.centos.org/centos-linux-eol; vault.centos.org/readme.txt",
        check: dead_mirror,
    },
    Lint {
        id: "mirror-without-7",
        what: "CentOS 7 or EPEL 7 on an ordinary mirror",
        why: "both were moved to archives in June 2024, and most mirrors removed them: the address answers 404",
        remedy: "use vault.centos.org/7.5.1804/, archives.fedoraproject.org/pub/archive/epel/7/, or a mirror that says it keeps archives",
        source: "www.centos.org/centos-linux-eol; docs.fedoraproject.org/en-US/epel: EPEL 7",
        check: mirror_without_7,
    },
    Lint {
        id: "repo-install-local",
        what: "`repo --install` with an address that only the installer has",
        why: "the address is written into the installed system's yum.repos.d, where every yum fails over it",
        remedy: "remove `--install`, and write the .repo file in a `%post`",
        source: "pykickstart/commands/repo.py: RHEL7_Repo; pyanaconda/packaging/yumpayload.py: writeStorageLate",
        check: repo_install_local,
    },
];

fn packages_missing(sheet: &Sheet<'_>) -> Vec<Hit> {
    let is_image = sheet.has("liveimg") || sheet.has("ostreesetup");
    if !sheet.is_whole || is_image || sheet.document.packages().next().is_some() {
        return vec![];
    }
    vec![Hit::of_file("nothing says what is installed: no `%packages`")]
}

/// The version in the name of a package `docker-ce-18.09.6` (or `3:docker-ce-…`), and whether it comes with a `docker-ce-cli`: 18.09 was
/// the first version with one.
fn pinned_docker(name: &str) -> Option<&str> {
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    let version = name.strip_prefix("docker-ce-")?;
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let number = (parts.next()??, parts.next().flatten().unwrap_or(0));
    (number >= (18, 9)).then_some(version)
}

fn docker_cli_unpinned(sheet: &Sheet<'_>) -> Vec<Hit> {
    let listed = sheet.packages.iter().filter(|package| !package.excluded).map(|package| (package.name, package.span));
    // A script installs both packages in one command, or it pins the other one in another command.
    let installed = sheet
        .post_scripts()
        .flat_map(|script| script.commands_named("yum"))
        .flat_map(|command| command.words.iter().map(|word| (word.text.as_str(), word.span)));
    let all: Vec<(&str, Span)> = listed.chain(installed).collect();
    let pins_cli = |name: &str| name.split_once(':').map_or(name, |(_, name)| name).strip_prefix("docker-ce-cli-").is_some();
    if all.iter().any(|(name, _)| pins_cli(name)) {
        return vec![];
    }
    let docker = all.iter().filter_map(|(name, span)| Some((pinned_docker(name)?, span)));
    docker.map(|(version, span)| Hit::at(*span, format!("docker-ce is of version {version}, docker-ce-cli of any"))).collect()
}

fn kdump_without_kexec_tools(sheet: &Sheet<'_>) -> Vec<Hit> {
    let Some(excluded) = sheet.exclusion("kexec-tools") else { return vec![] };
    let kdump = sheet.document.addons().filter(|addon| addon.name() == "com_redhat_kdump").last();
    let enabled = kdump.is_some_and(|addon| addon.header().arguments().iter().any(|word| word.value == "--enable"));
    if enabled { vec![Hit::at(excluded, "kexec-tools is excluded, and kdump enabled")] } else { vec![] }
}

/// Whether the command enables the firewall: `--enabled` is its default (pykickstart/commands/firewall.py: FC3_Firewall).
fn enables(firewall: &Command) -> bool {
    let state = firewall.options().iter().rfind(|option| ["enabled", "disabled", "use-system-defaults"].contains(&option.name));
    state.is_none_or(|option| option.name == "enabled")
}

fn firewalld_excluded(sheet: &Sheet<'_>) -> Vec<Hit> {
    let enabled = sheet.command("firewall").is_some_and(enables);
    let excluded = sheet.exclusion("firewalld").filter(|_| enabled);
    excluded.map(|span| Hit::at(span, "firewalld is excluded, and `firewall` needs it")).into_iter().collect()
}

fn package_and_excluded(sheet: &Sheet<'_>) -> Vec<Hit> {
    let mut seen: HashMap<&str, (bool, usize)> = HashMap::new();
    let mut hits = Vec::new();
    let entries = sheet.document.packages().flat_map(|selection| selection.entries());
    for entry in entries.filter(|entry| entry.kind == PackageKind::Package) {
        let before = seen.insert(&entry.name, (entry.excluded, entry.span.line));
        if let Some((excluded, line)) = before.filter(|(excluded, _)| *excluded != entry.excluded) {
            let name = &entry.name;
            let message = match excluded {
                true => format!("{name} is listed here, and excluded in line {line}"),
                false => format!("{name} is excluded here, and listed in line {line}"),
            };
            hits.push(Hit::at(entry.span, message));
        }
    }
    hits
}

fn dead_mirror(sheet: &Sheet<'_>) -> Vec<Hit> {
    let commands = ["url", "repo"].into_iter().flat_map(|name| sheet.document.commands_named(name));
    let addresses = commands.flat_map(|command| ["url", "baseurl", "mirrorlist"].into_iter().filter_map(|name| command.option(name)));
    let hits = addresses.filter_map(|option| {
        let host = option.text()?.split_once("://")?.1.split(['/', ':', '?']).next()?;
        let dead = ["mirror.centos.org", "mirrorlist.centos.org"].contains(&host);
        dead.then(|| Hit::at(option.value_span, format!("{host} does not serve CentOS 7 any more")))
    });
    hits.collect()
}

/// Whether the address is of CentOS 7's or EPEL 7's tree on a host that by its name is a mirror and not an archive.
fn is_gone(address: &str) -> bool {
    let Some((host, path)) = address.split_once("://").and_then(|(_, rest)| rest.split_once('/')) else { return false };
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.to_ascii_lowercase();
    let first = host.split('.').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    let is_mirror = ["mirror", "mirrors", "ftp", "download", "dl", "linux"].contains(&first) && host.contains('.');
    // These hosts do not serve it any more either, but another lint finds them.
    let is_known = ["mirror.centos.org", "mirrorlist.centos.org"].contains(&host.as_str());
    let is_archive = ["vault", "archive", "eol", "old"].iter().any(|mark| host.contains(mark) || path.contains(mark));
    let is_7 = |tree: &str| {
        let rest = path.split_once(tree).map(|(_, rest)| rest);
        rest.is_some_and(|rest| rest.starts_with("7/") || rest.starts_with("7.") || rest.starts_with("7server/") || rest == "7")
    };
    let has_tree = is_7("centos/") || is_7("epel/") || path.ends_with("epel-release-latest-7.noarch.rpm");
    is_mirror && !is_known && !is_archive && has_tree
}

fn mirror_without_7(sheet: &Sheet<'_>) -> Vec<Hit> {
    let commands = ["url", "repo"].into_iter().flat_map(|name| sheet.document.commands_named(name));
    let options = commands.flat_map(|command| ["url", "baseurl"].into_iter().filter_map(|name| command.option(name)));
    let written = options.filter_map(|option| Some((option.text()?, option.value_span)));
    let words = sheet.post_scripts().flat_map(|script| &script.commands).flat_map(|command| &command.words);
    let called = words.map(|word| (word.text.as_str(), word.span));
    let gone = written.chain(called).filter(|(address, _)| is_gone(address));
    gone.map(|(_, span)| Hit::at(span, "an ordinary mirror does not have CentOS 7 and EPEL 7 any more")).collect()
}

fn repo_install_local(sheet: &Sheet<'_>) -> Vec<Hit> {
    let repos = sheet.document.commands_named("repo").filter(|command| command.option("install").is_some());
    let addresses = repos.filter_map(|command| command.option("baseurl"));
    let local = addresses.filter(|option| option.text().is_some_and(|url| url.starts_with("file:")));
    local.map(|option| Hit::at(option.value_span, "`--install` keeps an address that only the installer has")).collect()
}

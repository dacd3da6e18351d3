//! `system.proxy`: the files that tell a proxy to the log-ins of the image, to apt and to Docker, and the checks that they were read.

use super::super::containers::DOCKER_ENGINES;
use super::super::tree::KeyPath;
use super::super::written::{self, Installer};
use super::super::{Check, CheckKind, Proxy, Recipe, syntax};
use super::checks::prints;
use super::content::stand_for;
use super::judge::Judge;
use crate::base::digest::Sha256Digest;
use crate::base::host_name::HostName;
use crate::base::image_path::ImagePath;
use crate::base::ipv4::is_network;
use crate::base::text::shell_line;
use crate::base::word::ensure;

/// Variables for every log-in (pam_env(8)). curl, wget, git, pip and yum of EL7 (libcurl) read them.
const ENVIRONMENT: &str = "/etc/environment";
/// The settings of apt, which is also run where there is no log-in.
const APT: &str = "/etc/apt/apt.conf.d/80goldsmith-proxy";
/// The settings of Docker's daemon, which pulls images.
const DOCKER: &str = "/etc/systemd/system/docker.service.d/goldsmith-proxy.conf";
/// The machine itself. Go's programs never ask a proxy for it, others do.
const ITSELF: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The table, if it names a proxy.
pub(super) fn proxy(judge: &mut Judge<'_>, path: &KeyPath, written: Option<&written::Proxy>) -> Option<Proxy> {
    let written = written?;
    let mut of = |key: &str, text: &Option<String>| text.as_ref().map(|text| checked(judge, &path.at(key), text));
    let (http, https) = (of("http", &written.http), of("https", &written.https));
    let no_proxy = judge.all_spelled(&path.at("no_proxy"), &written.no_proxy, direct);
    judge.unique(&no_proxy, "server", |index| path.at("no_proxy").at(index), |server| Some(server.clone()));
    if http.is_none() && https.is_none() {
        judge.wrong(path, "this names no proxy", "add `http = \"http://HOST:PORT\"`, or remove the table");
    }
    Some(Proxy { https: https.or_else(|| http.clone())?, http, no_proxy })
}

/// The proxy at `path`. A password in it is not shown.
fn checked(judge: &mut Judge<'_>, path: &KeyPath, text: &str) -> String {
    if text.contains('@') {
        let title = "everybody who has the image could read the name and the password of the proxy";
        judge.leak(path, title, "use a proxy that asks for none");
        return String::new();
    }
    judge.spelled(path, text, server)
}

/// Add the files and the checks that follow from the proxy of `recipe`.
pub(super) fn add(judge: &mut Judge<'_>, recipe: &mut Recipe) {
    let Some(proxy) = recipe.system.proxy.clone() else { return };
    let path = KeyPath::from("system.proxy");
    put(judge, recipe, "proxy of log-ins", ENVIRONMENT, environment(&proxy));
    if judge.installer == Some(Installer::Deploy) {
        stand_for(judge, recipe, (&path, "`system.proxy`"), &ImagePath::made(APT), apt(&proxy));
        let kind = CheckKind::Command { run: apt_check(&proxy), status: 0, stdout: None };
        recipe.checks.push(Check { name: "proxy of apt".to_owned(), kind });
    }
    let is_installed = |engine: &&str| recipe.packages.install.iter().any(|wanted| wanted.asks_for(engine));
    if !DOCKER_ENGINES.iter().any(is_installed) {
        return;
    }
    // Only a daemon that runs can be asked, and it does where another check asks it.
    if recipe.checks.iter().any(|check| matches!(check.kind, CheckKind::Docker { .. })) {
        stand_for(judge, recipe, (&path, "`system.proxy`"), &ImagePath::made(DOCKER), docker(&proxy));
        recipe.checks.push(Check { name: "proxy of Docker".to_owned(), kind: docker_check(&proxy) });
    } else {
        put(judge, recipe, "proxy of Docker", DOCKER, docker(&proxy));
    }
}

/// Add a file of this text, and the check that the image has it.
fn put(judge: &mut Judge<'_>, recipe: &mut Recipe, name: &str, file: &str, text: String) {
    let path = ImagePath::made(file);
    let sha256 = Some(Sha256Digest::of(text.as_bytes()));
    stand_for(judge, recipe, (&KeyPath::from("system.proxy"), "`system.proxy`"), &path, text);
    let kind = CheckKind::File { path, exists: true, contains: None, sha256, mode: Some(0o644), owner: None };
    recipe.checks.push(Check { name: name.to_owned(), kind });
}

/// The servers that are reached directly, as the variable `no_proxy` has them.
fn exceptions(proxy: &Proxy) -> String {
    ITSELF.into_iter().chain(proxy.no_proxy.iter().map(String::as_str)).collect::<Vec<_>>().join(",")
}

/// The proxies by the names of their variables, in lower case.
fn variables(proxy: &Proxy) -> Vec<(&'static str, String)> {
    let http = proxy.http.clone().map(|http| ("http_proxy", http));
    http.into_iter().chain([("https_proxy", proxy.https.clone()), ("no_proxy", exceptions(proxy))]).collect()
}

/// The content of [`ENVIRONMENT`]. curl reads `http_proxy` in lower case only, others in upper case only.
fn environment(proxy: &Proxy) -> String {
    let lines = variables(proxy).into_iter().map(|(name, value)| format!("{name}={value}\n{}={value}\n", name.to_uppercase()));
    lines.collect()
}

/// The proxies by the scheme of what is reached through them.
fn schemes(proxy: &Proxy) -> impl Iterator<Item = (&'static str, &str)> {
    proxy.http.iter().map(|http| ("http", http.as_str())).chain([("https", proxy.https.as_str())])
}

/// The content of [`APT`] (apt-transport-http(1)). A file can except single hosts only.
fn apt(proxy: &Proxy) -> String {
    let mut text = String::new();
    for (scheme, server) in schemes(proxy) {
        text += &format!("Acquire::{scheme}::Proxy \"{server}\";\n");
        // `::` divides the parts of a name, so it cannot be in one.
        let hosts = ITSELF.into_iter().chain(proxy.no_proxy.iter().map(String::as_str));
        let hosts = hosts.filter(|host| !host.starts_with('.') && !host.contains(['/', ':']));
        text.extend(hosts.map(|host| format!("Acquire::{scheme}::Proxy::{host} \"DIRECT\";\n")));
    }
    text
}

/// The command that compares the proxies that apt has read with the wanted ones.
fn apt_check(proxy: &Proxy) -> String {
    let one = |(scheme, server)| {
        let wanted = shell_line([server]);
        format!(
            "found=$(apt-config dump --format '%v%n' Acquire::{scheme}::Proxy | head -n 1)\n\
             [ \"$found\" = {wanted} ] || {{ echo \"for {scheme} it is: $found\" >&2; exit 1; }}\n"
        )
    };
    schemes(proxy).map(one).collect()
}

/// The content of [`DOCKER`].
fn docker(proxy: &Proxy) -> String {
    let lines = variables(proxy).into_iter().map(|(name, value)| format!("Environment=\"{}={value}\"\n", name.to_uppercase()));
    "[Service]\n".to_owned() + &lines.collect::<String>()
}

/// The check that Docker's daemon has the wanted proxies (`docker info` of 18.09 and later).
fn docker_check(proxy: &Proxy) -> CheckKind {
    let wanted = format!("{} {} {}", proxy.http.as_deref().unwrap_or_default(), proxy.https, exceptions(proxy));
    prints("docker info --format '{{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}'", &wanted, "they are")
}

/// A proxy: a host, perhaps with a port. No character of it has a meaning to pam_env, apt, systemd or a shell.
fn server(text: &str) -> syntax::Verdict {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => syntax::is_host(host),
    };
    ensure(is_host && port.is_none_or(syntax::is_port), text, "a proxy", "write `http://HOST:PORT`")
}

/// What is reached directly: a host name, a domain with a dot before it, an address, or a network.
fn direct(text: &str) -> syntax::Verdict {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = text.strip_prefix('.').unwrap_or(text).parse::<HostName>().is_ok();
    let help = "write a name, a domain like \".example.org\", an address, or a network like \"10.0.0.0/8\", without a port";
    ensure(is_name || is_address || is_network(text), text, "a server that is reached directly", help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Proxy {
        Proxy {
            http: Some("http://proxy.lab:3128".to_owned()),
            https: "http://proxy.lab:3129".to_owned(),
            no_proxy: ["mirror.lab", ".lab", "10.0.0.0/8", "fd00::1"].map(str::to_owned).into(),
        }
    }

    #[test]
    fn proxies_and_exceptions_are_spelled() {
        for text in ["http://proxy.lab:3128", "https://10.0.0.1", "http://[fd00::1]:3128", "http://proxy/", "http://[fd00::1]"] {
            assert_eq!(server(text), Ok(()), "{text}");
        }
        for text in [
            "proxy.lab:3128",
            "socks5://a:1",
            "http://u:p@a:1",
            "http://a:0",
            "http://a:+80",
            "http://a:x",
            "http://a/b",
            "http://",
            "http://a b",
            "http://a%b",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
        for text in ["registry.lab", ".lab", "10.0.0.1", "10.0.0.0/8", "fd00::1"] {
            assert_eq!(direct(text), Ok(()), "{text}");
        }
        for text in ["", "*", "*.lab", "a:80", "10.0.0.1/8", "10.0.0.0/+8", "10.0.0.0/33", "a,b", "a b", "http://a", ".."] {
            assert!(direct(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_files_say_the_proxies() {
        let all = "localhost,127.0.0.1,::1,mirror.lab,.lab,10.0.0.0/8,fd00::1";
        let environment = environment(&lab());
        assert_eq!(environment.lines().count(), 6);
        for line in ["http_proxy=http://proxy.lab:3128", "HTTPS_PROXY=http://proxy.lab:3129", &format!("no_proxy={all}")] {
            assert!(environment.lines().any(|other| other == line), "{line}");
        }
        let direct = |scheme: &str| {
            ["localhost", "127.0.0.1", "mirror.lab"].map(|host| format!("Acquire::{scheme}::Proxy::{host} \"DIRECT\";\n")).concat()
        };
        let proxies = ["Acquire::http::Proxy \"http://proxy.lab:3128\";\n", "Acquire::https::Proxy \"http://proxy.lab:3129\";\n"];
        assert_eq!(apt(&lab()), [proxies[0], &direct("http"), proxies[1], &direct("https")].concat());
        let drop_in = docker(&lab());
        assert!(drop_in.starts_with("[Service]\nEnvironment=\"HTTP_PROXY=http://proxy.lab:3128\"\n"), "{drop_in}");
        assert!(drop_in.ends_with(&format!("\"NO_PROXY={all}\"\n")), "{drop_in}");
        // Without a proxy for http only https is told.
        let https = Proxy { http: None, ..lab() };
        assert!(!super::environment(&https).contains("http_proxy=") && !apt(&https).contains("Acquire::http:"));
    }

    /// apt's own programs read the file.
    #[test]
    fn apt_reads_the_proxies_and_the_check_compares_both() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("apt.conf");
        // Settings of this host do not count.
        let alone = "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n";
        let other = |scheme: &str| format!("Acquire::{scheme}::Proxy \"http://other:1\";\n");
        for (more, fits) in [(String::new(), true), (other("http"), false), (other("https"), false)] {
            std::fs::write(&file, format!("{alone}{}{more}", apt(&lab()))).unwrap();
            let ran = std::process::Command::new("/bin/sh").args(["-c", &apt_check(&lab())]).env("APT_CONFIG", &file).output().unwrap();
            assert_eq!(ran.status.success(), fits, "{more}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }

    #[test]
    fn the_checks_compare_whole_values() {
        for (found, fits) in [
            ("http://proxy.lab:3128 http://proxy.lab:3129 localhost,127.0.0.1,::1,mirror.lab,.lab,10.0.0.0/8,fd00::1", true),
            ("http://proxy.lab:3128 http://proxy.lab:3129 localhost", false),
            ("  ", false),
        ] {
            let CheckKind::Command { run, .. } = docker_check(&lab()) else { panic!("it is a command") };
            let script = format!("docker() {{ echo '{found}'; }}\n{run}");
            let ran = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(ran.status.success(), fits, "{found}");
        }
    }
}

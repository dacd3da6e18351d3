//! The recipe of a Kubernetes node on Debian, built for real with a stand-in for kubelet from a repository that the test signs, because
//! Debian 12 has no kubelet. Other tests cover the node of CentOS: it is rehearsed (`anaconda_cases::built`), rendered (`kickstart_cases`)
//! and checked with bundles (`closure_cases`).

use std::fs;

use serde_json::Value;

use crate::apt_repository_cases::Repository;
use crate::container_cases;
use crate::fixture::{goldsmith, machines, place};
use crate::online_cases::server::Server;
use crate::recipe_cases::kubelet_of_yours;

/// Similar to debian/xenial and rpm/kubelet.service of kubernetes/release, which differ in the number of restarts.
const UNIT: &str = "[Unit]\nDescription=Stand-in of kubelet\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\nStartLimitInterval=0\n\
                    RestartSec=10\n[Install]\nWantedBy=multi-user.target\n";
/// It exits like kubelet on a node that has not joined a cluster.
const KUBELET: &str =
    "[ -e /var/lib/kubelet/config.yaml ] && exec sleep infinity\necho there is no /var/lib/kubelet/config.yaml >&2\nexit 255";

/// A repository with the packages in the recipe's comment.
fn repository() -> Repository {
    Repository::with(|made| {
        let needs = "Depends: conntrack, ebtables, ethtool, iproute2, iptables, socat\n";
        made.package("kubelet", "0.1", "amd64", needs, KUBELET, &[("lib/systemd/system/kubelet.service", UNIT)]);
        made.package("kubeadm", "0.1", "amd64", "Depends: kubelet, kubectl\n", "echo stand-in", &[]);
        made.package("kubectl", "0.1", "amd64", "", "echo stand-in", &[]);
    })
}

/// The recipe in the comment, with that repository in place of the one it names, and an image for Docker.
fn recipe(repository: &Repository, server: &Server) -> String {
    let kubelet = kubelet_of_yours()
        .replace("https://apt.example.org/key.asc", &format!("{}maker.asc", server.url))
        .replace("https://apt.example.org", server.url.trim_end_matches('/'))
        .replace("0000 0000 0000 0000 0000 0000 0000 0000 0000 0000", &repository.fingerprint("maker"));
    assert!(!kubelet.contains("example.org"), "{kubelet}");
    format!(
        "schema = 1\nname = \"kubernetes-node\"\nextends = \"debian-12-kubernetes-node\"\n\
         [[container_image]]\narchive = \"hello-node.tar\"\nrun = [\"/hello\"]\nstdout = \"{}\"\n{kubelet}",
        container_cases::HELLO
    )
}

#[test]
#[ignore = "it builds and boots an image, which takes minutes; ci/full runs it"]
fn a_node_with_a_kubelet_of_the_users_own_is_built_and_proved() {
    let _slot = machines();
    let repository = repository();
    let server = Server::of(&repository.served());
    fs::create_dir_all(place()).unwrap();
    fs::write(place().join("hello-node.tar"), container_cases::layout("amd64", container_cases::NAME)).unwrap();
    let path = place().join("kubernetes-node.toml");
    fs::write(&path, recipe(&repository, &server)).unwrap();
    let target = place().join("kubernetes-node");
    let built = goldsmith(&["build", path.to_str().unwrap(), "--force", "-o", target.to_str().unwrap()]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let manifest: Value = serde_json::from_slice(&fs::read(target.join("manifest.json")).unwrap()).unwrap();
    let checks = manifest["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["outcome"] == "passed" || check["outcome"] == "skipped"), "{checks:#?}");
    let detail = |name: &str| {
        let found = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check `{name}`: {checks:#?}"));
        assert_eq!(found["outcome"], "passed", "{found}");
        found["detail"].as_str().unwrap().to_owned()
    };
    for module in ["br_netfilter", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"] {
        detail(&format!("module {module} is loaded"));
    }
    for (key, value) in [("net.ipv4.ip_forward", "1"), ("vm.overcommit_memory", "1"), ("kernel.panic", "10"), ("kernel.panic_on_oops", "1")]
    {
        assert_eq!(detail(&format!("{key} before Docker starts")), value, "{key}");
    }
    assert_eq!((detail("no swap").as_str(), detail("failed units at boot").as_str()), ("none is in use", "none"));
    assert_eq!(detail("service kubelet"), "enabled, activating (auto-restart), exit status 255");
    for name in ["the kernel has IPVS", "Docker has the image lab/hello:1", "docker run lab/hello:1 /hello"] {
        detail(name);
    }
}

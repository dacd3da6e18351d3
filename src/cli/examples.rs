//! The examples of `--help` and of the manual pages. A test reads each of them as a command line.

macro_rules! examples {
    ($($name:ident: $($line:literal),+;)*) => {
        $(#[doc = concat!("Examples of `", stringify!($name), "`.")] pub const $name: &str = concat!("Examples:" $(, "\n  ", $line)+);)*
    };
}

examples! {
    INIT: "goldsmith init", "goldsmith init recipes/node.toml", "goldsmith init - | less";
    BUILD: "goldsmith build debian-12-docker",
        "goldsmith build node.toml -o images/node --set system.hostname=node-1",
        "goldsmith build centos-7.5-docker --json > build.ndjson";
    CHECK: "goldsmith check node.toml", "goldsmith check centos-7.5-docker-online --packages";
    PLAN: "goldsmith plan node.toml", "goldsmith plan debian-12-docker --json";
    KICKSTART: "goldsmith kickstart check my.ks";
    KICKSTART_RENDER: "goldsmith kickstart render centos-7.5-docker > centos.ks";
    KICKSTART_CHECK: "goldsmith kickstart check my.ks",
        "goldsmith kickstart check --deny-lints --allow rtc-local-time *.ks",
        "goldsmith kickstart check --sarif my.ks > findings.sarif";
    KICKSTART_LINTS: "goldsmith kickstart lints", "goldsmith kickstart lints rtc-local-time";
    VERIFY: "goldsmith verify debian-12-docker", "goldsmith verify disk.qcow2 --recipe node.toml";
    IMAGE: "goldsmith image inspect debian-12-docker", "goldsmith image cat debian-12-docker /etc/os-release";
    IMAGE_INSPECT: "goldsmith image inspect debian-12-docker", "goldsmith image inspect disk.raw --json";
    IMAGE_LS: "goldsmith image ls debian-12-docker /etc", "goldsmith image ls disk.qcow2 /boot --long";
    IMAGE_MOUNT: "goldsmith image mount debian-12-docker mnt";
    IMAGE_CAT: "goldsmith image cat debian-12-docker /etc/os-release", "goldsmith image cat disk.qcow2 /boot/vmlinuz > vmlinuz";
    IMAGE_CP: "goldsmith image cp debian-12-docker /var/log logs", "goldsmith image cp disk.qcow2 /etc/fstab /etc/passwd /tmp";
    IMAGE_PACKAGES: "goldsmith image packages debian-12-docker", "goldsmith image packages disk.qcow2 --json";
    IMAGE_SBOM: "goldsmith image sbom debian-12-docker > debian.spdx.json",
        "goldsmith image sbom disk.qcow2 --format cyclonedx > disk.cdx.json";
    IMAGE_AUDIT: "goldsmith image audit debian-12-docker", "goldsmith image audit disk.qcow2 --json", "goldsmith image audit --rules";
    IMAGE_FIND: "goldsmith image find debian-12-docker --mode 6000 --long",
        "goldsmith image find disk.qcow2 /usr --kind file --at-least 10M",
        "goldsmith image find disk.qcow2 --name '*.pem'";
    IMAGE_DIFF: "goldsmith image diff old/debian-12-docker debian-12-docker", "goldsmith image diff a.qcow2 b.qcow2 --text";
    IMAGE_EXPORT: "goldsmith image export debian-12-docker debian.qcow2",
        "goldsmith image export debian-12-docker debian-zstd.qcow2 --compression zstd",
        "goldsmith image export disk.qcow2 disk.raw.zst",
        "goldsmith image export debian-12-docker debian.ova",
        "goldsmith image export debian-12-docker debian-1.0.box --version 1.0";
    IMAGE_DESCRIBE: "goldsmith image describe debian-12-docker --for libvirt > debian.xml",
        "goldsmith image describe disk.qcow2 --for openstack --name debian-12";
    RUN: "goldsmith run debian-12-docker", "goldsmith run debian-12-docker --keep --ssh 2222 --memory 4G";
    UP: "goldsmith up debian-12-docker", "goldsmith up debian-12-docker --name web --forward 8080:80 --memory 1G",
        "goldsmith up debian-12-docker --name lab --count 8 --network lab --memory 512M",
        "goldsmith up debian-12-docker --from students.csv --network lab",
        "goldsmith up debian-12-docker --name web --warm";
    PS: "goldsmith ps", "goldsmith ps --json";
    EXEC: "goldsmith exec web -- docker ps", "goldsmith exec web -- tar c /etc > etc.tar", "goldsmith exec -t web -- top";
    CP: "goldsmith cp site web:/srv", "goldsmith cp web:/var/log logs", "goldsmith cp a.conf b.conf web:/etc";
    SHELL: "goldsmith shell web";
    CONSOLE: "goldsmith console web";
    SSH: "goldsmith ssh web", "goldsmith ssh web -L 8080:localhost:80", "goldsmith ssh web journalctl -b";
    SSH_CONFIG: "goldsmith ssh-config web > web.conf";
    INSPECT: "goldsmith inspect web", "goldsmith inspect web --json";
    PORT: "goldsmith port web";
    CLONE: "goldsmith clone debian-12-docker -o lab --from students.csv",
        "goldsmith clone disk.qcow2 -o lab --count 30 --address 10.0.0.11",
        "goldsmith clone --prove debian-12-docker",
        "goldsmith clone --prove --warm debian-12-docker";
    SCREENSHOT: "goldsmith screenshot web", "goldsmith screenshot web screen.png";
    SNAPSHOT: "goldsmith snapshot save web before-upgrade", "goldsmith snapshot restore web before-upgrade";
    SNAPSHOT_SAVE: "goldsmith snapshot save web before-upgrade";
    SNAPSHOT_LIST: "goldsmith snapshot list web";
    SNAPSHOT_RESTORE: "goldsmith snapshot restore web before-upgrade";
    SNAPSHOT_REMOVE: "goldsmith snapshot remove web before-upgrade";
    PUBLISH: "goldsmith publish web -o images/web", "goldsmith publish dev --name debian-12-dev --force";
    WAIT: "goldsmith wait web", "goldsmith wait web db --off --within 120";
    LOGS: "goldsmith logs web", "goldsmith logs -f web";
    STOP: "goldsmith stop web", "goldsmith stop web db --within 10";
    START: "goldsmith start web";
    RESTART: "goldsmith restart web";
    RM: "goldsmith rm web", "goldsmith rm --force web db";
    CACHE: "goldsmith cache list";
    CACHE_LIST: "goldsmith cache list", "goldsmith cache list --json";
    CACHE_REMOVE: "goldsmith cache remove --unused-for 30", "goldsmith cache remove 4f2a91", "goldsmith cache remove --all";
    DOCTOR: "goldsmith doctor", "goldsmith doctor -o images";
    SCHEMA: "goldsmith schema > recipe.schema.json";
    COMPLETIONS: "goldsmith completions bash > goldsmith.bash";
    MAN: "goldsmith man | man -l -", "goldsmith man -o ~/.local/share/man/man1";
    HELP: "goldsmith help recipe", "goldsmith help exit-codes", "goldsmith help image inspect";
}

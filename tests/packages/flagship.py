#!/usr/bin/python3 -B
"""Makes media and bundles in the shape of CentOS 7.5 with Docker 18.09.6, without a byte of either.

    flagship.py DIR [--packages N] [--trap NAME]…

    DIR/dvd, DIR/minimal                    the trees: repodata, comps, .treeinfo, .discinfo, boot files, stubs for packages
    DIR/CentOS-7-x86_64-{DVD,Minimal}-1804.iso
    DIR/bundle/NAME/Docker                  a repository of real RPMs with tiny files; `good` has 60
    DIR/bundle/NAME/Docker.tar.gz           the same, packed
    DIR/queries.json                        a case for each bundle, in the form that `generate.py` has and `dnf_oracle.py` reads

A case has more here: "recipe", "iso" and "archive" (files in DIR), "sha256" of both, "why" it is what it is, "set" (arguments for `--set` that put
goldsmith's recipe on these files; paths in them are absolute). Its id is `good`, or a trap's name. `--trap all` makes every trap.

`centos-7.5.txt` has the packages that a flagship image needs, with the needs they have. The rest of the DVD's N packages (4,000) have names,
needs, capabilities and files such as those of the real one: about 12, 13 and 110 of each. The same arguments give the same bytes.
"""

import argparse
import concurrent.futures
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib

from repodata import TIME, Dep, Group, Rpm, comps, split_evr, write

HERE = pathlib.Path(__file__).parent
RECIPES = HERE.parent.parent / "recipes"
#: The recipe that a trap is for, unless it says another.
RECIPE = "centos-7.5-docker"
#: What a bundle for Kubernetes 1.14 has in other versions.
KUBERNETES = ["kubelet", "kubeadm", "kubectl", "kubernetes-cni"]

#: Members of `core` in comps.xml of CentOS 7.
MANDATORY = """audit basesystem bash btrfs-progs coreutils cronie curl dhclient e2fsprogs filesystem firewalld glibc hostname initscripts iproute
iprutils iptables iputils irqbalance kbd kexec-tools less man-db ncurses openssh-clients openssh-server parted passwd plymouth policycoreutils
procps-ng rootfiles rpm rsyslog selinux-policy-targeted setup shadow-utils sudo systemd tar tuned util-linux vim-minimal xfsprogs yum""".split()
DEFAULT = """NetworkManager NetworkManager-team NetworkManager-tui aic94xx-firmware alsa-firmware biosdevname dracut-config-rescue ivtv-firmware
iwl100-firmware iwl1000-firmware iwl105-firmware iwl135-firmware iwl2000-firmware iwl2030-firmware iwl3160-firmware iwl3945-firmware
iwl4965-firmware iwl5000-firmware iwl5150-firmware iwl6000-firmware iwl6000g2a-firmware iwl6000g2b-firmware iwl6050-firmware iwl7260-firmware
iwl7265-firmware kernel-tools libsysfs linux-firmware lshw microcode_ctl postfix""".split()
OPTIONAL = "dracut-config-generic dracut-fips dracut-fips-aesni dracut-network initial-setup openssh-keycat rdma-core selinux-policy-mls tboot".split()
#: What goldsmith's kickstart takes out of `core`, and what Anaconda adds to any selection: kernel, boot loader, the file system's tools.
DESELECTED = ["plymouth", "dracut-config-rescue", "iwl*-firmware", "kexec-tools"]
ADDED = ["kernel", "e2fsprogs", "firewalld", "grub2", "grub2-tools"]

#: Packages of the DVD that the bundle has no use for.
NOT_IN_BUNDLE = "bridge-utils createrepo deltarpm dracut-config-generic perl perl-libs psmisc strace telnet zip".split()
#: Packages of the Minimal ISO that the bundle brings along, as downloaders do.
ALSO_IN_BUNDLE = """device-mapper device-mapper-event device-mapper-event-libs device-mapper-libs device-mapper-persistent-data libaio libseccomp lvm2
lvm2-libs ebtables ethtool ipset ipset-libs libnfnetlink""".split()

#: Bundles that do not do, but for `kubernetes`, and the recipe that is checked with them. `without` and `with` are names, the second of the section [traps]; `medium` is the one it is seen on.
TRAPS = {
    "no-container-selinux": {
        "why": "container-selinux is in the extras repository, on no medium",
        "without": ["container-selinux"],
    },
    "container-selinux-of-7.6": {
        "why": "container-selinux from 2.74 on needs the selinux-policy of 7.6",
        "without": ["container-selinux"],
        "with": ["container-selinux"],
    },
    "two-container-selinux": {
        "why": "yum takes the newest container-selinux, which cannot be installed, and does not go back to the other",
        "with": ["container-selinux"],
    },
    "audit-libs-of-updates": {
        "why": "audit-libs-python is of the updates, and needs audit-libs of exactly its version",
        "medium": "minimal",
        "without": ["audit-libs-python"],
        "with": ["audit-libs-python"],
    },
    "docker-alone-on-minimal": {
        "why": "the Minimal ISO has no yum-utils, no libcgroup and nothing of policycoreutils-python",
        "medium": "minimal",
        "only": ["docker-ce", "docker-ce-cli", "containerd.io", "container-selinux"],
    },
    "newest-cli": {
        "why": "docker-ce needs docker-ce-cli of any version: who does not name one gets the newest",
        "with": ["docker-ce-cli"],
        "not-asked": ["docker-ce-cli-18.09.6"],
    },
    "other-docker": {
        "why": "the bundle has another version than the recipe asks for",
        "without": ["docker-ce"],
        "with": ["docker-ce"],
    },
    "old-containerd": {
        "why": "docker-ce needs containerd.io 1.2.2-3 or newer",
        "without": ["containerd.io"],
        "with": ["containerd.io"],
    },
    "docker-of-the-distribution": {
        "why": "docker-ce conflicts with docker, which is asked for too",
        "with": ["docker"],
        "asked-too": ["docker"],
    },
    "upgrade-leaves-kubelet": {
        "why": "kubelet needs kubernetes-cni of exactly 0.6.0, and `yum upgrade` takes the newer one that the bundle has, too",
        "with": ["kubernetes-cni"],
        "asked-too": ["kubelet"],
    },
    "kubernetes": {
        "why": "it does: with the packages of Kubernetes 1.14 in place of 1.13",
        "recipe": "centos-7.5-kubernetes-node",
        "without": KUBERNETES,
        "with": KUBERNETES,
    },
    "kubernetes-of-1.13": {
        "why": "the recipe asks for 1.14.3",
        "recipe": "centos-7.5-kubernetes-node",
    },
    "kubernetes-alone-on-minimal": {
        "why": "the Minimal ISO has almost nothing of what kubelet needs, and nothing of what Docker does",
        "recipe": "centos-7.5-kubernetes-node",
        "medium": "minimal",
        "only": ["docker-ce", "docker-ce-cli", "containerd.io", "container-selinux"],
        "with": KUBERNETES,
    },
}

#: Packages with shared libraries, beside those whose names say so.
LIBRARIES = set(
    """alsa-lib cracklib cyrus-sasl-lib dbus-glib expat freetype gdbm glib2 gmp gobject-introspection gpgme jansson json-c lua lz4 lzo mozjs17
newt nspr nss nss-util openldap p11-kit pam pcre popt pth readline slang snappy sqlite ustr zlib oniguruma""".split()
)
GLIBC = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libcrypt.so.1", "libutil.so.1"]
GLIBC_VERSIONS = ["2.2.5", "2.3", "2.3.4", "2.4", "2.6", "2.7", "2.8", "2.14", "2.15", "2.17"]

#: What the names of the other packages are made of: a pattern, whether they have code, capabilities, their share.
FAMILIES = [
    ("texlive-{}", "noarch", "tex({}.sty)", 16),
    ("perl-{}", "noarch", "perl({})", 12),
    ("python-{}", "noarch", "python-{}(module)", 8),
    ("lib{}", "x86_64", "so", 16),
    ("lib{}-devel", "x86_64", "pkgconfig({})", 12),
    ("{}-libs", "x86_64", "so", 8),
    ("{}", "x86_64", "config({})", 14),
    ("{}-doc", "noarch", None, 4),
    ("libreoffice-{}", "x86_64", None, 3),
    ("kde-{}", "x86_64", "so", 4),
    ("gnome-{}", "x86_64", "application({}.desktop)", 5),
    ("xorg-x11-drv-{}", "x86_64", None, 2),
    ("rubygem-{}", "noarch", "rubygem({})", 2),
    ("{}-fonts", "noarch", "font({})", 3),
    ("java-1.8.0-openjdk-{}", "x86_64", None, 1),
]
SYLLABLES = "an ba ce do el fi gra hu in jo ka li mo na or pe qui ro sa ti un va wi xe yo zu bre cla dro fle gno kri plo sta tre".split()


# The table


def parse(text):
    """The sections of centos-7.5.txt: each a list of fields."""
    sections = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            head, needs, has = ([field.split() for field in line.split("|")] + [[], []])[:3]
            name, evr, *arch = head
            section.append((name, evr, arch[0] if arch else "x86_64", needs, has))
    return sections


def has_libraries(name):
    return (
        name in LIBRARIES
        or re.fullmatch(r"lib[a-z0-9_+-]*|.*-libs|.*-libs-lite", name)
        and not re.search("-(python|utils|cli|devel)$", name)
    )


def sonames(name, arch):
    """The shared libraries of a package, with the versions of their symbols; always the same."""
    rng = random.Random(f"soname {name}")
    base = name if name.startswith("lib") else "lib" + re.sub("-libs.*|-lib$", "", name)
    file = f"{base}.so.{rng.randint(0, 6)}"
    bits = "(64bit)" if arch == "x86_64" else ""
    tag = re.sub("[^A-Z0-9]", "", base.upper())
    versions = [f"{file}({tag}_1.{number}){bits}" for number in range(rng.choice([0, 0, 1, 2, 4]))]
    return [f"{file}(){bits}" if bits else file, *versions]


def of_glibc(arch):
    bits = "(64bit)" if arch == "x86_64" else ""
    return [f"{file}(){bits}" if bits else file for file in GLIBC] + [
        f"{file}(GLIBC_{version}){bits}" for file in GLIBC for version in GLIBC_VERSIONS
    ]


def known(sections):
    """The packages of the table, by section."""
    arch_of = {name: arch for section in sections.values() for name, _, arch, _, _ in section}
    # Docker's packages name what they need; those of the distribution need most libraries by soname.
    named = {"docker": {}, "traps": {}}
    return {title: [of_table(*fields, named.get(title, arch_of)) for fields in section] for title, section in sections.items()}


def of_table(name, evr, arch, needs, has, arch_of):
    rpm = Rpm(name, evr, arch, size=size_of(name))
    for need in needs:
        target, sign, wanted = re.fullmatch(r"([^<>=]+)(>=|=)?(.*)", need).groups()
        if sign is None and arch == "x86_64" and arch_of.get(target) == "x86_64" and has_libraries(target):
            rpm.requires += [Dep(soname) for soname in sonames(target, arch)]
        elif sign == "=" and arch == "x86_64" and arch_of.get(target) == "x86_64":
            rpm.requires.append(Dep(target + "(x86-64)", "EQ", wanted))
        else:
            rpm.requires.append(Dep(target, {"=": "EQ", ">=": "GE", None: None}[sign], wanted or None))
    for thing in has:
        if thing.startswith("/"):
            rpm.files.append(thing)
        elif thing.startswith("-"):
            rpm.conflicts.append(Dep(thing[1:]))
        elif thing.startswith("!"):
            rpm.obsoletes.append(Dep(thing[1:]))
        else:
            capability, _, version = thing.partition("=")
            rpm.provides.append(Dep(capability, "EQ", version) if version else Dep(capability))
    if name == "glibc":
        rpm.provides += [Dep(capability) for capability in [*of_glibc(arch), "rtld(GNU_HASH)"]]
    elif has_libraries(name) and arch != "noarch":
        rpm.provides += [Dep(soname) for soname in sonames(name, arch)]
    # The first packages of a system cannot need what every other does.
    if name not in (
        "setup",
        "filesystem",
        "basesystem",
        "libgcc",
        "glibc",
        "glibc-common",
        "bash",
        "tzdata",
        "ncurses-base",
        "nss-softokn-freebl",
    ):
        rpm.requires += common_needs(random.Random(f"needs {name}"), arch)
    return rpm


def common_needs(rng, arch):
    """What most packages need of glibc and the shell."""
    needs = [Dep("/bin/sh", pre=True)] if rng.random() < 0.5 else []
    if arch != "noarch":
        needs += [Dep(capability) for capability in rng.sample(of_glibc(arch), rng.randint(3, 8))]
        needs.append(Dep("rtld(GNU_HASH)"))
        if rng.random() < 0.2:
            needs.append(Dep("/sbin/ldconfig", pre=True))
    return needs


def size_of(name):
    return int(random.Random(f"size {name}").lognormvariate(12.5, 1.6))


# The rest of the DVD


def others(there, count):
    """So many packages more. Each needs only what came before it, so all of them can be installed but for conflicts, and there are none."""
    rng = random.Random("the rest of the DVD")
    names = {rpm.name for rpm in there}
    before, made = [rpm for rpm in there if rpm.name != "kernel"], []
    weights = [family[3] for family in FAMILIES]
    while len(made) < count:
        pattern, arch, capability, _ = rng.choices(FAMILIES, weights)[0]
        word = "".join(rng.choices(SYLLABLES, k=rng.choice([2, 2, 3, 3, 4])))
        name = pattern.format(word)
        if name in names:
            continue
        names.add(name)
        rpm = other(rng, name, arch, capability, word, before)
        made.append(rpm)
        if capability == "so" and rng.random() < 0.45 and len(made) < count:
            made.append(twin(rng, rpm))
        before.append(rpm)
    return made


def other(rng, name, arch, capability, word, before):
    epoch, version = rng.choice(["", "", "", "1:", "2:"]), f"{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    evr = f"{epoch}{version}-{rng.randint(1, 40)}.el7{rng.choice(['', '', '_4', '.centos'])}"
    rpm = Rpm(name, evr, arch, size=size_of(name))
    if capability == "so":
        rpm.provides += [Dep(soname) for soname in sonames(name, arch)]
        rpm.provides += [Dep(f"{name}-module-{number}.so()(64bit)") for number in range(int(rng.expovariate(1 / 12)))]
    elif capability:
        many = range(int(rng.expovariate(1 / 14)) + 1)
        rpm.provides += [Dep(capability.format(f"{word}{number}"), "EQ", "1.0") for number in many]
    rpm.requires += common_needs(rng, arch)
    for _ in range(int(rng.expovariate(1 / 7)) + 1):
        target = before[int(len(before) * rng.random() ** 2)]
        kind = rng.random()
        if has_libraries(target.name) and target.arch == arch == "x86_64" and kind < 0.8:
            rpm.requires += [Dep(soname) for soname in sonames(target.name, arch)[:3]]
        elif target.provides and kind < 0.4:
            rpm.requires.append(Dep(rng.choice(target.provides).name))
        elif kind < 0.7:
            epoch, version, _ = split_evr(target.evr)
            rpm.requires.append(Dep(target.name, "GE", f"{epoch}:{version}" if epoch else version))
        else:
            rpm.requires.append(Dep(target.name))
    rpm.requires = list(dict.fromkeys(rpm.requires))
    return rpm


def twin(rng, rpm):
    """The same library for i686, which needs the 32-bit glibc."""
    provides = [Dep(soname) for soname in sonames(rpm.name, "i686")]
    return Rpm(rpm.name, rpm.evr, "i686", provides=provides, requires=common_needs(rng, "i686"), size=rpm.size)


def glibc_32(glibc):
    provides = [Dep(capability) for capability in [*of_glibc("i686"), "rtld(GNU_HASH)"]]
    return Rpm("glibc", glibc.evr, "i686", provides=provides, requires=[Dep("glibc-common", "EQ", glibc.evr)], size=glibc.size)


def add_files(rpm):
    """Files as such a package has them, some in primary.xml, most in filelists.xml only."""
    rng = random.Random(f"files {rpm.nevra}")
    count = min(int(rng.lognormvariate(3.7, 1.4)), 4000)
    version = split_evr(rpm.evr)[1]
    places = [
        f"/usr/share/doc/{rpm.name}-{version}",
        f"/usr/share/{rpm.name}",
        f"/usr/lib64/{rpm.name}/modules",
        f"/usr/include/{rpm.name}",
    ]
    rpm.files += [f"{places[0]}/", f"{places[0]}/README", f"{places[1]}/"]
    if rng.random() < 0.3:
        rpm.files.append(f"/usr/bin/{rpm.name}")
    if rng.random() < 0.15:
        rpm.files.append(f"/etc/{rpm.name}.conf")
    taken = set(rpm.files)
    for number in range(count):
        place = places[number % 4] if number % 7 else f"/usr/share/locale/{rng.choice(SYLLABLES)}/LC_MESSAGES"
        path = f"{place}/{''.join(rng.choices(SYLLABLES, k=3))}{rng.choice(['.h', '.so', '.mo', '.html', '.png', '', '.xml'])}"
        if path not in taken:
            taken.add(path)
            rpm.files.append(path)


def run(command):
    """Run a program to success, as if it were 2018."""
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"SOURCE_DATE_EPOCH": str(TIME), "LC_ALL": "C"})
    if result.returncode:
        raise SystemExit(f"{command[0]}: {result.stderr}")


# Media


def medium(directory, iso, rpms, groups, environments):
    """A tree and the ISO of it."""
    boot = {
        "images/pxeboot/vmlinuz": b"stub of a kernel\n",
        "images/pxeboot/initrd.img": b"stub of an initrd\n",
        "LiveOS/squashfs.img": b"stub\n",
    }
    texts = {
        ".discinfo": f"{TIME}.398463\n7.5\nx86_64\n",
        ".treeinfo": TREEINFO,
        "CentOS_BuildTag": "20180503-1\n",
        "EULA": "stub\n",
        "GPL": "stub\n",
        "RPM-GPG-KEY-CentOS-7": "stub\n",
        "isolinux/isolinux.cfg": "append initrd=initrd.img inst.stage2=hd:LABEL=CentOS\\x207\\x20x86_64 quiet\n",
    }
    files = boot | {name: text.encode() for name, text in texts.items()}
    files |= {f"Packages/{rpm.file_name}": stub(rpm) for rpm in rpms}
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    digest = lambda rpm: (hashlib.sha256(stub(rpm)).hexdigest(), len(stub(rpm)))
    write(directory, sorted(rpms, key=lambda rpm: rpm.nevra), ".gz", comps(groups, environments), True, digest)
    for path in [directory, *directory.rglob("*")]:
        os.utime(path, (TIME, TIME))
    options = ["-quiet", "-r", "-J", "-joliet-long", "-V", "CentOS 7 x86_64", "-sysid", "LINUX"]
    run(["xorriso", "-as", "mkisofs", *options, "-o", iso, directory])


TREEINFO = f"""[general]
name = CentOS-7
family = CentOS
timestamp = {TIME}.0
variant =
version = 7
packagedir =
arch = x86_64

[stage2]
mainimage = LiveOS/squashfs.img

[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img

[images-xen]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
"""


def stub(rpm):
    """What stands on the medium for a package."""
    return f"stub of {rpm.nevra}\n".encode()


# Bundles


def spec(rpm):
    """A spec file that makes this package."""
    epoch, version, release = split_evr(rpm.evr)
    lines = [f"Name: {rpm.name}", f"Epoch: {epoch or 0}", f"Version: {version}", f"Release: {release}"]
    lines += [f"Summary: The package {rpm.name}", "License: GPLv2+", "AutoReqProv: no"] + (
        ["BuildArch: noarch"] if rpm.arch == "noarch" else []
    )
    for tag, deps in (("Provides", rpm.provides), ("Requires", rpm.requires), ("Conflicts", rpm.conflicts), ("Obsoletes", rpm.obsoletes)):
        lines += [f"{tag}{'(pre)' if dep.pre else ''}: {relation(dep)}" for dep in deps]
    paths = [path for path in rpm.files if not path.endswith("/")] + [f"/usr/share/doc/{rpm.name}-{version}/README"]
    install = [f"install -D /dev/null %{{buildroot}}{path}; echo {rpm.nevra} >%{{buildroot}}{path}" for path in paths]
    return "\n".join([*lines, "%description", "Synthetic.", "%install", *install, "%files", *paths, ""])


def relation(dep):
    sign = {"EQ": "=", "GE": ">=", "GT": ">", "LE": "<=", "LT": "<"}.get(dep.flag)
    return f"{dep.name} {sign} {dep.evr}" if sign else dep.name


def build(rpm, into):
    """Build an RPM as EL7's rpmbuild would: packed with xz, nothing of this machine or time in it. Where it is then."""
    with tempfile.TemporaryDirectory() as work:
        file = pathlib.Path(work, "package.spec")
        file.write_text(spec(rpm))
        macros = {
            "_topdir": work,
            "_rpmdir": into,
            "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
            "_binary_payload": "w2.xzdio",
            "_buildhost": "build.example.org",
            "vendor": "CentOS",
            "use_source_date_epoch_as_buildtime": "1",
            "clamp_mtime_to_source_date_epoch": "1",
            "_build_id_links": "none",
            "debug_package": "%{nil}",
            "__os_install_post": "%{nil}",
        }
        defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        run(["rpmbuild", "-bb", "--quiet", "--nodeps", "--target", "x86_64", *defines, file])
    return into / rpm.file_name


def bundle(directory, files):
    """A repository of these RPMs, and its archive."""
    repository = directory / "Docker"
    repository.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, repository / file.name)
        os.utime(repository / file.name, (TIME, TIME))
    run(["createrepo_c", "--quiet", "--no-database", "--revision", str(TIME), "--set-timestamp-to-revision", repository])
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for path in sorted([repository, *repository.rglob("*")]):
            member = archive.gettarinfo(path, str(path.relative_to(directory)))
            member.mtime, member.uid, member.gid, member.uname, member.gname = TIME, 0, 0, "root", "root"
            member.mode = 0o755 if path.is_dir() else 0o644
            with path.open("rb") if path.is_file() else io.BytesIO() as content:
                archive.addfile(member, content)
    (directory / "Docker.tar.gz").write_bytes(gzip.compress(tar.getvalue(), 1, mtime=0))


def bundles(root, sections, traps):
    """The good bundle and those of the traps. Each package is built once."""
    table = {rpm.name: rpm for section in ("minimal", "dvd", "docker") for rpm in sections[section]}
    good = (
        [rpm.name for rpm in sections["docker"]] + [rpm.name for rpm in sections["dvd"] if rpm.name not in NOT_IN_BUNDLE] + ALSO_IN_BUNDLE
    )
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        of_day = dict(zip(good, pool.map(lambda name: build(table[name], pathlib.Path(work)), good)))
        other = {rpm.name: build(rpm, pathlib.Path(work)) for rpm in sections["traps"]} if traps else {}
        bundle(root / "bundle" / "good", sorted(of_day.values()))
        for trap in traps:
            names = TRAPS[trap].get("only", [name for name in good if name not in TRAPS[trap].get("without", [])])
            bundle(root / "bundle" / trap, sorted([of_day[name] for name in names] + [other[name] for name in TRAPS[trap].get("with", [])]))


# The questions


def asked_by(name):
    """The packages that a recipe asks for, those of the recipe that it extends first."""
    recipe = tomllib.loads((RECIPES / f"{name}.toml").read_text())
    below = asked_by(recipe["extends"]) if "extends" in recipe else []
    return below + recipe["packages"]["install"]


def case(root, identifier, trap):
    medium = trap.get("medium", "dvd")
    iso = {"dvd": "CentOS-7-x86_64-DVD-1804.iso", "minimal": "CentOS-7-x86_64-Minimal-1804.iso"}[medium]
    archive = f"bundle/{identifier}/Docker.tar.gz"
    digest = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in (iso, archive)}
    asked = asked_by(trap.get("recipe", RECIPE))
    asked = [name for name in asked if name not in trap.get("not-asked", [])] + trap.get("asked-too", [])
    settings = [
        f'media.iso={{path="{(root / iso).resolve()}", sha256="{digest[iso]}"}}',
        f'repository.0.archive.path="{(root / archive).resolve()}"',
    ]
    if "not-asked" in trap or "asked-too" in trap:
        settings.append(f"packages.install={json.dumps(asked)}")
    return {
        "id": identifier,
        "repositories": [medium, f"bundle/{identifier}/Docker"],
        "recipe": trap.get("recipe", RECIPE),
        "install": ["@core", *asked, *ADDED],
        "deselect": DESELECTED,
        "exclude": [],
        "features": [],
        "iso": iso,
        "archive": archive,
        "sha256": digest,
        "why": trap["why"],
        "set": settings,
    }


def main():
    parser = argparse.ArgumentParser(description="Make media and bundles in the shape of CentOS 7.5 with Docker 18.09.6.")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--packages", type=int, default=4000, help="packages of the DVD (4000)")
    parser.add_argument("--trap", action="append", default=[], choices=[*TRAPS, "all"])
    arguments = parser.parse_args()
    root, traps = arguments.directory, list(TRAPS) if "all" in arguments.trap else arguments.trap
    root.mkdir(parents=True, exist_ok=True)
    sections = known(parse((HERE / "centos-7.5.txt").read_text()))
    bundles(root, sections, traps)
    core = Group("core", MANDATORY, DEFAULT, OPTIONAL)
    minimal = ("minimal", ["core"], ["debugging"])
    there = sections["minimal"] + sections["dvd"]
    rest = others(there, arguments.packages - len(there) - 1)
    dvd = [*there, glibc_32(next(rpm for rpm in there if rpm.name == "glibc")), *rest]
    for rpm in dvd:
        add_files(rpm)
    medium(root / "minimal", root / "CentOS-7-x86_64-Minimal-1804.iso", sections["minimal"], [core], [minimal])
    names = [rpm.name for rpm in rest]
    extra = [
        Group(f"group-{number}", names[number * 30 : number * 30 + 12], names[number * 30 + 12 : number * 30 + 20]) for number in range(40)
    ]
    medium(
        root / "dvd",
        root / "CentOS-7-x86_64-DVD-1804.iso",
        dvd,
        [core, *extra],
        [minimal, ("everything", [group.id for group in extra], [])],
    )
    cases = [case(root, "good", {"why": "it does"})] + [case(root, trap, TRAPS[trap]) for trap in traps]
    (root / "queries.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")


main()

#!/usr/bin/python3 -B
"""Writes many small RPM repositories and what is asked of them: food for the resolver and for `dnf_oracle.py`.

    generate.py DIR [--seed N] [--cases N]

`DIR/queries.json` has the cases: {"seed", "cases": [{"id", "repositories": [DIRECTORY], "install": [SPEC], "deselect": [PATTERN],
"exclude": [NAME], "features": [WORD]}]}. Directories are relative to DIR. A SPEC is a line of a kickstart's %packages: NAME, NAME-VERSION,
NAME-VERSION-RELEASE, NAME-EPOCH:VERSION-RELEASE.ARCH, NAME.ARCH, a glob, a capability, a file, `@GROUP` with `--nodefaults` or
`--optional` after it, `@^ENVIRONMENT`. What matches `deselect` is taken out of the selection, as `-NAME` does in %packages (yum's
`tsInfo.deselect`): it may come back as a dependency. What is in `exclude` does not exist. Packages know no weak or rich dependencies, as
EL7's do not; a few have Recommends all the same.
"""

import argparse
import json
import pathlib
import random

from repodata import PACKERS, Dep, Group, Rpm, comps, split_evr, write

STEMS = """acl atk bash bind cups curl dbus expat file gawk glib gmp grep icu jbig kmod lame lcms lua lz4 make mesa mutt nano nss pam perl
popt qt ruby sed slang sqlite tar tcl uuid vim xz yajl zlib""".split()
SUFFIXES = ["", "", "", "-libs", "-devel", "-common", "-2", "-tools", "-python", "2to3", "-compat-1.0", "++", "_extra", ".d"]
VERSIONS = "0.9 1.0 1.0~rc1 1.0.1 1.01 1.9 1.10 2.0a 2.0b 2:0.1 1:1.0 3.10.0 3.10.0~beta2 20180501 4.el7x 5.0+git1".split()
RELEASES = ["1", "1.el7", "2.el7", "2.el7_5.1", "10.el7", "0.1.rc2.el7", "862.el7", "3.el7.centos"]
VIRTUALS = """mta webserver config(thing) perl(Thing::Other) libthing.so.1()(64bit) libthing.so.1(THING_1.2)(64bit) python-abi
/virtual/path""".split()


class World:
    """A case in the making. Names are in order: a package needs later ones, unless there are cycles."""

    def __init__(self, rng):
        self.rng = rng
        self.features = set()
        self.rpms = {}
        self.asked = []
        self.install, self.deselect, self.exclude = [], [], []
        self.groups, self.environments = [], []

    def chance(self, feature, probability):
        """Whether the case shall have this."""
        if self.rng.random() < probability:
            self.features.add(feature)
            return True
        return False

    def all(self):
        return [rpm for versions in self.rpms.values() for rpm in versions]

    def newest(self, name):
        """The last of a name that a machine of ours can have."""
        return [rpm for rpm in self.rpms[name] if rpm.arch in ("x86_64", "noarch")][-1]

    # Packages

    def populate(self):
        names = set()
        while len(names) < self.rng.randint(5, 18):
            names.add(self.rng.choice(STEMS) + self.rng.choice(SUFFIXES))
        names = self.rng.sample(sorted(names), len(names))
        many = self.rng.random() < 0.5
        for name in names:
            arch = self.rng.choice(["x86_64"] * 4 + ["noarch"])
            count = self.rng.choice([1, 1, 1, 2, 3]) if many else 1
            # In the order of the tables, which is not always that of versions: the newest is for the resolver to find.
            evrs = sorted(
                {self.evr() for _ in range(count)},
                key=lambda evr: (int(split_evr(evr)[0] or 0), VERSIONS.index(evr.rpartition("-")[0]), evr),
            )
            self.rpms[name] = [Rpm(name, evr, arch) for evr in evrs]
        if many:
            self.features.add("several-versions")

    def evr(self):
        return f"{self.rng.choice(VERSIONS)}-{self.rng.choice(RELEASES)}"

    def wire(self):
        """Give the packages needs that can be had."""
        names = list(self.rpms)
        cycles = self.chance("cycles", 0.25)
        for place, name in enumerate(names):
            for rpm in self.rpms[name]:
                for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3])):
                    later = names[place + 1 :] if not (cycles and self.rng.random() < 0.2) else names
                    if later:
                        rpm.requires.append(self.need(self.rng.choice(later)))

    def need(self, name):
        """A capability that the package of this name has, in one of the ways there are."""
        rng = self.rng
        target = rng.choice(self.rpms[name])
        kind = rng.choice(["name"] * 5 + ["bound"] * 4 + ["isa", "soname", "file", "listed-file", "virtual"])
        pre = rng.random() < 0.1
        if kind == "bound":
            return Dep(name, *self.bound(target.evr), pre)
        if kind == "isa" and target.arch == "x86_64":
            return Dep(name + "(x86-64)", "EQ", target.evr, pre)
        if kind == "soname":
            soname = f"lib{name}.so.{split_evr(target.evr)[1][0]}()(64bit)"
            self.give(target, Dep(soname))
            return Dep(soname, pre=pre)
        if kind in ("file", "listed-file"):
            self.features.add(kind)
            # createrepo puts /etc and whatever has `bin/` in it into primary.xml; the rest is in filelists.xml only.
            path = {"file": f"/usr/bin/{name}", "listed-file": f"/usr/share/{name}/data"}[kind]
            for rpm in self.rpms[name]:
                if path not in rpm.files:
                    rpm.files.append(path)
            return Dep(path, pre=pre)
        if kind == "virtual":
            return self.virtual(target)
        return Dep(name, pre=pre)

    def bound(self, evr):
        """A bound that a package of this version is within, by its release or without."""
        epoch, version, release = split_evr(evr)
        flag = self.rng.choice(["EQ", "GE", "GE", "GE", "LE"])
        short = self.rng.random() < 0.5
        prefix = f"{epoch}:" if epoch else ""
        self.features.add("epoch" if epoch else "bound")
        return flag, prefix + (version if short else f"{version}-{release}")

    def give(self, rpm, dep):
        if dep not in rpm.provides:
            rpm.provides.append(dep)

    def virtual(self, target):
        """A capability of several packages, with versions now and then."""
        rng = self.rng
        name = rng.choice(VIRTUALS)
        versioned = rng.random() < 0.4
        providers = [target] + [rpm for rpm in rng.sample(self.all(), min(3, len(self.all()))) if rpm.name != target.name][
            : rng.choice([0, 0, 1, 2])
        ]
        for place, rpm in enumerate(providers):
            flag = rng.choice(["EQ"] * 8 + ["GE", "LE", "LT"]) if versioned else None
            self.give(rpm, Dep(name, flag, ["2.0", "2.0-1", "1.5"][place % 3]) if versioned else Dep(name))
        self.features.add("virtual-versioned" if versioned else "virtual")
        return Dep(name, "GE", "1.5") if versioned and rng.random() < 0.7 else Dep(name)

    def decorate(self):
        """What makes a repository of real life: other architectures, successors, kernels, odd metadata."""
        rng = self.rng
        if self.chance("multilib", 0.3):
            self.add_32_bit_twins()
        if self.chance("foreign-arch", 0.15):
            # Beside a 64-bit package: dnf takes a foreign one for the best there is of a name that is noarch else, and fails.
            name = rng.choice([rpm.name for rpm in self.all() if rpm.arch == "x86_64"] or [None])
            if name:
                self.rpms[name].insert(0, Rpm(name, "9:99-1", rng.choice(["aarch64", "src", "ppc64le"])))
        if self.chance("obsoletes", 0.3):
            self.succeed()
        if self.chance("conflicts", 0.3):
            one, other = rng.sample(self.all(), 2)
            one.conflicts.append(rng.choice([Dep(other.name), Dep(other.name, "LT", other.evr), Dep(other.name, "GE", "9:1")]))
        if self.chance("installonly", 0.2):
            evrs = ["3.10.0-862.el7", "3.10.0-862.2.3.el7", "3.10.0-957.el7"][: rng.randint(1, 3)]
            below = rng.choice(list(self.rpms))
            self.rpms["kernel"] = [
                Rpm("kernel", evr, requires=[Dep(below)], provides=[Dep("kernel-uname-r", "EQ", evr + ".x86_64")]) for evr in evrs
            ]
        if self.chance("needs-itself", 0.1):
            rpm = rng.choice(self.all())
            self.give(rpm, Dep(f"own({rpm.name})", "EQ", "1"))
            rpm.requires += [Dep(f"own({rpm.name})"), Dep(rpm.name, "EQ", rpm.evr)]
        if self.chance("unnamed", 0.1):
            nameless = rng.choice(self.all())
            nameless.names_itself = "i686" in {twin.arch for twin in self.rpms[nameless.name]}
        if self.chance("recommends", 0.1):
            for rpm in rng.sample(self.all(), 2):
                rpm.recommends.append(Dep(rng.choice(list(self.rpms) + ["nosuch"])))

    def add_32_bit_twins(self):
        """Packages of i686 beside those of x86_64, which most must leave alone and some need.

        libsolv takes no 32-bit package without its 64-bit twin, if there is one; yum and rpm know no such rule, and yum prefers 32-bit
        packages for the needs of one. Here the packages need their twin and nothing else, so all agree.
        """
        for name in self.rng.sample(list(self.rpms), min(3, len(self.rpms))):
            for rpm in [rpm for rpm in self.rpms[name] if rpm.arch == "x86_64"]:
                twin = Dep(name + "(x86-64)", "EQ", rpm.evr)
                soname = Dep(f"lib{name}.so.32")
                self.rpms[name].insert(0, Rpm(name, rpm.evr, "i686", provides=[soname], requires=[twin], files=list(rpm.files)))
                rpm.names_itself = True
                if self.rng.random() < 0.2:
                    self.features.add("needs-32-bit")
                    earlier = list(self.rpms)[: list(self.rpms).index(name)]
                    for user in self.rpms[self.rng.choice(earlier)] if earlier else []:
                        user.requires.append(soname)

    def succeed(self):
        """A package under a new name, which takes the old one's place: with its name, or without."""
        rng = self.rng
        old = self.newest(rng.choice(list(self.rpms)))
        new = Rpm(old.name + "-ng", "1:1.0-1", provides=[Dep(old.name, "EQ", "9:9-9")] if rng.random() < 0.6 else [])
        # All versions of the old one, or none: what obsoletes only some is for dnf an answer to the old name, for yum it may be none.
        all_or_none = [(None, None), ("LT", "9:9")]
        if len({rpm.evr for rpm in self.rpms[old.name]}) == 1:
            all_or_none += [("LE", old.evr), ("LT", old.evr), ("EQ", old.evr)]
        bound = rng.choice(all_or_none)
        new.obsoletes.append(Dep(old.name, *bound))
        new.requires = [dep for dep in old.requires if rng.random() < 0.5]
        self.rpms[new.name] = [new]

    # The question

    def ask(self):
        rng = self.rng
        early = list(self.rpms)[: max(2, len(self.rpms) * 2 // 3)] + (["kernel"] if "kernel" in self.rpms else [])
        self.asked = rng.sample(early, min(len(early), rng.choice([1, 1, 2, 2, 3])))
        for name in self.asked:
            self.install.append(self.spec(name))
        if self.chance("group", 0.2):
            self.ask_group()
        if self.chance("by-capability", 0.08):
            provider = rng.choice([rpm for rpm in self.all() if rpm.arch in ("x86_64", "noarch")])
            self.give(provider, Dep("service(asked)"))
            self.install.append("service(asked)")
        if self.chance("exclude", 0.12):
            self.exclude.append(rng.choice(list(self.rpms)))

    def spec(self, name):
        """One of the ways to ask for a package."""
        rng = self.rng
        rpm = rng.choice([rpm for rpm in self.rpms[name] if rpm.arch in ("x86_64", "noarch")])
        if self.rpms[name][0].arch == "i686" and rng.random() < 0.3:
            self.features.add("by-arch-32")
            return f"{name}.i686"
        epoch, version, release = split_evr(rpm.evr)
        kind = rng.choice(["name"] * 6 + ["version", "version", "release", "epoch", "arch", "glob"])
        start = name[: rng.randint(2, len(name))]
        if kind == "name" or kind == "glob" and not self.is_clear(start):
            return name
        self.features.add(f"by-{kind}")
        return {
            "version": f"{name}-{version}",
            "release": f"{name}-{version}-{release}",
            "epoch": f"{name}-{epoch or 0}:{version}-{release}.{rpm.arch}",
            "arch": f"{name}.{rpm.arch}",
            "glob": f"{start}*",
        }[kind]

    def is_clear(self, start):
        """Whether yum and dnf take `START*` for the same packages.

        yum also looks at names with versions, such as `tar-1.26` for `tar-*`.
        """
        versioned = [rpm for rpm in self.all() if f"{rpm.name}-{split_evr(rpm.evr)[1]}".startswith(start)]
        return all(rpm.name.startswith(start) for rpm in versioned)

    def ask_group(self):
        rng = self.rng
        names = rng.sample(list(self.rpms), min(len(self.rpms), 5))
        group = Group("stuff", names[:2], names[2:3], names[3:4])
        # comps.xml names what its repository lacks, too.
        group.default.append("not-in-this-repository")
        # dnf forces the best of a conditional member, and fails where another is needed: it has one version here, and no successor.
        succeeded = {dep.name for rpm in self.all() for dep in rpm.obsoletes}
        single = [name for name in names[4:] if len(self.rpms[name]) == 1 and name not in succeeded]
        if single and self.chance("conditional", 0.5):
            group.conditional.append((single[0], rng.choice(list(self.rpms))))
        self.groups = [group, Group("more", [rng.choice(list(self.rpms))])]
        if self.chance("environment", 0.4):
            self.environments = [("base", ["stuff"], ["more"])]
            self.install.append("@^base")
        else:
            self.install.append(rng.choice(["@stuff", "@stuff", "@stuff --nodefaults", "@stuff --optional"]))
        # Whether a member that is deselected takes its successor with it, yum and dnf see differently.
        if not any(name in succeeded or self.rpms[name][0].obsoletes for name in names) and self.chance("deselect", 0.5):
            self.deselect.append(rng.choice([names[0], names[1], names[2], names[2] + "*"]))

    def spoil(self):
        """Break the case on purpose, somewhere on the way from what is asked: not every break matters."""
        rng = self.rng
        asked = rng.choice(self.asked)
        victims = [self.newest(asked)] if rng.random() < 0.4 else self.rpms[asked]
        for _ in range(rng.choice([0, 0, 1, 2])):
            below = [rpm for victim in victims for dep in victim.requires for rpm in self.rpms.get(dep.name, [])]
            victims = below or victims
        kind = rng.choice(
            [
                "missing",
                "too-new",
                "too-old",
                "conflict",
                "obsoleted",
                "two-versions",
                "no-package",
                "no-version",
                "excluded",
                "no-file",
                "no-arch",
            ]
        )
        # Of these two it is not clear what they would break.
        conditional = {name for group in self.groups for name, _ in group.conditional}
        succeeded = {dep.name for rpm in self.all() for dep in rpm.obsoletes}
        if kind == "obsoleted" and victims[0].name in conditional or kind == "two-versions" and asked in succeeded:
            kind = "missing"
        self.features.add(f"spoilt-{kind}")
        if kind == "conflict":
            other = rng.choice([rpm for rpm in self.all() if rpm.name != victims[0].name])
            for victim in victims:
                victim.conflicts.append(Dep(other.name))
            self.install.append(other.name)
        elif kind == "obsoleted":
            usurper = Rpm("usurper", "1-1", "noarch", obsoletes=[Dep(victims[0].name)])
            self.rpms["usurper"] = [usurper]
            self.install.append("usurper")
        elif kind == "two-versions":
            other = Rpm(asked, "7:7-7", self.rpms[asked][-1].arch, provides=list(self.rpms[asked][-1].provides))
            self.install += [f"{asked}-{split_evr(self.rpms[asked][-1].evr)[1]}", f"{asked}-7"]
            self.rpms[asked].append(other)
        elif kind == "no-package":
            self.install.append(rng.choice(["nosuch", "nosuch*", "nosuch-1.0", "/usr/bin/nosuch", "@nosuch"]))
        elif kind == "no-version":
            self.install.append(f"{asked}-77.7")
        elif kind == "excluded":
            self.exclude.append(victims[0].name)
        else:
            dep = {
                "missing": Dep("nosuch"),
                "too-new": Dep(victims[0].name, "GT", "90:1"),
                "too-old": Dep(rng.choice(list(self.rpms)), "LT", "0.0.1"),
                "no-file": Dep("/usr/share/nosuch/data"),
                "no-arch": Dep(f"{victims[0].name}(aarch-64)"),
            }[kind]
            for victim in victims:
                victim.requires.append(dep)


def make(rng, directory, identifier):
    """Make a case and write its repositories."""
    world = World(rng)
    world.populate()
    world.wire()
    world.decorate()
    world.ask()
    if rng.random() < 0.4:
        world.spoil()
    rpms = world.all()
    count = 2 if len(rpms) > 3 and world.chance("several-repositories", 0.3) else 1
    shares = [rpms[0::2], rpms[1::2]] if count == 2 else [rpms]
    if count == 2:
        # The same package twice is one package.
        shares[1] = shares[1] + [rpm for rpm in shares[0] if rng.random() < 0.2]
    text = comps(world.groups, world.environments) if world.groups else None
    names = [f"{identifier}/{name}" for name in ("base", "bundle")[:count]]
    for place, (name, share) in enumerate(zip(names, shares)):
        packer = rng.choice([".gz"] * 4 + list(PACKERS))
        world.features.add(f"packed{packer or '-not'}")
        # No two packages of one name, version and architecture in one repository.
        write(directory / name, list({rpm.nevra: rpm for rpm in share}.values()), packer, text if place == 0 else None, rng.random() < 0.8)
    return {
        "id": identifier,
        "repositories": names,
        "install": list(dict.fromkeys(world.install)),
        "deselect": world.deselect,
        "exclude": world.exclude,
        "features": sorted(world.features),
    }


def main():
    parser = argparse.ArgumentParser(description="Write small RPM repositories and what is asked of them.")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cases", type=int, default=400)
    arguments = parser.parse_args()
    # A case is the same whatever cases are around it.
    cases = [make(random.Random(f"{arguments.seed}/{number}"), arguments.directory, f"{number:04}") for number in range(arguments.cases)]
    document = {"seed": arguments.seed, "cases": cases}
    (arguments.directory / "queries.json").write_text(json.dumps(document, indent=1) + "\n")


main()

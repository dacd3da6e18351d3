"""The Debian tree that everything on the medium is taken from."""

import contextlib
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

from . import host

# Nobody reads these here, and every byte is written by an emulated processor.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*", "/usr/share/i18n/*"]


def make_tree(packages, cache, work):
    """A tree with these packages configured, made by mmdebstrap from the host's own package sources. It takes half the time of a build
    and changes least, so it stays in the cache under the digest of what it is made of: as one file, for in a namespace a tree has owners
    whose files the user himself could not remove."""
    kept = cache / f"tree-{host.digest(Path(__file__).read_text(), host.candidates(packages))}.tar.zst"
    tree = work / "tree"
    if kept.exists():
        tree.mkdir()
        host.run("tar", "-C", tree, "--numeric-owner", "-p", "-I", "zstd", "-xf", kept)
        return tree
    fetch_tree(packages, work, tree)
    host.run("tar", "-C", tree, "--numeric-owner", "-I", "zstd -1 -T0", "-cf", work / "kept", ".")
    for old in cache.glob("tree-*"):
        remove(old)
    os.rename(work / "kept", kept)
    return tree


def fetch_tree(packages, work, tree):
    """Run mmdebstrap."""
    sources = work / "sources.list"
    sources.write_text(host.sources())
    command = ["mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", "--aptopt=APT::Install-Recommends \"false\""]
    command += ["--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT)]
    command += [f"--include={','.join(sorted(packages))}", host.SUITE, tree]
    host.run(*command, *([sources] if sources.stat().st_size else []), env={**os.environ, "TMPDIR": str(work)})
    # EL 7 has every locale. Debian's C library has C alone, and a name is all that the stand-in's programs need of another.
    copy(tree / "usr/lib/locale/C.utf8", tree / "usr/lib/locale/en_US.utf8")


@contextlib.contextmanager
def mounted(tree):
    """/proc, /sys and /dev in the tree, for programs that run in it."""
    below = ["proc", "sys", "dev"]
    for directory in below:
        host.run("mount", "--rbind", f"/{directory}", tree / directory)
    try:
        yield
    finally:
        for directory in reversed(below):
            host.run("umount", "-l", tree / directory)


def normal(path):
    """Where a path of a package lies: /bin, /sbin, /lib and /lib64 are links to the directories of /usr."""
    return re.sub(r"^/(bin|sbin|lib|lib64)(?=/|$)", r"/usr/\1", path)


class Packages:
    """What dpkg knows of the tree."""

    def __init__(self, tree):
        self.tree = tree
        self.admin = tree / "var/lib/dpkg"
        form = "${Package}\\t${Version}\\t${Pre-Depends}, ${Depends}\\t${Provides}\\t${Architecture}\\t${binary:Summary}\\n"
        said = host.run("dpkg-query", f"--admindir={self.admin}", "-W", "-f", form)
        self.versions, self.depends, self.summaries = {}, {}, {}
        self.providers = defaultdict(list)
        for line in said.splitlines():
            name, version, depends, provides, _, summary = line.split("\t")
            self.versions[name] = version
            self.depends[name] = depends
            self.summaries[name] = summary
            for provided in provides.split(","):
                self.providers[provided.split("(")[0].strip()].append(name)
        self.owner = {}
        for name in self.versions:
            for path in self._listed(name):
                # Directories have many owners; the first in the alphabet is as good as any.
                self.owner.setdefault(normal(path), name)

    def _listed(self, name):
        lists = [self.admin / "info" / f"{name}.list", self.admin / "info" / f"{name}:amd64.list"]
        return next(path for path in lists if path.exists()).read_text().splitlines()[1:]

    def version(self, name):
        """The version, without its epoch, which says nothing about the software."""
        return self.versions[name].split(":", 1)[-1]

    def needs(self, name):
        """The packages that this one depends on, as they are fulfilled in the tree."""
        for group in self.depends[name].split(","):
            for choice in group.split("|"):
                choice = re.split(r"[\s(:]", choice.strip(), maxsplit=1)[0]
                found = [choice] if choice in self.versions else self.providers.get(choice, [])[:1]
                if found:
                    yield found[0]
                    break

    def closure(self, roots, never):
        """All that these packages need, without those that are never wanted."""
        found, todo = set(), list(roots)
        while todo:
            name = todo.pop()
            if name in found or name in never:
                continue
            if name not in self.versions:
                raise host.Unfit(f"the tree has no package {name}")
            found.add(name)
            todo.extend(self.needs(name))
        return found

    def kernel(self):
        """The kernel's own version, as in the names of its files."""
        kernels = [path.name for path in (self.tree / "usr/lib/modules").iterdir()]
        if len(kernels) != 1:
            raise host.Unfit(f"the tree has {len(kernels)} kernels, and should have one")
        return kernels[0]

    def kernel_package(self):
        """The Debian package that holds the kernel."""
        return f"linux-image-{self.kernel()}"


def copy(source, target):
    """A copy of a tree with everything that root can keep."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def remove(path):
    """Remove a file or a tree; one that is not there is removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

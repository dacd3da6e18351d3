"""What the machine that builds has: its packages, its package sources, and a way to run commands."""

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
SUITE = "bookworm"
# The kickstart parser that Anaconda itself uses. 1.99 of RHEL 7 is Python 2 and nowhere to be had; this one has its RHEL7 handler.
PYKICKSTART = "3.78"


class Unfit(Exception):
    """This machine cannot build the medium; the message says what to do."""


def run(*command, **options):
    """Run a command whose failure ends the build, with its words."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise Unfit(f"{shlex.join(words)} ended with {done.returncode}:\n{tail}")
    return done.stdout


def enter(tree, *command):
    """Run a command in a tree, with nothing of this process's surroundings."""
    return run("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "chroot", tree, *command)


def names(path):
    """The words of a list, one a line, without comments."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def check():
    """Refuse a machine that lacks a package of packages.txt."""
    missing = [name for name in names(HERE / "packages.txt") if not installed(name)]
    if missing:
        raise Unfit(f"packages are missing; as root, run: apt-get install --no-install-recommends {' '.join(missing)}")


def installed(package):
    """The package's version on this machine, or nothing."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]
    said = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return said.removeprefix("installed ") if said.startswith("installed ") else ""


def sources():
    """The host's own entries for the suite as lines of sources.list(5); empty when it has none, and mmdebstrap knows better."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    lines = []
    for line in said.splitlines():
        release = line.split()[1]
        if release in (SUITE, f"{SUITE}-updates", f"{SUITE}-security"):
            lines.append(f"deb [signed-by={keyring}] {line}\n")
    return "".join(sorted(set(lines)))


def candidates(packages):
    """What apt would install of these packages, as text."""
    said = subprocess.run(["apt-cache", "policy", *sorted(packages)], stdout=subprocess.PIPE, text=True).stdout
    return "\n".join(line for line in said.splitlines() if not line.startswith(" ") or "Candidate:" in line)


def kernels():
    """The kernels for clouds that apt knows, at most two: the newest, and the one before it. Names of packages, the older first."""
    said = subprocess.run(["apt-cache", "search", "--names-only", r"^linux-image-6\.1\.0-[0-9]+-cloud-amd64$"], stdout=subprocess.PIPE, text=True).stdout
    found = sorted((line.split()[0] for line in said.splitlines()), key=lambda name: int(name.split("-")[3]))
    if not found:
        raise Unfit("apt knows no kernel of bookworm for clouds: run apt-get update")
    return found[-2:]


def digest(*texts):
    """Texts as the name of a directory."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]


def key(packages):
    """What the medium is made of: these files, the versions of what is asked for, and the tools that wrap it."""
    texts = []
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md" and (path.parent != HERE or path.suffix == ".toml"):
            texts += [f"{path.relative_to(HERE)} {path.stat().st_mode & 0o111}", hashlib.sha256(path.read_bytes()).hexdigest()]
        elif path.is_symlink():
            texts += [f"{path.relative_to(HERE)} {os.readlink(path)}"]
    texts += [candidates(packages)]
    texts += [f"{name} {installed(name)}" for name in names(HERE / "packages.txt")]
    return digest(*texts)

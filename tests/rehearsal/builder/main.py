"""The order of things, from the command line to the finished directory."""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from pathlib import Path

from . import bundles, debian, efi, host, initrd, iso, repository, rpms, runtime, shims

INSIDE = "REHEARSAL_NAMESPACES"


def enter_namespaces():
    """Run this program again where its mounts are seen by nobody else, where it is root, and where all that it started ends with it."""
    words = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    if os.geteuid() != 0:
        # The ids of /etc/subuid, for files of other owners (unshare(1), util-linux 2.38).
        words += ["--user", "--map-root-user", "--map-auto"]
    os.execvpe(words[0], [*words, sys.executable, *sys.argv], {**os.environ, INSIDE: "yes"})


def main():
    """Exit status 0 and one line of JSON on standard output, or 1 and a sentence on standard error."""
    parser = argparse.ArgumentParser(prog="tests/rehearsal/build.py", description="Build the rehearsal medium, or find it in the cache.")
    parser.add_argument("--cache", type=Path, required=True, help="directory that keeps finished media, one directory each")
    parser.add_argument(
        "--fault", metavar="KIND@PHASE", help="the medium with a fault in it: see runtime/pyanaconda/faults.py, or stage2-missing, stage2-broken"
    )
    parser.add_argument("--label", help="the medium with another volume id")
    parser.add_argument("--bundle", choices=sorted(bundles.KINDS), help="another Docker.tar.gz, with something in it that is not in the plain one")
    parser.add_argument("--keep-work", action="store_true", help="leave the scratch directory behind")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        enter_namespaces()
    try:
        facts = find_or_build(arguments.cache.resolve(), arguments.keep_work)
        if arguments.bundle:
            facts |= bundles.made(Path(facts["bundle"]), arguments.bundle)
        if arguments.label:
            facts |= iso.labelled(Path(facts["iso"]), arguments.label)
        if arguments.fault:
            facts |= iso.faulty(Path(facts["iso"]), arguments.fault)
        print(json.dumps(facts))
    except host.Unfit as unfit:
        print(f"tests/rehearsal/build.py: {unfit}", file=sys.stderr)
        return 1
    return 0


def find_or_build(cache, keep_work):
    """Where the medium lies, and what a build with it has to know."""
    table = rpms.Table.load(host.HERE / "packages" / "rpms.toml")
    key = host.key(table.roots())
    done = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done / "medium.json").exists():
            host.check()
            # A name of this process: a run that was killed leaves a directory that nobody takes for a medium.
            for stale in cache.glob("work-*"):
                shutil.rmtree(stale)
            work = cache / f"work-{key}"
            work.mkdir()
            build(table, cache, work)
            shutil.rmtree(done, ignore_errors=True)
            os.rename(work / "out", done)
            if not keep_work:
                shutil.rmtree(work)
            for other in cache.iterdir():
                if other.is_dir() and other != done and not other.name.startswith("work-"):
                    shutil.rmtree(other)
    facts = json.loads((done / "medium.json").read_text())
    return {"iso": str(done / "medium.iso"), "bundle": str(done / "Docker.tar.gz"), **facts}


@contextlib.contextmanager
def step(name):
    """Say on standard error what is done and how long it took."""
    start = time.monotonic()
    yield
    print(f"rehearsal: {name}: {time.monotonic() - start:.0f} s", file=sys.stderr)


def build(table, cache, work):
    """All of it below `work`; what is kept goes to `work/out`."""
    out = work / "out"
    out.mkdir()
    with step("a Debian tree"):
        tree = debian.make_tree(table.roots() | set(host.names(host.HERE / "runtime" / "packages.txt")), cache, work)
    packages = debian.Packages(tree)
    shims.make(tree)
    efi.make(tree)
    with step("the installer's initramfs"):
        initrd.make(tree, packages.kernel(), work / "initrd.img")
    with step("the installer's runtime"):
        runtime.make(tree, packages, work)
    with step("packages"):
        wrapped = rpms.wrap(table, packages, tree, work)
    with step("repositories"):
        repository.make(wrapped, work)
    with step("the medium"):
        iso.make(tree, packages, work, out)
    facts = {
        "sha256": iso.sha256(out / "medium.iso"),
        "release": rpms.release_line(packages),
        "docker": packages.version("docker.io").split("-")[0],
        "kernel": packages.kernel(),
    }
    (out / "medium.json").write_text(json.dumps(facts, indent=1) + "\n")

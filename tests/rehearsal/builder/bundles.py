"""Other bundles than the plain one: the same packages, and something that real bundles have."""

import gzip
import hashlib
import os
import re
import shutil
import tempfile
import xml.etree.ElementTree
from pathlib import Path

from . import host, initrd, rpms

REPO = "http://linux.duke.edu/metadata/repo"
# What new-kernel-pkg does on EL7 when a kernel is installed beside another: initramfs, menu, default (UPDATEDEFAULT=yes).
KERNEL_POST = """\
depmod {version}
if [ -e /boot/grub2/grub.cfg ]; then
    dracut --force /boot/initramfs-{version}.img {version}
    grub2-mkconfig -o /boot/grub2/grub.cfg
    . /etc/os-release
    grub2-set-default "$NAME ({version}) $VERSION"
fi"""


def made(bundle, kind):
    """The bundle of this kind, made beside the plain one when it is not there yet."""
    target = bundle.with_name(f"Docker-{kind}.tar.gz")
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=bundle.parent) as scratch:
            place = Path(scratch)
            host.run("tar", "-C", place, "-xf", bundle)
            KINDS[kind](place / "Docker", place)
            host.run("tar", "-C", place, "--owner=0", "--group=0", "-cf", place / "made", "-I", "gzip -1", "Docker")
            os.rename(place / "made", target)
    return {"bundle": str(target)}


def zstd(repository, place):
    """Metadata as today's createrepo_c writes it: zstd, which yum 3.4.3 cannot read."""
    repomd = repository / "repodata/repomd.xml"
    xml.etree.ElementTree.register_namespace("", REPO)
    tree = xml.etree.ElementTree.parse(repomd)
    for data in tree.getroot().iter(f"{{{REPO}}}data"):
        location = data.find(f"{{{REPO}}}location")
        old = repository / location.get("href")
        if old.suffix != ".gz":
            continue
        plain, new = place / "plain", place / "new.zst"
        plain.write_bytes(gzip.decompress(old.read_bytes()))
        host.run("zstd", "-q", "-f", plain, "-o", new)
        old.unlink()
        digest = hashlib.sha256(new.read_bytes()).hexdigest()
        # Its own digest stands before the name.
        name = f"{digest}-{re.sub(r'^[0-9a-f]{64}-', '', old.stem)}.zst"
        data.find(f"{{{REPO}}}checksum").text = digest
        data.find(f"{{{REPO}}}size").text = str(new.stat().st_size)
        location.set("href", f"repodata/{name}")
        shutil.move(new, repository / "repodata" / name)
    tree.write(repomd, xml_declaration=True, encoding="UTF-8")


def second_kernel(repository, place):
    """A newer kernel in a repository of its own below the bundle's, which the installer does not see: `yum upgrade` brings it."""
    *_, newest = host.kernels()
    version = newest.removeprefix("linux-image-")
    host.run("apt-get", "-o", "APT::Sandbox::User=root", "download", newest, cwd=place)
    deb = next(place.glob("*.deb"))
    root = place / "root"
    host.run("dpkg-deb", "-x", deb, root)
    modules = root / "usr/lib/modules"
    modules.parent.mkdir(parents=True, exist_ok=True)
    if not modules.exists():
        shutil.move(root / "lib/modules", modules)
    initrd.thin_modules(modules / version)
    evr = host.run("dpkg-deb", "-f", deb, "Version").strip().split(":", 1)[-1]
    number, _, release = evr.rpartition("-")
    spec = place / "kernel.spec"
    spec.write_text(
        f"Name: kernel\nVersion: {number}\nRelease: {release}\nSummary: A newer kernel\nLicense: GPLv2\nAutoReqProv: no\nProvides: kernel-core\n"
        f"Requires: dracut, bash\n%description\nDebian's {newest}.\n%post\n{KERNEL_POST.format(version=version)}\n"
        f"%files\n/boot/vmlinuz-{version}\n/usr/lib/modules/{version}\n"
    )
    rpms.rpmbuild(spec, root, place)
    updates = repository / "updates"
    updates.mkdir()
    shutil.move(next(place.glob("*/kernel-*.rpm")), updates)
    host.run("createrepo_c", "--quiet", "--no-database", updates)


KINDS = {"zstd": zstd, "second-kernel": second_kernel}

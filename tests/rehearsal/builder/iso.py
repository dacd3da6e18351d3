"""The ISO: layout, label and .treeinfo of CentOS 7's media."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from . import host

LABEL = "CentOS 7 x86_64"
# osinfo-db, tests/treeinfodata/centos/centos7.0/x86_64, and what lorax 19.6 writes.
TREEINFO = """\
[general]
name = CentOS-7
family = CentOS
timestamp = {timestamp}
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

[checksums]
{checksums}"""
MENU = "label linux\n  kernel vmlinuz\n  append initrd=initrd.img inst.stage2=hd:LABEL={label} quiet\n"
IMAGES = ["LiveOS/squashfs.img", "images/pxeboot/initrd.img", "images/pxeboot/vmlinuz", "repodata/repomd.xml"]
TIMESTAMP = "1525379784.39"


def make(tree, packages, work, out):
    """`out/medium.iso` of `work/iso` and the images in `work`."""
    iso = work / "iso"
    kernel = packages.kernel()
    for directory in ["LiveOS", "images/pxeboot", "isolinux", "EFI/BOOT"]:
        (iso / directory).mkdir(parents=True)
    shutil.move(work / "squashfs.img", iso / "LiveOS/squashfs.img")
    shutil.move(work / "initrd.img", iso / "images/pxeboot/initrd.img")
    shutil.copy(packages.tree / f"boot/vmlinuz-{kernel}", iso / "images/pxeboot/vmlinuz")
    (iso / "isolinux/isolinux.cfg").write_text(MENU.format(label=LABEL.replace(" ", "\\x20")))
    (iso / ".discinfo").write_text(f"{TIMESTAMP}\nrehearsal\nx86_64\n")
    (iso / "CentOS_BuildTag").write_text("rehearsal\n")
    (iso / "GPL").write_text("What is on this medium is Debian's; its licences are those of the packages.\n")
    checksums = "".join(f"{image} = sha256:{sha256(iso / image)}\n" for image in IMAGES)
    (iso / ".treeinfo").write_text(TREEINFO.format(timestamp=TIMESTAMP, checksums=checksums))
    host.run(
        *("xorriso", "-as", "mkisofs", "-quiet", "-V", LABEL, "-sysid", "LINUX", "-iso-level", "3", "-J", "-joliet-long", "-R"),
        *("-o", out / "medium.iso", iso),
    )


def labelled(medium, label):
    """A copy of the medium beside it, with another volume id; `inst.stage2` of its own menu says so, too."""
    copy = medium.with_name(f"medium-{hashlib.sha256(label.encode()).hexdigest()[:12]}.iso")
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=medium.parent) as scratch:
            menu, made = Path(scratch) / "menu", Path(scratch) / "made.iso"
            menu.write_text(MENU.format(label=label.replace(" ", "\\x20")))
            change = ["-volid", label, "-map", menu, "/isolinux/isolinux.cfg"]
            host.run("xorriso", "-report_about", "SORRY", "-indev", medium, "-outdev", made, "-joliet", "on", *change, "-commit")
            os.rename(made, copy)
    return {"iso": str(copy), "sha256": sha256(copy)}


def faulty(medium, fault):
    """A copy of the medium beside it, with a fault: a word for the installer to act on, or a runtime that is not there or none."""
    copy = medium.with_name(f"{medium.stem}-{fault}.iso")
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=medium.parent) as scratch:
            note, made = Path(scratch) / "note", Path(scratch) / "made.iso"
            stage2 = "/LiveOS/squashfs.img"
            if fault == "stage2-missing":
                change = ["-rm", stage2, "--"]
            elif fault == "stage2-broken":
                note.write_bytes(bytes(1 << 20))
                change = ["-rm", stage2, "--", "-map", note, stage2]
            else:
                note.write_text(f"{fault}\n")
                change = ["-map", note, "/rehearsal.fault"]
            host.run("xorriso", "-report_about", "SORRY", "-indev", medium, "-outdev", made, "-joliet", "on", *change, "-commit")
            os.rename(made, copy)
    return {"iso": str(copy), "sha256": sha256(copy)}


def sha256(path):
    """The digest of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

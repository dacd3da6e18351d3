#!/usr/bin/env python3
"""Make the seeds of the fuzz target `xfs`: xfs.py DIRECTORY writes xfs-4 and xfs-5 there. Needs root, to mount.

A seed is a small filesystem as text. Each line is a sector of 512 bytes: its number and pieces `OFFSET:BYTES`, all hexadecimal; what is not
named is zero. Inodes that are not in use are left out.
"""

import os
import re
import struct
import subprocess
import sys
import tempfile

# mkfs.xfs makes filesystems that are so small only when it believes that xfstests asks.
ENVIRONMENT = {**os.environ, "TEST_DIR": "x", "TEST_DEV": "x", "QA_CHECK_FS": "x"}


def run(*command, text=None):
    subprocess.run(command, check=True, env=ENVIRONMENT, input=text, text=True, stdout=subprocess.DEVNULL)


def make(disk, *options):
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    run("mkfs.xfs", "-q", "-f", "-d", "agcount=1", "-L", "seed", *options, disk)


def version4(disk):
    names = "\n".join(f"name-{number} p--644 0 0" for number in range(90))
    links = "\n".join(f"link-{size} l--777 0 0 {'l' * size}" for size in (10, 900))
    files = "\n".join(f"{name} ---644 0 0 /etc/hostname" for name in ("a", "b"))
    prototype = f"/dev/null\n0 0\nd--755 0 0\netc d--755 0 0\nfstab ---644 0 0 /etc/hostname\n$\n{links}\n{files}\nnames d--755 0 0\n{names}\n$\n$\n"
    with open(disk + ".proto", "w", encoding="ascii") as file:
        file.write(prototype)
    make(disk, "-m", "crc=0", "-n", "ftype=0", "-i", "size=256", "-p", disk + ".proto")
    commands = [f"path /{name}\nattr_set -u -v 1 first" for name in "ab"]
    commands += [f"path /{name}\nattr_set -u -v 5000 long{number}" for number in range(10) for name in "ab"]
    commands += ["path /etc/fstab\nattr_set -s -v 20 selinux"]
    run("xfs_db", "-x", disk, text="\n".join(commands) + "\n")


def log(disk):
    """Byte at which the log begins, and its length. There is one group only, so that blocks are counted from the disk's first byte."""
    with open(disk, "rb") as file:
        superblock = file.read(512)
    block = struct.unpack_from(">I", superblock, 4)[0]
    return struct.unpack_from(">Q", superblock, 48)[0] * block, struct.unpack_from(">I", superblock, 96)[0] * block


def version5(disk):
    make(disk, "-n", "size=4k", "-m", "rmapbt=1")
    start, length = log(disk)
    with open(disk, "rb") as file:
        file.seek(start)
        fresh = file.read(length)
    mount = disk + ".m"
    os.mkdir(mount)
    run("mount", "-o", "loop", disk, mount)
    try:
        os.mkdir(f"{mount}/etc")
        with open(f"{mount}/etc/fstab", "wb") as file:
            file.write(b"#\n")
        os.symlink("l" * 900, f"{mount}/link")
        os.mkdir(f"{mount}/names")
        for number in range(110):
            os.link(f"{mount}/etc/fstab", f"{mount}/names/{number:050}")
        with open(f"{mount}/file", "wb") as file:
            for piece in range(25):
                file.seek(piece * 8192)
                file.write(b"x")
        for size in (10, 300, 5000):
            os.setxattr(f"{mount}/file", f"user.{size}", b"v" * size)
        for number in range(40):
            os.setxattr(f"{mount}/etc/fstab", f"trusted.{number}", b"v" * 100)
    finally:
        run("umount", mount)
    # The kernel has written much into the log, which is of no use here.
    with open(disk, "r+b") as file:
        file.seek(start)
        file.write(fresh)


def text(disk):
    with open(disk, "rb") as file:
        image = bytearray(file.read())
    size = struct.unpack_from(">H", image, 104)[0]
    for at in range(0, len(image), size):
        if image[at : at + 4] == b"IN\0\0":
            image[at : at + size] = bytes(size)
    for sector in range(len(image) // 512):
        bytes_ = bytes(image[sector * 512 : (sector + 1) * 512])
        # Other copies of the superblock, and blocks of values, are of no use.
        if not any(bytes_) or sector and bytes_.startswith(b"XFSB") or set(bytes_) <= set(b"v\0"):
            continue
        pieces = [(match.start(), match.group()) for match in re.finditer(rb"(?s)[^\0](?:.{0,5}[^\0])*", bytes_)]
        yield f"{sector:x} " + " ".join(f"{at:x}:{piece.hex()}" for at, piece in pieces)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        for name, fill in (("xfs-4", version4), ("xfs-5", version5)):
            disk = f"{scratch}/{name}"
            fill(disk)
            with open(f"{sys.argv[1]}/{name}", "w", encoding="ascii") as out:
                out.write("\n".join(text(disk)) + "\n")


main()

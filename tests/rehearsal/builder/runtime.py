"""LiveOS/squashfs.img: the system that the stand-in for Anaconda runs in."""

import shutil

from . import debian, host

# Not needed to install from, or the installed system's alone.
LEFT_OUT = ["docker.io", "containerd", "runc", "tini", "libperl5.36", "perl-modules-5.36", "sudo", "firewalld", "gnupg-l10n", "libmagic-mgc",
            "grub-efi-amd64-bin", "shim-unsigned", "shim-signed", "shim-helpers-amd64-signed", "mokutil"]
# Units that a system which lives for minutes has no use for.
MASKED = """
    systemd-hwdb-update systemd-journal-catalog-update systemd-update-done systemd-machine-id-commit systemd-journal-flush
    systemd-update-utmp systemd-random-seed systemd-pstore systemd-binfmt systemd-network-generator systemd-sysusers systemd-firstboot
    systemd-boot-system-token systemd-boot-update systemd-pcrphase systemd-pcrphase-sysinit systemd-pcrmachine systemd-repart
    systemd-tpm2-setup-early lvm2-monitor blk-availability e2scrub_reap systemd-logind dbus dbus.socket systemd-modules-load sys-kernel-tracing.mount sys-kernel-debug.mount
    dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount tmp.mount systemd-remount-fs systemd-user-sessions kmod-static-nodes
""".split()


def make(tree, packages, work):
    """A copy of the tree, cut down, with the runtime's files in it, as `work/squashfs.img`."""
    root = work / "runtime"
    debian.copy(tree, root)
    for path, owner in packages.owner.items():
        target = root / path.lstrip("/")
        if owner in LEFT_OUT and (target.is_symlink() or target.is_file()):
            target.unlink()
    for path in ["boot", "var/lib/dpkg", "var/lib/apt", "var/cache", "usr/share/perl", "usr/share/zoneinfo/right", "usr/lib/udev/hwdb.d", "usr/lib/x86_64-linux-gnu/gconv"]:
        debian.remove(root / path)
    configure(root)
    pyanaconda(root)
    # What an emulated processor unpacks fastest, in small blocks: it starts many programs and reads little of each.
    host.run("mksquashfs", root, work / "squashfs.img", "-noappend", "-no-progress", "-comp", "lz4", "-b", "64K")
    shutil.rmtree(root)


def configure(root):
    """Files of our own, and nothing started that is not ours."""
    system = root / "etc/systemd/system"
    shutil.rmtree(system)
    # Nothing to generate: there is no fstab, no crypttab, no swap.
    shutil.rmtree(root / "usr/lib/systemd/system-generators")
    shutil.copytree(host.HERE / "runtime/root", root, symlinks=True, dirs_exist_ok=True)
    (system / "default.target").symlink_to("anaconda.target")
    for unit in MASKED:
        (system / (unit if "." in unit else f"{unit}.service")).symlink_to("/dev/null")
    # EL7's shell is bash.
    debian.remove(root / "usr/bin/sh")
    (root / "usr/bin/sh").symlink_to("bash")
    (root / "etc/machine-id").write_text("f5a1c0de0000400080000000cafe0175\n")
    (root / "etc/hostname").write_text("localhost\n")
    for path in ["etc/fstab", "etc/motd"]:
        (root / path).write_text("")
    (root / "etc/rpm").mkdir(exist_ok=True)
    # Debian's rpm keeps its database in the user's home directory. Nothing on the medium is signed, as EL7's installer checks nothing.
    (root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n%_pkgverify_level none\n")
    (root / "mnt/sysimage").mkdir()


def pyanaconda(root):
    """The stand-in itself, and the kickstart parser from the Python package index."""
    place = root / "usr/lib/anaconda"
    shutil.copytree(host.HERE / "runtime/pyanaconda", place / "pyanaconda")
    shutil.copy(host.HERE / "runtime/lines.tsv", place)
    venv = root.parent / "venv"
    host.run("python3", "-m", "venv", venv)
    pip = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    host.run(*pip, "--target", place, f"pykickstart=={host.PYKICKSTART}")
    debian.remove(place / "bin")
    host.enter(root, "python3", "-m", "compileall", "-q", "/usr/lib/anaconda")
    shutil.rmtree(venv)

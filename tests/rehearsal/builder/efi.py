"""What EL7's grub2-efi-x64 and shim-x64 have on the EFI system partition: shim, its fallback, and a GRUB that looks for its menu where EL7's
does. shim and fallback are Debian's, signed by it; its signed GRUB looks in /EFI/debian, so that this one is made here and not signed."""

import shutil

from . import host

# The list of grub2.spec of EL7 (GRUB_MODULES), as far as these disks have a use for it.
MODULES = """
    all_video boot cat configfile echo ext2 fat gzio halt linux linuxefi loadenv lvm minicmd normal part_gpt part_msdos reboot search
    search_fs_uuid search_label serial sleep terminal test xfs
""".split()
# One line, UTF-16 with a byte order mark (shim, BOOTX64.CSV).
LIST = "\ufeffshimx64.efi,CentOS Linux,,This is the boot entry for CentOS Linux\n"


def make(tree):
    """Lay the files out in the tree, where no Debian package owns them."""
    esp = tree / "boot/efi/EFI"
    for name in ("BOOT", "centos"):
        (esp / name).mkdir(parents=True)
    for source, targets in (
        ("shimx64", ("BOOT/BOOTX64.EFI", "centos/shimx64.efi")), ("fbx64", ("BOOT/fbx64.efi",)), ("mmx64", ("centos/mmx64.efi",))
    ):
        for target in targets:
            shutil.copyfile(tree / f"usr/lib/shim/{source}.efi.signed", esp / target)
    (esp / "centos/BOOTX64.CSV").write_bytes(LIST.encode("utf-16-le"))
    place = "/boot/efi/EFI/centos"
    host.enter(tree, "grub-mkimage", "--format=x86_64-efi", "--prefix=/EFI/centos", f"--output={place}/grubx64.efi", *MODULES)
    host.enter(tree, "grub-editenv", f"{place}/grubenv", "create")
    (tree / "boot/grub2").mkdir()
    (tree / "boot/grub2/grubenv").symlink_to("../efi/EFI/centos/grubenv")
    (tree / "etc/grub2-efi.cfg").symlink_to("../boot/efi/EFI/centos/grub.cfg")

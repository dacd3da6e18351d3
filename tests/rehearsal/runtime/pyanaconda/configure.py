"""The installed system's settings: what each command of the kickstart does to it (pyanaconda/kickstart.py)."""

import glob
import os
import re
import shutil

from pykickstart.constants import FIRSTBOOT_SKIP, SELINUX_DISABLED, SELINUX_ENFORCING, SELINUX_PERMISSIVE

from . import lines, network, programs, storage

SELINUX = {SELINUX_DISABLED: "disabled", SELINUX_ENFORCING: "enforcing", SELINUX_PERMISSIVE: "permissive"}


def _write(path, text, mode=0o644):
    place = programs.SYSROOT + path
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w") as file:
        file.write(text)
    os.chmod(place, mode)


def configure(data):
    """All commands, in Anaconda's order."""
    _fstab()
    _locale(data)
    lines.log("step", message="Writing network configuration")
    network.configure(data)
    lines.log("step", message="Creating users")
    _accounts(data)
    _selinux(data)
    _firewall(data)
    _services(data)
    lines.log("step", message="Configuring addons")
    target = f"{programs.SYSROOT}/etc/systemd/system/default.target"
    if not os.path.lexists(target):
        os.symlink("/lib/systemd/system/multi-user.target", target)


def _spec(device):
    """What fstab(5) calls a device: a volume by its name, a partition by its UUID (blivet/devices.py: fstabSpec)."""
    return device if device.startswith("/dev/mapper/") else f"UUID={storage.uuid(device)}"


def _fstab():
    mounts = []
    with open("/proc/self/mounts") as table:
        for line in table:
            device, place, kind, *_ = line.split()
            if place.startswith(programs.SYSROOT) and device.startswith("/dev/") and kind in ("ext4", "xfs", "vfat"):
                mountpoint = place.removeprefix(programs.SYSROOT) or "/"
                options = storage.EFI_OPTIONS if kind == "vfat" else "defaults       "
                mounts.append(f"{_spec(device)} {mountpoint:<23} {kind:<7} {options} {'1 1' if mountpoint == '/' else '1 2' if kind == 'ext4' else '0 0'}\n")
    _, swaps = programs.run("blkid", "-t", "TYPE=swap", "-o", "device", check=False)
    mounts += [f"{_spec(device)} swap                    swap    defaults        0 0\n" for device in swaps.split()]
    _write("/etc/fstab", "\n#\n# /etc/fstab\n# Created by anaconda\n#\n" + "".join(mounts))


def _locale(data):
    if data.lang.lang:
        _write("/etc/locale.conf", f'LANG="{data.lang.lang}"\n')
    _write("/etc/vconsole.conf", f'KEYMAP="{data.keyboard.vc_keymap or data.keyboard.keyboard or "us"}"\nFONT="latarcyrheb-sun16"\n')
    zone = data.timezone.timezone
    localtime = f"{programs.SYSROOT}/etc/localtime"
    if os.path.exists(f"{programs.SYSROOT}/usr/share/zoneinfo/{zone}"):
        if os.path.lexists(localtime):
            os.unlink(localtime)
        os.symlink(f"../usr/share/zoneinfo/{zone}", localtime)
    _write("/etc/adjtime", f"0.0 0 0.0\n0\n{'UTC' if data.timezone.isUtc else 'LOCAL'}\n")


def _accounts(data):
    root = programs.SYSROOT
    for user in data.user.userList:
        words = ["useradd", "--create-home", *(["--uid", user.uid] if user.uid is not None else []), *(["--shell", user.shell] if user.shell else [])]
        groups = [re.split(r"\s*\(", group)[0] for group in user.groups]
        for group in groups:
            programs.run("groupadd", "--force", group, root=root)
        words += ["--groups", ",".join(groups)] if groups else []
        programs.run(*words, user.name, root=root, check=False)
        _password(user.name, user)
    if data.rootpw.seen:
        _password("root", data.rootpw)
    for key in getattr(data.sshkey, "sshUserList", []) if hasattr(data, "sshkey") else []:
        directory = f"{root}/root/.ssh" if key.username == "root" else f"{root}/home/{key.username}/.ssh"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with open(f"{directory}/authorized_keys", "a") as file:
            file.write(f"{key.key}\n")


def _password(name, wanted):
    if wanted.password:
        form = ["--encrypted"] if wanted.isCrypted else []
        # Not through the log: it would hold the password.
        with open(f"{programs.SYSROOT}/tmp/.chpasswd", "w") as file:
            os.chmod(file.name, 0o600)
            file.write(f"{name}:{wanted.password}\n")
        programs.run("sh", "-c", f"chpasswd {' '.join(form)} < /tmp/.chpasswd", root=programs.SYSROOT)
        os.unlink(f"{programs.SYSROOT}/tmp/.chpasswd")
    if wanted.lock:
        programs.run("usermod", "--lock", name, root=programs.SYSROOT)


def _selinux(data):
    mode = SELINUX.get(data.selinux.selinux)
    path = f"{programs.SYSROOT}/etc/selinux/config"
    if mode and os.path.exists(path):
        with open(path) as file:
            text = re.sub(r"(?m)^SELINUX=.*$", f"SELINUX={mode}", file.read())
        _write("/etc/selinux/config", text)


def _firewall(data):
    firewall = data.firewall
    if not os.path.exists(f"{programs.SYSROOT}/usr/bin/firewall-offline-cmd"):
        return
    words = ["--enabled" if firewall.enabled else "--disabled"] if firewall.enabled is not None else []
    words += [f"--service={service}" for service in {"ssh", *firewall.services}]
    words += [f"--port={port}" for port in firewall.ports]
    programs.run("firewall-offline-cmd", *words, root=programs.SYSROOT, check=False)


def _services(data):
    """Errors are ignored; names without .service get it (kickstart.py:1762)."""
    wanted = [("disable", name) for name in data.services.disabled] + [("enable", name) for name in data.services.enabled]
    if data.firstboot.firstboot == FIRSTBOOT_SKIP:
        wanted.append(("disable", "initial-setup-graphical"))
    for verb, name in wanted:
        unit = name if name.endswith(".service") else f"{name}.service"
        programs.run("systemctl", verb, unit, root=programs.SYSROOT, check=False)


def copy_logs(data):
    """The internal %post that keeps the logs, and the two kickstarts unless inst.nosave says no (data/post-scripts/99-copy-logs.ks)."""
    nosave = {word for option in open("/proc/cmdline").read().split() if option.startswith("inst.nosave=") for word in option[12:].split(",")}
    place = f"{programs.SYSROOT}/var/log/anaconda"
    if not nosave & {"logs", "all"}:
        os.makedirs(place, exist_ok=True)
        for path in glob.glob("/tmp/*.log") + ["/tmp/syslog"]:
            if os.path.exists(path):
                shutil.copy(path, place)
                os.chmod(os.path.join(place, os.path.basename(path)), 0o600)
    if not nosave & {"all_ks", "output_ks", "all"}:
        _write("/root/anaconda-ks.cfg", str(data), 0o600)
    if not nosave & {"all_ks", "input_ks", "all"}:
        shutil.copy("/run/install/ks.cfg", f"{programs.SYSROOT}/root/original-ks.cfg")

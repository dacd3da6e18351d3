"""What nothing else can cause: words KIND@PHASE in a file /rehearsal.fault of the medium (`build.py --fault`), in /run/rehearsal.fault,
which a %pre script may write, or after `rehearsal.fault=` on the kernel's command line."""

import os
import subprocess
import time

from . import programs

FILES = ("/run/install/repo/rehearsal.fault", "/run/rehearsal.fault")
PHASES = ("start", "metadata", "storage", "packages", "bootloader", "configure", "post", "end")


def wanted():
    """All faults that are asked for, as (kind, phase)."""
    with open("/proc/cmdline") as cmdline:
        texts = [word.partition("=")[2] for word in cmdline.read().split() if word.startswith("rehearsal.fault=")]
    for name in FILES:
        if os.path.exists(name):
            with open(name) as file:
                texts += file.read().split()
    return [tuple(text.partition("@")[::2]) for text in texts]


def at(phase):
    """Have what is wanted of this phase."""
    assert phase in PHASES
    for kind, where in wanted():
        if where == phase:
            KINDS[kind]()


def needed_ram(usual):
    """KiB that the installer needs: with memory@start, more than any machine has."""
    return 1 << 40 if ("memory", "start") in wanted() else usual


def hang():
    """Silence: no log, no disk, no processor."""
    subprocess.run(["systemctl", "stop", "rsyslog.service", "syslog.socket"], check=False)
    time.sleep(1 << 30)


def spin():
    """The processor works and nothing comes of it."""
    while True:
        pass


def dots():
    """A spoke that never gets ready: the screen grows, the installation does not (el7-facts B6)."""
    while True:
        print(".", end="", flush=True)
        time.sleep(1)


def panic():
    """A kernel panic: with panic=1 the machine resets."""
    with open("/proc/sys/kernel/sysrq", "w") as sysrq:
        sysrq.write("1")
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("c")


def prompt():
    """A question on the console that nobody answers."""
    print("Please respond 'yes' or 'no': ", end="", flush=True)
    input()


def poweroff():
    """Gone, without a word."""
    subprocess.run(["systemctl", "poweroff", "--force", "--force"], check=False)
    time.sleep(60)


def unclean():
    """Power gone before the system disk is unmounted. The last file is in the filesystem's journal alone: fsync(2) writes that, and nothing
    comes after it."""
    with open(f"{programs.SYSROOT}/etc/rehearsal-journal", "w") as file:
        file.write("replayed\n")
        file.flush()
        os.fsync(file.fileno())
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("o")
    time.sleep(60)


def unreadable():
    """The repositories of the recipe's volume are gone: something else is mounted in their place."""
    subprocess.run(["mount", "-t", "tmpfs", "empty", "/run/goldsmith/volume"], check=False)


def full():
    """No room is left on the system disk."""
    programs.run("fallocate", "--length", "1T", f"{programs.SYSROOT}/full", check=False)
    programs.run("sh", "-c", f"cat /dev/zero > {programs.SYSROOT}/full", check=False)


def crash():
    """An exception that nobody foresaw."""
    raise ValueError("a fault was asked for")


KINDS = {
    "hang": hang, "spin": spin, "dots": dots, "panic": panic, "prompt": prompt, "poweroff": poweroff, "unreadable": unreadable, "full": full,
    "crash": crash, "unclean": unclean,
}

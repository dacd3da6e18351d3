"""What nothing else can cause: `rehearsal.fault=KIND@PHASE` on the kernel's command line, or that text in /run/rehearsal.fault,
which a %pre script may write."""

import os
import subprocess
import time

FILE = "/run/rehearsal.fault"
PHASES = ("start", "metadata", "storage", "packages", "bootloader", "configure", "post")


def wanted():
    """All faults that are asked for, as (kind, phase)."""
    with open("/proc/cmdline") as cmdline:
        texts = [word.partition("=")[2] for word in cmdline.read().split() if word.startswith("rehearsal.fault=")]
    if os.path.exists(FILE):
        with open(FILE) as file:
            texts += file.read().split()
    return [tuple(text.partition("@")[::2]) for text in texts]


def at(phase):
    """Have what is wanted of this phase."""
    assert phase in PHASES
    for kind, where in wanted():
        if where == phase:
            KINDS[kind]()


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


def crash():
    """An exception that nobody foresaw."""
    raise ValueError("a fault was asked for")


KINDS = {"hang": hang, "spin": spin, "dots": dots, "panic": panic, "prompt": prompt, "poweroff": poweroff, "crash": crash}

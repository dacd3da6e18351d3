"""The order of things, as in anaconda's own `main` (el7-facts B6)."""

import contextlib
import itertools
import os
import sys

from . import bootloader, configure, endings, faults, kickstart, lines, payload, scripts, storage

KICKSTART = "/run/install/ks.cfg"
# KiB: 320 MiB (pyanaconda/isys/__init__.py:41). Less is asked for when the runtime lies on a disk, but never nothing.
NEEDED_RAM = 320 * 1024

_numbers = itertools.count(140000000000001)


def main():
    """Ends the machine, or stays on the screen."""
    lines.init()
    lines.setup_virtio()
    lines.log("start", version="rehearsal")
    check_memory()
    faults.at("start")
    if not os.path.exists(KICKSTART):
        sys.exit("no kickstart: this stand-in knows no other way to install")
    lines.tell("Starting installer, one moment...")
    # Until the handler of the end is registered, whatever ends this program leaves a dead pane and a machine that runs.
    scripts.run_pre(kickstart.pre_scripts(KICKSTART))
    lines.log("ks.parse", path=KICKSTART)
    data = kickstart.parse(KICKSTART)
    lines.log("display")
    try:
        install(data)
    except endings.Incomplete as error:
        endings.incomplete(str(error))
    except endings.Aborted:
        pass
    except Exception as error:  # noqa: BLE001: whatever it is, it ends like this
        endings.uncaught(error)
    endings.at_exit(data.action)


def check_memory():
    """Too little asks a question, unattended or not (anaconda:509-540)."""
    with open("/proc/meminfo") as meminfo:
        total = int(next(line for line in meminfo if line.startswith("MemTotal:")).split()[1])
    needed = faults.needed_ram(NEEDED_RAM)
    lines.log("memory", total=total, needed=needed)
    if total < needed:
        print(
            f"You do not have enough RAM to install CentOS on this machine.\n\nPress ENTER to continue\n", end="", flush=True
        )
        input()
        os.execvp("systemctl", ["systemctl", "--no-wall", "reboot"])


@contextlib.contextmanager
def thread(name):
    """What Anaconda does in a thread of this name."""
    number = next(_numbers)
    lines.log("thread.begin", name=name, number=number)
    try:
        yield
    finally:
        lines.log("thread.end", name=name, number=number)


def install(data):
    """From the spokes to the end of %post."""
    print("Starting automated install", end="", flush=True)
    with thread("AnaStorageThread"):
        disks = storage.scan(data)
    print(".", end="", flush=True)
    with thread("AnaPayloadThread"):
        faults.at("metadata")
        packages = payload.Payload(data)
    print(".", end="", flush=True)
    with thread("AnaCheckSoftwareThread"):
        packages.check_selection()
    print(".", end="", flush=True)
    faults.at("storage")
    plan = storage.plan(data, disks)
    kickstart.check_complete(data)
    packages.check_space(plan)
    print(flush=True)
    with thread("AnaInstallThread"):
        lines.log("step", message="Setting up the installation environment")
        storage.turn_on(plan)
        faults.at("packages")
        packages.install()
        faults.at("bootloader")
        lines.log("step", message="Installing boot loader")
        bootloader.write(data, plan)
    with thread("AnaConfigurationThread"):
        faults.at("configure")
        lines.log("step", message="Configuring installed system")
        configure.configure(data)
        lines.log("step", message="Generating initramfs")
        faults.at("post")
        lines.log("step", message="Running post-installation scripts")
        scripts.run_post(data)
        configure.copy_logs(data)
    faults.at("end")
    storage.turn_off()

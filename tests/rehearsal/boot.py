#!/usr/bin/python3
"""Boot the rehearsal medium, or the disk it made, in QEMU, and tell how it ended.

It shares nothing with goldsmith: it is how the medium is tried by itself. `boot.py --help` says how; README.md says what it is for."""

import argparse
import ctypes
import json
import os
import re
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The arguments that goldsmith boots installers with (KERNEL_ARGUMENTS in src/installer/anaconda.rs), written apart from it.
KERNEL_ARGUMENTS = (
    "inst.ks=file:/ks.cfg inst.stage2=hd:LABEL={label} inst.cmdline inst.nosave=all_ks inst.geoloc=0 console=tty0 "
    "console=ttyS0,115200 net.ifnames=0 biosdevname=0 rd.shell=0 rd.emergency=poweroff panic=1 no_timer_check"
)
# EL7's virtio_blk can neither discard nor write zeroes (el7-facts, Corrections 1); QEMU's device is not to offer it to Debian's.
EL7_DISKS = ("-global", "virtio-blk-pci.discard=off", "-global", "virtio-blk-pci.write-zeroes=off")
# Debian's package ovmf.
OVMF, OVMF_VARIABLES = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
REPORT_PORT = "org.goldsmith.runner.0"
LOG_PORT = "org.fedoraproject.anaconda.log.0"
NONCE = "5eed5eed5eed5eed"
# The log's form (el7-facts B5).
LOG_LINE = re.compile(r"^\d\d:\d\d:\d\d,\d{3} (\w+) ([^:\s]+): ?(.*)$")


def cpio(files):
    """A newc archive of plain files (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = b""
    for number, (name, content) in enumerate([*files.items(), ("TRAILER!!!", b"")], 1):
        mode = 0o100644 if name != "TRAILER!!!" else 0
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(f"{field:08x}".encode() for field in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return out + b"\0" * (-len(out) % 512)


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bundle_volume(bundle, work):
    """A FAT volume labelled GOLDSMITH with the bundle in the directory of its repository's id."""
    unpacked = work / "kubernetes"
    unpacked.mkdir()
    run("tar", "-C", unpacked, "--strip-components=1", "-xf", bundle)
    size = sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file())
    image = work / "volume.img"
    with open(image, "wb") as file:
        file.truncate(size + size // 20 + (48 << 20))
    run("mkfs.vfat", "-F", "32", "-n", "GOLDSMITH", image)
    run("mcopy", "-i", image, "-s", unpacked, "::/")
    shutil.rmtree(unpacked)
    return image


def die_with_parent():
    """prctl(2), PR_SET_PDEATHSIG: no machine is left behind, however this program ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Machine:
    """One QEMU, its console, ports and monitor, from launch to exit."""

    def __init__(self, work, arguments, ports, options, log):
        self.work, self.log, self.start = work, log, time.monotonic()
        self.texts, self.events, self.pending = {}, [], {}
        self.selector = selectors.DefaultSelector()
        self.sockets = {}
        words = [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35" if arguments.uefi else "pc", "-accel", "tcg,thread=multi", "-cpu", arguments.cpu),
            *("-smp", "2", "-m", f"{arguments.memory}M", "-vga", "std", "-display", "none", "-rtc", "base=utc", "-device", "virtio-rng-pci"),
            *EL7_DISKS,
            *("-device", "pvpanic", "-action", "reboot=shutdown,shutdown=poweroff,panic=shutdown"),
            *("-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,netdev=net0", "-device", "virtio-serial-pci,id=ports"),
        ]
        if arguments.uefi:
            # The variables of a machine that was never on.
            shutil.copyfile(OVMF_VARIABLES, work / "variables")
            words += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}", "-drive", f"if=pflash,format=raw,file={work / 'variables'}"]
        for number in range(1, arguments.cards):
            words += ["-netdev", f"user,id=net{number},restrict=on", "-device", f"virtio-net-pci,netdev=net{number}"]
        for name in ["qmp", "console", *ports]:
            # QEMU connects to us, before the machine starts: a port that nobody listens to blocks its writer.
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(work / f"{name}.sock"))
            listener.listen(1)
            self.sockets[name] = listener
            words += ["-chardev", f"socket,id={name},path={work / name}.sock"]
        words += ["-mon", "chardev=qmp,mode=control", "-device", "isa-serial,chardev=console"]
        for number, name in enumerate(ports, 1):
            words += ["-device", f"virtserialport,bus=ports.0,nr={number},chardev={name},name={name}"]
        self.process = subprocess.Popen([*map(str, words), *map(str, options)], preexec_fn=die_with_parent)
        for name, listener in self.sockets.items():
            listener.settimeout(30)
            connection, _ = listener.accept()
            listener.close()
            self.sockets[name] = connection
            self.selector.register(connection, selectors.EVENT_READ, name)
            self.texts[name], self.pending[name] = b"", b""
        self.send("qmp", '{"execute":"qmp_capabilities"}\n')

    def send(self, name, text):
        self.sockets[name].sendall(text.encode())

    def seconds(self):
        return time.monotonic() - self.start

    def pump(self, seconds):
        """Take in what comes within a second at most; the lines that were completed, as (source, line). None: QEMU is gone."""
        lines = []
        ready = self.selector.select(min(seconds, 1))
        if not ready and self.process.poll() is not None:
            return None
        for key, _ in ready:
            try:
                data = key.fileobj.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.selector.unregister(key.fileobj)
                if not self.selector.get_map():
                    self.process.wait()
                    return lines or None
                continue
            name = key.data
            self.texts[name] += data
            *whole, self.pending[name] = (self.pending[name] + data).split(b"\n")
            for line in whole:
                text = line.decode(errors="replace").rstrip("\r")
                print(f"{self.seconds():7.1f} {name.removeprefix('org.')}: {text}", file=self.log, flush=True)
                if name == "qmp" and '"event"' in text:
                    self.events.append(json.loads(text))
                lines.append((name, text))
        return lines

    def end(self):
        """How it ended, in QEMU's words: guest-shutdown, guest-reset, panic, or host-… when we had to; with the time that it took, and
        that of the processors, which says more on a machine with other work."""
        how = self._end()
        for name, rest in self.pending.items():
            if rest:
                print(f"{self.seconds():7.1f} {name.removeprefix('org.')}: {rest.decode(errors='replace')}", file=self.log, flush=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"ended": how, "seconds": round(self.seconds(), 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1)}

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            return "host-killed"
        for event in reversed(self.events):
            if event["event"] == "GUEST_PANICKED":
                return "guest-panic"
        for event in self.events:
            if event["event"] == "SHUTDOWN":
                return event["data"]["reason"]
        return f"qemu exit {self.process.returncode}"


def install(arguments, work, log):
    """Boot the medium and follow it to its end, or to the time when nothing more is expected."""
    run("xorriso", "-report_about", "SORRY", "-osirrox", "on", "-indev", arguments.iso, "-extract", "/images/pxeboot", work / "pxeboot")
    # What lies on a medium cannot be written, not even by who copied it.
    files = {"ks.cfg": arguments.kickstart.read_bytes(), "goldsmith-nonce.cfg": f"{NONCE}\n".encode()}
    initrd = (work / "pxeboot/initrd.img").read_bytes()
    (work / "initrd").write_bytes(initrd + b"\0" * (-len(initrd) % 4) + cpio({k: v for k, v in files.items() if k not in arguments.leave_out}))
    arguments.disk.unlink(missing_ok=True)
    with open(arguments.disk, "wb") as disk:
        disk.truncate(arguments.disk_size << 20)
    drives = [(arguments.disk, False)]
    if not arguments.no_medium:
        drives.append((arguments.iso, True))
    if arguments.bundle:
        drives.append((bundle_volume(arguments.bundle, work), True))
    kernel_arguments = KERNEL_ARGUMENTS.format(label=arguments.label.replace(" ", "\\x20"))
    options = ["-kernel", work / "pxeboot/vmlinuz", "-initrd", work / "initrd", "-append", f"{kernel_arguments} {arguments.append}".strip()]
    options += drive_options(drives)
    machine = Machine(work, arguments, [LOG_PORT, REPORT_PORT], options, log)
    marks, quiet = {}, time.monotonic()
    while machine.seconds() < arguments.timeout and time.monotonic() - quiet < arguments.silence:
        lines = machine.pump(1)
        if lines is None:
            break
        for name, line in lines:
            quiet = time.monotonic()
            found = LOG_LINE.match(line) if name == LOG_PORT else None
            if found and found[2] in ("anaconda", "packaging") and found[3].split(" (")[0] not in marks:
                text = found[3]
                if not text.startswith(("Installing ", "select package", "adding yum")):
                    marks[text[:90]] = round(machine.seconds(), 1)
    result = machine.end()
    report = machine.texts[REPORT_PORT].decode(errors="replace").splitlines()
    result["nonce"] = f"ok {NONCE}" in report
    result["report"] = report
    log_lines = machine.texts[LOG_PORT].decode(errors="replace").splitlines()
    result["bad_log_lines"] = [line for line in log_lines if not LOG_LINE.match(line)][:5]
    result["errors"] = [line for line in log_lines if (found := LOG_LINE.match(line)) and found[1] in ("ERR", "CRIT")][-12:]
    result["console_tail"] = machine.texts["console"].decode(errors="replace")[-600:]
    result["marks"] = marks
    return result


def drive_options(drives):
    options = []
    for number, (path, read_only) in enumerate(drives):
        options += ["-drive", f"if=none,id=disk{number},file={path},format=raw,cache=unsafe,readonly={'on' if read_only else 'off'}"]
        options += ["-device", f"virtio-blk-pci,drive=disk{number},addr={8 + number:#x}{',bootindex=1' if number == 0 else ''}"]
    return options


def login(arguments, work, log):
    """Boot the disk through its firmware and boot loader, log in on the serial console and run commands."""
    machine = Machine(work, arguments, [], [*drive_options([(arguments.disk, False)]), "-snapshot"], log)
    result, commands, seen = {"commands": []}, ["stty cols 250", *arguments.command], 0
    # What is waited for, and what is then typed. Terminal and shell may both echo a command, in part or whole, but only before it runs: its
    # output stands between two marks that it prints itself. The marks are not in what was typed, so an echo is not taken for them.
    steps = [(r"login: $", "root"), (r"assword: $", arguments.password), (r"[#$] (\x1b\S*)?$", None)]
    for number, command in enumerate(commands):
        steps[-1] = (steps[-1][0], f"echo out''{number}=; {command}; echo rc''{number}=$?.")
        steps.append((rf"(?s)out{number}=\r*\n(.*)rc{number}=(\d+)\.", None))
    for number, (expected, answer) in enumerate(steps):
        while not (found := re.search(expected, machine.texts["console"][seen:].decode(errors="replace"))):
            if machine.seconds() > arguments.timeout or machine.pump(1) is None:
                result["missing"] = expected
                return result | machine.end() | {"console_tail": machine.texts["console"].decode(errors="replace")[-1500:]}
        if number == 0:
            result["seconds to the login prompt"] = round(machine.seconds(), 1)
        if number > 3:
            result["commands"].append({"command": commands[number - 3], "status": int(found[2]), "output": found[1].replace("\r", "").strip()})
        seen = len(machine.texts["console"])
        if answer is not None:
            machine.send("console", f"{answer}\n")
    return result | machine.end()


def main():
    parser = argparse.ArgumentParser(prog="tests/rehearsal/boot.py", description="Boot the rehearsal medium, or the disk it made.")
    parser.add_argument("--disk", type=Path, required=True, help="the system disk, a raw file; an installation replaces it")
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--cards", type=int, default=1, help="network cards")
    parser.add_argument("--uefi", action="store_true", help="boot through OVMF, whose variables are empty")
    parser.add_argument("--cpu", default="max,erms=off,fsrm=off", help="QEMU's name of a processor")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds to the end of all patience")
    parser.add_argument("--log", type=Path, help="write every line of console, ports and monitor here, with seconds since launch")
    commands = parser.add_subparsers(dest="what", required=True)
    sub = commands.add_parser("install", help="boot the medium with a kickstart")
    sub.add_argument("--iso", type=Path, required=True)
    sub.add_argument("--kickstart", type=Path, required=True)
    sub.add_argument("--bundle", type=Path, help="Docker.tar.gz, unpacked on a volume labelled GOLDSMITH")
    sub.add_argument("--disk-size", type=int, default=4096, help="MiB")
    sub.add_argument("--silence", type=float, default=180, help="seconds without a line after which it counts as hanging")
    sub.add_argument("--append", default="", help="more kernel arguments, such as rehearsal.fault=hang@packages")
    sub.add_argument("--leave-out", action="append", default=[], help="ks.cfg or goldsmith-nonce.cfg: do not put it into the initramfs")
    sub.add_argument("--label", default="CentOS 7 x86_64", help="the medium's volume id")
    sub.add_argument("--no-medium", action="store_true", help="do not attach the ISO")
    sub = commands.add_parser("login", help="boot the installed disk, a copy of it, and run commands as root")
    sub.add_argument("--password", required=True)
    sub.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as scratch:
        log = open(arguments.log or os.devnull, "w")
        work = Path(scratch)
        result = (install if arguments.what == "install" else login)(arguments, work, log)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    sys.exit(main())

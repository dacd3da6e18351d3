"""Run programs as Anaconda does: the command, its output and its status go to the log as `program`."""

import os
import subprocess

from . import lines

SYSROOT = "/mnt/sysimage"


class ProgramError(Exception):
    """A program that had to succeed did not."""


def run(*command, root="/", stdin=None, environment=None, check=True):
    """Run a program to its end and log what it said, then. The status is returned when it need not be 0."""
    words = [str(word) for word in command]
    lines.log("exec", command=" ".join(words))

    def enter():
        os.chroot(root)
        os.chdir("/")

    settings = {**os.environ, "LC_ALL": "C", "ANA_INSTALL_PATH": SYSROOT, **(environment or {})}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL if stdin is None else None, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env=settings, preexec_fn=enter if root != "/" else None, check=False,
        )
        status, output = done.returncode, done.stdout
    except OSError as error:
        status, output = 127, f"{error}\n"
    for line in output.splitlines():
        lines.log("exec.output", line=line)
    lines.log("exec.return", code=status)
    if check and status != 0:
        raise ProgramError(f"{words[0]} failed: {output.strip().splitlines()[-1] if output.strip() else status}")
    return status, output

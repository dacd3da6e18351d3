"""The sections of shell."""

import os
import sys
import tempfile
import traceback

from pykickstart.constants import KS_SCRIPT_POST

from . import endings, lines, programs


class ScriptError(Exception):
    """A script with --erroronfail failed."""

    def __init__(self, line, details):
        super().__init__(f"There was an error running the kickstart script at line {line}.  The details of this error are:\n\n{details}")
        self.line, self.details = line, details


def run_pre(scripts):
    """%pre. A failure with --erroronfail has no handler yet: it is a crash, and the machine stays."""
    if not scripts:
        return
    lines.log("pre.begin")
    lines.tell("Running pre-installation scripts")
    for script in scripts:
        try:
            _run(script, "/")
        except ScriptError as error:
            with open("/tmp/anaconda-tb-all.log", "a") as dump:
                dump.write("".join(traceback.format_exception(error)))
            sys.exit("".join(traceback.format_exception(error)))
    lines.log("pre.end")


def run_post(data):
    """%post, one after the other; a failure with --erroronfail ends it all."""
    scripts = [script for script in data.scripts if script.type == KS_SCRIPT_POST]
    if not scripts:
        return
    lines.log("post.begin")
    lines.tell("Running post-installation scripts")
    for script in scripts:
        try:
            _run(script, programs.SYSROOT if script.inChroot else "/")
        except ScriptError as error:
            lines.log("script.fatal", line=error.line, error=error.details)
            print(
                f"There was an error running the kickstart script at line {error.line}.  This is a fatal error and installation will be "
                f"aborted.  The details of this error are:\n\n{error.details}",
                flush=True,
            )
            raise endings.Aborted from error
    lines.log("post.end")


def _run(script, root):
    """Run one. A copy of it stays in the target's /tmp, as Anaconda's does."""
    directory = os.path.join(root, "tmp")
    os.makedirs(directory, exist_ok=True)
    handle, path = tempfile.mkstemp("", "ks-script-", directory)
    with os.fdopen(handle, "w") as file:
        file.write(script.script)
    os.chmod(path, 0o700)
    inside = path if root == "/" else path.removeprefix(root)
    # The wrappers that know no more options than EL7 (builder/shims.py) are in the way of scripts alone.
    search = {"PATH": "/usr/local/bin:/usr/bin:/bin:/sbin:/usr/sbin"}
    status, output = programs.run(*script.interp.split(), inside, root=root, environment=search, check=False)
    if script.logfile:
        log = os.path.join(root, script.logfile.lstrip("/"))
        os.makedirs(os.path.dirname(log), exist_ok=True)
        with open(log, "w") as file:
            file.write(output)
    if root == "/" and path.startswith("/tmp/"):
        os.unlink(path)
    if status != 0:
        lines.log("script.error", code=status, line=script.lineno)
        if script.errorOnFail:
            raise ScriptError(script.lineno, output)

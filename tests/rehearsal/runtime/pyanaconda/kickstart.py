"""The kickstart, read by the parser that Anaconda uses, with the checks that Anaconda adds to it."""

import os
import sys

from pykickstart.constants import KS_REBOOT, KS_SCRIPT_PRE, KS_SHUTDOWN
from pykickstart.errors import KickstartError, KickstartParseError
from pykickstart.parser import KickstartParser
from pykickstart.version import RHEL7, makeVersion

from . import endings, storage


class _PreParser(KickstartParser):
    """The first pass looks for %pre alone; what is wrong with the commands is found by the second."""

    def handleCommand(self, lineno, args):
        pass


def _read(parser, path):
    """A kickstart that cannot be read ends the program before there is anyone to end the machine (anaconda:1079)."""
    try:
        parser.readKickstart(path)
    except KickstartError as error:
        sys.exit(f"{error}")


def pre_scripts(path):
    """The %pre scripts, whatever else the file holds."""
    handler = makeVersion(RHEL7)
    _read(_PreParser(handler, errorsAreFatal=True, missingIncludeIsFatal=False), path)
    return [script for script in handler.scripts if script.type == KS_SCRIPT_PRE]


def parse(path):
    """The kickstart as a whole."""
    handler = makeVersion(RHEL7)
    _read(KickstartParser(handler), path)
    try:
        _check_disks(handler)
    except KickstartParseError as error:
        sys.exit(f"{error}")
    if handler.reboot.seen:
        handler.action = {KS_REBOOT: "reboot", KS_SHUTDOWN: "poweroff"}.get(handler.reboot.action, "halt")
    else:
        handler.action = None
    return handler


def _check_disks(handler):
    """What pyanaconda/kickstart.py:629-663 and 804-816 refuse: disks that are not there, disk labels that this platform has not."""
    there = storage.disk_names()
    clearpart = handler.clearpart
    for command, names in (
        (clearpart, clearpart.drives), (handler.ignoredisk, handler.ignoredisk.onlyuse), (handler.ignoredisk, handler.ignoredisk.ignoredisk)
    ):
        for name in names or []:
            if os.path.basename(name) not in there:
                raise KickstartParseError(f"Disk \"{name}\" given in {command.currentCmd} command does not exist.", lineno=command.lineno)
    label = getattr(clearpart, "disklabel", "")
    if label and label not in ("gpt", "msdos"):
        raise KickstartParseError(f"Disklabel \"{label}\" given in clearpart command is not supported on this platform.", lineno=clearpart.lineno)


def check_complete(data):
    """Every answer must be there; nobody can be asked (ui/tui/hubs/summary.py:50-107)."""
    spokes = []
    if not data.packages.seen:
        spokes.append("Software selection")
    if not data.timezone.seen:
        spokes.append("Time settings")
    if not data.rootpw.seen and not any("wheel" in user.groups for user in data.user.userList):
        spokes.append("Root password")
    if spokes:
        endings.spokes(spokes)

"""How an installation ends. A power-off says nothing: it comes after most failures too (el7-facts B6)."""

import subprocess
import sys
import time
import traceback

from . import lines

HOW = {"poweroff": "poweroff", "shutdown": "poweroff", "reboot": "reboot", "halt": "halt"}


class Incomplete(Exception):
    """In cmdline mode nobody can be asked: CmdlineError."""


class Aborted(Exception):
    """An error was shown, and the program ends with its kickstart's action."""


def spokes(titles):
    """Questions without an answer (ui/tui/hubs/summary.py:107-112)."""
    message = "\n".join(["The following mandatory spokes are not completed:", *titles])
    lines.log("cmdline.error", message=message)
    raise Incomplete(message)


def incomplete(message):
    """CmdlineError (pyanaconda/exception.py:141-160): who raised it has logged it."""
    print(
        "\nThe installation was stopped due to incomplete spokes detected while running in non-interactive cmdline mode.\n"
        "Since there cannot be any questions in cmdline mode, edit your kickstart file and retry installation.\n"
        f"The exact error message is: \n\n{message}.\n\nThe installer will now terminate.",
        flush=True,
    )
    time.sleep(10)


def uncaught(error):
    """Every other exception: the dump goes to the file that rsyslog tails."""
    trace = "".join(traceback.format_exception(error))
    lines.log("exception", trace="".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__name__}: {error}")
    with open("/tmp/anaconda-tb-all.log", "a") as dump:
        dump.write(trace)
    print(f"\nAn unknown error has occurred\n{type(error).__name__}: {error}")
    print("Running in cmdline mode, no interactive debugging allowed.", flush=True)
    print(f"The exact error message is:\n{trace}\nThe installer will now terminate.", flush=True)
    time.sleep(10)


def at_exit(action):
    """The handler that is registered only once the kickstart was read (anaconda:1336, 49-107): the kickstart's action, after all that happened."""
    how = HOW.get(action)
    if how is None:
        # Nobody is there to press it.
        print("Installation complete.  Press return to quit", flush=True)
        sys.stdin.readline()
        how = "reboot"
    subprocess.run(["systemctl", "--no-wall", how], check=False)
    time.sleep(600)

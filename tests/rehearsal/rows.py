#!/usr/bin/python3
"""Have every row of "what ends how" (el7-facts B6) happen on the rehearsal medium, and compare how the machine ended and what was said.

No part of goldsmith takes part: this proves the medium, so that goldsmith can be proved with it. Prints one line a row; exit status 1
when one is not as it should be. `rows.py CACHE [ROW...]`, after `build.py --cache CACHE`."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHUTDOWN, HANGS, RESET = "guest-shutdown", "host-killed", "guest-panic|guest-reset"
# The smallest thing that installs: no kernel, no boot loader.
KICKSTART = (HERE / "least.ks").read_text() + """\
%post --nochroot
(printf 'ok '; cat /goldsmith-nonce.cfg) > /dev/virtio-ports/org.goldsmith.runner.0
%end
"""


def with_post(options, script):
    """The kickstart with a section before its last one."""
    return KICKSTART.replace("%post --nochroot", f"%post {options}\n{script}\n%end\n%post --nochroot")


def without(line):
    return KICKSTART.replace(f"{line}\n", "")


# Name, kickstart, fault of the medium, more arguments of boot.py, how it ends, what the log or the console says, whether the last %post ran.
ROWS = [
    ("success", KICKSTART, "", [], SHUTDOWN, r"INFO anaconda: ?All kickstart %%post script\(s\) have been run", True),
    ("syntax error", f"nonsense\n{KICKSTART}", "", [], HANGS, r"(?s)Unknown command: nonsense.*Pane is dead", False),
    ("no such disk", KICKSTART.replace("--drives=vda", "--drives=vdz"), "", [], HANGS, r"(?s)vdz.*Pane is dead", False),
    ("no such disk label", KICKSTART.replace("--drives=vda", "--disklabel=sun"), "", [], HANGS, r"(?s)sun.*Pane is dead", False),
    ("%pre --erroronfail", f"{KICKSTART}%pre --erroronfail\nexit 3\n%end\n", "", [], HANGS, r"(?s)error running the kickstart script.*Pane is dead", False),
    ("%pre fails", f"{KICKSTART}%pre\nexit 3\n%end\n", "", [], SHUTDOWN, r"Error code 3 running the kickstart script at line", True),
    ("missing package", KICKSTART.replace("bash\n", "bash\nno-such-thing\n"), "", [], SHUTDOWN, r"ERR packaging: ?CmdlineError: Missing package: no-such-thing", False),
    ("missing answer", without("timezone Etc/UTC --isUtc --nontp"), "", [], SHUTDOWN, r"CmdlineError: The following mandatory spokes are not completed:#012", False),
    ("disk too small", KICKSTART.replace("--size=200", "--size=9000"), "", [], SHUTDOWN, r"ERR anaconda: ?storage configuration failed: ", False),
    ("too little space", KICKSTART, "", ["--disk-size", "210"], SHUTDOWN, r"(?s)ERR packaging.*The following error occurred while installing", False),
    ("unreadable repository", f"repo --name=extra --baseurl=file:///nowhere\n{KICKSTART.replace('bash', 'docker-ce')}", "", [], SHUTDOWN, r"(?s)metadata download for repo extra failed after 10 retries.*Missing package: docker-ce", False),
    ("%post --erroronfail", with_post("--erroronfail", "exit 4"), "", [], SHUTDOWN, r"There was an error running the kickstart script at line", False),
    ("%post fails", with_post("", "exit 4"), "", [], SHUTDOWN, r"Error code 4 running the kickstart script at line", True),
    ("no poweroff", without("poweroff"), "", [], HANGS, r"Installation complete\.  Press return to quit", True),
    ("kernel panic", KICKSTART, "panic@storage", [], RESET, r"Kernel panic - not syncing", False),
    ("silent hang", KICKSTART, "hang@storage", [], HANGS, r"Display mode = c", False),
    ("spinning hang", KICKSTART, "spin@storage", [], HANGS, r"Display mode = c", False),
    ("dots", KICKSTART, "dots@metadata", ["--timeout", "240"], HANGS, r"Starting automated install", False),
    ("prompt", KICKSTART, "prompt@storage", [], HANGS, r"Please respond 'yes' or 'no': ", False),
    ("early power-off", KICKSTART, "poweroff@storage", [], SHUTDOWN, r"Display mode = c", False),
    ("exception", KICKSTART, "crash@storage", [], SHUTDOWN, r"(?s)anaconda-tb: ?Traceback \(.*no interactive debugging allowed", False),
    ("too little RAM", KICKSTART, "", ["--memory", "330"], HANGS, r"Press ENTER to continue", False),
    ("stage2 missing", KICKSTART, "stage2-missing", [], SHUTDOWN, r"(?s)failed to fetch stage2 from.*dracut-initqueue timeout - starting timeout scripts.*Could not boot", False),
    ("stage2 broken", KICKSTART, "stage2-broken", [], SHUTDOWN, r"Boot has failed", False),
    ("no kickstart", KICKSTART, "", ["--leave-out", "ks.cfg"], SHUTDOWN, r"(?s)Can't get kickstart from.*Could not boot", False),
]


def build(cache, fault):
    command = [HERE / "build.py", "--cache", cache, *(["--fault", fault] if fault else [])]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def row(cache, case, work):
    """One row, as (is it as it should be, a line to print)."""
    name, kickstart, fault, more, ended, said, nonce = case
    medium = build(cache, fault)
    (work / "ks.cfg").write_text(kickstart)
    words = [HERE / "boot.py", "--disk", work / "disk", "--log", work / "log", *([] if "--timeout" in more else ["--timeout", "900"])]
    front = [word for word in more if more.index(word) < 2 and more[0] in ("--timeout", "--memory")]
    words += [*front, "install", "--iso", medium["iso"], "--kickstart", work / "ks.cfg", "--silence", "100", *([] if front else more)]
    result = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    # Without the escape codes of the screen.
    text = re.sub(r"\x1b(\[[0-9;?>]*[A-Za-z]|\(B)", "", (work / "log").read_text(errors="replace"))
    wrong = []
    if not re.fullmatch(ended, result["ended"]):
        wrong.append(f"ended with {result['ended']}, not {ended}")
    if not re.search(said, text):
        wrong.append(f"did not say {said}")
    if result["nonce"] != nonce:
        wrong.append("the last %post ran" if result["nonce"] else "the last %post did not run")
    if result["bad_log_lines"]:
        wrong.append(f"log lines out of form: {result['bad_log_lines']}")
    return not wrong, f"{'ok   ' if not wrong else 'WRONG'} {result['seconds']:6.1f} s  {name}: {'; '.join(wrong) or result['ended']}"


def main():
    cache, chosen = sys.argv[1], sys.argv[2:]
    good = True
    for case in ROWS:
        if not chosen or case[0] in chosen:
            with tempfile.TemporaryDirectory(prefix="rehearsal-row-") as scratch:
                fine, line = row(cache, case, Path(scratch))
                if not fine:
                    kept = Path(tempfile.gettempdir()) / f"rehearsal-row-{case[0].replace(' ', '-').replace('%', '')}.log"
                    kept.write_bytes((Path(scratch) / "log").read_bytes())
                    line += f"\n      its log: {kept}"
                print(line, flush=True)
                good &= fine
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

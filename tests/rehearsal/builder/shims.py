"""Wrappers in /usr/local/bin that refuse what EL7's commands do not know, of the table that goldsmith's scripts are held against.

They stand first in the search path of whoever logs in, of the installer's scripts and of goldsmith's tasks. Debian's own programs (dracut,
dnf, scriptlets of packages) set paths of their own and do not meet them; what systemd starts itself is let through: `udevadm trigger` of its
own unit has options that came after EL7, and without it no device would be seen."""

import shlex
import shutil
import tomllib

from . import host

TABLE = host.HERE / "el7-commands.toml"
LIBRARY = "/usr/local/lib/el7.sh"


def make(tree):
    """One for each command of the table that a minimal installation has and the tree has, too."""
    with open(TABLE, "rb") as file:
        packages = tomllib.load(file)["package"]
    (tree / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (tree / "usr/local/lib").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(host.HERE / "shims/el7.sh", tree / LIBRARY.lstrip("/"))
    for name, package in packages.items():
        # The shell's own commands are no files; what is installed on demand is not EL7's.
        if name != "bash" and package.get("core", True):
            for command in {key.split()[0] for key in package["commands"]}:
                place = next((f"/usr/{part}/{command}" for part in ("bin", "sbin") if (tree / "usr" / part / command).exists()), None)
                if place:
                    target = tree / "usr/local/bin" / command
                    target.write_text(wrapper(name, package, command, place))
                    target.chmod(0o755)


def wrapper(name, package, command, place):
    """The text of one."""
    options = {key: package["commands"][key] for key in package["commands"] if key.split()[0] == command}
    words = package.get("words", {}).get(command, {})
    text = f"#!/bin/dash\n# {name} {package['version']}\n"
    text += assignments(command=command, real=place, status=package.get("status", {}).get(command, 1))
    text += assignments(first=" ".join(words.get("first", [])), every=" ".join(words["every"]) or "none" if "every" in words else "")
    if command in options:
        text += "".join(option_lines(options[command]))
    else:
        # Subcommands have options of their own, and another subcommand is none.
        text += 'case ${1-} in\n'
        for key, value in options.items():
            text += f"{key.split()[1]})\n{''.join(option_lines(value))};;\n"
        text += f"*)\necho \"{command}: unknown command '${{1-}}'\" >&2\nexit \"$status\"\n;;\nesac\n"
    return text + f". {LIBRARY}\n"


def option_lines(text):
    """Short and named options as two assignments."""
    words = text.split()
    short = words.pop(0) if words and not words[0].startswith("-") else ""
    return [assignments(short=short, named=" ".join(words))]


def assignments(**values):
    """Shell variables."""
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())

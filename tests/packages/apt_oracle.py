#!/usr/bin/python3 -B
"""Asks apt-get which packages mmdebstrap would put into a Debian tree, without installing one.

    apt_oracle.py [--state DIR] SUITE PACKAGE…
    apt_oracle.py --state DIR --requests FILE SUITE

Writes one line of JSON: {"suite", "asked": [PACKAGE], "essential": {NAME: VERSION}, "packages": {NAME: VERSION}, "indexes": [FILE]}.
`packages` is everything, `essential` the part of it that is there whatever is asked for. `indexes` are the Packages files that apt read,
expanded; with `--state` they stay, and a second run does not fetch them again. With `--requests` each line of FILE is what is asked for, and has
a line of JSON; `refused` is what apt says when it has no answer.

It goes as mmdebstrap 1.3 does with `--variant=apt` and goldsmith's options: `dist-upgrade` of a system without packages, which apt takes to
mean the essential packages and itself, then `install` of the others beside those, without what is only recommended. Where `usr-is-merged`
is asked for, a dummy of it is there before anything else. Packages come from where this host's apt gets SUITE and its updates; nothing else of
the host's configuration has a say in what is chosen.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

#: As apt-get -s tells of a package: NAME, maybe the version there is, and (VERSION RELEASES [ARCHITECTURE]).
INSTALLED = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) .*\[(\w+)\]\)", re.MULTILINE)


def sources(suite):
    """The host's lines for a suite of Debian's own, as `goldsmith` reads them (src/sources/apt.rs)."""
    suites = {suite, f"{suite}-updates", f"{suite}-security"}
    etc = pathlib.Path("/etc/apt")
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list")), *sorted((etc / "sources.list.d").glob("*.sources"))]
    found = []
    for file in [file for file in files if file.exists()]:
        entries = of_stanzas(file.read_text()) if file.suffix == ".sources" else of_lines(file.read_text())
        for uri, name, components, key in entries:
            if name in suites and uri.rstrip("/").rsplit("/", 1)[-1] in ("debian", "debian-security") and "main" in components:
                found.append(f"deb {f'[signed-by={key}] ' if key else ''}{uri} {name} main")
    return list(dict.fromkeys(found))


def of_lines(text):
    """Entries of a one-line-style file (sources.list(5))."""
    for options, rest in re.findall(r"^\s*deb\s+(?:\[([^]]*)\]\s*)?([^#\n]+)", text, re.MULTILINE):
        uri, suite, *components = rest.split()
        key = re.search(r"signed-by=(\S+)", options)
        yield uri, suite, components, key and key[1]


def of_stanzas(text):
    """Entries of a deb822-style file."""
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)):
        fields = {key.lower(): value.split() for key, value in re.findall(r"^([\w-]+):((?:.*(?:\n[ \t].*)*))", stanza, re.MULTILINE)}
        if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
            key = fields.get("signed-by", [])
            for uri in fields.get("uris", []):
                for suite in fields.get("suites", []):
                    yield uri, suite, fields.get("components", []), key[0] if len(key) == 1 else None


#: What tree.sh puts into the tree before anything else; apt brings the real one then.
DUMMY = "Package: usr-is-merged\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMulti-Arch: foreign\n"


class Refused(Exception):
    """apt does not do what it is asked."""


class Apt:
    """apt with a state of its own."""

    def __init__(self, state):
        self.state = state
        for name in ("lists/partial", "cache/archives/partial", "etc"):
            (state / name).mkdir(parents=True, exist_ok=True)
        self.status = state / "status"
        self.status.write_text("")

    def options(self):
        state = self.state
        options = {
            "Dir::State": state,
            "Dir::State::lists": state / "lists",
            "Dir::State::status": self.status,
            "Dir::Cache": state / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Log": state,
            "Dir::Etc::SourceList": state / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Default-Release": "",
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
            "APT::Sandbox::User": "root",
        }
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def run(self, program, *words):
        command = [program, *self.options(), *words]
        result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
        if result.returncode:
            raise Refused(f"{program} {' '.join(words[:3])}: {result.stderr}")
        return result.stdout

    def update(self, lines):
        text = "\n".join([*lines, ""])
        file = self.state / "sources.list"
        if self.indexes() and file.exists() and file.read_text() == text:
            return
        file.write_text(text)
        self.run("apt-get", "update", "-qq")

    def indexes(self):
        return sorted(str(path) for path in (self.state / "lists").glob("*_Packages"))

    def simulate(self, *words):
        """What is new after this: name to version."""
        said = self.run("apt-get", "-s", *words)
        if re.search("^Remv ", said, re.MULTILINE):
            raise Refused(f"apt-get {words[0]} removes packages: {said}")
        return {name.split(":")[0]: version for name, version, _ in INSTALLED.findall(said)}

    def install(self, packages):
        """Pretend that these are there."""
        records = self.run("apt-cache", "show", "--no-all-versions", *(f"{name}={version}" for name, version in packages.items()))
        self.status.write_text(re.sub(r"^(Package: .*)$", r"\1\nStatus: install ok installed", records, flags=re.MULTILINE))


def main():
    parser = argparse.ArgumentParser(description="Ask apt-get which packages mmdebstrap would put into a Debian tree.")
    parser.add_argument("--state", type=pathlib.Path, help="a directory that keeps the indexes")
    parser.add_argument("--requests", type=pathlib.Path, help="a file with the packages of a request on each line")
    parser.add_argument("suite")
    parser.add_argument("package", nargs="*")
    arguments = parser.parse_args()
    lines = sources(arguments.suite)
    if not lines:
        sys.exit(f"this host's apt has no source for {arguments.suite}")
    requests = [line.split() for line in arguments.requests.read_text().splitlines()] if arguments.requests else [arguments.package]
    with tempfile.TemporaryDirectory(prefix="apt-oracle-") as scratch:
        apt = Apt((arguments.state or pathlib.Path(scratch)).resolve())
        apt.update(lines)
        apt.status.write_text(DUMMY if "usr-is-merged" in arguments.package else "")
        essential = apt.simulate("dist-upgrade")
        apt.install(essential)
        for asked in requests:
            answer = {"suite": arguments.suite, "asked": asked, "essential": essential, "packages": {}, "indexes": apt.indexes()}
            try:
                answer["packages"] = essential | apt.simulate("install", *asked)
            except Refused as refused:
                if not arguments.requests:
                    sys.exit(str(refused))
                answer["refused"] = str(refused)
            print(json.dumps(answer))


main()

"""Debian packages wrapped as RPMs: which file goes where, and one rpmbuild that writes them all."""

import os
import re
import shutil
import stat
import tomllib
from pathlib import Path

from . import host

KEYS = {"debs", "paths", "drop", "files", "version", "version_of", "unowned", "post", "needs", "only_needs", "provides", "links", "group"}


class Table:
    """packages/rpms.toml."""

    def __init__(self, never, drop, rpms):
        self.never, self.drop, self.rpms = never, drop, rpms

    @classmethod
    def load(cls, path):
        """Read it; a key that means nothing is an error."""
        table = tomllib.loads(path.read_text())
        for name, rpm in table["rpm"].items():
            if unknown := set(rpm) - KEYS:
                raise host.Unfit(f"{path}: {name} has unknown keys: {', '.join(sorted(unknown))}")
        return cls(set(table["never"]), table["drop"], table["rpm"])

    def roots(self):
        """The Debian packages that the table names, for the tree."""
        named = {deb for rpm in self.rpms.values() for deb in [*rpm.get("debs", []), *([rpm["version_of"]] if "version_of" in rpm else [])]}
        # A bundle may bring a newer kernel than the medium's.
        return {deb for deb in named if deb != "@kernel"} | {host.kernels()[0]}


class Rpm:
    """One package in the making."""

    def __init__(self, name, version, release, summary, group):
        self.name, self.version, self.release, self.summary, self.group = name, version, release, summary, group
        self.paths, self.requires, self.provides = set(), set(), []
        self.post = ""


def release_line(packages):
    """What /etc/centos-release says: the layout is imitated, the release is not."""
    return f"Debian GNU/Linux release {(packages.tree / 'etc/debian_version').read_text().strip()} (rehearsal of CentOS Linux 7)"


def wrap(table, packages, tree, work):
    """All RPMs, built; a list of `Rpm`. Their files lie in `work/rpms/x86_64`."""
    root = work / "root"
    os.rename(tree, root)
    packages.tree = root
    rpms = divide(table, packages, root)
    place = work / "rpms"
    place.mkdir()
    spec = place / "medium.spec"
    spec.write_text(spec_text(rpms, place))
    rpmbuild(spec, root, place)
    return rpms


def rpmbuild(spec, root, place):
    """The RPMs of a spec, of the files below `root`, as they are; they lie in `place`, in a directory of their architecture."""
    defines = {
        "_topdir": place, "_rpmdir": place, "_dbpath": place / "db", "__spec_install_pre": "%{nil}", "__spec_clean_body": "%{nil}",
        "__os_install_post": "%{nil}", "__find_debuginfo": "%{nil}", "_build_id_links": "none", "_missing_doc_files_terminate_build": "0",
        "_unpackaged_files_terminate_build": "0", # What rpm 4.11 of EL7 can unpack too, at its lightest.
        "_binary_payload": "w1.gzdio", "_binary_filedigest_algorithm": "1", "_buildhost": "rehearsal",
        "debug_package": "%{nil}", "_smp_build_ncpus": "2", "__check_files": "%{nil}",
    }
    options = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    host.run("rpmbuild", "-bb", "--quiet", "--noclean", *options, "--buildroot", root, spec, env={**os.environ, "SOURCE_DATE_EPOCH": ""})


def divide(table, packages, root):
    """Every file of the tree to at most one RPM."""
    kernel_package = packages.kernel_package()
    debs_of = {name: [kernel_package if deb == "@kernel" else deb for deb in rpm.get("debs", [])] for name, rpm in table.rpms.items()}
    closure = packages.closure({deb for debs in debs_of.values() for deb in debs}, table.never)
    named = {deb for debs in debs_of.values() for deb in debs}
    rules = dict(table.rpms)
    for deb in sorted(closure - named):
        rules[deb] = {"group": "medium"}
        debs_of[deb] = [deb]
    home = {}
    for name, debs in debs_of.items():
        for deb in debs:
            # Of several, the last takes what no `paths` asked for, and is what others need.
            home[deb] = name
    rpms = {}
    for name, rule in rules.items():
        if "version" in rule:
            rpms[name] = Rpm(name, rule["version"], "0", f"A stand-in of {name}", rule["group"])
            lay_files(rule, rpms[name], packages, root)
            continue
        version_of = rule.get("version_of", (debs_of[name] or [None])[0])
        version_of = kernel_package if version_of == "@kernel" else version_of
        version, _, release = packages.version(version_of).rpartition("-")
        if not version:
            version, release = release, "0"
        rpms[name] = Rpm(name, version.replace("-", "."), release, packages.summaries[version_of], rule.get("group", "medium"))
        lay_files(rule, rpms[name], packages, root)
    claim(rules, debs_of, rpms, packages, root, table.drop)
    relate(rules, debs_of, rpms, packages, home)
    return list(rpms.values())


def lay_files(rule, rpm, packages, root):
    """Our own files and links into the tree."""
    if "files" in rule:
        source = host.HERE / "packages/files" / rule["files"]
        for path in sorted(source.rglob("*")):
            target = root / path.relative_to(source)
            if path.is_symlink() or path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copy2(path, target, follow_symlinks=False)
                if not path.is_symlink():
                    # Not what the checkout's umask says.
                    target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
                rpm.paths.add(f"/{path.relative_to(source)}")
                text = target.read_bytes() if not target.is_symlink() else b""
                if b"@RELEASE@" in text:
                    target.write_bytes(text.replace(b"@RELEASE@", release_line(packages).encode()))
    for link, target in rule.get("links", {}).items():
        (root / link.lstrip("/")).unlink(missing_ok=True)
        (root / link.lstrip("/")).symlink_to(target)
        rpm.paths.add(link)


def claim(rules, debs_of, rpms, packages, root, drop):
    """Go through the tree once; the first rule that wants a path has it."""
    taken = {path for rpm in rpms.values() for path in rpm.paths}
    drop = re.compile("|".join(drop))
    patterns = {
        name: {key: re.compile("|".join(rule[key])) for key in ("paths", "drop", "unowned") if rule.get(key)} for name, rule in rules.items()
    }
    by_deb = {}
    for name, debs in debs_of.items():
        for deb in debs:
            by_deb.setdefault(deb, []).append(name)
    for path in walk(root):
        if path in taken or drop.search(path):
            continue
        owner = packages.owner.get(path)
        if owner is None and "/__pycache__/" in path:
            source = re.sub(r"__pycache__/([^/]*?)\.cpython-.*\.pyc$", r"\1.py", path)
            owner = packages.owner.get(source)
        if owner is None and re.search(r"/usr/lib/modules/.*/modules\.", path):
            owner = packages.kernel_package()
        wanting = by_deb.get(owner, []) if owner else [name for name, found in patterns.items() if "unowned" in found]
        for name in wanting:
            found = patterns[name]
            chosen = found["unowned"].search(path) if owner is None else "paths" not in found or found["paths"].search(path)
            if chosen and not ("drop" in found and found["drop"].search(path)):
                rpms[name].paths.add(path)
                break


def walk(root):
    """Every file and link, and every directory that is empty or not 0755 root root, as absolute paths of the system."""
    for directory, directories, files in os.walk(root):
        here = Path(directory)
        for name in files + [name for name in directories if (here / name).is_symlink()]:
            yield f"/{(here / name).relative_to(root)}"
        for name in directories:
            path = here / name
            if not path.is_symlink():
                found = path.stat()
                plain = stat.S_IMODE(found.st_mode) == 0o755 and found.st_uid == found.st_gid == 0
                if not plain or not any(path.iterdir()) or here == root:
                    yield f"/{path.relative_to(root)}"


def relate(rules, debs_of, rpms, packages, home):
    """What needs what: as Debian says, and as the table adds."""
    for name, rpm in rpms.items():
        rule = rules[name]
        needed = {home[need] for deb in debs_of[name] for need in packages.needs(deb) if need in home}
        needed = set(rule["only_needs"]) if "only_needs" in rule else needed | set(rule.get("needs", []))
        if name != "filesystem":
            needed.add("filesystem")
        rpm.requires = needed - {name}
        rpm.provides = rule.get("provides", [])
        rpm.post = rule.get("post", "")


def spec_text(rpms, place):
    """One source package, of which only the subpackages are built."""
    text = ["Name: medium", "Version: 1", "Release: 1", "Summary: What the rehearsal medium is made of", "License: various", ""]
    text += ["%description", "Not built.", ""]
    owners = {id_of(line, 2): line.split(":")[0] for line in (place.parent / "root/etc/passwd").read_text().splitlines()}
    groups = {id_of(line, 2): line.split(":")[0] for line in (place.parent / "root/etc/group").read_text().splitlines()}
    for number, rpm in enumerate(rpms):
        listed = place / f"files-{number}"
        listed.write_text("".join(file_line(place.parent / "root", path, owners, groups) for path in sorted(rpm.paths)))
        text += [f"%package -n {rpm.name}", f"Version: {rpm.version}", f"Release: {rpm.release}", f"Summary: {rpm.summary}", "AutoReqProv: no"]
        if rpm.requires:
            text.append(f"Requires: {', '.join(sorted(rpm.requires))}")
        if rpm.post:
            text.append("Requires(post): bash, setup, coreutils, shadow-utils, glibc")
        text += [f"Provides: {provided}" for provided in rpm.provides]
        text += [f"%description -n {rpm.name}", f"{rpm.summary}. Debian's software, wrapped for goldsmith's rehearsal medium."]
        if rpm.post:
            text += [f"%post -n {rpm.name}", rpm.post]
        # An empty list is an error to rpmbuild, a package without files is not.
        text += [f"%files -n {rpm.name} -f {listed}" if rpm.paths else f"%files -n {rpm.name}", ""]
    return "\n".join(text) + "\n"


def id_of(line, field):
    """The number of a line of passwd(5) or group(5)."""
    return int(line.split(":")[field])


def file_line(root, path, owners, groups):
    """A line of %files. rpmbuild would look owners up in the host's files; the tree's are meant."""
    found = (root / path.lstrip("/")).lstat()
    kind = "%dir " if stat.S_ISDIR(found.st_mode) else ""
    config = "%config(noreplace) " if path.startswith("/etc/") and stat.S_ISREG(found.st_mode) else ""
    mode = "-" if stat.S_ISLNK(found.st_mode) else f"{stat.S_IMODE(found.st_mode):04o}"
    # rpm 4.18 takes a name that is no pattern as it stands, and does not take back what was put before a letter to make it none.
    if re.search(r'[*?{}"]|\[.*\]', path):
        raise host.Unfit(f"rpmbuild cannot be told of the file {path}; leave it out")
    name = path.replace("%", "%%")
    return f'{config}{kind}%attr({mode},{owners[found.st_uid]},{groups[found.st_gid]}) "{name}"\n'

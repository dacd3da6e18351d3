"""Writes RPM repositories as createrepo does, without an RPM: what `generate.py` and `flagship.py` share.

The same packages give the same bytes: no time of this machine gets into them.
"""

import bz2
import gzip
import hashlib
import lzma
import pathlib
import subprocess
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import createrepo_c

#: Seconds since 1970 that stand wherever a time must: May 2018, when CentOS 7.5 came out.
TIME = 1525132800

#: How a metadata file may be packed. EL7 writes gzip; mirrors and newer createrepo_c write the others.
PACKERS = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, 6, mtime=0),
    ".bz2": lambda data: bz2.compress(data),
    ".xz": lambda data: lzma.compress(data, preset=1),
    ".zst": lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout,
}


@dataclass(frozen=True)
class Dep:
    """A capability, with a bound on its version or none. `evr` is `[EPOCH:]VERSION[-RELEASE]`, `flag` one of EQ LT LE GT GE."""

    name: str
    flag: str | None = None
    evr: str | None = None
    pre: bool = False

    def tuple(self):
        """As createrepo_c wants it."""
        if self.flag is None:
            return (self.name, None, None, None, None, self.pre)
        epoch, version, release = split_evr(self.evr)
        return (self.name, self.flag, epoch or "0", version, release, self.pre)


@dataclass
class Rpm:
    """A package as its metadata describes it. A directory among `files` ends in `/`."""

    name: str
    evr: str
    arch: str = "x86_64"
    provides: list[Dep] = field(default_factory=list)
    requires: list[Dep] = field(default_factory=list)
    conflicts: list[Dep] = field(default_factory=list)
    obsoletes: list[Dep] = field(default_factory=list)
    recommends: list[Dep] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    #: Whether it provides its own name, as every package that rpmbuild makes does.
    names_itself: bool = True
    size: int = 10_000

    @property
    def nevra(self):
        """`NAME-EPOCH:VERSION-RELEASE.ARCH`, the epoch always written."""
        return f"{self.name}-{full_evr(self.evr)}.{self.arch}"

    @property
    def file_name(self):
        """Of the RPM: without the epoch."""
        return f"{self.name}-{self.evr.split(':')[-1]}.{self.arch}.rpm"


def split_evr(evr):
    """Epoch (or nothing), version, release (or nothing)."""
    epoch, _, rest = evr.rpartition(":")
    version, _, release = rest.partition("-")
    return epoch or None, version, release or None


def full_evr(evr):
    """With its epoch."""
    return evr if ":" in evr else f"0:{evr}"


def own_provides(rpm):
    """What rpmbuild adds to every package: its name, and on a real architecture its name for that one."""
    isa = {"x86_64": "(x86-64)", "i686": "(x86-32)"}.get(rpm.arch)
    return [Dep(rpm.name, "EQ", rpm.evr)] + ([Dep(rpm.name + isa, "EQ", rpm.evr)] if isa else [])


def described(rpm, location, sha256, bytes_of_file):
    """The package as createrepo_c's own type."""
    package = createrepo_c.Package()
    epoch, version, release = split_evr(rpm.evr)
    package.name, package.epoch, package.version, package.release, package.arch = rpm.name, epoch or "0", version, release, rpm.arch
    package.pkgId, package.checksum_type, package.location_href = sha256, "sha256", location
    package.summary = f"The package {rpm.name}"
    package.description = f"{rpm.name} does what it says.\n\nIt is <synthetic> & made for tests."
    package.url, package.rpm_license, package.rpm_vendor, package.rpm_group = "http://www.example.org/", "GPLv2+", "CentOS", "Unspecified"
    package.rpm_buildhost, package.rpm_sourcerpm = "build.example.org", f"{rpm.name}-{version}-{release}.src.rpm"
    package.rpm_header_start, package.rpm_header_end = 1384, 4096
    package.time_file = package.time_build = TIME
    package.size_package, package.size_installed, package.size_archive = bytes_of_file, rpm.size, rpm.size + 512
    package.provides = [dep.tuple() for dep in (own_provides(rpm) if rpm.names_itself else []) + rpm.provides]
    package.requires = [dep.tuple() for dep in rpm.requires]
    package.conflicts = [dep.tuple() for dep in rpm.conflicts]
    package.obsoletes = [dep.tuple() for dep in rpm.obsoletes]
    package.recommends = [dep.tuple() for dep in rpm.recommends]
    package.files = [split_path(path) for path in rpm.files]
    return package


def split_path(path):
    """Type, directory with a slash at its end, base name."""
    kind = "dir" if path.endswith("/") else ""
    directory, _, base = path.rstrip("/").rpartition("/")
    return (kind, directory + "/", base)


def write(directory, rpms, packer=".gz", comps=None, named_by_digest=True, files_of_packages=None):
    """Write the `repodata` of `rpms` into `directory`.

    `comps` is a text, `packer` a key of PACKERS. `files_of_packages` gives digest and size of a package's file, else they are made up.
    """
    repodata = pathlib.Path(directory, "repodata")
    repodata.mkdir(parents=True)
    texts = {}
    for kind, number in (
        ("primary", createrepo_c.XMLFILE_PRIMARY),
        ("filelists", createrepo_c.XMLFILE_FILELISTS),
        ("other", createrepo_c.XMLFILE_OTHER),
    ):
        texts[kind] = (
            repodata / f"{kind}.xml",
            createrepo_c.XmlFile(str(repodata / f"{kind}.xml"), number, createrepo_c.NO_COMPRESSION, None),
        )
        texts[kind][1].set_num_of_pkgs(len(rpms))
    for rpm in rpms:
        made_up = (hashlib.sha256(rpm.nevra.encode()).hexdigest(), rpm.size // 3)
        sha256, size = files_of_packages(rpm) if files_of_packages else made_up
        package = described(rpm, f"Packages/{rpm.file_name}", sha256, size)
        for _, file in texts.values():
            file.add_pkg(package)
    files = []
    for kind, (path, file) in texts.items():
        file.close()
        files.append(pack(path, kind, packer))
    if comps is not None:
        path = repodata / "comps.xml"
        path.write_text(comps)
        files += [(path, "group", None), pack(path, "group_gz", ".gz", keep=True)]
    write_repomd(repodata, files, named_by_digest)


def pack(path, kind, packer, keep=False):
    """Pack a metadata file; its path, kind and what it was before."""
    text = path.read_bytes()
    if not packer:
        return path, kind, None
    packed = path.with_name(path.name + packer)
    packed.write_bytes(PACKERS[packer](text))
    if not keep:
        path.unlink()
    return packed, kind, text


def write_repomd(repodata, files, named_by_digest):
    """Write `repomd.xml` over these files, which get their digest into their names if it says so.

    By hand: createrepo_c's own needs to know how a file is packed, and 0.17 does not know zstd.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append('<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">')
    lines.append(f"  <revision>{TIME}</revision>")
    for path, kind, text in files:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if named_by_digest:
            path = path.rename(path.with_name(f"{digest}-{path.name}"))
        lines += [f'  <data type="{kind}">', f'    <checksum type="sha256">{digest}</checksum>']
        if text is not None:
            lines.append(f'    <open-checksum type="sha256">{hashlib.sha256(text).hexdigest()}</open-checksum>')
        lines += [f'    <location href="repodata/{path.name}"/>', f"    <timestamp>{TIME}</timestamp>", f"    <size>{len(data)}</size>"]
        if text is not None:
            lines.append(f"    <open-size>{len(text)}</open-size>")
        lines.append("  </data>")
    (repodata / "repomd.xml").write_text("\n".join([*lines, "</repomd>", ""]))


@dataclass
class Group:
    """A group of comps.xml. `conditional` has pairs: a member, and the package with which it comes."""

    id: str
    mandatory: list[str] = field(default_factory=list)
    default: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)
    conditional: list[tuple[str, str]] = field(default_factory=list)


def comps(groups, environments=()):
    """comps.xml of these groups and environments (id, groups, groups on demand)."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE comps PUBLIC "-//CentOS//DTD Comps info//EN" "comps.dtd">',
        "<comps>",
    ]
    for group in groups:
        lines += ["  <group>", f"    <id>{escape(group.id)}</id>", f"    <name>{escape(group.id.title())}</name>"]
        lines += [
            '    <name xml:lang="de">Gruppe</name>',
            "    <description/>",
            "    <default>true</default>",
            "    <uservisible>true</uservisible>",
        ]
        lines.append("    <packagelist>")
        for kind in ("mandatory", "default", "optional"):
            lines += [f'      <packagereq type="{kind}">{escape(name)}</packagereq>' for name in getattr(group, kind)]
        lines += [
            f'      <packagereq type="conditional" requires="{escape(by)}">{escape(name)}</packagereq>' for name, by in group.conditional
        ]
        lines += ["    </packagelist>", "  </group>"]
    for identifier, members, options in environments:
        lines += [
            "  <environment>",
            f"    <id>{escape(identifier)}</id>",
            f"    <name>{escape(identifier.title())}</name>",
            "    <description/>",
        ]
        lines += [
            "    <display_order>5</display_order>",
            "    <grouplist>",
            *(f"      <groupid>{escape(member)}</groupid>" for member in members),
        ]
        lines += ["    </grouplist>", "    <optionlist>", *(f"      <groupid>{escape(option)}</groupid>" for option in options)]
        lines += ["    </optionlist>", "  </environment>"]
    return "\n".join([*lines, "</comps>", ""])

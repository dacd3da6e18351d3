#!/usr/bin/python3 -B
"""What the tools that made a format say of it: rpm, createrepo_c, libcomps; and an apt index read a second way.

    oracle.py order            standard input: JSON, a list of [VERSION, VERSION]; writes a list of -1, 0, 1 (rpm)
    oracle.py overlap          standard input: JSON, a list of [[SIGN, VERSION], [SIGN, VERSION]]; writes a list of booleans (rpm)
    oracle.py repository DIR   writes the packages and files of a repository as JSON, as goldsmith keeps them (createrepo_c)
    oracle.py comps FILE       writes its groups and environments (libcomps)
    oracle.py packages ARCH    standard input: paragraphs; writes a line of JSON for each package a system of ARCH can have
"""

import json
import re
import sys


def order(pairs):
    import rpm

    versions = [(rpm.ver(a), rpm.ver(b)) for a, b in pairs]
    return [-1 if a < b else 1 if a > b else 0 for a, b in versions]


def overlap(pairs):
    import rpm

    signs = {"": 0, "<": rpm.RPMSENSE_LESS, "=": rpm.RPMSENSE_EQUAL, ">": rpm.RPMSENSE_GREATER}

    def ds(relation, tag):
        sign, version = relation
        return rpm.ds(("x", sum(signs[c] for c in sign) if sign else 0, version), tag)

    return [ds(a, rpm.RPMTAG_PROVIDENAME).Compare(ds(b, rpm.RPMTAG_REQUIRENAME)) for a, b in pairs]


def evr(epoch, version, release):
    return (f"{epoch}:" if epoch not in (None, "", "0") else "") + version + (f"-{release}" if release else "")


def repository(directory):
    import createrepo_c

    repomd = createrepo_c.Repomd(f"{directory}/repodata/repomd.xml")
    records = {record.type: record for record in repomd.records}
    packages, files = [], {}

    def relations(entries):
        signs = {"LT": "<", "LE": "<=", "EQ": "=", "GE": ">=", "GT": ">"}
        # createrepo_c parses by libxml2's SAX1, which gives `&amp;` in an attribute as `&#38;`.
        named = [(name.replace("&#38;", "&"), flags, rest) for name, flags, *rest in entries]
        return [f"{name} {signs[flags]} {evr(*rest[:3])}" if flags else name for name, flags, rest in named]

    def add(package):
        if package.arch in ("src", "nosrc"):
            return
        version = evr(package.epoch, package.version, package.release)
        own = f"{package.name} = {version}"
        packages.append({
            "label": f"{package.name}-{version}.{package.arch}",
            "source": re.sub(r"-[^-]*-[^-]*\.src\.rpm$", "", package.rpm_sourcerpm),
            "provides": [p for p in relations(package.provides) if p != own] + [f"{directory}{name}" for _, directory, name in package.files],
            "needs": [r for r in relations(package.requires) if not r.startswith("rpmlib(")],
            "conflicts": relations(package.conflicts),
            "obsoletes": relations(package.obsoletes),
            "sizes": [package.size_package, package.size_installed],
            "location": package.location_href,
            "checksum": f"{package.checksum_type}:{package.pkgId}",
        })

    createrepo_c.xml_parse_primary(f"{directory}/{records['primary'].location_href}", pkgcb=add, do_files=True)

    def list_files(package):
        version = evr(package.epoch, package.version, package.release)
        files[f"{package.name}-{version}.{package.arch}"] = sorted(f"{directory}{name}" for _, directory, name in package.files)

    # xml_parse_filelists only fills packages that a callback makes.
    made = []

    def new(pkgid, name, arch):
        made.append(createrepo_c.Package())
        made[-1].name, made[-1].arch = name, arch
        return made[-1]

    createrepo_c.xml_parse_filelists(f"{directory}/{records['filelists'].location_href}", newpkgcb=new)
    for package in made:
        list_files(package)
    entries = [
        [kind, records[kind].location_href, f"{records[kind].checksum_type}:{records[kind].checksum}", records[kind].size, records[kind].size_open]
        for kind in ("primary", "filelists")
    ]
    return {"revision": repomd.revision, "entries": entries, "packages": packages, "files": files}


def comps(path):
    import libcomps

    kinds = {
        libcomps.PACKAGE_TYPE_MANDATORY: "mandatory",
        libcomps.PACKAGE_TYPE_DEFAULT: "default",
        libcomps.PACKAGE_TYPE_OPTIONAL: "optional",
        libcomps.PACKAGE_TYPE_CONDITIONAL: "conditional",
    }
    read = libcomps.Comps()
    read.fromxml_f(path)
    groups = []
    for group in read.groups:
        of = {kind: [] for kind in kinds.values()}
        for package in group.packages:
            kind = kinds[package.type]
            of[kind].append([package.name, package.requires] if kind == "conditional" else package.name)
        groups.append({"id": group.id, **of})
    environments = [
        {"id": e.id, "groups": [g.name for g in e.group_ids], "options": [g.name for g in e.option_ids]} for e in read.environments
    ]
    return {"groups": groups, "environments": environments}


RELATION = re.compile(r"([^\s:(]+)(?::([^\s(]+))?\s*(?:\(\s*(<<|<=|=|>=|>>)\s*([^)\s]+)\s*\))?")


def packages(arch, text):
    def needs(field, of_others=False):
        """Relations as goldsmith shows them; those to packages of other architectures only where nothing else would do."""
        shown = []
        for need in filter(None, map(str.strip, field.split(","))):
            here, elsewhere = [], []
            for alternative in need.split("|"):
                name, qualifier, sign, version = RELATION.fullmatch(alternative.strip()).groups()
                bound = f" {sign[0] if sign in ('<<', '>>') else sign} {version}" if sign else ""
                if qualifier in (None, "any", "native", "all", arch):
                    here.append(name + bound)
                else:
                    elsewhere.append(f"{name}:{qualifier}{bound}")
            shown += [" | ".join(here)] if here else elsewhere[-1:] if of_others else []
        return shown

    for paragraph in re.split(r"\n\n+", text):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*((?:.*(?:\n[ \t].*)*))", paragraph, re.M))
        if fields.get("Architecture") in (arch, "all"):
            print(json.dumps({
                "label": f"{fields['Package']} {fields['Version']}",
                "arch": fields["Architecture"],
                "needs": needs(fields.get("Pre-Depends", ""), True) + needs(fields.get("Depends", ""), True),
                "provides": needs(fields.get("Provides", "")),
                "conflicts": needs(fields.get("Conflicts", "")) + needs(fields.get("Breaks", "")),
                "essential": fields.get("Essential") == "yes",
                "size": int(fields.get("Size", 0)),
            }))


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    if task == "packages":
        packages(*arguments, sys.stdin.read())
    else:
        given = arguments or [json.load(sys.stdin)]
        json.dump({"order": order, "overlap": overlap, "repository": repository, "comps": comps}[task](*given), sys.stdout)

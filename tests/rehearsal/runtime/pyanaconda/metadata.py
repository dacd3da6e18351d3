"""What yum 3.4.3 can use of a repository: dnf, which stands in for it, can use more."""

import hashlib
import os
import xml.etree.ElementTree

REPO = "{http://linux.duke.edu/metadata/repo}"
# Compressions that it reads (yum, yum/misc.py:29, 1178).
READABLE = (".gz", ".bz2", ".xz")


class RepoError(Exception):
    """Anaconda tries again, and disables the repository."""


def readable_by_yum(url):
    """Look at the metadata of a repository of this machine as yum would: `primary_db` is preferred where repomd.xml names it, and a file
    that is named must be there and be the one that is named (el7-facts, Corrections 11)."""
    place = url.removeprefix("file://")
    try:
        root = xml.etree.ElementTree.parse(f"{place}/repodata/repomd.xml").getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        raise RepoError(f"Cannot retrieve repository metadata (repomd.xml) for repository: {error}") from error
    named = {data.get("type"): data for data in root.iter(f"{REPO}data")}
    for kinds in (("primary_db", "primary"), ("group_gz", "group")):
        data = next((named[kind] for kind in kinds if kind in named), None)
        if data is not None:
            _check(place, data)


def _check(place, data):
    location = data.find(f"{REPO}location").get("href")
    if not location.endswith((*READABLE, ".xml", ".sqlite")):
        raise RepoError(f"{location}: yum 3.4.3 cannot read this compression")
    path = os.path.join(place, location)
    checksum = data.find(f"{REPO}checksum")
    algorithm = {"sha": "sha1"}.get(checksum.get("type"), checksum.get("type"))
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
    except (OSError, ValueError) as error:
        raise RepoError(f"{location}: [Errno 14] {error}") from error
    if found != checksum.text.strip():
        raise RepoError(f"{location}: [Errno -1] Metadata file does not match checksum")

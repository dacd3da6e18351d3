"""RPM databases as EL 7 keeps them, of packages that rpmbuild made: Berkeley DB by db5.3_load, the headers by rpm itself.

usage: installed.py DIRECTORY

Makes DIRECTORY/PAGE-ORDER/Packages for several sizes of a page and both orders of bytes, and DIRECTORY/expected: what `rpm -qa` says of the
database that rpm wrote. rpm has to say the same of each database that was made.
"""

import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

FORMAT = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%|ARCH?{%{ARCH}}|\\t%{SUMMARY}\\t%|LONGSIZE?{%{LONGSIZE}}:{%{SIZE}}|\\t%|SOURCERPM?{%{SOURCERPM}}|\\n"


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, **options).stdout


def spec(count):
    """A package, and `count` more of one source; some with an epoch of their own, some with a header that is larger than a page."""
    text = "Name: base\nVersion: 1.0\nRelease: 1.el7\nSummary: the base\nLicense: MIT\nEpoch: 2\n%description\nb\n%files\n"
    for number in range(count):
        text += f"%package -n p{number}\nSummary: package – {number}\nVersion: {number}.5\n" + ("BuildArch: noarch\n" if number % 2 else "")
        text += f"Epoch: {number}\n" if number % 3 == 0 else "Epoch: 0\n"
        text += f"%description -n p{number}\n" + f"line of {number}\n" * (4000 if number % 10 == 0 else 3) + f"%files -n p{number}\n/d/{number}\n"
    return text + "%install\nmkdir -p %{buildroot}/d\n" + "".join(f"head -c {number * 100} /dev/zero > %{{buildroot}}/d/{number}\n" for number in range(count))


def rpm(place, backend, *words):
    return run("rpm", "--dbpath", place, "--define", f"_db_backend {backend}", *words)


def dump(headers, page, order):
    """What db5.3_load reads: a hash of numbers and headers, and the number of the next package under 0."""
    pack = "<I" if order == "1234" else ">I"
    text = f"VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize={page}\ndb_lorder={order}\nHEADER=END\n"
    items = [(0, struct.pack(pack, len(headers)))] + headers
    return text + "".join(f" {struct.pack(pack, number).hex()}\n {bytes(value).hex()}\n" for number, value in items) + "DATA=END\n"


def main():
    out = Path(sys.argv[1]).absolute()
    top = out / "rpmbuild"
    top.mkdir(parents=True)
    (top / "x.spec").write_text(spec(60))
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", "--define", "__os_install_post %{nil}", "--target", "x86_64", top / "x.spec")
    written = out / "written"
    rpm(written, "sqlite", "--initdb")
    rpm(written, "sqlite", "-i", "--justdb", "--nodeps", "--noscripts", "--ignorearch", *sorted((top / "RPMS").rglob("*.rpm")))
    rpm(written, "sqlite", "-e", "--justdb", "--nodeps", "p7")
    expected = sorted(rpm(written, "sqlite", "-qa", "--qf", FORMAT).splitlines())
    (out / "expected").write_bytes(b"\n".join(expected) + b"\n")
    headers = sqlite3.connect(written / "rpmdb.sqlite").execute("select hnum, blob from Packages order by hnum").fetchall()
    for page, order in [(512, "1234"), (4096, "1234"), (4096, "4321"), (65536, "1234")]:
        place = out / f"{page}-{order}"
        place.mkdir()
        run("db5.3_load", place / "Packages", input=dump(headers, page, order).encode())
        # rpm reads the numbers in the order of this machine.
        if order == "1234" and sys.byteorder == "little":
            said = sorted(rpm(place, "bdb_ro", "-qa", "--qf", FORMAT).splitlines())
            assert said == expected, (page, order, said[:3], expected[:3])
        for name in set(os.listdir(place)) - {"Packages"}:
            (place / name).unlink()


main()

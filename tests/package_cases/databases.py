#!/usr/bin/python3 -B
"""Makes databases of installed packages by the programs that own their formats, and says what these programs read in them.

    databases.py make DIR            builds packages and installs them: DIR/sqlite; then DIR/bdb-* from the same headers by db5.3_load, DIR/wal* and
                                     DIR/page-* by SQLite, and DIR/ndb
    databases.py list DIR BACKEND    writes what rpm reads in the database in DIR as JSON
    databases.py dpkg ADMINDIR       writes what dpkg-query reads as JSON

Berkeley DB: Debian's rpm reads it only (bdb_ro), so db5.3_load of Berkeley DB itself writes it; what is erased is erased through dbm.ndbm, which
Debian's python has from the same library. Debian's rpm knows nothing of ndb, so what is written here is after lib/backend/ndb/rpmpkg.c of rpm 4.18;
that file itself, compiled alone, took it for sound, and wrote ndb.xz beside this script.
"""

import dbm.ndbm
import json
import os
import pathlib
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib

SPEC = r"""
%global __os_install_post %{nil}
%global _build_id_links none
%global _docdir_fmt %%{NAME}
Name: forge
Epoch: 3
Version: 18.09.6
Release: 3.el7
Summary: A forge & its "tools"
Summary(de): Eine Schmiede
License: ASL 2.0 and (GPLv2+ or MIT)
Vendor: Example Vendor
Packager: Somebody <somebody@example.org>
URL: https://example.org/forge
%description
Text.
%package libs
Epoch: 0
Version: 2.0~rc1
Release: 1.el7_5.1
Summary: Bücher, libraries
BuildArch: noarch
%description libs
%package empty
Summary: no files
%description empty
%package large
Summary: a header of many pages
%description large
%{lua:
for n = 1, 120 do
  print("%package p" .. n .. "\nSummary: package number " .. n .. "\nLicense: MIT\n%description p" .. n .. "\n")
end}
%install
cd %{buildroot}
mkdir -p etc/forge usr/bin usr/share/doc/forge usr/share/large usr/share/p var/log
echo x > 'etc/forge/a & b.conf'; echo y > etc/forge/ghost; echo x > usr/bin/forge; chmod 4755 usr/bin/forge
ln -s ../share/p usr/bin/link
printf 'doc' > usr/share/doc/forge/README; printf 'may be used' > usr/share/doc/forge/COPYING
touch "usr/share/p/$(printf 'sch\366n')"; echo c > usr/bin/capable
for n in $(seq 1 2000); do : > usr/share/large/a-file-with-a-rather-long-name-$n; done
for n in $(seq 1 120); do for m in $(seq 1 $((n % 7))); do echo $n $m > usr/share/p/$n-$m; done; done
%files
%dir %attr(0750, root, adm) /etc/forge
%config(noreplace) "/etc/forge/a & b.conf"
%ghost %attr(0600, daemon, root) /etc/forge/ghost
%attr(4755, root, root) /usr/bin/forge
/usr/bin/link
%caps(cap_net_raw=ep) /usr/bin/capable
%doc /usr/share/doc/forge/README
%license /usr/share/doc/forge/COPYING
/usr/share/p/sch*
%files libs
%dir /usr/share/p
%files empty
%files large
/usr/share/large
%{lua:
for n = 1, 120 do
  print("%files p" .. n .. "\n" .. (n % 7 > 0 and "/usr/share/p/" .. n .. "-*\n" or ""))
end}
"""

PLAIN = """
Name: md5
Version: 1
Release: 1
Summary: file digests as EL5 has them
License: MIT
BuildArch: noarch
%global _build_id_links none
%description
%install
mkdir -p %{buildroot}/usr/share/md5; echo x > %{buildroot}/usr/share/md5/x
%files
/usr/share/md5
"""


def run(*words, **options):
    ended = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if ended.returncode:
        sys.exit(f"{words[:12]}: {ended.stderr.decode(errors='replace')}")
    return ended.stdout


def built(work):
    for name, text, digest in [("forge", SPEC, 8), ("md5", PLAIN, 1)]:
        (work / f"{name}.spec").write_text(text)
        run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}/build", "--define", f"_rpmdir {work}/rpms",
            "--define", f"_binary_filedigest_algorithm {digest}", "--define", "_binary_payload w1.gzdio", "--define",
            "_invalid_encoding_terminates_build 0", work / f"{name}.spec")
    # Those of no architecture are signed.
    signatures = pathlib.Path(__file__).parent.parent / "packages" / "signatures.py"
    run("/usr/bin/python3", "-B", signatures, work / "signed", "--repository", work / "rpms" / "noarch")
    return sorted(work.glob("rpms/*/*.rpm")), work / "signed" / "keys" / "maker.asc"


def rpm(directory, backend, *words):
    return run("rpm", "--dbpath", directory, "--define", f"_db_backend {backend}", *words)


def install(directory, backend, packages, key):
    directory.mkdir()
    rpm(directory, backend, "--import", key)
    rpm(directory, backend, "-i", "--justdb", "--nodeps", "--noscripts", "--nosignature", "--ignorearch", *packages)
    # Holes.
    rpm(directory, backend, "-e", "--justdb", "--nodeps", "--noscripts", "forge-p3", "forge-p50", "forge-p120")


def states(directory):
    """Files of every state: rpm only writes other states than 0 when it puts files somewhere. No digest is over them."""
    with sqlite3.connect(f"{directory}/rpmdb.sqlite") as database:
        for n, header in database.execute("SELECT hnum, blob FROM Packages").fetchall():
            entries, = struct.unpack_from(">I", header)
            for at in range(8, 8 + 16 * entries, 16):
                tag, _, offset, count = struct.unpack_from(">IIiI", header, at)
                if tag == 1029:
                    start = 8 + 16 * entries + offset
                    changed = header[:start] + bytes(position % 5 for position in range(count)) + header[start + count:]
                    database.execute("UPDATE Packages SET blob = ? WHERE hnum = ?", (changed, n))


def headers(directory):
    with sqlite3.connect(f"file:{directory}/rpmdb.sqlite?mode=ro", uri=True) as database:
        return database.execute("SELECT hnum, blob FROM Packages ORDER BY hnum").fetchall()


def berkeley(directory, rows, page, big, kind="hash", more=()):
    directory.mkdir()
    number = lambda n: struct.pack(">I" if big else "<I", n).hex()
    lines = ["VERSION=3", "format=bytevalue", f"type={kind}", f"db_pagesize={page}", f"db_lorder={4321 if big else 1234}", *more, "HEADER=END"]
    lines += [f" {number(0)}", f" {number(max(n for n, _ in rows))}"]
    for n, blob in rows:
        lines += [f" {number(n)}", f" {blob.hex()}"]
    run("db5.3_load", directory / "Packages", input="\n".join([*lines, "DATA=END", ""]).encode())


def erased(directory, rows):
    """Through the library of Berkeley DB itself, which puts `.db` behind the name."""
    (directory / "Packages").rename(directory / "Packages.db")
    database = dbm.ndbm.open(str(directory / "Packages"), "w")
    for n, _ in rows:
        del database[struct.pack("<I", n)]
    database.close()
    (directory / "Packages.db").rename(directory / "Packages")


def ndb(directory, rows):
    """Every other package has moved once, so that there are empty slots and old blobs in between."""
    directory.mkdir()
    slot_pages = len(rows) * 2 // 250 + 1
    slots, blobs = [], b""
    for n, header in rows:
        for live in ((False, True) if n % 2 else (True,)):
            head = struct.pack("<4sIII", b"BlbS", n, 7, len(header)) + header
            head += b"\0" * (-(len(head) + 12) % 16)
            blob = head + struct.pack("<II4s", zlib.adler32(head), len(header), b"BlbE")
            at = slot_pages * 256 + len(blobs) // 16
            slots.append(struct.pack("<4sIII", b"Slot", n, at, len(blob) // 16) if live else b"Slot" + b"\0" * 12)
            blobs += blob
    slots += [b"Slot" + b"\0" * 12] * (slot_pages * 256 - 2 - len(slots))
    start = struct.pack("<4sIIII", b"RpmP", 0, 7, slot_pages, len(rows) + 1).ljust(32, b"\0")
    (directory / "Packages.db").write_bytes(start + b"".join(slots) + blobs)


def copied(directory, name, change, commit=True):
    """A database with a write-ahead log that was not moved into it, as after a loss of power."""
    work, out = directory / "work", directory / name
    shutil.copytree(directory / "sqlite", work)
    out.mkdir()
    database = sqlite3.connect(work / "rpmdb.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    change(database)
    for path in work.glob("rpmdb.sqlite*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, out / path.name)
    database.close()
    shutil.rmtree(work)


def delete(database):
    database.execute("DELETE FROM Packages WHERE hnum % 3 = 0")


def interrupted(database):
    delete(database)
    # More than fits into the cache is written before it is committed.
    database.execute("PRAGMA cache_size = 5")
    database.execute("BEGIN")
    database.execute("DELETE FROM Packages WHERE hnum % 3 = 1")
    database.execute("INSERT INTO Packages (blob) SELECT blob FROM Packages")


def restarted(database):
    """The log begins anew over an older one."""
    database.execute("INSERT INTO Packages (blob) SELECT zeroblob(200000) FROM Packages LIMIT 5")
    database.execute("DELETE FROM Packages WHERE length(blob) = 200000")
    database.execute("PRAGMA wal_checkpoint(RESTART)")
    database.execute("DELETE FROM Packages WHERE hnum = 5")


def pages(directory, size):
    out = directory / f"page-{size}"
    shutil.copytree(directory / "sqlite", out)
    database = sqlite3.connect(out / "rpmdb.sqlite", isolation_level=None)
    for statement in ("PRAGMA journal_mode = DELETE", f"PRAGMA page_size = {size}", "VACUUM"):
        database.execute(statement)
    database.close()


def make(directory):
    packages, key = built(directory)
    install(directory / "sqlite", "sqlite", packages, key)
    states(directory / "sqlite")
    rows = headers(directory / "sqlite")
    ndb(directory / "ndb", rows)
    for page in (512, 1024, 4096, 65536):
        for big in (False, True):
            berkeley(directory / f"bdb-{page}-{'big' if big else 'little'}", rows, page, big)
    many = [(1000 * n + number, blob) for n in range(1, 10) for number, blob in rows if len(blob) < 100_000]
    berkeley(directory / "bdb-many", many, 4096, False)
    erased(directory / "bdb-many", many[::3])
    berkeley(directory / "bdb-reserved", rows, 4096, False, more=["h_nelem=2000", "h_ffactor=4"])
    berkeley(directory / "btree", rows, 4096, False, kind="btree")
    copied(directory, "wal", delete)
    copied(directory, "wal-interrupted", interrupted)
    copied(directory, "wal-restarted", restarted)
    for size in (512, 65536):
        pages(directory, size)


def latin(text):
    """Bytes that survive JSON."""
    return os.fsencode(text).decode("latin-1")


def listed(directory, backend):
    import rpm as library

    library.addMacro("_dbpath", directory)
    library.addMacro("_db_backend", backend)
    library.setVerbosity(library.RPMLOG_CRIT)
    algorithms = {0: "md5", 1: "md5", 2: "sha1", 8: "sha256", 10: "sha512"}
    packages = []
    transaction = library.ts()
    transaction.setVSFlags(-1)
    for header in transaction.dbMatch():
        text = lambda tag: header[tag] or None
        is_key = header["name"] == "gpg-pubkey"
        signature = "".join(header.format("%%{%s:pgpsig} " % tag) for tag in ("DSAHEADER", "RSAHEADER", "SIGGPG", "SIGPGP"))
        epoch = header["epoch"]
        package = {
            "name": header["name"],
            "version": (f"{epoch}:" if epoch else "") + f"{header['version']}-{header['release']}",
            "architecture": None if is_key else text("arch"),
            "source": None if is_key else text("sourcerpm"),
            "license": text("license"),
            "vendor": text("vendor"),
            "maintainer": text("packager"),
            "url": text("url"),
            "summary": header.format("%{SUMMARY}"),
            "installed_size": header["longsize"],
            "installed_at": header["installtime"],
            "is_key": is_key,
            "signed_by": signature.split("Key ID ")[1].split()[0] if "Key ID " in signature else None,
        }
        algorithm = algorithms[header["filedigestalgo"] or 0]
        states, caps = header["filestates"], header["filecaps"]
        digests, targets, flags = header["filedigests"], header["filelinktos"], header["fileflags"]
        owners, groups, modes = header["fileusername"], header["filegroupname"], header["filemodes"]
        sizes = header["longfilesizes"] or header["filesizes"]
        package["files"] = [{
            "path": latin(path),
            "mode": modes[n] & 0xffff,
            "owner": [owners[n], groups[n]],
            "size": sizes[n],
            "digest": [algorithm, digests[n]] if digests[n] else None,
            "target": targets[n] or None,
            "capabilities": (caps[n] or None) if caps else None,
            "flags": flags[n],
            "state": states[n] if states else 0,
        } for n, path in enumerate(header["filenames"])]
        packages.append(package)
    return packages


def dpkg(admin):
    fields = ["Package", "Version", "Architecture", "source:Package", "source:Version", "Maintainer", "Homepage", "binary:Summary",
              "Installed-Size", "db:Status-Status"]
    separator = "\x1f"
    text = run("dpkg-query", "--admindir", admin, "-W", "-f", separator.join(f"${{{field}}}" for field in fields) + "\x1e").decode()
    packages = []
    for record in filter(None, text.split("\x1e")):
        values = [value or None for value in record.split(separator)]
        name, version, architecture, source, source_version, maintainer, url, summary, size, state = values
        files = None
        if state == "installed" and architecture:
            listing = run("dpkg-query", "--admindir", admin, "-L", f"{name}:{architecture}").decode("latin-1")
            noise = ("diverted by ", "package diverts others to: ", "locally diverted to: ")
            files = [line for line in listing.split("\n")[:-1] if line != "/." and not line.startswith(noise)]
        packages.append({"name": name, "version": version, "architecture": architecture, "source": source, "source_version": source_version,
                         "maintainer": maintainer, "url": url, "summary": summary and summary.strip(),
                         "installed_size": size and int(size) * 1024, "state": state, "files": files})
    return packages


def main():
    task, *arguments = sys.argv[1:]
    if task == "make":
        make(pathlib.Path(arguments[0]))
    else:
        json.dump({"list": listed, "dpkg": dpkg}[task](*arguments), sys.stdout)


if __name__ == "__main__":
    main()

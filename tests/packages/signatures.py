#!/usr/bin/python3 -B
"""Makes signed and spoilt RPM packages, and the keys for them: what `tests/signature_cases.rs` holds goldsmith and rpmkeys against.

    signatures.py DIR
    signatures.py DIR --repository PATH [--header-alone]

DIR/keys has the public keys (NAME.asc, and NAME.fingerprint beside it), DIR/NAME.rpm the packages. With --repository the packages in PATH are
signed by the key `maker` instead, and so is their index, which is made anew; with --header-alone they are `old` and have tag 268 alone.

Two kinds of package: `new`, as rpmbuild of this host makes it, whose header has the digest of its payload (tag 5092), and `old`, the same
without that digest, as rpm 4.11 of EL7 made all of its packages. GnuPG 1.4 signs as EL7's did: V3 signatures with --force-v3-sigs, V4
without. What is signed is what rpm 4.11 signs (lib/rpmchecksig.c, sign/rpmgensig.c): tag 268 (RSA) or 267 (DSA) is over the header, tag 1002
(RSA) or 1005 (DSA) over header and payload; tags are those of lib/rpmtag.h. A few packages are signed by rpmsign itself.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

LEAD = 96
MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
SIGNATURE_REGION, HEADER_REGION = 62, 63
DSA_HEADER, RSA_HEADER, SHA1_HEADER = 267, 268, 269
SIZE, PGP, MD5, GPG, RESERVED = 1000, 1002, 1004, 1005, 1008
SUMMARY = 1004
PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGORITHM, PAYLOAD_DIGEST_ALT = 5092, 5093, 5097
INT32, STRING, BIN, STRING_ARRAY = 4, 6, 7, 8
ALIGNMENT = {3: 2, 4: 4, 5: 8}
WIDTH = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}

SPEC = """
%global _build_id_links none
Name: {name}
Version: 1.0
Release: 1.el7
Summary: A package to be signed
License: MIT
BuildArch: noarch
%description
It has one file.
%install
mkdir -p %{{buildroot}}/usr/share/{name}
seq 1 20000 > %{{buildroot}}/usr/share/{name}/numbers
%files
/usr/share/{name}
"""


class Section:
    """A header: entries (tag, type, count, bytes), and where it ends in the file."""

    def __init__(self, entries, region):
        self.entries, self.region = entries, region

    @classmethod
    def read(cls, data, at):
        assert data[at : at + 8] == MAGIC
        count, size = struct.unpack_from(">II", data, at + 8)
        index, store = at + 16, at + 16 + 16 * count
        entries, region = [], None
        for nth in range(count):
            tag, kind, offset, number = struct.unpack_from(">IIiI", data, index + 16 * nth)
            if tag in (SIGNATURE_REGION, HEADER_REGION):
                region = tag
                continue
            start = store + offset
            if kind in WIDTH:
                end = start + WIDTH[kind] * number
            else:
                end = start
                for _ in range(1 if kind == STRING else number):
                    end = data.index(b"\0", end) + 1
            entries.append((tag, kind, number, data[start:end]))
        return cls(entries, region), store + size

    def bytes(self):
        index, store = [], b""
        for tag, kind, number, content in sorted(self.entries, key=lambda entry: entry[0]):
            store += b"\0" * (-len(store) % ALIGNMENT.get(kind, 1))
            index.append(struct.pack(">IIiI", tag, kind, len(store), number))
            store += content
        size = 16 * (len(index) + 1)
        region = struct.pack(">IIiI", self.region, BIN, len(store), 16)
        store += struct.pack(">IIiI", self.region, BIN, -size, 16)
        return MAGIC + struct.pack(">II", len(index) + 1, len(store)) + region + b"".join(index) + store

    def without(self, *tags):
        return Section([entry for entry in self.entries if entry[0] not in tags], self.region)

    def having(self, tag, kind, content, number=None):
        number = len(content) if number is None else number
        return Section(self.without(tag).entries + [(tag, kind, number, content)], self.region)

    def get(self, tag):
        return next(entry[3] for entry in self.entries if entry[0] == tag)


class Rpm:
    """A package in its parts; the signature's digests are made to fit unless they are left as they are."""

    def __init__(self, path):
        data = path.read_bytes()
        self.lead = data[:LEAD]
        self.signature, end = Section.read(data, LEAD)
        start = end + -end % 8
        self.header, end = Section.read(data, start)
        self.raw_header, self.payload = data[start:end], data[end:]

    def copy(self):
        other = object.__new__(Rpm)
        other.__dict__.update(self.__dict__)
        return other

    def with_header(self, header):
        other = self.copy()
        other.header, other.raw_header = header, header.bytes()
        return other

    def with_payload(self, payload):
        other = self.copy()
        other.payload = payload
        return other

    def digested(self, like_411=True):
        """With the digests of rpm 4.11 over what is there now; signatures that are there stay."""
        other = self.copy()
        signature = other.signature
        if like_411:
            signature = signature.without(273, RESERVED)
        sha1 = hashlib.sha1(other.raw_header).hexdigest().encode() + b"\0"
        md5 = hashlib.md5(other.raw_header + other.payload).digest()
        size = struct.pack(">I", len(other.raw_header) + len(other.payload))
        signature = signature.having(SHA1_HEADER, STRING, sha1, 1).having(SIZE, INT32, size, 1).having(MD5, BIN, md5)
        other.signature = signature
        return other

    def bare(self):
        """Without signatures."""
        other = self.copy()
        other.signature = other.signature.without(DSA_HEADER, RSA_HEADER, PGP, GPG)
        return other

    def signed(self, gpg, *tags, **options):
        other = self.copy()
        for tag in tags:
            what = other.raw_header if tag in (DSA_HEADER, RSA_HEADER) else other.raw_header + other.payload
            other.signature = other.signature.having(tag, BIN, gpg(what, **options))
        return other

    def with_signature(self, tag, content):
        other = self.copy()
        other.signature = other.signature.having(tag, BIN, content)
        return other

    def without_signature(self, *tags):
        other = self.copy()
        other.signature = other.signature.without(*tags)
        return other

    def bytes(self):
        signature = self.signature.bytes()
        return self.lead + signature + b"\0" * (-len(signature) % 8) + self.raw_header + self.payload


def run(*words, data=None, env=None):
    ended = subprocess.run(words, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    if ended.returncode:
        sys.exit(f"{words}: {ended.stderr.decode()}")
    return ended.stdout


class Keys:
    """GnuPG 2 makes keys (at any time), GnuPG 1.4 signs with them."""

    def __init__(self, directory, home):
        self.directory, self.new, self.old = directory, home / "2", home / "1"
        for path in (directory, self.new, self.old):
            path.mkdir(parents=True, mode=0o700)
        (self.new / "gpg.conf").write_text("batch\nno-tty\nquiet\n")

    def gpg(self, *words, **options):
        return run("gpg", "--homedir", str(self.new), "--batch", "--yes", *words, **options)

    def gpg1(self, *words, **options):
        return run("gpg1", "--homedir", str(self.old), "--batch", "--yes", "--no-tty", "--no-permission-warning", "--no-secmem-warning",
                   "--trust-model", "always", *words, **options)

    def make(self, name, kind="RSA", bits=2048, time=None, expires="0", subkey=False):
        clock = ["--faked-system-time", time] if time else []
        wanted = f"%no-protection\nKey-Type: {kind}\nKey-Length: {bits}\nKey-Usage: {'cert' if subkey else 'sign'}\n"
        if subkey:
            wanted += f"Subkey-Type: RSA\nSubkey-Length: {bits}\nSubkey-Usage: sign\n"
        wanted += f"Name-Real: {name}\nName-Email: {name}@example.org\nExpire-Date: {expires}\n%commit\n"
        self.gpg(*clock, "--gen-key", data=wanted.encode())
        self.gpg1("--import", data=self.gpg("--export-secret-keys", f"{name}@example.org"))
        listed = self.gpg("--with-colons", "--fingerprint", "--list-keys", f"{name}@example.org").decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        (self.directory / f"{name}.fingerprint").write_text(fingerprint + "\n")
        self.publish(name)
        return fingerprint

    def publish(self, name):
        (self.directory / f"{name}.asc").write_bytes(self.gpg("--armor", "--export", f"{name}@example.org"))

    def revoke(self, name, fingerprint):
        """With the certificate that GnuPG leaves for every new key."""
        path = self.new / "openpgp-revocs.d" / f"{fingerprint}.rev"
        self.gpg("--import", data=path.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
        self.publish(name)

    def signer(self, name):
        def sign(data, digest="SHA256", v3=True, time=None):
            words = ["--digest-algo", digest, "-u", f"{name}@example.org"]
            if v3:
                return self.gpg1("--force-v3-sigs", *words, "--detach-sign", data=data)
            clock = ["--faked-system-time", time] if time else []
            return self.gpg(*clock, *words, "--detach-sign", data=data)
        return sign


def built(name, work):
    (work / f"{name}.spec").write_text(SPEC.format(name=name))
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}/build", "--define", f"_rpmdir {work}/out",
        "--define", "_binary_payload w6.gzdio", str(work / f"{name}.spec"))
    return Rpm(work / "out" / "noarch" / f"{name}-1.0-1.el7.noarch.rpm")


def flipped(data, at):
    data = bytearray(data)
    data[at] ^= 1
    return bytes(data)


def rpmsign(keys, path):
    run("rpmsign", "--define", f"__gpg {shutil.which('gpg')}", "--define", f"_gpg_path {keys.new}", "--define",
        "_gpg_name maker@example.org", "--addsign", str(path), env={**os.environ, "GNUPGHOME": str(keys.new)})


def like_411(package):
    return package.with_header(
        package.header.without(PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGORITHM, PAYLOAD_DIGEST_ALT)).bare().digested()


def sign(out, home, repository, header_alone):
    keys = Keys(out / "keys", home)
    keys.make("maker")
    keys.make("other")
    for path in sorted(repository.glob("**/*.rpm")):
        if header_alone:
            path.write_bytes(like_411(Rpm(path)).signed(keys.signer("maker"), RSA_HEADER).bytes())
        else:
            rpmsign(keys, path)
    run("createrepo_c", "--quiet", "--no-database", str(repository))
    index = repository / "repodata" / "repomd.xml"
    keys.gpg("-u", "maker@example.org", "--armor", "--detach-sign", str(index))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--repository", type=pathlib.Path)
    arguments.add_argument("--header-alone", action="store_true")
    arguments = arguments.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Sockets of gpg-agent need a short path.
    home = pathlib.Path(tempfile.mkdtemp(prefix="g"))
    try:
        if arguments.repository:
            sign(arguments.out, home, arguments.repository, arguments.header_alone)
        else:
            make(arguments.out, home)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home / "2"), "--kill", "all"], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(home, ignore_errors=True)


def make(out, home):
    keys = Keys(out / "keys", home)
    keys.make("maker")
    keys.make("dsa", "DSA", 1024)
    keys.make("other")
    keys.make("subkey", subkey=True)
    keys.make("expired", time="20180101T000000", expires="20190101T000000")
    revoked = keys.make("revoked")
    maker, dsa, other, subkey, expired, revoker = map(keys.signer, ("maker", "dsa", "other", "subkey", "expired", "revoked"))
    new = built("new", home).bare().digested(like_411=False)
    old = like_411(built("old", home))
    both = (RSA_HEADER, PGP)
    good = old.signed(maker, *both)
    payload = flipped(old.payload, len(old.payload) // 2)
    summary = old.header.having(SUMMARY, 9, b"A package that was changed\0", 1)
    packages = {
        "good-v3": good,
        "good-v4": old.signed(maker, *both, v3=False),
        "good-dsa": old.signed(dsa, DSA_HEADER, GPG, digest="SHA1"),
        "good-subkey": old.signed(subkey, *both, v3=False),
        "good-whole-alone": old.signed(maker, PGP),
        "good-new": new.signed(maker, RSA_HEADER, v3=False),
        "good-new-whole-alone": new.signed(dsa, GPG, digest="SHA256"),
        "good-new-and-whole": new.signed(maker, *both, v3=False),
        "sha1": old.signed(maker, *both, digest="SHA1"),
        "md5": old.signed(maker, *both, digest="MD5"),
        "unsigned": old,
        "new-unsigned": new,
        "other-key": old.signed(other, *both),
        "payload-changed": good.with_payload(payload),
        "payload-changed-digests-anew": good.with_payload(payload).digested(),
        "payload-changed-268-alone": good.with_payload(payload).without_signature(PGP).digested(),
        "268-alone": good.without_signature(PGP),
        "md5-lies": good.with_signature(MD5, b"0" * 16),
        "sha1-lies": (lambda other: setattr(other, "signature", other.signature.having(SHA1_HEADER, STRING, b"0" * 40 + b"\0", 1))
                      or other)(good.copy()),
        "header-changed": good.with_header(summary),
        "header-changed-digests-anew": good.with_header(summary).digested(),
        "one-of-two-bad": good.with_signature(PGP, maker(b"something else")),
        "one-of-two-by-another": good.with_signature(RSA_HEADER, other(old.raw_header)),
        "expired": old.signed(expired, *both, v3=False, time="20180601T000000"),
        "revoked": old.signed(revoker, *both),
        "new-payload-changed": new.signed(maker, RSA_HEADER, v3=False).with_payload(flipped(new.payload, len(new.payload) // 2)),
        "new-payload-changed-digests-anew": new.signed(maker, RSA_HEADER, v3=False)
        .with_payload(flipped(new.payload, len(new.payload) // 2)).digested(like_411=False),
        "new-payload-longer": new.signed(maker, RSA_HEADER, v3=False).with_payload(new.payload + b"\0" * 8),
        "new-digest-lies": new.with_header(new.header.having(PAYLOAD_DIGEST, STRING_ARRAY, b"0" * 64 + b"\0", 1))
        .digested(like_411=False).signed(maker, RSA_HEADER, v3=False),
        "new-digest-put-right": (lambda changed: changed.with_header(changed.header.having(
            PAYLOAD_DIGEST, STRING_ARRAY, hashlib.sha256(changed.payload).hexdigest().encode() + b"\0", 1)).digested(like_411=False))(
                new.signed(maker, RSA_HEADER, v3=False).with_payload(flipped(new.payload, len(new.payload) // 2))),
        "new-digest-sha1": (lambda weak: weak.digested(like_411=False).signed(maker, RSA_HEADER, v3=False))(
            new.with_header(new.header.having(PAYLOAD_DIGEST, STRING_ARRAY, hashlib.sha1(new.payload).hexdigest().encode() + b"\0", 1)
                            .having(PAYLOAD_DIGEST_ALGORITHM, INT32, struct.pack(">I", 2), 1))),
        "signature-of-zeros": old.with_signature(RSA_HEADER, b"\0" * 256),
        "signature-is-a-message": old.with_signature(RSA_HEADER, keys.gpg1("-u", "maker@example.org", "--sign", data=old.raw_header)),
        "signature-of-text": old.with_signature(
            RSA_HEADER, keys.gpg1("-u", "maker@example.org", "--textmode", "--detach-sign", data=old.raw_header)),
        "header-signature-as-whole": old.with_signature(PGP, maker(old.raw_header)),
    }
    for name, package in packages.items():
        (out / f"{name}.rpm").write_bytes(package.bytes())
    keys.revoke("revoked", revoked)
    data = good.bytes()
    start = LEAD + 16
    (out / "signature-cut.rpm").write_bytes(data[: LEAD + 40])
    (out / "signature-without-end.rpm").write_bytes(data[: start + 4 * 16])
    # The index says that the signature goes on beyond the data.
    spoilt = bytearray(data)
    for nth in range(struct.unpack_from(">I", data, LEAD + 8)[0]):
        if struct.unpack_from(">I", data, start + 16 * nth)[0] == RSA_HEADER:
            struct.pack_into(">I", spoilt, start + 16 * nth + 12, 1 << 20)
    (out / "signature-beyond-its-data.rpm").write_bytes(spoilt)
    # An entry outside of the region that rpm takes a signature to be over (rpm 4.11, lib/header.c, "dribbles").
    for name, package, tags in (("header-longer", old, both), ("new-header-longer", new, (RSA_HEADER,))):
        package = package.signed(maker, *tags)
        count, size = struct.unpack_from(">II", package.raw_header, 8)
        end = 16 + 16 * count
        more = struct.pack(">IIiI", 5096, STRING, size, 1)
        package.raw_header = (MAGIC + struct.pack(">II", count + 1, size + 5) + package.raw_header[16:end] + more + package.raw_header[end:]
                              + b"more\0")
        (out / f"{name}.rpm").write_bytes(package.digested(like_411=False).bytes())
    twice = good.copy()
    twice.signature = Section(good.signature.entries + [(RSA_HEADER, BIN, len(maker(b"")), maker(b""))], SIGNATURE_REGION)
    (out / "signature-twice.rpm").write_bytes(twice.bytes())
    # rpmsign's own work.
    for name, package in (("rpmsign-old", old), ("rpmsign-new", new)):
        path = out / f"{name}.rpm"
        path.write_bytes(package.bytes())
        rpmsign(keys, path)
    (out / "keys" / "two.asc").write_bytes((out / "keys" / "other.asc").read_bytes() + (out / "keys" / "maker.asc").read_bytes())
    # Somebody's key below the maker's, which never said that it is its own (RFC 4880, section 5.2.1, "Subkey Binding Signature").
    foreign = keys.gpg("--export", "other@example.org")
    end = 3 + int.from_bytes(foreign[1:3], "big")
    assert foreign[0] == 0x99
    (out / "keys" / "extended.gpg").write_bytes(keys.gpg("--export", "maker@example.org") + b"\xb9" + foreign[1:end])
    (out / "keys" / "binary.gpg").write_bytes(keys.gpg("--export", "maker@example.org", "other@example.org"))
    (out / "keys" / "secret.asc").write_bytes(keys.gpg("--armor", "--export-secret-keys", "maker@example.org"))


main()

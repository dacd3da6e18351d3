"""Packages: real metadata, a real depsolver, a real transaction. dnf stands in for yum, which only Python 2 has."""

import glob
import os
import re
import time

import dnf
import dnf.callback
import dnf.comps
import dnf.exceptions
import dnf.repo
import dnf.transaction
import rpm
from pykickstart.constants import GROUP_ALL, GROUP_DEFAULT, KS_MISSING_IGNORE

from . import endings, lines, metadata, programs, storage

MEDIUM = "/run/install/repo"
# rpm's checks of digests cost minutes under emulation, and Anaconda's yum made none; Debian's rpm looks for its database elsewhere.
MACROS = {"_dbpath": "/var/lib/rpm", "_pkgverify_level": "none", "_flush_io": "0"}

# dnf's word of a package that nothing can satisfy; yum says it the other way round.
UNSOLVED = re.compile(r"nothing provides (.+?) needed by (\S+)")


class Payload:
    """The repositories of a kickstart, and what is chosen from them."""

    def __init__(self, data):
        self.data = data
        for name, value in MACROS.items():
            rpm.addMacro(name, value)
        self.base = dnf.Base()
        conf = self.base.conf
        conf.installroot = programs.SYSROOT
        conf.cachedir, conf.logdir, conf.persistdir = "/tmp/yum.cache", "/tmp/dnf", "/var/lib/dnf"
        os.makedirs(conf.logdir, exist_ok=True)
        conf.substitutions["releasever"] = "7"
        conf.gpgcheck = False
        conf.install_weak_deps = False
        conf.best = True
        conf.excludepkgs = list(data.packages.excludedList)
        if data.packages.excludeDocs:
            conf.tsflags = ["nodocs"]
        self._base_repo()
        for wanted in data.repo.dataList():
            self._add(wanted.name, wanted.baseurl, wanted.cost)
        if not any(True for _ in self.base.repos.iter_enabled()):
            lines.log("base.none")
        self.base.fill_sack(load_system_repo=False)
        self.base.read_comps(arch_filter=True)
        lines.log("repo.done")

    def _base_repo(self):
        lines.log("base.configure")
        method = self.data.method.method if self.data.method.seen else "cdrom"
        if method != "cdrom" or not self._add("anaconda", f"file://{MEDIUM}", None):
            lines.log("base.invalid", method=method, url=None)
            lines.log("base.reason", error="base repo is unusable")
            lines.log("base.none")

    def _add(self, name, url, cost):
        """Add a repository; one whose metadata cannot be read is disabled, and nobody is told but the log."""
        lines.log("repo.add", name=name, url=url)
        repo = dnf.repo.Repo(name, self.base.conf)
        repo.baseurl = [url]
        if cost is not None:
            repo.cost = cost
        # Eleven times (anaconda: MAX_METADATA_DOWNLOAD_RETRIES is 10).
        for retried in range(11):
            lines.log("repo.gather", name=name)
            try:
                metadata.readable_by_yum(url)
                repo.load()
                break
            except (dnf.exceptions.RepoError, metadata.RepoError) as error:
                lines.log("repo.retry", name=name, error=error)
                if retried < 10:
                    lines.log("repo.again", name=name, number=retried + 1)
                    time.sleep(0.5)
        else:
            lines.log("repo.failed", name=name)
            return False
        lines.log("repo.gathered", name=name)
        self.base.repos.add(repo)
        return True

    def check_selection(self):
        """Mark what is wanted and solve; it comes before the disk is touched."""
        packages = self.data.packages
        lines.log("select")
        if not packages.nocore:
            self._group("core", ["mandatory", "default"])
        if packages.environment:
            self._environment(packages.environment)
        for group in packages.groupList:
            types = ["mandatory", *(["default"] if group.include >= GROUP_DEFAULT else []), *(["optional"] if group.include == GROUP_ALL else [])]
            self._group(group.name, types)
        for name in packages.packageList:
            self._package(name)
        for name in packages.excludedList:
            lines.log("exclude.package", name=name)
        if "kernel" not in packages.excludedList:
            self._kernel()
        for name in self._required():
            self._package(name)
        lines.log("depsolve")
        try:
            self.base.resolve()
        except dnf.exceptions.DepsolveError as error:
            self._unsolved(str(error))
        lines.log("depsolve.result", code=2, messages=["Success - deps resolved"])
        chosen = self.base.transaction.install_set
        self.needed = sum(package.installsize for package in chosen)
        lines.log("selected", count=len(chosen), size=f"{self.needed / (1 << 20):.2f} MiB")

    def _required(self):
        """What Anaconda asks for by itself, in the order of pyanaconda/install.py, doInstall: filesystems, passwords, firewall, boot loader,
        time. Passwords and firewall only when the kickstart has the command."""
        data = self.data
        kinds = {part.fstype for part in data.partition.partitions + data.logvol.lvList} | {"lvm" for _ in data.volgroup.vgList}
        packages = (("ext4", "e2fsprogs"), ("xfs", "xfsprogs"), ("efi", "dosfstools"), ("lvm", "lvm2"))
        wanted = [package for kind, package in packages if kind in kinds]
        wanted += ["authconfig"] if data.authconfig.seen else []
        wanted += ["firewalld"] if data.firewall.seen else []
        # pyanaconda/bootloader.py, EFIGRUB.packages.
        efi = ["grub2-efi-x64", "shim-x64", "efibootmgr"] if storage.IS_EFI else []
        wanted += [] if data.bootloader.disabled else [*efi, "grub2", "grub2-tools"]
        return wanted + ([] if data.timezone.nontp else ["chrony"])

    def _package(self, name):
        if name in self.data.packages.excludedList:
            return
        lines.log("select.package", name=name)
        try:
            self.base.install(name)
        except dnf.exceptions.MarkingError:
            self._missing(name)

    def _kernel(self):
        """A medium without one is only logged."""
        lines.log("select.package", name="kernel")
        try:
            self.base.install("kernel")
            lines.log("kernel.selected")
        except dnf.exceptions.MarkingError:
            lines.log("kernel.none")

    def _unsolved(self, problems):
        """In yum's words, one line for each; then the spoke of the software stays incomplete (ui/tui/spokes/software.py:233-247)."""
        messages = [f"{package} requires {what}" for what, package in UNSOLVED.findall(problems)] or problems.splitlines()
        lines.log("depsolve.result", code=1, messages=messages)
        for message in messages:
            lines.log("depsolve.problem", message=message)
        endings.spokes(["Software selection"])

    def _group(self, name, types):
        lines.log("select.group", name=name)
        found = self.base.comps.group_by_pattern(name)
        if found is None:
            self._missing(name)
        else:
            self.base.group_install(found.id, types, strict=True)

    def _environment(self, name):
        found = self.base.comps.environment_by_pattern(name)
        if found is None:
            self._missing(name)
        else:
            for group in found.mandatory_groups:
                self._group(group.id, ["mandatory", "default"])

    def _missing(self, name):
        """A package or group that is not there; the kickstart may say that it does not matter, and then nothing is logged."""
        if self.data.packages.handleMissing == KS_MISSING_IGNORE:
            return
        lines.log("missing", name=name)
        raise endings.Incomplete(f"CmdlineError: Missing package: {name}")

    def check_space(self, plan):
        """In cmdline mode too little space is only logged (summary.py:84-92)."""
        lines.log("space", free=f"{plan.at('/').size} MiB", needed=f"{self.needed / (1 << 20):.2f} MiB")

    def install(self):
        """The transaction."""
        lines.log("packages.run")
        for step in ("populate transaction set", "check transaction set", "order transaction set", "running transaction"):
            lines.log("packages.line", line=step)
        lines.log("packages.prepare")
        total = len(self.base.transaction.install_set)
        progress = _Progress(total)
        try:
            self.base.download_packages(list(self.base.transaction.install_set))
            self.base.do_transaction(progress)
        except dnf.exceptions.Error as error:
            progress.errors.append(str(error))
        else:
            lines.log("packages.post")
            lines.log("packages.line", line="transaction complete")
        # What scriptlets said comes when all is over, as one block.
        lines.log("scriptlet.begin")
        for line in progress.scriptlets:
            lines.log("scriptlet", line=line)
        lines.log("scriptlet.end")
        if progress.errors:
            for error in progress.errors:
                lines.log("packages.error", error=error)
            lines.log("payload.error", error="\n".join(f" {error}" for error in progress.errors))
            raise endings.Aborted
        self.base.close()


class _Progress(dnf.callback.TransactionProgress):
    """Anaconda's two lines of progress."""

    def __init__(self, total):
        super().__init__()
        self.total, self.seen, self.errors, self.scriptlets = total, set(), [], []

    def progress(self, package, action, ti_done, ti_total, ts_done, ts_total):
        if action == dnf.transaction.PKG_INSTALL and package not in self.seen:
            self.seen.add(package)
            lines.log("packages.one", name=package.name, number=len(self.seen), total=self.total)
            self.scriptlets.append(f"{package} ({len(self.seen)}/{self.total})")
            lines.tell(f"Installing {package.name} ({len(self.seen)}/{self.total})")

    def error(self, message):
        self.errors.append(message)

    def scriptout(self, msgs):
        self.scriptlets += (msgs or "").splitlines()


def kernels():
    """The kernels that were installed, by version."""
    prefix = f"{programs.SYSROOT}/boot/vmlinuz-"
    return sorted(path.removeprefix(prefix) for path in glob.glob(f"{prefix}*"))

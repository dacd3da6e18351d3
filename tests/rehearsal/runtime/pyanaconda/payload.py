"""Packages: real metadata, a real depsolver, a real transaction. dnf stands in for yum, which only Python 2 has."""

import glob
import os
import time

import dnf
import dnf.callback
import dnf.comps
import dnf.exceptions
import dnf.repo
import dnf.transaction
import rpm
from pykickstart.constants import GROUP_ALL, GROUP_DEFAULT

from . import endings, lines, metadata, programs

MEDIUM = "/run/install/repo"
# rpm's checks of digests cost minutes under emulation, and Anaconda's yum made none; Debian's rpm looks for its database elsewhere.
MACROS = {"_dbpath": "/var/lib/rpm", "_pkgverify_level": "none", "_flush_io": "0"}


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
            lines.log("base.none")

    def _add(self, name, url, cost):
        """Add a repository; one whose metadata cannot be read is disabled, and nobody is told but the log."""
        lines.log("repo.add", name=name, url=url)
        repo = dnf.repo.Repo(name, self.base.conf)
        repo.baseurl = [url]
        if cost is not None:
            repo.cost = cost
        lines.log("repo.gather", name=name)
        for _ in range(10):
            try:
                metadata.readable_by_yum(url)
                repo.load()
                break
            except (dnf.exceptions.RepoError, metadata.RepoError) as error:
                lines.log("repo.retry", name=name, error=error)
                time.sleep(0.5)
        else:
            lines.log("repo.failed", name=name)
            lines.log("repo.setup", name=name)
            return False
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
        # What Anaconda asks for by itself: for passwords, the boot loader, the filesystem, and the command firewall, whatever that says.
        required = ["kernel", "authconfig", "grub2", "e2fsprogs", "firewalld"]
        for name in [*packages.packageList, *required]:
            if name in packages.excludedList:
                continue
            lines.log("select.package", name=name)
            try:
                self.base.install(name)
            except dnf.exceptions.MarkingError:
                self._missing(f"Missing package: {name}")
        for name in packages.excludedList:
            lines.log("exclude.package", name=name)
        lines.log("depsolve")
        try:
            self.base.resolve()
        except dnf.exceptions.DepsolveError as error:
            raise endings.Incomplete(
                f"The following software marked for installation has errors.  This is likely caused by an error with\nyour installation source.\n{error}"
            ) from error
        chosen = self.base.transaction.install_set
        self.needed = sum(package.installsize for package in chosen)
        lines.log("selected", count=len(chosen), size=f"{self.needed / (1 << 20):.2f} MiB")

    def _group(self, name, types):
        lines.log("select.group", name=name)
        found = self.base.comps.group_by_pattern(name)
        if found is None:
            self._missing(f"Missing group: {name}")
        else:
            self.base.group_install(found.id, types, strict=True)

    def _environment(self, name):
        found = self.base.comps.environment_by_pattern(name)
        if found is None:
            self._missing(f"Missing group: {name}")
        else:
            for group in found.mandatory_groups:
                self._group(group.id, ["mandatory", "default"])

    def _missing(self, message):
        """Of packages that are not there; kickstart may say that it does not matter."""
        if self.data.packages.handleMissing:
            lines.log("select.missing", name=message.split(": ")[1])
            return
        raise endings.Incomplete(message)

    def check_space(self, plan):
        """In cmdline mode too little space is only logged (summary.py:84-92)."""
        lines.log("space", free=f"{plan.at('/').size} MiB", needed=f"{self.needed / (1 << 20):.2f} MiB")

    def install(self):
        """The transaction."""
        lines.log("packages.run")
        lines.log("packages.prepare")
        total = len(self.base.transaction.install_set)
        progress = _Progress(total)
        try:
            self.base.download_packages(list(self.base.transaction.install_set))
            self.base.do_transaction(progress)
        except dnf.exceptions.Error as error:
            progress.errors.append(str(error))
        if progress.errors:
            for error in progress.errors:
                lines.log("packages.error", error=error)
            lines.log("payload.error", error=progress.errors[-1])
            print(
                "The following error occurred while installing.  This is a fatal error and installation will be aborted.\n\n" + progress.errors[-1],
                flush=True,
            )
            raise endings.Aborted
        lines.log("packages.post")
        self.base.close()


class _Progress(dnf.callback.TransactionProgress):
    """Anaconda's two lines of progress."""

    def __init__(self, total):
        super().__init__()
        self.total, self.seen, self.errors = total, set(), []

    def progress(self, package, action, ti_done, ti_total, ts_done, ts_total):
        if action == dnf.transaction.PKG_INSTALL and package not in self.seen:
            self.seen.add(package)
            lines.log("packages.one", name=package.name, number=len(self.seen), total=self.total)
            lines.tell(f"Installing {package.name} ({len(self.seen)}/{self.total})")

    def error(self, message):
        self.errors.append(message)


def kernels():
    """The kernels that were installed, by version."""
    prefix = f"{programs.SYSROOT}/boot/vmlinuz-"
    return sorted(path.removeprefix(prefix) for path in glob.glob(f"{prefix}*"))

#!/usr/bin/python3 -B
"""Asks dnf, the real one, for the closure of every case that `generate.py` or `flagship.py` wrote.

    dnf_oracle.py DIR [CASE…]

Writes a line of JSON for each case: {"id", "satisfiable", "packages": [NAME-EPOCH:VERSION-RELEASE.ARCH], "problem": TEXT, "unique",
"newest", "solutions"}. `packages` is sorted, and empty when there is no solution; then `problem` is what dnf says.

dnf runs as yum of EL7 would decide, as far as it can: no weak dependencies, `best` (what is asked for is taken in its newest version, or it
fails), `obsoletes`, 64-bit packages before 32-bit ones, nothing installed before.

Whether only one solution exists is counted, not guessed. A solution is a set of packages that has one of the alternatives dnf was given
for each thing asked, one provider for each of its needs, and no two packages that exclude each other. A *minimal* one has no other inside
it. From the alternatives, adding one provider of one unmet need after the other, in all ways, every minimal solution is met: as long as
each choice is one that a given minimal solution made, the set stays inside that solution, and ends as a solution inside it, which is the
solution itself. So:

    unique     there is exactly one minimal solution: whoever solves the case without superfluous packages has these packages
    newest     the minimal solutions have the same names and architectures, this one has the newest version of each, and no need is met by
               an older version alone: whoever prefers newer versions has these packages; all that are unique are newest too
    solutions  how many minimal solutions there are; nothing when there are too many to count, and then the two above are false

The count knows nothing of dnf's solver: it takes from dnf what provides, conflicts and obsoletes what. So it also judges dnf, and the
oracle fails when the two disagree on whether there is a solution, or on what is one.
"""

import fnmatch
import functools
import itertools
import json
import logging
import os
import pathlib
import sys
import tempfile

import dnf
import hawkey

#: Sets of packages that the count looks at, and solutions that it compares, before it gives up.
LIMIT, FOUND = 20_000, 500
#: As in dnf 4.14 and yum 3.4.3: packages of which several versions may be installed beside each other.
INSTALL_ONLY = ("kernel",)


class TooMany(Exception):
    """The solutions cannot be counted."""


class Case:
    """A case, with its repositories loaded."""

    def __init__(self, base, case, root, scratch):
        self.base, self.case = base, case
        conf = base.conf
        conf.substitutions.update({"arch": "x86_64", "basearch": "x86_64", "releasever": "7"})
        conf.best, conf.install_weak_deps, conf.obsoletes, conf.multilib_policy = True, False, True, "best"
        conf.plugins, conf.gpgcheck, conf.reposdir, conf.installonlypkgs = False, False, [], list(INSTALL_ONLY)
        conf.installroot, conf.cachedir, conf.persistdir = (f"{scratch}/{name}" for name in ("root", "cache", "lib"))
        for place, directory in enumerate(case["repositories"]):
            base.repos.add_new_repo(f"r{place}", conf, baseurl=[(root / directory).resolve().as_uri()])
        base.fill_sack(load_system_repo=False)
        if case["exclude"]:
            self.sack.add_excludes(self.sack.query().filterm(name=case["exclude"]))
        base.read_comps()
        #: What was asked, each as the packages that answer it; and members of groups that come with another package.
        self.wanted, self.conditional = [], []
        self.providers = {}

    @property
    def sack(self):
        return self.base.sack

    def judge(self):
        """The case's line of the answer."""
        answer = {
            "id": self.case["id"],
            "satisfiable": False,
            "packages": [],
            "problem": None,
            "unique": False,
            "newest": False,
            "solutions": None,
        }
        try:
            for spec in self.case["install"]:
                self.ask(spec)
            self.base.resolve()
            answer["satisfiable"] = True
            answer["packages"] = sorted(nevra(item.pkg) for item in self.base.transaction)
        except (dnf.exceptions.MarkingError, dnf.exceptions.MarkingErrors) as error:
            # There is nothing of that name.
            return answer | {"problem": str(error)}
        except dnf.exceptions.Error as error:
            answer["problem"] = str(error)
        try:
            count = Count(self)
            minimal = count.minimal()
        except TooMany:
            return answer
        if bool(minimal) != answer["satisfiable"]:
            raise RuntimeError(f"case {answer['id']}: {len(minimal)} solutions, and dnf says {answer}")
        answer["solutions"] = len(minimal)
        if minimal:
            chosen = frozenset(answer["packages"])
            if not any(solution <= chosen for solution in minimal):
                raise RuntimeError(f"case {answer['id']}: what dnf says is none of the solutions: {answer}")
            answer["unique"] = len(minimal) == 1 and chosen in minimal
            answer["newest"] = answer["unique"] or count.is_newest(chosen, minimal)
        return answer

    # What is asked

    def ask(self, spec):
        """Ask for a line of %packages."""
        if spec.startswith("@"):
            name, *options = spec.split()
            kinds = (
                {"mandatory"} | (set() if "--nodefaults" in options else {"default"}) | ({"optional"} if "--optional" in options else set())
            )
            for group in self.groups(name):
                self.ask_group(group, kinds)
        elif any(character in spec for character in "*?["):
            names = sorted({package.name for package in dnf.subject.Subject(spec).get_best_query(self.sack, with_src=False)})
            if not names:
                self.base.install(spec)
            for name in names:
                self.ask_name(name)
        else:
            matches = dnf.subject.Subject(spec).get_best_query(self.sack, with_src=False)
            if not any(self.is_deselected(package.name) for package in matches):
                self.base.install(spec)
                self.wanted.append(self.answers(spec))

    def groups(self, name):
        """The groups that `@group` or `@^environment` stands for."""
        if name.startswith("@^"):
            found = self.base.comps.environment_by_pattern(name[2:])
            found = found and found.mandatory_groups
        else:
            found = self.base.comps.group_by_pattern(name[1:])
            found = found and [found]
        if not found:
            raise dnf.exceptions.MarkingErrors(no_match_group_specs=[name])
        return found

    def ask_group(self, group, kinds):
        """Ask for a group's members, as dnf's own `group_install`, which knows no deselection."""
        for kind in sorted(kinds):
            for member in getattr(group, f"{kind}_packages"):
                if self.available().filterm(name=member.name):
                    self.ask_name(member.name)
        for member in group.conditional_packages:
            if not self.is_deselected(member.name):
                selector = dnf.selector.Selector(self.sack).set(provides=f"({member.name} if {member.requires})")
                self.base._goal.install(select=selector, optional=False)
                self.conditional.append((self.provides(member.requires), self.provides(member.name)))

    def ask_name(self, name):
        if not self.is_deselected(name):
            self.base.install(name, forms=[hawkey.FORM_NAME])
            self.wanted.append(self.answers(name, [hawkey.FORM_NAME]))

    def is_deselected(self, name):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.case["deselect"])

    def available(self):
        return self.sack.query().filterm(arch__neq=["src", "nosrc"])

    def answers(self, spec, forms=None):
        """The best of the packages that answer a spec, as libsolv prunes them for `best`: by architecture, then by version."""
        subject = dnf.subject.Subject(spec)
        solution = subject.get_best_solution(self.sack, forms=forms, with_src=False)
        query = solution["query"]
        # dnf takes what obsoletes an answer for an answer too, but for one with a version.
        if solution["nevra"] and solution["nevra"].has_just_name() or subject._is_arch_specified(solution):
            query = query.union(self.sack.query().filterm(obsoletes=query))
        packages = list(query)
        if any(package.arch == "x86_64" for package in packages):
            packages = [package for package in packages if package.arch in ("x86_64", "noarch")]
        newest = {}
        for package in packages:
            newest[package.name] = max(newest.get(package.name, package), package, key=order)
        best = [package for package in packages if order(package) == order(newest[package.name])]
        # libsolv drops a candidate that another one obsoletes.
        gone = set(self.sack.query().filterm(pkg=best)) & {old for new in best for old in self.obsoleted(new) if old.name != new.name}
        return frozenset(nevra(package) for package in best if package not in gone)

    # What packages are to each other

    def provides(self, capability):
        """The packages that have a capability."""
        if capability not in self.providers:
            self.providers[capability] = frozenset(nevra(package) for package in self.sack.query().filterm(provides=capability))
        return self.providers[capability]

    def obsoleted(self, package):
        """The packages that one obsoletes."""
        names = [str(obsolete).split()[0] for obsolete in package.obsoletes]
        return [old for old in self.sack.query().filterm(name=names) if self.sack.query().filterm(pkg=[package]).filterm(obsoletes=[old])]


class Count:
    """All minimal solutions of a case, among the packages that what is asked leads to."""

    def __init__(self, case):
        self.case = case
        self.needs, self.excludes = {}, {}
        self.packages = {nevra(package): package for package in case.sack.query()}
        todo = set().union(*case.wanted, *(members for _, members in case.conditional))
        while todo:
            name = todo.pop()
            self.needs[name] = self.needs_of(self.packages[name])
            todo |= set().union(*self.needs[name]) - self.needs.keys()
        there = {name: self.packages[name] for name in self.needs}
        for name, package in there.items():
            for conflict in package.conflicts:
                self.exclude(name, case.provides(str(conflict)))
            self.exclude(name, {nevra(old) for old in case.obsoleted(package)})
        by_name = lambda package: package.name
        for name, versions in itertools.groupby(sorted(there.values(), key=by_name), by_name):
            for one, other in itertools.combinations(versions, 2):
                # Of a name there is one version for each architecture; nobody has it for both noarch and a real one.
                if (one.arch == other.arch or "noarch" in (one.arch, other.arch)) and name not in INSTALL_ONLY:
                    self.exclude(nevra(one), {nevra(other)})

    def exclude(self, name, others):
        for other in others:
            if other != name:
                self.excludes.setdefault(name, set()).add(other)
                self.excludes.setdefault(other, set()).add(name)

    def needs_of(self, package):
        """Each need of a package as those who meet it; what it meets itself is none."""
        needs = {self.case.provides(str(need)) for need in package.requires}
        return [need for need in needs if nevra(package) not in need]

    def grown(self, chosen, unmet, name):
        """A set with one package more, and which needs are unmet then."""
        more = chosen | {name}
        conditional = [members for condition, members in self.case.conditional if name in condition]
        return more, [need for need in [*unmet, *self.needs[name], *conditional] if not need & more]

    def minimal(self):
        seen, found = set(), set()
        todo = [(frozenset(), self.case.wanted)]
        while todo:
            chosen, unmet = todo.pop()
            if not unmet:
                found.add(chosen)
                continue
            # Whichever need is met next: the one with the fewest choices leads to the fewest sets.
            for name in min(unmet, key=len):
                if not self.excludes.get(name, set()) & chosen:
                    grown = self.grown(chosen, unmet, name)
                    if grown[0] not in seen:
                        seen.add(grown[0])
                        todo.append(grown)
            if len(seen) > LIMIT or len(found) > FOUND:
                raise TooMany
        by_size = sorted(found, key=len)
        return [one for place, one in enumerate(by_size) if not any(smaller < one for smaller in by_size[:place])]

    def is_newest(self, chosen, minimal):
        """Whether every other solution has the same names, and nowhere a newer version; and who looks at one need at a time sees that too."""
        slot = lambda name: (self.packages[name].name, self.packages[name].arch)
        versions = lambda solution: {slot(name): order(self.packages[name]) for name in solution}
        mine = {slot(name): name for name in chosen}
        if chosen not in minimal or len(mine) != len(chosen):
            return False
        newest = versions(chosen)
        for other in map(versions, minimal):
            if other.keys() != newest.keys() or any(newest[key] < other[key] for key in newest):
                return False
        # For such a need the older version is the newest there is.
        return not any(slot(name) in mine and mine[slot(name)] not in need for one in chosen for need in self.needs[one] for name in need)


@functools.total_ordering
class Order:
    """The place of a package among the versions of its name."""

    def __init__(self, package):
        self.package = package

    def __eq__(self, other):
        return self.package.evr_cmp(other.package) == 0

    def __lt__(self, other):
        return self.package.evr_cmp(other.package) < 0


order = Order


def nevra(package):
    """With its epoch, even if it is 0."""
    return f"{package.name}-{package.epoch}:{package.version}-{package.release}.{package.arch}"


def main():
    root = pathlib.Path(sys.argv[1])
    logging.getLogger("dnf").setLevel(logging.CRITICAL)
    with open(root / "queries.json") as file:
        cases = json.load(file)["cases"]
    # dnf syncs its databases to the disk, for nothing.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for case in cases:
        if len(sys.argv) == 2 or case["id"] in sys.argv[2:]:
            with tempfile.TemporaryDirectory(prefix="dnf-oracle-", dir=memory) as scratch, dnf.Base() as base:
                print(json.dumps(Case(base, case, root, scratch).judge()), flush=True)


main()

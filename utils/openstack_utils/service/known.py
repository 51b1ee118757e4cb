# SPDX-License-Identifier: MIT
"""What the catalogue knows of services, whatever this host has: names, order, and what words mean. Pure."""

import difflib
import fnmatch
import re
from typing import NamedTuple, Optional

from ..errors import UsageError, UtilityError

# What others package beyond the catalogue is ours to list all the same.
OURS = re.compile(r"(openstack|neutron|quantum)-[A-Za-z0-9_.-]+(@[^@]*)?")
# Takes devices of running guests away: once a boot, and never by us (rhbz#1133920).
CLEANS_UP = re.compile(r"(openstack-)?(neutron|quantum)-.*-cleanup")


class Kind(NamedTuple):
    """A service as the catalogue has it, or as its name suggests; `rank` orders them for a start."""

    name: str
    project: str
    rank: tuple
    aliases: tuple = ()
    cleans_up: bool = False
    scripts: tuple = ()


class Known:
    """services.json, asked about services."""

    def __init__(self, data):
        """Take the content of services.json (see services.load_services).

        Raises UtilityError for one of before there was an order.
        """
        if "order" not in data:
            hint = "install openstack-utils again; in a checkout run `make setup`"
            raise UtilityError("services.json has no order of the projects", hint=hint)
        self.data = data
        self.kinds = {}
        self.projects = {}
        for place, project in enumerate(data["order"]):
            facts = data["projects"][project]
            self.projects[project] = tuple(facts["aliases"])
            names = {}
            # Newest first: where releases disagree about the order, the newest is right.
            for release in reversed(list(data["releases"])):
                names.update(
                    (name, each)
                    for name, each in facts["releases"].get(release, {}).get("services", {}).items()
                    if name not in names
                )
            for number, (name, each) in enumerate(names.items()):
                self.kinds[name] = Kind(
                    name,
                    project,
                    (place, number),
                    tuple(each["aliases"]),
                    each["cleans_up"],
                    tuple(each["scripts"]),
                )
        self._by_alias = {alias: kind for kind in self.kinds.values() for alias in kind.aliases}

    def kind(self, name):
        """Return the Kind of a unit or script (`openstack-swift-object@1`), None where it is not ours."""
        base = name.partition("@")[0]
        found = self.kinds.get(base) or self._by_alias.get(base)
        if found is not None:
            return found
        if not OURS.fullmatch(name):
            return None
        words = base.split("-")
        project = words[1] if words[0] == "openstack" else words[0]
        project = self.project(project) or project
        place = list(self.projects).index(project) if project in self.projects else len(self.projects)
        # After those that the catalogue knows, in the order of the alphabet.
        rank = (place, float("inf"), base)
        return Kind(base, project, rank, cleans_up=bool(CLEANS_UP.fullmatch(base)))

    def project(self, word):
        """Return the project that a word names, by its name or a former one; None for others."""
        for name, aliases in self.projects.items():
            if word == name or word in aliases:
                return name
        return None

    def matcher(self, word, others=()):
        """Return the Matcher of a word of the command line.

        `others` are names of units of this host that the catalogue does not know. Raises UsageError for
        a word that neither names a project or a service nor begins or matches the name of one.
        """
        project = self.project(word)
        if project is not None:
            return Matcher(word, project=project)
        names = [each for kind in self.kinds.values() for each in (kind.name,) + kind.aliases]
        names += others
        bare = _bare(word)
        instance = bare.partition("@")[0]
        if any(_bare(name) in (bare, instance) for name in names):
            return Matcher(word, name=bare)
        pattern = bare if set(bare) & set("*?[") else bare + "*"
        if bare and any(fnmatch.fnmatchcase(_bare(name), pattern) for name in names):
            return Matcher(word, pattern=pattern)
        raise self._unknown(word, names)

    def _unknown(self, word, names):
        known = [each for name, aliases in self.projects.items() for each in (name,) + aliases]
        known += sorted({self.kind(name).project for name in names} - set(known))
        near = difflib.get_close_matches(word, known + [_bare(name) for name in names], 1)
        hint = "known are %s, and names of services and beginnings of them" % ", ".join(known)
        if near:
            hint = "did you mean %s? %s" % (near[0], hint)
        return UsageError('unknown prefix "%s"' % word, hint=hint)


class Matcher(NamedTuple):
    """What a word of the command line selects: a project, one service, or those whose name matches."""

    word: str
    project: Optional[str] = None
    name: Optional[str] = None
    pattern: Optional[str] = None

    def selects(self, unit, kind):
        """Say whether it selects a unit of this host (named without suffix) of a Kind."""
        if self.project is not None:
            return kind.project == self.project
        names = [_bare(each) for each in (unit, kind.name) + kind.aliases]
        if self.name is not None:
            return self.name in names or self.name == names[0].partition("@")[0]
        return any(fnmatch.fnmatchcase(name, self.pattern) for name in names)


def _bare(name):
    """Return a name as people shorten it: nova-api for openstack-nova-api.service."""
    if name.endswith(".service"):
        name = name[: -len(".service")]
    return name[len("openstack-") :] if name.startswith("openstack-") else name

# SPDX-License-Identifier: MIT
"""What is here to look at: projects, addresses, supports, buses, folders. Nothing is asked yet."""

import os

from ..db.catalogue import Places
from ..errors import UtilityError
from ..service import inits
from ..service.selection import HostServices
from . import buses, endpoints, present
from .settings import Settings


class NoInit:
    """A host without an init system of its own: a container, or the files of another host."""

    name = None

    def installed(self):
        """Nobody can say."""
        return set()


class Scene:
    """All that one look is about; `cloud` is a cloud.Cloud or None, `left_out` sentences for the report."""

    def __init__(self, options, known, cloud):
        """Raises UsageError for a project that is not known."""
        self.options = options
        self.known = known
        self.cloud = cloud
        self.left_out = []
        self.init = self._find_init()
        self.host = HostServices(known, self.init)
        self.settings = Settings(Places(options.root, options.config_dir))
        every = present.find_projects(known, self.host.services, self.settings)
        self.projects = present.choose(known, every, options.project)
        self.catalogued = [each for each in self.projects if each.facts]
        self.addresses = {
            each.name: endpoints.addresses(each.facts, self._names(each), self.settings)
            for each in self.catalogued
        }
        self.supports = self._find_supports()
        self.buses = self._find_buses()
        self.folders = self._find_folders()

    def _find_init(self):
        try:
            if self.options.root or self.options.config_dir:
                raise UtilityError("the files belong to another host")
            return inits.find_init()
        except UtilityError as error:
            self.left_out.append("states of services: %s" % error.message)
            return NoInit()

    def _names(self, project):
        """Return the names of a project's services that are here; all of them where no init can say."""
        if self.init.name is None:
            return set(project.facts["services"])
        return {name for each in project.services for name in (each.unit, each.kind.name)}

    def _find_supports(self):
        """Return [(name, facts, unit)] of those that are installed; none where projects are named."""
        here = self.init.installed() if not self.options.project else ()
        found = []
        for name, facts in self.known.data["supports"].items():
            unit = next((each for each in facts["units"] if each in here), None)
            if unit:
                found.append((name, facts, unit))
        return found

    def _find_buses(self):
        """Return the (host, port) pairs to ask; a bus of this host that is a support is asked as that."""
        files = [
            path for each in self.catalogued for path in each.facts["configuration"] if path.endswith(".conf")
        ]
        has_local = any(facts["talk"] == "amqp" for _, facts, _ in self.supports)
        found = buses.find(files, self.settings)
        return sorted(place for place in found if not (has_local and buses.is_local(place)))

    def _find_folders(self):
        if self.options.config_dir:
            return []
        root = self.options.root or "/"
        paths = [path for each in self.catalogued for path in each.facts["folders"]]
        return [os.path.join(root, path[1:]) for path in dict.fromkeys(paths)]

# SPDX-License-Identifier: MIT
"""The planner: what the catalogue knows, what is installed and what was asked for become steps. Pure."""

import itertools
from typing import NamedTuple, Optional

from ..errors import UsageError, UsageErrors
from ..sample_data.profiles import variable
from . import order, steps

RELEASE = "current"
CONTROLLER, COMPUTE = "controller", "compute"
IDENTITY, NETWORKS = "keystone", "neutron"
BUS_UNIT = "rabbitmq-server"
BUS_SECRET = "BUS_PASSWORD"
# What a value leaves open for a secret that is no account's password: the variable of it.
SHARED_SECRETS = {
    "bus": BUS_SECRET,
    "metadata_secret": "METADATA_SECRET",
    "encryption_key": "ENCRYPTION_KEY",
    "hash_suffix": "HASH_SUFFIX",
}
PEOPLE = ("ADMIN_PASSWORD", "DEMO_PASSWORD")
# What Nova gives libvirt: the processor of the host is for guests that run on it.
CPU_MODES = {"kvm": "host-model", "qemu": "none", "lxc": "none"}


class InstalledParts(NamedTuple):
    """What this host has: units without suffix, files of configuration, and releases that are not current.

    `supports` maps what is here of others to the full names of the units that start it; `datapath` is where
    Open vSwitch can forward: in the kernel (system) or in user space (netdev).
    """

    units: frozenset
    files: frozenset
    others: dict = {}
    supports: dict = {}
    datapath: str = "system"


class Wish(NamedTuple):
    """What was asked for; `services` empty is all that is installed, `network` empty: none is made.

    `volumes` is the file that a group of volumes of `size` bytes is made in; empty: none is.
    """

    services: tuple = ()
    role: str = CONTROLLER
    controller: str = "127.0.0.1"
    address: str = "127.0.0.1"
    hypervisor: str = "qemu"
    region: str = "RegionOne"
    passwords: str = "/root/openstack-demo-passwords"
    output: str = "/root"
    network: str = ""
    record: str = ""
    volumes: str = ""
    size: int = 0


class DemoPlan(NamedTuple):
    """The steps in their order, and the projects that they are for.

    `forbidden` are options (file, section, key) that must not be set on a host of this role. `needs` says
    what a step waits for; without it each waits for all before it.
    """

    projects: tuple
    steps: tuple
    forbidden: tuple = ()
    needs: Optional[dict] = None

    def waits_for(self, step):
        """Return the steps that a step waits for."""
        return self.steps[: self.steps.index(step)] if self.needs is None else self.needs[step]

    @property
    def secrets(self):
        """The variables of the file of passwords."""
        return self.steps[0].names

    @property
    def edits(self):
        return [edit for step in self.steps if isinstance(step, steps.Configure) for edit in step.edits]


def make_plan(catalogue, host, wish):
    """Return the DemoPlan. Raises UsageError or UsageErrors for what cannot be done on this host."""
    return _Planner(catalogue, host, wish).plan()


class _Planner:
    def __init__(self, catalogue, host, wish):
        self.catalogue = catalogue
        self.host = host
        self.wish = wish
        self.facts = {
            name: catalogue["projects"][name]["releases"][RELEASE]
            for name in catalogue["order"]
            if catalogue["projects"][name]["releases"].get(RELEASE, {}).get("cloud")
        }
        self.identity = self.facts[IDENTITY]["endpoints"]["identity"]["public"].replace(
            "{host}", _bracket(wish.controller)
        )
        self.secrets = []

    def plan(self):
        projects = self._choose()
        self._check_bus(projects)
        self._check_supports(projects)
        configure = {name: self._configure(name) for name in projects}
        work = [(name, step) for name in projects for step in self._project(name, configure[name], projects)]
        secrets = (PEOPLE if self.wish.role == CONTROLLER else ()) + tuple(self.secrets)
        secrets += tuple(self._secret_of(name) for name in self._accounts(projects))
        bus = (
            steps.StartSupport("message bus", (BUS_UNIT + ".service",)),
            steps.Bus("account on the bus", BUS_SECRET),
        )
        has_bus = BUS_SECRET in secrets and self.wish.role == CONTROLLER
        work.append((None, self._all_stay_up([step for _, step in work])))
        if self.wish.volumes and not any(self.facts[name]["cloud"]["volumes"] for name in projects):
            raise UsageError("--nova-volumes needs cinder, which is not among %s" % ", ".join(projects))
        if self.wish.network:
            work.append((None, self._network(projects)))
        first = steps.PasswordFile(self.wish.passwords, tuple(dict.fromkeys(secrets)))
        owned = [(None, step) for step in (first, *(bus if has_bus else ()))] + work
        needed = {name: self.catalogue["projects"][name]["needs"] for name in projects}
        return DemoPlan(
            projects, tuple(step for _, step in owned), tuple(self._forbidden(projects)),
            order.find_needs(owned, needed),
        )  # fmt: skip

    # Which projects

    def _choose(self):
        wanted = [self._resolve(word) for word in self.wish.services]
        if not wanted:
            wanted = [name for name in self.facts if self._units(name)]
            if not wanted:
                raise UsageError(
                    "no OpenStack service that belongs on a %s is installed here" % self.wish.role,
                    hint="dnf install openstack-keystone openstack-glance",
                )
        chosen = self._with_needs(wanted) if self.wish.role == CONTROLLER else set(wanted)
        known = [name for name in self.facts if name in chosen]
        problems = [problem for name in known for problem in self._faults(name, wanted)]
        if problems:
            hint = "dnf provides '*/UNIT.service' names the package of a unit"
            raise UsageErrors(problems, hint=hint)
        return tuple(known)

    def _check_bus(self, projects):
        options = [(name, each) for name in projects for each in self.facts[name]["cloud"]["options"]]
        users = [name for name, each in options if any("{bus}" in text for text in each["set"].values())]
        if users and self.wish.role == CONTROLLER and BUS_UNIT not in self.host.units:
            message = "%s needs a message bus, and %s is not installed" % (users[0], BUS_UNIT)
            raise UsageError(message, hint="dnf install rabbitmq-server")

    def _check_supports(self, projects):
        problems = [
            "%s needs %s, and none of %s is installed" % (unit, facts["title"], ", ".join(facts["units"]))
            for name in projects
            for unit, support in self._stands_on(name).items()
            for facts in (self.catalogue["supports"][support],)
            if support not in self.host.supports
        ]
        if problems:
            raise UsageErrors(problems, hint="dnf provides '*/UNIT.service' names the package of a unit")

    def _stands_on(self, name):
        """Return {unit: support} of the units of a project that are here."""
        needed = self.facts[name]["cloud"]["stands_on"]
        return {unit: needed[unit] for unit in self._units(name) if unit in needed}

    def _resolve(self, word):
        projects = self.catalogue["projects"]
        for name, project in projects.items():
            if word == name or word in project["aliases"]:
                if name in self.facts:
                    return name
                message = "%s is not among the services that are set up here" % name
                raise UsageError(message, hint="they are %s" % ", ".join(self.facts))
        raise UsageError('unknown service "%s"' % word, hint="one of %s" % ", ".join(self.facts))

    def _with_needs(self, wanted):
        chosen, todo = set(), list(wanted) + [IDENTITY]
        while todo:
            name = todo.pop()
            if name in self.facts and name not in chosen:
                chosen.add(name)
                todo += self.catalogue["projects"][name]["needs"]
        return chosen

    def _faults(self, name, wanted):
        cloud = self.facts[name]["cloud"]
        if self.wish.role == COMPUTE and not cloud["compute"]:
            yield "%s has nothing to run on a compute host" % name
        elif not self._units(name):
            units = dict.fromkeys(self._wanted_units(name))
            whose = "" if name in wanted else ", which %s," % self._who_needs(name, wanted)
            yield "%s%s is not installed: none of %s is here" % (name, whose, ", ".join(units))
        elif name in self.host.others:
            title = self.catalogue["releases"][self.host.others[name]]["title"]
            yield "%s is of %s, and only the current release is set up here" % (name, title)

    def _who_needs(self, name, wanted):
        needing = [each for each in wanted if name in self.catalogue["projects"][each]["needs"]]
        return "%s needs" % needing[0] if needing else "all others need"

    def _units(self, name):
        """Return the units of a project that are here and belong on a host of this role."""
        return tuple(unit for unit in dict.fromkeys(self._wanted_units(name)) if unit in self.host.units)

    def _wanted_units(self, name):
        cloud = self.facts[name]["cloud"]
        if self.wish.role == COMPUTE:
            return cloud["compute"]
        return cloud["start"] + (cloud["volumes"] if self.wish.volumes else []) + cloud["compute"]

    # What is done for one

    def _project(self, name, edits, projects):
        facts, units = self.facts[name], self._units(name)
        if edits:
            yield steps.Configure("%s: configuration" % name, edits, self.wish.record)
        if self.wish.role == CONTROLLER:
            if facts["databases"]:
                urls = tuple(self._database_options(name))
                yield steps.InitDatabase("%s: database" % name, name, self.wish.record, urls)
            for makes, commands in itertools.groupby(facts["cloud"]["prepare"], lambda each: each["makes"]):
                argvs = tuple(tuple(each["run"]) for each in commands)
                yield steps.Prepare("%s: makes %s" % (name, makes), argvs, makes)
        if self.wish.volumes and facts["cloud"]["volumes"]:
            yield steps.VolumeGroup("%s: group of volumes" % name, self.wish.volumes, self.wish.size)
        for support in dict.fromkeys(self._stands_on(name).values()):
            title = self.catalogue["supports"][support]["title"]
            yield steps.StartSupport("%s: %s" % (name, title), self.host.supports[support])
        files = tuple(path for path in facts["configuration"] if path in self.host.files)
        yield steps.Start("%s: services" % name, units, files)
        if self.wish.role == CONTROLLER:
            for unit in units:
                http = facts["services"][unit]["http"]
                if http:
                    yield steps.WaitForApi(
                        "%s: %s answers" % (name, unit), self.wish.controller, http["port"], http["path"]
                    )
        if name == IDENTITY:
            yield self._fill(projects)

    def _all_stay_up(self, work):
        ours = [unit + ".service" for step in work if isinstance(step, steps.Start) for unit in step.units]
        others = [unit for step in work if isinstance(step, steps.StartSupport) for unit in step.units]
        return steps.StayUp("services still run", tuple(others + ours))

    def _network(self, projects):
        if NETWORKS not in projects:
            raise UsageError("--network needs neutron, which is not among %s" % ", ".join(projects))
        url = self.facts[NETWORKS]["endpoints"]["network"]["public"]
        url = url.replace("{host}", _bracket(self.wish.controller)) + "/v2.0"
        return steps.Network("neutron: network", self.identity, url, self.wish.network)

    def _fill(self, projects):
        wish = self.wish
        others = tuple(name for name in projects if name != IDENTITY) or (IDENTITY,)
        return steps.Fill(
            "keystone: users, projects, catalog", self.identity, wish.region, others, wish.passwords,
            wish.output,
        )  # fmt: skip

    # What is written

    def _configure(self, name):
        edits = []
        for each in self.facts[name]["cloud"]["options"]:
            is_ours = each["role"] in (None, self.wish.role) and (self.wish.volumes or not each["volumes"])
            if each["file"] in self.host.files and is_ours:
                options = dict(self._login(each["login"]), **each["set"])
                edits += [
                    self._edit(name, each["file"], each["section"], key, value)
                    for key, value in options.items()
                ]
        return tuple(edits)

    def _login(self, kind):
        cloud = self.facts[IDENTITY]["cloud"]
        if kind == "token":
            login = {key: value for key, value in cloud["login"].items() if key != "region_name"}
            return dict(cloud["token"], **login)
        return cloud["login"] if kind else {}

    def _edit(self, name, path, section, key, value):
        wish = self.wish
        own = self._secret_of(name) if self.facts[name]["account"] else None
        secrets = dict(SHARED_SECRETS, password=own)
        secret = next((secrets[each] for each in secrets if "{%s}" % each in value), None)
        if secret:
            self.secrets.append(secret)
        for each, text in (
            ("bus", "rabbit://%s:%s@%s:5672/" % (steps.BUS_USER, steps.SECRET, _bracket(wish.controller))),
            *((each, steps.SECRET) for each in secrets if each != "bus"),
            ("identity", self.identity),
            ("controller", _bracket(wish.controller) if "://" in value else wish.controller),
            ("address", wish.address),
            ("region", wish.region),
            ("service_project", self.facts[IDENTITY]["accounts"]["service_project"]),
            ("user", (self.facts[name]["account"] or {}).get("user", "")),
            ("virt_type", wish.hypervisor),
            ("cpu_mode", CPU_MODES[wish.hypervisor]),
            ("datapath", self.host.datapath),
            ("volume_group", steps.VOLUME_GROUP),
        ):
            value = value.replace("{%s}" % each, text)
        return steps.Edit(path, section, key, value, secret)

    def _forbidden(self, projects):
        """Yield the URLs of databases on a compute host: nova-compute would try to reach them."""
        for name in projects if self.wish.role == COMPUTE else ():
            yield from self._database_options(name)

    def _database_options(self, name):
        """Yield the options (file, section, key) that hold the URLs of a project's databases."""
        for database in self.facts[name]["databases"].values():
            for option in database["connection"]:
                if option["file"] in self.host.files:
                    yield option["file"], option["section"], option["key"]

    def _accounts(self, projects):
        """Return the projects whose accounts this host makes in Keystone."""
        if self.wish.role == COMPUTE:
            return []
        return [name for name in projects if self.facts[name]["account"]]

    def _secret_of(self, name):
        return variable(self.facts[name]["account"]["user"])


def _bracket(host):
    return "[%s]" % host if ":" in host else host

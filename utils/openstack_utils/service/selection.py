# SPDX-License-Identifier: MIT
"""Which services of this host are meant: by words, by whether they are enabled, in the catalogue's order."""

from typing import NamedTuple, Optional

from ..errors import UsageError, UtilityError
from . import hosted, verbs
from .known import Kind
from .states import ServiceState

SITE_RANK = (float("inf"), 0)


class Service(NamedTuple):
    """A service of this host: `unit` is its name whole, with the instance of a template."""

    unit: str
    kind: Kind
    state: Optional[ServiceState] = None
    # What runs it where it has no unit of its own: httpd.
    host: str = ""

    def with_state(self, state):
        return self._replace(state=state)


class HostServices:
    """The services that are installed here; `init` is its Systemd or Sysv."""

    def __init__(self, known, init, root="/"):
        self.known = known
        self.init = init
        names = init.installed()
        ours = {name: known.kind(name) for name in names}
        self.templates = {name[:-1] for name, kind in ours.items() if kind and name.endswith("@")}
        found = [Service(name, kind) for name, kind in ours.items() if kind and not name.endswith("@")]
        own = {name for each in found for name in (each.unit, each.kind.name)}
        found += [
            Service(name, known.kinds.get(name) or _site(known, name), None, host)
            for name, host in ((name, hosted.UNIT) for name in hosted.in_httpd(known, root))
            if name not in own
        ]  # fmt: skip
        self.services = sort(found)

    @property
    def others(self):
        """Names of services here, and of templates, that the catalogue does not know."""
        names = {each.unit.partition("@")[0] for each in self.services} | self.templates
        return sorted(name for name in names if name not in self.known.kinds)

    def matchers(self, words):
        """Return the Matchers of words. Raises UsageError, one line for each that is unknown."""
        found, wrong = [], []
        for word in words:
            try:
                found.append(self.known.matcher(word, self.others))
            except UsageError as error:
                wrong.append(error)
        if wrong:
            raise UsageError("\n".join(each.message for each in wrong), hint=wrong[0].hint)
        return found

    def select(self, matchers):
        """Return the Services that Matchers select, all without any; running instances are looked for.

        Raises UtilityError for a word that selects nothing of this host.
        """
        services = self._with_instances(matchers)
        if not matchers:
            return services
        for matcher in matchers:
            if not any(matcher.selects(each.unit, each.kind) for each in services):
                raise UtilityError("%s: none of its services is installed here" % matcher.word)
        return [each for each in services if any(match.selects(each.unit, each.kind) for match in matchers)]

    def _with_instances(self, matchers):
        """Add the instances that run, and those that are named whole, where there are templates."""
        if not self.templates:
            return self.services
        bare = {template: self.known.kind(template) for template in self.templates}
        wanted = [
            name for name, kind in bare.items()
            if not matchers or any(each.selects(name, kind) or _instance(each) for each in matchers)
        ]  # fmt: skip
        more = self.init.running_instances() if wanted else set()
        for matcher in matchers:
            if _instance(matcher):
                base, _, instance = matcher.name.partition("@")
                more |= {"%s@%s" % (name, instance) for name in wanted if name in (base, "openstack-" + base)}
        there = {each.unit for each in self.services}
        new = [name for name in more - there if name.partition("@")[0] in self.templates]
        return sort(self.services + [Service(name, self.known.kind(name)) for name in new])

    def with_states(self, services, limit=None):
        """Return services with their States; those that the init system does not have are left out."""
        units = list(dict.fromkeys(each.host or each.unit for each in services))
        states = self.init.states(units, limit)
        return [
            each.with_state(states[each.host or each.unit])
            for each in services
            if (each.host or each.unit) in states
        ]


def sort(services):
    """Return Services in the order in which they are started: the catalogue's."""
    return sorted(services, key=lambda each: (each.kind.rank, each.unit))


def choose(services, verb, everything=False, now=False):
    """Return (Services that a verb acts on, in its order; [(Service, why it is left out)]). Pure."""
    chosen, left_out = [], []
    for each in services:
        named_only = verb in verbs.OVER_INSTALLED or everything
        if not named_only and not (each.state and each.state.is_enabled):
            continue
        if verb not in verbs.ASKED and verb not in verbs.SHOWN and each.host:
            why = "runs in %s, with whatever else does: act on %s itself" % (each.host, each.host)
            left_out.append((each, why))
        elif each.kind.cleans_up and (verbs.runs_something(verb, now) or verb == "reset-failed"):
            left_out.append((each, "cleans up at boot, and would cut running guests off"))
        else:
            chosen.append(each)
    return verbs.in_order(verb, chosen), left_out


def _instance(matcher):
    return bool(matcher.name and "@" in matcher.name)


def _site(known, name):
    """Return the Kind of a site of httpd, which has neither daemon nor unit."""
    return Kind(name, _site_project(known, name), SITE_RANK)


def _site_project(known, name):
    for project, facts in known.data["projects"].items():
        if any(each["site"] and each["site"]["name"] == name for each in facts["releases"].values()):
            return project
    return name

# SPDX-License-Identifier: MIT
"""Looks at everything at once, and puts what was found in order: a Report."""

import os
import time
from typing import NamedTuple

from ..db.catalogue import Places
from ..errors import UtilityError
from ..service import inits
from ..service.selection import Host, Service, sort
from . import buses, cloud, databases, disks, endpoints, failures, judging, present, talks
from .asking import ask
from .settings import Settings


class Section(NamedTuple):
    """A headed part of the report: a project, the supports, the disks, the cloud."""

    kind: str
    name: str
    title: str
    findings: list
    release: str = ""


class Report(NamedTuple):
    """All that was found. `left_out` are sentences; `seconds` is what looking took."""

    sections: list
    left_out: list
    seconds: float
    init: str

    @property
    def not_well(self):
        return [each for section in self.sections for each in section.findings if each.well is False]


class NoInit:
    """A host without an init system of its own: a container."""

    name = None

    def installed(self):
        return set()

    def running_instances(self, limit=None):
        del limit
        return set()


class Looker:
    """Looks as the options say, as often as it is asked."""

    def __init__(self, options, known, environment):
        self.options = options
        self.known = known
        self.login = None
        self.why_no_cloud = "not asked for"
        if options.api:
            self.login = cloud.find_login(options.os_cloud, environment)
            self.why_no_cloud = "no OS_* variables for a login, and no --os-cloud"
        self.interface = environment.get("OS_INTERFACE") or "public"

    def look(self):
        """Return a Report. Raises UsageError for a project that is not known."""
        return _Look(self).report()


class _Look:
    """One look."""

    def __init__(self, looker):
        options, known = looker.options, looker.known
        self.started = time.monotonic()
        self.options, self.known = options, known
        self.left_out = []
        self.init = self._find_init()
        self.host = Host(known, self.init)
        self.settings = Settings(Places(options.root, options.config_dir))
        every = present.find_projects(known, self.host.services, self.settings)
        self.projects = present.choose(known, every, options.project)
        self.addresses = {
            project.name: endpoints.addresses(project.facts, self._names(project), self.settings)
            for project in self.projects
            if project.facts
        }
        self.with_databases = [each for each in self.projects if each.facts and each.facts["databases"]]
        self.supports = self._find_supports()
        self.buses = self._find_buses()
        self.cloud = cloud.Cloud(looker.login, looker.interface) if looker.login else None
        if self.cloud is None:
            self.left_out.append("users, images, servers and agents: %s" % looker.why_no_cloud)

    def _find_init(self):
        """Return this host's init system; none for files that are another host's."""
        try:
            if self.options.root or self.options.config_dir:
                raise UtilityError("the files are not those of this host")
            return inits.find_init()
        except UtilityError as error:
            self.left_out.append("states of services: %s" % error.message)
            return NoInit()

    def _names(self, project):
        """Return the names of a project's services that are here; all of it where no init can say."""
        if self.init.name is None:
            return set(project.facts["services"])
        return {name for each in project.services for name in (each.unit, each.kind.name)}

    def _find_supports(self):
        """Return [(name, facts, unit)] of those that are installed."""
        if self.options.project:
            return []
        here = self.init.installed()
        found = []
        for name, facts in self.known.data["supports"].items():
            unit = next((each for each in facts["units"] if each in here), None)
            if unit:
                found.append((name, facts, unit))
        return found

    def _find_buses(self):
        files = [
            path for project in self.projects if project.facts for path in project.facts["configuration"]
        ]
        has_local = any(facts["talk"] == "amqp" for _, facts, _ in self.supports)
        return judging.merge_local(
            buses.find([f for f in files if f.endswith(".conf")], self.settings), has_local
        )

    # Asking

    def _probes(self):
        probes: dict = {"states": self._states}
        for found in self.addresses.values():
            for address in found:
                probes["endpoint", address.url] = lambda limit, url=address.url: endpoints.look(url, limit)
        for project in self.with_databases:
            probes["database", project.name] = lambda limit, project=project: databases.check(
                project, project.release, self.settings, limit
            )
        for name, facts, _ in self.supports:
            if facts["talk"]:
                places = facts["sockets"] + ([("127.0.0.1", facts["port"])] if facts["port"] else [])
                probes["support", name] = lambda limit, talk=facts["talk"], places=places: talks.ask(
                    talk, places, limit
                )
        for place in self.buses:
            probes["bus", place] = lambda limit, place=place: talks.ask("amqp", [place], limit)
        for path in self._folders():
            probes["disk", path] = lambda _, path=path: disks.look(path)
        if self.cloud is not None:
            probes["login"] = self.cloud.enter
            for question in cloud.LISTS + cloud.AGENTS:
                probes["cloud", question.name] = lambda limit, question=question: self.cloud.listing(
                    question, limit
                )
        return probes

    def _folders(self):
        found = {}
        for project in self.projects:
            for path in project.facts["folders"] if project.facts else ():
                if not self.options.config_dir:
                    found[os.path.join(self.options.root or "/", path[1:])] = None
        return list(found)

    def _states(self, limit):
        """Return ({unit: State}, {unit: last error}) of all services and supports; None for a container."""
        if self.init.name is None:
            return None, {}
        if self.host.templates:
            self._add_instances(self.init.running_instances(limit.left()))
        services = [each for project in self.projects for each in project.services]
        units = [each.host or each.unit for each in services] + [unit for _, _, unit in self.supports]
        units = list(dict.fromkeys(units))
        states = self.init.states(units, limit.left())
        reasons = {}
        for project in self.projects:
            for each in project.services:
                state = states.get(each.unit)
                if state is not None and (state.active == "failed" or state.sub == "auto-restart"):
                    facts = project.facts["services"].get(each.kind.name) if project.facts else None
                    reasons[each.unit] = failures.last_error(each, facts["log"] if facts else None, limit)
        return states, reasons

    def _add_instances(self, names):
        """Add the instances of templates that run though nothing starts them at boot."""
        there = {each.unit for each in self.host.services}
        for number, project in enumerate(self.projects):
            new = [
                Service(name, self.known.kind(name))
                for name in names - there
                if name.partition("@")[0] in self.host.templates
                and self.known.kind(name).project == project.name
            ]
            self.projects[number] = project._replace(services=tuple(sort(list(project.services) + new)))

    # Judging

    def report(self):
        """Ask all, and return the Report."""
        answers = ask(self._probes(), self.options.timeout)
        asked = answers["states"]
        states, reasons = asked.value if asked.value is not None else (None, {})
        if asked.error:
            self.left_out.append("states of services: %s" % asked.error)
        sections = [self._project(project, states, reasons, answers) for project in self.projects]
        sections.append(Section("supports", "", "What they stand on", self._judge_supports(states, answers)))
        found = {key[1]: answer for key, answer in answers.items() if key[0] == "disk"}
        sections.append(Section("disks", "", "Disk space", judging.rooms(found)))
        if asked.error and self.init.name is not None:
            sections[0:0] = [
                Section("init", "", "Init", [judging.Finding("init", self.init.name, asked.error, False)])
            ]
        if self.cloud is not None:
            sections.append(_judge_cloud(self.cloud.login.url, answers))
        self._tell_left_out(answers, reasons)
        sections = [each for each in sections if each.findings]
        return Report(sections, self.left_out, time.monotonic() - self.started, self.init.name)

    def _project(self, project, states, reasons, answers):
        findings = [judging.service(each, states, reasons) for each in project.services]
        here = {each.unit: each for each in project.services}
        here.update((each.kind.name, each) for each in project.services)

        def is_meant(name):
            if states is None:
                return None
            each = here.get(name)
            unit = (each.host or each.unit) if each else "httpd"
            return judging.is_meant(states.get(unit))

        for address in self.addresses.get(project.name, ()):
            answer = answers["endpoint", address.url]
            found = judging.endpoint(address, answer, is_meant(address.service))
            findings += [found] if found else []
        if ("database", project.name) in answers:
            meant = None if states is None else any(map(is_meant, here))
            findings += judging.databases(project, answers["database", project.name], meant)
        return Section("project", project.name, project.title, findings, project.release)

    def _judge_supports(self, states, answers):
        found = [
            judging.support(name, facts, unit, (states or {}).get(unit), answers.get(("support", name)))
            for name, facts, unit in self.supports
        ]
        meant = None if states is None else any(
            judging.is_meant(states.get(each.unit)) for project in self.projects for each in project.services
        )  # fmt: skip
        return found + [judging.bus(place, answers["bus", place], meant) for place in self.buses]

    def _tell_left_out(self, answers, reasons):
        """Say what was not looked at, and why."""
        names = {"database": "databases of %s", "disk": "room of %s", "support": "%s", "bus": "bus %s",
                 "cloud": "%s", "endpoint": "%s"}  # fmt: skip
        for key, answer in answers.items():
            if answer.left_out and isinstance(key, tuple) and answer.left_out != "no login":
                self.left_out.append("%s: %s" % (names[key[0]] % (key[1],), answer.left_out))
        for path in sorted(self.settings.closed):
            self.left_out.append("settings of %s: it may not be read" % path)
        silent = [unit for unit, reason in reasons.items() if not reason]
        if silent and os.geteuid() != 0:
            self.left_out.append("last errors of %s: the journal may not be read" % ", ".join(silent))


def _judge_cloud(url, answers):
    """Return the Section of what the cloud says, or of the login that failed."""
    login = answers["login"]
    if login.value is None:
        found = judging.Finding("login", url, login.error, False, facts={"error": login.error})
        return Section("cloud", url, "Cloud", [found])
    findings = [judging.Finding("login", url, "logged in", True, "as %s" % login.value,
                                facts={"user": login.value})]  # fmt: skip
    for question in cloud.LISTS:
        found = judging.listing(question, answers["cloud", question.name])
        findings += [found] if found else []
    for question in cloud.AGENTS:
        findings += judging.agents(question, answers["cloud", question.name])
    return Section("cloud", url, "Cloud", findings)


def nothing_here(report):
    """Say whether no project is on this host, and no cloud was asked."""
    return not any(each.kind in ("project", "cloud") for each in report.sections)

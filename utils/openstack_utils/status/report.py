# SPDX-License-Identifier: MIT
"""The Report: what was found, in order, with what was left out. Pure but for who we are."""

import os
from typing import NamedTuple, Optional

from . import judging
from .cloud import AGENTS, LISTS

# What is said of a thing that was left out, by the kind of its key.
LEFT_OUT = {"database": "databases of %s", "disk": "room of %s", "bus": "message bus %s:%d"}


class ReportSection(NamedTuple):
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
    init: Optional[str]

    @property
    def not_well(self):
        """The Findings that are not well."""
        return [each for section in self.sections for each in section.findings if each.well is False]

    @property
    def is_empty(self):
        """Whether no project is on this host, and no cloud was asked."""
        return not any(each.kind in ("project", "cloud") for each in self.sections)


def make_report(scene, answers, seconds):
    """Return the Report of a Scene and the Answers to its probes."""
    asked = answers.get("standing")
    standing = asked.value if asked else None
    sections = []
    if asked and asked.error:
        found = judging.Finding("init", scene.init.name, asked.error, False, facts={"error": asked.error})
        sections.append(ReportSection("init", "", "Init", [found]))
    sections += [_project(project, scene, standing, answers) for project in scene.projects]
    sections.append(ReportSection("supports", "", "What they need", _supports(scene, standing, answers)))
    rooms = {path: answers["disk", path] for path in scene.folders}
    sections.append(ReportSection("disks", "", "Disk space", judging.rooms(rooms)))
    if scene.cloud is not None:
        sections.append(_cloud(scene.cloud.login.url, answers))
    left_out = scene.left_out + list(_left_out(scene, answers, standing))
    return Report([each for each in sections if each.findings], left_out, seconds, scene.init.name)


def _project(project, scene, standing, answers):
    extra = [each for each in standing.instances if each.kind.project == project.name] if standing else []
    services = list(project.services) + extra
    states, reasons = (standing.states, standing.reasons) if standing else (None, {})
    findings = [judging.service(each, states, reasons) for each in services]
    hosts = {name: each.host or each.unit for each in services for name in (each.kind.name, each.unit)}

    def is_meant(name):
        # Without a unit of its own, httpd serves it.
        return None if states is None else judging.is_meant(states.get(hosts.get(name, "httpd")))

    for address in scene.addresses.get(project.name, ()):
        found = judging.endpoint(address, answers["endpoint", address.url], is_meant(address.service))
        findings += [found] if found else []
    if ("database", project.name) in answers:
        meant = None if states is None else any(map(is_meant, hosts))
        findings += judging.databases(project, answers["database", project.name], meant)
    return ReportSection("project", project.name, project.title, findings, project.release)


def _supports(scene, standing, answers):
    states = standing.states if standing else {}
    found = [
        judging.support(name, facts, unit, states.get(unit), answers.get(("support", name)))
        for name, facts, unit in scene.supports
    ]
    services = [each for project in scene.projects for each in project.services]
    meant = any(judging.is_meant(states.get(each.unit)) for each in services) if standing else None
    return found + [judging.bus(place, answers["bus", place], meant) for place in scene.buses]


def _cloud(url, answers):
    """Return the ReportSection of what the cloud says, or of the login that failed."""
    login = answers["login"]
    if login.value is None:
        found = judging.Finding("login", url, login.error, False, facts={"error": login.error})
        return ReportSection("cloud", url, "Cloud", [found])
    facts = {"user": login.value}
    findings = [judging.Finding("login", url, "logged in", True, "as %s" % login.value, facts=facts)]
    for question in LISTS:
        counted = judging.listing(question, answers["cloud", question.name])
        findings += [counted] if counted else []
    for question in AGENTS:
        findings += judging.agents(question, answers["cloud", question.name])
    return ReportSection("cloud", url, "Cloud", findings)


def _left_out(scene, answers, standing):
    """Say what was not looked at, and why."""
    has_login = "login" in answers and answers["login"].value is not None
    for key, answer in answers.items():
        if answer.left_out and (key[0] != "cloud" or has_login):
            yield "%s: %s" % (LEFT_OUT.get(key[0], "%s") % key[1], answer.left_out)
    for path in sorted(scene.settings.closed):
        yield "settings of %s: it may not be read" % path
    silent = [unit for unit, reason in standing.reasons.items() if not reason] if standing else []
    if silent and os.geteuid() != 0:
        yield "last errors of %s: the journal may not be read" % ", ".join(silent)

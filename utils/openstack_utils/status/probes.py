# SPDX-License-Identifier: MIT
"""What is asked of a Scene: a function for each thing, which takes its Limit and returns what it found."""

from functools import partial
from typing import NamedTuple

from ..service.selection import Service, sort
from . import databases, disks, endpoints, failures, talks
from .cloud import AGENTS, LISTS


class Standing(NamedTuple):
    """How the services stand: {unit: State}, {unit: last error}, and instances that run unasked."""

    states: dict
    reasons: dict
    instances: list


def make_probes(scene):
    """Return {key: function(limit)}; a key is (kind, name), or the kind of what there is one of."""
    probes: dict = {"standing": partial(_standing, scene)} if scene.init.name else {}
    for found in scene.addresses.values():
        for address in found:
            probes["endpoint", address.url] = partial(endpoints.look, address.url)
    for project in scene.catalogued:
        if project.facts["databases"]:
            probes["database", project.name] = partial(databases.check, project, scene.settings)
    for name, facts, _ in scene.supports:
        if facts["talk"]:
            places = facts["sockets"] + ([("127.0.0.1", facts["port"])] if facts["port"] else [])
            probes["support", name] = partial(talks.ask, facts["talk"], places)
    for place in scene.buses:
        probes["bus", place] = partial(talks.ask, "amqp", [place])
    for path in scene.folders:
        probes["disk", path] = partial(disks.look, path)
    if scene.cloud is not None:
        probes["login"] = scene.cloud.enter
        for question in LISTS + AGENTS:
            probes["cloud", question.name] = partial(scene.cloud.listing, question)
    return probes


def _standing(scene, limit):
    """Ask the init system for all services and supports at once, and the logs for those that failed."""
    instances = _running_instances(scene, limit)
    services = [(each, project.facts) for project in scene.projects for each in project.services]
    services += [(each, None) for each in instances]
    units = [each.host or each.unit for each, _ in services] + [unit for _, _, unit in scene.supports]
    states = scene.init.states(list(dict.fromkeys(units)), limit.left())
    reasons = {}
    for each, facts in services:
        state = states.get(each.unit)
        if state is not None and (state.active == "failed" or state.sub == "auto-restart"):
            known = facts["services"].get(each.kind.name) if facts else None
            reasons[each.unit] = failures.last_error(each, known["log"] if known else None, limit)
    return Standing(states, reasons, instances)


def _running_instances(scene, limit):
    """Return the Services of instances of templates that run though nothing starts them at boot."""
    host = scene.host
    if not host.templates:
        return []
    new = scene.init.running_instances(limit.left()) - {each.unit for each in host.services}
    names = {project.name for project in scene.projects}
    found = [
        Service(name, scene.known.kind(name)) for name in new if name.partition("@")[0] in host.templates
    ]
    return sort([each for each in found if each.kind.project in names])

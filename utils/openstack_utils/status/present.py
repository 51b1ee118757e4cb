# SPDX-License-Identifier: MIT
"""Which projects of the catalogue are on this host, in which release, and what belongs to them."""

from typing import NamedTuple, Optional

from ..errors import UsageError


class PresentProject(NamedTuple):
    """A project on this host: `facts` are its release's in services.json, None for one unknown."""

    name: str
    title: str
    release: str
    facts: Optional[dict]
    services: tuple


def find_projects(known, services, settings):
    """Return the Projects of this host, in the order of their start.

    `services` are the service.selection.Services that are installed here; a project without any is here
    too if its configuration is.
    """
    found = []
    for name in known.data["order"]:
        facts = known.data["projects"][name]
        mine = tuple(each for each in services if each.kind.project == name)
        release = choose_release(known, name, mine, settings)
        files = facts["releases"][release]["configuration"]
        if mine or any(settings.exists(path) or settings.is_closed(path) for path in files):
            found.append(PresentProject(name, facts["title"], release, facts["releases"][release], mine))
    others = [each.kind.project for each in services if each.kind.project not in known.projects]
    for name in sorted(set(others)):
        mine = tuple(each for each in services if each.kind.project == name)
        found.append(PresentProject(name, "not in the catalogue", "", None, mine))
    return found


def choose_release(known, name, services, settings):
    """Return the release that looks most like what is here, by units and files; the newest of equals."""
    units = {each.kind.name for each in services}
    releases = known.data["projects"][name]["releases"]

    def likeness(release):
        facts = releases[release]
        files = set(facts["configuration"])
        files.update(each["http"]["option"]["file"] for each in facts["services"].values() if each["http"])
        return sum(map(settings.exists, files)) + len(units & set(facts["services"]))

    order = [release for release in known.data["releases"] if release in releases]
    return max(reversed(order), key=likeness)


def choose(known, projects, words):
    """Return the Projects that words name, all without any. Raises UsageError for a word that names none."""
    if not words:
        return projects
    here = {project.name: project for project in projects}
    wanted = []
    for word in words:
        name = known.project(word) or (word if word in here else None)
        if name is None:
            names = [each for pair in known.projects.items() for each in (pair[0],) + pair[1]]
            hint = "projects are %s" % ", ".join(names + sorted(set(here) - set(names)))
            raise UsageError('unknown project "%s"' % word, hint=hint)
        wanted.append(name)
    return [project for project in projects if project.name in wanted]

# SPDX-License-Identifier: MIT
"""The order in which a host's services are started: projects by what they need, services by their units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from builder.catalogue.model import Catalogue, ProjectRelease
from builder.errors import Problem
from builder.schema import did_you_mean


def project_order(catalogue: Catalogue) -> list[str]:
    """Return the names of the projects, each after those that it needs, else in the order of the alphabet.

    Raises:
        ValueError: they need each other in a circle; the text names them.
    """
    needs = {name: project.needs for name, project in catalogue.projects.items()}
    return sort(sorted(needs), needs)


def service_order(release: ProjectRelease) -> list[str]:
    """Return the names of the services, by `after` and `before` of their units, else as they stand.

    Raises:
        ValueError: they are after each other in a circle; the text names them.
    """
    after: dict[str, list[str]] = {name: [] for name in release.services}
    for name, service in release.services.items():
        after[name] += [unit.removesuffix(".service") for unit in service.after]
        for unit in service.before:
            if (other := unit.removesuffix(".service")) in after:
                after[other].append(name)
    return sort(list(after), after)


def sort(names: Sequence[str], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return `names` sorted so that each follows those it is `after`; names not in the list are ignored.

    Raises:
        ValueError: there is a circle; the text names its members and what depends on them.
    """
    done: list[str] = []
    waiting = list(names)
    while waiting:
        ready = next((name for name in waiting if not set(after[name]) & set(waiting)), None)
        if ready is None:
            raise ValueError(f"{', '.join(waiting)} wait for each other")
        done.append(ready)
        waiting.remove(ready)
    return done


def check_order(catalogue: Catalogue) -> Iterator[Problem]:
    """Return what is wrong with `needs`, `after` and `before`."""
    for project in catalogue.projects.values():
        for name in project.needs:
            if name not in catalogue.projects:
                hint = did_you_mean(name, catalogue.projects)
                yield Problem(where=project.where, message=f'needs: unknown project "{name}"', hint=hint)
        for release in project.releases.values():
            try:
                service_order(release)
            except ValueError as error:
                yield Problem(where=release.where, message=f"services: {error}")
    try:
        project_order(catalogue)
    except ValueError as error:
        first = next(iter(catalogue.projects.values()))
        yield Problem(where=first.where, message=f"needs: {error}")

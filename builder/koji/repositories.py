# SPDX-License-Identifier: MIT
"""The repository that a target builds from, waited for until it holds builds: between the links of a chain.

Since Koji 1.35 a hub makes a repository when one is asked for (its docs, repo_generation.rst). Before, kojira
made one after each change of a tag.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from builder.errors import RemoteError
from builder.koji.hub import Hub
from builder.koji.tasks import Task
from builder.report import Report

# How long a repository may take to hold a build before we stop waiting, in seconds.
LIMIT = 3600.0
REQUEST = "repo.request"


def check_chain(hub: Hub, target: dict[str, Any]) -> None:
    """Refuse a target whose repository never holds what is built for it.

    Args:
        target: the row of the hub's getBuildTarget.

    Raises:
        RemoteError: its build tag does not inherit its destination.
    """
    parents = {link["parent_id"] for link in hub.ask("getFullInheritance", target["build_tag"])}
    if target["dest_tag"] not in parents | {target["build_tag"]}:
        raise RemoteError(
            f"{hub.profile.server}: the target {target['name']} cannot be used for a chain: "
            f"{target['build_tag_name']} does not inherit {target['dest_tag_name']}",
            hint="choose another target with --koji-target, or build without --chain",
        )


def wait_for_repository(
    hub: Hub,
    target: dict[str, Any],
    tasks: Sequence[Task],
    report: Report,
    *,
    pause: Callable[[float], None] = time.sleep,
    limit: float = LIMIT,
) -> None:
    """Wait until the repository that `target` builds from holds what the tasks built; ask for it if need be.

    Args:
        target: the row of the hub's getBuildTarget.
        limit: seconds.

    Raises:
        RemoteError: the repository does not hold it in time, or the hub failed to make it.
    """
    from koji.util import checkForBuilds

    tag, name = target["build_tag"], target["build_tag_name"]
    builds = [build for task in tasks for build in hub.ask("listBuilds", taskID=task.id)]
    source = _find_source(hub, tag)
    asking = _Asking(hub)
    tagged, waited = False, 0.0
    while True:
        # Nothing is to be asked for before the builds are tagged: a gate may hold them.
        tagged = tagged or checkForBuilds(asking, tag, builds, None)
        if tagged:
            event = source.newest()
            if event is not None and checkForBuilds(asking, tag, builds, event):
                return
        if waited >= limit:
            names = ", ".join(build["nvr"] for build in builds)
            raise RemoteError(
                f"{hub.profile.server}: after {int(limit) // 60} minutes the repository of {name} "
                f"does not hold {names}",
                hint="the finished builds remain; submit the other packages when koji wait-repo ends",
            )
        report.transient(f"repository of {name}: waiting for {len(builds)} builds, {int(waited)} s")
        pause(hub.profile.poll_interval)
        waited += hub.profile.poll_interval


def _find_source(hub: Hub, tag: int) -> _Requested | _Made:
    if REQUEST in hub.ask("system.listMethods"):
        return _Requested(hub, tag)
    return _Made(hub, tag)


@dataclass(slots=True)
class _Made:
    """The repositories of a hub that makes them by itself."""

    hub: Hub
    tag: int

    def newest(self) -> int | None:
        """Return the event of the newest one, None where there is none."""
        repository = self.hub.ask("getRepo", self.tag)
        return int(repository["create_event"]) if repository else None


@dataclass(slots=True)
class _Requested:
    """The repositories of a hub that makes them on request: one request, followed until it is met."""

    hub: Hub
    tag: int
    request: int | None = None

    def newest(self) -> int | None:
        """Return the event of the one that meets the request, None while it is made.

        Raises:
            RemoteError: the hub gave up.
        """
        if self.request is None:
            # A request that is made already is not made again: a cut connection does no harm.
            answer = self.hub.ask(REQUEST, self.tag, min_event="last")
        else:
            answer = self.hub.ask("repo.checkRequest", self.request)
        if answer["repo"]:
            self.request = None
            return int(answer["repo"]["create_event"])
        row = answer["request"]
        self.request = int(row["id"])
        if not row["active"]:
            task = row["task_id"]
            raise RemoteError(
                f"{self.hub.profile.server}: the hub gave up making a repository of {row['tag_name']}"
                + (f": task {task} failed" if task else ""),
                hint="the finished builds remain; "
                + (f"see {self.hub.profile.task_page(task)}" if task else "ask the hub's administrators"),
            )
        return None


class _Asking:
    """A hub in the form that koji.util takes: methods as attributes."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *arguments, **keywords: self._hub.ask(method, *arguments, **keywords)

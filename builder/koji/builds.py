# SPDX-License-Identifier: MIT
"""Builds of packages on a hub: planned as data, then submitted so that nothing is submitted twice.

A submission carries a mark of its own in its options (`custom_user_metadata`, which the hub keeps with the
task). Where the connection breaks while a build is submitted, the hub is asked for a task of ours with that
mark before anything is sent again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.errors import InputError, RemoteError
from builder.koji.hub import Call, Hub, Lost
from builder.koji.tasks import Task, make_task
from builder.report import Report

# Relative to koji.PRIO_DEFAULT; higher is later.
BACKGROUND = 5
MARK = "openstack-builder"
# How long a repository may take to hold a build before we stop waiting, in seconds.
REPOSITORY_WAIT = 3600.0
# A task of ours is searched for among the last day's: the hub's clock is not ours.
LOOK_BACK = 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """How builds are made: `arches` and `scratch` as Koji's --arch-override and --scratch."""

    scratch: bool = True
    arches: tuple[str, ...] = ()
    background: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One build to submit.

    `source` is the source RPM to upload, or the SCM address that the hub clones; `link` counts the links of
    the chain, 0 for the first.
    """

    package: str
    target: str
    hub_target: str
    source: Path | str
    link: int = 0
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.package} for {self.target}"

    @property
    def folder(self) -> str:
        """Where its source RPM goes in the hub's work area: a folder nobody else uses."""
        return f"cli-build/{self.mark}"

    def calls(self, options: TaskOptions) -> tuple[Call, ...]:
        """Return the calls that submit it, in order."""
        calls: list[Call] = []
        source = self.source
        if isinstance(source, Path):
            calls.append(Call("uploadWrapper", (str(source), self.folder)))
            source = f"{self.folder}/{source.name}"
        words: dict[str, Any] = {"scratch": options.scratch, "custom_user_metadata": {MARK: self.mark}}
        if options.arches:
            words["arch_override"] = " ".join(options.arches)
        priority = BACKGROUND if options.background else None
        calls.append(Call("build", (source, self.hub_target, words, priority)))
        return tuple(calls)


def check_options(options: TaskOptions, *, chain: bool) -> None:
    """Refuse what Koji cannot do.

    Raises:
        InputError: --arch-override of a real build, a chain of scratch builds.
    """
    if options.arches and not options.scratch:
        raise InputError(
            "--arch-override is for scratch builds: a real build is made for every architecture of the tag",
            hint="leave out --real or --arch-override",
        )
    if chain and options.scratch:
        raise InputError(
            "--chain needs --real: scratch builds never reach the repository that the next link builds from",
            hint="add --real, or leave out --chain",
        )


def check_targets(
    hub: Hub, submissions: Sequence[Submission], options: TaskOptions
) -> dict[str, dict[str, Any]]:
    """Ask for the build target of each submission, in one request; return them by name.

    Raises:
        RemoteError: the hub has no such target, or its destination is locked.
    """
    names = list(dict.fromkeys(one.hub_target for one in submissions))
    found = dict(zip(names, hub.ask_all([Call("getBuildTarget", (name,)) for name in names]), strict=True))
    for name, target in found.items():
        if not target:
            raise RemoteError(
                f"{hub.profile.server}: there is no build target {name}",
                hint="see koji list-targets, and --koji-target",
            )
    tags = hub.ask_all([Call("getTag", (found[name]["dest_tag"],)) for name in names])
    for name, tag in zip(names, tags, strict=True):
        if not tag:
            raise RemoteError(f"{hub.profile.server}: the target {name} has no destination tag")
        if tag.get("locked") and not options.scratch:
            raise RemoteError(
                f"{hub.profile.server}: the tag {tag['name']} of the target {name} is locked",
                hint="a scratch build needs no tag: leave out --real",
            )
    return found


def submit(
    hub: Hub,
    submission: Submission,
    options: TaskOptions,
    report: Report,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Upload the source and submit the build; return the task's number.

    Raises:
        RemoteError: the hub refused, or is gone.
    """
    *uploads, build = submission.calls(options)
    for _ in uploads:
        assert isinstance(submission.source, Path)
        hub.upload(
            submission.source,
            submission.folder,
            lambda sent, total: report.transient(
                f"upload  {submission.label}  {sent >> 10} of {total >> 10} KiB"
            ),
        )
    return submit_once(hub, build, lambda: find_marked(hub, submission.mark), pause=pause)


def submit_once(
    hub: Hub, call: Call, find: Callable[[], int | None], *, pause: Callable[[float], None] = time.sleep
) -> int:
    """Make a call that creates a task, once, whatever the connection does; return the task's number.

    Args:
        find: asks the hub whether the task already exists.

    Raises:
        RemoteError: the hub refused, or the connection broke three times in a row.
    """
    for attempt in range(1, 4):
        try:
            return int(hub.submit(call))
        except Lost as error:
            there = find()
            if there is not None:
                return there
            if attempt == 3:
                raise RemoteError(
                    f"{hub.profile.server}: {call.method}: {error}",
                    hint="nothing was submitted; try again when the hub is up",
                ) from error
        pause(2.0 * attempt)
    raise AssertionError("unreachable")


def find_marked(hub: Hub, mark: str) -> int | None:
    """Return the number of the build task that carries the mark, None where there is none."""
    user = hub.ask("getLoggedInUser")
    rows = hub.ask(
        "listTasks",
        {
            "method": "build",
            "owner": user["id"],
            "createdAfter": time.time() - LOOK_BACK,
            "decode": True,
        },
    )
    for row in rows:
        words = make_task(row).request
        options = words[2] if len(words) > 2 and isinstance(words[2], dict) else {}
        if (options.get("custom_user_metadata") or {}).get(MARK) == mark:
            return int(row["id"])
    return None


def links(submissions: Sequence[Submission]) -> list[list[Submission]]:
    """Return the submissions by the links of their chain, in order."""
    numbers = sorted({one.link for one in submissions})
    return [[one for one in submissions if one.link == number] for number in numbers]


def wait_for_repository(
    hub: Hub,
    target: dict[str, Any],
    tasks: Sequence[Task],
    report: Report,
    *,
    pause: Callable[[float], None] = time.sleep,
    limit: float = REPOSITORY_WAIT,
) -> None:
    """Wait until the repository that `target` builds from holds what the tasks built.

    Args:
        target: the row of the hub's getBuildTarget.
        limit: seconds.

    Raises:
        RemoteError: the repository does not hold it in time, or can never hold it.
    """
    from koji.util import checkForBuilds

    tag, name = target["build_tag"], target["build_tag_name"]
    parents = {link["parent_id"] for link in hub.ask("getFullInheritance", tag)}
    if target["dest_tag"] not in parents | {tag}:
        raise RemoteError(
            f"{hub.profile.server}: the target {target['name']} cannot be used for a chain: "
            f"{name} does not inherit {target['dest_tag_name']}",
            hint="choose another target with --koji-target, or build without --chain",
        )
    builds = [build for task in tasks for build in hub.ask("listBuilds", taskID=task.id)]
    waited = 0.0
    while True:
        repository = hub.ask("getRepo", tag)
        if repository and checkForBuilds(_Asking(hub), tag, builds, repository["create_event"]):
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


class _Asking:
    """A hub in the form that koji.util takes: methods as attributes."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *arguments, **keywords: self._hub.ask(method, *arguments, **keywords)

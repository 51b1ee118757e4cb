# SPDX-License-Identifier: MIT
"""Tasks of a hub, as data: what each is, how it stands, and the tree below one that was submitted.

States as in koji.TASK_STATES; fields as in the hub's getTaskInfo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from builder.errors import RemoteError
from builder.koji.hub import Call, Hub


class NoSuchTask(RemoteError):
    """The hub has no task of a number."""


class TaskState(IntEnum):
    """How a task stands."""

    FREE = 0
    OPEN = 1
    CLOSED = 2
    CANCELED = 3
    ASSIGNED = 4
    FAILED = 5

    @property
    def is_over(self) -> bool:
        """Say whether the hub will do no more about the task."""
        return self in (TaskState.CLOSED, TaskState.CANCELED, TaskState.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task; `since` is when it began, else when it was made, in seconds since the epoch.

    `request` is what the task was asked to do: for a build its source, target and options.
    """

    id: int
    parent: int | None
    method: str
    state: TaskState
    arch: str
    host: int | None
    since: float | None
    ended: float | None
    label: str
    request: tuple[Any, ...] = ()
    children: tuple[Task, ...] = ()

    @property
    def name(self) -> str:
        """What a person calls it: the method, and what it works on."""
        return f"{self.method} {self.label}".rstrip()

    def walk(self) -> Iterator[Task]:
        """Yield the task and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def read_trees(hub: Hub, ids: Sequence[int]) -> tuple[Task, ...]:
    """Ask for tasks with all below them, in one request.

    Raises:
        NoSuchTask: the hub has no such task.
        RemoteError: the hub does not answer.
    """
    calls = [Call("getTaskInfo", (number, True)) for number in ids]
    calls += [Call("getTaskDescendents", (number, True)) for number in ids]
    answers = hub.ask_all(calls)
    for number, info in zip(ids, answers[: len(ids)], strict=True):
        if info is None:
            raise NoSuchTask(
                f"{hub.profile.server}: there is no task {number}",
                hint="is it a task of another hub? --profile",
            )
    return tuple(
        _tree(info, descendents)
        for info, descendents in zip(answers[: len(ids)], answers[len(ids) :], strict=True)
    )


def _tree(info: Mapping[str, Any], descendents: Mapping[str, Sequence[Mapping[str, Any]]]) -> Task:
    children = descendents.get(str(info["id"]), ())
    return make_task(info, tuple(_tree(child, descendents) for child in children))


def make_task(info: Mapping[str, Any], children: tuple[Task, ...] = ()) -> Task:
    """Return the task that a row of the hub describes."""
    request = tuple(info.get("request") or ())
    return Task(
        id=int(info["id"]),
        parent=info.get("parent"),
        method=str(info["method"]),
        state=TaskState(info["state"]),
        arch=str(info.get("arch") or ""),
        host=info.get("host_id"),
        since=info.get("start_ts") or info.get("create_ts"),
        ended=info.get("completion_ts"),
        label=_label(str(info["method"]), request, info.get("label")),
        request=request,
        children=children,
    )


def _label(method: str, request: Sequence[Any], label: object) -> str:
    """Return what a task works on: the name of its source, or of its image."""
    if method == "createImage" and request:
        return str(request[0])
    if method in ("build", "buildArch", "rebuildSRPM", "buildSRPMFromSCM", "image") and request:
        source = str(request[0]).split("#")[0].rstrip("/").rpartition("/")[2].removesuffix(".git")
        return source.removesuffix(".src.rpm")
    return str(label or "")

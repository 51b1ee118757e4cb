# SPDX-License-Identifier: MIT
"""Follows tasks until they are over: one request a poll, for those that are not over.

A terminal sees one live table; anything else only what changed: a line when a task begins, and one when it
ends. An interruption ends the watching, not the tasks.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from builder.koji.hub import Call, Hub
from builder.koji.tasks import NoSuchTask, Task, TaskState, read_trees
from builder.report import Report, format_table

# Seconds between two polls at least, however many tasks there are.
LEAST = 1.0
HEADER = ("task", "state", "arch", "host", "for", "what")


@dataclass(kw_only=True)
class Watch:
    """A watch over tasks of one hub.

    Args:
        pause: waits the seconds given between two polls.
        now: the time, in seconds since the epoch.
    """

    hub: Hub
    report: Report
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    hosts: dict[int, str] = field(default_factory=dict)
    seen: dict[int, TaskState] = field(default_factory=dict)
    saved: float = field(default=0.0, init=False)

    def follow(self, ids: Sequence[int]) -> tuple[Task, ...]:
        """Poll until all of `ids` are over; return them with all below them.

        Raises:
            NoSuchTask: the hub has no task of one of the numbers.
            RemoteError: the hub does not answer any more.
        """
        found: dict[int, Task] = {}
        left = list(ids)
        try:
            while True:
                found |= {tree.id: tree for tree in read_trees(self.hub, left)}
                trees = tuple(found[number] for number in ids)
                self._name_hosts(trees)
                self._show(trees)
                left = [tree.id for tree in trees if not tree.state.is_over]
                if not left:
                    return trees
                self.pause(self._interval(len(left)))
        except NoSuchTask:
            raise
        except BaseException:
            self.report.note(f"the tasks go on; to watch them: {resume_command(self.hub, ids)}")
            raise
        finally:
            self.report.live([])

    def _interval(self, tasks: int) -> float:
        """Return the seconds to the next poll, with `tasks` that are not over.

        Each task is asked for as often as the profile says, on the average of all of them. One poll asks for
        all, so many tasks save requests (`saved`); the last of them is then noticed as soon as the first.
        """
        every = self.hub.profile.poll_interval
        pause = max(LEAST, (1 - self.saved) * every / tasks)
        self.saved += pause * tasks / every - 1
        return pause

    def _name_hosts(self, trees: Sequence[Task]) -> None:
        """Ask once for the name of each host that is new."""
        unknown = sorted(
            {
                task.host
                for tree in trees
                for task in tree.walk()
                if task.host is not None and task.host not in self.hosts
            }
        )
        for number, host in zip(
            unknown, self.hub.ask_all([Call("getHost", (number,)) for number in unknown]), strict=True
        ):
            self.hosts[number] = str(host["name"]) if host else str(number)

    def _show(self, trees: Sequence[Task]) -> None:
        rows = [self._row(task) for tree in trees for task in tree.walk()]
        for tree in trees:
            for task in tree.walk():
                if self.seen.get(task.id) is not task.state and task.state is not TaskState.FREE:
                    self.report.note("  ".join(cell for cell in self._row(task) if cell))
                self.seen[task.id] = task.state
        over = sum(tree.state.is_over for tree in trees)
        self.report.live([*format_table(HEADER, rows), f"{over} of {len(trees)} done"])

    def _row(self, task: Task) -> tuple[str, ...]:
        until = task.ended if task.state.is_over and task.ended else self.now()
        lasted = "" if task.since is None else _duration(max(0.0, until - task.since))
        host = self.hosts.get(task.host, "") if task.host is not None else ""
        return (str(task.id), task.state.name.lower(), task.arch, host, lasted, task.name)


def resume_command(hub: Hub, ids: Sequence[int]) -> str:
    """Return the command that watches the tasks again."""
    words = ["openstack-builder", "koji", "watch", "--profile", hub.profile.name]
    if hub.profile.config is not None:
        words += ["--config", str(hub.profile.config)]
    return shlex.join([*words, *map(str, ids)])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

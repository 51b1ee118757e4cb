# SPDX-License-Identifier: MIT
"""Why a task failed: which one, on which host, and the first real error of its logs."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.koji.hub import Hub
from builder.koji.tasks import Task, TaskState

# The logs of a task in the order they are looked into, each with the patterns of its first real error:
# rpmbuild's and the compilers' words in build.log, dnf's in root.log, mock's own in mock_output.log.
PATTERNS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "build.log": (
        re.compile(r"^(?:.*?: )?(?:fatal )?error: (?!Bad exit status)(?P<why>.+)$", re.IGNORECASE),
        re.compile(r"^(?P<why>(?:\w+Error|\w+Exception): .+)$"),
        re.compile(r"^(?P<why>.*(?:: not found|command not found|No such file or directory)\s*)$"),
        re.compile(r"^(?P<why>.*No space left on device.*)$"),
        re.compile(r"^error: (?P<why>Bad exit status.+)$"),
    ),
    "root.log": (
        re.compile(r"(?P<why>No matching package to install: .+)$"),
        re.compile(r"(?P<why>nothing provides .+)$"),
        re.compile(r"Problem(?: \d+)?: (?P<why>.+)$"),
        re.compile(r"Error: (?P<why>.+)$"),
    ),
    "mock_output.log": (re.compile(r"^ERROR: (?P<why>.+)$"), re.compile(r"(?P<why>\w+Error: .+)$")),
}
# What is read of a log, from its end: the error stands near it.
LOG_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A failed task: what the hub says of it, and the first real error of a log, where there is one."""

    task: Task
    host: str
    result: str
    log: str | None
    reason: str | None

    def lines(self, page: str) -> list[str]:
        """Return the lines of an error; `page` is the address of the task's page."""
        where = f" on {self.host}" if self.host else ""
        why = f"{self.log}: {self.reason}" if self.reason else self.result
        return [f"task {self.task.id} {self.task.name} {self.task.arch}{where}: {why}", page]


def explain(hub: Hub, root: Task) -> list[Failure]:
    """Return the tasks below `root` that failed themselves, not for a child of theirs.

    Raises:
        RemoteError: the hub does not answer.
    """
    return [_explain(hub, task) for task in culprits(root)]


def culprits(root: Task) -> list[Task]:
    """Return the deepest tasks that failed; where none did, those that were cancelled."""
    for state in (TaskState.FAILED, TaskState.CANCELED):
        found = [
            task
            for task in root.walk()
            if task.state is state and not any(child.state is state for child in task.children)
        ]
        if found:
            return found
    return []


def _explain(hub: Hub, task: Task) -> Failure:
    host = ""
    if task.host is not None:
        row = hub.ask("getHost", task.host)
        host = str(row["name"]) if row else str(task.host)
    result = "it was cancelled"
    if task.state is TaskState.FAILED:
        result = fault_of(hub.ask("getTaskResult", task.id, raise_fault=False))
    names = hub.ask("listTaskOutput", task.id, stat=True)
    logs = {
        name: read_tail(hub, task.id, name, int(names[name].get("st_size", 0)))
        for name in PATTERNS
        if name in names
    }
    found = first_error(logs)
    return Failure(
        task=task,
        host=host,
        result=result,
        log=found[0] if found else None,
        reason=found[1] if found else None,
    )


def fault_of(result: object) -> str:
    """Return what a failed task says of itself in one line; of a traceback, the last one."""
    text = str(result.get("faultString") or "") if isinstance(result, dict) else ""
    lines = text.strip().splitlines() or ["it failed"]
    return lines[-1 if lines[0].startswith("Traceback ") else 0].strip()


def read_tail(hub: Hub, task: int, name: str, size: int) -> str:
    """Return the end of a task's log as text, LOG_BYTES at most."""
    offset = max(0, size - LOG_BYTES)
    data = hub.ask("downloadTaskOutput", task, name, offset=offset, size=LOG_BYTES)
    return base64.b64decode(data).decode(errors="replace")


def first_error(logs: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the log and the text of the first real error, None where no log has one.

    Patterns of a log are tried in their order: a compiler's message says more than rpmbuild's about it.
    """
    for name, patterns in PATTERNS.items():
        lines = logs.get(name, "").splitlines()
        for pattern in patterns:
            if why := _first(pattern, lines):
                return name, why
    return None


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> str | None:
    for line in lines:
        if match := pattern.search(line):
            return match["why"].strip()
    return None

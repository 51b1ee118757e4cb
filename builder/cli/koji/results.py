# SPDX-License-Identifier: MIT
"""What all actions say of tasks that are over."""

from __future__ import annotations

from collections.abc import Sequence

from builder.cli import Context
from builder.errors import BuildError, RemoteError, joined
from builder.koji.failure import explain
from builder.koji.hub import Hub
from builder.koji.tasks import Task, TaskState
from builder.report import format_table


def finish(hub: Hub, trees: Sequence[Task], context: Context, *, as_json: bool) -> int:
    """Print the tasks and how they ended.

    Raises:
        RemoteError: a task failed: which one, where, and the first real error of its logs.
    """
    if as_json:
        context.report.json([show(tree) for tree in trees])
    else:
        for tree in trees:
            if tree.state is TaskState.CLOSED:
                context.report.result(str(tree.id))
        rows = [(str(tree.id), tree.state.name.lower(), tree.name) for tree in trees]
        for line in format_table(("task", "state", "what"), rows):
            context.report.note(line)
    failures: list[BuildError] = [
        _as_error(hub, failed) for failed in trees if failed.state is not TaskState.CLOSED
    ]
    if failures:
        raise joined(failures)
    return 0


def _as_error(hub: Hub, tree: Task) -> BuildError:
    found = explain(hub, tree)
    if not found:
        return RemoteError(
            f"task {tree.id} {tree.name}: {tree.state.name.lower()}", hint=hub.profile.task_page(tree.id)
        )
    lines = [failure.lines(hub.profile.task_page(failure.task.id)) for failure in found]
    more = f" (and {len(lines) - 1} more tasks)" if len(lines) > 1 else ""
    return RemoteError(
        lines[0][0] + more,
        hint=f"see {lines[0][1]}, or openstack-builder koji fetch {tree.id} for all logs",
    )


def show(tree: Task) -> dict[str, object]:
    """Return a task with all below it for --json."""
    return {
        "id": tree.id,
        "method": tree.method,
        "label": tree.label,
        "arch": tree.arch,
        "state": tree.state.name.lower(),
        "children": [show(child) for child in tree.children],
    }

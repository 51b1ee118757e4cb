# SPDX-License-Identifier: MIT
"""Submit several tasks to a hub, each named as it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.cli import Context
from builder.koji.hub import Hub
from builder.koji.watch import resume_command


def submit_all(hub: Hub, submissions: Mapping[str, Callable[[], int]], context: Context) -> list[int]:
    """Submit each and return the tasks' numbers, in that order.

    Args:
        submissions: what is built, by the label of the line that names the task; each function submits one
            and returns the number of its task.

    Where one fails, a note names the tasks that the hub has already, and the error goes on.
    """
    tasks: list[int] = []
    try:
        for label, submit in submissions.items():
            tasks.append(submit())
            context.report.note(f"task {tasks[-1]}  {label}  {hub.profile.task_page(tasks[-1])}")
    except BaseException:
        if tasks:
            context.report.note(f"submitted so far; to watch them: {resume_command(hub, tasks)}")
        raise
    return tasks

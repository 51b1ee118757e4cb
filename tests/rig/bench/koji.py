# SPDX-License-Identifier: MIT
"""koji build: what we add to a hub's own time for twenty tasks, and how often we ask while they run.

`python -m tests.rig.bench.koji [--json FILE] [--runs N]`. The hub is the stand-in of tests/koji, whose tasks
run for some seconds by the clock. Our seconds are the processor's, and those until it is noticed that the
last task is over: on a busy machine the clock says little else. Medians. Exit 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.koji.conftest import TARGET, write_profile
from tests.koji.front import serve
from tests.koji.stand_in_hub import CLOSED, OPEN, StandInHub, StandInTask

CHECKOUT = Path(__file__).resolve().parents[3]
# All packages of two targets, uploaded; twenty tasks of packages that the hub clones; one package for each
# target that has it; one.
CLONED = (
    "openstack-cinder", "openstack-glance", "openstack-heat", "openstack-horizon", "openstack-keystone",
    "openstack-neutron", "openstack-nova", "openstack-placement", "openstack-swift", "openstack-utils",
)  # fmt: skip
CASES = {
    "26 uploaded": ("*", "-t", "epel-9", "-t", "epel-10"),
    "20 cloned": (*CLONED, "-t", "fedora-44", "-t", "fedora-45", "--scm", "git+https://example.org/{package}#main"),
    "uploaded": ("openstack-utils", "-t", "*"),
    "1 uploaded": ("openstack-utils", "-t", "epel-9"),
}  # fmt: skip
# Seconds that a task runs; a profile's own interval between polls.
LASTS, INTERVAL = 40.0, 6
# The goals: seconds beyond the hub's for twenty tasks, and requests for each task and minute of watching.
BEYOND, REQUESTS = 2.0, 12.0


class TimedHub(StandInHub):
    """A stand-in whose tasks run by the clock; it keeps when it was asked how they stand."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.script = lambda _hub, task: task.states.__setitem__(slice(None), [OPEN])
        self.polls: list[float] = []

    def post(self, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Answer, and keep the time of a poll."""
        if b"getTaskInfo" in body:
            self.polls.append(time.time())
        return super().post(target, body, headers)

    def getTaskInfo(self, number: int, request: bool = False, strict: bool = False) -> Any:
        """Return a task as it stands now."""
        self._move(self.tasks[number])
        return super().getTaskInfo(number, request, strict)

    def _move(self, task: StandInTask) -> None:
        if time.time() - task.created >= LASTS:
            task.states = [CLOSED]


def main() -> int:
    """Measure, print the table, write the JSON; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.koji", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    args = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, words in CASES.items():
            # The source RPMs are there already, as for a second submission.
            build(Path(folder), (*words, "--dry-run"))
            found[name] = measure(Path(folder), words, args.runs)
    missed = [
        f"{name}: {goal}"
        for name, cost in found.items()
        for goal, met in (
            (f"within {BEYOND} s beyond the hub's for 20 tasks", cost["beyond"] <= allowed(cost["tasks"])),
            (f"{REQUESTS:.0f} requests for each task and minute at most", cost["requests"] <= REQUESTS),
        )
        if not met
    ]
    for name, cost in found.items():
        print(
            f"{name:10} {cost['tasks']:3.0f} tasks  {cost['beyond']:5.2f} s beyond the hub's, "
            f"{cost['clock']:.2f} by the clock  {cost['requests']:5.2f} requests for each task and minute"
        )
    for goal in missed:
        print(f"missed: {goal}")
    if args.json:
        args.json.write_text(json.dumps({"cases": found, "missed": missed}, indent=2))
    return int(bool(missed))


def allowed(tasks: float) -> float:
    """Return the seconds beyond the hub's that so many tasks may take: in proportion, and any for a few."""
    return BEYOND * tasks / 20 if tasks >= 20 else math.inf


def measure(folder: Path, words: tuple[str, ...], runs: int) -> dict[str, float]:
    """Return the medians of `tasks`, `beyond` and `clock` (s), `requests` (for each task and minute)."""
    rows = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as files:
            hub = TimedHub(Path(files))
            with serve(hub) as address:
                config = write_profile(Path(files, "koji.conf"), address, poll_interval=str(INTERVAL))
                began, before = time.time(), os.times()
                build(
                    folder,
                    (
                        *words,
                        "--profile",
                        "here",
                        "--config",
                        str(config),
                        "--koji-target",
                        "epel9-candidate",
                    ),
                )
                ended, after = time.time(), os.times()
        made = [task.created for task in hub.tasks.values()]
        over = max(made) + LASTS
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        rows.append(
            {
                "tasks": len(made),
                "beyond": spent + hub.polls[-1] - over,
                "clock": ended - began - (over - min(made)),
                "requests": len(hub.polls) / len(made) / ((hub.polls[-1] - hub.polls[0]) / 60),
            }
        )
    return {word: statistics.median(row[word] for row in rows) for word in rows[0]}


def build(folder: Path, words: tuple[str, ...]) -> None:
    """Run `koji build` in a folder.

    Raises:
        SystemExit: it failed, and says why.
    """
    argv = [sys.executable, "-m", "builder", "koji", "build", "--profile", "here", "--koji-target", TARGET]
    done = subprocess.run([*argv, *words], cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    sys.exit(main())

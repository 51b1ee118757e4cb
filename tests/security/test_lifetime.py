# SPDX-License-Identifier: MIT
"""Rooms end with the builder: killed at whatever moment, it leaves no process of theirs."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import room
from builder.report import Report
from builder.runner import Runner
from tests.support.other_user import run_as_plain_user
from tests.unit.test_imports import BUILDER, modules, parse

# A room takes some 10 ms to be complete: most of these come before that.
MOMENTS = 120
LATEST = 0.03
KILLED = """\
import os, random, signal, sys, time
random.seed(int(sys.argv[5]))
from pathlib import Path
from builder import room
from builder.report import Report
from builder.runner import Runner
folder, mark = Path(sys.argv[1]), sys.argv[2]
for _ in range(int(sys.argv[3])):
    pid = os.fork()
    if pid == 0:
        room.run_apart(Runner(Report(quiet=True)), ["sleep", mark], writable=folder)
    time.sleep(random.uniform(0, float(sys.argv[4])))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


@pytest.fixture
def seed() -> int:
    """What the moments of a test come from; printed, so that a failure shows it."""
    number = random.SystemRandom().randrange(1 << 32)
    print(f"seed {number}")
    return number


@pytest.fixture
def mark() -> Iterator[str]:
    """A number of seconds to sleep that nobody else sleeps; whoever does is ended."""
    number = str(random.randrange(10**6, 10**7))
    yield number
    for pid in sleeping(number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def sleeping(mark: str) -> list[int]:
    """Return the processes, bubblewrap and its children too, that were started to sleep so long."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if [b"sleep", mark.encode()] == words[-3:-1]:
            found.append(int(entry.parent.name))
    return found


def none_is_left(mark: str) -> bool:
    """Say whether they are all gone; the kernel may take its time."""
    deadline = time.monotonic() + 600
    while sleeping(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not sleeping(mark)


@pytest.mark.parametrize("user", ["root", "plain"])
def test_nothing_of_a_room_outlives_a_builder_that_is_killed(
    tmp_path: Path, mark: str, user: str, seed: int
) -> None:
    if os.geteuid() != 0 and user == "root":
        pytest.skip("needs root")
    tmp_path.chmod(0o755)
    words = [sys.executable, "-c", KILLED, str(tmp_path), mark, str(MOMENTS), str(LATEST), str(seed)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(BUILDER.parent)}

    if user == "plain" and os.geteuid() == 0:
        done = run_as_plain_user(words, tmp_path, environment=environment)
    else:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert none_is_left(mark)


def test_nothing_of_a_room_outlives_the_process_that_was_started(
    tmp_path: Path, mark: str, seed: int
) -> None:
    runner, moments = Runner(Report(quiet=True)), random.Random(seed)

    for _ in range(MOMENTS):
        process = room.start_apart(runner, ["sleep", mark], folder=tmp_path, log=tmp_path / "log")
        time.sleep(moments.uniform(0, LATEST))
        process.kill()
        process.wait()

    assert none_is_left(mark)


@pytest.mark.parametrize("end", [None, "exit 3", "kill -9 $$"])
def test_a_room_ends_as_its_program_does(tmp_path: Path, end: str | None) -> None:
    script = f"sleep 1000 & {end or 'exit 0'}"

    done = room.run_apart(Runner(Report(quiet=True)), ["sh", "-c", script], writable=tmp_path, ok=())

    assert done.returncode == {None: 0, "exit 3": 3, "kill -9 $$": 137}[end]


def starts(path: Path) -> Iterator[ast.Call]:
    """Yield the calls in a module that say how a program is started."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Child":
            yield node


def is_in_a_world(call: ast.Call) -> bool:
    """Say whether such a call makes a pid namespace."""
    return any(word.arg == "apart" and ast.unparse(word.value) == "True" for word in call.keywords)


# Its rooms are in the pid namespace of the inside: test_rooms.
INSIDE = "image/isolation/sandbox.py"


def test_every_room_ends_so() -> None:
    found = {
        str(path.relative_to(BUILDER)): [is_in_a_world(call) for call in starts(path)]
        for path in modules()
        if '"--die-with-parent"' in path.read_text()
    }

    assert INSIDE in found
    assert [name for name, calls in found.items() if not calls or not all(calls)] == [INSIDE]

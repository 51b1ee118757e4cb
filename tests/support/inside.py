# SPDX-License-Identifier: MIT
"""Run a function of a test inside the builder's namespaces, with a folder of the test at /work."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from builder import tools
from builder.image.isolation.idmap import hand_over
from builder.image.isolation.namespaces import Bind, Door, run_inside
from builder.runner import Runner

T = TypeVar("T")


def call_inside(function: Callable[[], T], folder: Path, runner: Runner) -> T:
    """Return what `function` returns, which must pickle: the function is the test's own, not a stranger's."""
    result = folder / "result.pickle"

    def inside(_: Door) -> None:
        Path("/work", result.name).write_bytes(pickle.dumps(function()))

    # Read before: a checkout below /work is hidden by the folder.
    tools.table()
    hand_over(folder)
    work = Bind(source=folder, target="/work", writable=True)
    run_inside(inside, log=folder / "log", binds=(work,), runner=runner)
    value: T = pickle.loads(result.read_bytes())
    result.unlink()
    return value

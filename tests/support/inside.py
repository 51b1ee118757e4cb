# SPDX-License-Identifier: MIT
"""Run a function of a test inside the builder's namespaces, with a folder of the test at /work."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from builder import tools
from builder.idmap import hand_over
from builder.image.build import Build
from builder.image.isolation.namespaces import Bind, Door, run_inside
from builder.report import Report
from builder.runner import Runner

T = TypeVar("T")


def furnish(shell: bytes) -> None:
    """Put `shell`, which needs nothing else, into /tree as /bin/sh, with the folders that rooms mount on."""
    for name in ("bin", "dev", "proc", "run", "sys", "etc", "tmp"):
        Path("/tree", name).mkdir(exist_ok=True)
    program = Path("/tree/bin/sh")
    program.write_bytes(shell)
    program.chmod(0o755)


def as_build() -> Build:
    """Return as much of a build as rooms look at; its folder is /work."""
    stub = SimpleNamespace(
        runner=Runner(Report(quiet=True)),
        reproducible_environment=lambda **_: {},
        options=SimpleNamespace(memory_share=50, network=False, ks_arguments=()),
        share_of=lambda available: available // 2,
        bootstrap=None,
        facts=SimpleNamespace(packages=()),
        work=Path("/work"),
        log=Path("/work/build.log"),
    )
    return cast("Build", cast("Any", stub))


def call_inside(
    function: Callable[[], T],
    folder: Path,
    runner: Runner,
    *,
    binds: tuple[Bind, ...] = (),
    network: bool = False,
) -> T:
    """Return what `function` returns, which must pickle: the function is the test's own, not a stranger's.

    Args:
        binds, network: as of `run_inside`.
    """
    result = folder / "result.pickle"

    def inside(_: Door) -> None:
        Path("/work", result.name).write_bytes(pickle.dumps(function()))

    # Read before: a checkout below /work is hidden by the folder.
    tools.table()
    hand_over(folder)
    work = Bind(source=folder, target="/work", writable=True)
    # The inside's root is made beside the log: in `folder` it would be bound once more with it.
    with tempfile.TemporaryDirectory() as outside:
        log = Path(outside, "log")
        run_inside(inside, log=log, binds=(work, *binds), network=network, runner=runner)
    value: T = pickle.loads(result.read_bytes())
    result.unlink()
    return value

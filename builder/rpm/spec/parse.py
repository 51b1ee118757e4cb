# SPDX-License-Identifier: MIT
"""A spec as rpm reads it for a target, and the options that make rpm read it so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.rpm.build.failure import explain_failure
from builder.rpm.spec.macros import macro_files, render_macros
from builder.rpm.spec.packages import Package
from builder.runner import Runner
from builder.targets import Target


def parse_spec(
    package: Package, target: Target, *, conditions: Sequence[str], without: Sequence[str], runner: Runner
) -> str:
    """Return the text of a spec with every macro and condition worked out for a target.

    Raises:
        InputError: rpm cannot parse it.
    """
    done = runner.run(
        [
            *("rpmspec", "--parse"),
            *load_options(*macro_files(target), Path("/dev/stdin")),
            *condition_options(conditions, without),
            package.spec,
        ],
        # The user's ~/.rpmmacros takes no part.
        env={"HOME": "/"},
        input=render_macros(target),
        ok=(),
    )
    if done.returncode != 0:
        raise explain_failure(package, target, done.stderr, buildroot="", log=None)
    return done.stdout


def load_options(*files: Path) -> list[str | Path]:
    """Return the options that load macro files, in this order."""
    return [word for path in files for word in ("--load", path)]


def condition_options(conditions: Sequence[str], without: Sequence[str]) -> list[str]:
    """Return the options for names of %bcond."""
    options = [word for name in conditions for word in ("--with", name)]
    return options + [word for name in without for word in ("--without", name)]

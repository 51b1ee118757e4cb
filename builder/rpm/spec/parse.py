# SPDX-License-Identifier: MIT
"""A spec as rpm reads it for a target, and the options that make rpm read it so."""

from __future__ import annotations

import os
from collections.abc import Sequence

from builder.rpm.build.failure import explain_failure
from builder.rpm.spec.macros import macro_options, target_macros
from builder.rpm.spec.packages import Package
from builder.runner import Child, Runner
from builder.targets import Target


def parse_spec(
    package: Package, target: Target, *, conditions: Sequence[str], without: Sequence[str], runner: Runner
) -> str:
    """Return the text of a spec with every macro and condition worked out for a target.

    Raises:
        InputError: rpm cannot parse it.
    """
    # A file without a name: rpm may read it more than once, and its path has no character that rpm minds.
    descriptor = os.memfd_create("macros")
    try:
        os.write(descriptor, target_macros(target).encode())
        done = runner.run(
            [
                *("rpmspec", "--parse"),
                *macro_options(f"/proc/self/fd/{descriptor}", runner),
                *condition_options(conditions, without),
                package.spec,
            ],
            # The user's ~/.rpmmacros takes no part.
            env={"HOME": "/"},
            child=Child(pass_fds=(descriptor,)),
            ok=(),
        )
    finally:
        os.close(descriptor)
    if done.returncode != 0:
        raise explain_failure(package, target, done.stderr, buildroot="", log=None)
    return done.stdout


def condition_options(conditions: Sequence[str], without: Sequence[str]) -> list[str]:
    """Return the options for names of %bcond."""
    options = [word for name in conditions for word in ("--with", name)]
    return options + [word for name in without for word in ("--without", name)]

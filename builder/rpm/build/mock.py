# SPDX-License-Identifier: MIT
"""Has mock build binary RPMs out of a source RPM, in a chroot of the target with the target's own macros.

Where a chroot has what the target's repositories have, BuildRequires count; the local back-end cannot look
at them. The configurations come from mock-core-configs; of targets past their end, in its folder eol/.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder import tools
from builder.errors import CommandFailed, InputError, ToolMissing
from builder.rpm.build.failure import explain_failure
from builder.rpm.build.plan import BuildPlan
from builder.rpm.spec.parse import condition_options
from builder.runner import Child, Runner
from builder.targets import Target

# The same bytes from the same input; a chroot has no SOURCE_DATE_EPOCH, so the changelog gives the time.
REPRODUCIBLE = (
    "_buildhost localhost",
    "source_date_epoch_from_changelog 1",
    "use_source_date_epoch_as_buildtime 1",
    "clamp_mtime_to_source_date_epoch 1",
)


def require_mock(target: Target) -> str:
    """Return the name of a target's configuration in mock.

    Raises:
        InputError: mock has none for it.
        ToolMissing: mock is not installed.
    """
    if target.mock is None:
        raise InputError(f"mock has no configuration for {target.name}", hint="build it with --backend local")
    if not tools.has("mock"):
        hint = "dnf install mock on Fedora and EL; Debian 12 has none: --backend local does without"
        raise ToolMissing("mock is not installed", hint=hint)
    return target.mock


def mock_command(plan: BuildPlan, srpm: Path, result: Path) -> list[str | os.PathLike[str]]:
    """Return the command line of mock; parallel builds for one target have roots of their own."""
    return [
        *("mock", "--root", require_mock(plan.target), "--uniqueext", plan.package.name),
        *("--resultdir", result, "--cleanup-after"),
        *(word for macro in REPRODUCIBLE for word in ("--define", macro)),
        *condition_options(plan.settings.conditions, plan.settings.without),
        *("--rebuild", srpm),
    ]


def run_mock(plan: BuildPlan, srpm: Path, result: Path, *, log: Path, runner: Runner) -> tuple[Path, ...]:
    """Build the binary RPMs of `srpm` into the folder `result`; return them.

    Raises:
        CommandFailed: mock or the build failed, with rpmbuild's own reason where it says one.
    """
    try:
        runner.run(mock_command(plan, srpm, result), log=log, child=Child(group=True))
    except CommandFailed as error:
        said = result / "build.log"
        if not said.exists():
            raise
        text = said.read_text(errors="replace")
        with log.open("a", encoding="utf-8") as file:
            file.write(text)
        raise explain_failure(
            plan.package, plan.target, text, buildroot="/builddir/build/BUILDROOT", log=log
        ) from error
    return tuple(sorted(path for path in result.glob("*.rpm") if not path.name.endswith(".src.rpm")))

# SPDX-License-Identifier: MIT
"""Run a kickstart's %pre scripts before it is read for good: they may write what it includes."""

from __future__ import annotations

from builder.files import work_folder
from builder.image.build import DISK, Build, Options
from builder.image.isolation.namespaces import Door, run_inside
from builder.image.isolation.wire import unpack
from builder.image.tree.scripts import collect_files, run_section
from builder.kickstart.plan import ImagePlan, ScriptSection
from builder.report import Report
from builder.runner import Runner
from builder.targets import Target


def run_pre(
    plan: ImagePlan, target: Target, options: Options, report: Report, runner: Runner
) -> dict[str, str]:
    """Run the %pre scripts in the sandbox; return the files that `plan` includes, by absolute path.

    Raises:
        CommandFailed: a script with --erroronfail failed.
    """
    with work_folder(options.out, f"{plan.name}-pre") as work:
        build = Build(
            plan=plan, target=target, options=options, report=report, runner=runner,
            work=work, disk=DISK, seed="", request={},
        )  # fmt: skip

        def inside(door: Door) -> dict[str, str]:
            build.go_inside(door)
            with build.report.step("%pre") as step:
                build.step = step
                step.detail = f"{run_section(build, ScriptSection.PRE)} scripts"
            return collect_files(tuple(name for name, _ in plan.unresolved_includes))

        found = run_inside(inside, log=work / "build.log", network=options.network, runner=runner)
    return unpack(found, dict[str, str])

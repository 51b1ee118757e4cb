# SPDX-License-Identifier: MIT
"""Run a kickstart's %pre scripts before it is read for good: they may write what it includes, and partition
the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builder.files import work_folder
from builder.formats.partitions import PartitionTable
from builder.image.build import DISK, Build, BuildOptions
from builder.image.finished import log_of_pre
from builder.image.isolation.blank_disk import BlankDisk
from builder.image.isolation.namespaces import Door, run_inside
from builder.image.isolation.wire import pack, unpack
from builder.image.publish import log_kept
from builder.image.tree.scripts import collect_files, run_section
from builder.kickstart.disk.sizes import DEFAULT_DISK
from builder.kickstart.plan import ImagePlan, ScriptSection
from builder.report import Report
from builder.runner import Runner
from builder.targets import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What %pre has left: the files that the kickstart includes, by absolute path, and the disk's table."""

    files: dict[str, str]
    table: PartitionTable


def run_pre(
    plan: ImagePlan, target: Target, options: BuildOptions, report: Report, runner: Runner
) -> Prepared:
    """Run the %pre scripts in the sandbox, with a blank disk of the planned size; return what they left.

    Raises:
        CommandFailed: a script with --erroronfail failed.
    """
    with work_folder(options.out, f"{plan.name}-pre") as work:
        build = Build(
            plan=plan, target=target, options=options, report=report, runner=runner,
            work=work, disk=DISK, fingerprint="", seed="", request={},
        )  # fmt: skip

        def inside(door: Door) -> Any:
            build.go_inside(door)
            disk = BlankDisk(plan.disk.names, plan.disk.size or DEFAULT_DISK)
            with build.report.step("%pre") as step:
                build.step = step
                step.detail = f"{run_section(build, ScriptSection.PRE, disk)} scripts"
            files = collect_files(tuple(name for name, _ in plan.unresolved_includes))
            return pack(Prepared(files=files, table=disk.read()))

        with log_kept(build, log_of_pre(plan, options)):
            found = run_inside(inside, log=work / "build.log", network=options.network, runner=runner)
    return unpack(found, Prepared)

# SPDX-License-Identifier: MIT
"""The direct engine: from an image plan to a finished image, or to the one that is there already."""

from __future__ import annotations

import time
from dataclasses import replace

from builder import idmap, tools
from builder.errors import InputError
from builder.image.build import BuildOptions
from builder.image.fingerprint import take_fingerprint, take_seed
from builder.image.finished import FinishedImage, expect, is_current
from builder.image.packages import dnf, repomd
from builder.image.turns import ALONE, Turn
from builder.kickstart.disk.filesystems import KINDS
from builder.kickstart.plan import ImagePlan
from builder.report import Report
from builder.runner import Runner
from builder.targets import Target, rpm_databases

TOOLS = ("bwrap", "rpm", "rpmdb", "rpmkeys", "gpg", "sfdisk", "mke2fs", "qemu-img", "grub-mkimage")


def build_image(
    plan: ImagePlan,
    target: Target,
    options: BuildOptions,
    report: Report,
    runner: Runner,
    turn: Turn = ALONE,
) -> FinishedImage:
    """Build the image of `plan`, or find that it is built already.

    Args:
        turn: says when packages may be installed.

    Raises:
        InputError: the plan cannot be built on this host or from these repositories.
        PermissionMissing, ToolMissing, RemoteError, CommandFailed, BuildError: as they say.
    """
    check_host(plan, options)
    options = replace(options, bootstrap=options.bootstrap or not can_write(target, runner))
    states = repomd.read_states(plan)
    fingerprint = take_fingerprint(plan, target, options, states)
    result = expect(plan, options)
    if is_current(result, fingerprint):
        return result
    # What only a build needs is imported when there is one: an unchanged image is found in half a second.
    from builder.image.pipeline import run

    return run(
        plan,
        target,
        with_epoch(options, states),
        result,
        fingerprint=fingerprint,
        seed=take_seed(plan, target, options, states),
        states=states,
        report=report,
        runner=runner,
        turn=turn,
    )


def can_write(target: Target, runner: Runner) -> bool:
    """Say whether this host's rpm writes databases as the target's rpm does."""
    return rpm_databases(runner.run(["rpm", "--showrc"]).stdout).get(target.rpm.database, False)


def check_host(plan: ImagePlan, options: BuildOptions) -> None:
    """Refuse what this host cannot build, before the first effect.

    Raises:
        InputError, ToolMissing, PermissionMissing: with a hint.
    """
    if not plan.disk.is_resolved:
        raise InputError(
            f"{plan.name}: the partitions are not known: %pre has not been run, or has not made them"
        )
    if not plan.repositories:
        raise InputError(
            f"{plan.name}: no repository to take packages from",
            hint="the kickstart has no url or repo line: name one with --repo NAME=URL",
        )
    kinds = {volume.fstype for volume in plan.disk.volumes}
    for tool in (*TOOLS, *(name for kind in sorted(kinds) for name in KINDS[kind].tools)):
        tools.find(tool)
    dnf.find_solver(options.solver)
    idmap.find_ids()


def with_epoch(options: BuildOptions, states: tuple[repomd.RepositoryState, ...]) -> BuildOptions:
    """Return `options` with the epoch that is stated, else that of the newest repository, else now."""
    epoch = options.source_date_epoch or max(state.time for state in states)
    return replace(options, source_date_epoch=epoch or int(time.time()))

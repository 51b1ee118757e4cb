# SPDX-License-Identifier: MIT
"""`openstack-builder koji build`: source RPMs made here, built on a hub."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.cli import Context
from builder.cli.koji import connect, find_profile
from builder.cli.koji.results import finish
from builder.cli.koji.submission import submit_all
from builder.cli.rpm import add_build_arguments, build_sources, find_pairs
from builder.errors import InputError, Problem
from builder.koji.builds import (
    Submission,
    TaskOptions,
    check_options,
    check_targets,
    links,
    submit,
)
from builder.koji.hub import Hub
from builder.koji.repositories import check_chain, wait_for_repository
from builder.koji.tasks import Task, TaskState
from builder.koji.watch import Watch, resume_command
from builder.rpm.spec.packages import ENVIRONMENT
from builder.targets import Target, find_target, select

SUMMARY = "Build packages on a Koji hub: scratch builds unless --real; the tasks are watched until they end."
EXAMPLE = """\
  openstack-builder koji build openstack-utils -t 'epel-*'
  openstack-builder koji build '*' -t epel-9 --real --chain
  openstack-builder koji build openstack-utils -t fedora-45 --real \\
      --scm 'git+https://src.fedoraproject.org/rpms/{package}#rawhide'"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    add_build_arguments(parser)
    parser.add_argument(
        "--koji-target", metavar="NAME", help="the hub's build target (default: from each target's row)"
    )
    parser.add_argument("--real", action="store_true", help="not a scratch build: it is tagged and kept")
    parser.add_argument(
        "--scm", metavar="URL#REF", help="let the hub clone this instead; {package} is the package's name"
    )
    parser.add_argument(
        "--chain", action="store_true",
        help="environment before services, waiting for the hub's repository between; needs --real",
    )  # fmt: skip
    parser.add_argument(
        "--arch-override", action="append", default=[], metavar="ARCH",
        help="build for this architecture only (scratch builds); may be repeated",
    )  # fmt: skip
    parser.add_argument("--background", action="store_true", help="at a lower priority")
    parser.add_argument("--nowait", action="store_true", help="submit, print the tasks' numbers, and stop")
    parser.add_argument(
        "-n", "--dry-run", action="store_true",
        help="build the source RPMs, print each call with its arguments, and submit nothing",
    )  # fmt: skip


def run(args: argparse.Namespace, context: Context) -> int:
    """Submit, watch, report; the exit code is 0 when every build succeeded."""
    options = TaskOptions(
        scratch=not args.real,
        arches=tuple(args.arch_override),
        background=args.background,
        conditions=tuple(args.conditions),
        without=tuple(args.without),
    )
    check_options(options, chain=args.chain, wait=not args.nowait)
    if args.scm and "#" not in args.scm:
        raise InputError(
            f"--scm {args.scm}: it names no commit, branch or tag", hint="add #REF at the end of the address"
        )
    targets = select(args.target)
    default = _common_profile(args, targets)
    submissions = _plan(args, context)
    if args.dry_run:
        for one in submissions:
            for call in one.calls(options):
                context.report.result(str(call))
        return 0
    profile = find_profile(args, default)
    hub = connect(profile, context)
    rows = check_targets(hub, submissions, options)
    if args.chain:
        for row in rows.values():
            check_chain(hub, row)
    if args.nowait:
        ids = _submit_all(hub, submissions, options, context)
        for task in ids:
            context.report.result(str(task))
        context.report.note(f"to watch them: {resume_command(hub, ids)}")
        return 0
    return finish(hub, _build(hub, submissions, options, rows, context), context, as_json=args.json)


def _build(
    hub: Hub,
    submissions: Sequence[Submission],
    options: TaskOptions,
    rows: Mapping[str, dict[str, Any]],
    context: Context,
) -> list[Task]:
    """Submit and watch link after link; where one fails or is interrupted, say what was not submitted."""
    trees: list[Task] = []
    chain = links(submissions)
    try:
        while chain:
            link = chain.pop(0)
            done = Watch(hub=hub, report=context.report).follow(_submit_all(hub, link, options, context))
            trees += done
            if any(tree.state is not TaskState.CLOSED for tree in done):
                break
            for name in dict.fromkeys(one.hub_target for following in chain[:1] for one in following):
                built = [tree for one, tree in zip(link, done, strict=True) if one.hub_target == name]
                wait_for_repository(hub, rows[name], built, context.report)
    finally:
        if chain:
            names = ", ".join(one.label for following in chain for one in following)
            context.report.note(f"not submitted: {names}")
    return trees


def _submit_all(
    hub: Hub, submissions: Sequence[Submission], options: TaskOptions, context: Context
) -> list[int]:
    """Upload and submit each."""
    functions = {
        one.label: functools.partial(submit, hub, one, options, context.report) for one in submissions
    }
    return submit_all(hub, functions, context)


def _common_profile(args: argparse.Namespace, targets: Sequence[Target]) -> str | None:
    """Return the profile of all targets.

    Raises:
        InputError: a target has no hub, or they have several, and no option says which.
    """
    if args.profile and args.koji_target:
        return None
    problems = [
        Problem(
            message=f"{target.name}: no hub is known that builds for it",
            hint="name one: --profile NAME --koji-target NAME",
        )
        for target in targets
        if target.koji is None
    ]
    if problems:
        raise InputError(problems=problems)
    names = sorted({target.koji.profile for target in targets if target.koji})
    if len(names) > 1 and not args.profile:
        raise InputError(
            f"the targets are built by several hubs: {', '.join(names)}",
            hint="build for the targets of one hub at a time, or choose a hub with --profile",
        )
    return names[0]


def _plan(args: argparse.Namespace, context: Context) -> list[Submission]:
    """Say what is submitted; the source RPMs are built here, unless the hub clones for itself."""
    if args.scm:
        found = [
            _submission(args, package.name, target, args.scm.replace("{package}", package.name))
            for package, target in find_pairs(args)
        ]
    else:
        found = [
            _submission(
                args,
                result.manifest.package,
                find_target(result.manifest.target),
                result.paths(source=True, binary=False)[0],
            )
            for result in build_sources(args, context)
        ]
    return sorted(found, key=lambda one: one.link)


def _submission(args: argparse.Namespace, package: str, target: Target, source: Path | str) -> Submission:
    return Submission(
        package=package,
        target=target.name,
        hub_target=args.koji_target or (target.koji.target if target.koji else ""),
        source=source,
        link=1 if args.chain and package != ENVIRONMENT else 0,
    )

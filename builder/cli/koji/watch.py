# SPDX-License-Identifier: MIT
"""`openstack-builder koji watch`: tasks that were submitted before."""

from __future__ import annotations

import argparse

from builder.cli import Context
from builder.cli.koji import connect, find_profile
from builder.cli.koji.results import finish
from builder.koji.watch import Watch

SUMMARY = "Watch tasks until they end; interrupted, the tasks go on, and this command can be given again."
EXAMPLE = "  openstack-builder koji watch 123456 123457"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("task", nargs="+", type=int, metavar="ID", help="number of a task")
    parser.add_argument("--json", action="store_true", help="print the tasks as JSON when they are over")


def run(args: argparse.Namespace, context: Context) -> int:
    """Watch; the exit code is 0 when every task succeeded."""
    hub = connect(find_profile(args), context)
    trees = Watch(hub=hub, report=context.report).follow(args.task)
    return finish(hub, trees, context, as_json=args.json)

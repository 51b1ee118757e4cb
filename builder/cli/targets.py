# SPDX-License-Identifier: MIT
"""`openstack-builder targets`: the matrix of distributions."""

from __future__ import annotations

import argparse
import dataclasses

from builder.cli import Context
from builder.targets import Target, select

SUMMARY = "List the distributions that we build for."
EXAMPLE = "  openstack-builder targets 'epel-*'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("pattern", nargs="*", default=["*"], help="name or glob (default: all)")
    parser.add_argument("--json", action="store_true", help="print everything that is known about them")


def run(args: argparse.Namespace, context: Context) -> int:
    """Print the table, or JSON."""
    targets = select(args.pattern)
    if args.json:
        context.report.json([as_data(target) for target in targets])
        return 0
    context.report.table(
        (
            "target",
            "distribution",
            "dist",
            "openstack",
            "init",
            "python",
            "rpm",
            "payload",
            "rpmdb",
            "kickstart",
        ),
        [
            (
                target.name,
                target.title,
                target.dist,
                target.release,
                target.init,
                target.python.version if target.python else "-",
                target.rpm.version,
                target.rpm.payload,
                target.rpm.database,
                target.ksversion,
            )
            for target in targets
        ],
    )
    return 0


def as_data(target: Target) -> dict[str, object]:
    """Return a target as plain data, as --json prints it."""
    data = dataclasses.asdict(target)
    del data["where"]
    return data

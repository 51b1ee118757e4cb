# SPDX-License-Identifier: MIT
"""`openstack-builder targets`: the distributions, and the matrix of what is built for each."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from builder.cli import Context
from builder.places import SOURCE
from builder.rpm.spec.packages import Package, find_packages, refusal
from builder.targets import Target, select

SUMMARY = "List the distributions that we build for, and which packages are built for each."
EXAMPLE = "  openstack-builder targets 'epel-*'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("pattern", nargs="*", default=["*"], help="name or glob (default: all)")
    parser.add_argument("--names", action="store_true", help="print the names only, one per line")
    parser.add_argument("--json", action="store_true", help="print everything that is known about them")


def run(args: argparse.Namespace, context: Context) -> int:
    """Print the table, or JSON."""
    targets = select(args.pattern)
    if args.names:
        context.report.result("\n".join(target.name for target in targets))
        return 0
    packages = find_packages(SOURCE, ["*"])
    if args.json:
        context.report.json([as_data(target, packages) for target in targets])
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
    context.report.result("")
    context.report.table(
        ("package", *(target.name for target in targets)),
        [
            (name, *(version_for(name, target, packages) or "-" for target in targets))
            for name in dict.fromkeys(package.name for package in packages)
        ],
    )
    return 0


def version_for(name: str, target: Target, packages: Sequence[Package]) -> str | None:
    """Return the version of a package that is built for a target; None where none is."""
    built = (each for each in packages if each.name == name and refusal(each, target) is None)
    return next((package.version for package in built), None)


def as_data(target: Target, packages: Sequence[Package]) -> dict[str, object]:
    """Return a target as plain data, as --json prints it; `builds` has the version of each package."""
    data = dataclasses.asdict(target)
    del data["where"]
    versions = {package.name: version_for(package.name, target, packages) for package in packages}
    data["builds"] = {name: version for name, version in versions.items() if version is not None}
    return data

# SPDX-License-Identifier: MIT
"""`openstack-builder srpm`: source RPMs."""

from __future__ import annotations

import argparse

from builder.cli import Context
from builder.cli.rpm import add_build_arguments, run_builds

SUMMARY = "Build source RPMs, one for each target: what Koji and mock take."
EXAMPLE = "  openstack-builder srpm openstack-utils -t fedora-45 -t epel-9"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_build_arguments(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    """Build them; print their paths."""
    run_builds(args, context, binary=False)
    return 0

# SPDX-License-Identifier: MIT
"""The RPMs of the talk in a signed repository, built by openstack-builder in this checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from builder.places import SPECS
from builder.report import Report
from builder.runner import Child, Runner

CHECKOUT = SPECS.parent
TARGET = "fixture-12"
REPOSITORY = CHECKOUT / "out" / "rpm" / TARGET / "repo"
BUILDER = (sys.executable, "-m", "builder")
# What is built already is not built again, so the talk may as well have them all.
COMMAND = (*BUILDER, "rpm", "openstack-*", "novnc", "-t", TARGET, "--repo", "--local-key")


def build_rpms() -> Path:
    """Return the folder of the repository.

    Raises:
        CommandFailed: one is not built.
    """
    Runner(Report(quiet=True)).run(COMMAND, child=Child(cwd=CHECKOUT))
    return REPOSITORY

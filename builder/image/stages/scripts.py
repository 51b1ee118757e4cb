# SPDX-License-Identifier: MIT
"""Run the %post scripts."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree.scripts import run_section
from builder.kickstart.plan import ScriptSection


def run(build: Build) -> str:
    """Run them in the order written."""
    count = run_section(build, ScriptSection.POST)
    return f"{count} of %post"

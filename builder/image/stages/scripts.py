# SPDX-License-Identifier: MIT
"""Run the %post scripts."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.stages import bootfiles, initramfs
from builder.image.tree import tree
from builder.image.tree.scripts import run_section
from builder.kickstart.plan import ScriptSection


def run(build: Build) -> str:
    """Run them in the order written; then bring up to date what they made stale."""
    began = tree.now()
    count = run_section(build, ScriptSection.POST)
    renewed = initramfs.renew(build, began)
    bootfiles.complete(build)
    return f"{count} of %post" + (", initramfs made again" if renewed and count else "")

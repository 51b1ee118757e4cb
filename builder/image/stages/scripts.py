# SPDX-License-Identifier: MIT
"""Run the phases of elements, and the %post scripts between them."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.stages import bootfiles, initramfs
from builder.image.tree import tree
from builder.image.tree.elements import run_phases
from builder.image.tree.scripts import run_section
from builder.kickstart.elements.phases import AFTER_POST, BEFORE_POST
from builder.kickstart.plan import ScriptSection

BOOT = "/boot"


def run(build: Build) -> str:
    """Run them in the order written; then bring up to date what they made stale."""
    began = tree.now()
    phases = run_phases(build, BEFORE_POST)
    count = run_section(build, ScriptSection.POST)
    phases += run_phases(build, AFTER_POST)
    if phases or count:
        build.facts.scripts_began = began
        build.facts.boot_by_scripts = tuple(f"{BOOT}{path}" for path in tree.path(BOOT).changed_below(began))
    renewed = initramfs.renew(build, began)
    bootfiles.complete(build)
    said = [f"{phases} of elements"] if phases else []
    said += [f"{count} of %post"] if count or not phases else []
    said += ["initramfs made again"] if renewed and (phases or count) else []
    return ", ".join(said)

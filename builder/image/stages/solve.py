# SPDX-License-Identifier: MIT
"""Decide which packages go into the image."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.packages import dnf
from builder.image.packages.choice import Choice


def run(build: Build) -> str:
    """Have dnf choose; what it chose is for `fetch` to fetch."""
    build.choice = Choice(dnf.ask(build, until="fetch"))
    build.facts.packages = build.choice.packages
    build.facts.installed_size = build.choice.installed_size
    return f"{len(build.facts.packages)} packages, {build.facts.installed_size / 1e6:.0f} MB installed"

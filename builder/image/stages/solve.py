# SPDX-License-Identifier: MIT
"""Decide which packages go into the image."""

from __future__ import annotations

from builder.image.build import Build, ChosenPackage
from builder.image.packages import dnf


def run(build: Build) -> str:
    """Start dnf, wait for its choice, leave it waiting for `fetch`."""
    build.events = dnf.ask(build, until="fetch")
    event = next(event for event in build.events if event["event"] == "solved")
    build.facts.packages = tuple(ChosenPackage(**package) for package in event["packages"])
    build.facts.installed_size = event["installed_size"]
    return f"{len(build.facts.packages)} packages, {event['installed_size'] / 1e6:.0f} MB installed"

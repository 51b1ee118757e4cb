# SPDX-License-Identifier: MIT
"""Have every package in the cache, its checksum compared."""

from __future__ import annotations

from builder.image.build import Build


def run(build: Build) -> str:
    """Let dnf, started by `solve`, download what is missing."""
    assert build.events is not None
    assert build.step is not None
    fetched = 0
    for event in build.events:
        if event["event"] == "progress":
            fetched = event["done"]
            build.step.progress(f"{fetched / 1e6:.0f} of {event['total'] / 1e6:.0f} MB")
    build.events = None
    return f"{fetched / 1e6:.0f} MB" if fetched else "all in the cache"

# SPDX-License-Identifier: MIT
"""Have every package in the cache, its checksum compared."""

from __future__ import annotations

from builder.image.build import Build


def run(build: Build) -> str:
    """Fetch what `solve` chose and the cache does not have."""
    choice, step = build.choice, build.step
    assert choice is not None
    assert step is not None
    fetched = choice.fetch(lambda done, total: step.progress(f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"))
    return f"{fetched / 1e6:.0f} MB" if fetched else "all in the cache"

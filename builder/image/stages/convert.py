# SPDX-License-Identifier: MIT
"""Turn the raw disk into a compressed qcow2."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.disk import qcow2


def run(build: Build) -> str:
    """Convert and check."""
    qcow2.convert(
        build.disk,
        build.qcow2,
        format=qcow2.ZLIB if build.options.compat else qcow2.ZSTD,
        progress=lambda percent: build.step.progress(f"{percent:.0f} %") if build.step else None,
    )
    if not build.options.keep:
        build.disk.unlink()
    qcow2.check(build.qcow2, runner=build.runner)
    return f"{build.qcow2.stat().st_size / 1e6:.0f} MB"

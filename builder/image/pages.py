# SPDX-License-Identifier: MIT
"""The report of a build, as a page next to the image."""

from __future__ import annotations

from pathlib import Path

from builder.image.build import Build
from builder.manifest import ImageManifest
from builder.page import SUFFIX, BuildPage, compare, read_files, write_page


def write(build: Build, manifest: ImageManifest, final: Path) -> None:
    """Write the page of the finished image into its folder; `final` is the folder of the build before."""
    facts, name = build.facts, f"{build.plan.name}{SUFFIX}"
    before = read_files(final / name) if facts.files else None
    page = BuildPage(
        name=manifest.name,
        target=manifest.target,
        image=manifest.artifact.path,
        sha256=manifest.artifact.sha256,
        size=manifest.artifact.size,
        disk=manifest.virtual_size,
        stages=tuple(facts.stages),
        packages={one.nevra: one.size for one in manifest.packages},
        files=facts.files,
        warnings=manifest.warnings,
        changes=compare(before, facts.files) if before else None,
    )
    write_page(build.finished / name, page)

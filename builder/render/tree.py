# SPDX-License-Identifier: MIT
"""Every file below specs/ that is made from the catalogue, and how it differs from what is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.catalogue.model import Catalogue
from builder.render.spec import BuildTool, RenderedFile, render_project
from builder.targets import Target


def render_tree(
    catalogue: Catalogue, targets: Sequence[Target], tools: Sequence[BuildTool]
) -> tuple[RenderedFile, ...]:
    """Return all of them, in the order of the catalogue."""
    files: list[RenderedFile] = []
    for release in catalogue.releases:
        builders = [target for target in targets if target.release == release]
        for project in catalogue.projects.values():
            if release in project.releases and project.releases[release].rpm is not None:
                files += render_project(project, release, catalogue, builders, tools)
    return tuple(files)


def compare(
    files: Sequence[RenderedFile], catalogue: Catalogue, specs: Path
) -> tuple[list[Path], list[Path]]:
    """Return the paths that have to be written, and the paths of files that nothing makes any more."""
    wanted = {specs / file.path: file.text for file in files}
    stale = [
        path
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    there = [
        path for release in catalogue.releases for path in (specs / release).rglob("*") if path.is_file()
    ]
    return stale, sorted(path for path in there if path not in wanted)

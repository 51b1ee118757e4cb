# SPDX-License-Identifier: MIT
"""Where a checkout names a version of a project outside the catalogue: requirements, stubs of tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from builder.releases import release_names
from builder.schema import show_path

KINDS = frozenset({".in", ".py", ".spec", ".txt", ".yaml", ".cfg", ".toml", ".md"})
LARGEST = 1 << 20


def find_mentions(root: Path, project: str, version: str) -> Iterator[str]:
    """Yield `FILE:LINE` of each line below `root` that has the name of a project and its version.

    Hidden folders, such as git's and environments', are not searched.
    """
    number = re.compile(rf"(?<![\w.]){re.escape(version)}(?![\w]|\.\d)")
    name = re.compile(rf"(?<![a-z]){re.escape(project)}(?![a-z])", re.IGNORECASE)
    for path in _files(root, _catalogue(root)):
        for at, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if number.search(line) and name.search(line):
                yield f"{show_path(path)}:{at}"


def _catalogue(root: Path) -> frozenset[Path]:
    """Return the folders of the catalogue itself, and of what is made from it."""
    made = (root / "specs" / release for release in release_names())
    return frozenset((root / "specs/services", root / "tests/golden", *made))


def _files(folder: Path, left_out: frozenset[Path]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink() or path in left_out:
            continue
        if path.is_dir():
            yield from _files(path, left_out)
        elif path.suffix in KINDS and path.is_file() and path.stat().st_size <= LARGEST:
            yield path

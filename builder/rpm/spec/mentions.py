# SPDX-License-Identifier: MIT
"""Where a checkout names a version of a project outside the catalogue: requirements, stubs of tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from builder.schema import show_path

# The catalogue itself, and what is made from it.
OWN = ("specs/services", "specs/current", "specs/essex", "tests/golden")
KINDS = frozenset({".in", ".py", ".spec", ".txt", ".yaml", ".cfg", ".toml", ".md"})
LARGEST = 1 << 20


def find_mentions(root: Path, project: str, version: str) -> Iterator[str]:
    """Yield `FILE:LINE` of each line below `root` that has the name of a project and its version.

    Hidden folders, such as git's and environments', are not searched.
    """
    number = re.compile(rf"(?<![\w.]){re.escape(version)}(?![\w]|\.\d)")
    name = re.compile(rf"(?<![a-z]){re.escape(project)}(?![a-z])", re.IGNORECASE)
    for path in _files(root, root):
        for at, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if number.search(line) and name.search(line):
                yield f"{show_path(path)}:{at}"


def _files(folder: Path, root: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink() or str(path.relative_to(root)) in OWN:
            continue
        if path.is_dir():
            yield from _files(path, root)
        elif path.suffix in KINDS and path.is_file() and path.stat().st_size <= LARGEST:
            yield path

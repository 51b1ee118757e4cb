# SPDX-License-Identifier: MIT
"""Take the leftovers of the build and of packages out of the tree, and leave what the author put there."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.files import TreePath
from builder.image.tree.leftovers import EMPTIED, IDENTITY, JUNK, LOGS_OF_PROGRAMS, REMAINS, SCRIPTS_OWN


@dataclass(slots=True)
class Cleaned:
    """Paths of the image: removed, emptied, and kept with who made them."""

    removed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)


def clean(build: Build) -> Cleaned:
    """Clean the tree; say aloud what a script made and is removed all the same."""
    root = tree.path("/")
    cleaned = Cleaned()
    authored = build.facts.authored
    asked = set(build.options.keep_files)
    for pattern in JUNK:
        for path in root.glob(pattern):
            if str(path) not in asked:
                path.remove()
                cleaned.removed.append(str(path))
    _clean_identity(build, root, cleaned)
    identity = {str(path) for pattern in IDENTITY for path in root.glob(pattern)}
    for pattern in REMAINS:
        for path in root.glob(pattern):
            if str(path) not in asked | identity:
                _clear(path, authored, cleaned)
    programs = {str(path) for pattern in LOGS_OF_PROGRAMS for path in root.glob(pattern)}
    for pattern in EMPTIED:
        for path in root.glob(pattern):
            _empty(path, {} if str(path) in programs else authored, asked, cleaned)
    for pattern in SCRIPTS_OWN:
        for path in root.glob(pattern):
            if str(path) in authored:
                cleaned.kept[str(path)] = authored[str(path)]
    return cleaned


def _clean_identity(build: Build, root: TreePath, cleaned: Cleaned) -> None:
    """Remove what must differ in every guest."""
    asked = set(build.options.keep_files)
    for pattern, why in IDENTITY.items():
        for path in root.glob(pattern):
            who = build.facts.authored.get(str(path))
            if path.name == "machine-id" and _is_open(path):
                continue
            if str(path) in asked:
                cleaned.kept[str(path)] = who or "--keep-file"
                continue
            if who is not None:
                build.warn(f"{who} made {path}, which is removed: {why} (--keep-file {path} keeps it)")
            path.remove()
            cleaned.removed.append(str(path))


def _is_open(machine_id: TreePath) -> bool:
    """Return whether a machine-id(5) is not set yet: a link, empty, or an author's `uninitialized`."""
    return machine_id.is_symlink() or machine_id.read_text().strip() in ("", "uninitialized")


def _clear(path: TreePath, authored: dict[str, str], cleaned: Cleaned) -> bool:
    """Remove a path but for what is authored; say whether all of it is gone."""
    who = authored.get(str(path))
    if not stat.S_ISDIR(path.lstat().st_mode):
        if who is not None:
            cleaned.kept[str(path)] = who
            return False
        path.unlink()
        cleaned.removed.append(str(path))
        return True
    gone = [_clear(inner, authored, cleaned) for inner in path.iterdir()]
    if who is not None or not all(gone):
        if who is not None:
            cleaned.kept[str(path)] = who
        return False
    path.rmdir()
    return True


def _empty(path: TreePath, authored: dict[str, str], asked: set[str], cleaned: Cleaned) -> None:
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode) or not info.st_size:
        return
    who = authored.get(str(path))
    if who is not None or str(path) in asked:
        cleaned.kept[str(path)] = who or "--keep-file"
        return
    path.truncate()
    cleaned.emptied.append(str(path))

# SPDX-License-Identifier: MIT
"""Who made what: files that a script or a command of the kickstart made or changed, where that matters.

Only the places that are cleaned at the end are looked at, before and after each script.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator

from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.files import TreePath
from builder.image.tree.leftovers import EMPTIED, IDENTITY, REMAINS, SCRIPTS_OWN

WATCHED = (*IDENTITY, *REMAINS, *EMPTIED)

RESOLVER = "/etc/resolv.conf"

# By what two states of a file are distinguished: mode, size, inode, time of its last change.
State = tuple[int, int, int, int]


class Traces:
    """What was seen last. Between two scripts we write nothing there but the resolver: one look is enough."""

    def __init__(self) -> None:
        self._seen = look()

    @contextlib.contextmanager
    def noting(self, build: Build, who: str) -> Iterator[None]:
        """Remember what appears or changes meanwhile as made by `who` (`%post of guest.ks:12`)."""
        before = {path: state for path, state in self._seen.items() if path != RESOLVER}
        resolver = tree.path(RESOLVER)
        if resolver.exists() or resolver.is_symlink():
            _add(resolver, before, below=False)
        yield
        self._seen = look()
        for path, state in self._seen.items():
            earlier = before.get(path)
            # A folder changes with what is in it: only a new one is somebody's.
            if earlier is None or (earlier != state and not stat.S_ISDIR(state[0])):
                build.facts.authored[path] = who


def look() -> dict[str, State]:
    """Return the state of every watched path, those below a watched folder too."""
    root = tree.path("/")
    found: dict[str, State] = {}
    for pattern in WATCHED:
        for path in root.glob(pattern):
            _add(path, found, below=True)
    for pattern in SCRIPTS_OWN:
        for path in root.glob(pattern):
            _add(path, found, below=False)
    return found


def _add(path: TreePath, found: dict[str, State], *, below: bool) -> None:
    if str(path) in found:
        return
    info = path.lstat()
    found[str(path)] = (info.st_mode, info.st_size, info.st_ino, info.st_ctime_ns)
    if below and stat.S_ISDIR(info.st_mode):
        for inner in path.iterdir():
            _add(inner, found, below=True)

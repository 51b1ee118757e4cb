# SPDX-License-Identifier: MIT
"""Folders in memory for one room: what is in them goes with it, and bytes and files have a bound.

bubblewrap's own --tmpfs bounds the bytes, not the files: empty ones take memory of the kernel as well.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.calls import MS_NODEV, MS_NOSUID
from builder.image.isolation import mounts

_PLACE = Path("/tmp/scratch")
_ROOM = "size=64m,nr_inodes=16k"


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder in memory at `target` of a room: a word of its command line."""

    target: str | Path
    mode: int = 0o755


Word = str | Path | Scratch


@contextlib.contextmanager
def furnished(words: Sequence[Word]) -> Iterator[list[str | Path]]:
    """Yield bubblewrap's words with a bind for each Scratch; the folders are there while the body runs."""
    made: list[str] = []
    found: list[str | Path] = []
    _PLACE.mkdir(exist_ok=True)
    try:
        for word in words:
            if not isinstance(word, Scratch):
                found.append(word)
                continue
            folder = tempfile.mkdtemp(dir=_PLACE)
            mounts.mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={word.mode:o},{_ROOM}")
            made.append(folder)
            found += ["--bind", folder, word.target]
        yield found
    finally:
        for folder in made:
            mounts.unmount(folder)
            os.rmdir(folder)

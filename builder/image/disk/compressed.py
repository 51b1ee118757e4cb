# SPDX-License-Identifier: MIT
"""A raw disk as .zst: frames of equal pieces, one after another (RFC 8878, 3), made side by side.

The bytes depend on the disk alone, not on the number of processors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from builder import zstd
from builder.files import derived
from builder.ordered import map_in_order

PIECE = 8 << 20
# Level 3 of zstd takes a tenth more room and a quarter of the time.
LEVEL = 9


def write(raw: Path, target: Path, *, progress: Callable[[float], None] | None = None) -> None:
    """Write `target` from the raw disk.

    Args:
        progress: called with the percentage, after each piece.

    Raises:
        BuildError: a file cannot be read or written; no `target` is left then.
    """
    with derived(raw, target) as (source, file):
        size = os.fstat(source.fileno()).st_size
        for number, frame in enumerate(map_in_order(_pack, _pieces(source)), 1):
            file.write(frame)
            if progress is not None:
                progress(100 * min(1.0, number * PIECE / size))


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        yield piece


def _pack(piece: bytes) -> bytes:
    return zstd.compress(piece, LEVEL)

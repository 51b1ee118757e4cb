# SPDX-License-Identifier: MIT
"""Which files lie one after another in an ext4 of ours: names and sizes decide that, not where there is room.

Each row, and each large file, begins with a cluster of the image: so the same files are the same clusters,
wherever they lie.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

# Of the image (`builder.image.disk.qcow2.ZSTD`).
CLUSTER = 256 << 10
# A file of this size stands alone; a row ends at one name of so many.
LARGE, _ROW = 1 << 20, 64
# Bytes of a block, as a rule, and of the shortest link that needs one.
BLOCK, LONG_LINK = 4096, 60

File = TypeVar("File")


def room_of(size: int) -> int:
    """Return the bytes of the blocks that a file of `size` bytes without holes takes."""
    return -(-size // BLOCK) * BLOCK


def rows(
    files: Iterable[File], size_of: Callable[[File], int], path_of: Callable[[File], bytes]
) -> Iterator[list[File]]:
    """Yield the files that are in a row.

    Args:
        files: in the order of their folders' paths, and in each in the order of names.
        size_of: the bytes that a file's blocks take.
        path_of: the file's path in the file system, from its root.
    """
    row: list[File] = []
    for file in files:
        if size_of(file) >= LARGE:
            yield [file]
            continue
        row.append(file)
        if zlib.crc32(path_of(file)) % _ROW == 0:
            yield row
            row = []
    if row:
        yield row

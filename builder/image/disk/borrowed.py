# SPDX-License-Identifier: MIT
"""Content of a disk that lies in files of the tree until it is known who needs it.

A writer of a file system says where the data of files belong, and copies nothing. Then each cluster is put
together once: what the image that is replaced has compressed already is named, and takes no room in the disk
file; the rest is written there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from builder.errors import BuildError
from builder.image.disk.filesystems.disk import Piece, write_at
from builder.image.disk.filesystems.source import show
from builder.image.disk.qcow2 import allocated
from builder.ordered import map_in_order


def settle(
    disk: Path, pieces: Iterable[Piece], cluster: int, known: Container[bytes]
) -> list[tuple[int, bytes]]:
    """Write the pieces into the disk file, but for clusters that are known; return their numbers and sha256.

    Args:
        cluster: bytes of one.
        known: sha256 of those that need not be written.

    Raises:
        BuildError: a file became shorter.
    """
    with disk.open("r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        written = set(allocated(file, cluster))

        def put(one: tuple[int, int, int, bytearray]) -> tuple[int, bytes] | None:
            number, first, last, data = one
            name = hashlib.sha256(data).digest()
            if name in known:
                return number, name
            start = number * cluster
            write_at(file.fileno(), memoryview(data)[first - start : min(last, size) - start], first)
            return None

        clusters = _clusters(file.fileno(), pieces, cluster, written)
        return [one for one in map_in_order(put, clusters) if one is not None]


def _clusters(
    disk: int, pieces: Iterable[Piece], cluster: int, written: Container[int]
) -> Iterator[tuple[int, int, int, bytearray]]:
    """Yield each cluster in which pieces lie: its number, where they begin and end in the disk, its bytes.

    Args:
        written: the numbers of those of which the disk file has something.
    """
    files = _Files()
    try:
        cut = (one for piece in sorted(pieces) for one in _cut(piece, cluster))
        for number, group in groupby(cut, key=lambda piece: piece.start // cluster):
            inside = list(group)
            start, data = number * cluster, bytearray(cluster)
            if number in written:
                os.preadv(disk, [data], start)
            view = memoryview(data)
            for piece in inside:
                files.read(piece, view[piece.start - start : piece.full - start])
                if number in written:
                    data[piece.full - start : piece.end - start] = bytes(piece.end - piece.full)
            yield number, inside[0].start, inside[-1].end, data
    finally:
        files.close()


def _cut(piece: Piece, cluster: int) -> Sequence[Piece]:
    """Cut a piece where clusters begin."""
    if piece.start // cluster == (piece.end - 1) // cluster:
        return (piece,)
    cuts = []
    start = piece.start
    while start < piece.end:
        end = min(piece.end, (start // cluster + 1) * cluster)
        full = max(start, min(end, piece.full))
        cuts.append(Piece(start, full, end, piece.path, piece.at + start - piece.start))
        start = end
    return cuts


class _Files:
    """Reads files, of which the last one stays open: a large one has many pieces."""

    def __init__(self) -> None:
        self._path = b""
        self._descriptor = -1

    def read(self, piece: Piece, view: memoryview) -> None:
        """Fill `view` with what a piece has of its file."""
        if not view:
            return
        if piece.path != self._path:
            self.close()
            self._descriptor = os.open(piece.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._path = piece.path
        if os.preadv(self._descriptor, [view], piece.at) != len(view):
            raise BuildError(f"{show(piece.path)} became shorter while it was read")

    def close(self) -> None:
        """Close the file that is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._path, self._descriptor = b"", -1

# SPDX-License-Identifier: MIT
"""Content of a disk that lies in files of the tree until it is known who needs it.

A writer of a file system says where the data of files belong, and copies nothing. Then each cluster is put
together once: what the image that is replaced has compressed already is named, and takes no room in the disk
file; the rest is written there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from builder.errors import BuildError
from builder.image.disk.filesystems.disk import Piece, write_at
from builder.image.disk.filesystems.source import show
from builder.image.disk.qcow2 import TOGETHER, allocated
from builder.ordered import map_in_order

# Begin, end of data, end, place in the file, length of the path.
_PLACE = struct.Struct(">QQQQQ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """Clusters whose content is known without a look at their files: sha256 by what `key_of` says of them.

    It holds for the files of `untouched`, by their paths, which begin with `top`; that is not of the image.
    """

    names: Mapping[bytes, bytes]
    untouched: Container[bytes]
    top: bytes

    def name_of(self, pieces: Sequence[Piece], start: int) -> bytes | None:
        """Return the sha256 of a cluster that begins at `start` and has these pieces alone, if known."""
        if all(one.path in self.untouched for one in pieces):
            return self.names.get(key_of(pieces, start, len(self.top)))
        return None


NOTHING = Foreseen(names={}, untouched=(), top=b"")


def settle(
    disk: Path,
    pieces: Iterable[Piece],
    cluster: int,
    known: Container[bytes],
    foreseen: Foreseen = NOTHING,
) -> list[tuple[int, bytes]]:
    """Write the pieces into the disk file, but for clusters that are known; return their numbers and sha256.

    Args:
        cluster: bytes of one.
        known: sha256 of those that need not be written.
        foreseen: those that need not even be read.

    Raises:
        BuildError: a file became shorter.
    """
    files, given = _Files(), list[tuple[int, bytes]]()
    with disk.open("r+b", buffering=0) as file, contextlib.closing(files):
        size = os.fstat(file.fileno()).st_size
        written = set(allocated(file, cluster))

        def unknown() -> Iterator[tuple[int, int, int, bytes | None, bytearray]]:
            """Yield what must be looked at: number, where pieces begin and end, sha256 if foreseen, bytes."""
            for number, group in by_cluster(pieces, cluster):
                name = None if number in written else foreseen.name_of(group, number * cluster)
                if name is not None and name in known:
                    given.append((number, name))
                    continue
                data = bytearray(cluster)
                if number in written:
                    os.preadv(file.fileno(), [data], number * cluster)
                files.put_together(group, number * cluster, data, is_empty=number not in written)
                yield number, group[0].start, group[-1].end, name, data

        def put(one: tuple[int, int, int, bytes | None, bytearray]) -> tuple[int, bytes] | None:
            number, first, last, name, data = one
            if name is None:
                name = hashlib.sha256(data).digest()
                if name in known:
                    return number, name
            start = number * cluster
            write_at(file.fileno(), memoryview(data)[first - start : min(last, size) - start], first)
            return None

        given += [one for one in map_in_order(put, unknown(), together=TOGETHER) if one is not None]
        return sorted(given)


def key_of(pieces: Sequence[Piece], start: int, top: int = 0) -> bytes:
    """Return what stands for the content of a cluster that begins at `start` and has these pieces alone.

    Args:
        top: so many bytes of each path are not of the image.
    """
    return hashlib.sha256(
        b"".join(
            _PLACE.pack(one.start - start, one.full - start, one.end - start, one.at, len(one.path) - top)
            + one.path[top:]
            for one in pieces
        )
    ).digest()


def by_cluster(pieces: Iterable[Piece], cluster: int) -> Iterator[tuple[int, list[Piece]]]:
    """Yield the pieces of each cluster, cut where clusters begin, with its number."""
    cut = (one for piece in sorted(pieces) for one in _cut(piece, cluster))
    for number, group in groupby(cut, key=lambda piece: piece.start // cluster):
        yield number, list(group)


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

    def put_together(self, pieces: Sequence[Piece], start: int, data: bytearray, *, is_empty: bool) -> None:
        """Put the pieces into `data`, which begins at byte `start` of the disk; it may be zeroes so far."""
        view = memoryview(data)
        for piece in pieces:
            self._read(piece, view[piece.start - start : piece.full - start])
            if not is_empty:
                data[piece.full - start : piece.end - start] = bytes(piece.end - piece.full)

    def _read(self, piece: Piece, view: memoryview) -> None:
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

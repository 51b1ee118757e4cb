# SPDX-License-Identifier: MIT
"""Chunks: runs of logical addresses and where they are on the disk."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from builder.formats.crc32c import crc32c_blocks
from builder.image.disk.filesystems.btrfs.items import SECTOR, STRIPE
from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.filesystems.source import NoRoom
from builder.sizes import MIB

DATA, SYSTEM, METADATA, DUP = 1, 2, 4, 32
_GIB = 1024 * MIB
# The superblock at 64 KiB has copies at 64 MiB and 256 GiB, which no chunk may cover; the first MiB is for
# boot loaders.
_HOLES = ((MIB, 64 * MIB), (65 * MIB, 256 * _GIB), (256 * _GIB + MIB, 1 << 62))
_LARGEST_CHUNK, _CHUNK_UNIT, _LEAST_CHUNK = _GIB, 8 * MIB, 64 * MIB
# What data leaves for each copy of the metadata; what they really need is known when all is written.
METADATA_SPARE = 32 * MIB
# A chunk with less left than this is not asked for large extents.
_RUN = 16 * MIB


@dataclass(kw_only=True)
class Chunk:
    """A chunk: where it is logically and on the disk, and how much of it is used."""

    kind: int
    logical: int
    size: int
    places: list[int]
    used: int = 0


class Chunks:
    """All chunks of a file system of `size` bytes at `offset` of an open disk file."""

    def __init__(self, descriptor: int, offset: int, size: int, *, duplicate: bool) -> None:
        self.descriptor, self.offset, self.size = descriptor, offset, size & ~(SECTOR - 1)
        self.duplicate = duplicate
        self.all: list[Chunk] = []
        self.checksums: list[tuple[int, bytes]] = []
        end = self.size & ~(STRIPE - 1)
        self._holes = [[first, min(last, end)] for first, last in _HOLES if first < end]
        self._logical = MIB
        self._data: Chunk | None = None

    def add(self, kind: int, size: int) -> Chunk:
        """Make a chunk of `size` bytes; metadata and system are there twice where that is asked for.

        Raises:
            NoRoom: there is no such room.
        """
        if self.duplicate and kind in (SYSTEM, METADATA):
            kind |= DUP
        places = []
        for _ in range(2 if kind & DUP else 1):
            hole = next((one for one in self._holes if one[1] - one[0] >= size), None)
            if hole is None:
                raise NoRoom
            places.append(hole[0])
            hole[0] += size
        chunk = Chunk(kind=kind, logical=self._logical, size=size, places=places)
        self.all.append(chunk)
        self._logical += size
        return chunk

    def allocate(self, want: int) -> tuple[int, int, int]:
        """Return (logical address, place on the disk, bytes) for data: `want` bytes or fewer, whole sectors.

        Raises:
            NoRoom: the file system is full.
        """
        chunk = self._data
        if chunk is None or chunk.size - chunk.used < min(want, _RUN):
            self.close_data()
            spare = METADATA_SPARE * (2 if self.duplicate else 1)
            room = max(last - first for first, last in self._holes) - spare & ~(STRIPE - 1)
            size = min(_LARGEST_CHUNK, room)
            if size < min(want, _RUN):
                raise NoRoom
            chunk = self._data = self.add(DATA, size)
        got = min(want, chunk.size - chunk.used)
        at = chunk.used
        chunk.used += got
        return chunk.logical + at, chunk.places[0] + at, got

    def close_data(self) -> None:
        """Give back what the last chunk of data does not use: the next chunk begins there."""
        chunk = self._data
        if chunk is None:
            return
        size = max(_LEAST_CHUNK, -(-chunk.used // _CHUNK_UNIT) * _CHUNK_UNIT)
        size = min(chunk.size, size)
        hole = next(one for one in self._holes if one[0] == chunk.places[0] + chunk.size)
        hole[0] -= chunk.size - size
        self._logical -= chunk.size - size
        chunk.size = size
        self._data = None

    def put_data(self, buffer: bytearray, logical: int, place: int) -> None:
        """Write whole sectors of data and keep their checksums."""
        sums = crc32c_blocks(buffer, SECTOR)
        self.checksums.append((logical, struct.pack(f"<{len(sums)}I", *sums)))
        write_at(self.descriptor, buffer, self.offset + place)

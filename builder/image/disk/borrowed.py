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
import signal
import stat
import struct
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO

from builder.errors import BuildError
from builder.image.disk.filesystems.disk import Piece, write_at
from builder.image.disk.filesystems.ext4.rows import LONG_LINK, room_of, rows
from builder.image.disk.filesystems.source import TreeEntry, show
from builder.image.disk.qcow2 import allocated
from builder.ordered import map_in_order

# sha256 of what lies in a cluster and where, and of its bytes.
_FORESEEN = struct.Struct(">32s32s")
# Begin, end of data, end, place in the file, length of the path.
_PLACE = struct.Struct(">QQQQQ")


def settle(
    disk: Path,
    pieces: Iterable[Piece],
    cluster: int,
    known: Container[bytes],
    foreseen: Mapping[bytes, bytes] | None = None,
) -> list[tuple[int, bytes]]:
    """Write the pieces into the disk file, but for clusters that are known; return their numbers and sha256.

    Args:
        cluster: bytes of one.
        known: sha256 of those that need not be written.
        foreseen: what `foreseeing` has found.

    Raises:
        BuildError: a file became shorter.
    """
    files, given = _Files(), list[tuple[int, bytes]]()
    names = foreseen or {}
    with disk.open("r+b", buffering=0) as file, contextlib.closing(files):
        size = os.fstat(file.fileno()).st_size
        written = set(allocated(file, cluster))

        def unknown() -> Iterator[tuple[int, int, int, bytes | None, bytearray]]:
            """Yield what must be looked at: number, where pieces begin and end, sha256 if foreseen, bytes."""
            for number, group in _by_cluster(pieces, cluster):
                name = None if number in written else names.get(_key(group, number * cluster))
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

        given += [one for one in map_in_order(put, unknown()) if one is not None]
        return sorted(given)


@contextlib.contextmanager
def foreseeing(
    folders: Mapping[bytes, list[TreeEntry]], tops: Sequence[Path], cluster: int, scratch: Path
) -> Iterator[Callable[[], dict[bytes, bytes]]]:
    """Have another process digest the clusters that ext4's rows of files most likely become.

    It works while the file system is laid out: what is in a row and its clusters does not depend on where
    there is room. Yields a call that waits for the end of it, and returns what `settle` takes as `foreseen`;
    nothing where the process failed.

    Args:
        folders: what is in each folder; nobody changes any file meanwhile.
        tops: folders that become file systems.
        cluster: bytes of one.
        scratch: a folder for a file without a name.
    """
    if not tops:
        yield dict
        return
    with tempfile.TemporaryFile(dir=scratch) as file:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for top in tops:
                    _foresee(folders, os.fsencode(top), cluster, file)
                file.flush()
                status = 0
            finally:
                os._exit(status)
        waiting = [child]

        def end() -> dict[bytes, bytes]:
            if not waiting or os.waitpid(waiting.pop(), 0)[1] != 0:
                return {}
            file.seek(0)
            return dict(_FORESEEN.iter_unpack(file.read()))

        try:
            yield end
        finally:
            for process in waiting:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)


def _foresee(folders: Mapping[bytes, list[TreeEntry]], top: bytes, cluster: int, target: IO[bytes]) -> None:
    """Write the key and sha256 of each cluster that is foreseen."""

    def place(row: Sequence[TreeEntry]) -> Iterator[Piece]:
        start = 0
        for one in row:
            end = start + room_of(one.info.st_size)
            if stat.S_ISREG(one.info.st_mode):
                yield Piece(start, start + one.info.st_size, end, one.path, 0)
            start = end

    files = _Files()
    for row in rows(
        _in_order(folders, top), lambda one: room_of(one.info.st_size), lambda one: one.path[len(top) :]
    ):
        for number, group in _by_cluster(place(row), cluster):
            data = bytearray(cluster)
            files.put_together(group, number * cluster, data, is_empty=True)
            target.write(_FORESEEN.pack(_key(group, number * cluster), hashlib.sha256(data).digest()))


def _in_order(folders: Mapping[bytes, list[TreeEntry]], top: bytes) -> Iterator[TreeEntry]:
    """Yield the files and links that take blocks, as ext4's writer comes to them."""
    seen: set[int] = set()
    pending = [top]
    while pending:
        children = folders.get(pending.pop(), [])
        for one in children:
            info = one.info
            if one.is_folder or (info.st_nlink > 1 and info.st_ino in seen):
                continue
            seen.add(info.st_ino)
            if info.st_size and (stat.S_ISREG(info.st_mode) or _is_long_link(info)):
                yield one
        pending += [one.path for one in reversed(children) if one.is_folder]


def _is_long_link(info: os.stat_result) -> bool:
    return stat.S_ISLNK(info.st_mode) and info.st_size >= LONG_LINK


def _key(pieces: Sequence[Piece], start: int) -> bytes:
    """Return what stands for the content of a cluster that begins at `start` and has these pieces alone."""
    return hashlib.sha256(
        b"".join(
            _PLACE.pack(one.start - start, one.full - start, one.end - start, one.at, len(one.path))
            + one.path
            for one in pieces
        )
    ).digest()


def _by_cluster(pieces: Iterable[Piece], cluster: int) -> Iterator[tuple[int, list[Piece]]]:
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

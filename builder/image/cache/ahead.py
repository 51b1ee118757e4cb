# SPDX-License-Identifier: MIT
"""Clusters of an image, compressed while it is being made: most files stay as the packages bring them.

The outside reads the tree that was kept right after the packages were installed, puts its files together
as our writer of ext4 will, digests that, and compresses it with what the processors have to spare. A guess,
and no more: what does not come to be on the disk is forgotten. A cluster is found by its digest, and that by
the files in it (`builder.image.disk.borrowed.key_of`), where these are as they were.

The archive was written by the inside: it is read within bounds, and nothing in it is a name of a file here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from builder.image.disk.borrowed import by_cluster, key_of
from builder.image.disk.filesystems.disk import Piece
from builder.image.disk.filesystems.ext4.rows import BLOCK, CLUSTER, LONG_LINK, room_of, rows
from builder.kickstart.plan import Disk

# tar(5): a header; where its fields are.
_HEADER = 512
_NAME, _SIZE, _KIND, _LINK, _PREFIX = slice(0, 100), slice(124, 136), 156, slice(157, 257), slice(345, 500)
_FILE, _HARD_LINK, _SYMBOLIC_LINK, _RECORDS = b"0", b"1", b"2", b"x"
_LARGEST_RECORDS = 1 << 20
# Of an archive that is longer, no more is looked at.
_MOST = 300_000


class Malformed(ValueError):
    """What should be an archive is none."""


class Member(NamedTuple):
    """A file with data: its path from the root on, where in the archive they are; or a link with its text."""

    path: bytes
    start: int
    size: int
    text: bytes = b""


class Guessed(NamedTuple):
    """A cluster: what stands for the files in it, nothing where that is not all; its bytes."""

    key: bytes
    data: bytearray


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """What may become clusters: the file systems that are mounted below the root are not looked at."""

    elsewhere: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, disk: Disk) -> Guess | None:
        """Return it for a disk; None where our own ext4 does not hold the root."""
        root = disk.holding("/")
        if root is None or root.fstype != "ext4":
            return None
        points = (point for volume in disk.volumes for point in volume.mountpoints if point != "/")
        return cls(elsewhere=tuple(os.fsencode(point) + b"/" for point in points))

    def clusters(self, archive: Path) -> Iterator[Guessed]:
        """Yield what is in the archive, by clusters.

        Raises:
            Malformed: it is no archive as tar(1) writes it for us.
            OSError: it cannot be read.
        """
        with open(os.open(archive, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
            found = [one for one in members(file) if not one.path.startswith(self.elsewhere)]
            found.sort(key=_place)
            for row in rows(found, lambda one: room_of(one.size), lambda one: one.path):
                yield from _put_together(file.fileno(), row)


def _place(member: Member) -> tuple[list[bytes], bytes]:
    """Return where a file comes: those of a folder before those of the folders below it."""
    folder, _, name = member.path.rpartition(b"/")
    return folder.split(b"/"), name


def members(archive: BinaryIO) -> list[Member]:
    """Return the files and links of an archive that have data; of several names of a file the first in order.

    Files with holes are left out.

    Raises:
        Malformed: it is no archive as tar(1) writes it for us.
        OSError: it cannot be read.
    """
    end = os.fstat(archive.fileno()).st_size
    found: dict[bytes, Member] = {}  # by the name that stands in the archive with the data
    position, records = 0, dict[bytes, bytes]()
    for _ in range(_MOST):
        raw = os.pread(archive.fileno(), _HEADER, position)
        if len(raw) < _HEADER:
            raise Malformed
        if not any(raw):
            return list(found.values())
        position += _HEADER
        kind, size = raw[_KIND : _KIND + 1], _number(raw[_SIZE])
        if b"size" in records:
            size = _decimal(records[b"size"])
        if not 0 <= size <= end - position:
            raise Malformed
        data, position = position, position + -(-size // _HEADER) * _HEADER
        if kind == _RECORDS:
            if size > _LARGEST_RECORDS:
                raise Malformed
            records = _read_records(os.pread(archive.fileno(), size, data))
            continue
        path = records.get(b"path") or b"/".join(filter(None, (_text(raw[_PREFIX]), _text(raw[_NAME]))))
        link = records.get(b"linkpath") or _text(raw[_LINK])
        has_holes = any(name.startswith(b"GNU.sparse") for name in records)
        records = {}
        path, link = path.removeprefix(b"."), link.removeprefix(b".") if kind == _HARD_LINK else link
        if kind == _FILE and size and not has_holes:
            found[path] = Member(path, data, size)
        elif kind == _HARD_LINK and link in found:
            found[link] = min(found[link], found[link]._replace(path=path), key=_place)
        elif kind == _SYMBOLIC_LINK and LONG_LINK <= len(link) < BLOCK:
            found[path] = Member(path, 0, len(link), link)
    raise Malformed


def _number(field: bytes) -> int:
    """Return what a field says: octal digits, or a large number as its bytes."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Malformed from None


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise Malformed
    return int(text)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _read_records(raw: bytes) -> dict[bytes, bytes]:
    """Return the records before a header: "LENGTH NAME=VALUE", a newline each (pax(1))."""
    found, position = {}, 0
    while position < len(raw):
        digits, blank, _ = raw[position : position + 20].partition(b" ")
        length = _decimal(digits)
        record = raw[position + len(digits) + 1 : position + length - 1]
        name, equals, value = record.partition(b"=")
        if not blank or not equals or length <= len(digits) + 1:
            raise Malformed
        found[name] = value
        position += length
    return found


def _put_together(archive: int, row: Sequence[Member]) -> Iterator[Guessed]:
    """Yield the clusters of a row; behind its end there are zeroes."""
    pieces, members, end = list[Piece](), dict[bytes, Member](), 0
    for one in row:
        start, end = end, end + room_of(one.size)
        pieces.append(Piece(start, start + one.size, end, one.path, 0))
        members[one.path] = one
    for number, group in by_cluster(pieces, CLUSTER):
        data, first = bytearray(CLUSTER), number * CLUSTER
        view, is_whole = memoryview(data), True
        for piece in group:
            one, part = members[piece.path], view[piece.start - first : piece.full - first]
            if one.text:
                # The writer puts it there at once, and lends nothing.
                part[:], is_whole = one.text[piece.at : piece.at + len(part)], False
            elif os.preadv(archive, [part], one.start + piece.at) != len(part):
                raise Malformed
        yield Guessed(key_of(group, first) if is_whole else b"", data)

# SPDX-License-Identifier: MIT
"""The parts of a vhdx that hold its size and its ids (MS-VHDX, 2.2 to 2.6): little-endian, checksums CRC-32C.

0 identifier | 64 KiB, 128 KiB two headers | 192 KiB, 256 KiB two region tables | log | metadata | blocks
"""

from __future__ import annotations

import os
import struct
import uuid
from dataclasses import dataclass

KIB = 1024
HEADERS = (64 * KIB, 128 * KIB)
HEADER_BYTES = 4 * KIB
REGIONS = 192 * KIB
MOST_ENTRIES = 2047
METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
DISK_ID = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
_HAS_PARENT = 1 << 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Vhdx:
    """`size` in bytes; `id_offset` where the id of the disk stands; `log` begin and length of the log."""

    size: int
    has_parent: bool
    id_offset: int
    log: tuple[int, int]


def read(descriptor: int) -> Vhdx:
    """Read what an open vhdx says of itself.

    Raises:
        ValueError, struct.error: it is none, or is cut off.
    """
    items = dict(_metadata(descriptor))
    parameters, size = os.pread(descriptor, 8, items[PARAMETERS]), os.pread(descriptor, 8, items[DISK_SIZE])
    header = os.pread(descriptor, HEADER_BYTES, HEADERS[0])
    length, offset = struct.unpack_from("<IQ", header, 68)
    return Vhdx(
        size=struct.unpack("<Q", size)[0],
        has_parent=bool(struct.unpack("<II", parameters)[1] & _HAS_PARENT),
        id_offset=items[DISK_ID],
        log=(offset, length),
    )


def _metadata(descriptor: int) -> list[tuple[uuid.UUID, int]]:
    """Return where each item of the metadata is in the file."""
    table = os.pread(descriptor, 64 * KIB, REGIONS)
    start = next((offset for name, offset in _entries(table, b"regi", 8, 16) if name == METADATA), None)
    if start is None or start > 1 << 40:
        raise ValueError("no metadata")
    metadata = os.pread(descriptor, 64 * KIB, start)
    items = [(name, start + offset) for name, offset in _entries(metadata, b"metadata", 10, 32)]
    if not {PARAMETERS, DISK_SIZE, DISK_ID} <= {name for name, _ in items}:
        raise ValueError("metadata is missing")
    return items


def _entries(table: bytes, signature: bytes, count_at: int, first: int) -> list[tuple[uuid.UUID, int]]:
    """Return names and offsets of a table of entries of 32 bytes: a GUID, then where it is."""
    if not table.startswith(signature):
        raise ValueError("not a table")
    is_regions = signature == b"regi"
    (count,) = struct.unpack_from("<I" if is_regions else "<H", table, count_at)
    found = []
    for number in range(min(count, MOST_ENTRIES)):
        name, offset = struct.unpack_from("<16sQ" if is_regions else "<16sI", table, first + 32 * number)
        found.append((uuid.UUID(bytes_le=name), offset))
    return found

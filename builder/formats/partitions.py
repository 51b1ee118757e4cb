# SPDX-License-Identifier: MIT
"""Partition tables, read from the bytes of a disk: GPT (UEFI specification, 5.3) and MBR.

A reader of our own, because the tools repair silently what a check must see: a backup header that is not
at the end of the disk, a checksum that is wrong.
"""

from __future__ import annotations

import os
import struct
import uuid
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

SECTOR = 512

TYPE_NAMES = {
    "21686148-6449-6e6f-744e-656564454649": "biosboot",
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "efi",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "swap",
    "9e1a2d38-c612-4316-aa26-8b49521e5a8b": "prepboot",
    "0x82": "swap",
    "0xef": "efi",
}
EXTENDED = {0x05, 0x0F, 0x85}


@dataclass(frozen=True, kw_only=True, slots=True)
class TableEntry:
    """One entry of the table; `start` and `size` are bytes."""

    number: int
    type: str
    start: int
    size: int
    uuid: str | None = None
    name: str = ""

    @property
    def kind(self) -> str:
        """The type's name where it is a special one, else the type itself."""
        return TYPE_NAMES.get(self.type, self.type)

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.size


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionTable:
    """What is at the start (and the end) of a disk. `label` is gpt, msdos or none."""

    label: str
    partitions: tuple[TableEntry, ...] = ()
    problems: tuple[str, ...] = ()
    has_boot_code: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    own_sector: int
    other_sector: int
    last_usable: int
    disk_uuid: str
    entries_sector: int
    entry_count: int
    entry_size: int
    entries: bytes


def read_table(path: Path) -> PartitionTable:
    """Read the partition table of the raw disk `path`; damage is listed in `problems`, not raised."""
    size = path.stat().st_size
    with path.open("rb") as disk:
        mbr = disk.read(SECTOR)
        if len(mbr) < SECTOR or mbr[510:] != b"\x55\xaa":
            return PartitionTable(label="none", problems=("there is no partition table",))
        has_boot_code = any(mbr[:440])
        entries = [mbr[446 + 16 * i : 462 + 16 * i] for i in range(4)]
        if all(entry[4] != 0xEE for entry in entries):
            return _read_msdos(disk.fileno(), entries, size, has_boot_code)
        problems: list[str] = []
        primary = _read_header(disk.fileno(), 1, "primary", problems)
        last = size // SECTOR - 1
        backup = _read_header(disk.fileno(), last, "backup", problems)
    header = primary or backup
    if header is None:
        return PartitionTable(label="gpt", problems=tuple(problems), has_boot_code=has_boot_code)
    if primary and primary.other_sector != last:
        problems.append(
            f"the primary GPT header says the backup is in sector {primary.other_sector}, "
            f"the disk ends with sector {last}"
        )
    if primary and backup and (primary.entries, primary.disk_uuid) != (backup.entries, backup.disk_uuid):
        problems.append("the primary and the backup GPT differ")
    partitions = _gpt_partitions(header)
    problems += _layout_problems(partitions, (header.last_usable + 1) * SECTOR)
    return PartitionTable(
        label="gpt", partitions=partitions, problems=tuple(problems), has_boot_code=has_boot_code
    )


def _read_header(descriptor: int, sector: int, which: str, problems: list[str]) -> _Header | None:
    raw = os.pread(descriptor, SECTOR, sector * SECTOR)
    if raw[:8] != b"EFI PART":
        problems.append(f"the {which} GPT header is missing (sector {sector})")
        return None
    length, checksum = struct.unpack_from("<II", raw, 12)
    if not 92 <= length <= SECTOR or checksum != zlib.crc32(raw[:16] + bytes(4) + raw[20:length]):
        problems.append(f"the {which} GPT header has a wrong checksum")
        return None
    own, other, _first, last_usable = struct.unpack_from("<QQQQ", raw, 24)
    entries_sector, count, entry_size, entries_checksum = struct.unpack_from("<QIII", raw, 72)
    if own != sector:
        problems.append(f"the {which} GPT header says it is in sector {own}, it is in {sector}")
    if not (128 <= entry_size <= 4096 and count <= 1024):
        problems.append(f"the {which} GPT has {count} entries of {entry_size} bytes")
        return None
    entries = os.pread(descriptor, count * entry_size, entries_sector * SECTOR)
    if zlib.crc32(entries) != entries_checksum:
        problems.append(f"the {which} GPT's entries have a wrong checksum")
        return None
    return _Header(
        own_sector=own,
        other_sector=other,
        last_usable=last_usable,
        disk_uuid=str(uuid.UUID(bytes_le=raw[56:72])),
        entries_sector=entries_sector,
        entry_count=count,
        entry_size=entry_size,
        entries=entries,
    )


def _gpt_partitions(header: _Header) -> tuple[TableEntry, ...]:
    found = []
    for index in range(header.entry_count):
        entry = header.entries[index * header.entry_size :][: header.entry_size]
        if not any(entry[:16]):
            continue
        first, last = struct.unpack_from("<QQ", entry, 32)
        found.append(
            TableEntry(
                number=index + 1,
                type=str(uuid.UUID(bytes_le=entry[:16])),
                uuid=str(uuid.UUID(bytes_le=entry[16:32])),
                start=first * SECTOR,
                size=(last - first + 1) * SECTOR,
                name=entry[56:128].decode("utf-16-le", "replace").rstrip("\0"),
            )
        )
    return tuple(sorted(found, key=lambda partition: partition.start))


def _read_msdos(descriptor: int, entries: list[bytes], size: int, has_boot_code: bool) -> PartitionTable:
    serial = struct.unpack("<I", os.pread(descriptor, 4, 440))[0]
    found, problems = [], []
    for number, entry in enumerate(entries, 1):
        start, sectors = struct.unpack_from("<II", entry, 8)
        if entry[4] == 0:
            continue
        if entry[4] in EXTENDED:
            problems.append(f"partition {number} is an extended one: cloud tools cannot grow what is inside")
            continue
        found.append(
            TableEntry(
                number=number,
                type=f"0x{entry[4]:02x}",
                uuid=f"{serial:08x}-{number:02x}",
                start=start * SECTOR,
                size=sectors * SECTOR,
            )
        )
    partitions = tuple(sorted(found, key=lambda partition: partition.start))
    problems += _layout_problems(partitions, size)
    return PartitionTable(
        label="msdos", partitions=partitions, problems=tuple(problems), has_boot_code=has_boot_code
    )


def _layout_problems(partitions: tuple[TableEntry, ...], end: int) -> list[str]:
    problems = []
    for partition in partitions:
        if partition.end > end:
            problems.append(f"partition {partition.number} ends after the end of the disk")
        if partition.start % (1 << 20):
            problems.append(f"partition {partition.number} does not begin on a MiB")
    for before, after in pairwise(partitions):
        if before.end > after.start:
            problems.append(f"partitions {before.number} and {after.number} overlap")
    return problems or ([] if partitions else ["the partition table is empty"])

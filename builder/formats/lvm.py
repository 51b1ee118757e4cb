# SPDX-License-Identifier: MIT
"""LVM2 on disk: the label of a physical volume, its metadata area, checksums and identifiers.

From lvm2's lib/format_text/layout.h and lib/label/label.h. The first MiB of a physical volume:
    byte 512    label sector: "LABELONE", its checksum, then the header of the physical volume
    byte 4096   metadata area: a header sector, then the group's text, ended by NUL
    byte 1 MiB  the first extent
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SECTOR = 512
LABEL = SECTOR
AREA, FIRST_EXTENT = 4096, 1 << 20
MAGIC = b" LVM2 x[5A%r0N*>"
# Characters of LVM's identifiers (lib/uuid/uuid.c).
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LENGTH = 32


def checksum(data: bytes) -> int:
    """Return the CRC-32 of LVM (lib/misc/crc.c): begun with 0xf597a6cf, not inverted at the end."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def identifier(number: int) -> str:
    """Return the 32 letters that a number of 128 bits gives; the last are zeros, as 62^32 is more."""
    letters = ""
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[rest]
    return letters


def dashed(letters: str) -> str:
    """Return an identifier as texts show it: groups of 6, 4, 4, 4, 4, 4 and 6."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(letters[a:b] for a, b in pairwise(cuts))


def label_sector(pv_id: str, size: int) -> bytes:
    """Return the label of a physical volume of `size` bytes: its extents begin at FIRST_EXTENT."""
    header = pv_id.encode() + struct.pack("<Q", size)
    header += struct.pack("<4Q", FIRST_EXTENT, 0, 0, 0)  # one data area to the end; end of the list
    header += struct.pack("<4Q", AREA, FIRST_EXTENT - AREA, 0, 0)  # one metadata area; end of the list
    header += struct.pack("<IIQQ", 2, 1, 0, 0)  # extension: version, flags (1: in use); no boot area
    body = (struct.pack("<I", 32) + b"LVM2 001" + header).ljust(SECTOR - 20, b"\0")
    return b"LABELONE" + struct.pack("<QI", LABEL // SECTOR, checksum(body)) + body


def metadata_area(text: str) -> bytes:
    """Return the beginning of the metadata area: its header and `text`, the first that it holds.

    Raises:
        ValueError: the text is too long; lvm(8) wants room for two.
    """
    raw = text.encode() + b"\0"
    if len(raw) > (FIRST_EXTENT - AREA - SECTOR) // 2:
        raise ValueError(f"{len(raw)} bytes of LVM metadata")
    header = MAGIC + struct.pack("<IQQ", 1, AREA, FIRST_EXTENT - AREA)
    header += struct.pack("<QQII", SECTOR, len(raw), checksum(raw), 0)
    header = header.ljust(SECTOR - 4, b"\0")
    return struct.pack("<I", checksum(header)) + header + raw


class LvmError(ValueError):
    """What should be a physical volume is damaged; the text says how."""


Section = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of a linear volume: `size` bytes at `start` of the physical volume `pv` (its identifier)."""

    pv: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class LinearVolume:
    """A logical volume and the runs that it consists of, in order."""

    group: str
    name: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A physical volume: its identifier without dashes, and the volumes of the group that it belongs to."""

    id: str
    group: str
    volumes: tuple[LinearVolume, ...]


def read_physical_volume(read: Callable[[int, int], bytes]) -> PhysicalVolume:
    """Return what a physical volume says; `read(at, size)` gives its bytes.

    Raises:
        LvmError: it is damaged, or holds something else than linear volumes.
    """
    label = read(LABEL, SECTOR)
    if label[:8] != b"LABELONE" or label[24:32] != b"LVM2 001":
        raise LvmError("no LVM label found")
    if checksum(label[20:]) != _number("<I", label, 16):
        raise LvmError("the label has a wrong checksum")
    (offset,) = struct.unpack_from("<I", label, 20)
    identity = label[offset : offset + _LENGTH].decode("ascii", "replace")
    at = offset + _LENGTH + 8
    while _number("<Q", label, at):
        at += 16
    area = _number("<Q", label, at + 16)
    return _read_group(identity, _read_text(read, area))


def _number(form: str, raw: bytes, at: int) -> int:
    try:
        value: int = struct.unpack_from(form, raw, at)[0]
    except struct.error as error:
        raise LvmError("its headers do not end") from error
    return value


def _read_text(read: Callable[[int, int], bytes], area: int) -> str:
    header = read(area, SECTOR)
    if header[4:20] != MAGIC or checksum(header[4:]) != _number("<I", header, 0):
        raise LvmError("the metadata area has a wrong header or checksum")
    place, size = struct.unpack_from("<QQ", header, 40)
    if not 0 < size <= 1 << 24:
        raise LvmError("the metadata area is empty")
    raw = read(area + place, size)
    if checksum(raw) != _number("<I", header, 56):
        raise LvmError("the metadata has a wrong checksum")
    return raw.rstrip(b"\0").decode("utf-8", "replace")


_TOKEN = re.compile(r'#[^\n]*|"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_+.-]+)|([{}\[\]=,])|(\S)')


def parse(text: str) -> Section:
    """Return LVM's text (lvm.conf(5) has its syntax) as nested dictionaries.

    Raises:
        LvmError: it is not such a text.
    """
    tokens = []
    for match in _TOKEN.finditer(text):
        # Here at once: a quote without an end is looked for to the end of the text, again and again.
        if match[4]:
            raise LvmError(f"the metadata is not LVM's: {match[0]!r}")
        if not match[0].startswith("#"):
            tokens.append(match)
    top: Section = {}
    open_sections = [top]
    position = 0

    def value(match: re.Match[str]) -> Any:
        if match[1] is not None:
            return match[1]
        # As large as a number of LVM's can be (64 bits).
        return int(match[2]) if re.fullmatch(r"[0-9]{1,20}", match[2]) else match[2]

    while position < len(tokens):
        word = tokens[position]
        after = tokens[position + 1][0] if position + 1 < len(tokens) else ""
        if word[0] == "}" and len(open_sections) > 1:
            open_sections.pop()
            position += 1
        elif word[2] and after == "{" and len(open_sections) < 16:
            section: Section = {}
            open_sections[-1][word[2]] = section
            open_sections.append(section)
            position += 2
        elif word[2] and after == "=" and position + 2 < len(tokens):
            position += 2
            if tokens[position][0] == "[":
                items = []
                while position + 1 < len(tokens) and tokens[position][0] != "]":
                    position += 1
                    if tokens[position][1] is not None or tokens[position][2]:
                        items.append(value(tokens[position]))
                open_sections[-1][word[2]] = items
            else:
                open_sections[-1][word[2]] = value(tokens[position])
            position += 1
        else:
            raise LvmError(f"the metadata is not LVM's: {word[0]!r}")
    return top


def _read_group(identity: str, text: str) -> PhysicalVolume:
    parsed = parse(text)
    found = [(name, one) for name, one in parsed.items() if isinstance(one, dict)]
    if len(found) != 1:
        raise LvmError("the metadata has no volume group")
    name, group = found[0]
    try:
        extent = _count(group["extent_size"]) * SECTOR
        members = {
            key: (one["id"].replace("-", ""), _count(one["pe_start"]) * SECTOR)
            for key, one in group["physical_volumes"].items()
        }
        volumes = tuple(
            LinearVolume(name, key, tuple(_segments(one, members, extent)))
            for key, one in group.get("logical_volumes", {}).items()
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise LvmError(f"the metadata of {name} lacks {error}") from error
    return PhysicalVolume(identity, name, volumes)


def _segments(volume: Section, members: dict[str, tuple[str, int]], extent: int) -> Iterator[Segment]:
    for number in range(1, _count(volume["segment_count"]) + 1):
        one = volume[f"segment{number}"]
        if one["type"] != "striped" or one["stripe_count"] != 1:
            raise LvmError("there is a volume that is not linear")
        member, first = one["stripes"]
        pv, start = members[member]
        yield Segment(pv, start + _count(first) * extent, _count(one["extent_count"]) * extent)


def _count(value: object) -> int:
    """Return a number of the metadata; a text would be as good to Python's operators.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, int):
        raise TypeError("a number")
    return value

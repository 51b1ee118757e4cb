# SPDX-License-Identifier: MIT
"""LVM2 on disk: the label of a physical volume, its metadata area, checksums and identifiers.

From lvm2's lib/format_text/layout.h and lib/label/label.h. The first MiB of a physical volume:
    byte 512    label sector: "LABELONE", its checksum, then the header of the physical volume
    byte 4096   metadata area: a header sector, then the group's text, ended by NUL
    byte 1 MiB  the first extent
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

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

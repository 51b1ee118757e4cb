# SPDX-License-Identifier: MIT
"""The digests of an RPM file by which a hub knows it.

The payload digest (SIGMD5) is the md5 of header and payload, the same in every signed copy. The md5 of the
signature header says which copy it is (`sighash`, of the hub's rpmsigs).

Source: rpm's docs/manual/format_v4.md and format_header.md; Koji keeps the tag as `payloadhash`. Read here,
not by Koji's library: what a hub sends may be anything, and that takes any count in it for one.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import BinaryIO

from builder.digesting import new_digest
from builder.errors import InputError

_LEAD, _LEAD_MAGIC = 96, b"\xed\xab\xee\xdb"
_HEADER = struct.Struct(">4s4xII")
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_ENTRY = struct.Struct(">IIII")
_SIGMD5, _BINARY, _SIZE = 1004, 7, 16
# What rpm takes of a header: entries, and bytes (rpm's header_internal.h).
_MOST_ENTRIES, _MOST_BYTES = 0xFFFF, 0x0FFFFFFF


def payload_digest(path: Path) -> str:
    """Return the md5 of header and payload in hex, computed from the file's bytes.

    Raises:
        InputError: the file is not an RPM, or its bytes are not those that its own SIGMD5 names.
    """
    try:
        with path.open("rb") as file:
            stored = _read_signature(file)
            found = hashlib.file_digest(file, lambda: new_digest("md5"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: not an RPM, or a damaged one") from error
    if stored is not None and stored != found.digest():
        raise InputError(f"{path.name}: damaged: its payload is not the one that its header names")
    return found.hexdigest()


def signature_digest(path: Path) -> str:
    """Return the md5 of the signature header in hex.

    Raises:
        InputError: the file is not an RPM.
    """
    try:
        with path.open("rb") as file:
            _read_signature(file)
            end = file.tell()
            file.seek(_LEAD)
            digest = new_digest("md5")
            digest.update(_read(file, end - _LEAD))
            return digest.hexdigest()
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: not an RPM, or a damaged one") from error


def _read_signature(file: BinaryIO) -> bytes | None:
    """Return the SIGMD5 of the signature header, if it has one; the file is left at the header after that.

    Raises:
        ValueError: it is no RPM.
    """
    if _read(file, _LEAD)[:4] != _LEAD_MAGIC:
        raise ValueError("no lead")
    magic, entries, size = _HEADER.unpack(_read(file, _HEADER.size))
    if magic != _HEADER_MAGIC or entries > _MOST_ENTRIES or size > _MOST_BYTES:
        raise ValueError("no header")
    index = _read(file, entries * _ENTRY.size)
    data = file.tell()
    stored = None
    for tag, kind, offset, count in _ENTRY.iter_unpack(index):
        if tag == _SIGMD5:
            if (kind, count) != (_BINARY, _SIZE) or offset + count > size:
                raise ValueError("no digest")
            file.seek(data + offset)
            stored = _read(file, count)
    # A signature is filled up to a multiple of 8 bytes.
    file.seek(data + size + -size % 8)
    return stored


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise ValueError("it ends early")
    return data

# SPDX-License-Identifier: MIT
"""Programs of UEFI firmware: PE files (Microsoft's PE Format), of which only the signatures are read.

A kernel with an EFI stub is one too. Whether a signature is right only firmware that has the keys can say.
"""

from __future__ import annotations

import struct

_HEADER_AT = 0x3C  # where a DOS header has the place of the PE header
_OPTIONAL = 24  # the PE signature and the COFF header
_DIRECTORIES = {0x10B: 96, 0x20B: 112}  # by the magic of the optional header: PE32, PE32+
_CERTIFICATES = 4  # the number of their entry among the directories
_PKCS7 = 2  # WIN_CERT_TYPE_PKCS_SIGNED_DATA


def count_signatures(data: bytes) -> int | None:
    """Return how many Authenticode signatures a PE file carries; None: it is not a PE file.

    Raises:
        ValueError: its headers or the table of its signatures lead out of the file.
    """
    if data[:2] != b"MZ":
        return None
    try:
        (start,) = struct.unpack_from("<I", data, _HEADER_AT)
        if data[start : start + 4] != b"PE\0\0":
            return None
        optional = start + _OPTIONAL
        (magic,) = struct.unpack_from("<H", data, optional)
        if magic not in _DIRECTORIES:
            return None
        directories = optional + _DIRECTORIES[magic]
        (count,) = struct.unpack_from("<I", data, directories - 4)
        if count <= _CERTIFICATES:
            return 0
        at, size = struct.unpack_from("<II", data, directories + 8 * _CERTIFICATES)
        return _count(data, at, at + size)
    except struct.error as error:
        raise ValueError("its headers are cut off") from error


def _count(data: bytes, at: int, end: int) -> int:
    """Count the PKCS #7 entries of the certificate table, each of which begins on 8 bytes."""
    if end > len(data):
        raise ValueError("its signatures are cut off")
    found = 0
    while at < end:
        length, _, kind = struct.unpack_from("<IHH", data, at)
        if length < 8 or at + length > end:
            raise ValueError("the table of its signatures is damaged")
        found += kind == _PKCS7
        at += -(-length // 8) * 8
    return found

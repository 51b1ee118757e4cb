# SPDX-License-Identifier: MIT
"""The smallest EFI programs that can be distinguished: PE headers with signatures, and no code."""

from __future__ import annotations

import struct

_PE, _OPTIONAL, _SIZE = 0x40, 0x58, 0x200


def efi_program(signatures: int = 1) -> bytes:
    """Return a PE32+ file with so many entries of PKCS #7 in its certificate table."""
    certificates = struct.pack("<IHH8s", 16, 0x200, 2, b"not one!") * signatures
    data = bytearray(_SIZE)
    data[:2] = b"MZ"
    struct.pack_into("<I", data, 0x3C, _PE)
    data[_PE : _PE + 4] = b"PE\0\0"
    struct.pack_into("<H", data, _OPTIONAL, 0x20B)
    struct.pack_into("<I", data, _OPTIONAL + 108, 16)
    if signatures:
        struct.pack_into("<II", data, _OPTIONAL + 112 + 8 * 4, _SIZE, len(certificates))
    return bytes(data) + certificates

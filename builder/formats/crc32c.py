# SPDX-License-Identifier: MIT
"""CRC-32C (Castagnoli, RFC 3720 B.4), of which ext4, xfs and btrfs make their checksums.

e2fsprogs' own library computes it where it can be loaded (mke2fs, which every build needs, comes with it);
else it is slow.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

ALL = 0xFFFFFFFF


@cache
def _library() -> Callable[[int, int | bytes, int], int] | None:
    """Return ext2fs_crc32c_le(seed, address or bytes, length) of libext2fs."""
    try:
        function = ctypes.CDLL("libext2fs.so.2").ext2fs_crc32c_le
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_uint32
    found: Callable[[int, int | bytes, int], int] = function
    return found


def crc32c(data: bytes, value: int = ALL) -> int:
    """Return the checksum of `data`, begun with `value`, not inverted at the end."""
    function = _library()
    return _slow(value, data) if function is None else function(value, data, len(data))


def crc32c_blocks(buffer: bytearray, size: int) -> list[int]:
    """Return the checksum, inverted at the end as usual, of each `size` bytes of `buffer`."""
    function = _library()
    places = range(0, len(buffer), size)
    if function is None:
        return [_slow(ALL, bytes(buffer[place : place + size])) ^ ALL for place in places]
    base = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    return [function(ALL, base + place, size) ^ ALL for place in places]


@cache
def _table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _slow(value: int, data: bytes) -> int:
    table = _table()
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value

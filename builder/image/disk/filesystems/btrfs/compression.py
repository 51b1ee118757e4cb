# SPDX-License-Identifier: MIT
"""compress= of the mount options: what is written is compressed as the kernel would, in pieces of 128 KiB."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from builder import zstd
from builder.image.disk.placement import FstabLine, PlacedContent

# BTRFS_COMPRESS_*, and the incompatible features that they need.
_ZLIB, _ZSTD = 1, 3
_ZSTD_FEATURE = 0x10
PIECE = 128 << 10


@dataclass(frozen=True, slots=True)
class Compression:
    """A way to compress: its number in extents, its feature, and what does it."""

    number: int
    feature: int
    pack: Callable[[bytes], bytes]


def compression_of(mount: FstabLine | PlacedContent) -> Compression | None:
    """Return the compression that the mount options ask for.

    None without one, and for lzo: its files are compressed when the guest writes them (btrfs(5)).
    """
    options = mount.options if isinstance(mount, FstabLine) else mount.fsoptions or ""
    found = re.findall(r"(?:^|,)compress(?:-force)?(?:=([a-z]+)(?::(\d+))?)?(?=,|$)", options)
    if not found:
        return None
    name, level = found[-1]
    if name in ("", "zlib"):
        depth = int(level or 3)
        return Compression(_ZLIB, 0, lambda data: zlib.compress(data, depth))
    if name == "zstd":
        depth = int(level or 3)
        return Compression(_ZSTD, _ZSTD_FEATURE, lambda data: zstd.compress(data, depth))
    return None

# SPDX-License-Identifier: MIT
"""swap: one page of header, as mkswap(8) writes it (union swap_header of linux/swap.h)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.placement import PlacedContent, Usage

PAGE = 4096
SIGNATURE = b"SWAPSPACE2"
LABEL_BYTES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class SwapWriter:
    """Writes swap areas for machines with pages of 4 KiB."""

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return nothing: no file is on swap."""
        del size, mkfsoptions
        return Usage()

    def write(self, disk: DiskFile, placed: PlacedContent, sources: Mapping[str, Path]) -> None:
        """Write the header; the rest stays unallocated."""
        del sources
        header = bytearray(PAGE)
        label = (placed.label or "").encode()[: LABEL_BYTES - 1]
        identity = uuid.UUID(placed.uuid).bytes if placed.uuid else bytes(16)
        struct.pack_into("<III", header, 1024, 1, placed.size // PAGE - 1, 0)
        header[1036:1052] = identity
        header[1052 : 1052 + len(label)] = label
        header[-len(SIGNATURE) :] = SIGNATURE
        with disk.file.open("r+b") as file:
            file.seek(placed.start)
            file.write(header)


def make_writer(_fstype: str) -> SwapWriter:
    """Return what writes it."""
    return SwapWriter()

# SPDX-License-Identifier: MIT
"""Zstandard (RFC 8878): Python's own from 3.14 on, PyPI's zstandard before."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd

    ZstdError = zstd.ZstdError
    VERSION = zstd.zstd_version

    def compress(data: bytes, level: int) -> bytes:
        """Return one frame that holds `data`."""
        return zstd.compress(data, level)

    def decompress(data: bytes) -> bytes:
        """Return what the frames hold.

        Raises:
            ZstdError: they are damaged.
        """
        return zstd.decompress(data)

else:
    import zstandard

    ZstdError = zstandard.ZstdError
    # Of the library below, whose bytes may differ from those of another.
    VERSION = ".".join(map(str, zstandard.ZSTD_VERSION))

    def compress(data: bytes, level: int) -> bytes:
        """Return one frame that holds `data`."""
        frame: bytes = zstandard.ZstdCompressor(level=level).compress(data)
        return frame

    def decompress(data: bytes) -> bytes:
        """Return what the frames hold.

        Raises:
            ZstdError: they are damaged.
        """
        # A frame need not say how long its content is, as one call of ZstdDecompressor.decompress wants it.
        held: bytes = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)
        return held

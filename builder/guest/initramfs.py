# SPDX-License-Identifier: MIT
"""The names in an initramfs: cpio archives in a row, some compressed (the kernel's buffer-format.rst)."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from builder.guest.outcome import not_done
from builder.runner import Runner

_TRAILER = "TRAILER!!!"


def read_names(runner: Runner, path: Path, work: Path) -> list[str]:
    """Return the paths of everything in the initramfs `path`, in order.

    Raises:
        CannotCheck: it is damaged, or compressed in a way not known here.
    """
    names: list[str] = []
    data = path.read_bytes()
    while data := data.lstrip(b"\0"):
        if data.startswith((b"070701", b"070702")):
            position = 0
            for name, end in _entries(data):
                position = end
                names.append(name)
            data = data[position:]
        else:
            data = _decompress(runner, data, work)
    return [name for name in names if name != _TRAILER]


def _entries(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield (name, end) of the archive at the start of `data`, up to its trailer."""
    position = 0
    while data[position : position + 5] == b"07070":
        fields = data[position + 6 : position + 110]
        size, length = int(fields[48:56], 16), int(fields[88:96], 16)
        name = data[position + 110 : position + 110 + length - 1].decode(errors="replace")
        content = _round_up(position + 110 + length)
        position = _round_up(content + size)
        yield name, min(position, len(data))
        if name == _TRAILER:
            return
    raise not_done("the initramfs is cut off")


def _round_up(value: int) -> int:
    return (value + 3) & ~3


def _decompress(runner: Runner, data: bytes, work: Path) -> bytes:
    try:
        if data.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(data)
        if data.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
            return lzma.LZMADecompressor().decompress(data)
    except (zlib.error, lzma.LZMAError) as error:
        raise not_done(f"the initramfs cannot be decompressed: {error}") from error
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        packed, plain = work / "initramfs.zst", work / "initramfs.cpio"
        packed.write_bytes(data)
        runner.run(["zstd", "-q", "-d", "-f", packed, "-o", plain])
        return plain.read_bytes()
    raise not_done(f"the initramfs is compressed in an unknown way ({data[:4].hex()})")

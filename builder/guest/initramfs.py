# SPDX-License-Identifier: MIT
"""The names in an initramfs: cpio archives in a row, some compressed (the kernel's buffer-format.rst)."""

from __future__ import annotations

import lzma
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from builder.guest.outcome import not_done
from builder.room import run_apart
from builder.runner import Runner

# Bytes of an initramfs once unpacked, and how many archives it may be made of.
LARGEST = 512 << 20
_MOST_ARCHIVES = 64
_TRAILER = "TRAILER!!!"
_FIELDS = re.compile(rb"[0-9A-Fa-f]{104}")


def read_names(runner: Runner, data: bytes, work: Path) -> list[str]:
    """Return the paths of everything in the initramfs `data`, in order.

    Args:
        work: a folder of ours, for what is unpacked.

    Raises:
        CannotCheck: it is damaged, larger than any, or compressed in a way not known here.
    """
    names: list[str] = []
    for _ in range(_MOST_ARCHIVES):
        data = data.lstrip(b"\0")
        if not data:
            return [name for name in names if name != _TRAILER]
        if data.startswith((b"070701", b"070702")):
            position = 0
            for name, end in _entries(data):
                position = end
                names.append(name)
            data = data[position:]
        else:
            data = _decompress(runner, data, work)
    raise not_done(f"the initramfs holds more than {_MOST_ARCHIVES} archives")


def _entries(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield (name, end) of the archive at the start of `data`, up to its trailer."""
    position = 0
    while data[position : position + 5] == b"07070":
        fields = data[position + 6 : position + 110]
        # int() takes signs and blanks as well: a size below zero would lead back to where we were.
        if not _FIELDS.fullmatch(fields):
            raise not_done("the initramfs is damaged: a size is not a number")
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
            return _bounded(zlib.decompressobj(wbits=31).decompress(data, LARGEST + 1))
        if data.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
            return _bounded(lzma.LZMADecompressor(memlimit=LARGEST).decompress(data, LARGEST + 1))
    except (zlib.error, lzma.LZMAError) as error:
        raise not_done(f"the initramfs cannot be decompressed: {error}") from error
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return _unpack_zstd(runner, data, work)
    raise not_done(f"the initramfs is compressed in an unknown way ({data[:4].hex()})")


def _unpack_zstd(runner: Runner, data: bytes, work: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="initramfs-", dir=work) as folder:
        packed, plain = Path(folder, "packed"), Path(folder, "plain")
        packed.write_bytes(data)
        argv = ["zstd", "-q", "-d", "-f", f"{packed}", "-o", f"{plain}"]
        run_apart(runner, argv, writable=Path(folder), room=LARGEST)
        descriptor = os.open(plain, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return _bounded(file.read(LARGEST + 1))


def _bounded(data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise not_done(f"the initramfs unpacks to more than {LARGEST >> 20} MiB")
    return data

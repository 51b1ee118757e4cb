# SPDX-License-Identifier: MIT
"""Equal disks, equal bytes: random ids and the time of writing, which qemu-img puts into an image, pinned.

    vmdk    CID of the descriptor
    vhd     time and id of both copies of the footer, with their checksums
    vhdx    ids and numbers of both headers, with their checksums; id of the disk; the unused log
    vdi     ids of the image and of its last snapshot

qcow2 and raw have none.
"""

from __future__ import annotations

import os
import re
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

from builder.formats import vhdx
from builder.formats.crc32c import ALL, crc32c
from builder.formats.diskimage import SECTOR

# Seconds from 1970 to 2000, where the time of a vhd begins.
YEAR_2000 = 946_684_800
_NAMESPACE = uuid.UUID("6b0a7b54-3a44-5d62-9f0e-5a4a3c1f4f3d")


def pin(path: Path, format: str, seed: str, epoch: int) -> None:
    """Give the ids in an image that qemu-img wrote the values that follow from `seed`, and its time `epoch`.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: it is not as qemu-img writes it.
    """
    pinner = _PINNERS.get(format)
    if pinner is None:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        pinner(descriptor, seed, epoch)
    finally:
        os.close(descriptor)


def _id(seed: str, what: str) -> bytes:
    return uuid.uuid5(_NAMESPACE, f"{seed} {what}").bytes


def _pin_vmdk(descriptor: int, seed: str, _: int) -> None:
    start, length = (SECTOR * each for each in struct.unpack("<QQ", os.pread(descriptor, 16, 28)))
    text = os.pread(descriptor, length, start).rstrip(b"\0")
    # 0xffffffff and 0xfffffffe mean: none.
    number = int.from_bytes(_id(seed, "vmdk")[:4], "big") & 0x7FFFFFFF
    pinned, found = re.subn(rb"(?m)^CID=[0-9a-f]+$", b"CID=%08x" % number, text)
    if found != 1:
        raise ValueError("no CID in the descriptor")
    os.pwrite(descriptor, pinned.ljust(length, b"\0"), start)


def _pin_vhd(descriptor: int, seed: str, epoch: int) -> None:
    footer = bytearray(os.pread(descriptor, SECTOR, 0))
    if not footer.startswith(b"conectix"):
        raise ValueError("no footer")
    struct.pack_into(">I", footer, 24, min(max(0, epoch - YEAR_2000), ALL))
    footer[68:84] = _id(seed, "vhd")
    footer[64:68] = bytes(4)
    struct.pack_into(">I", footer, 64, ~sum(footer) & ALL)
    os.pwrite(descriptor, footer, 0)
    os.pwrite(descriptor, footer, os.fstat(descriptor).st_size - SECTOR)


def _pin_vhdx(descriptor: int, seed: str, _: int) -> None:
    found = vhdx.read(descriptor)
    headers = [(bytearray(os.pread(descriptor, vhdx.HEADER_BYTES, each)), each) for each in vhdx.HEADERS]
    # The one with the higher number counts; qemu begins with a random one.
    headers.sort(key=lambda pair: struct.unpack_from("<Q", pair[0], 8))
    for number, (header, offset) in enumerate(headers, 1):
        struct.pack_into("<Q", header, 8, number)
        header[16:48] = _id(seed, "file") + _id(seed, "data")
        # A log without an id is empty: it was written back when the file was closed.
        if any(header[48:64]):
            raise ValueError("its log is in use")
        header[4:8] = bytes(4)
        struct.pack_into("<I", header, 4, crc32c(bytes(header)) ^ ALL)
        os.pwrite(descriptor, header, offset)
    os.pwrite(descriptor, _id(seed, "disk"), found.id_offset)
    start, length = found.log
    os.pwrite(descriptor, bytes(length), start)


def _pin_vdi(descriptor: int, seed: str, _: int) -> None:
    os.pwrite(descriptor, _id(seed, "image") + _id(seed, "snapshot"), 392)


_PINNERS: dict[str, Callable[[int, str, int], None]] = {
    "vmdk": _pin_vmdk, "vhd": _pin_vhd, "vhdx": _pin_vhdx, "vdi": _pin_vdi,
}  # fmt: skip

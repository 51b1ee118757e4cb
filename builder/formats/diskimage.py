# SPDX-License-Identifier: MIT
"""What kind of file a disk image is, read from its first bytes without opening anything else.

qemu-img would probe a raw disk for any format that it knows, a guest's own bytes included, and then open the
files that such a format names. So the format is decided here, and every program is given it.
qcow2: qemu's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError

_QCOW2 = b"QFI\xfb"
_DATA_FILE = 1 << 2
_LONGEST_NAME = 1023
# Formats that are neither qcow2 nor raw, by how they begin.
_OTHERS = {
    b"KDMV": "vmdk", b"COWD": "vmdk", b"# Disk DescriptorFile": "vmdk", b"conectix": "vhd",
    b"vhdxfile": "vhdx", b"QED\0": "qed", b"<<< ": "vdi", b"LUKS\xba\xbe": "luks",
    b"WithoutFreeSpace": "parallels", b"Bochs Virtual HD Image": "bochs", b"#!/bin/sh\n#V2.0 Format": "cloop",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskImage:
    """An image file: `format` is qcow2, raw, or the name of another; `size` the bytes of its disk.

    `backing` and `has_data_file`: it needs another file, which could be any of this host's.
    """

    format: str
    size: int
    backing: str | None = None
    has_data_file: bool = False
    version: int = 0

    @property
    def is_standalone(self) -> bool:
        """Whether it needs no other file."""
        return self.backing is None and not self.has_data_file


def read_header(path: Path) -> DiskImage:
    """Return what the file `path` is.

    Raises:
        InputError: it cannot be read, is not a regular file, or its header is cut off.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{path}: not a regular file")
        head = file.read(512)
        if head.startswith(_QCOW2):
            return _read_qcow2(path, descriptor, head)
    kind = next((name for magic, name in _OTHERS.items() if head.startswith(magic)), "raw")
    return DiskImage(format=kind, size=info.st_size)


def _read_qcow2(path: Path, descriptor: int, head: bytes) -> DiskImage:
    if len(head) < 72:
        raise InputError(f"{path}: the header of the qcow2 is cut off")
    version, backing_offset, backing_size, _, size = struct.unpack_from(">IQIIQ", head, 4)
    incompatible = struct.unpack_from(">Q", head, 72)[0] if version >= 3 and len(head) >= 80 else 0
    backing = None
    if backing_offset:
        name = os.pread(descriptor, min(backing_size, _LONGEST_NAME), backing_offset)
        backing = name.decode(errors="replace")
    return DiskImage(
        format="qcow2",
        size=size,
        backing=backing,
        has_data_file=bool(incompatible & _DATA_FILE),
        version=version,
    )

# SPDX-License-Identifier: MIT
"""What kind of file a disk image is, read from its first bytes without opening anything else.

qemu-img would probe a raw disk for any format that it knows, a guest's own bytes included, and then open the
files that such a format names. So the format is decided here, and every program is given it.
qcow2: qemu's docs/interop/qcow2.txt; vmdk, vhd, vhdx and vdi: qemu's block/*.c, which writes and reads them.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError
from builder.formats import vhdx


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskFormat:
    """A format of disk images that we read and write.

    `qemu` is qemu-img's name of it; `options` are those of `qemu-img convert` that make one that clouds take.
    `most` is the largest disk that it can hold, in bytes, where that is less than a file system of this host
    lets a file have.
    """

    qemu: str
    options: tuple[str, ...] = ()
    most: int | None = None


# By Glance's names, which are also how files end. Of vmdk, Glance takes the stream-optimized. A vhd keeps its
# exact size: without force_size, qemu-img enlarges the disk to whole cylinders, and its GPT no longer fits.
FORMATS = {
    "qcow2": DiskFormat(qemu="qcow2"),
    "raw": DiskFormat(qemu="raw"),
    "vmdk": DiskFormat(qemu="vmdk", options=("-o", "subformat=streamOptimized")),
    # qemu's block/vpc.c: VHD_MAX_SECTORS.
    "vhd": DiskFormat(qemu="vpc", options=("-o", "subformat=dynamic,force_size=on"), most=0xFF000000 * 512),
    "vhdx": DiskFormat(qemu="vhdx"),
    "vdi": DiskFormat(qemu="vdi"),
}

SECTOR = 512
_QCOW2 = b"QFI\xfb"
_DATA_FILE = 1 << 2
_LONGEST_NAME = 1023
_LONGEST_DESCRIPTOR = 64 << 10
_VMDK_SECTORS = 20
_VHD_DIFFERENCING = 4
# By how they begin. Those that are not in FORMATS are only known so that nobody takes them for raw.
_BEGINNINGS = {
    _QCOW2: "qcow2", b"KDMV": "vmdk", b"# Disk DescriptorFile": "vmdk", b"conectix": "vhd",
    b"vhdxfile": "vhdx", b"<<< ": "vdi",
    b"COWD": "vmdk of ESX", b"QED\0": "qed", b"LUKS\xba\xbe": "luks", b"WithoutFreeSpace": "parallels",
    b"Bochs Virtual HD Image": "bochs", b"#!/bin/sh\n#V2.0 Format": "cloop",
    b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz",
}  # fmt: skip
UNPACK = {"zstd": "zstd -d", "gzip": "gunzip", "xz": "unxz"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskImage:
    """An image file: `format` is one of FORMATS, or the name of another; `size` the bytes of its disk.

    `backing` and `has_data_file`: it needs another file, which could be any of this host's. `is_bootable`: a
    raw file that ends its first sector as a partition table or a boot sector does.
    """

    format: str
    size: int
    backing: str | None = None
    has_data_file: bool = False
    version: int = 0
    is_bootable: bool = False

    @property
    def is_standalone(self) -> bool:
        """Whether it needs no other file."""
        return self.backing is None and not self.has_data_file

    def require_disk(self, path: Path) -> None:
        """Refuse a file that is no disk: of a raw one only its first sector tells.

        Raises:
            InputError: the file at `path` is empty, or its first sector is no boot sector.
        """
        if self.format == "raw" and not self.is_bootable:
            why = "a raw disk begins with a boot sector" if self.size else "the file is empty"
            raise InputError(
                f"{path}: not a disk image: {why}",
                hint="give the file of a disk, such as out/NAME/NAME.qcow2",
            )

    @property
    def qemu(self) -> str:
        """What qemu calls the format."""
        return FORMATS[self.format].qemu


def read_header(path: Path) -> DiskImage:
    """Return what the file `path` is.

    Raises:
        InputError: it cannot be read, is not a regular file, or its header is cut off.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{path}: not a regular file")
        head = os.pread(descriptor, SECTOR, 0)
        kind = next((name for magic, name in _BEGINNINGS.items() if head.startswith(magic)), "raw")
        reader = _READERS.get(kind)
        if reader is not None:
            return reader(descriptor, head)
    except (struct.error, ValueError) as error:
        raise InputError(f"{path}: the header of the {kind} is cut off or damaged") from error
    finally:
        os.close(descriptor)
    return DiskImage(format=kind, size=info.st_size, is_bootable=head[510:] == b"\x55\xaa")


def _read_qcow2(descriptor: int, head: bytes) -> DiskImage:
    if len(head) < 72:
        raise ValueError("short")
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


def _read_vmdk(descriptor: int, head: bytes) -> DiskImage:
    if not head.startswith(b"KDMV"):
        # A text that names the files of the disk.
        return DiskImage(format="vmdk", size=0, has_data_file=True)
    version, _, capacity, _, start, length = struct.unpack_from("<IIQQQQ", head, 4)
    # qemu reads 20 sectors, whatever the header says of the length, and looks for the bare word in them.
    length = min(max(length, _VMDK_SECTORS) * SECTOR, _LONGEST_DESCRIPTOR)
    text = os.pread(descriptor, length, min(start * SECTOR, 1 << 40))
    parent = re.search(rb'parentFileNameHint(?:..([^"\n]*))?', text, re.DOTALL)
    return DiskImage(
        format="vmdk",
        size=capacity * SECTOR,
        backing=(parent[1] or b"").decode(errors="replace") if parent else None,
        # qemu takes a header without a capacity for a text that names files.
        has_data_file=capacity == 0,
        version=version,
    )


def _read_vhd(_: int, head: bytes) -> DiskImage:
    size, _, kind = struct.unpack_from(">QII", head, 48)
    return DiskImage(format="vhd", size=size, backing="its parent" if kind == _VHD_DIFFERENCING else None)


def _read_vhdx(descriptor: int, _: bytes) -> DiskImage:
    found = vhdx.read(descriptor)
    return DiskImage(format="vhdx", size=found.size, backing="its parent" if found.has_parent else None)


def _read_vdi(_: int, head: bytes) -> DiskImage:
    (size,) = struct.unpack_from("<Q", head, 368)
    links = head[424:456]
    if len(links) < 32:
        raise ValueError("short")
    return DiskImage(format="vdi", size=size, backing="its parent" if any(links) else None)


_READERS = {"qcow2": _read_qcow2, "vmdk": _read_vmdk, "vhd": _read_vhd, "vhdx": _read_vhdx, "vdi": _read_vdi}

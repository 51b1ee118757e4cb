# SPDX-License-Identifier: MIT
"""File systems inside a raw disk, looked at and unpacked without mounts, loop devices or root.

ext: e2fsck and debugfs at an offset. vfat: a sparse copy for fsck.vfat, mtools at an offset. Others are
known by name and UUID (blkid) and looked at only from inside the booted guest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from builder.formats.partitions import Partition
from builder.guest.outcome import not_done
from builder.guest.room import run_apart
from builder.guest.tree import make_readable
from builder.runner import Runner

EXT = ("ext2", "ext3", "ext4")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSystem:
    """What blkid finds in a partition."""

    partition: Partition
    type: str
    uuid: str | None = None
    label: str | None = None


def identify(runner: Runner, disk: Path, partition: Partition) -> FileSystem | None:
    """Return the file system in `partition`; None: there is none that blkid knows."""
    where = ["-O", str(partition.start), "-S", str(partition.size)]
    found = run_apart(
        runner, ["blkid", "-p", *where, "-o", "export", os.fspath(disk)], readable=[disk], ok=(0, 2)
    )
    pairs = dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)
    if "TYPE" not in pairs:
        return None
    return FileSystem(
        partition=partition, type=pairs["TYPE"], uuid=pairs.get("UUID"), label=pairs.get("LABEL")
    )


def check(runner: Runner, disk: Path, system: FileSystem, folder: Path) -> str | None:
    """Run the file system's own checker; return what it complains of, None: it is clean.

    Raises:
        CannotCheck: no checker of that type works without a device.
    """
    if system.type in EXT:
        where = f"{disk}?offset={system.partition.start}"
        done = run_apart(runner, ["e2fsck", "-f", "-n", where], readable=[disk], ok=())
        if done.returncode == 0:
            return _ext_state(runner, disk, where)
        return _complaint(done.stdout + done.stderr)
    if system.type == "vfat":
        copy = folder / f"partition{system.partition.number}.vfat"
        copy_range(disk, system.partition.start, system.partition.size, copy)
        try:
            done = run_apart(runner, ["fsck.vfat", "-n", copy], readable=[copy], ok=())
        finally:
            copy.unlink()
        return None if done.returncode == 0 else _complaint(done.stdout + done.stderr)
    if system.type == "swap":
        return None
    raise not_done(f"partition {system.partition.number}: no checker here for {system.type}")


def _ext_state(runner: Runner, disk: Path, where: str) -> str | None:
    """Return what is wrong with the state that the superblock tells (e2fsck -n passes over it)."""
    fields = _superblock(runner, disk, where)
    state = fields.get("Filesystem state", "")
    if state != "clean":
        return f"the state is `{state}`"
    if "needs_recovery" in fields.get("Filesystem features", ""):
        return "the journal needs recovery"
    return None


def _superblock(runner: Runner, disk: Path, where: str) -> dict[str, str]:
    """Return the fields of an ext superblock, as dumpe2fs(8) names them.

    By debugfs: dumpe2fs of e2fsprogs 1.47.2 and later takes `file?offset=N` for a TAG=VALUE of blkid.
    """
    text = run_apart(runner, ["debugfs", "-R", "show_super_stats -h", where], readable=[disk]).stdout
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def _complaint(text: str) -> str:
    skip = ("e2fsck ", "Pass ", "fsck.fat ", "fsck.vfat", "Leaving")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(skip)]
    return "; ".join(lines[:3])[:300] or "the checker gave no reason"


def unpack(runner: Runner, disk: Path, system: FileSystem, target: Path) -> None:
    """Write the files of `system` into the new folder `target`: nothing else can be written to meanwhile.

    Owners and labels are not kept.

    Raises:
        CannotCheck: the type cannot be read from outside.
        CommandFailed: it holds more than fits into its partition.
    """
    target.mkdir(mode=0o700)
    room = system.partition.size
    if system.type in EXT:
        where = f"{disk}?offset={system.partition.start}"
        # debugfs complains of each owner that it cannot give, and always ends with 0.
        request = f'rdump "/" "{target}"'
        run_apart(runner, ["debugfs", "-R", request, where], readable=[disk], writable=target, room=room)
    elif system.type == "vfat":
        # The root of the volume: mcopy cannot copy `::/` itself when it is empty.
        where = f"{disk}@@{system.partition.start}"
        listing = run_apart(runner, ["mdir", "-b", "-i", where, "::/"], readable=[disk], ok=(0, 1)).stdout
        names = [line.strip() for line in listing.splitlines() if line.startswith("::")]
        if names:
            words = ["mcopy", "-s", "-n", "-Q", "-i", where, *(name.rstrip("/") for name in names)]
            run_apart(runner, [*words, target], readable=[disk], writable=target, room=room)
    else:
        raise not_done(f"{system.type} cannot be read from outside without a mount")
    make_readable(target)


def copy_range(source: Path, start: int, size: int, target: Path) -> None:
    """Copy `size` bytes from `start` of `source` to `target`; holes stay holes."""
    with source.open("rb") as reader, target.open("wb") as writer:
        writer.truncate(size)
        position, end = start, start + size
        while position < end:
            try:
                data = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError:
                return
            hole = os.lseek(reader.fileno(), data, os.SEEK_HOLE)
            position = data
            while position < min(hole, end):
                count = min(1 << 20, min(hole, end) - position)
                chunk = os.pread(reader.fileno(), count, position)
                os.pwrite(writer.fileno(), chunk, position - start)
                position += count


def free_data(runner: Runner, disk: Path, system: FileSystem) -> tuple[int, int]:
    """Return (bytes of free blocks that hold data, bytes of free blocks) of an ext file system."""
    where = f"{disk}?offset={system.partition.start}"
    fields = _superblock(runner, disk, where)
    block, count = int(fields["Block size"]), int(fields["Free blocks"])
    listing = (
        run_apart(runner, ["debugfs", "-R", f"ffb {count}", where], readable=[disk]).stdout if count else ""
    )
    free = dirty = 0
    with disk.open("rb") as reader:
        for first, last in _ranges(listing):
            start = system.partition.start + first * block
            end = system.partition.start + (last + 1) * block
            free += end - start
            dirty += _data_between(reader.fileno(), start, end, block)
    return dirty, free


def _ranges(listing: str) -> Iterator[tuple[int, int]]:
    """Yield the (first, last) of each run of numbers in `Free blocks found: 7 9 10 11`."""
    # A run keeps the same distance between a number and its place in the list.
    numbers = enumerate(map(int, listing.partition(":")[2].split()))
    for _, run in groupby(numbers, lambda pair: pair[1] - pair[0]):
        blocks = [block for _, block in run]
        yield blocks[0], blocks[-1]


def _data_between(descriptor: int, start: int, end: int, block: int) -> int:
    """Return the bytes of the blocks between `start` and `end` that are not zero; holes cost nothing."""
    found, position, zero = 0, start, bytes(block)
    while position < end:
        try:
            data = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            return found
        stop = min(end, os.lseek(descriptor, data, os.SEEK_HOLE))
        position = data - (data - start) % block
        while position < stop:
            if os.pread(descriptor, block, position) != zero:
                found += block
            position += block
    return found

# SPDX-License-Identifier: MIT
"""File systems inside a raw disk, found and copied without mounts, loop devices or root."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import tools
from builder.formats.partitions import TableEntry
from builder.guest.outcome import not_done
from builder.guest.volumes import FoundVolume
from builder.room import run_apart
from builder.runner import Completed, Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFileSystem:
    """What blkid finds in a partition or a logical volume.

    `volume` is GROUP/NAME of a logical volume; `pieces` are (start, size) of where it is on the disk.
    """

    partition: TableEntry
    type: str
    uuid: str | None = None
    label: str | None = None
    volume: str | None = None
    pieces: tuple[tuple[int, int], ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"volume {self.volume}" if self.volume else f"partition {self.partition.number}"

    @property
    def start(self) -> int:
        """Where it begins on the disk."""
        return self.pieces[0][0] if self.pieces else self.partition.start

    @property
    def size(self) -> int:
        """Bytes that it has."""
        return sum(size for _, size in self.pieces) if self.pieces else self.partition.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A file system that is looked at: on which disk, started by whom, and a folder for copies."""

    runner: Runner
    disk: Path
    system: FoundFileSystem
    work: Path


def identify(
    runner: Runner, disk: Path, partition: TableEntry, volume: FoundVolume | None = None
) -> FoundFileSystem | None:
    """Return the file system in `partition`, or in a logical volume there; None: blkid knows none."""
    pieces = volume.pieces if volume else ((partition.start, partition.size),)
    where = ["-O", str(pieces[0][0]), "-S", str(pieces[0][1] if volume else partition.size)]
    found = run_apart(
        runner, ["blkid", "-p", *where, "-o", "export", os.fspath(disk)], readable=[disk], ok=(0, 2)
    )
    pairs = dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)
    if "TYPE" not in pairs:
        return None
    return FoundFileSystem(
        partition=partition,
        type=pairs["TYPE"],
        uuid=pairs.get("UUID"),
        label=pairs.get("LABEL"),
        volume=volume.name if volume else None,
        pieces=volume.pieces if volume else (),
    )


@contextmanager
def copied(disk: Path, system: FoundFileSystem, folder: Path) -> Iterator[Path]:
    """Give a sparse copy of the file system, as long as it is looked at."""
    copy = folder / f"{system.name.replace('/', '-').replace(' ', '-')}.{system.type}"
    try:
        with copy.open("wb") as file:
            file.truncate(system.size)
        at = 0
        for start, size in system.pieces or ((system.partition.start, system.partition.size),):
            copy_range(disk, start, size, copy, at)
            at += size
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def copy_range(source: Path, start: int, size: int, target: Path, at: int = 0) -> None:
    """Copy `size` bytes from `start` of `source` to byte `at` of `target`; holes stay holes."""
    with source.open("rb") as reader, target.open("r+b") as writer:
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
                os.pwrite(writer.fileno(), chunk, at + position - start)
                position += count


def check_copy(reading: Reading, checker: tuple[str, ...]) -> str | None:
    """Run a checker that changes nothing on a copy; return what it complains of, None: it is clean.

    Raises:
        CannotCheck: the checker is not installed.
    """
    tool = checker[0]
    if not tools.has(tool):
        raise not_done(f"{reading.system.name}: {tools.missing(tool).message}: {tools.install_hint(tool)}")
    # xfs_repair of xfsprogs 6.9 keeps tables in files without a name, and ends by SIGSEGV where it has none.
    with (
        copied(reading.disk, reading.system, reading.work) as copy,
        tempfile.TemporaryDirectory(dir=reading.work) as scratch,
    ):
        done = run_apart(
            reading.runner,
            [*checker, os.fspath(copy)],
            readable=[copy],
            scratch=Path(scratch),
            room=reading.system.size,
            ok=(),
        )
    return None if done.returncode == 0 else complaint(tool, done)


def complaint(checker: str, done: Completed) -> str:
    """Return the first lines of what a checker printed, without its headings."""
    skip = (
        "e2fsck ",
        "Pass ",
        "fsck.fat ",
        "fsck.vfat",
        "Leaving",
        "Phase ",
        "- ",
        "[",
        "Opening",
        "Checking",
        # xfs_repair, of a file on a host file system that is not xfs.
        "Cannot get host filesystem geometry",
        "Repair may fail if there is a sector size mismatch between",
        "the image and the host filesystem",
    )
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if not line.startswith(skip)]
    reason = "; ".join([line for line in lines if line][:3])[:300]
    return reason or f"{checker} ended with exit code {done.returncode} and gave no reason"

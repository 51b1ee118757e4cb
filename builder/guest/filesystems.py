# SPDX-License-Identifier: MIT
"""File systems inside a raw disk, looked at and unpacked without mounts, loop devices or root.

ext: e2fsck and debugfs at an offset. vfat: a sparse copy for fsck.vfat, mtools at an offset. xfs: a sparse
copy for xfs_repair -n and a reader of our own. btrfs: a sparse copy for btrfs check and btrfs restore.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from builder import tools
from builder.formats.partitions import TableEntry
from builder.guest.outcome import not_done
from builder.guest.readers import btrfs
from builder.guest.readers.btrfs_labels import read_labels
from builder.guest.readers.inodes import LabelledInode
from builder.guest.readers.xfs import XfsReader
from builder.guest.tree import make_readable
from builder.guest.volumes import FoundVolume
from builder.kickstart.disk.filesystems import EXT
from builder.room import run_apart
from builder.runner import Runner

_PROMPT = "debugfs: "
# As debugfs's `ls -p` prints a file, and its `ea_get` the label
# `security.selinux (28) = "system_u:object_r:etc_t:s0\\000"`.
_ENTRY = re.compile(r"/\d+/(?P<mode>[0-7]{6})/\d+/\d+/(?P<name>[^/]+)/\d*/")
_LABEL = re.compile(r'security\.selinux \(\d+\) = "([^"\\]*)')

# What `rdump` of debugfs leaves out.
_SPECIAL = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)

LINUX = (*EXT, "xfs", "btrfs")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFileSystem:
    """What blkid finds in a partition or a logical volume.

    `volume` is GROUP/NAME of a logical volume; `pieces` are (start, size) of where it lies on the disk.
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


def check(runner: Runner, disk: Path, system: FoundFileSystem, folder: Path) -> str | None:
    """Run the file system's own checker; return what it complains of, None: it is clean.

    Raises:
        CannotCheck: no checker of that type works without a device.
    """
    if system.type in EXT:
        where = f"{disk}?offset={system.start}"
        done = run_apart(runner, ["e2fsck", "-f", "-n", where], readable=[disk], ok=())
        if done.returncode == 0:
            return _ext_state(runner, disk, where)
        return _complaint(done.stdout + done.stderr)
    if system.type in _CHECKERS:
        tool = _CHECKERS[system.type][0]
        if not tools.has(tool):
            raise not_done(f"{system.name}: {tools.missing(tool).message}: {tools.install_hint(tool)}")
        with copied(disk, system, folder) as copy:
            done = run_apart(runner, [*_CHECKERS[system.type], copy], readable=[copy], ok=())
        return None if done.returncode == 0 else _complaint(done.stdout + done.stderr)
    if system.type == "swap":
        return None
    raise not_done(f"{system.name}: no checker here for {system.type}")


# Programs that look at a file and change nothing.
_CHECKERS = {
    "vfat": ("fsck.vfat", "-n"),
    "xfs": ("xfs_repair", "-n", "-f"),
    "btrfs": ("btrfs", "check", "--readonly"),
}
CHECKED = (*EXT, *_CHECKERS)


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


def _ext_state(runner: Runner, disk: Path, where: str) -> str | None:
    """Return what is wrong with the state in the superblock (e2fsck -n passes over it)."""
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
    )
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(skip)]
    return "; ".join(lines[:3])[:300] or "the checker gave no reason"


def unpack(
    runner: Runner, disk: Path, system: FoundFileSystem, target: Path, work: Path, options: Sequence[str] = ()
) -> None:
    """Write the files of `system` into the new folder `target`: nothing else can be written to meanwhile.

    Owners and labels are not kept.

    Args:
        work: folder for copies.
        options: of the mount, of which subvol= matters.

    Raises:
        CannotCheck: the type cannot be read from outside.
        CommandFailed: it holds more than fits into its partition.
    """
    target.mkdir(mode=0o700)
    room = system.size
    if system.type in EXT:
        where = f"{disk}?offset={system.start}"
        # debugfs complains of each owner that it cannot give, and always ends with 0.
        request = f'rdump "/" "{target}"'
        run_apart(runner, ["debugfs", "-R", request, where], readable=[disk], writable=target, room=room)
    elif system.type == "vfat":
        # The root of the volume: mcopy cannot copy `::/` itself when it is empty.
        where = f"{disk}@@{system.start}"
        listing = run_apart(runner, ["mdir", "-b", "-i", where, "::/"], readable=[disk], ok=(0, 1)).stdout
        names = [line.strip() for line in listing.splitlines() if line.startswith("::")]
        if names:
            words = ["mcopy", "-s", "-n", "-Q", "-i", where, *(name.rstrip("/") for name in names)]
            run_apart(runner, [*words, target], readable=[disk], writable=target, room=room)
    elif system.type == "xfs":
        with copied(disk, system, work) as copy:
            reader = XfsReader(copy)
            try:
                reader.unpack(target)
            finally:
                reader.close()
    elif system.type == "btrfs":
        with copied(disk, system, work) as copy:
            btrfs.unpack(runner, copy, target, options)
    else:
        raise not_done(f"{system.type} cannot be read from outside without a mount")
    make_readable(target)


def labels(
    runner: Runner,
    disk: Path,
    system: FoundFileSystem,
    folder: Path,
    work: Path,
    options: Sequence[str] = (),
) -> dict[str, LabelledInode]:
    """Return what every path of a file system is and its SELinux label, device nodes included.

    Args:
        folder: where `unpack` wrote it.
        work: folder for copies.
        options: of the mount, of which subvol= matters.

    Raises:
        CannotCheck: the labels of that type cannot be read from outside.
    """
    if system.type == "xfs":
        with copied(disk, system, work) as copy:
            reader = XfsReader(copy)
            try:
                return reader.labels()
            finally:
                reader.close()
    if system.type == "btrfs":
        with copied(disk, system, work) as copy:
            return read_labels(copy, btrfs.find_subvolume(runner, copy, options))
    if system.type not in EXT:
        raise not_done(f"labels of {system.type} cannot be read from outside")
    ask = partial(_ask, runner, disk, system, work / "requests.debugfs")
    modes = _modes(folder)
    folders = [path for path, mode in modes.items() if stat.S_ISDIR(mode)]
    listings = ask([f"ls -p {_quoted(path)}" for path in folders])
    for path, listing in zip(folders, listings, strict=True):
        modes |= _special(path, listing)
    answers = ask([f"ea_get {_quoted(path)} security.selinux" for path in modes])
    return {
        path: LabelledInode(mode, next((found[1] for found in map(_LABEL.match, lines) if found), None))
        for (path, mode), lines in zip(modes.items(), answers, strict=True)
    }


def _modes(folder: Path) -> dict[str, int]:
    """Return the mode of `folder` and of all below it; a path that holds the end of a line is left out."""
    found = {"/": os.lstat(folder).st_mode}
    for top, names, files in os.walk(folder):
        inside = os.path.relpath(top, folder)
        for name in (*names, *files):
            path = os.path.normpath(f"/{inside}/{name}")
            if "\n" not in path and "\r" not in path:
                found[path] = os.lstat(os.path.join(top, name)).st_mode
    return found


def _special(folder: str, listing: list[str]) -> dict[str, int]:
    """Return path -> mode of the special files in what debugfs lists of a folder."""
    entries = ((int(entry["mode"], 8), entry["name"]) for entry in map(_ENTRY.fullmatch, listing) if entry)
    return {os.path.join(folder, name): mode for mode, name in entries if stat.S_IFMT(mode) in _SPECIAL}


def _ask(
    runner: Runner, disk: Path, system: FoundFileSystem, file: Path, requests: list[str]
) -> list[list[str]]:
    """Return the lines that debugfs answers to each request, written to `file` for it."""
    file.write_text("".join(f"{request}\n" for request in requests))
    where = f"{disk}?offset={system.start}"
    done = run_apart(runner, ["debugfs", "-f", os.fspath(file), where], readable=[disk, file])
    answers: list[list[str]] = []
    for line in done.stdout.splitlines():
        if line.startswith(_PROMPT):
            answers.append([])
        elif answers:
            answers[-1].append(line)
    return answers


def _quoted(path: str) -> str:
    """Return a path as a word of libss: two quotes in quotes are one, and a backslash is itself."""
    return '"' + path.replace('"', '""') + '"'


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


def free_data(runner: Runner, disk: Path, system: FoundFileSystem) -> tuple[int, int]:
    """Return (bytes of free blocks that hold data, bytes of free blocks) of an ext file system."""
    where = f"{disk}?offset={system.start}"
    fields = _superblock(runner, disk, where)
    block, count = int(fields["Block size"]), int(fields["Free blocks"])
    listing = (
        run_apart(runner, ["debugfs", "-R", f"ffb {count}", where], readable=[disk]).stdout if count else ""
    )
    free = dirty = 0
    with disk.open("rb") as reader:
        for first, last in _ranges(listing):
            start = system.start + first * block
            end = system.start + (last + 1) * block
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

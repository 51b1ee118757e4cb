# SPDX-License-Identifier: MIT
"""ext2, ext3, ext4: e2fsck and debugfs at an offset of the disk."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from builder.guest.filesystems import FoundFileSystem, Reading, complaint
from builder.guest.readers.inodes import LabelledInode
from builder.room import run_apart
from builder.runner import Runner

_PROMPT = "debugfs: "
# As debugfs's `ls -p` prints a file, and its `ea_get` the label
# `security.selinux (28) = "system_u:object_r:etc_t:s0\\000"`.
_ENTRY = re.compile(r"/\d+/(?P<mode>[0-7]{6})/\d+/\d+/(?P<name>[^/]+)/\d*/")
_LABEL = re.compile(r'security\.selinux \(\d+\) = "([^"\\]*)')

# What `rdump` of debugfs leaves out.
_SPECIAL = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)


def check(reading: Reading) -> str | None:
    """Run e2fsck; return what it complains of."""
    words = ["e2fsck", "-f", "-n", _place(reading.disk, reading.system)]
    done = run_apart(reading.runner, words, readable=[reading.disk], ok=())
    return _state(reading) if done.returncode == 0 else complaint("e2fsck", done)


def _place(disk: Path, system: FoundFileSystem) -> str:
    """Return what e2fsck and debugfs call a file system on a disk."""
    return f"{disk}?offset={system.start}"


def _state(reading: Reading) -> str | None:
    """Return what is wrong with the state in the superblock (e2fsck -n passes over it)."""
    fields = _superblock(reading.runner, reading.disk, reading.system)
    state = fields.get("Filesystem state", "")
    if state != "clean":
        return f"the state is `{state}`"
    if "needs_recovery" in fields.get("Filesystem features", ""):
        return "the journal needs recovery"
    return None


def _superblock(runner: Runner, disk: Path, system: FoundFileSystem) -> dict[str, str]:
    """Return the fields of an ext superblock, as dumpe2fs(8) names them.

    By debugfs: dumpe2fs of e2fsprogs 1.47.2 and later takes `file?offset=N` for a TAG=VALUE of blkid.
    """
    words = ["debugfs", "-R", "show_super_stats -h", _place(disk, system)]
    text = run_apart(runner, words, readable=[disk]).stdout
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def unpack(reading: Reading, target: Path, _options: Sequence[str]) -> None:
    """Write its files into `target`."""
    disk, system = reading.disk, reading.system
    # debugfs complains of each owner that it cannot give, and always ends with 0.
    words = ["debugfs", "-R", f'rdump "/" "{target}"', _place(disk, system)]
    run_apart(reading.runner, words, readable=[disk], writable=target, room=system.size)


def labels(reading: Reading, folder: Path, _options: Sequence[str]) -> dict[str, LabelledInode]:
    """Return what every path is and its label, by debugfs; `folder` is where it was unpacked."""
    ask = partial(_ask, reading)
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


def _ask(reading: Reading, requests: list[str]) -> list[list[str]]:
    """Return the lines that debugfs answers to each request, written to a file for it."""
    file = reading.work / "requests.debugfs"
    file.write_text("".join(f"{request}\n" for request in requests))
    words = ["debugfs", "-f", os.fspath(file), _place(reading.disk, reading.system)]
    done = run_apart(reading.runner, words, readable=[reading.disk, file])
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


def free_data(runner: Runner, disk: Path, system: FoundFileSystem) -> tuple[int, int]:
    """Return (bytes of free blocks that hold data, bytes of free blocks) of an ext file system."""
    where = _place(disk, system)
    fields = _superblock(runner, disk, system)
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

# SPDX-License-Identifier: MIT
"""vfat: a copy for fsck.vfat, mtools at an offset of the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.guest.filesystems import Reading, check_copy
from builder.guest.outcome import not_done
from builder.guest.readers.inodes import LabelledInode
from builder.room import run_apart


def check(reading: Reading) -> str | None:
    """Run fsck.vfat; return what it complains of."""
    return check_copy(reading, ("fsck.vfat", "-n"))


def unpack(reading: Reading, target: Path, _options: Sequence[str]) -> None:
    """Write its files into `target`."""
    # The root of the volume: mcopy cannot copy `::/` itself when it is empty.
    disk, system = reading.disk, reading.system
    where = f"{disk}@@{system.start}"
    listing = run_apart(reading.runner, ["mdir", "-b", "-i", where, "::/"], readable=[disk], ok=(0, 1)).stdout
    names = [line.strip() for line in listing.splitlines() if line.startswith("::")]
    if names:
        words = ["mcopy", "-s", "-n", "-Q", "-i", where, *(name.rstrip("/") for name in names)]
        run_apart(reading.runner, [*words, target], readable=[disk], writable=target, room=system.size)


def labels(_reading: Reading, _folder: Path, _options: Sequence[str]) -> dict[str, LabelledInode]:
    """Refuse: it has none."""
    raise not_done("vfat has no labels")

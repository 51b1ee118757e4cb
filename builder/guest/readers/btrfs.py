# SPDX-License-Identifier: MIT
"""Files of a btrfs, by `btrfs restore`, which reads without a mount and writes nothing to the image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from builder import tools
from builder.guest.filesystems import Reading, check_copy, copied
from builder.guest.outcome import not_done
from builder.guest.readers.btrfs_labels import read_labels
from builder.guest.readers.inodes import LabelledInode
from builder.room import run_apart
from builder.runner import Runner

_TOP_LEVEL = 5
# What is compressed takes more room in plain.
_MOST_PACKED = 4


def check(reading: Reading) -> str | None:
    """Run btrfs check; return what it complains of."""
    return check_copy(reading, ("btrfs", "check", "--readonly"))


def unpack(reading: Reading, target: Path, options: Sequence[str]) -> None:
    """Write its files into `target`."""
    with copied(reading.disk, reading.system, reading.work) as copy:
        _restore(reading.runner, copy, target, options)


def labels(reading: Reading, _folder: Path, options: Sequence[str]) -> dict[str, LabelledInode]:
    """Return what every path below a subvolume is and its label."""
    with copied(reading.disk, reading.system, reading.work) as copy:
        return read_labels(copy, find_subvolume(reading.runner, copy, options))


def _restore(runner: Runner, image: Path, target: Path, options: Sequence[str]) -> None:
    """Write the files of a subvolume below `target`: of the one that the mount `options` name.

    Raises:
        CannotCheck: btrfs-progs is not installed, or no such subvolume exists.
    """
    if not tools.has("btrfs"):
        raise not_done(f"{tools.missing('btrfs').message}: {tools.install_hint('btrfs')}")
    number = find_subvolume(runner, image, options)
    words: list[str | Path] = [
        "btrfs",
        "restore",
        "--symlink",
        "--metadata",
        "--xattr",
        "--root",
        str(number),
    ]
    # Without xattrs where they cannot be set, in place of an end.
    words.append("--ignore-errors")
    room = image.stat().st_size * _MOST_PACKED
    run_apart(runner, [*words, image, target], readable=[image], writable=target, room=room)


def find_subvolume(runner: Runner, image: Path, options: Sequence[str]) -> int:
    """Return the number of the subvolume that `subvol=` or `subvolid=` names; else the top level's."""
    for option in options:
        name, _, value = option.partition("=")
        if name == "subvolid" and value.isdigit():
            return int(value)
        if name == "subvol":
            paths = subvolumes(runner, image)
            if value.strip("/") not in paths:
                raise not_done(f"the btrfs has no subvolume {value}")
            return paths[value.strip("/")]
    return _TOP_LEVEL


def subvolumes(runner: Runner, image: Path) -> dict[str, int]:
    """Return the subvolumes by their path from the top level, of those that are at the top of another."""
    words: list[str | Path] = ["btrfs", "inspect-internal", "dump-tree", "-t", "root", image]
    text = run_apart(runner, words, readable=[image]).stdout
    found = re.findall(
        r"key \((\d+) ROOT_BACKREF (\d+)\)[^\n]*\n\s*root backref key[^\n]* name ([^\n]+)", text
    )
    parents = {int(number): (int(parent), name) for number, parent, name in found}
    return {_path(number, parents): number for number in parents}


def _path(number: int, parents: dict[int, tuple[int, str]]) -> str:
    names: list[str] = []
    while number in parents and len(names) < 64:
        number, name = parents[number]
        names.insert(0, name)
    return "/".join(names)

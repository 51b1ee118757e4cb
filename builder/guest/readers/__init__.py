# SPDX-License-Identifier: MIT
"""How file systems of an image are checked and read, a module for each: no mount, no loop device, no root.

The row of a file system in `builder.kickstart.disk.filesystems` names its module.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from builder.guest.filesystems import FoundFileSystem, Reading
from builder.guest.outcome import not_done
from builder.guest.readers.inodes import LabelledInode
from builder.guest.tree import make_readable
from builder.kickstart.disk.filesystems import KINDS
from builder.runner import Runner


class Reader(Protocol):
    """The module of one file system."""

    def check(self, reading: Reading) -> str | None:
        """Run its own checker; return what that complains of, None: it is clean.

        Raises:
            CannotCheck: the checker is not installed.
        """

    def unpack(self, reading: Reading, target: Path, options: Sequence[str]) -> None:
        """Write its files into the folder `target`; nothing else can be written to meanwhile.

        Owners and labels are not kept. Of the `options` of the mount subvol= matters.

        Raises:
            CannotCheck: it cannot be read from outside.
            CommandFailed: it holds more than fits into its partition.
        """

    def labels(self, reading: Reading, folder: Path, options: Sequence[str]) -> dict[str, LabelledInode]:
        """Return what every path is and its SELinux label, device nodes included.

        `folder` is where `unpack` wrote it. Asked only of kinds that have labels.
        """


_MODULES = frozenset(module.name for module in pkgutil.iter_modules(__path__))


def is_read(fstype: str) -> bool:
    """Say whether a file system is checked and read here."""
    return fstype in KINDS and KINDS[fstype].module in _MODULES


def has_labels(fstype: str) -> bool:
    """Say whether it is read here, and keeps owners and labels: a root may be on it."""
    return is_read(fstype) and KINDS[fstype].has_labels


def _reader_of(system: FoundFileSystem) -> Reader:
    if not is_read(system.type):
        raise not_done(f"{system.name}: {system.type} cannot be read from outside without a mount")
    return cast(Reader, importlib.import_module(f"{__name__}.{KINDS[system.type].module}"))


def check(runner: Runner, disk: Path, system: FoundFileSystem, work: Path) -> str | None:
    """Return what the checker of a file system complains of, as `Reader.check`."""
    return _reader_of(system).check(Reading(runner=runner, disk=disk, system=system, work=work))


def unpack(
    runner: Runner, disk: Path, system: FoundFileSystem, target: Path, work: Path, options: Sequence[str] = ()
) -> None:
    """Write the files of a file system into the new folder `target`, as `Reader.unpack`."""
    reader = _reader_of(system)
    target.mkdir(mode=0o700)
    reader.unpack(Reading(runner=runner, disk=disk, system=system, work=work), target, options)
    make_readable(target)


def labels(
    runner: Runner,
    disk: Path,
    system: FoundFileSystem,
    folder: Path,
    work: Path,
    options: Sequence[str] = (),
) -> dict[str, LabelledInode]:
    """Return what every path of a file system is and its SELinux label, as `Reader.labels`."""
    reading = Reading(runner=runner, disk=disk, system=system, work=work)
    return _reader_of(system).labels(reading, folder, options)

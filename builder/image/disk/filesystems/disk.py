# SPDX-License-Identifier: MIT
"""The disk file that is written into, and what every writer needs along with it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from builder.image.disk.filesystems.labels import Labels
from builder.image.disk.filesystems.source import TreeEntry
from builder.runner import ORDINARY, Child, Completed, Runner

_PIECE = 1 << 20


class Piece(NamedTuple):
    """Bytes `start` to `end` of a disk: up to `full` those of a file from byte `at` on, then zeroes."""

    start: int
    full: int
    end: int
    path: bytes
    at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskFile:
    """A disk file.

    `epoch`: no time in its file systems is later. `work`: folder for small files of writers. `xfs`: features
    of the target's xfs (see `builder.targets`). `child`: how programs are started. `borrowed`, where there is
    one, may get the data of files from a writer that knows where they belong, in place of the disk file: they
    are written later (`builder.image.disk.borrowed`). `folders`: what is known to be in some folders.
    `labels`: SELinux's; None: files have their own.
    """

    file: Path
    runner: Runner
    epoch: int
    work: Path
    xfs: Mapping[str, int] = field(default_factory=dict)
    child: Child = ORDINARY
    borrowed: list[Piece] | None = None
    folders: Mapping[bytes, list[TreeEntry]] = field(default_factory=dict)
    labels: Labels | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
        hint: str | None = None,
    ) -> Completed:
        """Run a program on the disk, or on what goes there; arguments and errors as of Runner.run."""
        return self.runner.run(argv, env=env, ok=ok, hint=hint, child=self.child)


def write_at(descriptor: int, raw: bytes | bytearray | memoryview, at: int) -> None:
    """Write all of `raw` from byte `at` on: a call may write a part, where room runs out for example.

    Raises:
        OSError: it cannot be written.
    """
    left = memoryview(raw)
    while left:
        done = os.pwrite(descriptor, left, at)
        left, at = left[done:], at + done


def copy_data(source: Path, target: Path, start: int) -> None:
    """Copy what `source` holds to `target`, from byte `start` on; holes and blocks of zeros stay holes."""
    descriptor = os.open(target, os.O_WRONLY)
    try:
        with source.open("rb", buffering=0) as file:
            _copy(file.fileno(), descriptor, [(0, os.fstat(file.fileno()).st_size, start)])
    finally:
        os.close(descriptor)


def copy_pieces(source: Path, target: Path, pieces: list[tuple[int, int, int]]) -> None:
    """Copy (start in `source`, bytes, start in `target`) pieces; holes stay holes."""
    descriptor = os.open(target, os.O_WRONLY)
    try:
        with source.open("rb", buffering=0) as file:
            _copy(file.fileno(), descriptor, pieces)
    finally:
        os.close(descriptor)


def _copy(source: int, target: int, pieces: list[tuple[int, int, int]]) -> None:
    zeros = bytes(4096)
    for first, size, start in pieces:
        position, end = first, first + size
        while position < end:
            try:
                position = os.lseek(source, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            if position >= end:
                break
            raw = os.pread(source, min(_PIECE, end - position), position)
            if not raw:
                break
            for place in range(0, len(raw), 4096):
                block = raw[place : place + 4096]
                if block != zeros[: len(block)]:
                    write_at(target, block, start + position - first + place)
            position += len(raw)

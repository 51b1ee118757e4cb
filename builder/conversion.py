# SPDX-License-Identifier: MIT
"""A disk image in another format, by qemu-img: clouds on Ceph want raw, others vmdk or vhd."""

from __future__ import annotations

from pathlib import Path

from builder.errors import BuildError
from builder.files import explain
from builder.formats.diskimage import FORMATS, read_header
from builder.formats.pinned import pin
from builder.room import run_apart
from builder.runner import Runner

# Seconds, and bytes in addition to the disk's.
LONGEST = 6 * 3600.0
ROOM = 1 << 30


def convert(
    source: Path,
    source_format: str,
    target: Path,
    target_format: str,
    *,
    seed: str,
    epoch: int,
    runner: Runner,
) -> None:
    """Write the disk of `source` as `target`: equal disks, seeds, times and names of files give equal bytes.

    A raw file is sparse. A vmdk names itself: `target` is to be called as it will stay.

    Args:
        source_format, target_format: of FORMATS. Neither is guessed: hostile bytes could be any other.
        seed: decides ids that would be random; epoch: the time that a vhd says it was made, from 1970 on.

    Raises:
        CommandFailed: qemu-img cannot convert it.
        BuildError: the file cannot be written.
    """
    wanted = FORMATS[target_format]
    words = ["-f", FORMATS[source_format].qemu, "-O", wanted.qemu, *wanted.options]
    source, target = source.resolve(), target.absolute()
    run_apart(
        runner,
        ["qemu-img", "convert", "-q", *words, source, target],
        readable=[source],
        writable=target.parent,
        room=2 * read_header(source).size + ROOM,
        hint="run qemu-img check on the file",
        longest=LONGEST,
    )
    try:
        pin(target, target_format, seed, epoch)
    except OSError as error:
        raise explain(error, target) from error
    except ValueError as error:
        raise BuildError(f"{target}: not as qemu-img is known to write a {target_format}: {error}") from error

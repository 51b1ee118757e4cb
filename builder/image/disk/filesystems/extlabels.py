# SPDX-License-Identifier: MIT
"""SELinux's labels in an ext file system that mke2fs -d has filled, which copies those of the host.

By debugfs(8): it writes an attribute into the inode if it fits there, else into a block.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.errors import BuildError
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.extpaths import Paths
from builder.image.disk.filesystems.labels import ATTRIBUTE, Labels
from builder.image.disk.placement import PlacedContent


def settle(disk: DiskFile, placed: PlacedContent, known: Paths, labels: Labels) -> None:
    """Give each inode of `known` the label that `labels` has for it, and no other one.

    Raises:
        BuildError: debugfs could not.
    """
    work = disk.work / "labels"
    work.mkdir()
    try:
        commands = _commands(known, labels, work)
        if not commands:
            return
        script = work / "commands"
        script.write_text("".join(f"{line}\n" for line in commands))
        place = f"{disk.file}?offset={placed.start}"
        env = {"E2FSPROGS_FAKE_TIME": str(disk.epoch)}
        done = disk.run(["debugfs", "-w", "-f", str(script), place], env=env)
        # It always ends with 0, and says which version it is.
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("debugfs ")]
        if said:
            raise BuildError(f"{placed.where}: debugfs cannot write SELinux's labels: {said[0]}")
    finally:
        shutil.rmtree(work)


def _commands(known: Paths, labels: Labels, work: Path) -> list[str]:
    """Return the commands of debugfs; each label is in a file of `work`."""
    files: dict[bytes, Path] = {}
    commands = []
    for number, (path, info) in sorted(known.items()):
        label = labels.of(path, info.st_mode)
        if label is not None:
            if label not in files:
                files[label] = work / str(len(files))
                files[label].write_bytes(label)
            commands.append(f"ea_set -f {files[label]} <{number}> {ATTRIBUTE}")
        elif ATTRIBUTE in os.listxattr(path, follow_symlinks=False):
            commands.append(f"ea_rm <{number}> {ATTRIBUTE}")
    return commands

# SPDX-License-Identifier: MIT
"""File systems that no tool here writes without a loop device and without losing something.

xfs: `mkfs.xfs -p` fills a new file system from a prototype file, which knows no extended attributes
(mkfs.xfs(8), xfsprogs 6.1): capabilities and SELinux labels would be lost without a word.

btrfs: what `mkfs.btrfs --rootdir` keeps of hard links, holes and attributes differs from release to
release (btrfs-progs' CHANGES), and it makes no subvolumes before 6.12: not proven, so not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError, Problem
from builder.image.disk.filesystems.disk import Disk
from builder.image.disk.filesystems.options import refuse
from builder.image.disk.placement import Placed, Usage
from builder.kickstart.plan import Partition

HINT = "use --fstype=ext4 for this partition"


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedWriter:
    """Says no to one file system, and why."""

    fstype: str
    reason: str

    def check(self, partition: Partition) -> tuple[Problem, ...]:
        """Return the refusal, with the way out."""
        return (refuse(partition, f"{self.fstype} is not supported: {self.reason}", HINT),)

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return nothing: no content fits into what is not written."""
        del size, mkfsoptions
        return Usage()

    def write(self, disk: Disk, placed: Placed, source: Path | None) -> None:
        """Refuse.

        Raises:
            BuildError: always.
        """
        del disk, source
        raise BuildError(f"{placed.where}: {self.fstype} is not supported: {self.reason}", hint=HINT)


XFS = RefusedWriter(
    fstype="xfs", reason="mkfs.xfs would lose file capabilities and labels, and we use no loop device"
)
BTRFS = RefusedWriter(
    fstype="btrfs", reason="mkfs.btrfs does not keep everything on every host, and we use no loop device"
)

# SPDX-License-Identifier: MIT
"""What the planner of the disk knows before it reads a line: the release's habits, the guest, and the disk
that %pre has partitioned.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.formats.partitions import PartitionTable

# What is assumed of a guest for its swap, where nothing says more: a small flavour.
DEFAULT_MEMORY = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallerDefaults:
    """What the installer of a release does where a kickstart does not say (Anaconda's product defaults).

    `file_system`: of a line without --fstype. `scheme`: of a bare autopart, lvm or btrfs. `swap`: autopart
    makes some. `compression`: mount option of autopart's btrfs. `group`: name of autopart's volume group.
    `boot`, `esp`, `largest_esp`: MiB of the /boot and of the EFI system partition that autopart and reqpart
    make; the latter grows.
    """

    file_system: str = "ext4"
    scheme: str = "lvm"
    swap: bool = True
    compression: str | None = None
    group: str = "system"
    boot: int = 1024
    esp: int = 200
    largest_esp: int = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskRequest:
    """How the disk is to be.

    `size` in MiB; None: what the lines ask for. `memory` of the guest in MiB, for swap --recommended.
    `made` is the table that %pre scripts left on the disk; None before they have run.
    """

    habits: InstallerDefaults = InstallerDefaults()
    size: int | None = None
    memory: int = DEFAULT_MEMORY
    made: PartitionTable | None = None

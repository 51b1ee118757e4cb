# SPDX-License-Identifier: MIT
"""Arithmetic of sizes: how free space is shared, how much swap a machine gets. Pure; MiB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.sizes import MIB, TIB

# Partitions begin at 1 MiB, and the copy of a GPT needs room after the last one.
HEAD = 1
TAIL = 1

# The disk of a kickstart in which something grows and nothing says up to where: 5 GiB, as osbuild's
# generic-openstack. A guest grows it further at its first boot.
DEFAULT_DISK = 5120
# What grows has at least this much on such a disk, however small it begins and whatever the others take.
LEAST_GROWN = 2048
# A file of ext4 on the host ends there, and so does an ext4 with 32 bits for a block's number.
LARGEST_DISK = (16 * TIB // MIB) - 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What something asks for: a size, whether it grows, and up to where.

    `weight` decides how fast it grows beside others: the size that its line asks for, where `size` is more.
    """

    size: int
    grow: bool = False
    limit: int | None = None
    weight: int | None = None

    @property
    def most(self) -> int | None:
        """The largest size it can reach; None: any."""
        return self.limit if self.grow else self.size

    @property
    def decent(self) -> int:
        """What it must have where nobody has chosen the room for it."""
        grown = LEAST_GROWN if self.limit is None else min(LEAST_GROWN, self.limit)
        return max(self.size, grown) if self.grow else self.size


def share(free: int, wishes: Sequence[Wish]) -> list[int]:
    """Return the size of each of `wishes` after `free` has been given to those that grow.

    They share in proportion to the sizes that they ask for, none beyond its limit; what one cannot take goes
    to the others (blivet's partitioning.py does so).
    """
    sizes = [wish.size for wish in wishes]
    weights = [max(wish.size if wish.weight is None else wish.weight, 1) for wish in wishes]
    growing = [index for index, wish in enumerate(wishes) if wish.grow]
    while free > 0 and growing:
        total = sum(weights[index] for index in growing)
        given = 0
        full = []
        for index in growing:
            portion = free * weights[index] // total
            limit = wishes[index].limit
            if limit is not None and sizes[index] + portion >= limit:
                portion = max(limit - sizes[index], 0)
                full.append(index)
            sizes[index] += portion
            given += portion
        free -= given
        if not full:
            sizes[growing[-1]] += free  # what rounding left
            break
        growing = [index for index in growing if index not in full]
    return sizes


def choose_disk_size(spare: int, wishes: Sequence[Wish]) -> int:
    """Return the size of a disk for which nobody has chosen one.

    Nothing grows: what is needed. Something grows: DEFAULT_DISK, or more where that leaves what grows less
    than LEAST_GROWN, but not more than everything together can take.

    Args:
        spare: what the disk needs besides: its table.
        wishes: of the partitions.
    """
    if not any(wish.grow for wish in wishes):
        return spare + sum(wish.size for wish in wishes)
    limits = [wish.most for wish in wishes]
    known = [limit for limit in limits if limit is not None]
    most = spare + sum(known) if len(known) == len(limits) else DEFAULT_DISK
    return max(spare + sum(wish.decent for wish in wishes), min(DEFAULT_DISK, most))


def recommend_swap(memory: int, *, hibernation: bool = False, disk: int | None = None) -> int:
    """Return the MiB of swap that Anaconda recommends for `memory` MiB (blivet: swap_suggestion).

    Without hibernation at most a tenth of a disk whose size is known.
    """
    gib = 1024
    if memory < 2 * gib:
        plain, extra = 2.0, 1.0
    elif memory < 8 * gib:
        plain, extra = 1.0, 1.0
    elif memory < 64 * gib:
        plain, extra = 0.5, 1.0
    else:
        return 4 * gib + (memory if hibernation else 0)
    if hibernation:
        return int(memory * (plain + extra))
    size = int(memory * plain)
    return min(size, disk // 10) if disk else size

# SPDX-License-Identifier: MIT
"""Where partitions go, how they grow, what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError
from builder.image.disk import layout, table
from builder.image.disk.placement import Usage
from builder.image.tree.tree import bounds
from builder.kickstart.place import Place
from builder.kickstart.plan import Disk, Extent, LogicalVolume, Partition, Subvolume, VolumeGroup
from builder.sizes import MIB
from tests.support.kickstart_text import plan_text

ROOT = Partition(mountpoint="/", fstype="ext4", size=1000)
BOOT = Partition(mountpoint="/boot", fstype="ext4", size=200)
SWAP = Partition(mountpoint=None, fstype="swap", size=64)
BIOS = Partition(mountpoint=None, fstype="biosboot", size=1)
EFI = Partition(mountpoint="/boot/efi", fstype="efi", size=50)


def place(disk: Disk, seed: str = "seed", **content: Usage) -> layout.DiskLayout:
    return layout.place(disk, seed=seed, content={"/": content.get("root", Usage())})


def shapes(placed: layout.DiskLayout) -> list[tuple[str, int, int]]:
    return [(one.where, one.start // MIB, one.size // MIB) for one in placed.partitions]


def test_everything_starts_at_a_mib_in_the_order_of_the_plan() -> None:
    placed = place(Disk(partitions=(BIOS, EFI, BOOT, SWAP, ROOT)))

    assert shapes(placed) == [
        ("biosboot", 1, 1),
        ("/boot/efi", 2, 50),
        ("/boot", 52, 200),
        ("swap", 252, 64),
        ("/", 316, 1000),
    ]
    assert placed.size == 1317 * MIB, "one MiB for the second header of the GPT"
    assert [one.number for one in placed.partitions] == [1, 2, 3, 4, 5]


def test_partitions_of_pre_stay_where_they_are() -> None:
    root = replace(ROOT, extent=Extent(number=4, start=9 * MIB, length=900 * MIB + 512, name="system"))
    free = Partition(
        mountpoint=None, fstype="unused", size=2, extent=Extent(number=2, start=5 * MIB, length=2 * MIB)
    )

    placed = place(Disk(partitions=(free, root), size=1000))

    assert [(one.number, one.start, one.size, one.name) for one in placed.partitions] == [
        (2, 5 * MIB, 2 * MIB, "unused2"),
        (4, 9 * MIB, 900 * MIB + 512, "system"),
    ]
    lines = table.sfdisk_script(placed).splitlines()
    assert lines[-1].startswith(f"disk4 : start={9 * 2048}, size={900 * 2048 + 1}, ")


GROUP = VolumeGroup(
    name="vg",
    members=("pv.1", "pv.2"),
    volumes=(
        LogicalVolume(name="swap", mountpoint=None, fstype="swap", size=64),
        LogicalVolume(name="root", mountpoint="/", fstype="xfs", size=400),
    ),
)
MEMBERS = (
    Partition(mountpoint=None, fstype="lvm", size=301, name="pv.1"),
    Partition(mountpoint=None, fstype="lvm", size=202, name="pv.2"),
)


def test_volumes_go_on_in_the_next_partition() -> None:
    placed = place(Disk(partitions=(BOOT, *MEMBERS), groups=(GROUP,)))

    (group,) = placed.groups
    swap, root = group.volumes
    assert [(one.partition, one.extents) for one in group.members] == [(2, 75), (3, 50)]
    assert [(one.member, one.first_extent, one.extents) for one in swap.pieces] == [(0, 0, 16)]
    assert [(one.member, one.first_extent, one.extents) for one in root.pieces] == [(0, 16, 59), (1, 0, 41)]
    assert root.start == placed.partitions[1].start + MIB + 64 * MIB
    assert placed.root.placed is root
    assert placed.boot.placed is placed.partitions[0]
    assert [one.type for one in placed.partitions[1:]] == [layout.GPT_TYPES["lvm"]] * 2


def test_subvolumes_are_mounted_by_name() -> None:
    volume = Partition(
        mountpoint=None,
        fstype="btrfs",
        size=900,
        name="btrfs.1",
        subvolumes=(
            Subvolume(path="root", mountpoint="/", fsoptions="compress=zstd:1"),
            Subvolume(path="home", mountpoint="/home"),
            Subvolume(path="spare"),
        ),
    )
    placed = place(Disk(partitions=(volume,)))

    uuid = placed.partitions[0].uuid
    assert table.fstab(placed).splitlines()[1:] == [
        f"UUID={uuid} / btrfs subvol=root,compress=zstd:1 0 0",
        f"UUID={uuid} /home btrfs subvol=home 0 0",
    ]
    assert (placed.root.mountpoint, placed.root.top, placed.boot.top) == ("/", "/root", "/root")
    assert list(layout.capacity(Disk(partitions=(volume,)))) == ["/"], "they share their room"


def test_content_that_does_not_fit_is_reported_in_mib_with_the_line() -> None:
    root = replace(ROOT, size=100, place=Place(file="a.ks", line=7))

    with pytest.raises(BuildError) as caught:
        place(Disk(partitions=(root,)), root=Usage(bytes=150 * MIB, inodes=10))

    room = layout.capacity(Disk(partitions=(root,)))["/"].bytes
    short = -(-(150 * MIB - room) // MIB)
    assert caught.value.message == (
        f"/ is {short} MiB too small: 150 MiB of content, {room // MIB} MiB of room in 100 MiB of ext4"
    )
    assert caught.value.hint == "raise --size=100 (a.ks:7)"


def test_files_that_do_not_fit_are_reported_in_inodes() -> None:
    with pytest.raises(
        BuildError, match=r"/ lacks \d+ inodes: 200000 files and folders, \d+ inodes"
    ) as caught:
        place(Disk(partitions=(ROOT,)), root=Usage(bytes=MIB, inodes=200_000))

    assert "-N" in (caught.value.hint or "")


def test_identifiers_come_from_the_seed_and_the_mount_point() -> None:
    disk = Disk(partitions=(BIOS, EFI, BOOT, SWAP, ROOT))
    first, again, other = place(disk), place(disk), place(disk, seed="other")

    assert first == again
    for one, different in zip(first.partitions, other.partitions, strict=True):
        assert one.partuuid != different.partuuid
        assert one.uuid is None or one.uuid != different.uuid
    uuids = [one.uuid for one in first.partitions if one.uuid] + [one.partuuid for one in first.partitions]
    assert len(set(uuids)) == len(uuids)
    without_boot = place(Disk(partitions=(BIOS, EFI, SWAP, ROOT)))
    assert without_boot.root.placed.uuid == first.root.placed.uuid


def test_identifiers_do_not_depend_on_the_content() -> None:
    disk = Disk(partitions=(BIOS, EFI, ROOT))

    assert place(disk) == place(disk, root=Usage(bytes=400 * MIB, inodes=5000))


def test_fstab_names_every_file_system_by_uuid() -> None:
    data = Partition(mountpoint="/srv/my data", fstype="ext3", size=10, fsoptions="noatime,nodev")
    placed = place(Disk(partitions=(BIOS, SWAP, data, EFI, BOOT, ROOT)))
    uuid = {one.where: one.uuid for one in placed.partitions}

    assert table.fstab(placed).splitlines()[1:] == [
        f"UUID={uuid['/']} / ext4 defaults 0 1",
        f"UUID={uuid['/boot']} /boot ext4 defaults 0 2",
        f"UUID={uuid['/boot/efi']} /boot/efi vfat umask=0077,shortname=winnt 0 2",
        f"UUID={uuid['/srv/my data']} /srv/my\\040data ext3 noatime,nodev 0 2",
        f"UUID={uuid['swap']} none swap defaults 0 0",
    ]


def test_the_msdos_table_marks_the_boot_partition() -> None:
    placed = place(Disk(label="msdos", partitions=(BOOT, ROOT)))

    lines = table.sfdisk_script(placed).splitlines()

    assert lines[0] == "label: dos"
    assert lines[4:] == [
        "disk1 : start=2048, size=409600, type=83, bootable",
        "disk2 : start=411648, size=2048000, type=83",
    ]
    assert [one.partuuid for one in placed.partitions] == [
        f"{placed.identifier[2:]}-01",
        f"{placed.identifier[2:]}-02",
    ]


@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    spare=st.integers(0, 20000),
    label=st.sampled_from(["gpt", "msdos"]),
)
def test_partitions_never_overlap_or_leave_the_disk(sizes: list[int], spare: int, label: str) -> None:
    partitions = tuple(
        Partition(mountpoint=f"/m{index}" if index else "/", fstype="ext4", size=size)
        for index, size in enumerate(sizes)
    )
    disk = Disk(label=label, partitions=partitions, size=sum(sizes) + 2 + spare)

    placed = place(disk)

    end = MIB
    for one, asked in zip(placed.partitions, partitions, strict=True):
        assert (one.start, one.size) == (end, asked.size * MIB)
        end += one.size
    assert end + (MIB if label == "gpt" else 0) <= placed.size == (disk.size or 0) * MIB


def test_little_memory_leaves_the_most_of_it_to_the_root(tmp_path: Path) -> None:
    """The installer's /boot and EFI partition are far larger than what they hold."""
    plan, _ = plan_text(tmp_path, "autopart --type=plain\nrootpw --lock\n%packages\n%end\n")
    build: Any = SimpleNamespace(plan=plan, share_of=lambda available: available)

    plenty = {mountpoint: usage.bytes // MIB for mountpoint, usage in bounds(build, 8 << 30).items()}
    little = {mountpoint: usage.bytes // MIB for mountpoint, usage in bounds(build, 1 << 30).items()}

    assert (plenty["/boot"] > 1500, plenty["/boot/efi"] > 400) == (True, True)
    assert (little["/boot"], little["/boot/efi"], little["/"]) == (512, 128, 384)
    with pytest.raises(BuildError, match="this build may take 600 MiB"):
        bounds(build, 600 * MIB)

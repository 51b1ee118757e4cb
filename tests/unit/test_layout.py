# SPDX-License-Identifier: MIT
"""Where partitions go, how they grow, what does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError, InputError
from builder.image.disk import layout
from builder.image.disk.placement import Usage
from builder.kickstart.plan import Bootloader, Disk, Partition, Place
from builder.sizes import MIB

ROOT = Partition(mountpoint="/", fstype="ext4", size=1000)
BOOT = Partition(mountpoint="/boot", fstype="ext4", size=200)
SWAP = Partition(mountpoint=None, fstype="swap", size=64)
BIOS = Partition(mountpoint=None, fstype="biosboot", size=1)
EFI = Partition(mountpoint="/boot/efi", fstype="efi", size=50)
GRUB = Bootloader()


def place(disk: Disk, seed: str = "seed", **content: Usage) -> layout.DiskLayout:
    return layout.place(disk, seed=seed, content={"/": content.get("root", Usage())})


def shapes(placed: layout.DiskLayout) -> list[tuple[str, int, int]]:
    return [(one.where, one.start // MIB, one.size // MIB) for one in placed.partitions]


@pytest.mark.parametrize(
    ("disk", "loader", "expected"),
    [
        pytest.param(Disk(partitions=(ROOT,)), GRUB, [None, "/boot/efi", "/"], id="both are added"),
        pytest.param(Disk(partitions=(BIOS, ROOT)), GRUB, [None, "/"], id="BIOS only, as written"),
        pytest.param(Disk(partitions=(EFI, ROOT)), GRUB, ["/boot/efi", "/"], id="UEFI only, as written"),
        pytest.param(
            Disk(partitions=(replace(EFI, fstype="vfat"), ROOT)), GRUB, ["/boot/efi", "/"], id="ESP as vfat"
        ),
        pytest.param(Disk(label="msdos", partitions=(ROOT,)), GRUB, ["/"], id="msdos has a gap"),
        pytest.param(Disk(partitions=(ROOT,)), Bootloader(location="none"), ["/"], id="no loader"),
        pytest.param(Disk(partitions=(ROOT,)), Bootloader(disabled=True), ["/"], id="disabled"),
    ],
)
def test_a_disk_gets_what_its_boot_loader_needs(disk: Disk, loader: Bootloader, expected: list[str]) -> None:
    assert [one.mountpoint for one in layout.complete(disk, loader).partitions] == expected


def test_root_is_last_and_everything_starts_at_a_mib() -> None:
    placed = place(Disk(partitions=(ROOT, BIOS, EFI, BOOT, SWAP)))

    assert shapes(placed) == [
        ("biosboot", 1, 1),
        ("/boot/efi", 2, 50),
        ("/boot", 52, 200),
        ("swap", 252, 64),
        ("/", 316, 1000),
    ]
    assert placed.size == 1317 * MIB, "one MiB for the second header of the GPT"
    assert [one.number for one in placed.partitions] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("partitions", "size", "expected"),
    [
        pytest.param((replace(ROOT, grow=True),), 5000, [4998], id="takes the rest"),
        pytest.param((ROOT,), 5000, [1000], id="does not grow unasked"),
        pytest.param((replace(ROOT, grow=True, max_size=3000),), 5000, [3000], id="up to its maximum"),
        pytest.param(
            (replace(BOOT, grow=True), replace(ROOT, grow=True)), 2402, [400, 2000], id="shares by size"
        ),
        pytest.param(
            (replace(BOOT, grow=True, max_size=300), replace(ROOT, grow=True)),
            2402,
            [300, 2100],
            id="what one cannot take the other gets",
        ),
        pytest.param((replace(ROOT, grow=True),), None, [1000], id="a disk without a size does not grow"),
    ],
)
def test_growing(partitions: tuple[Partition, ...], size: int | None, expected: list[int]) -> None:
    placed = place(Disk(partitions=partitions, size=size))

    assert [one.size // MIB for one in placed.partitions] == expected
    assert placed.size == (size or 1002) * MIB


def test_a_partition_without_a_size_gets_its_content_and_some_room() -> None:
    placed = place(Disk(partitions=(replace(ROOT, size=0),)), root=Usage(bytes=500 * MIB, inodes=9000))

    assert placed.root.size == 664 * MIB


def test_content_that_does_not_fit_is_told_in_mib_with_the_line() -> None:
    root = replace(ROOT, size=100, place=Place(file="a.ks", line=7))

    with pytest.raises(BuildError) as caught:
        place(Disk(partitions=(root,)), root=Usage(bytes=150 * MIB, inodes=10))

    room = layout.capacity(Disk(partitions=(root,)))["/"].bytes
    short = -(-(150 * MIB - room) // MIB)
    assert caught.value.message == (
        f"/ is {short} MiB too small: 150 MiB of content, {room // MIB} MiB of room in 100 MiB of ext4"
    )
    assert caught.value.hint == "raise --size=100 (a.ks:7)"


def test_files_that_do_not_fit_are_told_in_inodes() -> None:
    with pytest.raises(
        BuildError, match=r"/ lacks \d+ inodes: 200000 files and folders, \d+ inodes"
    ) as caught:
        place(Disk(partitions=(ROOT,)), root=Usage(bytes=MIB, inodes=200_000))

    assert "-N" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("disk", "loader", "message", "hint"),
    [
        pytest.param(Disk(partitions=(BOOT,)), GRUB, "no partition for /", "add: part /", id="no root"),
        pytest.param(
            Disk(partitions=(replace(ROOT, fstype="xfs"),)), GRUB, "xfs is not supported", "ext4", id="xfs"
        ),
        pytest.param(
            Disk(partitions=(replace(ROOT, fstype="btrfs"),)), GRUB, "btrfs is not", "ext4", id="btrfs"
        ),
        pytest.param(Disk(partitions=(replace(ROOT, fstype="ntfs"),)), GRUB, "not known", "ext4", id="ntfs"),
        pytest.param(
            Disk(partitions=(ROOT,)),
            Bootloader(location="partition"),
            "--location=partition",
            "mbr",
            id="partition",
        ),
        pytest.param(
            Disk(label="msdos", partitions=(BIOS, ROOT)),
            GRUB,
            "biosboot partition needs a GPT",
            "gpt",
            id="msdos",
        ),
        pytest.param(
            Disk(label="msdos", partitions=(EFI, BOOT, SWAP, SWAP, ROOT)),
            GRUB,
            "4 partitions, not 5",
            "gpt",
            id="5",
        ),
        pytest.param(
            Disk(partitions=(BOOT, ROOT), size=1000), GRUB, "202 MiB too small", "larger", id="small disk"
        ),
        pytest.param(
            Disk(partitions=(replace(ROOT, max_size=10),)), GRUB, "above --maxsize=10", "lower", id="maxsize"
        ),
        pytest.param(
            Disk(partitions=(replace(SWAP, size=0), ROOT)),
            GRUB,
            "swap needs a size",
            "--size",
            id="swap size",
        ),
        pytest.param(
            Disk(partitions=(replace(ROOT, fstype="vfat"),)),
            GRUB,
            "vfat cannot hold /",
            "ext4",
            id="vfat root",
        ),
        pytest.param(
            Disk(partitions=(replace(ROOT, mkfsoptions="-U random"),)),
            GRUB,
            "-U cannot be used",
            "-U",
            id="-U",
        ),
        pytest.param(
            Disk(partitions=(replace(ROOT, mkfsoptions="-E offset=5"),)), GRUB, "offset", "offset", id="-E"
        ),
        pytest.param(
            Disk(partitions=(replace(ROOT, label="x" * 17),)), GRUB, "too long for ext4", "16", id="label"
        ),
        pytest.param(
            Disk(partitions=(replace(EFI, label="x" * 12), ROOT)),
            GRUB,
            "vfat cannot hold",
            "11",
            id="fat label",
        ),
        pytest.param(
            Disk(partitions=(replace(SWAP, label="x" * 16), ROOT)),
            GRUB,
            "too long for swap",
            "15",
            id="swap label",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    disk: Disk, loader: Bootloader, message: str, hint: str
) -> None:
    (problem,) = layout.check(disk, loader)

    assert message in problem.message
    assert hint in (problem.hint or "")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        place(Disk(partitions=(replace(BOOT, fstype="xfs"), replace(SWAP, size=0))))

    assert len(caught.value.problems) == 3


def test_a_good_disk_has_no_problems() -> None:
    disk = Disk(partitions=(BIOS, EFI, BOOT, SWAP, replace(ROOT, mkfsoptions="-m 1 -E lazy_itable_init=0")))

    assert layout.check(disk, GRUB) == ()


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
    assert without_boot.root.uuid == first.root.uuid


def test_identifiers_do_not_depend_on_the_content() -> None:
    disk = Disk(partitions=(BIOS, EFI, ROOT))

    assert place(disk) == place(disk, root=Usage(bytes=400 * MIB, inodes=5000))


def test_fstab_names_every_file_system_by_uuid() -> None:
    data = Partition(mountpoint="/srv/my data", fstype="ext3", size=10, fsoptions="noatime,nodev")
    placed = place(Disk(partitions=(BIOS, SWAP, data, EFI, BOOT, ROOT)))
    uuid = {one.where: one.uuid for one in placed.partitions}

    assert layout.fstab(placed).splitlines()[1:] == [
        f"UUID={uuid['/']} / ext4 defaults 0 1",
        f"UUID={uuid['/boot']} /boot ext4 defaults 0 2",
        f"UUID={uuid['/boot/efi']} /boot/efi vfat umask=0077,shortname=winnt 0 2",
        f"UUID={uuid['/srv/my data']} /srv/my\\040data ext3 noatime,nodev 0 2",
        f"UUID={uuid['swap']} none swap defaults 0 0",
    ]


def test_the_msdos_table_marks_the_boot_partition() -> None:
    placed = place(Disk(label="msdos", partitions=(BOOT, ROOT)))

    lines = layout.sfdisk_script(placed).splitlines()

    assert lines[0] == "label: dos"
    assert lines[4:] == [
        "start=2048, size=409600, type=83, bootable",
        "start=411648, size=2048000, type=83",
    ]
    assert [one.partuuid for one in placed.partitions] == [
        f"{placed.identifier[2:]}-01",
        f"{placed.identifier[2:]}-02",
    ]


@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    grow=st.lists(st.booleans(), min_size=6, max_size=6),
    limits=st.lists(st.one_of(st.none(), st.integers(0, 3000)), min_size=6, max_size=6),
    spare=st.integers(0, 20000),
    label=st.sampled_from(["gpt", "msdos"]),
)
def test_partitions_never_overlap_leave_the_disk_or_shrink(
    sizes: list[int], grow: list[bool], limits: list[int | None], spare: int, label: str
) -> None:
    sizes = sizes[:4] if label == "msdos" else sizes
    partitions = tuple(
        Partition(
            mountpoint="/" if index == 0 else f"/m{index}",
            fstype="ext4",
            size=size,
            grow=grow[index],
            max_size=None if limits[index] is None else size + (limits[index] or 0),
        )
        for index, size in enumerate(sizes)
    )
    disk = Disk(label=label, partitions=partitions, size=sum(sizes) + 2 + spare)

    placed = place(disk)

    end = MIB
    wanted = {one.mountpoint: one for one in partitions}
    for one in placed.partitions:
        asked = wanted[one.mountpoint]
        assert one.start == end
        assert one.size >= asked.size * MIB
        assert asked.grow or one.size == asked.size * MIB
        assert asked.max_size is None or one.size <= asked.max_size * MIB
        end += one.size
    assert placed.partitions[-1].mountpoint == "/"
    assert end + (MIB if label == "gpt" else 0) <= placed.size == (disk.size or 0) * MIB

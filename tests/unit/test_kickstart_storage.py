# SPDX-License-Identifier: MIT
"""Partition lines become a disk: order, sizes, and what keeps it from booting."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.kickstart.choices import Choices
from builder.kickstart.findings import Findings
from builder.kickstart.layout import share
from builder.kickstart.plan import ImagePlan, Partition
from tests.support.kickstart_text import plan_text, told

REST = "rootpw --lock\n%packages\n%end\n"


def disk_of(plan: ImagePlan) -> list[tuple[str, int]]:
    return [(part.mountpoint or part.fstype, part.size) for part in plan.disk.partitions]


def plan_disk(
    folder: Path, text: str, *, size: int | None = None, target: str = "fedora-45", ksversion: str = "F45"
) -> tuple[ImagePlan, Findings]:
    return plan_text(folder, text + REST, target=target, choices=Choices(ksversion=ksversion, disk_size=size))


# lines, size of the disk -> partitions in their order, size of the disk
LAYOUTS = {
    "as small as the lines ask for": (
        "part /boot/efi --size=50\npart biosboot --size=1\npart / --fstype=ext4 --size=1024 --grow\n",
        None,
        [("biosboot", 1), ("/boot/efi", 50), ("/", 1024)],
        1077,
    ),
    "/ that only grows gets a disk that holds a system": (
        "part biosboot --size=1\npart / --fstype=ext4 --size=1 --grow\n",
        None,
        [("biosboot", 1), ("/", 5117)],
        5120,
    ),
    "/ is last, whatever the order of the lines": (
        "part / --fstype=ext4 --size=900\npart swap --size=100\npart /srv --fstype=ext4 --size=10\n"
        "part /boot --fstype=ext4 --size=200\n",
        None,
        [("/boot", 200), ("/srv", 10), ("swap", 100), ("/", 900)],
        1211,
    ),
    "one grows": (
        "part biosboot --size=1\npart / --fstype=ext4 --size=1000 --grow\n",
        4096,
        [("biosboot", 1), ("/", 4093)],
        4096,
    ),
    "two grow in proportion": (
        "part /srv --fstype=ext4 --size=100 --grow\npart / --fstype=ext4 --size=300 --grow\n",
        801,
        [("/srv", 200), ("/", 600)],
        801,
    ),
    "what one must not take goes to the other": (
        "part /srv --fstype=ext4 --size=100 --grow --maxsize=120\npart / --fstype=ext4 --size=300 --grow\n",
        801,
        [("/srv", 120), ("/", 680)],
        801,
    ),
    "nothing may grow on": (
        "part / --fstype=ext4 --size=300 --grow --maxsize=400\n",
        801,
        [("/", 400)],
        801,
    ),
    "grow without a size": ("part / --fstype=ext4 --grow\n", 801, [("/", 800)], 801),
    "the last of two for a mount point": (
        "part / --fstype=ext4 --size=300\npart / --fstype=ext4 --size=500\n",
        None,
        [("/", 500)],
        501,
    ),
    "reqpart adds what firmware needs": (
        "reqpart --add-boot\npart / --fstype=ext4 --size=500\n",
        None,
        [("biosboot", 1), ("/boot/efi", 64), ("/boot", 1024), ("/", 500)],
        1591,
    ),
    "reqpart leaves what is there": (
        "reqpart\npart /boot/efi --size=32\npart / --fstype=ext4 --size=500\n",
        None,
        [("biosboot", 1), ("/boot/efi", 32), ("/", 500)],
        535,
    ),
    "autopart": (
        "autopart --type=plain\n",
        None,
        [("biosboot", 1), ("/boot/efi", 64), ("/boot", 1024), ("/", 4029)],
        5120,
    ),
    "autopart without /boot on a given disk": (
        "autopart --nolvm --noboot --nohome\n",
        3000,
        [("biosboot", 1), ("/boot/efi", 64), ("/", 2933)],
        3000,
    ),
    "swap as recommended": (
        "part swap --recommended\npart / --fstype=ext4 --size=500\n",
        None,
        [("swap", 2048), ("/", 500)],
        2549,
    ),
}


@pytest.mark.parametrize(("lines", "size", "expected", "total"), LAYOUTS.values(), ids=LAYOUTS)
def test_layout(
    tmp_path: Path, lines: str, size: int | None, expected: list[tuple[str, int]], total: int
) -> None:
    plan, findings = plan_disk(tmp_path, lines, size=size)

    assert not findings.errors, told(findings, tmp_path)
    assert disk_of(plan) == expected
    assert plan.disk.size == total


MISTAKES = {
    "no /": ("part /srv --fstype=ext4 --size=1\n", "test.ks: no partition for /"),
    "no partitions at all": ("zerombr\n", "test.ks: no partition for /"),
    "no size": ("part / --fstype=ext4\n", "test.ks:1: part: has no size"),
    "size 0": ("part / --fstype=ext4 --size=0\n", "test.ks:1: part: has no size"),
    "size is no number": ("part / --fstype=ext4 --size=2G\n", "test.ks:1: part: argument --size"),
    "maxsize below size": (
        "part / --fstype=ext4 --size=9 --grow --maxsize=8\n",
        "test.ks:1: part --maxsize=8: is less than --size=9",
    ),
    "unknown file system": ("part / --fstype=zfs --size=9\n", "test.ks:1: part --fstype=zfs: is not handled"),
    "no mount point": ("part foo --fstype=ext4 --size=9\n", 'test.ks:1: part: "foo" is not a mount point'),
    "LVM": ("part pv.01 --size=9\n", "test.ks:1: part pv.01: LVM"),
    "vfat on /": ("part / --fstype=vfat --size=9\n", "test.ks:1: part /: vfat cannot hold a system"),
    "two disks": (
        "part / --fstype=ext4 --size=9 --ondisk=sda\npart /srv --fstype=ext4 --size=9 --ondisk=sdb\n",
        "test.ks:2: part --ondisk: an image has one disk, not sda, sdb",
    ),
    "tiny ESP": (
        "part /boot/efi --size=2\npart / --fstype=ext4 --size=9\n",
        "test.ks:1: part /boot/efi: 2 MiB",
    ),
    "gpt that nothing boots": (
        "clearpart --all --disklabel=gpt\npart / --fstype=ext4 --size=9\n",
        "test.ks:2: no firmware can boot this gpt disk",
    ),
    "five on msdos": (
        "clearpart --disklabel=msdos\npart / --fstype=ext4 --size=9\n"
        + "".join(f"part /{name} --fstype=ext4 --size=9\n" for name in "abcd"),
        "test.ks:6: 5 partitions on an msdos disk",
    ),
    "label too long": (
        "part / --fstype=ext4 --size=9 --label=abcdefghijklmnopq\n",
        'test.ks:1: part --label="abcdefghijklmnopq": not a label of ext4',
    ),
    "blank in mount options": (
        "part / --fstype=ext4 --size=9 --fsoptions='a b'\n",
        'test.ks:1: part --fsoptions="a b": a blank would end the field',
    ),
    "autopart of LVM": ("autopart\n", "test.ks:1: autopart: its default, LVM or btrfs, is not built"),
    "autopart of btrfs": ("autopart --type=btrfs\n", "test.ks:1: autopart: only --type=plain is built"),
    "table of another machine": (
        "clearpart --all --disklabel=dasd\npart / --fstype=ext4 --size=9\n",
        "test.ks:1: clearpart --disklabel=dasd: is not handled",
    ),
    "partition of a disk that is there": (
        "part / --fstype=ext4 --onpart=sda1\n",
        "test.ks:1: part --onpart: needs a disk that holds partitions already",
    ),
}


@pytest.mark.parametrize(("lines", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake(tmp_path: Path, lines: str, expected: str) -> None:
    _, findings = plan_disk(tmp_path, lines)

    errors = [line.removeprefix("error: ") for line in told(findings, tmp_path) if line.startswith("error")]
    assert len(errors) == 1, errors
    assert errors[0].startswith(expected)


def test_disk_that_is_too_small_says_by_how_much(tmp_path: Path) -> None:
    _, findings = plan_disk(tmp_path, "part biosboot --size=1\npart / --fstype=ext4 --size=2000\n", size=1000)

    assert told(findings, tmp_path)[0] == (
        "error: test.ks: the disk is too small by 1003 MiB: it has 1000 MiB, the partitions need 2003 MiB"
    )


def test_last_of_two_partitions_is_said_to_win(tmp_path: Path) -> None:
    _, findings = plan_disk(tmp_path, "part / --fstype=ext4 --size=9\npart / --fstype=ext4 --size=10\n")

    assert told(findings, tmp_path) == [
        "warning: test.ks:2: part /: a second one; this line wins over test.ks:1"
    ]


FIRMWARE = {
    "both": ("part biosboot --size=1\npart /boot/efi --size=64\n", ("bios", "uefi"), "gpt"),
    "bios from gpt": ("part biosboot --size=1\n", ("bios",), "gpt"),
    "uefi only": ("part /boot/efi --size=64\n", ("uefi",), "gpt"),
    "neither: an msdos disk": ("", ("bios",), "msdos"),
    "both from msdos": ("clearpart --disklabel=msdos\npart /boot/efi --size=64\n", ("bios", "uefi"), "msdos"),
    "no boot loader": ("bootloader --location=none\nclearpart --disklabel=gpt\n", (), "gpt"),
    "boot loader disabled": ("bootloader --disabled\n", (), "msdos"),
}


@pytest.mark.parametrize(("lines", "firmware", "label"), FIRMWARE.values(), ids=FIRMWARE)
def test_firmware_that_can_boot_the_disk(
    tmp_path: Path, lines: str, firmware: tuple[str, ...], label: str
) -> None:
    plan, findings = plan_disk(tmp_path, lines + "part / --fstype=ext4 --size=900\n")

    assert not findings.errors, told(findings, tmp_path)
    assert (plan.firmware, plan.disk.label) == (firmware, label)


DEFAULTS = {
    "Fedora": ("fedora-45", "F45", "ext4", False),
    "EL 6": ("epel-6", "RHEL6", "ext4", False),
    "EL 9, whose xfs is not written": ("epel-9", "RHEL9", "ext4", True),
}


@pytest.mark.parametrize(("target", "version", "fstype", "warned"), DEFAULTS.values(), ids=DEFAULTS)
def test_file_system_where_the_line_names_none(
    tmp_path: Path, target: str, version: str, fstype: str, warned: bool
) -> None:
    plan, findings = plan_text(
        tmp_path, "part / --size=900\n%packages\n%end\n", target=target, choices=Choices(ksversion=version)
    )

    assert plan.disk.partitions[-1].fstype == fstype
    assert any("ext4 is taken" in problem.message for problem in findings.warnings) is warned


def test_file_system_that_is_named_is_kept(tmp_path: Path) -> None:
    plan, findings = plan_disk(
        tmp_path, "part / --fstype=xfs --size=900\n", target="epel-9", ksversion="RHEL9"
    )

    assert not findings.warnings
    assert plan.disk.partitions[-1].fstype == "xfs"


def test_swap_of_autopart_is_that_of_the_release(tmp_path: Path) -> None:
    line = "autopart --type=plain --fstype=ext4\n"

    enterprise, _ = plan_disk(tmp_path, line, target="epel-9", ksversion="RHEL9")
    fedora, _ = plan_disk(tmp_path, line)

    assert dict(disk_of(enterprise))["swap"] == 512
    assert "swap" not in dict(disk_of(fedora))


PARTS = st.lists(
    st.tuples(st.integers(1, 5000), st.booleans(), st.none() | st.integers(1, 9000)), min_size=1, max_size=6
)


@given(free=st.integers(0, 100_000), rows=PARTS)
def test_shared_space_is_never_lost_nor_made(free: int, rows: list[tuple[int, bool, int | None]]) -> None:
    parts = [
        Partition(
            mountpoint=f"/{number}",
            fstype="ext4",
            size=size,
            grow=grow,
            max_size=max(limit, size) if limit is not None else None,
        )
        for number, (size, grow, limit) in enumerate(rows)
    ]

    grown = share(free, parts)

    given_out = sum(part.size for part in grown) - sum(part.size for part in parts)
    assert 0 <= given_out <= free
    for before, after in zip(parts, grown, strict=True):
        assert after.size >= before.size
        assert after.size == before.size or before.grow
        assert before.max_size is None or after.size <= before.max_size
    if any(part.grow and part.max_size is None for part in parts):
        assert given_out == free

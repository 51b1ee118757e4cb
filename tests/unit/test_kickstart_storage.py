# SPDX-License-Identifier: MIT
"""Partition lines become a disk: order, sizes, and what keeps it from booting."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.formats.partitions import PartitionTable
from builder.formats.partitions import TableEntry as MadePartition
from builder.image.disk import layout, table
from builder.kickstart.choices import Choices
from builder.kickstart.disk.sizes import Wish, choose_disk_size, share
from builder.kickstart.findings import Findings
from builder.kickstart.plan import ImagePlan
from builder.kickstart.planner import habits_of
from builder.kickstart.show import describe
from builder.sizes import MIB
from builder.targets import find_target
from tests.support.kickstart_text import DISK, plan_text, reported

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
        "part /boot/efi --size=50\npart biosboot --size=1\npart / --fstype=ext4 --size=1024\n",
        None,
        [("biosboot", 1), ("/boot/efi", 50), ("/", 1024)],
        1077,
    ),
    "what grows gets the usual disk, however small it begins": (
        "part biosboot --size=1\npart / --fstype=ext4 --size=1 --grow\n",
        None,
        [("biosboot", 1), ("/", 5117)],
        5120,
    ),
    "and however large": (
        "part biosboot --size=1\npart / --fstype=ext4 --size=1024 --grow\n",
        None,
        [("biosboot", 1), ("/", 5117)],
        5120,
    ),
    "but not less than it asks for": ("part / --fstype=ext4 --size=9000 --grow\n", None, [("/", 9000)], 9001),
    "what grows has room next to what is large": (
        "part swap --size=8192\npart / --fstype=ext4 --size=1 --grow\n",
        None,
        [("swap", 8192), ("/", 2048)],
        10241,
    ),
    "up to its limit": (
        "part swap --size=8192\npart / --fstype=ext4 --size=1 --grow --maxsize=1500\n",
        None,
        [("swap", 8192), ("/", 1500)],
        9693,
    ),
    "nor more than it can take": (
        "part / --fstype=ext4 --size=900 --grow --maxsize=1500\n",
        None,
        [("/", 1500)],
        1501,
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
    "grow from nothing": ("part / --fstype=ext4 --size=0 --grow\n", 801, [("/", 800)], 801),
    "the last of two for a mount point": (
        "part / --fstype=ext4 --size=300\npart / --fstype=ext4 --size=500\n",
        None,
        [("/", 500)],
        501,
    ),
    "reqpart adds what firmware needs": (
        "reqpart --add-boot\npart / --fstype=ext4 --size=500\n",
        None,
        [("biosboot", 1), ("/boot/efi", 600), ("/boot", 2048), ("/", 500)],
        3151,
    ),
    "reqpart leaves what is there": (
        "reqpart\npart /boot/efi --size=32\npart / --fstype=ext4 --size=500\n",
        None,
        [("biosboot", 1), ("/boot/efi", 32), ("/", 500)],
        535,
    ),
    "reqpart on msdos": (
        "clearpart --disklabel=msdos\nreqpart --add-boot\npart / --fstype=ext4 --size=500\n",
        None,
        [("/boot", 2048), ("/", 500)],
        2549,
    ),
    "autopart --type=plain": (
        "autopart --type=plain\n",
        None,
        [("biosboot", 1), ("/boot/efi", 600), ("/boot", 2048), ("/", 2469)],
        5120,
    ),
    "autopart without /boot on a given disk": (
        "autopart --nolvm --noboot --nohome\n",
        3000,
        [("biosboot", 1), ("/boot/efi", 600), ("/", 2397)],
        3000,
    ),
    "autopart of a large disk has /home": (
        "autopart --type=plain --noboot\n",
        60_000,
        [("biosboot", 1), ("/boot/efi", 600), ("/home", 19487), ("/", 39910)],
        60_000,
    ),
    "autopart --nohome": (
        "autopart --type=plain --noboot --nohome\n",
        60_000,
        [("biosboot", 1), ("/boot/efi", 600), ("/", 59397)],
        60_000,
    ),
    "swap for hibernation": (
        "part swap --hibernation\npart / --fstype=ext4 --size=500\n",
        None,
        [("swap", 4096), ("/", 500)],
        4597,
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

    assert not findings.errors, reported(findings, tmp_path)
    assert disk_of(plan) == expected
    assert plan.disk.size == total


BOOT = "part /boot --fstype=ext4 --size=200\n"
PV = BOOT + "part pv.1 --size=900\nvolgroup vg pv.1\n"

MISTAKES = {
    "no /": ("part /srv --fstype=ext4 --size=1\n", "test.ks: no partition for /"),
    "no partitions at all": ("zerombr\n", "test.ks: no partition for /"),
    "no size": ("part / --fstype=ext4\n", "test.ks:1: part: has no size"),
    "size 0": ("part / --fstype=ext4 --size=0\n", "test.ks:1: part: has no size"),
    "a negative size": ("part / --fstype=ext4 --size=-5 --grow\n", "test.ks:1: part: has no size"),
    "size is not a number": ("part / --fstype=ext4 --size=2G\n", "test.ks:1: part --size: "),
    "maxsize below size": (
        "part / --fstype=ext4 --size=9 --grow --maxsize=8\n",
        "test.ks:1: part --maxsize=8: is less than --size=9",
    ),
    "unknown file system": (
        "part / --fstype=zfs --size=9\n",
        "test.ks:1: part --fstype=zfs: is not supported",
    ),
    "no mount point": ("part foo --fstype=ext4 --size=9\n", 'test.ks:1: part: "foo" is not a mount point'),
    "vfat on /": ("part / --fstype=vfat --size=9\n", "test.ks:1: part /: vfat cannot hold a system"),
    "two disks": (
        "part / --fstype=ext4 --size=9 --ondisk=sda\npart /srv --fstype=ext4 --size=9 --ondisk=sdb\n",
        "test.ks:2: part --ondisk: an image has one disk, not sda, sdb",
    ),
    "tiny ESP": (
        "part /boot/efi --size=2\npart / --fstype=ext4 --size=9\n",
        "test.ks:1: part /boot/efi: 2 MiB is too small",
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
    "autopart of thin pools": ("autopart --type=thinp\n", "test.ks:1: autopart --type=thinp: thin pools"),
    "autopart of a release's btrfs with another file system": (
        "autopart --fstype=xfs\n",
        "test.ks:1: autopart --fstype=xfs: autopart makes btrfs here",
    ),
    "autopart of btrfs with another file system": (
        "autopart --type=btrfs --fstype=xfs\n",
        "test.ks:1: autopart: autopart --fstype cannot be used with --type=btrfs",
    ),
    "biosboot on msdos": (
        "clearpart --disklabel=msdos\npart biosboot --size=1\npart / --fstype=ext4 --size=9\n",
        "test.ks:2: part biosboot: an msdos disk does not need it",
    ),
    "small xfs": ("part / --fstype=xfs --size=299\n", "test.ks:1: part /: 299 MiB are too small for xfs"),
    "small btrfs": ("part / --fstype=btrfs --size=99\n", "test.ks:1: part /: 99 MiB are too small for btrfs"),
    "a /boot that holds no kernel": (
        "part /boot --size=10 --fstype=ext4\npart / --fstype=ext4 --size=900\n",
        "test.ks:1: /boot: 10 MiB cannot hold a kernel",
    ),
    "a / that holds no system": ("part / --fstype=ext4 --size=60\n", "test.ks:1: /: 60 MiB cannot hold"),
    "a / that holds none on LVM": (
        PV + "logvol / --vgname=vg --name=a --size=40 --fstype=ext4\n",
        "test.ks:4: /: 40 MiB cannot hold a system",
    ),
    "a /usr that holds none": (
        "part / --fstype=ext4 --size=900\npart /usr --fstype=ext4 --size=5\n",
        "test.ks:2: /usr: 5 MiB cannot hold a system",
    ),
    "beyond what an msdos table can tell": (
        "part / --fstype=xfs --size=900\npart /srv --fstype=xfs --size=2097152\n",
        "test.ks:2: part /srv: ends 1 MiB beyond 2 TiB",
    ),
    "vfat beyond 32 bits of sectors": (
        DISK + "part /data --fstype=vfat --size=2097152\n",
        "test.ks:4: part /data: 2097152 MiB are too large for vfat",
    ),
    "a disk larger than a file": (
        "part biosboot --size=1\npart / --fstype=xfs --size=16777216\n",
        "test.ks:2: test.ks: the disk has 16777219 MiB, and the most is 16777215",
    ),
    "mounted twice": (
        PV + "logvol / --vgname=vg --name=a --size=10 --fstype=ext4\n"
        "logvol / --vgname=vg --name=b --size=10 --fstype=ext4\n",
        "test.ks:5: /: mounted twice",
    ),
    "mounted over what is the kernel's": (
        DISK + "part /proc --fstype=ext4 --size=9\n",
        "test.ks:4: /proc: belongs to the file system of /",
    ),
    "mounted away from the root that needs it": (
        DISK + "part /etc --fstype=ext4 --size=9\n",
        "test.ks:4: /etc: belongs to the file system of /",
    ),
    "mount point that climbs": (
        DISK + "part /../etc --fstype=ext4 --size=9\n",
        "test.ks:4: /etc: belongs to the file system of /",
    ),
    "system without owners": (
        DISK + "part /usr --fstype=vfat --size=99\n",
        "test.ks:4: /usr: vfat has no owners and modes",
    ),
    "/boot on LVM": (
        "part pv.1 --size=900\nvolgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=500 --fstype=xfs\n",
        "test.ks:3: /boot is on LVM",
    ),
    "table of another machine": (
        "clearpart --all --disklabel=dasd\npart / --fstype=ext4 --size=9\n",
        "test.ks:1: clearpart --disklabel=dasd: is not supported",
    ),
    "partition of a disk that is there": (
        "part / --fstype=ext4 --onpart=sda1\n",
        "test.ks:1: part --onpart: needs existing partitions",
    ),
    "volume group without its partition": (
        BOOT + "volgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=500 --fstype=xfs\n",
        "test.ks:2: volgroup vg: no part line makes pv.1",
    ),
    "partition without its volume group": (
        "part pv.1 --size=9\npart / --fstype=ext4 --size=9\n",
        "test.ks:1: part pv.1: no volgroup line uses it",
    ),
    "volume without its group": (
        "part / --fstype=ext4 --size=9\nlogvol /srv --vgname=vg --name=s --size=9 --fstype=ext4\n",
        "test.ks:2: logvol --vgname=vg: no volgroup line makes it",
    ),
    "volumes that do not fit": (
        PV + "logvol / --vgname=vg --name=root --size=950 --fstype=xfs\n",
        "test.ks:3: volgroup vg: its volumes need 56 MiB more than the 896 MiB it has",
    ),
    "thin pool": (
        PV + "logvol none --vgname=vg --thinpool --name=pool --size=100\n",
        "test.ks:4: logvol --thinpool: thin pools and caches are not supported",
    ),
    "encrypted volume": (
        PV + "logvol / --vgname=vg --name=root --size=500 --encrypted\n",
        "test.ks:4: logvol --encrypted: encryption is not supported",
    ),
    "firmware's partition on LVM": (
        PV + "logvol /boot/efi --vgname=vg --name=efi --size=50 --fstype=efi\n"
        "logvol / --vgname=vg --name=root --size=100 --fstype=ext4\n",
        "test.ks:4: logvol /boot/efi: firmware does not read LVM",
    ),
    "btrfs of two partitions": (
        BOOT + "part btrfs.1 --size=400\npart btrfs.2 --size=400\nbtrfs / btrfs.1 btrfs.2\n",
        "test.ks:4: btrfs /: a volume of 2 partitions",
    ),
    "subvolume of nothing": (
        "part / --fstype=ext4 --size=9\nbtrfs /home --subvol --name=home LABEL=none\n",
        "test.ks:2: btrfs --subvol --name=home: no volume LABEL=none is defined",
    ),
    "option of mkfs that is ours": (
        "part / --fstype=ext4 --size=9 --mkfsoptions='-U random'\n",
        "test.ks:1: part /: --mkfsoptions: -U random: not a UUID",
    ),
    "UUID of xfs": (
        "part / --fstype=xfs --size=900 --mkfsoptions='-m uuid=1234'\n",
        "test.ks:1: part /: --mkfsoptions: -m uuid= 1234: not a UUID",
    ),
    "one UUID for two": (
        "part / --fstype=ext4 --size=900 --mkfsoptions='-U 5b6621d0-15ae-4c93-b9d6-f2a197a9ef06'\n"
        "part /srv --fstype=xfs --size=900 --mkfsoptions='-m uuid=5B6621D0-15ae-4c93-b9d6-f2a197a9ef06'\n",
        "test.ks:1: /: --mkfsoptions: 5b6621d0-15ae-4c93-b9d6-f2a197a9ef06 is the UUID of /srv, too",
    ),
    "extended option of mkfs that is ours": (
        "part / --fstype=ext4 --size=9 --mkfsoptions='-E offset=5'\n",
        "test.ks:1: part /: --mkfsoptions: offset comes from the plan",
    ),
    "feature of xfs": (
        "part / --fstype=xfs --size=900 --mkfsoptions='-m rmapbt=1'\n",
        "test.ks:1: part /: --mkfsoptions: -m rmapbt=1 is not supported",
    ),
    "option of mkfs.xfs": (
        "part / --fstype=xfs --size=900 --mkfsoptions='-r rtdev=/dev/sda'\n",
        "test.ks:1: part /: --mkfsoptions: -r of mkfs.xfs cannot be used",
    ),
    "options for swap": (
        "part swap --size=9 --mkfsoptions=-f\npart / --fstype=ext4 --size=9\n",
        "test.ks:1: part swap: swap takes no --mkfsoptions",
    ),
    "label of xfs": (
        "part / --fstype=xfs --size=900 --label=abcdefghijklm\n",
        'test.ks:1: part --label="abcdefghijklm": not a label of xfs',
    ),
    "two names of a volume": (
        PV + "logvol / --vgname=vg --name=a --size=10 --fstype=ext4\n"
        "logvol /srv --vgname=vg --name=a --size=10 --fstype=ext4\n",
        "test.ks:5: logvol --name=a: a second one in vg",
    ),
}


@pytest.mark.parametrize(("lines", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake(tmp_path: Path, lines: str, expected: str) -> None:
    _, findings = plan_disk(tmp_path, lines)

    errors = [each.removeprefix("error: ") for each in reported(findings, tmp_path) if each[:5] == "error"]
    assert len(errors) == 1, errors
    assert errors[0].startswith(expected)


def test_disk_that_is_too_small_says_by_how_much(tmp_path: Path) -> None:
    _, findings = plan_disk(tmp_path, "part biosboot --size=1\npart / --fstype=ext4 --size=2000\n", size=1000)

    assert reported(findings, tmp_path)[0] == (
        "error: test.ks: the disk is 1003 MiB too small: it has 1000 MiB, the partitions need 2003 MiB"
    )
    assert findings.errors[0].hint == "give a larger --size, or smaller partitions"


def test_a_disk_too_small_for_autopart_has_another_way_out(tmp_path: Path) -> None:
    _, findings = plan_disk(tmp_path, "autopart --type=plain\n", size=3000)

    assert findings.errors[0].hint == "give a larger --size, or part lines in place of autopart"


@pytest.mark.parametrize(
    "line", ["part biosboot --size=1 --label=bios", "part prepboot --size=4 --label=prep"]
)
def test_a_label_for_what_has_none_is_told_and_dropped(tmp_path: Path, line: str) -> None:
    plan, findings = plan_disk(tmp_path, f"reqpart\n{line}\npart / --fstype=ext4 --size=900\n")

    kind = line.split()[1]
    assert reported(findings, tmp_path) == [
        f'warning: test.ks:2: part {kind} --label="{line.rpartition("=")[2]}": {kind} has no label'
    ]
    assert {part.label for part in plan.disk.partitions} == {None}


@pytest.mark.parametrize("where", ["boot", "partition"])
def test_a_boot_loader_for_a_partition_goes_where_there_is_room(tmp_path: Path, where: str) -> None:
    plan, findings = plan_disk(
        tmp_path,
        f"bootloader --location={where}\npart biosboot --size=1\npart / --fstype=ext4 --size=900\n",
    )

    assert not findings.errors, reported(findings, tmp_path)
    assert findings.warnings[0].message.startswith(f"bootloader --location={where}: GRUB goes where")
    assert (plan.bootloader.location, plan.firmware) == ("mbr", ("bios",))


def test_a_disk_of_two_tebibytes_fits_an_msdos_table_to_the_last(tmp_path: Path) -> None:
    _, findings = plan_disk(tmp_path, "part / --fstype=xfs --size=1000 --grow\n", size=2 << 20)

    assert not findings.errors, reported(findings, tmp_path)


def test_a_disk_without_a_boot_loader_may_have_a_small_boot(tmp_path: Path) -> None:
    lines = (
        "bootloader --location=none\npart /boot --fstype=ext4 --size=10\npart / --fstype=ext4 --size=900\n"
    )

    _, findings = plan_disk(tmp_path, lines)

    assert not findings.errors, reported(findings, tmp_path)


def test_last_of_two_partitions_is_said_to_win(tmp_path: Path) -> None:
    _, findings = plan_disk(tmp_path, "part / --fstype=ext4 --size=900\npart / --fstype=ext4 --size=1000\n")

    assert reported(findings, tmp_path) == [
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

    assert not findings.errors, reported(findings, tmp_path)
    assert (plan.firmware, plan.disk.label) == (firmware, label)


DEFAULTS = {
    "Fedora": ("fedora-45", "F45", "ext4"),
    "EL 6": ("epel-6", "RHEL6", "ext4"),
    "EL 9": ("epel-9", "RHEL9", "xfs"),
}


@pytest.mark.parametrize(("target", "version", "fstype"), DEFAULTS.values(), ids=DEFAULTS)
def test_file_system_where_the_line_names_none(
    tmp_path: Path, target: str, version: str, fstype: str
) -> None:
    plan, findings = plan_text(
        tmp_path, "part / --size=900\n%packages\n%end\n", target=target, choices=Choices(ksversion=version)
    )

    assert plan.disk.partitions[-1].fstype == fstype
    assert not findings.warnings


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


SCHEMES = {
    "Fedora since 33": ("fedora-45", "F45", "btrfs", [("root", "/"), ("home", "/home")]),
    "EL": ("epel-9", "RHEL9", "lvm", [("swap", None), ("root", "/")]),
    "Fedora before": ("fedora-17", "F17", "lvm", [("swap", None), ("root", "/")]),
}


@pytest.mark.parametrize(("target", "version", "kind", "volumes"), SCHEMES.values(), ids=SCHEMES)
def test_bare_autopart_is_that_of_the_release(
    tmp_path: Path, target: str, version: str, kind: str, volumes: list[tuple[str, str | None]]
) -> None:
    text = "autopart\nrootpw --lock x\n%packages\n%end\n"
    plan, findings = plan_text(tmp_path, text, target=target, choices=Choices(ksversion=version))

    assert not findings.errors, reported(findings, tmp_path)
    last = plan.disk.partitions[-1]
    assert last.fstype == kind
    found = [(one.path, one.mountpoint) for one in last.subvolumes]
    found += [(one.name, one.mountpoint) for group in plan.disk.groups for one in group.volumes]
    assert found == volumes
    assert [part.mountpoint for part in plan.disk.partitions[:3]] == [None, "/boot/efi", "/boot"]


MEMORY = {
    "as the installer's own test has it": ("/tmp --size 5000", "defaults,size=5000m"),
    "what the kernel gives it": ("/tmp", "defaults"),
    "options": ("/var/tmp --size=64 --fsoptions=mode=1777,nosuid,uid=0", "mode=1777,nosuid,uid=0,size=64m"),
}


@pytest.mark.parametrize(("words", "options"), MEMORY.values(), ids=MEMORY)
def test_tmpfs_is_a_line_of_fstab_and_takes_nothing_of_the_disk(
    tmp_path: Path, words: str, options: str
) -> None:
    root = "part / --fstype=ext4 --size=900\n"

    plan, findings = plan_disk(tmp_path, f"{root}part --fstype=tmpfs {words}\n")

    assert not findings.errors, reported(findings, tmp_path)
    assert (disk_of(plan), plan.disk.size) == ([("/", 900)], 901)
    line = f"tmpfs {words.split()[0]} tmpfs {options} 0 0"
    placed = layout.place(plan.disk, seed="", content={})
    assert table.fstab(placed, plan.disk.in_memory).splitlines()[-1] == line
    assert any(row.endswith(f"tmpfs    mounted {options}") for row in describe(plan))


NOT_IN_MEMORY = {
    "the root": ("/", "part / --fstype=tmpfs: what is installed there would not be in the guest"),
    "programs": ("/usr/local", "part /usr/local --fstype=tmpfs: what is installed there would not be"),
    "kernels": ("/boot", "part /boot --fstype=tmpfs: what is installed there would not be"),
    "a link of the root": ("/sbin", "/sbin: belongs to the file system of /"),
    "twice": ("/srv", "/srv: mounted twice"),
    "nowhere": ("tmp", 'part: "tmp" is not a mount point'),
    "growing": ("/tmp --size=9 --grow", "part: the --fstype=tmpfs option can't be used together with --grow"),
    "a partition": ("/tmp --onpart=vda1", "part /tmp --fstype=tmpfs --onpart: it is in memory"),
    "options of mkfs": (
        "/tmp --mkfsoptions='-m 0'",
        "part /tmp --fstype=tmpfs --mkfsoptions: it is in memory",
    ),
    "a blank": ("/tmp --fsoptions='a b'", 'part --fsoptions="a b": a blank would end the field'),
    "another's option": (
        "/tmp --fsoptions=compress=zstd",
        "part --fsoptions=compress=zstd: tmpfs has no such",
    ),
    "less than nothing": ("/tmp --size=-4", "part: --size=-4 is no size"),
}


@pytest.mark.parametrize(("words", "expected"), NOT_IN_MEMORY.values(), ids=NOT_IN_MEMORY)
def test_what_cannot_be_in_memory_is_refused(tmp_path: Path, words: str, expected: str) -> None:
    lines = "part / --fstype=ext4 --size=900\npart /srv --fstype=ext4 --size=9\n"

    _, findings = plan_disk(tmp_path, f"{lines}part {words} --fstype=tmpfs\n")

    assert any(
        message.startswith(f"error: test.ks:3: {expected}") for message in reported(findings, tmp_path)
    ), reported(findings, tmp_path)


BOOT_SIZES = {
    "EL 6": ("epel-6", "RHEL6", 500, 50, 200),
    "EL 7": ("epel-7", "RHEL7", 1024, 20, 200),
    "EL 8": ("epel-8", "RHEL8", 1024, 200, 600),
    "EL 9": ("epel-9", "RHEL9", 1024, 200, 600),
    "EL 10": ("epel-10", "RHEL10", 2048, 500, 600),
    "Fedora 17": ("fedora-17", "F17", 500, 20, 200),
    "Fedora 45": ("fedora-45", "F45", 2048, 500, 600),
}


@pytest.mark.parametrize(("target", "version", "boot", "esp", "largest"), BOOT_SIZES.values(), ids=BOOT_SIZES)
def test_what_autopart_makes_to_boot_by_has_the_sizes_of_the_release(
    tmp_path: Path, target: str, version: str, boot: int, esp: int, largest: int
) -> None:
    text = "autopart\nrootpw --lock x\n%packages\n%end\n"
    plan, _ = plan_text(tmp_path, text, target=target, choices=Choices(ksversion=version))
    large, _ = plan_text(tmp_path, text, target=target, choices=Choices(ksversion=version, disk_size=60_000))

    assert habits_of(find_target(target), "x").esp == esp
    sizes = {part.mountpoint: part.size for part in plan.disk.partitions}
    assert sizes["/boot"] == boot
    assert esp < sizes["/boot/efi"] <= largest
    assert {part.mountpoint: part.size for part in large.disk.partitions}["/boot/efi"] == largest


VOLUMES = {
    "growing takes the rest": ("logvol / --vgname=vg --name=root --size=100 --grow --fstype=xfs\n", [896]),
    "sizes are whole extents": ("logvol / --vgname=vg --name=root --size=398 --fstype=xfs\n", [400]),
    "up to its maximum": (
        "logvol / --vgname=vg --name=root --size=400 --grow --maxsize=600 --fstype=xfs\n",
        [600],
    ),
    "a part of what is left": (
        "logvol swap --vgname=vg --name=swap --size=96\n"
        "logvol / --vgname=vg --name=root --percent=50 --fstype=xfs\n",
        [96, 400],
    ),
    "two share": (
        "logvol / --vgname=vg --name=root --size=300 --grow --fstype=xfs\n"
        "logvol /srv --vgname=vg --name=srv --size=100 --grow --fstype=ext4\n",
        [672, 224],
    ),
}


@pytest.mark.parametrize(("lines", "sizes"), VOLUMES.values(), ids=VOLUMES)
def test_sizes_of_logical_volumes(tmp_path: Path, lines: str, sizes: list[int]) -> None:
    plan, findings = plan_disk(tmp_path, PV + lines)

    assert not findings.errors, reported(findings, tmp_path)
    assert [volume.size for volume in plan.disk.groups[0].volumes] == sizes


def test_a_partition_of_lvm_grows_to_what_its_volumes_need(tmp_path: Path) -> None:
    lines = (
        BOOT + "part pv.1 --size=1 --grow\nvolgroup vg pv.1\n"
        "logvol / --vgname=vg --name=root --size=8000 --fstype=xfs\n"
    )

    plan, findings = plan_disk(tmp_path, lines)

    assert not findings.errors, reported(findings, tmp_path)
    assert disk_of(plan) == [("/boot", 200), ("lvm", 8001)]


def test_btrfs_as_fedoras_cloud_kickstart_has_it(tmp_path: Path) -> None:
    lines = (
        "part biosboot --size=1\npart /boot --fstype=ext4 --size=1000\n"
        'part btrfs.007 --fstype="btrfs" --size=2000 --grow\n'
        "btrfs none --label=fedora btrfs.007\n"
        "btrfs /home --subvol --name=home LABEL=fedora\nbtrfs / --subvol --name=root LABEL=fedora\n"
        "btrfs /var --subvol --name=root/var LABEL=fedora\n"
    )

    plan, findings = plan_disk(tmp_path, lines)

    assert not findings.errors, reported(findings, tmp_path)
    volume = plan.disk.partitions[-1]
    assert (volume.fstype, volume.label, volume.mountpoint, volume.size) == ("btrfs", "fedora", None, 4117)
    assert [(one.path, one.mountpoint) for one in volume.subvolumes] == [
        ("home", "/home"),
        ("root", "/"),
        ("root/var", "/var"),
    ]


def test_swap_is_recommended_for_the_guests_memory(tmp_path: Path) -> None:
    text = "part swap --recommended\npart / --fstype=ext4 --size=500\n" + REST
    plan, _ = plan_text(tmp_path, text, choices=Choices(ksversion="F45", memory=1024))

    assert disk_of(plan)[0] == ("swap", 2048)


WISHES = st.lists(
    st.tuples(st.integers(1, 5000), st.booleans(), st.none() | st.integers(1, 9000)), min_size=1, max_size=6
)


def wishes(rows: list[tuple[int, bool, int | None]]) -> list[Wish]:
    return [Wish(size, grow, None if limit is None else max(limit, size)) for size, grow, limit in rows]


@given(free=st.integers(0, 100_000), rows=WISHES)
def test_shared_space_is_never_lost_nor_made(free: int, rows: list[tuple[int, bool, int | None]]) -> None:
    wanted = wishes(rows)

    sizes = share(free, wanted)

    given_out = sum(sizes) - sum(wish.size for wish in wanted)
    assert 0 <= given_out <= free
    for wish, size in zip(wanted, sizes, strict=True):
        assert size >= wish.size
        assert size == wish.size or wish.grow
        assert wish.limit is None or size <= wish.limit
    if any(wish.grow and wish.limit is None for wish in wanted):
        assert given_out == free


def test_what_grows_in_a_group_has_room_next_to_what_is_large(tmp_path: Path) -> None:
    plan, findings = plan_disk(
        tmp_path,
        "part /boot --fstype=ext4 --size=1000\npart pv.1 --size=1 --grow\nvolgroup vg pv.1\n"
        "logvol swap --vgname=vg --name=swap --size=8000\n"
        "logvol / --vgname=vg --name=root --fstype=xfs --size=1 --grow\n",
    )

    assert not findings.errors, reported(findings, tmp_path)
    assert [(one.where, one.size) for one in plan.disk.groups[0].volumes] == [("swap", 8000), ("/", 2048)]


@given(rows=WISHES)
def test_the_size_of_a_disk_does_not_jump_with_a_number(rows: list[tuple[int, bool, int | None]]) -> None:
    """A MiB more in a line never makes the disk smaller, and never larger by more than that MiB."""
    before = wishes(rows)
    more = [Wish(before[0].size + 1, before[0].grow, before[0].limit and before[0].limit + 1), *before[1:]]

    first = choose_disk_size(0, before)
    second = choose_disk_size(0, more)

    assert 0 <= second - first <= 1


MADE = PartitionTable(
    label="gpt",
    partitions=(
        MadePartition(number=1, type="21686148-6449-6e6f-744e-656564454649", start=MIB, size=MIB),
        MadePartition(number=2, type="0fc63daf-8483-4772-8e79-3d69d8477de4", start=2 * MIB, size=400 * MIB),
        MadePartition(
            number=4,
            type="0fc63daf-8483-4772-8e79-3d69d8477de4",
            start=402 * MIB,
            size=1645 * MIB + 512,
            name="root",
        ),
    ),
)
ONPART = "part /boot --fstype=xfs --onpart=/dev/vda2\npart / --fstype=xfs --onpart=vda4\n%pre\nparted\n%end\n"


def plan_onpart(folder: Path, text: str, table: PartitionTable | None) -> tuple[ImagePlan, Findings]:
    choices = Choices(ksversion="RHEL9", disk_size=2048)
    return plan_text(folder, text + REST, target="epel-9", choices=choices, pre_disk=table)


def test_partitions_that_pre_makes_are_open_until_it_has_run(tmp_path: Path) -> None:
    plan, findings = plan_onpart(tmp_path, ONPART, None)

    assert not findings.errors, reported(findings, tmp_path)
    assert not plan.disk.is_resolved


def test_partitions_that_pre_made_are_taken_where_they_are(tmp_path: Path) -> None:
    plan, findings = plan_onpart(tmp_path, ONPART, MADE)

    assert not findings.errors, reported(findings, tmp_path)
    assert plan.disk.is_resolved
    assert (plan.disk.label, plan.firmware) == ("gpt", ("bios",))
    assert [
        (part.mountpoint or part.fstype, part.size, part.extent.number if part.extent else 0)
        for part in plan.disk.partitions
    ] == [("biosboot", 1, 1), ("/boot", 400, 2), ("/", 1645, 4)]


def test_new_partitions_go_where_pre_has_left_most_room(tmp_path: Path) -> None:
    """With the numbers that are free, and whatever grows takes the rest."""
    lines = ONPART.replace(" --onpart=vda4", " --size=600 --grow") + "part swap --size=128\n"

    plan, findings = plan_onpart(tmp_path, lines, PartitionTable(label="gpt", partitions=MADE.partitions[:2]))

    assert not findings.errors, reported(findings, tmp_path)
    assert plan.disk.is_resolved
    assert [
        (part.mountpoint or part.fstype, part.size, part.extent and (part.extent.number, part.extent.start))
        for part in plan.disk.partitions
    ] == [
        ("biosboot", 1, (1, MIB)),
        ("/boot", 400, (2, 2 * MIB)),
        ("swap", 128, (3, 402 * MIB)),
        ("/", 2048 - 402 - 128 - 1, (4, 530 * MIB)),
    ]


ONPART_MISTAKES = {
    "no such partition": (
        ONPART.replace("vda4", "vda3"), MADE, "has made no such partition (it made 1, 2, 4)"
    ),
    "twice the same": (ONPART.replace("vda4", "vda2"), MADE, "part --onpart=vda2: a second line for it"),
    "no table": (ONPART, PartitionTable(label="none"), "%pre has made no partition table"),
    "not a partition": (ONPART.replace("vda4", "vda"), None, "part --onpart=vda: not a partition"),
    "a new one without room": (
        "part /srv --fstype=xfs --size=400\n" + ONPART,
        MADE,
        "test.ks:1: part /srv: 0 MiB are free where %pre has left most, and 400 MiB are wanted there",
    ),
    "out of the disk": (
        ONPART,
        PartitionTable(
            label="gpt",
            partitions=(*MADE.partitions[:2], MadePartition(number=4, type="x", start=MIB, size=9**11)),
        ),
        "partition 4 is not on the disk",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "table", "expected"), ONPART_MISTAKES.values(), ids=ONPART_MISTAKES)
def test_partitions_of_pre_that_cannot_be(
    tmp_path: Path, lines: str, table: PartitionTable | None, expected: str
) -> None:
    _, findings = plan_onpart(tmp_path, lines, table)

    errors = [line for line in reported(findings, tmp_path) if line.startswith("error")]
    assert any(expected in error for error in errors), errors


def test_a_mount_point_begins_with_one_slash(tmp_path: Path) -> None:
    lines = (
        "part //srv --size=20\npart pv.1 --size=200\nvolgroup g pv.1\n"
        "logvol ///var//x/ --vgname=g --name=x --size=100\n"
        "part btrfs.1 --size=300\nbtrfs none --label=b btrfs.1\nbtrfs //home/ --subvol --name=h b\n"
    )
    plan, findings = plan_text(tmp_path, f"{DISK}{lines}rootpw --lock\n%packages\n%end\n")

    assert findings.errors == []
    assert plan is not None
    assert {point for part in plan.disk.partitions for point in part.mountpoints} >= {"/srv", "/home"}
    assert [volume.mountpoint for volume in plan.disk.groups[0].volumes] == ["/var/x"]

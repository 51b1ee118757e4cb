# SPDX-License-Identifier: MIT
"""What verify reads from outside: LVM's text, xfs by a reader of our own, btrfs by btrfs restore."""

from __future__ import annotations

import contextlib
import os
import random
import stat
from functools import partial
from pathlib import Path

import pytest

from builder import tools
from builder.formats.partitions import read_table
from builder.guest import filesystems, readers
from builder.guest.outcome import CannotCheck
from builder.guest.readers.btrfs import subvolumes
from builder.guest.readers.btrfs_labels import read_labels
from builder.guest.readers.inodes import LabelledInode
from builder.guest.readers.xfs import XfsReader
from builder.guest.volumes import read_volumes
from builder.image.disk.placement import DiskLayout
from builder.kickstart.plan import LogicalVolume, Partition, Subvolume, VolumeGroup
from builder.runner import Runner
from builder.sizes import MIB
from tests.support.disks import btrfs_of, place, write_disk

pytestmark = pytest.mark.skipif(
    not (tools.has("mkfs.xfs") and tools.has("btrfs")), reason="needs xfsprogs and btrfs-progs"
)
XFS = Partition(mountpoint="/", fstype="xfs", size=320)
GROUP = VolumeGroup(
    name="vg",
    members=("pv.1", "pv.2"),
    volumes=(
        LogicalVolume(name="root", mountpoint="/", fstype="xfs", size=400),
        LogicalVolume(name="srv", mountpoint="/srv", fstype="ext4", size=40),
    ),
)
MEMBERS = tuple(Partition(mountpoint=None, fstype="lvm", size=302, name=f"pv.{one}") for one in (1, 2))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a tree with a folder in each form that xfs has for one, links, holes and a large file."""
    tree = tmp_path / "source"
    for folder, count in (("few", 3), ("block", 60), ("leaf", 400), ("node", 3000)):
        (tree / folder).mkdir(parents=True)
        for number in range(count):
            (tree / folder / f"name-{number:05d}").write_text(f"{folder} {number}")
    (tree / "link").symlink_to("few/name-00001")
    (tree / "long-link").symlink_to("x" * 700)
    (tree / "same").hardlink_to(tree / "few/name-00001")
    (tree / "large").write_bytes(os.urandom(3 * MIB + 17))
    with (tree / "holes").open("wb") as file:
        file.write(b"begin")
        file.seek(90 * MIB)
        file.write(b"end")
    (tree / "closed").write_text("secret")
    (tree / "closed").chmod(0)
    return tree


def contents(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "folder"
    return found


def written(tmp_path: Path, layout: DiskLayout, sources: dict[str, Path], runner: Runner) -> Path:
    disk = tmp_path / "disk"
    write_disk(disk, layout, sources, runner=runner, work=tmp_path)
    return disk


KINDS = {
    "xfs": XFS,
    "btrfs": Partition(mountpoint="/", fstype="btrfs", size=400),
    "btrfs, compressed": Partition(mountpoint="/", fstype="btrfs", size=400, fsoptions="compress=zstd:1"),
    "ext4": Partition(mountpoint="/", fstype="ext4", size=320),
}


@pytest.mark.parametrize("partition", KINDS.values(), ids=KINDS)
def test_files_are_read_from_outside(
    tmp_path: Path, runner: Runner, source: Path, partition: Partition
) -> None:
    disk = written(tmp_path, place(partition), {"/": source}, runner)
    system = filesystems.identify(runner, disk, read_table(disk).partitions[0])
    assert system is not None
    assert system.type == partition.fstype
    target = tmp_path / "target"

    assert readers.check(runner, disk, system, tmp_path) is None
    readers.unpack(runner, disk, system, target, tmp_path)

    found, expected = contents(target), contents(source)
    found.pop("lost+found", None)
    assert found == expected
    if partition.fstype == "xfs":
        assert (target / "same").stat().st_ino == (target / "few/name-00001").stat().st_ino
        assert (target / "holes").stat().st_blocks < 2048


def test_a_subvolume_is_read_as_it_is_mounted(tmp_path: Path, runner: Runner, source: Path) -> None:
    names = (("root", "/"), ("root/var", "/var"), ("home", "/home"))
    layout = place(
        Partition(
            mountpoint=None,
            fstype="btrfs",
            size=400,
            subvolumes=tuple(Subvolume(path=path, mountpoint=point) for path, point in names),
        )
    )
    (source / "home").mkdir()
    disk = written(tmp_path, layout, {"/": source, "/home": source / "few"}, runner)
    system = filesystems.identify(runner, disk, read_table(disk).partitions[0])
    assert system is not None

    readers.unpack(runner, disk, system, tmp_path / "home", tmp_path, ("subvol=home",))

    assert sorted(contents(tmp_path / "home")) == [f"name-{number:05d}" for number in range(3)]
    with filesystems.copied(disk, system, tmp_path) as copy:
        assert subvolumes(runner, copy) == {"root": 256, "root/var": 257, "home": 258}
    with pytest.raises(CannotCheck, match="no subvolume other"):
        readers.unpack(runner, disk, system, tmp_path / "x", tmp_path, ("subvol=other",))


def test_volumes_are_found_and_read_in_their_pieces(tmp_path: Path, runner: Runner, source: Path) -> None:
    layout = place(*MEMBERS, groups=(GROUP,))
    disk = written(tmp_path, layout, {"/": source}, runner)

    found = read_volumes(disk, read_table(disk))

    assert found.problems == ()
    (group,) = layout.groups
    assert [(one.name, one.pieces) for one in found.volumes] == [
        (f"vg/{volume.name}", tuple((piece.start, piece.size) for piece in volume.pieces))
        for volume in group.volumes
    ]
    assert [len(one.pieces) for one in found.volumes] == [2, 1]
    systems = [filesystems.identify(runner, disk, one.partition, one) for one in found.volumes]
    assert [one and (one.name, one.type, one.uuid) for one in systems] == [
        (f"volume vg/{volume.name}", volume.fstype, volume.uuid) for volume in group.volumes
    ]
    for system in systems:
        assert system is not None
        assert readers.check(runner, disk, system, tmp_path) is None
    assert systems[0] is not None
    readers.unpack(runner, disk, systems[0], tmp_path / "target", tmp_path)
    assert contents(tmp_path / "target") == contents(source)


DAMAGES = {
    "label": (512 + 40, "the label has a wrong checksum"),
    "header of the metadata": (4096 + 24, "the metadata area has a wrong header or checksum"),
    "metadata": (4096 + 512 + 30, "the metadata has a wrong checksum"),
}


@pytest.mark.parametrize(("at", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_a_changed_byte_of_lvm_is_found(tmp_path: Path, runner: Runner, at: int, expected: str) -> None:
    layout = place(*MEMBERS, groups=(GROUP,))
    disk = written(tmp_path, layout, {}, runner)
    with disk.open("r+b") as file:
        file.seek(layout.partitions[0].start + at)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))

    assert f"partition 1: {expected}" in read_volumes(disk, read_table(disk)).problems


def test_damage_of_xfs_is_reported_by_its_checker(tmp_path: Path, runner: Runner, source: Path) -> None:
    layout = place(XFS)
    disk = written(tmp_path, layout, {"/": source}, runner)
    with disk.open("r+b") as file:
        file.seek(
            layout.partitions[0].start + 2 * 512 + 20
        )  # the inode btree's root in the first group's AGI
        file.write(b"\xff\xff\xff")
    system = filesystems.identify(runner, disk, read_table(disk).partitions[0])
    assert system is not None

    assert readers.check(runner, disk, system, tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_a_spoiled_xfs_ends_in_words_and_writes_nowhere_else(
    tmp_path: Path, runner: Runner, seed: int
) -> None:
    import random

    tree = tmp_path / "source"
    (tree / "folder").mkdir(parents=True)
    for number in range(200):
        (tree / "folder" / f"file-{number}").write_text("x" * number)
    layout = place(XFS)
    disk = written(tmp_path, layout, {"/": tree}, runner)
    chance = random.Random(seed)
    image = tmp_path / "image"
    placed = layout.partitions[0]
    image.touch()
    os.truncate(image, placed.size)
    filesystems.copy_range(disk, placed.start, placed.size, image)
    with image.open("r+b") as file:
        for _ in range(60):
            file.seek(chance.randrange(512, 2 * MIB))
            file.write(bytes([chance.randrange(256)]))
    target = tmp_path / "target"
    target.mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())

    try:
        reader = XfsReader(image)
        try:
            reader.unpack(target)
        finally:
            reader.close()
    except CannotCheck:
        pass

    assert sorted(path.name for path in tmp_path.iterdir()) == before


TYPES = {
    "/": "root_t",
    "/folder": "dir_t",
    "/folder/file": "file_t",
    "/folder/other name of file": "file_t",
    "/link": "link_t",
    "/with many attributes": "many_t",
    '/a "quoted" name': "quoted_t",
    r"/a name\x2dwith a backslash": "backslash_t",
    "/näme": "name_t",
    "/folder/pipe": "pipe_t",
    "/folder/socket": "socket_t",
}
# What no reader unpacks; device nodes are root's to make.
SPECIAL = {"/folder/pipe": stat.S_IFIFO, "/folder/socket": stat.S_IFSOCK}
if os.geteuid() == 0:
    SPECIAL |= {"/folder/null": stat.S_IFCHR, "/folder/disk": stat.S_IFBLK}
    TYPES |= {"/folder/null": "null_device_t", "/folder/disk": "fixed_disk_device_t"}
LABELLED = {path: f"system_u:object_r:{kind}:s0" for path, kind in TYPES.items()}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Return a tree with what `LABELLED` says, and files without labels, more than a node of a tree holds."""
    tree = tmp_path / "source"
    (tree / "folder").mkdir(parents=True)
    (tree / "link").symlink_to("plain")
    for path, kind in SPECIAL.items():
        os.mknod(tree / path[1:], kind | 0o600, os.makedev(8, 1))
    for path in LABELLED:
        file = tree / path[1:]
        if path == "/folder/other name of file":
            file.hardlink_to(tree / "folder/file")
        elif not os.path.lexists(file):
            file.write_text("x")
    for number in range(900):
        (tree / "folder" / f"plain-{number}").write_text("x")
    many = tree / "with many attributes"
    for number in range(8):
        os.setxattr(many, f"user.attribute{number}", bytes(200))
    for path, label in LABELLED.items():
        os.setxattr(tree / path[1:], "security.selinux", label.encode() + b"\0", follow_symlinks=False)
    os.setxattr(tree / "folder/file", "security.capability", b"\1\0\0\2\0\4\0\0" + bytes(12))
    return tree


def labels_of(disk: Path, runner: Runner, work: Path, *options: str) -> dict[str, str]:
    """Return the labels of what has one; all that is unpacked, and no more than special files, is in it."""
    system = filesystems.identify(runner, disk, read_table(disk).partitions[0])
    assert system is not None
    folder = work / " ".join(["unpacked", *options])
    readers.unpack(runner, disk, system, folder, work, options)
    found = readers.labels(runner, disk, system, folder, work, options)
    unpacked = {f"/{path.relative_to(folder)}" for path in folder.rglob("*")} | {"/"}
    others = {path: stat.S_IFMT(inode.mode) for path, inode in found.items() if path not in unpacked}
    assert others == {path: kind for path, kind in SPECIAL.items() if path in found}
    assert unpacked <= found.keys()
    return with_label(found)


def with_label(found: dict[str, LabelledInode]) -> dict[str, str]:
    return {path: inode.label for path, inode in found.items() if inode.label is not None}


@pytest.mark.parametrize("partition", KINDS.values(), ids=KINDS)
def test_labels_are_read_from_outside(
    tmp_path: Path, runner: Runner, labelled: Path, partition: Partition
) -> None:
    disk = written(tmp_path, place(partition), {"/": labelled}, runner)

    assert labels_of(disk, runner, tmp_path) == LABELLED


def test_labels_of_a_subvolume_are_its_own(tmp_path: Path, runner: Runner, labelled: Path) -> None:
    partition = btrfs_of(root="/", home="/home")
    (labelled / "home").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    (home / "user").mkdir()
    os.setxattr(home / "user", "security.selinux", b"system_u:object_r:user_t:s0")
    disk = written(tmp_path, place(partition), {"/": labelled, "/home": home}, runner)

    assert labels_of(disk, runner, tmp_path, "subvol=root") == LABELLED
    assert labels_of(disk, runner, tmp_path, "subvol=home") == {"/user": "system_u:object_r:user_t:s0"}


def test_labels_of_a_subvolume_within_another_are_read(
    tmp_path: Path, runner: Runner, labelled: Path
) -> None:
    partition = Partition(
        mountpoint=None, fstype="btrfs", size=400,
        subvolumes=(Subvolume(path="root", mountpoint="/"), Subvolume(path="root/var", mountpoint="/var")),
    )  # fmt: skip
    (labelled / "var").mkdir()
    var = tmp_path / "var"
    var.mkdir()
    (var / "log").mkdir()
    os.setxattr(var, "security.selinux", b"system_u:object_r:var_t:s0")
    os.setxattr(var / "log", "security.selinux", b"system_u:object_r:log_t:s0")
    disk = written(tmp_path, place(partition), {"/": labelled, "/var": var}, runner)

    assert labels_of(disk, runner, tmp_path, "subvol=root") == LABELLED | {
        "/var": "system_u:object_r:var_t:s0",
        "/var/log": "system_u:object_r:log_t:s0",
    }


@pytest.fixture
def of_mkfs(tmp_path: Path, runner: Runner, labelled: Path) -> Path:
    """A btrfs of the labelled tree by mkfs.btrfs, which leaves the labels of the top level's root out."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(320 * MIB)
    runner.run(["mkfs.btrfs", "-q", "--rootdir", labelled, "--shrink", image])
    return image


def test_labels_of_a_btrfs_of_mkfs_are_read(of_mkfs: Path) -> None:
    assert {"/": LABELLED["/"], **with_label(read_labels(of_mkfs, 5))} == LABELLED


def test_a_spoiled_btrfs_ends_in_words(of_mkfs: Path) -> None:
    size = of_mkfs.stat().st_size
    chance = random.Random(1)
    with of_mkfs.open("r+b") as file:
        read = partial(os.pread, file.fileno())
        used = [at for at in range(0, size, 4096) if any(read(101, at))]
        for _ in range(200):
            at = chance.choice(used) + chance.randrange(512)
            before = read(8, at)
            os.pwrite(file.fileno(), chance.randbytes(8), at)
            with contextlib.suppress(CannotCheck):
                read_labels(of_mkfs, 5)
            os.pwrite(file.fileno(), before, at)

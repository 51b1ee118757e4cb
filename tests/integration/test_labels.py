# SPDX-License-Identifier: MIT
"""SELinux's labels on the disk are those of the image's policy, whatever those of the tree's files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder import tools
from builder.errors import BuildError
from builder.formats.file_contexts import FileContexts
from builder.formats.partitions import read_table
from builder.guest import filesystems, readers
from builder.image.disk.filesystems.labels import ATTRIBUTE, Labels
from builder.image.disk.filesystems.source import attributes
from builder.kickstart.plan import Partition
from builder.runner import Runner
from tests.support.disks import btrfs_of, place, tool, write_disk

KINDS = {
    "xfs": Partition(mountpoint="/", fstype="xfs", size=320),
    "btrfs": Partition(mountpoint="/", fstype="btrfs", size=400),
    "ext4": Partition(mountpoint="/", fstype="ext4", size=64),
    "ext4 that mke2fs fills": Partition(mountpoint="/", fstype="ext4", size=64, mkfsoptions="-I 128"),
    "ext3": Partition(mountpoint="/", fstype="ext3", size=64),
    "ext2": Partition(mountpoint="/", fstype="ext2", size=64),
}
NEEDED = {"xfs": "mkfs.xfs", "btrfs": "btrfs"}
POLICY = """
/  -d  system_u:object_r:root_t:s0
/folder(/.*)?  system_u:object_r:folder_t:s0
/folder/file  --  system_u:object_r:file_t:s0
/folder/null  -c  system_u:object_r:null_device_t:s0
/folder/nothing  <<none>>
/link  -l  system_u:object_r:link_t:s0
/many  --  system_u:object_r:many_t:s0
/srv(/.*)?  system_u:object_r:srv_t:s0
"""
LABELS = {
    "/": "root_t",
    "/folder": "folder_t",
    "/folder/file": "file_t",
    "/folder/same": "file_t",
    "/folder/null": "null_device_t",
    "/folder/pipe": "folder_t",
    "/link": "link_t",
    "/many": "many_t",
}
# As a host with SELinux labels what is made there, and as it shows what its policy does not know.
HOST = b"unconfined_u:object_r:user_tmp_t:s0\0"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree whose every file has a label of the host."""
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    for name in ("folder/file", "folder/nothing", "many", "plain", 'a "quoted" name', "a name\nof two lines"):
        (tree / name).write_text(name)
    (tree / "folder/same").hardlink_to(tree / "folder/file")
    (tree / "link").symlink_to("plain")
    os.mkfifo(tree / "folder/pipe")
    if os.geteuid() == 0:
        os.mknod(tree / "folder/null", 0o20666, os.makedev(1, 3))
    for number in range(8):
        os.setxattr(tree / "many", f"user.attribute{number}", bytes(200))
    for path in (tree, *tree.rglob("*")):
        os.setxattr(path, ATTRIBUTE, HOST, follow_symlinks=False)
    return tree


def written(tmp_path: Path, runner: Runner, partition: Partition, tree: Path, policy: str | None) -> Path:
    """Return a disk with the tree, labelled by the policy."""
    if partition.fstype in NEEDED and not tools.has(NEEDED[partition.fstype]):
        pytest.skip(f"needs {NEEDED[partition.fstype]}")
    contexts = None if policy is None else FileContexts([policy])
    disk = tmp_path / "disk"
    labels = Labels(contexts=contexts, folders={os.fsencode(tree): "/"})
    write_disk(disk, place(partition), {"/": tree}, runner=runner, work=tmp_path, labels=labels)
    return disk


def labels_of(disk: Path, runner: Runner, work: Path, *options: str) -> dict[str, str]:
    """Return the type of each path that has a label."""
    system = filesystems.identify(runner, disk, read_table(disk).partitions[0])
    assert system is not None
    if system.type.startswith("ext"):
        tool("e2fsck", "-fn", f"{disk}?offset={system.start}")
    folder = work / "-".join(["unpacked", *options])
    readers.unpack(runner, disk, system, folder, work, options)
    found = readers.labels(runner, disk, system, folder, work, options)
    return {path: inode.label.split(":")[2] for path, inode in found.items() if inode.label is not None}


@pytest.mark.parametrize("partition", KINDS.values(), ids=KINDS)
def test_labels_are_the_policys(tmp_path: Path, runner: Runner, tree: Path, partition: Partition) -> None:
    disk = written(tmp_path, runner, partition, tree, POLICY)

    expected = {path: kind for path, kind in LABELS.items() if os.path.lexists(tree / path[1:])}
    assert labels_of(disk, runner, tmp_path) == expected


@pytest.mark.parametrize("partition", KINDS.values(), ids=KINDS)
def test_without_a_policy_there_are_none(
    tmp_path: Path, runner: Runner, tree: Path, partition: Partition
) -> None:
    disk = written(tmp_path, runner, partition, tree, None)

    assert labels_of(disk, runner, tmp_path) == {}


@pytest.mark.skipif(not tools.has("btrfs"), reason="needs btrfs-progs")
def test_a_subvolume_is_labelled_by_its_mount_point(tmp_path: Path, runner: Runner, tree: Path) -> None:
    partition = btrfs_of(root="/", srv="/srv")
    (tree / "srv").mkdir()
    srv = tmp_path / "srv"
    (srv / "www").mkdir(parents=True)
    labels = Labels(
        contexts=FileContexts([POLICY]), folders={os.fsencode(tree): "/", os.fsencode(srv): "/srv"}
    )
    disk = tmp_path / "disk"
    sources = {"/": tree, "/srv": srv}

    write_disk(disk, place(partition), sources, runner=runner, work=tmp_path, labels=labels)

    assert labels_of(disk, runner, tmp_path, "subvol=srv") == {"/": "srv_t", "/www": "srv_t"}
    assert labels_of(disk, runner, tmp_path, "subvol=root")["/srv"] == "srv_t"


def test_other_attributes_stay_beside_the_label(tree: Path) -> None:
    labels = Labels(contexts=FileContexts([POLICY]), folders={os.fsencode(tree): "/"})

    found = dict(attributes(os.fsencode(tree / "many"), 0o100644, labels))

    assert found.pop(ATTRIBUTE) == b"system_u:object_r:many_t:s0\0"
    assert found == {f"user.attribute{number}": bytes(200) for number in range(8)}


def test_file_contexts_that_are_none_are_an_error(tree: Path) -> None:
    labels = Labels(
        contexts=FileContexts(["/many(  system_u:object_r:many_t:s0"]), folders={os.fsencode(tree): "/"}
    )

    with pytest.raises(BuildError, match="the file contexts of the image's SELinux policy cannot be read: "):
        labels.of(os.fsencode(tree / "many"), 0o100644)

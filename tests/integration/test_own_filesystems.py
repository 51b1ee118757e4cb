# SPDX-License-Identifier: MIT
"""ext4, xfs, btrfs and LVM as we write them, judged by their checkers, by lvm(8), and by the kernel where we
may mount.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from builder import tools
from builder.errors import BuildError
from builder.image.disk.filesystems.disk import copy_pieces
from builder.image.disk.filesystems.ext4.content import CLUSTER
from builder.image.disk.placement import MIB, DiskLayout, PlacedContent, PlacedVolume
from builder.image.isolation.mounts import mount
from builder.kickstart.plan import LogicalVolume, Partition, Subvolume, VolumeGroup
from builder.runner import Runner
from tests.support.disks import place, tool, write_disk
from tests.support.trees import EPOCH, make_stress_tree, make_tree, survey

T = TypeVar("T")
LONG_LINK = b"link-4000"  # longer than xfs can hold
OLD = {"bigtime": 0, "inobtcount": 0}

pytestmark = pytest.mark.skipif(
    not (tools.has("mkfs.xfs") and tools.has("btrfs")), reason="needs xfsprogs and btrfs-progs"
)


def system(kind: str, size: int) -> Partition:
    """Return the partition of / as `kind`."""
    if kind.startswith(("xfs", "ext4")):
        fstype, _, mkfsoptions = kind.partition(" ")
        return Partition(
            mountpoint="/", fstype=fstype, size=size, label="root", mkfsoptions=mkfsoptions or None
        )
    options = "compress=zstd:1" if "zstd" in kind else "compress" if "zlib" in kind else None
    return Partition(
        mountpoint=None,
        fstype="btrfs",
        size=size,
        label="system",
        mkfsoptions="-m single" if "single" in kind else None,
        subvolumes=(Subvolume(path="root", mountpoint="/", fsoptions=options),),
    )


def write(
    inside: Callable[..., Any],
    runner: Runner,
    layout: DiskLayout,
    make: Callable[[bytes], None],
    *,
    name: str = "disk",
    xfs: dict[str, int] | None = None,
) -> dict[bytes, dict[str, object]]:
    """Make a tree on a tmpfs and write it; return what it holds."""

    def build() -> dict[bytes, dict[str, object]]:
        mount("tmpfs", "/tree", "tmpfs", 0, "mode=755,size=1400m")
        make(b"/tree")
        expected = survey(b"/tree")
        work = Path("/work")
        write_disk(work / name, layout, {"/": Path("/tree")}, runner=runner, work=work, xfs=xfs)
        return expected

    found: dict[bytes, dict[str, object]] = inside(build)
    return found


def take_out(disk: Path, placed: PlacedContent, target: Path) -> Path:
    """Copy a partition or volume into a file of its own."""
    pieces = [(placed.start, placed.size, 0)]
    if isinstance(placed, PlacedVolume):
        pieces, at = [], 0
        for piece in placed.pieces:
            pieces.append((piece.start, piece.size, at))
            at += piece.size
    with target.open("wb") as file:
        file.truncate(placed.size)
    copy_pieces(disk, target, pieces)
    return target


def check(kind: str, image: Path) -> None:
    """Run the file system's own checker."""
    if kind.startswith("btrfs"):
        said = tool("btrfs", "check", "--check-data-csum", str(image))
        assert b"no error found" in said
    elif kind.startswith("ext4"):
        tool("e2fsck", "-fn", str(image))
    else:
        tool("xfs_repair", "-n", "-f", str(image))


SURVEY = """
import os, pickle, sys
sys.path.insert(0, sys.argv[3])
from tests.support.inside import call_inside
from tests.support.trees import survey
pickle.dump(survey(os.fsencode(sys.argv[1])), open(sys.argv[2], "wb"))
"""


def read_by_kernel(image: Path, work: Path, options: str) -> dict[bytes, dict[str, object]]:
    """Mount `image` read-only in a mount namespace of its own and return what it holds."""
    import pickle

    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices to mount")
    target, out = work / "mounted", work / "survey"
    target.mkdir(exist_ok=True)
    script = work / "survey.py"
    script.write_text(SURVEY)
    root = str(Path(__file__).resolve().parents[2])
    command = (
        f'mount -o loop,ro,{options} "$1" "$2" || exit\n'
        '"$3" "$4" "$2" "$5" "$6"; status=$?; umount "$2"; exit $status'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", image, target, sys.executable, script, out, root],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in done.stderr and "failed to setup loop" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    with out.open("rb") as file:
        found: dict[bytes, dict[str, object]] = pickle.load(file)
    # ext4's own.
    found.pop(b"lost+found", None)
    return found


def without_long_link(tree: bytes) -> None:
    make_tree(tree)
    os.unlink(tree + b"/" + LONG_LINK)


def without_what_small_blocks_lack(tree: bytes) -> None:
    """Make a tree whose attributes and links fit into a block of 1024 bytes."""
    without_long_link(tree)
    for name in (b"/large-attribute", b"/many-attributes"):
        os.unlink(tree + name)


# Options of mount(8) with which nothing is written.
MOUNTED = {"ext4": "noload", "xfs": "norecovery", "btrfs": "subvol=root"}
EXT4 = [
    *("ext4", "ext4 -b 1024", "ext4 -I 512 -O ^metadata_csum", "ext4 -O ^64bit,^flex_bg,^resize_inode"),
    *("ext4 -O inline_data", "ext4 -O bigalloc"),  # the second filled by e2fsprogs
]
KINDS = [*EXT4, "xfs", "xfs of old kernels", "btrfs", "btrfs zstd single", "btrfs zlib"]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_a_tree_can_hold_is_kept(
    inside: Callable[..., Any], tmp_path: Path, runner: Runner, kind: str
) -> None:
    layout = place(system(kind.split(" of")[0], 500))
    old = OLD if "old" in kind else None
    make = make_tree if kind == "ext4" else without_long_link
    make = without_what_small_blocks_lack if "1024" in kind else make

    expected = write(inside, runner, layout, make, xfs=old)

    placed = layout.root.placed
    image = take_out(tmp_path / "disk", placed, tmp_path / "image")
    check(kind, image)
    found = read_by_kernel(image, tmp_path, MOUNTED[kind.split()[0]])
    assert set(found) == set(expected)
    for path, facts in expected.items():
        assert found[path] == facts, path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "btrfs zstd single"])
def test_many_files_large_files_and_many_links(
    inside: Callable[..., Any], tmp_path: Path, runner: Runner, kind: str
) -> None:
    layout = place(system(kind, 1500))

    expected = write(inside, runner, layout, make_stress_tree)

    image = take_out(tmp_path / "disk", layout.root.placed, tmp_path / "image")
    check(kind, image)
    assert read_by_kernel(image, tmp_path, MOUNTED[kind.split()[0]]) == expected


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_equal_trees_give_equal_bytes(
    inside: Callable[..., Any], tmp_path: Path, runner: Runner, kind: str
) -> None:
    layout = place(system(kind, 400))

    def make(names: list[int]) -> Callable[[bytes], None]:
        def tree(path: bytes) -> None:
            for number in names:
                (Path(os.fsdecode(path)) / f"file-{number}").write_bytes(b"x" * (number * 37 % 9000))
            for number in names:
                os.utime(Path(os.fsdecode(path)) / f"file-{number}", (EPOCH - number, EPOCH - number))
            os.utime(path, (EPOCH, EPOCH))

        return tree

    write(inside, runner, layout, make(list(range(500))), name="one")
    write(inside, runner, layout, make(list(reversed(range(500)))), name="two")

    assert tool("cmp", str(tmp_path / "one"), str(tmp_path / "two")) == b""


FILL = """
set -e
mount -o loop "$1" "$2"
trap 'umount "$2"' EXIT
rm "$2"/capable-too "$2"/size-200000
seq 3000 | (cd "$2"/deep && xargs -n 500 touch)
head -c 600000000 /dev/zero | tr '\\0' x > "$2"/large
mv "$2"/sparse "$2"/sticky/moved
"""


@pytest.mark.root
def test_the_kernel_grows_and_fills_an_ext4_of_ours(
    inside: Callable[..., Any], tmp_path: Path, runner: Runner
) -> None:
    layout = place(system("ext4", 300))
    expected = write(inside, runner, layout, make_tree)
    image = take_out(tmp_path / "disk", layout.root.placed, tmp_path / "image")
    os.truncate(image, 1000 * MIB)
    # While it is mounted, which takes CAP_SYS_RESOURCE, guests of the tests do it.
    tool("resize2fs", "-f", str(image))
    target = tmp_path / "filled"
    target.mkdir()

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FILL, "sh", image, target],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "failed to setup loop" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr

    check("ext4", image)
    found = read_by_kernel(image, tmp_path, "noload")
    assert found[b"large"]["size"] == 600_000_000
    assert {b"deep/1", b"deep/3000", b"sticky/moved"} <= set(found)
    for path in (b"size-4097", b"labelled", b"acl", b"many-attributes", b"crowd"):
        assert found[path] == expected[path], path


@pytest.mark.skipif(not tools.has("grub-fstest"), reason="needs grub-fstest")
def test_grub_reads_an_ext4_of_ours(inside: Callable[..., Any], tmp_path: Path, runner: Runner) -> None:
    layout = place(system("ext4", 300))
    expected = write(inside, runner, layout, make_tree)
    image = take_out(tmp_path / "disk", layout.root.placed, tmp_path / "image")

    names = [b"size-200000", b"size-4097", b"deep/capable-three", b"deep" + b"/d" * 12 + b"/bottom"]
    for name in names:
        read = tool("grub-fstest", os.fsencode(image), "cat", b"/" + name)
        assert hashlib.sha256(read).hexdigest() == expected[name]["content"], name


def test_one_file_more_moves_few_clusters_of_an_ext4(tmp_path: Path, runner: Runner) -> None:
    source = tmp_path / "source"
    for number in range(1500):
        path = source / f"{number // 30:02d}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 37 % 40_000 if number % 100 else 1_200_000))
    layout = place(system("ext4", 400))

    def clusters(name: str) -> set[bytes]:
        disk = tmp_path / name
        write_disk(disk, layout, {"/": source}, runner=runner, work=tmp_path)
        with disk.open("rb") as file:
            found = {hashlib.sha256(piece).digest() for piece in iter(lambda: file.read(CLUSTER), b"")}
        disk.unlink()
        return found

    before = clusters("before")
    (source / "20/file 601 and a half").write_bytes(os.urandom(9000))
    after = clusters("after")

    assert len(before) > 170
    # The superblocks with bitmaps, inodes, folders, and the row in which it lies.
    assert len(after - before) <= 20


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_content_that_does_not_fit_is_an_error_about_the_size(
    tmp_path: Path, runner: Runner, kind: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(1 << 20) * 450)

    with pytest.raises(BuildError, match=f"/: the content does not fit into 400 MiB of {kind}"):
        write_disk(tmp_path / "disk", place(system(kind, 400)), {"/": source}, runner=runner, work=tmp_path)


PART = """
import os, resource, sys
from builder.image.disk.filesystems.disk import write_at
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
try:
    write_at(descriptor, bytes(2_000_000), 0)
except OSError as error:
    print(error.strerror)
"""


def test_what_the_disk_takes_only_a_part_of_is_an_error(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    argv = [sys.executable, "-c", PART, tmp_path / "disk"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)

    assert done.stdout == "File too large\n", done.stderr
    assert (tmp_path / "disk").stat().st_size == 1_500_000


def test_a_link_that_xfs_cannot_hold_is_named(tmp_path: Path, runner: Runner) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").symlink_to("t" * 1024)

    with pytest.raises(BuildError, match=r"/: '.*/source/a': xfs cannot hold a link of 1024 bytes"):
        write_disk(tmp_path / "disk", place(system("xfs", 400)), {"/": source}, runner=runner, work=tmp_path)


def test_subvolumes_lie_in_each_other_and_have_their_own_content(tmp_path: Path, runner: Runner) -> None:
    source = tmp_path / "source"
    for name in ("etc/passwd", "home/user/file", "var/log/messages", "srv/data"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    names = [("root", "/"), ("home", "/home"), ("root/var", "/var"), ("root/.snapshots", None)]
    subvolumes = tuple(Subvolume(path=path, mountpoint=point) for path, point in names)
    layout = place(Partition(mountpoint=None, fstype="btrfs", size=400, subvolumes=subvolumes))
    sources = {"/": source, "/home": source / "home", "/var": source / "var"}

    write_disk(tmp_path / "disk", layout, sources, runner=runner, work=tmp_path)

    image = take_out(tmp_path / "disk", layout.partitions[0], tmp_path / "image")
    check("btrfs", image)
    found = read_by_kernel(image, tmp_path, "subvolid=5")
    files = {path for path, facts in found.items() if "content" in facts}
    assert files == {b"root/etc/passwd", b"root/srv/data", b"root/var/log/messages", b"home/user/file"}
    assert {b"root/home", b"root/.snapshots"} <= set(found)


GROUP = VolumeGroup(
    name="guest_vg",
    members=("pv.1", "pv.2"),
    volumes=(
        LogicalVolume(name="swap", mountpoint=None, fstype="swap", size=64),
        LogicalVolume(name="root", mountpoint="/", fstype="xfs", size=400),
        LogicalVolume(name="srv", mountpoint="/srv", fstype="ext4", size=40),
    ),
)


def test_volumes_on_two_partitions_are_lvms(tmp_path: Path, runner: Runner) -> None:
    layout = place(
        Partition(mountpoint=None, fstype="lvm", size=301, name="pv.1"),
        Partition(mountpoint=None, fstype="lvm", size=302, name="pv.2"),
        groups=(GROUP,),
    )
    source = tmp_path / "source"
    (source / "etc").mkdir(parents=True)
    (source / "etc/large").write_bytes(os.urandom(1 << 20) * 250)

    write_disk(tmp_path / "disk", layout, {"/": source}, runner=runner, work=tmp_path)

    (group,) = layout.groups
    root = group.volumes[1]
    assert len(root.pieces) == 2
    check("xfs", take_out(tmp_path / "disk", root, tmp_path / "root"))
    tool("e2fsck", "-fn", str(take_out(tmp_path / "disk", group.volumes[2], tmp_path / "srv")))
    if shutil.which("pvck") is None:
        pytest.skip("needs lvm2 for the rest")
    for number, member in enumerate(group.members):
        partition = tmp_path / f"pv{number}"
        take_out(tmp_path / "disk", layout.partitions[number], partition)
        said = tool("pvck", "--dump", "headers", str(partition)).decode()
        assert "CHECK: label_header.crc expected" not in said
        assert f"pv_header.pv_uuid {member.id}" in said
        assert "mda_header_1.checksum" in said
        text = tool("pvck", "--dump", "metadata", str(partition)).decode()
        assert "guest_vg" in text


@pytest.mark.root
def test_lvm_finds_the_volumes_where_they_are(tmp_path: Path, runner: Runner) -> None:
    if os.geteuid() != 0 or shutil.which("lvs") is None or not Path("/dev/loop-control").exists():
        pytest.skip("needs root, loop devices and lvm2")
    layout = place(
        Partition(mountpoint=None, fstype="lvm", size=600, name="pv.1"),
        groups=(
            VolumeGroup(name="guest_vg", members=("pv.1",), volumes=GROUP.volumes),
        ),
    )  # fmt: skip
    write_disk(tmp_path / "disk", layout, {}, runner=runner, work=tmp_path)
    image = take_out(tmp_path / "disk", layout.partitions[0], tmp_path / "pv")
    loop = tool("losetup", "--find", "--show", "--read-only", str(image)).decode().strip()
    try:
        # Nothing of this host is looked at, and nothing is written to its files.
        config = (
            f'devices {{ filter=["a|^{loop}$|","r|.*|"] use_devicesfile=0 }} '
            "backup { backup=0 archive=0 } global { locking_type=0 use_lvmpolld=0 }"
        )
        said = tool(
            "lvs", "--config", config, "--noheadings", "-o", "lv_name,lv_size,devices", "--units", "m"
        )
        rows = [line.split() for line in said.decode().splitlines()]
    finally:
        tool("losetup", "--detach", loop)
    assert sorted(rows) == [
        ["root", "400.00m", f"{loop}(16)"],
        ["srv", "40.00m", f"{loop}(116)"],
        ["swap", "64.00m", f"{loop}(0)"],
    ]


FEATURES = {
    "today": ({}, None, {"bigtime=1", "inobtcount=1", "reflink=1"}),
    "EL 8": (OLD, None, {"bigtime=0", "inobtcount=0", "reflink=1"}),
    "as the kickstart says": ({}, "-m bigtime=0 -i size=1024", {"bigtime=0", "isize=1024"}),
}


@pytest.mark.parametrize(("target", "options", "expected"), FEATURES.values(), ids=FEATURES)
def test_features_of_xfs_are_the_targets_and_the_kickstarts(
    tmp_path: Path, runner: Runner, target: dict[str, int], options: str | None, expected: set[str]
) -> None:
    layout = place(Partition(mountpoint="/", fstype="xfs", size=400, mkfsoptions=options))

    write_disk(tmp_path / "disk", layout, {}, runner=runner, work=tmp_path, xfs=target)

    image = take_out(tmp_path / "disk", layout.root.placed, tmp_path / "image")
    check("xfs", image)
    said = tool("xfs_db", "-r", "-f", "-c", "info", str(image)).decode()
    assert expected <= {word.strip(",") for word in said.split()}


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_capacity_is_not_more_than_fits(tmp_path: Path, runner: Runner, kind: str) -> None:
    from builder.image.disk.filesystems import writer_for

    partition = system(kind, 400)
    writer = writer_for(partition.fstype)
    assert writer is not None
    source = tmp_path / "source"
    source.mkdir()
    room = writer.capacity(400 * MIB).bytes
    with (source / "file").open("wb") as file:
        file.write(os.urandom(1 << 20) * (room // MIB))

    write_disk(tmp_path / "disk", place(partition), {"/": source}, runner=runner, work=tmp_path)

    check(kind, take_out(tmp_path / "disk", place(partition).root.placed, tmp_path / "image"))

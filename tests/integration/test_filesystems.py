# SPDX-License-Identifier: MIT
"""File systems written into a disk file, read back by other programs than those that wrote them.

The trees are made inside the builder's own namespaces, on a tmpfs, as in a build.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from builder.errors import BuildError, InputError
from builder.image.disk.filesystems import try_mkfs_options, writer_for
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.source import TreeEntry
from builder.image.disk.filesystems.usage import measure
from builder.image.disk.placement import MIB, PlacedContent, Usage
from builder.image.disk.table import make_file, write_table
from builder.image.isolation.mounts import mount
from builder.kickstart.plan import Partition
from builder.runner import Runner
from tests.support.disks import difference, place, tool, write_disk
from tests.support.trees import EPOCH, HUGE_PIECE_AT, make_tree, survey

T = TypeVar("T")


# -- ext4: whatever a package or a script may leave ------------------------------------------


def _time(found: re.Match[str]) -> int:
    """Return the nanoseconds of a time as debugfs shows it: seconds, then what does not fit there."""
    seconds, more = int(found[1], 16), int(found[2], 16)
    seconds -= (seconds & 0x80000000) << 1
    return (seconds + ((more & 3) << 32)) * 10**9 + (more >> 2)


class Debugfs:
    """Reads an ext file system inside a disk file by debugfs(8)."""

    def __init__(self, disk: Path, start: int, work: Path) -> None:
        self.device = f"{disk}?offset={start}"
        self.work = work

    def ask(self, request: str) -> bytes:
        return tool("debugfs", "-R", request, self.device)

    def walk(self) -> dict[bytes, int]:
        """Return the inode of every path."""
        found = {b"": 2}
        pending = [b""]
        while pending:
            folder = pending.pop()
            # /inode/mode/uid/gid/name/size/: a name holds anything but a slash.
            listing = self.ask(f"ls -p <{found[folder]}>")
            for number, mode, name in re.findall(rb"/(\d+)/(\d{6})/\d+/\d+/([^/]+)/\d*/\n", listing):
                if name in (b".", b"..") or (folder == b"" and name == b"lost+found"):
                    continue
                path = folder + b"/" + name if folder else name
                found[path] = int(number)
                if stat.S_ISDIR(int(mode, 8)):
                    pending.append(path)
        return found

    def describe(self, inode: int) -> dict[str, object]:
        text = self.ask(f"stat <{inode}>").decode(errors="surrogateescape")
        kind = re.search(r"Type: (\w+)", text)[1]
        kinds = {
            "regular": stat.S_IFREG,
            "directory": stat.S_IFDIR,
            "symlink": stat.S_IFLNK,
            "FIFO": stat.S_IFIFO,
            "socket": stat.S_IFSOCK,
        }
        owner = re.search(r"User:\s+(\d+)\s+Group:\s+(\d+)", text)
        is_folder = kind == "directory"
        facts: dict[str, object] = {
            "mode": kinds[kind] | int(re.search(r"Mode:\s+(\d+)", text)[1], 8),
            "owner": (int(owner[1]), int(owner[2])),
            "mtime": _time(re.search(r"mtime: 0x([0-9a-f]+):([0-9a-f]+)", text)),
            "links": 0 if is_folder else int(re.search(r"Links: (\d+)", text)[1]),
            "size": 0 if is_folder else int(re.search(r"Size: (\d+)", text)[1]),
        }
        assert int(re.search(r"ctime: 0x([0-9a-f]+)", text)[1], 16) == EPOCH
        if kind == "regular" and facts["size"] < MIB:  # type: ignore[operator]
            facts["content"] = hashlib.sha256(self.ask(f"cat <{inode}>")).hexdigest()
        if kind == "symlink":
            fast = re.search(r'Fast link dest: "(.*)"', text)
            facts["content"] = os.fsencode(fast[1]) if fast else self.ask(f"cat <{inode}>").rstrip(b"\0")
        facts["attributes"] = self.attributes(inode)
        return facts

    def attributes(self, inode: int) -> dict[str, bytes]:
        listed = self.ask(f"ea_list <{inode}>").decode(errors="surrogateescape")
        found: dict[str, bytes] = {}
        for name in re.findall(r"^  ([\w.-]+) \(\d+\)", listed, re.MULTILINE):
            value = self.work / "attribute"
            value.unlink(missing_ok=True)
            self.ask(f"ea_get -f {value} <{inode}> {name}")
            found[name] = value.read_bytes()
        return found


def test_ext4_keeps_everything_a_tree_can_hold(
    inside: Callable[..., T], tmp_path: Path, runner: Runner
) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype="ext4", size=200, label="root"))
    disk, root = tmp_path / "disk", placed_layout.root.placed

    def build() -> tuple[dict[bytes, dict[str, object]], Usage]:
        mount("tmpfs", "/tree", "tmpfs", 0, "mode=755,size=400m")
        make_tree(b"/tree")
        expected = survey(b"/tree")
        write_disk(Path("/work/disk"), placed_layout, {"/": Path("/tree")}, runner=runner, work=Path("/work"))
        return expected, measure(Path("/tree"))

    expected, usage = inside(build)

    tool("e2fsck", "-fn", f"{disk}?offset={root.start}")
    image = Debugfs(disk, root.start, tmp_path)
    inodes = image.walk()
    assert set(inodes) == set(expected)
    crowd = [path for path in inodes if path.startswith(b"crowd/")]
    for path, number in inodes.items():
        if path in crowd[1:]:
            continue
        reported = image.describe(number)
        if "system.posix_acl_access" in expected[path]["attributes"]:  # type: ignore[operator]
            # debugfs shows the form on the disk; its entries are checked below.
            assert "system.posix_acl_access" in reported["attributes"]  # type: ignore[operator]
            for side in (reported, expected[path]):
                side["attributes"].pop("system.posix_acl_access")  # type: ignore[attr-defined]
        if "system.posix_acl_default" in expected[path]["attributes"]:  # type: ignore[operator]
            assert "system.posix_acl_default" in reported["attributes"]  # type: ignore[operator]
            for side in (reported, expected[path]):
                side["attributes"].pop("system.posix_acl_default")  # type: ignore[attr-defined]
        assert reported == expected[path], path
    assert len({inodes[name] for name in (b"capable", b"capable-too", b"deep/capable-three")}) == 1
    with disk.open("rb") as file:
        for at, data in ((0, b"begin\0\0\0"), (HUGE_PIECE_AT, b"piece\0\0\0")):
            block = int(image.ask(f"bmap <{inodes[b'sparse']}> {at // 4096}"))
            file.seek(root.start + block * 4096)
            assert file.read(8) == data
    blocks = int(re.search(rb"Blockcount: (\d+)", image.ask(f"stat <{inodes[b'sparse']}>"))[1])
    assert blocks <= 64, "the holes became blocks"
    used = used_bytes(disk, root)
    assert used <= usage.bytes <= used * 1.05 + 256 * 1024
    assert usage.inodes >= len(inodes) - 2


def used_bytes(disk: Path, placed: PlacedContent) -> int:
    """Return what content takes: the blocks that an empty file system of this size has more."""
    free = superblock(f"{disk}?offset={placed.start}")["Free blocks"]
    return writer_for("ext4").capacity(placed.size).bytes - int(free) * 4096  # type: ignore[union-attr]


def superblock(device: str) -> dict[str, str]:
    # dumpe2fs of e2fsprogs 1.47.2 and later takes the offset for a TAG=VALUE of blkid.
    text = tool("debugfs", "-R", "show_super_stats -h", device).decode()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def test_equal_trees_give_equal_bytes_at_another_time(
    inside: Callable[..., T], tmp_path: Path, runner: Runner
) -> None:
    placed_layout = place(
        Partition(mountpoint="/boot/efi", fstype="efi", size=32),
        Partition(mountpoint=None, fstype="swap", size=8),
        Partition(mountpoint="/", fstype="ext4", size=64),
    )

    def build(name: str) -> None:
        folders = {mountpoint: Path(f"/work/{name}{mountpoint}/tree") for mountpoint in ("/", "/boot/efi")}
        for folder in folders.values():
            (folder / "EFI/BOOT").mkdir(parents=True)
            for number in range(5):
                (folder / f"EFI/BOOT/file {number}").write_bytes(b"x" * number * 1000)
        disk = Path(f"/work/{name}.raw")
        write_disk(disk, placed_layout, folders, runner=runner, work=Path("/work"))

    inside(lambda: build("one"))
    time.sleep(2.1)  # FAT counts in two seconds
    inside(lambda: build("two"))

    assert difference(tmp_path / "one.raw", tmp_path / "two.raw") == ""


LARGE = pytest.mark.slow  # ext2 has no lazy tables: gigabytes of them are written


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (8, None),
        (64, None),
        (200, None),
        (511, None),
        (512, None),
        (1000, None),
        (2048, None),
        pytest.param(4999, None, marks=LARGE),
        pytest.param(20480, None, marks=LARGE),
        pytest.param(102400, None, marks=LARGE),
        (300, "-i 4096"),
        (300, "-N 40000"),
        (300, "-b 1024"),
        (300, "-I 512"),
        (300, "-O ^has_journal"),
        (300, "-O ^resize_inode,^64bit"),
        (300, "-J size=16 -m 0"),
    ],
)
@pytest.mark.parametrize("fstype", ["ext4", "ext2"])
def test_capacity_is_what_mke2fs_leaves_free(
    tmp_path: Path, runner: Runner, fstype: str, size: int, options: str | None
) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype=fstype, size=size, mkfsoptions=options))
    disk, root = tmp_path / "disk", placed_layout.root.placed
    write_disk(disk, placed_layout, {}, runner=runner, work=tmp_path)

    reported = superblock(f"{disk}?offset={root.start}")
    block = int(reported["Block size"])
    # The root folder and lost+found count as content.
    free = int(reported["Free blocks"]) * block + block + 16 * 1024
    capacity = writer_for(fstype).capacity(root.size, options)  # type: ignore[union-attr]
    assert capacity.inodes == int(reported["Free inodes"]) + 1
    assert capacity.bytes <= free
    assert capacity.bytes >= free - 64 * 1024 - (free // 500 if fstype == "ext2" else 0)


def test_ext4_has_the_features_that_old_kernels_and_grub_read(tmp_path: Path, runner: Runner) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype="ext4", size=300, label="root"))
    disk, root = tmp_path / "disk", placed_layout.root.placed
    write_disk(disk, placed_layout, {}, runner=runner, work=tmp_path)

    reported = superblock(f"{disk}?offset={root.start}")
    assert set(reported["Filesystem features"].split()) == {
        *("has_journal", "ext_attr", "resize_inode", "dir_index", "filetype", "extent", "64bit", "flex_bg"),
        *("sparse_super", "large_file", "huge_file", "dir_nlink", "extra_isize", "metadata_csum"),
    }
    assert reported["Filesystem UUID"] == root.uuid
    assert reported["Directory Hash Seed"] == root.hash_seed
    assert reported["Filesystem volume name"] == "root"
    assert reported["Filesystem state"] == "clean"


def test_ext4_grows_to_twenty_times_its_size(tmp_path: Path, runner: Runner) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype="ext4", size=100))
    disk, root = tmp_path / "disk", placed_layout.root.placed
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("kept")
    write_disk(disk, placed_layout, {"/": source}, runner=runner, work=tmp_path)
    partition = tmp_path / "partition"
    with disk.open("rb") as file, partition.open("wb") as out:
        file.seek(root.start)
        out.write(file.read(root.size))
        out.truncate(20 * root.size)

    tool("resize2fs", "-f", str(partition))

    tool("e2fsck", "-fn", str(partition))
    assert int(superblock(str(partition))["Block count"]) == 20 * root.size // 4096
    assert tool("debugfs", "-R", "cat /file", str(partition)) == b"kept"


def test_free_space_is_not_allocated(tmp_path: Path, runner: Runner) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype="ext4", size=8000))
    disk = tmp_path / "disk"
    write_disk(disk, placed_layout, {}, runner=runner, work=tmp_path)

    assert disk.stat().st_blocks * 512 < 24 * MIB


def test_content_that_mke2fs_cannot_fit_is_an_error_about_the_size(tmp_path: Path, runner: Runner) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype="ext4", size=16))
    disk, source = tmp_path / "disk", tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(20 * MIB))

    with pytest.raises(BuildError, match="/: the content does not fit into 16 MiB"):
        write_disk(disk, placed_layout, {"/": source}, runner=runner, work=tmp_path)


@pytest.mark.parametrize(
    ("fstype", "options", "said"),
    [
        ("ext4", "-Y", "invalid option -- 'Y'"),
        ("ext4", "-O nonsense", "nonsense"),
        ("ext4", "-I 8192", "inode size"),
        ("vfat", "-Q", "invalid option"),
    ],
)
def test_wrong_mkfsoptions_are_found_before_anything_is_built(
    tmp_path: Path, runner: Runner, fstype: str, options: str, said: str
) -> None:
    placed_layout = place(
        Partition(mountpoint="/data", fstype=fstype, size=64, mkfsoptions=options),
        Partition(mountpoint="/", fstype="ext4", size=64),
    )

    with pytest.raises(InputError) as caught:
        try_mkfs_options(
            DiskFile(file=tmp_path / "disk", runner=runner, epoch=0, work=tmp_path), placed_layout
        )

    (problem,) = caught.value.problems
    assert said in problem.message
    assert "/data" in problem.message
    assert options in (problem.hint or "")


def test_good_mkfsoptions_pass_the_rehearsal(tmp_path: Path, runner: Runner) -> None:
    placed_layout = place(Partition(mountpoint="/", fstype="ext4", size=64, mkfsoptions="-m 1 -O ^64bit"))

    try_mkfs_options(DiskFile(file=tmp_path / "disk", runner=runner, epoch=0, work=tmp_path), placed_layout)

    assert not (tmp_path / "rehearsal").exists()


# -- vfat ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "bits", "serial_at"),
    [(4, 12, 39), (32, 16, 39), pytest.param(520, 32, 67, marks=pytest.mark.slow)],
)
def test_vfat_keeps_names_bytes_and_times(
    tmp_path: Path, runner: Runner, size: int, bits: int, serial_at: int
) -> None:
    placed_layout = place(
        Partition(mountpoint="/boot/efi", fstype="efi", size=size, label="esp"),
        Partition(mountpoint="/", fstype="ext4", size=8),
    )
    mount = placed_layout.esp
    assert mount is not None
    esp = mount.placed
    disk, source = tmp_path / "disk", tmp_path / "source"
    contents = {
        "EFI/BOOT/BOOTX64.EFI": os.urandom(300_000),
        "EFI/fedora/a long name with blanks.cfg": b"cfg",
        "EFI/fedora/[x] -y.txt": b"brackets",
        "-dash.txt": b"",
        "EFI/[folder]/[sub] folder/" + "l" * 200: b"long",
    }
    for name, data in contents.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    if os.geteuid() != 0:
        pytest.skip("files of another owner than root are refused; a build runs as root of its namespace")
    os.utime(source / "-dash.txt", (EPOCH - 100, EPOCH - 100))
    write_disk(disk, placed_layout, {"/boot/efi": source}, runner=runner, work=tmp_path)

    with disk.open("rb") as file:
        file.seek(esp.start + serial_at)
        serial = struct.unpack("<I", file.read(4))[0]
    assert f"{serial >> 16:04X}-{serial & 0xFFFF:04X}" == esp.uuid
    partition = tmp_path / "partition"
    where = f"skip={esp.start // MIB}", f"count={esp.size // MIB}"
    tool("dd", f"if={disk}", f"of={partition}", "bs=1M", "conv=sparse", *where)
    tool("fsck.vfat", "-n", str(partition))
    assert f'VERSION="FAT{bits}"'.encode() in tool("blkid", "-p", str(partition))
    back = tmp_path / "back"
    back.mkdir()
    tool("mcopy", "-s", "-m", "-i", str(partition), "::/", str(back))
    found = {str(path.relative_to(back)): path.read_bytes() for path in back.rglob("*") if path.is_file()}
    assert found == contents
    assert int((back / "-dash.txt").stat().st_mtime) == EPOCH - 100


@pytest.mark.root
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda folder: (folder / "a").symlink_to("b"), "links", id="symlink"),
        pytest.param(lambda folder: os.mkfifo(folder / "a"), "special files", id="fifo"),
        pytest.param(lambda folder: (folder / "a:b").touch(), "such a name", id="colon"),
        pytest.param(lambda folder: (folder / "a.").touch(), "such a name", id="dot at the end"),
        pytest.param(lambda folder: (folder / "a\nb").touch(), "such a name", id="newline"),
        pytest.param(
            lambda folder: open(os.fsencode(folder) + b"/\xe9", "wb").close(), "not ASCII", id="bytes"
        ),
        pytest.param(
            lambda folder: [(folder / "A").touch(), (folder / "a").touch()],
            "both",
            id="names that differ in case",
        ),
        pytest.param(
            lambda folder: [(folder / "a").touch(), os.chown(folder / "a", 1000, 1000)],
            "owner 1000",
            id="owner",
        ),
        pytest.param(
            lambda folder: [(folder / "a").touch(), (folder / "a").chmod(0o4755)], "set-user-id", id="setuid"
        ),
    ],
)
def test_vfat_refuses_what_it_would_lose(
    tmp_path: Path, runner: Runner, make: Callable[[Path], object], reason: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: files of root, and of others")
    placed_layout = place(
        Partition(mountpoint="/boot/efi", fstype="efi", size=32),
        Partition(mountpoint="/", fstype="ext4", size=8),
    )
    disk, source = tmp_path / "disk", tmp_path / "source"
    (source / "EFI").mkdir(parents=True)
    make(source / "EFI")

    with pytest.raises(BuildError, match=reason) as caught:
        write_disk(disk, placed_layout, {"/boot/efi": source}, runner=runner, work=tmp_path)

    assert "/boot/efi" in caught.value.message
    assert "\n" not in caught.value.message


# -- swap and the table ----------------------------------------------------------------------


def test_swap_is_what_mkswap_writes(tmp_path: Path, runner: Runner) -> None:
    placed_layout = place(
        Partition(mountpoint=None, fstype="swap", size=64, label="swap"),
        Partition(mountpoint="/", fstype="ext4", size=8),
    )
    disk, placed = tmp_path / "disk", placed_layout.of_type("swap")
    assert placed is not None
    write_disk(disk, placed_layout, {}, runner=runner, work=tmp_path)

    reference = tmp_path / "reference"
    reference.touch(mode=0o600)
    os.truncate(reference, placed.size)
    tool("mkswap", "-U", placed.uuid or "", "-L", "swap", str(reference))
    with disk.open("rb") as file:
        file.seek(placed.start)
        assert file.read(placed.size) == reference.read_bytes()


@pytest.mark.parametrize("label", ["gpt", "msdos"])
def test_the_table_is_what_the_layout_says(tmp_path: Path, runner: Runner, label: str) -> None:
    placed_layout = place(
        Partition(mountpoint="/", fstype="ext4", size=30),
        Partition(mountpoint="/boot", fstype="ext4", size=20),
        Partition(mountpoint=None, fstype="swap", size=8),
        label=label,
    )
    disk = tmp_path / "disk"

    make_file(disk, placed_layout)
    write_table(disk, placed_layout, runner=runner)

    import json

    reported = json.loads(tool("sfdisk", "-J", str(disk)))["partitiontable"]
    assert reported["label"] == {"gpt": "gpt", "msdos": "dos"}[label]
    assert reported["id"].lower() == placed_layout.identifier
    assert [(row["start"] * 512, row["size"] * 512) for row in reported["partitions"]] == [
        (one.start, one.size) for one in placed_layout.partitions
    ]
    assert [row["type"].upper() for row in reported["partitions"]] == [
        one.type.upper() for one in placed_layout.partitions
    ]
    if label == "gpt":
        assert [row["uuid"].lower() for row in reported["partitions"]] == [
            one.partuuid for one in placed_layout.partitions
        ]
    assert disk.stat().st_size == placed_layout.size
    assert disk.stat().st_size % MIB == 0
    assert b"No errors" in tool("sfdisk", "--verify", str(disk))


def test_only_what_has_no_attribute_at_all_is_called_bare(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("none", "empty", "folder/large"):
        (tmp_path / name).touch()
    os.setxattr(tmp_path / "empty", "user.empty", b"")
    os.setxattr(tmp_path / "folder/large", "user.large", b"L" * 2000)
    known: dict[bytes, list[TreeEntry]] = {}

    measure(tmp_path, known=known)

    found = {path: [(one.name, one.is_bare) for one in entries] for path, entries in known.items()}
    top = os.fsencode(tmp_path)
    assert found == {
        top: [(b"empty", False), (b"folder", True), (b"none", True)],
        top + b"/folder": [(b"large", False)],
    }

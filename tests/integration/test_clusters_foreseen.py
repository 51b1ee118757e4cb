# SPDX-License-Identifier: MIT
"""Clusters that are digested and compressed before they are on the disk are those that come to be there.

Bytes do not depend on it (test_image_cache.py): a wrong guess costs time alone. So the guesses count here.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.image.cache.ahead import Guess, Guessed, Malformed, members
from builder.image.cache.clusters import Clusters
from builder.image.cache.trees import words_to_pack
from builder.image.disk import borrowed, filesystems, qcow2, table
from builder.image.disk.borrowed import Foreseen
from builder.image.disk.filesystems.disk import DiskFile, Piece
from builder.image.disk.filesystems.ext4.rows import CLUSTER
from builder.image.disk.filesystems.source import TreeEntry
from builder.image.disk.filesystems.usage import measure
from builder.image.tree import untouched
from builder.image.tree.untouched import Watch
from builder.kickstart import plan
from builder.kickstart.plan import Partition
from builder.runner import Runner
from tests.support.disks import difference, place, write_disk
from tests.support.trees import EPOCH

ROOT = Partition(mountpoint="/", fstype="ext4", size=500, label="root")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree as of packages: folders in folders, small and large files, names of one file, links, holes."""
    top, content = tmp_path / "source", random.Random(5)
    for number in range(1500):
        folder = f"{number // 30:02d}" + "-more" * (number % 7 == 0)  # "-" is before "/"
        path = top / folder / f"{number % 5}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = number * 37 % 40_000 if number % 100 else 1_200_000
        path.write_text(content.randbytes(size // 2).hex())
    # The first name in order is not the one that is found first, whatever the order of a folder is.
    for name in ("00/0/also", "zz", ".first"):
        os.link(top / "01/1/file 31", top / name)
    (top / "02long").symlink_to("x" * 100)
    (top / "03 short").symlink_to("x")
    with (top / "holes").open("wb") as file:
        file.write(b"begin")
        file.seek(300_000)
        file.write(b"end")
    (top / ("n" * 150)).mkdir()
    (top / ("n" * 150) / ("m" * 120)).write_bytes(b"a name that does not fit into a header")
    return top


@pytest.fixture
def disk(source: Path, tmp_path: Path, runner: Runner) -> Path:
    """A disk with the tree, written plainly."""
    raw = tmp_path / "plain.raw"
    write_disk(raw, place(ROOT), {"/": source}, runner=runner, work=tmp_path)
    return raw


def numbered(disk: Path) -> list[tuple[int, bytes]]:
    """The number and digest of each cluster of a disk that holds anything."""
    with disk.open("rb") as file:
        pieces = [
            (number, os.pread(file.fileno(), CLUSTER, number * CLUSTER))
            for number in qcow2.allocated(file, CLUSTER)
        ]
    return [(number, hashlib.sha256(piece).digest()) for number, piece in pieces if piece != bytes(CLUSTER)]


def pack(source: Path, archive: Path) -> Path:
    """Pack a tree as a build does."""
    archive.touch()
    subprocess.run(words_to_pack(archive, source), check=True)
    with archive.open("ab") as file:
        file.write(b'{"warnings": []}')
    return archive


def test_clusters_of_an_archive_are_those_of_the_disk(source: Path, disk: Path, tmp_path: Path) -> None:
    archive = pack(source, tmp_path / "archive")
    guess = Guess.of(plan.Disk(partitions=(ROOT,)))
    assert guess

    guessed = {hashlib.sha256(one.data).digest() for one in guess.clusters(archive)}

    # All but what else is in a cluster: superblocks, inodes, folders, the row that has the file with holes.
    there = {name for _, name in numbered(disk)}
    assert len(there) > 170
    assert len(there & guessed) > 0.9 * len(there)
    assert len(guessed - there) < 10
    # What lies on another file system is not looked at.
    with archive.open("rb") as file:
        some = {one.path.split(b"/")[1] for one in members(file)}
    assert {b"00", b"01", b"02long", b".first", b"n" * 150} <= some
    less = list(Guess(elsewhere=(b"/00/", b"/01/")).clusters(archive))
    assert 0 < len(less) < len(guessed)


def test_a_disk_that_we_do_not_write_is_not_guessed() -> None:
    assert Guess.of(plan.Disk(partitions=(Partition(mountpoint="/", fstype="xfs", size=500),))) is None


def test_what_is_no_archive_is_an_error_and_no_more(source: Path, tmp_path: Path) -> None:
    whole = pack(source, tmp_path / "archive").read_bytes()[:200_000]
    luck = random.Random(1)
    broken = tmp_path / "broken"
    huge = bytearray(whole)
    huge[124:136] = b"\x80" + bytes(3) + struct.pack(">Q", 1 << 62)
    samples = [b"", b"x" * 1000, whole, bytes(huge)]
    for _ in range(300):
        one = bytearray(whole[: luck.randrange(len(whole))])
        for _ in range(luck.randrange(20)):
            if one:
                one[luck.randrange(min(len(one), 3000))] = luck.randrange(256)
        samples.append(bytes(one))
    errors = 0
    for sample in samples:
        broken.write_bytes(sample)
        try:
            found = list(Guess().clusters(broken))
        except Malformed:
            errors += 1
        else:
            assert sum(len(one.data) for one in found) < 100 * len(whole)
    assert errors > 250


def test_guessed_clusters_are_promised_and_copied(
    source: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plain, image = tmp_path / "plain.qcow2", tmp_path / "image.qcow2"
    qcow2.convert(disk, plain)
    compressed: list[bytes] = []

    def compress(data: bytes) -> bytes:
        compressed.append(data)
        return qcow2.ZSTD.compress(data)

    format = qcow2.Format(
        cluster_bits=qcow2.ZSTD.cluster_bits, compression=1, compress=compress, version=qcow2.ZSTD.version
    )
    clusters = Clusters(image, format)
    clusters.intend_to_guess()
    ended: list[bool] = []

    def guess() -> Iterator[Guessed]:
        yield from Guess().clusters(pack(source, tmp_path / "archive"))
        ended.append(True)

    clusters.guess(guess(), tmp_path)
    while not ended:
        time.sleep(0.01)
    told = Clusters.read(clusters.tell("", b""))
    assert told == clusters.promised
    ahead = len(compressed)
    clusters.take("", Clusters.pack([(number, name) for number, name in numbered(disk) if name in told]))
    qcow2.convert(disk, image, format=format, compressor=clusters)

    assert difference(image, plain) == ""
    assert len(clusters.given) > 150
    assert len(compressed) - ahead == len(set(numbered(disk))) - len(clusters.given)
    clusters.keep()
    assert list(tmp_path.glob(".*")) == []


def test_guessing_ends_when_it_is_asked_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clusters = Clusters(tmp_path / "image.qcow2", qcow2.ZSTD)

    def endless() -> Iterator[Guessed]:
        number = 0
        while True:
            number += 1
            yield Guessed(b"", bytearray(struct.pack(">Q", number) + bytes(CLUSTER - 8)))

    clusters.guess(endless(), tmp_path)
    while not clusters._guesses._found:
        time.sleep(0.01)
    first = clusters.promised

    assert first
    assert clusters.promised == first
    # Nothing begins after the end.
    clusters.guess(endless(), tmp_path)
    assert clusters.promised == first


def lay_out(
    source: Path, raw: Path, runner: Runner, folders: dict[bytes, list[TreeEntry]] | None = None
) -> list[Piece]:
    """Write the disk of a tree, but for what its files hold; return where that belongs."""
    layout, pieces = place(ROOT), list[Piece]()
    table.make_file(raw, layout)
    table.write_table(raw, layout, runner=runner)
    file = DiskFile(
        file=raw, runner=runner, epoch=EPOCH, work=raw.parent, borrowed=pieces, folders=folders or {}
    )
    filesystems.write_all(file, layout, {"/": source})
    return pieces


def foresee(source: Path, archive: Path) -> dict[bytes, bytes]:
    """What is foreseen of the clusters of a tree."""
    found = Guess().clusters(pack(source, archive))
    return {one.key: hashlib.sha256(one.data).digest() for one in found if one.key}


def paths(source: Path) -> set[bytes]:
    """The paths of a tree."""
    return {os.fsencode(path) for path in source.rglob("*")}


@pytest.mark.parametrize("nobody_knows", [False, True])
def test_clusters_that_are_foreseen_are_those_of_the_disk_and_are_not_read(
    source: Path, disk: Path, tmp_path: Path, runner: Runner, nobody_knows: bool
) -> None:
    raw = tmp_path / "disk.raw"
    names = foresee(source, tmp_path / "archive")
    pieces = lay_out(source, raw, runner)
    foreseen = Foreseen(names=names, untouched=paths(source), top=os.fsencode(source))
    if not nobody_knows:
        for path in source.rglob("file *"):
            path.write_bytes(bytes(path.stat().st_size))
    known = set() if nobody_knows else set(names.values())
    given = borrowed.settle(raw, pieces, CLUSTER, known, foreseen)

    there = dict(numbered(disk))
    assert {number: there[number] for number, _ in given} == dict(given)
    if nobody_knows:
        assert given == []
        assert difference(raw, disk) == ""
    else:
        assert len(given) > 0.9 * len(there)
        with raw.open("rb") as left:
            for number, _ in given:
                left.seek(number * CLUSTER)
                assert not any(left.read(CLUSTER))


def test_a_file_that_was_touched_is_read(source: Path, tmp_path: Path, runner: Runner) -> None:
    raw, plain = tmp_path / "disk.raw", tmp_path / "other.raw"
    names = foresee(source, tmp_path / "archive")
    small, large = source / "01/1/file 31", source / "03/0/file 100"
    for path in (small, large):
        info = path.stat()
        path.write_bytes(b"x" * info.st_size)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    write_disk(plain, place(ROOT), {"/": source}, runner=runner, work=tmp_path)
    pieces = lay_out(source, raw, runner)
    # The first name of a file with several stands for it.
    untouched = paths(source) - {os.fsencode(path) for path in (small, large, source / ".first")}
    given = borrowed.settle(
        raw,
        pieces,
        CLUSTER,
        set(names.values()),
        Foreseen(names=names, untouched=untouched, top=os.fsencode(source)),
    )

    there = dict(numbered(plain))
    assert {number: there[number] for number, _ in given} == dict(given)
    assert 0.8 * len(there) < len(given) < len(there) - 5


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty image, and a cache that is empty as well."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "image.qcow2"
    path.touch()
    return path


def test_what_is_foreseen_is_kept_with_the_tree(source: Path, tmp_path: Path, image: Path) -> None:
    names = foresee(source, tmp_path / "archive")
    clusters = Clusters(image, qcow2.ZSTD)
    assert not clusters.recall("the tree")
    # Whatever was compressed until then: the rest is digested when it is asked for.
    clusters.guess(Guess().clusters(tmp_path / "archive"), tmp_path)
    assert Clusters.read_foreseen(clusters.foresee("", b"")) == names
    clusters.keep()

    again = Clusters(image, qcow2.ZSTD)
    assert not again.recall("another tree")
    assert again.recall("the tree")
    assert Clusters.read_foreseen(again.foresee("", b"")) == names
    again.forget_foreseen()
    assert Clusters.read_foreseen(again.foresee("", b"")) == {}


def test_what_a_harmed_tree_lets_foresee_is_forgotten(source: Path, tmp_path: Path, image: Path) -> None:
    clusters = Clusters(image, qcow2.ZSTD)
    clusters.recall("the tree")
    clusters.guess(Guess().clusters(pack(source, tmp_path / "archive")), tmp_path, compress=False)
    clusters.end_guessing()
    clusters.forget_foreseen()

    assert Clusters.read_foreseen(clusters.foresee("", b"")) == {}
    clusters.keep()
    assert not Clusters(image, qcow2.ZSTD).recall("the tree")


@pytest.fixture
def watched(source: Path) -> tuple[Watch, Callable[[], set[str]]]:
    """A watch of the tree, and a call for what nobody has touched since."""

    def now() -> int:
        time.sleep(0.02)  # The kernel's clock for inodes ticks every 10 ms at the least.
        marker = source / "marker"
        marker.touch()
        moment = marker.stat().st_ctime_ns
        marker.unlink()
        return moment

    watch = Watch(source, now)

    def untouched() -> set[str]:
        folders: dict[bytes, list[TreeEntry]] = {}
        measure(source, known=folders)
        found = watch.untouched(folders, os.fsencode(source))
        return {os.path.relpath(os.fsdecode(path), source) for path in found}

    return watch, untouched


def write_in_memory(path: Path) -> None:
    """Write into a file that is in memory (mmap(2)), so that its times stay."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:1] = b"!"


def write_by_descriptor(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    other = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    os.pwrite(other, b"!", 0)
    os.close(descriptor)
    os.close(other)


def truncate(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


def replace(path: Path) -> None:
    os.rename(path.with_name("file 45"), path)


def write_by_another_name(path: Path) -> None:
    (path.parent / "new").mkdir()
    os.link(path, path.parent / "new/name")
    write_in_memory(path.parent / "new/name")


def swap_folders(path: Path) -> None:
    above = path.parents[1]
    os.rename(above, above.with_name("aside"))
    os.rename(above.with_name("02"), above)
    os.rename(above.with_name("aside"), above.with_name("02"))


@pytest.mark.parametrize(
    "touch",
    [write_in_memory, write_by_descriptor, truncate, replace, write_by_another_name, Path.read_bytes],
)
def test_a_file_that_anybody_has_opened_or_changed_is_touched(
    source: Path, watched: tuple[Watch, Callable[[], set[str]]], touch: Callable[[Path], object]
) -> None:
    untouched = watched[1]
    before = untouched()
    touch(source / "01/0/file 40")
    after = untouched()

    assert len(before) > 1500
    assert "01/0/file 40" in before - after
    # "file 45" is what `replace` takes away.
    assert before - after <= {"01/0/file 40", "01/0/file 45"}


def test_a_file_opened_by_one_of_its_names_is_touched_by_all(
    source: Path, watched: tuple[Watch, Callable[[], set[str]]]
) -> None:
    untouched = watched[1]
    names = {"01/1/file 31", "00/0/also", "zz", ".first"}
    assert names <= untouched()
    write_in_memory(source / "zz")
    assert not names & untouched()


def test_files_of_folders_that_have_changed_names_are_touched(
    source: Path, watched: tuple[Watch, Callable[[], set[str]]]
) -> None:
    untouched = watched[1]
    (source / "02/0/file 40").write_bytes(b"of another folder")
    before = untouched()
    swap_folders(source / "01/0/file 40")

    gone = before - untouched()
    assert {name for name in before if name.startswith(("01/", "02/"))} == gone


def test_nothing_is_untouched_where_the_kernel_has_not_told_all(
    source: Path, watched: tuple[Watch, Callable[[], set[str]]]
) -> None:
    watch, untouched = watched
    assert untouched()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    # Equal events that follow each other are reported once.
    one, other = source / "zz", source / "01/0/file 40"
    for _ in range(most // 2 + 2):
        for path in (one, other):
            os.close(os.open(path, os.O_RDONLY))
    watch.listen()
    assert untouched() == set()


def test_a_tree_that_is_too_large_is_not_watched(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untouched, "MOST", 100)
    folders: dict[bytes, list[TreeEntry]] = {}
    measure(source, known=folders)

    assert Watch(source, time.time_ns).untouched(folders, os.fsencode(source)) == set()

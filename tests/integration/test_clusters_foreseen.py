# SPDX-License-Identifier: MIT
"""Clusters that are digested and compressed before they are on the disk are those that come to be there.

Bytes do not depend on it (test_image_cache.py): a wrong guess costs time alone. So the guesses count here.
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.image.cache.ahead import Guess, Malformed, members
from builder.image.cache.clusters import Clusters
from builder.image.cache.trees import words_to_pack
from builder.image.disk import borrowed, filesystems, qcow2, table
from builder.image.disk.filesystems.disk import DiskFile, Piece
from builder.image.disk.filesystems.ext4.rows import CLUSTER
from builder.image.disk.filesystems.source import TreeEntry
from builder.image.disk.filesystems.usage import measure
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

    guessed = {hashlib.sha256(data).digest() for data in guess.clusters(archive)}

    # All but what else is in a cluster: superblocks, inodes, folders, the row that has the file with holes.
    there = {name for _, name in numbered(disk)}
    assert len(there) > 170
    assert len(there & guessed) > 0.9 * len(there)
    assert len(guessed - there) < 10
    # What lies on another file system is not looked at.
    with archive.open("rb") as file:
        some = {one.path.split(b"/")[1] for one in members(file)}
    assert {b"00", b"01", b"02long", b".first", b"n" * 150} <= some
    less = set(Guess(elsewhere=(b"/00/", b"/01/")).clusters(archive))
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
            assert sum(map(len, found)) < 100 * len(whole)
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

    def guess() -> Iterator[bytes]:
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

    def endless() -> Iterator[bytes]:
        number = 0
        while True:
            number += 1
            yield struct.pack(">Q", number) + bytes(CLUSTER - 8)

    clusters.guess(endless(), tmp_path)
    while not clusters._guesses._found:
        time.sleep(0.01)
    first = clusters.promised

    assert first
    assert clusters.promised == first
    # Nothing begins after the end.
    clusters.guess(endless(), tmp_path)
    assert clusters.promised == first


@pytest.mark.parametrize("nobody_knows", [False, True])
def test_clusters_that_another_process_has_digested_are_those_of_the_disk(
    source: Path, disk: Path, tmp_path: Path, runner: Runner, nobody_knows: bool
) -> None:
    layout, raw, pieces = place(ROOT), tmp_path / "disk.raw", list[Piece]()
    table.make_file(raw, layout)
    table.write_table(raw, layout, runner=runner)
    folders: dict[bytes, list[TreeEntry]] = {}
    measure(source, known=folders)
    with borrowed.foreseeing(folders, [source], CLUSTER, tmp_path) as end:
        file = DiskFile(file=raw, runner=runner, epoch=EPOCH, work=tmp_path, borrowed=pieces, folders=folders)
        filesystems.write_all(file, layout, {"/": source})
        foreseen = end()
    known = set() if nobody_knows else set(foreseen.values())
    given = borrowed.settle(raw, pieces, CLUSTER, known, foreseen)

    names = dict(numbered(disk))
    assert {number: names[number] for number, _ in given} == dict(given)
    if nobody_knows:
        assert given == []
        assert difference(raw, disk) == ""
    else:
        assert len(given) > 0.9 * len(names)
        with raw.open("rb") as left:
            for number, _ in given:
                left.seek(number * CLUSTER)
                assert not any(left.read(CLUSTER))


def test_a_process_that_fails_has_foreseen_nothing(source: Path, tmp_path: Path) -> None:
    folders: dict[bytes, list[TreeEntry]] = {}
    measure(source, known=folders)
    (source / "00/0/also").unlink()
    (source / ".first").unlink()

    with borrowed.foreseeing(folders, [source], CLUSTER, tmp_path) as end:
        assert end() == {}
    with borrowed.foreseeing(folders, [], CLUSTER, tmp_path) as end:
        assert end() == {}


def test_a_process_that_nobody_waits_for_is_ended(source: Path, tmp_path: Path) -> None:
    folders: dict[bytes, list[TreeEntry]] = {}
    measure(source, known=folders)

    with pytest.raises(KeyError), borrowed.foreseeing(folders, [source] * 1000, CLUSTER, tmp_path):
        raise KeyError

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)

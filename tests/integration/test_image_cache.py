# SPDX-License-Identifier: MIT
"""What a build leaves for the next one changes nothing but its time, and is not believed when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder import entries
from builder.errors import BuildError
from builder.image.build import Build
from builder.image.cache.clusters import Clusters
from builder.image.cache.trees import Harmed, offer, words_to_pack, words_to_unpack
from builder.image.disk import borrowed, qcow2
from builder.image.disk.filesystems.disk import Piece
from builder.image.disk.filesystems.labels import ATTRIBUTE
from builder.page import read_files
from tests.rig.fixture.synthetic import SyntheticRepository
from tests.support.disks import difference, tool
from tests.support.imaging import Bench, bench_for_everybody, kickstart
from tests.support.other_user import run_as_plain_user
from tests.support.trees import make_tree, survey

# One of everything that a copy of a tree may lose.
PACKAGES = "hard-links\ncapable\nsetuid\ndeclared-user"
MODULE = "/usr/lib/grub/i386-pc/zfs.mod"
PARTS = "part /var --fstype=ext4 --size=32\n"
KEPT = "the tree from the cache"


def text(made: str) -> str:
    """A kickstart whose only %post makes a file."""
    return kickstart(head=PARTS, packages=PACKAGES, tail=f"%post\necho {made} >/etc/made\n%end\n")


def trees(bench: Bench) -> list[Path]:
    """The trees in the cache of a bench."""
    return sorted((bench.folder / "cache/openstack-builder/trees").glob("*"))


@pytest.fixture
def warm(bench: Bench) -> Bench:
    """A bench whose cache has the tree of the packages."""
    bench.build(text("first"))
    return bench


def test_the_tree_of_the_same_packages_is_installed_once_and_gives_the_same_bytes(
    warm: Bench, tmp_path: Path
) -> None:
    cold = Bench(tmp_path, warm.repository)

    said = warm.build(text("second")).stderr
    cold_said = cold.build(text("second")).stderr

    assert KEPT in said
    assert KEPT not in cold_said
    assert difference(warm.image, cold.image) == ""
    assert warm.look().text("/etc/made") == "second\n"


def test_files_that_scripts_have_touched_are_those_of_the_image_of_a_kept_tree(
    warm: Bench, tmp_path: Path
) -> None:
    cold = Bench(tmp_path, warm.repository)
    # Of the size that it was, in a row that only packages have filled.
    touching = f"%post\nprintf x 1<>{MODULE}\n%end\n"
    third = kickstart(head=PARTS, packages=PACKAGES, tail=touching)
    # What is foreseen of the tree's clusters is known at the third build, at the latest.
    warm.build(text("second"))

    assert KEPT in warm.build(third).stderr
    cold.build(third)

    assert difference(warm.image, cold.image) == ""


def without_label(attributes: object) -> dict[str, bytes]:
    """Return extended attributes but for SELinux's."""
    assert isinstance(attributes, dict)
    return {name: value for name, value in attributes.items() if name != ATTRIBUTE}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of others, capabilities")
def test_an_archive_holds_all_that_a_tree_can(tmp_path: Path) -> None:
    one, two, archive = (tmp_path / name for name in ("one", "two", "archive"))
    one.mkdir()
    two.mkdir()
    make_tree(os.fsencode(one))
    (one / "socket").unlink()  # tar has none

    for words in (words_to_pack(archive, one), words_to_unpack(archive, two)):
        tool(*words)

    expected, found = (survey(os.fsencode(folder)) for folder in (one, two))
    assert set(found) == set(expected)
    for path, facts in expected.items():
        # A label is the host's: those of the image are written to the disk.
        assert found[path] == facts | {"attributes": without_label(facts["attributes"])}, path


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_a_plain_user_has_trees_too(tmp_path: Path, warm: Bench) -> None:
    own = bench_for_everybody(tmp_path, warm.repository)

    for made in ("first", "second"):
        done = run_as_plain_user(own.command(text(made)), own.folder, environment=own.environment())
        assert done.returncode == 0, done.stderr

    assert KEPT in done.stderr
    warm.build(text("second"))
    assert difference(own.image, warm.image) == ""


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda old: old.replace("setuid\n", ""), id="a package less"),
        pytest.param(lambda old: old.replace("--nocore", "--nocore --excludedocs"), id="documentation"),
        pytest.param(lambda old: old.replace("--size=32\n", "--size=40\n"), id="the disk"),
        pytest.param(lambda old: old + "%pre-install\ntrue\n%end\n", id="a script before packages"),
    ],
)
def test_what_decides_the_tree_has_it_installed_anew(warm: Bench, change: Callable[[str], str]) -> None:
    changed = change(text("third"))
    assert changed != text("third")

    assert KEPT not in warm.build(changed).stderr


def test_a_damaged_tree_is_found_and_made_again(warm: Bench) -> None:
    for entry in trees(warm):
        middle = entry.stat().st_size // 2
        with entry.open("r+b") as file:
            file.seek(middle)
            byte = file.read(1)
            file.seek(middle)
            file.write(bytes([byte[0] ^ 1]))

    said = warm.build(text("fourth")).stderr

    assert KEPT not in said
    assert KEPT in warm.build(text("fifth")).stderr


@pytest.mark.parametrize(
    ("harm", "known_as"),
    [
        pytest.param(lambda entry: entry.write_bytes(b"another tree"), Harmed, id="damaged"),
        pytest.param(lambda entry: entry.unlink(), Harmed, id="gone"),
        pytest.param(lambda _: None, BuildError, id="as it was"),
    ],
)
def test_what_goes_wrong_inside_is_the_trees_fault_where_that_is_harmed(
    tmp_path: Path, harm: Callable[[Path], object], known_as: type[BuildError]
) -> None:
    (tmp_path / "new").write_bytes(b"a tree")
    entry = entries.keep(tmp_path / "new", tmp_path, "key", files=1)
    harm(entry)

    with pytest.raises(BuildError) as raised, offer(cast("Build", SimpleNamespace(clusters=None)), entry):
        raise BuildError("mount kept.tar: no such file or directory")

    assert raised.type is known_as


def test_a_script_before_packages_gets_nothing_into_the_cache(bench: Bench, tmp_path: Path) -> None:
    own = Bench(tmp_path, bench.repository)
    script = "%pre-install\nmkdir -p /mnt/sysimage/etc; echo early >/mnt/sysimage/etc/early\n%end\n"

    own.build(kickstart(tail=script))

    assert trees(own) == []


def test_what_installing_warned_of_is_told_again(tmp_path: Path, synthetic: SyntheticRepository) -> None:
    own = Bench(tmp_path, synthetic)
    wanted = kickstart(packages="failing-post")
    first = own.build(wanted).stderr

    again = own.build(wanted + "%post\ntrue\n%end\n").stderr

    assert KEPT in again
    warnings = [line for line in first.splitlines() if line.startswith("warning:")]
    assert warnings
    assert [line for line in again.splitlines() if line.startswith("warning:")] == warnings


def test_entries_used_last_stay(tmp_path: Path) -> None:
    made = []
    for number in range(4):
        new = tmp_path / "new"
        new.write_bytes(bytes(100))
        made.append(entries.keep(new, tmp_path, f"key{number}", files=3))
        os.utime(made[-1], (number, number))
        # The first is used in between.
        assert entries.find(tmp_path, "key0") == made[0]

    assert [path.exists() for path in made] == [True, False, True, True]
    new.write_bytes(bytes(100))
    last = entries.keep(new, tmp_path, "key4", files=9, size=250)
    assert {path for path in (*made, last) if path.exists()} == {made[0], last}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A raw disk of eight clusters: one of zeroes, one that cannot be compressed, six of text."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        for number in range(6):
            file.write((f"cluster {number} " * qcow2.ZSTD.cluster)[: qcow2.ZSTD.cluster].encode())
        file.write(bytes(qcow2.ZSTD.cluster))
        file.write(os.urandom(qcow2.ZSTD.cluster))
    return raw


def convert(disk: Path, image: Path, family: str | None = None) -> int:
    """Replace the image by one of the disk, as a build does; return how many clusters were compressed."""
    compressed = []

    def compress(data: bytes) -> bytes:
        compressed.append(data)
        return qcow2.ZSTD.compress(data)

    format = replace(qcow2.ZSTD, compress=compress)
    clusters = Clusters(image, format, family)
    new = image.with_suffix(".new")
    qcow2.convert(disk, new, format=format, compressor=clusters)
    new.rename(image)
    clusters.keep()
    plain = image.with_suffix(".plain")
    qcow2.convert(disk, plain)
    assert difference(image, plain) == ""
    return len(compressed)


def test_clusters_of_the_image_that_is_replaced_are_compressed_once(disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    assert convert(disk, image) == 7
    assert convert(disk, image) == 0

    with disk.open("r+b") as file:
        file.seek(3 * qcow2.ZSTD.cluster)
        file.write(b"changed")
    assert convert(disk, image) == 1
    # Of another image nothing is known.
    assert convert(disk, tmp_path / "other.qcow2") == 7


def test_clusters_of_an_image_of_the_same_packages_are_compressed_once(disk: Path, tmp_path: Path) -> None:
    assert convert(disk, tmp_path / "first.qcow2", family="packages") == 7

    with disk.open("r+b") as file:
        file.seek(3 * qcow2.ZSTD.cluster)
        file.write(b"changed")
    assert convert(disk, tmp_path / "second.qcow2", family="packages") == 1
    assert convert(disk, tmp_path / "stranger.qcow2", family="others") == 7
    # A link in the image's place is not followed.
    (tmp_path / "second.qcow2").unlink()
    (tmp_path / "second.qcow2").symlink_to("first.qcow2")
    assert convert(disk, tmp_path / "third.qcow2", family="packages") == 7


@pytest.mark.parametrize("damaged", ["image", "index", "image is gone"])
def test_clusters_that_are_damaged_are_compressed_again(disk: Path, tmp_path: Path, damaged: str) -> None:
    image = tmp_path / "image.qcow2"
    convert(disk, image)
    (index,) = (tmp_path / "cache/openstack-builder/clusters").iterdir()
    if damaged == "image is gone":
        image.unlink()
    else:
        path = image if damaged == "image" else index
        raw = bytearray(path.read_bytes())
        start = qcow2.ZSTD.cluster + 8 if damaged == "image" else 8
        raw[start] ^= 1
        path.write_bytes(raw)

    assert convert(disk, image) == (1 if damaged == "image" else 7)


def promise_again(bench: Bench) -> None:
    """Let the indexes say that the image is as it was when they were made."""
    folder = bench.folder / "cache/openstack-builder/clusters"
    for entry in list(folder.iterdir()):
        path, _, rest = entry.read_bytes().partition(b"\0")
        info = os.stat(path)
        state = struct.pack(">QQQQ", info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        entries.store(path + b"\0" + state + rest[len(state) :], folder, entry.name[:64], files=9)


@pytest.mark.parametrize("told", [False, True], ids=["and is seen to be", "unseen"])
def test_a_damaged_image_lends_nothing_to_the_one_that_replaces_it(
    warm: Bench, tmp_path: Path, told: bool
) -> None:
    warm.build(text("before"))
    # The middle of what is compressed: the disk's last clusters and tables are at the end.
    with warm.image.open("r+b") as file:
        for start in range(300_000, warm.image.stat().st_size - (2 << 20), 50_000):
            file.seek(start)
            file.write(b"damaged")
    if told:
        promise_again(warm)
    cold = Bench(tmp_path, warm.repository)

    said = warm.build(text("after"), "-v").stderr
    cold.build(text("after"))

    assert difference(warm.image, cold.image) == ""
    assert ("the disk is made again" in said) == told


def test_clusters_that_are_known_are_not_written_into_the_disk(disk: Path, tmp_path: Path) -> None:
    cluster = qcow2.ZSTD.cluster
    content, plain = disk.read_bytes(), tmp_path / "plain.qcow2"
    # Two files, of which the second begins within a block, and something that the disk has already.
    pieces = []
    for number, (start, end) in enumerate(((0, 3 * cluster + 5000), (3 * cluster + 8192, len(content)))):
        (tmp_path / f"file{number}").write_bytes(content[start:end])
        padded = -(-end // 4096) * 4096
        pieces.append(Piece(start, end, padded, os.fsencode(tmp_path / f"file{number}"), 0))
    expected = bytearray(content)
    expected[3 * cluster + 5000 : 3 * cluster + 8192] = bytes(3192)
    disk.write_bytes(expected)
    qcow2.convert(disk, plain)
    with disk.open("wb") as file:
        file.truncate(len(content))
        file.seek(3 * cluster + 4096)
        file.write(b"of a folder that was given up" * 50)
    names = [hashlib.sha256(expected[at : at + cluster]).digest() for at in range(0, len(content), cluster)]

    given = borrowed.settle(disk, pieces, cluster, {names[1], names[3], b"another"})

    assert given == [(1, names[1]), (3, names[3])]
    left = disk.read_bytes()
    assert left[cluster : 2 * cluster] == bytes(cluster)
    for number in (0, 2, 4, 5, 6, 7):
        assert left[number * cluster : (number + 1) * cluster] == content[number * cluster :][:cluster]
    assert borrowed.settle(disk, pieces, cluster, set()) == []
    assert disk.read_bytes() == bytes(expected)


def test_the_page_of_a_build_says_what_has_changed_and_a_trace_what_ran(bench: Bench, tmp_path: Path) -> None:
    bench.build(text("sixth"))
    trace = tmp_path / "trace.json"

    bench.build(text("sixth") + "%post\necho more >/etc/more\n%end\n", "--timeline", str(trace))

    page = bench.image.with_name("test.report.html")
    files = read_files(page)
    assert files is not None
    assert files["/etc/made"] == len("sixth\n")
    assert "1 added, 0 removed, 0 of another size" in page.read_text()
    ran = {event["name"] for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"install", "tar", "mke2fs", "convert", "qemu-img"} <= ran

# SPDX-License-Identifier: MIT
"""qcow2: the same disk, compressed, sparse, sound, the same bytes each time."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builder import tools
from builder.digesting import Digests
from builder.errors import BuildError
from builder.files import digests_of_file
from builder.image.disk import qcow2
from builder.runner import Runner
from builder.sizes import KIB, MIB
from tests.support.disks import difference

pytestmark = pytest.mark.skipif(not tools.has("qemu-img"), reason="needs qemu-img (qemu-utils)")
# Small clusters, as qemu allows them: tables of several clusters for a small disk.
SMALL = replace(qcow2.ZSTD, cluster_bits=9)
FORMATS = [
    pytest.param(qcow2.ZSTD, "zstd", id="zstd"),
    pytest.param(qcow2.ZLIB, "zlib", id="zlib"),
    pytest.param(SMALL, "zstd", id="many tables"),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Text, noise that no program can pack, written zeroes, and holes; no whole cluster at the end."""
    path = tmp_path / "disk"
    noise = random.Random(2).randbytes(5 * MIB)
    with path.open("wb") as file:
        for at in (0, 37, 512, 1000):
            file.seek(at * MIB)
            file.write(noise[: MIB // 2] + b"text " * 400_000)
        file.seek(1500 * MIB + 77 * 512)
        file.write(noise)
        file.seek(1600 * MIB)
        file.write(bytes(3 * MIB))
        file.truncate(1700 * MIB + 3 * 512)
    return path


@pytest.mark.parametrize(("format", "kind"), FORMATS)
def test_the_disk_comes_back_from_it(
    tmp_path: Path, runner: Runner, raw: Path, format: qcow2.Format, kind: str
) -> None:
    image = tmp_path / "image.qcow2"
    seen: list[float] = []

    qcow2.convert(raw, image, format=format, progress=seen.append)
    qcow2.check(image, runner=runner)

    reported = json.loads(
        subprocess.run(["qemu-img", "info", "--output=json", image], capture_output=True, check=True).stdout
    )
    assert reported["virtual-size"] == raw.stat().st_size
    assert reported["cluster-size"] == format.cluster
    assert reported["format-specific"]["data"]["compression-type"] == kind
    assert "backing-filename" not in reported
    assert "data-file" not in reported["format-specific"]["data"]
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, image], check=True)
    assert image.stat().st_blocks * 512 < 15 * MIB
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "image.qcow2"]


@pytest.mark.parametrize(("format", "kind"), FORMATS)
def test_a_guest_may_write_to_it(
    tmp_path: Path, runner: Runner, raw: Path, format: qcow2.Format, kind: str
) -> None:
    image = tmp_path / "image.qcow2"
    qcow2.convert(raw, image, format=format)
    subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", image, "+2G"], check=True)

    writes = ["-c", "write -q -P 7 37M 1M", "-c", "write -q -P 8 3000M 70k", "-c", "discard -q 1500M 4M"]
    subprocess.run(["qemu-io", "-f", "qcow2", *writes, image], check=True)

    qcow2.check(image, runner=runner)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_disk_comes_back(tmp_path: Path, runner: Runner, seed: int) -> None:
    dice = random.Random(seed)
    raw, image = tmp_path / "disk", tmp_path / "image.qcow2"
    with raw.open("wb") as file:
        file.truncate(dice.randrange(1, 40_000) * 512)
        for _ in range(dice.randrange(40)):
            file.seek(dice.randrange(raw.stat().st_size))
            file.write(dice.choice([dice.randbytes, bytes])(dice.randrange(200 * KIB)))
        file.truncate(file.seek(0, 2) // 512 * 512)

    for format in (qcow2.ZSTD, qcow2.ZLIB, SMALL):
        qcow2.convert(raw, image, format=format)

        qcow2.check(image, runner=runner)
        subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, image], check=True)
        image.unlink()


def test_equal_disks_give_equal_bytes(tmp_path: Path, raw: Path) -> None:
    images = [tmp_path / name for name in ("one", "other")]

    for image in images:
        qcow2.convert(raw, image)

    assert difference(images[0], images[1]) == ""


@pytest.mark.parametrize(("format", "kind"), FORMATS)
@pytest.mark.parametrize("most", [qcow2.MOST_HELD, MIB], ids=["all fits into memory", "not all fits"])
def test_who_wants_its_bytes_gets_all_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: Path, format: qcow2.Format, kind: str, most: int
) -> None:
    monkeypatch.setattr(qcow2, "MOST_HELD", most)
    plain, image = tmp_path / "plain.qcow2", tmp_path / "image.qcow2"
    qcow2.convert(raw, plain, format=format)

    with Digests("md5", "sha256") as digests:
        told = qcow2.convert(raw, image, format=format, written=digests.feed)
        found = digests.end()

    assert difference(image, plain) == ""
    assert told == (most != MIB)
    assert (found == digests_of_file(image, "md5", "sha256")) == told


def test_an_empty_disk(tmp_path: Path, runner: Runner) -> None:
    raw, image = tmp_path / "disk", tmp_path / "image.qcow2"
    with raw.open("wb") as file:
        file.truncate(64 * MIB)

    qcow2.convert(raw, image)

    qcow2.check(image, runner=runner)
    assert image.stat().st_blocks * 512 < MIB


def test_a_failure_leaves_no_image(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no such file"):
        qcow2.convert(tmp_path / "nothing", tmp_path / "image.qcow2")

    assert list(tmp_path.iterdir()) == []


def test_check_reports_damage(tmp_path: Path, runner: Runner, raw: Path) -> None:
    image = tmp_path / "image.qcow2"
    qcow2.convert(raw, image)
    with image.open("r+b") as file:
        file.seek(40)
        first_table = int.from_bytes(file.read(8), "big")
        file.seek(first_table)
        file.write(b"\x80" + b"\xff" * 6 + b"\x00")

    with pytest.raises(BuildError, match="qemu-img check"):
        qcow2.check(image, runner=runner)

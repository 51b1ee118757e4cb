# SPDX-License-Identifier: MIT
"""qcow2: the same disk, compressed, sparse, sound."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from builder.errors import BuildError, CommandFailed
from builder.image import qcow2
from builder.image.placement import MIB
from builder.report import Report
from builder.runner import Runner, has_tool

pytestmark = pytest.mark.skipif(not has_tool("qemu-img"), reason="needs qemu-img (qemu-utils)")


@pytest.fixture
def runner() -> Runner:
    return Runner(Report(quiet=True))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        for at in (0, 37, 512, 1000):
            file.seek(at * MIB)
            file.write(os.urandom(MIB) + b"text " * 400_000)
        file.truncate(2048 * MIB)
    return path


@pytest.mark.parametrize(("compat", "kind"), [(False, "zstd"), (True, "zlib")])
def test_the_disk_comes_back_from_it(
    tmp_path: Path, runner: Runner, raw: Path, compat: bool, kind: str
) -> None:
    image = tmp_path / "image.qcow2"
    seen: list[float] = []

    qcow2.convert(raw, image, compat=compat, runner=runner, progress=seen.append)
    qcow2.check(image, runner=runner)

    told = json.loads(
        subprocess.run(["qemu-img", "info", "--output=json", image], capture_output=True, check=True).stdout
    )
    assert told["virtual-size"] == 2048 * MIB
    assert told["format-specific"]["data"]["compression-type"] == kind
    assert "backing-filename" not in told
    assert "data-file" not in told["format-specific"]["data"]
    assert image.stat().st_size < 16 * MIB
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, image], check=True)
    assert seen == sorted(seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "image.qcow2"]


def test_a_failure_leaves_no_image(tmp_path: Path, runner: Runner) -> None:
    with pytest.raises(CommandFailed, match="No such file"):
        qcow2.convert(tmp_path / "nothing", tmp_path / "image.qcow2", runner=runner)

    assert list(tmp_path.iterdir()) == []


def test_check_tells_of_damage(tmp_path: Path, runner: Runner, raw: Path) -> None:
    image = tmp_path / "image.qcow2"
    qcow2.convert(raw, image, runner=runner)
    header = image.read_bytes()[:48]
    first_table = int.from_bytes(header[40:48], "big")
    with image.open("r+b") as file:
        file.seek(first_table)
        file.write(b"\x80" + b"\xff" * 6 + b"\x00")

    with pytest.raises(BuildError, match="qemu-img check"):
        qcow2.check(image, runner=runner)

# SPDX-License-Identifier: MIT
"""What `make bench` measures with: the whole tree of a program is counted, and failures are reported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.rig.bench import floor
from tests.rig.bench import measure as measuring
from tests.rig.bench.account import accounting
from tests.rig.bench.image import Goal
from tests.rig.bench.measure import Failed, Measured, disk_usage, measure, median
from tests.rig.fixture.rpmpackage import FileFlag, Kind, RpmFile, RpmPackage
from tests.rig.fixture.rpmwriter import write_rpm

MB = 1_000_000


def test_a_grandchild_is_counted_with_its_time_and_memory(tmp_path: Path) -> None:
    busy = "import time; block = b'x' * 60_000_000; end = time.process_time() + 0.5\n"
    busy += "while time.process_time() < end: pass"
    argv = ["sh", "-c", f'{sys.executable} -c "{busy}" & wait $!; exit $?']

    found = measure(argv, log=tmp_path / "log")

    assert found.cpu >= 0.5
    assert found.wall >= 0.5
    assert 60 * MB <= found.memory < 200 * MB


def test_a_process_that_outlives_its_parent_is_counted(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    # The parent is gone while it works; the program waits for the file that it leaves.
    inner = f'({sys.executable} -c "{busy}"; touch {tmp_path}/ended) >/dev/null 2>&1 &'
    argv = ["sh", "-c", f"sh -c '{inner}'; while [ ! -e {tmp_path}/ended ]; do sleep 0.05; done; sleep 0.1"]

    found = measure(argv, log=tmp_path / "log")

    assert found.cpu >= 0.4


def test_what_ends_with_its_pid_namespace_is_counted(tmp_path: Path) -> None:
    with accounting() as account:
        if account is None:
            pytest.skip("no cgroup can be made here")
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    # The first process of the namespace ends without a wait for the other: the kernel tells nobody its times.
    inner = f'({sys.executable} -c "{busy}"; touch {tmp_path}/ended; sleep 60) &'
    inner += f" while [ ! -e {tmp_path}/ended ]; do sleep 0.05; done"
    space = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--pid", "--fork"]

    found = measure([*space, "sh", "-c", inner], log=tmp_path / "log")

    assert found.cpu >= 0.4


def test_a_file_that_is_gone_at_the_end_is_in_the_peak_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole, seen = (tmp_path / name for name in ("work", "whole", "seen"))
    folder.mkdir()
    (folder / "before").write_bytes(b"x" * 8 * MB)
    # It is there until somebody has looked, however busy the machine is.
    script = f"fallocate --length 20000000 {folder}/big; touch {whole}"
    script += f"; while [ ! -e {seen} ]; do sleep 0.05; done; rm {folder}/big"

    def look(path: Path) -> int:
        was_whole = whole.exists()
        found = disk_usage(path)
        if was_whole:
            seen.touch()
        return found

    monkeypatch.setattr(measuring, "disk_usage", look)
    found = measure(["sh", "-c", script], log=tmp_path / "log", folders=[folder])

    assert 20 * MB <= found.disk < 21 * MB


def test_a_failure_names_the_log(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"ended with 3: see .*/log"):
        measure(["sh", "-c", "echo why; exit 3"], log=tmp_path / "log")

    assert (tmp_path / "log").read_text() == "why\n"


def test_the_median_is_taken_of_each_number() -> None:
    runs = [Measured(wall=w, cpu=c, memory=1, disk=2) for w, c in ((1.0, 9.0), (2.0, 7.0), (3.0, 8.0))]

    assert median(runs) == Measured(wall=2.0, cpu=8.0, memory=1, disk=2)


@pytest.mark.parametrize(
    ("value", "at_least", "reached"),
    [(6.0, False, True), (6.1, False, False), (6.0, True, True), (5.9, True, False)],
)
def test_a_goal_is_reached_up_to_its_bound(value: float, at_least: bool, reached: bool) -> None:
    goal = Goal(name="x", value=value, bound=6, at_least=at_least)

    assert goal.reached is reached
    assert ("MISSED" in str(goal)) is not reached


def test_the_floor_writes_the_files_of_a_package_without_its_documentation(tmp_path: Path) -> None:
    package = RpmPackage(
        name="some", version="1", release="1", summary="some",
        files=(
            RpmFile(path="/usr/bin/some", data=b"#!/bin/sh\n" * 1000, mode=0o755),
            RpmFile(path="/usr/lib/hard-a", data=b"linked", hard_link="a"),
            RpmFile(path="/usr/lib/hard-b", data=b"linked", hard_link="a"),
            RpmFile(path="/usr/lib/link", kind=Kind.LINK, target="../bin/some"),
            RpmFile(path="/usr/share/doc/some/README", data=b"read me", flags=FileFlag.DOC),
        ),
    )  # fmt: skip
    rpm, tree = tmp_path / "some.rpm", tmp_path / "tree"
    rpm.write_bytes(write_rpm(package))
    tree.mkdir()

    floor.write_files(*_read(rpm, tree))

    assert (tree / "usr/bin/some").read_bytes() == b"#!/bin/sh\n" * 1000
    assert (tree / "usr/lib/link").readlink() == Path("../bin/some")
    assert (tree / "usr/lib/hard-a").samefile(tree / "usr/lib/hard-b")
    assert (tree / "usr/lib/hard-b").read_bytes() == b"linked"
    assert not (tree / "usr/share/doc/some/README").exists()


def test_the_floor_never_writes_out_of_its_tree(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    tree.mkdir()
    (tree / "var").symlink_to(outside)
    package = RpmPackage(
        name="bad", version="1", release="1", summary="bad", files=(RpmFile(path="/var/file", data=b"x"),)
    )
    rpm = tmp_path / "bad.rpm"
    rpm.write_bytes(write_rpm(package))

    with pytest.raises(SystemExit, match="leads out of the tree"):
        floor.write_files(*_read(rpm, tree))

    assert disk_usage(outside) == 0


def _read(rpm: Path, tree: Path) -> tuple[bytes, Path, set[str]]:
    archive, left_out = floor.read_package(rpm, docs=False)
    return archive, tree, left_out

# SPDX-License-Identifier: MIT
"""Rooms that root starts: as an id that owns nothing on the host but what the room was given."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import lowered, room
from builder.calls import CLONE_NEWNS
from builder.idmap import find_ids
from builder.report import Report
from builder.runner import Runner
from tests.support.other_user import NUMBER

pytestmark = pytest.mark.root
RUNNER = Runner(Report(quiet=True))


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder to write to, which belongs to root."""
    folder = tmp_path / "given"
    folder.mkdir(mode=0o700)
    return folder


def in_a_child(do: Callable[[], object]) -> str:
    """Run `do` in a child with mounts of its own; return the name of what it raised, or "done"."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "done"
        try:
            if ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0:
                ctypes.CDLL(None).mount(None, b"/", None, ctypes.c_ulong(1 << 18 | 1 << 14), None)
                do()
        except BaseException as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def test_what_is_in_a_room_of_roots_is_nobody_of_the_host(given: Path) -> None:
    # A number that nobody else sleeps.
    seconds = str(7_000_000 + os.getpid())
    process = room.start_apart(RUNNER, ["sleep", seconds], folder=given, log=given / "log")
    try:
        found: list[dict[str, str]] = []
        deadline = time.monotonic() + 600
        while not found and time.monotonic() < deadline:
            time.sleep(0.05)
            words = ["pgrep", "-f", f"^sleep {seconds}$"]
            pids = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
            found = [
                dict(line.split(":\t", 1) for line in Path("/proc", pid, "status").read_text().splitlines())
                for pid in pids
            ]
    finally:
        process.kill()
        process.wait()

    first = find_ids()
    (status,) = found
    assert status["Uid"].split() == [str(first.uid_root + lowered.NOBODY)] * 4
    assert status["Gid"].split() == [str(first.gid_root + lowered.NOBODY)] * 4
    assert status["Groups"].split() == []
    assert status["CapEff"] == "0" * 16


def test_without_walls_a_room_of_root_still_reaches_nothing_of_roots(tmp_path: Path, given: Path) -> None:
    canary, open_to_all = tmp_path / "canary", tmp_path / "open"
    canary.write_text("root's own")
    canary.chmod(0o644)
    open_to_all.write_text("anybody's")
    open_to_all.chmod(0o666)
    # Held by descriptors, as a hole would: /tmp is covered in such a room.
    holes = [os.open(path, os.O_PATH) for path in (canary, open_to_all, tmp_path)]
    places = [Path(f"/proc/self/fd/{hole}") for hole in holes]

    def attempt(path: Path | None) -> str:
        with lowered.lowered([given]) as way:

            def do() -> None:
                way.enter()
                (path or way.place(given) / "made").write_text("CODE")

            return in_a_child(do)

    said = [attempt(path) for path in (places[0], places[1], places[2] / "made", None)]
    for hole in holes:
        os.close(hole)

    assert said == ["PermissionError", "done", "PermissionError", "done"]
    assert canary.read_text() == "root's own"
    assert open_to_all.read_text() == "CODE"
    made = (given / "made").stat()
    assert (made.st_uid, made.st_gid) == (0, 0)


@pytest.mark.parametrize("owner", [0, NUMBER], ids=["root", "another"])
def test_a_room_of_roots_reads_what_is_given_and_writes_for_its_owner(
    tmp_path: Path, given: Path, owner: int
) -> None:
    image = tmp_path / "private" / "image"
    image.parent.mkdir(mode=0o700)
    image.write_text("an image of somebody's")
    image.chmod(0o600)
    os.chown(image, owner, owner)

    script = f"cat {image} >{given}/copy && ! (echo x >>{image}) 2>/dev/null"
    room.run_apart(RUNNER, ["/bin/sh", "-c", script], readable=[image], writable=given)

    assert (given / "copy").read_text() == image.read_text() == "an image of somebody's"
    assert (given / "copy").stat().st_uid == 0


def refuse(*_: object) -> int:
    """Do as a kernel without user namespaces."""
    raise PermissionError


def test_where_there_is_no_such_mount_a_room_is_ours_without_capabilities(
    tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # procfs has none.
    with lowered.lowered([given, Path("/proc/self/status")]) as way:
        assert way is lowered.AS_WE_ARE
    monkeypatch.setattr(lowered, "_space", refuse)
    script = f"grep CapEff /proc/self/status; cat /proc/self/uid_map; echo x >{given}/written"

    done = room.run_apart(RUNNER, ["/bin/sh", "-c", script], writable=given)

    assert done.stdout.split() == ["CapEff:", "0" * 16, "0", "0", "1"]
    assert (given / "written").stat().st_uid == 0


def test_a_device_is_opened_as_its_group_may_and_only_root_s_own_as_root(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    found = {}
    for mode, group in ((0o666, 0), (0o660, 36), (0o660, 0), (0o600, 36)):
        device.unlink(missing_ok=True)
        os.mknod(device, 0o020000 | mode, os.makedev(1, 3))
        device.chmod(mode)
        os.chown(device, 0, group)
        with lowered.lowered([tmp_path], [str(device), "/dev/is-not-there"]) as way:
            found[mode, group] = None if way is lowered.AS_WE_ARE else way.groups

    assert found == {(0o666, 0): (), (0o660, 36): (36,), (0o660, 0): None, (0o600, 36): None}

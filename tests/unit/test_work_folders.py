# SPDX-License-Identifier: MIT
"""Work folders, caches and files of builds that run side by side: nobody takes another's for a dead one's."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from builder.files import WORK_PREFIX, cache_folder, remove_stale, work_folder, write_atomic


def test_side_by_side(tmp_path: Path) -> None:
    def work(_number: int) -> bool:
        with work_folder(tmp_path, "build") as folder:
            (folder / "file").write_text("mine")
            return (folder / "file").read_text() == "mine"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(1000)))
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_while_others_remove_what_is_stale(tmp_path: Path) -> None:
    done = Event()

    def clean() -> None:
        while not done.is_set():
            remove_stale(tmp_path)

    with ThreadPoolExecutor(2) as pool:
        cleaning = pool.submit(clean)
        try:
            for number in range(500):
                write_atomic(tmp_path / "file", str(number))
                assert (tmp_path / "file").read_text() == str(number)
        finally:
            done.set()
        cleaning.result()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_nobody_holds_is_stale(tmp_path: Path) -> None:
    (tmp_path / f"{WORK_PREFIX}file").write_text("half")
    (tmp_path / f"{WORK_PREFIX}folder").mkdir()
    (tmp_path / f"{WORK_PREFIX}folder" / "file").write_text("half")
    (tmp_path / f"{WORK_PREFIX}link").symlink_to("elsewhere")
    with work_folder(tmp_path, "mine") as mine:
        remove_stale(tmp_path)

        left = {path.name for path in tmp_path.iterdir()}
    assert left == {mine.name, f"{WORK_PREFIX}link"}


def state(folder: Path) -> list[tuple[str, int, int, bytes]]:
    """Return what a folder holds, with modes and times."""
    found = []
    for path in sorted([folder, *folder.rglob("*")]):
        info = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found.append((path.name, info.st_mode, info.st_mtime_ns, data))
    return found


def make_canary(folder: Path) -> Path:
    """Make somebody's folder, which the owner only may read, with a file in it."""
    canary = folder / "canary"
    canary.mkdir()
    (canary / "letter").write_text("mine")
    (canary / "letter").chmod(0o400)
    canary.chmod(0o500)
    return canary


def test_links_in_and_beside_what_is_stale_lead_nowhere(tmp_path: Path) -> None:
    canary, parent = make_canary(tmp_path), tmp_path / "out"
    before = state(canary)
    dead = parent / f"{WORK_PREFIX}dead"
    (dead / "deep" / "deeper").mkdir(parents=True)
    for folder in (dead, dead / "deep", dead / "deep" / "deeper"):
        (folder / "folder").symlink_to(canary)
        (folder / "file").symlink_to(canary / "letter")
        (folder / "up").symlink_to("..")
    (dead / "deep" / "deeper").chmod(0)
    (dead / "deep").chmod(0)
    for name, target in (("folder", canary), ("file", canary / "letter"), ("self", f"{WORK_PREFIX}self")):
        (parent / f"{WORK_PREFIX}{name}").symlink_to(target)

    remove_stale(parent)

    assert state(canary) == before
    assert not dead.exists()


def test_a_link_put_in_the_place_of_a_stale_folder_while_it_is_removed_leads_nowhere(tmp_path: Path) -> None:
    canary, parent, aside = make_canary(tmp_path), tmp_path / "out", tmp_path / "aside"
    before = state(canary)
    parent.mkdir()
    dead, done = parent / f"{WORK_PREFIX}dead", Event()

    def swap() -> None:
        number = 0
        while not done.is_set():
            number += 1
            with contextlib.suppress(OSError):
                dead.mkdir()
                for name in range(20):
                    (dead / str(name)).mkdir()
            with contextlib.suppress(OSError):
                dead.rename(aside / str(number))
                dead.symlink_to(canary)
                dead.unlink()

    aside.mkdir()
    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        try:
            for _ in range(500):
                remove_stale(parent)
        finally:
            done.set()
        swapping.result()

    assert state(canary) == before


@pytest.mark.parametrize("value", ["cache", "./cache", "~/cache", ""])
def test_a_cache_that_is_not_an_absolute_path_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", value)

    assert cache_folder("dnf") == tmp_path / "home/.cache/openstack-builder/dnf"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]

# SPDX-License-Identifier: MIT
"""Work folders and files of builds that run side by side: nobody takes another's for a dead one's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from builder.files import WORK_PREFIX, remove_stale, work_folder, write_atomic


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

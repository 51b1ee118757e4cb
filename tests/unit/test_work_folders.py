# SPDX-License-Identifier: MIT
"""Work folders of builds that run side by side: nobody takes another's for a dead one's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder.files import work_folder


def test_side_by_side(tmp_path: Path) -> None:
    def work(_number: int) -> bool:
        with work_folder(tmp_path, "build") as folder:
            (folder / "file").write_text("mine")
            return (folder / "file").read_text() == "mine"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(1000)))
    assert list(tmp_path.iterdir()) == []

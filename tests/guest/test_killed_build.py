# SPDX-License-Identifier: MIT
"""SIGKILL at two points of a real build: the old image stays, nothing of the build does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.guest.conftest import ROOT, image_command
from tests.support.imaging import processes_of, traces


@pytest.mark.parametrize(
    "after", ["[2/", "[8/"], ids=["while packages are installed", "while the disk is written"]
)
def test_a_killed_build_of_the_jeos_leaves_the_old_one(jeos_image: Path, tmp_path: Path, after: str) -> None:
    old = jeos_image.stat()
    # Its own work folders: another worker builds other images next to it.
    work = jeos_image.parents[1] / f".openstack-builder-{jeos_image.stem}-"
    said = tmp_path / "said"
    with said.open("w") as stream:
        # --compat makes it another image, so that there is something to build.
        process = subprocess.Popen(
            image_command("--compat"), cwd=ROOT, stderr=stream, stdout=subprocess.DEVNULL
        )
    deadline = time.monotonic() + 300
    while after not in said.read_text():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)

    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    deadline = time.monotonic() + 20
    while found := processes_of(work):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert traces(work) == []
    assert (jeos_image.stat().st_mtime_ns, jeos_image.stat().st_size) == (old.st_mtime_ns, old.st_size)
    again = subprocess.run(image_command(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert "unchanged" in again.stderr
    assert not list(work.parent.glob(f"{work.name}*"))

# SPDX-License-Identifier: MIT
"""SIGKILL at two points of a real build: the old image stays, nothing of the build does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from builder.files import sha256_file
from tests.guest.conftest import ROOT, image_command, run
from tests.support.imaging import LONGEST, traces, wait_until_gone


@pytest.mark.parametrize(
    "after", ["[2/", "[8/"], ids=["while packages are installed", "while the disk is written"]
)
def test_a_killed_build_of_the_jeos_leaves_the_old_one(tmp_path: Path, after: str) -> None:
    # A folder of its own: other workers look at the image that the tests share.
    out = ("--out", str(tmp_path / "out"))
    image = tmp_path / "out" / "jeos-fixture" / "jeos-fixture.qcow2"

    # A build that was done before the signal came proves nothing: sooner, then.
    for pause in (0.5, 0.1, *[0.0] * 20):
        run([*image_command(), *out])
        old = sha256_file(image)
        # --compat makes it another image, so that there is something to build.
        if killed([*image_command("--compat"), *out], tmp_path / "said", after, pause):
            break

    wait_until_gone(tmp_path / "out")
    assert traces(tmp_path) == []
    assert sha256_file(image) == old
    again = subprocess.run([*image_command(), *out], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "unchanged" in again.stderr
    assert list((tmp_path / "out").glob(".openstack-builder-*")) == []


def killed(argv: list[str], said: Path, after: str, pause: float) -> bool:
    """Start a build, kill it so many seconds after it said `after`; say whether it was under way still."""
    with said.open("w") as stream:
        process = subprocess.Popen(argv, cwd=ROOT, stderr=stream, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + LONGEST
    while after not in said.read_text():
        assert process.poll() is None or after in said.read_text(), said.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(pause)
    process.kill()
    return process.wait() != 0

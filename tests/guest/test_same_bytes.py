# SPDX-License-Identifier: MIT
"""The same inputs give the same bytes: the JeOS, once more, elsewhere and later, with empty caches."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from builder.files import sha256_file
from tests.guest.conftest import ROOT, image_command


def test_another_build_gives_the_same_bytes(jeos_image: Path, tmp_path: Path) -> None:
    # The initramfs is made again too.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    subprocess.run([*image_command(), "--out", tmp_path], cwd=ROOT, env=environment, check=True)

    assert sha256_file(tmp_path / "jeos-fixture/jeos-fixture.qcow2") == sha256_file(jeos_image)

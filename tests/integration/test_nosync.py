# SPDX-License-Identifier: MIT
"""What runs inside does not wait for disks."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from builder.runner import Runner
from tests.support.inside import call_inside

# fsync(2) of a pipe is an error of the kernel's: with the filter it never gets there.
PYTHON = "import os; os.fsync(os.pipe()[1]); os.fdatasync(os.pipe()[1])"


def test_a_sync_inside_succeeds_without_one(tmp_path: Path, runner: Runner) -> None:
    tmp_path.chmod(0o755)

    def inside() -> int:
        os.fsync(os.pipe()[1])
        return subprocess.run(["/usr/bin/python3", "-c", PYTHON], check=False).returncode

    assert call_inside(inside, tmp_path, runner) == 0


def test_outside_it_is_what_it_was(tmp_path: Path, runner: Runner) -> None:
    tmp_path.chmod(0o755)
    call_inside(lambda: None, tmp_path, runner)

    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        os.fsync(os.pipe()[1])

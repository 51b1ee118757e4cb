# SPDX-License-Identifier: MIT
"""Fixtures for the tests of what is installed on hosts."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# The package is not installed in the environment of the tests: `builder` never imports it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "utils"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in memory where there is such a file system: every edit syncs its file."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="openstack-config-", dir=memory) as name:
        yield Path(name)

# SPDX-License-Identifier: MIT
"""`clean` removes the caches when asked to, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.files import WORK_PREFIX
from builder.memory import folder_in_memory
from tests.support.rpm_tool import builder


@pytest.fixture
def caches(tmp_path: Path) -> Path:
    """A folder of caches with two megabytes in one of them."""
    root = tmp_path / "cache" / "openstack-builder"
    (root / "initramfs").mkdir(parents=True)
    (root / "initramfs" / "image").write_bytes(os.urandom(2_000_000))
    return root


def test_it_says_how_much_and_removes_all_of_it(tmp_path: Path, caches: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (caches / "link").symlink_to(elsewhere)

    done = builder("clean", "--yes", cwd=tmp_path)

    assert "initramfs   2" in done.stdout
    assert f"{caches}: 2 MB" in done.stderr
    assert not caches.exists()
    assert elsewhere.exists()
    assert "nothing there" in builder("clean", cwd=tmp_path).stderr


@pytest.mark.parametrize(("words", "code"), [(["--dry-run"], 0), ([], 3)], ids=["dry run", "not asked"])
def test_without_a_yes_nothing_is_removed(tmp_path: Path, caches: Path, words: list[str], code: int) -> None:
    done = builder("clean", *words, cwd=tmp_path, ok=False)

    assert done.returncode == code, done.stderr
    assert (code == 3) == ("hint:  use --yes to skip the question" in done.stderr)
    assert (caches / "initramfs" / "image").stat().st_size == 2_000_000


def test_what_a_killed_run_left_in_memory_goes_too(tmp_path: Path, caches: Path) -> None:
    memory = folder_in_memory()
    if memory is None:
        pytest.skip("there is no folder in memory here")
    dead = memory / f"{WORK_PREFIX}openstack-nova-of-test-clean"
    dead.mkdir()
    builder("clean", "--dry-run", cwd=tmp_path)
    assert dead.exists()

    builder("clean", "--yes", cwd=tmp_path)
    assert not dead.exists()

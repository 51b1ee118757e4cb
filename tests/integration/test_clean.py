# SPDX-License-Identifier: MIT
"""`clean` removes the caches when asked to, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder import memory
from builder.__main__ import main
from builder.files import WORK_PREFIX
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


def test_what_a_killed_run_left_in_memory_goes_too(
    tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The machine's own: every build of RPMs beside this test clears it, too.
    monkeypatch.setattr(memory, "SHARED", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches.parent))
    ours = memory.folder_in_memory()
    assert ours is not None
    dead = ours / f"{WORK_PREFIX}openstack-nova-of-a-killed-run"
    dead.mkdir()

    assert main(["clean", "--dry-run"]) == 0
    assert dead.exists()

    assert main(["clean", "--yes"]) == 0
    assert not dead.exists()

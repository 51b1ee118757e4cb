# SPDX-License-Identifier: MIT
"""Where there is memory to work in: a folder of ours, and room for the work and for all else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder import memory
from builder.files import WORK_PREFIX
from builder.rpm.build.run import choose_work
from builder.sizes import GIB


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /dev/shm; the cache is next to it."""
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(memory, "SHARED", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * GIB)
    return folder


def spoil_by_link(folder: Path) -> None:
    """Somebody's link to elsewhere."""
    (folder.parent.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent.parent / "elsewhere")


def spoil_by_file(folder: Path) -> None:
    """Somebody's file."""
    folder.touch(mode=0o700)


def spoil_by_mode(folder: Path) -> None:
    """A folder that others may write to."""
    folder.mkdir()
    folder.chmod(0o777)


@pytest.mark.parametrize("spoil", [spoil_by_link, spoil_by_file, spoil_by_mode])
def test_what_somebody_else_made_is_not_taken(shared: Path, spoil: Callable[[Path], None]) -> None:
    good = memory.folder_in_memory()
    assert good is not None
    assert good.stat().st_mode & 0o777 == 0o700
    good.rmdir()

    spoil(good)
    assert memory.folder_in_memory() is None
    assert choose_work((), jobs=2).parts[-2:] == ("openstack-builder", "rpmbuild")


def test_no_shared_memory_is_no_error(shared: Path) -> None:
    shared.rmdir()
    assert memory.folder_in_memory() is None


@pytest.mark.parametrize(
    ("jobs", "in_memory"), [(2, True), (16, True), (17, False)], ids=["room", "just enough", "too little"]
)
def test_builds_are_done_in_memory_where_there_is_room(shared: Path, jobs: int, in_memory: bool) -> None:
    # 256 MiB a build without sources, and as much again left free.
    work = choose_work((), jobs=jobs)
    assert (work.parent == shared) == in_memory


def test_what_a_killed_run_left_in_either_place_is_removed(shared: Path) -> None:
    works = [choose_work((), jobs=jobs) for jobs in (1, 1000)]
    assert len(set(works)) == 2
    for work in works:
        (work / f"{WORK_PREFIX}openstack-nova-dead").mkdir()
        (work / "somebody's").touch()

    choose_work((), jobs=1)
    assert [sorted(path.name for path in work.iterdir()) for work in works] == [["somebody's"]] * 2


CGROUPS = {
    "no limit": ("0::/a/b\n", {"a/b": ("max", "5", "inactive_file 0")}, []),
    "its own": ("0::/a/b\n", {"a/b": ("1000", "400", "anon 1\ninactive_file 50")}, [650]),
    "of the one above": ("1:cpu:/x\n0::/a/b\n", {"a/b": ("max", "5", "inactive_file 0"),
                                                       "a": ("900", "100", "inactive_file 0")}, [800]),
    "the first version": ("4:memory:/a\n", {}, []),
}  # fmt: skip


@pytest.mark.parametrize(("own", "groups", "left"), CGROUPS.values(), ids=CGROUPS.keys())
def test_a_limited_cgroup_has_less(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    groups: dict[str, tuple[str, str, str]],
    left: list[int],
) -> None:
    (tmp_path / "cgroup").write_text(own)
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "fs")
    for name, values in groups.items():
        folder = tmp_path / "fs" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, value in zip(("max", "current", "stat"), values, strict=True):
            (folder / f"memory.{file}").write_text(f"{value}\n")

    kernels = memory.available_memory()
    limits = memory.limits_of_cgroups()
    assert limits == left
    assert kernels == min([kernels, *left])

# SPDX-License-Identifier: MIT
"""What a build takes of memory has a bound as a whole, in whatever form its programs take it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.isolation import memory, sandbox
from builder.memory import free_memory
from builder.report import Report
from builder.runner import Runner
from builder.sizes import GIB, MIB
from tests.support.inside import as_build, call_inside
from tests.unit.test_imports import BUILDER

RUNNER = Runner(Report(quiet=True))
# Each takes memory that no limit of a process counts, up to 4 GiB if nothing ends it.
HEAD = "import ctypes, mmap, os, time\nlibc = ctypes.CDLL(None)\nMIB, MOST = 1 << 20, 4096\n"
FLOODS = {
    "files without a name": """
files = []
for _ in range(MOST // 64):
    files.append(os.memfd_create("x"))
    for _ in range(64):
        os.write(files[-1], bytes(MIB))
""",
    "shared mappings": """
maps = []
for _ in range(MOST // 64):
    maps.append(mmap.mmap(-1, 64 * MIB))
    for at in range(0, 64 * MIB, 4096):
        maps[-1][at] = 1
""",
    "segments of System V": """
libc.shmat.restype = ctypes.c_void_p
for _ in range(MOST // 64):
    segment = libc.shmget(0, ctypes.c_size_t(64 * MIB), 0o1600)
    ctypes.memset(ctypes.c_void_p(libc.shmat(segment, None, 0)), 1, 64 * MIB)
""",
    "many processes": """
for _ in range(MOST // 64):
    if os.fork() == 0:
        mine = b"x" * (64 * MIB)
        time.sleep(600)
    time.sleep(0.05)
""",
}


class Outlived(Exception):
    """A flood has come to its own end."""


@pytest.mark.root
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_build_that_takes_the_machines_memory_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flood: str
) -> None:
    # As if all but half a GiB were the least that must stay free.
    if free_memory() < 5 * GIB:
        pytest.skip("5 GiB must be free, in case that nothing ends it")
    monkeypatch.setattr(memory, "LEAST_PART", 1)

    def inside() -> str:
        program = ["/usr/bin/python3", "-c", HEAD + flood + "print('it ended')"]
        return sandbox.run_in_installer(as_build(), program, tree=False, ok=()).stdout

    def outlive(folder: Path) -> None:
        call_inside(inside, folder, RUNNER)
        raise Outlived

    # Others may end meanwhile, and leave more memory than the flood takes: then once more.
    for turn in range(10):
        monkeypatch.setattr(memory, "LEAST_FREE", free_memory() - 512 * MIB)
        (tmp_path / str(turn)).mkdir()
        with contextlib.suppress(Outlived):
            with pytest.raises(BuildError, match="too little of this machine's memory"):
                outlive(tmp_path / str(turn))
            return
    pytest.fail("nothing ended it")


@pytest.mark.root
def test_no_program_takes_itself_off_the_list_of_those_that_are_killed_first(tmp_path: Path) -> None:
    script = """
said = []
for name in ("oom_score_adj", "oom_adj"):
    try:
        open("/proc/self/" + name, "w").write("0")
    except OSError:
        pass
print(open("/proc/self/oom_score_adj").read())
"""

    def inside() -> str:
        words = ["/usr/bin/python3", "-c", script]
        return sandbox.run_in_installer(as_build(), words, tree=False, ok=(0,)).stdout

    assert int(call_inside(inside, tmp_path, RUNNER)) == 1000


def control(folder: Path, controllers: str) -> Path:
    """Make a folder that looks as a control group does."""
    folder.mkdir(parents=True)
    (folder / "cgroup.subtree_control").write_text(controllers + "\n")
    (folder / "cgroup.procs").touch()
    return folder


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups as a service manager makes them: user/app, with us in a scope there."""
    top = control(tmp_path / "cgroup", "memory pids")
    control(top / "user", "memory pids")
    control(top / "user/app", "memory pids")
    control(top / "user/app/ours.scope", "")
    (tmp_path / "own").write_text("1:name=systemd:/x\n0::/user/app/ours.scope\n")
    # A real group loses its files with the last process; these stay.
    monkeypatch.setattr(memory, "PATIENCE", 0.1)
    monkeypatch.setattr(memory, "CGROUPS", top)
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "own")
    return top


def test_the_group_of_a_build_stands_beside_ours(groups: Path) -> None:
    with memory.group(5 * GIB, 4096) as group:
        assert group.folder is not None
        assert group.folder.parent == groups / "user/app"
        assert (group.folder / "memory.max").read_text() == str(5 * GIB)
        assert (group.folder / "pids.max").read_text() == "4096"
        group.enter()
        assert (group.folder / "cgroup.procs").read_text() == "0"


def test_a_build_that_the_kernel_ended_is_known(groups: Path) -> None:
    with memory.group(GIB, 4096) as group:
        assert group.folder is not None
        (group.folder / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
        assert not group.is_full()
        (group.folder / "memory.events").write_text("low 0\noom 1\noom_kill 3\n")
        assert group.is_full()


@pytest.mark.parametrize("missing", ["memory", "the hierarchy"])
def test_without_a_place_for_a_group_there_is_none(groups: Path, missing: str) -> None:
    for folder in (groups, groups / "user", groups / "user/app"):
        (folder / "cgroup.subtree_control").write_text("pids\n")
    if missing == "the hierarchy":
        memory.OWN_CGROUP.write_text("4:memory:/x\n")

    with memory.group(GIB, 4096) as group:
        assert group.folder is None
        group.enter()
        assert not group.is_full()


def test_groups_of_killed_builds_are_removed_and_those_of_others_are_not(groups: Path) -> None:
    app = groups / "user/app"
    dead, alive, theirs = (
        app / name
        for name in ("openstack-builder-4194305-0", f"openstack-builder-{os.getpid()}-0", "x.scope")
    )
    for folder in (dead, alive, theirs):
        folder.mkdir()

    with memory.group(GIB, 4096):
        assert not dead.exists()
        assert alive.exists()
        assert theirs.exists()


@pytest.mark.root
def test_the_kernel_keeps_a_build_to_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with memory.group(GIB, 64) as group:
        if group.folder is None:
            pytest.skip(
                "no control group with memory can be made here; tests/guest/test_memory_bound.py has one"
            )
        assert (group.folder / "memory.max").read_text().strip() == str(GIB)
    assert not group.folder.exists()
    monkeypatch.setattr(memory, "MOST", 512 * MIB * 100 // free_memory())

    def inside() -> str:
        program = ["/usr/bin/python3", "-c", HEAD + FLOODS["files without a name"]]
        return sandbox.run_in_installer(as_build(), program, tree=False, ok=()).stdout

    with pytest.raises(BuildError, match="of memory, and was ended"):
        call_inside(inside, tmp_path, RUNNER)


@pytest.mark.root
def test_limits_that_are_lower_already_stay(tmp_path: Path) -> None:
    # As on a small machine, or as a user's own limits.conf has it.
    script = f"""
import resource, sys
from pathlib import Path
for name, most in (("NPROC", 2000), ("DATA", 3 << 30), ("CPU", 600)):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (most, most))
from builder import room
from builder.image.isolation import sandbox
from tests.support.inside import as_build, call_inside
from builder.report import Report
from builder.runner import Runner
runner, work = Runner(Report(quiet=True)), Path({os.fspath(tmp_path)!r})
words = ["/bin/bash", "-c", "ulimit -H -u; ulimit -H -d; ulimit -H -t"]
print(room.run_apart(runner, words).stdout.split())
def inside():
    return sandbox.run_in_installer(as_build(), words, tree=False).stdout.split()
print(call_inside(inside, work, runner))
"""
    # Without the capability to raise them, as a plain user.
    bare = ["capsh", "--drop=cap_sys_resource", "--", "-c", 'exec "$0" "$@"']
    argv = [*bare, sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.fspath(BUILDER.parent)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    outside, inside = (json.loads(line.replace("'", '"')) for line in done.stdout.splitlines())
    assert outside == ["2000", str(3 << 20), "600"]
    assert (inside[0], inside[2]) == ("2000", "600")
    assert int(inside[1]) <= 3 << 20

# SPDX-License-Identifier: MIT
"""The bound on what a build takes of memory as a whole: processes, files in memory, and what no limit counts.

Limits of a process (setrlimit(2)) count neither memfd_create(2) nor shared mappings nor System V's segments.
So all of the inside is in a control group with a bound (cgroup v2, memory.max), where we may make one: as
root, or where a service manager has given the user's groups to the user. And wherever it runs, a build is
ended before it takes the last of the machine's memory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.memory import CGROUPS, OWN_CGROUP, free_memory
from builder.sizes import MIB

# Percent of the memory that was free, for all of a build; --memory-share is for each part of it.
MOST = 90
# What a build leaves free: bytes, and the least part of what was free.
LEAST_FREE, LEAST_PART = 256 * MIB, 16
# Seconds between two looks, and for the last processes to go.
PAUSE, PATIENCE = 0.1, 5.0
_NAME = "openstack-builder-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A control group of ours; `folder` is None where there can be none."""

    folder: Path | None
    most: int = 0

    def enter(self) -> None:
        """Put this process into it, and so all that it will start."""
        if self.folder is not None:
            # A group that is there may still not be ours to enter from where we are (cgroups(7)).
            with contextlib.suppress(OSError):
                (self.folder / "cgroup.procs").write_text("0")

    def is_full(self) -> bool:
        """Say whether the kernel has killed in it for want of memory."""
        if self.folder is None:
            return False
        with contextlib.suppress(OSError):
            events = dict(line.split() for line in (self.folder / "memory.events").read_text().splitlines())
            return int(events.get("oom_kill", 0)) > 0
        return False


@contextlib.contextmanager
def group(most: int, processes: int) -> Iterator[Group]:
    """Yield a control group that takes `most` bytes and so many processes; it is removed afterwards."""
    place = _place()
    folder = _make(place, most, processes) if place else None
    try:
        yield Group(folder=folder, most=most)
    finally:
        if folder is not None:
            _remove(folder)


@contextlib.contextmanager
def watched(pid: int) -> Iterator[threading.Event]:
    """Kill the process `pid` if memory runs out within the block; yield an event that is set when it was.

    The process is a child of ours that nobody waits for meanwhile.
    """
    least = min(LEAST_FREE, free_memory() // LEAST_PART)
    ended, over = threading.Event(), threading.Event()

    def look() -> None:
        while not over.wait(PAUSE):
            if free_memory() < least:
                ended.set()
                os.kill(pid, signal.SIGKILL)
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


def _place() -> Path | None:
    """Return the nearest group above ours in which we may make one with a bound on memory."""
    try:
        line = next(line for line in OWN_CGROUP.read_text().splitlines() if line[:3] == "0::")
    except (OSError, StopIteration):
        return None
    own = CGROUPS / line[3:].lstrip("/")
    for folder in (own, *own.parents):
        if not folder.is_relative_to(CGROUPS):
            return None
        try:
            given = (folder / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        if "memory" in given and all(os.access(path, os.W_OK) for path in (folder, folder / "cgroup.procs")):
            return folder
    return None


def _make(place: Path, most: int, processes: int) -> Path | None:
    """Make a group in `place`, after removing those of killed builds; None: the kernel refuses it."""
    for old in place.glob(f"{_NAME}*"):
        number = old.name.removeprefix(_NAME).partition("-")[0]
        if not Path("/proc", number).exists():
            with contextlib.suppress(OSError):
                old.rmdir()
    folder = place / f"{_NAME}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        (folder / "memory.max").write_text(str(most))
    except OSError:
        _remove(folder)
        return None
    # Not all kernels have them, and not every place gives them out.
    for name, value in (("memory.oom.group", "1"), ("pids.max", str(processes))):
        with contextlib.suppress(OSError):
            (folder / name).write_text(value)
    return folder


def _remove(folder: Path) -> None:
    """Remove a group, in which processes may be about to end."""
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
    for _ in range(int(PATIENCE / PAUSE)):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(PAUSE)
        else:
            return

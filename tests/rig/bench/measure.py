# SPDX-License-Identifier: MIT
"""Measures a program with everything it starts: wall and CPU seconds, peak memory, peak disk.

CPU seconds are the kernel's own account of the whole tree, by a cgroup of its own where one can be made
(`account`), else by wait4(2); then a process that outlives its parent comes to us (PR_SET_CHILD_SUBREAPER,
prctl(2)) and is counted too, and what a pid namespace leaves at its end is not. Memory and disk are sampled
some times a second. Memory is what the processes share fairly (Pss of proc(5)'s smaps_rollup, shared memory
left out) plus every tmpfs that the tree has mounted for itself: an image's files in memory are memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.rig.bench.account import accounting

_PR_SET_CHILD_SUBREAPER = 36
INTERVAL = 0.15
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A measured program failed; the text says which, how, and where its output is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one run took: seconds, seconds, bytes, bytes."""

    wall: float
    cpu: float
    memory: int
    disk: int

    def as_json(self) -> dict[str, float]:
        """Return the numbers by name, seconds to the millisecond."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def median(runs: Sequence[Measured]) -> Measured:
    """Return the median of each number."""
    names = [field.name for field in fields(Measured)]
    return Measured(**{name: statistics.median(getattr(run, name) for run in runs) for name in names})


def measure(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    folders: Sequence[Path] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Measured:
    """Run a program and return what it and all that it started took.

    Args:
        log: gets the program's output.
        folders: what grows below them is the disk that the program takes.

    Raises:
        Failed: it did not end with 0.
    """
    with log.open("wb") as output, adopting(), accounting() as account:
        before = sum(map(disk_usage, folders))
        started = time.perf_counter()
        process = subprocess.Popen(
            [os.fspath(word) for word in argv], cwd=cwd, env=env,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=account.enter if account else None,
        )  # fmt: skip
        with sampling(process.pid, folders, before) as peaks:
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                os.wait4(process.pid, 0)
                raise
            wall = time.perf_counter() - started
        cpu = usage.ru_utime + usage.ru_stime + _reap_orphans()
        if account:
            cpu = account.seconds()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(map(str, argv[:4]))} … ended with {process.returncode}: see {log}")
    return Measured(wall=wall, cpu=cpu, memory=peaks["memory"], disk=peaks["disk"])


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Be the parent of orphans meanwhile."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _reap_orphans() -> float:
    """Return the CPU seconds of the processes that outlived their parents and have ended."""
    cpu = 0.0
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                break
            cpu += usage.ru_utime + usage.ru_stime
    return cpu


@contextlib.contextmanager
def sampling(root: int, folders: Sequence[Path], before: int) -> Iterator[dict[str, int]]:
    """Sample the tree below process `root` meanwhile; the peaks are in what is yielded.

    Args:
        before: what `folders` took when the process was not there yet.
    """
    peaks = {"memory": 0, "disk": 0}
    ours = {device for device, _ in tmpfs_mounts(os.getpid())}
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(INTERVAL):
            peaks["memory"] = max(peaks["memory"], _memory(processes_below(root), ours))
            peaks["disk"] = max(peaks["disk"], sum(map(disk_usage, folders)) - before)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def processes_below(root: int) -> list[int]:
    """Return the ids of process `root` and of all that it and its children started."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold blanks; the parent is the second field after it.
                fields_after = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields_after[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _memory(pids: Sequence[int], not_theirs: set[str]) -> int:
    mounts: dict[str, str] = {}
    seen: set[str] = set()
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            total += _share(pid)
            space = os.readlink(f"/proc/{pid}/ns/mnt")
            if space not in seen:
                seen.add(space)
                for device, path in tmpfs_mounts(pid):
                    mounts.setdefault(device, path)
    for device, path in mounts.items():
        if device not in not_theirs:
            # What lies under a later mount is not reached by its path.
            with contextlib.suppress(OSError):
                reached = os.stat(path).st_dev
                if f"{os.major(reached)}:{os.minor(reached)}" != device:
                    continue
                found = os.statvfs(path)
                total += (found.f_blocks - found.f_bfree) * found.f_frsize
    return total


def _share(pid: int) -> int:
    """Return the bytes of memory that a process takes, shared memory left out."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(value.split()[0]) for name, _, value in (row.partition(":") for row in rows)}
    return (kib["Pss"] - kib.get("Pss_Shmem", 0)) * 1024


def tmpfs_mounts(pid: int) -> list[tuple[str, str]]:
    """Return device and path (as we can reach it) of each tmpfs that a process sees."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            if after.startswith("tmpfs "):
                words = before.split()
                # A bind of a folder inside shows the same file system, at a path of no use here.
                if words[3] == "/":
                    found.append((words[2], f"/proc/{pid}/root{words[4]}"))
    return found


def disk_usage(folder: Path) -> int:
    """Return the bytes that what is below `folder` takes on the disk, other file systems left out."""
    total = 0
    pending = [folder]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    total += info.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
    return total

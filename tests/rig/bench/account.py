# SPDX-License-Identifier: MIT
"""The CPU seconds of a tree of processes, by the kernel's account of a cgroup made for it.

wait4(2) is not told of all: of a pid namespace whose first process ends, the kernel reaps the rest without
adding up their times (kernel/pid_namespace.c, zap_pid_ns_processes). A cgroup forgets nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

# Seconds that the kernel may take to empty a cgroup of processes that have ended.
LONGEST = 5.0


class Account:
    """A cgroup, of version 2, or of version 1's cpuacct.

    Args:
        folder: where it lies.
        second: so many units of its counter are a second.
    """

    def __init__(self, folder: Path, counter: str, second: float) -> None:
        self._folder, self._counter, self._second = folder, counter, second

    def enter(self) -> None:
        """Put this process into it; runs between fork and exec."""
        (self._folder / "cgroup.procs").write_text("0")

    def seconds(self) -> float:
        """Return the CPU seconds of all that was ever in it."""
        text = (self._folder / self._counter).read_text()
        # cpu.stat of version 2 begins `usage_usec N`.
        return int(text.split()[1] if " " in text else text) / self._second


@contextlib.contextmanager
def accounting() -> Iterator[Account | None]:
    """Yield an account to put a process into; None where no cgroup can be made."""
    for folder, counter, second in _places():
        place = folder / f"openstack-builder-bench-{os.getpid()}"
        try:
            place.mkdir()
        except OSError:
            continue
        if not (place / counter).exists():
            place.rmdir()
            continue
        try:
            yield Account(place, counter, second)
        finally:
            _remove(place)
        return
    yield None


def _places() -> Iterator[tuple[Path, str, float]]:
    """Yield our own cgroups that count time: folder, counter, units a second (cgroups(7))."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        if not kinds:
            for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                yield Path(mount, path.lstrip("/")), "cpu.stat", 1e6
        elif "cpuacct" in kinds.split(","):
            for mount in (kinds, "cpuacct"):
                yield Path("/sys/fs/cgroup", mount, path.lstrip("/")), "cpuacct.usage", 1e9


def _remove(place: Path) -> None:
    """Remove a cgroup as soon as nothing runs in it."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            place.rmdir()
            return
        time.sleep(0.01)

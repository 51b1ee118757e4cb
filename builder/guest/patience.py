# SPDX-License-Identifier: MIT
"""How long, and in how much memory, our own code looks at an image: its bytes may be made to keep us.

Programs that parse an image have such bounds in their rooms (`builder.room`); this is for what is read here:
partition tables, volumes, xfs, archives, configuration, expressions that the image itself brings.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from builder.guest.outcome import CannotCheck, not_done

# Seconds for all that is looked at from outside, and bytes of memory besides what this process has already.
LONGEST = 3600.0
MEMORY = 8 << 30


class Patience:
    """Time that many looks at an image share."""

    def __init__(self, seconds: float = LONGEST) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @contextlib.contextmanager
    def look(self) -> Iterator[None]:
        """End the block when the time is up, or when it takes too much memory.

        Raises:
            CannotCheck: the time is up.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._impatient()
        with _bounded_memory(), self._alarm(left):
            yield

    @contextlib.contextmanager
    def _alarm(self, seconds: float) -> Iterator[None]:
        # Signals come to the main thread; elsewhere there is only the sum.
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ring(_: int, __: FrameType | None) -> None:
            raise self._impatient()

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _impatient(self) -> CannotCheck:
        return not_done(f"looking at the image took more than {self._seconds:.0f} s")


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [MEMORY + _data(), *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data() -> int:
    """Return the bytes of data that this process has (proc(5), statm: data and stack)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[5]) * resource.getpagesize()

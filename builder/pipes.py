# SPDX-License-Identifier: MIT
"""Read what a program says, and give it what it reads: through pipes only, with a bound on each.

A program gets no file of ours to write to: it could turn back what is in it, fill the disk, or change the
file's mode. It has ended when its process has; what it left running is not waited for.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol


class Process(Protocol):
    """A started program, as subprocess.Popen is."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None


# Bytes: kept of what one program says, and of one line.
LARGEST = 256 << 20
LONGEST_LINE = 8 << 20

_PIECE = 1 << 16
PAUSE = 0.2


class Captured:
    """Keeps what comes, up to a bound; the rest is let go."""

    def __init__(self, limit: int = LARGEST) -> None:
        self._data = bytearray()
        self._limit = limit

    def write(self, data: bytes) -> None:
        """Take a piece."""
        self._data += data[: max(0, self._limit - len(self._data))]

    @property
    def text(self) -> str:
        """All that was kept."""
        return self._data.decode(errors="replace")


class Logged:
    """Appends what comes to a file, up to a bound; then says so, once."""

    def __init__(self, path: Path, limit: int = LARGEST) -> None:
        self._file = path.open("ab", buffering=0)
        self._room = limit

    def write(self, data: bytes) -> None:
        """Take a piece."""
        if self._room > 0:
            self._file.write(data[: self._room])
            self._room -= len(data)
            if self._room <= 0:
                self._file.write(b"\n(it said more: the rest is not kept)\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def exchange(
    process: Process,
    data: bytes | None,
    timeout: float | None,
    watch: Callable[[], None] | None = None,
) -> Iterator[tuple[IO[bytes], bytes]]:
    """Write `data` to the program's stdin, yield (pipe, piece) of what it says, until its process has ended.

    Args:
        process: started with pipes.
        timeout: seconds for all of it.
        watch: called at least every PAUSE seconds; what it raises ends the exchange.

    Raises:
        TimeoutError: the process goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    ended = os.pidfd_open(process.pid)
    waiting = memoryview(data or b"")
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(ended, selectors.EVENT_READ)
            for pipe in filter(None, (process.stdout, process.stderr)):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, pipe)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            gone = False
            while not gone:
                for key, _ in _ready(selector, deadline, watch):
                    if key.fd == ended:
                        gone = True
                    elif key.data is None:
                        waiting = _give(selector, process, waiting)
                    else:
                        yield from _take(selector, key.data)
            for key in list(selector.get_map().values()):
                while key.data is not None and (piece := _read(key.data)):
                    yield key.data, piece
        finally:
            os.close(ended)


def _ready(
    selector: selectors.BaseSelector, deadline: float | None, watch: Callable[[], None] | None
) -> list[tuple[selectors.SelectorKey, int]]:
    if watch is not None:
        watch()
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    pauses = [PAUSE] if watch is not None else []
    return selector.select(min([*pauses, *([left] if left is not None else [])], default=None))


def _give(selector: selectors.BaseSelector, process: Process, waiting: memoryview) -> memoryview:
    """Write what the pipe takes; return what is left. A program need not read it."""
    assert process.stdin is not None
    try:
        waiting = waiting[os.write(process.stdin.fileno(), waiting[:_PIECE]) :] if waiting else waiting
    except BrokenPipeError:
        waiting = waiting[:0]
    except BlockingIOError:
        return waiting
    if not waiting:
        selector.unregister(process.stdin)
        process.stdin.close()
    return waiting


def _take(selector: selectors.BaseSelector, pipe: IO[bytes]) -> Iterator[tuple[IO[bytes], bytes]]:
    if piece := _read(pipe):
        yield pipe, piece
    elif piece == b"":
        selector.unregister(pipe)


def _read(pipe: IO[bytes]) -> bytes | None:
    """Return a piece; empty at the end, None when there is nothing now."""
    try:
        return os.read(pipe.fileno(), _PIECE)
    except BlockingIOError:
        return None

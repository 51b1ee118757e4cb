# SPDX-License-Identifier: MIT
"""Looks again and again at something while a test goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watching(look: Callable[[], object], every: float) -> Iterator[None]:
    """Call `look` in another thread meanwhile, with a pause of `every` seconds; it has ended afterwards."""
    end = threading.Event()

    def look_again() -> None:
        while True:
            look()
            if end.wait(every):
                return

    watcher = threading.Thread(target=look_again)
    watcher.start()
    try:
        yield
    finally:
        end.set()
        watcher.join()

# SPDX-License-Identifier: MIT
"""What dnf chose for an image. The process that chose waits, and fetches when it is asked to.

One process does both, so that the metadata of the repositories is loaded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenPackage:
    """One package that goes into the image; `path` is where its file is inside.

    `size` in bytes is its file's before it is installed, and what it takes afterwards.
    `sigmd5` (hex) and `key`, the id of the key that signed it, are known when it is installed.
    """

    name: str
    nevra: str
    arch: str
    repo: str
    sha256: str
    size: int
    path: str
    sigmd5: str | None = None
    key: str | None = None


class Choice:
    """The packages, and the size in bytes that they take when installed.

    Args:
        events: what dnf's worker says, from its start.
    """

    def __init__(self, events: Iterator[dict[str, Any]]) -> None:
        self._events = events
        solved = next(event for event in events if event["event"] == "solved")
        self.packages = tuple(ChosenPackage(**package) for package in solved["packages"])
        self.installed_size: int = solved["installed_size"]

    def fetch(self, progress: Callable[[int, int], None]) -> int:
        """Have the worker fetch what the cache does not have; return how many bytes that were.

        Args:
            progress: is called with the bytes that are there, and all that are to be fetched.
        """
        fetched = 0
        for event in self._events:
            if event["event"] == "progress":
                fetched = event["done"]
                progress(fetched, event["total"])
        return fetched

# SPDX-License-Identifier: MIT
"""Digests of bytes, by which files are compared. They are not used for security."""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import Self

# Bytes that go to the threads at once, and how many such pieces wait for the slowest.
_PIECE, _WAITING = 1 << 20, 8


def new_digest(algorithm: str) -> hashlib._Hash:
    """Return a digest by hashlib's name; md5 too on a host in FIPS mode, which has it for this use alone.

    Raises:
        ValueError: this Python has no such algorithm.
    """
    return hashlib.new(algorithm, usedforsecurity=False)


class Digests:
    """The digests of what it is fed, within a `with`: each algorithm works in a thread of its own.

    Args:
        algorithms: by hashlib's names.
    """

    def __init__(self, *algorithms: str) -> None:
        self._hashes = [new_digest(name) for name in algorithms]
        self._queues: list[queue.Queue[bytes]] = [queue.Queue(_WAITING) for _ in algorithms]
        self._held: list[bytes] = []
        self._size = 0
        self._threads = [
            threading.Thread(target=self._update, args=pair, daemon=True)
            for pair in zip(self._hashes, self._queues, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def feed(self, data: bytes) -> None:
        """Take the bytes that follow."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= _PIECE:
            self._send()

    def end(self) -> tuple[str, ...]:
        """Return the hex digests, in the order of the algorithms; nothing is fed any more."""
        if self._size:
            self._send()
        if self._threads:
            for one in self._queues:
                one.put(b"")
        for thread in self._threads:
            thread.join()
        self._threads = []
        return tuple(one.hexdigest() for one in self._hashes)

    def _send(self) -> None:
        piece = b"".join(self._held)
        self._held, self._size = [], 0
        for one in self._queues:
            one.put(piece)

    @staticmethod
    def _update(digest: hashlib._Hash, pieces: queue.Queue[bytes]) -> None:
        while piece := pieces.get():
            digest.update(piece)

# SPDX-License-Identifier: MIT
"""In which order builds side by side go on, so that none does what another has done, and all have room.

First they choose their packages, one after another: who wants what another chose finds that in the cache, and
then it is known how much each needs. Then they install, so many at a time as there are jobs and memory for
them. Of those with the same tree one installs it; the others begin when tree and initramfs are in the cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from builder.errors import BuildError
from builder.sizes import MIB

# Besides its packages, what a tree takes at the least: an initramfs, and dracut's folder.
BESIDES = 256 * MIB


class Turn(Protocol):
    """What a build asks before it goes on."""

    def is_promised(self, tree: str, /) -> bool:
        """Say whether another build is to leave the installed tree of the key `tree` in the cache."""

    def install(self, tree: str | None, size: int, /) -> int | None:
        """Wait until the packages may be installed.

        Args:
            tree: key of the installed tree, where it has one.
            size: bytes that it takes.

        Returns:
            the bytes of memory that the tree may take; None: what the options say.
        """

    def share(self) -> None:
        """Say that the installed tree and the initramfs are in the cache, as far as they get there."""


class _Alone:
    """The turn of a build that is alone: it waits for nobody."""

    def is_promised(self, _: str, /) -> bool:
        return False

    def install(self, _: str | None, __: int, /) -> int | None:
        return None

    def share(self) -> None:
        pass


ALONE: Turn = _Alone()


class _State(Enum):
    WAITING = auto()
    CHOOSING = auto()
    CHOSEN = auto()
    RUNNING = auto()
    OVER = auto()


@dataclass(kw_only=True)
class _Build:
    state: _State = _State.WAITING
    tree: str | None = None
    size: int | None = None
    shared: bool = False


class Schedule:
    """The turns of several builds, by their numbers; each has a thread that waits here for it.

    Args:
        count: so many builds.
        jobs: at most so many install at a time.
        memory: bytes that their trees may take together.
    """

    def __init__(self, count: int, *, jobs: int, memory: int) -> None:
        self._builds = [_Build() for _ in range(count)]
        self._jobs, self._memory = jobs, memory
        self._changed = threading.Condition()
        self._cancelled = False

    def begin(self, number: int) -> None:
        """Wait until a build may read its repositories and choose its packages."""
        with self._changed:
            self._wait(lambda: self._next() == number)
            self._builds[number].state = _State.CHOOSING

    def is_promised(self, number: int, tree: str) -> bool:
        """Say whether another build is to leave that tree in the cache."""
        with self._changed:
            return any(
                one.tree == tree and not one.shared and one.state in (_State.CHOSEN, _State.RUNNING)
                for other, one in enumerate(self._builds)
                if other != number
            )

    def install(self, number: int, tree: str | None, size: int) -> int:
        """Wait until a build may install; return the bytes of memory that it may take."""
        with self._changed:
            build = self._builds[number]
            build.state, build.tree, build.size = _State.CHOSEN, tree, size
            self._changed.notify_all()
            self._wait(lambda: self._may_install(number))
            build.state = _State.RUNNING
            self._changed.notify_all()
            return self._memory // self._side_by_side()

    def share(self, number: int) -> None:
        """Note that what a build has for others is in the cache."""
        with self._changed:
            self._builds[number].shared = True
            self._changed.notify_all()

    def end(self, number: int) -> None:
        """Note that a build has ended, however."""
        with self._changed:
            self._builds[number].state = _State.OVER
            self._changed.notify_all()

    def cancel(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._cancelled or ready())
        if self._cancelled:
            raise BuildError("interrupted")

    def _in(self, *states: _State) -> list[int]:
        return [number for number, one in enumerate(self._builds) if one.state in states]

    def _next(self) -> int | None:
        """Return which build is the next to choose: none while another does."""
        return None if self._in(_State.CHOOSING) else min(self._in(_State.WAITING), default=None)

    def _may_install(self, number: int) -> bool:
        if self._in(_State.WAITING, _State.CHOOSING):
            return False
        if len(self._in(_State.RUNNING)) >= self._side_by_side():
            return False
        return number == min(filter(self._has_tree, self._in(_State.CHOSEN)), default=None)

    def _has_tree(self, number: int) -> bool:
        """Say whether a build need not wait for a tree that another makes, or is the one to make it."""
        tree = self._builds[number].tree
        same = [(other, one) for other, one in enumerate(self._builds) if tree and one.tree == tree]
        if any(one.shared for _, one in same):
            return True
        makers = [other for other, one in same if one.state is _State.RUNNING]
        makers += [other for other, one in same if one.state is _State.CHOSEN]
        return not makers or makers[0] == number

    def _side_by_side(self) -> int:
        """Return how many may install at a time: a share of the memory has to hold the largest of them."""
        sizes = [one.size for one in self._builds if one.size is not None]
        largest = max(sizes, default=0) * 5 // 4 + BESIDES
        return max(1, min(self._jobs, len(sizes), self._memory // largest))

# SPDX-License-Identifier: MIT
"""In which order builds side by side go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from builder.errors import BuildError
from builder.image.turns import BESIDES, Schedule
from builder.sizes import GIB, MIB

LONGEST = 300


class Builds:
    """Builds that wait in threads of their own; what has happened, in its order."""

    def __init__(self, count: int, *, jobs: int = 2, memory: int = 100 * GIB) -> None:
        self.schedule = Schedule(count, jobs=jobs, memory=memory)
        self.events: list[tuple[int, str]] = []
        self.memory: dict[int, int] = {}
        self._happened = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self, act: Callable[[], object], number: int, what: str) -> None:
        """Do something that may have to wait."""

        def run() -> None:
            try:
                said = act()
            except BuildError:
                self._note(number, "cancelled")
                return
            if isinstance(said, int):
                self.memory[number] = said
            self._note(number, what)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def begin(self, *numbers: int) -> None:
        """Have builds ask to choose."""
        for number in numbers:
            self.start(lambda one=number: self.schedule.begin(one), number, "begins")

    def install(self, number: int, tree: str | None = None, size: int = 500 * MIB) -> None:
        """Have a build ask to install."""
        self.start(lambda: self.schedule.install(number, tree, size), number, "installs")

    def chosen(self, *trees: str | None) -> None:
        """Have all builds choose, each a tree."""
        for number, tree in enumerate(trees):
            self.schedule.begin(number)
            self.install(number, tree)

    def has(self, number: int, what: str) -> bool:
        """Wait until it has happened."""
        with self._happened:
            return self._happened.wait_for(lambda: (number, what) in self.events, timeout=LONGEST)

    def installing(self) -> list[int]:
        """Return which builds have begun to install."""
        return [number for number, what in self.events if what == "installs"]

    def _note(self, number: int, what: str) -> None:
        with self._happened:
            self.events.append((number, what))
            self._happened.notify_all()

    def join(self) -> None:
        """Let nobody wait any more."""
        self.schedule.cancel()
        for thread in self._threads:
            thread.join(LONGEST)
            assert not thread.is_alive()


@contextmanager
def builds(count: int, *, jobs: int = 2, memory: int = 100 * GIB) -> Iterator[Builds]:
    """Builds that nobody waits for afterwards."""
    made = Builds(count, jobs=jobs, memory=memory)
    try:
        yield made
    finally:
        made.join()


def test_builds_choose_one_after_another_in_their_order() -> None:
    with builds(3) as some:
        some.begin(2, 1, 0)
        assert some.has(0, "begins")
        some.install(0)
        assert some.has(1, "begins")
        some.schedule.end(1)
        assert some.has(2, "begins")
        assert [number for number, what in some.events if what == "begins"] == [0, 1, 2]
        # Nobody installs before all have chosen.
        assert some.installing() == []
        some.schedule.end(2)
        assert some.has(0, "installs")


def test_no_more_than_the_jobs_install_and_the_next_follows() -> None:
    with builds(3, jobs=2) as some:
        some.chosen(None, None, None)
        assert some.has(0, "installs")
        assert some.has(1, "installs")
        assert some.installing() == [0, 1]
        some.schedule.end(1)
        assert some.has(2, "installs")


def test_a_tree_is_made_once_and_another_image_goes_before_those_that_wait_for_it() -> None:
    with builds(3, jobs=2) as some:
        some.chosen("same", "same", "another")
        assert some.has(0, "installs")
        assert some.has(2, "installs")
        assert some.schedule.is_promised(1, "same")
        some.schedule.end(2)
        assert some.installing() == [0, 2]
        some.schedule.share(0)
        assert some.has(1, "installs")
        assert not some.schedule.is_promised(1, "same")


def test_who_made_no_tree_leaves_it_to_the_next() -> None:
    with builds(3, jobs=3) as some:
        some.chosen("same", "same", "same")
        assert some.has(0, "installs")
        some.schedule.end(0)
        assert some.has(1, "installs")
        assert some.installing() == [0, 1]


@pytest.mark.parametrize(
    ("memory", "jobs", "at_once"),
    [
        pytest.param(10 * GIB, 3, 3, id="room for all"),
        pytest.param(2 * (GIB * 5 // 4 + BESIDES), 3, 2, id="room for two"),
        pytest.param(GIB // 2, 3, 1, id="room for none: it says so itself"),
        pytest.param(10 * GIB, 8, 3, id="more jobs than images"),
    ],
)
def test_memory_bounds_how_many_install_and_is_shared_out(memory: int, jobs: int, at_once: int) -> None:
    with builds(3, jobs=jobs, memory=memory) as some:
        for number, size in enumerate((GIB, GIB // 4, GIB // 2)):
            some.schedule.begin(number)
            some.install(number, size=size)
        for number in range(at_once):
            assert some.has(number, "installs")
        assert len(some.installing()) == at_once
        assert {some.memory[number] for number in range(at_once)} == {memory // at_once}


def test_nobody_waits_for_what_is_cancelled() -> None:
    with builds(2, jobs=1) as some:
        some.chosen(None, None)
        assert some.has(0, "installs")
        some.schedule.cancel()
        assert some.has(1, "cancelled")

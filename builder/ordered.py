# SPDX-License-Identifier: MIT
"""Work done by all processors, its results in the order of the input, few of them in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

# Each holds a piece of input and one of output.
MOST_THREADS = 16


def map_in_order(
    call: Callable[[Given], Made],
    items: Iterable[Given],
    *,
    begin: Callable[[], None] | None = None,
    together: int = 1,
) -> Iterator[Made]:
    """Yield `call(item)` of each item, computed by as many threads as there are processors.

    Of use where the call leaves the interpreter's lock alone, as compressors do.

    Args:
        begin: what each thread does before anything else.
        together: so many items are handed over at once, where a call takes no longer than that.
    """

    def call_each(some: list[Given]) -> list[Made]:
        return [call(item) for item in some]

    left = iter(items)
    workers = min(len(os.sched_getaffinity(0)), MOST_THREADS)
    waiting: deque[Future[list[Made]]] = deque()
    with ThreadPoolExecutor(workers, initializer=begin) as pool:
        try:
            while some := list(islice(left, together)):
                waiting.append(pool.submit(call_each, some))
                # What is ready and not yet taken needs memory.
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

# SPDX-License-Identifier: MIT
"""Work done by all processors, its results in the order of the input, few of them in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

# Each holds a piece of input and one of output.
MOST_THREADS = 16


def map_in_order(
    call: Callable[[Given], Made], items: Iterable[Given], *, begin: Callable[[], None] | None = None
) -> Iterator[Made]:
    """Yield `call(item)` of each item, computed by as many threads as there are processors.

    Of use where the call leaves the interpreter's lock alone, as compressors do.

    Args:
        begin: what each thread does before anything else.
    """
    workers = min(len(os.sched_getaffinity(0)), MOST_THREADS)
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers, initializer=begin) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(call, item))
                # What is ready and not yet taken needs memory.
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

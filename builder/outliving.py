# SPDX-License-Identifier: MIT
"""Work that is short and must not be cut in two: a child does it that outlives us when we are killed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable


def outlive(work: Callable[[], None]) -> bool:
    """Run `work` in a process and a session of its own, and say whether it ended well.

    Nothing that ends us, SIGKILL included, ends it; signals to our group do not reach it. What it changes in
    memory is lost, and what it raises is not reported: the caller looks at the result afterwards.
    """
    child = os.fork()
    if child == 0:
        status = 1
        # No exception and no handler of ours may lead out of here: there are two of us.
        with contextlib.suppress(BaseException):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.setsid()
            work()
            status = 0
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    return ended == 0

# SPDX-License-Identifier: MIT
"""Limits of a process (setrlimit(2), prlimit(2)): taken down, never up.

Only root of the host may raise a limit that is hard, and a user, or a small machine, may have a lower one
already.
"""

from __future__ import annotations

import resource


def bound(what: int, most: int, pid: int = 0) -> None:
    """Let a process, and what it starts, have `most` of a RLIMIT_*; less where that is its limit now.

    Args:
        pid: of the process; 0 is this one.

    Raises:
        ProcessLookupError: there is no such process any more.
    """
    _, hard = resource.prlimit(pid, what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.prlimit(pid, what, (most, most))

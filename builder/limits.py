# SPDX-License-Identifier: MIT
"""Limits of a process (setrlimit(2)): taken down, never up.

Only root of the host may raise a limit that is hard, and a user, or a small machine, may have a lower one
already.
"""

from __future__ import annotations

import resource


def bound(what: int, most: int) -> None:
    """Let this process, and what it starts, have `most` of a RLIMIT_*; less where that is its limit now."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))

# SPDX-License-Identifier: MIT
"""Kickstarts, read and understood: what they ask for becomes a plan."""

from __future__ import annotations

import sys
from types import ModuleType


def _load_pykickstart() -> None:
    """Import pykickstart without requests, which is a third of the time of `check`.

    pykickstart would fetch kickstarts by URL with it. Here nothing is fetched while a kickstart is read.
    """
    if "requests" in sys.modules or "pykickstart.load" in sys.modules:
        return
    requests, exceptions = ModuleType("requests"), ModuleType("requests.exceptions")
    for name in ("SSLError", "RequestException"):
        setattr(exceptions, name, type(name, (OSError,), {}))
    sys.modules |= {"requests": requests, "requests.exceptions": exceptions}
    try:
        import pykickstart.load  # noqa: F401
    finally:
        # Who wants to fetch gets the real one.
        del sys.modules["requests"], sys.modules["requests.exceptions"]


_load_pykickstart()

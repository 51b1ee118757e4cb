# SPDX-License-Identifier: MIT
"""Versions of packages compared as rpm compares them, by rpm's own labelCompare.

rpm's Python binding is loaded when it is first needed: the shim of PyPI looks for the system's, which starts
a process. A build loads it before it enters its sandbox, where the shim is not.
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

from builder import tools
from builder.errors import ToolMissing


def load_rpm() -> Any:
    """Return the module `rpm` of this host.

    Raises:
        ToolMissing: there is none for our Python.
    """
    try:
        import rpm
    except ImportError as error:
        raise ToolMissing(
            f"rpm's Python binding cannot be loaded: {error}",
            hint=tools.install_hint("python3-rpm"),
        ) from error
    return rpm


def compare_versions(one: str, other: str) -> int:
    """Compare `VERSION-RELEASE` texts, such as a kernel's `uname -r`: -1 is older, 0 the same, 1 newer."""
    result: int = load_rpm().labelCompare(_label(one), _label(other))
    return result


# For sorted(key=): the oldest first.
version_key = cmp_to_key(compare_versions)


def _label(text: str) -> tuple[str, str, str]:
    version, _, release = text.partition("-")
    return "0", version, release
